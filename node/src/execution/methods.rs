//! The methods of the Engine API, and the few of `eth` that nodes use beside them, as the dev engine answers them.
//!
//! Versions of methods belong to forks, and forks begin at timestamps: a method that does not fit the timestamp of what
//! it is given is refused by the error that the spec names.
//!
//! Spec: execution-apis, src/engine/ (paris.md to osaka.md, common.md, identification.md).

mod bodies;

use super::dev::{DevEngine, MAX_BLOBS_REQUEST};
use super::header::BlockHeader;
use super::json::{self, Read};
use super::server::capabilities;
use super::types::{BuiltPayload, PayloadAttributes, RpcError, code};
use consensus::Fork;
use consensus::transition::NewPayloadRequest;
use consensus::types::{Hash32, PayloadId};
use serde_json::{Value, json};

/// Versioned hashes in a payload, at most: far above the limit of any fork.
const MAX_VERSIONED_HASHES: u64 = 4096;

type Answer = Result<Value, RpcError>;

/// Answers a call.
pub(super) fn call(engine: &DevEngine, method: &str, params: &[Value]) -> Answer {
    match method {
        "engine_newPayloadV1" => new_payload(engine, params, &[Fork::Bellatrix]),
        "engine_newPayloadV2" => new_payload(engine, params, &[Fork::Bellatrix, Fork::Capella]),
        "engine_newPayloadV3" => new_payload(engine, params, &[Fork::Deneb]),
        "engine_newPayloadV4" => new_payload(engine, params, &[Fork::Electra, Fork::Fulu]),
        "engine_forkchoiceUpdatedV1" => forkchoice_updated(engine, params, &[Fork::Bellatrix]),
        "engine_forkchoiceUpdatedV2" => forkchoice_updated(engine, params, &[Fork::Bellatrix, Fork::Capella]),
        "engine_forkchoiceUpdatedV3" => forkchoice_updated(engine, params, &[Fork::Deneb, Fork::Electra, Fork::Fulu]),
        "engine_getPayloadV1" => get_payload(engine, params, &[Fork::Bellatrix]),
        "engine_getPayloadV2" => {
            let built = built(engine, params, &[Fork::Bellatrix, Fork::Capella])?;
            Ok(envelope(engine, &built))
        }
        "engine_getPayloadV3" => get_payload(engine, params, &[Fork::Deneb]),
        "engine_getPayloadV4" => get_payload(engine, params, &[Fork::Electra]),
        "engine_getPayloadV5" => get_payload(engine, params, &[Fork::Fulu]),
        "engine_getBlobsV1" => get_blobs(engine, params, Fork::Deneb), // with one proof, in Electra too
        "engine_getBlobsV2" => get_blobs(engine, params, Fork::Fulu),
        "engine_getPayloadBodiesByHashV1" => bodies::by_hash(engine, params),
        "engine_getPayloadBodiesByRangeV1" => bodies::by_range(engine, params),
        "engine_exchangeCapabilities" => Ok(capabilities()),
        "engine_getClientVersionV1" => Ok(json!([json::version(&DevEngine::version())])),
        "wren_queueRequests" => queue_requests(engine, params),
        _ => eth(engine, method, params),
    }
}

fn invalid(why: String) -> RpcError {
    RpcError::new(code::INVALID_PARAMS, why)
}

/// Reads a parameter; an error tells which.
fn param<T>(params: &[Value], place: usize, name: &str, read: impl FnOnce(&Value) -> Read<T>) -> Result<T, RpcError> {
    let value = params.get(place).filter(|value| !value.is_null());
    let value = value.ok_or_else(|| invalid(format!("parameter {place} ({name}) is missing")))?;
    read(value).map_err(|why| invalid(format!("parameter {place} ({name}): {why}")))
}

/// The fork at a timestamp, which must be one that the method is for.
fn fork_of(engine: &DevEngine, timestamp: u64, forks: &[Fork]) -> Result<Fork, RpcError> {
    let fork = engine.fork_at(timestamp);
    if forks.contains(&fork) {
        return Ok(fork);
    }
    let message = format!("timestamp {timestamp} is of {fork}, which has other versions of the method");
    Err(RpcError::new(code::UNSUPPORTED_FORK, message))
}

fn new_payload(engine: &DevEngine, params: &[Value], forks: &[Fork]) -> Answer {
    let timestamp = param(params, 0, "executionPayload", |value| {
        json::get(value, "timestamp", json::number)
    })?;
    let fork = fork_of(engine, timestamp, forks)?;
    let payload = param(params, 0, "executionPayload", |value| json::read_payload(fork, value))?;
    let mut request = NewPayloadRequest {
        fork,
        execution_payload: &payload,
        versioned_hashes: Vec::new(),
        parent_beacon_block_root: Hash32::ZERO,
        execution_requests: None,
    };
    let requests;
    if fork >= Fork::Deneb {
        let hashes = |value: &Value| json::list(value, MAX_VERSIONED_HASHES, json::fixed);
        request.versioned_hashes = param(params, 1, "expectedBlobVersionedHashes", hashes)?;
        request.parent_beacon_block_root = param(params, 2, "parentBeaconBlockRoot", json::fixed)?;
    }
    if fork >= Fork::Electra {
        requests = param(params, 3, "executionRequests", |value| json::read_requests(fork, value))?;
        request.execution_requests = Some(&requests);
    }
    engine.new_payload(&request).map(|status| json::status(&status))
}

fn forkchoice_updated(engine: &DevEngine, params: &[Value], forks: &[Fork]) -> Answer {
    let state = param(params, 0, "forkchoiceState", json::read_forkchoice)?;
    let attributes = params.get(1).filter(|value| !value.is_null());
    // Wrong attributes do not undo the update of the head (paris.md), so that comes first.
    let (status, _) = engine.forkchoice_updated(forks[0], &state, None)?;
    let Some(attributes) = attributes else {
        return Ok(json::updated(&status, None));
    };
    let attributes: PayloadAttributes =
        json::read_attributes(attributes).map_err(|why| RpcError::new(code::INVALID_PAYLOAD_ATTRIBUTES, why))?;
    let fork = fork_of(engine, attributes.timestamp, forks)?;
    let (status, id) = engine.forkchoice_updated(fork, &state, Some(&attributes))?;
    Ok(json::updated(&status, id))
}

/// The payload that was asked for, which must be of one of these forks.
fn built(engine: &DevEngine, params: &[Value], forks: &[Fork]) -> Result<BuiltPayload, RpcError> {
    let id: PayloadId = param(params, 0, "payloadId", json::fixed)?;
    let mut last = RpcError::new(code::UNKNOWN_PAYLOAD, "");
    for fork in forks {
        match engine.get_payload(*fork, id) {
            Ok(built) => return Ok(built),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn get_payload(engine: &DevEngine, params: &[Value], forks: &[Fork]) -> Answer {
    let built = built(engine, params, forks)?;
    let fork = engine.fork_at(built.payload.timestamp);
    if fork < Fork::Capella {
        return Ok(json::payload(fork, &built.payload));
    }
    Ok(envelope(engine, &built))
}

/// The answer to `engine_getPayloadV2` and later.
fn envelope(engine: &DevEngine, built: &BuiltPayload) -> Value {
    let fork = engine.fork_at(built.payload.timestamp);
    let mut answer = json!({
        "executionPayload": json::payload(fork, &built.payload),
        "blockValue": json::big_quantity(&built.value),
    });
    if let Some(bundle) = &built.blobs {
        answer["blobsBundle"] = json::bundle(bundle);
        answer["shouldOverrideBuilder"] = json!(built.should_override_builder);
    }
    if fork >= Fork::Electra {
        let requests = consensus::transition::get_execution_requests_list(fork, &built.execution_requests);
        answer["executionRequests"] = json::requests(&requests);
    }
    answer
}

fn get_blobs(engine: &DevEngine, params: &[Value], fork: Fork) -> Answer {
    let count = params.first().and_then(Value::as_array).map_or(0, Vec::len);
    if count > MAX_BLOBS_REQUEST {
        let message = format!("{count} blobs were asked for, at most {MAX_BLOBS_REQUEST} are given");
        return Err(RpcError::new(code::TOO_LARGE_REQUEST, message));
    }
    let hashes = |value: &Value| json::list(value, MAX_BLOBS_REQUEST as u64, json::fixed);
    let hashes = param(params, 0, "versionedHashes", hashes)?;
    let found = engine.get_blobs(fork, &hashes)?;
    if fork >= Fork::Fulu && found.iter().any(Option::is_none) {
        return Ok(Value::Null);
    }
    let one = |blob: &Option<_>| {
        blob.as_ref()
            .map_or(Value::Null, |blob| json::blob_and_proofs(fork, blob))
    };
    Ok(found.iter().map(one).collect())
}

/// Puts requests into the next payload: a method of this engine alone, for tests of deposits, exits and consolidations.
fn queue_requests(engine: &DevEngine, params: &[Value]) -> Answer {
    let requests = param(params, 0, "executionRequests", |value| {
        json::read_requests(Fork::Electra, value)
    })?;
    if engine.queue_requests(requests) {
        return Ok(Value::Bool(true));
    }
    Err(RpcError::new(
        code::TOO_LARGE_REQUEST,
        "too many requests wait for payloads already",
    ))
}

/// The methods of `eth` and its neighbours by which nodes make sure of an engine. Spec: common.md, "Underlying protocol".
fn eth(engine: &DevEngine, method: &str, params: &[Value]) -> Answer {
    match method {
        "eth_chainId" => Ok(json::quantity(engine.chain_id())),
        "net_version" => Ok(Value::String(engine.chain_id().to_string())),
        "web3_clientVersion" => Ok(json!(format!("wren-dev-engine/{}", env!("CARGO_PKG_VERSION")))),
        "eth_syncing" => Ok(Value::Bool(false)),
        "eth_blockNumber" => {
            let head = engine.canonical(None);
            Ok(json::quantity(head.map_or(0, |(_, header)| header.number)))
        }
        // Nothing is executed, so nothing is logged.
        "eth_getLogs" => Ok(json!([])),
        "eth_getBlockByHash" => {
            let hash = param(params, 0, "hash", json::fixed)?;
            Ok(engine
                .header(&hash)
                .map_or(Value::Null, |header| block(engine, &hash, &header)))
        }
        "eth_getBlockByNumber" => {
            let number = param(params, 0, "number", |value| match json::text(value)? {
                // Any head of this engine is valid, and nothing keeps it from being final.
                "latest" | "pending" | "safe" | "finalized" => Ok(None),
                "earliest" => Ok(Some(0)),
                _ => json::number(value).map(Some),
            })?;
            let found = engine.canonical(number);
            Ok(found.map_or(Value::Null, |(hash, header)| block(engine, &hash, &header)))
        }
        _ => Err(RpcError::new(
            code::METHOD_NOT_FOUND,
            format!("the dev engine has no method {method}"),
        )),
    }
}

/// A block as `eth_getBlockBy…` has it, without its transactions. Spec: execution-apis, schemas, `Block`.
fn block(engine: &DevEngine, hash: &Hash32, header: &BlockHeader) -> Value {
    let work = engine.pow_block(hash);
    let total = work.map_or_else(|| engine.final_difficulty(), |work| work.total_difficulty);
    let mut block = json!({
        "hash": json::data(&hash.0),
        "parentHash": json::data(&header.parent_hash.0),
        "sha3Uncles": json::data(&header.ommers_hash.0),
        "miner": json::data(&header.fee_recipient.0),
        "stateRoot": json::data(&header.state_root.0),
        "transactionsRoot": json::data(&header.transactions_root.0),
        "receiptsRoot": json::data(&header.receipts_root.0),
        "logsBloom": json::data(&header.logs_bloom.0),
        "difficulty": json::big_quantity(&header.difficulty),
        "totalDifficulty": json::big_quantity(&total),
        "number": json::quantity(header.number),
        "gasLimit": json::quantity(header.gas_limit),
        "gasUsed": json::quantity(header.gas_used),
        "timestamp": json::quantity(header.timestamp),
        "extraData": json::data(&header.extra_data),
        "mixHash": json::data(&header.prev_randao.0),
        "nonce": json::data(&header.nonce),
        "baseFeePerGas": json::big_quantity(&header.base_fee_per_gas),
        "size": "0x0",
        "transactions": [],
        "uncles": [],
    });
    if let Some(root) = header.withdrawals_root {
        block["withdrawalsRoot"] = json::data(&root.0);
        block["withdrawals"] = json!([]);
    }
    if let Some(gas) = header.blob_gas {
        block["blobGasUsed"] = json::quantity(gas.used);
        block["excessBlobGas"] = json::quantity(gas.excess);
    }
    if let Some(root) = header.parent_beacon_block_root {
        block["parentBeaconBlockRoot"] = json::data(&root.0);
    }
    if let Some(hash) = header.requests_hash {
        block["requestsHash"] = json::data(&hash.0);
    }
    block
}

#[cfg(test)]
mod tests;
