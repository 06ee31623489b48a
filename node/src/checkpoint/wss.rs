//! For how long a checkpoint binds, and the one an operator names.

use crate::chain::{Chain, ChainEvent};
use crate::stop::Stop;
use anyhow::{Context as _, Result, bail, ensure};
use consensus::helpers::accessors::get_block_root_at_slot;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::types::{Checkpoint, Epoch, Root};
use consensus::weak_subjectivity::compute_weak_subjectivity_period;
use consensus::{Config, State};
use tokio::sync::broadcast::error::RecvError;

/// Reads `ROOT:EPOCH`.
pub fn parse_wss(text: &str) -> Result<Checkpoint> {
    let (root, epoch) = text.split_once(':').context("it is written ROOT:EPOCH")?;
    let root: Root = root.parse().ok().context("the root has 0x and 64 hexadecimal digits")?;
    let epoch: Epoch = epoch.parse().context("the epoch is a number")?;
    Ok(Checkpoint { epoch, root })
}

/// Refuses a state that is too old to be followed from at `epoch`: those who could forge a chain on it may have left
/// with their stakes. The sentence names the remedy.
///
/// Spec: phase0/weak-subjectivity.md, `is_within_weak_subjectivity_period`.
pub fn check_age(state: &State, config: &Config, epoch: Epoch) -> Result<()> {
    let of_state = compute_epoch_at_slot(state.slot);
    let period = compute_weak_subjectivity_period(state, config)?;
    ensure!(
        epoch <= of_state.saturating_add(period),
        "the newest final state here is of epoch {of_state}, and it is epoch {epoch}: after {period} epochs a chain cannot \
         be told from a forged one any more. Start again from a recent checkpoint: \
         `wren node --resync --checkpoint-sync-url URL` (beside the options that it has; keys stay untouched)"
    );
    Ok(())
}

/// Whether the chain of a state has this checkpoint; `None` where the state does not reach it, which may be too new or
/// too old.
fn has(state: &State, own: Option<Root>, wss: &Checkpoint) -> Option<bool> {
    let start = compute_start_slot_at_epoch(wss.epoch);
    if state.latest_block_header.slot <= start {
        // The latest block is the checkpoint's, if the epoch has begun.
        let own = own.filter(|_| state.slot >= start)?;
        return Some(own == wss.root);
    }
    let root = get_block_root_at_slot(state, start).ok()?;
    Some(root == wss.root)
}

/// Checks where the node begins against the checkpoint that its operator names. True if it has been passed and is right;
/// false if it lies ahead. An error if the chain is another one, or has left it too far behind to tell.
///
/// Spec: phase0/weak-subjectivity.md, "Checking for Stale Weak Subjectivity Checkpoint".
pub fn check_wss(state: &State, root: Root, wss: &Checkpoint) -> Result<bool> {
    match has(state, Some(root), wss) {
        Some(true) => Ok(true),
        Some(false) => bail!(wrong_chain(wss)),
        None if compute_epoch_at_slot(state.slot) < wss.epoch
            || state.slot < compute_start_slot_at_epoch(wss.epoch) =>
        {
            Ok(false)
        }
        None => bail!(
            "--wss-checkpoint of epoch {} lies too far behind to be checked: name a newer one",
            wss.epoch
        ),
    }
}

fn wrong_chain(wss: &Checkpoint) -> String {
    format!(
        "this is not the chain of --wss-checkpoint {}:{}: it has another block there. Check the checkpoint with several \
         sources; if it is right, start again with `wren node --resync --checkpoint-sync-url URL` from another source",
        wss.root, wss.epoch
    )
}

/// Waits until finality passes the checkpoint, and stops the node if another block is final there.
pub async fn watch_wss(chain: Chain, wss: Checkpoint, stop: Stop) {
    let mut events = chain.subscribe();
    loop {
        let snapshot = tokio::select! {
            event = events.recv() => match event {
                Ok(ChainEvent::Finalized { snapshot }) => snapshot,
                Ok(_) => continue,
                // What was lost may have been finality: the latest snapshot tells.
                Err(RecvError::Lagged(_)) => chain.snapshot(),
                Err(RecvError::Closed) => return,
            },
            () = stop.stopped() => return,
        };
        if snapshot.finalized().epoch < wss.epoch {
            continue;
        }
        match has(&snapshot.head_state, None, &wss) {
            Some(true) => tracing::info!("the chain has passed --wss-checkpoint and is the right one"),
            Some(false) => stop.fail(wrong_chain(&wss)),
            None => tracing::warn!("--wss-checkpoint was passed too fast to be checked"),
        }
        return;
    }
}
