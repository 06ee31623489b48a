//! A local chain whose node and client are killed at any moment: it finalizes all the same, and nobody is slashed.

use super::chain::{Chain, kill, stop};
use super::recorder::Recorder;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CHECKPOINTS: &str = "/eth/v1/beacon/states/head/finality_checkpoints";

fn slashed(chain: &Chain) -> serde_json::Value {
    let slashed = chain.get("/eth/v1/beacon/states/head/validators?status=active_slashed,exited_slashed");
    slashed.unwrap()["data"].clone()
}

#[test]
fn a_chain_outlives_kills_of_node_and_client() {
    let chain = Chain::new("restart", &[]);
    let (node, client) = (chain.node(), chain.client());
    chain.wait_slot(5);
    kill(node);
    let node = chain.node();
    chain.wait_slot(11);
    kill(client);
    let client = chain.client();
    chain.wait_slot(16);
    kill(node);
    let node = chain.node();
    chain.wait_slot(20);
    kill(client);
    let client = chain.client();
    chain.wait(CHECKPOINTS, "/data/finalized/epoch", 3);
    assert_eq!(slashed(&chain), serde_json::json!([]));
    stop(client);
    stop(node);
    // A node that was started again forgets who is to be paid: the client tells it before each block.
    assert!(
        !chain.log("client.log").contains("pays its fees to"),
        "{}",
        chain.log("client.log")
    );
    let log = chain.log("node.log");
    assert!(log.contains("went through the blocks of the database"), "{log}");
}

/// Some hundred slots with every fork from Altair on, each of which becomes final, and both processes killed on the way. Ten
/// minutes: only in a long run; `scripts/test` has the forks one after the other in short.
#[test]
fn every_fork_becomes_final_in_spite_of_a_kill() {
    if std::env::var("WREN_TEST_LONG").as_deref() != Ok("1") {
        return;
    }
    // Epochs between forks: finality is two epochs behind, and each fork shall have it before the next one.
    const APART: u64 = 6;
    let forks = ["altair", "bellatrix", "capella", "deneb", "electra", "fulu"];
    let later: Vec<String> = (1..)
        .zip(&forks[1..])
        .map(|(place, fork)| format!("{fork}={}", place * APART))
        .collect();
    let mut options = vec!["--fork", forks[0], "--slot-time", "2"];
    options.extend(later.iter().flat_map(|fork| ["--fork-at", fork.as_str()]));
    let chain = Chain::new("every-fork", &options);
    let (mut node, mut client) = (chain.node(), chain.client());
    for (fork, place) in forks.iter().zip(0..) {
        chain.wait(CHECKPOINTS, "/data/finalized/epoch", place * APART + 2);
        let block = chain.get("/eth/v2/beacon/blocks/head").unwrap();
        assert_eq!(block["version"], *fork);
        if *fork == "capella" {
            kill(node);
            kill(client);
            (node, client) = (chain.node(), chain.client());
        }
    }
    assert_eq!(slashed(&chain), serde_json::json!([]));
    stop(client);
    stop(node);
}

/// Numbers that look random (splitmix64); the first one is told, so that a failure can be looked at again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Node and client are killed at random moments for two minutes, ten in a long run. Nothing that the client sent can be
/// slashed, by the words of the specification and not by its own database; and epochs become final afterwards.
#[test]
fn random_kills_cost_no_slashable_signature_and_no_finality() {
    let length = Duration::from_mins(if std::env::var_os("WREN_TEST_LONG").is_some() {
        10
    } else {
        2
    });
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let mut random = Random(u64::from(seed));
    let chain = Chain::new("kills", &[]);
    let recorder = Recorder::new(chain.api);
    let start = || chain.client_at(recorder.address, "data", "client.log", "0");
    let (mut node, mut client) = (chain.node(), start());
    chain.wait_slot(2);
    let (begin, mut kills) = (Instant::now(), [0, 0]);
    while begin.elapsed() < length {
        std::thread::sleep(Duration::from_millis(1000 + random.below(8000)));
        let which = random.below(2) as usize;
        kills[which] += 1;
        if which == 0 {
            kill(node);
            node = chain.node();
        } else {
            kill(client);
            client = start();
        }
    }
    let head = || chain.get("/eth/v1/beacon/headers/head");
    let slot = |head: serde_json::Value| head["data"]["header"]["message"]["slot"].as_str()?.parse::<u64>().ok();
    let mut epoch = None;
    super::chain::wait_until("the node's answer", || {
        epoch = head().and_then(slot).map(|slot| slot / 8);
        epoch.is_some()
    });
    chain.wait(CHECKPOINTS, "/data/finalized/epoch", epoch.unwrap() + 1);
    assert_eq!(slashed(&chain), serde_json::json!([]));
    stop(client);
    stop(node);
    let signed = recorder.signed();
    writeln!(
        std::io::stderr(),
        "\n{} kills of the node and {} of the client (seed {seed}): {} votes, {} blocks, epoch {} final afterwards",
        kills[0],
        kills[1],
        signed.votes(),
        signed.blocks(),
        epoch.unwrap() + 1
    )
    .unwrap();
    assert!(signed.votes() > 16 && signed.blocks() > 8, "nothing was recorded");
    assert_eq!(signed.slashable(), Vec::<String>::new(), "seed {seed}");
}
