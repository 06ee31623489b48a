//! The store of a light client and what changes it.

use super::branch::{current_sync_committee_gindex_at_slot, is_valid_normalized_merkle_branch};
use super::compute_sync_committee_period_at_slot as period_at;
use super::header::is_valid_light_client_header;
use super::ranking::{is_better_update, is_finality_update, is_sync_committee_update};
use super::validate::validate_light_client_update;
use crate::fork::Fork;
use crate::preset::UPDATE_TIMEOUT;
use crate::ssz::{Root, Ssz};
use crate::types::{
    LightClientBootstrap, LightClientFinalityUpdate, LightClientHeader, LightClientOptimisticUpdate, LightClientUpdate,
    Slot, SyncCommittee,
};
use crate::{Config, Invalid, ensure};

/// What a light client knows. Spec: altair/light-client/sync-protocol.md, `LightClientStore`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightClientStore {
    /// The form of the store and of all objects in it.
    pub at: Fork,
    /// Header that is finalized.
    pub finalized_header: LightClientHeader,
    /// Sync committee of the finalized header's period.
    pub current_sync_committee: SyncCommittee,
    /// Sync committee of the period after it; empty while it is not known.
    pub next_sync_committee: SyncCommittee,
    /// Best available header to switch the finalized head to if nothing else is seen.
    pub best_valid_update: Option<LightClientUpdate>,
    /// Most recent header that is reasonably safe.
    pub optimistic_header: LightClientHeader,
    /// Most participants seen in the period before the last change of committees.
    pub previous_max_active_participants: u64,
    /// Most participants seen since then.
    pub current_max_active_participants: u64,
}

/// Spec: altair/light-client/sync-protocol.md, `is_next_sync_committee_known`.
pub fn is_next_sync_committee_known(store: &LightClientStore) -> bool {
    store.next_sync_committee != SyncCommittee::new(store.at)
}

/// In participants. Spec: altair/light-client/sync-protocol.md, `get_safety_threshold`.
pub fn get_safety_threshold(store: &LightClientStore) -> u64 {
    let previous = store.previous_max_active_participants;
    previous.max(store.current_max_active_participants) / 2
}

/// A store of form `at` from a bootstrap of the same form. An error if the bootstrap is not that of the trusted block.
///
/// Spec: altair/light-client/sync-protocol.md, `initialize_light_client_store`.
pub fn initialize_light_client_store(
    config: &Config,
    at: Fork,
    trusted_block_root: Root,
    bootstrap: LightClientBootstrap,
) -> Result<LightClientStore, Invalid> {
    let header = &bootstrap.header;
    ensure!(
        is_valid_light_client_header(config, at, header),
        "bootstrap header",
        "its payload is not proved by its body root"
    );
    let block_root = header.beacon.hash_tree_root(at);
    ensure!(
        block_root == trusted_block_root,
        "bootstrap block root",
        "{block_root}, trusted is {trusted_block_root}"
    );
    let leaf = bootstrap.current_sync_committee.hash_tree_root(at);
    ensure!(
        is_valid_normalized_merkle_branch(
            &leaf,
            &bootstrap.current_sync_committee_branch,
            current_sync_committee_gindex_at_slot(config, header.beacon.slot),
            &header.beacon.state_root,
        ),
        "bootstrap sync committee branch",
        "does not lead from {leaf} to state root {}",
        header.beacon.state_root
    );
    Ok(LightClientStore {
        at,
        optimistic_header: header.clone(),
        finalized_header: bootstrap.header,
        current_sync_committee: bootstrap.current_sync_committee,
        next_sync_committee: SyncCommittee::new(at),
        best_valid_update: None,
        previous_max_active_participants: 0,
        current_max_active_participants: 0,
    })
}

/// Takes over a validated update. An error, which leaves the store as it was, if the next committee is not known and the
/// update's finalized header is of another period.
///
/// Spec: altair/light-client/sync-protocol.md, `apply_light_client_update`.
pub fn apply_light_client_update(store: &mut LightClientStore, update: &LightClientUpdate) -> Result<(), Invalid> {
    let store_period = period_at(store.finalized_header.beacon.slot);
    let update_finalized_period = period_at(update.finalized_header.beacon.slot);
    if !is_next_sync_committee_known(store) {
        ensure!(
            update_finalized_period == store_period,
            "update finalized period",
            "{update_finalized_period}, store is in {store_period} and knows no next committee"
        );
        store.next_sync_committee = update.next_sync_committee.clone();
    } else if update_finalized_period == store_period + 1 {
        let next = update.next_sync_committee.clone();
        store.current_sync_committee = std::mem::replace(&mut store.next_sync_committee, next);
        store.previous_max_active_participants = store.current_max_active_participants;
        store.current_max_active_participants = 0;
    }
    if update.finalized_header.beacon.slot > store.finalized_header.beacon.slot {
        store.finalized_header = update.finalized_header.clone();
        if store.finalized_header.beacon.slot > store.optimistic_header.beacon.slot {
            store.optimistic_header = store.finalized_header.clone();
        }
    }
    Ok(())
}

/// Takes the best update there is when the chain has not finalized for too long. In such a time the attested header
/// stands for a finalized one, so that later periods can be reached. Errors as `apply_light_client_update`.
///
/// Spec: altair/light-client/sync-protocol.md, `process_light_client_store_force_update`.
pub fn process_light_client_store_force_update(
    store: &mut LightClientStore,
    current_slot: Slot,
) -> Result<(), Invalid> {
    let finalized_slot = store.finalized_header.beacon.slot;
    if current_slot <= finalized_slot.saturating_add(UPDATE_TIMEOUT) {
        return Ok(());
    }
    let Some(mut update) = store.best_valid_update.clone() else {
        return Ok(());
    };
    if update.finalized_header.beacon.slot <= finalized_slot {
        update.finalized_header = update.attested_header.clone();
    }
    apply_light_client_update(store, &update)?;
    store.best_valid_update = None;
    Ok(())
}

/// Takes an update of the store's form at `current_slot`. An error, which leaves the store as it was, if the update is
/// not valid.
///
/// Spec: altair/light-client/sync-protocol.md, `process_light_client_update`.
pub fn process_light_client_update(
    store: &mut LightClientStore,
    config: &Config,
    update: &LightClientUpdate,
    current_slot: Slot,
    genesis_validators_root: Root,
) -> Result<(), Invalid> {
    validate_light_client_update(store, config, update, current_slot, genesis_validators_root)?;
    let best = store.best_valid_update.as_ref();
    if best.is_none_or(|best| is_better_update(update, best)) {
        store.best_valid_update = Some(update.clone());
    }

    let bits = &update.sync_aggregate.sync_committee_bits;
    let participants = bits.count_ones() as u64;
    store.current_max_active_participants = store.current_max_active_participants.max(participants);
    let attested_slot = update.attested_header.beacon.slot;
    if participants > get_safety_threshold(store) && attested_slot > store.optimistic_header.beacon.slot {
        store.optimistic_header = update.attested_header.clone();
    }

    let finalized_slot = update.finalized_header.beacon.slot;
    let has_finalized_next_sync_committee = !is_next_sync_committee_known(store)
        && is_sync_committee_update(update)
        && is_finality_update(update)
        && period_at(finalized_slot) == period_at(attested_slot);
    let is_newer = finalized_slot > store.finalized_header.beacon.slot || has_finalized_next_sync_committee;
    if participants * 3 >= bits.len() as u64 * 2 && is_newer {
        // Cannot fail after what was validated: without a next committee the update is of the store's period.
        apply_light_client_update(store, update)?;
        store.best_valid_update = None;
    }
    Ok(())
}

/// Errors as `process_light_client_update`.
///
/// Spec: altair/light-client/sync-protocol.md, `process_light_client_finality_update`.
pub fn process_light_client_finality_update(
    store: &mut LightClientStore,
    config: &Config,
    finality_update: LightClientFinalityUpdate,
    current_slot: Slot,
    genesis_validators_root: Root,
) -> Result<(), Invalid> {
    let update = LightClientUpdate {
        attested_header: finality_update.attested_header,
        finalized_header: finality_update.finalized_header,
        finality_branch: finality_update.finality_branch,
        sync_aggregate: finality_update.sync_aggregate,
        signature_slot: finality_update.signature_slot,
        ..LightClientUpdate::new(store.at)
    };
    process_light_client_update(store, config, &update, current_slot, genesis_validators_root)
}

/// Errors as `process_light_client_update`.
///
/// Spec: altair/light-client/sync-protocol.md, `process_light_client_optimistic_update`.
pub fn process_light_client_optimistic_update(
    store: &mut LightClientStore,
    config: &Config,
    optimistic_update: LightClientOptimisticUpdate,
    current_slot: Slot,
    genesis_validators_root: Root,
) -> Result<(), Invalid> {
    let update = LightClientUpdate {
        attested_header: optimistic_update.attested_header,
        sync_aggregate: optimistic_update.sync_aggregate,
        signature_slot: optimistic_update.signature_slot,
        ..LightClientUpdate::new(store.at)
    };
    process_light_client_update(store, config, &update, current_slot, genesis_validators_root)
}
