//! The peer-to-peer network: what the rest of the node sees of it.
//!
//! `peer` is the border: sync, chain and API know peers only by the trait in there, so that each side is tested without the
//! other. What runs is in parts that are tested alone: who the node is (`node_key`, `enr`), whom it knows and keeps (`book`),
//! how it finds more (`bootnodes`, `discovery`), and which topics it is on (`subnets`).

pub mod addresses;
mod behaviour;
pub mod book;
pub mod bootnodes;
pub mod ceiling;
pub mod counts;
pub mod digests;
pub mod discovery;
pub mod enr;
mod gate;
pub mod gossip;
mod handle;
mod handshake;
mod import;
mod light;
mod membership;
mod meter;
pub mod node_key;
mod notices;
pub mod options;
pub mod peer;
mod publish;
pub mod rpc;
pub mod schedule_watch;
mod service;
mod shared;
pub mod sizes;
pub mod subnet_set;
pub mod subnets;

pub use counts::Counts;
pub use handle::NetworkHandle;
pub use options::NetworkOptions;
pub use service::start;
