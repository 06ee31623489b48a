//! The state transition on states like mainnet's, as ratios to the hash kernel and a BLS verification of the same run.
//!
//! `cargo bench -p consensus --bench transition [VALIDATORS…]`: the signed chain of 120,000 validators that lies in
//! `../shared/bench/fulu-120k` beside the repository (said aloud where it does not), then epochs of synthetic states,
//! 2,200,000 unless numbers are given. Times are processor time of one thread, the least of a few runs.

use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::Context;
use consensus::ssz::Ssz;
use consensus::transition::epoch::process_epoch;
use consensus::transition::{process_block, process_slots, verify_block_signature};
use consensus::types::SignedBeaconBlock;
use consensus::{Config, Fork, State};
use crypto::bls::{SignatureSet, verify_signature_sets};
use crypto::hash::{hash_pairs, sha256};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use synthetic::{Shape, cpu_ms, first_secret_key, fulu_state};

/// Runs of which the least counts.
const RUNS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let measure = args.iter().any(|arg| arg == "--bench");
    let mut sizes: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        // Without `--bench` this is `cargo test`: only see that it works.
        sizes = vec![if measure { 2_200_000 } else { 2_000 }];
    }
    kernels();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/bench/fulu-120k");
    if cfg!(feature = "minimal") || !folder.is_dir() {
        println!(
            "\nNOT RUN: the signed chain of 120,000 validators (mainnet preset, {})",
            folder.display()
        );
    } else if measure {
        signed_chain(&folder);
    }
    sizes.into_iter().for_each(epoch);
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = cpu_ms();
    let result = black_box(work());
    (cpu_ms() - start, result)
}

/// The least time of a few runs on what `set_up` makes anew for each.
fn least<S, T>(mut set_up: impl FnMut() -> S, mut work: impl FnMut(&mut S) -> T) -> f64 {
    let mut run = || {
        let mut subject = set_up();
        timed(|| work(&mut subject)).0
    };
    (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn line(name: &str, ms: f64) {
    println!("  {name:<52} {ms:>10.2} ms");
}

fn kernels() {
    let input: Vec<_> = (0..2048u64).map(|i| sha256(&i.to_le_bytes())).collect();
    let mut out = vec![[0; 32]; 1024];
    let hashes = least(
        || (),
        |()| (0..1000).for_each(|_| hash_pairs(&input, black_box(&mut out))),
    );
    let key = first_secret_key();
    let set = SignatureSet {
        signature: key.sign(&[1; 32]),
        pubkey: key.public_key(),
        message: [1; 32],
    };
    println!("\nkernels");
    line("a million pairs hashed", hashes / 1.024);
    line(
        "one signature verified",
        least(|| (), |()| verify_signature_sets(std::slice::from_ref(&set))),
    );
}

/// Unpacks a file of raw snappy. These are our own test data.
fn unpack(path: &PathBuf) -> Vec<u8> {
    let packed = std::fs::read(path).expect("the folder holds the chain");
    snap::raw::Decoder::new()
        .decompress_vec(&packed)
        .expect("the file is raw snappy")
}

fn signed_chain(folder: &Path) {
    let text = std::fs::read_to_string(folder.join("config.yaml")).expect("the folder holds the config");
    let config = Config::from_yaml(&text).expect("the config is valid").config;
    let bytes = unpack(&folder.join("pre.ssz_snappy"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder can be read")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("block_"))
        })
        .collect();
    files.sort();
    let blocks: Vec<SignedBeaconBlock> = files
        .iter()
        .map(|file| SignedBeaconBlock::decode(&unpack(file), Fork::Fulu).expect("a block decodes"))
        .collect();
    println!("\nsigned Fulu chain of 120,000 validators, {} blocks", blocks.len());
    let decode = || State::decode(&bytes, Fork::Fulu).expect("the state decodes");
    line("decode the state", least(|| (), |()| decode()));
    line("cold state root", least(decode, |state| state.hash_tree_root()));
    let state = decode();
    let root = state.hash_tree_root();
    println!("  root before {root}");
    let (ms, keys) = timed(|| Keys::of(&state).expect("the registry's keys are points"));
    line("keys decompressed", ms);
    let mut keys = keys;
    keys.settle(keys.len());
    let mut fresh = state.clone();
    line("shufflings of three epochs", timed(|| fresh.prepare()).0);
    blocks_of(fresh, &blocks, &config, &keys);
}

fn blocks_of(mut state: State, blocks: &[SignedBeaconBlock], config: &Config, keys: &Keys) {
    let (mut slots, mut epoch, mut operations, mut signatures, mut root) = (vec![], vec![], vec![], vec![], vec![]);
    for signed in blocks {
        let block = &signed.message;
        while state.slot < block.slot {
            let next = state.slot + 1;
            let (ms, result) = timed(|| process_slots(&mut state, config, next));
            result.expect("the chain is valid");
            if next.is_multiple_of(SLOTS_PER_EPOCH) {
                epoch.push(ms);
            } else {
                slots.push(ms);
            }
        }
        let mut ctx = Context::collecting(config, keys);
        let (ms, result) = timed(|| {
            verify_block_signature(&state, &mut ctx, signed)?;
            process_block(&mut state, &mut ctx, block).map(|_request| ())
        });
        result.expect("the block is valid");
        operations.push(ms);
        let (ms, result) = timed(|| ctx.verify_collected());
        result.expect("the signatures are valid");
        signatures.push(ms);
        let (ms, computed) = timed(|| state.hash_tree_root());
        assert_eq!(computed, block.state_root, "state root of slot {}", block.slot);
        root.push(ms);
    }
    line("epoch transition with its slot and shuffling", median(&mut epoch));
    line("slot without an epoch, median", median(&mut slots));
    line("block: operations, median", median(&mut operations));
    line("block: signatures, median", median(&mut signatures));
    line("block: root, median", median(&mut root));
    println!("  root after {}", state.hash_tree_root());
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

fn epoch(validators: usize) {
    let config = Config::standard();
    let mut state = fulu_state(Shape::like_mainnet(validators), &config);
    let bytes = state.encode();
    println!(
        "\nsynthetic Fulu state of {validators} validators, {} MB",
        bytes.len() / 1_000_000
    );
    let decode = || State::decode(&bytes, Fork::Fulu).expect("our own encoding decodes");
    line("decode the state", least(|| (), |()| decode()));
    line("cold state root", least(decode, |state| state.hash_tree_root()));
    // An epoch ends behind the last slot of it.
    state.beacon.slot += SLOTS_PER_EPOCH - 1;
    state.prepare();
    state.hash_tree_root();
    let after = || {
        let mut after = state.clone();
        process_epoch(&mut after, &config).expect("an epoch of a valid state");
        after
    };
    line(
        "epoch transition, warm",
        least(|| state.clone(), |state| process_epoch(state, &config)),
    );
    line("root after it", least(after, |state| state.hash_tree_root()));
    let next = |state: &mut State| {
        state.beacon.slot += 1;
        state.prepare();
    };
    line("shuffling of the next epoch", least(after, next));
}
