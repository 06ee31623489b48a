//! Blocks: by root, by slot, and along the finalized chain.
//!
//! The chain's own blocks come one by one with rising slots, in the batch that moves the head. Backfilled ones come in
//! runs with falling slots; through the same buffer they would make files that span all slots between the two ends, and
//! each would be rewritten with everything in between. They go into sorted files of their own instead, which RocksDB
//! takes over as they are, and are linked in by the batch after that.
//!
//! Which block is canonical is the fork choice's to say. Only the finalized chain is written down, slot by slot, as
//! finality moves on; above it one walks from the head by parents.

use crate::db::{Batch, Storage};
use crate::error::{Error, Result, damaged, io_error};
use crate::schema::{self, Family};
use consensus::Fork;
use consensus::ssz::Ssz;
use consensus::types::{Root, SignedBeaconBlock, Slot};
use rocksdb::{IngestExternalFileOptions, SstFileWriter};
use std::fs;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A block as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its slot.
    pub slot: Slot,
    /// Its root.
    pub root: Root,
    /// The fork of its slot.
    pub fork: Fork,
    /// SSZ of the `SignedBeaconBlock`.
    pub ssz: Vec<u8>,
}

impl StoredBlock {
    /// The block.
    pub fn decode(&self) -> Result<SignedBeaconBlock> {
        SignedBeaconBlock::decode(&self.ssz, self.fork)
            .map_err(|error| damaged(format!("block {} at slot {}: {error}", self.root, self.slot)))
    }
}

impl Batch {
    /// Adds a block of the head's neighbourhood. `root` is the root of its message, `fork` the fork of its slot.
    pub fn put_block(&mut self, root: &Root, fork: Fork, block: &SignedBeaconBlock) {
        let slot = block.message.slot;
        let value = schema::with_fork(fork, &block.encode(fork));
        self.put(Family::Blocks, &schema::block_key(slot, root), &value);
        self.put(Family::Default, &schema::root_key(root), &slot.to_be_bytes());
    }

    /// Adds a backfilled block from its SSZ, which the caller has checked. Refused with `DiskLow` where room is short.
    pub fn put_old_block(&mut self, block: &StoredBlock) -> Result<()> {
        if self.old_blocks.is_empty() {
            self.storage.want_room()?;
        }
        let key = schema::block_key(block.slot, &block.root).to_vec();
        self.old_blocks.push((key, schema::with_fork(block.fork, &block.ssz)));
        self.put(
            Family::Default,
            &schema::root_key(&block.root),
            &block.slot.to_be_bytes(),
        );
        Ok(())
    }

    /// Says which block the finalized chain has at `slot`; slots without one are left out.
    pub fn set_canonical(&mut self, slot: Slot, root: &Root) {
        self.put(Family::Default, &schema::canonical_key(slot), &root.0);
    }
}

impl Storage {
    /// The block with this root.
    pub fn block(&self, root: &Root) -> Result<Option<(Fork, SignedBeaconBlock)>> {
        match self.block_ssz(root)? {
            Some(stored) => Ok(Some((stored.fork, stored.decode()?))),
            None => Ok(None),
        }
    }

    /// The block with this root, as bytes.
    pub fn block_ssz(&self, root: &Root) -> Result<Option<StoredBlock>> {
        let Some(slot) = self.block_slot(root)? else {
            return Ok(None);
        };
        let Some(value) = self.get(Family::Blocks, &schema::block_key(slot, root))? else {
            // Pruned meanwhile, by another thread?
            return match self.block_slot(root)? {
                None => Ok(None),
                Some(slot) => Err(damaged(format!("block {root} of slot {slot} is listed but not there"))),
            };
        };
        let (fork, ssz) = schema::split_fork(&value)?;
        let ssz = ssz.to_vec();
        Ok(Some(StoredBlock {
            slot,
            root: *root,
            fork,
            ssz,
        }))
    }

    /// The slot of the block with this root.
    pub fn block_slot(&self, root: &Root) -> Result<Option<Slot>> {
        let slot = self.get(Family::Default, &schema::root_key(root))?;
        let slot = slot.map(|bytes| schema::read_slot(&bytes)).transpose()?;
        Ok(slot.filter(|slot| *slot >= self.pruned_blocks_below()))
    }

    /// Whether the block is there.
    pub fn has_block(&self, root: &Root) -> Result<bool> {
        Ok(self.block_slot(root)?.is_some())
    }

    /// All blocks of these slots in order of slot, those off the canonical chain included. Reads as it goes.
    pub fn blocks_in(&self, slots: Range<Slot>) -> impl Iterator<Item = Result<StoredBlock>> + use<'_> {
        let from = slots.start.max(self.pruned_blocks_below());
        let items = self.range(Family::Blocks, &from.to_be_bytes(), &slots.end.to_be_bytes());
        items.map(|item| {
            let (key, value) = item?;
            let (slot, root) = schema::split_block_key(&key)?;
            let (fork, ssz) = schema::split_fork(&value)?;
            let ssz = ssz.to_vec();
            Ok(StoredBlock { slot, root, fork, ssz })
        })
    }

    /// The finalized chain's block at `slot`, if it has one there.
    pub fn canonical(&self, slot: Slot) -> Result<Option<Root>> {
        if slot < self.pruned_blocks_below() {
            return Ok(None);
        }
        let root = self.get(Family::Default, &schema::canonical_key(slot))?;
        root.map(|bytes| schema::read_root(&bytes)).transpose()
    }

    /// Slots and roots of the finalized chain's blocks in these slots, in order.
    pub fn canonical_in(&self, slots: Range<Slot>) -> impl Iterator<Item = Result<(Slot, Root)>> + use<'_> {
        let from = slots.start.max(self.pruned_blocks_below());
        let (from, to) = (schema::canonical_key(from), schema::canonical_key(slots.end));
        self.range(Family::Default, &from, &to).map(|item| {
            let (key, value) = item?;
            Ok((schema::split_canonical_key(&key)?, schema::read_root(&value)?))
        })
    }

    /// Blocks below this slot have been pruned.
    pub fn pruned_blocks_below(&self) -> Slot {
        self.inner.pruned_blocks.load(Ordering::Relaxed)
    }

    /// Puts items into a sorted file that RocksDB takes over as it is. On disk when it returns.
    pub(crate) fn ingest(&self, family: Family, mut items: Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
        // Files of one process never meet, and leftovers are cleared at open.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        items.sort_by(|left, right| left.0.cmp(&right.0));
        items.dedup_by(|later, earlier| later.0 == earlier.0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.dir().join("ingest").join(format!("{number}.sst"));
        let result = self.write_and_ingest(family, &items, &path);
        if path.exists() {
            fs::remove_file(&path).map_err(io_error("removing", &path))?;
        }
        result
    }

    fn write_and_ingest(&self, family: Family, items: &[(Vec<u8>, Vec<u8>)], path: &std::path::Path) -> Result<()> {
        let options = crate::db::file_options(family);
        let mut writer = SstFileWriter::create(&options);
        writer.open(path)?;
        for (key, value) in items {
            writer.put(key, value)?;
        }
        writer.finish()?;
        let mut ingest = IngestExternalFileOptions::default();
        ingest.set_move_files(true);
        let taken = self
            .inner
            .db
            .ingest_external_file_cf_opts(self.family(family), &ingest, vec![path]);
        taken.map_err(Error::from)
    }
}
