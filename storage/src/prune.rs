//! Dropping what has left the window that the node serves.
//!
//! Nothing is rewritten for it: a mark in the database says below which slot everything counts as gone, and whole files
//! that lie below it are deleted. What stays behind is less than a file, and goes with a later call. Blocks off the
//! canonical chain go the same way; deleting them one by one at finality would cost more writing than they take up.

use crate::db::Storage;
use crate::error::Result;
use crate::schema::{self, Family, Name};
use consensus::types::Slot;
use std::sync::atomic::Ordering;

/// Slots that one batch of pruning covers: bounds its size after a long time without pruning.
const SLOTS_AT_ONCE: u64 = 4096;

impl Storage {
    /// Drops all blocks below `slot`, with their roots and places in the chain. Reads them in passing, so it is cheap when
    /// called every epoch and takes a while after a long pause.
    pub fn prune_blocks(&self, slot: Slot) -> Result<()> {
        if slot <= self.pruned_blocks_below() {
            return Ok(());
        }
        // From block to block: the first call must not count up from genesis.
        while let Some(first) = self.blocks_in(0..slot).next() {
            let below = first?.slot.saturating_add(SLOTS_AT_ONCE);
            self.forget_blocks(slot.min(below))?;
        }
        self.forget_blocks(slot)?;
        self.drop_files(Family::Blocks, slot)?;
        self.drop_files(Family::Envelopes, slot)
    }

    /// Takes roots and places of the blocks below this slot away, and moves the mark.
    fn forget_blocks(&self, below: Slot) -> Result<()> {
        let mut batch = self.batch();
        for block in self.blocks_in(0..below) {
            batch.delete(Family::Default, &schema::root_key(&block?.root));
        }
        for canonical in self.canonical_in(0..below) {
            batch.delete(Family::Default, &schema::canonical_key(canonical?.0));
        }
        batch.put(Family::Default, Name::PrunedBlocks.key(), &below.to_le_bytes());
        batch.commit()?;
        self.inner.pruned_blocks.fetch_max(below, Ordering::Relaxed);
        Ok(())
    }

    /// Drops all sidecars below `slot`.
    pub fn prune_sidecars(&self, slot: Slot) -> Result<()> {
        if slot <= self.pruned_columns_below() {
            return Ok(());
        }
        let mut batch = self.batch();
        batch.put(Family::Default, Name::PrunedColumns.key(), &slot.to_le_bytes());
        batch.commit()?;
        self.inner.pruned_columns.fetch_max(slot, Ordering::Relaxed);
        self.drop_files(Family::Columns, slot)
    }

    fn drop_files(&self, family: Family, slot: Slot) -> Result<()> {
        let (from, to) = (0u64.to_be_bytes(), slot.to_be_bytes());
        Ok(self.inner.db.delete_file_in_range_cf(self.family(family), from, to)?)
    }
}
