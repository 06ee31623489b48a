//! The genesis of the execution chain in the form that execution clients read (`genesis.json`), so that a real one can
//! take the dev engine's place: its first block is the same.

use crate::execution::BlockHeader;
use crate::execution::dev::schedule::Schedule;
use crate::execution::dev::{SYSTEM_CONTRACTS, genesis_block, is_merged_at_genesis};
use consensus::constants::{FAR_FUTURE_EPOCH, GENESIS_EPOCH};
use consensus::helpers::misc::compute_start_slot_at_epoch;
use consensus::types::Epoch;
use consensus::{Config, Fork};
use serde_json::{Map, Value, json};

/// The beacon chain's forks with the names that the execution layer has for its own at the same time.
const NAMES: [(Fork, &str); 4] = [
    (Fork::Capella, "shanghai"),
    (Fork::Deneb, "cancun"),
    (Fork::Electra, "prague"),
    (Fork::Fulu, "osaka"),
];

/// The content of `genesis.json`; `None` for a chain that starts before the merge, whose blocks of proof of work only the
/// dev engine has.
pub(super) fn execution_genesis(config: &Config, genesis_time: u64) -> Option<Value> {
    if !is_merged_at_genesis(config) {
        return None;
    }
    let block = genesis_block(config, genesis_time);
    let mut genesis = head(&block);
    genesis["config"] = chain_config(config, genesis_time);
    let contract = |code| json!({ "balance": "0x0", "nonce": "0x1", "code": code });
    let alloc: Map<String, Value> = SYSTEM_CONTRACTS
        .iter()
        .map(|account| (account.address.to_owned(), contract(account.code)))
        .collect();
    genesis["alloc"] = Value::Object(alloc);
    Some(genesis)
}

fn head(block: &BlockHeader) -> Value {
    let mut head = json!({
        "nonce": "0x0",
        "timestamp": format!("{:#x}", block.timestamp),
        "extraData": "0x",
        "gasLimit": format!("{:#x}", block.gas_limit),
        "difficulty": "0x0",
        "mixHash": block.prev_randao.to_string(),
        "coinbase": block.fee_recipient.to_string(),
        "number": "0x0",
        "gasUsed": "0x0",
        "parentHash": block.parent_hash.to_string(),
        "baseFeePerGas": format!("{:#x}", block.base_fee_per_gas),
    });
    if block.blob_gas.is_some() {
        head["blobGasUsed"] = json!("0x0");
        head["excessBlobGas"] = json!("0x0");
    }
    head
}

/// Forks by block number are over at genesis; those by time are given as times.
fn chain_config(config: &Config, genesis_time: u64) -> Value {
    let mut chain = json!({
        "chainId": config.deposit_chain_id,
        "homesteadBlock": 0,
        "eip150Block": 0,
        "eip155Block": 0,
        "eip158Block": 0,
        "byzantiumBlock": 0,
        "constantinopleBlock": 0,
        "petersburgBlock": 0,
        "istanbulBlock": 0,
        "berlinBlock": 0,
        "londonBlock": 0,
        "mergeNetsplitBlock": 0,
        "terminalTotalDifficulty": 0,
        "terminalTotalDifficultyPassed": true,
        "depositContractAddress": config.deposit_contract_address.to_string(),
    });
    let schedule = Schedule::new(config, genesis_time);
    let mut blobs = Map::new();
    let mut enter = |name: String, epoch: Epoch| {
        if epoch == FAR_FUTURE_EPOCH {
            return;
        }
        let start = start_of(config, genesis_time, epoch);
        chain[format!("{name}Time")] = json!(if epoch == GENESIS_EPOCH { 0 } else { start });
        let rules = schedule.blobs_at(start);
        if rules.max > 0 {
            let rules = json!({
                "target": rules.target,
                "max": rules.max,
                "baseFeeUpdateFraction": rules.update_fraction,
            });
            blobs.insert(name, rules);
        }
    };
    for (fork, name) in NAMES {
        enter(name.to_owned(), config.fork_epoch(fork));
    }
    for (place, entry) in config.blob_schedule.iter().enumerate() {
        enter(format!("bpo{}", place + 1), entry.epoch);
    }
    if !blobs.is_empty() {
        chain["blobSchedule"] = Value::Object(blobs);
    }
    chain
}

/// Unix time (seconds) of the first slot of an epoch.
fn start_of(config: &Config, genesis_time: u64, epoch: Epoch) -> u64 {
    let milliseconds = compute_start_slot_at_epoch(epoch).saturating_mul(config.slot_duration_ms);
    genesis_time.saturating_add(milliseconds / 1000)
}
