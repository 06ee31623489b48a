//! Topic `payload_attestation_message`, from Gloas on.

use super::verdict::{Checked, ignore, ignore_unless, reject_unless};
use super::{Gossip, Mark, Verdict, unanswered};
use crate::constants::DOMAIN_PTC_ATTESTER;
use crate::fork::Fork;
use crate::helpers::accessors::get_ptc;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::ssz::Ssz;
use crate::types::PayloadAttestationMessage;

/// A validator's message is the first of its slot, as only messages of the current slot are passed on.
///
/// Spec: gloas/p2p-interface.md, "New `payload_attestation_message`".
pub fn validate_payload_attestation_message_gossip(
    gossip: &mut Gossip,
    payload_attestation_message: &PayloadAttestationMessage,
) -> Verdict {
    rules(gossip, payload_attestation_message).into()
}

fn rules(gossip: &mut Gossip, message: &PayloadAttestationMessage) -> Checked {
    let data = &message.data;
    let (state, config, view) = (gossip.state, gossip.config(), gossip.view);
    ignore_unless(
        gossip
            .clock()
            .is_current_slot(config, data.slot, gossip.current_time_ms),
        "payload attestation is not for the current slot",
    )?;
    let mark = Mark::PayloadAttestation {
        slot: data.slot,
        validator_index: message.validator_index,
    };
    gossip.check_first(&mark)?;
    let Some(block_slot) = view.block_slot(data.beacon_block_root) else {
        return ignore("block being voted for has not been seen");
    };
    ignore_unless(block_slot == data.slot, "block being voted for is of another slot")?;
    reject_unless(
        view.is_valid_block(data.beacon_block_root),
        "block being voted for failed validation",
    )?;
    let ptc = unanswered(get_ptc(state, data.slot))?;
    reject_unless(
        ptc.contains(&message.validator_index),
        "validator is not in the payload timeliness committee",
    )?;
    let domain = gossip.domain(DOMAIN_PTC_ATTESTER, compute_epoch_at_slot(data.slot));
    let fork = gossip.fork_at_slot(data.slot).max(Fork::Gloas);
    gossip.check_validator_signature(
        "invalid payload attestation signature",
        message.validator_index,
        domain,
        data.hash_tree_root(fork),
        &message.signature,
    )?;
    gossip.marks.push(mark);
    Ok(())
}
