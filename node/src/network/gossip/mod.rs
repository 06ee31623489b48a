//! Messages that go to everybody.
//!
//! Spec: "The gossip domain: gossipsub" in p2p-interface.md of each fork.

pub mod decode;
pub(crate) mod intake;
pub mod message_id;
pub mod params;
pub mod topics;
