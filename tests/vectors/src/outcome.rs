//! What a runner answers for one case.

use std::fmt;

use consensus::Invalid;

/// The answer of a runner; `?` on any step of it ends the case.
pub type Outcome = Result<Verdict, Failure>;

/// How a case ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything the case expects was computed and compared equal.
    Valid,
    /// The case is an invalid one and a rule that [`Case::refused`](crate::Case::refused) was told refused it.
    Refused,
}

/// Why a case failed, as a sentence.
#[derive(Clone, Debug)]
pub struct Failure {
    sentence: String,
    mismatch: bool,
}

impl Failure {
    /// A failure of any kind but a comparison.
    pub fn new(sentence: impl Into<String>) -> Self {
        Failure {
            sentence: sentence.into(),
            mismatch: false,
        }
    }

    /// An expected value differs from the computed one. Only [`Case`](crate::Case) makes these: `--tamper` demands that
    /// exactly this happens when an expectation is damaged.
    pub(crate) fn mismatch(sentence: String) -> Self {
        Failure {
            sentence,
            mismatch: true,
        }
    }

    /// The same failure with where it happened.
    #[must_use]
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.sentence = format!("{place}: {}", self.sentence);
        self
    }

    pub(crate) fn is_mismatch(&self) -> bool {
        self.mismatch
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Failure::new(sentence)
    }
}

/// An error that names the rule that refused the input; an invalid case counts only with such a name.
pub trait NamedRule: fmt::Display {
    /// A short stable name such as `offset_out_of_order`.
    fn rule(&self) -> String;
}

impl NamedRule for Invalid {
    fn rule(&self) -> String {
        self.rule.to_owned()
    }
}
