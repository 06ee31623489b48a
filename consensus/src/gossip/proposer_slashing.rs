//! Topic `proposer_slashing`.

use super::verdict::{Checked, reject_unless};
use super::{Gossip, Mark, Verdict, unanswered};
use crate::constants::DOMAIN_BEACON_PROPOSER;
use crate::helpers::accessors::{get_current_epoch, validator};
use crate::helpers::misc::compute_epoch_at_slot;
use crate::helpers::predicates::is_slashable_validator;
use crate::ssz::Ssz;
use crate::types::ProposerSlashing;

/// Spec: phase0/p2p-interface.md, `validate_proposer_slashing_gossip`.
pub fn validate_proposer_slashing_gossip(gossip: &mut Gossip, proposer_slashing: &ProposerSlashing) -> Verdict {
    rules(gossip, proposer_slashing).into()
}

fn rules(gossip: &mut Gossip, slashing: &ProposerSlashing) -> Checked {
    let state = gossip.state;
    let (header_1, header_2) = (&slashing.signed_header_1.message, &slashing.signed_header_2.message);
    let proposer_index = header_1.proposer_index;
    let mark = Mark::ProposerSlashing { proposer_index };
    gossip.check_first(&mark)?;
    reject_unless(header_1.slot == header_2.slot, "header slots do not match")?;
    reject_unless(
        header_1.proposer_index == header_2.proposer_index,
        "header proposer indices do not match",
    )?;
    reject_unless(header_1 != header_2, "headers are not different")?;
    gossip.check_validator_index(proposer_index, "proposer index out of range")?;
    let proposer = unanswered(validator(state, proposer_index))?;
    gossip.by_state(
        is_slashable_validator(proposer, get_current_epoch(state)),
        "proposer is not slashable",
    )?;
    for signed_header in [&slashing.signed_header_1, &slashing.signed_header_2] {
        let header = &signed_header.message;
        let domain = gossip.domain(DOMAIN_BEACON_PROPOSER, compute_epoch_at_slot(header.slot));
        gossip.check_validator_signature(
            "invalid proposer slashing signature",
            proposer_index,
            domain,
            header.hash_tree_root(state.at),
            &signed_header.signature,
        )?;
    }
    gossip.marks.push(mark);
    Ok(())
}
