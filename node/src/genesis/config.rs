//! The config of a local network: which fork when, how long slots are, and delays short enough to see their end.

use crate::execution::dev::{TERMINAL_TOTAL_DIFFICULTY, is_merged_at_genesis};
use anyhow::{Result, bail, ensure};
use consensus::config::BlobParameters;
use consensus::constants::{FAR_FUTURE_EPOCH, GENESIS_EPOCH};
use consensus::ssz::U256;
use consensus::types::Epoch;
use consensus::{Config, Fork};

/// What a local network may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevnetOptions {
    /// The fork that holds at genesis, with all before it.
    pub genesis_fork: Fork,
    /// Later forks with their epochs, in order.
    pub schedule: Vec<(Fork, Epoch)>,
    /// Milliseconds of a slot.
    pub slot_duration_ms: u64,
    /// Unix time (seconds) of genesis.
    pub genesis_time: u64,
    /// Blobs in a block, at most, from an epoch on; empty for Electra's limit.
    pub blob_schedule: Vec<BlobParameters>,
}

/// The config of a local network: `base` (usually the built-in `devnet`) with these choices. Errors say which of them
/// contradict each other.
pub fn devnet_config(base: Config, options: &DevnetOptions) -> Result<Config> {
    let mut config = base.with_forks_at_genesis(options.genesis_fork);
    let mut latest = (options.genesis_fork, GENESIS_EPOCH);
    for &(fork, epoch) in &options.schedule {
        ensure!(
            Some(latest.0) == fork.previous(),
            "after {} comes {}, not {fork}: name every fork in turn",
            latest.0,
            latest.0.next().map_or("no fork that this version knows", Fork::name)
        );
        ensure!(
            epoch >= latest.1,
            "{fork} at epoch {epoch} would come before {} at epoch {}",
            latest.0,
            latest.1
        );
        config.set_fork_epoch(fork, epoch);
        latest = (fork, epoch);
    }
    config.slot_duration_ms = options.slot_duration_ms;
    config.min_genesis_time = options.genesis_time;
    config.genesis_delay = 0;
    config.blob_schedule.clone_from(&options.blob_schedule);
    config.terminal_total_difficulty = terminal_total_difficulty(&config);
    config.check()?;
    check_merge(&config)?;
    Ok(config)
}

/// None if the chain is merged from the beginning, otherwise that of the dev engine's second block.
fn terminal_total_difficulty(config: &Config) -> U256 {
    if config.bellatrix_fork_epoch == GENESIS_EPOCH {
        U256::ZERO
    } else {
        U256::from(TERMINAL_TOTAL_DIFFICULTY)
    }
}

/// The merge happens in the first block of Bellatrix, and Capella wants it behind it.
fn check_merge(config: &Config) -> Result<()> {
    let (bellatrix, capella) = (config.bellatrix_fork_epoch, config.capella_fork_epoch);
    if !is_merged_at_genesis(config) && bellatrix != FAR_FUTURE_EPOCH && bellatrix == capella {
        bail!(
            "bellatrix and capella are both at epoch {bellatrix}: the merge needs an epoch of bellatrix, so move capella"
        );
    }
    Ok(())
}
