//! The first blocks of the dev engine's chain, the same for every engine of a network because nothing but the config and
//! the genesis time goes into them.

use super::accounts::state_root;
use crate::execution::header::{BlobGas, BlockHeader, EMPTY_OMMERS_HASH, EMPTY_TRIE_ROOT, requests_hash};
use consensus::constants::GENESIS_EPOCH;
use consensus::ssz::{Bytes, U256};
use consensus::types::{ExecutionAddress, Hash32};
use consensus::{Config, Fork};

/// Where proof of work ends on a chain that starts with it: the genesis block has a difficulty of one, and so has the
/// next and last.
pub const TERMINAL_TOTAL_DIFFICULTY: u64 = 2;

/// Gas limit of every block.
const GAS_LIMIT: u64 = 36_000_000;
/// Spec: EIP-1559, `INITIAL_BASE_FEE`.
const INITIAL_BASE_FEE: u64 = 1_000_000_000;

/// Whether a chain has payloads from its first block on: its execution chain never had proof of work.
pub fn is_merged_at_genesis(config: &Config) -> bool {
    config.bellatrix_fork_epoch == GENESIS_EPOCH && config.terminal_total_difficulty.is_zero()
}

/// The genesis block of the execution chain of a local network: with the protocol's own contracts, at the fork of the beacon chain's
/// genesis. A chain that starts before the merge starts with a block of proof of work.
pub fn genesis_block(config: &Config, genesis_time: u64) -> BlockHeader {
    let merged = is_merged_at_genesis(config);
    let fork = if merged {
        config.fork_at_epoch(GENESIS_EPOCH)
    } else {
        Fork::Phase0
    };
    BlockHeader {
        parent_hash: Hash32::ZERO,
        ommers_hash: EMPTY_OMMERS_HASH,
        fee_recipient: ExecutionAddress::ZERO,
        state_root: state_root(),
        transactions_root: EMPTY_TRIE_ROOT,
        receipts_root: EMPTY_TRIE_ROOT,
        logs_bloom: Bytes::ZERO,
        difficulty: U256::from(u8::from(!merged)),
        number: 0,
        gas_limit: GAS_LIMIT,
        gas_used: 0,
        // Before the merge a second block has to fit in before the beacon chain's genesis.
        timestamp: if merged {
            genesis_time
        } else {
            genesis_time.saturating_sub(2)
        },
        extra_data: Vec::new(),
        prev_randao: Bytes::ZERO,
        nonce: [0; 8],
        base_fee_per_gas: U256::from(INITIAL_BASE_FEE),
        withdrawals_root: (fork >= Fork::Capella).then_some(EMPTY_TRIE_ROOT),
        blob_gas: (fork >= Fork::Deneb).then_some(BlobGas { used: 0, excess: 0 }),
        parent_beacon_block_root: (fork >= Fork::Deneb).then_some(Bytes::ZERO),
        requests_hash: (fork >= Fork::Electra).then(|| requests_hash(&[])),
    }
}

/// The last block of proof of work, of a chain that starts with it; `None` if the chain is merged from the beginning.
pub fn terminal_block(config: &Config, genesis_time: u64) -> Option<BlockHeader> {
    let genesis = genesis_block(config, genesis_time);
    (!is_merged_at_genesis(config)).then(|| BlockHeader {
        parent_hash: genesis.hash(),
        number: 1,
        timestamp: genesis.timestamp + 1,
        base_fee_per_gas: super::rules::next_base_fee(&genesis),
        ..genesis
    })
}
