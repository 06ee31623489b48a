//! `wren keys`: the signing keys of the validator client.

pub(crate) mod import;
pub(crate) mod list;
mod manage;
mod new;

use crate::exit::Failure;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  wren keys new --network hoodi --count 2
  wren keys import ./validator_keys --network hoodi --new-keys
  wren keys import ./validator_keys --network mainnet --slashing-history history.json
  wren keys list

Keys lie in DATADIR/validator/keys, encrypted under DATADIR/validator/local_secret, so that a client starts with nobody
there. Whoever can read both can sign: they belong to one user and have mode 0600. A key that may be running elsewhere
does not sign here until its history is given. Where a client runs on the folder, it makes the changes itself, at once.";

/// `wren keys …`
#[derive(Parser)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make new validators: mnemonic, keystores and deposit data
    New(new::Args),
    /// Take in keystores
    Import(import::Args),
    /// Show the keys that are here and whether they sign
    List(list::Args),
    /// Stop a key and write it out as keystore, with its history
    Export(manage::Export),
    /// Remove a key and write out its history
    Delete(manage::Delete),
    /// Let a key sign that was stopped or waits for its history
    Enable(manage::Enable),
}

/// Runs `wren keys`.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::New(args) => new::run(&args)?,
        Command::Import(args) => return import::run(&args),
        Command::List(args) => list::run(&args)?,
        Command::Export(args) => manage::export(&args)?,
        Command::Delete(args) => manage::delete(&args)?,
        Command::Enable(args) => manage::enable(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
