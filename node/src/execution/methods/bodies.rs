//! What is in payloads besides their headers: nodes that keep only headers ask for it when they serve blocks.
//!
//! Spec: execution-apis, src/engine/shanghai.md, `engine_getPayloadBodiesByHashV1`, `engine_getPayloadBodiesByRangeV1`.

use super::{Answer, invalid, param};
use crate::execution::dev::DevEngine;
use crate::execution::json;
use crate::execution::types::{RpcError, code};
use consensus::types::Hash32;
use serde_json::{Value, json};

/// Bodies given at once, at most: the spec wants 32 at least.
const MAX_BODIES: u64 = 128;

fn check_count(count: u64) -> Result<(), RpcError> {
    if count <= MAX_BODIES {
        return Ok(());
    }
    let message = format!("{count} bodies were asked for, at most {MAX_BODIES} are given");
    Err(RpcError::new(code::TOO_LARGE_REQUEST, message))
}

/// The body of a block, or `null`.
fn body(engine: &DevEngine, hash: &Hash32) -> Value {
    let Some((fork, payload)) = engine.body(hash) else {
        return Value::Null;
    };
    let mut whole = json::payload(fork, &payload);
    json!({ "transactions": whole["transactions"].take(), "withdrawals": whole["withdrawals"].take() })
}

pub(super) fn by_hash(engine: &DevEngine, params: &[Value]) -> Answer {
    let count = params.first().and_then(Value::as_array).map_or(0, Vec::len);
    check_count(count as u64)?;
    let hashes = param(params, 0, "array of block hashes", |value| {
        json::list(value, MAX_BODIES, json::fixed)
    })?;
    Ok(hashes.iter().map(|hash| body(engine, hash)).collect())
}

pub(super) fn by_range(engine: &DevEngine, params: &[Value]) -> Answer {
    let start = param(params, 0, "start", json::number)?;
    let count = param(params, 1, "count", json::number)?;
    if start == 0 || count == 0 {
        return Err(invalid("start and count are at least 1".into()));
    }
    check_count(count)?;
    let latest = engine.canonical(None).map_or(0, |(_, header)| header.number);
    let numbers = start..start.saturating_add(count).min(latest.saturating_add(1));
    let one = |number| {
        let found = engine.canonical(Some(number));
        found.map_or(Value::Null, |(hash, _)| body(engine, &hash))
    };
    Ok(numbers.map(one).collect())
}
