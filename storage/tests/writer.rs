//! A process that writes a chain until it is killed, and what must be there afterwards.
//!
//! The process is this test program itself, started to run the one test `process`, which does nothing unless it is told
//! a folder. Each step is acknowledged on its standard output once the storage has acknowledged it. Everything it writes
//! follows from the number of the step, so that the reader knows what to expect.

use crate::fixture::{block, identity, options};
use consensus::ssz::{Root, Ssz};
use consensus::types::{Checkpoint, SignedBeaconBlock};
use consensus::{Fork, State};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use storage::{Sidecar, Storage, StoredBlock, StoredSidecar};
use synthetic::{Shape, fulu_state};

const FOLDER: &str = "WREN_STORAGE_WRITER";
/// The chain begins here; what is backfilled lies below.
const START: u64 = 100_000;
/// Every so many slots the last so many are finalized.
const FINALIZE: u64 = 8;

/// Written by the child; see `Writer::start`.
#[test]
fn process() {
    if let Ok(folder) = std::env::var(FOLDER) {
        write(Path::new(&folder));
    }
}

/// This test program, through the emulator that cargo was told to run it with, if there is one.
fn this_program() -> Command {
    let program = std::env::current_exe().unwrap();
    let runner = std::env::var("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace().filter(|_| cfg!(target_arch = "aarch64"));
    let Some(emulator) = words.next() else {
        return Command::new(program);
    };
    let mut command = Command::new(emulator);
    command.args(words).arg(program);
    command
}

/// A running writer.
pub(crate) struct Writer {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The last step it acknowledged, of each kind.
    pub(crate) acknowledged: BTreeMap<String, u64>,
}

impl Writer {
    /// Starts one on `folder`, with more environment; `None` where this program cannot start itself (under an emulator).
    pub(crate) fn start(folder: &Path, environment: &[(&str, &str)]) -> Option<Writer> {
        let mut command = this_program();
        command.args(["writer::process", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(FOLDER, folder).envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().ok()?;
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Writer {
            child,
            output,
            acknowledged: BTreeMap::new(),
        })
    }

    /// Waits for so many acknowledgements.
    pub(crate) fn wait_for(&mut self, count: usize) {
        let mut line = String::new();
        for _ in 0..count {
            while !note(&mut self.acknowledged, &line) {
                line.clear();
                assert!(
                    self.output.read_line(&mut line).unwrap() > 0,
                    "the writer ended by itself"
                );
            }
            line.clear();
        }
    }

    /// Kills it; gives what it had acknowledged by then.
    pub(crate) fn kill(mut self) -> BTreeMap<String, u64> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        // A line that the kill cut off was not acknowledged.
        for line in rest.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            note(&mut self.acknowledged, line);
        }
        self.acknowledged
    }
}

/// Takes down a line such as `ack block 17`; whether it was one.
fn note(acknowledged: &mut BTreeMap<String, u64>, line: &str) -> bool {
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next().map(str::parse)) {
        (Some("ack"), Some(kind), Some(Ok(number))) => {
            acknowledged.insert(kind.to_string(), number);
            true
        }
        _ => false,
    }
}

fn acknowledge(kind: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("ack {kind} {number}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Writes until it is killed.
fn write(folder: &Path) {
    let storage = Storage::open(folder, &identity(), &options()).unwrap();
    let (mut slot, mut parent) = storage.head().unwrap().unwrap_or((START, Root::ZERO));
    let mut oldest = storage.oldest_block().unwrap().unwrap_or(START);
    let mut chain = unfinalized(&storage);
    fetch_again(&storage, slot, parent);
    loop {
        slot += 1;
        let (root, signed) = block(slot, parent, 0);
        let mut batch = storage.batch();
        batch.put_block(&root, Fork::Fulu, &signed);
        if slot.is_multiple_of(5) {
            let (sibling, signed) = block(slot, parent, 1);
            batch.put_block(&sibling, Fork::Fulu, &signed);
        }
        batch.set_head(slot, &root);
        chain.push((slot, root));
        if slot.is_multiple_of(FINALIZE) {
            finalize(&mut batch, &mut chain);
        }
        batch.commit().unwrap();
        acknowledge("block", slot);
        parent = root;
        beside(&storage, slot, root, &mut oldest);
    }
}

/// Puts the sidecars that a crash took.
fn fetch_again(storage: &Storage, head: u64, root: Root) {
    let mut root = root;
    for slot in (storage.pruned_columns_below().max(START + 1)..=head).rev() {
        storage.put_sidecars(&[sidecar(slot, root)]).unwrap();
        root = storage.block(&root).unwrap().unwrap().1.message.parent_root;
    }
}

/// The blocks above the finalized one, which an earlier writer left.
fn unfinalized(storage: &Storage) -> Vec<(u64, Root)> {
    let finalized = storage
        .finalized()
        .unwrap()
        .map_or(START, |checkpoint| checkpoint.epoch);
    let (mut slot, mut root) = storage.head().unwrap().unwrap_or((START, Root::ZERO));
    let mut chain = Vec::new();
    while slot > finalized {
        chain.push((slot, root));
        root = storage.block(&root).unwrap().unwrap().1.message.parent_root;
        slot -= 1;
    }
    chain.reverse();
    chain
}

fn finalize(batch: &mut storage::Batch, chain: &mut Vec<(u64, Root)>) {
    let (slot, root) = *chain.last().unwrap();
    batch.set_finalized(&Checkpoint { epoch: slot, root });
    for (slot, root) in chain.drain(..) {
        batch.set_canonical(slot, &root);
    }
}

/// What is done beside the chain now and then, so that files are made, moved, merged and dropped.
fn beside(storage: &Storage, slot: u64, root: Root, oldest: &mut u64) {
    storage.put_sidecars(&[sidecar(slot, root)]).unwrap();
    if slot.is_multiple_of(13) {
        let mut batch = storage.batch();
        for old in *oldest - 10..*oldest {
            let (root, signed) = block(old, Root::ZERO, 0);
            let (ssz, fork) = (signed.encode(Fork::Fulu), Fork::Fulu);
            batch
                .put_old_block(&StoredBlock {
                    slot: old,
                    root,
                    fork,
                    ssz,
                })
                .unwrap();
        }
        *oldest -= 10;
        batch.set_oldest_block(*oldest);
        batch.commit().unwrap();
        acknowledge("oldest", *oldest);
    }
    if slot.is_multiple_of(11) {
        storage.flush().unwrap();
        acknowledge("sidecar", slot);
    }
    if slot.is_multiple_of(17) {
        storage.save_file("votes", &slot.to_le_bytes().repeat(1000)).unwrap();
        acknowledge("file", slot);
    }
    if slot.is_multiple_of(29) {
        storage.save_state(&state(slot), &root).unwrap();
        acknowledge("state", slot);
    }
    if slot.is_multiple_of(37) {
        storage.prune_sidecars(slot - 30).unwrap();
        acknowledge("pruned", slot - 30);
    }
}

fn sidecar(slot: u64, root: Root) -> StoredSidecar {
    let (kind, index, fork) = (Sidecar::Column, slot % 128, Fork::Fulu);
    StoredSidecar {
        slot,
        root,
        kind,
        index,
        fork,
        ssz: slot.to_le_bytes().repeat(50),
    }
}

fn state(slot: u64) -> State {
    let shape = Shape {
        pending_deposits: 4,
        ..Shape::like_mainnet(16)
    };
    let mut state = fulu_state(shape, &consensus::Config::standard());
    // Epochs far enough apart that anchors and both levels come about.
    state.slot = slot * 4;
    *state.balances.get_mut(3).unwrap() = slot;
    state
}

/// Opens the folder and checks that everything acknowledged is there, that nothing is there that was not written, and
/// that it fits together. A sentence about the first thing that is not so.
pub(crate) fn check(folder: &Path, acknowledged: &BTreeMap<String, u64>) -> Result<(), String> {
    let storage = Storage::open(folder, &identity(), &options()).map_err(|error| format!("not opened: {error}"))?;
    check_chain(&storage, acknowledged).map_err(|error| error.to_string())?
}

fn check_chain(storage: &Storage, acknowledged: &BTreeMap<String, u64>) -> storage::Result<Result<(), String>> {
    macro_rules! demand {
        ($condition:expr, $($text:tt)*) => {
            if !$condition {
                return Ok(Err(format!($($text)*)));
            }
        };
    }
    let acked = |kind: &str| acknowledged.get(kind).copied();
    let Some((head, root)) = storage.head()? else {
        demand!(acked("block").is_none(), "no head, {acknowledged:?}");
        return Ok(Ok(()));
    };
    demand!(head >= acked("block").unwrap_or(0), "head {head}, {acknowledged:?}");
    demand!(
        head <= acked("block").unwrap_or(head) + 1,
        "head {head} was never written, {acknowledged:?}"
    );
    let finalized = storage.finalized()?.map_or(0, |checkpoint| checkpoint.epoch);
    demand!(
        head < finalized + FINALIZE || finalized == 0,
        "finalized {finalized}, head {head}"
    );
    demand!(head >= finalized, "finalized {finalized}, head {head}");
    // From the head to the first block; siblings too.
    let mut root_at = root;
    for slot in (START + 1..=head).rev() {
        let Some((_, signed)) = storage.block(&root_at)? else {
            return Ok(Err(format!("no block {root_at} at slot {slot}, head {head}")));
        };
        demand!(
            is_block(&signed, slot, root_at),
            "block {root_at} at slot {slot} is another"
        );
        let canonical = storage.canonical(slot)?;
        demand!(
            canonical == (slot <= finalized).then_some(root_at),
            "canonical at {slot}: {canonical:?}"
        );
        // A damaged block is an error among them, and not a block.
        let siblings = storage
            .blocks_in(slot..slot + 1)
            .collect::<storage::Result<Vec<_>>>()?
            .len();
        demand!(
            siblings == if slot.is_multiple_of(5) { 2 } else { 1 },
            "{siblings} blocks at {slot}"
        );
        if acked("sidecar").is_some_and(|flushed| slot <= flushed) && slot >= storage.pruned_columns_below() {
            let indices = storage.sidecar_indices(slot, &root_at, Sidecar::Column)?;
            demand!(
                indices == [slot % 128],
                "sidecars {indices:?} at {slot}, {acknowledged:?}"
            );
        }
        root_at = signed.message.parent_root;
    }
    demand!(root_at.is_zero(), "the chain goes on below its start");
    check_beside(storage, acknowledged, head)
}

fn is_block(signed: &SignedBeaconBlock, slot: u64, root: Root) -> bool {
    signed.message.slot == slot && signed.message.hash_tree_root(Fork::Fulu) == root
}

fn check_beside(
    storage: &Storage,
    acknowledged: &BTreeMap<String, u64>,
    head: u64,
) -> storage::Result<Result<(), String>> {
    let acked = |kind: &str| acknowledged.get(kind).copied();
    let oldest = storage.oldest_block()?.unwrap_or(START);
    if oldest > acked("oldest").unwrap_or(START) {
        return Ok(Err(format!("oldest block {oldest}, {acknowledged:?}")));
    }
    for slot in oldest..START {
        if !storage.has_block(&block(slot, Root::ZERO, 0).0)? {
            return Ok(Err(format!("no old block {slot}, though they reach down to {oldest}")));
        }
    }
    if let Some(slot) = acked("file") {
        let found = storage.saved_file("votes")?.unwrap_or_default();
        let number = found.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if number < slot || number > head || found != number.to_le_bytes().repeat(1000) {
            return Ok(Err(format!("the saved file is of {number}, {acknowledged:?}")));
        }
    }
    let states = storage.states()?;
    for id in &states {
        let found = storage.state(id)?;
        if found.is_none_or(|found| found.beacon != state(id.slot / 4).beacon) {
            return Ok(Err(format!("the state at {} is another", id.slot / 4)));
        }
    }
    if acked("state").is_some_and(|slot| states.iter().all(|id| id.slot / 4 < slot)) {
        return Ok(Err(format!("states {states:?}, {acknowledged:?}")));
    }
    if storage.pruned_columns_below() < acked("pruned").unwrap_or(0) {
        return Ok(Err(format!(
            "pruned below {}, {acknowledged:?}",
            storage.pruned_columns_below()
        )));
    }
    Ok(Ok(()))
}

/// How many rounds: all in a long run, a tenth with every change.
pub(crate) fn rounds() -> u64 {
    if std::env::var_os("WREN_TEST_LONG").is_some() {
        200
    } else {
        20
    }
}
