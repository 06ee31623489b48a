//! Endpoints of earlier versions of the specification, which clients use before Electra.

use super::{Node, json_of, node};
use consensus::Fork;
use consensus::constants::DOMAIN_BEACON_ATTESTER;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::ssz::{BitList, Ssz};
use consensus::types::{Attestation, AttestationData};
use serde_json::Value;

const VOTES: &str = "/eth/v1/beacon/pool/attestations";

fn number(duty: &Value, name: &str) -> u64 {
    duty[name].as_str().unwrap().parse().unwrap()
}

/// The vote of whoever has this duty.
async fn vote(node: &Node, duty: &Value) -> Attestation {
    let (slot, index) = (number(duty, "slot"), number(duty, "committee_index"));
    let path = format!("/eth/v1/validator/attestation_data?slot={slot}&committee_index={index}");
    let data: AttestationData = json_of(&node.data(&path).await, node.fork);
    let mut aggregation_bits = BitList::new(number(duty, "committee_length") as usize);
    aggregation_bits.set(number(duty, "validator_committee_index") as usize, true);
    let epoch = compute_epoch_at_slot(slot);
    let root = data.hash_tree_root(node.fork);
    Attestation {
        aggregation_bits,
        data,
        signature: node.sign(DOMAIN_BEACON_ATTESTER, epoch, root, number(duty, "validator_index")),
        ..Attestation::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_before_electra_go_in_and_come_out_as_an_aggregate() {
    let node = node(Fork::Deneb).await;
    let slot = node.now() + 1;
    node.until(slot).await;
    let duties = node.attester_duties(compute_epoch_at_slot(slot)).await;
    let duty = duties.iter().find(|duty| number(duty, "slot") == slot).unwrap();
    let vote = vote(&node, duty).await;
    let answer = node.post_list(VOTES, std::slice::from_ref(&vote)).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    let root = vote.data.hash_tree_root(node.fork);
    let path = format!("/eth/v1/validator/aggregate_attestation?attestation_data_root={root}&slot={slot}");
    let aggregate: Attestation = json_of(&node.data(&path).await, node.fork);
    assert_eq!(aggregate, vote);
    let answer = node
        .post_list::<Attestation>("/eth/v1/validator/aggregate_and_proofs", &[])
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_electra_on_they_name_the_version_to_use() {
    let node = node(Fork::Electra).await;
    for path in [VOTES, "/eth/v1/validator/aggregate_and_proofs"] {
        let answer = node.post_list::<Attestation>(path, &[]).await;
        assert!(
            answer.status == 400 && answer.text().contains("version 2"),
            "{}",
            answer.text()
        );
    }
    node.running.end().await;
}
