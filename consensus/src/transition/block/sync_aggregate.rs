//! The sync committee's signature on the parent block, and what it earns.

use crate::constants::{
    DOMAIN_SYNC_COMMITTEE, G2_POINT_AT_INFINITY, PROPOSER_WEIGHT, SYNC_REWARD_WEIGHT, WEIGHT_DENOMINATOR,
};
use crate::helpers::accessors::{
    get_base_reward_per_increment, get_beacon_proposer_index, get_block_root_at_slot, get_total_active_balance,
};
use crate::helpers::math::mul;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::helpers::mutators::{decrease_balance, increase_balance};
use crate::keys::Keys;
use crate::preset::{EFFECTIVE_BALANCE_INCREMENT, SLOTS_PER_EPOCH, SYNC_COMMITTEE_SIZE};
use crate::signing::{Context, Signatures, get_domain, parse_signature, signing_root_of};
use crate::ssz::BitVector;
use crate::state::State;
use crate::types::{Gwei, SyncAggregate, ValidatorIndex};
use crate::{Invalid, ensure};
use crypto::bls::{PublicKey, PublicKeySum, SignatureSet};

const RULE: &str = "sync aggregate signature";

/// Spec: altair/beacon-chain.md, `process_sync_aggregate`.
pub fn process_sync_aggregate(
    state: &mut State,
    ctx: &mut Context,
    sync_aggregate: &SyncAggregate,
) -> Result<(), Invalid> {
    let bits = &sync_aggregate.sync_committee_bits;
    ensure!(
        bits.len() as u64 == SYNC_COMMITTEE_SIZE,
        "sync committee bits",
        "{} bits for {SYNC_COMMITTEE_SIZE} members",
        bits.len()
    );
    let committee_indices = committee_indices(state, ctx.keys)?;
    check_signature(state, ctx, &committee_indices, sync_aggregate)?;

    let (participant_reward, proposer_reward) = sync_committee_rewards(state)?;
    let proposer_index = get_beacon_proposer_index(state)?;
    for (participant_index, participated) in committee_indices.into_iter().zip(bits.iter()) {
        if participated {
            increase_balance(state, participant_index, participant_reward)?;
            increase_balance(state, proposer_index, proposer_reward)?;
            ctx.rewards.sync_aggregate = ctx.rewards.sync_aggregate.saturating_add(proposer_reward);
        } else {
            decrease_balance(state, participant_index, participant_reward)?;
        }
    }
    Ok(())
}

/// The members of the current sync committee by their place in the registry, as many as the committee has places.
fn committee_indices(state: &State, keys: &Keys) -> Result<Vec<ValidatorIndex>, Invalid> {
    let pubkeys = &state.current_sync_committee.pubkeys;
    ensure!(
        pubkeys.len() as u64 == SYNC_COMMITTEE_SIZE,
        "sync committee",
        "{} members in the state, of {SYNC_COMMITTEE_SIZE}",
        pubkeys.len()
    );
    let index_of = |pubkey| {
        let index = keys.index_of(state, pubkey);
        index.ok_or_else(|| Invalid::new("sync committee", format!("member {pubkey} is no validator")))
    };
    pubkeys.iter().map(index_of).collect()
}

/// The aggregate signs the block before the state's slot. Spec: altair/bls.md, `eth_fast_aggregate_verify`: the point at
/// infinity is the signature of nobody.
fn check_signature(
    state: &State,
    ctx: &mut Context,
    committee_indices: &[ValidatorIndex],
    sync_aggregate: &SyncAggregate,
) -> Result<(), Invalid> {
    let (bits, signature) = (
        &sync_aggregate.sync_committee_bits,
        &sync_aggregate.sync_committee_signature,
    );
    let previous_slot = state.slot.saturating_sub(1);
    let block_root = get_block_root_at_slot(state, previous_slot)?;
    if !bits.any() {
        let trusted = matches!(ctx.signatures, Signatures::Trust);
        ensure!(
            trusted || *signature == G2_POINT_AT_INFINITY,
            "sync aggregate signature",
            "nobody signed, but the signature is {signature}"
        );
        return Ok(());
    }
    ctx.check(RULE, |keys| {
        let domain = get_domain(state, DOMAIN_SYNC_COMMITTEE, compute_epoch_at_slot(previous_slot));
        Ok(SignatureSet {
            signature: parse_signature(RULE, signature)?,
            pubkey: participants_key(state, keys, committee_indices, bits)?,
            message: signing_root_of(block_root, domain).0,
        })
    })
}

/// The sum of the keys of those who take part: where they are more than half, that of the committee, which the state
/// holds, less that of the absent. Spec: altair/beacon-chain.md, in `process_sync_aggregate`.
fn participants_key(
    state: &State,
    keys: &Keys,
    committee_indices: &[ValidatorIndex],
    bits: &BitVector,
) -> Result<PublicKey, Invalid> {
    let sum_where = |takes_part: bool| -> Result<PublicKeySum, Invalid> {
        let counted = committee_indices.iter().zip(bits.iter());
        let counted = counted.filter(|(_, participated)| *participated == takes_part);
        let counted: Result<Vec<PublicKey>, Invalid> =
            counted.map(|(index, _)| keys.public_key(state, *index)).collect();
        counted.map(PublicKeySum::of)
    };
    // A sum that is infinity is no key.
    let whole = PublicKey::from_compressed_trusted(&state.current_sync_committee.aggregate_pubkey.0);
    let sum = match whole {
        Ok(whole) if bits.count_ones() * 2 > committee_indices.len() => {
            let mut sum = PublicKeySum::from(&whole);
            sum.subtract(&sum_where(false)?);
            sum
        }
        _ => sum_where(true)?,
    };
    sum.public_key().map_err(|error| Invalid::new(RULE, error.to_string()))
}

/// What a participant and, for each of them, the proposer earns, in Gwei; an absent member loses the former.
///
/// Spec: altair/beacon-chain.md, in `process_sync_aggregate`.
pub fn sync_committee_rewards(state: &State) -> Result<(Gwei, Gwei), Invalid> {
    let total_active_increments = get_total_active_balance(state) / EFFECTIVE_BALANCE_INCREMENT;
    let total_base_rewards = mul(get_base_reward_per_increment(state), total_active_increments)?;
    let max_participant_rewards = mul(total_base_rewards, SYNC_REWARD_WEIGHT)? / WEIGHT_DENOMINATOR / SLOTS_PER_EPOCH;
    let participant_reward = max_participant_rewards / SYNC_COMMITTEE_SIZE;
    let proposer_reward = mul(participant_reward, PROPOSER_WEIGHT)? / (WEIGHT_DENOMINATOR - PROPOSER_WEIGHT);
    Ok((participant_reward, proposer_reward))
}
