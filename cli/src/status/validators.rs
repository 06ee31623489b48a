//! What the chain says of our validators, in words, and when their next duties are.

use super::node::{Node, figure};
use super::{Advice, Budget, act};
use crate::http::{self, Question, number};
use crate::words;
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::types::BLSPubkey;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Keys that are asked about: as many as a small machine serves; one answer for them is a megabyte.
const KEYS_MAX: usize = 1_000;
/// Validators that are named in a line before "and … more".
const NAMED: usize = 8;
/// A restart of the client with some to spare, in milliseconds: it finishes its slot, starts and asks for its duties.
const RESTART_MS: u64 = 60_000;
/// Slots that the votes of an epoch's end have to get into blocks.
const SETTLED: u64 = 3;

/// A validator as the chain knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Validator {
    pub(super) pubkey: String,
    pub(super) index: Option<u64>,
    pub(super) status: String,
    /// In Gwei.
    pub(super) balance: u64,
    /// The state in words.
    pub(super) words: String,
}

/// The next thing a validator has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Duty {
    pub(super) slot: u64,
    pub(super) validator: u64,
    pub(super) block: bool,
}

/// Our validators.
#[derive(Clone, Debug, Default)]
pub(super) struct Validators {
    all: Vec<Validator>,
    /// The last whole epoch, who voted in it, and who did not.
    last: Option<(u64, usize, Vec<u64>)>,
    next: Option<String>,
    restart: Option<String>,
}

impl Validators {
    pub(super) async fn ask(node: &Node, keys: &[BLSPubkey], budget: Budget) -> Option<Self> {
        let keys: Vec<String> = keys.iter().take(KEYS_MAX).map(ToString::to_string).collect();
        let path = "/eth/v1/beacon/states/head/validators";
        let question = Question::post(path, &json!({ "ids": keys }), budget.next());
        let answer = http::json(&node.base, question).await.ok()?;
        let mut known: BTreeMap<String, Validator> = BTreeMap::new();
        for entry in answer.get("data")?.as_array()? {
            let validator = Validator::of(entry, node)?;
            known.insert(validator.pubkey.clone(), validator);
        }
        let unknown: Vec<&String> = keys.iter().filter(|key| !known.contains_key(*key)).collect();
        let deposits = if unknown.is_empty() {
            None
        } else {
            Deposits::ask(node, budget).await
        };
        let unknown = unknown.into_iter().map(|key| Validator {
            pubkey: key.clone(),
            index: None,
            status: "unknown".into(),
            balance: 0,
            words: deposits
                .as_ref()
                .map_or_else(|| "not known to the chain".into(), |deposits| deposits.words(key, node)),
        });
        let unknown: Vec<Validator> = unknown.collect();
        let mut validators = Validators {
            all: known.into_values().chain(unknown).collect(),
            ..Validators::default()
        };
        if !node.syncing && !node.waits_for_genesis() {
            validators.ask_duties(node, budget).await;
        }
        Some(validators)
    }

    fn active(&self) -> Vec<u64> {
        let active = self.all.iter().filter(|one| one.status.starts_with("active"));
        active.filter_map(|one| one.index).collect()
    }

    async fn ask_duties(&mut self, node: &Node, budget: Budget) {
        let active = self.active();
        if active.is_empty() {
            return;
        }
        let now = words::now_ms();
        let (slot, epoch) = (node.times.slot_at(now), node.epoch_at(now));
        let indices = json!(active.iter().map(ToString::to_string).collect::<Vec<_>>());
        let of = epoch
            .checked_sub(1)
            .filter(|_| slot % node.times.slots_per_epoch >= SETTLED);
        if let Some(of) = of {
            let path = format!("/eth/v1/validator/liveness/{of}");
            let answer = http::json(&node.base, Question::post(&path, &indices, budget.next())).await;
            self.last = answer.ok().and_then(|answer| liveness(&answer, of));
        }
        let mut duties = Vec::new();
        let mut told = false;
        for epoch in [epoch, epoch + 1] {
            let path = format!("/eth/v1/validator/duties/attester/{epoch}");
            let answer = http::json(&node.base, Question::post(&path, &indices, budget.next())).await;
            told |= answer.is_ok();
            duties.extend(answer.iter().flat_map(|answer| read_duties(answer, &active, false)));
            let path = format!("/eth/v1/validator/duties/proposer/{epoch}");
            // Proposers of the next epoch are not known before Fulu.
            let answer = http::json(&node.base, Question::get(&path, budget.next())).await;
            duties.extend(answer.iter().flat_map(|answer| read_duties(answer, &active, true)));
        }
        let path = format!("/eth/v1/validator/duties/sync/{epoch}");
        let answer = http::json(&node.base, Question::post(&path, &indices, budget.next())).await;
        let members = answer
            .ok()
            .and_then(|answer| Some(answer.get("data")?.as_array()?.len()));
        duties.retain(|duty| duty.slot > slot);
        duties.sort_unstable();
        if !told {
            return;
        }
        let end = (epoch + 2) * node.times.slots_per_epoch;
        self.next = duties.first().map(|duty| {
            let what = if duty.block { "block" } else { "attestation" };
            let at = words::time(node.times.start_of(duty.slot));
            format!("{what} of validator {} at {at} (slot {})", duty.validator, duty.slot)
        });
        let slots: Vec<u64> = duties.iter().map(|duty| duty.slot).collect();
        let restart = restart(&slots, slot, end, node.times.slot, |slot| {
            words::time(node.times.start_of(slot))
        });
        self.restart = Some(restart + &of_members(members.unwrap_or(0)));
    }

    /// `listens`: the client has keys that do not sign yet, so that votes are missing on purpose.
    pub(super) fn advice(&self, listens: bool) -> Option<Advice> {
        if let Some(one) = self.all.iter().find(|one| one.status.ends_with("_slashed")) {
            return Some(act(format!(
                "validator {} is slashed: find out which other client had its key before you start anything again",
                one.index.map_or(one.pubkey.clone(), |index| index.to_string())
            )));
        }
        match &self.last {
            Some((epoch, _, away)) if !away.is_empty() && !listens => Some(act(format!(
                "{} no vote of epoch {epoch} on the chain: the client's log has a line for each missed duty; if it did \
                 not run then, wait for the next epoch",
                if away.len() == 1 {
                    format!("validator {} has", away[0])
                } else {
                    format!("{} validators have", away.len())
                }
            ))),
            _ => None,
        }
    }

    /// The validators in words; those of the same state share a line.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut states: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for one in &self.all {
            let short = one.pubkey.get(..10).unwrap_or(&one.pubkey);
            let name = one.index.map_or_else(|| format!("{short}…"), |index| index.to_string());
            states.entry(&one.words).or_default().push(name);
        }
        let mut lines: Vec<String> = states
            .into_iter()
            .map(|(state, names)| {
                let first = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
                match names.len().saturating_sub(NAMED) {
                    0 => format!("validator   {first}: {state}"),
                    more => format!("validators  {first} and {more} more: {state}"),
                }
            })
            .collect();
        if let Some((epoch, live, away)) = &self.last {
            lines.push(format!(
                "last duty   epoch {epoch}: {live} of {} voted",
                live + away.len()
            ));
        }
        lines.extend(self.next.iter().map(|next| format!("next duty   {next}")));
        lines.extend(self.restart.iter().map(|restart| format!("restart     {restart}")));
        lines
    }

    pub(super) fn json(&self) -> Value {
        let all = self.all.iter().map(|one| {
            json!({
                "pubkey": one.pubkey, "index": one.index, "status": one.status, "balance": one.balance, "words": one.words,
            })
        });
        json!({
            "all": all.collect::<Vec<_>>(),
            "last_epoch": self.last.as_ref().map(|(epoch, live, away)| json!({"epoch": epoch, "voted": live, "missed": away})),
            "next_duty": self.next,
            "restart": self.restart,
        })
    }
}

impl Validator {
    fn of(entry: &Value, node: &Node) -> Option<Self> {
        let epoch =
            |name: &str| number(entry, &format!("/validator/{name}")).filter(|epoch| *epoch != FAR_FUTURE_EPOCH);
        let date = |epoch: u64| words::date(node.times.start_of_epoch(epoch));
        let status = super::node::plain(entry.get("status")?.as_str()?);
        let at = |name: &str| epoch(name).map(date);
        let by = |name: &str, with: &str, without: &str| {
            at(name).map_or_else(|| without.to_owned(), |date| format!("{with} {date}"))
        };
        let pays = entry
            .pointer("/validator/withdrawal_credentials")
            .and_then(Value::as_str);
        let pays = pays.is_some_and(|credentials| !credentials.starts_with("0x00"));
        let words = match status.as_str() {
            "pending_initialized" => "deposited; activation begins when that is final".into(),
            "pending_queued" => by("activation_epoch", "active from", "deposited, waits for activation"),
            "active_ongoing" => "active".into(),
            "active_exiting" => by("exit_epoch", "keeps working, exiting until", "exiting"),
            "active_slashed" => by("exit_epoch", "SLASHED, exiting until", "SLASHED, exiting"),
            "exited_unslashed" => by("withdrawable_epoch", "exited; its balance is free from", "exited"),
            "exited_slashed" => by(
                "withdrawable_epoch",
                "SLASHED and exited; what is left is free from",
                "SLASHED",
            ),
            "withdrawal_possible" if pays => "exited; its balance is paid out by itself within days".into(),
            "withdrawal_possible" => "exited; set a withdrawal address to get its balance".into(),
            "withdrawal_done" => "exited and paid out; its key is no longer needed".into(),
            other => other.to_owned(),
        };
        Some(Validator {
            pubkey: super::node::plain(entry.pointer("/validator/pubkey")?.as_str()?),
            index: Some(number(entry, "/index")?),
            balance: number(entry, "/balance").unwrap_or(0),
            status,
            words,
        })
    }
}

/// The queue of deposits. Spec: electra/beacon-chain.md, `process_pending_deposits`.
struct Deposits {
    /// Keys with the Gwei that are in the queue before and with them.
    waiting: BTreeMap<String, u64>,
}

impl Deposits {
    async fn ask(node: &Node, budget: Budget) -> Option<Self> {
        let path = "/eth/v1/beacon/states/head/pending_deposits";
        let answer = http::json(&node.base, Question::get(path, budget.next())).await.ok()?;
        let (mut sum, mut waiting) = (0_u64, BTreeMap::new());
        for deposit in answer.get("data")?.as_array()? {
            sum = sum.saturating_add(number(deposit, "/amount")?);
            waiting
                .entry(deposit.get("pubkey")?.as_str()?.to_owned())
                .or_insert(sum);
        }
        Some(Deposits { waiting })
    }

    /// About when a deposit's turn comes: the network takes in so much in an epoch, at most.
    fn words(&self, key: &str, node: &Node) -> String {
        let Some(ahead) = self.waiting.get(key) else {
            return "no deposit seen (one shows some minutes after it was paid)".into();
        };
        let churn = figure(&node.spec, "MAX_PER_EPOCH_ACTIVATION_EXIT_CHURN_LIMIT").filter(|churn| *churn > 0);
        let Some(churn) = churn else {
            return "deposit in queue".into();
        };
        let epoch = node.epoch_at(words::now_ms()).saturating_add(ahead.div_ceil(churn));
        format!(
            "deposit in queue until about {}, or later",
            words::date(node.times.start_of_epoch(epoch))
        )
    }
}

fn liveness(answer: &Value, epoch: u64) -> Option<(u64, usize, Vec<u64>)> {
    let (mut live, mut away) = (0, Vec::new());
    for one in answer.get("data")?.as_array()? {
        if one["is_live"] == true {
            live += 1;
        } else {
            away.push(number(one, "/index")?);
        }
    }
    Some((epoch, live, away))
}

fn read_duties(answer: &Value, ours: &[u64], block: bool) -> Vec<Duty> {
    let entries = answer.get("data").and_then(Value::as_array);
    let duties = entries.into_iter().flatten().filter_map(|entry| {
        Some(Duty {
            slot: number(entry, "/slot")?,
            validator: number(entry, "/validator_index")?,
            block,
        })
    });
    duties.filter(|duty| ours.contains(&duty.validator)).collect()
}

/// When the client may be restarted without missing anything: the first gap between duties that is long enough. `slots`
/// are those of the duties after the current slot, in order; `end` is where they are no longer known.
fn restart(slots: &[u64], current: u64, end: u64, slot_ms: u64, time: impl Fn(u64) -> String) -> String {
    let long = |from: u64, until: u64| until.saturating_sub(from).saturating_mul(slot_ms) >= RESTART_MS;
    let mut from = current + 1;
    for until in slots.iter().copied().chain([end]) {
        if long(from, until) && from == current + 1 {
            return format!("safe until {}", time(until));
        }
        if long(from, until) {
            return format!("not now; safe from {} until {}", time(from), time(until));
        }
        // An attestation goes out within its slot, and the next one is free.
        from = until + 1;
    }
    "there is no gap of a minute between duties: it costs an attestation or two".into()
}

/// Who is in a sync committee signs in every slot: for such a one there is no gap.
fn of_members(members: usize) -> String {
    match members {
        0 => String::new(),
        1 => "; 1 validator is in the sync committee, and misses a message in each slot meanwhile".into(),
        _ => format!("; {members} validators are in the sync committee, and miss a message in each slot meanwhile"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_finds_the_first_gap() {
        let told = |slots: &[u64]| restart(slots, 10, 64, 12_000, |slot| slot.to_string());
        assert_eq!(told(&[16, 40]), "safe until 16");
        assert_eq!(told(&[15, 40]), "not now; safe from 16 until 40");
        assert_eq!(told(&[12, 13, 14]), "not now; safe from 15 until 64");
        assert_eq!(told(&[]), "safe until 64");
        let every: Vec<u64> = (11..64).collect();
        assert!(told(&every).contains("no gap"));
        assert_eq!(of_members(0), "");
        assert!(of_members(1).contains("1 validator is in the sync committee"));
    }

    #[test]
    fn who_left_by_itself_was_not_slashed() {
        let told = |status: &str| {
            let validator = Validator {
                pubkey: "0x00".into(),
                index: Some(2),
                status: status.into(),
                balance: 0,
                words: String::new(),
            };
            let validators = Validators {
                all: vec![validator],
                ..Validators::default()
            };
            validators.advice(true).map(|advice| advice.text)
        };
        assert_eq!(told("exited_unslashed"), None);
        for status in ["active_slashed", "exited_slashed"] {
            let text = told(status).unwrap();
            assert!(text.contains("validator 2 is slashed"), "{text}");
        }
    }

    #[test]
    fn who_is_away_is_told() {
        let answer = json!({"data": [{"index": "4", "is_live": true}, {"index": "9", "is_live": false}]});
        let validators = Validators {
            last: liveness(&answer, 7),
            ..Validators::default()
        };
        assert_eq!(validators.advice(true), None, "its client listens");
        let advice = validators.advice(false).unwrap();
        assert!(
            advice.text.contains("validator 9 has no vote of epoch 7"),
            "{}",
            advice.text
        );
        assert_eq!(validators.lines(), ["last duty   epoch 7: 1 of 2 voted"]);
    }
}
