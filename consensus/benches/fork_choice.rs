//! The head of 500 unfinalized blocks with a million votes, and what changed votes cost.
//!
//! `cargo bench -p consensus --bench fork_choice [VALIDATORS]`; 1,000,000 unless a number is given, all of them active.
//! Every second block has a sibling that nobody votes for. All goes through the functions that a node calls: blocks and
//! votes are checked (signatures trusted) and applied. Elapsed time: the clock of processor time is too coarse.

use consensus::fork_choice::{DataAvailability, ExecutionVerdict, Store, ValidAttestation};
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::Context;
use consensus::ssz::Ssz;
use consensus::transition::process_slots;
use consensus::types::{BeaconBlock, BeaconBlockHeader, Slot};
use consensus::{Config, Fork, State};
use crypto::bls::consecutive_public_keys;
use crypto::pubkeys::Pubkeys;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use synthetic::{Shape, Votes, attestation, first_secret_key, fulu_state, signed_block};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Without `--bench` this is `cargo test`: only see that it works.
    let measure = args.iter().any(|arg| arg == "--bench");
    let usual = if measure { 1_000_000 } else { 2_000 };
    let validators = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(usual);
    let blocks = if measure { 500 } else { 4 * SLOTS_PER_EPOCH };
    let mut bench = Bench::new(validators);
    let start = bench.tip().slot;
    for number in 1..blocks {
        // The odd ones are a chain, each even one is the sibling of the odd one after it.
        bench.add_block(start + number, start + number.saturating_sub(1 + number % 2));
    }
    let kept = bench.store.blocks().len();
    println!("{validators} validators, {kept} blocks that are not finalized");
    let epoch = bench.tip().slot / SLOTS_PER_EPOCH;
    bench.vote_in((epoch - 2) * SLOTS_PER_EPOCH);
}

struct Bench {
    config: Arc<Config>,
    keys: Keys,
    store: Store,
    /// The states of the blocks by slot, counted from the anchor's.
    states: Vec<Arc<State>>,
}

impl Bench {
    fn new(validators: usize) -> Self {
        let config = Arc::new(Config::standard().with_forks_at_genesis(Fork::Fulu));
        let shape = Shape {
            validators,
            active: validators,
            pending_deposits: 0,
        };
        let mut state = fulu_state(shape, &config);
        let mut block = BeaconBlock::new(state.at);
        block.slot = state.slot;
        state.latest_block_header = BeaconBlockHeader {
            slot: state.slot,
            body_root: block.body.hash_tree_root(state.at),
            ..BeaconBlockHeader::default()
        };
        state.prepare();
        block.state_root = state.hash_tree_root();
        let mut table = Pubkeys::in_memory();
        let keys = consecutive_public_keys(&first_secret_key(), validators);
        table.append(&keys).expect("memory has room");
        let keys = Keys::with_table(table, &state.validators).expect("the keys are those of the registry");
        let state = Arc::new(state);
        let store = Store::get_forkchoice_store(Arc::clone(&config), Arc::clone(&state), &block);
        Bench {
            config,
            keys,
            store: store.expect("the block belongs to the state"),
            states: vec![state],
        }
    }

    fn tip(&self) -> &Arc<State> {
        self.states.last().expect("there is an anchor")
    }

    fn tick(&mut self, slot: Slot) {
        let since_genesis = slot * self.config.slot_duration_ms / 1000;
        self.store.on_tick(self.store.genesis_time() + since_genesis);
    }

    /// A block without votes at `slot` on the one at `parent`.
    fn add_block(&mut self, slot: Slot, parent: Slot) {
        let place = (parent - self.states[0].slot) as usize;
        let mut state = State::clone(&self.states[place]);
        process_slots(&mut state, &self.config, slot).expect("slots of a valid state");
        let block = signed_block(&state, &self.config, &self.keys, Votes::None).expect("the state can have a block");
        self.tick(slot);
        let mut ctx = Context::trusting(&self.config, &self.keys);
        let action = self.store.validate_block(&mut ctx, &block, |_| None);
        let action = action.with_verdicts(DataAvailability::Available, ExecutionVerdict::Valid);
        let valid = action.accepted().expect("the block is valid");
        self.states.push(Arc::clone(valid.state()));
        self.store.apply_block(*valid).expect("its parent is there");
    }

    /// The checked vote of the members of a slot's committees that `votes` tells.
    fn vote(&self, slot: Slot, votes: impl Fn(u64) -> bool) -> Option<ValidAttestation> {
        // Any later state of the epoch knows the committees, and the block of the slot.
        let later = (slot / SLOTS_PER_EPOCH + 1) * SLOTS_PER_EPOCH + 1;
        let place = ((later - self.states[0].slot) as usize).min(self.states.len() - 1);
        let vote = attestation(&self.states[place], slot, votes).expect("the state knows the slot")?;
        let mut ctx = Context::trusting(&self.config, &self.keys);
        let action = self.store.validate_attestation(&mut ctx, &vote, false);
        Some(action.accepted().expect("the vote is valid"))
    }

    /// Everybody votes in the epoch that begins at `start`; in the next some, then all.
    fn vote_in(&mut self, start: Slot) {
        let next = start + SLOTS_PER_EPOCH;
        self.tick(next);
        let first: Vec<_> = (start..next).filter_map(|slot| self.vote(slot, |_| true)).collect();
        self.apply("all votes, the first", &first);
        self.tick(next + SLOTS_PER_EPOCH);
        let members: Vec<u64> = (0..self.states[0].validators.len() as u64).collect();
        let some = &members[..members.len() / 100];
        let one = (next..next + SLOTS_PER_EPOCH)
            .find_map(|slot| self.vote(slot, |voter| voter == members[members.len() / 2]));
        self.apply("one changed vote", &[one.expect("everybody is in a committee")]);
        let hundredth =
            (next..next + SLOTS_PER_EPOCH).filter_map(|slot| self.vote(slot, |voter| voter < some.len() as u64));
        let hundredth: Vec<_> = hundredth.collect();
        self.apply("one in a hundred changed", &hundredth);
        let others: Vec<_> = (next..next + SLOTS_PER_EPOCH)
            .filter_map(|slot| self.vote(slot, |_| true))
            .collect();
        self.apply("all others changed", &others);
        let head = self.store.get_head().root;
        let slot = self.store.blocks().get(&head).map(|block| block.slot);
        let last_voted = next + SLOTS_PER_EPOCH - 1;
        assert!(
            slot >= Some(last_voted),
            "the head is at {slot:?}, votes are for {last_voted}"
        );
    }

    /// Applies votes and asks for the head.
    fn apply(&mut self, what: &str, votes: &[ValidAttestation]) {
        let start = Instant::now();
        for vote in votes {
            self.store.apply_attestation(vote);
        }
        let applied = start.elapsed().as_secs_f64() * 1e3;
        let start = Instant::now();
        black_box(self.store.get_head());
        let head = start.elapsed().as_secs_f64() * 1e3;
        println!("  {what:<30} {applied:>9.3} ms, and the head {head:>7.3} ms");
    }
}
