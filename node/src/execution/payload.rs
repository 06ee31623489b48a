//! What this node checks of a payload itself, before any engine is asked: its block hash and its blobs' hashes.
//!
//! A syncing engine may answer before it has checked anything, and the beacon chain has no other sight of the block hash:
//! a wrong one would be imported on trust. The spec gives both checks to the engine; here they cost a few milliseconds.
//!
//! Spec: bellatrix/beacon-chain.md, `verify_and_notify_new_payload`; deneb/ and electra/beacon-chain.md,
//! `is_valid_block_hash`, `is_valid_versioned_hashes`.

use super::header::BlockHeader;
use super::transaction::blob_hashes;
use consensus::transition::NewPayloadRequest;
use consensus::types::VersionedHash;
use consensus::{Fork, Invalid, ensure};

/// Checks what can be checked of a payload without executing it: no empty transaction, the block hash, and from Deneb on
/// that the blobs of its transactions are those that the block commits to.
///
/// Spec: electra/beacon-chain.md, `verify_and_notify_new_payload`. A payload that fails is invalid, whatever an engine
/// says.
pub fn check_payload(request: &NewPayloadRequest) -> Result<(), Invalid> {
    ensure!(
        !request.has_empty_transaction(),
        "empty transaction",
        "a transaction of payload {} has no bytes",
        request.execution_payload.block_hash
    );
    is_valid_block_hash(request)?;
    is_valid_versioned_hashes(request)
}

/// Spec: electra/beacon-chain.md, `is_valid_block_hash`.
fn is_valid_block_hash(request: &NewPayloadRequest) -> Result<(), Invalid> {
    let (computed, stated) = (
        BlockHeader::of_request(request).hash(),
        request.execution_payload.block_hash,
    );
    ensure!(
        computed == stated,
        "block hash",
        "computed {computed} from the payload's fields, in payload {stated}"
    );
    Ok(())
}

/// Spec: deneb/beacon-chain.md, `is_valid_versioned_hashes`.
fn is_valid_versioned_hashes(request: &NewPayloadRequest) -> Result<(), Invalid> {
    if request.fork < Fork::Deneb {
        return Ok(());
    }
    let mut carried: Vec<VersionedHash> = Vec::new();
    for (place, transaction) in request.execution_payload.transactions.iter().enumerate() {
        blob_hashes(&transaction.0, &mut carried)
            .map_err(|why| Invalid::new("blob transaction", format!("transaction {place}: {why}")))?;
    }
    let committed = &request.versioned_hashes;
    ensure!(
        carried.len() == committed.len(),
        "versioned hashes",
        "{} blobs in the transactions, {} commitments in the block",
        carried.len(),
        committed.len()
    );
    let differing = carried
        .iter()
        .zip(committed)
        .position(|(carried, committed)| carried != committed);
    match differing {
        Some(place) => Err(Invalid::new(
            "versioned hashes",
            format!(
                "blob {place} is {} in the transactions, {} by its commitment",
                carried[place], committed[place]
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
