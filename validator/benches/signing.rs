//! What keys cost: start and memory of a client, time and bytes written for the attestations of a slot.
//!
//! `cargo bench -p validator --bench signing`, or with numbers of keys behind `--`. Memory and bytes are the system's own
//! figures for this process, so each number of keys runs in a process of its own.
#![forbid(unsafe_code)]

use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, Root};
use consensus::types::{AttestationData, Checkpoint, Slot};
use consensus::{Config, Fork};
use crypto::bls::{SecretKey, consecutive_secret_key};
use crypto::derive::SecretBytes;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use validator::keys::{Candidate, Standing, Vouch, import};
use validator::signer::{Message, Signer};

const GENESIS_ROOT: Root = Bytes([7; 32]);
/// Epochs that are signed; figures are their average.
const EPOCHS: u64 = 20;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.as_slice() {
        [mode, folder] if mode == "measure" => measure(Path::new(folder)),
        [] => [1, 100, 1000].into_iter().for_each(in_own_process),
        numbers => numbers
            .iter()
            .filter_map(|number| number.parse().ok())
            .for_each(in_own_process),
    }
}

fn in_own_process(keys: u64) {
    let folder = std::env::temp_dir().join(format!("wren-signing-{}-{keys}", std::process::id()));
    make_keys(&folder, keys);
    let program = std::env::current_exe().expect("this program has a path");
    let status = Command::new(program)
        .arg("measure")
        .arg(&folder)
        .status()
        .expect("it starts");
    assert!(status.success(), "the measurement failed");
    std::fs::remove_dir_all(&folder).expect("it can be removed");
}

fn make_keys(folder: &Path, count: u64) {
    let first = SecretKey::from_bytes(&[1; 32]).expect("a key");
    let candidate = |number| Candidate {
        secret: SecretBytes::new(*consecutive_secret_key(&first, number).expect("a key").to_bytes()),
        path: String::new(),
        description: None,
    };
    let candidates: Vec<Candidate> = (0..count).map(candidate).collect();
    import(
        folder,
        GENESIS_ROOT,
        &candidates,
        &Vouch::New(&|_| Standing::NotOnChain),
    )
    .expect("imported");
}

/// A figure of this process from the system, by the word before it; in KiB of memory or in bytes.
fn figure(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn measure(folder: &Path) {
    let config = Config::network("mainnet")
        .or_else(|_| Config::network("devnet"))
        .expect("one has this preset");
    let config = config.with_forks_at_genesis(Fork::Fulu);
    let (start, idle) = (Instant::now(), figure("/proc/self/status", "VmRSS:"));
    let signer = Signer::open(folder, config.clone(), GENESIS_ROOT).expect("it opens");
    let (opened, peak) = (start.elapsed(), figure("/proc/self/status", "VmHWM:"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    let keys = signer.public_keys();
    let written = figure("/proc/self/io", "write_bytes:");
    let mut times: Vec<Duration> = Vec::new();
    for slot in 10 * SLOTS_PER_EPOCH..(10 + EPOCHS) * SLOTS_PER_EPOCH {
        let data = vote(slot);
        // A key attests once an epoch; which slot is its own does not matter here.
        let due = keys
            .iter()
            .enumerate()
            .filter(|(at, _)| *at as u64 % SLOTS_PER_EPOCH == slot % SLOTS_PER_EPOCH);
        let messages: Vec<_> = due.map(|(_, key)| (*key, Message::Attestation(&data))).collect();
        if messages.is_empty() {
            continue;
        }
        let start = Instant::now();
        let signed = runtime.block_on(signer.sign(messages, slot));
        times.push(start.elapsed());
        assert!(signed.iter().all(Result::is_ok));
    }
    times.sort_unstable();
    let epochs_a_day = 86_400_000 / (config.slot_duration_ms * SLOTS_PER_EPOCH);
    let a_day = (figure("/proc/self/io", "write_bytes:") - written) / EPOCHS * epochs_a_day;
    println!(
        "{} keys: open in {opened:.1?}, peak {} KiB above idle; a slot's attestations signed in {:.1?} (median), {:.1?} \
         (longest); {:.1} MB written a day; {} KiB resident afterwards",
        keys.len(),
        peak.saturating_sub(idle),
        times[times.len() / 2],
        times[times.len() - 1],
        a_day as f64 / 1e6,
        figure("/proc/self/status", "VmRSS:")
    );
}

fn vote(slot: Slot) -> AttestationData {
    let epoch = slot / SLOTS_PER_EPOCH;
    let checkpoint = |epoch| Checkpoint {
        epoch,
        root: Root::ZERO,
    };
    AttestationData {
        slot,
        source: checkpoint(epoch - 1),
        target: checkpoint(epoch),
        ..AttestationData::default()
    }
}
