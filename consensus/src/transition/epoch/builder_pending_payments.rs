//! Builders pay for the blocks that had enough votes (Gloas).

use crate::Invalid;
use crate::constants::{BUILDER_PAYMENT_THRESHOLD_DENOMINATOR, BUILDER_PAYMENT_THRESHOLD_NUMERATOR};
use crate::helpers::accessors::get_total_active_balance;
use crate::helpers::math::mul;
use crate::preset::SLOTS_PER_EPOCH;
use crate::state::State;
use crate::types::{BuilderPendingPayment, Gwei};

/// The weight of votes, in Gwei, from which a builder pays.
///
/// Spec: gloas/beacon-chain.md, `get_builder_payment_quorum_threshold`.
pub fn get_builder_payment_quorum_threshold(state: &State) -> Result<Gwei, Invalid> {
    let per_slot_balance = get_total_active_balance(state) / SLOTS_PER_EPOCH;
    let quorum = mul(per_slot_balance, BUILDER_PAYMENT_THRESHOLD_NUMERATOR)?;
    Ok(quorum / BUILDER_PAYMENT_THRESHOLD_DENOMINATOR)
}

/// Settles the payments of the previous epoch. Spec: gloas/beacon-chain.md, `process_builder_pending_payments`.
pub fn process_builder_pending_payments(state: &mut State) -> Result<(), Invalid> {
    let quorum = get_builder_payment_quorum_threshold(state)?;
    let epoch = SLOTS_PER_EPOCH as usize;
    let beacon = &mut state.beacon;
    let due = beacon.builder_pending_payments.iter().take(epoch);
    let due = due
        .filter(|payment| payment.weight >= quorum)
        .map(|payment| payment.withdrawal);
    beacon.builder_pending_withdrawals.extend(due);

    let old_payments = beacon.builder_pending_payments.iter().skip(epoch).copied();
    let new_payments = std::iter::repeat_n(BuilderPendingPayment::default(), epoch);
    let payments: Vec<_> = old_payments.chain(new_payments).collect();
    beacon.builder_pending_payments = payments.into();
    Ok(())
}
