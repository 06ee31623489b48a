//! Damaged states and blocks never panic: what the transition cannot accept, it refuses by a rule.
//!
//! The cases of `sanity/blocks` are changed at random places, mostly to numbers at some edge, since those break
//! arithmetic. Where the state is damaged, the block is mended to fit it, or nearly everything would end at its header.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a failed `unwrap` is a failed test

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use consensus::helpers::accessors::{
    get_beacon_proposer_index, get_block_root_at_slot, get_current_epoch, get_randao_mix,
};
use consensus::helpers::misc::compute_time_at_slot;
use consensus::keys::Keys;
use consensus::signing::Context;
use consensus::ssz::Ssz;
use consensus::transition::block::get_expected_withdrawals;
use consensus::transition::{process_block, process_slots};
use consensus::types::SignedBeaconBlock;
use consensus::{Config, Fork, Invalid, State};
use vectors::source::{CaseFiles, Wanted, walk};

/// Most slots that a damaged slot number may lead over; more would take the time of the whole test.
const MAX_SLOTS: u64 = 24;

/// Random numbers from a seed (splitmix64): a failure must be seen again by the next run.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Changes a few places: eight bytes to a number at an edge, or one bit.
    fn damage(&mut self, bytes: &mut [u8]) {
        const EDGES: [u64; 12] = [
            0,
            1,
            2,
            31,
            63,
            1 << 32,
            (1 << 40) - 1,
            1 << 40,
            1 << 63,
            u64::MAX - 64,
            u64::MAX - 1,
            u64::MAX,
        ];
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match bytes.get_mut(at..at + 8) {
                Some(word) if self.below(4) > 0 => {
                    word.copy_from_slice(&EDGES[self.below(EDGES.len())].to_le_bytes());
                }
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
    }
}

/// A case with its first block.
struct Sample {
    name: String,
    fork: Fork,
    pre: Vec<u8>,
    block: Vec<u8>,
}

fn unpacked(files: &CaseFiles, name: &str) -> Option<Vec<u8>> {
    let packed = files.read(name)?.unwrap();
    Some(snap::raw::Decoder::new().decompress_vec(&packed).unwrap())
}

fn samples() -> Vec<Sample> {
    let set = std::env::var_os("WREN_VECTORS").map_or_else(vectors::expected::default_set, PathBuf::from);
    let wanted = Wanted {
        filters: vec!["/sanity/blocks/".to_owned()],
    };
    let mut samples = Vec::new();
    let walked = walk(&set, &wanted, &mut |files| {
        let read = |name| unpacked(&files, name);
        if let (Some(pre), Some(block)) = (read("pre.ssz_snappy"), read("blocks_0.ssz_snappy")) {
            samples.push(Sample {
                name: files.path.to_string(),
                fork: files.path.fork().parse().unwrap(),
                pre,
                block,
            });
        }
    });
    if walked.is_err() || samples.is_empty() {
        // Past the harness, which would swallow it.
        writeln!(
            std::io::stderr(),
            "\nSKIPPED: no blocks of this preset in {}",
            set.display()
        )
        .ok();
    }
    samples
}

/// What is tried with a sample, again and again.
struct Trial<'a> {
    sample: &'a Sample,
    config: Config,
    pre: State,
    block: SignedBeaconBlock,
    keys: Keys,
}

impl<'a> Trial<'a> {
    fn of(sample: &'a Sample) -> Self {
        let pre = State::decode(&sample.pre, sample.fork).unwrap();
        Trial {
            config: Config::standard().with_forks_at_genesis(sample.fork),
            keys: Keys::of(&pre).unwrap(),
            block: SignedBeaconBlock::decode(&sample.block, sample.fork).unwrap(),
            pre,
            sample,
        }
    }

    /// The rule that refused it, if one did; `None` as well where the bytes are nothing at all.
    fn run(&self, rng: &mut Rng) -> Option<&'static str> {
        let on_block = rng.below(2) == 0;
        let (mut state, mut block) = (self.pre.clone(), self.block.clone());
        if on_block {
            let mut bytes = self.sample.block.clone();
            rng.damage(&mut bytes);
            block = SignedBeaconBlock::decode(&bytes, self.sample.fork).ok()?;
        } else {
            let mut bytes = self.sample.pre.clone();
            rng.damage(&mut bytes);
            state = State::decode(&bytes, self.sample.fork).ok()?;
            if state.slot >= block.message.slot {
                block.message.slot = state.slot.saturating_add(1);
            }
        }
        if block.message.slot.saturating_sub(state.slot) > MAX_SLOTS {
            return None;
        }
        // Collected and never checked: the sets are made, which is where keys and signatures are read.
        let mut ctx = if rng.below(4) == 0 {
            Context::trusting(&self.config, &self.keys)
        } else {
            Context::collecting(&self.config, &self.keys)
        };
        let mut apply = || {
            process_slots(&mut state, &self.config, block.message.slot)?;
            mend(&state, &self.config, &mut block, on_block)?;
            process_block(&mut state, &mut ctx, &block.message).map(|_| ())
        };
        let refused = apply().err().map(|error| error.rule);
        state.hash_tree_root();
        refused
    }
}

/// Makes a block fit its state; only by its header where the rest was damaged on purpose.
fn mend(state: &State, config: &Config, block: &mut SignedBeaconBlock, header_only: bool) -> Result<(), Invalid> {
    let block = &mut block.message;
    block.proposer_index = get_beacon_proposer_index(state)?;
    block.parent_root = state.latest_block_header.hash_tree_root(state.at);
    if header_only {
        return Ok(());
    }
    let mix = get_randao_mix(state, get_current_epoch(state));
    let bid = &mut block.body.signed_execution_payload_bid.message;
    (bid.slot, bid.prev_randao) = (state.slot, mix);
    bid.parent_block_root = get_block_root_at_slot(state, state.slot - 1)?;
    let payload = &mut block.body.execution_payload;
    if state.at >= Fork::Capella && state.at < Fork::Gloas {
        (payload.parent_hash, payload.prev_randao) = (state.latest_execution_payload_header.block_hash, mix);
        payload.timestamp = compute_time_at_slot(state, config, state.slot)?;
        payload.withdrawals = get_expected_withdrawals(state)?.withdrawals;
    }
    Ok(())
}

#[test]
fn damaged_states_and_blocks_never_panic() {
    let long = std::env::var_os("WREN_TEST_LONG").is_some_and(|value| value == "1");
    let rounds = if long { 100 } else { 10 };
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    let mut panics: BTreeSet<String> = BTreeSet::new();
    let samples = samples();
    for (number, sample) in samples.iter().enumerate() {
        let trial = Trial::of(sample);
        for round in 0..rounds {
            let seed = (number * 1_000_000 + round) as u64;
            match catch_unwind(AssertUnwindSafe(|| trial.run(&mut Rng(seed)))) {
                Ok(Some(rule)) => *rules.entry(rule).or_default() += 1,
                Ok(None) => {}
                Err(_) => drop(panics.insert(format!("{} with seed {seed}", sample.name))),
            }
        }
    }
    writeln!(std::io::stderr(), "\n{} samples, refused by {rules:?}", samples.len()).ok();
    assert!(panics.is_empty(), "panics (told above) in {panics:#?}");
    assert!(
        samples.is_empty() || rules.len() > 20,
        "hardly anything was reached: {rules:?}"
    );
}
