//! A local chain for tests: its folder, its processes, what they answer.

use super::{Process, root, wren_ok};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for the slowest machine: the chain needs 40 slots of a second.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// A local chain of one node, its client and what a test does to them.
pub(crate) struct Chain {
    pub(crate) folder: PathBuf,
    pub(crate) api: SocketAddr,
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
    /// A chain of sixteen validators with slots of a second, all of them this client's; `options` are of `wren genesis`.
    pub(crate) fn new(name: &str, genesis: &[&str]) -> Self {
        let chain = Self::sliced(name, 1, genesis);
        chain.import_keys("data");
        chain
    }

    /// The same with its keys in so many slices, which nobody has imported yet.
    pub(crate) fn sliced(name: &str, slices: usize, genesis: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("wren-test-{name}-{}", std::process::id()));
        let network = folder.join("network");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let output = text(&network);
        // A second for each slice that is imported, and some for the start.
        let (keys, delay) = (slices.to_string(), (5 + slices).to_string());
        let mut options = vec!["--validators", "16", "--keys", &keys, "--delay", &delay];
        if !genesis.contains(&"--slot-time") {
            options.extend(["--slot-time", "1"]);
        }
        wren_ok(&[&["genesis", "--output", output.as_str()], &options[..], genesis].concat());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let api = listener.local_addr().unwrap();
        Chain { folder, api }
    }

    /// A path below the chain's folder, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Imports the validators' keystores into a data folder, as new ones.
    pub(crate) fn import_keys(&self, data: &str) {
        self.import_slice(data, 0);
    }

    /// One slice of them.
    pub(crate) fn import_slice(&self, data: &str, slice: usize) {
        let keys = self.path(&format!("network/keys-{slice}"));
        let password = format!("{keys}/password.txt");
        let import = ["keys", "import", &keys, "--new-keys", "--password-file", &password];
        let place = ["--network", &self.path("network"), "--datadir", &self.path(data)];
        wren_ok(&[&import[..], &place[..]].concat());
    }

    fn start(&self, name: &str, data: &str, options: &[&str]) -> Process {
        Process(self.command(name, data, options).spawn().unwrap())
    }

    fn command(&self, name: &str, data: &str, options: &[&str]) -> Command {
        let program = std::env::var("WREN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wren").into());
        let log = File::options().create(true).append(true).open(self.folder.join(name));
        let mut command = Command::new(program);
        command
            .current_dir(root())
            .args(options)
            .arg("--network")
            .arg(self.folder.join("network"))
            .arg("--datadir")
            .arg(self.folder.join(data))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap());
        command
    }

    pub(crate) fn node(&self) -> Process {
        self.start(
            "node.log",
            "data",
            &[
                "node",
                "--dev-engine",
                "--alone",
                "--metrics-port",
                "0",
                "--http-port",
                &self.api.port().to_string(),
            ],
        )
    }

    pub(crate) fn client(&self) -> Process {
        self.client_of("data", "client.log", "0")
    }

    /// A client with a data folder, a log and a port for its metrics.
    pub(crate) fn client_of(&self, data: &str, log: &str, metrics: &str) -> Process {
        self.client_at(self.api, data, log, metrics)
    }

    /// The same with a node's address, or that of what stands before it.
    pub(crate) fn client_at(&self, node: SocketAddr, data: &str, log: &str, metrics: &str) -> Process {
        Process(self.client_command(node, data, log, metrics).spawn().unwrap())
    }

    /// A client on a machine whose clock is wrong by what a file says, as libfaketime has it.
    pub(crate) fn client_off_time(&self, library: &Path, off: &Path, log: &str) -> Process {
        let mut command = self.client_command(self.api, "data", log, "0");
        command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", off);
        // Only the time of day is wrong on such a machine.
        command.envs([("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_CACHE_DURATION", "1")]);
        Process(command.spawn().unwrap())
    }

    fn client_command(&self, node: SocketAddr, data: &str, log: &str, metrics: &str) -> Command {
        let url = format!("http://{node}");
        let fees = "0x8943545177806ED17B9F23F0a21ee5948eCaa776";
        let options = ["validator", "--metrics-port", metrics, "--beacon-nodes", &url];
        let fees = ["--suggested-fee-recipient", fees];
        self.command(log, data, &[&options[..], &fees].concat())
    }

    /// What the node answers, if it does and all is well.
    pub(crate) fn get(&self, path: &str) -> Option<serde_json::Value> {
        serde_json::from_str(&self.ask("GET", path, "").ok()?.1).ok()
    }

    /// Status and body of the answer to a POST of JSON.
    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.ask("POST", path, body).expect("the node answers")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.api)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let headers =
            "Host: x\r\nAccept: application/json\r\nContent-Type: application/json\r\nEth-Consensus-Version: fulu";
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\n{headers}\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Ok((
            status,
            answer
                .split_once("\r\n\r\n")
                .map_or(String::new(), |(_, body)| body.to_owned()),
        ))
    }

    /// Waits until the number at a place of an answer is at least this.
    pub(crate) fn wait(&self, path: &str, place: &str, least: u64) {
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

    /// The head's slot.
    pub(crate) fn head_slot(&self) -> u64 {
        let head = self.get("/eth/v1/beacon/headers/head").unwrap();
        let slot = &head["data"]["header"]["message"]["slot"];
        slot.as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn wait_slot(&self, slot: u64) {
        self.wait("/eth/v1/beacon/headers/head", "/data/header/message/slot", slot);
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }
}

/// Ends a process at once, as a power cut does.
pub(crate) fn kill(child: Process) {
    drop(child);
}

/// Stops a process as an operator does; it must end well.
pub(crate) fn stop(mut child: Process) {
    let id = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
