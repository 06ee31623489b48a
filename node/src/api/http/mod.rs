//! An HTTP/1.1 server that stays well whatever its clients do.
//!
//! A validator's duty must be answered in milliseconds while a thousand other connections are idle, send a byte at a
//! time or never read. So a connection costs a task and a small buffer, nothing else; one pass a second over all of them
//! ends those that are too slow at whatever they do ([`registry`]); and where all places are taken the connection that
//! has been idle for longest makes room. Nothing here knows the Beacon API: routes and handlers come from outside.

mod body;
mod error;
mod limits;
mod media;
mod query;
mod registry;
mod request;
mod router;
mod server;
#[cfg(test)]
mod tests;

pub use body::{Body, Broken, Piece, Step, stream};
pub use error::{Error, Failure};
pub use limits::{DESCRIPTORS_KEPT_BACK, Limits, raise_descriptor_limit};
pub use media::Format;
pub use query::{Query, excerpt, read_number};
pub use registry::Counts;
pub use request::{CONSENSUS_VERSION, Call, Payload};
pub use router::{ANY, Described, JSON, JSON_OR_SSZ, Router, Upload};
pub use server::Server;

/// A response on its way out.
pub type Response = hyper::Response<Body>;

/// What a handler gives.
pub type Answer = Result<Response, Error>;
