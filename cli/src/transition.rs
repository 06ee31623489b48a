//! `wren transition`: blocks applied to a state, with what each part takes.

use crate::exit::{DIFFERENT, Failure};
use crate::network;
use crate::ssz::Input;
use clap::Parser;
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::{Context, Signatures};
use consensus::ssz::{Out, Ssz};
use consensus::transition::{process_block, process_slots, verify_block_signature};
use consensus::types::registry::find;
use consensus::types::{SignedBeaconBlock, Slot};
use consensus::{Config, Fork, Invalid, State};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  wren transition --network sepolia --pre state.ssz --block next.ssz_snappy --timings
  wren transition --network ./my-testnet --pre state.ssz --slots 32 --post later.ssz

Blocks are applied in the order given; --slots then moves the state on without a block. A file that ends in .ssz_snappy
is raw snappy, any other is plain SSZ. The engine's verdict on the payloads is not asked for: everything else is checked.";

/// `wren transition …`
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The network: mainnet, sepolia, hoodi, devnet, a folder with config.yaml, or such a file
    #[arg(long, value_name = "NAME|DIR|FILE")]
    network: String,
    /// The state to begin with
    #[arg(long, value_name = "STATE")]
    pre: PathBuf,
    /// A signed block to apply; may be given many times
    #[arg(long, value_name = "BLOCK", num_args = 1..)]
    block: Vec<PathBuf>,
    /// Where to write the state afterwards, as SSZ
    #[arg(long, value_name = "STATE")]
    post: Option<PathBuf>,
    /// Move the state on by so many slots after the blocks
    #[arg(long, value_name = "N", default_value_t = 0)]
    slots: u64,
    /// Show how long each part takes, and the memory used
    #[arg(long)]
    timings: bool,
    /// Do not check signatures: for blocks that were checked before
    #[arg(long)]
    trust_signatures: bool,
}

/// What took how long.
#[derive(Default)]
struct Timings {
    decode: Duration,
    keys: Duration,
    slots: Duration,
    epoch: Duration,
    operations: Duration,
    signatures: Duration,
    root: Duration,
}

/// Adds the time of `work` to `total`.
fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *total += start.elapsed();
    result
}

/// Runs `wren transition`.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let config = network::load(&args.network)?;
    let mut timings = Timings::default();
    let mut state = timed(&mut timings.decode, || read_state(&args.pre, &config))?;
    let mut keys = Keys::new();
    if !args.trust_signatures {
        timed(&mut timings.keys, || keys.extend(&state.validators)).map_err(|error| wrong_state(&args.pre, &error))?;
    }
    timed(&mut timings.root, || report(&state))?;
    for path in &args.block {
        let block = timed(&mut timings.decode, || read_block(path, &config))?;
        let signatures = if args.trust_signatures {
            Signatures::Trust
        } else {
            Signatures::Collect(Vec::new())
        };
        if let Err(error) = apply(&mut state, &block, &config, &mut keys, signatures, &mut timings) {
            eprintln!(
                "{}: block of slot {} is not valid: {error}",
                path.display(),
                block.message.slot
            );
            return Ok(ExitCode::from(DIFFERENT));
        }
        report(&state)?;
    }
    if args.slots > 0 {
        let target = state.slot.saturating_add(args.slots);
        if let Err(error) = advance(&mut state, &config, target, &mut timings) {
            eprintln!("no state at slot {target}: {error}");
            return Ok(ExitCode::from(DIFFERENT));
        }
        timed(&mut timings.root, || report(&state))?;
    }
    if let Some(path) = &args.post {
        write_state(path, &state)?;
    }
    if args.timings {
        show(&timings)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Slot and root of the state on a line.
fn report(state: &State) -> Result<(), Failure> {
    print(&format!(
        "slot {} {} state {}",
        state.slot,
        state.at,
        state.hash_tree_root()
    ))
}

fn print(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| Failure::io("cannot write to standard output", &error))
}

/// Applies a block as `state_transition` does, but part by part to time them.
fn apply(
    state: &mut State,
    signed_block: &SignedBeaconBlock,
    config: &Config,
    keys: &mut Keys,
    signatures: Signatures,
    timings: &mut Timings,
) -> Result<(), Invalid> {
    advance(state, config, signed_block.message.slot, timings)?;
    if !matches!(signatures, Signatures::Trust) {
        // Validators that came since the last block. There is one chain only, so whoever is there stays.
        timed(&mut timings.keys, || keys.extend(&state.validators))?;
        keys.settle(keys.len());
    }
    let mut ctx = Context::with(config, keys, signatures);
    timed(&mut timings.operations, || {
        verify_block_signature(state, &mut ctx, signed_block)?;
        process_block(state, &mut ctx, &signed_block.message).map(|_request| ())
    })?;
    timed(&mut timings.signatures, || ctx.verify_collected())?;
    let computed = timed(&mut timings.root, || state.hash_tree_root());
    let in_block = signed_block.message.state_root;
    if computed != in_block {
        return Err(Invalid::new(
            "state root",
            format!("computed {computed}, in block {in_block}"),
        ));
    }
    Ok(())
}

/// Moves the state on to `slot`, slot by slot so that epochs are timed apart. At least one slot, as a block demands.
fn advance(state: &mut State, config: &Config, slot: Slot, timings: &mut Timings) -> Result<(), Invalid> {
    if state.slot >= slot {
        return process_slots(state, config, slot);
    }
    while state.slot < slot {
        let next = state.slot + 1;
        let total = if next.is_multiple_of(SLOTS_PER_EPOCH) {
            &mut timings.epoch
        } else {
            &mut timings.slots
        };
        timed(total, || process_slots(state, config, next))?;
    }
    Ok(())
}

/// The fork at the slot that stands at byte `at` of an encoding.
fn fork_by_slot(head: &[u8], at: usize, config: &Config) -> Option<Fork> {
    let bytes: [u8; 8] = head.get(at..at + 8)?.try_into().ok()?;
    Some(config.fork_at_epoch(u64::from_le_bytes(bytes) / SLOTS_PER_EPOCH))
}

fn read_state(path: &Path, config: &Config) -> Result<State, Failure> {
    let info = find("BeaconState").expect("the registry has every container");
    // Before it stand the genesis time and the genesis root.
    let slot_at = |head: &[u8]| fork_by_slot(head, 40, config);
    let (state, ..) =
        Input::new(path.to_path_buf(), None, info, Fork::Phase0).read_at(slot_at, State::decode_reader)?;
    Ok(state)
}

fn read_block(path: &Path, config: &Config) -> Result<SignedBeaconBlock, Failure> {
    let info = find("SignedBeaconBlock").expect("the registry has every container");
    // Before it stand the offset of the message and the signature.
    let slot_at = |head: &[u8]| fork_by_slot(head, 100, config);
    let decode = |reader: &mut dyn std::io::Read, len, fork| SignedBeaconBlock::decode_read(reader, len, fork, &[]);
    let (block, ..) = Input::new(path.to_path_buf(), None, info, Fork::Phase0).read_at(slot_at, decode)?;
    Ok(block)
}

fn wrong_state(path: &Path, error: &Invalid) -> Failure {
    Failure::invalid(format!("{}: {error}", path.display()))
}

fn write_state(path: &Path, state: &State) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("cannot write {}", path.display()), &error);
    let mut writer = BufWriter::new(File::create(path).map_err(failed)?);
    let mut out = Out::writer(&mut writer);
    state.encode_to(&mut out);
    out.finish().and_then(|()| writer.flush()).map_err(failed)
}

fn show(timings: &Timings) -> Result<(), Failure> {
    let parts = [
        ("decode", timings.decode),
        ("keys", timings.keys),
        ("slots", timings.slots),
        ("epoch", timings.epoch),
        ("operations", timings.operations),
        ("signatures", timings.signatures),
        ("root", timings.root),
    ];
    for (name, time) in parts {
        print(&format!("{name:<12} {:>10.1} ms", time.as_secs_f64() * 1e3))?;
    }
    print(&format!("{:<12} {:>10} MB", "peak memory", peak_memory_mb()))
}

/// The most memory that the process has had, in MB; 0 where the system does not tell.
fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    kib * 1024 / 1_000_000
}
