//! What the validator client says of itself, by its metrics.

use super::{Advice, Budget, act, wait};
use crate::http::{self, Base, Question};
use crate::words;
use serde_json::{Value, json};

/// A client that answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Client {
    keys_enabled: u64,
    keys_signing: u64,
    active: u64,
    nodes_ready: u64,
    clock_wrong: bool,
    /// Name, done, late, missed; since the client's start.
    duties: Vec<(&'static str, u64, u64, u64)>,
}

const KINDS: [(&str, &str); 5] = [
    ("attestation", "attestations"),
    ("aggregate", "aggregates"),
    ("sync_message", "sync committee messages"),
    ("contribution", "sync committee contributions"),
    ("block", "blocks"),
];

impl Client {
    pub(super) async fn ask(base: &Base, budget: Budget) -> Result<Self, String> {
        let text = http::text(base, Question::get("/metrics", budget.next())).await;
        Self::parse(&text.map_err(|why| why.to_string())?)
            .ok_or_else(|| "its answer is not the client's metrics".into())
    }

    fn parse(text: &str) -> Option<Self> {
        let figure = |name: &str| -> Option<u64> {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            line.trim().parse().ok()
        };
        let duties = KINDS.into_iter().map(|(kind, words)| {
            let of = |outcome: &str| {
                let name = format!("wren_validator_duties_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}");
                figure(&name).unwrap_or(0)
            };
            (words, of("done"), of("late"), of("missed"))
        });
        Some(Client {
            keys_enabled: figure("wren_validator_keys_enabled")?,
            keys_signing: figure("wren_validator_keys_signing")?,
            active: figure("wren_validator_validators_active")?,
            nodes_ready: figure("wren_validator_beacon_nodes_ready")?,
            clock_wrong: figure("wren_validator_clock_wrong")? > 0,
            duties: duties.filter(|(_, done, _, missed)| done + missed > 0).collect(),
        })
    }

    /// Whether some of the keys do not sign yet, since the client listens first whether another one has them.
    pub(super) fn listens(&self) -> bool {
        self.keys_signing < self.keys_enabled && self.active > 0
    }

    pub(super) fn advice(&self) -> Option<Advice> {
        if self.clock_wrong {
            return Some(act(
                "the clock of this machine is wrong and nothing is signed: set it, and let NTP keep it",
            ));
        }
        if self.keys_enabled == 0 {
            return Some(act(
                "no key may sign: `wren keys list` says why and `wren keys import` brings keys, each with the client's \
                 --datadir and as the user whom that belongs to",
            ));
        }
        if self.nodes_ready == 0 {
            return Some(wait(
                "no beacon node of the client is ready; its log says what each lacks",
            ));
        }
        if self.listens() {
            let waiting = self.keys_enabled - self.keys_signing;
            return Some(wait(format!(
                "{} not sign yet: for two epochs the client listens whether another one has them",
                if waiting == 1 {
                    "1 key does".to_owned()
                } else {
                    format!("{waiting} keys do")
                }
            )));
        }
        None
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let keys = words::count(self.keys_enabled as usize, "key");
        let mut lines = vec![format!(
            "client      {keys}, {} signing; {} active; {} ready",
            self.keys_signing,
            self.active,
            words::count(self.nodes_ready as usize, "node")
        )];
        for (name, done, late, missed) in &self.duties {
            lines.push(format!(
                "            {done} {name} since its start, {late} late, {missed} missed"
            ));
        }
        lines
    }

    pub(super) fn json(&self) -> Value {
        let duties = self
            .duties
            .iter()
            .map(|(name, done, late, missed)| json!({"kind": name, "done": done, "late": late, "missed": missed}));
        json!({
            "keys_enabled": self.keys_enabled,
            "keys_signing": self.keys_signing,
            "validators_active": self.active,
            "nodes_ready": self.nodes_ready,
            "clock_wrong": self.clock_wrong,
            "duties": duties.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;
    use validator::metrics::{Kind, Metrics};

    #[test]
    fn the_clients_own_metrics_are_understood() {
        let metrics = Metrics::default();
        metrics.keys_enabled.store(3, Ordering::Relaxed);
        metrics.keys_signing.store(2, Ordering::Relaxed);
        metrics.validators_active.store(3, Ordering::Relaxed);
        metrics.nodes_ready.store(1, Ordering::Relaxed);
        metrics.outcomes[Kind::Block as usize].done.store(5, Ordering::Relaxed);
        let client = Client::parse(&metrics.render()).unwrap();
        assert_eq!(client.duties, [("blocks", 5, 0, 0)]);
        assert!(
            client.advice().unwrap().text.contains("1 key does not sign yet"),
            "{client:?}"
        );
        metrics.keys_signing.store(3, Ordering::Relaxed);
        assert_eq!(Client::parse(&metrics.render()).unwrap().advice(), None);
        metrics.clock_wrong.store(1, Ordering::Relaxed);
        let advice = Client::parse(&metrics.render()).unwrap().advice().unwrap();
        assert!(advice.text.contains("clock") && !advice.wait);
        assert_eq!(Client::parse("some_other_metric 1\n"), None);
    }
}
