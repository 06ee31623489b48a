//! The processes of a devnet: started in order, watched, stopped in order.

use super::Args;
use super::folder::Folder;
use crate::exit::Failure;
use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a process may take to stop: the two slots that a client's duties may need, and some.
const STOP: Duration = Duration::from_secs(45);

/// Where fees go on a chain without fees: any address that is not zero.
const FEE_RECIPIENT: &str = "0x8943545177806ED17B9F23F0a21ee5948eCaa776";

/// A process with its name and log.
struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

/// All processes of a devnet; killed if this goes away without a stop.
pub(super) struct Processes {
    all: Vec<Process>,
    /// Where the Beacon API listens.
    pub(super) api: SocketAddr,
}

impl Processes {
    /// Makes genesis and keys, then starts node and clients.
    pub(super) async fn start(args: &Args, folder: &Folder) -> Result<Self, Failure> {
        let (network, port) = (folder.part("network"), free_port()?);
        run(&genesis(args, &network), folder).await?;
        for client in 0..args.clients {
            let keys = network.join(format!("keys-{client}"));
            let mut import = words(&["keys", "import"]);
            import.push(keys.clone().into());
            import.extend(words(&["--new-keys", "--password-file"]));
            import.push(keys.join("password.txt").into());
            import.extend(of_network(&network, &folder.part(&format!("client-{client}"))));
            run(&import, folder).await?;
        }
        let mut processes = Processes {
            all: Vec::new(),
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        let mut node = words(&[
            "node",
            "--dev-engine",
            "--alone",
            "--metrics-port",
            "0",
            "--http-port",
            &port.to_string(),
        ]);
        node.extend(of_network(&network, &folder.part("node-0")));
        processes.spawn("node-0", &node, folder)?;
        for client in 0..args.clients {
            let name = format!("client-{client}");
            let url = format!("http://127.0.0.1:{port}");
            let mut validator = words(&["validator", "--metrics-port", "0", "--beacon-nodes", &url]);
            validator.extend(words(&["--suggested-fee-recipient", FEE_RECIPIENT]));
            validator.extend(of_network(&network, &folder.part(&name)));
            processes.spawn(&name, &validator, folder)?;
        }
        Ok(processes)
    }

    fn spawn(&mut self, name: &str, args: &[OsString], folder: &Folder) -> Result<(), Failure> {
        let log = folder.part(&format!("{name}.log"));
        let file =
            File::create(&log).map_err(|error| Failure::io(format!("cannot write {}", log.display()), &error))?;
        let child = Command::new(program()?)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            // A Ctrl-C in the terminal is for this process, which stops the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let child = child.map_err(|error| Failure::io(format!("cannot start {name}"), &error))?;
        println!(
            "started {name} (process {}), log in {}",
            child.id().unwrap_or(0),
            log.display()
        );
        self.all.push(Process {
            name: name.to_owned(),
            log,
            child,
        });
        Ok(())
    }

    /// Fails if a process has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        for process in &mut self.all {
            let ended = process.child.try_wait();
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

    /// Stops clients, then the node, each by SIGTERM.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        for process in self.all.iter_mut().rev() {
            let Some(id) = process
                .child
                .id()
                .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
            else {
                continue;
            };
            // One that has just ended by itself needs no signal.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
            let Ok(Ok(status)) = tokio::time::timeout(STOP, process.child.wait()).await else {
                return Err(Failure::running(format!(
                    "{} did not stop and was killed",
                    process.name
                )));
            };
            if !status.success() {
                let last = last_lines(&process.log);
                return Err(Failure::running(format!(
                    "{} stopped with {status}; its last words:\n{last}",
                    process.name
                )));
            }
        }
        Ok(())
    }
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
fn delay(args: &Args) -> u64 {
    8 + args.validators as u64 / 10
}

fn genesis(args: &Args, network: &Path) -> Vec<OsString> {
    let mut words = words(&["genesis", "--output"]);
    words.push(network.into());
    let mut option = |name: &str, value: String| {
        words.push(name.into());
        words.push(value.into());
    };
    option("--validators", args.validators.to_string());
    option("--keys", args.clients.to_string());
    option("--slot-time", args.slot_time.to_string());
    option("--delay", delay(args).to_string());
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

/// Runs a command to its end; what it says goes to a log.
async fn run(args: &[OsString], folder: &Folder) -> Result<(), Failure> {
    let shown: Vec<_> = args.iter().map(|word| word.to_string_lossy()).collect();
    println!("$ wren {}", shown.join(" "));
    let output = Command::new(program()?).args(args).stdin(Stdio::null()).output().await;
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
