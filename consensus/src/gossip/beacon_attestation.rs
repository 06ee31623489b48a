//! Topics `beacon_attestation_{subnet_id}`: `Attestation` before Electra, `SingleAttestation` since.

use super::verdict::{Checked, reject_unless};
use super::vote::{TimeReasons, check_data_index};
use super::{Gossip, Mark, Verdict};
use crate::constants::DOMAIN_BEACON_ATTESTER;
use crate::duties::compute_subnet_for_attestation;
use crate::fork::Fork;
use crate::ssz::Ssz;
use crate::types::{Attestation, AttestationData, CommitteeIndex, IndexedAttestation, SingleAttestation, SubnetID};

const TIME_REASONS: TimeReasons = TimeReasons {
    future: "attestation slot is from a future slot",
    epoch: "attestation epoch is not current or previous epoch",
};

/// Before Electra.
///
/// Spec: phase0/ and deneb/p2p-interface.md, `validate_beacon_attestation_gossip`.
pub fn validate_beacon_attestation_gossip(
    gossip: &mut Gossip,
    attestation: &Attestation,
    subnet_id: SubnetID,
) -> Verdict {
    rules(gossip, attestation, subnet_id).into()
}

/// From Electra on.
///
/// Spec: electra/p2p-interface.md, `validate_beacon_attestation_gossip`; gloas/p2p-interface.md, "Modified
/// `beacon_attestation_{subnet_id}`".
pub fn validate_single_attestation_gossip(
    gossip: &mut Gossip,
    attestation: &SingleAttestation,
    subnet_id: SubnetID,
) -> Verdict {
    single_rules(gossip, attestation, subnet_id).into()
}

/// Committee, subnet and time, which both forms share.
fn check_place(
    gossip: &Gossip,
    data: &AttestationData,
    fork: Fork,
    index: CommitteeIndex,
    subnet_id: SubnetID,
) -> Checked {
    let committees_per_slot = gossip.check_committee_index(data, index)?;
    if let Some(count) = committees_per_slot {
        let expected_subnet = compute_subnet_for_attestation(gossip.config(), count, data.slot, index);
        gossip.by_committees(expected_subnet == subnet_id, "attestation is for wrong subnet")?;
    }
    gossip.check_vote_time(data, fork, &TIME_REASONS)
}

fn rules(gossip: &mut Gossip, attestation: &Attestation, subnet_id: SubnetID) -> Checked {
    let data = &attestation.data;
    let bits = &attestation.aggregation_bits;
    let fork = gossip.fork_at_slot(data.slot);
    check_place(gossip, data, fork, data.index, subnet_id)?;
    reject_unless(bits.count_ones() == 1, "attestation is not unaggregated")?;
    let committee = gossip.committee(data.slot, data.index)?;
    gossip.by_committees(
        bits.len() == committee.len(),
        "aggregation bits length does not match committee size",
    )?;
    let attester = bits.ones().next().and_then(|place| committee.get(place));
    let attester_index = u64::from(attester.copied().unwrap_or_default());
    let mark = Mark::Attestation {
        target_epoch: data.target.epoch,
        attester_index,
    };
    gossip.check_first(&mark)?;
    let indexed_attestation = IndexedAttestation {
        attesting_indices: vec![attester_index],
        data: *data,
        signature: attestation.signature,
    };
    if gossip.committees_known {
        gossip.check_indexed_attestation("invalid attestation signature", &indexed_attestation)?;
    }
    gossip.check_vote_block(data, fork)?;
    gossip.marks.push(mark);
    Ok(())
}

fn single_rules(gossip: &mut Gossip, attestation: &SingleAttestation, subnet_id: SubnetID) -> Checked {
    let data = &attestation.data;
    let (committee_index, attester_index) = (attestation.committee_index, attestation.attester_index);
    let fork = gossip.fork_at_slot(data.slot);
    check_data_index(data, fork, "attestation data index is non-zero")?;
    check_place(gossip, data, fork, committee_index, subnet_id)?;
    let is_member = gossip
        .committee(data.slot, committee_index)?
        .iter()
        .any(|member| u64::from(*member) == attester_index);
    gossip.by_committees(is_member, "attester is not a member of the committee")?;
    let mark = Mark::Attestation {
        target_epoch: data.target.epoch,
        attester_index,
    };
    gossip.check_first(&mark)?;
    let domain = gossip.domain(DOMAIN_BEACON_ATTESTER, data.target.epoch);
    gossip.check_validator_signature(
        "invalid attestation signature",
        attester_index,
        domain,
        data.hash_tree_root(fork),
        &attestation.signature,
    )?;
    gossip.check_vote_block(data, fork)?;
    gossip.marks.push(mark);
    Ok(())
}
