//! Where a node starts: from genesis, from a checkpoint, anew; and the checkpoint that its chain must have.

use super::chain::{Chain, VALIDATORS, config_at, genesis};
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, Root, Ssz};
use consensus::types::{Checkpoint, Slot};
use consensus::{Fork, State};
use crypto::pubkeys::Pubkeys;
use node::chain::{Imported, NewBlock, Source};
use node::checkpoint;
use node::execution::Engine;
use node::execution::dev::DevEngine;
use node::options::{Address, EngineChoice, Options, StartOptions, begin};
use node::run::{Parts, Running, start};
use node::start::Anchor;
use node::stop::Stop;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storage::{Identity, Storage};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(2);

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wren-start-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left over where the database is still closing; the system clears it away.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A chain of phase 0, which needs no payloads, whose genesis was so many slots ago.
fn chain_since(slots: Slot) -> (Chain, State) {
    let config = config_at(Fork::Phase0);
    let mut state = genesis(&config, VALIDATORS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    state.genesis_time = now - slots * config.slot_duration_ms / 1000;
    (Chain::from_genesis(config, state.clone()), state)
}

/// Writes the checkpoint of a chain's head; gives its files.
fn write_checkpoint(chain: &mut Chain, slot: Slot, folder: &Folder) -> (checkpoint::Source, Root) {
    let block = chain.extend(slot);
    let (state, of_block) = (folder.path("state.ssz"), folder.path("block.ssz"));
    fs::write(&state, chain.state.encode()).unwrap();
    fs::write(&of_block, block.encode(Fork::Phase0)).unwrap();
    let source = checkpoint::Source::Files { state, block: of_block };
    (source, block.message.hash_tree_root(Fork::Phase0))
}

fn options(chain: &Chain, datadir: &Path, genesis: &Path, start: StartOptions) -> Options {
    let any_port = Address {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
    };
    Options {
        config: chain.config.clone(),
        datadir: datadir.to_owned(),
        genesis_state: Some(genesis.to_owned()),
        start,
        engine: EngineChoice::Dev,
        safe_slots: 128,
        fee_recipient: Bytes([1; 20]),
        builder: None,
        http: any_port,
        network: None,
        metrics: None,
    }
}

/// Starts a node, looks at its head and stops it.
async fn head_of(options: Options) -> anyhow::Result<Root> {
    let folder = options.datadir.clone();
    let running = Box::pin(begin(options, Stop::new())).await?;
    let head = running.chain.snapshot().head.root;
    running.end().await;
    wait_until_closed(&folder).await;
    Ok(head)
}

/// Waits for the tasks that had the database when the node ended.
async fn wait_until_closed(folder: &Path) {
    let closed = async {
        while let Err(error) = Storage::claim(folder) {
            assert!(matches!(error, storage::Error::InUse(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn resync_drops_the_database_and_nothing_else() {
    let folder = Folder::new("resync");
    let (mut chain, genesis_state) = chain_since(SLOTS_PER_EPOCH + 10);
    let (genesis, datadir) = (folder.path("genesis.ssz"), folder.path("node"));
    fs::write(&genesis, genesis_state.encode()).unwrap();
    let genesis_root = Anchor::genesis(genesis_state).unwrap().root;
    let (source, root) = write_checkpoint(&mut chain, SLOTS_PER_EPOCH, &folder);
    let begun = async |start: StartOptions| head_of(options(&chain, &datadir, &genesis, start)).await;
    let with = |resync: bool, wss: Option<Checkpoint>| StartOptions {
        checkpoint: Some(source.clone()),
        resync,
        wss,
        ..StartOptions::default()
    };
    assert_eq!(begun(StartOptions::default()).await.unwrap(), genesis_root);
    let other = datadir.join("network").join("key");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "secret").unwrap();
    // What the database holds comes before a checkpoint, unless it is dropped.
    assert_eq!(begun(with(false, None)).await.unwrap(), genesis_root);
    assert_eq!(begun(with(true, None)).await.unwrap(), root);
    assert_eq!(fs::read_to_string(&other).unwrap(), "secret");
    assert_eq!(begun(StartOptions::default()).await.unwrap(), root, "it is kept");
    // The chain must have the checkpoint that is named, from the start.
    let named = |root: Root| Some(Checkpoint { epoch: 1, root });
    assert_eq!(begun(with(false, named(root))).await.unwrap(), root);
    let why = begun(with(false, named(genesis_root))).await.unwrap_err().to_string();
    assert!(why.contains("not the chain of --wss-checkpoint"), "{why}");
}

/// A database is dropped only for something: not for a server that is not there, files that do not belong together, a
/// checkpoint of another network, or one that is not on the chain that the operator names.
#[tokio::test(flavor = "multi_thread")]
async fn resync_keeps_the_database_until_there_is_another_start() {
    let folder = Folder::new("resync-bad");
    let (mut chain, genesis_state) = chain_since(2 * SLOTS_PER_EPOCH + 10);
    let (genesis, datadir) = (folder.path("genesis.ssz"), folder.path("node"));
    fs::write(&genesis, genesis_state.encode()).unwrap();
    let (first, first_root) = write_checkpoint(&mut chain, SLOTS_PER_EPOCH, &folder);
    let from_first = StartOptions {
        checkpoint: Some(first),
        ..StartOptions::default()
    };
    assert_eq!(
        head_of(options(&chain, &datadir, &genesis, from_first)).await.unwrap(),
        first_root
    );
    let (good, _) = write_checkpoint(&mut chain, 2 * SLOTS_PER_EPOCH, &folder);
    let begun = async |start: StartOptions| head_of(options(&chain, &datadir, &genesis, start)).await;
    let files = |state: &str, block: &str| checkpoint::Source::Files {
        state: folder.path(state),
        block: folder.path(block),
    };
    let mut foreign = chain.state.clone();
    foreign.genesis_validators_root = Bytes([7; 32]);
    fs::write(folder.path("foreign.ssz"), foreign.encode()).unwrap();
    let other = Checkpoint {
        epoch: 1,
        root: Bytes([7; 32]),
    };
    for (source, wss, part) in [
        (
            checkpoint::Source::Url("http://127.0.0.1:1".into()),
            None,
            "cannot be reached",
        ),
        (files("state.ssz", "gone.ssz"), None, "gone.ssz"),
        (files("genesis.ssz", "block.ssz"), None, "the genesis"),
        (files("foreign.ssz", "block.ssz"), None, "of another network"),
        (good.clone(), Some(other), "not the chain of --wss-checkpoint"),
    ] {
        let why = begun(StartOptions {
            checkpoint: Some(source),
            wss,
            resync: true,
            ..StartOptions::default()
        });
        let why = format!("{:#}", why.await.unwrap_err());
        assert!(why.contains(part) && why.contains("stays as it is"), "{why}");
        assert_eq!(
            begun(StartOptions::default()).await.unwrap(),
            first_root,
            "after: {why}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_passes_another_checkpoint_than_the_named_one_stops_the_node() {
    const EPOCH: u64 = 2;
    let folder = Folder::new("wss");
    let (mut chain, genesis_state) = chain_since(5 * SLOTS_PER_EPOCH);
    let running = node(&chain, genesis_state, &folder).await;
    let watch = |root: Root| {
        let stop = Stop::new();
        let watched = checkpoint::watch_wss(running.chain.clone(), Checkpoint { epoch: EPOCH, root }, stop.clone());
        (tokio::spawn(watched), stop)
    };
    // Where the checkpoint lies ahead, nothing is decided: no block is that far yet.
    let (wrong, stopped) = watch(Bytes([7; 32]));
    let mut right = None;
    for slot in 1..=4 * SLOTS_PER_EPOCH {
        if slot == 3 * SLOTS_PER_EPOCH {
            assert_eq!(running.chain.snapshot().finalized().epoch, 0);
            assert!(!wrong.is_finished() && stopped.failure().is_none());
        }
        let block = chain.extend(slot);
        if slot == EPOCH * SLOTS_PER_EPOCH {
            right = Some(watch(block.message.hash_tree_root(Fork::Phase0)));
        }
        let imported = running.chain.import_block(NewBlock {
            block: Arc::new(block),
            columns: Vec::new(),
            blobs: Vec::new(),
            source: Source::Sync,
            received_ms: 0,
        });
        assert_eq!(imported.await.unwrap(), Imported::Done, "slot {slot}");
        chain.vote(|_| true);
    }
    let (right, goes_on) = right.unwrap();
    let both = async { (wrong.await.unwrap(), right.await.unwrap()) };
    tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert!(running.chain.snapshot().finalized().epoch >= EPOCH);
    assert!(stopped.failure().unwrap().contains("not the chain of --wss-checkpoint"));
    assert!(!goes_on.is_stopping());
    running.end().await;
}

/// The public keys are in a file beside the database, complete after a start; a file that is damaged, or of another
/// registry, is made again.
#[tokio::test(flavor = "multi_thread")]
async fn public_keys_are_kept_in_a_file_that_can_be_made_again() {
    let folder = Folder::new("keys");
    let (_, state) = chain_since(1);
    let file = folder.path("pubkeys");
    let open = || node::keys::open(&folder.0, &state.validators).unwrap();
    let all = state.validators.len();
    let key = |keys: &Keys| keys.public_key(&state, 3).unwrap().to_compressed();
    assert_eq!(open().in_table(), all);
    let of_file = fs::read(&file).unwrap();
    open().sync().unwrap();
    assert_eq!(
        fs::read(&file).unwrap()[4096..],
        of_file[4096..],
        "it is not written again"
    );
    for damage in 0..4 {
        let mut bytes = fs::read(&file).unwrap();
        match damage {
            0 => bytes.truncate(4096 + 96),
            1 => bytes.truncate(4096),
            // Two keys in each other's place: every key is on the curve.
            2 => bytes[4096..4096 + 192].rotate_left(96),
            _ => bytes[8] ^= 1,
        }
        fs::write(&file, &bytes).unwrap();
        let keys = open();
        assert_eq!(
            (keys.in_table(), key(&keys)),
            (all, state.validators.get(3).unwrap().pubkey.0),
            "{damage}"
        );
        keys.sync().unwrap();
    }
    fs::write(&file, "something else").unwrap();
    let why = format!("{:#}", node::keys::open(&folder.0, &state.validators).unwrap_err());
    assert!(why.contains("is not a file of public keys"), "{why}");
}

/// A node that has no public keys yet imports blocks all the same, and makes the keys meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn public_keys_are_made_while_the_chain_goes_on() {
    let folder = Folder::new("fill");
    let (mut chain, genesis_state) = chain_since(4);
    let all = genesis_state.validators.len();
    let keys = Keys::with_table(Pubkeys::in_memory(), &genesis_state.validators).unwrap();
    assert_eq!(keys.in_table(), 0);
    let running = start(parts(&chain, genesis_state, keys, &folder), Stop::new())
        .await
        .unwrap();
    let imported = running.chain.import_block(NewBlock {
        block: Arc::new(chain.extend(1)),
        columns: Vec::new(),
        blobs: Vec::new(),
        source: Source::Sync,
        received_ms: 0,
    });
    assert_eq!(imported.await.unwrap(), Imported::Done);
    let filled = async {
        while running.chain.snapshot().keys.in_table() < all {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, filled).await.expect("all keys are made");
    running.end().await;
}

/// A start that is told to stop does not go through all that the database holds first, and loses nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_ends_in_the_middle_of_its_replay_and_can_be_done_again() {
    const BLOCKS: Slot = 2 * SLOTS_PER_EPOCH;
    let folder = Folder::new("stop-replay");
    let (mut chain, genesis_state) = chain_since(BLOCKS + 2);
    let running = node(&chain, genesis_state.clone(), &folder).await;
    for slot in 1..=BLOCKS {
        let imported = running.chain.import_block(NewBlock {
            block: Arc::new(chain.extend(slot)),
            columns: Vec::new(),
            blobs: Vec::new(),
            source: Source::Sync,
            received_ms: 0,
        });
        assert_eq!(imported.await.unwrap(), Imported::Done, "slot {slot}");
    }
    running.end().await;
    wait_until_closed(&folder.path("db")).await;
    let stop = Stop::new();
    stop.stop();
    let stopped = node_with(&chain, genesis_state.clone(), &folder, stop).await;
    let head = stopped.chain.snapshot().head.slot;
    assert!(head < BLOCKS, "it went on to slot {head}");
    stopped.end().await;
    wait_until_closed(&folder.path("db")).await;
    let again = node(&chain, genesis_state, &folder).await;
    // The last block's answer may come a moment before the head that it makes.
    let complete = async {
        while again.chain.snapshot().head.slot < BLOCKS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, complete)
        .await
        .expect("all blocks are there");
    again.end().await;
}

async fn node(chain: &Chain, genesis: State, folder: &Folder) -> Running {
    node_with(chain, genesis, folder, Stop::new()).await
}

async fn node_with(chain: &Chain, genesis: State, folder: &Folder, stop: Stop) -> Running {
    let keys = Keys::of(&genesis).unwrap();
    start(parts(chain, genesis, keys, folder), stop).await.unwrap()
}

fn parts(chain: &Chain, genesis: State, keys: Keys, folder: &Folder) -> Parts {
    let identity = Identity::of(genesis.genesis_validators_root);
    let engine = DevEngine::of_genesis(&chain.config, &genesis).unwrap();
    Parts {
        config: Arc::new(chain.config.clone()),
        keys,
        anchor: Anchor::genesis(genesis).unwrap(),
        storage: Storage::open(&folder.path("db"), &identity, &crate::storage_options()).unwrap(),
        engine: Arc::new(Engine::Dev(Arc::new(engine))),
        fee_recipient: Bytes([1; 20]),
        safe_slots: 128,
        builder: None,
    }
}
