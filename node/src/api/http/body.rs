//! Bodies of responses: ready bytes, or pieces that are made when the client has taken those before.
//!
//! A response of hundreds of megabytes is never more than a few pieces in memory: nothing is made ahead, so a client that
//! reads slowly costs nothing but its connection, and one that goes away ends the making.

use super::registry::Busy;
use hyper::body::{Bytes, Frame, SizeHint};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The rest of a response cannot be made. The connection is broken off, so that the client does not take what it has for
/// the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rest of the answer could not be made")
    }
}

impl std::error::Error for Broken {}

/// The next piece in the making; `None` at the end.
pub type Step = Pin<Box<dyn Future<Output = Result<Option<Piece>, Broken>> + Send>>;

/// A piece of a response, and what makes the next.
pub struct Piece {
    /// The bytes; may be empty where a step found nothing to say.
    pub bytes: Bytes,
    /// Starts the next step; `None` if this is the last piece.
    pub next: Option<Box<dyn FnOnce() -> Step + Send>>,
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece of {} bytes", self.bytes.len())
    }
}

enum Content {
    Done,
    Full(Bytes),
    Making(Step),
}

/// The body of a response.
pub struct Body {
    content: Content,
    /// Whether it goes on until the client has had enough.
    lasting: bool,
    /// Kept until the last byte is on its way: what the response holds, such as a place among few.
    held: Option<Box<dyn Send>>,
    /// The connection counts as busy as long as this lives.
    pub(super) busy: Option<Busy>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Done => f.write_str("Body, empty"),
            Content::Full(bytes) => write!(f, "Body of {} bytes", bytes.len()),
            Content::Making(_) => f.write_str("Body in pieces"),
        }
    }
}

impl Body {
    fn new(content: Content) -> Self {
        Body {
            content,
            lasting: false,
            held: None,
            busy: None,
        }
    }

    /// No bytes.
    pub fn empty() -> Self {
        Body::new(Content::Done)
    }

    /// These bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Body::empty()
        } else {
            Body::new(Content::Full(bytes))
        }
    }

    /// Pieces, of which this step makes the first.
    pub fn pieces(first: Step) -> Self {
        Body::new(Content::Making(first))
    }

    /// The same body, which may go on for as long as the client reads it.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    pub(super) fn lasts(&self) -> bool {
        self.lasting
    }

    /// The same body, which lets go of `what` when it has been sent or the client has gone.
    #[must_use]
    pub fn holding(mut self, what: impl Send + 'static) -> Self {
        self.held = Some(Box::new(what));
        self
    }

    /// The bytes of a body that is ready; `None` for pieces.
    pub fn ready(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Done => Some(&[]),
            Content::Full(bytes) => Some(bytes),
            Content::Making(_) => None,
        }
    }
}

/// A body made by a function that is called, with what it gave back last, until it gives nothing more.
pub fn stream<S, F, Made>(state: S, make: F) -> Body
where
    S: Send + 'static,
    F: Fn(S) -> Made + Clone + Send + 'static,
    Made: Future<Output = Result<(Bytes, Option<S>), Broken>> + Send + 'static,
{
    Body::pieces(step(state, make))
}

fn step<S, F, Made>(state: S, make: F) -> Step
where
    S: Send + 'static,
    F: Fn(S) -> Made + Clone + Send + 'static,
    Made: Future<Output = Result<(Bytes, Option<S>), Broken>> + Send + 'static,
{
    let made = make(state);
    Box::pin(async move {
        let (bytes, rest) = made.await?;
        let next = rest.map(|rest| -> Box<dyn FnOnce() -> Step + Send> { Box::new(move || step(rest, make)) });
        Ok(Some(Piece { bytes, next }))
    })
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            match std::mem::replace(&mut self.content, Content::Done) {
                Content::Done => return Poll::Ready(None),
                Content::Full(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Content::Making(mut step) => match step.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.content = Content::Making(step);
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                    Poll::Ready(Ok(None)) => {}
                    Poll::Ready(Ok(Some(piece))) => {
                        if let Some(next) = piece.next {
                            self.content = Content::Making(next());
                        }
                        if !piece.bytes.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(piece.bytes))));
                        }
                    }
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Done)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Done => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Making(_) => SizeHint::default(),
        }
    }
}
