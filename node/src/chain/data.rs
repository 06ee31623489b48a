//! Whether a block's blob data is here: all columns that this node samples, or half of all columns, from which a worker
//! makes the rest. A block waits for its data only when everything else about it has been found right.

use super::actor::Actor;
use super::handle::{Event, NewBlock, Source};
use super::import::CheckedBlock;
use super::intake::{Want, checked_sidecars};
use super::pending::{For, Waiting};
use super::snapshot::Snapshot;
use crate::custody::Held;
use crate::work::{Busy, Lane};
use consensus::das::{CellsAndProofs, get_data_column_sidecars_from_column_sidecar, recover_matrix};
use consensus::fork_choice::{DataAvailability, is_blob_data_available, is_column_data_available};
use consensus::gossip::Verdict;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::NUMBER_OF_COLUMNS;
use consensus::ssz::Ssz;
use consensus::types::{BlobSidecar, DataColumnSidecar, MatrixEntry, Root, Slot};
use consensus::{Config, Fork, Invalid};
use std::sync::Arc;
use tokio::sync::oneshot;

/// As many columns restore the rest. Spec: fulu/das-core.md, "Reconstruction and cross-seeding".
pub(crate) const ENOUGH_TO_REBUILD: usize = NUMBER_OF_COLUMNS as usize / 2;

/// How long after the last column half of them are taken as all that will come, in milliseconds: columns of a block
/// come within some hundred milliseconds, and making them costs more than waiting for them.
const REBUILD_AFTER_MS: u64 = 200;

/// What a worker has found about the data of a waiting block.
pub(crate) struct CheckedData {
    root: Root,
    data: DataAvailability,
    /// Columns that were made from others.
    rebuilt: Vec<Arc<DataColumnSidecar>>,
}

/// The fork whose rules say what data the block needs, or `None` if it needs none: it has no blobs, was checked before,
/// or is from before the window in which its data is served.
pub(crate) fn data_fork(config: &Config, current_slot: Slot, new: &NewBlock) -> Option<Fork> {
    let block = &new.block.message;
    if new.source == Source::Replay || block.body.blob_kzg_commitments.is_empty() {
        return None;
    }
    needed_at(config, current_slot, block.slot)
}

/// The fork whose rules say what data blocks of `slot` need, `None` where nobody has to serve it any more.
///
/// Spec: deneb/ and fulu/p2p-interface.md, `MIN_EPOCHS_FOR_BLOB_SIDECARS_REQUESTS` and
/// `MIN_EPOCHS_FOR_DATA_COLUMN_SIDECARS_REQUESTS`.
pub(crate) fn needed_at(config: &Config, current_slot: Slot, slot: Slot) -> Option<Fork> {
    let epoch = compute_epoch_at_slot(slot);
    let fork = config.fork_at_epoch(epoch);
    let epochs = if fork >= Fork::Fulu {
        config.min_epochs_for_data_column_sidecars_requests
    } else {
        config.min_epochs_for_blob_sidecars_requests
    };
    let served = epoch.saturating_add(epochs) >= compute_epoch_at_slot(current_slot);
    (fork >= Fork::Deneb && served).then_some(fork)
}

/// Whether the blob data of a block is here and right. What came by gossip or sync was checked when it came; what came
/// by the API is checked here.
///
/// Spec: deneb/ and fulu/fork-choice.md, `is_data_available`.
pub(crate) fn check_data(snapshot: &Snapshot, held: &Held, root: Root, new: &NewBlock) -> DataAvailability {
    let config = snapshot.view.config();
    let Some(fork) = data_fork(config, snapshot.current_slot(), new) else {
        return DataAvailability::Available;
    };
    if fork >= Fork::Fulu {
        check_columns(config, fork, held, root, new)
    } else {
        check_blobs(root, new)
    }
}

fn check_columns(config: &Config, fork: Fork, held: &Held, root: Root, new: &NewBlock) -> DataAvailability {
    let body = &new.block.message.body;
    let is_foreign = |column: &&Arc<DataColumnSidecar>| {
        column.kzg_commitments != body.blob_kzg_commitments
            || column.signed_block_header.message.hash_tree_root(fork) != root
    };
    if let Some(column) = new.columns.iter().find(is_foreign) {
        let detail = format!("column {} is not of block {root}", column.index);
        return DataAvailability::Invalid(Invalid::new("column block", detail));
    }
    if !missing_columns(held, new).is_empty() {
        return DataAvailability::Missing;
    }
    if new.source != Source::Api {
        return DataAvailability::Available;
    }
    let columns: Vec<_> = new.columns.iter().map(|column| column.as_ref().clone()).collect();
    is_column_data_available(config, fork, &columns, &body.blob_kzg_commitments)
}

/// The sampled columns that are not here.
fn missing_columns(held: &Held, new: &NewBlock) -> Vec<u64> {
    let mut here = [false; NUMBER_OF_COLUMNS as usize];
    for column in &new.columns {
        if let Some(place) = here.get_mut(column.index as usize) {
            *place = true;
        }
    }
    let missing = held.sampled.iter().filter(|index| !here[**index as usize]);
    missing.copied().collect()
}

fn check_blobs(root: Root, new: &NewBlock) -> DataAvailability {
    let commitments = &new.block.message.body.blob_kzg_commitments;
    let mut blobs: Vec<_> = new.blobs.iter().collect();
    blobs.sort_by_key(|blob| blob.index);
    blobs.dedup_by_key(|blob| blob.index);
    let is_foreign = |blob: &&&Arc<BlobSidecar>| {
        let of_block = blob.signed_block_header.message.hash_tree_root(Fork::Deneb) == root;
        !of_block || commitments.get(blob.index as usize) != Some(&blob.kzg_commitment)
    };
    if let Some(blob) = blobs.iter().find(is_foreign) {
        let detail = format!("blob {} is not of block {root}", blob.index);
        return DataAvailability::Invalid(Invalid::new("blob block", detail));
    }
    if blobs.len() < commitments.len() {
        return DataAvailability::Missing;
    }
    let (data, proofs): (Vec<_>, Vec<_>) = blobs.iter().map(|blob| (blob.blob.clone(), blob.kzg_proof)).unzip();
    is_blob_data_available(commitments, &data, &proofs)
}

/// The columns that are not among these, made from them. Dear: tens of milliseconds a blob.
///
/// Spec: fulu/das-core.md, `recover_matrix`.
pub(crate) fn rebuild_columns(
    fork: Fork,
    columns: &[Arc<DataColumnSidecar>],
) -> Result<Vec<Arc<DataColumnSidecar>>, Invalid> {
    let mut sorted: Vec<&Arc<DataColumnSidecar>> = columns.iter().collect();
    sorted.sort_by_key(|column| column.index);
    sorted.dedup_by_key(|column| column.index);
    let first = sorted.first();
    let first = first.ok_or_else(|| Invalid::new("columns to rebuild from", "there are none"))?;
    let blobs = first.kzg_commitments.len();
    let mut matrix = Vec::with_capacity(blobs * sorted.len());
    for column in &sorted {
        for (row, (cell, proof)) in column.column.iter().zip(column.kzg_proofs.iter()).enumerate() {
            matrix.push(MatrixEntry {
                cell: *cell,
                kzg_proof: *proof,
                column_index: column.index,
                row_index: row as u64,
            });
        }
    }
    let whole = recover_matrix(&matrix, blobs as u64)?;
    let rows = whole.chunks(NUMBER_OF_COLUMNS as usize).map(|row| CellsAndProofs {
        cells: row.iter().map(|entry| entry.cell).collect(),
        proofs: row.iter().map(|entry| entry.kzg_proof).collect(),
    });
    let all = get_data_column_sidecars_from_column_sidecar(fork, first, &rows.collect::<Vec<_>>())?;
    let is_new = |column: &DataColumnSidecar| sorted.binary_search_by_key(&column.index, |known| known.index).is_err();
    Ok(all.into_iter().filter(is_new).map(Arc::new).collect())
}

impl Actor {
    /// Puts a block aside whose data is not all here, with what is known about it.
    pub(crate) fn await_data(
        &mut self,
        root: Root,
        mut waiting: Waiting,
        checked: Box<CheckedBlock>,
        execution: Option<super::EngineAnswer>,
    ) {
        waiting.checked = Some(checked);
        waiting.execution = execution;
        self.put_aside(root, waiting, For::Columns, "its blob data is not all here yet");
        self.look_for_data(root);
    }

    /// Goes on with a block that waits for data, if enough has come; otherwise has it looked for, once a slot.
    pub(crate) fn look_for_data(&mut self, root: Root) {
        let slot = self.current_slot();
        let now_ms = self.chain.clock.now_ms();
        let held = self.chain.custody.held();
        let Some(waiting) = self.pending.get_mut(&root) else {
            return;
        };
        if waiting.wanted != For::Columns {
            return;
        }
        let Some(fork) = data_fork(&self.chain.config, slot, &waiting.new) else {
            self.check_data_of(root, false);
            return;
        };
        let missing = missing_data(&held, fork, &waiting.new);
        if missing.is_empty() {
            self.check_data_of(root, false);
            return;
        }
        if fork >= Fork::Fulu && waiting.new.columns.len() >= ENOUGH_TO_REBUILD {
            waiting.rebuild_at = Some(now_ms.saturating_add(REBUILD_AFTER_MS));
        }
        if waiting.asked != Some(slot) {
            waiting.asked = Some(slot);
            let block = Arc::clone(&waiting.new.block);
            self.chain.want(Want::Data { root, block });
        }
    }

    /// Once a tick: rebuilds what half of the columns is here of, and with a new slot asks again for what is missing.
    pub(crate) fn tick_data(&mut self, now_ms: u64, new_slot: bool) {
        for root in self.pending.those(|wanted| wanted == For::Columns) {
            let Some(waiting) = self.pending.get_mut(&root) else {
                continue;
            };
            if waiting.rebuild_at.is_some_and(|at| at <= now_ms) {
                waiting.rebuild_at = None;
                self.check_data_of(root, true);
            } else if new_slot {
                self.look_for_data(root);
            }
        }
        if new_slot {
            self.sidecars.prune(self.current_slot());
        }
    }

    /// Has a worker look at the data of a block, and first make the columns that are missing where `rebuild` says so.
    fn check_data_of(&mut self, root: Root, rebuild: bool) {
        let Some(waiting) = self.pending.get_mut(&root) else {
            return;
        };
        waiting.wanted = For::Answers;
        let (chain, mut new) = (self.chain.clone(), waiting.new.share());
        let job = Box::new(move || {
            let mut rebuilt = Vec::new();
            let fork = chain
                .config
                .fork_at_epoch(compute_epoch_at_slot(new.block.message.slot));
            if rebuild {
                match rebuild_columns(fork, &new.columns) {
                    Ok(columns) => rebuilt = columns,
                    Err(why) => tracing::error!(%root, %why, "columns cannot be rebuilt"),
                }
                let held = chain.custody.held();
                rebuilt.retain(|column| held.samples(column.index));
                new.columns.extend(rebuilt.iter().cloned());
                tracing::debug!(%root, columns = rebuilt.len(), "columns rebuilt");
            }
            let data = check_data(&chain.snapshot(), &chain.custody.held(), root, &new);
            chain.tell_certainly(Event::Data(Box::new(CheckedData { root, data, rebuilt })));
        });
        if self.chain.work.push(Lane::Column, job) == Err(Busy) {
            self.give_up(root, "the node is too busy; hand it in again later");
        }
    }

    /// A worker has looked at the data of a block.
    pub(crate) fn on_data(&mut self, checked: CheckedData) {
        let CheckedData { root, data, rebuilt } = checked;
        if !rebuilt.is_empty() {
            for sidecar in checked_sidecars(root, rebuilt.clone(), Vec::new()) {
                // From now on the same by gossip is known; those that came meanwhile are not sent twice.
                self.seen.settle(Verdict::Accept, sidecar.marks);
                self.pending.add_sidecar(&root, sidecar.sidecar);
            }
            self.chain.want(Want::Columns(rebuilt));
        }
        if let Some(waiting) = self.pending.get_mut(&root)
            && let Some(known) = &mut waiting.checked
        {
            known.data = data;
            self.decide(root);
        }
    }

    /// Answers what a block lacks that waits for data.
    pub(crate) fn on_missing(&mut self, root: Root, answer: oneshot::Sender<Option<Vec<u64>>>) {
        let slot = self.current_slot();
        let held = self.chain.custody.held();
        let config = Arc::clone(&self.chain.config);
        let waiting = self.pending.get_mut(&root);
        let waiting = waiting.filter(|waiting| waiting.wanted == For::Columns);
        let missing = waiting.and_then(|waiting| {
            let fork = data_fork(&config, slot, &waiting.new)?;
            Some(missing_data(&held, fork, &waiting.new))
        });
        // Whoever asked may have gone.
        let _ = answer.send(missing);
    }

    /// Asks the execution client for the blobs of a block that has just come, which are often there before the columns.
    ///
    /// Spec: fulu/p2p-interface.md, "Distributed blob publishing using blobs retrieved from local execution-layer
    /// client".
    pub(crate) fn ask_engine_for_blobs(&mut self, root: Root, new: &NewBlock) {
        let known = self.store.blocks().get(&root).is_some() || self.pending.get_mut(&root).is_some();
        if !known && data_fork(&self.chain.config, self.current_slot(), new).is_some() {
            self.engine.want_blobs(root, &new.block);
        }
    }
}

/// What a block of `fork` lacks: columns, or blobs before Fulu.
fn missing_data(held: &Held, fork: Fork, new: &NewBlock) -> Vec<u64> {
    if fork >= Fork::Fulu {
        return missing_columns(held, new);
    }
    let count = new.block.message.body.blob_kzg_commitments.len() as u64;
    let is_missing = |index: &u64| new.blobs.iter().all(|blob| blob.index != *index);
    (0..count).filter(is_missing).collect()
}
