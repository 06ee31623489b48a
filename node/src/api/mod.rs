//! The Beacon API: what validator clients, operators and tools ask the node.

pub mod http;
