//! The disk thread: the only one that writes the database. What it has committed is on disk, and only then are those
//! who wait told so.

use crate::chain::Imported;
use crate::stop::Stop;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::ssz::Ssz;
use consensus::types::{BlobSidecar, Checkpoint, DataColumnSidecar, Root, SignedBeaconBlock, Slot};
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
    /// A new finalized checkpoint, the blocks of its chain since the one before, and its state.
    Finalized {
        checkpoint: Checkpoint,
        blocks: Vec<(Slot, Root)>,
        state: Arc<State>,
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

/// The life of the thread that keeps finalized states: it takes seconds for a large one, which blocks must not wait for.
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
                storage.put_sidecars(&stored_sidecars(fork, &root, &columns, &blobs))?;
                batch.put_block(&root, fork, &block);
                answers.extend(waiting);
            }
            Write::Head(slot, root) => batch.set_head(slot, &root),
            Write::Finalized {
                checkpoint,
                blocks,
                state,
            } => {
                for (slot, root) in blocks {
                    batch.set_canonical(slot, &root);
                }
                batch.set_finalized(&checkpoint);
                batch.set_justified(&state.current_justified_checkpoint);
            }
            Write::CleanStop => batch.set_clean_stop(true),
        }
    }
    batch.commit()?;
    for answer in answers {
        // Whoever asked may have gone.
        let _ = answer.send(Imported::Done);
    }
    Ok(())
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
