//! SSZ of a mainnet-like Fulu state: decode, encode, hash, clone, and the memory of it, as ratios to the hash kernel.
//!
//! `cargo bench -p consensus --bench ssz [VALIDATORS…]`; 1,000,000 and 2,200,000 unless numbers are given. Times are
//! processor time, the least of a few runs. Memory is measured in a process of its own that only reads the state from a
//! file, because whoever made the state has touched memory for it.

use consensus::ssz::{Bound, Out, PersistentList, Ssz};
use consensus::types::Gwei;
use consensus::{Config, Fork, State};
use crypto::hash::{Hash256, hash_pairs, kernel};
use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use synthetic::{Numbers, Shape, cpu_ms, fulu_state};

/// Runs of which the least counts.
const RUNS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, file] = args.as_slice()
        && flag == "--measure"
    {
        return measure_memory(Path::new(file));
    }
    let mut sizes: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        // Without `--bench` this is `cargo test`: only see that it works.
        let measure = args.iter().any(|arg| arg == "--bench");
        sizes = if measure {
            vec![1_000_000, 2_200_000]
        } else {
            vec![2_000]
        };
    }
    sizes.into_iter().for_each(bench);
}

/// The least time of a few runs on what `set_up` makes anew for each, in milliseconds.
fn least<S, T>(mut set_up: impl FnMut() -> S, mut work: impl FnMut(&mut S) -> T) -> f64 {
    let mut run = || {
        let mut subject = set_up();
        let start = cpu_ms();
        black_box(work(&mut subject));
        cpu_ms() - start
    };
    (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min)
}

/// Milliseconds that the kernel alone needs for that many pairs, in batches that stay in the cache.
fn kernel_ms(pairs: u64) -> f64 {
    let input: Vec<Hash256> = (0..2048u64).map(|i| crypto::hash::sha256(&i.to_le_bytes())).collect();
    let mut out = vec![[0; 32]; 1024];
    let per_batch = least(
        || (),
        |()| (0..1000).for_each(|_| hash_pairs(&input, black_box(&mut out))),
    ) / 1000.0;
    per_batch * pairs as f64 / 1024.0
}

/// Pairs that hashing the big lists of the state anew takes: what is left out is less than one in a thousand.
fn pairs_of(state: &State) -> u64 {
    let validators = state.validators.len() as u64;
    let deposits = state.pending_deposits.len() as u64;
    let registry = 9 * validators; // the key, seven for the fields, one of the list
    let packed = 2 * validators / 4 + 2 * validators / 32;
    let vectors = state.randao_mixes.len() + 2 * state.block_roots.len() + state.slashings.len() / 4;
    let summaries = 2 * state.historical_summaries.len() as u64;
    registry + packed + vectors as u64 + summaries + 12 * deposits
}

fn line(name: &str, ms: f64, kernel: Option<f64>) {
    match kernel {
        Some(kernel) => println!(
            "  {name:<52} {ms:>10.2} ms {:>7.2} × the kernel's {kernel:.1} ms",
            ms / kernel
        ),
        None => println!("  {name:<52} {ms:>10.2} ms"),
    }
}

fn bench(validators: usize) {
    let mut state = fulu_state(Shape::like_mainnet(validators), &Config::standard());
    let bytes = state.encode();
    println!(
        "\nFulu state of {validators} validators, {} MB of SSZ, kernel {}",
        bytes.len() / 1_000_000,
        kernel().name
    );
    line("decode", least(|| (), |()| State::decode(&bytes, Fork::Fulu)), None);
    line("encode", least(|| (), |()| state.encode()), None);

    let fresh = || State::decode(&bytes, Fork::Fulu).expect("our own encoding decodes");
    let first = least(fresh, |fresh| fresh.hash_tree_root());
    line("first root", first, Some(kernel_ms(pairs_of(&state))));
    state = fresh();
    state.hash_tree_root();

    let sparse = |state: &mut State| {
        let mut numbers = Numbers::new(1);
        for _ in 0..1000 {
            *item(&mut state.beacon.balances, &mut numbers) += 1;
        }
        for _ in 0..100 {
            item(&mut state.beacon.validators, &mut numbers).effective_balance += 1;
        }
        state.hash_tree_root()
    };
    line(
        "1,000 balances and 100 validators, and the root",
        least(|| state.clone(), sparse),
        None,
    );
    let all = |state: &mut State| change_all_balances(state, 1);
    line("change all balances", least(|| state.clone(), all), None);
    let changed = || {
        let mut changed = state.clone();
        change_all_balances(&mut changed, 1);
        changed
    };
    let root = least(changed, |state| state.hash_tree_root());
    line("root after all balances", root, Some(kernel_ms(validators as u64 / 4)));
    line("clone", least(|| (), |()| state.clone()), None);
    let progressive = |state: &mut State| {
        (
            state.validators.to_progressive(),
            state.balances.to_progressive(),
            state.inactivity_scores.to_progressive(),
        )
    };
    line(
        "registry, balances and scores laid out for Gloas",
        least(|| state.clone(), progressive),
        None,
    );
    let validators_only = |validators: &mut PersistentList<_>| validators.root(Fork::Gloas, &[Bound::Progressive]);
    line(
        "root of the registry laid out for Gloas",
        least(|| state.validators.to_progressive(), validators_only),
        None,
    );

    let file = write_state(&state);
    let program = std::env::current_exe().expect("a running program has a path");
    let status = Command::new(program).arg("--measure").arg(&file).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the process that measures memory failed"
    );
    std::fs::remove_file(&file).expect("our own file can be removed");
}

fn item<'a, T: Ssz>(list: &'a mut PersistentList<T>, numbers: &mut Numbers) -> &'a mut T {
    let index = numbers.below(list.len() as u64) as usize;
    list.get_mut(index).expect("an index below the length")
}

fn change_all_balances(state: &mut State, by: Gwei) {
    state.beacon.balances.update(|_, balance| Some(balance + by));
}

fn write_state(state: &State) -> PathBuf {
    let path = std::env::temp_dir().join(format!("wren-bench-{}.ssz", std::process::id()));
    let mut writer = BufWriter::new(File::create(&path).expect("the folder for temporary files can be written"));
    let mut out = Out::writer(&mut writer);
    state.encode_to(&mut out);
    out.finish().expect("the state fits on the disk");
    writer.flush().expect("the state fits on the disk");
    path
}

/// A figure of `/proc/self/status` in MB.
fn memory_mb(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    let kib: f64 = line
        .trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .unwrap_or(0.0);
    kib * 1024.0 / 1e6
}

fn measure_memory(path: &Path) {
    let len = std::fs::metadata(path).map_or(0, |metadata| metadata.len()) as usize;
    let before = memory_mb("RssAnon");
    let mut reader = BufReader::new(File::open(path).expect("the file was just written"));
    let state = State::decode_reader(&mut reader, len, Fork::Fulu).expect("our own encoding decodes");
    let decoded = memory_mb("RssAnon") - before;
    state.hash_tree_root();
    let hashed = memory_mb("RssAnon") - before;
    let size = len as f64 / 1e6;
    println!(
        "  memory decoded {decoded:.0} MB, hashed {hashed:.0} MB: {:.2} × the SSZ size",
        hashed / size
    );
    println!(
        "  peak of the process {:.0} MB: {:.2} × the SSZ size",
        memory_mb("VmHWM"),
        memory_mb("VmHWM") / size
    );
    let mut further = vec![state];
    for number in 1..=5 {
        let mut next = further[number - 1].clone();
        change_all_balances(&mut next, number as Gwei);
        next.hash_tree_root();
        further.push(next);
    }
    println!(
        "  five further states, all balances changed: +{:.0} MB",
        memory_mb("RssAnon") - before - hashed
    );
}
