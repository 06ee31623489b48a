//! The storage as a node meets it: round trips, restarts, crashes, damage and a full disk.

mod fixture;
mod full_disk;
mod kill;
mod powercut;
mod roundtrip;
mod schema;
mod states;
mod torn;
mod writer;
