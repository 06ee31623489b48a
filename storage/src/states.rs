//! States: whole ones as anchors, and differences between them in the database.
//!
//! A state of every epoch is kept, so that none is more than an epoch's blocks away, at the cost of its difference alone:
//! to the last state of level 1, which is a difference to the anchor (level 0). A new anchor comes about every 1,024
//! epochs, a new level 1 every 32. What one counts from need not be an ancestor: a difference is between contents, and a
//! reorganization changes nothing about it. Which of the stored states are on the chain, the node knows from their block
//! roots.
//!
//! One format serves anchors and differences (an anchor is the difference to nothing), and everything streams: what a
//! difference counts from is read from disk beside the state in memory, item by item, and restoring reads all layers at
//! once into one new state. No second state is ever in memory. The stream is a header, then the state with its
//! lists taken out (`rest`, XOR-ed with the one below), then each list in the way its contents change; see `writer` and
//! `layer`. A checksum is over all of it.
//!
//! Differences are written past the log and flushed at once: through the log they would be written twice.

pub(crate) mod layer;
pub(crate) mod lists;
pub(crate) mod writer;

use crate::db::Storage;
use crate::error::{Error, Result, damaged};
use crate::files::ZSTD_LEVEL;
use crate::meta::read_u64;
use crate::schema::{self, Family};
use consensus::State;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::{Root, Slot};
use layer::{Layer, Layers};
use rocksdb::WriteBatch;
use std::collections::HashSet;
use std::io::{self, Cursor};
use zstd::stream::{Decoder, Encoder};

/// Epochs after which a new anchor is due.
const EPOCHS_PER_ANCHOR: u64 = 1024;
/// Epochs after which a new level 1 is due.
const EPOCHS_PER_LEVEL_1: u64 = 32;
/// The levels of differences.
const LEVELS: [u8; 2] = [1, 2];

/// Names a state: its slot and the root of the latest block it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId {
    /// The state's slot.
    pub slot: Slot,
    /// The latest block at or before it.
    pub block_root: Root,
}

/// A difference that is kept, and what it counts from.
struct Entry {
    id: StateId,
    base: StateId,
}

/// How a state was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedAs {
    /// As an anchor.
    Anchor,
    /// As a difference of this level (1 or 2), with this many bytes.
    Difference {
        /// 1: to the anchor. 2: to the last of level 1.
        level: u8,
        /// Bytes on disk.
        size: usize,
    },
    /// It was there.
    Known,
}

impl Storage {
    /// Keeps `state`, of which `block_root` is the latest block: as a new anchor where there is none or it is too old,
    /// otherwise as the difference that is due. To be called about once an epoch, with rising slots. Takes seconds with a
    /// large registry, so not on the thread that commits blocks. On disk when it returns.
    pub fn save_state(&self, state: &State, block_root: &Root) -> Result<SavedAs> {
        let id = StateId {
            slot: state.slot,
            block_root: *block_root,
        };
        if self.is_kept(&id)? {
            return Ok(SavedAs::Known);
        }
        let epochs_since = |base: &StateId| (state.slot - base.slot) / SLOTS_PER_EPOCH;
        let Some(anchor) = self
            .anchor_before(state.slot)?
            .filter(|base| epochs_since(base) < EPOCHS_PER_ANCHOR)
        else {
            self.write_anchor(state, block_root)?;
            return Ok(SavedAs::Anchor);
        };
        let level_1 = self.newest_between(1, anchor.slot, state.slot)?;
        match level_1.filter(|base| epochs_since(base) < EPOCHS_PER_LEVEL_1) {
            Some(base) => self.put_difference(state, &id, 2, &base),
            None => self.put_difference(state, &id, 1, &anchor),
        }
    }

    /// The state with this name, if it is kept. Caches are not filled: `prepare` does that. Its root is not checked; the
    /// caller knows it from a block.
    pub fn state(&self, id: &StateId) -> Result<Option<State>> {
        match self.layers(id)? {
            Some(layers) => layers.into_state().map(Some).map_err(|error| bad_state(id, &error)),
            None => Ok(None),
        }
    }

    /// All states that are kept, by slot. At most a few hundred.
    pub fn states(&self) -> Result<Vec<StateId>> {
        let mut ids: Vec<StateId> = self.anchors()?.iter().map(|anchor| anchor.id).collect();
        for level in LEVELS {
            ids.extend(self.on_level(level, 0, Slot::MAX)?.iter().map(|entry| entry.id));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Drops the states of single epochs (level 2) below `slot`; those of every 32nd epoch stay as long as their anchor.
    pub fn prune_states(&self, slot: Slot) -> Result<()> {
        let old = self.on_level(2, 0, slot)?;
        self.drop_states(2, &old)
    }

    /// Drops what counts from states that are no longer there.
    pub(crate) fn drop_baseless_states(&self) -> Result<()> {
        let mut kept: HashSet<StateId> = self.anchors()?.iter().map(|anchor| anchor.id).collect();
        for level in LEVELS {
            let entries = self.on_level(level, 0, Slot::MAX)?;
            let (stay, lost): (Vec<Entry>, _) = entries.into_iter().partition(|entry| kept.contains(&entry.base));
            kept.extend(stay.iter().map(|entry| entry.id));
            self.drop_states(level, &lost)?;
        }
        Ok(())
    }

    /// Flushed by themselves: in one file with the next difference, which has the highest key, these lowest ones would
    /// make compaction rewrite all that lies between.
    fn drop_states(&self, level: u8, entries: &[Entry]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let (mut batch, mut writes) = (self.batch(), WriteBatch::default());
        for Entry { id, .. } in entries {
            batch.delete(
                Family::Default,
                &schema::state_entry_key(level, id.slot, &id.block_root),
            );
            writes.delete_cf(
                self.family(Family::States),
                schema::state_key(level, id.slot, &id.block_root),
            );
        }
        batch.commit()?;
        self.write_unlogged(writes)?;
        Ok(self.inner.db.flush_cf(self.family(Family::States))?)
    }

    /// Writes the difference, and lists it once it is on disk. One that a crash left unlisted is written again.
    fn put_difference(&self, state: &State, id: &StateId, level: u8, base: &StateId) -> Result<SavedAs> {
        let layers = self.layers(base)?;
        let layers =
            layers.ok_or_else(|| damaged(format!("the state at slot {} is listed but not there", base.slot)))?;
        let bytes = compress(state, id, base, layers).map_err(|error| bad_state(base, &error))?;
        let mut writes = WriteBatch::default();
        writes.put_cf(
            self.family(Family::States),
            schema::state_key(level, id.slot, &id.block_root),
            &bytes,
        );
        self.write_unlogged(writes)?;
        self.inner.db.flush_cf(self.family(Family::States))?;
        let mut batch = self.batch();
        let key = schema::state_entry_key(level, id.slot, &id.block_root);
        batch.put(
            Family::Default,
            &key,
            &[&base.slot.to_le_bytes()[..], &base.block_root.0].concat(),
        );
        batch.commit()?;
        Ok(SavedAs::Difference {
            level,
            size: bytes.len(),
        })
    }

    /// The newest state of a level from slot `from` to before `to`.
    fn newest_between(&self, level: u8, from: Slot, to: Slot) -> Result<Option<StateId>> {
        Ok(self.on_level(level, from, to)?.last().map(|entry| entry.id))
    }

    fn on_level(&self, level: u8, from: Slot, below: Slot) -> Result<Vec<Entry>> {
        let from = schema::state_entry_key(level, from, &Root::ZERO);
        let to = schema::state_entry_key(level, below, &Root::ZERO);
        let items = self.range(Family::Default, &from, &to);
        items
            .map(|item| {
                let (key, value) = item?;
                let (_, slot, block_root) = schema::split_state_entry_key(&key)?;
                let id = StateId { slot, block_root };
                let base = value.split_at_checked(8).and_then(|(slot, root)| {
                    let (slot, block_root) = (read_u64(slot)?, schema::read_root(root).ok()?);
                    Some(StateId { slot, block_root })
                });
                let base = base.ok_or_else(|| bad_state(&id, &"it is not said what it counts from"))?;
                Ok(Entry { id, base })
            })
            .collect()
    }

    /// Which level a difference is on, if there is one of this name.
    fn level_of(&self, id: &StateId) -> Result<Option<u8>> {
        for level in LEVELS {
            let key = schema::state_entry_key(level, id.slot, &id.block_root);
            if self.get(Family::Default, &key)?.is_some() {
                return Ok(Some(level));
            }
        }
        Ok(None)
    }

    fn is_kept(&self, id: &StateId) -> Result<bool> {
        Ok(self.level_of(id)?.is_some() || self.anchors()?.iter().any(|anchor| anchor.id == *id))
    }

    /// The top layer of a state, opened.
    fn find(&self, id: &StateId) -> Result<Option<Layer>> {
        let Some(level) = self.level_of(id)? else {
            return self.open_anchor(id);
        };
        let bytes = self.get(Family::States, &schema::state_key(level, id.slot, &id.block_root))?;
        let bytes = bytes.ok_or_else(|| bad_state(id, &"it is listed but not there"))?;
        let reader = Decoder::with_buffer(Cursor::new(bytes)).map_err(|error| bad_state(id, &error))?;
        Layer::open(Box::new(reader), id)
            .map(Some)
            .map_err(|error| bad_state(id, &error))
    }

    /// All layers of a state.
    fn layers(&self, id: &StateId) -> Result<Option<Layers>> {
        let (mut layers, mut wanted) = (Vec::new(), *id);
        loop {
            let Some(layer) = self.find(&wanted)? else {
                if layers.is_empty() {
                    return Ok(None);
                }
                return Err(bad_state(
                    id,
                    &format!("the state at slot {} that it counts from is gone", wanted.slot),
                ));
            };
            let base = layer.base();
            layers.push(layer);
            match base {
                None => break,
                Some(base) if layers.len() <= LEVELS.len() => wanted = base,
                Some(_) => return Err(bad_state(id, &"it counts from another over too many others")),
            }
        }
        layers.reverse();
        Ok(Some(Layers::new(layers)))
    }
}

fn compress(state: &State, id: &StateId, base: &StateId, layers: Layers) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    writer::write(&mut encoder, state, id, Some((base, layers)))?;
    encoder.finish()
}

fn bad_state(id: &StateId, error: &dyn std::fmt::Display) -> Error {
    damaged(format!(
        "the state at slot {} with latest block {}: {error}",
        id.slot, id.block_root
    ))
}
