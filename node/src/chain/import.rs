//! What a worker does with a block: rules, transition, all signatures in one batch, and the votes that it carries.

use super::data::check_data;
use super::handle::{NewBlock, Source};
use super::snapshot::Snapshot;
use crate::custody::Held;
use consensus::fork_choice::{
    AttestationAction, BlockAction, DataAvailability, ExecutionVerdict, ValidAttestation, View,
};
use consensus::signing::Context;
use consensus::types::{Hash32, PowBlock, Root, ValidatorIndex};
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
    held: &Held,
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
        checked.data = check_data(snapshot, held, root, new);
        read_votes(snapshot, new, &mut checked);
    }
    checked.took = start.elapsed();
    checked
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
