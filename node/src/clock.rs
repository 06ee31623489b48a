//! The wall clock: the only place that reads it. Everything else takes a slot, a time or a duration. Beside it what tells
//! whether it can be believed.

mod ask;
mod watch;
mod words;

pub use ask::Server;
pub use watch::{ClockWatch, Sources};

use consensus::Config;
use consensus::slot_clock::SlotClock;
use consensus::types::{Epoch, Slot};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970; 0 for a clock before that.
pub fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Milliseconds since 1970; 0 for a clock before that.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The wall clock of a network. Clones are alike.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    slots: SlotClock,
}

impl Clock {
    /// The clock of a network that starts at `genesis_time`, in seconds since 1970.
    pub fn new(config: &Config, genesis_time: u64) -> Self {
        Clock {
            slots: SlotClock::new(config, genesis_time),
        }
    }

    /// The slots of the network.
    pub fn slots(&self) -> &SlotClock {
        &self.slots
    }

    /// Milliseconds since 1970; 0 for a clock before that.
    pub fn now_ms(&self) -> u64 {
        unix_ms()
    }

    /// The current slot; `None` before genesis.
    pub fn slot(&self) -> Option<Slot> {
        self.slots.slot_at(self.now_ms())
    }

    /// The current epoch; `None` before genesis.
    pub fn epoch(&self) -> Option<Epoch> {
        self.slots.epoch_at(self.now_ms())
    }

    /// How long until a time in milliseconds since 1970; nothing if it is past.
    pub fn until(&self, time_ms: u64) -> Duration {
        Duration::from_millis(time_ms.saturating_sub(self.now_ms()))
    }
}
