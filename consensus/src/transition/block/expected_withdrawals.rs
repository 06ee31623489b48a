//! The withdrawals that a state demands of its next payload.
//!
//! Up to four sources one after the other, each as far as the payload has room: what builders owe (Gloas), partial
//! withdrawals that were asked for (Electra), builders that left (Gloas), and the sweep over the registry (Capella).

use crate::fork::Fork;
use crate::helpers::accessors::{balance, get_current_epoch, validator};
use crate::helpers::builders::builder;
use crate::helpers::math::{add, sub};
use crate::helpers::misc::{convert_builder_index_to_validator_index, get_max_effective_balance};
use crate::helpers::predicates::{
    is_eligible_for_partial_withdrawals, is_fully_withdrawable_validator, is_partially_withdrawable_validator,
};
use crate::preset::{
    MAX_BUILDERS_PER_WITHDRAWALS_SWEEP, MAX_EFFECTIVE_BALANCE, MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP,
    MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP, MAX_WITHDRAWALS_PER_PAYLOAD, MIN_ACTIVATION_BALANCE,
};
use crate::ssz::Bytes;
use crate::state::State;
use crate::types::{ExecutionAddress, Gwei, Validator, ValidatorIndex, Withdrawal, WithdrawalIndex};
use crate::{Invalid, ensure};

/// The withdrawals of the next payload, and how far each queue was worked off for them.
///
/// Spec: capella/, electra/ and gloas/beacon-chain.md, `ExpectedWithdrawals`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedWithdrawals {
    /// In the payload's order.
    pub withdrawals: Vec<Withdrawal>,
    /// Entries of `builder_pending_withdrawals` that are done with; 0 before Gloas.
    pub processed_builder_withdrawals_count: u64,
    /// Entries of `pending_partial_withdrawals` that are done with; 0 before Electra.
    pub processed_partial_withdrawals_count: u64,
    /// Builders that the sweep has looked at; 0 before Gloas.
    pub processed_builders_sweep_count: u64,
    /// Validators that the sweep has looked at.
    pub processed_sweep_withdrawals_count: u64,
}

/// Spec: capella/, electra/ and gloas/beacon-chain.md, `get_expected_withdrawals`.
pub fn get_expected_withdrawals(state: &State) -> Result<ExpectedWithdrawals, Invalid> {
    let mut list = Collected {
        next_index: state.next_withdrawal_index,
        withdrawals: Vec::with_capacity(MAX_WITHDRAWALS_PER_PAYLOAD as usize),
    };
    let mut expected = ExpectedWithdrawals::default();
    if state.at >= Fork::Gloas {
        expected.processed_builder_withdrawals_count = get_builder_withdrawals(state, &mut list)?;
    }
    if state.at >= Fork::Electra {
        expected.processed_partial_withdrawals_count = get_pending_partial_withdrawals(state, &mut list)?;
    }
    if state.at >= Fork::Gloas {
        expected.processed_builders_sweep_count = get_builders_sweep_withdrawals(state, &mut list)?;
    }
    expected.processed_sweep_withdrawals_count = get_validators_sweep_withdrawals(state, &mut list)?;
    expected.withdrawals = list.withdrawals;
    Ok(expected)
}

/// Withdrawals gathered so far: the spec's `prior_withdrawals + withdrawals`.
struct Collected {
    next_index: WithdrawalIndex,
    withdrawals: Vec<Withdrawal>,
}

impl Collected {
    fn len(&self) -> u64 {
        self.withdrawals.len() as u64
    }

    fn push(
        &mut self,
        validator_index: ValidatorIndex,
        address: ExecutionAddress,
        amount: Gwei,
    ) -> Result<(), Invalid> {
        self.withdrawals.push(Withdrawal {
            index: self.next_index,
            validator_index,
            address,
            amount,
        });
        self.next_index = add(self.next_index, 1)?;
        Ok(())
    }

    /// What a validator has left. Spec: capella/beacon-chain.md, `get_balance_after_withdrawals`.
    fn balance_left(&self, state: &State, index: ValidatorIndex) -> Result<Gwei, Invalid> {
        let of_validator = self
            .withdrawals
            .iter()
            .filter(|withdrawal| withdrawal.validator_index == index);
        of_validator.fold(balance(state, index), |left, withdrawal| sub(left?, withdrawal.amount))
    }

    /// Fails unless what was gathered before leaves the room that the next source relies on.
    fn check_room(&self, limit: u64) -> Result<(), Invalid> {
        let count = self.len();
        ensure!(
            count <= limit,
            "withdrawals limit",
            "{count} withdrawals before a source that ends at {limit}"
        );
        Ok(())
    }
}

/// The execution address in a validator's credentials.
fn address_of(validator: &Validator) -> ExecutionAddress {
    let mut address = Bytes::ZERO;
    address.0.copy_from_slice(&validator.withdrawal_credentials.0[12..]);
    address
}

/// Spec: gloas/beacon-chain.md, `get_builder_withdrawals`. Returns how many entries of the queue are done with.
fn get_builder_withdrawals(state: &State, list: &mut Collected) -> Result<u64, Invalid> {
    let withdrawals_limit = MAX_WITHDRAWALS_PER_PAYLOAD - 1;
    list.check_room(withdrawals_limit)?;
    let mut processed_count = 0;
    for withdrawal in &state.builder_pending_withdrawals {
        if list.len() >= withdrawals_limit {
            break;
        }
        let index = convert_builder_index_to_validator_index(withdrawal.builder_index);
        list.push(index, withdrawal.fee_recipient, withdrawal.amount)?;
        processed_count += 1;
    }
    Ok(processed_count)
}

/// Spec: electra/beacon-chain.md, `get_pending_partial_withdrawals`. Returns how many entries of the queue are done with.
fn get_pending_partial_withdrawals(state: &State, list: &mut Collected) -> Result<u64, Invalid> {
    let epoch = get_current_epoch(state);
    let withdrawals_limit =
        (list.len() + MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP).min(MAX_WITHDRAWALS_PER_PAYLOAD - 1);
    list.check_room(withdrawals_limit)?;
    let mut processed_count = 0;
    for withdrawal in &state.pending_partial_withdrawals {
        let is_withdrawable = withdrawal.withdrawable_epoch <= epoch;
        if !is_withdrawable || list.len() >= withdrawals_limit {
            break;
        }
        let index = withdrawal.validator_index;
        let validator = validator(state, index)?;
        let balance = list.balance_left(state, index)?;
        if is_eligible_for_partial_withdrawals(validator, balance) {
            let amount = withdrawal.amount.min(balance - MIN_ACTIVATION_BALANCE);
            list.push(index, address_of(validator), amount)?;
        }
        processed_count += 1;
    }
    Ok(processed_count)
}

/// Spec: gloas/beacon-chain.md, `get_builders_sweep_withdrawals`. Returns how many builders were looked at.
fn get_builders_sweep_withdrawals(state: &State, list: &mut Collected) -> Result<u64, Invalid> {
    let epoch = get_current_epoch(state);
    let count = state.builders.len() as u64;
    let withdrawals_limit = MAX_WITHDRAWALS_PER_PAYLOAD - 1;
    list.check_room(withdrawals_limit)?;
    let mut processed_count = 0;
    let mut index = state.next_withdrawal_builder_index;
    for _ in 0..count.min(MAX_BUILDERS_PER_WITHDRAWALS_SWEEP) {
        if list.len() >= withdrawals_limit {
            break;
        }
        let builder = builder(state, index)?;
        if builder.withdrawable_epoch <= epoch && builder.balance > 0 {
            let as_validator = convert_builder_index_to_validator_index(index);
            list.push(as_validator, builder.execution_address, builder.balance)?;
        }
        index = (index + 1) % count;
        processed_count += 1;
    }
    Ok(processed_count)
}

/// Spec: capella/ and electra/beacon-chain.md, `get_validators_sweep_withdrawals`. Returns how many validators were
/// looked at.
fn get_validators_sweep_withdrawals(state: &State, list: &mut Collected) -> Result<u64, Invalid> {
    let epoch = get_current_epoch(state);
    let count = state.validators.len() as u64;
    // The sweep has at least one place for itself.
    list.check_room(MAX_WITHDRAWALS_PER_PAYLOAD - 1)?;
    let mut processed_count = 0;
    let mut index = state.next_withdrawal_validator_index;
    for _ in 0..count.min(MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP) {
        if list.len() >= MAX_WITHDRAWALS_PER_PAYLOAD {
            break;
        }
        let validator = validator(state, index)?;
        let balance = list.balance_left(state, index)?;
        if is_fully_withdrawable_validator(state.at, validator, balance, epoch) {
            list.push(index, address_of(validator), balance)?;
        } else if is_partially_withdrawable_validator(state.at, validator, balance) {
            let kept = if state.at >= Fork::Electra {
                get_max_effective_balance(validator)
            } else {
                MAX_EFFECTIVE_BALANCE
            };
            list.push(index, address_of(validator), balance - kept)?;
        }
        index = (index + 1) % count;
        processed_count += 1;
    }
    Ok(processed_count)
}
