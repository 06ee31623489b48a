//! What the system says about this process.

use rustix::process::{Resource, getrlimit};
use std::collections::VecDeque;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Clock ticks of `/proc/self/stat` in a second: the same on every system that Linux shows to programs (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// A figure of `/proc/self/status` in bytes, which are kibibytes there.
fn status_bytes(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Resident memory, and the part of it that no file backs.
pub(super) fn memory() -> Option<(u64, u64)> {
    Some((status_bytes("VmRSS")?, status_bytes("RssAnon")?))
}

/// Resident memory that no file backs.
pub(crate) fn anonymous_memory() -> Option<u64> {
    memory().map(|(_, anonymous)| anonymous)
}

/// Processor time in seconds, of all threads, in user and system mode.
pub(super) fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold anything; behind it the fields begin with the third.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// Open descriptors.
pub(super) fn open_descriptors() -> Option<u64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

/// How many there may be; `None` where there is no limit.
pub(super) fn most_descriptors() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// A sample every ten minutes, for a day.
const SAMPLE: Duration = Duration::from_mins(10);
const SAMPLES_MAX: usize = 144;

/// What was written lately, for the figure per day.
#[derive(Debug)]
pub(super) struct Written {
    samples: Mutex<VecDeque<(Instant, u64)>>,
    start: Instant,
}

impl Written {
    pub(super) fn new() -> Self {
        Written {
            samples: Mutex::default(),
            start: Instant::now(),
        }
    }

    /// Bytes a day at the pace since the oldest sample, which is a day old once the node has run for one. `total` is what
    /// has been written until now.
    pub(super) fn per_day(&self, total: u64) -> f64 {
        // One entry more or less is all that a panic could leave.
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = samples.back().is_none_or(|(at, _)| now - *at >= SAMPLE);
        let (since, before) = samples.front().copied().unwrap_or((self.start, 0));
        if due {
            if samples.len() >= SAMPLES_MAX {
                samples.pop_front();
            }
            samples.push_back((now, total));
        }
        // Right after a sample the time would be no divisor; a minute keeps the figure from leaping.
        let seconds = (now - since).as_secs_f64().max(60.0);
        total.saturating_sub(before) as f64 / seconds * 86_400.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells() {
        let (resident, anonymous) = memory().unwrap();
        assert!(resident > 1 << 20 && anonymous <= resident);
        assert!(cpu_seconds().unwrap() < 1e6);
        assert!(open_descriptors().unwrap() >= 3);
    }

    #[test]
    fn the_pace_is_that_since_the_first_sample() {
        let written = Written::new();
        let first = written.per_day(6_000);
        // 6,000 bytes in what counts as a minute.
        assert!((first - 6_000.0 * 1440.0).abs() < 1.0, "{first}");
        let second = written.per_day(6_060);
        assert!((second - 60.0 * 1440.0).abs() < 1.0, "{second}");
    }
}
