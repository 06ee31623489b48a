//! The specs' own tables, and the borders of the period.

use super::*;
use crate::constants::FAR_FUTURE_EPOCH;
use crate::types::{BeaconState, Validator};

fn state(fork: Fork, validators: usize, ether: u64) -> State {
    let mut state = State::new(fork, BeaconState::new(fork));
    for _ in 0..validators {
        state.validators.push(Validator {
            effective_balance: ether * ETH_TO_GWEI,
            exit_epoch: FAR_FUTURE_EPOCH,
            ..Validator::default()
        });
    }
    state
}

#[test]
#[cfg(not(feature = "minimal"))]
fn periods_are_those_of_the_phase0_table() {
    let churn = |n: u64| 4.max(n / 65536);
    for (ether, n, period) in [
        (28, 32768, 504),
        (28, 65536, 752),
        (28, 131072, 1248),
        (28, 262144, 2241),
        (28, 524288, 2241),
        (28, 1048576, 2241),
        (32, 32768, 665),
        (32, 65536, 1075),
        (32, 131072, 1894),
        (32, 262144, 3532),
        (32, 524288, 3532),
        (32, 1048576, 3532),
    ] {
        let computed = 256 + validator_churn_period(n, n * ether * ETH_TO_GWEI, churn(n));
        assert_eq!(computed, period, "{n} validators of {ether} ETH");
    }
}

#[test]
fn periods_are_those_of_the_electra_table() {
    for (ether, period) in [
        (1_048_576, 665),
        (2_097_152, 1075),
        (4_194_304, 1894),
        (8_388_608, 3532),
        (16_777_216, 3532),
        (33_554_432, 3532),
    ] {
        let total = ether * ETH_TO_GWEI;
        let churn = (total / 65536).max(128 * ETH_TO_GWEI);
        assert_eq!(256 + balance_churn_period(total, churn), period, "{ether} ETH");
    }
}

#[test]
fn each_fork_has_its_formula() {
    let config = Config::standard();
    let period = |fork| compute_weak_subjectivity_period(&state(fork, 64, 32), &config).unwrap();
    let delay = config.min_validator_withdrawability_delay;
    let electra = state(Fork::Electra, 64, 32);
    let churn = get_balance_churn_limit(&electra, &config);
    assert_eq!(
        period(Fork::Electra),
        delay + 64 * 32 * ETH_TO_GWEI * 10 / (200 * churn)
    );
    assert_eq!(period(Fork::Fulu), period(Fork::Electra));
    let gloas = state(Fork::Gloas, 64, 32);
    let churn = 2 * get_exit_churn_limit(&gloas, &config) / 3
        + get_activation_churn_limit(&gloas, &config) / 3
        + get_consolidation_churn_limit(&gloas, &config);
    assert_eq!(gloas_churn(&gloas, &config), churn);
    assert_eq!(period(Fork::Gloas), delay + 64 * 32 * ETH_TO_GWEI * 10 / (200 * churn));
    // By the change of validators: 4096 * 2880 / (600 * 96 * limit) epochs.
    let many = compute_weak_subjectivity_period(&state(Fork::Phase0, 4096, 32), &config).unwrap();
    let limit = config.min_per_epoch_churn_limit.max(4096 / config.churn_limit_quotient);
    let top_ups = 4096 * 230 / (600 * MAX_DEPOSITS * SLOTS_PER_EPOCH);
    assert_eq!(many, delay + (4096 * 2880 / (600 * 96 * limit)).max(top_ups));
    assert_eq!(period(Fork::Deneb), period(Fork::Phase0));
    let empty = state(Fork::Phase0, 0, 0);
    let error = compute_weak_subjectivity_period(&empty, &config).unwrap_err();
    assert_eq!(error.rule, "active validators");
    // Poor validators count by top-ups alone.
    let poor = state(Fork::Phase0, 64, 17);
    let top_ups = MAX_DEPOSITS * SLOTS_PER_EPOCH;
    let expected = delay + 3 * 64 * 10 * 17 / (200 * top_ups * (32 - 17));
    assert_eq!(compute_weak_subjectivity_period(&poor, &config), Ok(expected));
}

#[test]
fn no_churn_at_all_is_no_division_by_zero() {
    assert_eq!(balance_churn_period(u64::MAX, 0), u64::MAX);
    assert_eq!(validator_churn_period(1, 32 * ETH_TO_GWEI, 0), u64::MAX);
}

#[test]
fn a_state_is_recent_up_to_the_last_epoch_of_the_period() {
    let config = Config::standard();
    let mut ws_state = state(Fork::Fulu, 64, 32);
    ws_state.slot = 5 * SLOTS_PER_EPOCH;
    ws_state.latest_block_header.slot = ws_state.slot - 1;
    ws_state.latest_block_header.state_root = Root::from([1; 32]);
    let root = ws_state.latest_block_header.hash_tree_root(Fork::Fulu);
    let checkpoint = Checkpoint { epoch: 5, root };
    let period = compute_weak_subjectivity_period(&ws_state, &config).unwrap();
    let is_within = |state: &State, checkpoint: &Checkpoint, epoch: u64| {
        is_within_weak_subjectivity_period(state, &config, checkpoint, compute_start_slot_at_epoch(epoch))
    };
    assert_eq!(is_within(&ws_state, &checkpoint, 5 + period), Ok(true));
    assert_eq!(is_within(&ws_state, &checkpoint, 6 + period), Ok(false));
    let other = Checkpoint {
        epoch: 5,
        root: Root::ZERO,
    };
    assert_eq!(
        is_within(&ws_state, &other, 5).unwrap_err().rule,
        "weak subjectivity root"
    );

    // Later in the epoch the list of block roots has it.
    ws_state.slot += 1;
    let place = 5 * SLOTS_PER_EPOCH % crate::preset::SLOTS_PER_HISTORICAL_ROOT;
    *ws_state.block_roots.get_mut(place as usize).unwrap() = root;
    assert_eq!(is_within(&ws_state, &checkpoint, 5), Ok(true));
    let old = Checkpoint {
        epoch: 4,
        root: Root::ZERO,
    };
    assert_eq!(
        is_within(&ws_state, &old, 5).unwrap_err().rule,
        "weak subjectivity epoch"
    );

    // Right at a block of the epoch's first slot, its state root is still to be filled in.
    ws_state.slot -= 1;
    ws_state.latest_block_header.state_root = Root::ZERO;
    let mut header = ws_state.latest_block_header;
    header.state_root = ws_state.hash_tree_root();
    let root = header.hash_tree_root(Fork::Fulu);
    assert_eq!(is_within(&ws_state, &Checkpoint { epoch: 5, root }, 5), Ok(true));
}
