//! The wall clock: the one place of the client that reads it.
//!
//! Everything that is signed is signed for a slot, and a slot is a matter of the clock: signed on a clock that is ahead,
//! an attestation would block its key until the real time has caught up. So what contradicts the clock is collected
//! here, and while most sources say that it is wrong, nothing is signed. A clock that steps is noticed, since it is
//! compared with the monotonic one.

use crate::beacon::MAX_NODES;
use crate::signer::WallClock;
use consensus::Config;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::slot_clock::{Deadline, SlotClock};
use consensus::types::{Epoch, Slot};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock is read again after at most this long a sleep, so that a step ends or prolongs it.
const NAP: Duration = Duration::from_secs(1);
/// A `Date` header has whole seconds, and an answer takes its time on the way: less than this is no contradiction.
const TOLERANCE_MS: i64 = 3_000;
/// A jump of the clock against the monotonic one that is told.
const STEP_MS: i64 = 500;
/// Nodes are asked once a slot: what was heard longer ago counts no more.
const MEMORY: Duration = Duration::from_mins(10);

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// The slot; 0 before genesis.
    pub slot: Slot,
    /// The epoch; 0 before genesis.
    pub epoch: Epoch,
    /// Milliseconds until genesis; 0 once it is there.
    pub until_genesis_ms: u64,
}

/// What one node says against the clock: by how much it is ahead of the node, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Witness {
    ahead_ms: i64,
    at: Instant,
    /// Whether its head says so; otherwise its `Date` header.
    by_head: bool,
}

#[derive(Debug)]
struct Heard {
    witnesses: [Option<Witness>; MAX_NODES],
    /// The two clocks when they were last compared.
    compared: (Instant, u64),
}

/// The wall clock in slots.
#[derive(Debug)]
pub struct Clock {
    config: Arc<Config>,
    slots: SlotClock,
    heard: Mutex<Heard>,
}

/// Milliseconds since 1970; 0 on a machine that believes to live before.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

impl Clock {
    /// The clock of a network with that genesis time, in seconds since 1970.
    pub fn new(config: Arc<Config>, genesis_time: u64) -> Self {
        Clock {
            slots: SlotClock::new(&config, genesis_time),
            config,
            heard: Mutex::new(Heard {
                witnesses: [None; MAX_NODES],
                compared: (Instant::now(), unix_ms()),
            }),
        }
    }

    fn heard_of(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        unix_ms()
    }

    /// The moment in slots.
    pub fn now(&self) -> Now {
        self.moment(self.now_ms())
    }

    fn moment(&self, ms: u64) -> Now {
        let slot = self.slots.slot_at(ms).unwrap_or(0);
        Now {
            ms,
            slot,
            epoch: compute_epoch_at_slot(slot),
            until_genesis_ms: self.slots.genesis_time_ms.saturating_sub(ms),
        }
    }

    /// Length of a slot.
    pub fn slot_duration(&self) -> Duration {
        Duration::from_millis(self.slots.slot_duration_ms)
    }

    /// Start of a slot, in milliseconds since 1970.
    pub fn start_of(&self, slot: Slot) -> u64 {
        self.slots.compute_time_at_slot_ms(slot)
    }

    /// When something is due at a slot, in milliseconds since 1970; the slot's end for what its fork does not have.
    pub fn due_ms(&self, slot: Slot, deadline: Deadline) -> u64 {
        let due = self.slots.due_ms(&self.config, slot, deadline);
        due.unwrap_or_else(|| self.start_of(slot.saturating_add(1)))
    }

    /// How long it is until a time; zero if it has passed.
    pub fn until(&self, ms: u64) -> Duration {
        Duration::from_millis(ms.saturating_sub(self.now_ms()))
    }

    /// Milliseconds that have passed since the start of a slot; negative before.
    pub fn into_slot_ms(&self, slot: Slot) -> i64 {
        difference(self.now_ms(), self.start_of(slot))
    }

    /// Sleeps until a time of the wall clock, steps of the clock included.
    pub async fn sleep_until(&self, ms: u64) {
        // Ends when the time has come; a clock that is set back prolongs it by what was set back.
        loop {
            let left = self.until(ms);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(NAP)).await;
        }
    }

    /// Takes a node's `Date` header (seconds since 1970) of an answer to a question asked and answered at these times.
    /// A node at a loopback address mostly has our own clock, so that it proves nothing when it agrees; where it does not,
    /// it is another machine's, behind a tunnel.
    pub fn heard(&self, node: usize, by_loopback: bool, date: u64, asked_ms: u64, answered_ms: u64) {
        let ahead_ms = ahead_of_date(date, asked_ms, answered_ms);
        if !by_loopback || ahead_ms.abs() > TOLERANCE_MS {
            self.witness(node, ahead_ms, false);
        } else if let Some(witness) = self.heard_of().witnesses.get_mut(node) {
            witness.take_if(|witness| !witness.by_head);
        }
    }

    /// Takes the slot of a node's head: no node has a head of the future, unless our clock is behind.
    pub fn heard_head(&self, node: usize, head_slot: Slot) {
        let now = self.now();
        if head_slot > now.slot.saturating_add(1) {
            self.witness(node, difference(now.ms, self.start_of(head_slot)), true);
            return;
        }
        // A head that fits withdraws what an earlier one said, and says nothing by itself.
        if let Some(witness) = self.heard_of().witnesses.get_mut(node) {
            witness.take_if(|witness| witness.by_head);
        }
    }

    fn witness(&self, node: usize, ahead_ms: i64, by_head: bool) {
        let at = Instant::now();
        if let Some(witness) = self.heard_of().witnesses.get_mut(node) {
            *witness = Some(Witness { ahead_ms, at, by_head });
        }
    }

    /// Why the clock is known to be wrong: most of the nodes that can tell contradict it. `None` if it is not.
    pub fn wrong(&self) -> Option<String> {
        let heard = self.heard_of();
        let recent = heard
            .witnesses
            .iter()
            .flatten()
            .filter(|told| told.at.elapsed() < MEMORY);
        judge(recent.map(|told| told.ahead_ms))
    }

    /// What the signer is told of the time.
    pub fn wall_clock(&self) -> WallClock {
        match self.wrong() {
            Some(why) => WallClock::Wrong(why),
            None => WallClock::Slot(self.now().slot),
        }
    }

    /// By how many milliseconds the clock has jumped since the last call, if that is worth telling.
    pub fn stepped(&self) -> Option<i64> {
        let mut heard = self.heard_of();
        let (monotonic, wall) = (Instant::now(), unix_ms());
        let (monotonic_before, wall_before) = heard.compared;
        heard.compared = (monotonic, wall);
        let passed = monotonic.duration_since(monotonic_before).as_millis() as u64;
        let step = difference(wall, wall_before.saturating_add(passed));
        (step.abs() > STEP_MS).then_some(step)
    }
}

/// `a - b`, as near to it as an `i64` comes.
fn difference(a: u64, b: u64) -> i64 {
    let size = i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX);
    if a < b { -size } else { size }
}

/// A time in words, `2026-03-01 13:05 UTC`.
pub fn date_of(ms: u64) -> String {
    let (days, minutes) = (ms / 86_400_000, ms / 60_000 % 1440);
    // Years begin with March here, so that the leap day is the last; 719468 days lie between March of year 0 and 1970.
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month < 3);
    format!(
        "{year}-{month:02}-{day_of_month:02} {:02}:{:02} UTC",
        minutes / 60,
        minutes % 60
    )
}

/// By how much our clock is ahead of one that read `date` (whole seconds, cut off) at some moment between `asked_ms` and
/// `answered_ms` of ours: the least that explains it.
fn ahead_of_date(date: u64, asked_ms: u64, answered_ms: u64) -> i64 {
    let (earliest, latest) = (date.saturating_mul(1000), date.saturating_mul(1000).saturating_add(999));
    let behind = earliest.saturating_sub(answered_ms);
    let ahead = asked_ms.saturating_sub(latest);
    i64::try_from(ahead).unwrap_or(i64::MAX).saturating_sub_unsigned(behind)
}

/// Why our clock is wrong if one is right that read `date` (whole seconds) between two moments of ours.
pub(crate) fn contradicts(date: u64, asked_ms: u64, answered_ms: u64) -> Option<String> {
    judge(std::iter::once(ahead_of_date(date, asked_ms, answered_ms)))
}

/// The sentence if more than half of the witnesses contradict the clock in the same direction.
fn judge(ahead_ms: impl Iterator<Item = i64>) -> Option<String> {
    let mut ahead_ms: Vec<i64> = ahead_ms.collect();
    ahead_ms.sort_unstable();
    // With more than half beyond the tolerance on one side, both middle ones of an even count are there.
    let (low, high) = (
        *ahead_ms.get((ahead_ms.len().max(1) - 1) / 2)?,
        *ahead_ms.get(ahead_ms.len() / 2)?,
    );
    let middle = if low.abs() < high.abs() { low } else { high };
    if middle.abs() <= TOLERANCE_MS || low.signum() != high.signum() {
        return None;
    }
    let side = if middle > 0 { "ahead of" } else { "behind" };
    let seconds = middle.unsigned_abs() as f64 / 1000.0;
    let off = if seconds < 3600.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.1} hours", seconds / 3600.0)
    };
    Some(format!(
        "it is {off} {side} that of the beacon nodes; set it (timedatectl, chrony or ntpd) and duties go on by themselves"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::Fork;

    #[test]
    fn a_date_header_contradicts_only_what_it_cannot_mean() {
        // Read at 10.000-10.999 by the node, between 9.5 and 10.2 by us.
        assert_eq!(ahead_of_date(10, 9_500, 10_200), 0);
        assert_eq!(ahead_of_date(10, 12_500, 12_900), 1_501);
        assert_eq!(ahead_of_date(10, 7_000, 8_000), -2_000);
        assert!(ahead_of_date(u64::MAX, 0, 0) < 0);
    }

    #[test]
    fn dates_are_written_as_people_read_them() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00 UTC"),
            (784_887_151, "1994-11-15 08:12 UTC"),
            (1_709_164_800, "2024-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_709_251_200, "2024-03-01 00:00 UTC"),
            (4_102_444_800, "2100-01-01 00:00 UTC"),
        ] {
            assert_eq!(date_of(seconds * 1000), date);
        }
        assert!(date_of(u64::MAX).ends_with("UTC"));
    }

    #[test]
    fn the_clock_is_wrong_when_most_say_so() {
        assert_eq!(judge([].into_iter()), None);
        assert_eq!(judge([3_000].into_iter()), None);
        assert!(judge([86_400_000].into_iter()).unwrap().contains("24.0 hours ahead of"));
        assert!(judge([-4_000].into_iter()).unwrap().contains("4.0 s behind"));
        assert_eq!(judge([0, 9_000].into_iter()), None);
        assert_eq!(judge([-9_000, 9_000].into_iter()), None);
        assert_eq!(judge([-9_000, 0, 9_000].into_iter()), None);
        assert!(judge([0, 9_000, 8_000].into_iter()).is_some());
    }

    fn clock(genesis_time: u64) -> Clock {
        let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
        Clock::new(Arc::new(config), genesis_time)
    }

    #[test]
    fn nodes_on_this_machine_witness_against_its_clock_only() {
        let clock = clock(unix_ms() / 1000 - 100);
        // Behind a tunnel.
        clock.heard(0, true, 5, 1_000_000, 1_000_000);
        assert!(matches!(clock.wall_clock(), WallClock::Wrong(_)));
        clock.heard(0, true, 1_000, 1_000_000, 1_000_000);
        assert!(matches!(clock.wall_clock(), WallClock::Slot(_)));
        // It outvotes nobody by agreeing.
        clock.heard(1, false, 5, 1_000_000, 1_000_000);
        assert!(matches!(clock.wall_clock(), WallClock::Wrong(_)));
        clock.heard(1, false, 5, 5_000, 5_000);
        assert_eq!(clock.wrong(), None);
        clock.heard_head(0, clock.now().slot + 1);
        assert_eq!(clock.wrong(), None);
        clock.heard_head(0, u64::MAX);
        clock.heard_head(1, clock.now().slot + 50);
        assert!(clock.wrong().unwrap().contains("behind"));
        clock.heard_head(0, clock.now().slot);
        clock.heard_head(1, clock.now().slot);
        assert_eq!(clock.wrong(), None);
    }

    #[test]
    fn deadlines_are_those_of_the_config() {
        let clock = clock(1000);
        let slot_ms = clock.slot_duration().as_millis() as u64;
        assert_eq!(clock.start_of(2), 1_000_000 + 2 * slot_ms);
        assert_eq!(clock.due_ms(2, Deadline::Block), clock.start_of(2));
        // A third and two thirds, as basis points have it.
        assert_eq!(
            clock.due_ms(2, Deadline::Attestation),
            clock.start_of(2) + slot_ms * 3333 / 10_000
        );
        assert_eq!(
            clock.due_ms(2, Deadline::Aggregate),
            clock.start_of(2) + slot_ms * 6667 / 10_000
        );
        // Fulu has no payload attestations.
        assert_eq!(clock.due_ms(2, Deadline::PayloadAttestation), clock.start_of(3));
    }

    #[test]
    fn before_genesis_it_is_slot_0_and_the_time_is_told() {
        let clock = clock(1000);
        let now = clock.moment(990_500);
        assert_eq!((now.slot, now.epoch, now.until_genesis_ms), (0, 0, 9_500));
        assert_eq!(clock.moment(1_000_000).until_genesis_ms, 0);
        assert_eq!(clock.stepped(), None);
    }
}
