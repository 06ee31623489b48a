//! A local chain whose node and client are killed at any moment: it finalizes all the same, and nobody is slashed.

use super::{root, wren_ok};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for the slowest machine: the chain needs 40 slots of a second.
const PATIENCE: Duration = Duration::from_mins(5);

struct Chain {
    folder: PathBuf,
    api: SocketAddr,
}

impl Drop for Chain {
    fn drop(&mut self) {
        // What failed is to be looked at.
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

impl Chain {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wren-test-{name}-{}", std::process::id()));
        let network = folder.join("network");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let output = text(&network);
        let options = ["--validators", "16", "--keys", "1", "--slot-time", "1", "--delay", "6"];
        wren_ok(&[&["genesis", "--output", output.as_str()], &options[..]].concat());
        let keys = network.join("keys-0");
        let password = text(&keys.join("password.txt"));
        let (keys, data) = (text(&keys), text(&folder.join("data")));
        let import = ["keys", "import", &keys, "--new-keys", "--password-file", &password];
        wren_ok(&[&import[..], &["--network", &output, "--datadir", &data]].concat());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let api = listener.local_addr().unwrap();
        Chain { folder, api }
    }

    fn start(&self, name: &str, options: &[&str]) -> Child {
        let program = std::env::var("WREN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wren").into());
        let log = File::options().create(true).append(true).open(self.folder.join(name));
        Command::new(program)
            .current_dir(root())
            .args(options)
            .arg("--network")
            .arg(self.folder.join("network"))
            .arg("--datadir")
            .arg(self.folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn()
            .unwrap()
    }

    fn node(&self) -> Child {
        let port = self.api.port().to_string();
        let options = ["node", "--dev-engine", "--alone", "--metrics-port", "0", "--http-port", &port];
        self.start("node.log", &options)
    }

    fn client(&self) -> Child {
        let url = format!("http://{}", self.api);
        let fees = "0x8943545177806ED17B9F23F0a21ee5948eCaa776";
        let options = ["validator", "--metrics-port", "0", "--beacon-nodes", &url];
        self.start(
            "client.log",
            &[&options[..], &["--suggested-fee-recipient", fees]].concat(),
        )
    }

    /// What the node answers, if it does.
    fn get(&self, path: &str) -> Option<serde_json::Value> {
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

    /// Waits until the number at a place of an answer is at least this.
    fn wait(&self, path: &str, place: &str, least: u64) {
        let start = Instant::now();
        loop {
            let answer = self.get(path);
            let number = answer
                .as_ref()
                .and_then(|answer| answer.pointer(place)?.as_str()?.parse::<u64>().ok());
            if number.is_some_and(|number| number >= least) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{path}: {number:?}, not {least}; see {}",
                self.folder.display()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn wait_slot(&self, slot: u64) {
        self.wait("/eth/v1/beacon/headers/head", "/data/header/message/slot", slot);
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Stops a process as an operator does; it must end well.
fn stop(mut child: Child) {
    let id = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_chain_outlives_kills_of_node_and_client() {
    let chain = Chain::new("restart");
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
    let checkpoints = "/eth/v1/beacon/states/head/finality_checkpoints";
    chain.wait(checkpoints, "/data/finalized/epoch", 3);
    let slashed = chain.get("/eth/v1/beacon/states/head/validators?status=active_slashed,exited_slashed");
    assert_eq!(slashed.unwrap()["data"], serde_json::json!([]));
    stop(client);
    stop(node);
    let log = chain.log("node.log");
    assert!(log.contains("went through the blocks of the database"), "{log}");
}
