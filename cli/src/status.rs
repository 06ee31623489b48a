//! `wren status`: one screen on node, client and validators, and an exit code that a supervisor can act on.
//!
//! It asks by the standard Beacon API and reads the client's metrics; it opens no database and needs no key. Everything is
//! bounded in time, so that it can be a container's healthcheck, and works with either process down.

mod client;
mod node;
mod validators;

use crate::datadir::Datadir;
use crate::exit::{self, Failure};
use crate::http::Base;
use crate::{machine, words};
use clap::{Args as ClapArgs, ValueEnum};
use client::Client;
use node::Node;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};
use validator::keys::KeyStore;
use validators::Validators;

/// All questions together take no longer: a healthcheck is usually given 30 s.
const IN_ALL: Duration = Duration::from_secs(10);
/// A single question.
const EACH: Duration = Duration::from_secs(3);

/// Less free space is a reason to act: a database needs room to tidy up, and blocks keep coming.
const DISK_LOW: u64 = 5_000_000_000;
/// As few days of room are one as well.
const DAYS_LOW: u64 = 3;

/// Tell how node, client and validators are
#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  wren status
  wren status --datadir /var/lib/wren --json
  wren status --only node          # as the healthcheck of a container

It ends with 0 where nothing has to be done (a node that is still syncing only has to be waited for), and with 7 where
something has: the last line then says what.")]
pub(crate) struct Args {
    #[command(flatten)]
    datadir: Datadir,
    /// Beacon APIs; the first that answers is asked
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:5052"
    )]
    beacon_nodes: Vec<String>,
    /// Where the validator client serves its metrics
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8009")]
    client_metrics: String,
    /// Look at one of the two only
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// The beacon node
    Node,
    /// The validator client
    Validator,
}

/// Time that is left for questions.
#[derive(Clone, Copy)]
struct Budget(Instant);

impl Budget {
    fn next(self) -> Duration {
        EACH.min(self.0.saturating_duration_since(Instant::now()))
    }
}

/// What is wrong, if anything is: the one thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Advice {
    text: String,
    /// Waiting is all there is to do.
    wait: bool,
}

fn act(text: impl Into<String>) -> Advice {
    Advice {
        text: text.into(),
        wait: false,
    }
}

fn wait(text: impl Into<String>) -> Advice {
    Advice {
        text: text.into(),
        wait: true,
    }
}

/// A process of ours.
#[derive(Clone, Copy, Debug)]
struct Process {
    /// In bytes; not known everywhere.
    memory: Option<u64>,
}

impl Process {
    /// The first that runs a command.
    fn of(command: &str) -> Option<Self> {
        let found = machine::processes(command).into_iter().next();
        found.map(|(_, memory)| Process { memory })
    }
}

/// Everything that was found out.
struct Status {
    only: Option<Only>,
    urls: String,
    client_url: String,
    node: Result<Node, String>,
    client: Result<Client, String>,
    /// Processes of this program on this machine: `None` where it does not run here.
    node_process: Option<Process>,
    client_process: Option<Process>,
    disk: Option<machine::Disk>,
    days: Option<u64>,
    /// How many keys are here, or why that is not known.
    keys: Result<usize, String>,
    validators: Option<Validators>,
}

/// Runs `wren status`.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("cannot start the runtime", &error))?;
    let status = runtime.block_on(ask(args))?;
    let advice = status.advice();
    if args.json {
        println!("{:#}", status.json(advice.as_ref()));
    } else {
        for line in status.lines(advice.as_ref()) {
            println!("{line}");
        }
    }
    Ok(match advice {
        Some(advice) if !advice.wait => ExitCode::from(exit::ATTENTION),
        _ => ExitCode::SUCCESS,
    })
}

/// What a bug report says of the status, as JSON.
pub(crate) async fn for_report(args: &Args) -> Result<Value, Failure> {
    let status = ask(args).await?;
    Ok(status.json(status.advice().as_ref()))
}

impl Args {
    /// The usual ones for a data folder.
    pub(crate) fn of(datadir: Datadir, beacon_nodes: Vec<String>) -> Self {
        Args {
            datadir,
            beacon_nodes,
            client_metrics: "http://127.0.0.1:8009".into(),
            only: None,
            json: true,
        }
    }
}

fn base(option: &str, url: &str) -> Result<Base, Failure> {
    url.parse().map_err(|why| Failure::usage(format!("{option}: {why}")))
}

async fn ask(args: &Args) -> Result<Status, Failure> {
    let budget = Budget(Instant::now() + IN_ALL);
    let bases: Vec<Base> = args
        .beacon_nodes
        .iter()
        .map(|url| base("--beacon-nodes", url))
        .collect::<Result<_, _>>()?;
    let metrics = base("--client-metrics", &args.client_metrics)?;
    let root = args.datadir.root();
    let keys = match args.only {
        Some(Only::Node) => Ok(Vec::new()),
        // A folder of another user's is no reason to say nothing of the node.
        _ => KeyStore::new(&root.join("validator"))
            .list()
            .map_err(|error| format!("{error:#}")),
    };
    let mut node = Err("no address was given".to_owned());
    for base in &bases {
        node = Node::ask(base, budget).await;
        if node.is_ok() {
            break;
        }
    }
    let client = match args.only {
        Some(Only::Node) => Err(String::new()),
        _ => Client::ask(&metrics, budget).await,
    };
    let validators = match &node {
        Ok(node) => match &keys {
            Ok(keys) if !keys.is_empty() => Validators::ask(node, keys, budget).await,
            _ => None,
        },
        Err(_) => None,
    };
    let urls: Vec<String> = bases.iter().map(ToString::to_string).collect();
    let disk = machine::disk(root);
    Ok(Status {
        only: args.only,
        urls: urls.join(", "),
        client_url: metrics.to_string(),
        node,
        client,
        node_process: Process::of("node"),
        client_process: Process::of("validator"),
        disk,
        days: disk.and_then(|disk| machine::days_left(&root.join("node"), disk.free, SystemTime::now())),
        keys: keys.map(|keys| keys.len()),
        validators,
    })
}

impl Status {
    /// Whether a validator client belongs here at all.
    fn expects_client(&self) -> bool {
        self.only == Some(Only::Validator) || (self.only.is_none() && self.keys.as_ref().is_ok_and(|keys| *keys > 0))
    }

    /// The first of what is wrong, the most urgent first.
    fn advice(&self) -> Option<Advice> {
        if let Err(why) = &self.node {
            let what = format!("the node does not answer at {} ({why})", self.urls);
            return Some(act(if self.node_process.is_some() {
                format!(
                    "{what}, and one runs here: the end of its log says whether it is still starting, which takes minutes \
                     where a checkpoint comes; if it answers elsewhere, name that by --beacon-nodes or --config-file"
                )
            } else {
                format!(
                    "{what}: start it (`systemctl start wren-node`, or `wren node …`); if it has just ended, the end of its \
                     log says why"
                )
            }));
        }
        if self.expects_client() && self.client.is_err() && self.client_process.is_none() {
            return Some(act(
                "the validator client does not run: start it (`systemctl start wren-validator`, or `wren validator …`); \
                 if it has just ended, the end of its log says why. After exit code 129 find the other client first",
            ));
        }
        let low = self
            .disk
            .filter(|disk| disk.free < DISK_LOW || self.days.is_some_and(|days| days < DAYS_LOW));
        if let Some(disk) = low.filter(|_| self.only != Some(Only::Validator)) {
            return Some(act(format!(
                "the disk is nearly full ({} left): make room",
                words::size(disk.free)
            )));
        }
        let client = self.client.as_ref().ok().and_then(Client::advice);
        let listens = self.client.as_ref().is_ok_and(Client::listens);
        let validators = self.validators.as_ref().and_then(|them| them.advice(listens));
        let node = self.node.as_ref().ok().and_then(Node::advice);
        // What has to be done goes before what has to be waited for.
        let found: Vec<Advice> = [client, node, validators].into_iter().flatten().collect();
        found.iter().find(|advice| !advice.wait).or(found.first()).cloned()
    }

    fn lines(&self, advice: Option<&Advice>) -> Vec<String> {
        let mut lines = Vec::new();
        match &self.node {
            Ok(node) => lines.extend(node.lines()),
            Err(why) => lines.push(format!("node        does not answer at {}: {why}", self.urls)),
        }
        if self.only != Some(Only::Node) {
            match &self.client {
                Ok(client) => lines.extend(client.lines()),
                Err(_) if self.client_process.is_some() => {
                    lines.push(format!("client      runs; its metrics are not at {}", self.client_url));
                }
                Err(_) if !self.expects_client() => lines.push(match &self.keys {
                    Ok(_) => "client      no keys here, none expected".into(),
                    Err(why) => {
                        format!(
                            "client      {why}: whether one belongs here is told to root and to the user who runs it"
                        )
                    }
                }),
                Err(why) => lines.push(format!("client      does not answer at {}: {why}", self.client_url)),
            }
        }
        lines.extend(self.machine_lines());
        lines.extend(self.validators.iter().flat_map(Validators::lines));
        lines.push(match advice {
            None => "all right".into(),
            Some(advice) if advice.wait => format!("wait        {}", advice.text),
            Some(advice) => format!("TO DO       {}", advice.text),
        });
        lines
    }

    fn machine_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(disk) = self.disk {
            let days = self.days.map_or(String::new(), |days| {
                format!(", for about {days} days as it has grown so far")
            });
            lines.push(format!(
                "disk        {} free of {}{days}",
                words::size(disk.free),
                words::size(disk.size)
            ));
        }
        let told = |process: Option<Process>| process.and_then(|process| process.memory).map(words::size);
        let parts = [("node", told(self.node_process)), ("client", told(self.client_process))];
        let parts: Vec<String> = parts
            .into_iter()
            .filter_map(|(name, size)| Some(format!("{name} {}", size?)))
            .collect();
        if let Some((all, free)) = machine::memory() {
            let ours = if parts.is_empty() {
                String::new()
            } else {
                format!("; {}", parts.join(", "))
            };
            lines.push(format!(
                "memory      {} free of {}{ours}",
                words::size(free),
                words::size(all)
            ));
        }
        lines
    }

    fn json(&self, advice: Option<&Advice>) -> Value {
        let memory = machine::memory();
        json!({
            "healthy": advice.is_none_or(|advice| advice.wait),
            "advice": advice.map(|advice| json!({"text": advice.text, "wait": advice.wait})),
            "node": self.node.as_ref().map_or_else(|why| json!({"error": why}), Node::json),
            "client": if self.only == Some(Only::Node) { Value::Null } else {
                self.client.as_ref().map_or_else(|why| json!({"error": why, "running": self.client_process.is_some()}), Client::json)
            },
            "disk": self.disk.map(|disk| json!({"free": disk.free, "size": disk.size, "days_left": self.days})),
            "memory": {
                "size": memory.map(|(all, _)| all),
                "free": memory.map(|(_, free)| free),
                "node": self.node_process.and_then(|process| process.memory),
                "client": self.client_process.and_then(|process| process.memory),
            },
            "keys": self.keys.as_ref().ok(),
            "validators": self.validators.as_ref().map(Validators::json),
        })
    }
}

#[cfg(test)]
mod tests;
