//! Topic `proposer_preferences`, from Gloas on.

use super::verdict::{Checked, ignore, ignore_unless, reject_unless};
use super::{Gossip, Mark, Verdict};
use crate::constants::DOMAIN_PROPOSER_PREFERENCES;
use crate::fork::Fork;
use crate::fork_choice::{Node, View};
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::preset::{MIN_SEED_LOOKAHEAD, SLOTS_PER_EPOCH};
use crate::ssz::{Root, Ssz};
use crate::state::State;
use crate::types::{Checkpoint, Epoch, ProposerPreferences, SignedProposerPreferences};

/// Spec: gloas/p2p-interface.md, "New `proposer_preferences`".
pub fn validate_proposer_preferences_gossip(
    gossip: &mut Gossip,
    signed_proposer_preferences: &SignedProposerPreferences,
) -> Verdict {
    rules(gossip, signed_proposer_preferences).into()
}

fn rules(gossip: &mut Gossip, signed: &SignedProposerPreferences) -> Checked {
    let preferences = &signed.message;
    let (view, root) = (gossip.view, preferences.dependent_root);
    let current_slot = gossip.current_slot();
    let current_epoch = compute_epoch_at_slot(current_slot);
    let proposal_epoch = compute_epoch_at_slot(preferences.proposal_slot);
    ignore_unless(
        (current_epoch..=current_epoch + MIN_SEED_LOOKAHEAD).contains(&proposal_epoch),
        "proposal slot is not within the proposer lookahead",
    )?;
    ignore_unless(
        preferences.proposal_slot > current_slot,
        "proposal slot has already passed",
    )?;
    let Some(dependent_slot) = view.block_slot(root) else {
        return ignore("the block of the dependent root has not been seen");
    };
    let epoch = proposal_epoch.saturating_sub(MIN_SEED_LOOKAHEAD);
    reject_unless(
        dependent_slot < compute_start_slot_at_epoch(epoch),
        "dependent root is too late for the proposal slot",
    )?;
    let fork_choice = view.fork_choice();
    ignore_unless(
        fork_choice.is_some_and(|(view, head)| is_valid_dependent_root(view, &head.root, &root, epoch)),
        "dependent root is not a possible one",
    )?;
    let Some(checkpoint_state) = view.checkpoint_state(Checkpoint { epoch, root }) else {
        return ignore("the state of the dependent root is not available");
    };
    reject_unless(
        is_valid_proposal_slot(checkpoint_state, preferences),
        "validator is not the proposer of the slot",
    )?;
    let mark = Mark::ProposerPreferences(Box::new(preferences.clone()));
    gossip.check_first(&mark)?;
    check_signature(gossip, signed)?;
    gossip.marks.push(mark);
    Ok(())
}

fn check_signature(gossip: &mut Gossip, signed: &SignedProposerPreferences) -> Checked {
    let preferences = &signed.message;
    let epoch = compute_epoch_at_slot(preferences.proposal_slot);
    let domain = gossip.domain(DOMAIN_PROPOSER_PREFERENCES, epoch);
    gossip.check_validator_signature(
        "invalid proposer preferences signature",
        preferences.validator_index,
        domain,
        // Nodes listen before the fork, too.
        preferences.hash_tree_root(Fork::Gloas),
        &signed.signature,
    )
}

/// Whether the block of `root` is, or could become, the last one before `epoch` on some branch. `head` is the block that
/// `get_head` said. False for an unknown block.
///
/// Spec: gloas/p2p-interface.md, `is_valid_dependent_root`.
pub fn is_valid_dependent_root(view: &View, head: &Root, root: &Root, epoch: Epoch) -> bool {
    let epoch_start_slot = compute_start_slot_at_epoch(epoch);
    if view
        .blocks()
        .get(root)
        .is_none_or(|block| block.slot >= epoch_start_slot)
    {
        return false;
    }
    // One pass over what is kept since finality: some hundred blocks on a chain that finalizes.
    let is_next = |block: &Node| block.parent_root == *root && block.slot >= epoch_start_slot;
    root == head || view.blocks().nodes().iter().any(is_next)
}

/// Whether the validator proposes at the slot, as far as the state looks ahead.
///
/// Spec: gloas/p2p-interface.md, `is_valid_proposal_slot`.
pub fn is_valid_proposal_slot(state: &State, preferences: &ProposerPreferences) -> bool {
    let current_epoch = get_current_epoch(state);
    let proposal_epoch = compute_epoch_at_slot(preferences.proposal_slot);
    if proposal_epoch < current_epoch || proposal_epoch > current_epoch + MIN_SEED_LOOKAHEAD {
        return false;
    }
    let index = (proposal_epoch - current_epoch) * SLOTS_PER_EPOCH + preferences.proposal_slot % SLOTS_PER_EPOCH;
    state.proposer_lookahead.get(index as usize) == Some(&preferences.validator_index)
}
