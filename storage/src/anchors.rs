//! Anchors: whole states, each a compressed file of its own, from which the differences in the database count.
//!
//! Outside the database, because a state of 300 MB would be rewritten by every compaction it met. It is written and read
//! list by list (`states` has the format), so that it never stands in memory a second time. Two are kept: the newest,
//! and the one before it for the differences that lie between.

use crate::db::Storage;
use crate::error::{Result, io_error};
use crate::files::{self, bad_file};
use crate::states::layer::Layer;
use crate::states::{StateId, writer};
use consensus::State;
use consensus::types::{Root, Slot};
use std::fs;
use std::path::{Path, PathBuf};

/// Anchors that are kept.
const KEPT: usize = 2;

/// An anchor on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Which state it is.
    pub id: StateId,
    /// Its file.
    pub path: PathBuf,
    /// The size of its file in bytes.
    pub size: u64,
}

impl Storage {
    /// Writes `state` as a new anchor; `block_root` is the root of the latest block it has seen. On disk when it returns.
    /// Older anchors than the two newest go, with the differences that count from them.
    pub fn write_anchor(&self, state: &State, block_root: &Root) -> Result<()> {
        let id = StateId {
            slot: state.slot,
            block_root: *block_root,
        };
        let path = self.anchor_path(&id);
        files::write_file(&path, |out| {
            writer::write(out, state, &id, None).map_err(io_error("writing", &path))
        })?;
        self.drop_old_anchors()
    }

    /// The anchors that are there, oldest first.
    pub fn anchors(&self) -> Result<Vec<Anchor>> {
        let mut anchors = Vec::new();
        for path in files::list(&self.dir().join("anchors"))? {
            let Some(id) = read_name(&path) else {
                continue;
            };
            let size = fs::metadata(&path)
                .map_err(io_error("asking for the size of", &path))?
                .len();
            anchors.push(Anchor { id, path, size });
        }
        anchors.sort_by_key(|anchor| anchor.id.slot);
        Ok(anchors)
    }

    /// The newest anchor before `slot`.
    pub(crate) fn anchor_before(&self, slot: Slot) -> Result<Option<StateId>> {
        let anchors = self.anchors()?;
        Ok(anchors.iter().rev().map(|anchor| anchor.id).find(|id| id.slot < slot))
    }

    /// Opens an anchor's file for reading.
    pub(crate) fn open_anchor(&self, id: &StateId) -> Result<Option<Layer>> {
        let path = self.anchor_path(id);
        match files::read_file(&path)? {
            None => Ok(None),
            Some(reader) => Layer::open(Box::new(reader), id)
                .map(Some)
                .map_err(|error| bad_file(&path, &error)),
        }
    }

    fn drop_old_anchors(&self) -> Result<()> {
        let anchors = self.anchors()?;
        let old = &anchors[..anchors.len().saturating_sub(KEPT)];
        for anchor in old {
            fs::remove_file(&anchor.path).map_err(io_error("removing", &anchor.path))?;
        }
        if old.is_empty() {
            Ok(())
        } else {
            self.drop_baseless_states()
        }
    }

    fn anchor_path(&self, id: &StateId) -> PathBuf {
        let digits: String = id.block_root.0.iter().map(|byte| format!("{byte:02x}")).collect();
        self.dir().join("anchors").join(format!("{:012}-{digits}.zst", id.slot))
    }
}

/// Slot and block root in a file's name.
fn read_name(path: &Path) -> Option<StateId> {
    if path.extension()? != "zst" {
        return None;
    }
    let (slot, digits) = path.file_stem()?.to_str()?.split_once('-')?;
    let slot = slot.parse().ok()?;
    let block_root = format!("0x{digits}").parse().ok()?;
    Some(StateId { slot, block_root })
}
