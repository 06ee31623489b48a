//! Genesis states against those that others made, and as the start of a chain.

use super::*;
use crate::testing;
use consensus::config::BlobParameters;
use consensus::keys::Keys;
use consensus::signing::Context;
use consensus::ssz::{Bytes, U256};
use consensus::transition::genesis::{initialize_beacon_state_from_eth1, is_valid_genesis_state};
use consensus::transition::upgrade::upgrade_to;

const TIME: u64 = 1_700_000_000;

fn validators(count: u64) -> Vec<GenesisValidator> {
    (0..count)
        .map(|index| GenesisKey::interop(index).validator(Withdrawals::Address(None)))
        .collect()
}

fn options(genesis_fork: Fork) -> DevnetOptions {
    DevnetOptions {
        genesis_fork,
        schedule: Vec::new(),
        slot_duration_ms: 2000,
        genesis_time: TIME,
        blob_schedule: Vec::new(),
    }
}

fn config(options: &DevnetOptions) -> Result<Config> {
    devnet_config(Config::network("devnet").unwrap(), options)
}

/// A public devnet's genesis at Fulu, made by another tool from keys, credentials, time and execution block: ours of the
/// same is equal but for the sync committee, which that tool draws with a seed of its own.
#[test]
fn a_public_devnets_genesis_is_made_again() {
    let Some(theirs) = testing::real_state("gloas-devnet-3/genesis.ssz_snappy", Fork::Fulu) else {
        return;
    };
    let Some(text) = testing::real_text("gloas-devnet-3/config.yaml") else {
        return;
    };
    let config = Config::from_yaml(&text).unwrap().config;
    let validators: Vec<GenesisValidator> = theirs
        .validators
        .iter()
        .map(|validator| GenesisValidator {
            pubkey: validator.pubkey,
            withdrawal_credentials: validator.withdrawal_credentials,
        })
        .collect();
    let block = BlockHeader::of_payload_header(Fork::Fulu, &theirs.latest_execution_payload_header);
    let hash = theirs.latest_execution_payload_header.block_hash;
    let mut ours = state_on_block(&config, theirs.genesis_time, &validators, &block, hash).unwrap();
    assert_eq!(ours.genesis_validators_root, theirs.genesis_validators_root);
    // Field by field first, since a root tells nothing.
    assert_eq!(ours.latest_block_header, theirs.latest_block_header);
    assert_eq!(ours.beacon.fork, theirs.beacon.fork);
    assert_eq!(ours.eth1_data, theirs.eth1_data);
    assert_eq!(ours.proposer_lookahead, theirs.proposer_lookahead);
    assert_eq!(ours.current_sync_committee, ours.next_sync_committee);
    ours.current_sync_committee = theirs.current_sync_committee.clone();
    ours.next_sync_committee = theirs.next_sync_committee.clone();
    assert_eq!(
        ours.latest_execution_payload_header,
        theirs.latest_execution_payload_header
    );
    assert_eq!(ours.hash_tree_root(), theirs.hash_tree_root());
}

/// The spec's own initialisation with no deposit, and then our validators: all that differs is the registry.
#[test]
fn at_phase0_it_is_the_specs_but_for_the_deposits() {
    let config = config(&options(Fork::Phase0)).unwrap();
    let ours = genesis_state(&config, TIME, &validators(64)).unwrap();
    let keys = Keys::default();
    let eth1_block_hash = genesis_block(&config, TIME).hash();
    let mut spec =
        initialize_beacon_state_from_eth1(&mut Context::verifying(&config, &keys), eth1_block_hash, TIME, &[]).unwrap();
    spec.eth1_data.deposit_root = ours.eth1_data.deposit_root;
    spec.validators = ours.validators.clone();
    spec.balances = ours.balances.clone();
    spec.genesis_validators_root = ours.genesis_validators_root;
    assert_eq!(ours.hash_tree_root(), spec.hash_tree_root());
    assert!(is_valid_genesis_state(&ours, &config));
}

#[test]
fn every_fork_can_be_at_genesis() {
    for fork in Fork::ALL.into_iter().take_while(|fork| *fork <= Fork::Fulu) {
        let config = config(&options(fork)).unwrap();
        let state = genesis_state(&config, TIME, &validators(64)).unwrap();
        assert_eq!(state.at, fork);
        assert_eq!(state.beacon.fork.current_version, config.fork_version(fork));
        let again = State::decode(&state.encode(), fork).unwrap();
        assert_eq!(again.hash_tree_root(), state.hash_tree_root(), "{fork}");
        let hash = state.latest_execution_payload_header.block_hash;
        let block = genesis_block(&config, TIME);
        assert_eq!(state.eth1_data.block_hash, block.hash(), "{fork}");
        assert_eq!(
            hash,
            if fork >= Fork::Bellatrix {
                block.hash()
            } else {
                Bytes::ZERO
            },
            "{fork}"
        );
        let indices = (
            state.eth1_deposit_index,
            state.eth1_data.deposit_count,
            state.deposit_requests_start_index,
        );
        assert_eq!(indices, (0, 0, 0), "{fork}");
        // What is written is read back, by our own strict reader.
        let parsed = Config::from_yaml(&config.to_yaml()).unwrap();
        assert_eq!((parsed.config, parsed.missing), (config, Vec::new()), "{fork}");
    }
}

#[test]
fn forks_may_be_scheduled_in_turn() {
    let schedule: Vec<(Fork, u64)> = (1..=6).map(|place| (Fork::ALL[place], place as u64 * 2)).collect();
    let scheduled = DevnetOptions {
        schedule: schedule.clone(),
        ..options(Fork::Phase0)
    };
    let config = config(&scheduled).unwrap();
    for (fork, epoch) in schedule {
        assert_eq!(config.fork_epoch(fork), epoch);
    }
    assert_eq!(config.gloas_fork_epoch, FAR_FUTURE_EPOCH);
    assert_eq!(config.terminal_total_difficulty, U256::from(2));
    let mut state = genesis_state(&config, TIME, &validators(64)).unwrap();
    assert_eq!(state.at, Fork::Phase0);
    for fork in [Fork::Altair, Fork::Bellatrix] {
        upgrade_to(&mut state, &config, fork).unwrap();
    }
    assert!(
        state.latest_execution_payload_header.block_hash.is_zero(),
        "the merge is still to come"
    );
}

#[test]
fn contradictions_are_refused_with_their_reason() {
    let refused = |change: &dyn Fn(&mut DevnetOptions)| {
        let mut options = options(Fork::Phase0);
        change(&mut options);
        config(&options).unwrap_err().to_string()
    };
    let skipped = refused(&|options| options.schedule = vec![(Fork::Bellatrix, 1)]);
    assert!(
        skipped.contains("after phase0 comes altair, not bellatrix"),
        "{skipped}"
    );
    let back = refused(&|options| options.schedule = vec![(Fork::Altair, 3), (Fork::Bellatrix, 2)]);
    assert!(back.contains("bellatrix at epoch 2"), "{back}");
    let merge = refused(&|options| {
        options.schedule = vec![(Fork::Altair, 1), (Fork::Bellatrix, 2), (Fork::Capella, 2)];
    });
    assert!(merge.contains("move capella"), "{merge}");
    let blobs = refused(&|options| {
        options.blob_schedule = vec![BlobParameters {
            epoch: 1,
            max_blobs_per_block: 12,
        }];
    });
    assert!(blobs.contains("BLOB_SCHEDULE"), "{blobs}");

    let fulu = config(&options(Fork::Fulu)).unwrap();
    let few = genesis_state(&fulu, TIME, &validators(SLOTS_PER_EPOCH - 1))
        .unwrap_err()
        .to_string();
    assert!(few.contains("too few"), "{few}");
    let mut short = fulu.clone();
    short.slot_duration_ms = 500;
    let short = genesis_state(&short, TIME, &validators(SLOTS_PER_EPOCH))
        .unwrap_err()
        .to_string();
    assert!(short.contains("500 ms"), "{short}");
    let gloas = config(&options(Fork::Gloas)).unwrap();
    let gloas = genesis_state(&gloas, TIME, &validators(SLOTS_PER_EPOCH))
        .unwrap_err()
        .to_string();
    assert!(gloas.contains("gloas is the fork at genesis"), "{gloas}");
}

#[test]
fn the_folder_has_what_clients_look_for() {
    let folder = testing::Scratch::new("genesis");
    let config = config(&options(Fork::Electra)).unwrap();
    let state = genesis_state(&config, TIME, &validators(64)).unwrap();
    let files = NetworkFiles {
        config: &config,
        state: &state,
    };
    write_network(folder.path(), &files).unwrap();
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("genesis.ssz"), state.encode());
    assert_eq!(String::from_utf8(read("config.yaml")).unwrap(), config.to_yaml());
    assert_eq!(read("deposit_contract_block.txt"), b"0\n");
    let again = write_network(folder.path(), &files).unwrap_err().to_string();
    assert!(again.contains("holds a network already"), "{again}");

    let keys: Vec<GenesisKey> = (0..2).map(GenesisKey::interop).collect();
    let written = write_keystores(&folder.path().join("keys"), &keys).unwrap();
    let password = std::fs::read_to_string(folder.path().join("keys/password.txt")).unwrap();
    for (key, file) in keys.iter().zip(written) {
        let keystore = crypto::keystore::Keystore::from_json(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(*keystore.decrypt(&password).unwrap(), *key.signing.to_bytes());
    }
}
