//! Why something breaks a rule of the protocol.

use std::fmt;

/// A broken rule: its name, and a sentence with both sides. Nobody matches on it; it is for people, logs and the vector
/// runner's tally.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// A short fixed name of the rule, such as `attestation target`.
    pub rule: &'static str,
    /// What was computed and what was found.
    pub detail: String,
}

impl Invalid {
    /// A broken `rule`.
    pub fn new(rule: &'static str, detail: impl Into<String>) -> Self {
        Invalid {
            rule,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            f.write_str(self.rule)
        } else {
            write!(f, "{}: {}", self.rule, self.detail)
        }
    }
}

impl std::error::Error for Invalid {}

/// Fails with `rule` unless the condition holds; the rest is the detail, in `format!`'s form.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $rule:literal $(, $($detail:tt)+)?) => {
        if !$condition {
            return Err($crate::Invalid::new($rule, $crate::detail!($($($detail)+)?)));
        }
    };
}

/// The detail of an error, which may be left out.
#[doc(hidden)]
#[macro_export]
macro_rules! detail {
    () => { "" };
    ($($detail:tt)+) => { format!($($detail)+) };
}
