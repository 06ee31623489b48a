//! The few facts from which a node starts again: head, checkpoints, how far back the data reaches, how it stopped.
//!
//! Setting one is part of a `Batch`, so that the head never names a block that is not there.

use crate::db::{Batch, Storage};
use crate::error::{Error, Result, damaged};
use crate::schema::{self, Family, Name};
use consensus::Fork;
use consensus::ssz::Ssz;
use consensus::types::{Checkpoint, Root, Slot};

/// Largest value of the node's own in the database; what is larger is a saved file.
const MAX_VALUE: usize = 64 * 1024;

impl Storage {
    /// Slot and root of the head, as last committed.
    pub fn head(&self) -> Result<Option<(Slot, Root)>> {
        self.fact(Name::Head, |bytes| {
            let (slot, root) = bytes.split_at_checked(8)?;
            Some((read_u64(slot)?, schema::read_root(root).ok()?))
        })
    }

    /// The justified checkpoint.
    pub fn justified(&self) -> Result<Option<Checkpoint>> {
        self.fact(Name::Justified, read_checkpoint)
    }

    /// The finalized checkpoint.
    pub fn finalized(&self) -> Result<Option<Checkpoint>> {
        self.fact(Name::Finalized, read_checkpoint)
    }

    /// The slot from which on blocks are whole; backfill goes on below it.
    pub fn oldest_block(&self) -> Result<Option<Slot>> {
        self.fact(Name::OldestBlock, read_u64)
    }

    /// The slot from which on columns are whole.
    pub fn oldest_column(&self) -> Result<Option<Slot>> {
        self.fact(Name::OldestColumn, read_u64)
    }

    /// The name of the network, if it was set.
    pub fn network(&self) -> Result<Option<String>> {
        self.fact(Name::Network, |bytes| String::from_utf8(bytes.to_vec()).ok())
    }

    /// The root of the genesis state, if it was set.
    pub fn genesis_state_root(&self) -> Result<Option<Root>> {
        self.fact(Name::GenesisStateRoot, |bytes| schema::read_root(bytes).ok())
    }

    /// Whether the last run ended with `set_clean_stop(true)`.
    pub fn clean_stop(&self) -> Result<bool> {
        Ok(self.fact(Name::CleanStop, |_| Some(()))?.is_some())
    }

    /// A small value of the node's own.
    pub fn value(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.get(Family::Default, &schema::value_key(name))
    }

    pub(crate) fn fact<T>(&self, name: Name, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>> {
        let Some(bytes) = self.get(Family::Default, name.key())? else {
            return Ok(None);
        };
        let fact = read(&bytes).ok_or_else(|| damaged(format!("{name:?} reads {bytes:02x?}")))?;
        Ok(Some(fact))
    }
}

impl Batch {
    /// Sets the head.
    pub fn set_head(&mut self, slot: Slot, root: &Root) {
        self.put(
            Family::Default,
            Name::Head.key(),
            &[&slot.to_le_bytes()[..], &root.0].concat(),
        );
    }

    /// Sets the justified checkpoint.
    pub fn set_justified(&mut self, checkpoint: &Checkpoint) {
        self.put(Family::Default, Name::Justified.key(), &checkpoint.encode(Fork::Phase0));
    }

    /// Sets the finalized checkpoint.
    pub fn set_finalized(&mut self, checkpoint: &Checkpoint) {
        self.put(Family::Default, Name::Finalized.key(), &checkpoint.encode(Fork::Phase0));
    }

    /// Says from which slot on blocks are whole.
    pub fn set_oldest_block(&mut self, slot: Slot) {
        self.put(Family::Default, Name::OldestBlock.key(), &slot.to_le_bytes());
    }

    /// Says from which slot on columns are whole.
    pub fn set_oldest_column(&mut self, slot: Slot) {
        self.put(Family::Default, Name::OldestColumn.key(), &slot.to_le_bytes());
    }

    /// Sets the network's name.
    pub fn set_network(&mut self, name: &str) {
        self.put(Family::Default, Name::Network.key(), name.as_bytes());
    }

    /// Sets the root of the genesis state.
    pub fn set_genesis_state_root(&mut self, root: &Root) {
        self.put(Family::Default, Name::GenesisStateRoot.key(), &root.0);
    }

    /// Marks a clean stop, or takes the mark away when the node runs again.
    pub fn set_clean_stop(&mut self, clean: bool) {
        if clean {
            self.put(Family::Default, Name::CleanStop.key(), &[]);
        } else {
            self.delete(Family::Default, Name::CleanStop.key());
        }
    }

    /// Sets a small value of the node's own; `None` removes it. An error above 64 KiB: larger ones are saved files.
    pub fn set_value(&mut self, name: &str, value: Option<&[u8]>) -> Result<()> {
        let key = schema::value_key(name);
        match value {
            Some(value) if value.len() > MAX_VALUE => {
                let sentence = format!(
                    "value '{name}' has {} bytes, at most {MAX_VALUE}: use a saved file",
                    value.len()
                );
                return Err(Error::Misuse(sentence));
            }
            Some(value) => self.put(Family::Default, &key, value),
            None => self.delete(Family::Default, &key),
        }
        Ok(())
    }
}

/// A number as it stands in values.
pub(crate) fn read_u64(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

fn read_checkpoint(bytes: &[u8]) -> Option<Checkpoint> {
    Checkpoint::decode(bytes, Fork::Phase0).ok()
}
