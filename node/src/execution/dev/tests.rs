//! The engine as a node meets it: two of them, each believing only what it checked.

use super::*;
use crate::genesis::{DevnetOptions, GenesisKey, Withdrawals, devnet_config, genesis_state};
use consensus::State as BeaconState;
use consensus::helpers::misc::kzg_commitment_to_versioned_hash;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, U256};
use consensus::transition::block::{get_expected_withdrawals, process_execution_payload, process_withdrawals};
use consensus::transition::merge::validate_merge_block;
use consensus::transition::process_slots;
use consensus::types::{BeaconBlock, BeaconBlockBody, ExecutionPayload, Withdrawal, WithdrawalRequest};
use crypto::kzg;

const TIME: u64 = 1_700_000_000;
const SLOT: u64 = 2;

fn config(genesis_fork: Fork, schedule: &[(Fork, u64)]) -> Config {
    let options = DevnetOptions {
        genesis_fork,
        schedule: schedule.to_vec(),
        slot_duration_ms: SLOT * 1000,
        genesis_time: TIME,
        blob_schedule: Vec::new(),
    };
    devnet_config(Config::network("devnet").unwrap(), &options).unwrap()
}

fn engine(config: &Config, options: DevOptions) -> DevEngine {
    DevEngine::new(config, TIME, &Bytes::ZERO, options).unwrap()
}

/// Attributes of a slot with something in every field that `fork` has.
fn attributes(fork: Fork, slot: u64) -> PayloadAttributes {
    let withdrawal = Withdrawal {
        index: slot,
        validator_index: 3,
        address: Bytes([9; 20]),
        amount: 5,
    };
    PayloadAttributes {
        timestamp: TIME + slot * SLOT,
        prev_randao: Bytes([slot as u8; 32]),
        suggested_fee_recipient: Bytes([7; 20]),
        withdrawals: (fork >= Fork::Capella).then(|| vec![withdrawal]),
        parent_beacon_block_root: (fork >= Fork::Deneb).then_some(beacon_parent(slot)),
    }
}

fn beacon_parent(slot: u64) -> Root {
    Bytes([(slot as u8).wrapping_add(1); 32])
}

fn at(head: Hash32) -> ForkchoiceState {
    ForkchoiceState {
        head_block_hash: head,
        ..ForkchoiceState::default()
    }
}

/// Has a payload built on `head` for `slot`.
fn built(engine: &DevEngine, head: Hash32, slot: u64) -> (Fork, BuiltPayload) {
    let fork = engine.fork_at(TIME + slot * SLOT);
    let attributes = attributes(fork, slot);
    let (status, id) = engine.forkchoice_updated(fork, &at(head), Some(&attributes)).unwrap();
    assert_eq!(status, PayloadStatus::valid(head));
    (fork, engine.get_payload(fork, id.unwrap()).unwrap())
}

/// What a node asks of `engine` for a built payload of that slot.
fn judged(engine: &DevEngine, fork: Fork, built: &BuiltPayload, slot: u64) -> Result<PayloadStatus, RpcError> {
    let commitments = built.blobs.iter().flat_map(|blobs| &blobs.commitments);
    engine.new_payload(&NewPayloadRequest {
        fork,
        execution_payload: &built.payload,
        versioned_hashes: commitments.map(kzg_commitment_to_versioned_hash).collect(),
        parent_beacon_block_root: beacon_parent(slot),
        execution_requests: (fork >= Fork::Electra).then_some(&built.execution_requests),
    })
}

/// Changes a payload and gives it the hash that then is right.
fn resealed(fork: Fork, built: &BuiltPayload, slot: u64, change: impl Fn(&mut ExecutionPayload)) -> BuiltPayload {
    let mut built = built.clone();
    change(&mut built.payload);
    let header = BlockHeader::of_request(&NewPayloadRequest {
        fork,
        execution_payload: &built.payload,
        versioned_hashes: Vec::new(),
        parent_beacon_block_root: beacon_parent(slot),
        execution_requests: (fork >= Fork::Electra).then_some(&built.execution_requests),
    });
    built.payload.block_hash = header.hash();
    built
}

/// A chain through every fork with payloads, from before the merge: what one engine builds the other finds valid.
#[test]
fn two_engines_agree_through_all_forks() {
    let schedule: Vec<(Fork, u64)> = (1..=6).map(|place| (Fork::ALL[place], place as u64)).collect();
    let config = config(Fork::Phase0, &schedule);
    let (one, two) = (
        engine(&config, DevOptions::default()),
        engine(&config, DevOptions::default()),
    );
    let mut head = terminal_block(&config, TIME).unwrap().hash();
    let mut seen = Vec::new();
    for slot in 2 * SLOTS_PER_EPOCH..8 * SLOTS_PER_EPOCH {
        let (fork, built) = built(&one, head, slot);
        let hash = built.payload.block_hash;
        assert_eq!(
            judged(&two, fork, &built, slot),
            Ok(PayloadStatus::valid(hash)),
            "{slot}"
        );
        assert_eq!(
            judged(&one, fork, &built, slot),
            Ok(PayloadStatus::valid(hash)),
            "{slot}"
        );
        assert_eq!(built.payload.withdrawals.len(), usize::from(fork >= Fork::Capella));
        assert_eq!(built.blobs.is_some(), fork >= Fork::Deneb);
        seen.push(fork);
        head = hash;
    }
    seen.dedup();
    assert_eq!(
        seen,
        [Fork::Bellatrix, Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu]
    );
    assert_eq!(
        one.canonical(Some(1)).unwrap().0,
        terminal_block(&config, TIME).unwrap().hash()
    );
}

#[test]
fn the_merge_is_what_fork_choice_wants() {
    let config = config(Fork::Altair, &[(Fork::Bellatrix, 1)]);
    let engine = engine(&config, DevOptions::default());
    let (genesis, terminal) = (genesis_block(&config, TIME), terminal_block(&config, TIME).unwrap());
    let (_, built) = built(&engine, terminal.hash(), SLOTS_PER_EPOCH);
    let mut block = BeaconBlock::default();
    block.body.execution_payload = built.payload;
    validate_merge_block(&config, &block, |hash| engine.pow_block(hash)).unwrap();
    assert_eq!(engine.terminal_pow_block().unwrap().block_hash, terminal.hash());
    // Not on the block before it.
    let (status, id) = engine
        .forkchoice_updated(
            Fork::Bellatrix,
            &at(genesis.hash()),
            Some(&attributes(Fork::Bellatrix, SLOTS_PER_EPOCH)),
        )
        .unwrap();
    assert_eq!(
        (status.status, status.latest_valid_hash, id),
        (Status::Invalid, Some(Hash32::ZERO), None)
    );
    let early = resealed(Fork::Bellatrix, &judgable(&block), SLOTS_PER_EPOCH, |payload| {
        payload.parent_hash = genesis.hash();
        payload.block_number = 1;
        payload.base_fee_per_gas = terminal.base_fee_per_gas;
    });
    let status = judged(&engine, Fork::Bellatrix, &early, SLOTS_PER_EPOCH).unwrap();
    assert_eq!(
        (status.status, status.latest_valid_hash),
        (Status::Invalid, Some(Hash32::ZERO))
    );
}

fn judgable(block: &BeaconBlock) -> BuiltPayload {
    BuiltPayload {
        payload: block.body.execution_payload.clone(),
        value: U256::ZERO,
        blobs: None,
        should_override_builder: false,
        execution_requests: ExecutionRequests::default(),
    }
}

/// A payload for a real genesis state passes the beacon chain's own checks.
#[test]
fn a_beacon_state_accepts_what_is_built_for_it() {
    for fork in [Fork::Bellatrix, Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu] {
        let config = config(fork, &[]);
        let validators: Vec<_> = (0..64)
            .map(|index| GenesisKey::interop(index).validator(Withdrawals::Address(None)))
            .collect();
        let mut state: BeaconState = genesis_state(&config, TIME, &validators).unwrap();
        let engine = DevEngine::new(
            &config,
            state.genesis_time,
            &state.genesis_validators_root,
            DevOptions::default(),
        )
        .unwrap();
        // Something above the ceiling, to be withdrawn.
        *state.balances.get_mut(2).unwrap() += 1_000;
        process_slots(&mut state, &config, 1).unwrap();
        let expected = if fork >= Fork::Capella {
            get_expected_withdrawals(&state).unwrap().withdrawals
        } else {
            Vec::new()
        };
        assert_eq!(expected.len(), usize::from(fork >= Fork::Capella));
        let attributes = PayloadAttributes {
            timestamp: TIME + SLOT,
            prev_randao: *state.randao_mixes.get(0).unwrap(),
            withdrawals: (fork >= Fork::Capella).then_some(expected),
            ..attributes(fork, 1)
        };
        let head = state.latest_execution_payload_header.block_hash;
        let (_, id) = engine.forkchoice_updated(fork, &at(head), Some(&attributes)).unwrap();
        let payload = engine.get_payload(fork, id.unwrap()).unwrap().payload;
        if fork >= Fork::Capella {
            process_withdrawals(&mut state, Some(&payload)).unwrap();
        }
        let body = BeaconBlockBody {
            execution_payload: payload,
            ..BeaconBlockBody::default()
        };
        process_execution_payload(&mut state, &config, &body).unwrap_or_else(|error| panic!("{fork}: {error}"));
    }
}

#[test]
fn what_does_not_follow_from_its_parent_is_invalid() {
    let config = config(Fork::Fulu, &[]);
    let engine = engine(&config, DevOptions::default());
    let genesis = genesis_block(&config, TIME).hash();
    let (fork, first) = built(&engine, genesis, 1);
    type Change = fn(&mut ExecutionPayload);
    let changes: [(Change, &str); 9] = [
        (|payload| payload.block_number = 2, "number is 2"),
        (|payload| payload.timestamp = TIME, "not after its parent's"),
        (|payload| payload.base_fee_per_gas += U256::from(1), "base fee"),
        (|payload| payload.gas_limit *= 2, "gas limit"),
        (|payload| payload.excess_blob_gas = 1, "excess blob gas"),
        (|payload| payload.blob_gas_used = 10 << 17, "10 blobs, at most 9"),
        (|payload| payload.state_root.0[0] ^= 1, "state root"),
        (|payload| payload.gas_used = 21_000, "executes nothing"),
        (
            |payload| payload.transactions.push(vec![2, 0xc0].into()),
            "transaction 0 carries no blobs",
        ),
    ];
    for (change, expected) in changes {
        let wrong = resealed(fork, &first, 1, change);
        let status = judged(&engine, fork, &wrong, 1).unwrap();
        assert_eq!(
            (status.status, status.latest_valid_hash),
            (Status::Invalid, Some(genesis)),
            "{expected}"
        );
        let why = status.validation_error.unwrap();
        assert!(why.contains(expected), "{why} (expected: {expected})");
    }
    // Not even the hash is right.
    let mut torn = first.clone();
    torn.payload.extra_data.0.push(1);
    let status = judged(&engine, fork, &torn, 1).unwrap();
    assert_eq!((status.status, status.latest_valid_hash), (Status::Invalid, None));
    // And after all that the right one is.
    assert_eq!(judged(&engine, fork, &first, 1).unwrap().status, Status::Valid);
}

#[test]
fn children_of_invalid_blocks_are_invalid_too() {
    let config = config(Fork::Deneb, &[]);
    let (engine, other) = (
        engine(&config, DevOptions::default()),
        engine(&config, DevOptions::default()),
    );
    let genesis = genesis_block(&config, TIME).hash();
    let (fork, first) = built(&engine, genesis, 1);
    assert_eq!(judged(&engine, fork, &first, 1).unwrap().status, Status::Valid);
    let (_, second) = built(&engine, first.payload.block_hash, 2);
    let wrong = resealed(fork, &second, 2, |payload| payload.gas_limit += 1_000_000);
    assert_eq!(judged(&engine, fork, &wrong, 2).unwrap().status, Status::Invalid);
    let child = resealed(fork, &second, 3, |payload| {
        payload.parent_hash = wrong.payload.block_hash;
        payload.block_number = 3;
        payload.timestamp += SLOT;
    });
    let status = judged(&engine, fork, &child, 3).unwrap();
    assert_eq!(
        (status.status, status.latest_valid_hash),
        (Status::Invalid, Some(first.payload.block_hash))
    );
    let head = engine
        .forkchoice_updated(fork, &at(child.payload.block_hash), None)
        .unwrap();
    assert_eq!((head.0.status, head.1), (Status::Invalid, None));

    // Where the first is missing, all are waited with, and judged when it comes.
    for (payload, slot) in [(&child, 3), (&wrong, 2), (&second, 2)] {
        assert_eq!(
            judged(&other, fork, payload, slot).unwrap(),
            PayloadStatus::plain(Status::Syncing)
        );
    }
    let unknown = other
        .forkchoice_updated(fork, &at(second.payload.block_hash), Some(&attributes(fork, 9)))
        .unwrap();
    assert_eq!(unknown, (PayloadStatus::plain(Status::Syncing), None));
    assert_eq!(judged(&other, fork, &first, 1).unwrap().status, Status::Valid);
    assert_eq!(judged(&other, fork, &child, 3).unwrap().status, Status::Invalid);
    let known = other
        .forkchoice_updated(fork, &at(second.payload.block_hash), None)
        .unwrap();
    assert_eq!(known.0, PayloadStatus::valid(second.payload.block_hash));
}

#[test]
fn forkchoice_and_building_refuse_what_the_spec_names() {
    let config = config(Fork::Deneb, &[(Fork::Electra, 1)]);
    let engine = engine(&config, DevOptions::default());
    let genesis = genesis_block(&config, TIME).hash();
    let (fork, first) = built(&engine, genesis, 1);
    judged(&engine, fork, &first, 1).unwrap();
    let (first_hash, refused) = (first.payload.block_hash, |result: Result<_, RpcError>| {
        result.map(|_: (_, _)| ()).unwrap_err().code
    });
    let (_, sibling) = built(&engine, genesis, 2);
    judged(&engine, fork, &sibling, 2).unwrap();
    let state = ForkchoiceState {
        head_block_hash: first_hash,
        safe_block_hash: first_hash,
        finalized_block_hash: sibling.payload.block_hash,
    };
    assert_eq!(
        refused(engine.forkchoice_updated(fork, &state, None)),
        code::INVALID_FORKCHOICE_STATE
    );
    let early = attributes(fork, 1);
    assert_eq!(
        refused(engine.forkchoice_updated(fork, &at(first_hash), Some(&early))),
        code::INVALID_PAYLOAD_ATTRIBUTES
    );
    let late = attributes(fork, SLOTS_PER_EPOCH);
    assert_eq!(
        refused(engine.forkchoice_updated(fork, &at(first_hash), Some(&late))),
        code::UNSUPPORTED_FORK
    );
    assert_eq!(
        engine.get_payload(fork, Bytes([1; 8])).unwrap_err().code,
        code::UNKNOWN_PAYLOAD
    );
    // The head went along all the same.
    assert_eq!(engine.canonical(None).unwrap().0, first_hash);
    let finalized = ForkchoiceState {
        finalized_block_hash: first_hash,
        ..at(first_hash)
    };
    engine.forkchoice_updated(fork, &finalized, None).unwrap();
    let behind = engine
        .forkchoice_updated(fork, &at(genesis), Some(&attributes(fork, 3)))
        .unwrap();
    assert_eq!(behind, (PayloadStatus::valid(genesis), None));
    assert_eq!(engine.canonical(None).unwrap().0, first_hash);
    // Payloads of a fork come with the method of that fork.
    assert_eq!(
        judged(&engine, Fork::Electra, &first, 1).unwrap_err().code,
        code::UNSUPPORTED_FORK
    );
}

#[test]
fn blobs_have_proofs_and_count_as_gas() {
    let config = config(Fork::Electra, &[(Fork::Fulu, 1)]);
    let options = DevOptions {
        blobs_per_block: 8,
        ..DevOptions::default()
    };
    let (one, two) = (engine(&config, options), engine(&config, DevOptions::default()));
    let mut head = genesis_block(&config, TIME).hash();
    let mut excess = Vec::new();
    for slot in [1, 2, SLOTS_PER_EPOCH, SLOTS_PER_EPOCH + 1] {
        let (fork, built) = built(&one, head, slot);
        head = built.payload.block_hash;
        assert_eq!(judged(&two, fork, &built, slot).unwrap(), PayloadStatus::valid(head));
        judged(&one, fork, &built, slot).unwrap();
        assert_eq!(built.payload.transactions.len(), 2, "six blobs and two");
        assert_eq!(built.payload.blob_gas_used, 8 << 17);
        excess.push(built.payload.excess_blob_gas >> 17);
        let bundle = built.blobs.unwrap();
        let hashes: Vec<VersionedHash> = bundle
            .commitments
            .iter()
            .map(kzg_commitment_to_versioned_hash)
            .collect();
        let mut distinct = hashes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 8);
        let found = one.get_blobs(fork, &hashes).unwrap();
        assert_eq!(found[7].as_ref().unwrap().blob, bundle.blobs[7]);
        if fork >= Fork::Fulu {
            assert_eq!(bundle.proofs.len(), 8 * 128);
            let cells = kzg::compute_cells(&bundle.blobs[5].0).unwrap();
            let cell = |index: usize| {
                (
                    bundle.commitments[5].0,
                    index as u64,
                    cells[index],
                    bundle.proofs[5 * 128 + index].0,
                )
            };
            let (commitment, index, cell, proof) = cell(77);
            assert!(kzg::verify_cell_kzg_proof_batch(&[commitment], &[index], &[cell], &[proof]).unwrap());
        } else {
            let blob = &bundle.blobs[3].0;
            assert!(kzg::verify_blob_kzg_proof(blob, &bundle.commitments[3].0, &bundle.proofs[3].0).unwrap());
        }
    }
    // Two above the target of six in Electra; from Fulu on a third of all eight, as gas is dear (EIP-7918).
    assert_eq!(excess, [0, 2, 2 + 8 / 3, 2 + 16 / 3]);
    assert_eq!(two.get_blobs(Fork::Fulu, &[Bytes([1; 32])]).unwrap(), [None]);
    assert_eq!(
        two.get_blobs(Fork::Fulu, &[Bytes([1; 32]); 129]).unwrap_err().code,
        code::TOO_LARGE_REQUEST
    );
}

#[test]
fn requests_are_in_the_next_payload_until_it_is_in_the_chain() {
    let config = config(Fork::Electra, &[]);
    let engine = engine(&config, DevOptions::default());
    let genesis = genesis_block(&config, TIME).hash();
    let requests = ExecutionRequests {
        withdrawals: vec![WithdrawalRequest::default()],
        ..ExecutionRequests::default()
    };
    assert!(engine.queue_requests(requests.clone()));
    for slot in [1, 2] {
        let (fork, first) = built(&engine, genesis, slot);
        assert_eq!(first.execution_requests, requests, "not yet a block");
        if slot == 2 {
            judged(&engine, fork, &first, slot).unwrap();
            let (_, second) = built(&engine, first.payload.block_hash, 3);
            assert_eq!(second.execution_requests, ExecutionRequests::default());
        }
    }
}

#[test]
fn it_can_start_anywhere_and_play_dead() {
    let config = config(Fork::Deneb, &[]);
    let (one, two) = (
        engine(&config, DevOptions::default()),
        engine(&config, DevOptions::default()),
    );
    let mut head = genesis_block(&config, TIME).hash();
    let mut last = None;
    for slot in 1..4 {
        let (fork, built) = built(&one, head, slot);
        judged(&one, fork, &built, slot).unwrap();
        head = built.payload.block_hash;
        last = Some(built.payload);
    }
    let header = consensus::transition::block::header_of(Fork::Deneb, &last.unwrap());
    two.trust(Fork::Deneb, &header);
    let (fork, next) = built(&one, head, 4);
    assert_eq!(
        judged(&two, fork, &next, 4).unwrap(),
        PayloadStatus::valid(next.payload.block_hash)
    );
    let finalized = ForkchoiceState {
        head_block_hash: next.payload.block_hash,
        safe_block_hash: head,
        // Older than all it knows.
        finalized_block_hash: Bytes([3; 32]),
    };
    assert_eq!(
        two.forkchoice_updated(fork, &finalized, None).unwrap().0.status,
        Status::Valid
    );

    two.set_syncing(true);
    assert_eq!(judged(&two, fork, &next, 4).unwrap().status, Status::Syncing);
    assert_eq!(
        two.forkchoice_updated(fork, &at(head), None).unwrap().0.status,
        Status::Syncing
    );
    two.set_syncing(false);
    assert_eq!(judged(&two, fork, &next, 4).unwrap().status, Status::Valid);
}

#[test]
fn memory_is_bounded() {
    let config = config(Fork::Deneb, &[]);
    let engine = engine(&config, DevOptions::default());
    let mut head = genesis_block(&config, TIME).hash();
    for slot in 1..5000 {
        let (fork, built) = built(&engine, head, slot);
        assert_eq!(judged(&engine, fork, &built, slot).unwrap().status, Status::Valid);
        head = built.payload.block_hash;
    }
    engine.forkchoice_updated(Fork::Deneb, &at(head), None).unwrap();
    assert_eq!(engine.canonical(Some(4999)).unwrap().0, head);
    assert!(engine.canonical(Some(4000)).is_some());
    assert_eq!(engine.canonical(Some(0)), None, "the oldest have gone");
}

#[test]
fn public_networks_are_refused() {
    let root = "0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f"
        .parse()
        .unwrap();
    let error = DevEngine::new(&config(Fork::Fulu, &[]), TIME, &root, DevOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("hoodi") && error.contains("--execution-endpoint"),
        "{error}"
    );
}
