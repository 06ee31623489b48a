//! `wren exit`: leaving the validator set.

mod send;
mod sign;
mod status;

use crate::beacon::{Beacon, NodeArgs, TIMEOUT};
use crate::exit::Failure;
use clap::{Parser, Subcommand};
use consensus::ssz::Root;
use std::process::ExitCode;
use std::time::SystemTime;
use validator::beacon::{CallError, Leaving};
use validator::exit::Rules;

const EXAMPLES: &str = "\
Examples:
  wren exit send --network hoodi --validator 123456
  wren exit send exit.json
  wren exit status 123456
  wren exit sign --network mainnet --validator 0x8b7b… --index 123456 --output exit.json

An exit cannot be taken back. Keep the validator running until its exit epoch: it has duties until then.";

/// `wren exit …`
#[derive(Parser)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sign an exit and write it down; nothing is sent, and no node is needed
    Sign(sign::Sign),
    /// Send exits, signed before or now, and wait until the chain has them
    Send(send::Send),
    /// Show how far a validator's exit is, in dates
    Status(status::Status),
}

/// Runs `wren exit`.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Sign(args) => sign::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Status(args) => status::run(&args),
    }
}

/// A node with what its network counts exits by.
struct Chain {
    beacon: Beacon,
    rules: Rules,
}

impl Chain {
    fn connect(nodes: &NodeArgs, root: Option<Root>) -> Result<Self, Failure> {
        let beacon = nodes.connect(root)?;
        let spec = beacon.ask(|node| node.spec(TIMEOUT)).map_err(|error| failed(&error))?;
        let rules = Rules::read(&spec, &beacon.genesis)?;
        Ok(Chain { beacon, rules })
    }

    fn now(&self) -> u64 {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.rules.epoch_at(now.as_millis() as u64)
    }

    /// The validators with these indices or keys. An error names the first that is not there.
    fn validators(&self, ids: &[String]) -> Result<Vec<Leaving>, Failure> {
        let found = self
            .beacon
            .ask(|node| node.leaving(ids, TIMEOUT))
            .map_err(|error| failed(&error))?;
        if found.len() < ids.len() {
            let named = |id: &&String| {
                found
                    .iter()
                    .any(|one| one.info.index.to_string() == **id || one.info.pubkey.to_string() == id.to_lowercase())
            };
            let missing = ids.iter().find(|id| !named(id)).map_or("one of them", String::as_str);
            return Err(Failure::invalid(format!(
                "the chain does not know the validator {missing}"
            )));
        }
        Ok(found)
    }

    fn validator(&self, id: &str) -> Result<Leaving, Failure> {
        let mut found = self.validators(&[id.to_owned()])?;
        found
            .pop()
            .ok_or_else(|| Failure::invalid(format!("the chain does not know the validator {id}")))
    }
}

/// A node's refusal as a failure of something that runs.
fn failed(error: &CallError) -> Failure {
    Failure::running(error.to_string())
}
