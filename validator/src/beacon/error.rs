//! Why a call to a beacon node gave nothing.

use std::fmt;

/// What kind of failure it was: it decides whether another route or another node is tried, and what is said of a missed
/// duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No connection, or it broke.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The node answered with this HTTP status.
    Status(u16),
    /// The answer is not what the Beacon API says.
    BadAnswer,
    /// The node is right, and has nothing that may be signed: it is optimistic or still syncing.
    NotReady,
}

/// A failed call to one node. The text says what was asked, what came, and from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The kind of failure.
    pub kind: Kind,
    /// A sentence for the log, with what was asked of whom; never has credentials.
    pub text: String,
    /// What went wrong alone, without what was asked of whom.
    pub cause: String,
    /// Of several things that were published: the positions of those that failed, if the node named them. It has taken
    /// the others.
    pub failed: Vec<usize>,
}

impl CallError {
    /// An error of that kind.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        let text = text.into();
        CallError {
            kind,
            cause: text.clone(),
            text,
            failed: Vec::new(),
        }
    }

    /// The answer is not what the Beacon API says.
    pub(crate) fn bad_answer(text: impl Into<String>) -> Self {
        CallError::new(Kind::BadAnswer, text)
    }

    /// What a route that the node does not know answers: nodes differ in 404, 405 and 501.
    pub(crate) fn is_unknown_route(&self) -> bool {
        matches!(self.kind, Kind::Status(404 | 405 | 501))
    }

    /// The same error, told about `what`.
    pub(crate) fn about(mut self, what: impl fmt::Display) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for CallError {}
