//! The consensus protocol as pure functions: types, SSZ, state transition, fork choice, duties.
//!
//! No clock, disk, network, threads, locks, logging or async. Everything that has a name in the consensus-specs lives
//! here under that name. The preset (mainnet or minimal) is chosen at compile time by the cargo feature `minimal`.
#![forbid(unsafe_code)]

pub mod constants;
pub mod fork;
pub mod preset;
pub mod ssz;
pub mod types;

pub use fork::Fork;
