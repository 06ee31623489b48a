//! Topics `sync_committee_{subnet_id}`.

use super::verdict::{Checked, ignore_unless, reject_unless};
use super::{Gossip, Mark, Verdict, unanswered};
use crate::constants::DOMAIN_SYNC_COMMITTEE;
use crate::duties::compute_subnets_for_sync_committee;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::types::{SubnetID, SyncCommitteeMessage};

/// Spec: altair/p2p-interface.md, `validate_sync_committee_message_gossip`.
pub fn validate_sync_committee_message_gossip(
    gossip: &mut Gossip,
    sync_committee_message: &SyncCommitteeMessage,
    subnet_id: SubnetID,
) -> Verdict {
    rules(gossip, sync_committee_message, subnet_id).into()
}

fn rules(gossip: &mut Gossip, message: &SyncCommitteeMessage, subnet_id: SubnetID) -> Checked {
    let (state, config) = (gossip.state, gossip.config());
    ignore_unless(
        gossip
            .clock()
            .is_current_slot(config, message.slot, gossip.current_time_ms),
        "message is not for the current slot",
    )?;
    gossip.check_validator_index(message.validator_index, "validator index out of range")?;
    let valid_subnets = unanswered(compute_subnets_for_sync_committee(
        state,
        message.slot,
        message.validator_index,
    ))?;
    reject_unless(
        valid_subnets.contains(&subnet_id),
        "subnet_id is not valid for the validator",
    )?;
    let mark = Mark::SyncMessage {
        slot: message.slot,
        validator_index: message.validator_index,
        subnet_id,
    };
    gossip.check_first(&mark)?;
    let domain = gossip.domain(DOMAIN_SYNC_COMMITTEE, compute_epoch_at_slot(message.slot));
    gossip.check_validator_signature(
        "invalid sync committee message signature",
        message.validator_index,
        domain,
        message.beacon_block_root,
        &message.signature,
    )?;
    gossip.marks.push(mark);
    Ok(())
}
