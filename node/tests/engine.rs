//! Payloads of the dev engine in our blocks: the attributes we ask with are judged by somebody else.

use crate::chain::{Chain, secret, sign_block};
use consensus::das::compute_cells_with_proofs;
use consensus::preset::{NUMBER_OF_COLUMNS, SLOTS_PER_EPOCH};
use consensus::signing::Context;
use consensus::ssz::Bytes;
use consensus::transition::{NewPayloadRequest, state_transition};
use consensus::types::{Hash32, SignedBeaconBlock};
use consensus::{Config, Fork, State};
use node::execution::dev::{DevEngine, DevOptions, terminal_block};
use node::execution::{ForkchoiceState, Status};
use node::genesis::{DevnetOptions, GenesisValidator, devnet_config, genesis_state};
use node::production::{
    PayloadChoice, ProducedBlock, Sidecars, blob_sidecars, column_sidecars, payload_attributes, produce_block,
};

const GENESIS_TIME: u64 = 1_700_000_000;

/// A chain with its engine, whose forks from `first` on come an epoch apart.
fn network(first: Fork) -> (Chain, DevEngine) {
    let later = Fork::ALL
        .into_iter()
        .filter(|fork| *fork > first && *fork <= Fork::Fulu);
    let options = DevnetOptions {
        genesis_fork: first,
        schedule: later.zip(1..).collect(),
        slot_duration_ms: 2000,
        genesis_time: GENESIS_TIME,
        blob_schedule: Vec::new(),
    };
    let config = devnet_config(Config::standard(), &options).unwrap();
    let validator = |index| GenesisValidator {
        pubkey: Bytes(secret(index).public_key().to_compressed()),
        withdrawal_credentials: Bytes([1; 32]),
    };
    let validators: Vec<GenesisValidator> = (0..64).map(validator).collect();
    let mut state = genesis_state(&config, GENESIS_TIME, &validators).unwrap();
    state.prepare();
    let options = DevOptions {
        blobs_per_block: 1,
        hide_blobs: false,
    };
    let engine = DevEngine::new(&config, GENESIS_TIME, &state.genesis_validators_root, options).unwrap();
    (Chain::from_genesis(config, state), engine)
}

/// What the engine builds for the state's slot on `head`.
fn payload(engine: &DevEngine, chain: &Chain, state: &State, head: Hash32) -> PayloadChoice {
    let attributes = payload_attributes(state, &chain.config, state.slot, Bytes([5; 20])).unwrap();
    let forkchoice = ForkchoiceState {
        head_block_hash: head,
        ..ForkchoiceState::default()
    };
    let (status, id) = engine
        .forkchoice_updated(state.at, &forkchoice, Some(&attributes))
        .unwrap();
    assert_eq!(status.status, Status::Valid);
    PayloadChoice::Built(Box::new(engine.get_payload(state.at, id.unwrap()).unwrap()))
}

/// The sidecars that the block's fork wants, all of them.
fn sidecars(produced: &ProducedBlock, signed: &SignedBeaconBlock) -> usize {
    let (fork, blobs, proofs) = (produced.fork, &produced.blobs, &produced.kzg_proofs);
    let sidecars = if fork >= Fork::Fulu {
        let rows = compute_cells_with_proofs(blobs, proofs).unwrap();
        column_sidecars(fork, signed, &rows)
    } else {
        blob_sidecars(fork, signed, blobs.clone(), proofs)
    };
    match sidecars.unwrap() {
        Sidecars::None => 0,
        Sidecars::Blobs(blobs) => blobs.len(),
        Sidecars::Columns(columns) => columns.len(),
    }
}

#[test]
fn the_dev_engine_and_the_chain_agree_through_all_forks() {
    let (mut chain, engine) = network(Fork::Altair);
    // The chain of proof of work ends in this block, on which the first payload is built.
    let mut head = terminal_block(&chain.config, GENESIS_TIME).unwrap().hash();
    for slot in 1..=6 * SLOTS_PER_EPOCH {
        let state = chain.advanced(slot);
        let choice = if state.at >= Fork::Bellatrix {
            payload(&engine, &chain, &state, head)
        } else {
            PayloadChoice::None
        };
        let produced = produce_block(chain.proposal(&state, choice)).unwrap();
        assert_eq!(produced.left_out, None);
        let signed = sign_block(&produced);
        let mut ctx = Context::collecting(&chain.config, &chain.keys);
        let (_, request) = state_transition(&chain.state, &signed, &mut ctx, true).unwrap();
        assert_eq!(request.is_some(), state.at >= Fork::Bellatrix);
        if let Some(request) = request {
            let status = engine.new_payload(&request).unwrap();
            assert_eq!(status.status, Status::Valid, "slot {slot}: {status:?}");
            assert_eq!(NewPayloadRequest::of_block(state.at, &signed.message), Some(request));
            head = signed.message.body.execution_payload.block_hash;
        }
        let expected = match state.at {
            at if at >= Fork::Fulu => NUMBER_OF_COLUMNS as usize,
            at if at >= Fork::Deneb => 1,
            _ => 0,
        };
        assert_eq!(sidecars(&produced, &signed), expected, "slot {slot}");
        chain.import(&signed).unwrap();
        chain.vote(|_| true);
    }
    assert_eq!(chain.state.at, Fork::Fulu);
    assert_eq!(chain.state.finalized_checkpoint.epoch, 4);
}
