//! Topic `attester_slashing`.

use super::verdict::{Checked, reject_unless};
use super::{Gossip, Mark, Verdict};
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::predicates::{is_slashable_attestation_data, is_slashable_validator};
use crate::types::{AttesterSlashing, IndexedAttestation, ValidatorIndex};
use std::collections::BTreeSet;

/// Spec: phase0/ and electra/p2p-interface.md, `validate_attester_slashing_gossip`.
pub fn validate_attester_slashing_gossip(gossip: &mut Gossip, attester_slashing: &AttesterSlashing) -> Verdict {
    rules(gossip, attester_slashing).into()
}

fn rules(gossip: &mut Gossip, slashing: &AttesterSlashing) -> Checked {
    let (attestation_1, attestation_2) = (&slashing.attestation_1, &slashing.attestation_2);
    // The lists may be unsorted and hold what they like; their length is bounded by the message's size.
    let indices_1: BTreeSet<ValidatorIndex> = attestation_1.attesting_indices.iter().copied().collect();
    let indices_2: BTreeSet<ValidatorIndex> = attestation_2.attesting_indices.iter().copied().collect();
    let slashable_indices: Vec<ValidatorIndex> = indices_1.intersection(&indices_2).copied().collect();
    let mark = Mark::AttesterSlashing {
        indices: slashable_indices.clone(),
    };
    gossip.check_first(&mark)?;
    reject_unless(
        is_slashable_attestation_data(&attestation_1.data, &attestation_2.data),
        "attestation data is not slashable",
    )?;
    check_range(
        gossip,
        attestation_1,
        "validator index out of range in indexed attestation 1",
    )?;
    gossip.check_indexed_attestation("invalid indexed attestation 1", attestation_1)?;
    check_range(
        gossip,
        attestation_2,
        "validator index out of range in indexed attestation 2",
    )?;
    gossip.check_indexed_attestation("invalid indexed attestation 2", attestation_2)?;
    let current_epoch = get_current_epoch(gossip.state);
    let validators = &gossip.state.validators;
    let slashable_any = slashable_indices
        .iter()
        .filter_map(|index| validators.get(*index as usize))
        .any(|validator| is_slashable_validator(validator, current_epoch));
    gossip.by_state(slashable_any, "no slashable validators in intersection")?;
    gossip.marks.push(mark);
    Ok(())
}

fn check_range(gossip: &Gossip, attestation: &IndexedAttestation, why: &'static str) -> Checked {
    let mut indices = attestation.attesting_indices.iter();
    indices.try_for_each(|index| gossip.check_validator_index(*index, why))
}
