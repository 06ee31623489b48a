//! The circuit breaker: while the chain looks unwell, blocks are made without builders, who may be the reason.
//!
//! Spec: builder-specs bellatrix/validator.md, "Liveness failsafe". Which signs count is the node's own choice.

use crate::chain::Snapshot;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::Slot;

/// Slots without a block before the one that is made: on a sound network one in a hundred is missed, so that four in a row
/// are no accident.
const MISSED_IN_A_ROW_MAX: u64 = 3;

/// Slots without a block in the last epoch: a quarter is many times the usual.
const MISSED_IN_EPOCH_MAX: u64 = SLOTS_PER_EPOCH / 4;

/// Epochs since the finalized one: two are usual, and a third passes before an epoch's votes are counted.
const EPOCHS_SINCE_FINALITY_MAX: u64 = 3;

/// Why a block of `slot` on the head is better made without a builder; `None` while the chain is well.
pub fn unwell(snapshot: &Snapshot, slot: Slot) -> Option<String> {
    let in_a_row = slot.saturating_sub(snapshot.head.slot + 1);
    if in_a_row > MISSED_IN_A_ROW_MAX {
        return Some(format!("the last {in_a_row} slots have no block"));
    }
    let missed = missed_in_epoch(snapshot, slot);
    if missed > MISSED_IN_EPOCH_MAX {
        return Some(format!("{missed} of the last {SLOTS_PER_EPOCH} slots have no block"));
    }
    let since = compute_epoch_at_slot(slot).saturating_sub(snapshot.finalized().epoch);
    (since > EPOCHS_SINCE_FINALITY_MAX).then(|| format!("no epoch became final for {since} epochs"))
}

/// Slots of the epoch's length before `slot` that have no block on the head's chain, as far back as the node knows it.
fn missed_in_epoch(snapshot: &Snapshot, slot: Slot) -> u64 {
    let first = slot.saturating_sub(SLOTS_PER_EPOCH);
    let mut blocks = 0;
    let mut oldest = slot;
    let mut root = snapshot.head.root;
    // At most one step for each slot of an epoch, since slots ascend along a chain.
    while let Some(block) = snapshot
        .block(&root)
        .filter(|block| block.slot >= first && block.slot < oldest)
    {
        blocks += 1;
        oldest = block.slot;
        root = block.parent_root;
    }
    let begin = if snapshot.block(&root).is_some() { first } else { oldest };
    (slot - begin).saturating_sub(blocks)
}
