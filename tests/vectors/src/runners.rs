//! The table of runners. A new one is a file with `pub(crate) fn run(case: &Case) -> Outcome` and one line in [`RUNNERS`].

mod blocks;
mod bls;
mod epoch_processing;
mod fork;
mod fork_choice;
mod genesis;
mod kzg;
mod light_client;
mod merkle_proof;
mod networking;
mod operations;
mod rewards;
mod shuffling;
mod ssz_generic;
mod ssz_static;
mod state;
mod transition;

use consensus::Fork;

use crate::{Case, Outcome};

/// Which handler folders a runner knows; any other fails its cases.
#[derive(Clone, Copy)]
pub enum Handlers {
    /// Exactly these.
    Named(&'static [&'static str]),
    /// Names of types, or handlers of a table, asked one by one with the fork of the case.
    Types(fn(&str, Fork) -> bool),
}

impl Handlers {
    /// Whether the runner knows the handler at this fork.
    pub fn knows(&self, handler: &str, fork: Fork) -> bool {
        match self {
            Handlers::Named(names) => names.contains(&handler),
            Handlers::Types(known) => known(handler, fork),
        }
    }
}

/// The consumer of the cases of one runner folder.
#[derive(Clone, Copy)]
pub struct Runner {
    /// Name of the folder.
    pub name: &'static str,
    /// What may stand in the folder.
    pub handlers: Handlers,
    /// Runs one case.
    pub run: fn(&Case) -> Outcome,
    /// Whether some of its cases come from another generator, which writes no `manifest.yaml`.
    pub manifest_may_lack: bool,
}

impl Runner {
    const fn new(name: &'static str, handlers: Handlers, run: fn(&Case) -> Outcome) -> Self {
        Runner {
            name,
            handlers,
            run,
            manifest_may_lack: false,
        }
    }

    const fn of_other_generator(name: &'static str, handlers: Handlers, run: fn(&Case) -> Outcome) -> Self {
        Runner {
            name,
            handlers,
            run,
            manifest_may_lack: true,
        }
    }
}

/// Every runner there is.
pub const RUNNERS: &[Runner] = &[
    Runner::of_other_generator("bls", Handlers::Named(bls::HANDLERS), bls::run),
    Runner::new(
        "epoch_processing",
        Handlers::Types(epoch_processing::knows),
        epoch_processing::run,
    ),
    Runner::new("finality", Handlers::Named(&["finality"]), blocks::run),
    Runner::new("fork", Handlers::Named(&["fork"]), fork::run),
    Runner::new("fork_choice", Handlers::Named(fork_choice::HANDLERS), fork_choice::run),
    Runner::new(
        "fast_confirmation",
        Handlers::Named(fork_choice::FAST_CONFIRMATION),
        fork_choice::run,
    ),
    Runner::new("sync", Handlers::Named(&["optimistic"]), fork_choice::run),
    Runner::new("genesis", Handlers::Named(genesis::HANDLERS), genesis::run),
    Runner::of_other_generator("kzg", Handlers::Named(kzg::HANDLERS), kzg::run),
    Runner::new(
        "light_client",
        Handlers::Named(light_client::HANDLERS),
        light_client::run,
    ),
    Runner::new(
        "merkle_proof",
        Handlers::Named(&["single_merkle_proof"]),
        merkle_proof::run,
    ),
    Runner::new("networking", Handlers::Types(networking::knows), networking::run),
    Runner::new("operations", Handlers::Named(&operations::HANDLERS), operations::run),
    Runner::new("random", Handlers::Named(&["random"]), blocks::run),
    Runner::new("rewards", Handlers::Named(rewards::HANDLERS), rewards::run),
    Runner::new("sanity", Handlers::Named(blocks::SANITY), blocks::run),
    Runner::new("shuffling", Handlers::Named(&["core"]), shuffling::run),
    Runner::new("ssz_generic", Handlers::Named(ssz_generic::HANDLERS), ssz_generic::run),
    Runner::new("ssz_static", Handlers::Types(ssz_static::knows), ssz_static::run),
    Runner::new("transition", Handlers::Named(&["core"]), transition::run),
];
