//! Figures for monitoring, in the text form that Prometheus reads. Counted where duties end and where nodes are asked,
//! nowhere else.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of a histogram's buckets, in milliseconds.
const BUCKETS_MS: [u64; 12] = [
    50, 100, 250, 500, 1_000, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000, 24_000,
];

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS_MS.len()],
    count: AtomicU64,
    sum_ms: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, ms: u64) {
        if let Some(bucket) = BUCKETS_MS.iter().position(|end| ms <= *end) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Counts one that took so long.
    pub fn took(&self, took: Duration) {
        self.observe(took.as_millis() as u64);
    }

    fn write(&self, name: &str, out: &mut String) {
        let mut below = 0;
        for (end, bucket) in BUCKETS_MS.iter().zip(&self.buckets) {
            below += bucket.load(Ordering::Relaxed);
            let end = *end as f64 / 1000.0;
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name}_bucket{{le=\"{end}\"}} {below}");
        }
        let (count, sum) = (self.count.load(Ordering::Relaxed), self.sum_ms.load(Ordering::Relaxed));
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum {}\n{name}_count {count}", sum as f64 / 1000.0);
    }
}

/// The kinds of duty that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the names say it
pub enum Kind {
    Attestation,
    Aggregate,
    SyncMessage,
    Contribution,
    Block,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 5] = [
        Kind::Attestation,
        Kind::Aggregate,
        Kind::SyncMessage,
        Kind::Contribution,
        Kind::Block,
    ];

    /// One of them, or several, in words.
    pub fn words(self, count: usize) -> &'static str {
        match (self, count == 1) {
            (Kind::Attestation, true) => "attestation",
            (Kind::Attestation, false) => "attestations",
            (Kind::Aggregate, true) => "aggregate",
            (Kind::Aggregate, false) => "aggregates",
            (Kind::SyncMessage, true) => "sync committee message",
            (Kind::SyncMessage, false) => "sync committee messages",
            (Kind::Contribution, true) => "sync committee contribution",
            (Kind::Contribution, false) => "sync committee contributions",
            (Kind::Block, true) => "block",
            (Kind::Block, false) => "blocks",
        }
    }

    fn label(self) -> &'static str {
        ["attestation", "aggregate", "sync_message", "contribution", "block"][self as usize]
    }
}

/// How duties of one kind ended.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Published, late ones too.
    pub done: AtomicU64,
    /// Published later than they should be.
    pub late: AtomicU64,
    /// Not published.
    pub missed: AtomicU64,
}

/// All figures of the client.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By kind.
    pub outcomes: [Outcomes; Kind::ALL.len()],
    /// Time into the slot at which attestations were published.
    pub attestation_sent: Histogram,
    /// Time into the slot at which blocks were published.
    pub block_sent: Histogram,
    /// Time that signing took, the record on disk included.
    pub signing: Histogram,
    /// Time that nodes took for what a duty waits for.
    pub node: Histogram,
    /// Keys that the signer has enabled.
    pub keys_enabled: AtomicU64,
    /// Keys that doppelganger protection lets sign.
    pub keys_signing: AtomicU64,
    /// Our validators that are active.
    pub validators_active: AtomicU64,
    /// Beacon nodes that may be asked for what is signed.
    pub nodes_ready: AtomicU64,
    /// 1 while the clock is known to be wrong.
    pub clock_wrong: AtomicU64,
    /// Events of nodes that were dropped because too many came at once.
    pub events_dropped: AtomicU64,
}

impl Metrics {
    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(4096);
        let name = "wren_validator_duties_total";
        let _ = writeln!(out, "# TYPE {name} counter");
        for (kind, outcomes) in Kind::ALL.into_iter().zip(&self.outcomes) {
            let kind = kind.label();
            let figures = [
                ("done", &outcomes.done),
                ("late", &outcomes.late),
                ("missed", &outcomes.missed),
            ];
            for (outcome, figure) in figures {
                let figure = figure.load(Ordering::Relaxed);
                let _ = writeln!(out, "{name}{{kind=\"{kind}\",outcome=\"{outcome}\"}} {figure}");
            }
        }
        for (name, histogram) in [
            (
                "wren_validator_attestation_sent_into_slot_seconds",
                &self.attestation_sent,
            ),
            ("wren_validator_block_sent_into_slot_seconds", &self.block_sent),
            ("wren_validator_signing_seconds", &self.signing),
            ("wren_validator_beacon_node_seconds", &self.node),
        ] {
            let _ = writeln!(out, "# TYPE {name} histogram");
            histogram.write(name, &mut out);
        }
        for (name, kind, figure) in [
            ("wren_validator_keys_enabled", "gauge", &self.keys_enabled),
            ("wren_validator_keys_signing", "gauge", &self.keys_signing),
            ("wren_validator_validators_active", "gauge", &self.validators_active),
            ("wren_validator_beacon_nodes_ready", "gauge", &self.nodes_ready),
            ("wren_validator_clock_wrong", "gauge", &self.clock_wrong),
            ("wren_validator_events_dropped_total", "counter", &self.events_dropped),
        ] {
            let figure = figure.load(Ordering::Relaxed);
            let _ = writeln!(out, "# TYPE {name} {kind}\n{name} {figure}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rendered_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.attestation_sent.observe(60);
        metrics.attestation_sent.observe(4_000);
        metrics.attestation_sent.observe(99_999);
        metrics.outcomes[Kind::Block as usize]
            .missed
            .fetch_add(2, Ordering::Relaxed);
        let text = metrics.render();
        let name = "wren_validator_attestation_sent_into_slot_seconds";
        for line in [
            format!("{name}_bucket{{le=\"0.05\"}} 0"),
            format!("{name}_bucket{{le=\"0.1\"}} 1"),
            format!("{name}_bucket{{le=\"24\"}} 2"),
            format!("{name}_bucket{{le=\"+Inf\"}} 3"),
            format!("{name}_sum 104.059"),
            "wren_validator_duties_total{kind=\"block\",outcome=\"missed\"} 2".into(),
            "wren_validator_clock_wrong 0".into(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
