//! What the chain thread publishes: all that readers need, at one moment, never changed again.

use super::states::States;
use crate::execution::ForkchoiceState;
use consensus::duties::get_proposers;
use consensus::fork_choice::{CheckpointState, ForkChoiceNode, Node, PayloadStatus, View};
use consensus::gossip::{Gossip, GossipView, PayloadValidationStatus, Seen};
use consensus::helpers::accessors::get_committee_count_per_slot;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::keys::Keys;
use consensus::preset::{MIN_SEED_LOOKAHEAD, SLOTS_PER_EPOCH};
use consensus::signing::Context;
use consensus::slot_clock::SlotClock;
use consensus::transition::process_slots;
use consensus::types::{AttestationData, Checkpoint, Epoch, Hash32, Root, Slot, ValidatorIndex};
use consensus::{Config, Fork, Invalid, State, ensure};
use std::sync::Arc;

/// The head of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The block.
    pub root: Root,
    /// Its slot.
    pub slot: Slot,
    /// The root of the state after it.
    pub state_root: Root,
    /// The hash of its payload; zero before the merge.
    pub block_hash: Hash32,
    /// What fork choice decided about its payload; `Pending` before Gloas.
    pub payload_status: PayloadStatus,
    /// Whether its payload, or one before it, is not executed yet. Spec: sync/optimistic.md, `is_optimistic`.
    pub optimistic: bool,
}

/// A state moved on to an epoch, with the proposers that it knows.
#[derive(Debug)]
pub struct Ahead {
    /// The block whose state it was.
    pub root: Root,
    /// The state, at the start of its epoch or later in it.
    pub state: Arc<State>,
    /// The checkpoint that the epoch's votes have as target, if this is its state.
    pub(crate) checkpoint: Option<(Checkpoint, Arc<CheckpointState>)>,
    /// The proposers of its epoch and, from Fulu on, of the next.
    proposers: Vec<ValidatorIndex>,
}

impl Ahead {
    /// The state of `root`, moved on to `epoch` where it is older. A transition: for workers.
    pub fn of(root: Root, state: &Arc<State>, config: &Config, epoch: Epoch) -> Result<Self, Invalid> {
        let start = compute_start_slot_at_epoch(epoch);
        let state = if state.slot < start {
            let mut state = State::clone(state);
            process_slots(&mut state, config, start)?;
            Arc::new(state)
        } else {
            Arc::clone(state)
        };
        let proposers = get_proposers(&state)?;
        let is_checkpoint = state.slot == start && state.latest_block_header.slot <= start;
        let checkpoint = is_checkpoint.then(|| {
            let checkpoint = Checkpoint { epoch, root };
            (checkpoint, Arc::new(CheckpointState::new(Arc::clone(&state))))
        });
        Ok(Ahead {
            root,
            state,
            checkpoint,
            proposers,
        })
    }

    /// The epoch of the state.
    pub fn epoch(&self) -> Epoch {
        compute_epoch_at_slot(self.state.slot)
    }

    /// Who proposes at `slot`, if the state knows.
    pub fn proposer(&self, slot: Slot) -> Option<ValidatorIndex> {
        let place = slot.checked_sub(compute_start_slot_at_epoch(self.epoch()))?;
        self.proposers.get(usize::try_from(place).ok()?).copied()
    }
}

/// The chain as it stands. Holds the head and the fork choice without its votes.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the snapshots of this run.
    pub number: u64,
    /// Blocks since finality, checkpoints and time.
    pub view: View,
    /// The head.
    pub head: Head,
    /// The state after the head block, as that block left it.
    pub head_state: Arc<State>,
    /// The head state in the current epoch, with what is asked of it often.
    pub ahead: Arc<Ahead>,
    /// The payload that will stay, by fast confirmation; zero before the merge.
    pub safe_block_hash: Hash32,
    /// The payload of the finalized block; zero before the merge.
    pub finalized_block_hash: Hash32,
    /// The registry's keys.
    pub keys: Arc<Keys>,
    /// How many bytes the states in memory are charged for, beside the one that they share.
    pub state_bytes: usize,
    /// Where states are that had to be computed.
    pub states: Arc<States>,
}

impl Snapshot {
    /// The slot of the clock when this was published.
    pub fn current_slot(&self) -> Slot {
        self.view.get_current_slot()
    }

    /// The block of this root, if it is not older than the finalized one.
    pub fn block(&self, root: &Root) -> Option<&Node> {
        self.view.blocks().get(root)
    }

    /// The finalized checkpoint.
    pub fn finalized(&self) -> Checkpoint {
        self.view.finalized_checkpoint()
    }

    /// What the execution client should follow.
    pub fn forkchoice_state(&self) -> ForkchoiceState {
        ForkchoiceState {
            head_block_hash: self.head.block_hash,
            safe_block_hash: self.safe_block_hash,
            finalized_block_hash: self.finalized_block_hash,
        }
    }

    /// Whether a block waits for the engine's verdict, its own or one before it. True for an unknown block.
    pub fn is_optimistic(&self, root: &Root) -> bool {
        self.block(root).is_none() || self.view.blocks().is_optimistic(root)
    }

    /// Whether a block is on the chain of the head.
    pub fn is_canonical(&self, root: &Root) -> bool {
        let Some(block) = self.block(root) else { return false };
        self.ancestor(self.head.root, block.slot) == Some(*root)
    }

    /// The block of the chain of `root` at or before `slot`, as far back as finality.
    pub fn ancestor(&self, root: Root, slot: Slot) -> Option<Root> {
        let mut block = self.block(&root)?;
        while block.slot > slot {
            block = self.block(&block.parent_root)?;
        }
        Some(block.root)
    }

    /// The last block before the epoch that `epoch`'s shuffling is made in, on the chain of the head: as long as it
    /// stays, the duties of `epoch` do. The oldest block kept where the chain is not kept so far back.
    ///
    /// Spec: beacon-APIs, `dependent_root` of duties; `lookahead` is 1 for attesters, and for proposers from Fulu on.
    pub fn dependent_root(&self, epoch: Epoch, lookahead: u64) -> Root {
        let start = compute_start_slot_at_epoch(epoch.saturating_sub(lookahead));
        let wanted = start.saturating_sub(1);
        let oldest = || {
            self.view
                .blocks()
                .nodes()
                .first()
                .map_or(self.head.root, |block| block.root)
        };
        self.ancestor(self.head.root, wanted).unwrap_or_else(oldest)
    }

    /// What a committee member of `slot` votes for. Errors for a slot that is not in the epochs around the head.
    ///
    /// Spec: phase0/ to electra/validator.md, "Attestation data".
    pub fn attestation_data(&self, slot: Slot, committee_index: u64) -> Result<AttestationData, Invalid> {
        let epoch = compute_epoch_at_slot(slot);
        let fork = self.view.config().fork_at_epoch(epoch);
        let root = self.ancestor(self.head.root, slot).unwrap_or(self.head.root);
        let block = self.block(&root);
        let block = block.ok_or_else(|| Invalid::new("attestation slot", format!("{slot} is before finality")))?;
        ensure!(
            slot <= self.current_slot().saturating_add(1),
            "attestation slot",
            "{slot} is in the future, the clock says {}",
            self.current_slot()
        );
        let start = compute_start_slot_at_epoch(epoch);
        let target = self.ancestor(root, start).unwrap_or(root);
        // The state after the start of the epoch, without moving it there: what the block justified is what counts then.
        let source = if compute_epoch_at_slot(block.slot) < epoch {
            block.unrealized_justification
        } else {
            block.current_justified_checkpoint
        };
        Ok(AttestationData {
            slot,
            index: if fork >= Fork::Electra { 0 } else { committee_index },
            beacon_block_root: root,
            source,
            target: Checkpoint { epoch, root: target },
        })
    }

    /// The rules of gossip with what they ask of this snapshot. `state` is `ahead`'s, or has the message's committees.
    pub(super) fn rules<'a>(&'a self, seen: &'a Seen, state: &'a State, now_ms: u64, ctx: Context<'a>) -> Gossip<'a> {
        let mut gossip = Gossip::new(self, seen, state, now_ms, ctx);
        let clock = SlotClock::new(self.view.config(), state.genesis_time);
        let slot = clock.slot_at(now_ms).unwrap_or_default();
        let is_recent = |block: &Node| block.slot.saturating_add(SLOTS_PER_EPOCH) >= slot;
        // A busy node's head may be behind. What comes into the registry is active four epochs later at the earliest, so
        // that an epoch without a block is still time enough.
        gossip.state_is_current =
            self.ahead.epoch() >= compute_epoch_at_slot(slot) && self.block(&self.ahead.root).is_some_and(is_recent);
        gossip
    }

    /// How many committees a slot of `epoch` has on the chain of the head.
    pub fn committees_per_slot(&self, epoch: Epoch) -> u64 {
        get_committee_count_per_slot(&self.ahead.state, epoch)
    }
}

impl GossipView for Snapshot {
    fn block_slot(&self, root: Root) -> Option<Slot> {
        self.block(&root).map(|block| block.slot)
    }

    fn is_valid_block(&self, root: Root) -> bool {
        self.block(&root).is_some()
    }

    fn payload_status(&self, root: Root) -> PayloadValidationStatus {
        let seen = self.block(&root).and_then(Node::seen_payload);
        seen.map_or(PayloadValidationStatus::NotValidated, PayloadValidationStatus::from)
    }

    fn finalized_checkpoint(&self) -> Checkpoint {
        self.view.finalized_checkpoint()
    }

    fn checkpoint_block(&self, root: Root, epoch: Epoch) -> Option<Root> {
        self.view.blocks().get_checkpoint_block(&root, epoch)
    }

    fn proposer_index(&self, parent_root: Root, slot: Slot) -> Option<ValidatorIndex> {
        let epoch = compute_epoch_at_slot(slot);
        // Chains that share the dependent block share the proposers: the state at hand answers for all of them.
        let lookahead = if self.view.config().fork_at_epoch(epoch) >= Fork::Fulu {
            MIN_SEED_LOOKAHEAD
        } else {
            0
        };
        let decided = compute_start_slot_at_epoch(epoch.saturating_sub(lookahead)).saturating_sub(1);
        let same = self.ancestor(parent_root, decided) == self.ancestor(self.head.root, decided);
        same.then(|| self.ahead.proposer(slot)).flatten()
    }

    fn fork_choice(&self) -> Option<(&View, ForkChoiceNode)> {
        let head = ForkChoiceNode {
            root: self.head.root,
            payload_status: self.head.payload_status,
        };
        Some((&self.view, head))
    }
}
