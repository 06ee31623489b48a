//! The state transition on states like mainnet's, as ratios to the hash kernel and a BLS verification of the same run.
//!
//! `cargo bench -p consensus --bench transition [VALIDATORS…]`: the signed chain of 120,000 validators that lies in
//! `../shared/bench/fulu-120k` beside the repository (said aloud where it does not), then blocks and epochs of synthetic
//! states, 2,200,000 validators unless numbers are given. Times are processor time of one thread.

mod block;
mod chain;
mod epoch;

use crypto::bls::{SignatureSet, verify_signature_sets};
use crypto::hash::{hash_pairs, sha256};
use std::hint::black_box;
use std::path::Path;
use synthetic::{cpu_ms, first_secret_key};

/// Runs of which the least counts.
const RUNS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(folder) = args
        .iter()
        .position(|arg| arg == block::CHILD)
        .and_then(|at| args.get(at + 1))
    {
        return block::apply(Path::new(folder));
    }
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
        chain::signed_chain(&folder);
    }
    for validators in sizes {
        block::blocks(validators);
        epoch::epoch(validators);
    }
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

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
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
