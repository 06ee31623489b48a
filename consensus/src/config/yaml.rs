//! The little of YAML that a config needs, with every scalar kept as its text.
//!
//! Readers that guess types turn `0x00000000` into a number and lose digits of integers above 64 bits; here the text
//! decides nothing until the field that it belongs to reads it. Input is bounded in size and nesting, and aliases are
//! refused, so that a small file cannot become a large value.

use super::ConfigError;
use saphyr_parser::{Event, Parser, Span};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Bytes of a config file, at most: twenty times the largest there is.
pub const MAX_CONFIG_SIZE: usize = 256 * 1024;

/// Lists and maps within each other, at most; the standard needs three (the file, the blob schedule, an entry).
const MAX_NESTING: usize = 8;

/// Bytes of a key, at most. YAML itself stops at 1,024, and a key may grow tenfold when it is written with escapes.
const MAX_KEY_SIZE: usize = 96;

/// A YAML value whose scalars are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Yaml {
    /// A scalar's text without its quotes.
    Text(String),
    /// A sequence.
    List(Vec<Yaml>),
    /// A mapping in the order of the file; no key stands twice.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// The same value as the Beacon API writes it: every scalar a string.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Yaml::Text(text) => text.as_str().into(),
            Yaml::List(items) => items.iter().map(Yaml::to_json).collect(),
            Yaml::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect(),
        }
    }

    /// What the value is, for messages; long text is cut.
    pub(super) fn describe(&self) -> String {
        match self {
            Yaml::Text(text) if text.chars().count() > 100 => {
                format!("'{}…'", text.chars().take(100).collect::<String>().escape_debug())
            }
            Yaml::Text(text) => format!("'{}'", text.escape_debug()),
            Yaml::List(items) => format!("a list of {} items", items.len()),
            Yaml::Map(entries) => format!("a mapping with {} keys", entries.len()),
        }
    }
}

/// A list or map whose end was not read yet, and a map's key that still waits for its value.
enum Open {
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>, Option<String>),
}

/// Reads one document whose top is a mapping. Errors name the line.
pub(super) fn parse(text: &str) -> Result<Vec<(String, Yaml)>, ConfigError> {
    if text.len() > MAX_CONFIG_SIZE {
        let size = text.len();
        return Err(ConfigError(format!(
            "the config has {size} bytes and at most {MAX_CONFIG_SIZE} are read: is it the right file?"
        )));
    }
    let mut open: Vec<Open> = Vec::new();
    let mut top = None;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| ConfigError(format!("the config is not YAML: {}", first_line(&error.to_string()))))?;
        let closed = match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(at(span, "a second document begins; a config is one document"));
                }
                continue;
            }
            Event::Alias(_) => return Err(at(span, "an alias (*name) stands there; write the value itself")),
            Event::Scalar(text, ..) => Yaml::Text(text.into_owned()),
            Event::SequenceStart(..) => {
                push(&mut open, Open::List(Vec::new()), span)?;
                continue;
            }
            Event::MappingStart(..) => {
                push(&mut open, Open::Map(Vec::new(), None), span)?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => close(open.pop(), span)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
        };
        match open.last_mut() {
            None => top = Some(closed),
            Some(parent) => put(parent, closed, span)?,
        }
    }
    match top {
        Some(Yaml::Map(entries)) => Ok(entries),
        Some(other) => Err(ConfigError(format!(
            "the config is {} instead of lines of `NAME: value`",
            other.describe()
        ))),
        None => Err(ConfigError(
            "the config is empty instead of lines of `NAME: value`".into(),
        )),
    }
}

fn push(open: &mut Vec<Open>, new: Open, span: Span) -> Result<(), ConfigError> {
    if open.len() == MAX_NESTING {
        return Err(at(
            span,
            &format!("more than {MAX_NESTING} lists and mappings stand within each other"),
        ));
    }
    open.push(new);
    Ok(())
}

fn close(open: Option<Open>, span: Span) -> Result<Yaml, ConfigError> {
    match open {
        Some(Open::List(items)) => Ok(Yaml::List(items)),
        Some(Open::Map(entries, None)) => {
            let mut keys = BTreeSet::new();
            match entries.iter().find(|(key, _)| !keys.insert(key)) {
                Some((key, _)) => Err(ConfigError(format!(
                    "the config has {key} twice; keep the line that is meant"
                ))),
                None => Ok(Yaml::Map(entries)),
            }
        }
        // The parser pairs starts and ends, and keys and values; were it wrong, that is an error and no panic.
        Some(Open::Map(_, Some(_))) | None => Err(at(span, "a list or mapping ends that did not begin")),
    }
}

fn put(parent: &mut Open, value: Yaml, span: Span) -> Result<(), ConfigError> {
    match parent {
        Open::List(items) => items.push(value),
        Open::Map(entries, key) => match (key.take(), value) {
            (Some(name), value) => entries.push((name, value)),
            (None, Yaml::Text(name)) if name.len() <= MAX_KEY_SIZE => *key = Some(name),
            (None, Yaml::Text(_)) => return Err(at(span, &format!("a key is longer than {MAX_KEY_SIZE} bytes"))),
            (None, _) => return Err(at(span, "a list or mapping stands where a key belongs")),
        },
    }
    Ok(())
}

fn at(span: Span, what: &str) -> ConfigError {
    ConfigError(format!("line {} of the config: {what}", span.start.line()))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Writes a mapping as a document that [`parse`] reads back to the same value.
pub(super) fn write(entries: &[(String, Yaml)]) -> String {
    let mut out = String::new();
    write_map(entries, 0, &mut out);
    out
}

fn write_map(entries: &[(String, Yaml)], indent: usize, out: &mut String) {
    for (key, value) in entries {
        out.extend(std::iter::repeat_n(' ', indent));
        write_text(key, out);
        out.push(':');
        write_value(value, indent, out);
    }
}

/// Writes what follows a key or a dash: a scalar on the same line, or a block below.
fn write_value(value: &Yaml, indent: usize, out: &mut String) {
    match value {
        Yaml::Text(text) => {
            out.push(' ');
            write_text(text, out);
            out.push('\n');
        }
        Yaml::List(items) if items.is_empty() => out.push_str(" []\n"),
        Yaml::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Yaml::Map(entries) => {
            out.push('\n');
            write_map(entries, indent + 2, out);
        }
        Yaml::List(items) => {
            out.push('\n');
            for item in items {
                write_item(item, indent + 2, out);
            }
        }
    }
}

/// Writes an item; a mapping begins on the dash's own line, as in the specs' files.
fn write_item(item: &Yaml, indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
    out.push('-');
    match item {
        Yaml::Map(entries) if !entries.is_empty() => {
            let mut block = String::new();
            write_map(entries, indent + 2, &mut block);
            out.push(' ');
            out.push_str(block.trim_start_matches(' '));
        }
        other => write_value(other, indent, out),
    }
}

/// Writes text plain where every reader takes it for what it is, and else in double quotes with escapes.
fn write_text(text: &str, out: &mut String) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    if text.bytes().all(plain) && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric()) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => write!(out, "\\U{:08X}", u32::from(c)).expect("writing to a string cannot fail"),
        }
    }
    out.push('"');
}
