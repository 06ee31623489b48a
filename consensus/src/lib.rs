//! The consensus protocol as pure functions: types, SSZ, state transition, fork choice, duties.
//!
//! No clock, disk, network, threads, locks, logging or async. Everything that has a name in the consensus-specs lives
//! here under that name. The preset (mainnet or minimal) is chosen at compile time by the cargo feature `minimal`.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)
)]

pub mod config;
pub mod constants;
pub mod das;
pub mod duties;
pub mod error;
pub mod fork;
pub mod fork_choice;
pub mod gossip;
pub mod helpers;
pub mod keys;
pub mod light_client;
pub mod optimistic;
pub mod preset;
pub mod signing;
pub mod slot_clock;
pub mod ssz;
pub mod state;
pub mod transition;
pub mod types;
pub mod weak_subjectivity;
pub use config::Config;
pub use error::Invalid;
pub use fork::Fork;
pub use state::State;

/// The release of the consensus-specs that this crate implements.
pub const SPEC_VERSION: &str = "v1.7.0-alpha.13";
