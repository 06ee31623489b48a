//! The beacon node: everything around the pure core that touches clock, disk, network and the execution layer.
//!
//! Where what lives, and which thread may do what: docs/architecture.md §2 and §4.

#![forbid(unsafe_code)]

pub mod execution;
pub mod genesis;
