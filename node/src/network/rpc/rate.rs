//! How fast peers are served: a bucket of bytes that fills at a steady rate. Parts are held back until there is enough in
//! it, never refused.
//!
//! Spec: phase0/p2p-interface.md, "Responding side": rate limits by withholding parts.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What a peer may have at once: an epoch of large blocks, so that one who is a little behind need not wait.
pub const BURST: u64 = 16 << 20;

/// Bytes a second that a peer gets for long. A peer that syncs from us alone gets some 40 blocks a second of 200 KB.
pub const RATE: u64 = 8 << 20;

/// A bucket.
#[derive(Debug)]
pub struct Bucket(Mutex<Level>);

#[derive(Debug)]
struct Level {
    /// May be below zero: one part is always let through, then the next waits for longer.
    bytes: i64,
    at: Instant,
    /// Bytes a second, and what may gather; none for a bucket that is never empty.
    limits: Option<(u64, u64)>,
}

impl Default for Bucket {
    /// That of one peer.
    fn default() -> Self {
        Bucket::of(Some((RATE, BURST)))
    }
}

impl Bucket {
    /// A bucket that is never empty, until `limit` says otherwise.
    pub fn endless() -> Self {
        Bucket::of(None)
    }

    fn of(limits: Option<(u64, u64)>) -> Self {
        Bucket(Mutex::new(Level {
            bytes: limits.map_or(0, |(_, burst)| burst.cast_signed()),
            at: Instant::now(),
            limits,
        }))
    }

    /// Changes how many bytes a second run in. A second's worth may gather: under a ceiling there are no bursts.
    pub fn limit(&self, rate: u64) {
        let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        level.limits = Some((rate.max(1), rate.min(i64::MAX as u64)));
    }

    /// Takes that many bytes and says how long to wait before they may be sent.
    pub fn take(&self, bytes: usize, now: Instant) -> Duration {
        let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((rate, burst)) = level.limits else {
            return Duration::ZERO;
        };
        let passed = now.saturating_duration_since(level.at).as_micros();
        let gained = passed.saturating_mul(u128::from(rate)) / 1_000_000;
        let gained = i64::try_from(gained).unwrap_or(i64::MAX);
        level.bytes = level.bytes.saturating_add(gained).min(burst.cast_signed());
        level.at = now;
        level.bytes = level.bytes.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        let missing = level.bytes.min(0).unsigned_abs();
        Duration::from_micros(missing.saturating_mul(1_000_000) / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let (bucket, start) = (Bucket::default(), Instant::now());
        assert_eq!(bucket.take(BURST as usize, start), Duration::ZERO);
        assert_eq!(bucket.take(RATE as usize, start), Duration::from_secs(1));
        assert_eq!(bucket.take(RATE as usize, start), Duration::from_secs(2));
        assert_eq!(bucket.take(0, start + Duration::from_secs(3)), Duration::ZERO);
    }

    #[test]
    fn a_ceiling_can_be_set_and_changed() {
        let bucket = Bucket::endless();
        let start = Instant::now();
        assert_eq!(bucket.take(usize::MAX, start), Duration::ZERO);
        bucket.limit(1000);
        let later = start + Duration::from_hours(1);
        assert_eq!(bucket.take(1000, later), Duration::ZERO, "a second's worth");
        assert_eq!(bucket.take(2000, later), Duration::from_secs(2));
        bucket.limit(4000);
        assert_eq!(bucket.take(2000, later), Duration::from_secs(1));
    }
}
