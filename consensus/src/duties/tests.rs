//! Duties on a small registry: every function against the plain reading of the spec.

use super::*;
use crate::preset::{MAX_EFFECTIVE_BALANCE, PTC_SIZE, SLOTS_PER_EPOCH};
use crate::ssz::{Bytes, Ssz};
use crate::types::{BeaconState, Validator};
use crate::{Fork, constants::FAR_FUTURE_EPOCH};

const VALIDATORS: u64 = 300;

fn pubkey(number: u64) -> BLSPubkey {
    let mut bytes = [0; 48];
    bytes[40..].copy_from_slice(&number.to_be_bytes());
    Bytes(bytes)
}

fn state(fork: Fork) -> State {
    let mut state = State::new(fork, BeaconState::new(fork));
    for number in 0..VALIDATORS {
        state.validators.push(Validator {
            pubkey: pubkey(number),
            effective_balance: MAX_EFFECTIVE_BALANCE,
            // The last one never enters.
            activation_epoch: if number + 1 == VALIDATORS { FAR_FUTURE_EPOCH } else { 0 },
            exit_epoch: FAR_FUTURE_EPOCH,
            ..Validator::default()
        });
    }
    state.slot = SLOTS_PER_EPOCH + 2;
    for (seat, pubkey_of_seat) in state.current_sync_committee.pubkeys.iter_mut().enumerate() {
        *pubkey_of_seat = pubkey(seat as u64 / 2);
    }
    for pubkey_of_seat in state.next_sync_committee.pubkeys.iter_mut() {
        *pubkey_of_seat = pubkey(200);
    }
    state
}

#[test]
fn every_active_validator_attests_once_an_epoch() {
    let mut state = state(Fork::Fulu);
    for prepared in [false, true] {
        if prepared {
            state.prepare();
        }
        for epoch in 0..=2 {
            for validator in (0..VALIDATORS - 1).step_by(37) {
                let assignment = get_committee_assignment(&state, epoch, validator).unwrap().unwrap();
                assert_eq!(compute_epoch_at_slot(assignment.slot), epoch);
                let committee = get_beacon_committee(&state, assignment.slot, assignment.index).unwrap();
                assert_eq!(*committee, assignment.committee);
                assert!(committee.contains(&(validator as u32)));
            }
            assert_eq!(get_committee_assignment(&state, epoch, VALIDATORS - 1), Ok(None));
        }
        let error = get_committee_assignment(&state, 3, 0).unwrap_err();
        assert_eq!(error.rule, "duty epoch");
    }
    assert_eq!(check_if_validator_active(&state, 0), Ok(true));
    assert_eq!(check_if_validator_active(&state, VALIDATORS - 1), Ok(false));
    assert!(check_if_validator_active(&state, VALIDATORS).is_err());
}

#[test]
fn attestation_subnets_count_the_committees_of_the_epoch() {
    let config = Config::standard();
    assert_eq!(compute_subnet_for_attestation(&config, 2, SLOTS_PER_EPOCH + 3, 1), 7);
    assert_eq!(compute_subnet_for_attestation(&config, 64, 3, 5), 5);
    assert_eq!(compute_subnet_for_attestation(&config, u64::MAX, 3, u64::MAX), 60);
    let state = state(Fork::Fulu);
    let per_slot = get_committee_count_per_slot(&state, 1);
    assert_eq!(
        attestation_subnet(&state, &config, SLOTS_PER_EPOCH + 3, 0),
        per_slot * 3
    );
}

#[test]
fn aggregators_are_about_as_many_as_wanted() {
    let signature = |number: u64| {
        let mut bytes = [0; 96];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Bytes(bytes)
    };
    let picked = |length| {
        (0..1000)
            .filter(|number| is_aggregator_of(length, &signature(*number)))
            .count()
    };
    assert_eq!(picked(31), 1000);
    assert!(
        (60..190).contains(&picked(128)),
        "{} of 1000, one in 8 expected",
        picked(128)
    );
    let state = state(Fork::Fulu);
    let length = get_beacon_committee(&state, 9, 0).unwrap().len() as u64;
    for number in 0..20 {
        let expected = is_aggregator_of(length, &signature(number));
        assert_eq!(is_aggregator(&state, 9, 0, &signature(number)), Ok(expected));
    }
    assert!(is_aggregator(&state, 9, 64, &signature(0)).is_err());
    #[allow(clippy::unnecessary_min_or_max)] // on the minimal preset the division gives 0
    let modulo = (SYNC_SUBCOMMITTEE_SIZE / TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE).max(1) as usize;
    let picked = (0..1000)
        .filter(|number| is_sync_committee_aggregator(&signature(*number)))
        .count();
    assert!(
        picked * modulo / 1000 <= 1 && picked * modulo > 500,
        "{picked} of 1000, one in {modulo} expected"
    );
}

#[test]
fn a_node_stays_on_neighbouring_subnets_for_a_while() {
    let config = Config::standard();
    let node_id = U256::MAX - U256::from(12345);
    let subnets = |epoch| compute_subscribed_subnets(&config, node_id, epoch).unwrap();
    let first = subnets(0);
    assert_eq!(first.len() as u64, config.subnets_per_node);
    assert_eq!(first[1], (first[0] + 1) % config.attestation_subnet_count);
    // The node's own offset decides at which epoch it moves.
    let offset = (node_id % U256::from(config.epochs_per_subnet_subscription)).wrapping_to::<u64>();
    let change = config.epochs_per_subnet_subscription - offset;
    assert_eq!(subnets(change - 1), first);
    assert_ne!(subnets(change), first);

    // The spec's formula in its own words.
    let prefix = (node_id >> 250usize).wrapping_to::<u64>();
    let seed = sha256(&0u64.to_le_bytes());
    assert_eq!(first[0], compute_shuffled_index(prefix, 64, &seed).unwrap() % 64);
}

#[test]
fn odd_configs_give_subnets_or_an_error() {
    let mut config = Config::standard();
    config.attestation_subnet_count = 1;
    assert_eq!(compute_subscribed_subnets(&config, U256::MAX, 7), Ok(vec![0]));
    config.attestation_subnet_extra_bits = 64;
    let error = compute_subscribed_subnets(&config, U256::MAX, 7).unwrap_err();
    assert_eq!(error.rule, "subnet prefix bits");
}

#[test]
fn sync_duties_follow_the_committee_that_signs() {
    let mut state = state(Fork::Fulu);
    assert_eq!(is_assigned_to_sync_committee(&state, 1, 0), Ok(true));
    assert_eq!(
        is_assigned_to_sync_committee(&state, 1, 200),
        Ok(SYNC_COMMITTEE_SIZE > 400)
    );
    let next = EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
    assert_eq!(is_assigned_to_sync_committee(&state, next, 200), Ok(true));
    assert_eq!(is_assigned_to_sync_committee(&state, next, 0), Ok(false));
    let error = is_assigned_to_sync_committee(&state, 2 * next, 0).unwrap_err();
    assert_eq!(error.rule, "sync committee period");

    let slot = state.slot;
    let subnets = |state: &State, slot, index| compute_subnets_for_sync_committee(state, slot, index);
    assert_eq!(subnets(&state, slot, 0), Ok(vec![0]));
    let last = SYNC_COMMITTEE_SIZE / 2 - 1;
    assert_eq!(subnets(&state, slot, last), Ok(vec![3]));
    assert_eq!(subnets(&state, slot, VALIDATORS - 1), Ok(vec![]));
    let members = get_sync_subcommittee_pubkeys(&state, slot, 1).unwrap();
    assert_eq!(members.len() as u64, SYNC_SUBCOMMITTEE_SIZE);
    assert_eq!(members[0], pubkey(SYNC_SUBCOMMITTEE_SIZE / 2));
    for index in [4, u64::MAX] {
        let error = get_sync_subcommittee_pubkeys(&state, slot, index).unwrap_err();
        assert_eq!(error.rule, "sync subcommittee index");
    }
    // In the last slot of a period the next committee signs, wherever in the period the state stands.
    let end = next * SLOTS_PER_EPOCH - 1;
    for state_slot in [slot, end - 1, end] {
        state.slot = state_slot;
        assert_eq!(subnets(&state, end - 1, last), Ok(vec![3]));
        assert_eq!(subnets(&state, end, 200), Ok(vec![0, 1, 2, 3]));
        assert_eq!(get_sync_subcommittee_pubkeys(&state, end, 3).unwrap()[0], pubkey(200));
        assert_eq!(subnets(&state, end + 1, 200), Ok(vec![0, 1, 2, 3]));
    }
    // The one after that is not known yet, and the one before no longer.
    let error = subnets(&state, 2 * next * SLOTS_PER_EPOCH, 200).unwrap_err();
    assert_eq!(error.rule, "sync committee period");
    state.slot = end + 1;
    assert_eq!(subnets(&state, end - 1, 200).unwrap_err().rule, "sync committee period");
}

#[test]
fn proposals_and_payload_votes_are_read_from_the_lookahead() {
    let mut state = state(Fork::Gloas);
    for (place, proposer) in state.proposer_lookahead.iter_mut().enumerate() {
        *proposer = place as u64 % 5;
    }
    // The state is at slot 2 of epoch 1.
    assert_eq!(is_proposer(&state, 2), Ok(true));
    assert_eq!(is_proposer(&state, 3), Ok(false));
    let slots = get_upcoming_proposal_slots(&state, 2);
    let expected: Vec<u64> = (0..2 * SLOTS_PER_EPOCH)
        .filter(|place| place % 5 == 2 && *place > 2)
        .map(|place| SLOTS_PER_EPOCH + place)
        .collect();
    assert_eq!(slots, expected);

    for (place, committee) in state.ptc_window.iter_mut().enumerate() {
        *committee = vec![place as u64; PTC_SIZE as usize].into();
    }
    for epoch in 0..=2 {
        let validator = epoch * SLOTS_PER_EPOCH + 1;
        assert_eq!(get_ptc_assignment(&state, epoch, validator), Ok(Some(validator)));
        assert_eq!(get_ptc_assignment(&state, epoch, VALIDATORS), Ok(None));
    }
    assert_eq!(get_ptc_assignment(&state, 3, 0).unwrap_err().rule, "duty epoch");
}
