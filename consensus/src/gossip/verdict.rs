//! What becomes of a message.

/// The end of a message's validation; `Reject` blames the peer.
///
/// Spec: phase0/p2p-interface.md, "Topics and messages" (`ACCEPT`, `IGNORE`, `REJECT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Drop it; the reason is the spec's.
    Ignore(&'static str),
    /// Drop it and count it against the peer; the reason is the spec's.
    Reject(&'static str),
}

impl Verdict {
    /// This verdict, or what `next` says if this one accepts.
    #[must_use]
    pub fn and_then(self, next: impl FnOnce() -> Verdict) -> Verdict {
        match self {
            Verdict::Accept => next(),
            refused => refused,
        }
    }

    /// The spec's reason for a refusal.
    pub fn why(self) -> Option<&'static str> {
        match self {
            Verdict::Accept => None,
            Verdict::Ignore(why) | Verdict::Reject(why) => Some(why),
        }
    }
}

/// A step of a validation; an error is the refusal.
pub(super) type Checked<T = ()> = Result<T, Verdict>;

impl From<Checked> for Verdict {
    fn from(checked: Checked) -> Self {
        checked.err().unwrap_or(Verdict::Accept)
    }
}

pub(super) fn ignore<T>(why: &'static str) -> Checked<T> {
    Err(Verdict::Ignore(why))
}

pub(super) fn ignore_unless(holds: bool, why: &'static str) -> Checked {
    if holds { Ok(()) } else { ignore(why) }
}

pub(super) fn reject_unless(holds: bool, why: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(Verdict::Reject(why)) }
}
