//! YAML of the vectors as a tree that keeps every scalar's text and remembers which keys were read.
//!
//! The text is kept because values exceed 64 bits (uint256) and because `0x…` strings and numbers are told apart only by
//! the type that they are compared with. Reads are remembered so that a runner that overlooks a `reason` or a
//! `bls_setting` is caught (see [`Yaml::unread`]).

use std::cell::Cell;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::Failure;

/// Deepest nesting accepted: the deepest vector has about ten levels.
const MAX_DEPTH: usize = 64;

/// One node of a document.
#[derive(Clone, Debug)]
pub enum Yaml {
    /// `null`, `~` or nothing.
    Null,
    /// A number, string or boolean as it is written, without quotes.
    Scalar(String),
    /// A sequence.
    List(Vec<Yaml>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    key: String,
    value: Yaml,
    read: Cell<bool>,
}

impl Entry {
    fn new(key: String, value: Yaml) -> Self {
        Entry {
            key,
            value,
            read: Cell::new(false),
        }
    }
}

impl Yaml {
    /// Reads the single document in `text`; an empty one is `Null`. Anchors and aliases are refused: no vector has them.
    pub fn parse(text: &str) -> Result<Yaml, Failure> {
        let mut open: Vec<Open> = Vec::new();
        let mut document = None;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| Failure::new(format!("not YAML: {error}")))?;
            let line = span.start.line();
            let node = match event {
                Event::Scalar(text, style, ..) => scalar(text.into_owned(), style),
                Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                    return Err(Failure::new(format!(
                        "YAML nested deeper than {MAX_DEPTH} levels in line {line}"
                    )));
                }
                Event::SequenceStart(..) => {
                    open.push(Open::List(Vec::new()));
                    continue;
                }
                Event::MappingStart(..) => {
                    open.push(Open::Map(Vec::new(), None));
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                    Some(Open::List(items)) => Yaml::List(items),
                    Some(Open::Map(entries, None)) => Yaml::Map(entries),
                    _ => return Err(Failure::new(format!("unbalanced YAML in line {line}"))),
                },
                Event::Alias(..) => return Err(Failure::new(format!("YAML alias in line {line}"))),
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(..)
                | Event::DocumentEnd => continue,
            };
            match open.last_mut() {
                Some(parent) => parent.add(node, line)?,
                None if document.is_none() => document = Some(node),
                None => return Err(Failure::new(format!("a second YAML document in line {line}"))),
            }
        }
        Ok(document.unwrap_or(Yaml::Null))
    }

    /// The value of `key`; missing keys are an error that names the present ones.
    pub fn get(&self, key: &str) -> Result<&Yaml, Failure> {
        self.find(key)?
            .ok_or_else(|| Failure::new(format!("key '{key}' is missing; there are {}", self.keys())))
    }

    /// The value of `key`, if the mapping has it.
    pub fn find(&self, key: &str) -> Result<Option<&Yaml>, Failure> {
        let Yaml::Map(entries) = self else {
            return Err(self.wrong("a mapping"));
        };
        Ok(entries.iter().find(|entry| entry.key == key).map(|entry| {
            entry.read.set(true);
            &entry.value
        }))
    }

    /// The entries of a mapping; all count as read.
    pub fn entries(&self) -> Result<impl Iterator<Item = (&str, &Yaml)>, Failure> {
        let Yaml::Map(entries) = self else {
            return Err(self.wrong("a mapping"));
        };
        Ok(entries.iter().map(|entry| {
            entry.read.set(true);
            (entry.key.as_str(), &entry.value)
        }))
    }

    /// The items of a sequence.
    pub fn list(&self) -> Result<&[Yaml], Failure> {
        if let Yaml::List(items) = self {
            Ok(items)
        } else {
            Err(self.wrong("a sequence"))
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Result<&str, Failure> {
        if let Yaml::Scalar(text) = self {
            Ok(text)
        } else {
            Err(self.wrong("a scalar"))
        }
    }

    /// A scalar as an unsigned number.
    pub fn u64(&self) -> Result<u64, Failure> {
        let text = self.text()?;
        text.parse()
            .map_err(|_| Failure::new(format!("'{}' is not an unsigned 64-bit number", short(text))))
    }

    /// A scalar as a boolean.
    pub fn bool(&self) -> Result<bool, Failure> {
        match self.text()? {
            "true" => Ok(true),
            "false" => Ok(false),
            text => Err(Failure::new(format!("'{}' is neither true nor false", short(text)))),
        }
    }

    /// A `0x…` scalar as bytes of any length.
    pub fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let text = self.text()?;
        hex_bytes(text).ok_or_else(|| Failure::new(format!("'{}' is not 0x-hex of whole bytes", short(text))))
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Yaml::Null)
    }

    /// Counts everything below as read, for values that are compared whole.
    pub fn mark_read(&self) {
        match self {
            Yaml::Null | Yaml::Scalar(_) => {}
            Yaml::List(items) => items.iter().for_each(Yaml::mark_read),
            Yaml::Map(entries) => entries.iter().for_each(|entry| {
                entry.read.set(true);
                entry.value.mark_read();
            }),
        }
    }

    /// The path of the first key that nobody read, such as `messages.2.reason`.
    pub fn unread(&self) -> Option<String> {
        let below = |name: &str, value: &Yaml| value.unread().map(|rest| format!("{name}.{rest}"));
        match self {
            Yaml::Null | Yaml::Scalar(_) => None,
            Yaml::List(items) => items
                .iter()
                .enumerate()
                .find_map(|(i, item)| below(&i.to_string(), item)),
            Yaml::Map(entries) => entries.iter().find_map(|entry| {
                if entry.read.get() {
                    below(&entry.key, &entry.value)
                } else {
                    Some(entry.key.clone())
                }
            }),
        }
    }

    /// A copy that differs in one scalar, for `--tamper`.
    #[must_use]
    pub fn damaged(&self) -> Yaml {
        let mut copy = self.clone();
        copy.damage();
        copy
    }

    fn damage(&mut self) {
        match self {
            Yaml::Null => *self = Yaml::Scalar("0x00".to_owned()),
            Yaml::Scalar(text) => *text = damaged_text(text),
            Yaml::List(items) => match items.last_mut() {
                Some(item) => item.damage(),
                None => items.push(Yaml::Scalar("1".to_owned())),
            },
            Yaml::Map(entries) => match entries.last_mut() {
                Some(entry) => entry.value.damage(),
                None => entries.push(Entry::new("damaged".to_owned(), Yaml::Null)),
            },
        }
    }

    fn keys(&self) -> String {
        let Yaml::Map(entries) = self else { return String::new() };
        entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn wrong(&self, wanted: &str) -> Failure {
        let found = match self {
            Yaml::Null => "null",
            Yaml::Scalar(_) => "a scalar",
            Yaml::List(_) => "a sequence",
            Yaml::Map(_) => "a mapping",
        };
        Failure::new(format!("YAML holds {found} where {wanted} is expected"))
    }
}

/// A sequence or mapping that is still being read; the mapping with the key whose value comes next.
enum Open {
    List(Vec<Yaml>),
    Map(Vec<Entry>, Option<String>),
}

impl Open {
    fn add(&mut self, node: Yaml, line: usize) -> Result<(), Failure> {
        match self {
            Open::List(items) => items.push(node),
            Open::Map(entries, key) => match (key.take(), node) {
                (Some(name), value) => entries.push(Entry::new(name, value)),
                (None, Yaml::Scalar(name)) if entries.iter().any(|entry| entry.key == name) => {
                    return Err(Failure::new(format!("key '{name}' stands twice, again in line {line}")));
                }
                (None, Yaml::Scalar(name)) => *key = Some(name),
                (None, _) => return Err(Failure::new(format!("a key that is no scalar in line {line}"))),
            },
        }
        Ok(())
    }
}

fn scalar(text: String, style: ScalarStyle) -> Yaml {
    let plain = matches!(style, ScalarStyle::Plain);
    if plain && matches!(text.as_str(), "" | "~" | "null") {
        Yaml::Null
    } else {
        Yaml::Scalar(text)
    }
}

fn damaged_text(text: &str) -> String {
    match (text, text.chars().last()) {
        ("true", _) => "false".to_owned(),
        ("false", _) => "true".to_owned(),
        (_, Some(last)) if last.is_ascii_digit() => {
            let other = if last == '0' { '1' } else { '0' };
            format!("{}{other}", &text[..text.len() - 1])
        }
        (_, Some('a'..='f')) if text.starts_with("0x") => format!("{}0", &text[..text.len() - 1]),
        _ => format!("{text}1"),
    }
}

/// The bytes of a `0x…` string of an even number of digits.
pub(crate) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    if digits.len() % 2 != 0 {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16).map(|value| value as u8);
    digits
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

/// Bytes as `0x` and lower-case digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).expect("half a byte is one digit");
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// The head of a long text, for messages.
pub(crate) fn short(text: &str) -> String {
    const SHOWN: usize = 80; // one root with room to spare; blobs would fill the screen
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_keep_their_text_and_null_is_plain_only() {
        let doc = Yaml::parse("a: 115792089237316195423570985008687907853269984665640564039457584007913129639935\nb: '0x0A'\nc: null\nd: 'null'\ne: [1, {f: true}]\n").unwrap();
        assert_eq!(doc.get("a").unwrap().text().unwrap().len(), 78);
        assert_eq!(doc.get("b").unwrap().bytes().unwrap(), [10]);
        assert!(doc.get("c").unwrap().is_null());
        assert_eq!(doc.get("d").unwrap().text().unwrap(), "null");
        assert_eq!(doc.unread().unwrap(), "e");
        let items = doc.get("e").unwrap().list().unwrap();
        assert_eq!(items[0].u64().unwrap(), 1);
        assert_eq!(doc.unread().unwrap(), "e.1.f");
        assert!(items[1].get("f").unwrap().bool().unwrap());
        assert!(doc.unread().is_none());
    }

    #[test]
    fn what_no_vector_has_is_refused() {
        assert!(
            Yaml::parse("a: 1\na: 2\n")
                .unwrap_err()
                .to_string()
                .contains("stands twice")
        );
        assert!(
            Yaml::parse("a: &x 1\nb: *x\n")
                .unwrap_err()
                .to_string()
                .contains("alias")
        );
        assert!(Yaml::parse(&"[".repeat(100)).is_err());
        assert!(Yaml::parse("a: [1\n").is_err());
        assert!(Yaml::parse("").unwrap().is_null());
    }

    #[test]
    fn damage_changes_every_kind_of_node() {
        for text in [
            "true", "false", "0", "17", "'0xff'", "'0x10'", "null", "[]", "[1, 2]", "{}", "{a: 1}", "word",
        ] {
            let doc = Yaml::parse(text).unwrap();
            assert_ne!(format!("{doc:?}"), format!("{:?}", doc.damaged()), "{text}");
        }
    }
}
