//! Columns and blobs whose block is not here yet: checked, and kept until it comes or can no longer matter.

use consensus::types::{BlobSidecar, DataColumnSidecar, Root, Slot};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes that may be kept. A block of 21 blobs has 5.5 MB of columns: eleven such blocks of a supernode, a hundred and
/// fifty of a node that samples eight. Sidecars come with a valid signature of the slot's proposer, so that only
/// proposers could fill it.
const BYTES_MAX: usize = 64 << 20;

/// For how many slots they are kept: a block that comes an epoch after its columns is asked for with them.
const SLOTS_MAX: u64 = 32;

/// One column or blob.
#[derive(Clone, Debug)]
pub(crate) enum SidecarOf {
    /// From Fulu on.
    Column(Arc<DataColumnSidecar>),
    /// In Deneb and Electra.
    Blob(Arc<BlobSidecar>),
}

impl SidecarOf {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        /// A header, a proof of inclusion and the list's own.
        const REST: usize = 1024;
        /// A cell with its commitment and proof.
        const CELL: usize = 2048 + 48 + 48;
        /// A blob.
        const BLOB: usize = 131_072;
        match self {
            SidecarOf::Column(column) => REST + column.column.len() * CELL,
            SidecarOf::Blob(_) => REST + BLOB,
        }
    }

    /// The slot of its block.
    pub(crate) fn slot(&self) -> Slot {
        match self {
            SidecarOf::Column(column) => column.signed_block_header.message.slot,
            SidecarOf::Blob(blob) => blob.signed_block_header.message.slot,
        }
    }

    /// Its number.
    pub(crate) fn index(&self) -> u64 {
        match self {
            SidecarOf::Column(column) => column.index,
            SidecarOf::Blob(blob) => blob.index,
        }
    }
}

#[derive(Default)]
struct OfBlock {
    slot: Slot,
    sidecars: Vec<SidecarOf>,
    bytes: usize,
}

/// All that wait for their block.
#[derive(Default)]
pub(crate) struct Sidecars {
    blocks: HashMap<Root, OfBlock>,
    bytes: usize,
}

impl Sidecars {
    /// Keeps one, unless it is there. Without room the oldest block's give way.
    pub(crate) fn insert(&mut self, root: Root, sidecar: SidecarOf) {
        let of_block = self.blocks.entry(root).or_default();
        if of_block.sidecars.iter().any(|known| known.index() == sidecar.index()) {
            return;
        }
        let bytes = sidecar.bytes();
        of_block.slot = sidecar.slot();
        of_block.bytes += bytes;
        of_block.sidecars.push(sidecar);
        self.bytes += bytes;
        while self.bytes > BYTES_MAX && self.blocks.len() > 1 {
            let oldest = self.blocks.iter().min_by_key(|(_, of_block)| of_block.slot);
            let Some(oldest) = oldest.map(|(root, _)| *root) else {
                break;
            };
            self.take(&oldest);
        }
    }

    /// Takes all of a block.
    pub(crate) fn take(&mut self, root: &Root) -> Vec<SidecarOf> {
        let Some(of_block) = self.blocks.remove(root) else {
            return Vec::new();
        };
        self.bytes -= of_block.bytes;
        of_block.sidecars
    }

    /// Drops what has become old.
    pub(crate) fn prune(&mut self, now: Slot) {
        let old = |of_block: &OfBlock| of_block.slot.saturating_add(SLOTS_MAX) < now;
        let gone: Vec<Root> = self
            .blocks
            .iter()
            .filter(|(_, of_block)| old(of_block))
            .map(|(root, _)| *root)
            .collect();
        for root in gone {
            self.take(&root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(slot: Slot, index: u64) -> SidecarOf {
        let mut blob = BlobSidecar {
            index,
            ..BlobSidecar::default()
        };
        blob.signed_block_header.message.slot = slot;
        SidecarOf::Blob(Arc::new(blob))
    }

    #[test]
    fn sidecars_are_kept_once_bounded_and_not_for_ever() {
        let mut sidecars = Sidecars::default();
        let root = |number: u64| {
            let mut root = Root::ZERO;
            root.0[..8].copy_from_slice(&number.to_le_bytes());
            root
        };
        sidecars.insert(root(1), blob(10, 0));
        sidecars.insert(root(1), blob(10, 0));
        sidecars.insert(root(1), blob(10, 1));
        sidecars.prune(42);
        assert_eq!(sidecars.take(&root(1)).len(), 2);
        assert_eq!(sidecars.bytes, 0);
        sidecars.insert(root(1), blob(10, 0));
        sidecars.prune(43);
        assert!(sidecars.take(&root(1)).is_empty());
        for number in 0..1000 {
            sidecars.insert(root(number), blob(number, 0));
            assert!(sidecars.bytes <= BYTES_MAX);
        }
        assert!(sidecars.take(&root(0)).is_empty(), "the oldest gave way");
        assert_eq!(sidecars.take(&root(999)).len(), 1);
    }
}
