//! Votes and columns of Gloas, and the light client's topics, rule by rule.

use super::fixture::{FAILED, FINALIZED, HEAD, NOW, Network, PARENT, UNKNOWN};
use super::*;
use crate::constants::DOMAIN_BEACON_ATTESTER;
use crate::duties::compute_subnet_for_attestation;
use crate::helpers::accessors::{get_beacon_committee, get_committee_count_per_slot};
use crate::preset::SYNC_COMMITTEE_SIZE;
use crate::ssz::{Bytes, Ssz};
use crate::types::*;

const GLOAS: Fork = Fork::Gloas;

#[test]
fn single_attestations_vote_on_payloads() {
    let mut network = Network::new();
    let epoch = compute_epoch_at_slot(NOW);
    let committee = get_beacon_committee(&network.state, NOW, 0).unwrap().to_vec();
    let attester_index = u64::from(committee[0]);
    let count = get_committee_count_per_slot(&network.state, epoch);
    let subnet_id = compute_subnet_for_attestation(&network.config, count, NOW, 0);
    let vote = |network: &Network, index: u64, beacon_block_root: Root| {
        let mut vote = SingleAttestation {
            attester_index,
            ..SingleAttestation::default()
        };
        let target = Checkpoint { epoch, root: FINALIZED };
        vote.data = AttestationData {
            slot: NOW,
            index,
            beacon_block_root,
            target,
            ..AttestationData::default()
        };
        let data_root = vote.data.hash_tree_root(GLOAS);
        vote.signature = network.sign(attester_index, DOMAIN_BEACON_ATTESTER, data_root);
        network.judge(|gossip| validate_single_attestation_gossip(gossip, &vote, subnet_id))
    };
    assert_eq!(vote(&network, 0, HEAD), Verdict::Accept);
    assert_eq!(vote(&network, 0, PARENT), Verdict::Accept);
    assert_eq!(vote(&network, 1, PARENT), Verdict::Accept);
    assert_eq!(
        vote(&network, 2, PARENT),
        Verdict::Reject("attestation data index is not less than 2")
    );
    assert_eq!(
        vote(&network, 1, HEAD),
        Verdict::Reject("payload vote for a block of the same slot")
    );
    assert_eq!(
        vote(&network, 0, UNKNOWN),
        Verdict::Ignore("block being voted for has not been seen")
    );
    assert_eq!(
        vote(&network, 0, FAILED),
        Verdict::Reject("block being voted for failed validation")
    );
    network.known.payload_verified = false;
    assert_eq!(
        vote(&network, 1, PARENT),
        Verdict::Ignore("payload being voted for has not been imported")
    );
    assert_eq!(vote(&network, 0, PARENT), Verdict::Accept);
    network.known.own_payload = Some(PayloadValidationStatus::Invalidated);
    assert_eq!(
        vote(&network, 1, PARENT),
        Verdict::Reject("payload being voted for failed validation")
    );
}

/// The compressed point at infinity: the commitment to a blob of zeros, and the proof of all of its cells.
const INFINITY: Bytes<48> = {
    let mut bytes = [0; 48];
    bytes[0] = 0xc0;
    Bytes(bytes)
};

#[test]
fn columns_name_their_block() {
    let mut network = Network::new();
    network.known.bids.get_mut(&HEAD).unwrap().blob_kzg_commitments = vec![INFINITY];
    let valid = DataColumnSidecar {
        index: 3,
        column: vec![Cell::default()],
        kzg_proofs: vec![INFINITY],
        slot: NOW,
        beacon_block_root: HEAD,
        ..DataColumnSidecar::default()
    };
    let judge = |gossip: &mut Gossip, sidecar: &_| validate_data_column_sidecar_gossip(gossip, sidecar, GLOAS, 3);
    let unseen = Verdict::Ignore("a valid block for the sidecar has not been seen");
    let rules: [(Verdict, fn(&mut DataColumnSidecar)); 7] = [
        (Verdict::Accept, |_| ()),
        (unseen, |sidecar| sidecar.beacon_block_root = UNKNOWN),
        (unseen, |sidecar| sidecar.beacon_block_root = FAILED),
        (Verdict::Reject("sidecar's slot is not its block's"), |sidecar| {
            sidecar.slot = NOW - 1;
        }),
        (Verdict::Reject("invalid sidecar"), |sidecar| {
            sidecar.column.push(Cell::default())
        }),
        (Verdict::Reject("sidecar is for wrong subnet"), |sidecar| {
            sidecar.index = 4
        }),
        (Verdict::Reject("invalid sidecar kzg proofs"), |sidecar| {
            sidecar.column[0].0[5] = 1
        }),
    ];
    for (expected, change) in rules {
        let mut sidecar = valid.clone();
        change(&mut sidecar);
        assert_eq!(network.judge(|gossip| judge(gossip, &sidecar)), expected);
    }
    assert_eq!(network.settle(|gossip| judge(gossip, &valid)), Verdict::Accept);
    assert_eq!(
        network.settle(|gossip| judge(gossip, &valid)),
        Verdict::Ignore("already seen sidecar for this block and index")
    );
    check_partial_columns(&network);
}

fn check_partial_columns(network: &Network) {
    let group_id = PartialDataColumnGroupID {
        beacon_block_root: HEAD,
        slot: NOW,
    };
    let valid = PartialDataColumnSidecar {
        cells_present_bitmap: [true].into_iter().collect(),
        partial_column: vec![Cell::default()],
        kzg_proofs: vec![INFINITY],
        ..PartialDataColumnSidecar::default()
    };
    type Change = fn(&mut PartialDataColumnSidecar, &mut PartialDataColumnGroupID);
    let rules: [(Verdict, Change); 8] = [
        (Verdict::Accept, |_, _| ()),
        (
            Verdict::Reject("partial message is semantically empty"),
            |sidecar, _| {
                sidecar.cells_present_bitmap.set(0, false);
            },
        ),
        (
            Verdict::Reject("number of cells does not match number of set bits"),
            |sidecar, _| sidecar.partial_column.clear(),
        ),
        (
            Verdict::Reject("number of proofs does not match number of set bits"),
            |sidecar, _| sidecar.kzg_proofs.clear(),
        ),
        (
            Verdict::Ignore("a valid block for the partial message has not been seen"),
            |_, group_id| group_id.beacon_block_root = FAILED,
        ),
        (Verdict::Reject("group id's slot is not its block's"), |_, group_id| {
            group_id.slot = NOW - 1;
        }),
        (
            Verdict::Reject("bitmap length does not match commitments length"),
            |sidecar, _| sidecar.cells_present_bitmap = [true, false].into_iter().collect(),
        ),
        (Verdict::Reject("invalid sidecar kzg proofs"), |sidecar, _| {
            sidecar.partial_column[0].0[5] = 1;
        }),
    ];
    for (expected, change) in rules {
        let (mut sidecar, mut group_id) = (valid.clone(), group_id.clone());
        change(&mut sidecar, &mut group_id);
        let verdict =
            network.judge(|gossip| validate_partial_data_column_sidecar_gossip(gossip, &sidecar, GLOAS, &group_id, 3));
        assert_eq!(verdict, expected);
    }
}

fn finality_update(finalized_slot: Slot, participants: u64) -> LightClientFinalityUpdate {
    let mut update = LightClientFinalityUpdate::new(GLOAS);
    update.finalized_header.beacon.slot = finalized_slot;
    update.signature_slot = NOW;
    let bits = &mut update.sync_aggregate.sync_committee_bits;
    (0..participants).for_each(|index| assert!(bits.set(index as usize, true)));
    update
}

#[test]
fn light_client_finality_updates() {
    let mut network = Network::new();
    network.time_ms += network.config.get_sync_message_due_ms(GLOAS);
    let two_thirds = SYNC_COMMITTEE_SIZE * 2 / 3;
    let judge = |network: &mut Network, update: &LightClientFinalityUpdate| {
        network.known.finality_update = Some(update.clone());
        network.settle(|gossip| validate_light_client_finality_update_gossip(gossip, update))
    };
    let old = Verdict::Ignore("finality update is not newer than those already forwarded");
    assert_eq!(judge(&mut network, &finality_update(8, two_thirds)), Verdict::Accept);
    assert_eq!(judge(&mut network, &finality_update(8, two_thirds)), old);
    assert_eq!(
        judge(&mut network, &finality_update(8, two_thirds + 1)),
        Verdict::Accept
    );
    assert_eq!(judge(&mut network, &finality_update(8, SYNC_COMMITTEE_SIZE)), old);
    assert_eq!(judge(&mut network, &finality_update(7, SYNC_COMMITTEE_SIZE)), old);
    let next = finality_update(9, 1);
    network.known.finality_update = None;
    assert_eq!(
        network.judge(|gossip| validate_light_client_finality_update_gossip(gossip, &next)),
        Verdict::Ignore("finality update differs from the one computed here")
    );
    network.time_ms -= network.config.maximum_gossip_clock_disparity + 1;
    assert_eq!(
        judge(&mut network, &next),
        Verdict::Ignore("finality update is too early")
    );
    network.time_ms += 1;
    assert_eq!(judge(&mut network, &next), Verdict::Accept);
}

#[test]
fn light_client_optimistic_updates() {
    let mut network = Network::new();
    let mut update = LightClientOptimisticUpdate::new(GLOAS);
    update.attested_header.beacon.slot = NOW - 1;
    update.signature_slot = NOW;
    network.known.optimistic_update = Some(update.clone());
    let judge = |gossip: &mut Gossip| validate_light_client_optimistic_update_gossip(gossip, &update);
    assert_eq!(network.judge(judge), Verdict::Ignore("optimistic update is too early"));
    network.time_ms += network.config.get_sync_message_due_ms(GLOAS);
    let mut differs = update.clone();
    differs.attested_header.beacon.proposer_index = 5;
    assert_eq!(
        network.judge(|gossip| validate_light_client_optimistic_update_gossip(gossip, &differs)),
        Verdict::Ignore("optimistic update differs from the one computed here")
    );
    assert_eq!(network.settle(judge), Verdict::Accept);
    assert_eq!(
        network.settle(judge),
        Verdict::Ignore("optimistic update is not newer than those already forwarded")
    );
}
