//! What happens to validators on a bad day, played through with the real programs on a local chain.
//!
//! An epoch of the minimal preset is eight slots, so that this takes a minute or two; with the other preset it would be
//! a quarter of an hour.

use super::chain::{Chain, kill, stop, wait_until};
use super::{Process, wren_fails, wren_ok};
use consensus::constants::DOMAIN_BEACON_PROPOSER;
use consensus::signing::{compute_domain, compute_signing_root};
use consensus::ssz::{Bytes, Json};
use consensus::types::{BeaconBlockHeader, ProposerSlashing, SignedBeaconBlockHeader};
use consensus::{Config, Fork};
use std::io::Write;

const CHECKPOINTS: &str = "/eth/v1/beacon/states/head/finality_checkpoints";

/// How a client ends by itself.
fn code(mut child: Process) -> Option<i32> {
    let mut status = None;
    wait_until("the client's end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code()
}

/// A validator's status.
fn status(chain: &Chain, index: u64) -> String {
    let answer = chain.get(&format!("/eth/v1/beacon/states/head/validators/{index}"));
    let status = answer.and_then(|answer| Some(answer["data"]["status"].as_str()?.to_owned()));
    status.unwrap_or_default()
}

/// More than a third of the validators are away: no epoch becomes final and balances leak; they come back, and it does.
#[test]
fn a_leak_is_overcome() {
    let folder = super::Scratch::new("leak");
    let options = [
        "--slot-time",
        "1",
        "--validators",
        "40",
        "--plain",
        "--until-finalized-epoch",
        "7",
    ];
    let place = ["--offline", "40%@1..7", "--dir", &folder.path("net")];
    let said = wren_ok(&[&["devnet"], &options[..], &place[..]].concat());
    let leak = said
        .find("inactivity leak, who is offline loses balance")
        .expect("the leak is told");
    let end = said.find("the inactivity leak is over").expect("and its end");
    assert!(leak < end && said.ends_with("epoch 7 is final\n"), "{said}");
    assert!(
        !std::path::Path::new(&folder.path("net")).exists(),
        "nothing is left behind"
    );
}

/// The head's epoch, and what a validator has in its state, in Gwei.
fn balance(chain: &Chain, index: u64) -> Option<(u64, i64)> {
    let head = chain.get("/eth/v1/beacon/headers/head")?;
    let place = |name: &str| Some(head.pointer(name)?.as_str()?.to_owned());
    let slot: u64 = place("/data/header/message/slot")?.parse().ok()?;
    let state = place("/data/header/message/state_root")?;
    let answer = chain.get(&format!("/eth/v1/beacon/states/{state}/validator_balances?id={index}"))?;
    let balance = answer.pointer("/data/0/balance")?.as_str()?.parse().ok()?;
    Some((slot / 8, balance))
}

/// One of sixteen validators is online for six of ten epochs: it ends above its start. Its client is away for three epochs
/// of eighteen, listens for two after that, and one begins before it is heard again.
#[test]
fn who_is_online_most_of_the_time_earns() {
    const EPOCHS: u64 = 18;
    // Without an address nothing is paid out, and a balance tells all.
    let chain = Chain::sliced("sixty", 16, &["--withdrawals", "bls"]);
    chain.import_slice("one", 0);
    (1..16).for_each(|slice| chain.import_slice("others", slice));
    let start = |name: &str| chain.client_of(name, &format!("{name}.log"), "0");
    let (node, mut one, others) = (chain.node(), Some(start("one")), start("others"));
    let mut balances: Vec<(u64, i64)> = Vec::new();
    wait_until("the last epoch", || {
        let Some((epoch, balance)) = balance(&chain, 0) else {
            return false;
        };
        if balances.last().is_none_or(|(last, _)| *last < epoch) {
            balances.push((epoch, balance));
        }
        if (5..8).contains(&epoch) {
            one.take().into_iter().for_each(stop);
        } else {
            one.get_or_insert_with(|| start("one"));
        }
        epoch >= EPOCHS
    });
    one.into_iter().chain([others, node]).for_each(stop);
    let changes: Vec<i64> = balances.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    let earned: i64 = changes.iter().filter(|change| **change > 0).sum();
    let lost: i64 = changes.iter().filter(|change| **change < 0).sum();
    let share = changes.iter().filter(|change| **change > 0).count() * 100 / changes.len();
    writeln!(
        std::io::stderr(),
        "\nearning in {share} % of {EPOCHS} epochs: {earned} Gwei earned, {} lost, {} kept; by epoch {changes:?}",
        -lost,
        earned + lost
    )
    .unwrap();
    assert!((40..=75).contains(&share), "{share} %: {changes:?}");
    assert!(lost < 0, "who is away loses something: {changes:?}");
    assert!(earned + lost > 0, "{earned} earned, {lost} lost");
}

/// The same keys in a second client: it notices, and ends with the exit code that keeps supervisors from restarting it.
/// The first one goes on.
#[test]
fn a_double_start_is_noticed() {
    let chain = Chain::new("double", &[]);
    let (node, client) = (chain.node(), chain.client());
    chain.import_keys("copy");
    chain.wait_slot(8);
    let second = chain.client_of("copy", "second.log", "0");
    assert_eq!(code(second), Some(129), "{}", chain.log("second.log"));
    assert!(
        chain.log("second.log").contains("another client"),
        "{}",
        chain.log("second.log")
    );
    chain.wait(CHECKPOINTS, "/data/finalized/epoch", 3);
    stop(client);
    stop(node);
}

/// Two blocks of validator 5 in one slot, signed by its key elsewhere, as the pool takes them.
fn slashing(chain: &Chain) -> String {
    let config = Config::from_yaml(&std::fs::read_to_string(chain.path("network/config.yaml")).unwrap())
        .unwrap()
        .config;
    let genesis = chain.get("/eth/v1/beacon/genesis").unwrap();
    let root = genesis["data"]["genesis_validators_root"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let domain = compute_domain(DOMAIN_BEACON_PROPOSER, config.fork_version(Fork::Fulu), root);
    let key = node::genesis::interop_secret_key(5);
    let signed = |state: u8| {
        let message = BeaconBlockHeader {
            slot: 3,
            proposer_index: 5,
            state_root: Bytes([state; 32]),
            ..BeaconBlockHeader::default()
        };
        let signature = key.sign(&compute_signing_root(&message, Fork::Fulu, domain).0);
        SignedBeaconBlockHeader {
            message,
            signature: Bytes(signature.to_bytes()),
        }
    };
    let slashing = ProposerSlashing {
        signed_header_1: signed(1),
        signed_header_2: signed(2),
    };
    slashing.to_json(Fork::Fulu)
}

/// A validator is slashed on the chain: its client stops its duties, and goes on for the others.
#[test]
fn a_slashed_key_stops_signing() {
    let chain = Chain::new("slashed", &[]);
    let (node, client) = (chain.node(), chain.client());
    chain.wait_slot(9);
    let (answer, said) = chain.post("/eth/v1/beacon/pool/proposer_slashings", &slashing(&chain));
    assert_eq!(answer, 200, "{said}");
    wait_until("the slashing in a block", || status(&chain, 5) == "active_slashed");
    wait_until("the client's word on it", || {
        chain.log("client.log").contains("validator 5 was slashed")
    });
    // The epoch after the next one: what was signed before it was noticed is then of the past.
    let epoch = chain.head_slot() / 8 + 2;
    chain.wait_slot(epoch * 8 + 12);
    let (answer, live) = chain.post(&format!("/eth/v1/validator/liveness/{epoch}"), "[\"4\",\"5\",\"6\"]");
    assert_eq!(answer, 200, "{live}");
    let live: serde_json::Value = serde_json::from_str(&live).unwrap();
    let live: Vec<bool> = live["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["is_live"] == true)
        .collect();
    assert_eq!(
        live,
        [true, false, true],
        "validator 5 has stopped, the others have not"
    );
    stop(client);
    stop(node);
}

/// An exit is signed before a fork, refused in words while it is too early, and sent by another process after the fork.
#[test]
fn an_exit_outlives_a_fork() {
    let chain = Chain::new("exit", &["--fork", "electra", "--fork-at", "fulu=3"]);
    let metrics = super::operator::free_port();
    let (node, client) = (chain.node(), chain.client_of("data", "client.log", &metrics));
    chain.wait_slot(1);
    let validator = chain.get("/eth/v1/beacon/states/head/validators/3").unwrap();
    let pubkey = validator["data"]["validator"]["pubkey"].as_str().unwrap().to_owned();
    let sign = ["exit", "sign", "--validator", &pubkey, "--index", "3"];
    let place = ["--network", &chain.path("network"), "--datadir", &chain.path("data")];
    let signed = wren_ok(&[&sign[..], &place[..]].concat());
    let pool = "/eth/v1/beacon/pool/voluntary_exits";
    let (answer, said) = chain.post(pool, &signed);
    assert!(answer == 400 && said.contains("message"), "{answer} {said}");
    // `SHARD_COMMITTEE_PERIOD` of a local chain is four epochs, and the fork is the third.
    chain.wait_slot(4 * 8);
    let (answer, said) = chain.post(pool, &signed);
    assert_eq!(answer, 200, "{said}");
    wait_until("the exit in a block", || status(&chain, 3) == "active_exiting");
    let (url, metrics) = (format!("http://{}", chain.api), format!("http://127.0.0.1:{metrics}"));
    let place = [
        "status",
        "--datadir",
        &chain.path("data"),
        "--beacon-nodes",
        &url,
        "--client-metrics",
        &metrics,
    ];
    let screen = String::from_utf8(super::wren(&place, b"").stdout).unwrap();
    for part in [
        "synced, head at slot",
        "16 keys, 16 signing",
        "validator   3: keeps working, exiting until",
        "next duty",
    ] {
        assert!(screen.contains(part), "{part} is not in\n{screen}");
    }
    stop(client);
    kill(node);
    let down = wren_fails(
        7,
        &[
            "status",
            "--beacon-nodes",
            &format!("http://{}", chain.api),
            "--only",
            "node",
        ],
        b"",
    );
    assert!(down.is_empty(), "what is wrong is told on the screen: {down}");
}
