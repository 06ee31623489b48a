//! The one kind of transaction that the beacon chain looks into: those that carry blobs.
//!
//! Spec: EIP-4844, "Blob transaction".

use alloy_rlp::Header;
use consensus::types::VersionedHash;

/// The type byte of a blob transaction.
pub(crate) const BLOB_TX_TYPE: u8 = 3;
/// Fields of a blob transaction: ten before the versioned hashes, three of the signature after them.
const FIELDS_BEFORE_HASHES: usize = 10;
const FIELDS_AFTER_HASHES: usize = 3;

/// Appends the versioned hashes of a transaction's blobs, if it has any. Errors say what in a blob transaction is
/// malformed; other kinds are not looked into.
pub(crate) fn blob_hashes(transaction: &[u8], hashes: &mut Vec<VersionedHash>) -> Result<(), String> {
    let Some((&BLOB_TX_TYPE, mut body)) = transaction.split_first() else {
        return Ok(());
    };
    let mut fields = items(&mut body, true).map_err(|error| format!("its fields are no RLP list: {error}"))?;
    if !body.is_empty() {
        return Err(format!("{} bytes follow its fields", body.len()));
    }
    for place in 0..FIELDS_BEFORE_HASHES {
        skip(&mut fields).map_err(|error| format!("field {place}: {error}"))?;
    }
    let mut list = items(&mut fields, true).map_err(|error| format!("its versioned hashes: {error}"))?;
    while !list.is_empty() {
        let hash = items(&mut list, false).map_err(|error| format!("a versioned hash: {error}"))?;
        let hash: [u8; 32] = hash
            .try_into()
            .map_err(|_| format!("a versioned hash has {} bytes, not 32", hash.len()))?;
        hashes.push(VersionedHash::from(hash));
    }
    for place in 0..FIELDS_AFTER_HASHES {
        skip(&mut fields).map_err(|error| format!("field {place} of its signature: {error}"))?;
    }
    if fields.is_empty() {
        Ok(())
    } else {
        Err("it has more fields than a blob transaction".to_owned())
    }
}

/// Takes one item, which must be a list or must be a string, from the front and returns what is in it.
fn items<'a>(from: &mut &'a [u8], list: bool) -> Result<&'a [u8], alloy_rlp::Error> {
    Header::decode_bytes(from, list)
}

/// Takes one item of either kind from the front.
fn skip(from: &mut &[u8]) -> Result<(), alloy_rlp::Error> {
    let header = Header::decode(from)?;
    *from = from
        .get(header.payload_length..)
        .ok_or(alloy_rlp::Error::InputTooShort)?;
    Ok(())
}
