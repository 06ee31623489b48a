//! `wren devnet`: a local chain from nothing, in one command: genesis, keys, a node and validator clients as processes
//! of their own on loopback, watched until Ctrl-C.
//!
//! Every step is a command of this program that could be typed by hand; what is run is shown.

mod execution;
mod folder;
mod logs;
pub(crate) mod look;
mod plan;
mod processes;
mod signals;
mod view;
mod watch;

use crate::exit::Failure;
use crate::http::Base;
use clap::Args as ClapArgs;
use consensus::Fork;
use folder::Folder;
use plan::{NODES, Offline, Plan};
use processes::Processes;
use signals::Signals;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run a local chain: genesis, keys, node and validator clients, all in one
#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  wren devnet
  wren devnet --until-finalized-epoch 3
  wren devnet --blobs 3 --slot-time 4
  wren devnet --offline 40%@3..9
  wren devnet --fork electra --execution-endpoint http://127.0.0.1:8551
  wren devnet --fork altair --fork bellatrix@1 --fork capella@2 --fork deneb@3 --fork electra@4 --fork fulu@5

Epoch 2 is final before epoch 4 ends. Ctrl-C stops everything and leaves nothing behind unless --keep is given.")]
pub(crate) struct Args {
    /// How many beacon nodes: two unless said otherwise, or as many as there are execution clients
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// How many validators, shared among the clients
    #[arg(long, value_name = "N", default_value_t = 64)]
    validators: usize,
    /// How many validator clients
    #[arg(long, value_name = "N", default_value_t = 2)]
    clients: usize,
    /// Seconds of a slot
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    slot_time: u64,
    /// The fork at genesis, or a later fork with its epoch; may be repeated
    #[arg(long, value_name = "FORK[@EPOCH]", default_value = "fulu")]
    fork: Vec<ForkAt>,
    /// Blobs in every block from Deneb on; the engines are then processes of their own
    #[arg(long, value_name = "N", default_value_t = 0)]
    blobs: u64,
    /// A real execution client's Engine API, in place of the engine in the node; repeat it for every node. What the client
    /// needs is told, and it is waited for
    #[arg(long, value_name = "URL", conflicts_with = "blobs")]
    execution_endpoint: Vec<Base>,
    /// The secret that the execution clients have; otherwise one is made
    #[arg(long, value_name = "FILE", requires = "execution_endpoint")]
    execution_jwt: Option<PathBuf>,
    /// A share of the validators that is offline from one epoch to another
    #[arg(long, value_name = "SHARE%@EPOCH..EPOCH")]
    offline: Option<Offline>,
    /// End with success once this epoch is final
    #[arg(long, value_name = "EPOCH")]
    until_finalized_epoch: Option<u64>,
    /// Where everything is kept while it runs; a new folder among the system's temporary ones otherwise
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave the folder behind at the end
    #[arg(long)]
    keep: bool,
    /// A line for every slot, on a terminal too
    #[arg(long)]
    plain: bool,
}

impl Args {
    fn nodes(&self) -> usize {
        let clients = self.execution_endpoint.len();
        self.nodes.unwrap_or(if clients == 0 { NODES } else { clients })
    }
}

/// A fork, at genesis or from an epoch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ForkAt {
    fork: Fork,
    epoch: u64,
}

impl std::str::FromStr for ForkAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, epoch) = text.split_once('@').unwrap_or((text, "0"));
        let fork: Fork = name
            .parse()
            .map_err(|_| format!("{name} is no fork; known are phase0 to fulu"))?;
        if fork > Fork::Fulu {
            return Err(format!("{name} is not run by this version; the newest is fulu"));
        }
        let epoch = epoch.parse().map_err(|_| format!("{epoch} is no epoch"))?;
        Ok(ForkAt { fork, epoch })
    }
}

/// Validators at most: each is a key to open, and a devnet is for one machine.
const VALIDATORS_MAX: usize = 4096;
/// Nodes and clients at most: each is a process with tens of megabytes.
const PROCESSES_MAX: usize = 16;
/// Blobs at most: the engine makes each with its proofs at the start, and no schedule of a local chain allows more.
const BLOBS_MAX: u64 = 72;

fn check(args: &Args) -> Result<(), Failure> {
    let wrong = |what: String| Err(Failure::usage(what));
    if args.validators == 0 || args.validators > VALIDATORS_MAX {
        return wrong(format!("--validators {}: 1 to {VALIDATORS_MAX}", args.validators));
    }
    let nodes = args.nodes();
    if nodes == 0 || nodes > PROCESSES_MAX {
        return wrong(format!("--nodes {nodes}: 1 to {PROCESSES_MAX}"));
    }
    if !args.execution_endpoint.is_empty() && args.execution_endpoint.len() != nodes {
        return wrong(format!(
            "--nodes {nodes} with {} --execution-endpoint: every node needs an execution client of its own",
            args.execution_endpoint.len()
        ));
    }
    if args.clients == 0 || args.clients > PROCESSES_MAX {
        return wrong(format!("--clients {}: 1 to {PROCESSES_MAX}", args.clients));
    }
    // Every slice of the keys has one at least.
    let slices = Plan::of(args).slices;
    if slices > args.validators {
        return wrong(format!(
            "--validators {}: at least {slices}, so that every client has its share",
            args.validators
        ));
    }
    if args.slot_time == 0 || args.slot_time > 60 {
        return wrong(format!("--slot-time {}: 1 to 60 seconds", args.slot_time));
    }
    if let Some(first) = args.fork.first().filter(|first| first.epoch > 0) {
        let name = first.fork.name();
        return wrong(format!(
            "--fork {name}@{}: the first --fork is the one at genesis, as in --fork altair --fork {name}@{}",
            first.epoch, first.epoch
        ));
    }
    if args.blobs > BLOBS_MAX {
        return wrong(format!("--blobs {}: at most {BLOBS_MAX}", args.blobs));
    }
    Ok(())
}

/// Runs a local chain until it is stopped, or until the epoch that was asked for is final.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    check(args)?;
    let plan = Plan::of(args);
    println!("{}", watch::promise(args, &plan));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("cannot start the runtime", &error))?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let folder = Folder::new(args)?;
        let ended = run_in(args, &plan, &folder, &mut signals).await;
        folder.end(args, ended.is_err());
        ended
    })
}

async fn run_in(args: &Args, plan: &Plan, folder: &Folder, signals: &mut Signals) -> Result<ExitCode, Failure> {
    let started = tokio::select! {
        started = Processes::start(args, plan, folder) => started,
        // What has been started goes with the unfinished start.
        () = signals.wait() => return Ok(ExitCode::SUCCESS),
    };
    let mut processes = started?;
    let ended = watch::watch(args, plan, &mut processes, signals).await;
    let stopped = processes.stop(signals).await;
    ended.and_then(|code| stopped.map(|()| code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// A command line, as those of the tests further down are too.
    #[derive(Parser)]
    pub(super) struct Line {
        #[command(flatten)]
        pub(super) args: Args,
    }

    #[test]
    fn a_chain_begins_with_the_first_fork() {
        let asked = |words: &[&str]| check(&Line::parse_from([&["devnet"], words].concat()).args);
        assert!(asked(&["--fork", "deneb", "--fork", "electra@3"]).is_ok());
        let refused = asked(&["--fork", "electra@3"]).unwrap_err().message;
        assert!(refused.contains("the first --fork is the one at genesis"), "{refused}");
    }
}
