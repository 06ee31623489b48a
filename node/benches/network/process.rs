//! Programs as processes: `wren node` and `wren validator` on loopback, and what the kernel says that they took.

use super::http;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take: a small machine under load.
const PATIENCE: Duration = Duration::from_mins(5);
/// Milliseconds of a tick of the kernel's account.
const TICK_MS: u64 = 10;

/// A program that runs; it is stopped when this is dropped.
pub(super) struct Process(Child);

impl Process {
    /// Starts the program; what it says goes into a file of the folder.
    pub(super) fn start(program: &Path, folder: &Path, name: &str, words: &[impl AsRef<OsStr>]) -> Self {
        let log = File::create(folder.join(format!("{name}.log"))).expect("the folder can be written");
        let child = Command::new(program)
            .current_dir(folder)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Process(child.expect("the program can be started"))
    }

    /// Processor time since its start.
    pub(super) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        // User and system time are the fields 14 and 15 of all; of those behind the name the third is the first.
        let ticks = behind_name.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * TICK_MS)
    }

    /// Kilobytes that it holds and that no file backs.
    pub(super) fn anonymous_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    /// Waits for its end.
    pub(super) fn succeeds(&mut self) -> bool {
        self.0.wait().is_ok_and(|status| status.success())
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing of its folder is used any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of loopback that nobody listens on.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
    listener.local_addr().expect("it is bound").port()
}

/// A beacon node.
pub(super) struct Node {
    pub(super) process: Process,
    pub(super) http: u16,
    pub(super) metrics: u16,
    tcp: u16,
    quic: u16,
    pub(super) peer: String,
}

impl Node {
    /// Starts a node that looks for nobody, in the folder with `network`, and waits until it answers.
    pub(super) fn start(program: &Path, folder: &Path, name: &str, options: &[impl AsRef<str>]) -> Self {
        let [http, metrics, tcp, quic] = [(); 4].map(|()| free_port());
        let numbers = [http, metrics, tcp, quic].map(|port| port.to_string());
        let mut words = vec!["node", "--network", "network", "--datadir", name, "--dev-engine"];
        words.extend(["--no-discovery", "--allow-private", "--listen-address", "127.0.0.1"]);
        for (option, port) in ["--http-port", "--metrics-port", "--port", "--quic-port"]
            .into_iter()
            .zip(&numbers)
        {
            words.extend([option, port.as_str()]);
        }
        words.extend(options.iter().map(AsRef::as_ref));
        let mut process = Process::start(program, folder, name, &words);
        let begun = Instant::now();
        let identity = loop {
            assert!(
                process.is_alive() && begun.elapsed() < PATIENCE,
                "{name} does not answer; see {}",
                folder.join(format!("{name}.log")).display()
            );
            if let Some(identity) = http::data(http, "/eth/v1/node/identity") {
                break identity;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        Node {
            process,
            http,
            metrics,
            tcp,
            quic,
            peer: identity["peer_id"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// Where it is called by TCP, or by QUIC.
    pub(super) fn address(&self, quic: bool) -> String {
        let (port, way) = if quic { (self.quic, "udp") } else { (self.tcp, "tcp") };
        let version = if quic { "/quic-v1" } else { "" };
        format!("/ip4/127.0.0.1/{way}/{port}{version}/p2p/{}", self.peer)
    }

    /// The slot of its head.
    pub(super) fn head(&self) -> Option<u64> {
        let syncing = http::data(self.http, "/eth/v1/node/syncing")?;
        syncing["head_slot"].as_str()?.parse().ok()
    }

    /// The sum of the series of a metric whose labels have this text in them.
    pub(super) fn metric(&self, name: &str, label: &str) -> f64 {
        let page = http::text(self.metrics, "/metrics").unwrap_or_default();
        let of_metric = page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = series.strip_prefix(name)?;
            let whole = labels.is_empty() || labels.starts_with('{');
            (whole && labels.contains(label)).then(|| value.parse::<f64>().ok())?
        });
        of_metric.sum()
    }
}
