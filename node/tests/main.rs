//! Pools and production on a chain in memory: every block made is imported with all signatures checked.

mod blobs;
mod chain;
mod finality;
mod operations;
mod packing;
mod pools;
mod production;
