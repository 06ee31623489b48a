//! All open connections with what each is doing and since when; ends those that take too long, and the idlest where
//! room is wanted.
//!
//! One pass a second over a few hundred entries takes the place of timers at every read and write.

use super::Limits;
use crate::metrics::Histogram;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tokio::task::AbortHandle;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// Between requests.
    Idle,
    /// In the headers of a request.
    Head,
    /// Between the headers of a request and the end of its response.
    Busy,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    client: IpAddr,
    start: Instant,
    phase: AtomicU8,
    /// When the phase began, in milliseconds since `start`.
    since: AtomicU64,
    /// When a write found no room, and none was made since; 0 for never.
    blocked: AtomicU64,
    /// Whether a request has been answered.
    served: AtomicBool,
    /// Whether the response is a stream of events, which may last.
    lasting: AtomicBool,
    ended: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl Entry {
    fn now(&self) -> u64 {
        // From one on: zero stands for "never".
        (self.start.elapsed().as_millis() as u64).max(1)
    }

    fn enter(&self, phase: Phase) {
        self.since.store(self.now(), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    /// Bytes have come.
    pub(super) fn has_read(&self) {
        if self.is(Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// Bytes have been taken by the client, or none could be.
    pub(super) fn has_written(&self, room: bool) {
        if room {
            self.blocked.store(0, Ordering::Relaxed);
        } else if self.blocked.load(Ordering::Relaxed) == 0 {
            self.blocked.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The response may last as long as the client likes.
    pub(super) fn may_last(&self) {
        self.lasting.store(true, Ordering::Relaxed);
    }

    /// The task to end for this connection.
    pub(super) fn set_task(&self, task: AbortHandle) {
        // Set once, right after the task was made.
        let _ = self.task.set(task);
    }

    fn end(&self) {
        if !self.ended.swap(true, Ordering::Relaxed)
            && let Some(task) = self.task.get()
        {
            task.abort();
        }
    }

    /// Why the connection is to be ended now.
    fn overdue(&self, limits: &Limits) -> Option<&'static str> {
        let now = self.now();
        let after = |since: u64, limit: std::time::Duration| now.saturating_sub(since) > limit.as_millis() as u64;
        let since = self.since.load(Ordering::Relaxed);
        let blocked = self.blocked.load(Ordering::Relaxed);
        if blocked != 0 && after(blocked, limits.write_time) {
            Some("it does not read")
        } else if self.is(Phase::Idle) && after(since, limits.idle_time) {
            Some("idle for too long")
        } else if self.is(Phase::Head) && after(since, limits.head_time) {
            Some("its request does not end")
        } else if self.is(Phase::Busy) && !self.lasting.load(Ordering::Relaxed) && after(since, limits.stream_time) {
            Some("it takes too long to read")
        } else {
            None
        }
    }

    /// The order in which connections make room: those that never asked anything first, of these the oldest. `None` for
    /// one that is being answered.
    fn evictable(&self) -> Option<(bool, u64)> {
        let idle = !self.is(Phase::Busy) && !self.ended.load(Ordering::Relaxed);
        idle.then(|| (self.served.load(Ordering::Relaxed), self.since.load(Ordering::Relaxed)))
    }
}

/// Says, as long as it lives, that a request of a connection is being answered.
#[derive(Debug)]
pub(super) struct Busy(Arc<Entry>);

impl Busy {
    pub(super) fn new(entry: &Arc<Entry>) -> Self {
        entry.enter(Phase::Busy);
        Busy(Arc::clone(entry))
    }

    pub(super) fn may_last(&self) {
        self.0.may_last();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.served.store(true, Ordering::Relaxed);
        self.0.lasting.store(false, Ordering::Relaxed);
        self.0.enter(Phase::Idle);
    }
}

/// Counts of what the server has seen, for metrics.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections open now.
    pub open: AtomicU64,
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections closed at once, for want of room.
    pub refused: AtomicU64,
    /// Idle connections that made room.
    pub evicted: AtomicU64,
    /// Connections ended because they took too long.
    pub overdue: AtomicU64,
    /// Accepts that failed for want of descriptors or memory.
    pub exhausted: AtomicU64,
    /// Requests answered.
    pub requests: AtomicU64,
    /// Of these, with a status of 500 or more.
    pub failed: AtomicU64,
    /// From the head of a request to the beginning of its answer.
    pub time: Histogram,
}

/// All open connections.
#[derive(Debug)]
pub(super) struct Registry {
    start: Instant,
    entries: Mutex<HashMap<u64, Arc<Entry>>>,
    next: AtomicU64,
    pub(super) counts: Arc<Counts>,
}

/// How many more connections than allowed there may be for the moment until an evicted one has gone.
const ON_THEIR_WAY_OUT: usize = 16;

impl Registry {
    pub(super) fn new() -> Self {
        Registry {
            start: Instant::now(),
            entries: Mutex::default(),
            next: AtomicU64::new(0),
            counts: Arc::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        // Nothing that may panic happens under the lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a new connection; `None` if there is no room for it even after the idlest was told to go.
    pub(super) fn enter(&self, client: IpAddr, limits: &Limits) -> Option<Arc<Entry>> {
        let client = client.to_canonical();
        let mut entries = self.entries();
        let of_client = entries.values().filter(|entry| entry.client == client).count();
        let too_many = !client.is_loopback() && of_client >= limits.connections_per_client;
        let room = entries.len() < limits.connections
            || entries.len() < limits.connections + ON_THEIR_WAY_OUT && self.evict(&entries);
        if too_many || !room {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let entry = Arc::new(Entry {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            client,
            start: self.start,
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            served: AtomicBool::new(false),
            lasting: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            task: OnceLock::new(),
        });
        entry.enter(Phase::Idle);
        entries.insert(entry.number, Arc::clone(&entry));
        self.counts.open.store(entries.len() as u64, Ordering::Relaxed);
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        Some(entry)
    }

    pub(super) fn leave(&self, entry: &Entry) {
        let mut entries = self.entries();
        entries.remove(&entry.number);
        self.counts.open.store(entries.len() as u64, Ordering::Relaxed);
    }

    /// Ends the connection that is idle for longest, if any is.
    fn evict(&self, entries: &HashMap<u64, Arc<Entry>>) -> bool {
        let idle = entries.values().filter_map(|entry| Some((entry.evictable()?, entry)));
        let Some((_, idlest)) = idle.min_by_key(|(order, _)| *order) else {
            return false;
        };
        idlest.end();
        self.counts.evicted.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Frees a descriptor where the process has run out of them.
    pub(super) fn make_room(&self) {
        let entries = self.entries();
        self.evict(&entries);
    }

    /// Ends what is overdue.
    pub(super) fn sweep(&self, limits: &Limits) {
        let entries = self.entries();
        for entry in entries.values() {
            if !entry.ended.load(Ordering::Relaxed)
                && let Some(why) = entry.overdue(limits)
            {
                tracing::debug!(client = %entry.client, why, "connection ended");
                entry.end();
                self.counts.overdue.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
