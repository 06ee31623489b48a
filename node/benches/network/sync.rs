//! How fast a node catches up from another, over loopback: two processes from one checkpoint of a chain with 120,000
//! validators; the one is given the blocks after it, which the other then asks it for.
//!
//! Every block has votes of nearly all who are active, with valid signatures, and a payload of the built-in engine, which
//! the other node checks by an engine of its own. There are no blobs, so that no columns travel. The rate is that of the
//! head from its first move on; beside it stands the processor time of the node that catches up.

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
const CHECKPOINT: [&str; 4] = ["--checkpoint-state", "state.ssz", "--checkpoint-block", "block.ssz"];

pub(super) fn bench(program: &Path, folder: &Path) {
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
    for (name, quic) in [("by TCP", false), ("by QUIC", true)] {
        follow(program, folder, &made, name, &server.address(quic));
    }
}

fn follow(program: &Path, folder: &Path, made: &Made, name: &str, server: &str) {
    let mut options = CHECKPOINT.to_vec();
    options.extend(["--static-peer", server]);
    let node = Node::start(program, folder, &name.replace(' ', "-"), &options);
    let begun = Instant::now();
    let mut moved: Option<(u64, Instant, Duration)> = None;
    loop {
        assert!(begun.elapsed() < PATIENCE, "the node does not catch up");
        let head = node.head().unwrap_or(made.first);
        match moved {
            None if head > made.first => moved = Some((head, Instant::now(), node.process.cpu())),
            Some((slot, since, cpu)) if head >= made.last => {
                let (slots, took) = ((head - slot) as f64, since.elapsed().as_secs_f64());
                let cpu = node.process.cpu().saturating_sub(cpu).as_secs_f64();
                println!(
                    "  {name}: {:.0} slots a second ({slots} in {took:.1} s), {:.0} ms of processor time each; \
                     {:.1} s since the first answer of the API",
                    slots / took,
                    cpu / slots * 1e3,
                    begun.elapsed().as_secs_f64()
                );
                return;
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
