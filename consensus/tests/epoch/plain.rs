//! The epoch transition written down as the specs have it: slow, obvious, index by index, nothing remembered.

#![allow(clippy::single_match_else)] // reads as the specs have it

use consensus::constants::*;
use consensus::helpers::accessors::*;
use consensus::helpers::churn::*;
use consensus::helpers::math::{add, mul, sub};
use consensus::helpers::misc::*;
use consensus::helpers::mutators::*;
use consensus::helpers::predicates::*;
use consensus::helpers::selection::*;
use consensus::preset::*;
use consensus::signing::is_valid_deposit_signature;
use consensus::transition::block::deposit::add_validator_to_registry;
use consensus::transition::epoch as fast;
use consensus::types::*;
use consensus::{Config, Fork, Invalid, State};
use std::collections::BTreeSet;

type Indices = BTreeSet<ValidatorIndex>;

pub(crate) fn process_epoch(state: &mut State, config: &Config) -> Result<(), Invalid> {
    process_justification_and_finalization(state)?;
    if state.at >= Fork::Altair {
        process_inactivity_updates(state, config)?;
    }
    process_rewards_and_penalties(state, config)?;
    if state.at >= Fork::Electra {
        process_registry_updates_electra(state, config)?;
    } else {
        process_registry_updates(state, config)?;
    }
    process_slashings(state)?;
    fast::process_eth1_data_reset(state);
    if state.at >= Fork::Electra {
        process_pending_deposits(state, config)?;
        process_pending_consolidations(state)?;
    }
    if state.at >= Fork::Gloas {
        fast::process_builder_pending_payments(state)?;
    }
    process_effective_balance_updates(state)?;
    fast::process_slashings_reset(state);
    fast::process_randao_mixes_reset(state);
    if state.at >= Fork::Capella {
        fast::process_historical_summaries_update(state)?;
    } else {
        fast::process_historical_roots_update(state)?;
    }
    if state.at >= Fork::Altair {
        process_participation_flag_updates(state);
        fast::process_sync_committee_updates(state)?;
    } else {
        fast::process_participation_record_updates(state);
    }
    if state.at >= Fork::Fulu {
        process_proposer_lookahead(state)?;
    }
    if state.at >= Fork::Gloas {
        process_ptc_window(state)?;
    }
    Ok(())
}

fn all_indices(state: &State) -> std::ops::Range<ValidatorIndex> {
    0..state.validators.len() as ValidatorIndex
}

/// From Altair on by flags, before by the attestations themselves.
fn participating(state: &State, flag_index: usize, epoch: Epoch) -> Result<Indices, Invalid> {
    if state.at >= Fork::Altair {
        return get_unslashed_participating_indices(state, flag_index, epoch);
    }
    let attestations = if epoch == get_current_epoch(state) {
        &state.current_epoch_attestations
    } else {
        &state.previous_epoch_attestations
    };
    let mut output = Indices::new();
    for a in attestations {
        let is_target = || Ok::<_, Invalid>(a.data.target.root == get_block_root(state, epoch)?);
        let is_head = || Ok::<_, Invalid>(a.data.beacon_block_root == get_block_root_at_slot(state, a.data.slot)?);
        let matches = match flag_index {
            TIMELY_SOURCE_FLAG_INDEX => true,
            TIMELY_TARGET_FLAG_INDEX => is_target()?,
            _ => is_target()? && is_head()?,
        };
        if matches {
            output.extend(attesting_indices(state, a)?);
        }
    }
    output.retain(|index| !validator(state, *index).unwrap().slashed);
    Ok(output)
}

fn attesting_indices(state: &State, a: &PendingAttestation) -> Result<Vec<ValidatorIndex>, Invalid> {
    let included = Attestation {
        aggregation_bits: a.aggregation_bits.clone(),
        data: a.data,
        ..Attestation::default()
    };
    get_attesting_indices(state, &included)
}

fn get_unslashed_participating_indices(state: &State, flag_index: usize, epoch: Epoch) -> Result<Indices, Invalid> {
    let epoch_participation = if epoch == get_current_epoch(state) {
        &state.current_epoch_participation
    } else {
        &state.previous_epoch_participation
    };
    let mut indices = Indices::new();
    for index in get_active_validator_indices(state, epoch) {
        let flags = *epoch_participation.get(index as usize).unwrap();
        if has_flag(flags, flag_index) && !validator(state, index)?.slashed {
            indices.insert(index);
        }
    }
    Ok(indices)
}

fn process_justification_and_finalization(state: &mut State) -> Result<(), Invalid> {
    if get_current_epoch(state) <= GENESIS_EPOCH + 1 {
        return Ok(());
    }
    let previous_indices = participating(state, TIMELY_TARGET_FLAG_INDEX, get_previous_epoch(state))?;
    let current_indices = participating(state, TIMELY_TARGET_FLAG_INDEX, get_current_epoch(state))?;
    let total_active_balance = get_total_active_balance(state);
    let previous_target_balance = get_total_balance(state, previous_indices)?;
    let current_target_balance = get_total_balance(state, current_indices)?;
    let finality = fast::weigh_justification_and_finalization(
        state,
        total_active_balance,
        previous_target_balance,
        current_target_balance,
    )?;
    state.justification_bits = finality.justification_bits;
    state.previous_justified_checkpoint = finality.previous_justified_checkpoint;
    state.current_justified_checkpoint = finality.current_justified_checkpoint;
    state.finalized_checkpoint = finality.finalized_checkpoint;
    Ok(())
}

fn get_eligible_validator_indices(state: &State) -> Vec<ValidatorIndex> {
    let previous_epoch = get_previous_epoch(state);
    let eligible = |index: &ValidatorIndex| {
        let v = validator(state, *index).unwrap();
        is_active_validator(v, previous_epoch) || (v.slashed && previous_epoch + 1 < v.withdrawable_epoch)
    };
    all_indices(state).filter(eligible).collect()
}

fn process_inactivity_updates(state: &mut State, config: &Config) -> Result<(), Invalid> {
    if get_current_epoch(state) == GENESIS_EPOCH {
        return Ok(());
    }
    let participants = participating(state, TIMELY_TARGET_FLAG_INDEX, get_previous_epoch(state))?;
    for index in get_eligible_validator_indices(state) {
        let leak = fast::is_in_inactivity_leak(state)?;
        let score = state.beacon.inactivity_scores.get_mut(index as usize).unwrap();
        if participants.contains(&index) {
            *score -= 1.min(*score);
        } else {
            *score += config.inactivity_score_bias;
        }
        if !leak {
            *score -= config.inactivity_score_recovery_rate.min(*score);
        }
    }
    Ok(())
}

type Deltas = (Vec<Gwei>, Vec<Gwei>);

fn zeros(state: &State) -> Deltas {
    (vec![0; state.validators.len()], vec![0; state.validators.len()])
}

fn get_flag_index_deltas(state: &State, flag_index: usize) -> Result<Deltas, Invalid> {
    let (mut rewards, mut penalties) = zeros(state);
    let participants = participating(state, flag_index, get_previous_epoch(state))?;
    let weight = PARTICIPATION_FLAG_WEIGHTS[flag_index];
    let balance = get_total_balance(state, participants.iter().copied())?;
    let participating_increments = balance / EFFECTIVE_BALANCE_INCREMENT;
    let active_increments = get_total_active_balance(state) / EFFECTIVE_BALANCE_INCREMENT;
    for index in get_eligible_validator_indices(state) {
        let base_reward = get_base_reward(state, index)?;
        if participants.contains(&index) {
            if !fast::is_in_inactivity_leak(state)? {
                let reward_numerator = mul(mul(base_reward, weight)?, participating_increments)?;
                rewards[index as usize] += reward_numerator / (active_increments * WEIGHT_DENOMINATOR);
            }
        } else if flag_index != TIMELY_HEAD_FLAG_INDEX {
            penalties[index as usize] += mul(base_reward, weight)? / WEIGHT_DENOMINATOR;
        }
    }
    Ok((rewards, penalties))
}

fn get_inactivity_penalty_deltas(state: &State, config: &Config) -> Result<Deltas, Invalid> {
    let (rewards, mut penalties) = zeros(state);
    let participants = participating(state, TIMELY_TARGET_FLAG_INDEX, get_previous_epoch(state))?;
    for index in get_eligible_validator_indices(state) {
        if !participants.contains(&index) {
            let score = *state.inactivity_scores.get(index as usize).unwrap();
            let penalty_numerator = mul(validator(state, index)?.effective_balance, score)?;
            let quotient = if state.at >= Fork::Bellatrix {
                INACTIVITY_PENALTY_QUOTIENT_BELLATRIX
            } else {
                INACTIVITY_PENALTY_QUOTIENT_ALTAIR
            };
            penalties[index as usize] += penalty_numerator / (config.inactivity_score_bias * quotient);
        }
    }
    Ok((rewards, penalties))
}

fn process_rewards_and_penalties(state: &mut State, config: &Config) -> Result<(), Invalid> {
    if get_current_epoch(state) == GENESIS_EPOCH {
        return Ok(());
    }
    let deltas = if state.at >= Fork::Altair {
        let mut deltas = Vec::new();
        for flag_index in 0..PARTICIPATION_FLAG_WEIGHTS.len() {
            deltas.push(get_flag_index_deltas(state, flag_index)?);
        }
        deltas.push(get_inactivity_penalty_deltas(state, config)?);
        deltas
    } else {
        vec![get_attestation_deltas(state)?]
    };
    for (rewards, penalties) in deltas {
        for index in all_indices(state) {
            increase_balance(state, index, rewards[index as usize])?;
            decrease_balance(state, index, penalties[index as usize])?;
        }
    }
    Ok(())
}

fn base_reward_phase0(state: &State, index: ValidatorIndex) -> Gwei {
    let effective_balance = validator(state, index).unwrap().effective_balance;
    effective_balance * BASE_REWARD_FACTOR / get_total_active_balance(state).isqrt() / BASE_REWARDS_PER_EPOCH
}

fn get_attestation_deltas(state: &State) -> Result<Deltas, Invalid> {
    let (mut rewards, mut penalties) = zeros(state);
    let previous_epoch = get_previous_epoch(state);
    let leak = fast::is_in_inactivity_leak(state)?;
    let total_balance = get_total_active_balance(state) / EFFECTIVE_BALANCE_INCREMENT;
    for flag_index in 0..3 {
        let attesting = participating(state, flag_index, previous_epoch)?;
        let attesting_balance = get_total_balance(state, attesting.iter().copied())?;
        for index in get_eligible_validator_indices(state) {
            let (at, base_reward) = (index as usize, base_reward_phase0(state, index));
            if !attesting.contains(&index) {
                penalties[at] += base_reward;
            } else if leak {
                rewards[at] += base_reward;
            } else {
                rewards[at] += base_reward * (attesting_balance / EFFECTIVE_BALANCE_INCREMENT) / total_balance;
            }
        }
    }
    for index in participating(state, TIMELY_SOURCE_FLAG_INDEX, previous_epoch)? {
        let mut own: Vec<&PendingAttestation> = Vec::new();
        for a in &state.previous_epoch_attestations {
            if attesting_indices(state, a)?.contains(&index) {
                own.push(a);
            }
        }
        let attestation = own.into_iter().min_by_key(|a| a.inclusion_delay).unwrap();
        let base_reward = base_reward_phase0(state, index);
        let proposer_reward = base_reward / PROPOSER_REWARD_QUOTIENT;
        rewards[attestation.proposer_index as usize] += proposer_reward;
        rewards[index as usize] += (base_reward - proposer_reward) / attestation.inclusion_delay;
    }
    if leak {
        let target = participating(state, TIMELY_TARGET_FLAG_INDEX, previous_epoch)?;
        for index in get_eligible_validator_indices(state) {
            let (at, base_reward) = (index as usize, base_reward_phase0(state, index));
            penalties[at] += BASE_REWARDS_PER_EPOCH * base_reward - base_reward / PROPOSER_REWARD_QUOTIENT;
            if !target.contains(&index) {
                let effective_balance = validator(state, index)?.effective_balance;
                penalties[at] += effective_balance * fast::get_finality_delay(state)? / INACTIVITY_PENALTY_QUOTIENT;
            }
        }
    }
    Ok((rewards, penalties))
}

fn is_ejected(state: &State, config: &Config, index: ValidatorIndex) -> bool {
    let v = validator(state, index).unwrap();
    is_active_validator(v, get_current_epoch(state)) && v.effective_balance <= config.ejection_balance
}

fn process_registry_updates(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let current_epoch = get_current_epoch(state);
    for index in all_indices(state) {
        if is_eligible_for_activation_queue(state.at, validator(state, index)?) {
            validator_mut(state, index)?.activation_eligibility_epoch = current_epoch + 1;
        }
        if is_ejected(state, config, index) {
            initiate_validator_exit(state, config, index)?;
        }
    }
    let mut activation_queue: Vec<ValidatorIndex> = all_indices(state)
        .filter(|index| is_eligible_for_activation(state, validator(state, *index).unwrap()))
        .collect();
    activation_queue.sort_by_key(|index| (validator(state, *index).unwrap().activation_eligibility_epoch, *index));
    let limit = get_validator_activation_churn_limit(state, config) as usize;
    for index in activation_queue.into_iter().take(limit) {
        validator_mut(state, index)?.activation_epoch = compute_activation_exit_epoch(current_epoch);
    }
    Ok(())
}

fn process_registry_updates_electra(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let current_epoch = get_current_epoch(state);
    for index in all_indices(state) {
        if is_eligible_for_activation_queue(state.at, validator(state, index)?) {
            validator_mut(state, index)?.activation_eligibility_epoch = current_epoch + 1;
        } else if is_ejected(state, config, index) {
            initiate_validator_exit(state, config, index)?;
        } else if is_eligible_for_activation(state, validator(state, index)?) {
            validator_mut(state, index)?.activation_epoch = compute_activation_exit_epoch(current_epoch);
        }
    }
    Ok(())
}

fn process_slashings(state: &mut State) -> Result<(), Invalid> {
    let epoch = get_current_epoch(state);
    let total_balance = get_total_active_balance(state);
    let multiplier = if state.at >= Fork::Bellatrix {
        PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX
    } else if state.at >= Fork::Altair {
        PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR
    } else {
        PROPORTIONAL_SLASHING_MULTIPLIER
    };
    let sum: Gwei = state.slashings.iter().sum();
    let adjusted_total_slashing_balance = mul(sum, multiplier)?.min(total_balance);
    for index in all_indices(state) {
        let v = validator(state, index)?;
        if v.slashed && epoch + EPOCHS_PER_SLASHINGS_VECTOR / 2 == v.withdrawable_epoch {
            let increment = EFFECTIVE_BALANCE_INCREMENT;
            let increments = v.effective_balance / increment;
            let penalty = if state.at >= Fork::Electra {
                adjusted_total_slashing_balance / (total_balance / increment) * increments
            } else {
                mul(increments, adjusted_total_slashing_balance)? / total_balance * increment
            };
            decrease_balance(state, index, penalty)?;
        }
    }
    Ok(())
}

fn index_of(state: &State, pubkey: &BLSPubkey) -> Option<ValidatorIndex> {
    let found = state.validators.iter().position(|v| v.pubkey == *pubkey);
    found.map(|index| index as ValidatorIndex)
}

fn apply_pending_deposit(state: &mut State, config: &Config, deposit: &PendingDeposit) -> Result<(), Invalid> {
    match index_of(state, &deposit.pubkey) {
        Some(index) => increase_balance(state, index, deposit.amount),
        None => {
            let (pubkey, credentials) = (deposit.pubkey, deposit.withdrawal_credentials);
            if is_valid_deposit_signature(config, &pubkey, &credentials, deposit.amount, &deposit.signature) {
                add_validator_to_registry(state, pubkey, credentials, deposit.amount)?;
            }
            Ok(())
        }
    }
}

fn process_pending_deposits(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let next_epoch = get_current_epoch(state) + 1;
    let churn = if state.at >= Fork::Gloas {
        get_activation_churn_limit(state, config)
    } else {
        get_activation_exit_churn_limit(state, config)
    };
    let available_for_processing = add(state.deposit_balance_to_consume, churn)?;
    let mut processed_amount = 0;
    let mut next_deposit_index = 0;
    let mut deposits_to_postpone = Vec::new();
    let mut is_churn_limit_reached = false;
    let finalized_slot = compute_start_slot_at_epoch(state.finalized_checkpoint.epoch);
    let pending = state.pending_deposits.to_vec();
    for deposit in &pending {
        if state.at < Fork::Fulu
            && deposit.slot > GENESIS_SLOT
            && state.eth1_deposit_index < state.deposit_requests_start_index
        {
            break;
        }
        if deposit.slot > finalized_slot {
            break;
        }
        if next_deposit_index as u64 >= MAX_PENDING_DEPOSITS_PER_EPOCH {
            break;
        }
        let mut is_validator_exited = false;
        let mut is_validator_withdrawn = false;
        if let Some(index) = index_of(state, &deposit.pubkey) {
            let v = validator(state, index)?;
            is_validator_exited = v.exit_epoch < FAR_FUTURE_EPOCH;
            is_validator_withdrawn = v.withdrawable_epoch < next_epoch;
        }
        if is_validator_withdrawn {
            apply_pending_deposit(state, config, deposit)?;
        } else if is_validator_exited {
            deposits_to_postpone.push(deposit.clone());
        } else {
            is_churn_limit_reached = processed_amount + deposit.amount > available_for_processing;
            if is_churn_limit_reached {
                break;
            }
            processed_amount += deposit.amount;
            apply_pending_deposit(state, config, deposit)?;
        }
        next_deposit_index += 1;
    }
    let left = pending.into_iter().skip(next_deposit_index).chain(deposits_to_postpone);
    state.pending_deposits = state.pending_deposits.rebuilt(left);
    state.deposit_balance_to_consume = if is_churn_limit_reached {
        sub(available_for_processing, processed_amount)?
    } else {
        0
    };
    Ok(())
}

fn process_pending_consolidations(state: &mut State) -> Result<(), Invalid> {
    let next_epoch = get_current_epoch(state) + 1;
    let mut next_pending_consolidation = 0;
    let pending = state.pending_consolidations.to_vec();
    for consolidation in &pending {
        let source = validator(state, consolidation.source_index)?.clone();
        if source.slashed {
            next_pending_consolidation += 1;
            continue;
        }
        if source.withdrawable_epoch > next_epoch {
            break;
        }
        let held = balance(state, consolidation.source_index)?.min(source.effective_balance);
        decrease_balance(state, consolidation.source_index, held)?;
        increase_balance(state, consolidation.target_index, held)?;
        next_pending_consolidation += 1;
    }
    let left = pending.into_iter().skip(next_pending_consolidation);
    state.pending_consolidations = state.pending_consolidations.rebuilt(left);
    Ok(())
}

fn process_effective_balance_updates(state: &mut State) -> Result<(), Invalid> {
    for index in all_indices(state) {
        let (held, v) = (balance(state, index)?, validator(state, index)?);
        let hysteresis_increment = EFFECTIVE_BALANCE_INCREMENT / HYSTERESIS_QUOTIENT;
        let downward_threshold = hysteresis_increment * HYSTERESIS_DOWNWARD_MULTIPLIER;
        let upward_threshold = hysteresis_increment * HYSTERESIS_UPWARD_MULTIPLIER;
        let max_effective_balance = if state.at >= Fork::Electra {
            get_max_effective_balance(v)
        } else {
            MAX_EFFECTIVE_BALANCE
        };
        if held + downward_threshold < v.effective_balance || v.effective_balance + upward_threshold < held {
            validator_mut(state, index)?.effective_balance =
                (held - held % EFFECTIVE_BALANCE_INCREMENT).min(max_effective_balance);
        }
    }
    Ok(())
}

fn process_participation_flag_updates(state: &mut State) {
    let zeros = vec![0; state.validators.len()];
    state.previous_epoch_participation = state.current_epoch_participation.clone();
    state.current_epoch_participation = state.current_epoch_participation.rebuilt(zeros);
}

fn process_proposer_lookahead(state: &mut State) -> Result<(), Invalid> {
    let epoch = get_current_epoch(state) + MIN_SEED_LOOKAHEAD + 1;
    let mut lookahead = state.proposer_lookahead[SLOTS_PER_EPOCH as usize..].to_vec();
    lookahead.extend(get_beacon_proposer_indices(state, epoch)?);
    state.proposer_lookahead = lookahead.into();
    Ok(())
}

fn process_ptc_window(state: &mut State) -> Result<(), Invalid> {
    let mut window = state.ptc_window[SLOTS_PER_EPOCH as usize..].to_vec();
    let start_slot = compute_start_slot_at_epoch(get_current_epoch(state) + MIN_SEED_LOOKAHEAD + 1);
    for slot in start_slot..start_slot + SLOTS_PER_EPOCH {
        window.push(compute_ptc(state, slot)?.into());
    }
    state.ptc_window = window.into();
    Ok(())
}
