//! Topics `light_client_finality_update` and `light_client_optimistic_update`, by a full node's rules: Wren serves light
//! clients and is none.

use super::verdict::{Checked, ignore_unless};
use super::{Gossip, Mark, Verdict};
use crate::preset::SYNC_COMMITTEE_SIZE;
use crate::slot_clock::Deadline;
use crate::types::{LightClientFinalityUpdate, LightClientOptimisticUpdate, Slot, SyncAggregate};

/// Spec: altair/light-client/p2p-interface.md, "New `light_client_finality_update`".
pub fn validate_light_client_finality_update_gossip(
    gossip: &mut Gossip,
    finality_update: &LightClientFinalityUpdate,
) -> Verdict {
    finality_rules(gossip, finality_update).into()
}

/// Spec: altair/light-client/p2p-interface.md, "New `light_client_optimistic_update`".
pub fn validate_light_client_optimistic_update_gossip(
    gossip: &mut Gossip,
    optimistic_update: &LightClientOptimisticUpdate,
) -> Verdict {
    optimistic_rules(gossip, optimistic_update).into()
}

fn finality_rules(gossip: &mut Gossip, update: &LightClientFinalityUpdate) -> Checked {
    let mark = Mark::FinalityUpdate {
        slot: update.finalized_header.beacon.slot,
        supermajority: has_supermajority(&update.sync_aggregate),
    };
    gossip.check_first(&mark)?;
    ignore_unless(
        has_block_propagated(gossip, update.signature_slot),
        "finality update is too early",
    )?;
    ignore_unless(
        gossip.view.finality_update() == Some(update),
        "finality update differs from the one computed here",
    )?;
    gossip.marks.push(mark);
    Ok(())
}

fn optimistic_rules(gossip: &mut Gossip, update: &LightClientOptimisticUpdate) -> Checked {
    let mark = Mark::OptimisticUpdate {
        slot: update.attested_header.beacon.slot,
    };
    gossip.check_first(&mark)?;
    ignore_unless(
        has_block_propagated(gossip, update.signature_slot),
        "optimistic update is too early",
    )?;
    ignore_unless(
        gossip.view.optimistic_update() == Some(update),
        "optimistic update differs from the one computed here",
    )?;
    gossip.marks.push(mark);
    Ok(())
}

/// More than two thirds of the sync committee.
fn has_supermajority(sync_aggregate: &SyncAggregate) -> bool {
    let participants = sync_aggregate.sync_committee_bits.count_ones() as u64;
    participants * 3 > SYNC_COMMITTEE_SIZE * 2
}

/// Whether the block of the slot in which was signed has had time to reach everybody.
fn has_block_propagated(gossip: &Gossip, signature_slot: Slot) -> bool {
    let config = gossip.config();
    let due_ms = gossip.clock().due_ms(config, signature_slot, Deadline::SyncMessage);
    let latest = gossip
        .current_time_ms
        .saturating_add(config.maximum_gossip_clock_disparity);
    due_ms.is_some_and(|due_ms| latest >= due_ms)
}
