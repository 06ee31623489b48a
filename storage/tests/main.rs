//! The storage as a node meets it: round trips, restarts, crashes, damage and a full disk.
#![allow(clippy::unwrap_used)] // a failed `unwrap` is a failed test

mod fixture;
mod full_disk;
mod kill;
mod powercut;
mod roundtrip;
mod schema;
mod states;
mod torn;
mod writer;
