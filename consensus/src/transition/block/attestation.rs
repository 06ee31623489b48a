//! Votes of committees.
//!
//! Phase0 keeps them for the epoch's end. Since Altair they are paid at once: an aggregate may have 30,000 voters, whose
//! flags are set in one pass over the participation list in ascending order.

use crate::constants::{PARTICIPATION_FLAG_WEIGHTS, PROPOSER_WEIGHT, TIMELY_TARGET_FLAG_INDEX, WEIGHT_DENOMINATOR};
use crate::fork::Fork;
use crate::helpers::accessors::{
    get_attestation_participation_flag_indices, get_attesting_indices, get_base_reward_per_increment,
    get_beacon_committee, get_beacon_proposer_index, get_current_epoch, get_previous_epoch, is_attestation_same_slot,
};
use crate::helpers::builders::{builder_payment_index, builder_payment_mut};
use crate::helpers::effective_balances::{Voter, voter};
use crate::helpers::math::add;
use crate::helpers::misc::{add_flag, committees_of, compute_epoch_at_slot, has_flag};
use crate::helpers::mutators::increase_balance;
use crate::helpers::votes::is_valid_attestation;
use crate::preset::{
    EFFECTIVE_BALANCE_INCREMENT, MAX_PENDING_ATTESTATIONS, MIN_ATTESTATION_INCLUSION_DELAY, SLOTS_PER_EPOCH,
};
use crate::signing::Context;
use crate::ssz::PersistentList;
use crate::state::State;
use crate::types::{Attestation, AttestationData, Gwei, ParticipationFlags, PendingAttestation};
use crate::types::{Slot, ValidatorIndex};
use crate::{Invalid, ensure};
use std::mem;

/// `parent_slot` is the slot of the parent of the block that brings the attestation; it is read from Gloas on only.
///
/// Spec: `process_attestation` in beacon-chain.md of phase0, altair, deneb, electra, gloas.
pub fn process_attestation(
    state: &mut State,
    ctx: &mut Context,
    attestation: &Attestation,
    parent_slot: Slot,
) -> Result<(), Invalid> {
    let data = &attestation.data;
    check_attestation_data(state, data)?;
    check_committees(state, attestation)?;
    let attesting_indices = get_attesting_indices(state, attestation)?;
    if state.at < Fork::Altair {
        return add_pending_attestation(state, ctx, attestation, &attesting_indices);
    }
    let inclusion_delay = state.slot - data.slot; // at least 1, as was checked
    let flags = get_attestation_participation_flag_indices(state, data, inclusion_delay, parent_slot)?;
    is_valid_attestation(state, ctx, attestation, &attesting_indices)?;
    let earned = update_participation(state, data, &attesting_indices, &flags)?;
    let reward = reward_proposer(state, &earned)?;
    ctx.rewards.attestations = ctx.rewards.attestations.saturating_add(reward);
    if state.at >= Fork::Gloas {
        add_payment_weight(state, data, &earned)?;
    }
    Ok(())
}

/// What a vote says of its time and its committee, which a block's producer asks before it packs the vote. The source is
/// checked with the flags.
///
/// Spec: the first checks of `process_attestation`.
pub fn check_attestation_data(state: &State, data: &AttestationData) -> Result<(), Invalid> {
    let (slot, now, target_epoch) = (data.slot, state.slot, data.target.epoch);
    let (previous, current) = (get_previous_epoch(state), get_current_epoch(state));
    ensure!(
        target_epoch == previous || target_epoch == current,
        "attestation target epoch",
        "{target_epoch}, neither {previous} nor {current}"
    );
    ensure!(
        target_epoch == compute_epoch_at_slot(slot),
        "attestation slot epoch",
        "slot {slot} is not in the target epoch {target_epoch}"
    );
    ensure!(
        slot.saturating_add(MIN_ATTESTATION_INCLUSION_DELAY) <= now,
        "attestation too early",
        "for slot {slot}, in slot {now}"
    );
    ensure!(
        state.at >= Fork::Deneb || now <= slot.saturating_add(SLOTS_PER_EPOCH),
        "attestation too late",
        "for slot {slot}, in slot {now}"
    );
    if state.at >= Fork::Electra {
        // From Gloas on the index tells whether the payload was there.
        let most = u64::from(state.at >= Fork::Gloas);
        ensure!(
            data.index <= most,
            "attestation index",
            "{}, at most {most}",
            data.index
        );
    }
    Ok(())
}

/// The committees exist, the bits have their length, and since Electra somebody of each votes.
fn check_committees(state: &State, attestation: &Attestation) -> Result<(), Invalid> {
    let (data, bits) = (&attestation.data, &attestation.aggregation_bits);
    let spans_committees = state.at >= Fork::Electra;
    let mut committee_offset = 0;
    for index in committees_of(state.at, attestation) {
        let end = committee_offset + get_beacon_committee(state, data.slot, index)?.len();
        let votes = |place| bits.get(place) == Some(true);
        ensure!(
            !spans_committees || (committee_offset..end).any(votes),
            "attestation committee without votes",
            "nobody of committee {index} votes"
        );
        committee_offset = end;
    }
    ensure!(
        bits.len() == committee_offset,
        "aggregation bits length",
        "{}, the committees have {committee_offset} members",
        bits.len()
    );
    Ok(())
}

/// Keeps the vote until the epoch's end. Spec: phase0/beacon-chain.md, in `process_attestation`.
fn add_pending_attestation(
    state: &mut State,
    ctx: &mut Context,
    attestation: &Attestation,
    attesting_indices: &[ValidatorIndex],
) -> Result<(), Invalid> {
    let data = attestation.data;
    let pending = PendingAttestation {
        aggregation_bits: attestation.aggregation_bits.clone(),
        data,
        inclusion_delay: state.slot - data.slot,
        proposer_index: get_beacon_proposer_index(state)?,
    };
    let is_current = data.target.epoch == get_current_epoch(state);
    let justified = if is_current {
        state.current_justified_checkpoint
    } else {
        state.previous_justified_checkpoint
    };
    ensure!(
        data.source == justified,
        "attestation source",
        "{:?}, in state {justified:?}",
        data.source
    );
    is_valid_attestation(state, ctx, attestation, attesting_indices)?;
    let kept = if is_current {
        &mut state.beacon.current_epoch_attestations
    } else {
        &mut state.beacon.previous_epoch_attestations
    };
    // The list's own limit: votes for the previous epoch come on top of what that epoch has left.
    ensure!(
        (kept.len() as u64) < MAX_PENDING_ATTESTATIONS,
        "pending attestations limit",
        "there are {MAX_PENDING_ATTESTATIONS} already"
    );
    kept.push(pending);
    Ok(())
}

/// What the voters of one attestation who had not voted as well before have between them.
#[derive(Default)]
struct Earned {
    /// Sum of the weights of new flags, each times the voter's effective balance in increments.
    weighted_increments: u128,
    /// Effective balances of those who got a new flag, in Gwei.
    balance: u128,
    /// The same of those unslashed who had not voted for the target before.
    target_balance: u128,
}

/// Sets the flags that the vote has earned.
fn update_participation(
    state: &mut State,
    data: &AttestationData,
    attesting_indices: &[ValidatorIndex],
    flags: &[usize],
) -> Result<Earned, Invalid> {
    let is_current = data.target.epoch == get_current_epoch(state);
    // Taken out for the time, so that the state can be read while the list is written.
    let mut participation = mem::take(epoch_participation(state, is_current));
    let count = participation.len();
    let earned = set_flags(state, &mut participation, attesting_indices, flags);
    *epoch_participation(state, is_current) = participation;
    if let Some(kept) = &mut state.cache.target_balances {
        kept.vote(is_current, narrow(earned.target_balance)?);
    }
    let known = attesting_indices.last().is_none_or(|last| *last < count as u64);
    ensure!(known, "participation length", "{count}, too short for the voters");
    Ok(earned)
}

fn epoch_participation(state: &mut State, is_current: bool) -> &mut PersistentList<ParticipationFlags> {
    if is_current {
        &mut state.beacon.current_epoch_participation
    } else {
        &mut state.beacon.previous_epoch_participation
    }
}

fn set_flags(
    state: &State,
    participation: &mut PersistentList<ParticipationFlags>,
    attesting_indices: &[ValidatorIndex],
    flags: &[usize],
) -> Earned {
    let earned_flags = flags.iter().fold(0, |earned, flag| add_flag(earned, *flag));
    let balances = state.effective_balances();
    let mut earned = Earned::default();
    participation.update_sorted(attesting_indices, |index, held| {
        let new_flags = earned_flags & !held;
        if new_flags == 0 {
            return None;
        }
        let Voter {
            effective_balance,
            slashed,
        } = voter(state, balances, index as ValidatorIndex);
        let increments = u128::from(effective_balance / EFFECTIVE_BALANCE_INCREMENT);
        earned.weighted_increments += increments * u128::from(weight_of(new_flags));
        earned.balance += u128::from(effective_balance);
        if has_flag(new_flags, TIMELY_TARGET_FLAG_INDEX) && !slashed {
            earned.target_balance += u128::from(effective_balance);
        }
        Some(held | new_flags)
    });
    earned
}

/// The sum of the weights of some flags.
fn weight_of(flags: ParticipationFlags) -> u64 {
    let weights = PARTICIPATION_FLAG_WEIGHTS.iter().enumerate();
    weights
        .filter(|(flag, _)| has_flag(flags, *flag))
        .map(|(_, weight)| weight)
        .sum()
}

/// Pays the proposer its share of what the voters will get. Returns it in Gwei.
fn reward_proposer(state: &mut State, earned: &Earned) -> Result<Gwei, Invalid> {
    const DENOMINATOR: u64 = (WEIGHT_DENOMINATOR - PROPOSER_WEIGHT) * WEIGHT_DENOMINATOR / PROPOSER_WEIGHT;
    // The spec adds up base reward times weight, and the base reward is increments times this.
    let per_increment = u128::from(get_base_reward_per_increment(state));
    let numerator = earned.weighted_increments.checked_mul(per_increment);
    let numerator = narrow(numerator.unwrap_or(u128::MAX))?;
    let proposer_index = get_beacon_proposer_index(state)?;
    let reward = numerator / DENOMINATOR;
    increase_balance(state, proposer_index, reward)?;
    Ok(reward)
}

/// Votes for a block in its own slot count for what its builder owes, once for each voter: those of them who got a new
/// flag have not counted yet.
///
/// Spec: gloas/beacon-chain.md, in `process_attestation`.
fn add_payment_weight(state: &mut State, data: &AttestationData, earned: &Earned) -> Result<(), Invalid> {
    if !is_attestation_same_slot(state, data)? {
        return Ok(());
    }
    let Some(payment_index) = builder_payment_index(state, data.slot) else {
        return Ok(()); // not reached: the target is in one of the two epochs that have payments
    };
    let payment = builder_payment_mut(state, payment_index)?;
    if payment.withdrawal.amount > 0 {
        payment.weight = add(payment.weight, narrow(earned.balance)?)?;
    }
    Ok(())
}

/// A sum of the spec's 64 bits, beyond which it is invalid.
fn narrow(sum: u128) -> Result<Gwei, Invalid> {
    Gwei::try_from(sum).map_err(|_| Invalid::new("arithmetic overflow", format!("{sum} in 64 bits")))
}
