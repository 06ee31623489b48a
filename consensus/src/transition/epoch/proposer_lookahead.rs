//! Proposers are known an epoch ahead (Fulu).

use super::survey::Survey;
use crate::constants::DOMAIN_BEACON_PROPOSER;
use crate::fork::Fork;
use crate::helpers::accessors::get_seed;
use crate::helpers::misc::compute_start_slot_at_epoch;
use crate::helpers::selection::{seed_with, select_by_balance};
use crate::preset::SLOTS_PER_EPOCH;
use crate::state::State;
use crate::types::ValidatorIndex;
use crate::{Config, Invalid};

/// Spec: fulu/beacon-chain.md, `process_proposer_lookahead`.
pub fn process_proposer_lookahead(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let survey = Survey::of(state, config)?;
    extend_lookahead(state, &survey)
}

/// `process_proposer_lookahead` with the rows of the survey in place of the registry.
pub(super) fn extend_lookahead(state: &mut State, survey: &Survey) -> Result<(), Invalid> {
    let new = proposers_ahead(state, survey)?;
    let kept = state.proposer_lookahead.iter().skip(SLOTS_PER_EPOCH as usize).copied();
    let lookahead: Vec<_> = kept.chain(new).collect();
    state.proposer_lookahead = lookahead.into();
    Ok(())
}

/// The proposers of the epoch that the lookahead now reaches. Spec: fulu/ and gloas/beacon-chain.md,
/// `get_beacon_proposer_indices`, `compute_proposer_indices`.
fn proposers_ahead(state: &State, survey: &Survey) -> Result<Vec<ValidatorIndex>, Invalid> {
    let epoch = survey.epoch_ahead();
    let may_propose = survey
        .active_ahead()
        .filter(|(_, row)| state.at < Fork::Gloas || !row.has(super::row::Row::SLASHED));
    let indices: Vec<u32> = may_propose.map(|(index, _)| index).collect();
    let epoch_seed = get_seed(state, epoch, DOMAIN_BEACON_PROPOSER);
    let start_slot = compute_start_slot_at_epoch(epoch);
    let mut proposers = Vec::with_capacity(SLOTS_PER_EPOCH as usize);
    for slot in start_slot..start_slot + SLOTS_PER_EPOCH {
        let seed = seed_with(&epoch_seed.0, slot);
        let effective_balance = |index| survey.effective_balance(state, index);
        proposers.extend(select_by_balance(
            state.at,
            &indices,
            &seed,
            1,
            true,
            effective_balance,
        )?);
    }
    Ok(proposers)
}
