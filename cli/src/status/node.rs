//! What a beacon node says of itself, by the standard Beacon API.

use super::{Advice, Budget, act, wait};
use crate::http::{self, Base, Question, number};
use crate::words;
use serde_json::{Value, json};
use std::time::Duration;

/// A syncing node is asked twice, so far apart, to tell how fast it is.
const BETWEEN: Duration = Duration::from_secs(2);

/// A head that is so many slots old is no reason to worry: blocks are missed.
const BEHIND: u64 = 4;

/// A node that answers.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) base: Base,
    pub(super) version: String,
    pub(super) head: u64,
    pub(super) distance: u64,
    pub(super) syncing: bool,
    pub(super) optimistic: bool,
    pub(super) engine_offline: bool,
    /// Seconds until it is there, as fast as it is now.
    pub(super) left: Option<u64>,
    pub(super) justified: Option<u64>,
    pub(super) finalized: Option<u64>,
    /// Connected peers: who called us, and whom we called.
    pub(super) peers: Option<(usize, usize)>,
    /// What the node wants its operator to know.
    pub(super) notices: Vec<String>,
    pub(super) times: Times,
    pub(super) spec: Value,
}

/// The network's time: all in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) genesis: u64,
    pub(super) slot: u64,
    pub(super) slots_per_epoch: u64,
}

impl Times {
    /// The slot at a moment; 0 before genesis.
    pub(super) fn slot_at(&self, now: u64) -> u64 {
        now.saturating_sub(self.genesis) / self.slot.max(1)
    }

    /// When a slot begins, in seconds.
    pub(super) fn start_of(&self, slot: u64) -> u64 {
        self.genesis.saturating_add(slot.saturating_mul(self.slot)) / 1000
    }

    /// When an epoch begins, in seconds.
    pub(super) fn start_of_epoch(&self, epoch: u64) -> u64 {
        self.start_of(epoch.saturating_mul(self.slots_per_epoch))
    }
}

/// The figure of a config; answers quote it.
pub(super) fn figure(spec: &Value, name: &str) -> Option<u64> {
    number(spec, &format!("/{name}"))
}

fn times(genesis: &Value, spec: &Value) -> Option<Times> {
    let seconds = || figure(spec, "SECONDS_PER_SLOT").map(|seconds| seconds.saturating_mul(1000));
    let times = Times {
        genesis: number(genesis, "/data/genesis_time")?.saturating_mul(1000),
        slot: figure(spec, "SLOT_DURATION_MS").or_else(seconds)?,
        slots_per_epoch: figure(spec, "SLOTS_PER_EPOCH")?,
    };
    (times.slot > 0 && times.slots_per_epoch > 0).then_some(times)
}

impl Node {
    pub(super) async fn ask(base: &Base, budget: Budget) -> Result<Self, String> {
        let get = async |path: &str| http::json(base, Question::get(path, budget.next())).await;
        let needed = async |path: &str| get(path).await.map_err(|why| format!("{path}: {why}"));
        let syncing = needed("/eth/v1/node/syncing").await?;
        let genesis = needed("/eth/v1/beacon/genesis").await?;
        let mut spec = needed("/eth/v1/config/spec").await?;
        let spec = spec.get_mut("data").map(Value::take).unwrap_or_default();
        let times = times(&genesis, &spec).ok_or("it does not tell the network's times")?;
        let version = get("/eth/v1/node/version").await.ok();
        let checkpoints = get("/eth/v1/beacon/states/head/finality_checkpoints").await.ok();
        let peers = get("/eth/v1/node/peers?state=connected").await.ok();
        // Only Wren's nodes have it.
        let notices = get("/wren/v1/node/notices").await.ok();
        let flag = |name: &str| syncing["data"][name].as_bool().unwrap_or(false);
        let of = |place: &str| checkpoints.as_ref().and_then(|answer| number(answer, place));
        let mut node = Node {
            base: base.clone(),
            version: version
                .and_then(|answer| Some(plain(answer["data"]["version"].as_str()?)))
                .unwrap_or_default(),
            head: number(&syncing, "/data/head_slot").ok_or("it does not tell its head")?,
            distance: number(&syncing, "/data/sync_distance").unwrap_or(0),
            syncing: flag("is_syncing"),
            optimistic: flag("is_optimistic"),
            engine_offline: flag("el_offline"),
            left: None,
            justified: of("/data/current_justified/epoch"),
            finalized: of("/data/finalized/epoch"),
            peers: peers.as_ref().and_then(count_peers),
            notices: notices.as_ref().map(texts).unwrap_or_default(),
            times,
            spec,
        };
        if node.syncing && node.distance > BEHIND {
            tokio::time::sleep(BETWEEN).await;
            let later = get("/eth/v1/node/syncing").await.ok();
            let distance = later.as_ref().and_then(|later| number(later, "/data/sync_distance"));
            node.left = distance.and_then(|distance| time_left(node.distance, distance, BETWEEN));
        }
        Ok(node)
    }

    /// The epoch at a moment.
    pub(super) fn epoch_at(&self, now: u64) -> u64 {
        self.times.slot_at(now) / self.times.slots_per_epoch
    }

    /// Whether genesis is still to come.
    pub(super) fn waits_for_genesis(&self) -> bool {
        self.times.genesis > words::now_ms()
    }

    pub(super) fn advice(&self) -> Option<Advice> {
        if self.engine_offline {
            return Some(act(
                "the execution client does not answer the node: start it, and check --execution-endpoint and \
                 --execution-jwt; `wren doctor` with these options, or with --config-file, says which of them is wrong",
            ));
        }
        if self.waits_for_genesis() {
            let start = words::date(self.times.start_of(0));
            return Some(wait(format!("the chain begins at {start}")));
        }
        let alone = self.peers == Some((0, 0));
        if self.syncing && self.distance > BEHIND && alone {
            return Some(act(
                "the node has no peers: is the internet there, and does a firewall let it out?",
            ));
        }
        if self.syncing && self.distance > BEHIND {
            return Some(wait("the node is syncing; validators do nothing until it is done"));
        }
        if self.distance > BEHIND && !self.syncing {
            return Some(act(format!(
                "the head is {} slots old: either nobody makes blocks, or this node does not take them; the end of its log \
                 says why (`journalctl -u wren-node -n 50` with the package)",
                self.distance
            )));
        }
        if self.optimistic {
            return Some(wait(
                "the execution client is still syncing; validators do nothing until it is done",
            ));
        }
        None
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let state = match self.left {
            _ if self.waits_for_genesis() => "waits for genesis".into(),
            Some(left) => format!(
                "syncing, {} slots behind, for about {}",
                self.distance,
                words::duration(left)
            ),
            None if self.syncing => format!("syncing, {} slots behind", self.distance),
            None => format!("synced, head at slot {}", self.head),
        };
        let epoch = |epoch: Option<u64>| epoch.map_or("?".into(), |epoch| epoch.to_string());
        let (justified, finalized) = (epoch(self.justified), epoch(self.finalized));
        let engine = match (self.engine_offline, self.optimistic) {
            (true, _) => "does not answer",
            (false, true) => "answers, still syncing",
            (false, false) => "answers",
        };
        let peers = self.peers.map_or("not known".into(), |(inbound, outbound)| {
            format!("{inbound} in, {outbound} out")
        });
        let mut lines = vec![
            format!("node        {state}    {}", self.version),
            format!(
                "chain       epoch {}, justified {justified}, finalized {finalized}",
                self.epoch_at(words::now_ms())
            ),
            format!("peers       {peers}"),
            format!("engine      {engine}"),
        ];
        lines.extend(self.notices.iter().map(|notice| format!("notice      {notice}")));
        lines
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "address": self.base.to_string(),
            "version": self.version,
            "syncing": self.syncing,
            "optimistic": self.optimistic,
            "engine_offline": self.engine_offline,
            "head_slot": self.head,
            "sync_distance": self.distance,
            "seconds_left": self.left,
            "epoch": self.epoch_at(words::now_ms()),
            "justified_epoch": self.justified,
            "finalized_epoch": self.finalized,
            "peers_in": self.peers.map(|(inbound, _)| inbound),
            "peers_out": self.peers.map(|(_, outbound)| outbound),
            "notices": self.notices,
        })
    }
}

/// Text of others without what moves a terminal's cursor.
pub(super) fn plain(text: &str) -> String {
    const LETTERS: usize = 120;
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(LETTERS)
        .collect()
}

fn count_peers(answer: &Value) -> Option<(usize, usize)> {
    let peers = answer.get("data")?.as_array()?;
    let connected = peers.iter().filter(|peer| peer["state"] == "connected");
    let (inbound, outbound): (Vec<&Value>, Vec<&Value>) = connected.partition(|peer| peer["direction"] == "inbound");
    Some((inbound.len(), outbound.len()))
}

/// The sentences of an answer.
fn texts(answer: &Value) -> Vec<String> {
    /// As many as a node may have.
    const NOTICES: usize = 8;
    /// A sentence with addresses in it.
    const LETTERS: usize = 600;
    let all = answer["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let shown = all.map(|text| {
        text.chars()
            .filter(|letter| !letter.is_control())
            .take(LETTERS)
            .collect()
    });
    shown.take(NOTICES).collect()
}

/// Seconds until a distance is gone that has shrunk so in the time between; `None` while it does not.
fn time_left(before: u64, after: u64, between: Duration) -> Option<u64> {
    let gained = before.checked_sub(after).filter(|gained| *gained > 0)?;
    Some(after.saturating_mul(between.as_secs().max(1)) / gained)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_sync_is_told_by_its_speed() {
        assert_eq!(time_left(1000, 900, BETWEEN), Some(18));
        assert_eq!(time_left(1000, 1000, BETWEEN), None);
        assert_eq!(time_left(1000, 1001, BETWEEN), None);
    }

    #[test]
    fn times_are_those_of_the_network() {
        let times = times(
            &json!({"data": {"genesis_time": "100"}}),
            &json!({"SECONDS_PER_SLOT": "12", "SLOTS_PER_EPOCH": "32"}),
        );
        let times = times.unwrap();
        assert_eq!((times.slot_at(99_000), times.slot_at(124_000)), (0, 2));
        assert_eq!(times.start_of_epoch(2), 100 + 64 * 12);
        assert_eq!(times.start_of_epoch(u64::MAX), u64::MAX / 1000);
    }
}
