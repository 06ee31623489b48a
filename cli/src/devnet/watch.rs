//! What a devnet shows: a line for every slot, until its end.

use super::Args;
use super::api::{get, number};
use super::processes::Processes;
use crate::exit::Failure;
use consensus::preset::SLOTS_PER_EPOCH;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Epochs after the one asked for within which it must be final: one to be justified, one to be final, one for a machine
/// that is slow at the start, and one more.
const PATIENCE_EPOCHS: u64 = 4;

/// What the node says of its chain.
struct Seen {
    head: u64,
    justified: u64,
    finalized: u64,
}

/// Shows the chain until Ctrl-C, or until the epoch that was asked for is final.
pub(super) async fn watch(args: &Args, processes: &mut Processes) -> Result<ExitCode, Failure> {
    let mut signals = [listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?];
    let [interrupt, terminate] = &mut signals;
    let mut tick = tokio::time::interval(Duration::from_secs(args.slot_time));
    let mut genesis = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
        processes.check()?;
        if genesis.is_none() {
            genesis = told_genesis(args, processes).await;
            continue;
        }
        let Some(seen) = look(processes).await else {
            println!("the node does not answer");
            continue;
        };
        let slot = genesis.map_or(0, |genesis| current_slot(genesis, args.slot_time));
        println!(
            "slot {slot:4}  epoch {:3}  head {:4}  justified epoch {:3}  finalized epoch {:3}",
            slot / SLOTS_PER_EPOCH,
            seen.head,
            seen.justified,
            seen.finalized
        );
        let Some(wanted) = args.until_finalized_epoch else {
            continue;
        };
        if seen.finalized >= wanted {
            println!("epoch {wanted} is final");
            return Ok(ExitCode::SUCCESS);
        }
        if slot / SLOTS_PER_EPOCH > wanted + PATIENCE_EPOCHS {
            let what = format!("epoch {wanted} should be final by now; it is {}", seen.finalized);
            return Err(Failure::running(what));
        }
    }
    println!("stopping");
    Ok(ExitCode::SUCCESS)
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::io("cannot wait for signals", &error))
}

/// The genesis time once the node answers; says then what is to be expected.
async fn told_genesis(args: &Args, processes: &Processes) -> Option<u64> {
    let answer = get(processes.api, "/eth/v1/beacon/genesis").await?;
    let genesis = number(&answer, "/data/genesis_time")?;
    let now = now();
    let final_slot = 4 * SLOTS_PER_EPOCH;
    println!(
        "genesis in {} s; epoch 2 is final at slot {final_slot}, in about {} s; Beacon API on http://{}",
        genesis.saturating_sub(now),
        (genesis + final_slot * args.slot_time).saturating_sub(now),
        processes.api
    );
    Some(genesis)
}

async fn look(processes: &Processes) -> Option<Seen> {
    let header = get(processes.api, "/eth/v1/beacon/headers/head").await?;
    let checkpoints = get(processes.api, "/eth/v1/beacon/states/head/finality_checkpoints").await?;
    Some(Seen {
        head: number(&header, "/data/header/message/slot")?,
        justified: number(&checkpoints, "/data/current_justified/epoch")?,
        finalized: number(&checkpoints, "/data/finalized/epoch")?,
    })
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn current_slot(genesis: u64, slot_time: u64) -> u64 {
    now().saturating_sub(genesis) / slot_time
}
