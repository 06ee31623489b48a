//! `wren exit send` and `status` against a local chain of our own node and client, while the client runs.

use crate::{Scratch, program, wren, wren_fails, wren_ok};
use consensus::Config;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for the slowest machine: the chain needs some ten slots of a second.
const PATIENCE: Duration = Duration::from_mins(5);
const FEES: &str = "0x8943545177806ED17B9F23F0a21ee5948eCaa776";

/// Validators may leave from the start.
const LEAVES_EARLY: (&str, &str) = ("SHARD_COMMITTEE_PERIOD: 4", "SHARD_COMMITTEE_PERIOD: 0");
/// They are paid an epoch after they have left.
const PAID_EARLY: (&str, &str) = (
    "MIN_VALIDATOR_WITHDRAWABILITY_DELAY: 4",
    "MIN_VALIDATOR_WITHDRAWABILITY_DELAY: 1",
);

/// A node and a client on a chain of 32 validators.
struct Chain {
    scratch: Scratch,
    api: SocketAddr,
    processes: Vec<Child>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        for child in &mut self.processes {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Chain {
    /// Starts it with some lines of the config changed.
    fn start(name: &str, changes: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new(name);
        let config = Config::network("devnet").expect("it is built in").to_yaml();
        let young = changes.iter().fold(config, |config, (before, after)| {
            assert!(config.contains(before), "the config says it otherwise than {before}");
            config.replace(before, after)
        });
        fs::write(scratch.path("devnet.yaml"), young).expect("written");
        let (network, config) = (scratch.path("network"), scratch.path("devnet.yaml"));
        let genesis = [
            "genesis",
            "--output",
            &network,
            "--config",
            &config,
            "--validators",
            "32",
            "--keys",
            "1",
        ];
        wren_ok(&[&genesis[..], &["--slot-time", "1", "--delay", "8"]].concat());
        let keys = format!("{network}/keys-0");
        let (password, data) = (format!("{keys}/password.txt"), scratch.path("data"));
        let import = ["keys", "import", &keys, "--new-keys", "--password-file", &password];
        wren_ok(&[&import[..], &["--network", &network, "--datadir", &data]].concat());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let api = listener.local_addr().expect("an address");
        drop(listener);
        let mut chain = Chain {
            scratch,
            api,
            processes: Vec::new(),
        };
        let (port, url) = (api.port().to_string(), chain.url());
        let node = [
            "node",
            "--dev-engine",
            "--alone",
            "--metrics-port",
            "0",
            "--http-port",
            &port,
        ];
        chain.spawn("node", &node);
        let client = [
            "validator",
            "--metrics-port",
            "0",
            "--beacon-nodes",
            &url,
            "--suggested-fee-recipient",
            FEES,
        ];
        chain.spawn("client", &client);
        chain
    }

    fn spawn(&mut self, name: &str, arguments: &[&str]) {
        let log = File::create(self.scratch.path(&format!("{name}.log"))).expect("a log");
        let child = Command::new(program())
            .args(arguments)
            .args([
                "--network",
                &self.scratch.path("network"),
                "--datadir",
                &self.scratch.path("data"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.processes.push(child.expect("it starts"));
    }

    fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    fn get(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.api).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: x\r\nAccept: application/json\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    fn wait_slot(&self, least: u64) {
        let start = Instant::now();
        let slot = || -> Option<u64> {
            let head = self.get("/eth/v1/beacon/headers/head")?;
            head.pointer("/data/header/message/slot")?.as_str()?.parse().ok()
        };
        while slot().is_none_or(|slot| slot < least) {
            let log = |name: &str| fs::read_to_string(self.scratch.path(name)).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "{} {}", log("node.log"), log("client.log"));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The arguments of a command with what this chain is.
    fn arguments(&self, arguments: &[&str], signs: bool) -> Vec<String> {
        let mut all: Vec<String> = arguments.iter().map(|argument| (*argument).into()).collect();
        all.extend(["--beacon-nodes".into(), self.url()]);
        if signs {
            all.extend(["--network".into(), self.scratch.path("network")]);
        }
        if arguments[1] != "status" {
            all.extend(["--datadir".into(), self.scratch.path("data")]);
        }
        all
    }

    /// What it printed and what it said, when it went well.
    fn ok(&self, arguments: &[&str], signs: bool, input: &str) -> (String, String) {
        let all = self.arguments(arguments, signs);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let output = wren(&all, input.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "wren {}: {stderr}", all.join(" "));
        (stdout, stderr)
    }

    fn fails(&self, code: i32, arguments: &[&str], signs: bool, input: &str) -> String {
        let all = self.arguments(arguments, signs);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        wren_fails(code, &all, input.as_bytes())
    }
}

#[test]
fn exits_are_sent_included_and_followed_while_the_client_runs() {
    let chain = Chain::start("exit-send", &[LEAVES_EARLY]);
    chain.wait_slot(2);
    let status = chain.ok(&["exit", "status", "3"], false, "").0;
    assert!(
        status.contains("validator 3: active, balance") && status.contains("no exit of it"),
        "{status}"
    );

    // Nothing goes out without the sentence, nor with a wrong one.
    let said = chain.fails(5, &["exit", "send", "--validator", "3"], true, "yes\n");
    for words in [
        "Validator 3 (key 0x",
        "Its ETH goes to 0x",
        "Keep the validator running until",
        "cannot be taken back",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (stdout, _) = chain.ok(
        &["exit", "send", "--validator", "3"],
        true,
        "the validator shall leave\n",
    );
    assert!(stdout.contains("Validator 3 leaves at epoch"), "{stdout}");
    let status = chain.ok(&["exit", "status", "3"], false, "").0;
    assert!(
        status.contains("active, leaving") && status.contains("keep it running until then"),
        "{status}"
    );
    let again = chain.fails(3, &["exit", "send", "--validator", "3", "--yes"], true, "");
    assert!(again.contains("it is leaving already"), "{again}");

    // A file that was signed before, without --network; one for another validator is not sent.
    let key = chain.get("/eth/v1/beacon/states/head/validators/4").expect("an answer");
    let key = key["data"]["validator"]["pubkey"].as_str().expect("a key").to_owned();
    let (file, wrong) = (chain.scratch.path("exit.json"), chain.scratch.path("wrong.json"));
    let network = chain.scratch.path("network");
    let data = chain.scratch.path("data");
    for (index, file) in [("4", &file), ("5", &wrong)] {
        let sign = ["exit", "sign", "--validator", &key, "--index", index, "--output", file];
        wren_ok(&[&sign[..], &["--network", &network, "--datadir", &data]].concat());
    }
    let refused = chain.fails(3, &["exit", "send", &wrong, "--yes"], false, "");
    assert!(refused.contains("not signed by the key of validator 5"), "{refused}");
    let (stdout, _) = chain.ok(&["exit", "send", &file, "--yes"], false, "");
    assert!(stdout.contains("Validator 4 leaves at epoch"), "{stdout}");

    let unknown = chain.fails(3, &["exit", "status", "99"], false, "");
    assert!(unknown.contains("does not know the validator 99"), "{unknown}");
    let all = chain.fails(5, &["exit", "send", "--all", "--yes"], true, "31\n");
    assert!(
        all.contains("Validator 3 stays") && all.contains("30 validators will leave"),
        "{all}"
    );

    // The running client tells the same of its keys.
    let list = chain.ok(&["keys", "list"], false, "").0;
    assert!(list.contains("validator 3, active, leaving, balance 3"), "{list}");
    assert!(
        list.contains("  signs; last block") && list.contains(&format!("fees go to {FEES}")),
        "{list}"
    );
}

/// The chain lets nobody go before five epochs are over: a minute of the minimal preset's, four of mainnet's.
fn has_time() -> bool {
    std::env::var("WREN_TEST_LONG").is_ok_and(|value| value == "1")
}

/// From the chain's word on the exit to the payout, each step in dates; then the command ends by itself.
#[test]
fn an_exit_is_followed_until_it_is_paid() {
    if !has_time() {
        return;
    }
    let chain = Chain::start("exit-follow", &[LEAVES_EARLY, PAID_EARLY]);
    chain.wait_slot(2);
    let url = chain.url();
    let follow = ["exit", "status", "3", "--follow", "--beacon-nodes", &url];
    let output = std::thread::scope(|scope| {
        let following = scope.spawn(|| wren(&follow, b""));
        chain.ok(&["exit", "send", "--validator", "3", "--yes", "--no-wait"], true, "");
        following.join().expect("it ends")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    // The epoch between exit and payout may pass between two looks, where the machine is busy.
    let steps = ["the chain has no exit of it", "active, leaving", "it is paid"];
    let places: Vec<Option<usize>> = steps.iter().map(|step| said.find(step)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{said}");
    let last = said.lines().last().unwrap_or_default();
    for words in ["paid out, balance 0 ETH", "goes to 0x", "it left at epoch", "(20"] {
        assert!(last.contains(words), "{words}: {last}");
    }
    let exited = chain.get("/eth/v1/beacon/states/head/validators/3").expect("an answer");
    assert_eq!(exited["data"]["status"], "withdrawal_done");
}

#[test]
fn what_stands_against_an_exit_is_said_in_words() {
    let nobody = wren_fails(6, &["exit", "status", "1", "--beacon-nodes", "http://127.0.0.1:1"], b"");
    assert!(
        nobody.contains("no beacon node answers") && nobody.contains("--beacon-nodes"),
        "{nobody}"
    );
    let scratch = Scratch::new("exit-file");
    let (file, absent) = (scratch.path("exit.json"), scratch.path("absent.json"));
    fs::write(&file, "{}").expect("written");
    let nowhere = wren_fails(2, &["exit", "send"], b"");
    assert!(nowhere.contains("--validator"), "{nowhere}");
    let both = wren_fails(2, &["exit", "send", &file, "--all"], b"");
    assert!(both.contains("cannot be used with"), "{both}");
    for (code, file, words) in [(3, &file, "is no signed exit"), (4, &absent, "cannot read")] {
        let refused = wren_fails(
            code,
            &["exit", "send", file, "--beacon-nodes", "http://127.0.0.1:1"],
            b"",
        );
        assert!(refused.contains(words), "{refused}");
    }
}
