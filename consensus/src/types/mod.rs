//! Every container of the consensus-specs from phase0 to Gloas, and those of the builder and beacon APIs that travel as
//! SSZ.
//!
//! One struct per container for all forks: a field says in which forks it is on the wire, and its limit, length or
//! progressiveness may differ by fork. Fields stand in wire order; where a fork replaced a field in place, the old and
//! the new one are neighbours. Declarations only: what the spec computes from them lives elsewhere under its own name.
//!
//! [`registry`] has all of them by name, for what only learns the type at run time.

mod attestation;
mod basic;
mod block;
mod builder_api;
mod bundles;
mod domain;
mod execution;
mod light_client;
mod operations;
mod p2p;
mod payload;
pub mod registry;
mod sidecar;
mod state;
mod sync;

pub use attestation::*;
pub use basic::*;
pub use block::*;
pub use builder_api::*;
pub use bundles::*;
pub use domain::*;
pub use execution::*;
pub use light_client::*;
pub use operations::*;
pub use p2p::*;
pub use payload::*;
pub use sidecar::*;
pub use state::*;
pub use sync::*;

#[cfg(test)]
mod tests;
