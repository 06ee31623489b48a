//! Two votes that contradict each other.

use crate::helpers::accessors::{get_current_epoch, validator};
use crate::helpers::mutators::slash_validator;
use crate::helpers::predicates::{is_slashable_attestation_data, is_slashable_validator};
use crate::helpers::votes::is_valid_indexed_attestation;
use crate::signing::Context;
use crate::state::State;
use crate::types::{AttesterSlashing, ValidatorIndex};
use crate::{Invalid, ensure};

/// Spec: phase0/beacon-chain.md, `process_attester_slashing`.
pub fn process_attester_slashing(
    state: &mut State,
    ctx: &mut Context,
    attester_slashing: &AttesterSlashing,
) -> Result<(), Invalid> {
    let attestation_1 = &attester_slashing.attestation_1;
    let attestation_2 = &attester_slashing.attestation_2;
    ensure!(
        is_slashable_attestation_data(&attestation_1.data, &attestation_2.data),
        "attester slashing votes",
        "neither is {:?} a double of {:?} nor does it surround it",
        attestation_1.data,
        attestation_2.data
    );
    is_valid_indexed_attestation(state, ctx, attestation_1)?;
    is_valid_indexed_attestation(state, ctx, attestation_2)?;
    let epoch = get_current_epoch(state);
    let mut slashed_any = false;
    for index in in_both(&attestation_1.attesting_indices, &attestation_2.attesting_indices) {
        if is_slashable_validator(validator(state, index)?, epoch) {
            let reward = slash_validator(state, ctx.config, index, None)?;
            ctx.rewards.attester_slashings = ctx.rewards.attester_slashings.saturating_add(reward);
            slashed_any = true;
        }
    }
    ensure!(
        slashed_any,
        "attester slashing of nobody",
        "nobody who cast both votes can be slashed"
    );
    Ok(())
}

/// What two ascending lists have in common, ascending.
fn in_both(first: &[ValidatorIndex], second: &[ValidatorIndex]) -> Vec<ValidatorIndex> {
    let in_second = |index: &&ValidatorIndex| second.binary_search(index).is_ok();
    first.iter().filter(in_second).copied().collect()
}
