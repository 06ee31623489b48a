//! Requests and answers between two peers.
//!
//! Spec: "The Req/Resp domain" in p2p-interface.md of each fork.

pub mod answer;
pub mod ask;
pub mod frames;
mod pace;
pub mod protocol;
pub mod rate;
pub mod serve;
pub mod stream;
pub mod streams;
