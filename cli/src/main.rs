//! The `wren` binary: every command an operator types, thin over the libraries.
#![forbid(unsafe_code)]

mod beacon;
mod datadir;
mod devnet;
mod doctor;
mod engine;
mod exit;
mod genesis;
mod http;
mod keys;
mod logging;
mod machine;
mod network;
mod node;
mod running;
mod settings;
mod setup;
mod shell;
mod slashing;
mod ssz;
mod status;
mod terminal;
mod transition;
mod validator;
mod voluntary_exit;
mod words;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use exit::Failure;
use std::process::ExitCode;
use std::sync::LazyLock;

/// What `--version` says after the program's name.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{}, commit {}, {} preset, consensus-specs {}",
        env!("CARGO_PKG_VERSION"),
        env!("WREN_COMMIT"),
        consensus::preset::PRESET_NAME,
        consensus::SPEC_VERSION,
    )
});

/// An Ethereum proof-of-stake validator node for low-power machines.
#[derive(Parser)]
#[command(name = "wren", version = VERSION.as_str(), after_help = exit::HELP, subcommand_required = true)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
struct Wren {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Node(Box<node::Args>),
    Devnet(devnet::Args),
    Status(status::Args),
    Doctor(Box<doctor::Args>),
    Setup(setup::Args),
    /// Make the genesis of a local network: config, first state, keys
    Genesis(genesis::Args),
    /// Serve an execution engine for a local network, which executes nothing
    Engine(engine::Args),
    /// Look into SSZ objects: root, JSON, contents, differences
    Ssz(ssz::Args),
    /// Apply blocks to a state and check every rule, signature and root
    Transition(transition::Args),
    /// Do validators' duties through a beacon node
    Validator(validator::Args),
    /// Make, import, list, export and delete signing keys
    Keys(keys::Args),
    /// Look after the record of what was signed
    Slashing(slashing::Args),
    /// Leave the validator set
    Exit(voluntary_exit::Args),
    Completions(shell::Completions),
    Man(shell::Man),
}

fn main() -> ExitCode {
    run().unwrap_or_else(|failure| {
        eprintln!("wren: {}", failure.message);
        ExitCode::from(failure.code)
    })
}

fn run() -> Result<ExitCode, Failure> {
    let command = settings::with_file_option(Wren::command());
    let environment: Vec<_> = std::env::vars_os().collect();
    let line = settings::complete(&command, std::env::args_os().collect(), &environment)?;
    let matches = command.clone().get_matches_from(line);
    let wren = Wren::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match wren.command {
        Command::Node(args) => node::run(*args),
        Command::Devnet(args) => devnet::run(&args),
        Command::Genesis(args) => genesis::run(&args),
        Command::Engine(args) => engine::run(&args),
        Command::Ssz(args) => ssz::run(args),
        Command::Transition(args) => transition::run(&args),
        Command::Validator(args) => validator::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Slashing(args) => slashing::run(args),
        Command::Exit(args) => voluntary_exit::run(args),
        Command::Status(args) => status::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Setup(args) => setup::run(args),
        Command::Completions(args) => Ok(shell::completions(&args, command)),
        Command::Man(args) => shell::man(&args, command),
    }
}
