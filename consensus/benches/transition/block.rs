//! Blocks like mainnet's on a synthetic state, and the memory that a process has with them.
//!
//! State, blocks and the file of keys are made here and applied by another process of this program, whose memory is then
//! that of a node: a state decoded from a file, its caches, mapped keys, and the states of ten blocks at once.

use super::{line, median, timed};
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::Context;
use consensus::ssz::{Out, PersistentList, Ssz};
use consensus::transition::{process_block, process_slots, verify_block_signature};
use consensus::types::SignedBeaconBlock;
use consensus::{Config, Fork, State};
use crypto::bls::consecutive_public_keys;
use crypto::pubkeys::Pubkeys;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::Command;
use synthetic::{Shape, Votes, first_secret_key, fulu_state, signed_block};

/// The argument that makes this program the other process.
pub(super) const CHILD: &str = "--apply-blocks-in";

/// Blocks of each kind; the usual ones are those that memory is measured with.
const BLOCKS: [(Votes, u64); 2] = [(Votes::Usual, 10), (Votes::Full, 3)];

pub(super) fn blocks(validators: usize) {
    println!("\nblocks on a synthetic Fulu state of {validators} validators, 95 in 220 of them active");
    let folder = std::env::temp_dir().join(format!("wren-bench-{}", std::process::id()));
    fs::create_dir(&folder).expect("the temporary folder can be written");
    make(validators, &folder);
    let program = std::env::current_exe().expect("a program knows where it is");
    let status = Command::new(program).arg(CHILD).arg(&folder).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the blocks could not be applied"
    );
    if std::env::var_os("KEEP").is_none() {
    } else {
        return;
    }
    fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
}

fn make(validators: usize, folder: &Path) {
    let config = Config::standard();
    let mut state = fulu_state(Shape::like_mainnet(validators), &config);
    state.current_epoch_participation = PersistentList::from_vec(vec![0; validators]);
    // Far enough into the epoch that all votes are for slots of it.
    let start = state.slot + 9.min(SLOTS_PER_EPOCH - 1);
    process_slots(&mut state, &config, start).expect("slots without blocks");
    let file = File::create(folder.join("state")).expect("the temporary folder can be written");
    let mut writer = BufWriter::new(file);
    let mut out = Out::writer(&mut writer);
    state.encode_to(&mut out);
    out.finish()
        .and_then(|()| writer.flush())
        .expect("the temporary folder has room for a state");
    let mut table = Pubkeys::open(&folder.join("keys")).expect("the temporary folder can be written");
    let keys = consecutive_public_keys(&first_secret_key(), validators);
    let written = table.append(&keys).and_then(|()| table.sync());
    written.expect("the temporary folder has room for the keys");
    let keys = Keys::with_table(table, &state.validators).expect("the keys are those of the registry");
    for (votes, count) in BLOCKS {
        for _ in 0..count {
            let slot = state.slot + 1;
            process_slots(&mut state, &config, slot).expect("a slot of a valid state");
            let block = signed_block(&state, &config, &keys, votes).expect("the state can have a block");
            process_block(&mut state, &mut Context::trusting(&config, &keys), &block.message).expect("it is valid");
            let path = folder.join(format!("block_{slot}"));
            fs::write(path, block.encode(Fork::Fulu)).expect("the temporary folder has room for blocks");
        }
    }
}

/// What the other process does: applies the blocks that were made.
pub(super) fn apply(folder: &Path) {
    let config = Config::standard();
    memory("nothing yet");
    let file = File::open(folder.join("state")).expect("the state was written");
    let len = file.metadata().expect("a file has a length").len() as usize;
    let (ms, state) = timed(|| State::decode_reader(&mut BufReader::with_capacity(1 << 20, file), len, Fork::Fulu));
    let mut state = state.expect("our own encoding decodes");
    line("decode the state", ms);
    line("cold state root", timed(|| state.hash_tree_root()).0);
    memory("state loaded and hashed");
    let table = Pubkeys::open(&folder.join("keys")).expect("the keys were written");
    let (ms, keys) = timed(|| Keys::with_table(table, &state.validators));
    let mut keys = keys.expect("the keys are those of the registry");
    keys.settle(keys.len());
    line("keys to indices", ms);
    line("shufflings and balances", timed(|| state.prepare()).0);
    memory("with keys and shufflings");
    let mut states = vec![state];
    for (votes, count) in BLOCKS {
        let mut times = Times::default();
        for _ in 0..count {
            let mut state = states.last().expect("there is always one").clone();
            let slot = state.slot + 1;
            let block = fs::read(folder.join(format!("block_{slot}"))).expect("the block was written");
            let block = SignedBeaconBlock::decode(&block, Fork::Fulu).expect("our own encoding decodes");
            times.apply(&mut state, &block, &config, &keys);
            states.push(state);
        }
        times.show(votes);
        memory(&format!("after {} blocks, all their states kept", states.len() - 1));
    }
}

#[derive(Default)]
struct Times {
    slots: Vec<f64>,
    operations: Vec<f64>,
    again: Vec<f64>,
    signatures: Vec<f64>,
    root: Vec<f64>,
    voters: usize,
}

impl Times {
    fn apply(&mut self, state: &mut State, signed: &SignedBeaconBlock, config: &Config, keys: &Keys) {
        let block = &signed.message;
        self.voters = block
            .body
            .attestations
            .iter()
            .map(|vote| vote.aggregation_bits.count_ones())
            .sum();
        let (ms, result) = timed(|| process_slots(state, config, block.slot));
        result.expect("the chain is valid");
        self.slots.push(ms);
        let mut fresh = state.clone();
        let mut ctx = Context::collecting(config, keys);
        let (ms, result) = timed(|| {
            verify_block_signature(state, &mut ctx, signed)?;
            process_block(state, &mut ctx, block).map(|_request| ())
        });
        result.expect("the block is valid");
        self.operations.push(ms);
        let (ms, result) = timed(|| process_block(&mut fresh, &mut Context::collecting(config, keys), block).is_ok());
        assert!(result, "the same block on the same state");
        self.again.push(ms);
        let (ms, result) = timed(|| ctx.verify_collected());
        result.expect("the signatures are valid");
        self.signatures.push(ms);
        let (ms, computed) = timed(|| state.hash_tree_root());
        assert_eq!(computed, block.state_root, "state root of slot {}", block.slot);
        self.root.push(ms);
    }

    fn show(mut self, votes: Votes) {
        println!("  {votes:?} votes, {} voters", self.voters);
        let parts = [
            ("slot", &mut self.slots),
            ("operations, with sums of keys", &mut self.operations),
            ("signatures", &mut self.signatures),
            ("root", &mut self.root),
        ];
        let mut sum = 0.0;
        for (name, times) in parts {
            let ms = median(times);
            line(&format!("  {name}, median"), ms);
            sum += ms;
        }
        line("  together", sum);
        line("  operations where committees' sums are known", median(&mut self.again));
    }
}

/// What the system says of this process. Mapped pages of files can be taken back at any time.
fn memory(when: &str) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) as f64 / 1024.0
    };
    println!(
        "  memory, {when}: {:.0} MiB own, {:.0} MiB mapped, most {:.0} MiB",
        mib("RssAnon:"),
        mib("RssFile:"),
        mib("VmHWM:")
    );
}
