//! Genesis of local networks: a config and the first state, made of a list of validators.
//!
//! A public network's genesis came from deposits on its execution chain. A local one has nobody to wait for: its
//! validators stand in the registry from the beginning, nothing was deposited (so `eth1_deposit_index`, `deposit_count`
//! and `deposit_requests_start_index` are all zero, and no client expects a deposit in the first blocks), and every fork
//! whose epoch is zero has been gone through by the spec's own upgrades.
//!
//! Spec: phase0/beacon-chain.md, "Genesis"; fork.md of every fork.

mod config;
mod execution;
mod files;
mod keys;

pub use config::{DevnetOptions, devnet_config};
pub use files::{NetworkFiles, check_free, write_keystores, write_network};
pub use keys::{GenesisKey, Withdrawals, interop_secret_key};

use crate::execution::BlockHeader;
use crate::execution::dev::{genesis_block, is_merged_at_genesis};
use anyhow::{Context, Result, ensure};
use consensus::constants::{FAR_FUTURE_EPOCH, GENESIS_EPOCH, MAX_DEPOSIT_CONTRACT_LEAVES};
use consensus::helpers::selection::get_next_sync_committee;
use consensus::preset::{
    EPOCHS_PER_HISTORICAL_VECTOR, MAX_EFFECTIVE_BALANCE, SLOTS_PER_EPOCH, VALIDATOR_REGISTRY_LIMIT,
};
use consensus::ssz::{Bound, PersistentList, PersistentVector, Ssz};
use consensus::transition::block::header_of;
use consensus::transition::upgrade::upgrade_where_due;
use consensus::types::{
    BLSPubkey, BeaconBlockBody, BeaconBlockHeader, BeaconState, Bytes32, DepositData, Eth1Data, ForkInfo, Hash32,
    Validator,
};
use consensus::{Config, Fork, State};

/// Validators of a local network, at most: as many as mainnet's registry might have, which still fits into memory.
pub const MAX_VALIDATORS: usize = 4 << 20;

/// A validator that is active from the beginning, with 32 ETH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenesisValidator {
    /// Its public key, compressed.
    pub pubkey: BLSPubkey,
    /// Where its balance may be withdrawn to.
    pub withdrawal_credentials: Bytes32,
}

/// The first state of a local network at `genesis_time` (Unix seconds), at the last fork whose epoch is zero. Its latest
/// payload is the genesis block of the dev engine, or none if the chain starts before the merge.
///
/// Errors say which of config and validators does not make a network.
pub fn genesis_state(config: &Config, genesis_time: u64, validators: &[GenesisValidator]) -> Result<State> {
    let block = genesis_block(config, genesis_time);
    state_on_block(config, genesis_time, validators, &block, block.hash())
}

/// As [`genesis_state`], on an execution chain with this genesis block.
fn state_on_block(
    config: &Config,
    genesis_time: u64,
    validators: &[GenesisValidator],
    block: &BlockHeader,
    block_hash: Hash32,
) -> Result<State> {
    config.check()?;
    check(config, validators)?;
    let mut state = State::new(Fork::Phase0, phase0_state(config, genesis_time, validators, block_hash));
    upgrade_where_due(&mut state, config).context("the genesis state cannot be upgraded to its fork")?;
    let at = state.at;
    state.latest_block_header.body_root = BeaconBlockBody::new(at).hash_tree_root(at);
    if at >= Fork::Bellatrix && is_merged_at_genesis(config) {
        state.latest_execution_payload_header = header_of(at, &block.to_payload(block_hash));
    }
    begin_at_fork(&mut state)?;
    Ok(state)
}

/// What upgrades leave otherwise than a chain has it that begins at their fork: sync committees were chosen by Altair's
/// rule, and Electra's queues begin behind exits that a chain before it might have had.
fn begin_at_fork(state: &mut State) -> Result<()> {
    if state.at >= Fork::Altair {
        let committee = get_next_sync_committee(state).context("no sync committee can be chosen")?;
        state.current_sync_committee = committee.clone();
        state.next_sync_committee = committee;
    }
    if state.at >= Fork::Electra {
        state.deposit_requests_start_index = state.eth1_deposit_index;
        state.earliest_exit_epoch = GENESIS_EPOCH;
        state.earliest_consolidation_epoch = GENESIS_EPOCH;
        state.exit_balance_to_consume = 0;
        state.consolidation_balance_to_consume = 0;
    }
    Ok(())
}

fn check(config: &Config, validators: &[GenesisValidator]) -> Result<()> {
    let (count, least) = (validators.len(), SLOTS_PER_EPOCH as usize);
    ensure!(
        count >= least,
        "{count} validators are too few: every slot of an epoch needs one to attest, so give {least} at least"
    );
    ensure!(
        count <= MAX_VALIDATORS,
        "{count} validators are too many: at most {MAX_VALIDATORS} are made"
    );
    let last = config.fork_at_epoch(GENESIS_EPOCH);
    ensure!(
        last <= Fork::Fulu,
        "{last} is the fork at genesis, and this version makes and runs networks up to {}",
        Fork::Fulu
    );
    ensure!(
        last < Fork::Capella || is_merged_at_genesis(config),
        "{last} at genesis has payloads from its first block on: set TERMINAL_TOTAL_DIFFICULTY to 0 (it is {})",
        config.terminal_total_difficulty
    );
    ensure!(
        config.bellatrix_fork_epoch == FAR_FUTURE_EPOCH || config.slot_duration_ms >= 1000,
        "slots of {} ms are too short for payloads, whose timestamps are whole seconds and must rise: take 1000 at least",
        config.slot_duration_ms
    );
    Ok(())
}

/// What `initialize_beacon_state_from_eth1` would make of these validators, had each made its deposit, but without the
/// deposits.
fn phase0_state(
    config: &Config,
    genesis_time: u64,
    validators: &[GenesisValidator],
    block_hash: Hash32,
) -> BeaconState {
    let mut state = BeaconState::new(Fork::Phase0);
    state.genesis_time = genesis_time;
    state.fork = ForkInfo {
        previous_version: config.genesis_fork_version,
        current_version: config.genesis_fork_version,
        epoch: GENESIS_EPOCH,
    };
    state.eth1_data = Eth1Data {
        deposit_root: Vec::<DepositData>::new().root(Fork::Phase0, &[Bound::Fixed(MAX_DEPOSIT_CONTRACT_LEAVES)]),
        deposit_count: 0,
        block_hash,
    };
    state.latest_block_header = BeaconBlockHeader::default();
    state.randao_mixes = PersistentVector::from_vec(vec![block_hash; EPOCHS_PER_HISTORICAL_VECTOR as usize]);
    state.validators = PersistentList::from_vec(validators.iter().map(active).collect());
    state.balances = PersistentList::from_vec(vec![MAX_EFFECTIVE_BALANCE; validators.len()]);
    let registry = [Bound::Fixed(VALIDATOR_REGISTRY_LIMIT)];
    state.genesis_validators_root = state.validators.root(Fork::Phase0, &registry);
    state
}

fn active(validator: &GenesisValidator) -> Validator {
    Validator {
        pubkey: validator.pubkey,
        withdrawal_credentials: validator.withdrawal_credentials,
        effective_balance: MAX_EFFECTIVE_BALANCE,
        activation_eligibility_epoch: GENESIS_EPOCH,
        activation_epoch: GENESIS_EPOCH,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
        ..Validator::default()
    }
}

#[cfg(test)]
mod tests;
