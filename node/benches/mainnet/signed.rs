//! The chain of 120,000 validators that was made and signed elsewhere, through a whole node in this process.
//!
//! Its payloads are random bytes and its blocks commit to blobs that nobody has, so the engine believes what it is given;
//! by the clock the blocks are of last year, older than anybody keeps columns for. The node starts from the first block,
//! since no other comes with its state, and the rest are imported as sync hands them in: every signature checked, and on
//! disk when acknowledged.

use consensus::keys::Keys;
use consensus::signing::Context;
use consensus::ssz::{Bytes, Ssz};
use consensus::transition::state_transition;
use consensus::types::SignedBeaconBlock;
use consensus::{Config, Fork, State};
use node::chain::{Imported, NewBlock, Source};
use node::execution::Engine;
use node::execution::dev::{DevEngine, DevOptions};
use node::run::{Parts, Running, start};
use node::start::Anchor;
use node::stop::Stop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::{Identity, Options, Storage};

/// Unpacks a file of raw snappy. These are our own test data.
fn unpack(path: &Path) -> Vec<u8> {
    let packed = std::fs::read(path).expect("the folder holds the chain");
    let unpacked = snap::raw::Decoder::new().decompress_vec(&packed);
    unpacked.expect("the file is raw snappy")
}

/// Where the chain lies, if it does.
fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/bench/fulu-120k");
    (!cfg!(feature = "minimal") && folder.is_dir()).then_some(folder)
}

fn blocks(folder: &Path) -> Vec<SignedBeaconBlock> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_block = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("block_"))
    };
    let mut files: Vec<PathBuf> = paths.filter(is_block).collect();
    files.sort();
    let decoded = files
        .iter()
        .map(|file| SignedBeaconBlock::decode(&unpack(file), Fork::Fulu));
    decoded.map(|block| block.expect("a block decodes")).collect()
}

/// The node, started from the state after the first block.
async fn node_of(config: Config, state: &State, keys: Keys, first: &SignedBeaconBlock, database: &Path) -> Running {
    let mut ctx = Context::collecting(&config, &keys);
    let (mut after, _) = state_transition(state, first, &mut ctx, true).expect("the chain is valid");
    after.prepare();
    let (time, root) = (after.genesis_time, after.genesis_validators_root);
    let engine = DevEngine::new(&config, time, &root, DevOptions::default()).expect("this is no public network");
    let storage = Storage::open(database, &Identity::of(root), &Options::default()).expect("the folder is new");
    let anchor = Anchor {
        state: Arc::new(after),
        block: first.message.clone(),
        root: first.message.hash_tree_root(Fork::Fulu),
    };
    storage.save_state(&anchor.state, &anchor.root).expect("there is room");
    let parts = Parts {
        config: Arc::new(config),
        keys,
        anchor,
        storage,
        engine: Arc::new(Engine::Dev(Arc::new(engine.believing()))),
        fee_recipient: Bytes([0xfe; 20]),
        safe_slots: 128,
        builder: None,
    };
    start(parts, Stop::new()).await.expect("the node starts")
}

async fn import(running: &Running, blocks: &[SignedBeaconBlock]) -> Vec<Duration> {
    let mut times = Vec::new();
    for block in blocks {
        let begun = Instant::now();
        let imported = running.chain.import_block(NewBlock {
            block: Arc::new(block.clone()),
            columns: Vec::new(),
            blobs: Vec::new(),
            source: Source::Sync,
            received_ms: 0,
        });
        let imported = imported.await.expect("the node has nothing else to do");
        assert_eq!(imported, Imported::Done, "the block of slot {}", block.message.slot);
        times.push(begun.elapsed());
    }
    times
}

/// Imports it and tells the times.
pub(super) fn bench(database: &Path) {
    let Some(folder) = folder() else {
        println!("\nNOT RUN: the signed chain of 120,000 validators (mainnet preset, beside the repository)");
        return;
    };
    let text = std::fs::read_to_string(folder.join("config.yaml")).expect("the folder holds the config");
    let config = Config::from_yaml(&text).expect("the config is valid").config;
    let state = State::decode(&unpack(&folder.join("pre.ssz_snappy")), Fork::Fulu).expect("the state decodes");
    let blocks = blocks(&folder);
    let mut keys = Keys::of(&state).expect("the registry's keys are points");
    keys.settle(keys.len());
    let (first, rest) = blocks.split_first().expect("there are sixteen");
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    let times = runtime.block_on(async {
        let running = Box::pin(node_of(config, &state, keys, first, database)).await;
        let times = import(&running, rest).await;
        let head = running.chain.snapshot().head;
        let last = rest.last().expect("there are fifteen");
        assert_eq!(head.state_root, last.message.state_root, "the last block is the head");
        running.end().await;
        times
    });
    println!(
        "\nthe signed chain of 120,000 validators, {} blocks across an epoch",
        times.len()
    );
    super::show_imports(times);
}
