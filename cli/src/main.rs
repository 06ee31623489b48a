//! The `wren` binary: every command an operator types, thin over the libraries.
#![forbid(unsafe_code)]

mod exit;
mod network;
mod ssz;
mod transition;

use clap::{Parser, Subcommand};
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
    /// Look into SSZ objects: root, JSON, contents, differences
    Ssz(ssz::Args),
    /// Apply blocks to a state and check every rule, signature and root
    Transition(transition::Args),
}

fn main() -> ExitCode {
    let result = match Wren::parse().command {
        Command::Ssz(args) => ssz::run(args),
        Command::Transition(args) => transition::run(&args),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("wren: {}", failure.message);
        ExitCode::from(failure.code)
    })
}
