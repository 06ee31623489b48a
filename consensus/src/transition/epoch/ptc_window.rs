//! The payload timeliness committees are known an epoch ahead (Gloas).
//!
//! They are drawn from the committees of their slot, so that the whole epoch has to be shuffled here, which blocks of the
//! next epoch would need anyway: the shuffling is kept beside the state.

use super::survey::Survey;
use crate::constants::DOMAIN_PTC_ATTESTER;
use crate::helpers::accessors::get_seed;
use crate::helpers::misc::compute_start_slot_at_epoch;
use crate::helpers::selection::{seed_with, select_by_balance};
use crate::helpers::shuffling::EpochShuffling;
use crate::preset::{PTC_SIZE, SLOTS_PER_EPOCH};
use crate::ssz::Vector;
use crate::state::State;
use crate::types::ValidatorIndex;
use crate::{Config, Invalid};
use std::sync::Arc;

/// Spec: gloas/beacon-chain.md, `process_ptc_window`.
pub fn process_ptc_window(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let survey = Survey::of(state, config)?;
    shift_window(state, &survey)
}

/// `process_ptc_window` with the rows of the survey in place of the registry.
pub(super) fn shift_window(state: &mut State, survey: &Survey) -> Result<(), Invalid> {
    let epoch = survey.epoch_ahead();
    let shuffling = if let Some(known) = state.shuffling(epoch) {
        Arc::clone(known)
    } else {
        let active = survey.active_ahead().map(|(index, _)| index).collect();
        Arc::new(EpochShuffling::of_active(state, epoch, active))
    };
    let new = committees_ahead(state, survey, &shuffling)?;
    state.cache.keep_shuffling(shuffling);
    let kept = state.ptc_window.iter().skip(SLOTS_PER_EPOCH as usize).cloned();
    let window: Vec<_> = kept.chain(new).collect();
    state.ptc_window = window.into();
    Ok(())
}

/// The committees of the epoch that the window now reaches. Spec: gloas/beacon-chain.md, `compute_ptc`.
fn committees_ahead(
    state: &State,
    survey: &Survey,
    shuffling: &EpochShuffling,
) -> Result<Vec<Vector<ValidatorIndex>>, Invalid> {
    let start_slot = compute_start_slot_at_epoch(shuffling.epoch);
    let epoch_seed = get_seed(state, shuffling.epoch, DOMAIN_PTC_ATTESTER);
    let mut committees = Vec::with_capacity(SLOTS_PER_EPOCH as usize);
    for slot in start_slot..start_slot + SLOTS_PER_EPOCH {
        let seed = seed_with(&epoch_seed.0, slot);
        let members = shuffling.slot_members(slot).unwrap_or_default();
        let effective_balance = |index| survey.effective_balance(state, index);
        let committee = select_by_balance(state.at, members, &seed, PTC_SIZE, false, effective_balance)?;
        committees.push(committee.into());
    }
    Ok(committees)
}
