//! A checkpoint and the blocks after it, as files: votes of nearly all, payloads of the built-in engine.

use consensus::helpers::predicates::is_active_validator;
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::Context;
use consensus::ssz::{Bytes, Out, Ssz, U256};
use consensus::transition::{NewPayloadRequest, process_block, process_slots};
use consensus::types::{BeaconState, ExecutionPayload, SignedBeaconBlock, SignedBlockContents, Validator};
use consensus::{Config, Fork, State};
use crypto::bls::{SecretKey, consecutive_public_keys};
use crypto::pubkeys::Pubkeys;
use node::execution::ForkchoiceState;
use node::execution::dev::DevEngine;
use node::genesis::{DevnetOptions, GenesisKey, NetworkFiles, devnet_config, write_keystores, write_network};
use node::production::payload_attributes;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use synthetic::{EPOCH, Shape, Votes, first_secret_key, fulu_state, signed_block_with};

/// Seconds of a slot, as mainnet has them.
const SLOT_SECONDS: u64 = 12;
/// How long after the state is made the last block is due: about the time that making the blocks takes, so that they are
/// of the past when they are published, but not much.
const LEAD_SECONDS: u64 = 30;

/// Keys of the client: what a home staker has, and some more.
const CLIENT_KEYS: usize = 32;

/// What was made.
pub(super) struct Made {
    /// The slot of the checkpoint.
    pub(super) first: u64,
    /// The slot of the last block.
    pub(super) last: u64,
    genesis_time: u64,
}

fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("the clock is right")
}

impl Made {
    /// The slot of the clock.
    pub(super) fn slot_now(&self) -> u64 {
        (now().as_secs() - self.genesis_time) / SLOT_SECONDS
    }

    /// Waits for a slot to begin, which most have long.
    pub(super) fn wait_for(&self, slot: u64) {
        let start = Duration::from_secs(self.genesis_time + slot * SLOT_SECONDS);
        std::thread::sleep(start.saturating_sub(now()));
    }
}

/// The chain as it grows.
struct Growing {
    config: Config,
    state: State,
    keys: Keys,
    engine: DevEngine,
}

/// Makes a network's folder, a checkpoint and so many blocks after it.
pub(super) fn make(folder: &Path, validators: usize, blocks: u64) -> Made {
    fs::create_dir_all(folder).expect("the folder can be made");
    let first = (EPOCH + 1) * SLOTS_PER_EPOCH;
    let mut state = fulu_state(Shape::like_mainnet(validators), &Config::standard());
    let genesis_time = now().as_secs() + LEAD_SECONDS - (first + blocks + 1) * SLOT_SECONDS;
    let options = DevnetOptions {
        genesis_fork: Fork::Fulu,
        schedule: Vec::new(),
        slot_duration_ms: SLOT_SECONDS * 1000,
        genesis_time,
        blob_schedule: Vec::new(),
    };
    let mut config = devnet_config(Config::standard(), &options).expect("the options fit together");
    // With mainnet's the client asks whether the risk is accepted.
    config.deposit_chain_id = 1337;
    state.genesis_time = genesis_time;
    write_genesis(folder, &config, &state);
    write_keys(folder, &state);
    let mut table = Pubkeys::open(&folder.join("keys")).expect("the folder can be written");
    let written = table.append(&consecutive_public_keys(&first_secret_key(), validators));
    written.expect("the folder has room for the keys");
    let mut growing = Growing {
        engine: DevEngine::of_genesis(&config, &state).expect("it is no public network"),
        keys: Keys::with_table(table, &state.validators).expect("the keys are those of the registry"),
        config,
        state,
    };
    process_slots(&mut growing.state, &growing.config, first).expect("slots without blocks");
    // Nobody checks the payload of a checkpoint; the engine takes it on trust.
    let block = growing.extend(|payload| {
        payload.gas_limit = 30_000_000;
        payload.base_fee_per_gas = U256::from(1_000_000_000_u64);
        payload.block_number = 1;
    });
    fs::write(folder.join("block.ssz"), block.encode(Fork::Fulu)).expect("there is room");
    write_state(&folder.join("state.ssz"), &growing.state);
    let header = &growing.state.latest_execution_payload_header;
    growing.engine.trust(Fork::Fulu, header);
    for slot in first + 1..=first + blocks {
        let bytes = growing.next(slot);
        fs::write(folder.join(format!("block_{slot}")), bytes).expect("there is room");
    }
    Made {
        first,
        last: first + blocks,
        genesis_time,
    }
}

/// Keystores of some active validators, in the folder of the client.
fn write_keys(folder: &Path, state: &State) {
    let first = first_secret_key().to_bytes();
    let number = u64::from_be_bytes(*first.last_chunk().expect("32 bytes"));
    let epoch = state.slot / SLOTS_PER_EPOCH;
    let is_active = |(_, validator): &(usize, &Validator)| is_active_validator(validator, epoch);
    let active = state.validators.iter().enumerate().filter(is_active);
    let key = |(index, validator): (usize, &Validator)| {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&(number + index as u64).to_be_bytes());
        GenesisKey {
            signing: SecretKey::from_bytes(&bytes).expect("small numbers are secret keys"),
            pubkey: validator.pubkey,
            withdrawal_pubkey: validator.pubkey,
            path: String::new(),
        }
    };
    // Every thousandth, since those beside each other are alike.
    let keys: Vec<GenesisKey> = active.step_by(1000).take(CLIENT_KEYS).map(key).collect();
    write_keystores(&folder.join("keys-of-client"), &keys).expect("the folder is new");
}

/// The folder of `--network`. Its genesis state tells the chain alone: nobody starts there.
fn write_genesis(folder: &Path, config: &Config, state: &State) {
    let mut genesis = BeaconState::new(Fork::Fulu);
    genesis.genesis_time = state.genesis_time;
    genesis.genesis_validators_root = state.genesis_validators_root;
    genesis.fork = state.fork.clone();
    let state = State::new(Fork::Fulu, genesis);
    let files = NetworkFiles { config, state: &state };
    write_network(&folder.join("network"), &files).expect("the folder is new");
}

fn write_state(path: &Path, state: &State) {
    let mut writer = BufWriter::new(File::create(path).expect("the folder can be written"));
    let mut out = Out::writer(&mut writer);
    state.encode_to(&mut out);
    out.finish()
        .and_then(|()| writer.flush())
        .expect("the folder has room for a state");
}

impl Growing {
    /// The block of the state's slot, with a payload that was changed, applied.
    fn extend(&mut self, change: impl FnOnce(&mut ExecutionPayload)) -> SignedBeaconBlock {
        let (state, config, keys) = (&mut self.state, &self.config, &self.keys);
        let block = signed_block_with(state, config, keys, Votes::Usual, |body| {
            // Blobs would want columns, which cost no memory that stays.
            body.blob_kzg_commitments = Vec::new();
            change(&mut body.execution_payload);
        });
        let block = block.expect("the state can have a block");
        let mut ctx = Context::trusting(config, keys);
        process_block(state, &mut ctx, &block.message).expect("it is valid");
        block
    }

    /// The block of the next slot as a client publishes it, with a payload of the engine.
    fn next(&mut self, slot: u64) -> Vec<u8> {
        process_slots(&mut self.state, &self.config, slot).expect("a slot of a valid state");
        let state = &self.state;
        let attributes = payload_attributes(state, &self.config, slot, Bytes([5; 20])).expect("the state is valid");
        let forkchoice = ForkchoiceState {
            head_block_hash: state.latest_execution_payload_header.block_hash,
            ..ForkchoiceState::default()
        };
        let asked = self
            .engine
            .forkchoice_updated(Fork::Fulu, &forkchoice, Some(&attributes));
        let id = asked.expect("the head is known").1.expect("a payload is built");
        let built = self.engine.get_payload(Fork::Fulu, id).expect("it was just asked for");
        let block = self.extend(|payload| *payload = built.payload);
        let request = NewPayloadRequest::of_block(Fork::Fulu, &block.message).expect("it has a payload");
        self.engine.new_payload(&request).expect("it is the engine's own");
        let contents = SignedBlockContents {
            signed_block: block,
            kzg_proofs: Vec::new(),
            blobs: Vec::new(),
        };
        contents.encode(Fork::Fulu)
    }
}
