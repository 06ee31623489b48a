//! How fast a node catches up from another, over loopback: two processes from one checkpoint of a chain with 120,000
//! validators; the one is given the blocks after it, which the other then asks it for.
//!
//! Every block has votes of nearly all who are active, with valid signatures, and a payload of the built-in engine, which
//! the other node checks by an engine of its own. There are no blobs, so that no columns travel. The node that catches up
//! was started once before, without peers, until its public keys were prepared: that is paid once, and is no part of the
//! rate. The rate is that of the head from its first move on; beside it stands the processor time of both, which says more
//! where other programs run.

use super::chain::{self, Made};
use super::http;
use super::process::Node;
use std::path::Path;
use std::time::{Duration, Instant};

const VALIDATORS: usize = 120_000;
/// Six epochs of mainnet's preset: three batches or more of range sync.
const BLOCKS: u64 = 192;
/// How long it may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How often it is looked where the head is.
const LOOK: Duration = Duration::from_millis(10);
const CHECKPOINT: [&str; 4] = ["--checkpoint-state", "state.ssz", "--checkpoint-block", "block.ssz"];
/// What a node says once its public keys are prepared.
const PREPARED: &str = "are prepared";

/// Catches up so many times by each transport.
pub(super) fn bench(program: &Path, folder: &Path, rounds: usize) {
    println!("\nsync over loopback, {VALIDATORS} validators, 95 in 220 of them active, {BLOCKS} blocks");
    let made = chain::make(folder, VALIDATORS, BLOCKS);
    let server = Node::start(program, folder, "server", &CHECKPOINT);
    for slot in made.first + 1..=made.last {
        let block = std::fs::read(folder.join(format!("block_{slot}"))).expect("it was written");
        made.wait_for(slot);
        assert!(
            http::publish(server.http, &block),
            "the block of slot {slot} is refused"
        );
    }
    // All blocks are of the past for the second node too.
    println!("  the server is {} slots behind the clock", made.slot_now() - made.last);
    wait_for_keys(folder, "server");
    for round in 1..=rounds {
        for (name, quic) in [("TCP", false), ("QUIC", true)] {
            let name = format!("{name}-{round}");
            let before = Node::start(program, folder, &name, &CHECKPOINT);
            wait_for_keys(folder, &name);
            drop(before);
            follow(program, folder, &made, &name, &server, quic);
            std::fs::remove_dir_all(folder.join(&name)).expect("the node has ended");
        }
    }
}

fn wait_for_keys(folder: &Path, name: &str) {
    let log = folder.join(format!("{name}.log"));
    let begun = Instant::now();
    while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains(PREPARED)) {
        assert!(begun.elapsed() < PATIENCE, "the keys of {name} are not prepared");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn follow(program: &Path, folder: &Path, made: &Made, name: &str, server: &Node, quic: bool) {
    let mut options = CHECKPOINT.to_vec();
    let address = server.address(quic);
    options.extend(["--static-peer", &address]);
    let node = Node::start(program, folder, name, &options);
    let begun = Instant::now();
    let cpu = || (node.process.cpu(), server.process.cpu());
    let mut first: Option<(u64, Instant, (Duration, Duration))> = None;
    let (mut last, mut moved, mut pause) = (made.first, begun, Duration::ZERO);
    loop {
        assert!(
            begun.elapsed() < PATIENCE,
            "{name}: the node stands still at slot {last}"
        );
        let head = node.head().unwrap_or(made.first);
        if head > last {
            first.get_or_insert_with(|| (head, Instant::now(), cpu()));
            pause = pause.max(moved.elapsed());
            (last, moved) = (head, Instant::now());
        }
        if let Some((slot, since, before)) = first.filter(|_| head >= made.last) {
            let (slots, took) = ((head - slot) as f64, since.elapsed().as_secs_f64());
            let after = cpu();
            let each = |after: Duration, before| after.saturating_sub(before).as_secs_f64() / slots * 1e3;
            println!(
                "  {name}: {:.1} slots a second ({slots} in {took:.1} s), {:.1} ms of processor time each, {:.1} of who \
                 serves; longest pause {:.1} s; all in {:.1} s since the first answer of the API",
                slots / took,
                each(after.0, before.0),
                each(after.1, before.1),
                pause.as_secs_f64(),
                begun.elapsed().as_secs_f64()
            );
            return;
        }
        std::thread::sleep(LOOK);
    }
}
