//! What can be wrong with bytes or JSON from outside, always with the place where it was found.

use std::fmt;

/// Why bytes are not a valid SSZ encoding.
///
/// `rule` names the broken rule in a few fixed words (the vector runner counts them), `detail` has the figures of both
/// sides, `path` the field where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SszError {
    /// The rule that was broken; one of the constants of this type.
    pub rule: &'static str,
    /// Both sides in words.
    pub detail: String,
    /// The way from the outermost object to the faulty part, such as `message.body.attestations[3]`.
    pub path: String,
}

impl SszError {
    /// The input has another length than the type or a count demands.
    pub const LENGTH: &'static str = "ssz length";
    /// An offset is out of order, out of range or does not point at the end of the fixed part.
    pub const OFFSET: &'static str = "ssz offset";
    /// More items, bytes or bits than the limit of the list allows.
    pub const LIMIT: &'static str = "ssz limit";
    /// A boolean that is neither 0 nor 1.
    pub const BOOLEAN: &'static str = "ssz boolean";
    /// A bitlist without its sentinel bit, or bits set beyond the length.
    pub const BITS: &'static str = "ssz bits";
    /// A union selector that names no option.
    pub const SELECTOR: &'static str = "ssz selector";
    /// The type itself is illegal (an empty vector) or not on the wire at this fork.
    pub const TYPE: &'static str = "ssz type";
    /// The reader failed before the object was complete.
    pub const READ: &'static str = "ssz read";

    /// An error at the current place.
    pub fn new(rule: &'static str, detail: impl Into<String>) -> Self {
        SszError {
            rule,
            detail: detail.into(),
            path: String::new(),
        }
    }

    /// The same error, seen from the container that has the faulty part as field `name`.
    #[must_use]
    pub fn within(self, name: &str) -> Self {
        SszError {
            path: join_path(name, &self.path),
            ..self
        }
    }

    /// The same error, seen from the sequence that has the faulty part as item `index`.
    #[must_use]
    pub fn within_item(self, index: usize) -> Self {
        self.within(&format!("[{index}]"))
    }
}

/// `outer` followed by `inner`, with a dot only before a field name.
fn join_path(outer: &str, inner: &str) -> String {
    if inner.is_empty() || inner.starts_with('[') {
        format!("{outer}{inner}")
    } else {
        format!("{outer}.{inner}")
    }
}

impl fmt::Display for SszError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}: {}", self.rule, self.detail)
        } else {
            write!(f, "{} in {}: {}", self.rule, self.path, self.detail)
        }
    }
}

impl std::error::Error for SszError {}

/// Why a JSON value is not the Beacon API form of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What was expected and what was there.
    pub detail: String,
    /// The way to the faulty part, such as `message.body.attestations[3]`.
    pub path: String,
}

impl JsonError {
    /// An error at the current place.
    pub fn new(detail: impl Into<String>) -> Self {
        JsonError {
            detail: detail.into(),
            path: String::new(),
        }
    }

    /// Tells what was expected and what kind of value was found; never echoes a long value.
    pub fn expected(what: &str, found: &serde_json::Value) -> Self {
        let text = found.to_string();
        let short: String = text.chars().take(80).collect();
        let dots = if short.len() < text.len() { "…" } else { "" };
        JsonError::new(format!("expected {what}, found {short}{dots}"))
    }

    /// The same error, seen from the object that has the faulty part as field `name`.
    #[must_use]
    pub fn within(self, name: &str) -> Self {
        JsonError {
            path: join_path(name, &self.path),
            ..self
        }
    }

    /// The same error, seen from the array that has the faulty part as item `index`.
    #[must_use]
    pub fn within_item(self, index: usize) -> Self {
        self.within(&format!("[{index}]"))
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.detail)
        } else {
            write!(f, "{}: {}", self.path, self.detail)
        }
    }
}

impl std::error::Error for JsonError {}
