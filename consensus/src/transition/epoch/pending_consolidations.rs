//! Balances move from consolidated validators to their targets (Electra).

use super::survey::Survey;
use crate::helpers::accessors::{balance, get_current_epoch, validator};
use crate::helpers::mutators::{decrease_balance, increase_balance};
use crate::state::State;
use crate::{Config, Invalid};

/// Spec: electra/beacon-chain.md, `process_pending_consolidations`.
pub fn process_pending_consolidations(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let mut survey = Survey::of(state, config)?;
    consolidate(state, &mut survey)
}

/// `process_pending_consolidations`, telling the survey which balances changed.
pub(super) fn consolidate(state: &mut State, survey: &mut Survey) -> Result<(), Invalid> {
    let next_epoch = get_current_epoch(state) + 1;
    let mut next_pending_consolidation = 0;
    while let Some(pending) = state.pending_consolidations.get(next_pending_consolidation).copied() {
        let source = validator(state, pending.source_index)?;
        if source.slashed {
            next_pending_consolidation += 1;
            continue;
        }
        if source.withdrawable_epoch > next_epoch {
            break;
        }
        // Calculate the consolidated balance
        let source_effective_balance = balance(state, pending.source_index)?.min(source.effective_balance);

        // Move active balance to target. Excess balance is withdrawable.
        decrease_balance(state, pending.source_index, source_effective_balance)?;
        increase_balance(state, pending.target_index, source_effective_balance)?;
        survey.balance_changed(pending.source_index);
        survey.balance_changed(pending.target_index);
        next_pending_consolidation += 1;
    }
    if next_pending_consolidation > 0 {
        let left = state
            .pending_consolidations
            .iter_from(next_pending_consolidation)
            .copied();
        state.pending_consolidations = state.pending_consolidations.rebuilt(left);
    }
    Ok(())
}
