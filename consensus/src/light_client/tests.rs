//! Each rule broken once, on a chain of three blocks: a finalized, an attested and a signing one. Valid data of every
//! fork, across forks too, is in the vectors.

use super::*;
use crate::constants::DOMAIN_SYNC_COMMITTEE;
use crate::preset::{EPOCHS_PER_SYNC_COMMITTEE_PERIOD, SLOTS_PER_EPOCH, SYNC_COMMITTEE_SIZE, UPDATE_TIMEOUT};
use crate::signing::{compute_domain, compute_signing_root};
use crate::ssz::{BitVector, Bytes, Root, Ssz};
use crate::types::{
    BeaconBlock, BeaconBlockBody, BeaconState, Checkpoint, LightClientBootstrap, LightClientHeader, LightClientUpdate,
    SignedBeaconBlock, SyncAggregate, SyncCommittee,
};
use crate::{Config, Fork, Invalid, State};
use crypto::bls::{AggregateSignature, SecretKey};

const GENESIS_ROOT: Root = Bytes([9; 32]);
const FINALIZED: Slot = SLOTS_PER_EPOCH;
const ATTESTED: Slot = 3 * SLOTS_PER_EPOCH;
const PERIOD: Slot = EPOCHS_PER_SYNC_COMMITTEE_PERIOD * SLOTS_PER_EPOCH;

fn key(number: u8) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[31] = number;
    SecretKey::from_bytes(&bytes).unwrap()
}

fn committee(number: u8) -> SyncCommittee {
    let pubkey = Bytes(key(number).public_key().to_compressed());
    SyncCommittee {
        pubkeys: vec![pubkey; SYNC_COMMITTEE_SIZE as usize].into(),
        aggregate_pubkey: pubkey,
    }
}

/// The signatures of the first `participants` members, all of whom have key 1.
fn aggregate(config: &Config, header: &LightClientHeader, participants: usize) -> SyncAggregate {
    let domain = compute_domain(DOMAIN_SYNC_COMMITTEE, config.compute_fork_version(0), GENESIS_ROOT);
    let message = compute_signing_root(&header.beacon, Fork::Phase0, domain);
    let signature = key(1).sign(&message.0);
    let mut sum = AggregateSignature::new();
    let mut bits = BitVector::new(SYNC_COMMITTEE_SIZE as usize);
    for index in 0..participants {
        sum.add(&signature);
        bits.set(index, true);
    }
    SyncAggregate {
        sync_committee_bits: bits,
        sync_committee_signature: Bytes(sum.signature().to_bytes()),
    }
}

/// A block with its post state.
fn block(
    at: Fork,
    slot: Slot,
    parent_root: Root,
    finalized: Checkpoint,
    sync_aggregate: Option<SyncAggregate>,
) -> (State, SignedBeaconBlock) {
    let mut body = BeaconBlockBody::new(at);
    if let Some(sync_aggregate) = sync_aggregate {
        body.sync_aggregate = sync_aggregate;
    }
    let mut state = State::new(at, BeaconState::new(at));
    state.slot = slot;
    state.finalized_checkpoint = finalized;
    state.current_sync_committee = committee(1);
    state.next_sync_committee = committee(2);
    state.latest_block_header.slot = slot;
    state.latest_block_header.parent_root = parent_root;
    state.latest_block_header.body_root = body.hash_tree_root(at);
    let message = BeaconBlock {
        slot,
        parent_root,
        state_root: state.hash_tree_root(),
        body,
        ..BeaconBlock::default()
    };
    let signature = Bytes::ZERO;
    (state, SignedBeaconBlock { message, signature })
}

struct Fixture {
    config: Config,
    store: LightClientStore,
    update: LightClientUpdate,
}

impl Fixture {
    fn new(at: Fork, participants: usize) -> Self {
        let config = Config::standard().with_forks_at_genesis(at);
        let first = block(at, FINALIZED, Root::ZERO, Checkpoint::default(), None);
        let root = first.1.message.hash_tree_root(at);
        let attested = block(at, ATTESTED, root, Checkpoint { epoch: 1, root }, None);
        let header = block_to_light_client_header(&config, at, &attested.1).unwrap();
        let signatures = aggregate(&config, &header, participants);
        let parent_root = header.beacon.hash_tree_root(at);
        let signing = block(at, ATTESTED + 1, parent_root, Checkpoint::default(), Some(signatures));
        let (signing, attested) = ((&signing.0, &signing.1), (&attested.0, &attested.1));
        let update = create_light_client_update(&config, signing, attested, Some(&first.1)).unwrap();
        let bootstrap = create_light_client_bootstrap(&config, &first.0, &first.1).unwrap();
        let store = initialize_light_client_store(&config, at, root, bootstrap).unwrap();
        Fixture { config, store, update }
    }

    /// Processes the update changed by `change`.
    fn process(&mut self, change: impl FnOnce(&mut LightClientUpdate)) -> Result<(), Invalid> {
        let mut update = self.update.clone();
        change(&mut update);
        let current_slot = update.signature_slot;
        process_light_client_update(&mut self.store, &self.config, &update, current_slot, GENESIS_ROOT)
    }

    /// The rule that refuses the changed update, which must leave the store as it was.
    fn refusal(&mut self, change: impl FnOnce(&mut LightClientUpdate)) -> &'static str {
        let before = self.store.clone();
        let error = self.process(change).expect_err("the change breaks a rule");
        assert_eq!(self.store, before);
        error.rule
    }
}

fn all() -> usize {
    SYNC_COMMITTEE_SIZE as usize
}

#[test]
fn a_valid_update_brings_the_next_committee_and_the_optimistic_header() {
    for at in [Fork::Altair, Fork::Capella, Fork::Deneb, Fork::Fulu, Fork::Gloas] {
        let mut fixture = Fixture::new(at, all());
        assert!(!is_next_sync_committee_known(&fixture.store));
        fixture.process(|_| ()).unwrap();
        assert_eq!(fixture.store.next_sync_committee, committee(2));
        assert_eq!(fixture.store.optimistic_header.beacon.slot, ATTESTED);
        assert_eq!(fixture.store.finalized_header.beacon.slot, FINALIZED);
        assert_eq!(get_safety_threshold(&fixture.store), SYNC_COMMITTEE_SIZE / 2);
        assert_eq!(fixture.store.best_valid_update, None);
    }
}

#[test]
fn each_broken_rule_is_named() {
    for at in [Fork::Electra, Fork::Gloas] {
        let mut fixture = Fixture::new(at, all());
        let wrong = Bytes([7; 32]);
        let refusal = fixture.refusal(|update| update.sync_aggregate.sync_committee_bits = BitVector::new(all()));
        assert_eq!(refusal, "update participants");
        assert_eq!(
            fixture.refusal(|update| update.attested_header.execution_branch[0] = wrong),
            "attested header"
        );
        assert_eq!(
            fixture.refusal(|update| update.signature_slot = ATTESTED),
            "update slots"
        );
        assert_eq!(
            fixture.refusal(|update| update.finalized_header.beacon.slot = ATTESTED + 1),
            "update slots"
        );
        assert_eq!(
            fixture.refusal(|update| update.signature_slot += PERIOD),
            "update period"
        );
        assert_eq!(
            fixture.refusal(|update| update.finality_branch.fill(Root::ZERO)),
            "finalized header"
        );
        assert_eq!(
            fixture.refusal(|update| update.finalized_header.execution_branch[0] = wrong),
            "finalized header"
        );
        assert_eq!(
            fixture.refusal(|update| update.finality_branch[0] = wrong),
            "finality branch"
        );
        assert_eq!(
            fixture.refusal(|update| update.finalized_header.beacon.parent_root = wrong),
            "finality branch"
        );
        assert_eq!(
            fixture.refusal(|update| update.next_sync_committee_branch.fill(Root::ZERO)),
            "next sync committee"
        );
        assert_eq!(
            fixture.refusal(|update| update.next_sync_committee = committee(3)),
            "next sync committee branch"
        );
        let other = aggregate(&fixture.config, &fixture.store.finalized_header, all());
        assert_eq!(
            fixture.refusal(|update| update.sync_aggregate = other),
            "update signature"
        );
        let refusal = fixture.refusal(|update| {
            update.sync_aggregate.sync_committee_bits.set(0, false);
        });
        assert_eq!(refusal, "update signature");
        fixture.process(|_| ()).unwrap();
    }
}

#[test]
fn an_update_must_be_new_and_agree_with_what_is_known() {
    let mut fixture = Fixture::new(Fork::Fulu, all());
    fixture.process(|_| ()).unwrap();
    fixture.store.next_sync_committee = committee(3);
    assert_eq!(fixture.refusal(|_| ()), "next sync committee");
    fixture.store.finalized_header.beacon.slot = ATTESTED;
    assert_eq!(fixture.refusal(|_| ()), "update relevance");
}

#[test]
fn an_update_is_not_taken_before_its_time() {
    let mut fixture = Fixture::new(Fork::Fulu, all());
    let (update, config) = (fixture.update.clone(), &fixture.config);
    let error = process_light_client_update(&mut fixture.store, config, &update, ATTESTED, GENESIS_ROOT).unwrap_err();
    assert_eq!(error.rule, "update slots");
    let other_chain = Root::ZERO;
    let error =
        process_light_client_update(&mut fixture.store, config, &update, ATTESTED + 1, other_chain).unwrap_err();
    assert_eq!(error.rule, "update signature");
}

#[test]
fn without_two_thirds_an_update_waits_until_it_is_forced() {
    let mut fixture = Fixture::new(Fork::Fulu, all() / 2);
    fixture.process(|_| ()).unwrap();
    let store = &mut fixture.store;
    assert_eq!(store.best_valid_update.as_ref(), Some(&fixture.update));
    assert!(!is_next_sync_committee_known(store));
    process_light_client_store_force_update(store, FINALIZED + UPDATE_TIMEOUT).unwrap();
    assert!(store.best_valid_update.is_some());
    process_light_client_store_force_update(store, FINALIZED + UPDATE_TIMEOUT + 1).unwrap();
    assert_eq!(store.best_valid_update, None);
    assert_eq!(store.finalized_header.beacon.slot, ATTESTED);
    assert_eq!(store.next_sync_committee, committee(2));
}

#[test]
fn a_forced_update_of_another_period_is_refused_and_kept() {
    let mut fixture = Fixture::new(Fork::Fulu, all());
    let mut update = fixture.update.clone();
    update.finalized_header.beacon.slot = FINALIZED + PERIOD;
    fixture.store.best_valid_update = Some(update);
    let before = fixture.store.clone();
    let error = process_light_client_store_force_update(&mut fixture.store, u64::MAX).unwrap_err();
    assert_eq!(error.rule, "update finalized period");
    assert_eq!(fixture.store, before);
}

#[test]
fn the_next_period_moves_the_committees_on() {
    let mut fixture = Fixture::new(Fork::Fulu, all());
    fixture.process(|_| ()).unwrap();
    let mut update = fixture.update.clone();
    update.finalized_header.beacon.slot = FINALIZED + PERIOD;
    update.next_sync_committee = committee(3);
    apply_light_client_update(&mut fixture.store, &update).unwrap();
    assert_eq!(fixture.store.current_sync_committee, committee(2));
    assert_eq!(fixture.store.next_sync_committee, committee(3));
    assert_eq!(fixture.store.current_max_active_participants, 0);
    assert_eq!(fixture.store.previous_max_active_participants, SYNC_COMMITTEE_SIZE);
    assert_eq!(fixture.store.optimistic_header, fixture.store.finalized_header);
}

#[test]
fn finality_and_optimistic_updates_bring_their_part() {
    let fixture = Fixture::new(Fork::Gloas, all());
    let config = &fixture.config;
    let current_slot = ATTESTED + 1;
    let mut store = fixture.store.clone();
    let update = create_light_client_optimistic_update(&fixture.update);
    process_light_client_optimistic_update(&mut store, config, update, current_slot, GENESIS_ROOT).unwrap();
    assert_eq!(store.optimistic_header, fixture.update.attested_header);
    let mut store = fixture.store.clone();
    let mut update = create_light_client_finality_update(&fixture.update);
    process_light_client_finality_update(&mut store, config, update.clone(), current_slot, GENESIS_ROOT).unwrap();
    assert_eq!(store.optimistic_header, fixture.update.attested_header);
    assert!(!is_next_sync_committee_known(&store));
    update.finality_branch[0] = Bytes([7; 32]);
    let error = process_light_client_finality_update(&mut store, config, update, current_slot, GENESIS_ROOT);
    assert_eq!(error.unwrap_err().rule, "finality branch");
}

#[test]
fn a_bootstrap_must_be_the_trusted_one() {
    let at = Fork::Fulu;
    let config = Config::standard().with_forks_at_genesis(at);
    let (state, block) = block(at, FINALIZED, Root::ZERO, Checkpoint::default(), None);
    let root = block.message.hash_tree_root(at);
    let bootstrap = create_light_client_bootstrap(&config, &state, &block).unwrap();
    let refusal = |root: Root, change: fn(&mut LightClientBootstrap)| {
        let mut bootstrap = bootstrap.clone();
        change(&mut bootstrap);
        let store = initialize_light_client_store(&config, at, root, bootstrap);
        store.expect_err("the bootstrap is wrong").rule
    };
    assert_eq!(refusal(Root::ZERO, |_| ()), "bootstrap block root");
    assert_eq!(
        refusal(root, |bootstrap| bootstrap.current_sync_committee = committee(2)),
        "bootstrap sync committee branch"
    );
    assert_eq!(
        refusal(root, |bootstrap| bootstrap.header.execution.gas_used = 1),
        "bootstrap header"
    );
    assert!(initialize_light_client_store(&config, at, root, bootstrap.clone()).is_ok());
}

#[test]
fn data_is_made_from_fitting_states_and_blocks_only() {
    let at = Fork::Fulu;
    let config = Config::standard().with_forks_at_genesis(at);
    let (mut state, block) = block(at, FINALIZED, Root::ZERO, Checkpoint::default(), None);
    let altair_never = Config::standard().with_forks_at_genesis(Fork::Phase0);
    let error = create_light_client_bootstrap(&altair_never, &state, &block).unwrap_err();
    assert_eq!(error.rule, "light client fork");
    let pair = (&state, &block);
    let error = create_light_client_update(&config, pair, pair, None).unwrap_err();
    assert_eq!(error.rule, "update participants");
    state.slot += 1;
    let error = create_light_client_bootstrap(&config, &state, &block).unwrap_err();
    assert_eq!(error.rule, "light client state");
}

#[test]
fn a_branch_may_begin_with_zeros_only() {
    let (leaf, sibling) = (Bytes([1; 32]), Bytes([2; 32]));
    let root = Bytes(crypto::hash::hash2(&leaf.0, &sibling.0));
    let valid = |branch: &[Root]| is_valid_normalized_merkle_branch(&leaf, branch, 2, &root);
    assert!(valid(&[sibling]));
    assert!(valid(&[Root::ZERO, Root::ZERO, sibling]));
    assert!(!valid(&[sibling, Root::ZERO]));
    assert!(!valid(&[leaf, sibling]));
    assert!(!valid(&[]));
    assert_eq!(
        normalize_merkle_branch(&[sibling], 9).to_vec(),
        [Root::ZERO, Root::ZERO, sibling]
    );
    assert_eq!(normalize_merkle_branch(&[sibling, leaf], 2).to_vec(), [sibling, leaf]);
    assert_eq!(get_subtree_index(87), 23);
}

#[test]
fn an_upgraded_store_is_one_of_the_later_form() {
    let mut fixture = Fixture::new(Fork::Electra, all() / 2);
    fixture.process(|_| ()).unwrap();
    let config = &fixture.config;
    let mut store = fixture.store.clone();
    upgrade_lc_store(config, &mut store, Fork::Deneb);
    assert_eq!(store, fixture.store);
    let execution_root = get_lc_execution_root(config, store.at, &store.optimistic_header);
    upgrade_lc_store(config, &mut store, Fork::Gloas);
    assert_eq!(store.at, Fork::Gloas);
    assert_eq!(
        get_lc_execution_root(config, store.at, &store.optimistic_header),
        execution_root
    );
    assert!(is_valid_light_client_header(config, store.at, &store.finalized_header));
    let update = store.best_valid_update.clone().unwrap();
    assert_eq!(
        update.encode(Fork::Gloas).len(),
        LightClientUpdate::new(Fork::Gloas).encode(Fork::Gloas).len()
    );
    process_light_client_update(&mut store, config, &update, ATTESTED + 1, GENESIS_ROOT).unwrap();
}
