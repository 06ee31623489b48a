//! How long a peer may take for an answer: it earns time by what it sends. A slow line gets all the time that many columns
//! take on it; who sends next to nothing is given up soon, however much was asked for.

use std::time::Duration;

/// What every answer has: a round trip, and the peer's look into its database, on a small machine that is busy. As much as
/// the first part may take.
const GRACE: Duration = Duration::from_secs(15);

/// Bytes a second that are enough: a line of 10 Mbit/s that is shared by the twelve requests which sync has under way.
const RATE: u64 = 100_000;

/// What each part earns whatever its size: peers limit their rate in parts too, some to ten blocks a second, and blocks of
/// small networks have next to no bytes.
const PER_PART: Duration = Duration::from_millis(250);

/// The most that an answer can earn: what the longest one, 64 slots of blocks of 200 KB, takes at that rate. So nobody
/// holds a request for longer, and a batch of sync is another peer's after that.
pub(crate) const LONGEST: Duration = Duration::from_secs(128);

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    earned: Duration,
    waited: Duration,
}

impl Pace {
    /// How long the next part may take. Nothing when the peer has used up its time.
    pub(crate) fn left(&self) -> Duration {
        (GRACE + self.earned).min(LONGEST).saturating_sub(self.waited)
    }

    /// Takes in how long a part was waited for, and how many bytes it has. The time in which it is decoded is ours.
    pub(crate) fn came(&mut self, after: Duration, bytes: usize) {
        self.waited += after;
        let micros = (bytes as u64).saturating_mul(1_000_000) / RATE;
        // More than the most is nothing more.
        self.earned = (self.earned + PER_PART + Duration::from_micros(micros)).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long an answer goes on, and how many parts of it come, if each takes so long.
    fn follow(parts: usize, each: Duration, bytes: usize) -> (Duration, usize) {
        let mut pace = Pace::default();
        let mut waited = Duration::ZERO;
        for part in 0..parts {
            if each > pace.left() {
                return (waited + pace.left(), part);
            }
            waited += each;
            pace.came(each, bytes);
        }
        (waited, parts)
    }

    #[test]
    fn a_slow_line_gets_the_time_that_columns_take_on_it() {
        // Eight columns of 32 slots with 21 blobs each, 45 KB, at 125 KB a second: 92 seconds.
        let (waited, parts) = follow(256, Duration::from_millis(360), 45_000);
        assert_eq!(parts, 256);
        assert!(waited > Duration::from_mins(1), "{waited:?}");
        // Blocks of a few bytes, of which the peer gives four a second.
        assert_eq!(follow(128, Duration::from_millis(250), 500).1, 128);
        // One that holds back for a while and then sends a burst.
        let mut pace = Pace::default();
        pace.came(Duration::from_secs(14), 500_000);
        assert_eq!(pace.left(), Duration::from_millis(15_000 - 14_000 + 5_000 + 250));
    }

    #[test]
    fn who_sends_next_to_nothing_is_given_up_soon() {
        assert_eq!(follow(10_000, Duration::from_secs(16), 1), (GRACE, 0));
        for (each, bytes) in [(14_000, 1), (1_000, 1), (1_000, 50_000), (300, 100)] {
            let (waited, parts) = follow(10_000, Duration::from_millis(each), bytes);
            let earned = Duration::from_micros(parts as u64 * (250_000 + bytes as u64 * 10));
            assert!(waited <= GRACE + earned, "{each} ms, {bytes} bytes: {waited:?}");
            assert!(parts < 10_000);
        }
        // Nor is there an end to patience that one could earn.
        let mut pace = Pace::default();
        pace.came(Duration::from_secs(100), usize::MAX);
        assert_eq!(pace.left(), LONGEST.saturating_sub(Duration::from_secs(100)));
        pace.came(Duration::from_secs(28), usize::MAX);
        assert_eq!(pace.left(), Duration::ZERO);
    }
}
