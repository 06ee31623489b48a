//! Whether an update may change a store.

use super::branch::{
    finalized_root_gindex_at_slot, is_valid_normalized_merkle_branch, next_sync_committee_gindex_at_slot,
};
use super::compute_sync_committee_period_at_slot as period_at;
use super::header::is_valid_light_client_header;
use super::ranking::{is_finality_update, is_sync_committee_update};
use super::store::{LightClientStore, is_next_sync_committee_known};
use crate::constants::{DOMAIN_SYNC_COMMITTEE, GENESIS_SLOT};
use crate::fork::Fork;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::preset::MIN_SYNC_COMMITTEE_PARTICIPANTS;
use crate::signing::{compute_domain, compute_signing_root, parse_signature};
use crate::ssz::{Root, Ssz};
use crate::types::{LightClientHeader, LightClientUpdate, Slot, SyncCommittee};
use crate::{Config, Invalid, ensure};
use crypto::bls::{PublicKey, SignatureSet, verify_signature_sets};

/// Whether `update`, which has the store's form, may be processed at `current_slot`. The error names the broken rule.
///
/// Spec: altair/light-client/sync-protocol.md, `validate_light_client_update`.
pub fn validate_light_client_update(
    store: &LightClientStore,
    config: &Config,
    update: &LightClientUpdate,
    current_slot: Slot,
    genesis_validators_root: Root,
) -> Result<(), Invalid> {
    let participants = update.sync_aggregate.sync_committee_bits.count_ones() as u64;
    ensure!(
        participants >= MIN_SYNC_COMMITTEE_PARTICIPANTS,
        "update participants",
        "{participants}, at least {MIN_SYNC_COMMITTEE_PARTICIPANTS} are needed"
    );
    ensure!(
        is_valid_light_client_header(config, store.at, &update.attested_header),
        "attested header",
        "its payload is not proved by its body root"
    );
    check_slots(store, update, current_slot)?;
    check_relevance(store, update)?;
    check_finality(store, config, update)?;
    check_next_sync_committee(store, config, update)?;
    check_signature(store, config, update, genesis_validators_root)
}

/// The order of slots, and that no period is skipped.
fn check_slots(store: &LightClientStore, update: &LightClientUpdate, current_slot: Slot) -> Result<(), Invalid> {
    let signature = update.signature_slot;
    let attested = update.attested_header.beacon.slot;
    let finalized = update.finalized_header.beacon.slot;
    ensure!(
        current_slot >= signature && signature > attested && attested >= finalized,
        "update slots",
        "current {current_slot} >= signature {signature} > attested {attested} >= finalized {finalized} does not hold"
    );
    let store_period = period_at(store.finalized_header.beacon.slot);
    let signature_period = period_at(signature);
    let known = is_next_sync_committee_known(store);
    ensure!(
        signature_period == store_period || known && signature_period == store_period + 1,
        "update period",
        "signed in period {signature_period}, store is in {store_period}, next committee known: {known}"
    );
    Ok(())
}

/// That the update brings something new.
fn check_relevance(store: &LightClientStore, update: &LightClientUpdate) -> Result<(), Invalid> {
    let attested = update.attested_header.beacon.slot;
    let finalized = store.finalized_header.beacon.slot;
    let has_next_sync_committee = !is_next_sync_committee_known(store)
        && is_sync_committee_update(update)
        && period_at(attested) == period_at(finalized);
    ensure!(
        attested > finalized || has_next_sync_committee,
        "update relevance",
        "attested slot {attested}, store has finalized slot {finalized}"
    );
    Ok(())
}

/// That the finalized header, if there is one, is the one of the attested state. Genesis has no root there.
fn check_finality(store: &LightClientStore, config: &Config, update: &LightClientUpdate) -> Result<(), Invalid> {
    let header = &update.finalized_header;
    let is_empty = || *header == LightClientHeader::new(store.at);
    if !is_finality_update(update) {
        ensure!(is_empty(), "finalized header", "there is one, but no branch proves it");
        return Ok(());
    }
    let finalized_root = if header.beacon.slot == GENESIS_SLOT {
        ensure!(is_empty(), "finalized header", "of genesis, so it must be empty");
        Root::ZERO
    } else {
        ensure!(
            is_valid_light_client_header(config, store.at, header),
            "finalized header",
            "its payload is not proved by its body root"
        );
        header.beacon.hash_tree_root(store.at)
    };
    let attested = &update.attested_header.beacon;
    ensure!(
        is_valid_normalized_merkle_branch(
            &finalized_root,
            &update.finality_branch,
            finalized_root_gindex_at_slot(config, attested.slot),
            &attested.state_root,
        ),
        "finality branch",
        "does not lead from {finalized_root} to state root {}",
        attested.state_root
    );
    Ok(())
}

/// That the next sync committee, if there is one, is the one of the attested state.
fn check_next_sync_committee(
    store: &LightClientStore,
    config: &Config,
    update: &LightClientUpdate,
) -> Result<(), Invalid> {
    let committee = &update.next_sync_committee;
    if !is_sync_committee_update(update) {
        let is_empty = *committee == SyncCommittee::new(store.at);
        ensure!(is_empty, "next sync committee", "there is one, but no branch proves it");
        return Ok(());
    }
    let attested = &update.attested_header.beacon;
    let same_period = period_at(attested.slot) == period_at(store.finalized_header.beacon.slot);
    ensure!(
        !same_period || !is_next_sync_committee_known(store) || *committee == store.next_sync_committee,
        "next sync committee",
        "differs from the store's of the same period"
    );
    let leaf = committee.hash_tree_root(store.at);
    ensure!(
        is_valid_normalized_merkle_branch(
            &leaf,
            &update.next_sync_committee_branch,
            next_sync_committee_gindex_at_slot(config, attested.slot),
            &attested.state_root,
        ),
        "next sync committee branch",
        "does not lead from {leaf} to state root {}",
        attested.state_root
    );
    Ok(())
}

/// That the participants signed the attested header.
fn check_signature(
    store: &LightClientStore,
    config: &Config,
    update: &LightClientUpdate,
    genesis_validators_root: Root,
) -> Result<(), Invalid> {
    const RULE: &str = "update signature";
    let aggregate = &update.sync_aggregate;
    let same_period = period_at(update.signature_slot) == period_at(store.finalized_header.beacon.slot);
    let sync_committee = if same_period {
        &store.current_sync_committee
    } else {
        &store.next_sync_committee
    };
    let (bits, members) = (aggregate.sync_committee_bits.len(), sync_committee.pubkeys.len());
    ensure!(
        bits == members,
        "update participants",
        "{bits} bits for {members} members"
    );
    let wrong = |error: crypto::bls::BlsError| Invalid::new(RULE, error.to_string());
    let keys: Result<Vec<PublicKey>, Invalid> = aggregate
        .sync_committee_bits
        .ones()
        .map(|index| PublicKey::from_compressed(&sync_committee.pubkeys[index].0).map_err(wrong))
        .collect();

    let fork_version_slot = update.signature_slot.saturating_sub(1);
    let fork_version = config.compute_fork_version(compute_epoch_at_slot(fork_version_slot));
    let domain = compute_domain(DOMAIN_SYNC_COMMITTEE, fork_version, genesis_validators_root);
    let signing_root = compute_signing_root(&update.attested_header.beacon, Fork::Phase0, domain);
    let signature = parse_signature(RULE, &aggregate.sync_committee_signature)?;
    let set = SignatureSet::aggregate(signature, keys?, signing_root.0).map_err(wrong)?;
    ensure!(verify_signature_sets(&[set]), "update signature", "does not verify");
    Ok(())
}
