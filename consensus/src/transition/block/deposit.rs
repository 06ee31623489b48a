//! Deposits that blocks bring with a proof from the deposit contract, and how any deposit becomes a validator.
//!
//! Up to Deneb a deposit counts at once, in Electra it joins the queue, and from Fulu on blocks bring none.

use crate::constants::{DEPOSIT_PROOF_LENGTH, FAR_FUTURE_EPOCH, GENESIS_SLOT};
use crate::fork::Fork;
use crate::helpers::math::add;
use crate::helpers::misc::get_max_effective_balance;
use crate::helpers::mutators::increase_balance;
use crate::preset::{EFFECTIVE_BALANCE_INCREMENT, MAX_EFFECTIVE_BALANCE};
use crate::signing::{Context, DepositProof};
use crate::ssz::Ssz;
use crate::ssz::proof::is_valid_merkle_branch;
use crate::state::State;
use crate::types::{BLSPubkey, Bytes32, Deposit, DepositData, Gwei, PendingDeposit, Validator};
use crate::{Invalid, ensure};

/// Validators that there may be: shufflings and key tables keep indices in 32 bits. The spec's 2^40 would fit nowhere.
const MAX_VALIDATORS: usize = u32::MAX as usize;

/// Spec: phase0/ and electra/beacon-chain.md, `process_deposit`.
pub fn process_deposit(state: &mut State, ctx: &mut Context, deposit: &Deposit) -> Result<(), Invalid> {
    let (index, root) = (state.eth1_deposit_index, state.eth1_data.deposit_root);
    let leaf = deposit.data.hash_tree_root(state.at);
    ensure!(
        is_valid_merkle_branch(&leaf, &deposit.proof, DEPOSIT_PROOF_LENGTH, index, &root),
        "deposit proof",
        "it does not lead from deposit {index} to {root}"
    );
    // Deposits come in order.
    state.eth1_deposit_index = add(index, 1)?;
    apply_deposit(state, ctx, &deposit.data)
}

/// Credits a deposit; one of a new key whose signature is not valid is passed over. The state says how deposit signatures
/// are judged: also where the context trusts signatures, since they decide what happens.
///
/// Spec: phase0/ and electra/beacon-chain.md, `apply_deposit`.
pub fn apply_deposit(state: &mut State, ctx: &Context, data: &DepositData) -> Result<(), Invalid> {
    let is_queued = state.at >= Fork::Electra;
    match ctx.keys.index_of(state, &data.pubkey) {
        Some(_) if is_queued => {}
        Some(index) => return increase_balance(state, index, data.amount),
        None => {
            let proof = DepositProof::of_deposit(ctx.config, data);
            if !state.deposit_signatures.accept(&proof) {
                return Ok(());
            }
            let at_once = if is_queued { 0 } else { data.amount };
            add_validator_to_registry(state, data.pubkey, data.withdrawal_credentials, at_once)?;
        }
    }
    if is_queued {
        state.pending_deposits.push(PendingDeposit {
            pubkey: data.pubkey,
            withdrawal_credentials: data.withdrawal_credentials,
            amount: data.amount,
            signature: data.signature,
            // Tells it from a deposit request.
            slot: GENESIS_SLOT,
        });
    }
    Ok(())
}

/// Appends a validator to the registry and to the lists beside it. `amount` is its balance in Gwei.
///
/// Spec: phase0/, altair/ and electra/beacon-chain.md, `add_validator_to_registry`.
pub fn add_validator_to_registry(
    state: &mut State,
    pubkey: BLSPubkey,
    withdrawal_credentials: Bytes32,
    amount: Gwei,
) -> Result<(), Invalid> {
    let count = state.validators.len();
    ensure!(
        count < MAX_VALIDATORS,
        "registry limit",
        "there are {count} validators, at most {MAX_VALIDATORS}"
    );
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
    let max_effective_balance = if fork >= Fork::Electra {
        get_max_effective_balance(&validator)
    } else {
        MAX_EFFECTIVE_BALANCE
    };
    validator.effective_balance = (amount - amount % EFFECTIVE_BALANCE_INCREMENT).min(max_effective_balance);
    validator
}
