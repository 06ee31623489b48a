//! What gives way where a node holds more memory than `--max-memory` grants: history first, then what can be made again,
//! then long answers of the API. Duties, blocks and votes never do. Without that option nothing does.
//!
//! Memory is what no file backs, as the system counts it: mapped keys and the page cache are taken back by the system
//! whenever it wants them.

use crate::chain::Chain;
use crate::metrics::anonymous_memory;
use crate::stop::Stop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How often memory is looked at: a state of a large registry takes longer to make.
const LOOK: Duration = Duration::from_secs(1);

/// From so many hundredths of what is granted on, each gives way: history, caches, long answers.
const FROM: [u64; 3] = [85, 92, 97];

/// So many hundredths below that it comes back, so that nothing goes on and off all the time.
const BACK: u64 = 3;

/// How much has to give way at the moment. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Pressure(Arc<AtomicU8>);

impl Pressure {
    fn level(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// How many of the three give way: history, caches, long answers.
    pub fn gives_way(&self) -> u8 {
        self.level()
    }

    /// Whether history may be fetched.
    pub(crate) fn may_backfill(&self) -> bool {
        self.level() < 1
    }

    /// Whether long answers may be made.
    pub(crate) fn may_answer(&self) -> bool {
        self.level() < 3
    }

    /// Takes note of `bytes` of memory where `granted` are; tells the new level if it is another.
    fn note(&self, bytes: u64, granted: u64) -> Option<u8> {
        let before = self.level();
        let hundredths = u128::from(bytes) * 100 / u128::from(granted.max(1));
        let is_reached = |place: usize, from: u64| {
            let back = if usize::from(before) > place { BACK } else { 0 };
            hundredths >= u128::from(from - back)
        };
        let level = FROM
            .iter()
            .enumerate()
            .filter(|(place, from)| is_reached(*place, **from))
            .count() as u8; // three at most
        self.0.store(level, Ordering::Relaxed);
        (level != before).then_some(level)
    }
}

/// Looks at memory until the node stops. `granted` is in bytes.
pub async fn watch(chain: Chain, granted: u64, stop: Stop) {
    loop {
        // Where the system does not tell, nothing gives way.
        if let Some(bytes) = anonymous_memory() {
            let pressure = chain.pressure();
            if let Some(level) = pressure.note(bytes, granted) {
                tell(level, bytes, granted);
            }
            if pressure.level() >= 2 {
                chain.forget_made_states();
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.stopped() => return,
        }
    }
}

fn tell(level: u8, bytes: u64, granted: u64) {
    let (bytes, granted) = (bytes >> 20, granted >> 20);
    let what = match level {
        0 => {
            tracing::info!("memory: {bytes} MiB of {granted} MiB; nothing gives way any more");
            return;
        }
        1 => "history is not fetched",
        2 => "history is not fetched, and states are made again when asked for",
        _ => "history is not fetched, states are made again when asked for, and long answers of the API are refused",
    };
    tracing::warn!(
        "memory: {bytes} MiB of the {granted} MiB of --max-memory; {what} until it is less. Grant more by \
         --max-memory, or leave it out, if the machine has more"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_gives_way_first_and_comes_back_last() {
        let pressure = Pressure::default();
        assert_eq!(pressure.note(84, 100), None);
        assert!(pressure.may_backfill());
        assert_eq!(pressure.note(85, 100), Some(1));
        assert!(!pressure.may_backfill() && pressure.may_answer());
        assert_eq!(pressure.note(92, 100), Some(2));
        assert!(pressure.may_answer());
        assert_eq!(pressure.note(200, 100), Some(3));
        assert!(!pressure.may_answer());
        // Each comes back a little below where it went.
        assert_eq!(pressure.note(95, 100), None);
        assert_eq!(pressure.note(93, 100), Some(2));
        assert_eq!(pressure.note(88, 100), Some(1));
        assert_eq!(pressure.note(82, 100), None);
        assert_eq!(pressure.note(81, 100), Some(0));
        assert!(pressure.may_backfill());
    }

    #[test]
    fn no_grant_of_nothing_is_divided_by() {
        assert_eq!(Pressure::default().note(u64::MAX, 0), Some(3));
    }
}
