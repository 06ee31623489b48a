//! What is packed, against the best that could be.
//!
//! The best is found by trying everything, which a few aggregates of small committees allow: committees share no voters,
//! so that each is solved alone, and places in the block are then shared out among them.

use crate::chain::{config_at, genesis, vote_data};
use consensus::constants::PARTICIPATION_FLAG_WEIGHTS;
use consensus::helpers::accessors::{
    get_attestation_participation_flag_indices, get_beacon_committee, get_beacon_proposer_index,
    get_committee_count_per_slot, get_current_epoch, get_previous_epoch,
};
use consensus::helpers::misc::{compute_epoch_at_slot, has_flag};
use consensus::keys::Keys;
use consensus::preset::{
    EFFECTIVE_BALANCE_INCREMENT, MAX_ATTESTATIONS, MAX_ATTESTATIONS_ELECTRA, MAX_COMMITTEES_PER_SLOT, SLOTS_PER_EPOCH,
    SLOTS_PER_HISTORICAL_ROOT, TARGET_COMMITTEE_SIZE,
};
use consensus::signing::Context;
use consensus::ssz::{BitList, BitVector, Bytes};
use consensus::transition::block::process_attestation;
use consensus::types::{Attestation, AttestationData, BLSSignature, PendingAttestation};
use consensus::{Config, Fork, State};
use node::pools::{AttestationPool, Inserted, PoolVote};
use std::collections::BTreeMap;
use synthetic::{Numbers, first_secret_key};

/// Four committees a slot, of twice the least size.
const VALIDATORS: usize = (SLOTS_PER_EPOCH * TARGET_COMMITTEE_SIZE * 4) as usize;

/// States tried for each fork; those of mainnet's preset have sixteen times the committees.
const ROUNDS: u32 = if SLOTS_PER_EPOCH > 8 { 1 } else { 12 };

/// A state at `fork`, in its fourth epoch, with votes in it as they come.
fn state(config: &Config, fork: Fork, numbers: &mut Numbers) -> State {
    let mut state = genesis(config, VALIDATORS);
    assert_eq!(state.at, fork);
    state.slot = 3 * SLOTS_PER_EPOCH + numbers.below(SLOTS_PER_EPOCH);
    state.latest_block_header.slot = state.slot - 1;
    for slot in 0..SLOTS_PER_HISTORICAL_ROOT {
        *state.block_roots.get_mut(slot as usize).unwrap() = numbers.root();
    }
    state.latest_block_header.state_root = numbers.root();
    state.current_justified_checkpoint.root = numbers.root();
    state.previous_justified_checkpoint.root = numbers.root();
    for index in 0..VALIDATORS {
        state.validators.get_mut(index).unwrap().effective_balance =
            (17 + numbers.below(16)) * EFFECTIVE_BALANCE_INCREMENT;
    }
    let mut state = State::new(fork, state.beacon);
    if fork >= Fork::Altair {
        // Half have no flag yet, the others some.
        let mut flags = || Some((numbers.below(8) & numbers.below(8) & numbers.below(8)) as u8);
        state.previous_epoch_participation.update(|_, _| flags());
        state.current_epoch_participation.update(|_, _| flags());
    } else {
        let data = vote_data(&state, get_previous_epoch(&state) * SLOTS_PER_EPOCH, 0);
        let members = get_beacon_committee(&state, data.slot, 0).unwrap().len();
        state.previous_epoch_attestations = vec![PendingAttestation {
            aggregation_bits: subset(members, numbers),
            data,
            inclusion_delay: 1,
            proposer_index: 0,
        }];
    }
    state.prepare();
    state
}

fn subset(len: usize, numbers: &mut Numbers) -> BitList {
    let mut bits: BitList = (0..len).map(|_| numbers.below(2) == 0).collect();
    bits.set(numbers.below(len as u64) as usize, true);
    bits
}

/// Some validator's signature: nobody looks whose.
fn any_signature() -> BLSSignature {
    Bytes(first_secret_key().sign(b"anything").to_bytes())
}

fn aggregate(fork: Fork, data: &AttestationData, index: u64, bits: BitList) -> Attestation {
    let mut committee_bits = BitVector::default();
    if fork >= Fork::Electra {
        committee_bits = BitVector::new(MAX_COMMITTEES_PER_SLOT as usize);
        committee_bits.set(index as usize, true);
    }
    Attestation {
        aggregation_bits: bits,
        data: *data,
        signature: any_signature(),
        committee_bits,
    }
}

/// What was put into a pool of one committee: aggregates of each of several votes, with the flags that they earn.
struct Known {
    /// The place in the block that it competes for: since Electra all committees of a slot share one.
    unit: (u64, u64),
    members: Vec<u32>,
    epoch: u64,
    votes: Vec<(u8, Vec<BitList>)>,
}

/// Fills a pool with random aggregates of the last two epochs.
fn fill(pool: &mut AttestationPool, state: &State, numbers: &mut Numbers) -> Vec<Known> {
    let mut all = Vec::new();
    let first = get_previous_epoch(state) * SLOTS_PER_EPOCH;
    for slot in first..state.slot {
        let epoch = compute_epoch_at_slot(slot);
        for index in 0..get_committee_count_per_slot(state, epoch) {
            let members = get_beacon_committee(state, slot, index).unwrap().to_vec();
            let mut data = vote_data(state, slot, index);
            let mut votes = Vec::new();
            for wrong in 0..numbers.below(3) {
                // The second time another head, the same for all committees of the slot.
                data.beacon_block_root.0[0] ^= wrong as u8;
                let mut given = Vec::new();
                for _ in 0..numbers.below(4) {
                    let bits = subset(members.len(), numbers);
                    let vote =
                        PoolVote::of_attestation(state, &aggregate(state.at, &data, index, bits.clone())).unwrap();
                    assert!(!matches!(pool.insert(&vote), Inserted::Full(_)));
                    given.push(bits);
                }
                votes.push((flags(state, &data), given));
            }
            let unit = if state.at >= Fork::Electra {
                (slot, 0)
            } else {
                (slot, index)
            };
            all.push(Known {
                unit,
                members,
                epoch,
                votes,
            });
        }
    }
    all
}

/// The flags that a vote earns, 1 for any before Altair; none where it is too late for a block.
fn flags(state: &State, data: &AttestationData) -> u8 {
    if state.at < Fork::Deneb && data.slot + SLOTS_PER_EPOCH < state.slot {
        return 0;
    }
    if state.at < Fork::Altair {
        return 1;
    }
    let flags = get_attestation_participation_flag_indices(state, data, state.slot - data.slot, 0).unwrap();
    flags.iter().fold(0, |sum, flag| sum | 1 << flag)
}

fn weight(fork: Fork, flags: u8) -> u64 {
    if fork < Fork::Altair {
        return u64::from(flags & 1);
    }
    let weights = PARTICIPATION_FLAG_WEIGHTS.iter().enumerate();
    weights
        .filter(|(flag, _)| has_flag(flags, *flag))
        .map(|(_, weight)| weight)
        .sum()
}

/// What a validator has already.
fn held(state: &State, epoch: u64, validator: u32) -> u8 {
    if state.at < Fork::Altair {
        let pending = if epoch == get_current_epoch(state) {
            &state.current_epoch_attestations
        } else {
            &state.previous_epoch_attestations
        };
        let voted = pending.iter().any(|vote| {
            let members = get_beacon_committee(state, vote.data.slot, vote.data.index).unwrap();
            vote.aggregation_bits.ones().any(|place| members[place] == validator)
        });
        return u8::from(voted);
    }
    let participation = if epoch == get_current_epoch(state) {
        &state.current_epoch_participation
    } else {
        &state.previous_epoch_participation
    };
    *participation.get(validator as usize).unwrap()
}

/// Every sum of aggregates without a voter in common.
fn sums(given: &[BitList]) -> Vec<BitList> {
    let mut all: Vec<BitList> = Vec::new();
    for bits in given {
        let grown = all.iter().filter(|sum| !sum.intersects(bits)).map(|sum| {
            let mut sum = sum.clone();
            sum.merge(bits);
            sum
        });
        let grown: Vec<BitList> = grown.collect();
        all.push(bits.clone());
        all.extend(grown);
    }
    // One within another is never better.
    let within = |bits: &BitList| all.iter().any(|other| other != bits && other.is_superset(bits));
    let mut kept: Vec<BitList> = all.iter().filter(|bits| !within(bits)).cloned().collect();
    kept.dedup();
    kept
}

/// Worths by how many aggregates of the first vote and of the second are taken.
type Worths = BTreeMap<[usize; 2], u64>;

/// What a committee is worth at most with so many aggregates of the first vote and so many of the second.
fn best_of(state: &State, known: &Known) -> Worths {
    let options: Vec<(usize, u8, BitList)> = known
        .votes
        .iter()
        .enumerate()
        .flat_map(|(vote, (flags, given))| sums(given).into_iter().map(move |bits| (vote, *flags, bits)))
        .collect();
    let has: Vec<u8> = known
        .members
        .iter()
        .map(|member| held(state, known.epoch, *member))
        .collect();
    let mut best = BTreeMap::new();
    for chosen in 0..1u32 << options.len() {
        let mut counts = [0; 2];
        let mut gets = has.clone();
        for (_, (vote, flags, bits)) in options
            .iter()
            .enumerate()
            .filter(|(option, _)| chosen >> option & 1 == 1)
        {
            counts[*vote] += 1;
            bits.ones().for_each(|place| gets[place] |= flags);
        }
        let gains = gets.iter().zip(&has).zip(&known.members).map(|((gets, has), member)| {
            let balance = state.validators.get(*member as usize).unwrap().effective_balance;
            weight(state.at, gets & !has) * (balance / EFFECTIVE_BALANCE_INCREMENT)
        });
        let worth: u64 = gains.sum();
        let kept: &mut u64 = best.entry(counts).or_default();
        *kept = worth.max(*kept);
    }
    best
}

/// What a block with `limit` attestations is worth at most.
fn optimum(state: &State, all: &[Known], limit: usize) -> u64 {
    let mut units: BTreeMap<(u64, u64), Vec<Worths>> = BTreeMap::new();
    for known in all {
        units.entry(known.unit).or_default().push(best_of(state, known));
    }
    let mut best = vec![0; limit + 1];
    for committees in units.values() {
        // With so many attestations of each vote every committee takes the best of at most as many.
        let at_most = |of: &Worths, counts: [usize; 2]| {
            let fitting = of
                .iter()
                .filter(|(used, _)| used[0] <= counts[0] && used[1] <= counts[1]);
            fitting.map(|(_, worth)| *worth).max().unwrap_or(0)
        };
        let mut unit = vec![0; limit + 1];
        for first in 0..=limit.min(5) {
            for second in 0..=(limit - first).min(5) {
                let worth: u64 = committees.iter().map(|of| at_most(of, [first, second])).sum();
                unit[first + second] = worth.max(unit[first + second]);
            }
        }
        best = (0..=limit)
            .map(|places| {
                (0..=places)
                    .map(|here| unit[here] + best[places - here])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
    }
    best[limit]
}

/// What the packed attestations are worth: every one must be valid after those before it, and what the proposer is paid
/// is what the transition says.
fn worth(state: &State, config: &Config, packed: &[Attestation]) -> u64 {
    let keys = Keys::new();
    let mut ctx = Context::trusting(config, &keys);
    let mut post = state.clone();
    for attestation in packed {
        process_attestation(&mut post, &mut ctx, attestation, 0).unwrap();
    }
    let mut sum = 0;
    for index in 0..VALIDATORS {
        let balance = state.validators.get(index).unwrap().effective_balance / EFFECTIVE_BALANCE_INCREMENT;
        for epoch in [get_previous_epoch(state), get_current_epoch(state)] {
            let new = held(&post, epoch, index as u32) & !held(state, epoch, index as u32);
            sum += weight(state.at, new) * balance;
        }
    }
    let proposer = get_beacon_proposer_index(state).unwrap() as usize;
    let paid = post.balances.get(proposer).unwrap() - state.balances.get(proposer).unwrap();
    assert_eq!(paid, ctx.rewards.attestations);
    sum
}

#[test]
fn packing_comes_near_the_best() {
    for (number, fork) in [Fork::Phase0, Fork::Altair, Fork::Deneb, Fork::Electra, Fork::Fulu]
        .into_iter()
        .enumerate()
    {
        let config = config_at(fork);
        let limit = if fork >= Fork::Electra {
            MAX_ATTESTATIONS_ELECTRA
        } else {
            MAX_ATTESTATIONS
        } as usize;
        let mut numbers = Numbers::new(number as u64);
        let (mut least, mut sum, mut full) = (1.0_f64, 0.0, 0);
        let rounds = ROUNDS;
        for round in 0..rounds {
            let state = state(&config, fork, &mut numbers);
            let mut pool = AttestationPool::new();
            let all = fill(&mut pool, &state, &mut numbers);
            let packed = pool.pack(&state);
            assert!(packed.len() <= limit);
            full += usize::from(packed.len() == limit);
            let (got, best) = (worth(&state, &config, &packed), optimum(&state, &all, limit));
            assert!(got <= best, "{fork}, round {round}: {got} of {best}");
            let ratio = if best == 0 { 1.0 } else { got as f64 / best as f64 };
            least = least.min(ratio);
            sum += ratio;
        }
        let mean = sum / f64::from(rounds);
        println!("{fork}: least {least:.4}, mean {mean:.4}, {full} of {rounds} blocks full");
        assert!(least > 0.9 && mean > 0.95, "{fork}: least {least}, mean {mean}");
    }
}
