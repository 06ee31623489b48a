//! Gloas: payloads leave the block, builders enter the state, and its growing lists become progressive.
//!
//! The fork.md's `upgrade_attestation_to_gloas` and its like for slashings need no function: the fork decides by which
//! tree a vote is hashed, not its value.

use super::enter;
use crate::constants::PAYLOAD_BUILDER_VERSION;
use crate::fork::Fork;
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::builders::{add_builder_to_registry, builder_mut};
use crate::helpers::effective_balances::voter;
use crate::helpers::math::add;
use crate::helpers::misc::compute_start_slot_at_epoch;
use crate::helpers::predicates::is_builder_withdrawal_credential;
use crate::helpers::selection::compute_ptc_by;
use crate::preset::{
    BUILDER_PENDING_PAYMENTS_LENGTH, MIN_SEED_LOOKAHEAD, PTC_SIZE, PTC_WINDOW_LENGTH, SLOTS_PER_EPOCH,
    SLOTS_PER_HISTORICAL_ROOT,
};
use crate::signing::DepositProof;
use crate::ssz::{Bytes, PersistentList, Ssz, Vector};
use crate::state::State;
use crate::types::{
    BLSPubkey, BuilderIndex, BuilderPendingPayment, ExecutionPayloadBid, ExecutionRequests, PendingDeposit,
    ValidatorIndex,
};
use crate::{Config, Invalid};
use std::collections::{HashMap, HashSet};

/// Spec: gloas/fork.md, `upgrade_to_gloas`. Errors if nobody is active.
pub fn upgrade_to_gloas(state: &mut State, config: &Config) -> Result<(), Invalid> {
    // The committees of the window are slices of these shufflings.
    state.prepare();
    let ptc_window = initialize_ptc_window(state)?;
    enter(state, config, Fork::Gloas);
    make_progressive(state);
    let header = std::mem::take(&mut state.latest_execution_payload_header);
    state.latest_block_hash = header.block_hash;
    state.builders = PersistentList::empty(true);
    state.next_withdrawal_builder_index = 0;
    state.execution_payload_availability = (0..SLOTS_PER_HISTORICAL_ROOT).map(|_| true).collect();
    let no_payments = vec![BuilderPendingPayment::default(); BUILDER_PENDING_PAYMENTS_LENGTH as usize];
    state.builder_pending_payments = no_payments.into();
    state.builder_pending_withdrawals = Vec::new();
    state.latest_execution_payload_bid = ExecutionPayloadBid {
        block_hash: header.block_hash,
        gas_limit: header.gas_limit,
        execution_requests_root: ExecutionRequests::default().hash_tree_root(Fork::Gloas),
        ..ExecutionPayloadBid::default()
    };
    state.payload_expected_withdrawals = Vec::new();
    state.ptc_window = ptc_window;
    onboard_builders_from_pending_deposits(state, config)
}

/// EIP-7688: these lists get another tree.
fn make_progressive(state: &mut State) {
    let state = &mut state.beacon;
    state.validators = state.validators.to_progressive();
    state.balances = state.balances.to_progressive();
    state.previous_epoch_participation = state.previous_epoch_participation.to_progressive();
    state.current_epoch_participation = state.current_epoch_participation.to_progressive();
    state.inactivity_scores = state.inactivity_scores.to_progressive();
    state.pending_deposits = state.pending_deposits.to_progressive();
    state.pending_partial_withdrawals = state.pending_partial_withdrawals.to_progressive();
    state.pending_consolidations = state.pending_consolidations.to_progressive();
}

/// The payload timeliness committees from the current epoch on, with an empty previous epoch before them.
///
/// Spec: gloas/fork.md, `initialize_ptc_window`.
pub fn initialize_ptc_window(state: &State) -> Result<Vector<Vector<ValidatorIndex>>, Invalid> {
    let nobody: Vector<ValidatorIndex> = vec![0; PTC_SIZE as usize].into();
    let mut window = Vec::with_capacity(PTC_WINDOW_LENGTH as usize);
    window.resize(SLOTS_PER_EPOCH as usize, nobody);
    // Two million candidates are looked at, in no order: the balances beside a prepared state fit in a processor's cache.
    let kept = state.effective_balances();
    let effective_balance = |index| Ok(voter(state, kept, index).effective_balance);
    let start_slot = compute_start_slot_at_epoch(get_current_epoch(state));
    for slot in start_slot..start_slot + (1 + MIN_SEED_LOOKAHEAD) * SLOTS_PER_EPOCH {
        window.push(compute_ptc_by(state, slot, effective_balance)?.into());
    }
    Ok(window.into())
}

/// Turns pending deposits with builder credentials into builders.
///
/// Each signature is checked at most once, and keys are looked up in tables made in one pass: the queue may be long.
/// Spec: gloas/fork.md, `onboard_builders_from_pending_deposits`.
pub fn onboard_builders_from_pending_deposits(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let deposits = state.pending_deposits.to_vec();
    let of_validators = keys_of_validators(state, &deposits);
    let signatures = state.deposit_signatures.clone();
    let is_valid = |deposit: &PendingDeposit| signatures.accept(&DepositProof::of_pending(config, deposit));
    let mut builders: HashMap<BLSPubkey, BuilderIndex> = HashMap::new();
    let mut kept = KeptDeposits::default();
    for deposit in deposits {
        if of_validators.contains(&deposit.pubkey) {
            kept.deposits.push(deposit);
        } else if let Some(index) = builders.get(&deposit.pubkey) {
            let builder = builder_mut(state, *index)?;
            builder.balance = add(builder.balance, deposit.amount)?;
        } else if !is_builder_withdrawal_credential(&deposit.withdrawal_credentials)
            || kept.is_pending_validator(is_valid, &deposit.pubkey)
        {
            kept.push_of_new_validator(deposit);
        } else if is_valid(&deposit) {
            // Nobody has left yet, so that the new builder stands at the end.
            builders.insert(deposit.pubkey, state.builders.len() as BuilderIndex);
            let mut address = Bytes::ZERO;
            address.0.copy_from_slice(&deposit.withdrawal_credentials.0[12..]);
            let (amount, slot) = (deposit.amount, deposit.slot);
            add_builder_to_registry(state, deposit.pubkey, PAYLOAD_BUILDER_VERSION, address, amount, slot);
        }
    }
    state.pending_deposits = state.pending_deposits.rebuilt(kept.deposits);
    Ok(())
}

/// Which keys of the deposits are validators'. As large as the queue, not as the registry.
fn keys_of_validators(state: &State, deposits: &[PendingDeposit]) -> HashSet<BLSPubkey> {
    let wanted: HashSet<BLSPubkey> = deposits.iter().map(|deposit| deposit.pubkey).collect();
    if wanted.is_empty() {
        return wanted;
    }
    let keys = state.validators.iter().map(|validator| validator.pubkey);
    keys.filter(|pubkey| wanted.contains(pubkey)).collect()
}

/// Deposits that stay in the queue, and what is known of the keys among them that are no validators' yet.
#[derive(Default)]
struct KeptDeposits {
    deposits: Vec<PendingDeposit>,
    /// Keys with a valid deposit.
    valid: HashSet<BLSPubkey>,
    /// Per key the deposits whose signatures nobody has asked for yet.
    unchecked: HashMap<BLSPubkey, Vec<usize>>,
}

impl KeptDeposits {
    fn push_of_new_validator(&mut self, deposit: PendingDeposit) {
        let places = self.unchecked.entry(deposit.pubkey).or_default();
        places.push(self.deposits.len());
        self.deposits.push(deposit);
    }

    /// Spec: gloas/beacon-chain.md, `is_pending_validator`, which checks every signature of the key again each time.
    fn is_pending_validator(&mut self, is_valid: impl Fn(&PendingDeposit) -> bool, pubkey: &BLSPubkey) -> bool {
        if self.valid.contains(pubkey) {
            return true;
        }
        let places = self.unchecked.remove(pubkey).unwrap_or_default();
        let is_valid = places.into_iter().any(|place| is_valid(&self.deposits[place]));
        if is_valid {
            self.valid.insert(*pubkey);
        }
        is_valid
    }
}
