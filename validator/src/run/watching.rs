//! The loops that keep what is known up to date: nodes' health, their event streams, our validators and duties, doubles,
//! and what nodes are told ahead. Each ends when it is dropped.

use crate::beacon::{Ask, Event, Events, Genesis, HeadEvent, Need};
use crate::context::Context;
use crate::doppelganger::{self, Doppelganger, Doubles};
use crate::fetch::Fetcher;
use crate::gate::Allowed;
use crate::heads::Heads;
use crate::prepare::Preparer;
use crate::summary;
use consensus::preset::SLOTS_PER_EPOCH;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// A node that is not ready is asked this often.
const UNREADY_PAUSE: Duration = Duration::from_secs(2);
/// Between two attempts to open an event stream, at first and at most.
const STREAM_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Slots of silence after which a stream is taken for dead: a node that sends no head for so long has none.
const SILENT_SLOTS: u32 = 4;
/// Between two rounds for duties that failed.
const FETCH_AGAIN: Duration = Duration::from_secs(2);
/// How often it is said that duties cannot be had.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// An event with the node it came from and the time.
pub(super) type Heard = (usize, Event, u64);

/// Asks one node for its health: once a slot, or more often while it is not ready.
pub(super) async fn check_node(ctx: Context, position: usize, genesis: Genesis) {
    loop {
        if let Some(text) = ctx.nodes.check(position, &ctx.config, &genesis, &ctx.clock).await {
            tracing::info!("{text}");
        }
        let epoch = ctx.clock.now().epoch;
        let (ready, count) = ctx.nodes.ready(position, epoch);
        ctx.report.metrics.nodes_ready.store(count as u64, Ordering::Relaxed);
        let pause = ctx.clock.slot_duration();
        tokio::time::sleep(if ready { pause } else { pause.min(UNREADY_PAUSE) }).await;
    }
}

/// Keeps the event stream of one node open and passes its events on. What comes faster than it is taken is dropped and
/// counted: the next head makes up for it.
pub(super) async fn listen(ctx: Context, position: usize, heard: mpsc::Sender<Heard>) {
    let silence = ctx.clock.slot_duration() * SILENT_SLOTS;
    let mut pause = STREAM_PAUSE.0;
    loop {
        let node = &ctx.nodes.all()[position];
        match Events::open(node).await {
            Ok(mut events) => {
                tracing::debug!("event stream of {} is open", node.url());
                let opened = Instant::now();
                let error = loop {
                    match events.next(silence).await {
                        Ok(event) => {
                            if heard.try_send((position, event, ctx.clock.now_ms())).is_err() {
                                ctx.report.metrics.events_dropped.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        // One event that is not understood does not end the stream.
                        Err(error) if error.kind == crate::beacon::Kind::BadAnswer => {
                            tracing::debug!("event stream of {}: {error}", node.url());
                        }
                        Err(error) => break error,
                    }
                };
                tracing::debug!("event stream of {}: {error}", node.url());
                if opened.elapsed() > silence {
                    pause = STREAM_PAUSE.0;
                }
            }
            Err(error) => tracing::debug!("{error}"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(STREAM_PAUSE.1);
    }
}

/// Puts the events of all nodes together. Events of nodes that must not be asked count for nothing.
pub(super) async fn follow_heads(ctx: Context, mut heard: mpsc::Receiver<Heard>, heads: watch::Sender<Heads>) {
    while let Some((from, event, at_ms)) = heard.recv().await {
        let now = ctx.clock.now();
        let (ready, _) = ctx.nodes.ready(from, now.epoch);
        let (Event::Head(HeadEvent { slot, .. }) | Event::Block { slot, .. } | Event::Reorg { slot, .. }) = &event;
        ctx.clock.heard_head(from, *slot);
        // What lies ahead of the clock would hide the heads that come in their time.
        if !ready || *slot > now.slot.saturating_add(1) {
            continue;
        }
        if let Event::Reorg { slot, depth } = &event {
            tracing::debug!("the chain was reorganized at slot {slot}, {depth} slots deep");
        }
        let is_best = ctx.nodes.best(Need::Head, now.epoch) == Some(from);
        heads.send_if_modified(|heads| heads.take(&event, from, is_best, at_ms));
    }
}

/// Keeps our validators and duties up to date: in every slot, and when a head shows that duties have changed.
pub(super) async fn fetch_duties(mut fetcher: Fetcher) {
    let mut heads = fetcher.ctx.heads.clone();
    let mut told: Option<Instant> = None;
    loop {
        let failed = match fetcher.round().await {
            Ok(()) => {
                told = None;
                false
            }
            Err(error) => {
                if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
                    tracing::warn!("waiting for duties: {error}");
                    told = Some(Instant::now());
                }
                true
            }
        };
        let clock = fetcher.ctx.clock.clone();
        let now = clock.now();
        // In the middle of a slot, when nothing else is due, and at an epoch's first slot at once.
        let half = clock.slot_duration() / 2;
        let next = clock
            .start_of(now.slot.saturating_add(1))
            .saturating_add(half.as_millis() as u64);
        let pause = if failed {
            FETCH_AGAIN.min(half)
        } else {
            // A clock that is behind, and is set right, would have it wait for what is long past.
            clock.until(next).min(clock.slot_duration())
        };
        let roots = heads.borrow_and_update().roots;
        tokio::select! {
            _ = heads.wait_for(|heads| heads.roots != roots) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Decides slot by slot which keys may sign; ends when a double was seen.
pub(super) async fn guard(ctx: Context, mut guard: Doppelganger, allowed: watch::Sender<Allowed>) -> Doubles {
    let mut validators = ctx.validators.clone();
    let mut told = None;
    loop {
        let now = ctx.clock.now();
        let keys = ctx.gate.public_keys();
        ctx.report
            .metrics
            .keys_enabled
            .store(keys.len() as u64, Ordering::Relaxed);
        let known = validators.borrow_and_update().clone();
        let questions = guard.questions(&keys, &known, now);
        let ask = Ask {
            within: ctx.clock.slot_duration() / 2,
            ..ctx.ask("liveness", Need::Head, now.slot, 0)
        };
        let (seen, error) = doppelganger::ask(&ctx.nodes, ask, &questions).await;
        if let Some(error) = error {
            tracing::debug!("{error}");
        }
        let result = guard.step(&known, &seen, now);
        doppelganger::publish(&guard, &allowed);
        ctx.report
            .metrics
            .keys_signing
            .store(allowed.borrow().len() as u64, Ordering::Relaxed);
        if let Err(doubles) = result {
            return doubles;
        }
        let listening = guard.listening();
        if listening != told {
            if let Some((count, last)) = listening {
                tracing::info!("{count} keys listen for a double until the end of epoch {last}, then they sign");
            } else {
                tracing::info!("no double was seen, all keys sign");
            }
            told = listening;
        }
        let slot = ctx.clock.slot_duration();
        let next = ctx
            .clock
            .start_of(now.slot.saturating_add(1))
            .saturating_add((slot / 4).as_millis() as u64);
        tokio::select! {
            _ = validators.changed() => {}
            () = tokio::time::sleep(ctx.clock.until(next).min(slot)) => {}
        }
    }
}

/// Tells nodes ahead what they must know: after each change of the duties, and once a slot.
pub(super) async fn prepare(ctx: Context) {
    let mut duties = ctx.duties.clone();
    let slot = ctx.clock.slot_duration();
    let mut preparer = Preparer::new(ctx);
    loop {
        preparer.round().await;
        // A change comes in several steps; they are told together.
        tokio::select! {
            _ = duties.changed() => tokio::time::sleep(slot / 8).await,
            () = tokio::time::sleep(slot) => {}
        }
        duties.mark_unchanged();
    }
}

/// Tells in each epoch what the one before has come to and what the chain has settled.
pub(super) async fn sum_up(ctx: Context) {
    loop {
        let epoch = ctx.clock.now().epoch;
        // The last slot's attestations have two slots to go out.
        let slot = epoch
            .saturating_add(1)
            .saturating_mul(SLOTS_PER_EPOCH)
            .saturating_add(2);
        // Slot by slot: a clock that is set back by days would make it wait as long.
        while (epoch..=epoch.saturating_add(1)).contains(&ctx.clock.now().epoch) && ctx.clock.now().slot < slot {
            tokio::time::sleep(ctx.clock.slot_duration()).await;
        }
        if ctx.clock.now().slot < slot {
            continue;
        }
        if let Some(text) = ctx.report.summary(epoch) {
            tracing::info!("{text}");
        }
        let Some(settled) = summary::settled_at(epoch.saturating_add(1)) else {
            continue;
        };
        if let Some(text) = summary::earned(&ctx, settled, slot).await {
            tracing::info!("{text}");
        }
    }
}

/// The database's word on what keys signed in an epoch, in the place where it was written.
pub(super) fn recorded(signer: &crate::signer::Signer) -> doppelganger::Recorded {
    let protection = signer.protection().clone();
    Arc::new(move |key, epoch| {
        if !protection.at_home() {
            return false;
        }
        match protection.targets_since(key, epoch) {
            Ok(targets) => targets.contains(&epoch),
            Err(error) => {
                tracing::warn!("the slashing protection database did not answer: {error:#}");
                false
            }
        }
    })
}
