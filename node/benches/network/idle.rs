//! What it takes to follow a chain without a validator, for several choices of `--target-peers`: processor time, bytes,
//! memory.
//!
//! One node with all validators makes the chain, others follow, each with as many peers as it wants: all processes of
//! their own, measured over the same minutes. The rest of the peers are light ones of this process; half of a follower's
//! have called it. The chain is a small one, so that it is run twice, with mainnet's slots and with a sixth of them: the
//! difference is what messages cost, the rest is what connections cost.

use super::http;
use super::light::{self, Chain, Light};
use super::process::{Node, Process};
use consensus::Config;
use consensus::ssz::Root;
use libp2p::Multiaddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const VALIDATORS: &str = "512";
/// Seconds of a slot.
const SLOTS: [&str; 2] = ["12", "2"];
/// Seconds until genesis: the nodes, the client and the peers are there by then.
const DELAY: &str = "60";
/// Peers that a follower wants, the node that makes the chain among them.
const TARGETS: [usize; 4] = [16, 25, 50, 100];
/// Light peers that the node which makes the chain calls: its mesh and a few more.
const OF_SOURCE: usize = 12;
/// Slots until all are in the meshes of all topics.
const SETTLE: Duration = Duration::from_secs(45);
/// For how long it is measured.
const MEASURE: Duration = Duration::from_mins(4);
/// After which time peers that are not connected are called again.
const CALL_AGAIN: Duration = Duration::from_secs(5);
/// How long it may take until all peers are there.
const PATIENCE: Duration = Duration::from_mins(5);
const FEE_RECIPIENT: &str = "0x8943545177806ED17B9F23F0a21ee5948eCaa776";

pub(super) fn bench(program: &Path, folder: &Path) {
    for slot in SLOTS {
        bench_with(program, &folder.join(format!("slots-of-{slot}")), slot);
    }
}

fn bench_with(program: &Path, folder: &Path, slot: &str) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    println!("\nnodes that follow, {VALIDATORS} validators, slots of {slot} s, TCP");
    let genesis = [
        "genesis",
        "--output",
        "network",
        "--validators",
        VALIDATORS,
        "--keys",
        "1",
    ];
    let times = ["--slot-time", slot, "--delay", DELAY];
    run(program, folder, "genesis", &[&genesis[..], &times].concat());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // The chain is known before its first node runs, so that this one can be told whom to call.
    let probe = Node::start(program, folder, "probe", &[] as &[&str]);
    let chain = chain_of(folder, &probe);
    drop(probe);
    let most = TARGETS.into_iter().max().unwrap_or_default();
    let peers = runtime.block_on(light::start(&chain, most));
    let first = peers.iter().take(OF_SOURCE).map(|peer| peer.address.to_string());
    let source = Node::start(program, folder, "source", &statics(first));
    let _validators = validators(program, folder, &source);
    let followers = TARGETS.map(|target| follower(program, folder, target, &source, &peers));
    let begun = Instant::now();
    for (node, target) in followers.iter().zip(TARGETS) {
        while node.metric("wren_peers", "") < target as f64 {
            let count = node.metric("wren_peers", "");
            assert!(begun.elapsed() < PATIENCE, "the follower has {count} peers of {target}");
            // Where many call at once some are turned away.
            call(node, target, &peers);
            std::thread::sleep(CALL_AGAIN);
        }
    }
    std::thread::sleep(SETTLE);
    let before = followers.each_ref().map(Account::of);
    std::thread::sleep(MEASURE);
    for ((node, target), before) in followers.iter().zip(TARGETS).zip(before) {
        tell(node, target, &before);
    }
}

/// A command to its end.
fn run(program: &Path, folder: &Path, name: &str, words: &[&str]) {
    let mut process = Process::start(program, folder, name, words);
    assert!(process.succeeds(), "{name} failed; see {}", folder.display());
}

fn chain_of(folder: &Path, node: &Node) -> Chain {
    let yaml = std::fs::read_to_string(folder.join("network/config.yaml")).expect("it was made");
    let root = |path: &str, name: &str| -> Root {
        let data = http::data(node.http, path).expect("the node answers");
        data[name]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("it is a root")
    };
    Chain {
        config: Arc::new(Config::from_yaml(&yaml).expect("it was made").config),
        genesis_validators_root: root("/eth/v1/beacon/genesis", "genesis_validators_root"),
        genesis_block_root: root("/eth/v1/beacon/headers/genesis", "root"),
    }
}

fn statics(addresses: impl Iterator<Item = String>) -> Vec<String> {
    addresses
        .flat_map(|address| ["--static-peer".to_owned(), address])
        .collect()
}

/// The light peers of a follower: those that it calls, half of all with the node that makes the chain, and those that
/// call it.
fn halves(peers: &[Light], target: usize) -> (&[Light], &[Light]) {
    peers[..target - 1].split_at(target / 2 - 1)
}

fn follower(program: &Path, folder: &Path, target: usize, source: &Node, peers: &[Light]) -> Node {
    let called = halves(peers, target).0.iter().map(|peer| peer.address.to_string());
    let mut options = statics(called.chain([source.address(false)]));
    options.extend(["--target-peers".to_owned(), target.to_string()]);
    Node::start(program, folder, &format!("follower-{target}"), &options)
}

/// Has those call it that do and are not connected.
fn call(node: &Node, target: usize, peers: &[Light]) {
    let address: Multiaddr = node.address(false).parse().expect("it is an address");
    for peer in halves(peers, target).1 {
        peer.calls.send(address.clone()).expect("it lives");
    }
}

fn validators(program: &Path, folder: &Path, source: &Node) -> Process {
    let password = "network/keys-0/password.txt";
    let of_network = ["--network", "network", "--datadir", "validators"];
    let mut import = vec![
        "keys",
        "import",
        "network/keys-0",
        "--new-keys",
        "--password-file",
        password,
    ];
    import.extend(of_network);
    run(program, folder, "import", &import);
    let url = format!("http://127.0.0.1:{}", source.http);
    let mut words = vec![
        "validator",
        "--beacon-nodes",
        &url,
        "--keymanager-port",
        "0",
        "--metrics-port",
        "0",
    ];
    words.extend(of_network);
    words.extend(["--suggested-fee-recipient", FEE_RECIPIENT]);
    Process::start(program, folder, "validators", &words)
}

/// What was counted at a time.
struct Account {
    at: Instant,
    cpu: Duration,
    received: f64,
    sent: f64,
    messages: f64,
}

impl Account {
    fn of(node: &Node) -> Self {
        let bytes = |direction| node.metric("wren_network_bytes_total", direction);
        Account {
            at: Instant::now(),
            cpu: node.process.cpu(),
            received: bytes("direction=\"received\""),
            sent: bytes("direction=\"sent\""),
            messages: node.metric("wren_gossip_messages_total", ""),
        }
    }
}

fn tell(node: &Node, target: usize, before: &Account) {
    let after = Account::of(node);
    let seconds = (after.at - before.at).as_secs_f64();
    println!(
        "  {target} peers: {:.2} % of a core, {:.2} KB/s received, {:.2} KB/s sent, {:.2} messages a second; {:.1} MiB \
         that no file backs; {} connected at the end, {} of them called; head {}",
        after.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds * 100.0,
        (after.received - before.received) / seconds / 1e3,
        (after.sent - before.sent) / seconds / 1e3,
        (after.messages - before.messages) / seconds,
        node.process.anonymous_kb() as f64 / 1024.0,
        node.metric("wren_peers", ""),
        node.metric("wren_peers", "inbound"),
        node.head().unwrap_or_default()
    );
}
