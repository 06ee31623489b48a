//! The Beacon API's JSON form, from the same declarations as the encoding.
//!
//! Writing streams (a state of millions of validators goes out without standing in memory as text); reading goes
//! through `serde_json::Value`, whose size the caller bounds by bounding the body. Unknown fields are tolerated, missing
//! ones refused by name.

use super::{Bound, JsonError, Out};
use crate::fork::Fork;
use serde_json::Value;

/// A type with a JSON form in the Beacon API: integers quoted, bytes as `0x` hex.
pub trait Json: Sized {
    /// Appends the JSON text.
    fn write_json(&self, fork: Fork, shape: &[Bound], out: &mut Out);

    /// Reads the value back; errors name the field and what was expected.
    fn from_json(value: &Value, fork: Fork, shape: &[Bound]) -> Result<Self, JsonError>;

    /// The JSON text of a type without bounds of its own.
    fn to_json(&self, fork: Fork) -> String {
        let mut out = Out::memory(256);
        self.write_json(fork, &[], &mut out);
        String::from_utf8(out.into_bytes()).expect("everything written to JSON is ASCII")
    }
}

/// Parses `text` and reads a type without bounds of its own.
pub fn parse_json<T: Json>(text: &str, fork: Fork) -> Result<T, JsonError> {
    let value: Value = serde_json::from_str(text).map_err(|error| JsonError::new(format!("not JSON: {error}")))?;
    T::from_json(&value, fork, &[])
}

/// The members of a JSON object, or an error that says what was there instead.
pub fn json_object(value: &Value) -> Result<&serde_json::Map<String, Value>, JsonError> {
    value.as_object().ok_or_else(|| JsonError::expected("an object", value))
}

/// The member `name` of an object of type `owner`, or an error that names what is missing.
pub(super) fn json_member<'a>(
    members: &'a serde_json::Map<String, Value>,
    name: &str,
    owner: &str,
) -> Result<&'a Value, JsonError> {
    members
        .get(name)
        .ok_or_else(|| JsonError::new(format!("'{name}' of {owner} is missing")))
}

/// The items of a JSON array.
pub(super) fn json_array(value: &Value) -> Result<&Vec<Value>, JsonError> {
    value.as_array().ok_or_else(|| JsonError::expected("an array", value))
}

/// Appends `bytes` as a quoted `0x` string.
pub(super) fn put_hex(bytes: &[u8], out: &mut Out) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.put(b"\"0x");
    for piece in bytes.chunks(64) {
        let mut text = [0; 128];
        for (byte, pair) in piece.iter().zip(text.chunks_exact_mut(2)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        out.put(&text[..2 * piece.len()]);
    }
    out.put(b"\"");
}

/// The bytes of a quoted `0x` string.
pub(super) fn hex_from_json(value: &Value) -> Result<Vec<u8>, JsonError> {
    let text = value
        .as_str()
        .ok_or_else(|| JsonError::expected("a 0x-prefixed hex string", value))?;
    parse_hex(text).map_err(|_| JsonError::expected("a 0x-prefixed hex string", value))
}

/// The bytes of a `0x` string; the error says what is wrong with it.
pub(super) fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").ok_or("a hex string begins with 0x")?.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return Err("a hex string has an even number of digits".into());
    }
    digits
        .chunks_exact(2)
        .map(|pair| Ok(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?))
        .collect()
}

fn hex_digit(digit: u8) -> Result<u8, String> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        other => Err(format!("'{}' is no hex digit", char::from(other).escape_default())),
    }
}

/// Appends a JSON array of `items`.
pub(super) fn put_array<'a, T: Json + 'a>(
    items: impl Iterator<Item = &'a T>,
    fork: Fork,
    shape: &[Bound],
    out: &mut Out,
) {
    out.put(b"[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.put(b",");
        }
        item.write_json(fork, shape, out);
    }
    out.put(b"]");
}

/// The items of a JSON array, read one by one.
pub(super) fn items_from_json<T: Json>(value: &Value, fork: Fork, shape: &[Bound]) -> Result<Vec<T>, JsonError> {
    let items = json_array(value)?;
    items
        .iter()
        .enumerate()
        .map(|(index, item)| T::from_json(item, fork, shape).map_err(|error| error.within_item(index)))
        .collect()
}
