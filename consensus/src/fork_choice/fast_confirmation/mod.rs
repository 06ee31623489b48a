//! Fast confirmation: the latest block that will stay in the chain if votes arrive within their slot.
//!
//! Once a slot, before attestations are due, the rule looks at the votes and moves its confirmed block on, or back to
//! the finalized one where its assumptions have broken. The execution engine learns of it as the safe block.
//!
//! Spec: fast-confirmation.md of phase0, bellatrix, gloas.

mod ffg;
mod lmd;
mod weights;

use super::node::Node;
use super::store::{CheckpointState, Store};
use crate::helpers::misc::compute_epoch_at_slot;
use crate::preset::SLOTS_PER_EPOCH;
use crate::types::{Checkpoint, Epoch, Hash32, Root, Slot};
use crate::{Invalid, ensure};
use std::sync::Arc;
use weights::Rule;

/// A justified checkpoint with its state, which the store may have dropped by the time it is needed.
#[derive(Clone, Debug)]
struct Observed {
    checkpoint: Checkpoint,
    state: Arc<CheckpointState>,
}

/// What the rule remembers from slot to slot.
///
/// Spec: phase0/fast-confirmation.md, `FastConfirmationStore`.
#[derive(Clone, Debug)]
pub struct FastConfirmationStore {
    confirmed_root: Root,
    previous_epoch_observed_justified: Observed,
    current_epoch_observed_justified: Observed,
    previous_epoch_greatest_unrealized: Observed,
    previous_slot_head: Root,
    current_slot_head: Root,
    /// The slot of the latest run: a second one in a slot would lose the head of the slot before.
    latest_run: Option<Slot>,
}

impl FastConfirmationStore {
    /// Begins with a fork-choice store that has just begun.
    ///
    /// Spec: phase0/fast-confirmation.md, `get_fast_confirmation_store`.
    pub fn get_fast_confirmation_store(store: &Store) -> Self {
        let anchor = Observed {
            checkpoint: store.justified_checkpoint,
            state: Arc::clone(&store.justified),
        };
        let root = store.finalized_checkpoint.root;
        FastConfirmationStore {
            confirmed_root: root,
            previous_epoch_observed_justified: anchor.clone(),
            current_epoch_observed_justified: anchor.clone(),
            previous_epoch_greatest_unrealized: anchor,
            previous_slot_head: root,
            current_slot_head: root,
            latest_run: None,
        }
    }

    /// The latest confirmed block.
    pub fn confirmed_root(&self) -> Root {
        self.confirmed_root
    }

    /// Spec: phase0/fast-confirmation.md, `FastConfirmationStore`.
    pub fn previous_epoch_observed_justified_checkpoint(&self) -> Checkpoint {
        self.previous_epoch_observed_justified.checkpoint
    }

    /// Spec: phase0/fast-confirmation.md, `FastConfirmationStore`.
    pub fn current_epoch_observed_justified_checkpoint(&self) -> Checkpoint {
        self.current_epoch_observed_justified.checkpoint
    }

    /// Spec: phase0/fast-confirmation.md, `FastConfirmationStore`.
    pub fn previous_epoch_greatest_unrealized_checkpoint(&self) -> Checkpoint {
        self.previous_epoch_greatest_unrealized.checkpoint
    }

    /// The head at the start of the previous slot.
    pub fn previous_slot_head(&self) -> Root {
        self.previous_slot_head
    }

    /// The head at the start of the current slot.
    pub fn current_slot_head(&self) -> Root {
        self.current_slot_head
    }

    /// Runs the rule: once a slot, when the votes of past slots are entered and attestations not yet due. A second call
    /// in a slot is refused. Otherwise errs only where an epoch that has begun cannot be processed from the head.
    ///
    /// Spec: phase0/fast-confirmation.md, `on_fast_confirmation`.
    pub fn on_fast_confirmation(&mut self, store: &Store) -> Result<(), Invalid> {
        let slot = store.get_current_slot();
        ensure!(
            self.latest_run < Some(slot),
            "fast confirmation slot",
            "it has run in slot {slot}"
        );
        self.latest_run = Some(slot);
        self.update_fast_confirmation_variables(store);
        self.confirmed_root = Rule::new(self, store)?.get_latest_confirmed()?;
        Ok(())
    }

    /// Spec: phase0/fast-confirmation.md, `update_fast_confirmation_variables`.
    fn update_fast_confirmation_variables(&mut self, store: &Store) {
        let current_slot = store.get_current_slot();
        self.previous_slot_head = self.current_slot_head;
        self.current_slot_head = store.get_head().root;
        if is_start_slot_at_epoch(current_slot.saturating_add(1)) {
            let checkpoint = store.unrealized_justified_checkpoint;
            let state = store.checkpoint_state(&checkpoint);
            let state = state.expect("a block brings the states of the checkpoints that it justifies");
            self.previous_epoch_greatest_unrealized = Observed {
                checkpoint,
                state: Arc::clone(state),
            };
        }
        if is_start_slot_at_epoch(current_slot) {
            self.previous_epoch_observed_justified = std::mem::replace(
                &mut self.current_epoch_observed_justified,
                self.previous_epoch_greatest_unrealized.clone(),
            );
        }
    }

    /// The payload that the engine is told is safe; zero before the merge. Where finality has passed and pruned the
    /// confirmed block since the last slot, the finalized payload, which is safe and later.
    ///
    /// Spec: bellatrix/ and gloas/fast-confirmation.md, `get_safe_execution_block_hash`.
    pub fn get_safe_execution_block_hash(&self, store: &Store) -> Hash32 {
        let Some(block) = store.blocks.get(&self.confirmed_root) else {
            return store.get_finalized_execution_block_hash();
        };
        // Of a block whose payload comes apart only the payload before is safe.
        if block.separate_payload {
            block.parent_block_hash
        } else {
            block.block_hash
        }
    }
}

impl Store {
    /// The finalized payload that the engine is told of; zero before the merge. From Gloas on that before the finalized
    /// block.
    ///
    /// Spec: bellatrix/ and gloas/fork-choice.md, `notify_forkchoice_updated`.
    pub fn get_finalized_execution_block_hash(&self) -> Hash32 {
        let block = self.blocks.get(&self.finalized_checkpoint.root);
        block.map_or(Hash32::ZERO, |block| {
            if block.separate_payload {
                block.parent_block_hash
            } else {
                block.block_hash
            }
        })
    }
}

/// Spec: phase0/fast-confirmation.md, `is_start_slot_at_epoch`.
fn is_start_slot_at_epoch(slot: Slot) -> bool {
    slot.is_multiple_of(SLOTS_PER_EPOCH)
}

/// The epoch of a block. Spec: phase0/fast-confirmation.md, `get_block_epoch`.
fn epoch_of(block: &Node) -> Epoch {
    compute_epoch_at_slot(block.slot)
}

impl Rule<'_> {
    /// Spec: phase0/fast-confirmation.md, `get_latest_confirmed`.
    ///
    /// A block that the store has dropped is from before the finalized one, so it counts as too old.
    fn get_latest_confirmed(&mut self) -> Result<Root, Invalid> {
        let (store, fcr) = (self.store, self.fcr);
        let mut confirmed = store.blocks.place(&fcr.confirmed_root);
        let reverts = match confirmed {
            None => true,
            Some(place) => {
                epoch_of(self.block(place)) + 1 < self.current_epoch
                    || !self.is_descendant(self.head, place)
                    || self.is_epoch_start && !self.is_confirmed_chain_safe(place)?
            }
        };
        if reverts {
            confirmed = store.blocks.place(&store.finalized_checkpoint.root);
        }
        let confirmed = confirmed.ok_or_else(|| Invalid::new("finalized block", "it is not known"))?;
        let confirmed = self.restart(confirmed);
        if epoch_of(self.block(confirmed)) + 1 >= self.current_epoch {
            let latest = self.find_latest_confirmed_descendant(confirmed)?;
            Ok(self.block(latest).root)
        } else {
            Ok(self.block(confirmed).root)
        }
    }

    /// Where confirmation starts again: at the observed justified block, if it is one that all honest nodes vote for.
    fn restart(&self, confirmed: usize) -> usize {
        let observed = self.fcr.current_epoch_observed_justified.checkpoint;
        let Some(place) = self.store.blocks.place(&observed.root) else {
            return confirmed;
        };
        let restarts = self.is_epoch_start
            && epoch_of(self.block(place)) + 1 == self.current_epoch
            && observed == self.block(self.head).unrealized_justification
            && self.block(confirmed).slot < self.block(place).slot;
        if restarts { place } else { confirmed }
    }

    /// Spec: phase0/fast-confirmation.md, `find_latest_confirmed_descendant`.
    fn find_latest_confirmed_descendant(&mut self, latest_confirmed: usize) -> Result<usize, Invalid> {
        let mut confirmed = latest_confirmed;
        if self.may_confirm_previous_epoch(confirmed)? {
            confirmed = self.confirm_previous_epoch(confirmed);
        }
        let head_justification = self.block(self.head).unrealized_justification.epoch;
        if self.is_epoch_start || head_justification + 1 >= self.current_epoch {
            let tentative = self.confirm_current_epoch(confirmed)?;
            if self.stays(tentative)? {
                confirmed = tentative;
            }
        }
        Ok(confirmed)
    }

    fn may_confirm_previous_epoch(&mut self, confirmed: usize) -> Result<bool, Invalid> {
        let current_epoch = self.current_epoch;
        let previous_head = self.fcr.previous_slot_head;
        let Some(voting_source) = self.store.get_voting_source(&previous_head) else {
            return Ok(false);
        };
        if epoch_of(self.block(confirmed)) + 1 != current_epoch || voting_source.epoch + 2 < current_epoch {
            return Ok(false);
        }
        if self.is_epoch_start {
            return Ok(true);
        }
        let is_recent = |block: &Node| block.unrealized_justification.epoch + 1 >= current_epoch;
        let recent = self.store.blocks.get(&previous_head).is_some_and(is_recent) || is_recent(self.block(self.head));
        Ok(recent && self.will_no_conflicting_checkpoint_be_justified()?)
    }

    /// Moves on through blocks of the previous epoch that the head of the previous slot descends from.
    fn confirm_previous_epoch(&mut self, mut confirmed: usize) -> usize {
        let previous_head = self.store.blocks.place(&self.fcr.previous_slot_head);
        for place in self.get_ancestors(self.head, confirmed) {
            let is_canonical = previous_head.is_some_and(|head| self.is_descendant(head, place));
            if epoch_of(self.block(place)) == self.current_epoch
                || !is_canonical
                || !self.is_one_confirmed(place, false)
            {
                break;
            }
            confirmed = place;
        }
        confirmed
    }

    /// Moves on through blocks of the current epoch, provided that its target will be justified.
    fn confirm_current_epoch(&mut self, confirmed: usize) -> Result<usize, Invalid> {
        let mut tentative = confirmed;
        for place in self.get_ancestors(self.head, confirmed) {
            let enters_epoch = epoch_of(self.block(place)) > epoch_of(self.block(tentative));
            if enters_epoch && !self.will_current_target_be_justified()? || !self.is_one_confirmed(place, false) {
                break;
            }
            tentative = place;
        }
        Ok(tentative)
    }

    /// Whether the block cannot be filtered out in this epoch and the next.
    fn stays(&mut self, tentative: usize) -> Result<bool, Invalid> {
        let block = self.block(tentative);
        if epoch_of(block) == self.current_epoch {
            return Ok(true);
        }
        let voting_source = super::store::voting_source(block, self.current_epoch);
        Ok(voting_source.epoch + 2 >= self.current_epoch
            && (self.is_epoch_start || self.will_no_conflicting_checkpoint_be_justified()?))
    }
}
