//! The processes of a devnet: started in order, watched, stopped in order.

use super::Args;
use super::execution;
use super::folder::Folder;
use super::logs::Follow;
use super::plan::{Client, Plan};
use super::{look, signals::Signals};
use crate::exit::Failure;
use crate::http::Base;
use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long a process may take to stop: the two slots that a client's duties may need, and some.
const STOP: Duration = Duration::from_secs(45);

/// How long a node may take until it tells its identity to the next one.
const IDENTITY: Duration = Duration::from_secs(30);

/// Where fees go on a chain without fees: any address that is not zero.
const FEE_RECIPIENT: &str = "0x8943545177806ED17B9F23F0a21ee5948eCaa776";

/// A process with its name and log.
struct Process {
    name: String,
    log: PathBuf,
    /// What it is started with, this time and again.
    args: Vec<OsString>,
    /// None while it is offline on purpose.
    child: Option<Child>,
}

/// All processes of a devnet; killed if this goes away without a stop.
pub(super) struct Processes {
    all: Vec<Process>,
    /// The nodes' Beacon APIs.
    pub(super) nodes: Vec<Base>,
}

impl Processes {
    /// Makes genesis and keys, then starts nodes and clients.
    pub(super) async fn start(args: &Args, plan: &Plan, folder: &Folder) -> Result<Self, Failure> {
        let network = folder.part("network");
        let begun = Instant::now();
        run(&genesis(args, plan, &network, delay(args), true), folder).await?;
        let mut begins = Instant::now() + Duration::from_secs(delay(args));
        let clients = execution::Clients::new(args, &network, folder)?;
        for client in &plan.clients {
            import_keys(client, &network, folder).await?;
        }
        // Who brings an execution client has its genesis already, and a minute more.
        if args.execution_endpoint.is_empty()
            && let Some(needed) = later(begun.elapsed(), begins.saturating_duration_since(Instant::now()))
        {
            println!("This machine is slow now: genesis is put off, {needed} s from here.");
            remove_files(&network)?;
            run(&genesis(args, plan, &network, needed, false), folder).await?;
            begins = Instant::now() + Duration::from_secs(needed);
        }
        let mut processes = Processes {
            all: Vec::new(),
            nodes: Vec::new(),
        };
        clients.wait().await?;
        for number in 0..args.nodes() {
            processes.start_node(number, args, &network, folder).await?;
        }
        for client in &plan.clients {
            let node = processes.nodes[client.node].to_string();
            let mut validator = words(&["validator", "--metrics-port", "0", "--beacon-nodes", &node]);
            validator.extend(words(&["--suggested-fee-recipient", FEE_RECIPIENT]));
            validator.extend(of_network(&network, &folder.part(&client.name)));
            processes.add(&client.name, validator, folder)?;
        }
        if begins.elapsed() > Duration::from_secs(args.slot_time) {
            println!(
                "All this took so long that genesis was {} s ago: epochs become final later than said.",
                begins.elapsed().as_secs()
            );
        }
        Ok(processes)
    }

    /// A node, with an engine beside it where that is to make blobs.
    async fn start_node(&mut self, number: usize, args: &Args, network: &Path, folder: &Folder) -> Result<(), Failure> {
        let port = free_port()?;
        let mut node = words(&[
            "node",
            "--metrics-port",
            "0",
            "--no-discovery",
            "--http-port",
            &port.to_string(),
        ]);
        if let Some(endpoint) = args.execution_endpoint.get(number) {
            node.extend(words(&[
                "--execution-endpoint",
                &endpoint.to_string(),
                "--execution-jwt",
            ]));
            node.push(execution::secret_file(args, folder).into());
        } else if args.blobs == 0 {
            node.push("--dev-engine".into());
        } else {
            let engine_port = free_port()?.to_string();
            let jwt = folder.part(&format!("jwt-{number}.hex"));
            let mut engine = words(&["engine", "--port", &engine_port, "--blobs", &args.blobs.to_string()]);
            engine.push("--network".into());
            engine.push(network.into());
            engine.push("--jwt".into());
            engine.push(jwt.clone().into());
            self.add(&format!("engine-{number}"), engine, folder)?;
            wait_for_file(&jwt).await?;
            node.extend(words(&[
                "--execution-endpoint",
                &format!("http://127.0.0.1:{engine_port}"),
            ]));
            node.push("--execution-jwt".into());
            node.push(jwt.into());
        }
        let (tcp, quic) = (free_port()?.to_string(), free_port()?.to_string());
        node.extend(words(&[
            "--listen-address",
            "127.0.0.1",
            "--port",
            &tcp,
            "--quic-port",
            &quic,
        ]));
        node.push("--allow-private".into());
        for earlier in &self.nodes {
            node.extend(words(&["--static-peer", &identity(earlier).await?]));
        }
        node.extend(of_network(network, &folder.part(&format!("node-{number}"))));
        self.add(&format!("node-{number}"), node, folder)?;
        self.nodes
            .push(Base::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        Ok(())
    }

    fn add(&mut self, name: &str, args: Vec<OsString>, folder: &Folder) -> Result<(), Failure> {
        let mut process = Process {
            name: name.to_owned(),
            log: folder.part(&format!("{name}.log")),
            args,
            child: None,
        };
        process.start()?;
        println!(
            "started {name} (process {}), log in {}",
            process.id().unwrap_or(0),
            process.log.display()
        );
        self.all.push(process);
        Ok(())
    }

    fn named(&mut self, name: &str) -> Option<&mut Process> {
        self.all.iter_mut().find(|process| process.name == name)
    }

    /// Stops one process as an operator does, and leaves it out until it is started again.
    pub(super) async fn take_offline(&mut self, name: &str) -> Result<(), Failure> {
        match self.named(name) {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// Starts one again that was taken offline.
    pub(super) fn bring_back(&mut self, name: &str) -> Result<(), Failure> {
        match self.named(name) {
            Some(process) if process.child.is_none() => process.start(),
            _ => Ok(()),
        }
    }

    /// Memory of a process in bytes, or `None` where it does not run.
    pub(super) fn memory(&self, name: &str) -> Option<u64> {
        look::memory(self.all.iter().find(|process| process.name == name)?.id()?)
    }

    /// The logs, to be followed.
    pub(super) fn logs(&self) -> Vec<Follow> {
        self.all
            .iter()
            .map(|process| Follow::new(&process.name, &process.log))
            .collect()
    }

    /// Fails if a process has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        for process in &mut self.all {
            let Some(child) = &mut process.child else { continue };
            let ended = child.try_wait();
            let ended = ended.map_err(|error| Failure::io(format!("cannot watch {}", process.name), &error))?;
            if let Some(status) = ended {
                let last = last_lines(&process.log);
                return Err(Failure::running(format!(
                    "{} has ended ({status}); its last words:\n{last}",
                    process.name
                )));
            }
        }
        Ok(())
    }

    /// Stops clients, then nodes, each by SIGTERM; all at once by SIGKILL at a further signal. Whatever goes wrong with
    /// one, the others are stopped too; the first trouble is told.
    pub(super) async fn stop(mut self, signals: &mut Signals) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for process in self.all.iter_mut().rev() {
            let stopped = tokio::select! {
                stopped = process.stop() => stopped,
                () = signals.wait() => {
                    return Err(Failure::running("killed: a second signal came before all had stopped"));
                }
            };
            outcome = outcome.and(stopped);
        }
        outcome
    }
}

impl Process {
    fn id(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    fn start(&mut self) -> Result<(), Failure> {
        let file = File::options().create(true).append(true).open(&self.log);
        let file = file.map_err(|error| Failure::io(format!("cannot write {}", self.log.display()), &error))?;
        let child = Command::new(program()?)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            // A Ctrl-C in the terminal is for this process, which stops the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.map_err(|error| Failure::io(format!("cannot start {}", self.name), &error))?);
        Ok(())
    }

    /// By SIGTERM, or by SIGKILL where that does not help. An engine keeps nothing and knows no other end than by a signal.
    async fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let Some(id) = child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        else {
            return Ok(());
        };
        // One that has just ended by itself needs no signal.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let Ok(Ok(status)) = tokio::time::timeout(STOP, child.wait()).await else {
            return Err(Failure::running(format!("{} did not stop and was killed", self.name)));
        };
        if !status.success() && !self.name.starts_with("engine-") {
            let last = last_lines(&self.log);
            return Err(Failure::running(format!(
                "{} stopped with {status}; its last words:\n{last}",
                self.name
            )));
        }
        Ok(())
    }
}

async fn import_keys(client: &Client, network: &Path, folder: &Folder) -> Result<(), Failure> {
    for slice in client.slices.clone() {
        let keys = network.join(format!("keys-{slice}"));
        let mut import = words(&["keys", "import"]);
        import.push(keys.clone().into());
        import.extend(words(&["--new-keys", "--password-file"]));
        import.push(keys.join("password.txt").into());
        import.extend(of_network(network, &folder.part(&client.name)));
        run(&import, folder).await?;
    }
    Ok(())
}

/// Where a node is found by others; it tells that as soon as its API answers.
async fn identity(node: &Base) -> Result<String, Failure> {
    let asked = async {
        loop {
            if let Some(address) = look::p2p_address(node).await {
                return address;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let told = tokio::time::timeout(IDENTITY, asked).await;
    told.map_err(|_| Failure::running(format!("the node at {node} does not tell where others find it")))
}

/// The engine makes the secret that the node then reads.
async fn wait_for_file(path: &Path) -> Result<(), Failure> {
    let start = Instant::now();
    while !path.exists() {
        if start.elapsed() > IDENTITY {
            return Err(Failure::running(format!("the engine did not make {}", path.display())));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn of_network(network: &Path, datadir: &Path) -> Vec<OsString> {
    let mut args = words(&["--network"]);
    args.push(network.into());
    args.push("--datadir".into());
    args.push(datadir.into());
    args
}

/// Seconds until genesis: what the processes take to start on a slow machine, and about a tenth of a second for a key.
pub(super) fn delay(args: &Args) -> u64 {
    let engines = if args.blobs > 0 { 10 } else { 0 }; // an engine makes the proofs of its blobs at the start
    let clients = if args.execution_endpoint.is_empty() {
        0
    } else {
        execution::WAIT
    };
    8 + engines + clients + 2 * (args.nodes() as u64 - 1) + args.validators as u64 / 10
}

/// Starting all processes takes up to three times what making genesis and importing keys takes, seen on a machine with ten
/// times its load; and some.
const START: u32 = 4;

/// Seconds to a new genesis, if what is `left` until the first one is not enough on a machine that `took` so long for
/// genesis and keys.
fn later(took: Duration, left: Duration) -> Option<u64> {
    let needed = took * START;
    (needed > left).then_some(needed.as_secs() + 1)
}

/// Removes a network's files, for the next genesis; the keys, which are in folders, stay.
fn remove_files(network: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("cannot empty {}", network.display()), &error);
    for entry in std::fs::read_dir(network).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            std::fs::remove_file(path).map_err(failed)?;
        }
    }
    Ok(())
}

/// The command that makes the network, with the keys' files or for keys that are there.
fn genesis(args: &Args, plan: &Plan, network: &Path, delay: u64, with_keys: bool) -> Vec<OsString> {
    let mut words = words(&["genesis", "--output"]);
    words.push(network.into());
    let mut option = |name: &str, value: String| {
        words.push(name.into());
        words.push(value.into());
    };
    option("--validators", args.validators.to_string());
    if with_keys {
        option("--keys", plan.slices.to_string());
    }
    option("--slot-time", args.slot_time.to_string());
    option("--delay", delay.to_string());
    for (place, at) in args.fork.iter().enumerate() {
        if place == 0 {
            option("--fork", at.fork.name().to_owned());
        } else {
            option("--fork-at", format!("{}={}", at.fork.name(), at.epoch));
        }
    }
    words
}

fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::io("cannot tell where this program is", &error))
}

/// Runs a command to its end; what is run is shown.
async fn run(args: &[OsString], folder: &Folder) -> Result<(), Failure> {
    let shown: Vec<_> = args.iter().map(|word| word.to_string_lossy()).collect();
    println!("$ wren {}", shown.join(" "));
    let output = Command::new(program()?)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let output = output.map_err(|error| Failure::io("cannot run this program once more", &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let what = format!(
        "wren {} failed in {}:\n{said}",
        shown.join(" "),
        folder.path().display()
    );
    Err(Failure::running(what))
}

/// A port that nobody listens on now.
fn free_port() -> Result<u16, Failure> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let address = bound.map_err(|error| Failure::io("no port is free", &error))?;
    Ok(address.port())
}

/// The end of a log, for a message.
fn last_lines(log: &Path) -> String {
    const LINES: usize = 5;
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_machine_has_its_genesis_put_off() {
        let seconds = Duration::from_secs;
        assert_eq!(later(seconds(1), seconds(14)), None);
        assert_eq!(later(seconds(10), seconds(5)), Some(41));
        // The time was up before the keys were imported.
        assert_eq!(later(seconds(20), Duration::ZERO), Some(81));
    }
}
