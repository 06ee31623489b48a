//! The execution layer as the node sees it: who is asked about payloads and who builds them.

pub mod dev;
pub mod engine;
pub mod header;
pub mod payload;
mod rlp;
mod transaction;
mod trie;
pub mod types;

pub use consensus::types::PayloadId;
pub use dev::DevEngine;
pub use engine::Engine;
pub use header::BlockHeader;
pub use payload::check_payload;
pub use types::{
    BlobAndProofs, BuiltPayload, ClientVersion, EngineError, ForkchoiceState, PayloadAttributes, PayloadStatus, Status,
};
