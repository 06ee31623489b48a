//! What a devnet's nodes say of their chain, by their Beacon API, and what the system says of the processes.

use crate::http::{Base, Question, Silence, json, number};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::Slot;
use serde_json::{Value, json as value};
use std::collections::VecDeque;
use std::time::Duration;

/// A node of this machine answers at once; one that does not is asked again a slot later.
const WITHIN: Duration = Duration::from_secs(2);

/// Slots that are looked up at once, at most: after a pause the oldest are passed over.
const SLOTS_AT_ONCE: u64 = 32;

/// A slot's block is awaited for so many slots before it counts as missed: it may come late.
const LATE: u64 = 1;

/// A node's word on its chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) head: Slot,
    pub(super) justified: u64,
    pub(super) finalized: u64,
    pub(super) peers: Option<u64>,
}

/// A question to a node that should have an answer.
async fn get(node: &Base, path: &str) -> Option<Value> {
    json(node, Question::get(path, WITHIN)).await.ok()
}

/// The genesis time, once the node answers.
pub(super) async fn genesis(node: &Base) -> Option<u64> {
    number(&get(node, "/eth/v1/beacon/genesis").await?, "/data/genesis_time")
}

/// Where other nodes find this one, with its identity.
pub(super) async fn p2p_address(node: &Base) -> Option<String> {
    let identity = get(node, "/eth/v1/node/identity").await?;
    let addresses = identity.pointer("/data/p2p_addresses")?.as_array()?;
    let tcp = addresses
        .iter()
        .filter_map(Value::as_str)
        .find(|address| address.contains("/tcp/"))?;
    Some(tcp.to_owned())
}

pub(super) async fn seen(node: &Base) -> Option<Seen> {
    let header = get(node, "/eth/v1/beacon/headers/head").await?;
    let checkpoints = get(node, "/eth/v1/beacon/states/head/finality_checkpoints").await?;
    let peers = get(node, "/eth/v1/node/peer_count").await;
    Some(Seen {
        head: number(&header, "/data/header/message/slot")?,
        justified: number(&checkpoints, "/data/current_justified/epoch")?,
        finalized: number(&checkpoints, "/data/finalized/epoch")?,
        peers: peers.as_ref().and_then(|peers| number(peers, "/data/connected")),
    })
}

/// How many of the validators have a vote of that epoch on the chain.
pub(super) async fn participation(node: &Base, epoch: u64, validators: usize) -> Option<usize> {
    let indices: Vec<String> = (0..validators).map(|index| index.to_string()).collect();
    let path = format!("/eth/v1/validator/liveness/{epoch}");
    let answer = json(node, Question::post(&path, &value!(indices), WITHIN)).await.ok()?;
    let live = answer.get("data")?.as_array()?;
    Some(live.iter().filter(|one| one["is_live"] == true).count())
}

/// Whose block a slot has; `None` where it has none.
pub(super) type Proposal = (Slot, Option<usize>);

/// Follows the slots of the chain, each once.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    next: Slot,
}

impl Proposals {
    /// What became of the slots up to the current one, as far as it is certain.
    pub(super) async fn news(&mut self, node: &Base, head: Slot, current: Slot) -> Vec<Proposal> {
        let mut news = Vec::new();
        self.next = self.next.max(current.saturating_sub(SLOTS_AT_ONCE)).max(1);
        while self.next <= current {
            let path = format!("/eth/v1/beacon/headers/{}", self.next);
            let answer = json(node, Question::get(&path, WITHIN)).await;
            let proposer = match &answer {
                Ok(header) => number(header, "/data/header/message/proposer_index").map(|index| index as usize),
                // Empty for certain only when the chain has gone on, or it is too late.
                Err(Silence::Status(404, _)) if head > self.next || self.next + LATE < current => None,
                Err(_) => break,
            };
            news.push((self.next, proposer));
            self.next += 1;
        }
        news
    }
}

/// Memory that a process holds, in bytes.
pub(crate) fn memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// What an observer notices from epoch to epoch: no finality, and its return.
#[derive(Debug, Default)]
pub(super) struct Finality {
    leaking: bool,
}

impl Finality {
    /// A sentence where the leak begins or ends. Spec: altair/beacon-chain.md, `is_in_inactivity_leak`.
    pub(super) fn news(&mut self, slot: Slot, finalized: u64) -> Option<String> {
        let epoch = slot / SLOTS_PER_EPOCH;
        let delay = epoch.saturating_sub(1).saturating_sub(finalized);
        let leaking = delay > consensus::preset::MIN_EPOCHS_TO_INACTIVITY_PENALTY;
        if leaking == self.leaking {
            return None;
        }
        self.leaking = leaking;
        Some(if leaking {
            format!("no epoch has become final since {finalized}: inactivity leak, who is offline loses balance")
        } else {
            format!("recovered: epoch {finalized} is final, the inactivity leak is over")
        })
    }
}

/// Lines that were told lately, the newest last.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<String>);

impl Notes {
    /// A terminal shows fewer than this.
    const KEPT: usize = 100;

    pub(super) fn push(&mut self, line: String) {
        self.0.push_back(line);
        while self.0.len() > Self::KEPT {
            self.0.pop_front();
        }
    }

    /// The newest of them, oldest first.
    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = &String> {
        self.0.iter().skip(self.0.len().saturating_sub(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_told_once_and_its_end_too() {
        let mut finality = Finality::default();
        let at = |epoch| epoch * SLOTS_PER_EPOCH;
        assert_eq!(finality.news(at(3), 1), None);
        assert_eq!(finality.news(at(6), 1), None, "a delay of four epochs is no leak");
        assert!(finality.news(at(7), 1).unwrap().contains("leak"));
        assert_eq!(finality.news(at(8), 1), None);
        assert!(finality.news(at(9), 7).unwrap().contains("recovered"));
        assert_eq!(finality.news(at(9), 7), None);
    }

    #[test]
    fn old_notes_make_room() {
        let mut notes = Notes::default();
        for number in 0..1000 {
            notes.push(number.to_string());
        }
        let last: Vec<&String> = notes.last(2).collect();
        assert_eq!(last, ["998", "999"]);
        assert_eq!(notes.last(5000).count(), Notes::KEPT);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(memory(std::process::id()).unwrap() > 100_000);
        assert_eq!(memory(u32::MAX), None);
    }
}
