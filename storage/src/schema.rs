//! Every key on disk and its bytes, in one table.
//!
//! | family | key | value |
//! | --- | --- | --- |
//! | `default` | `m` name | a fact about the chain or this database (`Name`); see `meta` for each one's bytes |
//! | `default` | `x` name | a small value of the node's own |
//! | `default` | `r` block root | slot |
//! | `default` | `c` slot | root of the finalized chain's block at this slot; none where it has none |
//! | `default` | `s` level, slot, block root | slot and block root of the state that this one counts from |
//! | `blocks` | slot, block root | fork, SSZ of the signed block |
//! | `envelopes` | slot, block root | fork, SSZ of the signed payload envelope (from Gloas on; nothing is in it yet) |
//! | `columns` | slot, block root, kind, index | fork, SSZ of the blob or column sidecar |
//! | `states` | level, slot, block root | a difference of states; see `states` |
//!
//! Slots are 8 bytes big-endian, so that keys sort by them; roots 32 bytes; fork, kind and level one byte; a sidecar's
//! index 2 bytes big-endian. Integers in values are little-endian, as in SSZ, except the slot under `r`, which is part of
//! a key elsewhere. A change to any of this is a new `VERSION`.
//!
//! Beside the database lie `anchors/` (see `anchors`), `saved/` (see `files`) and `lock`.

use crate::columns::Sidecar;
use crate::error::{Result, damaged};
use consensus::Fork;
use consensus::ssz::Bytes;
use consensus::types::{Root, Slot};

/// The version of all that this table says. A database of another one is refused.
pub const VERSION: u32 = 1;

/// The families of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the table above tells each
pub enum Family {
    Default,
    Blocks,
    Envelopes,
    Columns,
    States,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 5] = [
        Family::Default,
        Family::Blocks,
        Family::Envelopes,
        Family::Columns,
        Family::States,
    ];

    /// The name that RocksDB knows it by.
    pub fn name(self) -> &'static str {
        ["default", "blocks", "envelopes", "columns", "states"][self as usize]
    }
}

/// Facts under `m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Whose database this is: written once, checked at every open.
    Identity,
    /// The name of the network.
    Network,
    /// The root of the genesis state.
    GenesisStateRoot,
    /// Slot and root of the head.
    Head,
    /// The justified checkpoint.
    Justified,
    /// The finalized checkpoint.
    Finalized,
    /// The oldest slot from which on blocks are whole: where backfill goes on.
    OldestBlock,
    /// The same for columns.
    OldestColumn,
    /// Blocks below this slot have been pruned; what is left of them counts as gone.
    PrunedBlocks,
    /// The same for sidecars.
    PrunedColumns,
    /// There after a clean stop, gone once the node runs again.
    CleanStop,
}

impl Name {
    /// The key.
    pub fn key(self) -> &'static [u8] {
        match self {
            Name::Identity => b"midentity",
            Name::Network => b"mnetwork",
            Name::GenesisStateRoot => b"mgenesis_state_root",
            Name::Head => b"mhead",
            Name::Justified => b"mjustified",
            Name::Finalized => b"mfinalized",
            Name::OldestBlock => b"moldest_block",
            Name::OldestColumn => b"moldest_column",
            Name::PrunedBlocks => b"mpruned_blocks",
            Name::PrunedColumns => b"mpruned_columns",
            Name::CleanStop => b"mclean_stop",
        }
    }
}

/// Key of a value of the node's own.
pub fn value_key(name: &str) -> Vec<u8> {
    [b"x", name.as_bytes()].concat()
}

/// Key under which a block's slot is found.
pub fn root_key(root: &Root) -> [u8; 33] {
    let mut key = [b'r'; 33];
    key[1..].copy_from_slice(&root.0);
    key
}

/// Key of the finalized chain's block at `slot`.
pub fn canonical_key(slot: Slot) -> [u8; 9] {
    let mut key = [b'c'; 9];
    key[1..].copy_from_slice(&slot.to_be_bytes());
    key
}

/// The slot in a `canonical_key`.
pub fn split_canonical_key(key: &[u8]) -> Result<Slot> {
    match key.split_first() {
        Some((b'c', slot)) => read_slot(slot),
        _ => Err(bad_key("finalized block", key)),
    }
}

/// Key of a block or envelope.
pub fn block_key(slot: Slot, root: &Root) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&slot.to_be_bytes());
    key[8..].copy_from_slice(&root.0);
    key
}

/// Slot and root in a `block_key`.
pub fn split_block_key(key: &[u8]) -> Result<(Slot, Root)> {
    match (key.first_chunk(), key.get(8..).and_then(|root| root.try_into().ok())) {
        (Some(slot), Some(root)) => Ok((u64::from_be_bytes(*slot), Bytes(root))),
        _ => Err(bad_key("block", key)),
    }
}

/// Key of a sidecar.
pub fn sidecar_key(slot: Slot, root: &Root, kind: Sidecar, index: u16) -> [u8; 43] {
    let mut key = [0; 43];
    key[..40].copy_from_slice(&block_key(slot, root));
    key[40] = kind as u8;
    key[41..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Slot, root, kind and index in a `sidecar_key`.
pub fn split_sidecar_key(key: &[u8]) -> Result<(Slot, Root, Sidecar, u16)> {
    let bad = || bad_key("sidecar", key);
    let (block, rest) = key.split_at_checked(40).ok_or_else(bad)?;
    let (slot, root) = split_block_key(block)?;
    match *rest {
        [kind, high, low] => {
            let kind = Sidecar::ALL.get(kind as usize).ok_or_else(bad)?;
            Ok((slot, root, *kind, u16::from_be_bytes([high, low])))
        }
        _ => Err(bad()),
    }
}

/// Key of a difference of states.
pub fn state_key(level: u8, slot: Slot, block_root: &Root) -> [u8; 41] {
    let mut key = [level; 41];
    key[1..].copy_from_slice(&block_key(slot, block_root));
    key
}

/// Key under which a difference of states is listed. The differences themselves are large: to learn which there are, none
/// is read.
pub fn state_entry_key(level: u8, slot: Slot, block_root: &Root) -> [u8; 42] {
    let mut key = [b's'; 42];
    key[1..].copy_from_slice(&state_key(level, slot, block_root));
    key
}

/// Level, slot and block root in a `state_entry_key`.
pub fn split_state_entry_key(key: &[u8]) -> Result<(u8, Slot, Root)> {
    match key {
        [b's', level, block @ ..] => {
            let (slot, root) = split_block_key(block)?;
            Ok((*level, slot, root))
        }
        _ => Err(bad_key("state", key)),
    }
}

/// Puts the fork before an object's SSZ.
pub fn with_fork(fork: Fork, ssz: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + ssz.len());
    value.push(fork as u8);
    value.extend_from_slice(ssz);
    value
}

/// The fork before an object's SSZ, and the SSZ.
pub fn split_fork(value: &[u8]) -> Result<(Fork, &[u8])> {
    let (fork, ssz) = value
        .split_first()
        .ok_or_else(|| damaged("an object is empty where its fork should stand"))?;
    Ok((read_fork(*fork)?, ssz))
}

/// A fork from its byte.
pub fn read_fork(byte: u8) -> Result<Fork> {
    let fork = Fork::ALL.get(byte as usize).copied();
    fork.ok_or_else(|| {
        damaged(format!(
            "fork number {byte}, where at most {} is known",
            Fork::ALL.len() - 1
        ))
    })
}

/// A slot as it stands in keys.
pub fn read_slot(bytes: &[u8]) -> Result<Slot> {
    let bytes = bytes.try_into().map_err(|_| bad_key("slot", bytes))?;
    Ok(u64::from_be_bytes(bytes))
}

/// A root.
pub fn read_root(bytes: &[u8]) -> Result<Root> {
    bytes.try_into().map(Bytes).map_err(|_| bad_key("root", bytes))
}

fn bad_key(what: &str, key: &[u8]) -> crate::Error {
    damaged(format!(
        "{} bytes where a {what} should stand: {:02x?}",
        key.len(),
        &key[..key.len().min(64)]
    ))
}
