//! Topic `beacon_aggregate_and_proof`.

use super::verdict::{Checked, reject_unless};
use super::vote::{TimeReasons, check_data_index};
use super::{Gossip, Mark, Verdict};
use crate::constants::{DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_SELECTION_PROOF};
use crate::duties::is_aggregator_of;
use crate::fork::Fork;
use crate::helpers::misc::get_committee_indices;
use crate::ssz::Ssz;
use crate::types::{Attestation, CommitteeIndex, SignedAggregateAndProof};

const TIME_REASONS: TimeReasons = TimeReasons {
    future: "aggregate slot is from a future slot",
    epoch: "aggregate epoch is not current or previous epoch",
};

/// Spec: phase0/, deneb/ and electra/p2p-interface.md, `validate_beacon_aggregate_and_proof_gossip`;
/// gloas/p2p-interface.md, "Modified `beacon_aggregate_and_proof`".
pub fn validate_beacon_aggregate_and_proof_gossip(
    gossip: &mut Gossip,
    signed_aggregate_and_proof: &SignedAggregateAndProof,
) -> Verdict {
    rules(gossip, signed_aggregate_and_proof).into()
}

/// The committee that the aggregate names.
fn committee_index(aggregate: &Attestation, fork: Fork) -> Checked<CommitteeIndex> {
    check_data_index(&aggregate.data, fork, "aggregate data index is non-zero")?;
    if fork < Fork::Electra {
        return Ok(aggregate.data.index);
    }
    let committee_indices = get_committee_indices(&aggregate.committee_bits);
    reject_unless(
        committee_indices.len() == 1,
        "aggregate committee bits must specify exactly one committee",
    )?;
    Ok(committee_indices[0])
}

fn rules(gossip: &mut Gossip, signed: &SignedAggregateAndProof) -> Checked {
    let aggregate_and_proof = &signed.message;
    let aggregate = &aggregate_and_proof.aggregate;
    let (data, bits) = (&aggregate.data, &aggregate.aggregation_bits);
    let aggregator_index = aggregate_and_proof.aggregator_index;
    let fork = gossip.fork_at_slot(data.slot);
    let index = committee_index(aggregate, fork)?;
    gossip.check_committee_index(data, index)?;
    gossip.check_vote_time(data, fork, &TIME_REASONS)?;
    let committee = gossip.committee(data.slot, index)?;
    gossip.by_committees(
        bits.len() == committee.len(),
        "aggregation bits length does not match committee size",
    )?;
    reject_unless(bits.any(), "aggregate has no participants")?;
    let mark = Mark::Aggregate {
        slot: data.slot,
        aggregator_index,
        data_root: data.hash_tree_root(fork),
        committee_index: index,
        aggregation_bits: bits.clone(),
    };
    gossip.check_first(&mark)?;
    gossip.by_committees(
        is_aggregator_of(committee.len() as u64, &aggregate_and_proof.selection_proof),
        "validator is not selected as aggregator",
    )?;
    let is_member = committee.iter().any(|member| u64::from(*member) == aggregator_index);
    gossip.by_committees(is_member, "aggregator index not in committee")?;
    drop(committee);
    check_signatures(gossip, signed, fork, index)?;
    gossip.check_vote_block(data, fork)?;
    gossip.marks.push(mark);
    Ok(())
}

fn check_signatures(
    gossip: &mut Gossip,
    signed: &SignedAggregateAndProof,
    fork: Fork,
    committee: CommitteeIndex,
) -> Checked {
    let message = &signed.message;
    let data = &message.aggregate.data;
    let selection_domain = gossip.domain(DOMAIN_SELECTION_PROOF, data.target.epoch);
    gossip.check_validator_signature(
        "invalid selection proof signature",
        message.aggregator_index,
        selection_domain,
        data.slot.hash_tree_root(fork),
        &message.selection_proof,
    )?;
    let aggregator_domain = gossip.domain(DOMAIN_AGGREGATE_AND_PROOF, data.target.epoch);
    gossip.check_validator_signature(
        "invalid aggregator signature",
        message.aggregator_index,
        aggregator_domain,
        message.hash_tree_root(fork),
        &signed.signature,
    )?;
    if gossip.committees_known {
        gossip.check_aggregate("invalid aggregate signature", committee, &message.aggregate)?;
    }
    Ok(())
}
