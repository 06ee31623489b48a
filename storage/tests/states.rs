//! States come back as they were, whichever way they are kept, and are told apart from damaged ones.

use crate::fixture::{Folder, open};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{BitList, Bytes, Root, Ssz};
use consensus::types::{BeaconState, Builder, PendingAttestation, Validator};
use consensus::{Config, Fork, State};
use std::path::PathBuf;
use storage::{Error, SavedAs, StateId, Storage};
use synthetic::{Numbers, Shape, fulu_state};

fn mainnet_like(validators: usize) -> State {
    let shape = Shape {
        pending_deposits: 300,
        ..Shape::like_mainnet(validators)
    };
    fulu_state(shape, &Config::standard())
}

fn block_root(slot: u64) -> Root {
    Bytes([slot as u8; 32])
}

/// What an epoch does to a state, as far as storing it goes.
fn advance(state: &mut State, epochs: u64, numbers: &mut Numbers) {
    state.slot += epochs * SLOTS_PER_EPOCH;
    let slot = state.slot;
    *state
        .randao_mixes
        .get_mut((slot / SLOTS_PER_EPOCH) as usize % 64)
        .unwrap() = numbers.root();
    *state.block_roots.get_mut(slot as usize % 64).unwrap() = numbers.root();
    let rewards: Vec<u64> = (0..state.balances.len()).map(|_| numbers.below(20_000)).collect();
    state
        .balances
        .update(|index, balance| Some(balance + rewards[index] - 9_000));
    state
        .inactivity_scores
        .update(|index, score| (index % 7 == 0).then_some(score ^ 1));
    state.previous_epoch_participation = state.current_epoch_participation.clone();
    let flags: Vec<u8> = (0..state.balances.len())
        .map(|_| 7 >> (numbers.below(20) / 18))
        .collect();
    state.current_epoch_participation = state.current_epoch_participation.rebuilt(flags);
    for _ in 0..5 {
        let index = numbers.below(state.validators.len() as u64) as usize;
        state.validators.get_mut(index).unwrap().effective_balance = numbers.below(1 << 40);
    }
    // Deposits become validators, and others queue up.
    let deposits = state.pending_deposits.to_vec();
    for deposit in &deposits[..3.min(deposits.len())] {
        let validator = Validator {
            pubkey: deposit.pubkey,
            ..Validator::default()
        };
        state.validators.push(validator);
        state.balances.push(deposit.amount);
        state.inactivity_scores.push(0);
        state.previous_epoch_participation.push(0);
        state.current_epoch_participation.push(0);
    }
    let mut queue = deposits[3.min(deposits.len())..].to_vec();
    queue.extend(deposits.first().cloned());
    state.pending_deposits = state.pending_deposits.rebuilt(queue);
}

#[track_caller]
fn check(storage: &Storage, state: &State) {
    let id = StateId {
        slot: state.slot,
        block_root: block_root(state.slot),
    };
    let found = storage.state(&id).unwrap().expect("the state is kept");
    assert_eq!(found.at, state.at);
    assert!(found.beacon == state.beacon, "slot {}", state.slot);
    assert_eq!(found.hash_tree_root(), state.hash_tree_root());
}

fn save(storage: &Storage, state: &State) -> SavedAs {
    storage.save_state(state, &block_root(state.slot)).unwrap()
}

/// The level a state was saved at.
fn level(saved: SavedAs) -> u8 {
    match saved {
        SavedAs::Anchor => 0,
        SavedAs::Difference { level, .. } => level,
        SavedAs::Known => 9,
    }
}

#[test]
fn epochs_are_kept_as_differences() {
    let folder = Folder::new("epochs");
    let storage = open(folder.path());
    let mut numbers = Numbers::new(1);
    let mut state = mainnet_like(1_000);
    assert_eq!(storage.states().unwrap(), []);
    let (mut states, mut levels) = (Vec::new(), Vec::new());
    for _ in 0..70 {
        levels.push(level(save(&storage, &state)));
        states.push(state.clone());
        advance(&mut state, 1, &mut numbers);
    }
    let expected: Vec<u8> = (0..70)
        .map(|epoch| match epoch {
            0 => 0,
            1 | 33 | 65 => 1,
            _ => 2,
        })
        .collect();
    assert_eq!(levels, expected);
    assert_eq!(save(&storage, &states[5]), SavedAs::Known);
    drop(storage);

    let storage = open(folder.path());
    let ids: Vec<u64> = storage.states().unwrap().iter().map(|id| id.slot).collect();
    assert_eq!(ids, states.iter().map(|state| state.slot).collect::<Vec<_>>());
    states.iter().step_by(3).for_each(|state| check(&storage, state));
    let nobody = StateId {
        slot: states[3].slot,
        block_root: Bytes([0xee; 32]),
    };
    assert!(storage.state(&nobody).unwrap().is_none());

    storage.prune_states(states[60].slot).unwrap();
    let kept = |epoch: usize| epoch >= 60 || [0, 1, 33].contains(&epoch);
    for (epoch, state) in states.iter().enumerate() {
        let id = StateId {
            slot: state.slot,
            block_root: block_root(state.slot),
        };
        assert_eq!(storage.states().unwrap().contains(&id), kept(epoch), "epoch {epoch}");
    }
    check(&storage, &states[33]);
    check(&storage, &states[69]);
}

#[test]
fn two_anchors_are_kept_and_what_counts_from_them() {
    let folder = Folder::new("anchors");
    let storage = open(folder.path());
    let mut numbers = Numbers::new(2);
    let mut state = mainnet_like(300);
    let (mut states, mut levels) = (Vec::new(), Vec::new());
    for epochs in [1, 40, 983, 1, 1, 1022, 1, 1, 0] {
        levels.push(level(save(&storage, &state)));
        states.push(state.clone());
        advance(&mut state, epochs, &mut numbers);
    }
    assert_eq!(levels, [0, 1, 1, 0, 1, 2, 0, 1, 2]);
    let anchors = storage.anchors().unwrap();
    let slots: Vec<u64> = anchors.iter().map(|anchor| anchor.id.slot).collect();
    assert_eq!(slots, [states[3].slot, states[6].slot]);
    assert!(anchors.iter().all(|anchor| anchor.size > 10_000));
    assert_eq!(storage.states().unwrap().len(), 6);
    states[3..].iter().for_each(|state| check(&storage, state));
    // A state that was reorganized away may be what others count from.
    let sibling = storage.save_state(&states[8], &Bytes([0xdd; 32])).unwrap();
    assert_eq!(level(sibling), 2);
}

/// A state of any fork with something in every list.
fn small(fork: Fork, numbers: &mut Numbers) -> State {
    let mut state = BeaconState::new(fork);
    state.slot = 64 * SLOTS_PER_EPOCH;
    for _ in 0..100 {
        let pubkey = Bytes(std::array::from_fn(|_| numbers.below(256) as u8));
        state.validators.push(Validator {
            pubkey,
            ..Validator::default()
        });
        state.balances.push(numbers.next_u64());
        if fork >= Fork::Altair {
            state.previous_epoch_participation.push(3);
            state.current_epoch_participation.push(numbers.below(8) as u8);
            state.inactivity_scores.push(numbers.below(9));
        } else {
            let mut attestation = PendingAttestation::new(fork);
            attestation.aggregation_bits = BitList::new(numbers.below(100) as usize);
            state.previous_epoch_attestations.push(attestation);
        }
        if fork >= Fork::Gloas {
            let pubkey = Bytes(std::array::from_fn(|_| numbers.below(256) as u8));
            state.builders.push(Builder {
                pubkey,
                ..Builder::default()
            });
        }
    }
    state.historical_roots.push(numbers.root());
    State::new(fork, state)
}

#[test]
fn states_of_all_forks_come_back() {
    for fork in Fork::ALL {
        let folder = Folder::new("forks");
        let storage = open(folder.path());
        let mut numbers = Numbers::new(fork as u64);
        let mut state = small(fork, &mut numbers);
        for _ in 0..3 {
            save(&storage, &state);
            check(&storage, &state);
            state.slot += SLOTS_PER_EPOCH;
            state
                .balances
                .update(|index, balance| Some(balance.wrapping_mul(index as u64)));
            state.balances.push(numbers.next_u64());
        }
    }
}

#[test]
fn a_difference_may_cross_a_fork_and_shrink_lists() {
    let folder = Folder::new("cross");
    let storage = open(folder.path());
    let mut numbers = Numbers::new(3);
    for (number, fork) in [Fork::Phase0, Fork::Gloas, Fork::Fulu].into_iter().enumerate() {
        let mut state = small(fork, &mut numbers);
        state.slot += number as u64;
        if number == 2 {
            state.validators = state.validators.rebuilt([]);
            state.balances = state.balances.rebuilt([5, 6]);
        }
        assert_eq!(level(save(&storage, &state)), number as u8);
        check(&storage, &state);
    }
}

/// Damages a file or value in many places: each must be told, and none taken for a state.
fn each_damage(bytes: &[u8], mut check: impl FnMut(&[u8])) {
    for place in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
        check(&bytes[..place]);
        let mut flipped = bytes.to_vec();
        flipped[place] ^= 0x10;
        check(&flipped);
    }
}

#[test]
fn a_damaged_anchor_is_named() {
    let folder = Folder::new("damaged");
    let storage = open(folder.path());
    let state = mainnet_like(100);
    save(&storage, &state);
    let anchor = storage.anchors().unwrap().remove(0);
    let bytes = std::fs::read(&anchor.path).unwrap();
    each_damage(&bytes, |damaged| {
        std::fs::write(&anchor.path, damaged).unwrap();
        let error = storage.state(&anchor.id).unwrap_err();
        assert!(
            matches!(error, Error::Damaged(_)) && error.to_string().contains("--resync"),
            "{error}"
        );
    });
    std::fs::write(&anchor.path, bytes).unwrap();
    check(&storage, &state);
    // A whole file under another's name.
    let name: PathBuf = anchor.path.with_file_name(format!("{:012}-{}.zst", 7, "ab".repeat(32)));
    std::fs::rename(&anchor.path, name).unwrap();
    let error = storage
        .state(&StateId {
            slot: 7,
            block_root: Bytes([0xab; 32]),
        })
        .unwrap_err();
    assert!(error.to_string().contains("it is the state at slot"), "{error}");
}

#[test]
fn a_lost_anchor_is_named_by_what_counts_from_it() {
    let folder = Folder::new("lost");
    let storage = open(folder.path());
    let mut state = mainnet_like(100);
    save(&storage, &state);
    state.slot += SLOTS_PER_EPOCH;
    save(&storage, &state);
    std::fs::remove_file(&storage.anchors().unwrap()[0].path).unwrap();
    let id = StateId {
        slot: state.slot,
        block_root: block_root(state.slot),
    };
    let error = storage.state(&id).unwrap_err();
    assert!(
        matches!(error, Error::Damaged(_)) && error.to_string().contains("is gone"),
        "{error}"
    );
}
