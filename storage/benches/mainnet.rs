//! What a mainnet node writes, and how long keeping and restoring states takes.
//!
//! `cargo bench -p storage [-- VALIDATORS SLOTS]`; 2,200,000 validators and 928 slots unless numbers are given. Every slot
//! has a block of some 130 kB, of which two fifths compress away, and eight columns of 21 blobs, which do not compress; every
//! epoch's state is kept. Times are processor time, of which other threads' share (flushes, compactions) is not counted.
//!
//! "Written" is what the kernel counts for this process, compared with the SSZ size of all blocks and columns, each once,
//! and of the anchor at its share (slots / 32,768).

use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{ByteList, Root, Ssz};
use consensus::types::SignedBeaconBlock;
use consensus::{Config, Fork, State};
use std::path::Path;
use std::time::Instant;
use storage::{Identity, Options, SavedAs, Sidecar, StateId, Storage, StoredSidecar, written_bytes};
use synthetic::{Numbers, Shape, cpu_ms, fulu_state};

const COLUMNS: u64 = 8;
const BLOBS: u64 = 21;
const COLUMN_LEN: usize = (BLOBS * (2048 + 48 + 48) + 400) as usize;
const BLOCK_LEN: usize = 130_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    // Without `--bench` this is `cargo test`: only see that it works.
    let (validators, slots) = if args.iter().any(|arg| arg == "--bench") {
        (2_200_000, 928)
    } else {
        (500, 70)
    };
    let validators = numbers.first().copied().unwrap_or(validators);
    let slots = numbers.get(1).copied().unwrap_or(slots);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()));
    bench(&folder, validators as usize, slots);
    std::fs::remove_dir_all(&folder).expect("the folder was made here");
}

/// A line of the kernel's account of this process's memory, in MB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1000
}

/// Tells time, and how far memory rose meanwhile.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    // Five is the kernel's word for: forget the peak.
    std::fs::write("/proc/self/clear_refs", "5").ok();
    let (start, clock, before) = (cpu_ms(), Instant::now(), memory("VmRSS"));
    let result = work();
    let (seconds, rise) = (clock.elapsed().as_secs_f64(), memory("VmHWM") - before);
    let spent = cpu_ms() - start;
    println!("  {what:<24} {spent:>8.0} ms, {seconds:>6.2} s by the clock, +{rise} MB at its peak");
    result
}

fn bench(folder: &Path, validators: usize, slots: u64) {
    println!("\n{validators} validators, {slots} slots");
    let mut state = fulu_state(Shape::like_mainnet(validators), &Config::standard());
    let identity = Identity::of(state.genesis_validators_root);
    let storage = Storage::open(folder, &identity, &Options::default()).expect("the folder is new");
    let mut numbers = Numbers::new(1);
    println!(
        "  the state's SSZ {:>17} MB",
        state.beacon.encoded_len(state.at, &[]) / 1_000_000
    );
    save(&storage, &state, "first anchor");
    let size = storage.anchors().expect("there is one")[0].size;
    println!("  the anchor's file {:>15} MB", size / 1_000_000);

    let before = written_bytes().expect("the kernel counts");
    let (mut stored, mut differences) = (0, [(0, 0); 2]);
    let mut parent = Root::ZERO;
    for _ in 0..slots {
        state.slot += 1;
        let (root, bytes) = put_slot(&storage, state.slot, parent, &mut numbers);
        (parent, stored) = (root, stored + bytes);
        if state.slot % SLOTS_PER_EPOCH == 0 {
            advance(&mut state, &mut numbers);
            if let SavedAs::Difference { level, size } = save(&storage, &state, "epoch") {
                differences[level as usize - 1].0 += 1;
                differences[level as usize - 1].1 += size;
            }
        }
    }
    storage.flush().expect("there is room");
    for (level, (count, bytes)) in (1..).zip(differences) {
        println!(
            "  differences of level {level}: {count}, {:.2} MB each",
            bytes as f64 / 1e6 / f64::from(count.max(1))
        );
    }
    let written = written_bytes().expect("the kernel counts") - before + size * slots / 32_768;
    let stored = stored + state.beacon.encoded_len(state.at, &[]) as u64 * slots / 32_768;
    let ratio = written as f64 / stored as f64;
    println!(
        "  written {} MB for {} MB: {ratio:.2}",
        written / 1_000_000,
        stored / 1_000_000
    );
    drop(storage);
    restart(folder, &identity, &state);
}

fn save(storage: &Storage, state: &State, what: &str) -> SavedAs {
    let root = Root::from([state.slot as u8; 32]);
    timed(what, || storage.save_state(state, &root).expect("there is room"))
}

fn restart(folder: &Path, identity: &Identity, state: &State) {
    let open = || Storage::open(folder, identity, &Options::default()).expect("it was closed well");
    let storage = timed("open", open);
    let slot = state.slot / SLOTS_PER_EPOCH * SLOTS_PER_EPOCH;
    let id = StateId {
        slot,
        block_root: Root::from([slot as u8; 32]),
    };
    let found = timed("restore the last state", || storage.state(&id).expect("it is whole"));
    let found = found.expect("it was kept");
    assert!(
        found.balances == state.balances && found.validators == state.validators,
        "another state came back"
    );
}

/// Stores the block and the columns of a slot; the block's root and all their bytes.
fn put_slot(storage: &Storage, slot: u64, parent: Root, numbers: &mut Numbers) -> (Root, u64) {
    let mut block = SignedBeaconBlock::new(Fork::Fulu);
    block.message.slot = slot;
    block.message.parent_root = parent;
    let mut bytes = noise(numbers, BLOCK_LEN * 3 / 5);
    bytes.resize(BLOCK_LEN, 0);
    block.message.body.execution_payload.transactions = vec![ByteList(bytes)];
    // Not its root, which costs time and changes nothing here.
    let root = numbers.root();
    let columns: Vec<StoredSidecar> = (0..COLUMNS)
        .map(|index| {
            let (kind, ssz) = (Sidecar::Column, noise(numbers, COLUMN_LEN));
            StoredSidecar {
                slot,
                root,
                kind,
                index: index * 16,
                fork: Fork::Fulu,
                ssz,
            }
        })
        .collect();
    storage.put_sidecars(&columns).expect("there is room");
    let mut batch = storage.batch();
    batch.put_block(&root, Fork::Fulu, &block);
    batch.set_head(slot, &root);
    batch.commit().expect("there is room");
    let len = block.encoded_len(Fork::Fulu, &[]) + columns.iter().map(|column| column.ssz.len()).sum::<usize>();
    (root, len as u64)
}

fn noise(numbers: &mut Numbers, len: usize) -> Vec<u8> {
    (0..len.div_ceil(8))
        .flat_map(|_| numbers.next_u64().to_le_bytes())
        .take(len)
        .collect()
}

/// What an epoch leaves in a state on a healthy chain: rewards by effective balance for 99 in 100, penalties for the
/// others, some balances cut by withdrawals, flags, and mixes and roots.
fn advance(state: &mut State, numbers: &mut Numbers) {
    let active = state.validators.len() * 95 / 220;
    let voted: Vec<bool> = (0..active).map(|_| numbers.below(100) > 0).collect();
    let sweep = numbers.below(state.balances.len() as u64) as usize..;
    let effective: Vec<u64> = state
        .validators
        .iter()
        .map(|validator| validator.effective_balance)
        .collect();
    state.balances.update(|index, balance| {
        let increments = effective[index] / 1_000_000_000;
        let withdrawn = sweep.contains(&index) && index < sweep.start + 512;
        match voted.get(index) {
            _ if withdrawn => Some(effective[index]),
            Some(true) => Some(balance + 290 * increments),
            Some(false) => Some(balance.saturating_sub(210 * increments)),
            None => None,
        }
    });
    state
        .inactivity_scores
        .update(|_, score| (*score > 0).then_some(score.saturating_sub(16)));
    state.previous_epoch_participation = state.current_epoch_participation.clone();
    let flags = (0..state.balances.len()).map(|index| voted.get(index).map_or(0, |voted| u8::from(*voted) * 7));
    let flags = state.previous_epoch_participation.rebuilt(flags);
    state.previous_epoch_participation = flags;
    state.current_epoch_participation = state.current_epoch_participation.filled_like(0, state.balances.len());
    for _ in 0..30 {
        let index = numbers.below(active as u64) as usize;
        if let Some(validator) = state.validators.get_mut(index) {
            validator.effective_balance += 1_000_000_000;
        }
    }
    let (slot, mix) = (state.slot as usize, numbers.root());
    if let Some(place) = state.randao_mixes.get_mut(slot / SLOTS_PER_EPOCH as usize % 65_536) {
        *place = mix;
    }
    for slot in slot - SLOTS_PER_EPOCH as usize..slot {
        if let Some(root) = state.block_roots.get_mut(slot % 8192) {
            *root = numbers.root();
        }
        if let Some(root) = state.state_roots.get_mut(slot % 8192) {
            *root = numbers.root();
        }
    }
}
