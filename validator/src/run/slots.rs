//! Slot by slot: at each start of a slot its duties begin, each in a task of its own, bounded by the slot's worth.

use super::startup::fork_stop;
use crate::context::Context;
use crate::{attest, propose, sync_committee};
use consensus::slot_clock::SlotClock;
use consensus::types::Slot;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Duties of a slot end by themselves within two slots; this ends what does not.
const SLOTS_PER_DUTY: u32 = 3;
/// After a stop, duties under way may go on for so many slots.
const SLOTS_AFTER_STOP: u32 = 2;
/// A clock that is set back by more slots than this begins them anew; by less, it waits for the slot that is next.
const SLOTS_SET_BACK: Slot = 2;
/// How often waiting for genesis, and a clock that is wrong, are told.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// Runs duties until `stop`, then finishes those under way. An error says why duties cannot go on.
pub(super) async fn drive(ctx: Context, slots: SlotClock, mut stop: watch::Receiver<bool>) -> Result<(), String> {
    let mut tasks = JoinSet::new();
    let mut last: Option<Slot> = None;
    let mut told_clock: Option<tokio::time::Instant> = None;
    let result = loop {
        let next = last.map_or_else(|| ctx.clock.now().slot, |last| last.saturating_add(1));
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break Ok(()),
            () = until_slot(&ctx, next, &mut told_clock) => {}
        }
        if let Some(step) = ctx.clock.stepped() {
            let seconds = step as f64 / 1000.0;
            tracing::warn!("the clock of this machine jumped by {seconds:+.1} s, or the machine slept");
        }
        // After a jump it may be another slot than the one that was waited for.
        let now = ctx.clock.now();
        if let Some(done) = last.filter(|last| now.slot <= *last) {
            // Set back: duties that were done are not begun again. After a clock that was far ahead there are none.
            if now.slot.saturating_add(SLOTS_SET_BACK) < done {
                last = Some(now.slot);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        last = Some(now.slot);
        tell_clock(&ctx, &mut told_clock);
        let stopped = fork_stop(&ctx.config, &slots, now.epoch);
        // The fork may be years away where the clock is wrong.
        if let Some(why) = stopped.filter(|_| ctx.clock.wrong().is_none()) {
            break Err(why);
        }
        begin(&ctx, now.slot, &mut tasks);
        reap(&mut tasks);
    };
    finish(&ctx, last, tasks).await;
    result
}

/// Waits for the start of a slot, or until the clock was set back from it; before genesis it says so once a minute.
async fn until_slot(ctx: &Context, slot: Slot, told_clock: &mut Option<tokio::time::Instant>) {
    let start = ctx.clock.start_of(slot);
    let mut told: Option<tokio::time::Instant> = None;
    loop {
        let now = ctx.clock.now();
        if now.ms >= start || now.slot.saturating_add(SLOTS_SET_BACK) < slot {
            return;
        }
        tell_clock(ctx, told_clock);
        if now.until_genesis_ms > 0 && told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            tracing::info!("waiting for genesis, {} s to go", now.until_genesis_ms.div_ceil(1000));
            told = Some(tokio::time::Instant::now());
        }
        // In pieces, so that the waiting is told and a step of the clock noticed, in either direction: not until a time, which
        // would be a day away where the clock was a day ahead.
        let piece = Duration::from_millis(start.saturating_sub(now.ms).min(1_000));
        tokio::time::sleep(piece).await;
    }
}

fn tell_clock(ctx: &Context, told: &mut Option<tokio::time::Instant>) {
    let wrong = ctx.clock.wrong();
    ctx.report
        .metrics
        .clock_wrong
        .store(u64::from(wrong.is_some()), Ordering::Relaxed);
    let Some(why) = wrong else {
        if told.take().is_some() {
            tracing::info!("the clock of this machine agrees with the beacon nodes again");
        }
        return;
    };
    if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
        tracing::error!("nothing is signed while the clock of this machine is wrong: {why}");
        *told = Some(tokio::time::Instant::now());
    }
}

/// Starts the duties of a slot: three tasks, so that at most nine live at a time.
fn begin(ctx: &Context, slot: Slot, tasks: &mut JoinSet<()>) {
    let limit = ctx.clock.slot_duration() * SLOTS_PER_DUTY;
    let bounded = move |name: &'static str, duty: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| async move {
        if tokio::time::timeout(limit, duty).await.is_err() {
            tracing::error!("{name} of slot {slot} did not end within {SLOTS_PER_DUTY} slots and were given up");
        }
    };
    tasks.spawn(bounded(
        "the proposal duties",
        Box::pin(propose::run(ctx.clone(), slot)),
    ));
    tasks.spawn(bounded(
        "the attestation duties",
        Box::pin(attest::run(ctx.clone(), slot)),
    ));
    tasks.spawn(bounded(
        "the sync committee duties",
        Box::pin(sync_committee::run(ctx.clone(), slot)),
    ));
}

/// Takes what has ended; a duty that panicked is told and the others go on.
fn reap(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.try_join_next() {
        if let Err(error) = ended {
            tracing::error!("a duty stopped by a bug, please report it: {error}");
        }
    }
}

/// Lets the duties under way end, for two slots at most.
async fn finish(ctx: &Context, last: Option<Slot>, mut tasks: JoinSet<()>) {
    reap(&mut tasks);
    let due = last.is_some_and(|slot| ctx.duties.borrow().has_duty_at(slot));
    if !due {
        return;
    }
    if let Some(slot) = last {
        tracing::info!("finishing the duties of slot {slot}");
    }
    let limit = ctx.clock.slot_duration() * SLOTS_AFTER_STOP;
    let ended = tokio::time::timeout(limit, async { while tasks.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::warn!("duties that were still under way after {SLOTS_AFTER_STOP} slots were given up");
    }
}
