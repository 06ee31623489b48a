//! How fast a peer is served: a bucket of bytes that fills at a steady rate. Parts are held back until there is enough in
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
}

impl Default for Bucket {
    fn default() -> Self {
        Bucket(Mutex::new(Level {
            bytes: BURST.cast_signed(),
            at: Instant::now(),
        }))
    }
}

impl Bucket {
    /// Takes that many bytes and says how long to wait before they may be sent.
    pub fn take(&self, bytes: usize, now: Instant) -> Duration {
        let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(level.at).as_micros();
        let gained = passed.saturating_mul(u128::from(RATE)) / 1_000_000;
        let gained = i64::try_from(gained).unwrap_or(i64::MAX);
        level.bytes = level.bytes.saturating_add(gained).min(BURST.cast_signed());
        level.at = now;
        level.bytes = level.bytes.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        let missing = level.bytes.min(0).unsigned_abs();
        Duration::from_micros(missing.saturating_mul(1_000_000) / RATE)
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
}
