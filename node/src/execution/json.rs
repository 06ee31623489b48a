//! The Engine API's JSON: integers as hex quantities, names in camel case, fields by the version of a structure.
//!
//! What comes from an engine is checked as what comes from a peer is: a client that is not what it says must not be able
//! to make this node panic or hold more than the beacon chain's own limits allow.
//!
//! Spec: execution-apis, src/engine/common.md, "Encoding", and the structures of paris.md to osaka.md.

use super::types::{BlobAndProofs, ClientVersion, ForkchoiceState, PayloadAttributes, PayloadStatus, Status};
use consensus::Fork;
use consensus::constants::{CONSOLIDATION_REQUEST_TYPE, DEPOSIT_REQUEST_TYPE, WITHDRAWAL_REQUEST_TYPE};
use consensus::preset::{
    BYTES_PER_BLOB, CELLS_PER_EXT_BLOB, MAX_BLOB_COMMITMENTS_PER_BLOCK, MAX_BYTES_PER_TRANSACTION,
    MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD, MAX_DEPOSIT_REQUESTS_PER_PAYLOAD, MAX_EXTRA_DATA_BYTES,
    MAX_TRANSACTIONS_PER_PAYLOAD, MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD, MAX_WITHDRAWALS_PER_PAYLOAD,
};
use consensus::ssz::{Bound, ByteList, ByteVector, Bytes, List, Ssz, U256};
use consensus::types::{BlobsBundle, ExecutionPayload, ExecutionRequests, PayloadId, Withdrawal};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What was read, or a sentence that says which field is not as it must be.
pub(crate) type Read<T> = Result<T, String>;

/// Values in a text, at most: a block with all its transactions, blobs and proofs has some ten thousand. Each takes tens of
/// bytes of memory and may take two of text, so the length of a text alone would not bound what reading it costs.
const MAX_VALUES: usize = 200_000;

/// Reads a text from outside, whose length has been bounded.
pub(crate) fn parse(text: &[u8]) -> Read<Value> {
    let separators = text.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if separators > MAX_VALUES {
        return Err(format!("more than {MAX_VALUES} values"));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// `DATA`.
pub(crate) fn data(bytes: &[u8]) -> Value {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    Value::String(text)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `QUANTITY` of 64 bits.
pub(crate) fn quantity(number: u64) -> Value {
    Value::String(format!("{number:#x}"))
}

/// `QUANTITY` of 256 bits.
pub(crate) fn big_quantity(number: &U256) -> Value {
    let bytes = number.to_be_bytes::<32>();
    let mut text = String::with_capacity(64);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    let digits = text.trim_start_matches('0');
    Value::String(format!("0x{}", if digits.is_empty() { "0" } else { digits }))
}

/// A field of an object; `null` counts as not there.
pub(crate) fn field<'v>(object: &'v Value, name: &str) -> Read<&'v Value> {
    let found = object.get(name).filter(|value| !value.is_null());
    found.ok_or_else(|| format!("{name} is missing"))
}

/// Reads a field with `read`; an error names it.
pub(crate) fn get<T>(object: &Value, name: &str, read: impl FnOnce(&Value) -> Read<T>) -> Read<T> {
    read(field(object, name)?).map_err(|error| format!("{name}: {error}"))
}

/// The text of a string.
pub(crate) fn text(value: &Value) -> Read<&str> {
    value
        .as_str()
        .ok_or_else(|| format!("expected a string, found {}", kind(value)))
}

/// What a value is, for messages: never its content, which may be megabytes.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The items of a list of at most `limit`.
pub(crate) fn items(value: &Value, limit: u64) -> Read<&[Value]> {
    let items = value
        .as_array()
        .ok_or_else(|| format!("expected a list, found {}", kind(value)))?;
    if items.len() as u64 > limit {
        return Err(format!("{} items, at most {limit}", items.len()));
    }
    Ok(items)
}

/// Reads every item of a list of at most `limit`.
pub(crate) fn list<T>(value: &Value, limit: u64, read: impl Fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    let read_one = |(place, item)| read(item).map_err(|error| format!("item {place}: {error}"));
    items(value, limit)?.iter().enumerate().map(read_one).collect()
}

/// What each character is worth as a hex digit, 255 for one that is none: blobs are megabytes of them.
const DIGITS: [u8; 256] = {
    let mut digits = [255; 256];
    let mut value = 0;
    while value < 16 {
        digits[HEX[value] as usize] = value as u8;
        digits[HEX[value].to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    digits
};

fn digit(byte: u8) -> Option<u8> {
    let value = DIGITS[usize::from(byte)];
    (value < 16).then_some(value)
}

/// Bytes of a `DATA` of at most `limit` bytes.
pub(crate) fn bytes(value: &Value, limit: u64) -> Read<Vec<u8>> {
    let text = text(value)?;
    let digits = text.strip_prefix("0x").ok_or("hex does not begin with 0x")?.as_bytes();
    if digits.len() as u64 / 2 > limit {
        return Err(format!("{} bytes, at most {limit}", digits.len() / 2));
    }
    if !digits.len().is_multiple_of(2) {
        return Err("an odd number of hex digits".to_owned());
    }
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    let decoded: Option<Vec<u8>> = digits.chunks_exact(2).map(byte).collect();
    decoded.ok_or_else(|| "a character that is no hex digit".to_owned())
}

/// A `DATA` of exactly `N` bytes.
pub(crate) fn fixed<const N: usize>(value: &Value) -> Read<Bytes<N>> {
    let bytes = bytes(value, N as u64)?;
    let len = bytes.len();
    bytes
        .try_into()
        .map(Bytes)
        .map_err(|_| format!("{len} bytes, expected {N}"))
}

/// A `QUANTITY` of 256 bits: no leading zeros.
pub(crate) fn big_number(value: &Value) -> Read<U256> {
    let text = text(value)?;
    let digits = text.strip_prefix("0x").ok_or("a quantity does not begin with 0x")?;
    let is_plain = digits == "0" || (!digits.starts_with('0') && !digits.is_empty() && digits.len() <= 64);
    if !is_plain {
        return Err("a quantity is 0x0, or 0x and at most 64 digits without leading zeros".to_owned());
    }
    let mut number = U256::ZERO;
    for byte in digits.bytes() {
        let digit = digit(byte).ok_or("a character that is no hex digit")?;
        number = number << 4 | U256::from(digit);
    }
    Ok(number)
}

/// A `QUANTITY` of 64 bits.
pub(crate) fn number(value: &Value) -> Read<u64> {
    u64::try_from(big_number(value)?).map_err(|_| "a quantity beyond 64 bits".to_owned())
}

/// `true` or `false`.
fn boolean(value: &Value) -> Read<bool> {
    value
        .as_bool()
        .ok_or_else(|| format!("expected a boolean, found {}", kind(value)))
}

/// An object of these fields.
fn object(fields: Vec<(&str, Value)>) -> Map<String, Value> {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// `ExecutionPayloadV1` to `V3`, by the fork.
pub(crate) fn payload(fork: Fork, payload: &ExecutionPayload) -> Value {
    let transactions = payload
        .transactions
        .iter()
        .map(|transaction| data(&transaction.0))
        .collect();
    let mut fields = object(vec![
        ("parentHash", data(&payload.parent_hash.0)),
        ("feeRecipient", data(&payload.fee_recipient.0)),
        ("stateRoot", data(&payload.state_root.0)),
        ("receiptsRoot", data(&payload.receipts_root.0)),
        ("logsBloom", data(&payload.logs_bloom.0)),
        ("prevRandao", data(&payload.prev_randao.0)),
        ("blockNumber", quantity(payload.block_number)),
        ("gasLimit", quantity(payload.gas_limit)),
        ("gasUsed", quantity(payload.gas_used)),
        ("timestamp", quantity(payload.timestamp)),
        ("extraData", data(&payload.extra_data.0)),
        ("baseFeePerGas", big_quantity(&payload.base_fee_per_gas)),
        ("blockHash", data(&payload.block_hash.0)),
        ("transactions", Value::Array(transactions)),
    ]);
    if fork >= Fork::Capella {
        fields.insert(
            "withdrawals".into(),
            payload.withdrawals.iter().map(withdrawal).collect(),
        );
    }
    if fork >= Fork::Deneb {
        fields.insert("blobGasUsed".into(), quantity(payload.blob_gas_used));
        fields.insert("excessBlobGas".into(), quantity(payload.excess_blob_gas));
    }
    Value::Object(fields)
}

/// Reads `ExecutionPayloadV1` to `V3`, by the fork. A field of a later fork is refused: it would get lost here and its
/// block hash be wrong.
pub(crate) fn read_payload(fork: Fork, value: &Value) -> Read<ExecutionPayload> {
    let mut payload = ExecutionPayload {
        parent_hash: get(value, "parentHash", fixed)?,
        fee_recipient: get(value, "feeRecipient", fixed)?,
        state_root: get(value, "stateRoot", fixed)?,
        receipts_root: get(value, "receiptsRoot", fixed)?,
        logs_bloom: get(value, "logsBloom", fixed)?,
        prev_randao: get(value, "prevRandao", fixed)?,
        block_number: get(value, "blockNumber", number)?,
        gas_limit: get(value, "gasLimit", number)?,
        gas_used: get(value, "gasUsed", number)?,
        timestamp: get(value, "timestamp", number)?,
        extra_data: ByteList(get(value, "extraData", |value| bytes(value, MAX_EXTRA_DATA_BYTES))?),
        base_fee_per_gas: get(value, "baseFeePerGas", big_number)?,
        block_hash: get(value, "blockHash", fixed)?,
        transactions: get(value, "transactions", |value| {
            list(value, MAX_TRANSACTIONS_PER_PAYLOAD, transaction)
        })?,
        ..ExecutionPayload::default()
    };
    if fork >= Fork::Capella {
        payload.withdrawals = get(value, "withdrawals", read_withdrawals)?;
    } else {
        absent(value, fork, "withdrawals")?;
    }
    if fork >= Fork::Deneb {
        payload.blob_gas_used = get(value, "blobGasUsed", number)?;
        payload.excess_blob_gas = get(value, "excessBlobGas", number)?;
    } else {
        absent(value, fork, "blobGasUsed")?;
        absent(value, fork, "excessBlobGas")?;
    }
    absent(value, fork, "blockAccessList")?;
    Ok(payload)
}

fn transaction(value: &Value) -> Read<ByteList> {
    bytes(value, MAX_BYTES_PER_TRANSACTION).map(ByteList)
}

/// A field that the structure of `fork` does not have is not there, or `null`.
fn absent(value: &Value, fork: Fork, name: &str) -> Read<()> {
    match field(value, name) {
        Err(_) => Ok(()),
        Ok(_) => Err(format!("{name} is there, which payloads of {fork} do not have")),
    }
}

/// `WithdrawalV1`.
fn withdrawal(withdrawal: &Withdrawal) -> Value {
    json!({
        "index": quantity(withdrawal.index),
        "validatorIndex": quantity(withdrawal.validator_index),
        "address": data(&withdrawal.address.0),
        "amount": quantity(withdrawal.amount),
    })
}

fn read_withdrawals(value: &Value) -> Read<Vec<Withdrawal>> {
    list(value, MAX_WITHDRAWALS_PER_PAYLOAD, |value| {
        Ok(Withdrawal {
            index: get(value, "index", number)?,
            validator_index: get(value, "validatorIndex", number)?,
            address: get(value, "address", fixed)?,
            amount: get(value, "amount", number)?,
        })
    })
}

/// `ForkchoiceStateV1`.
pub(crate) fn forkchoice(state: &ForkchoiceState) -> Value {
    json!({
        "headBlockHash": data(&state.head_block_hash.0),
        "safeBlockHash": data(&state.safe_block_hash.0),
        "finalizedBlockHash": data(&state.finalized_block_hash.0),
    })
}

/// Reads `ForkchoiceStateV1`.
pub(crate) fn read_forkchoice(value: &Value) -> Read<ForkchoiceState> {
    Ok(ForkchoiceState {
        head_block_hash: get(value, "headBlockHash", fixed)?,
        safe_block_hash: get(value, "safeBlockHash", fixed)?,
        finalized_block_hash: get(value, "finalizedBlockHash", fixed)?,
    })
}

/// `PayloadAttributesV1` to `V3`, by what is there.
pub(crate) fn attributes(attributes: &PayloadAttributes) -> Value {
    let mut fields = object(vec![
        ("timestamp", quantity(attributes.timestamp)),
        ("prevRandao", data(&attributes.prev_randao.0)),
        ("suggestedFeeRecipient", data(&attributes.suggested_fee_recipient.0)),
    ]);
    if let Some(withdrawals) = &attributes.withdrawals {
        fields.insert("withdrawals".into(), withdrawals.iter().map(withdrawal).collect());
    }
    if let Some(root) = &attributes.parent_beacon_block_root {
        fields.insert("parentBeaconBlockRoot".into(), data(&root.0));
    }
    Value::Object(fields)
}

/// Reads `PayloadAttributesV1` to `V3`, by what is there.
pub(crate) fn read_attributes(value: &Value) -> Read<PayloadAttributes> {
    let is_there = |name| field(value, name).is_ok();
    Ok(PayloadAttributes {
        timestamp: get(value, "timestamp", number)?,
        prev_randao: get(value, "prevRandao", fixed)?,
        suggested_fee_recipient: get(value, "suggestedFeeRecipient", fixed)?,
        withdrawals: is_there("withdrawals")
            .then(|| get(value, "withdrawals", read_withdrawals))
            .transpose()?,
        parent_beacon_block_root: is_there("parentBeaconBlockRoot")
            .then(|| get(value, "parentBeaconBlockRoot", fixed))
            .transpose()?,
    })
}

/// Each status with its name.
const STATUSES: [(Status, &str); 5] = [
    (Status::Valid, "VALID"),
    (Status::Invalid, "INVALID"),
    (Status::Syncing, "SYNCING"),
    (Status::Accepted, "ACCEPTED"),
    (Status::InvalidBlockHash, "INVALID_BLOCK_HASH"),
];

/// `PayloadStatusV1`.
pub(crate) fn status(status: &PayloadStatus) -> Value {
    let name = STATUSES
        .iter()
        .find(|(known, _)| *known == status.status)
        .map(|(_, name)| *name);
    json!({
        "status": name,
        "latestValidHash": status.latest_valid_hash.map(|hash| data(&hash.0)),
        "validationError": status.validation_error,
    })
}

/// Characters of an engine's words that are kept: enough to tell what is wrong, too few to fill a log.
const MAX_WORDS: usize = 500;

/// An engine's words for logs and errors: on one line and not too long.
pub(crate) fn words(text: &str) -> String {
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().take(MAX_WORDS).map(plain).collect()
}

/// Reads `PayloadStatusV1`.
pub(crate) fn read_status(value: &Value) -> Read<PayloadStatus> {
    let name = get(value, "status", |value| text(value).map(str::to_owned))?;
    let known = STATUSES.iter().find(|(_, known)| *known == name);
    let hash = field(value, "latestValidHash").ok();
    Ok(PayloadStatus {
        status: known.ok_or_else(|| format!("status: '{}' is none", words(&name)))?.0,
        latest_valid_hash: hash
            .map(fixed)
            .transpose()
            .map_err(|error| format!("latestValidHash: {error}"))?,
        validation_error: value.get("validationError").and_then(Value::as_str).map(words),
    })
}

/// The answer to `engine_forkchoiceUpdated`.
pub(crate) fn updated(payload_status: &PayloadStatus, id: Option<PayloadId>) -> Value {
    json!({
        "payloadStatus": status(payload_status),
        "payloadId": id.map(|id| data(&id.0)),
    })
}

/// Reads the answer to `engine_forkchoiceUpdated`.
pub(crate) fn read_updated(value: &Value) -> Read<(PayloadStatus, Option<PayloadId>)> {
    let status = get(value, "payloadStatus", read_status)?;
    let id = field(value, "payloadId").ok().map(fixed).transpose();
    Ok((status, id.map_err(|error| format!("payloadId: {error}"))?))
}

/// `BlobsBundleV1` or `V2`, which differ in the number of proofs.
pub(crate) fn bundle(bundle: &BlobsBundle) -> Value {
    json!({
        "commitments": bundle.commitments.iter().map(|commitment| data(&commitment.0)).collect::<Vec<_>>(),
        "proofs": bundle.proofs.iter().map(|proof| data(&proof.0)).collect::<Vec<_>>(),
        "blobs": bundle.blobs.iter().map(|blob| data(&blob.0)).collect::<Vec<_>>(),
    })
}

/// Proofs of a blob at `fork`: one, or one per cell.
fn proofs_per_blob(fork: Fork) -> u64 {
    if fork >= Fork::Fulu { CELLS_PER_EXT_BLOB } else { 1 }
}

/// Reads `BlobsBundleV1`, or from Fulu on `V2`. The numbers of commitments, blobs and proofs fit together.
pub(crate) fn read_bundle(fork: Fork, value: &Value) -> Read<BlobsBundle> {
    let limit = MAX_BLOB_COMMITMENTS_PER_BLOCK;
    let per_blob = proofs_per_blob(fork);
    let bundle = BlobsBundle {
        commitments: get(value, "commitments", |value| list(value, limit, fixed))?,
        proofs: get(value, "proofs", |value| list(value, limit * per_blob, fixed))?,
        blobs: get(value, "blobs", |value| list(value, limit, read_blob))?,
    };
    let (commitments, proofs, blobs) = (bundle.commitments.len(), bundle.proofs.len(), bundle.blobs.len());
    if commitments != blobs || proofs as u64 != blobs as u64 * per_blob {
        return Err(format!(
            "{blobs} blobs with {commitments} commitments and {proofs} proofs; at {fork} a blob has one commitment and \
             {per_blob} proofs"
        ));
    }
    Ok(bundle)
}

fn read_blob(value: &Value) -> Read<ByteVector> {
    let blob = bytes(value, BYTES_PER_BLOB)?;
    if blob.len() as u64 != BYTES_PER_BLOB {
        return Err(format!("a blob of {} bytes, expected {BYTES_PER_BLOB}", blob.len()));
    }
    Ok(ByteVector(blob))
}

/// `BlobAndProofV1`, or from Fulu on `BlobAndProofV2`.
pub(crate) fn blob_and_proofs(fork: Fork, blob: &BlobAndProofs) -> Value {
    let proofs: Vec<Value> = blob.proofs.iter().map(|proof| data(&proof.0)).collect();
    let name = if fork >= Fork::Fulu { "proofs" } else { "proof" };
    let proofs = match proofs.as_slice() {
        [proof] if fork < Fork::Fulu => proof.clone(),
        _ => Value::Array(proofs),
    };
    json!({ "blob": data(&blob.blob.0), name: proofs })
}

/// Reads the answer to `engine_getBlobsV1`, or from Fulu on `V2`: one place for each of `count` hashes.
pub(crate) fn read_blobs(fork: Fork, value: &Value, count: usize) -> Read<Vec<Option<BlobAndProofs>>> {
    if value.is_null() {
        return Ok(vec![None; count]);
    }
    let read = |value: &Value| {
        if value.is_null() {
            return Ok(None);
        }
        let proofs = if fork >= Fork::Fulu {
            get(value, "proofs", |value| list(value, CELLS_PER_EXT_BLOB, fixed))?
        } else {
            vec![get(value, "proof", fixed)?]
        };
        if proofs.len() as u64 != proofs_per_blob(fork) {
            return Err(format!("{} proofs, expected {}", proofs.len(), proofs_per_blob(fork)));
        }
        let blob = get(value, "blob", read_blob)?;
        Ok(Some(BlobAndProofs { blob, proofs }))
    };
    let found = list(value, count as u64, read)?;
    if found.len() != count {
        return Err(format!("{} blobs for {count} hashes", found.len()));
    }
    Ok(found)
}

/// `executionRequests`.
pub(crate) fn requests(list: &[Vec<u8>]) -> Value {
    list.iter().map(|request| data(request)).collect()
}

/// Bytes of all requests of one kind, at most: 8,192 deposits of 192 bytes are the most.
const MAX_REQUEST_BYTES: u64 = 1 + 8192 * 192;

/// Reads `executionRequests`: rising types, none empty, each within the beacon chain's limits.
///
/// Spec: electra/validator.md, `get_execution_requests`; prague.md.
pub(crate) fn read_requests(fork: Fork, value: &Value) -> Read<ExecutionRequests> {
    let mut requests = ExecutionRequests::default();
    let mut last: Option<u8> = None;
    // More kinds than there are types are never looked at.
    for encoded in list(value, 256, |value| bytes(value, MAX_REQUEST_BYTES))? {
        let Some((&kind, ssz)) = encoded.split_first().filter(|(_, ssz)| !ssz.is_empty()) else {
            return Err("a kind of requests without any".to_owned());
        };
        if last.is_some_and(|last| last >= kind) {
            return Err(format!(
                "requests of type {kind} after others of type {}",
                last.unwrap_or_default()
            ));
        }
        last = Some(kind);
        match kind {
            DEPOSIT_REQUEST_TYPE => requests.deposits = decode(fork, ssz, MAX_DEPOSIT_REQUESTS_PER_PAYLOAD)?,
            WITHDRAWAL_REQUEST_TYPE => requests.withdrawals = decode(fork, ssz, MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD)?,
            CONSOLIDATION_REQUEST_TYPE => {
                requests.consolidations = decode(fork, ssz, MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD)?;
            }
            _ => return Err(format!("requests of type {kind}, which {fork} does not have")),
        }
    }
    Ok(requests)
}

fn decode<T>(fork: Fork, ssz: &[u8], limit: u64) -> Read<List<T>>
where
    List<T>: Ssz,
{
    List::decode_from(ssz, fork, &[Bound::Fixed(limit)]).map_err(|error| error.to_string())
}

/// `ClientVersionV1`.
pub(crate) fn version(version: &ClientVersion) -> Value {
    json!({
        "code": version.code,
        "name": version.name,
        "version": version.version,
        "commit": version.commit,
    })
}

/// Reads an array of `ClientVersionV1`. Clients behind one multiplexer are few.
pub(crate) fn read_versions(value: &Value) -> Read<Vec<ClientVersion>> {
    let string = |value: &Value| text(value).map(words);
    list(value, 16, |value| {
        Ok(ClientVersion {
            code: get(value, "code", string)?,
            name: get(value, "name", string)?,
            version: get(value, "version", string)?,
            commit: get(value, "commit", string)?,
        })
    })
}

/// Whether the engine asks to take its payload.
pub(crate) fn read_override(value: &Value) -> Read<bool> {
    get(value, "shouldOverrideBuilder", boolean)
}

#[cfg(test)]
mod tests;
