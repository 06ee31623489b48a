//! The storage as a node meets it: round trips, restarts, crashes, damage and a full disk.

mod fixture;
mod roundtrip;
mod schema;
mod states;
