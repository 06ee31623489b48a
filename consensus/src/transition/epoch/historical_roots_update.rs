//! The roots of a full period of history are kept, before Capella as one root.

use crate::helpers::accessors::get_current_epoch;
use crate::preset::{HISTORICAL_ROOTS_LIMIT, SLOTS_PER_EPOCH, SLOTS_PER_HISTORICAL_ROOT};
use crate::ssz::Ssz;
use crate::state::State;
use crate::types::HistoricalBatch;
use crate::{Invalid, ensure};

/// Whether the vectors of roots are full of one period when the current epoch ends.
pub(super) fn period_ends(state: &State) -> bool {
    let next_epoch = get_current_epoch(state) + 1;
    next_epoch.is_multiple_of(SLOTS_PER_HISTORICAL_ROOT / SLOTS_PER_EPOCH)
}

/// Spec: phase0/beacon-chain.md, `process_historical_roots_update`. An error if the list is full.
pub fn process_historical_roots_update(state: &mut State) -> Result<(), Invalid> {
    if !period_ends(state) {
        return Ok(());
    }
    let full = state.historical_roots.len() as u64 >= HISTORICAL_ROOTS_LIMIT;
    ensure!(
        !full,
        "historical roots limit",
        "there are {HISTORICAL_ROOTS_LIMIT} already"
    );
    let historical_batch = HistoricalBatch {
        block_roots: state.block_roots.clone(),
        state_roots: state.state_roots.clone(),
    };
    let root = historical_batch.hash_tree_root(state.at);
    state.historical_roots.push(root);
    Ok(())
}
