//! An aggregate of all committees of a slot in a mainnet-like Fulu state: 30,000 voters at 2.2M validators.
//!
//! `cargo bench -p consensus --bench attestation [VALIDATORS]`; 2,200,000 unless a number is given. Elapsed time, the least
//! of a few runs: the clock of processor time is too coarse for most of this.

use consensus::helpers::accessors::{get_beacon_committee, get_block_root, get_block_root_at_slot};
use consensus::helpers::accessors::{get_committee_count_per_slot, get_indexed_attestation};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::keys::Keys;
use consensus::preset::MAX_COMMITTEES_PER_SLOT;
use consensus::signing::Context;
use consensus::ssz::{BitList, BitVector, PersistentList};
use consensus::transition::block::process_attestation;
use consensus::types::{Attestation, AttestationData, Checkpoint};
use consensus::{Config, State};
use std::hint::black_box;
use std::time::Instant;
use synthetic::{Shape, fulu_state};

/// Runs of which the least counts.
const RUNS: usize = 12;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Without `--bench` this is `cargo test`: only see that it works.
    let usual = if args.iter().any(|arg| arg == "--bench") {
        2_200_000
    } else {
        2_000
    };
    let validators = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(usual);
    let config = Config::standard();
    let mut state = fulu_state(Shape::like_mainnet(validators), &config);
    println!("{validators} validators");
    show(
        "prepare (shufflings, balances, total)",
        || state.clone(),
        State::prepare,
    );
    state.prepare();
    state.previous_epoch_participation = PersistentList::from_vec(vec![0; validators]);
    state.hash_tree_root();
    let attestation = vote_of_all(&state);
    println!("{} voters", attestation.aggregation_bits.len());

    let no_keys = Keys::new();
    let apply = |state: &mut State| {
        let mut ctx = Context::trusting(&config, &no_keys);
        process_attestation(state, &mut ctx, &attestation, 0).expect("the vote is valid");
    };
    show("voters", || (), |()| get_indexed_attestation(&state, &attestation));
    show("process_attestation, signatures trusted", || state.clone(), apply);
    let vote = || {
        let mut state = state.clone();
        apply(&mut state);
        state
    };
    let voted = vote();
    show("the same again, nobody new", || voted.clone(), apply);
    show("root after it", vote, |state| state.hash_tree_root());
    let keys = Keys::of(&state).expect("all keys are points");
    show(
        "with the sum of the voters' keys",
        || state.clone(),
        |state| {
            let mut ctx = Context::collecting(&config, &keys);
            process_attestation(state, &mut ctx, &attestation, 0).expect("the vote is valid");
        },
    );
}

fn show<S, T>(what: &str, mut set_up: impl FnMut() -> S, mut work: impl FnMut(&mut S) -> T) {
    let mut run = || {
        let mut subject = set_up();
        let start = Instant::now();
        black_box(work(&mut subject));
        start.elapsed()
    };
    let least = (0..RUNS).map(|_| run()).min().unwrap_or_default();
    println!("{what:45} {:9.3} ms", least.as_secs_f64() * 1e3);
}

/// What everybody of the slot before votes for, with a signature that nobody looks at.
fn vote_of_all(state: &State) -> Attestation {
    let slot = state.slot - 1;
    let epoch = compute_epoch_at_slot(slot);
    let committees = get_committee_count_per_slot(state, epoch);
    let mut committee_bits = BitVector::new(MAX_COMMITTEES_PER_SLOT as usize);
    let mut members = 0;
    for index in 0..committees {
        committee_bits.set(index as usize, true);
        members += get_beacon_committee(state, slot, index)
            .expect("the committee exists")
            .len();
    }
    let mut aggregation_bits = BitList::new(members);
    (0..members).for_each(|place| {
        aggregation_bits.set(place, true);
    });
    let root = |root: Result<_, _>| root.expect("the state has block roots");
    Attestation {
        aggregation_bits,
        data: AttestationData {
            slot,
            index: 0,
            beacon_block_root: root(get_block_root_at_slot(state, slot)),
            source: state.previous_justified_checkpoint,
            target: Checkpoint {
                epoch,
                root: root(get_block_root(state, epoch)),
            },
        },
        signature: consensus::constants::G2_POINT_AT_INFINITY,
        committee_bits,
    }
}
