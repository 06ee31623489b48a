//! What a worker does with a block: rules, transition, all signatures in one batch, and the votes that it carries.

use super::handle::{NewBlock, Source};
use super::snapshot::Snapshot;
use consensus::fork_choice::{
    AttestationAction, BlockAction, DataAvailability, ExecutionVerdict, ValidAttestation, View, is_blob_data_available,
    is_column_data_available,
};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::NUMBER_OF_COLUMNS;
use consensus::signing::Context;
use consensus::ssz::Ssz;
use consensus::types::{BlobSidecar, DataColumnSidecar, Hash32, PowBlock, Root, ValidatorIndex};
use consensus::{Config, Fork, Invalid};
use std::sync::Arc;
use std::time::Duration;

/// What the engine said about a block's payload.
#[derive(Clone, Debug)]
pub(crate) struct EngineAnswer {
    /// The verdict.
    pub(crate) verdict: ExecutionVerdict,
    /// Its own words, where it has any.
    pub(crate) words: Option<String>,
}

/// A block that a worker has checked.
pub(crate) struct CheckedBlock {
    pub(crate) root: Root,
    pub(crate) action: BlockAction,
    /// Whether the columns that came with it are right, and enough.
    pub(crate) data: DataAvailability,
    /// The votes in it.
    pub(crate) votes: Vec<ValidAttestation>,
    /// Validators that it shows to have voted twice.
    pub(crate) silenced: Vec<ValidatorIndex>,
    /// How long the worker took.
    pub(crate) took: Duration,
}

/// Checks a block against a snapshot that holds its parent.
pub(crate) fn check_block(
    snapshot: &Snapshot,
    root: Root,
    new: &NewBlock,
    pow_block: impl Fn(&Hash32) -> Option<PowBlock>,
) -> CheckedBlock {
    let start = std::time::Instant::now();
    let config = snapshot.view.config();
    let check = |view: &View| {
        // What this node has written it has checked.
        let mut ctx = if new.source == Source::Replay {
            Context::trusting(config, &snapshot.keys)
        } else {
            Context::collecting(config, &snapshot.keys)
        };
        view.validate_block(&mut ctx, &new.block, &pow_block)
    };
    let needed = |action: &BlockAction| match action {
        BlockAction::DelayUntilState(root) => Some(*root),
        _ => None,
    };
    let action = snapshot.states.check(snapshot, check, needed).unwrap_or_else(|why| {
        tracing::warn!(%root, %why, "a state that a block builds on cannot be made again");
        // Not the block's fault: it may be handed in again.
        BlockAction::DelayUntilState(new.block.message.parent_root)
    });
    let mut checked = CheckedBlock {
        root,
        action,
        data: DataAvailability::Available,
        votes: Vec::new(),
        silenced: Vec::new(),
        took: Duration::ZERO,
    };
    if matches!(checked.action, BlockAction::Accept(_)) {
        checked.data = check_data(snapshot, root, new);
        read_votes(snapshot, new, &mut checked);
    }
    checked.took = start.elapsed();
    checked
}

/// Whether the blob data of a block is here and right. What this node has written it has checked, and data from before
/// the window in which it is served is nobody's concern.
///
/// Spec: deneb/ and fulu/fork-choice.md, `is_data_available`.
fn check_data(snapshot: &Snapshot, root: Root, new: &NewBlock) -> DataAvailability {
    let config = snapshot.view.config();
    let block = &new.block.message;
    let fork = config.fork_at_epoch(compute_epoch_at_slot(block.slot));
    let commitments = &block.body.blob_kzg_commitments;
    if new.source == Source::Replay || commitments.is_empty() {
        return DataAvailability::Available;
    }
    if fork >= Fork::Fulu {
        check_columns(config, fork, root, new)
    } else {
        check_blobs(root, new)
    }
}

fn check_columns(config: &Config, fork: Fork, root: Root, new: &NewBlock) -> DataAvailability {
    let body = &new.block.message.body;
    let is_foreign = |column: &&Arc<DataColumnSidecar>| {
        column.kzg_commitments != body.blob_kzg_commitments
            || column.signed_block_header.message.hash_tree_root(fork) != root
    };
    if let Some(column) = new.columns.iter().find(is_foreign) {
        let detail = format!("column {} is not of block {root}", column.index);
        return DataAvailability::Invalid(Invalid::new("column block", detail));
    }
    let mut indices: Vec<u64> = new.columns.iter().map(|column| column.index).collect();
    indices.sort_unstable();
    indices.dedup();
    if (indices.len() as u64) < NUMBER_OF_COLUMNS {
        return DataAvailability::Missing;
    }
    let columns: Vec<_> = new.columns.iter().map(|column| column.as_ref().clone()).collect();
    is_column_data_available(config, fork, &columns, &body.blob_kzg_commitments)
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

/// The votes and slashings in a valid block, for the fork choice. A vote for a branch that is no longer kept is worth
/// nothing and left out.
///
/// Spec: phase0/fork-choice.md, `on_attestation` with `is_from_block`, `on_attester_slashing`.
fn read_votes(snapshot: &Snapshot, new: &NewBlock, checked: &mut CheckedBlock) {
    let mut ctx = Context::trusting(snapshot.view.config(), &snapshot.keys);
    for attestation in &new.block.message.body.attestations {
        let check = |view: &View| view.validate_attestation(&mut ctx, attestation, true);
        let action = snapshot.states.check(snapshot, check, needed_for_vote);
        checked.votes.extend(action.and_then(AttestationAction::accepted).ok());
    }
    for slashing in &new.block.message.body.attester_slashings {
        let twice = snapshot.view.validate_attester_slashing(&mut ctx, slashing);
        checked.silenced.extend(twice.unwrap_or_default());
    }
}

/// The block whose state the check of a vote lacks.
pub(super) fn needed_for_vote(action: &AttestationAction) -> Option<Root> {
    match action {
        AttestationAction::DelayUntilState(root) => Some(*root),
        _ => None,
    }
}
