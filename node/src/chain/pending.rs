//! Blocks that wait: for a worker, the engine, their parent, their slot or their columns. The only place for "not yet".

use super::handle::{Imported, NewBlock, Source};
use super::import::{CheckedBlock, EngineAnswer};
use super::sidecars::SidecarOf;
use consensus::types::{Root, Slot, ValidatorIndex};
use libp2p::PeerId;
use std::collections::HashMap;
use tokio::sync::oneshot;

/// How many blocks may wait. Two epochs of blocks that came in the wrong order while the node catches up; each is at
/// most 10 MiB on the wire and usually a hundred kilobytes.
const BLOCKS_MAX: usize = 64;

/// Bytes of blocks that may wait, in all.
const BYTES_MAX: usize = 64 << 20;

/// How long a block may wait, in slots, before it is given up: who still wants it will hand it in again.
const SLOTS_MAX: u64 = 64;

/// What a block waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A worker's or the engine's answer, or both.
    Answers,
    /// This block.
    Parent(Root),
    /// The start of this slot.
    Slot(Slot),
    /// Columns.
    Columns,
    /// The engine: to be asked again at the next slot.
    Engine,
}

/// A block that waits, with what is known about it.
pub(crate) struct Waiting {
    pub(crate) new: NewBlock,
    pub(crate) wanted: For,
    pub(crate) checked: Option<Box<CheckedBlock>>,
    pub(crate) execution: Option<EngineAnswer>,
    /// The slot in which it began to wait.
    pub(crate) since: Slot,
    pub(crate) bytes: usize,
    /// The peer that it came from.
    pub(crate) from: Option<PeerId>,
    /// When the columns that are missing are to be made from those that are here, in milliseconds since 1970.
    pub(crate) rebuild_at: Option<u64>,
    /// The slot in which its data was asked for last.
    pub(crate) asked: Option<Slot>,
    answers: Vec<oneshot::Sender<Imported>>,
}

impl Waiting {
    /// Tells those who handed it in.
    pub(crate) fn answer(&mut self, imported: &Imported) {
        for answer in self.answers.drain(..) {
            // Whoever asked may have gone.
            let _ = answer.send(imported.clone());
        }
    }

    /// Takes those who wait for the answer.
    pub(crate) fn take_answers(&mut self) -> Vec<oneshot::Sender<Imported>> {
        std::mem::take(&mut self.answers)
    }
}

/// All blocks that wait.
#[derive(Default)]
pub(crate) struct Pending {
    blocks: HashMap<Root, Waiting>,
    bytes: usize,
}

impl Pending {
    /// Enters a block, or adds whoever asks to those who wait for it already; then returns false. With no room the block
    /// of the highest slot gives way, since nothing near the head can depend on it yet.
    pub(crate) fn insert(
        &mut self,
        root: Root,
        new: NewBlock,
        bytes: usize,
        now: Slot,
        answer: Option<oneshot::Sender<Imported>>,
    ) -> bool {
        if let Some(waiting) = self.blocks.get_mut(&root) {
            waiting.answers.extend(answer);
            if new.source == Source::Api && !(new.columns.is_empty() && new.blobs.is_empty()) {
                // What comes by the API was not checked yet, and is where the source says so.
                waiting.new.source = Source::Api;
            }
            let columns = new.columns.into_iter().map(SidecarOf::Column);
            for sidecar in columns.chain(new.blobs.into_iter().map(SidecarOf::Blob)) {
                self.add_sidecar(&root, sidecar);
            }
            return false;
        }
        self.bytes += bytes;
        let waiting = Waiting {
            new,
            wanted: For::Answers,
            checked: None,
            execution: None,
            since: now,
            bytes,
            from: None,
            rebuild_at: None,
            asked: None,
            answers: answer.into_iter().collect(),
        };
        self.blocks.insert(root, waiting);
        while self.blocks.len() > BLOCKS_MAX || self.bytes > BYTES_MAX && self.blocks.len() > 1 {
            let highest = self
                .blocks
                .iter()
                .max_by_key(|(_, waiting)| waiting.new.block.message.slot);
            let Some(highest) = highest.map(|(root, _)| *root) else {
                break;
            };
            if let Some(mut waiting) = self.remove(&highest) {
                waiting.answer(&Imported::Waiting(
                    "there is no room for more waiting blocks; hand it in again later".into(),
                ));
            }
        }
        true
    }

    /// Adds a column or blob to the block of this root. False if it has it already, or does not wait.
    pub(crate) fn add_sidecar(&mut self, root: &Root, sidecar: SidecarOf) -> bool {
        let Some(waiting) = self.blocks.get_mut(root) else {
            return false;
        };
        let (bytes, new) = (sidecar.bytes(), &mut waiting.new);
        match sidecar {
            SidecarOf::Column(column) => {
                if new.columns.iter().any(|known| known.index == column.index) {
                    return false;
                }
                new.columns.push(column);
            }
            SidecarOf::Blob(blob) => {
                if new.blobs.iter().any(|known| known.index == blob.index) {
                    return false;
                }
                new.blobs.push(blob);
            }
        }
        waiting.bytes += bytes;
        self.bytes += bytes;
        true
    }

    /// How many blocks of one proposer and slot wait.
    pub(crate) fn alike(&self, slot: Slot, proposer_index: ValidatorIndex) -> usize {
        let blocks = self.blocks.values().map(|waiting| &waiting.new.block.message);
        blocks
            .filter(|block| block.slot == slot && block.proposer_index == proposer_index)
            .count()
    }

    /// Enters again what was removed a moment ago.
    pub(crate) fn put_back(&mut self, root: Root, waiting: Waiting) {
        self.bytes += waiting.bytes;
        self.blocks.insert(root, waiting);
    }

    pub(crate) fn get_mut(&mut self, root: &Root) -> Option<&mut Waiting> {
        self.blocks.get_mut(root)
    }

    pub(crate) fn remove(&mut self, root: &Root) -> Option<Waiting> {
        let waiting = self.blocks.remove(root)?;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    /// The blocks that wait for what `is` describes, lowest slots first.
    pub(crate) fn those(&self, is: impl Fn(For) -> bool) -> Vec<Root> {
        let waiting = self.blocks.iter().filter(|(_, waiting)| is(waiting.wanted));
        let mut found: Vec<(Slot, Root)> = waiting
            .map(|(root, waiting)| (waiting.new.block.message.slot, *root))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, root)| root).collect()
    }

    /// Gives up what has waited for too long or is from before finality.
    pub(crate) fn prune(&mut self, now: Slot, finalized_slot: Slot) {
        let mut gone: Vec<Root> = Vec::new();
        for (root, waiting) in &self.blocks {
            let old = waiting.since.saturating_add(SLOTS_MAX) < now;
            if old || waiting.new.block.message.slot <= finalized_slot {
                gone.push(*root);
            }
        }
        for root in gone {
            if let Some(mut waiting) = self.remove(&root) {
                waiting.answer(&Imported::Waiting("given up after waiting for too long".into()));
            }
        }
    }
}
