//! Pools and production on a chain in memory: every block made is imported with all signatures checked.

// In tests a failed `unwrap` is a failed test.
#![allow(clippy::unwrap_used)]

mod api;
mod blobs;
mod chain;
mod discovery;
mod engine;
mod finality;
mod network;
mod nonfinality;
mod operations;
mod packing;
mod pools;
mod production;
mod sync;
