//! What the vectors of operations leave out: votes on top of earlier votes, against the same written as the specs have
//! it, and a deposit request where none was seen before.

use consensus::constants::{
    PARTICIPATION_FLAG_WEIGHTS, PROPOSER_WEIGHT, UNSET_DEPOSIT_REQUESTS_START_INDEX, WEIGHT_DENOMINATOR,
};
use consensus::helpers::accessors::{
    get_attestation_participation_flag_indices, get_attesting_indices, get_base_reward, get_beacon_committee,
    get_beacon_proposer_index, get_block_root, get_block_root_at_slot, get_committee_count_per_slot, get_current_epoch,
    is_attestation_same_slot, validator,
};
use consensus::helpers::misc::{add_flag, compute_epoch_at_slot, has_flag};
use consensus::helpers::mutators::increase_balance;
use consensus::keys::Keys;
use consensus::preset::{MAX_COMMITTEES_PER_SLOT, SLOTS_PER_EPOCH};
use consensus::signing::Context;
use consensus::ssz::{BitList, BitVector, Ssz};
use consensus::transition::block::{process_attestation, process_deposit_request};
use consensus::transition::upgrade::upgrade_to;
use consensus::types::{Attestation, AttestationData, BeaconState, Checkpoint, DepositRequest};
use consensus::{Config, Fork, State};
use synthetic::{Numbers, Shape, fulu_state};

const VALIDATORS: usize = 1500;

/// A state at `at`, `slots` into its epoch, in which flags and builder payments are anything.
fn state(at: Fork, slots: u64, numbers: &mut Numbers) -> State {
    let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
    let shape = Shape {
        validators: VALIDATORS,
        active: 1100,
        pending_deposits: 0,
    };
    let mut state = fulu_state(shape, &config);
    if at >= Fork::Gloas {
        upgrade_to(&mut state, &config, at).unwrap();
    }
    state.slot += slots;
    let flags = &mut || Some(numbers.below(8) as u8);
    state.previous_epoch_participation.update(|_, _| flags());
    state.current_epoch_participation.update(|_, _| flags());
    for payment in state.beacon.builder_pending_payments.iter_mut() {
        payment.withdrawal.amount = numbers.below(2);
        payment.weight = numbers.below(1000);
    }
    State::new(at, state.beacon)
}

/// A valid vote of some members of each committee, `delay` slots ago, with its signature left out.
fn vote(state: &State, delay: u64, numbers: &mut Numbers) -> Attestation {
    let slot = state.slot - delay;
    let epoch = compute_epoch_at_slot(slot);
    let mut committee_bits = BitVector::new(MAX_COMMITTEES_PER_SLOT as usize);
    let mut bits = Vec::new();
    for index in 0..get_committee_count_per_slot(state, epoch) {
        committee_bits.set(index as usize, true);
        let members = get_beacon_committee(state, slot, index).unwrap().len();
        let first = bits.len();
        bits.extend((0..members).map(|_| numbers.below(3) > 0));
        bits[first] = true;
    }
    let mut aggregation_bits = BitList::new(bits.len());
    for (place, bit) in bits.into_iter().enumerate() {
        aggregation_bits.set(place, bit);
    }
    let other = numbers.root();
    let mut or_other = |root| if numbers.below(4) == 0 { other } else { root };
    let source = if epoch == get_current_epoch(state) {
        state.current_justified_checkpoint
    } else {
        state.previous_justified_checkpoint
    };
    Attestation {
        aggregation_bits,
        data: AttestationData {
            slot,
            index: 0,
            beacon_block_root: or_other(get_block_root_at_slot(state, slot).unwrap()),
            source,
            target: Checkpoint {
                epoch,
                root: or_other(get_block_root(state, epoch).unwrap()),
            },
        },
        committee_bits,
        ..Attestation::default()
    }
}

/// What a valid vote changes, voter by voter and flag by flag, as the spec's `process_attestation` has it.
fn apply_plainly(state: &mut State, attestation: &Attestation, parent_slot: u64) {
    let data = &attestation.data;
    let delay = state.slot - data.slot;
    let flags = get_attestation_participation_flag_indices(state, data, delay, parent_slot).unwrap();
    let is_current = data.target.epoch == get_current_epoch(state);
    let is_gloas = state.at >= Fork::Gloas;
    let weighs = is_gloas && is_attestation_same_slot(state, data).unwrap();
    let payment = (if is_current { SLOTS_PER_EPOCH } else { 0 } + data.slot % SLOTS_PER_EPOCH) as usize;
    let mut numerator = 0;
    for index in get_attesting_indices(state, attestation).unwrap() {
        let mut will_set_new_flag = false;
        for (flag, weight) in PARTICIPATION_FLAG_WEIGHTS.iter().enumerate() {
            let base_reward = get_base_reward(state, index).unwrap();
            let participation = if is_current {
                &mut state.beacon.current_epoch_participation
            } else {
                &mut state.beacon.previous_epoch_participation
            };
            let held = participation.get_mut(index as usize).unwrap();
            if flags.contains(&flag) && !has_flag(*held, flag) {
                *held = add_flag(*held, flag);
                numerator += base_reward * weight;
                will_set_new_flag = true;
            }
        }
        if will_set_new_flag && weighs && state.builder_pending_payments[payment].withdrawal.amount > 0 {
            let effective_balance = validator(state, index).unwrap().effective_balance;
            state.builder_pending_payments[payment].weight += effective_balance;
        }
    }
    let denominator = (WEIGHT_DENOMINATOR - PROPOSER_WEIGHT) * WEIGHT_DENOMINATOR / PROPOSER_WEIGHT;
    let proposer_index = get_beacon_proposer_index(state).unwrap();
    increase_balance(state, proposer_index, numerator / denominator).unwrap();
}

#[test]
fn votes_on_top_of_votes_count_as_in_the_specs() {
    let mut numbers = Numbers::new(3);
    let (config, keys) = (Config::standard(), Keys::new());
    let (mut rewarded, mut weighed) = (0, 0);
    for at in [Fork::Fulu, Fork::Gloas] {
        // Several times, because only some random votes are for the block of their slot and for a builder who pays.
        for (slots, delay) in [(0, 1), (3, 1), (5, 2), (5, 7)].repeat(6) {
            let pre = state(at, slots, &mut numbers);
            let attestation = vote(&pre, delay, &mut numbers);
            let parent_slot = pre.slot - 1;
            let mut plain = pre.clone();
            apply_plainly(&mut plain, &attestation, parent_slot);
            let mut fast = pre.clone();
            fast.prepare();
            let mut ctx = Context::trusting(&config, &keys);
            process_attestation(&mut fast, &mut ctx, &attestation, parent_slot).unwrap();
            assert!(
                fast.beacon == plain.beacon,
                "{at}: {slots} slots into the epoch, {delay} slots late"
            );
            assert_eq!(fast.hash_tree_root(), plain.hash_tree_root());
            rewarded += u64::from(pre.balances != plain.balances);
            weighed += u64::from(pre.builder_pending_payments != plain.builder_pending_payments);
        }
    }
    assert!(rewarded >= 24 && weighed >= 2, "{rewarded} rewarded, {weighed} weighed");
}

#[test]
fn only_electra_notes_the_first_deposit_request() {
    for (at, expected) in [
        (Fork::Electra, 77),
        (Fork::Fulu, UNSET_DEPOSIT_REQUESTS_START_INDEX),
        (Fork::Gloas, UNSET_DEPOSIT_REQUESTS_START_INDEX),
    ] {
        let mut state = State::new(at, BeaconState::new(at));
        state.deposit_requests_start_index = UNSET_DEPOSIT_REQUESTS_START_INDEX;
        let request = DepositRequest {
            index: 77,
            ..DepositRequest::default()
        };
        process_deposit_request(&mut state, &request);
        assert_eq!(state.deposit_requests_start_index, expected, "{at}");
        assert_eq!(state.pending_deposits.len(), 1);
    }
}
