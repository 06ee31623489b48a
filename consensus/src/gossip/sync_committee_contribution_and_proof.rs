//! Topic `sync_committee_contribution_and_proof`.

use super::verdict::{Checked, ignore_unless, reject_unless};
use super::{Gossip, Mark, Verdict, unanswered};
use crate::Invalid;
use crate::constants::{
    DOMAIN_CONTRIBUTION_AND_PROOF, DOMAIN_SYNC_COMMITTEE, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF,
    SYNC_COMMITTEE_SUBNET_COUNT,
};
use crate::duties::{get_sync_subcommittee_pubkeys, is_sync_committee_aggregator};
use crate::helpers::accessors::validator;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::keys::Keys;
use crate::signing::{parse_signature, signing_root_of};
use crate::ssz::Ssz;
use crate::state::State;
use crate::types::{BLSPubkey, SignedContributionAndProof, SyncAggregatorSelectionData};
use crypto::bls::{PublicKey, SignatureSet};

/// Spec: altair/p2p-interface.md, `validate_sync_committee_contribution_and_proof_gossip`.
pub fn validate_sync_committee_contribution_and_proof_gossip(
    gossip: &mut Gossip,
    signed_contribution_and_proof: &SignedContributionAndProof,
) -> Verdict {
    rules(gossip, signed_contribution_and_proof).into()
}

fn rules(gossip: &mut Gossip, signed: &SignedContributionAndProof) -> Checked {
    let (state, config) = (gossip.state, gossip.config());
    let message = &signed.message;
    let contribution = &message.contribution;
    ignore_unless(
        gossip
            .clock()
            .is_current_slot(config, contribution.slot, gossip.current_time_ms),
        "contribution is not for the current slot",
    )?;
    reject_unless(
        contribution.subcommittee_index < SYNC_COMMITTEE_SUBNET_COUNT,
        "subcommittee index out of range",
    )?;
    reject_unless(contribution.aggregation_bits.any(), "contribution has no participants")?;
    reject_unless(
        is_sync_committee_aggregator(&message.selection_proof),
        "validator is not selected as aggregator",
    )?;
    gossip.check_validator_index(message.aggregator_index, "aggregator index out of range")?;
    let aggregator_pubkey = unanswered(validator(state, message.aggregator_index))?.pubkey;
    let subcommittee = unanswered(get_sync_subcommittee_pubkeys(
        state,
        contribution.slot,
        contribution.subcommittee_index,
    ))?;
    reject_unless(
        subcommittee.contains(&aggregator_pubkey),
        "aggregator not in subcommittee",
    )?;
    let mark = Mark::SyncContribution {
        slot: contribution.slot,
        beacon_block_root: contribution.beacon_block_root,
        subcommittee_index: contribution.subcommittee_index,
        aggregator_index: message.aggregator_index,
        aggregation_bits: contribution.aggregation_bits.clone(),
    };
    gossip.check_first(&mark)?;
    check_signatures(gossip, signed, subcommittee)?;
    gossip.marks.push(mark);
    Ok(())
}

fn check_signatures(gossip: &mut Gossip, signed: &SignedContributionAndProof, subcommittee: &[BLSPubkey]) -> Checked {
    const WHY: &str = "invalid aggregate signature";
    let state = gossip.state;
    let message = &signed.message;
    let contribution = &message.contribution;
    let epoch = compute_epoch_at_slot(contribution.slot);
    let selection_data = SyncAggregatorSelectionData {
        slot: contribution.slot,
        subcommittee_index: contribution.subcommittee_index,
    };
    let selection_domain = gossip.domain(DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, epoch);
    gossip.check_validator_signature(
        "invalid selection proof signature",
        message.aggregator_index,
        selection_domain,
        selection_data.hash_tree_root(state.at),
        &message.selection_proof,
    )?;
    let aggregator_domain = gossip.domain(DOMAIN_CONTRIBUTION_AND_PROOF, epoch);
    gossip.check_validator_signature(
        "invalid aggregator signature",
        message.aggregator_index,
        aggregator_domain,
        message.hash_tree_root(state.at),
        &signed.signature,
    )?;
    let domain = gossip.domain(DOMAIN_SYNC_COMMITTEE, epoch);
    gossip.check_signature(WHY, |keys| {
        let participants = contribution
            .aggregation_bits
            .ones()
            .filter_map(|place| subcommittee.get(place));
        let pubkeys: Result<Vec<PublicKey>, Invalid> =
            participants.map(|pubkey| member_key(state, keys, pubkey)).collect();
        let signing_root = signing_root_of(contribution.beacon_block_root, domain);
        let signature = parse_signature(WHY, &contribution.signature)?;
        SignatureSet::aggregate(signature, pubkeys?, signing_root.0)
            .map_err(|error| Invalid::new(WHY, error.to_string()))
    })
}

/// A member's key from the table, or decompressed: it was checked when it entered the registry.
fn member_key(state: &State, keys: &Keys, pubkey: &BLSPubkey) -> Result<PublicKey, Invalid> {
    if let Some(index) = keys.index_of(state, pubkey) {
        return keys.public_key(state, index);
    }
    PublicKey::from_compressed_trusted(&pubkey.0).map_err(|error| Invalid::new("public key", error.to_string()))
}
