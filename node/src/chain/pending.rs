//! Blocks that wait: for a worker, the engine, their parent, their slot or their columns. The only place for "not yet".

use super::handle::{Imported, NewBlock};
use super::import::{CheckedBlock, EngineAnswer};
use consensus::types::{Root, Slot};
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
            for column in new.columns {
                if waiting.new.columns.iter().all(|known| known.index != column.index) {
                    waiting.new.columns.push(column);
                }
            }
            for blob in new.blobs {
                if waiting.new.blobs.iter().all(|known| known.index != blob.index) {
                    waiting.new.blobs.push(blob);
                }
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
