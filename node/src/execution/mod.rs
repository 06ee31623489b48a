//! The execution layer as the node sees it: who is asked about payloads and who builds them.

pub mod header;
pub mod payload;
mod rlp;
mod transaction;
mod trie;

pub use header::BlockHeader;
