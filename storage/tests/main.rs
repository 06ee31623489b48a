//! The storage as a node meets it: round trips, restarts, crashes, damage and a full disk.

mod fixture;
mod kill;
mod powercut;
mod roundtrip;
mod schema;
mod states;
mod writer;
