//! Blocks: checked against their parent's state, then entered.

use super::action::BlockAction;
use super::node::{ExecutionStatus, Node};
use super::payload::ValidPayloadAttestation;
use super::store::{CheckpointState, Stopped, Store, View, empty_payload_votes, payload_hashes};
use crate::fork::Fork;
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::optimistic::is_optimistic_candidate_block;
use crate::preset::MIN_SEED_LOOKAHEAD;
use crate::signing::Context;
use crate::ssz::Ssz;
use crate::state::State;
use crate::transition::block::is_merge_transition_block;
use crate::transition::epoch::compute_unrealized_checkpoints;
use crate::transition::merge::validate_merge_block;
use crate::transition::state_transition;
use crate::types::{BeaconBlock, Checkpoint, Epoch, Hash32, PowBlock, Root, SignedBeaconBlock, Slot};
use crate::{Invalid, ensure};
use std::sync::Arc;

/// A block that is valid as far as the beacon chain can tell, with what entering it needs.
#[derive(Clone, Debug)]
pub struct ValidBlock {
    node: Node,
    unrealized_justified_checkpoint: Checkpoint,
    unrealized_finalized_checkpoint: Checkpoint,
    finalized_checkpoint: Checkpoint,
    /// States of checkpoints that it may justify.
    checkpoint_states: Vec<(Checkpoint, Arc<CheckpointState>)>,
    state: Arc<State>,
    payload_votes: Vec<ValidPayloadAttestation>,
    /// Whether the engine has yet to judge the payload; see `BlockAction::with_verdicts`.
    pub optimistic: bool,
    /// When it arrived, in Unix milliseconds, if not now: timeliness goes by that and not by when checks were done.
    pub received_ms: Option<u64>,
}

impl ValidBlock {
    /// The block's root.
    pub fn root(&self) -> Root {
        self.node.root
    }

    /// The state after it.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }
}

/// A cheap check has ended the matter.
type Early = Box<BlockAction>;

impl View {
    /// Checks a block and computes its post-state. Signatures go through the context. `get_pow_block` is asked for the
    /// terminal block of the merge and matters for the first block with a payload only.
    ///
    /// Data and execution are not looked at: `BlockAction::with_verdicts` adds what those who did have found.
    ///
    /// Spec: `on_block` in fork-choice.md of phase0, bellatrix, capella, deneb, fulu, gloas, up to the post-state.
    pub fn validate_block(
        &self,
        ctx: &mut Context,
        signed_block: &SignedBeaconBlock,
        get_pow_block: impl Fn(&Hash32) -> Option<PowBlock>,
    ) -> BlockAction {
        let block = &signed_block.message;
        let fork = self.config.fork_at_epoch(compute_epoch_at_slot(block.slot));
        let root = block.hash_tree_root(fork);
        let parent = match self.check_place(fork, block, root) {
            Ok(parent) => parent,
            Err(action) => return *action,
        };
        let checked = self.transition(ctx, parent, signed_block, root, get_pow_block);
        match checked {
            Ok(valid) => BlockAction::Accept(Box::new(valid)),
            // The engine may learn of the terminal block later.
            Err(Stopped::Wrong(why)) if why.rule == POW_BLOCK_AVAILABLE => BlockAction::DelayUntilExecution,
            Err(Stopped::Wrong(why)) => BlockAction::Reject(why),
            Err(Stopped::State(root)) => BlockAction::DelayUntilState(root),
        }
    }

    /// The cheap checks before the transition.
    fn check_place(&self, fork: Fork, block: &BeaconBlock, root: Root) -> Result<&Node, Early> {
        let early = |action| Err(Box::new(action));
        if self.blocks.get(&root).is_some() {
            return early(BlockAction::Ignore(Invalid::new(
                "block known",
                format!("{root} is here"),
            )));
        }
        let Some(parent) = self.blocks.get(&block.parent_root) else {
            return early(BlockAction::DelayUntilParent(block.parent_root));
        };
        if parent_is_full(fork, parent, block) && !parent.payload_verified {
            return early(BlockAction::DelayUntilPayload(block.parent_root));
        }
        if block.slot > self.get_current_slot() {
            return early(BlockAction::DelayUntilSlot(block.slot));
        }
        let finalized = self.finalized_checkpoint;
        let finalized_slot = compute_start_slot_at_epoch(finalized.epoch);
        if block.slot <= finalized_slot {
            let detail = format!("of slot {}, finalized is {finalized_slot}", block.slot);
            return early(BlockAction::Ignore(Invalid::new("block before finality", detail)));
        }
        let ancestor = self.blocks.get_checkpoint_block(&block.parent_root, finalized.epoch);
        if ancestor != Some(finalized.root) {
            let detail = format!("descends from {ancestor:?}, finalized is {}", finalized.root);
            return early(BlockAction::Reject(Invalid::new("finalized descendant", detail)));
        }
        if parent.invalid {
            let detail = format!("{} rests on an invalid payload", parent.root);
            return early(BlockAction::Reject(Invalid::new("invalid parent", detail)));
        }
        Ok(parent)
    }

    fn transition(
        &self,
        ctx: &mut Context,
        parent: &Node,
        signed_block: &SignedBeaconBlock,
        root: Root,
        get_pow_block: impl Fn(&Hash32) -> Option<PowBlock>,
    ) -> Result<ValidBlock, Stopped> {
        let block = &signed_block.message;
        let parent_state = self.need_state(&parent.root)?;
        let (state, _) = state_transition(parent_state, signed_block, ctx, true)?;
        let fork = state.at;
        if fork == Fork::Bellatrix && is_merge_transition_block(parent_state, &block.body) {
            validate_merge_block(&self.config, block, get_pow_block)?;
        }
        let pulled_up = compute_unrealized_checkpoints(&state, &self.config)?;
        let justified = pulled_up.current_justified_checkpoint;
        let mut checkpoint_states = Vec::new();
        for checkpoint in [state.current_justified_checkpoint, justified] {
            let new = checkpoint.epoch > self.justified_checkpoint.epoch;
            if new && checkpoint_states.iter().all(|(known, _)| *known != checkpoint) {
                checkpoint_states.push((checkpoint, self.compute_checkpoint_state(checkpoint)?));
            }
        }
        let payload_votes = if fork >= Fork::Gloas {
            self.payload_votes_of_block(&block.body.payload_attestations)?
        } else {
            Vec::new()
        };
        let (block_hash, parent_block_hash) = payload_hashes(fork, block);
        let finalized_checkpoint = state.finalized_checkpoint;
        let node = Node {
            root,
            slot: block.slot,
            proposer_index: block.proposer_index,
            parent_root: block.parent_root,
            state_root: block.state_root,
            parent: None,
            parent_full: parent_is_full(fork, parent, block),
            separate_payload: fork >= Fork::Gloas,
            block_hash,
            parent_block_hash,
            payload_verified: fork < Fork::Gloas,
            execution: ExecutionStatus::Valid,
            invalid: false,
            current_justified_checkpoint: state.current_justified_checkpoint,
            unrealized_justification: justified,
            block_timeliness: [false; 2],
            finalized_checkpoint,
            payload_votes: empty_payload_votes(fork),
        };
        Ok(ValidBlock {
            node,
            unrealized_justified_checkpoint: justified,
            unrealized_finalized_checkpoint: pulled_up.finalized_checkpoint,
            finalized_checkpoint,
            checkpoint_states,
            state: Arc::new(state),
            payload_votes,
            optimistic: false,
            received_ms: None,
        })
    }

    /// Whether a block may be entered before its payload is executed: its parent has a payload, or it is old.
    /// `safe_slots` is how old.
    ///
    /// Spec: sync/optimistic.md, `is_optimistic_candidate_block`.
    pub fn is_optimistic_candidate_block(&self, block: &BeaconBlock, safe_slots: u64) -> bool {
        let parent = self.blocks.get(&block.parent_root);
        let parent_is_execution_block = parent.is_some_and(|parent| !parent.block_hash.is_zero());
        is_optimistic_candidate_block(
            parent_is_execution_block,
            block.slot,
            self.get_current_slot(),
            safe_slots,
        )
    }

    /// Spec: phase0/ and gloas/fork-choice.md, `record_block_timeliness`.
    fn block_timeliness(&self, block: &Node, received_ms: u64) -> [bool; 2] {
        let is_current_slot = self.slot_at(received_ms) == block.slot;
        let time_into_slot_ms = self.time_into_slot_ms(received_ms);
        let deadlines = [
            self.config
                .get_attestation_due_ms(self.config.fork_at_epoch(compute_epoch_at_slot(block.slot))),
            self.config.get_payload_attestation_due_ms(),
        ];
        deadlines.map(|deadline| is_current_slot && time_into_slot_ms < deadline)
    }

    /// The block that decides the shuffling of `epoch` in the chain of `root`; zero for the first epochs, and where the
    /// chain is not kept so far back (which then is so for all chains, since they meet in the finalized block).
    ///
    /// Spec: phase0/ and gloas/fork-choice.md, `get_shuffling_dependent_root`.
    pub fn get_shuffling_dependent_root(&self, root: &Root, epoch: Epoch) -> Root {
        if epoch <= MIN_SEED_LOOKAHEAD {
            return Root::ZERO;
        }
        let slot: Slot = compute_start_slot_at_epoch(epoch - MIN_SEED_LOOKAHEAD).saturating_sub(1);
        let ancestor = self.blocks.get_ancestor(Self::pending(*root), slot);
        ancestor.map_or(Root::ZERO, |node| node.root)
    }
}

impl Store {
    /// Enters a valid block. Errors, and changes nothing, if meanwhile its parent has gone or the block has come.
    ///
    /// Spec: `on_block` in fork-choice.md of phase0 and gloas, from the post-state on.
    pub fn apply_block(&mut self, block: ValidBlock) -> Result<(), Invalid> {
        let ValidBlock { mut node, .. } = block;
        let (root, slot) = (node.root, node.slot);
        ensure!(self.blocks.get(&root).is_none(), "block known", "{root} is here");
        let parent = self.blocks.get(&node.parent_root);
        ensure!(parent.is_some(), "parent known", "{} is not", node.parent_root);
        // A separate payload is judged when its envelope comes.
        let executed = !node.separate_payload && !block.optimistic;
        if !executed {
            node.execution = ExecutionStatus::NotValidated;
        }
        node.block_timeliness = self.block_timeliness(&node, block.received_ms.unwrap_or(self.time_ms));
        let timely = node.block_timeliness[0];
        let head = self.get_head();
        if executed && let Some(parent) = self.blocks.place(&node.parent_root) {
            self.view.blocks.mark_valid(parent);
        }
        self.view.blocks.insert(node)?;
        self.view.states.insert(root, block.state);
        self.votes.add_block();
        for vote in &block.payload_votes {
            self.apply_payload_attestation(vote);
        }
        self.update_proposer_boost_root(head.root, root, timely);
        for (checkpoint, state) in block.checkpoint_states {
            self.keep_checkpoint_state(checkpoint, state);
        }
        let justified = self.blocks.get(&root).map(|block| block.current_justified_checkpoint);
        if let Some(justified) = justified {
            self.update_checkpoints(justified, block.finalized_checkpoint);
        }
        let (justified, finalized) = (
            block.unrealized_justified_checkpoint,
            block.unrealized_finalized_checkpoint,
        );
        self.update_unrealized_checkpoints(justified, finalized);
        // If the block is from a prior epoch, apply the realized values.
        if compute_epoch_at_slot(slot) < self.get_current_store_epoch() {
            self.update_checkpoints(justified, finalized);
        }
        Ok(())
    }

    /// Takes back what the engine's answer to the payload of a block shows to be invalid: the payloads after the latest
    /// valid one, and all blocks that rest on them. The block may be one that was therefore not entered; then
    /// `parent_root` is where its chain is.
    ///
    /// Spec: sync/optimistic.md, "Transitioning from NOT_VALIDATED -> INVALIDATED".
    pub fn apply_invalid_payload(&mut self, root: &Root, parent_root: &Root, latest_valid_hash: Option<Hash32>) {
        if let Some(place) = self.blocks.place(root) {
            self.view.blocks.invalidate(place, latest_valid_hash, true);
        } else if let Some(place) = self.blocks.place(parent_root) {
            self.view.blocks.invalidate(place, latest_valid_hash, false);
        }
    }

    /// The engine found the payload of a block valid that was entered on trust; with it all before are. False if the
    /// block is not known.
    ///
    /// Spec: sync/optimistic.md, "Transitioning from NOT_VALIDATED -> VALID".
    pub fn apply_valid_payload(&mut self, root: &Root) -> bool {
        let place = self.blocks.place(root);
        if let Some(place) = place {
            self.view.blocks.mark_valid(place);
        }
        place.is_some()
    }

    /// Spec: phase0/ and gloas/fork-choice.md, `update_proposer_boost_root`.
    fn update_proposer_boost_root(&mut self, head: Root, root: Root, is_timely: bool) {
        let is_first_block = self.proposer_boost_root.is_zero();
        if !is_timely || !is_first_block {
            return;
        }
        let epoch = self.get_current_store_epoch();
        if self.get_shuffling_dependent_root(&head, epoch) == self.get_shuffling_dependent_root(&root, epoch) {
            self.view.proposer_boost_root = root;
        }
    }
}

/// The rule by which `validate_merge_block` says that it does not know enough.
const POW_BLOCK_AVAILABLE: &str = "pow block available";

/// Whether the block builds on its parent's payload; before Gloas, and on such a parent, always.
///
/// Spec: gloas/fork-choice.md, `is_parent_node_full`.
fn parent_is_full(fork: Fork, parent: &Node, block: &BeaconBlock) -> bool {
    !parent.separate_payload || payload_hashes(fork, block).1 == parent.block_hash
}
