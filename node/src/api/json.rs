//! Writing JSON objects member by member: for shapes that are the API's own and no containers.

use consensus::Fork;
use consensus::ssz::{Json, Out};
use std::fmt::Display;

/// An object in the making.
pub(super) struct Object<'o, 'w> {
    out: &'o mut Out<'w>,
    first: bool,
}

/// Writes an object.
pub(super) fn object(out: &mut Out, write: impl FnOnce(&mut Object)) {
    out.put(b"{");
    let mut object = Object { out, first: true };
    write(&mut object);
    object.out.put(b"}");
}

/// Writes an array, an item at a time.
pub(super) fn array<T>(out: &mut Out, items: impl IntoIterator<Item = T>, write: impl Fn(&mut Out, T)) {
    out.put(b"[");
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.put(b",");
        }
        write(out, item);
    }
    out.put(b"]");
}

/// Writes a number in quotes.
pub(super) fn quoted(out: &mut Out, number: impl Display) {
    out.put(format!("\"{number}\"").as_bytes());
}

/// Writes an array of numbers in quotes.
pub(super) fn numbers(out: &mut Out, items: impl IntoIterator<Item = u64>) {
    array(out, items, quoted);
}

/// Writes a text with the escapes of JSON.
pub(super) fn text(out: &mut Out, text: &str) {
    // A text is always JSON.
    out.put(serde_json::Value::from(text).to_string().as_bytes());
}

impl Object<'_, '_> {
    /// A member that `write` writes.
    pub(super) fn member(&mut self, name: &str, write: impl FnOnce(&mut Out)) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.put(b",");
        }
        self.out.put(format!("\"{name}\":").as_bytes());
        write(self.out);
    }

    /// A number, or anything else that is shown without special characters, in quotes.
    pub(super) fn quoted(&mut self, name: &str, value: impl Display) {
        self.member(name, |out| quoted(out, value));
    }

    /// A boolean or a number without quotes.
    pub(super) fn bare(&mut self, name: &str, value: impl Display) {
        self.member(name, |out| out.put(value.to_string().as_bytes()));
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.member(name, |out| text(out, value));
    }

    /// A protocol type.
    pub(super) fn json(&mut self, name: &str, value: &impl Json, fork: Fork) {
        self.member(name, |out| value.write_json(fork, &[], out));
    }
}
