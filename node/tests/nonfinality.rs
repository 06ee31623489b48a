//! Thousands of slots without finality: what is kept in memory and on disk stays within limits, and what was dropped is
//! made again when it is wanted.

use super::chain::{Chain, VALIDATORS, config_at, genesis, sign_block, vote_data};
use consensus::fork_choice::AttestationAction;
use consensus::helpers::accessors::get_beacon_committee;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::Context;
use consensus::ssz::{BitList, Root, Ssz};
use consensus::types::{Attestation, SignedBeaconBlock, Slot};
use consensus::{Fork, State};
use node::chain::{Imported, NewBlock, Source};
use node::execution::Engine;
use node::execution::dev::{DevEngine, DevOptions};
use node::run::{Memory, Parts, Running, start_within};
use node::start::Anchor;
use node::stop::Stop;
use node::work::Lane;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storage::{Identity, Storage};

/// How long the chain goes without finality, in slots.
const SLOTS: u64 = 4096;
/// A block comes every so many slots; nobody votes.
const EVERY: u64 = 12;
/// Bytes for states: some fifteen of this small registry.
const LIMIT: usize = 4 << 20;

async fn begin(config: &consensus::Config, state: State, storage: Storage) -> Running {
    let options = DevOptions {
        blobs_per_block: 0,
        hide_blobs: false,
    };
    let engine = DevEngine::new(config, state.genesis_time, &state.genesis_validators_root, options).unwrap();
    let anchor = Anchor::genesis(state).unwrap();
    storage.save_state(&anchor.state, &anchor.root).unwrap();
    let parts = Parts {
        config: Arc::new(config.clone()),
        keys: Keys::of(&anchor.state).unwrap(),
        anchor,
        storage,
        engine: Arc::new(Engine::Dev(Arc::new(engine))),
        fee_recipient: consensus::ssz::Bytes([0xfe; 20]),
        safe_slots: 128,
        builder: None,
    };
    let memory = Memory {
        states: LIMIT,
        ..Memory::default()
    };
    start_within(parts, memory, Stop::new()).await.unwrap()
}

async fn import(running: &Running, signed: SignedBeaconBlock, source: Source) {
    let slot = signed.message.slot;
    let imported = running.chain.import_block(NewBlock {
        block: Arc::new(signed),
        columns: Vec::new(),
        blobs: Vec::new(),
        source,
        received_ms: 0,
    });
    assert_eq!(imported.await.unwrap(), Imported::Done, "slot {slot}");
}

/// The next block of the chain, without a vote in it.
fn next(chain: &mut Chain, slot: Slot) -> (Root, SignedBeaconBlock) {
    let produced = chain.produce(slot);
    let signed = sign_block(&produced);
    chain.state = State::clone(&produced.post_state);
    (signed.message.hash_tree_root(Fork::Phase0), signed)
}

/// What is kept is within the limits.
fn check_limits(running: &Running) {
    let snapshot = running.chain.snapshot();
    assert_eq!(snapshot.finalized().epoch, 0);
    let (states, bytes) = (snapshot.view.states_len(), snapshot.state_bytes);
    assert!(states <= 24 && bytes <= LIMIT, "{states} states of {bytes} bytes");
    let of_checkpoints = snapshot.view.checkpoint_states_len();
    assert!(of_checkpoints <= 10, "{of_checkpoints} states of checkpoints");
    // Every epoch of the last 64, every 32nd before, and the anchors.
    let on_disk = running.storage.states().unwrap().len() as u64;
    let most = 64 + SLOTS / SLOTS_PER_EPOCH / 32 + 4;
    assert!(on_disk <= most, "{on_disk} states on disk, {most} at most");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_disk_stay_bounded_without_finality() {
    let config = config_at(Fork::Phase0);
    let mut state = genesis(&config, VALIDATORS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    state.genesis_time = now - (SLOTS + 2) * config.slot_duration_ms / 1000;
    let folder = std::env::temp_dir().join(format!("wren-nonfinality-{}", std::process::id()));
    let identity = Identity::of(state.genesis_validators_root);
    let storage = Storage::open(&folder, &identity, &crate::storage_options()).unwrap();
    let running = begin(&config, state.clone(), storage.clone()).await;
    let mut chain = Chain::from_genesis(config.clone(), state);
    let mut old = None;
    let numbers: Vec<u64> = (1..=SLOTS / EVERY).collect();
    for some in numbers.chunks(32) {
        // As at a restart: the blocks are on disk already, many in one batch, since each would wait for the disk.
        let mut batch = storage.batch();
        let mut blocks = Vec::new();
        for number in some {
            let (root, signed) = next(&mut chain, number * EVERY);
            batch.put_block(&root, Fork::Phase0, &signed);
            blocks.push(signed);
            if *number == SLOTS / EVERY / 3 {
                old = Some((root, chain.state.clone()));
            }
        }
        batch.commit().unwrap();
        for signed in blocks {
            import(&running, signed, Source::Replay).await;
        }
        check_limits(&running);
    }
    let (old_root, old_state) = old.unwrap();
    builds_on_an_old_head(&running, &config, old_root, &old_state).await;
    check_limits(&running);
    running.end().await;
    // Nothing was final, so a restart begins at genesis whatever is on disk.
    let anchor = Anchor::stored(&storage).unwrap().unwrap();
    assert_eq!(anchor.state.slot, 0);
    let last = storage.states().unwrap().last().unwrap().slot;
    assert!(last > SLOTS / 2, "the states on disk end at slot {last}");
    drop(storage);
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn builds_on_an_old_head(running: &Running, config: &consensus::Config, old_root: Root, old_state: &State) {
    let snapshot = running.chain.snapshot();
    assert!(snapshot.view.state(&old_root).is_none(), "its state is still there");
    // A vote for it, as a block may have it: the check asks for the state.
    let vote = old_vote(old_state);
    let keys = Arc::clone(&snapshot.keys);
    let check = |view: &consensus::fork_choice::View| {
        let mut ctx = Context::trusting(view.config(), &keys);
        view.validate_attestation(&mut ctx, &vote, true)
    };
    assert!(matches!(check(&snapshot.view), AttestationAction::DelayUntilState(_)));
    let needed = |action: &AttestationAction| match action {
        AttestationAction::DelayUntilState(root) => Some(*root),
        _ => None,
    };
    let action = snapshot.states.check(&snapshot, check, needed).unwrap();
    assert!(matches!(action, AttestationAction::Accept(_)), "{action:?}");
    // The state itself, for whoever asks.
    let made = running.chain.state_at(old_root, old_state.slot, Lane::Api).await;
    let made = made.unwrap().unwrap();
    assert_eq!(made.hash_tree_root(), old_state.hash_tree_root());
    // And two blocks on top of it.
    let mut branch = Chain::from_genesis(config.clone(), old_state.clone());
    for slot in [old_state.slot + 1, old_state.slot + 2] {
        let (root, signed) = next(&mut branch, slot);
        import(running, signed, Source::Sync).await;
        assert!(running.chain.snapshot().view.blocks().get(&root).is_some() || published(running, root).await);
    }
}

/// Waits until a block is in the snapshot: it is acknowledged when on disk, and published a moment later or before.
async fn published(running: &Running, root: Root) -> bool {
    for _ in 0..500 {
        if running.chain.snapshot().block(&root).is_some() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// The vote of the first member of the committee of the state's slot for its latest block.
fn old_vote(state: &State) -> Attestation {
    let committee = get_beacon_committee(state, state.slot, 0).unwrap();
    let data = vote_data(state, state.slot, 0);
    assert_eq!(data.target.epoch, compute_epoch_at_slot(state.slot));
    Attestation {
        aggregation_bits: (0..committee.len()).map(|place| place == 0).collect::<BitList>(),
        data,
        ..Attestation::default()
    }
}
