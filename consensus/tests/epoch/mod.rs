//! The epoch transition in few passes against the same written down as the specs have it, on random states.

mod plain;
mod random;

use crate::support::rounds;
use consensus::helpers::accessors::{compute_total_active_balance, get_current_epoch, get_total_active_balance};
use consensus::helpers::shuffling::EpochShuffling;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::transition::epoch::{
    EpochRewards, Finality, compute_unrealized_checkpoints, process_epoch, process_inactivity_updates,
    process_justification_and_finalization, process_rewards_and_penalties,
};
use consensus::{Config, Fork, State};
use random::KeyRing;
use synthetic::Numbers;

/// States tried at each fork in a long run.
const STATES: usize = 200;

#[test]
fn the_fast_transition_is_the_specs() {
    let keys = KeyRing::new(110);
    for at in Fork::ALL {
        let config = Config::standard().with_forks_at_genesis(at);
        let mut done = 0;
        let states = rounds(STATES) as u64;
        for seed in 0..states {
            let mut numbers = Numbers::new(seed << 8 | at as u64);
            let pre = random::state(at, &config, &keys, &mut numbers);
            done += u64::from(agree(&pre, &config, seed));
        }
        assert!(
            done > states / 2,
            "{at}: only {done} of {states} transitions were valid"
        );
    }
}

/// Whether the transition is valid; fails if the two differ.
fn agree(pre: &State, config: &Config, seed: u64) -> bool {
    let (mut fast, mut plain) = (pre.clone(), State::new(pre.at, pre.beacon.clone()));
    let unrealized = compute_unrealized_checkpoints(pre, config);
    rewards_are_what_is_paid(pre, config);
    let results = (
        process_epoch(&mut fast, config),
        plain::process_epoch(&mut plain, config),
    );
    let what = format!("{}, seed {seed}, epoch {}", pre.at, get_current_epoch(pre));
    match results {
        (Ok(()), Ok(())) => {}
        (Err(_), Err(_)) => return false,
        (fast, plain) => panic!("{what}: fast {fast:?}, plain {plain:?}"),
    }
    assert_eq!(unrealized.unwrap(), Finality::of(&fast), "{what}: checkpoints");
    same(&fast, &plain, &what);
    left_behind_is_right(fast, &what);
    true
}

/// Components told one by one must lead to the balances that the step makes.
fn rewards_are_what_is_paid(pre: &State, config: &Config) {
    let mut paid = pre.clone();
    if pre.at < Fork::Altair || get_current_epoch(pre) == 0 {
        return;
    }
    let Ok(told) = EpochRewards::of(pre, config) else {
        return;
    };
    process_justification_and_finalization(&mut paid, config).unwrap();
    process_inactivity_updates(&mut paid, config).unwrap();
    process_rewards_and_penalties(&mut paid, config).unwrap();
    for (index, (before, after)) in pre.balances.iter().zip(&paid.balances).enumerate() {
        let mut expected = *before;
        if let Some(rewards) = told.of_validator(index as u64).unwrap() {
            let flags = rewards.flags.iter();
            expected = flags.fold(expected, |held, flag| (held + flag.earned).saturating_sub(flag.penalty));
            expected = expected.saturating_sub(rewards.inactivity_penalty);
            assert!(
                rewards
                    .flags
                    .iter()
                    .all(|flag| flag.earned == flag.ideal || flag.earned == 0)
            );
        }
        assert_eq!(*after, expected, "{}: balance of validator {index}", pre.at);
    }
}

/// Compares part by part what the steps change, so that a difference is told by its name, and then everything.
fn same(fast: &State, plain: &State, what: &str) {
    for (index, (fast, plain)) in fast.validators.iter().zip(&plain.validators).enumerate() {
        assert_eq!(fast, plain, "{what}: validator {index}");
    }
    assert_eq!(
        fast.inactivity_scores, plain.inactivity_scores,
        "{what}: inactivity scores"
    );
    assert_eq!(fast.balances, plain.balances, "{what}: balances");
    assert_eq!(
        fast.pending_deposits, plain.pending_deposits,
        "{what}: pending deposits"
    );
    assert_eq!(
        fast.proposer_lookahead, plain.proposer_lookahead,
        "{what}: proposer lookahead"
    );
    assert_eq!(fast.ptc_window, plain.ptc_window, "{what}: payload committees");
    assert!(fast.beacon == plain.beacon, "{what}: another part");
    assert_eq!(fast.hash_tree_root(), plain.hash_tree_root(), "{what}: root");
}

/// What the transition keeps for the next epoch must be what the state itself says.
fn left_behind_is_right(mut state: State, what: &str) {
    state.slot += 1;
    let epoch = get_current_epoch(&state);
    assert_eq!(epoch * SLOTS_PER_EPOCH, state.slot, "{what}: the next epoch has begun");
    let total = compute_total_active_balance(&state, epoch);
    assert_eq!(get_total_active_balance(&state), total, "{what}: total active balance");
    state.prepare();
    for epoch in [epoch.saturating_sub(1), epoch, epoch + 1] {
        let kept = state.shuffling(epoch).map(|kept| EpochShuffling::clone(kept));
        assert_eq!(
            kept,
            Some(EpochShuffling::compute(&state, epoch)),
            "{what}: shuffling of {epoch}"
        );
    }
}
