//! Lanes into the workers: what is urgent goes first, nothing starves, and what does not fit is dropped and counted.
//!
//! Docs: docs/architecture.md §4, with the capacities of the lanes and the rule of one turn in eight.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The lanes, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// A block that this node's validator is about to propose.
    Produce,
    /// Blocks that came.
    Block,
    /// Data columns that came.
    Column,
    /// Answers of the Beacon API.
    Api,
    /// Aggregates, with sync committee contributions.
    Aggregate,
    /// Attestations, with sync committee messages.
    Attestation,
    /// Exits, slashings, changes of credentials.
    Operation,
    /// Old blocks.
    Backfill,
}

impl Lane {
    /// All, most urgent first.
    pub const ALL: [Lane; 8] = [
        Lane::Produce,
        Lane::Block,
        Lane::Column,
        Lane::Api,
        Lane::Aggregate,
        Lane::Attestation,
        Lane::Operation,
        Lane::Backfill,
    ];

    /// How many jobs may wait. A block takes a worker for up to a second on a small machine and comes every twelve; votes
    /// of a slot come in a burst of thousands, and are worth nothing a slot later.
    pub const fn capacity(self) -> usize {
        match self {
            Lane::Produce | Lane::Backfill => 4,
            Lane::Block | Lane::Api => 64,
            Lane::Column => 512,
            Lane::Aggregate => 1024,
            Lane::Attestation => 4096,
            Lane::Operation => 256,
        }
    }

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Lane::Produce => "produce",
            Lane::Block => "block",
            Lane::Column => "column",
            Lane::Api => "api",
            Lane::Aggregate => "aggregate",
            Lane::Attestation => "attestation",
            Lane::Operation => "operation",
            Lane::Backfill => "backfill",
        }
    }
}

/// Something for a worker to do.
pub type Job = Box<dyn FnOnce() + Send>;

/// There is no room in the lane, or the job was lost with a panic or a stop: the asker may try again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the node is too busy; try again in a moment")
    }
}

impl std::error::Error for Busy {}

/// The queues before the workers. Clones share them.
#[derive(Clone)]
pub struct Work {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Shared {
    queues: Mutex<Queues>,
    ready: Condvar,
    dropped: [AtomicU64; Lane::ALL.len()],
    done: [AtomicU64; Lane::ALL.len()],
}

#[derive(Default)]
struct Queues {
    lanes: [VecDeque<Job>; Lane::ALL.len()],
    turns: u64,
    closed: bool,
}

/// Every so many turns the least urgent lane gets one.
const TURNS: u64 = 8;

impl Queues {
    /// The next job and its lane. Votes are taken newest first: the old ones may be worthless by now.
    fn next(&mut self) -> Option<(usize, Job)> {
        self.turns += 1;
        let waiting = |place: &usize| !self.lanes[*place].is_empty();
        let place = if self.turns.is_multiple_of(TURNS) {
            (0..self.lanes.len()).rev().find(waiting)?
        } else {
            (0..self.lanes.len()).find(waiting)?
        };
        let lane = &mut self.lanes[place];
        let job = if Lane::ALL[place] == Lane::Attestation {
            lane.pop_back()
        } else {
            lane.pop_front()
        };
        job.map(|job| (place, job))
    }
}

impl Default for Work {
    fn default() -> Self {
        Self::new()
    }
}

impl Work {
    /// Empty lanes.
    pub fn new() -> Self {
        Work { shared: Arc::default() }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        // Jobs run outside of the lock, so a panic cannot have left it half changed.
        self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job into a lane. `Busy` if the lane is full; a full lane of attestations drops its oldest instead.
    pub fn push(&self, lane: Lane, job: Job) -> Result<(), Busy> {
        let place = lane as usize;
        let mut queues = self.queues();
        if queues.closed {
            return Err(Busy);
        }
        let queue = &mut queues.lanes[place];
        let mut old = None;
        if queue.len() >= lane.capacity() {
            self.shared.dropped[place].fetch_add(1, Ordering::Relaxed);
            if lane != Lane::Attestation {
                return Err(Busy);
            }
            old = queue.pop_front();
        }
        queue.push_back(job);
        drop(queues);
        // Dropped outside of the lock, since that may wake whoever waits for it.
        drop(old);
        self.shared.ready.notify_one();
        Ok(())
    }

    /// Runs `job` on a worker and waits for its result without holding up the asker's thread.
    pub async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, result) = oneshot::channel();
        self.push(
            lane,
            Box::new(move || {
                // Whoever asked may have gone; then nobody wants the answer.
                let _ = answer.send(job());
            }),
        )?;
        result.await.map_err(|_| Busy)
    }

    /// The life of a worker: jobs until the lanes are closed and empty. A job that panics is logged and dropped.
    pub fn work(&self) {
        loop {
            let mut queues = self.queues();
            let (place, job) = loop {
                if let Some(job) = queues.next() {
                    break job;
                }
                if queues.closed {
                    return;
                }
                queues = self.shared.ready.wait(queues).unwrap_or_else(PoisonError::into_inner);
            };
            drop(queues);
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!(
                    lane = Lane::ALL[place].name(),
                    "a job failed; this is a bug, please report it"
                );
            }
            self.shared.done[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// No more jobs are taken; workers finish what is there and end.
    pub fn close(&self) {
        self.queues().closed = true;
        self.shared.ready.notify_all();
    }

    /// Jobs waiting, done and dropped in a lane.
    pub fn counts(&self, lane: Lane) -> [u64; 3] {
        let place = lane as usize;
        let waiting = self.queues().lanes[place].len() as u64;
        [
            waiting,
            self.shared.done[place].load(Ordering::Relaxed),
            self.shared.dropped[place].load(Ordering::Relaxed),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which marks of jobs come out of one worker.
    fn order(jobs: &[(Lane, u32)]) -> Vec<u32> {
        let work = Work::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (lane, mark) in jobs {
            let (seen, mark) = (Arc::clone(&seen), *mark);
            work.push(*lane, Box::new(move || seen.lock().unwrap().push(mark)))
                .unwrap();
        }
        work.close();
        work.work();
        let seen = seen.lock().unwrap();
        seen.clone()
    }

    #[test]
    fn urgent_jobs_go_first_and_votes_newest_first() {
        let jobs = [
            (Lane::Attestation, 1),
            (Lane::Attestation, 2),
            (Lane::Block, 3),
            (Lane::Block, 4),
            (Lane::Produce, 5),
        ];
        assert_eq!(order(&jobs), [5, 3, 4, 2, 1]);
    }

    #[test]
    fn one_turn_in_eight_goes_to_the_least_urgent() {
        let mut jobs: Vec<(Lane, u32)> = (0..20).map(|mark| (Lane::Block, mark)).collect();
        jobs.push((Lane::Backfill, 100));
        assert_eq!(order(&jobs)[7], 100);
    }

    #[test]
    fn a_full_lane_refuses_and_counts() {
        let work = Work::new();
        for _ in 0..Lane::Produce.capacity() {
            work.push(Lane::Produce, Box::new(|| ())).unwrap();
        }
        assert_eq!(work.push(Lane::Produce, Box::new(|| ())), Err(Busy));
        assert_eq!(work.counts(Lane::Produce), [4, 0, 1]);
        for _ in 0..=Lane::Attestation.capacity() {
            work.push(Lane::Attestation, Box::new(|| ())).unwrap();
        }
        assert_eq!(work.counts(Lane::Attestation), [4096, 0, 1]);
    }

    #[test]
    fn a_panic_ends_neither_worker_nor_asker() {
        let work = Work::new();
        let asker = work.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let worker = std::thread::spawn(move || work.work());
        let lost: Result<(), Busy> = runtime.block_on(asker.run(Lane::Api, || panic!("on purpose")));
        assert_eq!(lost, Err(Busy));
        assert_eq!(runtime.block_on(asker.run(Lane::Api, || 7)), Ok(7));
        asker.close();
        worker.join().unwrap();
    }
}
