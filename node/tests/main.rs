//! Pools and production on a chain in memory: every block made is imported with all signatures checked.

// In tests a failed `unwrap` is a failed test.
#![allow(clippy::unwrap_used)]

mod api;
mod blobs;
mod branches;
mod chain;
mod decoders;
mod discovery;
mod engine;
mod finality;
mod network;
mod nonfinality;
mod operations;
mod packing;
mod pools;
mod production;
mod start;
mod sync;

/// A database that does not mind how full the machine's disk is: what a node sheds then is not what these tests look at.
fn storage_options() -> storage::Options {
    storage::Options {
        disk: storage::DiskLimits {
            shed_below: 0,
            stop_below: 0,
        },
        ..storage::Options::default()
    }
}
