//! The whole node at the size of mainnet: start from a checkpoint, import, duties, a kill and the restart after it.
//!
//! `WREN_BIN=…/wren cargo bench -p node --bench mainnet [-- VALIDATORS BLOCKS slow]`, where the program is a release build
//! of the same preset; 2,200,000 validators and 64 blocks unless numbers are given. State and blocks are made here; the node
//! is a process of its own with the built-in engine, and its blocks come by its API, every signature and payload checked;
//! beside it runs the validator client with keys of active validators.
//! Where the machine has cgroups of version 1 and lets us make one, both run in one of 1 GiB without swap; what memory
//! they had is told in any case: the peak that no file backs, and the peak with all mapped files. With `slow` they have a
//! quarter of a core, and hash without the processor's instructions for it.
//!
//! `cargo bench -p node --bench mainnet -- signed`: the chain of 120,000 validators beside the repository; see `signed`.

mod chain;
mod client;
mod process;
mod signed;

use chain::Made;
use client::Client;
use consensus::Fork;
use consensus::preset::SLOTS_PER_EPOCH;
use process::{Limits, Node, free_port};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Validators whose duties are asked for at once.
const OURS: u64 = 1000;
/// For how long each kind of answer is counted.
const COUNT_FOR: Duration = Duration::from_secs(5);
/// How often a block is published until it is taken.
const TRIES: usize = 20;
/// How long a start may take: a small machine under load.
const PATIENCE: Duration = Duration::from_mins(10);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let measure = args.iter().any(|arg| arg == "--bench");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-node-{}", std::process::id()));
    if measure && args.iter().any(|arg| arg == "signed") {
        signed::bench(&folder);
        std::fs::remove_dir_all(&folder).ok();
        return;
    }
    let Some(program) = std::env::var_os("WREN_BIN").filter(|_| measure) else {
        println!("NOT RUN: name a release build of `wren` by WREN_BIN, and run it by `cargo bench`");
        return;
    };
    let numbers: Vec<u64> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let validators = numbers.first().copied().unwrap_or(2_200_000);
    let blocks = numbers.get(1).copied().unwrap_or(2 * SLOTS_PER_EPOCH);
    println!("\na node with {validators} validators, 95 in 220 of them active, {blocks} blocks");
    let begun = Instant::now();
    let made = chain::make(&folder, validators as usize, blocks);
    println!("  state and blocks made in {:.0} s", begun.elapsed().as_secs_f64());
    let limits = Limits::new(args.iter().any(|arg| arg == "slow"));
    bench(&PathBuf::from(program), &folder, &made, &limits);
    drop(limits);
    std::fs::remove_dir_all(&folder).expect("the folder was made here");
}

fn bench(program: &Path, folder: &Path, made: &Made, limits: &Limits) {
    let checkpoint = ["--checkpoint-state", "state.ssz", "--checkpoint-block", "block.ssz"];
    // The same one for both, so that the client finds the node again.
    let port = free_port();
    let node = Node::start(program, folder, limits, port, &checkpoint);
    let started = serve(&node, made, made.first);
    node.phase("start from the checkpoint, to the first duty served", started, limits);
    process::import_keys(program, folder);
    let client = Node::start_client(program, folder, limits, &node);
    let begun = Instant::now();
    let times = import(&node, folder, made);
    node.phase("import", begun.elapsed(), limits);
    show_imports(times);
    rates(&node, made);
    // The file of keys is filled in the background, which is a part of the first hours of a node.
    let begun = Instant::now();
    node.wait_until_idle(PATIENCE);
    node.phase("what went on in the background until then", begun.elapsed(), limits);
    rates(&node, made);
    node.kill();
    let node = Node::start(program, folder, limits, port, &[]);
    let started = serve(&node, made, made.last);
    node.phase("restart after a kill, to the first duty served", started, limits);
    rates(&node, made);
    assert!(client.is_alive(), "the client has ended; see {}", client.log());
    client.phase("the client, all the time", client.begun.elapsed(), limits);
    client.kill();
    node.stop();
}

/// Waits until the node has a head of that slot or a later one and serves the duties of now by it; tells how long after its
/// start that is.
fn serve(node: &Node, made: &Made, head: u64) -> Duration {
    let begun = node.begun;
    loop {
        assert!(
            begun.elapsed() < PATIENCE,
            "the node does not serve; see {}",
            node.log()
        );
        if let Some(client) = Client::connect(node.port)
            && duty(client, made, head).is_some()
        {
            return begun.elapsed();
        }
        assert!(node.is_alive(), "the node has ended; see {}", node.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What to attest to now, and who attests in this epoch.
fn duty(mut client: Client, made: &Made, head: u64) -> Option<()> {
    if client.get("/eth/v1/node/syncing")?.number("head_slot")? < head {
        return None;
    }
    let slot = made.slot_now();
    let epoch = slot / SLOTS_PER_EPOCH;
    client.post_json(&duties_path(epoch), &indices(1))?;
    client.get(&data_path(slot))?;
    Some(())
}

fn duties_path(epoch: u64) -> String {
    format!("/eth/v1/validator/duties/attester/{epoch}")
}

fn data_path(slot: u64) -> String {
    format!("/eth/v1/validator/attestation_data?slot={slot}&committee_index=0")
}

fn indices(count: u64) -> String {
    let quoted: Vec<String> = (0..count).map(|index| format!("\"{}\"", index * 7)).collect();
    format!("[{}]", quoted.join(","))
}

/// Publishes the blocks one after the other, as their proposers would.
fn import(node: &Node, folder: &Path, made: &Made) -> Vec<Duration> {
    let mut client = Client::connect(node.port).expect("the node listens");
    let mut times = Vec::new();
    for slot in made.first + 1..=made.last {
        let bytes = std::fs::read(folder.join(format!("block_{slot}"))).expect("it was written");
        made.wait_for(slot);
        let begun = Instant::now();
        // A slow machine that is busy asks to try again.
        let taken = (0..TRIES).any(|_| {
            client
                .post_ssz("/eth/v2/beacon/blocks", Fork::Fulu.name(), &bytes)
                .is_some()
        });
        assert!(taken, "the block of slot {slot} is refused; see {}", node.log());
        times.push(begun.elapsed());
    }
    times
}

fn show_imports(mut times: Vec<Duration>) {
    times.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
    let all: Duration = times.iter().sum();
    println!(
        "    a block published and acknowledged: {} ms the median, {} ms the longest; {:.1} blocks a second",
        ms(times.get(times.len() / 2)),
        ms(times.last()),
        times.len() as f64 / all.as_secs_f64().max(f64::MIN_POSITIVE)
    );
}

/// Answers per second over one connection, one after the other.
fn rates(node: &Node, made: &Made) {
    let (epoch, ours) = (|| made.slot_now() / SLOTS_PER_EPOCH, indices(OURS));
    let data = rate(node, |client| client.get(&data_path(made.slot_now())).map(drop));
    let duties = rate(node, |client| client.post_json(&duties_path(epoch()), &ours).map(drop));
    println!("    answers a second: attestation_data {data:.0}, duties of {OURS} validators {duties:.0}");
}

fn rate(node: &Node, mut ask: impl FnMut(&mut Client) -> Option<()>) -> f64 {
    let mut client = Client::connect(node.port).expect("the node listens");
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < COUNT_FOR {
        ask(&mut client).expect("the node answers");
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}
