//! Blob and column sidecars: the bulk of what a node writes.
//!
//! Written past the log, since peers have them too: the log would double what is the largest part of all writing. After a
//! crash what was not yet flushed is missing, and the node fetches it again; `sidecar_indices` says what is there. One call
//! for all sidecars of a block keeps each write buffer's slots apart from the next one's, so that files are only moved.

use crate::db::Storage;
use crate::error::{Error, Result};
use crate::schema::{self, Family};
use consensus::Fork;
use consensus::types::{Root, Slot};
use rocksdb::WriteBatch;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Which sidecars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sidecar {
    /// `BlobSidecar`, in Deneb and Electra.
    Blob,
    /// `DataColumnSidecar`, from Fulu on.
    Column,
}

impl Sidecar {
    /// All kinds, in the order of their bytes.
    pub const ALL: [Sidecar; 2] = [Sidecar::Blob, Sidecar::Column];
}

/// A sidecar as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSidecar {
    /// Slot of its block.
    pub slot: Slot,
    /// Root of its block.
    pub root: Root,
    /// Which kind.
    pub kind: Sidecar,
    /// Index of the blob or column.
    pub index: u64,
    /// The fork of its slot.
    pub fork: Fork,
    /// Its SSZ.
    pub ssz: Vec<u8>,
}

impl Storage {
    /// Stores sidecars of one block or of several; all of a block at once where possible. Lost by a crash soon after;
    /// refused with `DiskLow` where room is short.
    pub fn put_sidecars(&self, sidecars: &[StoredSidecar]) -> Result<()> {
        self.want_room()?;
        let mut writes = WriteBatch::default();
        for sidecar in sidecars {
            writes.put_cf(
                self.family(Family::Columns),
                key(sidecar)?,
                schema::with_fork(sidecar.fork, &sidecar.ssz),
            );
        }
        self.write_unlogged(writes)
    }

    /// Stores backfilled sidecars, which lie far below the head: as a file of their own, on disk when it returns (see
    /// `blocks` for why). Refused with `DiskLow` where room is short.
    pub fn put_old_sidecars(&self, sidecars: &[StoredSidecar]) -> Result<()> {
        self.want_room()?;
        let item =
            |sidecar: &StoredSidecar| Ok((key(sidecar)?.to_vec(), schema::with_fork(sidecar.fork, &sidecar.ssz)));
        let items: Result<Vec<_>> = sidecars.iter().map(item).collect();
        match items? {
            items if items.is_empty() => Ok(()),
            items => self.ingest(Family::Columns, items),
        }
    }

    /// One sidecar of the block at `slot` with this root: its fork and SSZ.
    pub fn sidecar(&self, slot: Slot, root: &Root, kind: Sidecar, index: u64) -> Result<Option<(Fork, Vec<u8>)>> {
        let Ok(index) = u16::try_from(index) else {
            return Ok(None);
        };
        if slot < self.pruned_columns_below() {
            return Ok(None);
        }
        let Some(value) = self.get(Family::Columns, &schema::sidecar_key(slot, root, kind, index))? else {
            return Ok(None);
        };
        let (fork, ssz) = schema::split_fork(&value)?;
        Ok(Some((fork, ssz.to_vec())))
    }

    /// Which sidecars of a block are there, ascending.
    pub fn sidecar_indices(&self, slot: Slot, root: &Root, kind: Sidecar) -> Result<Vec<u64>> {
        if slot < self.pruned_columns_below() {
            return Ok(Vec::new());
        }
        let from = schema::sidecar_key(slot, root, kind, 0);
        let last = schema::sidecar_key(slot, root, kind, u16::MAX);
        let items = self.range(Family::Columns, &from, &last);
        items
            .map(|item| Ok(u64::from(schema::split_sidecar_key(&item?.0)?.3)))
            .collect()
    }

    /// All sidecars of one kind in these slots, in order of slot, those off the canonical chain included. Reads as it
    /// goes.
    pub fn sidecars_in(
        &self,
        kind: Sidecar,
        slots: Range<Slot>,
    ) -> impl Iterator<Item = Result<StoredSidecar>> + use<'_> {
        let from = slots.start.max(self.pruned_columns_below());
        let items = self.range(Family::Columns, &from.to_be_bytes(), &slots.end.to_be_bytes());
        let sidecars = items.map(|item| {
            let (key, value) = item?;
            let (slot, root, kind, index) = schema::split_sidecar_key(&key)?;
            let (fork, ssz) = schema::split_fork(&value)?;
            let (index, ssz) = (u64::from(index), ssz.to_vec());
            Ok(StoredSidecar {
                slot,
                root,
                kind,
                index,
                fork,
                ssz,
            })
        });
        sidecars.filter(move |item: &Result<StoredSidecar>| item.as_ref().map_or(true, |found| found.kind == kind))
    }

    /// Sidecars below this slot have been pruned.
    pub fn pruned_columns_below(&self) -> Slot {
        self.inner.pruned_columns.load(Ordering::Relaxed)
    }
}

/// The key; `u16::MAX` is left free for the end of a range.
fn key(sidecar: &StoredSidecar) -> Result<[u8; 43]> {
    match u16::try_from(sidecar.index) {
        Ok(index) if index < u16::MAX => Ok(schema::sidecar_key(sidecar.slot, &sidecar.root, sidecar.kind, index)),
        _ => Err(Error::Misuse(format!(
            "sidecar index {}, at most {}",
            sidecar.index,
            u16::MAX - 1
        ))),
    }
}
