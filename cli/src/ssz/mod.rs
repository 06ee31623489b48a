//! `wren ssz`: look into SSZ objects of any type and fork.
//!
//! Objects may be states of hundreds of megabytes, so everything streams: files are decoded list by list, JSON is
//! written as it arises, and what reads JSON back (`decode`, `diff`) does so token by token through a pipe.

mod diff;
mod input;
mod output;
mod summary;
mod tokens;

use crate::exit::Failure;
use clap::{Parser, Subcommand, ValueEnum};
use consensus::Fork;
use consensus::types::registry::{self, TypeInfo};
pub(crate) use input::Input;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  wren ssz root --type BeaconState --fork fulu state.ssz
  wren ssz json --type SignedBeaconBlock --fork electra block.ssz_snappy | jq .message.slot
  wren ssz decode --type BeaconState --fork deneb - <state.ssz
  wren ssz diff --type BeaconState --fork electra before.ssz after.ssz
  wren ssz encode --type SignedBeaconBlock --fork fulu block.json --output block.ssz
  wren ssz new --type BeaconBlock --fork gloas --output empty.ssz

Files are read as their names say: .ssz_snappy (raw snappy, as in the spec's vectors), .json (as the Beacon API writes
it, with or without its envelope of `version` and `data`), anything else as SSZ. `-` is standard input.
`wren ssz types --fork FORK` lists the types.";

/// `wren ssz …`
#[derive(Parser)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Print the hash tree root
    Root(One),
    /// Print the object as the Beacon API's JSON
    Json(One),
    /// Check the encoding and print what is in it: sizes, fields, numbers of items
    Decode(One),
    /// Print the fields in which two objects differ (exit code 1 if there are any)
    Diff(Two),
    /// Write the object as SSZ: from JSON, or to or from snappy
    Encode(Encode),
    /// Write the default object: zeros, empty lists
    New(New),
    /// List the types of a fork
    Types(Types),
}

/// What the object is.
#[derive(clap::Args)]
struct Kind {
    /// The container's name in the specs, such as BeaconState
    #[arg(long = "type", value_name = "TYPE")]
    name: String,
    /// The fork whose form it has
    #[arg(long, value_parser = parse_fork)]
    fork: Fork,
}

#[derive(clap::Args)]
struct One {
    #[command(flatten)]
    kind: Kind,
    /// Where the object is; `-` for standard input
    file: PathBuf,
    /// How the file is encoded, where its name does not tell
    #[arg(long)]
    format: Option<Format>,
}

#[derive(clap::Args)]
struct Two {
    #[command(flatten)]
    kind: Kind,
    /// The object before
    before: PathBuf,
    /// The object after
    after: PathBuf,
    /// How both files are encoded, where their names do not tell
    #[arg(long)]
    format: Option<Format>,
    /// Print at most so many differences; the rest is counted
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(clap::Args)]
struct Encode {
    #[command(flatten)]
    one: One,
    /// Where to write it; without this, to standard output
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(clap::Args)]
struct New {
    #[command(flatten)]
    kind: Kind,
    /// Where to write it; without this, to standard output
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Types {
    /// The fork
    #[arg(long, value_parser = parse_fork)]
    fork: Fork,
}

/// How an object is encoded in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Plain SSZ
    Ssz,
    /// SSZ in raw (unframed) snappy
    Snappy,
    /// The Beacon API's JSON
    Json,
}

fn parse_fork(name: &str) -> Result<Fork, String> {
    name.to_lowercase().parse()
}

/// Runs a `wren ssz` command.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.verb {
        Verb::Root(one) => {
            let (input, fork) = (one.input()?, one.kind.fork);
            output::line(&input.read()?.ssz_root(fork).to_string())?;
        }
        Verb::Json(one) => {
            let (input, fork) = (one.input()?, one.kind.fork);
            output::json(input.read()?.as_ref(), fork)?;
        }
        Verb::Decode(one) => summary::run(&one.input()?)?,
        Verb::Diff(two) => {
            let info = two.kind.info()?;
            let input = |file| Input::new(file, two.format, info, two.kind.fork);
            return diff::run(&input(two.before), &input(two.after), two.limit);
        }
        Verb::Encode(Encode { one, output }) => {
            let (input, fork) = (one.input()?, one.kind.fork);
            output::object(input.read()?.as_ref(), fork, output.as_deref())?;
        }
        Verb::New(New { kind, output }) => {
            output::object((kind.info()?.default)(kind.fork).as_ref(), kind.fork, output.as_deref())?;
        }
        Verb::Types(Types { fork }) => output::line(&names_at(fork).join("\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl One {
    fn input(&self) -> Result<Input, Failure> {
        Ok(Input::new(
            self.file.clone(),
            self.format,
            self.kind.info()?,
            self.kind.fork,
        ))
    }
}

impl Kind {
    /// The container that was named, in any case of letters, if the fork has it.
    fn info(&self) -> Result<&'static TypeInfo, Failure> {
        let Kind { name, fork } = self;
        let found = registry::find(name)
            .or_else(|| registry::TYPES.iter().find(|info| info.name.eq_ignore_ascii_case(name)))
            .ok_or_else(|| {
                let names = names_at(*fork).join(" ");
                Failure::usage(format!("there is no type '{name}'; {fork} has these:\n{names}"))
            })?;
        if found.exists_at(*fork) {
            return Ok(found);
        }
        let until = found
            .until
            .and_then(Fork::previous)
            .map_or(String::new(), |last| format!(" to {last}"));
        Err(Failure::usage(format!(
            "{} is not there at {fork}: it exists from {}{until}. Give one of those with --fork.",
            found.name, found.since
        )))
    }
}

/// The types that `fork` has, sorted.
fn names_at(fork: Fork) -> Vec<&'static str> {
    let mut names: Vec<_> = registry::TYPES
        .iter()
        .filter(|info| info.exists_at(fork))
        .map(|info| info.name)
        .collect();
    names.sort_unstable();
    names
}
