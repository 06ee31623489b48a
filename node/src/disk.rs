//! The disk thread: the only one that writes the database. What it has committed is on disk, and only then are those
//! who wait told so.

use crate::chain::Imported;
use crate::stop::Stop;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::ssz::Ssz;
use consensus::types::{BlobSidecar, Checkpoint, DataColumnSidecar, Epoch, Root, SignedBeaconBlock, Slot};
use consensus::{Config, Fork, State};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use storage::{Sidecar, Storage, StoredSidecar};
use tokio::sync::oneshot;

/// How much may wait to be written. A block that has been checked holds little more than itself; where the disk cannot
/// keep up with 64 of them, the chain waits for it rather than acknowledge what is not there.
const WRITES_MAX: usize = 64;

/// How many writes become one batch with one sync.
const BATCH_MAX: usize = 32;

/// What is to be written.
pub(crate) enum Write {
    /// A block that is in the fork choice.
    Block {
        root: Root,
        block: Arc<SignedBeaconBlock>,
        columns: Vec<Arc<DataColumnSidecar>>,
        blobs: Vec<Arc<BlobSidecar>>,
        answers: Vec<oneshot::Sender<Imported>>,
    },
    /// The head.
    Head(Slot, Root),
    /// A new finalized checkpoint, the blocks of its chain since the one before, and what its state justifies.
    Finalized {
        checkpoint: Checkpoint,
        blocks: Vec<(Slot, Root)>,
        justified: Checkpoint,
    },
    /// The stop was orderly: written last.
    CleanStop,
}

/// The way to the disk thread.
#[derive(Clone)]
pub(crate) struct Disk {
    writes: SyncSender<Write>,
}

impl Disk {
    /// The way, and its other end for `run`.
    pub(crate) fn new() -> (Disk, Receiver<Write>) {
        let (writes, receiver) = sync_channel(WRITES_MAX);
        (Disk { writes }, receiver)
    }

    /// Has something written, in order. Waits where too much waits already; without a disk thread the node is stopping.
    pub(crate) fn write(&self, write: Write) {
        if self.writes.send(write).is_err() {
            tracing::debug!("nothing is written any more: the node stops");
        }
    }
}

/// A state to be kept, with the root of its latest block.
pub(crate) type Kept = (Arc<State>, Root);

/// Epochs of which every state is kept on disk; of older ones that of every 32nd.
const STATE_EPOCHS: u64 = 64;

/// The life of the thread that keeps states: it takes seconds for a large one, which blocks must not wait for.
/// Ends when nobody can hand in more, or when the disk fails.
pub(crate) fn run_states(storage: &Storage, states: &Receiver<Kept>, stop: &Stop) {
    while let Ok((state, root)) = states.recv() {
        match storage.save_state(&state, &root) {
            Ok(saved) => tracing::debug!(slot = state.slot, ?saved, "state kept"),
            Err(error) => {
                stop.fail(format!("cannot write a state: {error}"));
                return;
            }
        }
        let old = compute_epoch_at_slot(state.slot).saturating_sub(STATE_EPOCHS);
        if let Err(error) = storage.prune_states(compute_start_slot_at_epoch(old)) {
            stop.fail(format!("cannot drop old states: {error}"));
            return;
        }
    }
}

/// The life of the disk thread: ends when all ways to it are gone, or when the disk fails.
pub(crate) fn run(storage: &Storage, config: &Config, writes: &Receiver<Write>, stop: &Stop) {
    while let Ok(first) = writes.recv() {
        let more = std::iter::from_fn(|| writes.try_recv().ok()).take(BATCH_MAX - 1);
        let all: Vec<Write> = std::iter::once(first).chain(more).collect();
        if let Err(error) = write_all(storage, config, all) {
            stop.fail(format!("cannot write the database: {error:#}"));
            return;
        }
    }
}

fn write_all(storage: &Storage, config: &Config, writes: Vec<Write>) -> storage::Result<()> {
    let mut batch = storage.batch();
    let mut answers = Vec::new();
    let mut finalized = None;
    for write in writes {
        match write {
            Write::Block {
                root,
                block,
                columns,
                blobs,
                answers: waiting,
            } => {
                let fork = config.fork_at_epoch(compute_epoch_at_slot(block.message.slot));
                put_sidecars(storage, &stored_sidecars(fork, &root, &columns, &blobs))?;
                batch.put_block(&root, fork, &block);
                answers.extend(waiting);
            }
            Write::Head(slot, root) => batch.set_head(slot, &root),
            Write::Finalized {
                checkpoint,
                blocks,
                justified,
            } => {
                for (slot, root) in blocks {
                    batch.set_canonical(slot, &root);
                }
                batch.set_finalized(&checkpoint);
                batch.set_justified(&justified);
                finalized = Some(checkpoint.epoch);
            }
            Write::CleanStop => batch.set_clean_stop(true),
        }
    }
    batch.commit()?;
    for answer in answers {
        // Whoever asked may have gone.
        let _ = answer.send(Imported::Done);
    }
    if let Some(epoch) = finalized {
        prune(storage, config, epoch)?;
    }
    Ok(())
}

/// Columns and blobs are the first that a disk running full goes without: they can be fetched again.
fn put_sidecars(storage: &Storage, sidecars: &[StoredSidecar]) -> storage::Result<()> {
    if sidecars.is_empty() {
        return Ok(());
    }
    match storage.put_sidecars(sidecars) {
        Err(error @ storage::Error::DiskLow { .. }) => {
            tracing::warn!("columns are not kept: {error}");
            Ok(())
        }
        done => done,
    }
}

/// Slots that pruning goes through at once: after a long pause the rest follows with the next finalized epochs, so that
/// no block waits for it.
const PRUNE_SLOTS_MAX: u64 = 4096;

/// Epochs before the finalized one of which blocks stay in any case: a restart replays them from a state of every 32nd
/// epoch, twice over in case one is missing.
const REPLAY_EPOCHS: u64 = 64;

/// Drops blocks and sidecars from before the windows in which they are served, a piece at a time.
///
/// Spec: fulu/p2p-interface.md, `DataColumnSidecarsByRange v1`; phase0/p2p-interface.md, `BeaconBlocksByRange v1`.
fn prune(storage: &Storage, config: &Config, finalized: Epoch) -> storage::Result<()> {
    let start = |epochs: u64| compute_start_slot_at_epoch(finalized.saturating_sub(epochs));
    let of_columns = config
        .min_epochs_for_data_column_sidecars_requests
        .max(config.min_epochs_for_blob_sidecars_requests);
    storage.prune_sidecars(start(of_columns))?;
    let of_blocks = config.compute_min_epochs_for_block_requests().max(REPLAY_EPOCHS);
    let wanted = start(of_blocks);
    let Some(oldest) = storage.blocks_in(0..wanted).next().transpose()? else {
        return Ok(());
    };
    storage.prune_blocks(wanted.min(oldest.slot.saturating_add(PRUNE_SLOTS_MAX)))
}

fn stored_sidecars(
    fork: Fork,
    root: &Root,
    columns: &[Arc<DataColumnSidecar>],
    blobs: &[Arc<BlobSidecar>],
) -> Vec<StoredSidecar> {
    let columns = columns.iter().map(|column| StoredSidecar {
        slot: column.signed_block_header.message.slot,
        root: *root,
        kind: Sidecar::Column,
        index: column.index,
        fork,
        ssz: column.encode(fork),
    });
    let blobs = blobs.iter().map(|blob| StoredSidecar {
        slot: blob.signed_block_header.message.slot,
        root: *root,
        kind: Sidecar::Blob,
        index: blob.index,
        fork,
        ssz: blob.encode(fork),
    });
    columns.chain(blobs).collect()
}
