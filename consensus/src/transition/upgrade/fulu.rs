//! Fulu: the state knows its proposers ahead.

use super::enter;
use crate::fork::Fork;
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::selection::get_beacon_proposer_indices;
use crate::preset::{MIN_SEED_LOOKAHEAD, PROPOSER_LOOKAHEAD_LENGTH};
use crate::state::State;
use crate::types::ValidatorIndex;
use crate::{Config, Invalid};

/// Spec: fulu/fork.md, `upgrade_to_fulu`. Errors if nobody is active.
pub fn upgrade_to_fulu(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let proposer_lookahead = initialize_proposer_lookahead(state)?;
    enter(state, config, Fork::Fulu);
    state.proposer_lookahead = proposer_lookahead.into();
    Ok(())
}

/// The proposers of the current epoch and of those that are known ahead.
///
/// Spec: fulu/fork.md, `initialize_proposer_lookahead`.
pub fn initialize_proposer_lookahead(state: &State) -> Result<Vec<ValidatorIndex>, Invalid> {
    let current_epoch = get_current_epoch(state);
    let mut lookahead = Vec::with_capacity(PROPOSER_LOOKAHEAD_LENGTH as usize);
    for i in 0..=MIN_SEED_LOOKAHEAD {
        lookahead.extend(get_beacon_proposer_indices(state, current_epoch + i)?);
    }
    Ok(lookahead)
}
