//! Yes-or-no questions about validators and votes.
//!
//! Spec: phase0/beacon-chain.md, "Predicates", and its counterparts of later forks.

use crate::constants::{
    BUILDER_INDEX_FLAG, BUILDER_WITHDRAWAL_PREFIX, COMPOUNDING_WITHDRAWAL_PREFIX, ETH1_ADDRESS_WITHDRAWAL_PREFIX,
    FAR_FUTURE_EPOCH,
};
use crate::fork::Fork;
use crate::helpers::misc::get_max_effective_balance;
use crate::preset::{MAX_EFFECTIVE_BALANCE, MIN_ACTIVATION_BALANCE};
use crate::state::State;
use crate::types::{AttestationData, Bytes32, Epoch, Gwei, Validator, ValidatorIndex};

/// Spec: phase0/beacon-chain.md, `is_active_validator`.
pub fn is_active_validator(validator: &Validator, epoch: Epoch) -> bool {
    validator.activation_epoch <= epoch && epoch < validator.exit_epoch
}

/// Spec: phase0/beacon-chain.md and electra/beacon-chain.md, `is_eligible_for_activation_queue`.
pub fn is_eligible_for_activation_queue(fork: Fork, validator: &Validator) -> bool {
    let enough = if fork >= Fork::Electra {
        validator.effective_balance >= MIN_ACTIVATION_BALANCE
    } else {
        validator.effective_balance == MAX_EFFECTIVE_BALANCE
    };
    validator.activation_eligibility_epoch == FAR_FUTURE_EPOCH && enough
}

/// Spec: phase0/beacon-chain.md, `is_eligible_for_activation`.
pub fn is_eligible_for_activation(state: &State, validator: &Validator) -> bool {
    // Placement in the queue is finalized, and it has not been activated yet.
    validator.activation_eligibility_epoch <= state.finalized_checkpoint.epoch
        && validator.activation_epoch == FAR_FUTURE_EPOCH
}

/// Spec: phase0/beacon-chain.md, `is_slashable_validator`.
pub fn is_slashable_validator(validator: &Validator, epoch: Epoch) -> bool {
    !validator.slashed && validator.activation_epoch <= epoch && epoch < validator.withdrawable_epoch
}

/// Spec: phase0/beacon-chain.md, `is_slashable_attestation_data`.
pub fn is_slashable_attestation_data(first: &AttestationData, second: &AttestationData) -> bool {
    let double_vote = first != second && first.target.epoch == second.target.epoch;
    let surround_vote = first.source.epoch < second.source.epoch && second.target.epoch < first.target.epoch;
    double_vote || surround_vote
}

/// Spec: capella/beacon-chain.md, `has_eth1_withdrawal_credential`.
pub fn has_eth1_withdrawal_credential(validator: &Validator) -> bool {
    validator.withdrawal_credentials.0[0] == ETH1_ADDRESS_WITHDRAWAL_PREFIX
}

/// Spec: electra/beacon-chain.md, `is_compounding_withdrawal_credential`.
pub fn is_compounding_withdrawal_credential(withdrawal_credentials: &Bytes32) -> bool {
    withdrawal_credentials.0[0] == COMPOUNDING_WITHDRAWAL_PREFIX
}

/// Spec: electra/beacon-chain.md, `has_compounding_withdrawal_credential`.
pub fn has_compounding_withdrawal_credential(validator: &Validator) -> bool {
    is_compounding_withdrawal_credential(&validator.withdrawal_credentials)
}

/// Spec: electra/beacon-chain.md, `has_execution_withdrawal_credential`.
pub fn has_execution_withdrawal_credential(validator: &Validator) -> bool {
    has_eth1_withdrawal_credential(validator) || has_compounding_withdrawal_credential(validator)
}

/// Whether the credentials of `validator` name an execution address at `fork`.
fn can_withdraw(fork: Fork, validator: &Validator) -> bool {
    if fork >= Fork::Electra {
        has_execution_withdrawal_credential(validator)
    } else {
        has_eth1_withdrawal_credential(validator)
    }
}

/// Spec: capella/beacon-chain.md and electra/beacon-chain.md, `is_fully_withdrawable_validator`.
pub fn is_fully_withdrawable_validator(fork: Fork, validator: &Validator, balance: Gwei, epoch: Epoch) -> bool {
    can_withdraw(fork, validator) && validator.withdrawable_epoch <= epoch && balance > 0
}

/// Spec: capella/beacon-chain.md and electra/beacon-chain.md, `is_partially_withdrawable_validator`.
pub fn is_partially_withdrawable_validator(fork: Fork, validator: &Validator, balance: Gwei) -> bool {
    let limit = if fork >= Fork::Electra {
        get_max_effective_balance(validator)
    } else {
        MAX_EFFECTIVE_BALANCE
    };
    can_withdraw(fork, validator) && validator.effective_balance == limit && balance > limit
}

/// Spec: electra/beacon-chain.md, `is_eligible_for_partial_withdrawals`.
pub fn is_eligible_for_partial_withdrawals(validator: &Validator, balance: Gwei) -> bool {
    validator.exit_epoch == FAR_FUTURE_EPOCH
        && validator.effective_balance >= MIN_ACTIVATION_BALANCE
        && balance > MIN_ACTIVATION_BALANCE
}

/// Spec: gloas/beacon-chain.md, `is_builder_index`.
pub fn is_builder_index(validator_index: ValidatorIndex) -> bool {
    validator_index & BUILDER_INDEX_FLAG != 0
}

/// Spec: gloas/beacon-chain.md, `is_builder_withdrawal_credential`.
pub fn is_builder_withdrawal_credential(withdrawal_credentials: &Bytes32) -> bool {
    withdrawal_credentials.0[0] == BUILDER_WITHDRAWAL_PREFIX
}
