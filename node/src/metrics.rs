//! Figures for monitoring, in the text form that Prometheus reads. Counted at borders only: where a snapshot is published,
//! where the execution client is asked, where the API answers.
//!
//! Names are those of beacon-metrics where it has one, `process_…` as Prometheus' own clients have them, else `wren_…`.

mod network;
mod page;
mod process;
mod serve;

pub use page::Sources;
pub(crate) use process::anonymous_memory;
pub use serve::serve;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of a histogram's buckets, in microseconds: from a look at a snapshot to an execution client's deadline.
const BUCKETS_US: [u64; 12] = [
    100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_000_000, 8_000_000,
];

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one that took so long.
    pub fn took(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = BUCKETS_US.iter().position(|end| us <= *end) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Writes the lines of a histogram; `labels` is empty or ends with a comma.
    fn write(&self, name: &str, labels: &str, out: &mut String) {
        let mut below = 0;
        // Writing to a String cannot fail.
        for (end, bucket) in BUCKETS_US.iter().zip(&self.buckets) {
            below += bucket.load(Ordering::Relaxed);
            let end = *end as f64 / 1e6;
            let _ = writeln!(out, "{name}_bucket{{{labels}le=\"{end}\"}} {below}");
        }
        let (count, sum) = (self.count.load(Ordering::Relaxed), self.sum_us.load(Ordering::Relaxed));
        let _ = writeln!(out, "{name}_bucket{{{labels}le=\"+Inf\"}} {count}");
        let labels = labels.trim_end_matches(',');
        let braces = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        let _ = writeln!(
            out,
            "{name}_sum{braces} {}\n{name}_count{braces} {count}",
            sum as f64 / 1e6
        );
    }
}

/// What the execution client is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `engine_newPayload`.
    NewPayload,
    /// `engine_forkchoiceUpdated`.
    ForkchoiceUpdated,
    /// `engine_getPayload`.
    GetPayload,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 3] = [Method::NewPayload, Method::ForkchoiceUpdated, Method::GetPayload];

    fn label(self) -> &'static str {
        ["newPayload", "forkchoiceUpdated", "getPayload"][self as usize]
    }
}

/// How an execution client answered one method.
#[derive(Debug, Default)]
pub struct Asked {
    /// How long it took, failures too.
    pub time: Histogram,
    /// How often it failed.
    pub failed: AtomicU64,
}

/// What is counted along the way; everything else is looked up when the page is asked for.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Finding the head and publishing a snapshot.
    pub publish: Histogram,
    /// Changes of the head to another branch.
    pub reorgs: AtomicU64,
    /// By method.
    pub engine: [Asked; Method::ALL.len()],
}

impl Metrics {
    /// Enters a call of the execution client that has ended.
    pub fn asked<T, E>(&self, method: Method, took: Duration, answer: &Result<T, E>) {
        let asked = &self.engine[method as usize];
        asked.time.took(took);
        if answer.is_err() {
            asked.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_written_as_prometheus_reads_them() {
        let histogram = Histogram::default();
        for us in [100, 101, 9_000_000] {
            histogram.took(Duration::from_micros(us));
        }
        let mut out = String::new();
        histogram.write("x_seconds", "method=\"a\",", &mut out);
        for line in [
            "x_seconds_bucket{method=\"a\",le=\"0.0001\"} 1",
            "x_seconds_bucket{method=\"a\",le=\"0.0005\"} 2",
            "x_seconds_bucket{method=\"a\",le=\"8\"} 2",
            "x_seconds_bucket{method=\"a\",le=\"+Inf\"} 3",
            "x_seconds_sum{method=\"a\"} 9.000201",
            "x_seconds_count{method=\"a\"} 3",
        ] {
            assert!(out.lines().any(|found| found == line), "{line} is not in\n{out}");
        }
    }

    #[test]
    fn failures_count_beside_the_time() {
        let metrics = Metrics::default();
        metrics.asked(Method::GetPayload, Duration::from_millis(2), &Ok::<(), ()>(()));
        metrics.asked(Method::GetPayload, Duration::from_millis(2), &Err::<(), ()>(()));
        let asked = &metrics.engine[Method::GetPayload as usize];
        assert_eq!(asked.failed.load(Ordering::Relaxed), 1);
        assert_eq!(asked.time.count.load(Ordering::Relaxed), 2);
    }
}
