//! The roots of a full period of history are kept, from Capella on one for blocks and one for states.

use super::historical_roots_update::period_ends;
use crate::preset::{HISTORICAL_ROOTS_LIMIT, SLOTS_PER_HISTORICAL_ROOT};
use crate::ssz::{Bound, Ssz};
use crate::state::State;
use crate::types::HistoricalSummary;
use crate::{Invalid, ensure};

/// Spec: capella/beacon-chain.md, `process_historical_summaries_update`. An error if the list is full.
pub fn process_historical_summaries_update(state: &mut State) -> Result<(), Invalid> {
    if !period_ends(state) {
        return Ok(());
    }
    let full = state.historical_summaries.len() as u64 >= HISTORICAL_ROOTS_LIMIT;
    ensure!(
        !full,
        "historical summaries limit",
        "there are {HISTORICAL_ROOTS_LIMIT} already"
    );
    let shape = [Bound::Fixed(SLOTS_PER_HISTORICAL_ROOT)];
    let historical_summary = HistoricalSummary {
        block_summary_root: state.block_roots.root(state.at, &shape),
        state_summary_root: state.state_roots.root(state.at, &shape),
    };
    state.historical_summaries.push(historical_summary);
    Ok(())
}
