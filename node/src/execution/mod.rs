//! The execution layer as the node sees it: who is asked about payloads and who builds them.

mod client;
pub mod dev;
pub mod engine;
pub(crate) mod fitness;
pub mod header;
mod http;
mod json;
pub mod jwt;
mod methods;
pub mod payload;
mod rlp;
mod server;
mod transaction;
mod trie;
pub mod types;

pub use client::HttpEngine;
pub use consensus::types::PayloadId;
pub use dev::DevEngine;
pub use engine::Engine;
pub use header::BlockHeader;
pub use http::UnixTime;
pub use jwt::JwtSecret;
pub use payload::check_payload;
pub use server::Server;
pub use types::{
    BlobAndProofs, BuiltPayload, ClientVersion, EndpointHealth, EngineError, ForkchoiceState, PayloadAttributes,
    PayloadStatus, Status,
};
