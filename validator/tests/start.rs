//! How long a client takes to start with many keys, and how much memory; and how long one moment of signing takes.

use crate::model::GENESIS_ROOT;
use crate::{Scratch, child_mode, spawn_child};
use consensus::types::{AttestationData, BLSPubkey};
use consensus::{Config, Fork};
use crypto::derive::SecretBytes;
use std::io::Write;
use std::time::{Duration, Instant};
use validator::keys::{Candidate, Standing, Vouch, import};
use validator::signer::{Message, Signer};

const KEYS: u8 = 100;

/// Peak resident memory of this process in KiB; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Not a test by itself: the client that starts. Another process, since peaks of this one are those of its other tests.
#[test]
fn child() {
    let Some((mode, folder, _)) = child_mode() else { return };
    assert_eq!(mode, "start");
    let config = Config::network("mainnet")
        .or_else(|_| Config::network("devnet"))
        .expect("one has this preset");
    let idle = peak();
    let start = Instant::now();
    let signer = Signer::open(&folder, config.with_forks_at_genesis(Fork::Fulu), GENESIS_ROOT).expect("it opens");
    let (opened, above_idle) = (start.elapsed(), peak().saturating_sub(idle));
    let keys: Vec<BLSPubkey> = signer.public_keys();
    assert_eq!(keys.len(), KEYS as usize);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let data = AttestationData::default();
    let start = Instant::now();
    let messages = keys.iter().map(|key| (*key, Message::Attestation(&data))).collect();
    let signed = runtime.block_on(signer.sign(messages, 0));
    assert!(signed.iter().all(Result::is_ok));
    let line = format!(
        "{KEYS} keys: started in {opened:.1?} with {above_idle} KiB above idle, {KEYS} attestations recorded and signed in {:.1?}",
        start.elapsed()
    );
    writeln!(std::io::stderr(), "{line}").ok();
    assert!(opened < Duration::from_secs(5), "{line}");
    assert!(above_idle < 100 << 10, "{line}");
}

#[test]
fn a_hundred_keys_start_within_five_seconds_and_a_hundred_mebibytes() {
    let scratch = Scratch::new("hundred");
    let candidate = |number: u8| Candidate {
        secret: SecretBytes::new([number + 1; 32]),
        path: String::new(),
        description: None,
    };
    let candidates: Vec<Candidate> = (0..KEYS).map(candidate).collect();
    import(
        &scratch.0,
        GENESIS_ROOT,
        &candidates,
        &Vouch::New(&|_| Standing::NotOnChain),
    )
    .expect("imported");
    let mut child = spawn_child("start::child", "start", &scratch.0, 0);
    assert!(child.wait().expect("it ends").success());
}
