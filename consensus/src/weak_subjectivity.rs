//! For how long a checkpoint can be trusted to start from.
//!
//! Spec: weak-subjectivity.md of phase0, electra and gloas.

use crate::constants::{ETH_TO_GWEI, SAFETY_DECAY};
use crate::fork::Fork;
use crate::helpers::accessors::{active_validator_count, get_block_root, get_current_epoch, get_total_active_balance};
use crate::helpers::churn::{
    get_activation_churn_limit, get_balance_churn_limit, get_consolidation_churn_limit, get_exit_churn_limit,
    get_validator_churn_limit,
};
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::preset::{MAX_DEPOSITS, MAX_EFFECTIVE_BALANCE, SLOTS_PER_EPOCH};
use crate::ssz::{Root, Ssz};
use crate::state::State;
use crate::types::{Checkpoint, Gwei, Slot};
use crate::{Config, Invalid, ensure};

/// In epochs. An error if no validator is active.
///
/// Spec: phase0, electra and gloas/weak-subjectivity.md, `compute_weak_subjectivity_period`.
pub fn compute_weak_subjectivity_period(state: &State, config: &Config) -> Result<u64, Invalid> {
    let total = get_total_active_balance(state);
    let delta = config.min_validator_withdrawability_delay;
    let churn = if state.at >= Fork::Gloas {
        balance_churn_period(total, gloas_churn(state, config))
    } else if state.at >= Fork::Electra {
        balance_churn_period(total, get_balance_churn_limit(state, config))
    } else {
        let active = active_validator_count(state, get_current_epoch(state));
        ensure!(active > 0, "active validators", "there is none");
        validator_churn_period(active, total, get_validator_churn_limit(state, config))
    };
    Ok(delta.saturating_add(churn))
}

/// What the churn of an epoch moves: exits weigh two thirds, activations one, consolidations all.
fn gloas_churn(state: &State, config: &Config) -> Gwei {
    let exit = get_exit_churn_limit(state, config).saturating_mul(2) / 3;
    let activation = get_activation_churn_limit(state, config) / 3;
    exit.saturating_add(activation)
        .saturating_add(get_consolidation_churn_limit(state, config))
}

/// Epochs until a churn of `delta` Gwei an epoch has used up the safety margin, from Electra on.
fn balance_churn_period(total: Gwei, delta: Gwei) -> u64 {
    let margin = u128::from(SAFETY_DECAY) * u128::from(total);
    // Without any churn the set never changes.
    let period = margin.checked_div(200 * u128::from(delta));
    period.and_then(|period| u64::try_from(period).ok()).unwrap_or(u64::MAX)
}

/// The same up to Deneb, for `n` validators, of whom `delta` may come or go in an epoch, while balances can be topped up
/// by deposits. In the spec's letters, in 128 bits.
fn validator_churn_period(n: u64, total: Gwei, delta: u64) -> u64 {
    let t = u128::from(total / n / ETH_TO_GWEI);
    let t_max = u128::from(MAX_EFFECTIVE_BALANCE / ETH_TO_GWEI);
    let (n, delta, d) = (u128::from(n), u128::from(delta), u128::from(SAFETY_DECAY));
    let top_ups = u128::from(MAX_DEPOSITS * SLOTS_PER_EPOCH);
    let period = if t * (200 + 12 * d) > t_max * (200 + 3 * d) {
        let excess = t * (200 + 12 * d) - t_max * (200 + 3 * d);
        let for_validator_set_churn = (n * excess).checked_div(600 * delta * (2 * t + t_max));
        let for_balance_top_ups = n * (200 + 3 * d) / (600 * top_ups);
        for_validator_set_churn.unwrap_or(u128::MAX).max(for_balance_top_ups)
    } else {
        // Here t is less than t_max, by the condition.
        3 * n * d * t / (200 * top_ups * (t_max - t))
    };
    u64::try_from(period).unwrap_or(u64::MAX)
}

/// Whether `ws_state`, the state of `ws_checkpoint`, is recent enough at `current_slot` to start from. An error if the
/// state is not that of the checkpoint.
///
/// Spec: phase0 and electra/weak-subjectivity.md, `is_within_weak_subjectivity_period`.
pub fn is_within_weak_subjectivity_period(
    ws_state: &State,
    config: &Config,
    ws_checkpoint: &Checkpoint,
    current_slot: Slot,
) -> Result<bool, Invalid> {
    let root = checkpoint_root(ws_state, ws_checkpoint)?;
    ensure!(
        root == ws_checkpoint.root,
        "weak subjectivity root",
        "{root} in the state, checkpoint is {}",
        ws_checkpoint.root
    );
    let ws_state_epoch = compute_epoch_at_slot(ws_state.slot);
    ensure!(
        ws_state_epoch == ws_checkpoint.epoch,
        "weak subjectivity epoch",
        "state is of {ws_state_epoch}, checkpoint of {}",
        ws_checkpoint.epoch
    );
    let ws_period = compute_weak_subjectivity_period(ws_state, config)?;
    Ok(compute_epoch_at_slot(current_slot) <= ws_state_epoch.saturating_add(ws_period))
}

/// The block root of the checkpoint's epoch in the state. At the epoch's first slot, where a checkpoint's state usually
/// is, the spec's list does not have it yet: there it is the latest block's.
fn checkpoint_root(ws_state: &State, ws_checkpoint: &Checkpoint) -> Result<Root, Invalid> {
    if ws_state.slot != compute_start_slot_at_epoch(ws_checkpoint.epoch) {
        return get_block_root(ws_state, ws_checkpoint.epoch);
    }
    let mut header = ws_state.latest_block_header;
    if header.state_root.is_zero() {
        header.state_root = ws_state.hash_tree_root();
    }
    Ok(header.hash_tree_root(ws_state.at))
}

#[cfg(test)]
mod tests;
