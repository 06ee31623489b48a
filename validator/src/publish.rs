//! The common end of duties that are done for many validators at once: what was signed goes out, and what happened to
//! each is told.

use crate::beacon::{Ask, CallError, Kind as ErrorKind, Need, Node, Unanswered};
use crate::context::Context;
use crate::metrics::Kind;
use crate::signer::Refused;
use consensus::types::{BLSSignature, Slot, ValidatorIndex};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long the steps of a duty took, to say what made it late.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    steps: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Notes a step, in words that follow "because": "the beacon node took its time for the attestation data".
    pub fn took(&mut self, what: &'static str, took: Duration) {
        self.steps.push((what, took));
    }

    /// The longest step in words.
    pub fn longest(&self) -> String {
        match self.steps.iter().max_by_key(|(_, took)| *took) {
            Some((what, took)) => format!("{what} took {:.1} s", took.as_secs_f32()),
            None => "no step was measured".into(),
        }
    }
}

/// The signatures that were given, each with what it is for; those that were refused are told as missed.
pub fn keep_signed<T>(
    ctx: &Context,
    kind: Kind,
    slot: Slot,
    duties: impl IntoIterator<Item = (ValidatorIndex, T)>,
    signed: Vec<Result<BLSSignature, Refused>>,
) -> Vec<(ValidatorIndex, T, BLSSignature)> {
    let mut kept = Vec::with_capacity(signed.len());
    let mut refused: BTreeMap<String, Vec<ValidatorIndex>> = BTreeMap::new();
    for ((index, duty), result) in duties.into_iter().zip(signed) {
        match result {
            Ok(signature) => kept.push((index, duty, signature)),
            Err(why) => refused.entry(why.to_string()).or_default().push(index),
        }
    }
    for (why, who) in refused {
        ctx.report.missed(kind, slot, &who, why);
    }
    kept
}

/// What is published, for whom, and by when.
pub struct Publication {
    /// What it is.
    pub kind: Kind,
    /// Of which slot.
    pub slot: Slot,
    /// Whose, in the order of the list that is sent.
    pub who: Vec<ValidatorIndex>,
    /// Until when it is of use, in milliseconds since 1970.
    pub until_ms: u64,
    /// From when on it is late, in milliseconds since 1970.
    pub late_ms: u64,
    /// The node to send it to first.
    pub prefer: Option<usize>,
    /// What was done before.
    pub steps: Steps,
}

/// Sends a list and tells what became of each item.
pub async fn publish<F>(ctx: &Context, publication: Publication, call: impl Fn(Arc<Node>, Duration) -> F)
where
    F: Future<Output = Result<(), CallError>>,
{
    let Publication {
        kind,
        slot,
        who,
        until_ms,
        late_ms,
        prefer,
        mut steps,
    } = publication;
    if who.is_empty() {
        return;
    }
    let ask = Ask {
        prefer,
        ..ctx.ask("confirmation of what was published", Need::Chain, slot, until_ms)
    };
    let result = ctx.publish(ask, until_ms, call).await;
    let (failed, why) = match &result {
        Ok(answer) => {
            steps.took("publishing", answer.took);
            (Vec::new(), String::new())
        }
        Err(error) => (failed_of(error, who.len()), error.to_string()),
    };
    let missed: Vec<ValidatorIndex> = failed.iter().filter_map(|place| who.get(*place).copied()).collect();
    ctx.report.missed(kind, slot, &missed, why);
    let done = who.len() - missed.len();
    if done == 0 {
        return;
    }
    if ctx.clock.now_ms() > late_ms {
        let into = ctx.clock.into_slot_ms(slot) as f64 / 1000.0;
        let why = format!("sent {into:.1} s into the slot; {}", steps.longest());
        ctx.report.late(kind, slot, done, why);
    } else {
        ctx.report.done(kind, slot, done);
    }
    if kind == Kind::Attestation {
        let into = ctx.clock.into_slot_ms(slot).max(0).unsigned_abs();
        ctx.report.metrics.attestation_sent.observe(into);
    }
}

/// The places of those of `count` items that no node has taken. A node that refuses some and names them has taken the
/// rest.
fn failed_of(error: &Unanswered, count: usize) -> Vec<usize> {
    let named = error.errors.iter().filter(|error| {
        matches!(error.kind, ErrorKind::Status(400)) && !error.failed.is_empty() && error.failed.len() < count
    });
    let fewest = named.min_by_key(|error| error.failed.len());
    match fewest {
        Some(error) => {
            let mut failed: Vec<usize> = error.failed.iter().copied().filter(|place| *place < count).collect();
            failed.sort_unstable();
            failed.dedup();
            failed
        }
        None => (0..count).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind, failed: &[usize]) -> CallError {
        CallError {
            failed: failed.to_vec(),
            ..CallError::new(kind, "")
        }
    }

    #[test]
    fn what_a_node_does_not_name_it_has_taken() {
        let unanswered = |errors| Unanswered { what: "", errors };
        let bad = ErrorKind::Status(400);
        assert_eq!(failed_of(&unanswered(vec![error(bad, &[2, 2, 99])]), 5), [2]);
        assert_eq!(failed_of(&unanswered(vec![error(bad, &[])]), 2), [0, 1]);
        assert_eq!(failed_of(&unanswered(vec![error(ErrorKind::Timeout, &[1])]), 2), [0, 1]);
        let two = vec![error(bad, &[0, 1, 2]), error(bad, &[1])];
        assert_eq!(failed_of(&unanswered(two), 4), [1]);
        assert_eq!(failed_of(&unanswered(vec![error(bad, &[0, 1, 2])]), 3), [0, 1, 2]);
    }

    #[test]
    fn the_longest_step_is_the_reason() {
        let mut steps = Steps::default();
        steps.took("signing", Duration::from_millis(30));
        steps.took("the attestation data", Duration::from_millis(4_250));
        assert_eq!(steps.longest(), "the attestation data took 4.2 s");
    }
}
