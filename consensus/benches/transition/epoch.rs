//! The epoch transition on a synthetic state.

use super::{least, line};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::transition::epoch::process_epoch;
use consensus::transition::upgrade::upgrade_to_gloas;
use consensus::{Config, Fork, State};
use synthetic::{Shape, fulu_state};

pub(super) fn epoch(validators: usize) {
    let config = Config::standard();
    let mut state = fulu_state(Shape::like_mainnet(validators), &config);
    let bytes = state.encode();
    println!(
        "\nsynthetic Fulu state of {validators} validators, {} MB",
        bytes.len() / 1_000_000
    );
    let decode = || State::decode(&bytes, Fork::Fulu).expect("our own encoding decodes");
    line("decode the state", least(|| (), |()| decode()));
    line("cold state root", least(decode, |state| state.hash_tree_root()));
    // An epoch ends behind the last slot of it.
    state.beacon.slot += SLOTS_PER_EPOCH - 1;
    state.prepare();
    state.hash_tree_root();
    let after = || {
        let mut after = state.clone();
        process_epoch(&mut after, &config).expect("an epoch of a valid state");
        after
    };
    line(
        "epoch transition, warm",
        least(|| state.clone(), |state| process_epoch(state, &config)),
    );
    line("root after it", least(after, |state| state.hash_tree_root()));
    let next = |state: &mut State| {
        state.beacon.slot += 1;
        state.prepare();
    };
    line("shuffling of the next epoch", least(after, next));
    let at_fork = || {
        let mut state = after();
        state.beacon.slot += 1;
        state
    };
    let upgrade = |state: &mut State| upgrade_to_gloas(state, &config).expect("a state can be upgraded");
    line("upgrade_to_gloas, with that shuffling", least(at_fork, upgrade));
    let upgraded = || {
        let mut state = at_fork();
        upgrade(&mut state);
        state
    };
    line("root after it", least(upgraded, |state| state.hash_tree_root()));
}
