//! How a deposit becomes a validator.

use crate::Invalid;
use crate::constants::FAR_FUTURE_EPOCH;
use crate::fork::Fork;
use crate::helpers::misc::get_max_effective_balance;
use crate::preset::{EFFECTIVE_BALANCE_INCREMENT, MAX_EFFECTIVE_BALANCE};
use crate::state::State;
use crate::types::{BLSPubkey, Bytes32, Gwei, Validator};

/// Spec: phase0/ and electra/beacon-chain.md, `get_validator_from_deposit`.
pub fn get_validator_from_deposit(
    fork: Fork,
    pubkey: BLSPubkey,
    withdrawal_credentials: Bytes32,
    amount: Gwei,
) -> Validator {
    let mut validator = Validator {
        pubkey,
        withdrawal_credentials,
        effective_balance: 0,
        slashed: false,
        activation_eligibility_epoch: FAR_FUTURE_EPOCH,
        activation_epoch: FAR_FUTURE_EPOCH,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    };
    let limit = if fork >= Fork::Electra {
        get_max_effective_balance(&validator)
    } else {
        MAX_EFFECTIVE_BALANCE
    };
    validator.effective_balance = (amount - amount % EFFECTIVE_BALANCE_INCREMENT).min(limit);
    validator
}

/// Appends a validator to the registry and to the lists beside it.
///
/// Spec: phase0/, altair/ and electra/beacon-chain.md, `add_validator_to_registry`.
pub fn add_validator_to_registry(
    state: &mut State,
    pubkey: BLSPubkey,
    withdrawal_credentials: Bytes32,
    amount: Gwei,
) -> Result<(), Invalid> {
    let validator = get_validator_from_deposit(state.at, pubkey, withdrawal_credentials, amount);
    state.validators.push(validator);
    state.balances.push(amount);
    if state.at >= Fork::Altair {
        state.previous_epoch_participation.push(0);
        state.current_epoch_participation.push(0);
        state.inactivity_scores.push(0);
    }
    Ok(())
}
