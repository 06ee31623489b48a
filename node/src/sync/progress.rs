//! How sync gets on, in an operator's words: how fast, how far, how long; and where it stands still, why.

use consensus::types::Slot;
use std::collections::VecDeque;

/// How often the operator is told, in milliseconds: often enough to see it move, and 360 lines an hour.
const EVERY_MS: u64 = 10_000;

/// The time over which the rate is taken, in milliseconds: some batches, so that it does not jump with each.
const WINDOW_MS: u64 = 60_000;

/// For how long nothing may move before it counts as standing still, in milliseconds: a batch of large blocks takes a
/// small machine half a minute.
const STILL_MS: u64 = 60_000;

/// Why sync stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nobody is connected.
    NoPeers,
    /// Nobody who is connected gives what is missing.
    NotHad,
    /// The execution client does not answer.
    Engine,
    /// The disk is nearly full.
    Disk,
    /// The machine cannot keep up.
    Busy,
}

impl Cause {
    fn sentence(self) -> &'static str {
        match self {
            Cause::NoPeers => "no peers are connected; look at the network connection, and that the clock is right",
            Cause::NotHad => "the peers that are connected do not give the blocks or columns that are missing",
            Cause::Engine => "the execution client does not answer; look whether it runs",
            Cause::Disk => "the disk is nearly full; make room",
            Cause::Busy => "this machine is too busy with other work",
        }
    }
}

/// The way of the head while it catches up.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Time and slot, oldest first.
    samples: VecDeque<(u64, Slot)>,
    told_ms: Option<u64>,
}

impl Progress {
    /// Notes where the head is.
    pub(crate) fn note(&mut self, now_ms: u64, head: Slot) {
        if self.samples.back().is_none_or(|(_, slot)| *slot != head) {
            self.samples.push_back((now_ms, head));
        }
        // The last one outside of the window stays: the rate is taken from there.
        while self.samples.len() > 2 && self.samples[1].0.saturating_add(WINDOW_MS) < now_ms {
            self.samples.pop_front();
        }
        // The caller comes twice a second.
        while self.samples.len() > 256 {
            self.samples.pop_front();
        }
    }

    /// Forgets what was: sync is through.
    pub(crate) fn reset(&mut self) {
        self.samples.clear();
        self.told_ms = None;
    }

    /// Slots, and the milliseconds that they took, over the last minute.
    fn rate(&self, now_ms: u64) -> (u64, u64) {
        let Some((since, slot)) = self.samples.front() else {
            return (0, 1);
        };
        let head = self.samples.back().map_or(*slot, |(_, slot)| *slot);
        (head.saturating_sub(*slot), now_ms.saturating_sub(*since).max(1))
    }

    /// Slots a second over the last minute, in thousandths.
    pub(crate) fn rate_milli(&self, now_ms: u64) -> u64 {
        let (slots, ms) = self.rate(now_ms);
        slots.saturating_mul(1_000_000) / ms
    }

    /// Whether nothing has moved for a while.
    pub(crate) fn is_still(&self, now_ms: u64) -> bool {
        let last = self.samples.back();
        last.is_some_and(|(at, _)| at.saturating_add(STILL_MS) <= now_ms)
    }

    /// What the operator is told now, if it is time.
    pub(crate) fn sentence(&mut self, now_ms: u64, target: Slot, peers: usize, cause: Cause) -> Option<String> {
        let told = self.told_ms.is_some_and(|told| told.saturating_add(EVERY_MS) > now_ms);
        let head = self.samples.back().map(|(_, slot)| *slot)?;
        if told {
            return None;
        }
        self.told_ms = Some(now_ms);
        let behind = target.saturating_sub(head);
        if self.is_still(now_ms) {
            let why = cause.sentence();
            return Some(format!(
                "sync stands still at slot {head}, {behind} slots behind: {why}"
            ));
        }
        let (slots, ms) = self.rate(now_ms);
        let left = match behind.saturating_mul(ms).checked_div(slots) {
            Some(left_ms) => {
                let tenths = slots.saturating_mul(10_000) / ms;
                let left = duration(left_ms / 1000);
                format!("{}.{} slots a second, {left} left", tenths / 10, tenths % 10)
            }
            None => "no rate yet".to_owned(),
        };
        Some(format!(
            "syncing: slot {head} of {target}, {behind} behind, {left}, {peers} peers have it"
        ))
    }
}

/// A time in the two units that say most.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_reads_rate_distance_and_time_left_every_ten_seconds() {
        let mut progress = Progress::default();
        progress.note(0, 100);
        progress.note(20_000, 300);
        let told = progress.sentence(20_000, 7500, 12, Cause::NoPeers);
        let expected = "syncing: slot 300 of 7500, 7200 behind, 10.0 slots a second, 12 min 0 s left, 12 peers have it";
        assert_eq!(told.as_deref(), Some(expected));
        assert_eq!(progress.rate_milli(20_000), 10_000);
        assert_eq!(progress.sentence(29_999, 7500, 12, Cause::NoPeers), None);
        assert!(progress.sentence(30_000, 7500, 12, Cause::NoPeers).is_some());
    }

    #[test]
    fn what_stands_still_is_told_with_its_cause() {
        let mut progress = Progress::default();
        progress.note(0, 100);
        progress.note(59_999, 100);
        assert!(!progress.is_still(59_999));
        let told = progress.sentence(60_000, 150, 0, Cause::Engine).unwrap();
        assert!(told.contains("stands still at slot 100, 50 slots behind: the execution client does not answer"));
        progress.note(61_000, 101);
        assert!(!progress.is_still(61_000));
    }

    #[test]
    fn times_are_told_in_two_units() {
        let told = [5, 65, 7380, 100_000].map(duration);
        assert_eq!(told, ["5 s", "1 min 5 s", "2 h 3 min", "1 d 3 h"]);
    }
}
