//! The epoch transition of a mainnet-like Fulu state and the root after it.
//!
//! `cargo bench -p consensus --bench epoch [VALIDATORS…]`; 2,200,000 unless numbers are given. Times are processor time
//! of one thread, the least of a few runs. "Warm" is a state that was hashed and prepared before, as one is on which
//! blocks were applied; it is cloned for each run, so that writing has to copy what it changes.

use consensus::preset::SLOTS_PER_EPOCH;
use consensus::transition::epoch::{compute_unrealized_checkpoints, process_epoch};
use consensus::{Config, State};
use std::hint::black_box;
use synthetic::{Shape, cpu_ms, fulu_state};

/// Runs of which the least counts.
const RUNS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut sizes: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        // Without `--bench` this is `cargo test`: only see that it works.
        let measure = args.iter().any(|arg| arg == "--bench");
        sizes = vec![if measure { 2_200_000 } else { 2_000 }];
    }
    sizes.into_iter().for_each(bench);
}

/// The least time of a few runs on a state that `set_up` makes anew for each, and what the last run made of it.
fn least(what: &str, set_up: impl Fn() -> State, work: impl Fn(&mut State)) -> State {
    let mut best = f64::INFINITY;
    let mut state = set_up();
    for _ in 0..RUNS {
        state = set_up();
        let start = cpu_ms();
        work(&mut state);
        best = best.min(cpu_ms() - start);
    }
    println!("  {what:<52} {best:>10.2} ms");
    state
}

fn bench(validators: usize) {
    let config = Config::standard();
    println!("\nFulu state of {validators} validators");
    let mut state = fulu_state(Shape::like_mainnet(validators), &config);
    state.slot += SLOTS_PER_EPOCH - 1;
    state.hash_tree_root();
    state.prepare();

    least(
        "unrealized checkpoints",
        || state.clone(),
        |state| {
            black_box(compute_unrealized_checkpoints(state, &config)).expect("the state is valid");
        },
    );
    // The first transition changes all inactivity scores, the second none, as on a healthy chain.
    for number in 1..=2 {
        let transition = |state: &mut State| process_epoch(state, &config).expect("the state is valid");
        let after = least(&format!("epoch transition {number}"), || state.clone(), transition);
        let processed = || {
            let mut fresh = state.clone();
            transition(&mut fresh);
            fresh
        };
        least("  root after it", processed, |state| {
            black_box(state.hash_tree_root());
        });
        state = after;
        state.slot += 1;
        state = least("  caches of the next epoch", || state.clone(), State::prepare);
        state.slot += SLOTS_PER_EPOCH - 1;
        state.hash_tree_root();
    }
}
