//! The event stream of a node: heads and blocks as they come.
//!
//! Spec: beacon-APIs, `eventstream`; the line format is that of the HTML standard, "Server-sent events".

use super::error::{CallError, Kind};
use super::node::Node;
use super::shapes::{member, parse, read_member};
use consensus::types::{Root, Slot};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use std::time::Duration;

/// Head events are some 600 bytes; a line beyond this is none of ours.
const MAX_LINE: usize = 64 * 1024;
/// Topics that every node knows, and those of nodes that have left the first head event behind.
const TOPICS: [&str; 2] = ["head,chain_reorg,block", "head_v2,chain_reorg,block"];

/// What a node tells unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The node has a new head.
    Head(HeadEvent),
    /// The node has taken a block into its chain, head or not.
    Block {
        /// The block's slot.
        slot: Slot,
        /// Its root.
        block: Root,
    },
    /// The node has moved to another branch.
    Reorg {
        /// The slot of the new head.
        slot: Slot,
        /// How many slots back the branches part.
        depth: u64,
    },
}

/// A new head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadEvent {
    /// The head's slot.
    pub slot: Slot,
    /// Its root.
    pub block: Root,
    /// What duties of the head's epoch hang on.
    pub current_epoch_dependent_root: Root,
    /// What duties of the epoch after it hang on.
    pub next_epoch_dependent_root: Root,
    /// Whether no execution client has checked it.
    pub execution_optimistic: bool,
}

/// Cuts a stream of bytes into events: bounded, and forgiving of what it does not know.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    /// The rest of a line that is too long is passed over.
    overlong: bool,
    name: String,
    data: String,
}

impl Lines {
    /// Takes one byte; an event when its last line is complete.
    fn take(&mut self, byte: u8) -> Option<Result<Event, CallError>> {
        if byte != b'\n' {
            if self.line.len() < MAX_LINE {
                self.line.push(byte);
            } else {
                self.overlong = true;
            }
            return None;
        }
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if std::mem::take(&mut self.overlong) {
            return None;
        }
        let line = line.strip_suffix('\r').unwrap_or(&line);
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            return if data.is_empty() {
                None
            } else {
                read_event(&name, &data).transpose()
            };
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = value.to_string(),
            "data" if self.data.len() + value.len() <= MAX_LINE => self.data.push_str(value),
            // Comments, ids and whatever else there may be.
            _ => {}
        }
        None
    }
}

/// An event by its name; `None` for those that were not asked for.
fn read_event(name: &str, data: &str) -> Result<Option<Event>, CallError> {
    let value = parse(data.as_bytes())?;
    let event = match name {
        "head" => Event::Head(read_head(
            &value,
            "previous_duty_dependent_root",
            "current_duty_dependent_root",
        )?),
        "head_v2" => Event::Head(read_head(
            member(&value, "data")?,
            "current_epoch_dependent_root",
            "next_epoch_dependent_root",
        )?),
        "block" => Event::Block {
            slot: read_member(&value, "slot")?,
            block: read_member(&value, "block")?,
        },
        "chain_reorg" => Event::Reorg {
            slot: read_member(&value, "slot")?,
            depth: read_member(&value, "depth")?,
        },
        _ => return Ok(None),
    };
    Ok(Some(event))
}

fn read_head(value: &Value, current: &str, next: &str) -> Result<HeadEvent, CallError> {
    Ok(HeadEvent {
        slot: read_member(value, "slot")?,
        block: read_member(value, "block")?,
        current_epoch_dependent_root: read_member(value, current)?,
        next_epoch_dependent_root: read_member(value, next)?,
        execution_optimistic: value.get("execution_optimistic").is_some_and(|flag| flag == true),
    })
}

/// An open event stream.
pub struct Events {
    body: Incoming,
    lines: Lines,
    bytes: hyper::body::Bytes,
    at: usize,
}

impl Events {
    /// Opens a node's stream.
    pub async fn open(node: &Node) -> Result<Self, CallError> {
        let mut result = Err(CallError::bad_answer("no topics"));
        for topics in TOPICS {
            result = node.http.open_stream(format!("/eth/v1/events?topics={topics}")).await;
            if !matches!(&result, Err(error) if matches!(error.kind, Kind::Status(400))) {
                break;
            }
        }
        Ok(Events {
            body: result?,
            lines: Lines::default(),
            bytes: hyper::body::Bytes::new(),
            at: 0,
        })
    }

    /// The next event; an error when the stream ends, or when nothing at all came for `silence`. Safe to be dropped and
    /// called again.
    pub async fn next(&mut self, silence: Duration) -> Result<Event, CallError> {
        loop {
            while let Some(byte) = self.bytes.get(self.at) {
                self.at += 1;
                if let Some(event) = self.lines.take(*byte) {
                    return event;
                }
            }
            let frame = tokio::time::timeout(silence, self.body.frame()).await.map_err(|_| {
                let text = format!("nothing came on the event stream for {} s", silence.as_secs());
                CallError::new(Kind::Timeout, text)
            })?;
            let broken = |text: String| CallError::new(Kind::Unreachable, text);
            let frame = frame.ok_or_else(|| broken("the event stream was closed".into()))?;
            let frame = frame.map_err(|error| broken(format!("the event stream broke: {error}")))?;
            if let Ok(data) = frame.into_data() {
                (self.bytes, self.at) = (data, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Result<Event, CallError>> {
        let mut lines = Lines::default();
        text.bytes().filter_map(|byte| lines.take(byte)).collect()
    }

    const ROOT: &str = "0x9a2fefd2fdb57f74993c7780ea5b9030d2897b615b89f808011ca5aebed54eaf";
    const OTHER: &str = "0x5e0043f107cb57913498fbf2f99ff55e730bf1e151f02f221e977c91a90a0e91";

    #[test]
    fn both_head_events_say_the_same() {
        let first = format!(
            "event: head\ndata: {{\"slot\":\"10\", \"block\":\"{ROOT}\", \"state\":\"{ROOT}\", \
             \"epoch_transition\":false, \"previous_duty_dependent_root\":\"{ROOT}\", \
             \"current_duty_dependent_root\":\"{OTHER}\", \"execution_optimistic\": false}}\n\n"
        );
        let second = format!(
            ": keep alive\r\n\r\nevent:head_v2\r\nid: 7\r\ndata:{{\"version\":\"gloas\",\"data\":{{\"slot\":\"10\",\
             \"block\":\"{ROOT}\",\"current_epoch_dependent_root\":\"{ROOT}\",\
             \"next_epoch_dependent_root\":\"{OTHER}\",\"execution_optimistic\":false}}}}\r\n\r\n"
        );
        let expected = Event::Head(HeadEvent {
            slot: 10,
            block: ROOT.parse().unwrap(),
            current_epoch_dependent_root: ROOT.parse().unwrap(),
            next_epoch_dependent_root: OTHER.parse().unwrap(),
            execution_optimistic: false,
        });
        assert_eq!(events(&format!("{first}{second}")), [Ok(expected), Ok(expected)]);
    }

    #[test]
    fn what_is_odd_on_the_stream_does_not_end_it() {
        let long = "x".repeat(3 * MAX_LINE);
        let block = format!("event: block\ndata: {{\"slot\":\"1\",\"block\":\"{ROOT}\"}}\n\n");
        let text = format!("data: {long}\n\nevent: block\ndata: {{\n\nevent: other\ndata: {{}}\n\n{long}\n{block}");
        let read = events(&text);
        assert_eq!(read.len(), 2);
        assert!(read[0].is_err());
        assert!(matches!(read[1], Ok(Event::Block { slot: 1, .. })));
    }
}
