//! The beacon node: everything around the pure core that touches clock, disk, network and the execution layer.
//!
//! Where what lives, and which thread may do what: docs/architecture.md §2 and §4.

#![forbid(unsafe_code)]

pub mod api;
pub mod builder;
pub mod chain;
pub mod checkpoint;
pub mod clock;
pub mod custody;
mod disk;
mod driver;
pub mod execution;
pub mod forks;
pub mod genesis;
mod ground;
pub mod keys;
pub mod light;
pub mod metrics;
pub mod network;
pub mod options;
pub mod pools;
pub mod pressure;
pub mod produce;
pub mod production;
pub mod publish;
mod room;
pub mod run;
pub mod start;
pub mod stop;
pub mod sync;
pub mod tls;
pub mod work;

#[cfg(test)]
mod testing;
