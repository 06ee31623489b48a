//! Votes and columns of Gloas, and the light client's topics, rule by rule.

use super::fixture::{FAILED, FINALIZED, HEAD, NOW, Network, PARENT, UNKNOWN, VALIDATORS};
use super::*;
use crate::constants::{
    DOMAIN_BEACON_ATTESTER, DOMAIN_CONTRIBUTION_AND_PROOF, DOMAIN_SYNC_COMMITTEE, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF,
};
use crate::duties::{compute_subnet_for_attestation, is_sync_committee_aggregator};
use crate::helpers::accessors::{get_beacon_committee, get_committee_count_per_slot};
use crate::preset::{EPOCHS_PER_SYNC_COMMITTEE_PERIOD, SLOTS_PER_EPOCH, SYNC_COMMITTEE_SIZE, SYNC_SUBCOMMITTEE_SIZE};
use crate::ssz::{BitVector, Bytes, Ssz};
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

/// The last slot of the first period.
const LAST: Slot = EPOCHS_PER_SYNC_COMMITTEE_PERIOD * SLOTS_PER_EPOCH - 1;

/// A network in the last slot of a period whose head is some slots behind, with these as the members of the first
/// subcommittee now and in the next period; others are the next three validators.
fn at_end_of_period(now: ValidatorIndex, next: ValidatorIndex) -> Network {
    let mut network = Network::new();
    let pubkeys = |network: &Network, first: ValidatorIndex| {
        let members = (0..SYNC_COMMITTEE_SIZE).map(|seat| first + seat / SYNC_SUBCOMMITTEE_SIZE);
        let pubkeys = members.map(|index| network.state.validators.get(index as usize).unwrap().pubkey);
        pubkeys.collect::<Vec<_>>()
    };
    network.state.current_sync_committee.pubkeys = pubkeys(&network, now).into();
    network.state.next_sync_committee.pubkeys = pubkeys(&network, next).into();
    network.state.slot = LAST - 2;
    network.time_ms = LAST * network.config.slot_duration_ms;
    network
}

#[test]
fn who_signs_is_told_by_the_slot_and_not_by_where_the_state_stands() {
    let mut network = at_end_of_period(0, 8);
    let judge = |network: &Network, slot: Slot, validator_index: ValidatorIndex, subnet_id: SubnetID| {
        let message = SyncCommitteeMessage {
            slot,
            beacon_block_root: HEAD,
            validator_index,
            signature: network.sign(validator_index, DOMAIN_SYNC_COMMITTEE, HEAD),
        };
        network.judge(|gossip| validate_sync_committee_message_gossip(gossip, &message, subnet_id))
    };
    let wrong = Verdict::Reject("subnet_id is not valid for the validator");
    // What is signed in the last slot is for the block of the first one of the next period.
    assert_eq!(judge(&network, LAST, 8, 0), Verdict::Accept);
    assert_eq!(judge(&network, LAST, 11, 3), Verdict::Accept);
    assert_eq!(judge(&network, LAST, 8, 1), wrong);
    assert_eq!(judge(&network, LAST, 0, 0), wrong);
    // The slot before still has the other one.
    network.time_ms -= network.config.slot_duration_ms;
    assert_eq!(judge(&network, LAST - 1, 0, 0), Verdict::Accept);
    assert_eq!(judge(&network, LAST - 1, 8, 0), wrong);
    // A state that is a whole period behind knows nothing of it.
    let later = LAST + 1 + EPOCHS_PER_SYNC_COMMITTEE_PERIOD * SLOTS_PER_EPOCH;
    network.time_ms = later * network.config.slot_duration_ms;
    let unknown = Verdict::Ignore("the state cannot answer what the rule asks");
    assert_eq!(judge(&network, later, 8, 0), unknown);
}

#[test]
fn who_adds_up_signatures_is_told_by_the_slot_too() {
    let selection = SyncAggregatorSelectionData {
        slot: LAST,
        subcommittee_index: 0,
    };
    let selection = selection.hash_tree_root(GLOAS);
    let proof = |network: &Network, index| network.sign(index, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, selection);
    let any = Network::new();
    let mut chosen = (8..VALIDATORS - 4).filter(|index| is_sync_committee_aggregator(&proof(&any, *index)));
    let (now, next) = (chosen.next().unwrap(), chosen.next_back().unwrap());
    let network = at_end_of_period(now, next);
    let judge = |aggregator_index: ValidatorIndex| {
        let mut aggregation_bits = BitVector::new(SYNC_SUBCOMMITTEE_SIZE as usize);
        aggregation_bits.set(1, true);
        let message = ContributionAndProof {
            aggregator_index,
            contribution: SyncCommitteeContribution {
                slot: LAST,
                beacon_block_root: HEAD,
                subcommittee_index: 0,
                aggregation_bits,
                signature: network.sign(aggregator_index, DOMAIN_SYNC_COMMITTEE, HEAD),
            },
            selection_proof: proof(&network, aggregator_index),
        };
        let root = message.hash_tree_root(GLOAS);
        let signature = network.sign(aggregator_index, DOMAIN_CONTRIBUTION_AND_PROOF, root);
        let signed = SignedContributionAndProof { message, signature };
        network.judge(|gossip| validate_sync_committee_contribution_and_proof_gossip(gossip, &signed))
    };
    assert_eq!(judge(next), Verdict::Accept);
    assert_eq!(judge(now), Verdict::Reject("aggregator not in subcommittee"));
}

/// What a state that is behind cannot know is nobody's fault.
#[test]
fn an_old_state_rejects_nobody_for_what_stands_in_it() {
    let network = Network::new();
    let exit = |validator_index, epoch| SignedVoluntaryExit {
        message: VoluntaryExit { epoch, validator_index },
        ..SignedVoluntaryExit::default()
    };
    let exits = [
        (exit(VALIDATORS, 0), "validator index out of range"),
        (exit(3, 99), "voluntary exit epoch is in the future"),
        (exit(3, 0), "validator has not been active long enough"),
    ];
    for (exit, why) in exits {
        let judge = |is_current: bool| {
            network.judge(|gossip| {
                gossip.state_is_current = is_current;
                validate_voluntary_exit_gossip(gossip, &exit)
            })
        };
        assert_eq!(judge(true), Verdict::Reject(why));
        assert_eq!(judge(false), Verdict::Ignore(why));
    }
    let mut block = SignedBeaconBlock::new(GLOAS);
    block.message.slot = NOW;
    block.message.proposer_index = VALIDATORS;
    let judge = |is_current: bool| {
        network.judge(|gossip| {
            gossip.state_is_current = is_current;
            validate_beacon_block_gossip(gossip, &block)
        })
    };
    assert_eq!(judge(true), Verdict::Reject("proposer index out of range"));
    assert_eq!(judge(false), Verdict::Ignore("proposer index out of range"));
}
