//! A ceiling of bandwidth (`--max-bandwidth`), each way. What must be done for duties and to follow the chain is never
//! held back; what can be spared gives way, in this order: answers made of stored blocks and columns get what is left
//! over; history is not fetched; there are fewer peers, each of whom costs gossip.
//!
//! A pure state machine over the totals of bytes, noted once a second.

use std::time::Duration;

/// Over how long rates are averaged: gossip comes in bursts once a slot, so that less than a slot would say nothing.
const WINDOW: Duration = Duration::from_secs(24);

/// The least of the ceiling that answers get, as one in so many: a peer that lacks a few blocks gets them all the same,
/// and those who ask see that somebody is there.
const SERVE_LEAST: u64 = 20;

/// From this much of the ceiling on history waits, and below that it goes on, in hundredths.
const BACKFILL_STOPS: u64 = 90;
const BACKFILL_STARTS: u64 = 70;

/// Above the ceiling there is to be one peer in ten fewer, below this much of it, in hundredths, one more.
const PEERS_RETURN: u64 = 70;

/// How often the number of peers is looked at: the effect of the last change must show in the average first.
const PEERS_EVERY: Duration = Duration::from_mins(1);

/// Peers below which the ceiling does not push: twice a mesh, so that gossip still reaches everybody.
const PEERS_LEAST: usize = 16;

/// The totals since the start, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// From peers.
    pub received: u64,
    /// To peers.
    pub sent: u64,
    /// Of these, answers made of what is stored.
    pub served: u64,
}

/// What may be done besides what must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes a second for answers made of what is stored.
    pub serve: u64,
    /// Whether history may be fetched.
    pub backfill: bool,
    /// How many peers there should be.
    pub peers: usize,
}

/// The ceiling.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// Bytes a second, each way.
    most: u64,
    /// The peers that the operator wants.
    wanted: usize,
    last: Option<(Duration, Totals)>,
    /// Averages, in bytes a second: what was received, and what was sent besides answers.
    received: u64,
    sent: u64,
    backfill: bool,
    peers: usize,
    peers_at: Duration,
}

impl Ceiling {
    /// A ceiling of so many megabits a second each way, for a node that would have so many peers.
    pub fn new(megabits: u64, wanted: usize) -> Ceiling {
        Ceiling {
            most: megabits.saturating_mul(1_000_000 / 8).max(1),
            wanted,
            last: None,
            received: 0,
            sent: 0,
            backfill: true,
            peers: wanted,
            peers_at: Duration::ZERO,
        }
    }

    /// Notes the totals, about once a second; what may be done from now on. `now` counts from any beginning.
    pub fn note(&mut self, totals: Totals, now: Duration) -> Allowance {
        if let Some((at, before)) = self.last {
            let passed = now.saturating_sub(at);
            let must = |totals: Totals| totals.sent.saturating_sub(totals.served);
            self.received = averaged(self.received, totals.received.saturating_sub(before.received), passed);
            self.sent = averaged(self.sent, must(totals).saturating_sub(must(before)), passed);
        }
        self.last = Some((now, totals));
        let load = self.received.max(self.sent).saturating_mul(100) / self.most;
        if load >= BACKFILL_STOPS {
            self.backfill = false;
        } else if load < BACKFILL_STARTS {
            self.backfill = true;
        }
        if now >= self.peers_at + PEERS_EVERY {
            self.peers_at = now;
            let least = PEERS_LEAST.min(self.wanted);
            if load > 100 {
                self.peers = (self.peers - self.peers.div_ceil(10).min(self.peers)).max(least);
            } else if load < PEERS_RETURN {
                self.peers = (self.peers + 1).min(self.wanted);
            }
        }
        Allowance {
            serve: self.most.saturating_sub(self.sent).max(self.most / SERVE_LEAST),
            backfill: self.backfill,
            peers: self.peers,
        }
    }
}

/// An average in bytes a second, after so many bytes in so much time.
fn averaged(before: u64, bytes: u64, passed: Duration) -> u64 {
    let window = WINDOW.as_millis();
    let passed = passed.as_millis().min(window);
    let kept = u128::from(before) * (window - passed);
    // Bytes of the time that passed, as a rate, weighed by that time: the time itself cancels out.
    let new = u128::from(bytes) * 1000;
    u64::try_from((kept + new) / window).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes so many seconds of steady traffic, in bytes a second, and gives the last allowance.
    fn steady(ceiling: &mut Ceiling, totals: &mut Totals, from: u64, seconds: u64, per_second: Totals) -> Allowance {
        let mut allowance = None;
        for second in from..from + seconds {
            totals.received += per_second.received;
            totals.sent += per_second.sent;
            totals.served += per_second.served;
            allowance = Some(ceiling.note(*totals, Duration::from_secs(second)));
        }
        allowance.unwrap()
    }

    fn megabits(received: u64, sent: u64, served: u64) -> Totals {
        let bytes = |megabits: u64| megabits * 125_000;
        Totals {
            received: bytes(received),
            sent: bytes(sent),
            served: bytes(served),
        }
    }

    #[test]
    fn what_can_be_spared_gives_way_in_its_order() {
        let (mut ceiling, mut totals) = (Ceiling::new(10, 50), Totals::default());
        let calm = steady(&mut ceiling, &mut totals, 0, 120, megabits(2, 2, 0));
        assert_eq!((calm.backfill, calm.peers), (true, 50));
        assert!((950_000..=1_050_000).contains(&calm.serve), "{calm:?}");
        // What is served leaves room for what must be sent, and is itself no reason to shed anything else.
        let serving = steady(&mut ceiling, &mut totals, 120, 120, megabits(2, 10, 8));
        assert_eq!((serving.backfill, serving.peers), (true, 50));
        assert!((950_000..=1_050_000).contains(&serving.serve), "{serving:?}");
        let full = steady(&mut ceiling, &mut totals, 240, 240, megabits(10, 10, 0));
        assert_eq!((full.backfill, full.peers), (false, 50), "history waits first");
        let above = steady(&mut ceiling, &mut totals, 480, 240, megabits(12, 3, 0));
        assert!(!above.backfill && above.peers < 50 && above.peers >= 30, "{above:?}");
        let far_above = steady(&mut ceiling, &mut totals, 720, 3600, megabits(30, 30, 0));
        assert_eq!((far_above.serve, far_above.peers), (62_500, PEERS_LEAST));
        let calm = steady(&mut ceiling, &mut totals, 4320, 3600, megabits(2, 2, 0));
        assert_eq!((calm.backfill, calm.peers), (true, 50));
    }

    #[test]
    fn a_burst_once_a_slot_sheds_nothing() {
        let (mut ceiling, mut totals) = (Ceiling::new(10, 50), Totals::default());
        for slot in 0..60_u64 {
            // 40 Mbit at once, 3.3 Mbit a second on average.
            totals.received += 5_000_000;
            for second in 0..12 {
                let allowance = ceiling.note(totals, Duration::from_secs(slot * 12 + second));
                assert_eq!((allowance.backfill, allowance.peers), (true, 50), "slot {slot}");
            }
        }
    }

    #[test]
    fn a_node_that_wants_few_peers_keeps_them() {
        let (mut ceiling, mut totals) = (Ceiling::new(1, 3), Totals::default());
        let allowance = steady(&mut ceiling, &mut totals, 0, 600, megabits(50, 50, 0));
        assert_eq!(allowance.peers, 3);
    }
}
