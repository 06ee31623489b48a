//! The run over a set: one thread walks and hands cases through a bounded queue to workers on all cores.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::judge::judge;
use crate::report::Summary;
use crate::runners::Runner;
use crate::skips::Skip;
use crate::source::{CaseFiles, Wanted, walk};

/// Name of the worker threads, by which a panic in a case is told from any other.
pub(crate) const WORKER: &str = "case";

/// Cases waiting for a worker: enough to keep every core busy, few enough that archives do not pile up in memory.
const QUEUE: usize = 64;

/// Stack of a worker: debug builds of deeply nested types need more than the usual 2 MiB.
const STACK_BYTES: usize = 16 << 20;

/// What to run and how.
pub struct Plan<'a> {
    /// Folder of preset folders or of archives.
    pub dir: PathBuf,
    /// Which cases.
    pub wanted: Wanted,
    /// Whether to damage expectations and demand failures.
    pub tamper: bool,
    /// Who runs them.
    pub runners: &'a [Runner],
    /// What is left out.
    pub skips: &'a [Skip],
}

/// Runs all wanted cases. An error says why the set could not be read, or that it holds no wanted case.
pub fn run(plan: &Plan) -> Result<Summary, String> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let (send, receive) = sync_channel(QUEUE);
    let queue = Mutex::new(receive);
    let mut summary = thread::scope(|scope| {
        let spawn = || {
            let builder = thread::Builder::new().name(WORKER.to_owned()).stack_size(STACK_BYTES);
            builder
                .spawn_scoped(scope, || work(plan, &queue))
                .map_err(|error| format!("no worker thread: {error}"))
        };
        let workers = (0..cores).map(|_| spawn()).collect::<Result<Vec<_>, _>>();
        let mut summary = workers.and_then(|workers| {
            let on_disk = hand_out(plan, send)?;
            Ok(workers.into_iter().fold(on_disk, |sum, worker| {
                sum.merged(worker.join().expect("a worker catches the panics of its cases"))
            }))
        });
        if let Ok(summary) = &mut summary {
            summary.failures.sort();
        }
        summary
    })?;
    if summary.on_disk() == 0 {
        let filters = plan.wanted.filters.join("' and '");
        let of_filters = if filters.is_empty() {
            String::new()
        } else {
            format!(" whose path holds '{filters}'")
        };
        return Err(format!(
            "{} has no case of preset {} or general{of_filters}",
            plan.dir.display(),
            crate::PRESET
        ));
    }
    summary.tamper = plan.tamper;
    Ok(summary)
}

/// Walks the set into the queue and counts what lies there. The queue closes at the end, whatever happened.
fn hand_out(plan: &Plan, send: SyncSender<CaseFiles>) -> Result<Summary, String> {
    let mut counted = Summary::default();
    counted.walk = walk(&plan.dir, &plan.wanted, &mut |case| {
        counted.count_on_disk(&case.path);
        // A closed queue means that every worker is gone; the join tells why.
        let _ = send.send(case);
    })?;
    Ok(counted)
}

fn work(plan: &Plan, queue: &Mutex<Receiver<CaseFiles>>) -> Summary {
    let mut summary = Summary::default();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(case) = next else { return summary };
        let judgement = judge(&case, plan.runners, plan.skips, plan.tamper);
        summary.add(&case.path, judgement);
    }
}
