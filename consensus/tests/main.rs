//! Integration tests of the crate, one binary: what holds for every container, and what needs files from outside.
//!
//! How much is tried is told in [`support`].

// In tests a failed `unwrap` is a failed test.
#![allow(clippy::unwrap_used)]

mod deposits;
mod epoch;
mod keys;
mod malformed;
mod mirror;
mod networks;
mod operations;
mod oracle;
mod persistent;
mod proofs;
mod support;
mod update_sorted;
