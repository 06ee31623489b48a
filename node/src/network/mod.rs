//! The peer-to-peer network: what the rest of the node sees of it.
//!
//! `peer` is the border: sync, chain and API know peers only by the trait in there, so that each side is tested without the
//! other.

pub mod peer;
