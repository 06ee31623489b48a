//! What it takes to follow a chain with 50 peers and without a validator: processor time, bytes, memory.
//!
//! One node with all validators makes the chain, another follows: processes of their own. The rest of the peers are light
//! ones of this process. The chain is a small one with mainnet's slots: what its votes and blocks cost is a fraction of
//! what mainnet's do, and what the connections cost is the same. So it is measured with few peers and with many.

use super::http;
use super::light::{self, Chain};
use super::process::{Node, Process};
use consensus::Config;
use consensus::ssz::Root;
use libp2p::Multiaddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const VALIDATORS: &str = "512";
const SLOT_SECONDS: &str = "12";
/// Seconds until genesis: both nodes, the client and the peers are there by then.
const DELAY: &str = "45";
/// Peers of the follower, besides the node that makes the chain.
const PEERS: [usize; 3] = [4, 24, 49];
/// Light peers that the node which makes the chain calls: its mesh and a few more.
const OF_SOURCE: usize = 12;
/// Slots until all are in the meshes of all topics.
const SETTLE: Duration = Duration::from_secs(36);
/// For how long it is measured: fifteen slots.
const MEASURE: Duration = Duration::from_mins(3);
/// How long it may take until all peers are there.
const PATIENCE: Duration = Duration::from_mins(5);
const FEE_RECIPIENT: &str = "0x8943545177806ED17B9F23F0a21ee5948eCaa776";

pub(super) fn bench(program: &Path, folder: &Path) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    println!("\na node that follows, {VALIDATORS} validators, slots of {SLOT_SECONDS} s, TCP");
    let genesis = [
        "genesis",
        "--output",
        "network",
        "--validators",
        VALIDATORS,
        "--keys",
        "1",
        "--slot-time",
        SLOT_SECONDS,
        "--delay",
        DELAY,
    ];
    run(program, folder, "genesis", &genesis);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // The chain is known before its first node runs, so that this one can be told whom to call.
    let probe = Node::start(program, folder, "probe", &[] as &[&str]);
    let chain = chain_of(folder, &probe);
    drop(probe);
    let most = PEERS.into_iter().max().unwrap_or_default();
    let light = runtime.block_on(light::start(&chain, most));
    let source = Node::start(program, folder, "source", &statics(&light[..OF_SOURCE]));
    let _validators = validators(program, folder, &source);
    for count in PEERS {
        let mut peers = light[..count].to_vec();
        peers.push(source.address(false).parse().expect("it is an address"));
        follow(program, folder, &peers);
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

fn statics(peers: &[Multiaddr]) -> Vec<String> {
    peers
        .iter()
        .flat_map(|peer| ["--static-peer".to_owned(), peer.to_string()])
        .collect()
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

fn follow(program: &Path, folder: &Path, peers: &[Multiaddr]) {
    let name = format!("follower-{}", peers.len());
    let node = Node::start(program, folder, &name, &statics(peers));
    let begun = Instant::now();
    while node.metric("wren_peers", "") < peers.len() as f64 {
        assert!(begun.elapsed() < PATIENCE, "{name} does not get its peers");
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(SETTLE);
    let before = Account::of(&node);
    std::thread::sleep(MEASURE);
    let after = Account::of(&node);
    let seconds = (after.at - before.at).as_secs_f64();
    println!(
        "  {} peers: {:.2} % of a core, {:.1} KB/s received, {:.1} KB/s sent, {:.1} messages a second; {:.1} MiB that no \
         file backs; {} connected at the end, head {}",
        peers.len(),
        after.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds * 100.0,
        (after.received - before.received) / seconds / 1e3,
        (after.sent - before.sent) / seconds / 1e3,
        (after.messages - before.messages) / seconds,
        node.process.anonymous_kb() as f64 / 1024.0,
        node.metric("wren_peers", ""),
        node.head().unwrap_or_default()
    );
}
