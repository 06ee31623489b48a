//! The peer-to-peer network: what the rest of the node sees of it.
//!
//! `peer` is the border: sync, chain and API know peers only by the trait in there, so that each side is tested without the
//! other. What runs is in parts that are tested alone: who the node is (`node_key`, `enr`), whom it knows and keeps (`book`),
//! how it finds more (`bootnodes`, `discovery`), and which topics it is on (`subnets`).

pub mod addresses;
pub mod book;
pub mod bootnodes;
pub mod discovery;
pub mod enr;
pub mod node_key;
pub mod peer;
pub mod schedule_watch;
pub mod subnet_set;
pub mod subnets;
