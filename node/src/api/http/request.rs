//! A request as a handler sees it: parameters read, body complete and bounded.

use super::Error;
use super::media::{Format, content_format};
use super::query::{Query, excerpt, read_number};
use consensus::Fork;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::{StatusCode, header};
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The body of a request, with its share of what all bodies may take in memory.
#[derive(Debug, Default)]
pub struct Payload {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether they are JSON or SSZ.
    pub format: Option<Format>,
    _share: Option<OwnedSemaphorePermit>,
}

/// A request.
#[derive(Debug)]
pub struct Call {
    /// The pieces of the path that the route leaves open, in order.
    pub(super) path: Vec<String>,
    /// The query.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub payload: Payload,
    /// The form to answer in, of those that the route offers.
    pub format: Format,
    /// Who asks.
    pub client: IpAddr,
}

/// The header that names the fork of what is sent. Spec: beacon-APIs, `Eth-Consensus-Version`.
pub const CONSENSUS_VERSION: &str = "eth-consensus-version";

impl Call {
    /// The open piece `place` of the path.
    pub fn path(&self, place: usize) -> &str {
        self.path.get(place).map_or("", String::as_str)
    }

    /// The same as a number. Error 400 if it is none.
    pub fn path_number(&self, place: usize, name: &str) -> Result<u64, Error> {
        let text = self.path(place);
        let number = read_number(text);
        number.ok_or_else(|| Error::bad_request(format!("{name} '{}' is not a number", excerpt(text))))
    }

    /// The same as a value of any kind. Error 400 if it cannot be read, with what is `wanted`.
    pub fn path_value<T: FromStr>(&self, place: usize, wanted: &str) -> Result<T, Error> {
        let text = self.path(place);
        let value = text.parse();
        value.map_err(|_| Error::bad_request(format!("'{}' is not {wanted}", excerpt(text))))
    }

    /// The fork that the client says the body is of. Error 400 if it does not say.
    pub fn consensus_version(&self) -> Result<Fork, Error> {
        let Some(header) = self.headers.get(CONSENSUS_VERSION) else {
            return Err(Error::bad_request("the header Eth-Consensus-Version is missing"));
        };
        let text = header.to_str().unwrap_or("");
        let fork = Fork::from_str(&text.to_ascii_lowercase());
        fork.map_err(|why| Error::bad_request(format!("Eth-Consensus-Version: {}", excerpt(&why))))
    }

    /// A header's text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Bodies are accounted for in pieces of this many bytes.
pub(super) const UNIT: usize = 1024;

/// Reads a body of at most `limit` bytes in one of the forms `taken`.
pub(super) async fn read_payload(
    headers: &HeaderMap,
    body: &mut Incoming,
    limit: usize,
    taken: &[Format],
    room: &Arc<Semaphore>,
) -> Result<Payload, Error> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| read_number(length.to_str().ok()?));
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    if body.is_end_stream() {
        return Ok(Payload::default());
    }
    let format = content_format(headers, taken)?;
    let mut bytes = Vec::new();
    let mut share: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| Error::bad_request(format!("the body breaks off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        take_share(&mut share, bytes.len() + data.len(), room)?;
        bytes.extend_from_slice(&data);
    }
    Ok(Payload {
        bytes: bytes.into(),
        format: Some(format),
        _share: share,
    })
}

/// Makes the share of a body that has grown to `size` bytes large enough. What a client announces takes nothing: only
/// what it has sent does.
fn take_share(share: &mut Option<OwnedSemaphorePermit>, size: usize, room: &Arc<Semaphore>) -> Result<(), Error> {
    let have = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let more = size.div_ceil(UNIT).saturating_sub(have);
    let more = Arc::clone(room).try_acquire_many_owned(more as u32);
    let more = more.map_err(|_| Error::unavailable("too many large requests at once; try again in a moment"))?;
    match share {
        Some(share) => share.merge(more),
        None => *share = Some(more),
    }
    Ok(())
}

fn too_large(limit: usize) -> Error {
    let message = format!("the body may have at most {limit} bytes here");
    Error::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
