//! A new sync committee period begins with the committee that was chosen a period ago, and chooses the next.

use crate::Invalid;
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::selection::get_next_sync_committee;
use crate::preset::EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
use crate::state::State;

/// Spec: altair/beacon-chain.md, `process_sync_committee_updates`.
pub fn process_sync_committee_updates(state: &mut State) -> Result<(), Invalid> {
    let next_epoch = get_current_epoch(state) + 1;
    if next_epoch.is_multiple_of(EPOCHS_PER_SYNC_COMMITTEE_PERIOD) {
        let next = get_next_sync_committee(state)?;
        state.current_sync_committee = std::mem::replace(&mut state.next_sync_committee, next);
    }
    Ok(())
}
