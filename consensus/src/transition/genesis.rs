//! The first state, made from the deposit contract's history.
//!
//! Spec: phase0/beacon-chain.md, "Genesis". A network whose later forks begin at genesis upgrades that state with
//! `upgrade::upgrade_where_due`.

use crate::constants::{DEPOSIT_CONTRACT_TREE_DEPTH, GENESIS_EPOCH};
use crate::fork::Fork;
use crate::helpers::accessors::{active_validator_count, balance};
use crate::helpers::math::add;
use crate::helpers::mutators::validator_mut;
use crate::preset::{
    EFFECTIVE_BALANCE_INCREMENT, EPOCHS_PER_HISTORICAL_VECTOR, MAX_EFFECTIVE_BALANCE, VALIDATOR_REGISTRY_LIMIT,
};
use crate::signing::Context;
use crate::ssz::{Bound, Bytes, PersistentVector, Root, Ssz};
use crate::state::State;
use crate::transition::block::process_deposit;
use crate::types::{BeaconBlockBody, BeaconBlockHeader, BeaconState, Deposit, Eth1Data, ForkInfo, Hash32};
use crate::{Config, Invalid};
use crypto::hash::{Hash256, hash2, zero_hash};

/// The candidate for the genesis state at an eth1 block (`eth1_timestamp` in seconds) with all deposits up to it.
///
/// Spec: phase0/beacon-chain.md, `initialize_beacon_state_from_eth1`. Errors if a deposit's proof is wrong.
pub fn initialize_beacon_state_from_eth1(
    ctx: &mut Context,
    eth1_block_hash: Hash32,
    eth1_timestamp: u64,
    deposits: &[Deposit],
) -> Result<State, Invalid> {
    let mut state = empty_state(ctx.config, eth1_block_hash, eth1_timestamp, deposits.len() as u64)?;
    let mut tree = DepositTree::default();
    for deposit in deposits {
        state.eth1_data.deposit_root = tree.push(deposit.data.hash_tree_root(Fork::Phase0).0);
        process_deposit(&mut state, ctx, deposit)?;
    }
    activate(&mut state)?;
    let registry = [Bound::Fixed(VALIDATOR_REGISTRY_LIMIT)];
    state.genesis_validators_root = state.validators.root(Fork::Phase0, &registry);
    Ok(state)
}

fn empty_state(
    config: &Config,
    eth1_block_hash: Hash32,
    eth1_timestamp: u64,
    deposit_count: u64,
) -> Result<State, Invalid> {
    let mut state = BeaconState::new(Fork::Phase0);
    state.genesis_time = add(eth1_timestamp, config.genesis_delay)?;
    state.fork = ForkInfo {
        previous_version: config.genesis_fork_version,
        current_version: config.genesis_fork_version,
        epoch: GENESIS_EPOCH,
    };
    state.eth1_data = Eth1Data {
        deposit_root: Root::ZERO,
        deposit_count,
        block_hash: eth1_block_hash,
    };
    state.latest_block_header = BeaconBlockHeader {
        body_root: BeaconBlockBody::new(Fork::Phase0).hash_tree_root(Fork::Phase0),
        ..BeaconBlockHeader::default()
    };
    let mixes = vec![eth1_block_hash; EPOCHS_PER_HISTORICAL_VECTOR as usize];
    state.randao_mixes = PersistentVector::from_vec(mixes);
    Ok(State::new(Fork::Phase0, state))
}

/// Everybody with a full deposit is active from the beginning.
fn activate(state: &mut State) -> Result<(), Invalid> {
    for index in 0..state.validators.len() as u64 {
        let balance = balance(state, index)?;
        let validator = validator_mut(state, index)?;
        validator.effective_balance = (balance - balance % EFFECTIVE_BALANCE_INCREMENT).min(MAX_EFFECTIVE_BALANCE);
        if validator.effective_balance == MAX_EFFECTIVE_BALANCE {
            validator.activation_eligibility_epoch = GENESIS_EPOCH;
            validator.activation_epoch = GENESIS_EPOCH;
        }
    }
    Ok(())
}

/// Spec: phase0/beacon-chain.md, `is_valid_genesis_state`.
pub fn is_valid_genesis_state(state: &State, config: &Config) -> bool {
    state.genesis_time >= config.min_genesis_time
        && active_validator_count(state, GENESIS_EPOCH) >= config.min_genesis_active_validator_count
}

/// The deposit contract's tree, of which only the nodes at its growing edge are kept: the root after each of `n` deposits
/// costs as many hashes as the tree is deep, where the spec's list of all deposits so far would cost `n`.
///
/// Spec: phase0/deposit-contract.md.
#[derive(Default)]
struct DepositTree {
    /// For each set bit of `count` the root of that full subtree.
    edge: [Hash256; DEPOSIT_CONTRACT_TREE_DEPTH as usize],
    count: u64,
}

impl DepositTree {
    /// Adds a leaf and returns the root of the list of all.
    fn push(&mut self, leaf: Hash256) -> Root {
        let mut node = leaf;
        let full = self.count.trailing_ones() as usize;
        for left in &self.edge[..full] {
            node = hash2(left, &node);
        }
        self.edge[full] = node;
        self.count += 1;
        self.root()
    }

    fn root(&self) -> Root {
        let mut node = *zero_hash(0);
        for (depth, left) in self.edge.iter().enumerate() {
            node = if self.count >> depth & 1 == 1 {
                hash2(left, &node)
            } else {
                hash2(&node, zero_hash(depth))
            };
        }
        let mut length = [0; 32];
        length[..8].copy_from_slice(&self.count.to_le_bytes());
        Bytes(hash2(&node, &length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constants::MAX_DEPOSIT_CONTRACT_LEAVES;
    use crate::types::DepositData;

    #[test]
    fn the_edge_gives_the_root_of_the_list() {
        let mut tree = DepositTree::default();
        let mut list: Vec<DepositData> = Vec::new();
        for amount in 0..40 {
            let data = DepositData {
                amount,
                ..DepositData::default()
            };
            let root = tree.push(data.hash_tree_root(Fork::Phase0).0);
            list.push(data);
            let expected = list.root(Fork::Phase0, &[Bound::Fixed(MAX_DEPOSIT_CONTRACT_LEAVES)]);
            assert_eq!(root, expected, "{} deposits", list.len());
        }
    }
}
