//! What the event streams tell of heads: the newest checked head, the newest block, and what duties hang on.
//!
//! Streams of several nodes come together here. A head of any node may start the duties of a slot, since the node that
//! announced it is then asked first; but only the best node's word on dependent roots counts, or two nodes on two
//! branches would have the duties fetched in turns.

use crate::beacon::{Event, HeadEvent};
use crate::clock::Clock;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::types::{Epoch, Root, Slot};
use tokio::sync::watch;

/// A head that some node announced, checked in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenHead {
    /// Its slot.
    pub slot: Slot,
    /// Its root.
    pub block: Root,
    /// The position of the node that announced it first.
    pub from: usize,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// The roots that duties hang on, by the best node's newest head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DependentRoots {
    /// The epoch of the head.
    pub epoch: Epoch,
    /// For duties of that epoch.
    pub current: Root,
    /// For duties of the next.
    pub next: Root,
}

/// What is known from the event streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// The newest head.
    pub head: Option<SeenHead>,
    /// Slot of the newest block that a node has imported, and when it was announced, in milliseconds since 1970.
    pub block: Option<(Slot, u64)>,
    /// What duties hang on.
    pub roots: Option<DependentRoots>,
}

impl Heads {
    /// Takes an event of the node at `from`; whether something has changed.
    pub fn take(&mut self, event: &Event, from: usize, is_best: bool, at_ms: u64) -> bool {
        let before = *self;
        match event {
            Event::Head(head) => self.take_head(head, from, is_best, at_ms),
            Event::Block { slot, .. } => self.take_block(*slot, at_ms),
            // A head event comes with it and has all that counts.
            Event::Reorg { .. } => {}
        }
        *self != before
    }

    fn take_head(&mut self, head: &HeadEvent, from: usize, is_best: bool, at_ms: u64) {
        self.take_block(head.slot, at_ms);
        if head.execution_optimistic {
            return;
        }
        // A reorganization may bring another head of the same slot or of an earlier one; it counts if the best node
        // says so. The first word on a head says when it came.
        let newer = self.head.is_none_or(|known| head.slot > known.slot);
        let replaced = self.head.is_some_and(|known| known.block != head.block);
        if newer || (is_best && replaced) {
            self.head = Some(SeenHead {
                slot: head.slot,
                block: head.block,
                from,
                at_ms,
            });
        }
        if is_best {
            self.roots = Some(DependentRoots {
                epoch: compute_epoch_at_slot(head.slot),
                current: head.current_epoch_dependent_root,
                next: head.next_epoch_dependent_root,
            });
        }
    }

    fn take_block(&mut self, slot: Slot, at_ms: u64) {
        if self.block.is_none_or(|(known, _)| slot > known) {
            self.block = Some((slot, at_ms));
        }
    }

    /// The head if it is of this slot.
    pub fn head_of(&self, slot: Slot) -> Option<SeenHead> {
        self.head.filter(|head| head.slot == slot)
    }

    /// When the first block of this slot was announced, in milliseconds since 1970.
    pub fn block_came(&self, slot: Slot) -> Option<u64> {
        self.block.filter(|(known, _)| *known == slot).map(|(_, at_ms)| at_ms)
    }
}

/// Waits for a head of the slot, but not longer than until `due_ms` of the wall clock: whichever is first. The head, if
/// that was it.
pub async fn head_or_deadline(
    heads: &mut watch::Receiver<Heads>,
    clock: &Clock,
    slot: Slot,
    due_ms: u64,
) -> Option<SeenHead> {
    let arrived = async {
        let arrived = heads.wait_for(|heads| heads.head_of(slot).is_some()).await;
        let head = arrived.ok().and_then(|heads| heads.head_of(slot));
        match head {
            Some(head) => head,
            // No streams any more: the deadline is what is left.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        head = arrived => Some(head),
        () = clock.sleep_until(due_ms) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::unix_ms;
    use consensus::Config;
    use consensus::preset::SLOTS_PER_EPOCH;
    use consensus::ssz::Bytes;
    use std::sync::Arc;

    fn head(slot: Slot, root: u8, optimistic: bool) -> Event {
        Event::Head(HeadEvent {
            slot,
            block: Bytes([root; 32]),
            current_epoch_dependent_root: Bytes([root + 1; 32]),
            next_epoch_dependent_root: Bytes([root + 2; 32]),
            execution_optimistic: optimistic,
        })
    }

    #[test]
    fn the_newest_head_counts_and_the_best_node_decides_on_branches() {
        let mut heads = Heads::default();
        assert!(heads.take(&head(5, 1, false), 1, false, 100));
        assert_eq!((heads.head_of(5).unwrap().from, heads.roots), (1, None));
        // The best node tells the same later: the time of the first stays.
        heads.take(&head(5, 1, false), 0, true, 200);
        assert_eq!((heads.head_of(5).unwrap().at_ms, heads.block_came(5)), (100, Some(100)));
        assert_eq!(heads.roots.unwrap().next.0[0], 3);
        // Another branch: of another node it is nothing, of the best one it is the head.
        assert!(!heads.take(&head(4, 7, false), 1, false, 300));
        assert!(heads.take(&head(4, 7, false), 0, true, 300));
        assert_eq!(heads.head.unwrap().block.0[0], 7);
        assert_eq!(heads.roots.unwrap().current.0[0], 8);
        assert!(!heads.take(&Event::Reorg { slot: 4, depth: 1 }, 0, true, 300));
        heads.take(&head(2 * SLOTS_PER_EPOCH, 9, false), 0, true, 1);
        assert_eq!(heads.roots.unwrap().epoch, 2);
    }

    #[test]
    fn an_optimistic_head_is_none() {
        let mut heads = Heads::default();
        heads.take(&head(5, 1, true), 0, true, 100);
        assert_eq!((heads.head, heads.roots, heads.block_came(5)), (None, None, Some(100)));
    }

    #[tokio::test]
    async fn duties_begin_with_the_head_or_at_the_deadline() {
        let now = unix_ms();
        let clock = Clock::new(Arc::new(Config::standard()), now / 1000 - 1000);
        let (sender, mut receiver) = watch::channel(Heads::default());
        let seen = head_or_deadline(&mut receiver, &clock, 5, now + 300).await;
        assert_eq!(seen, None);
        assert!(unix_ms() >= now + 300);

        let waiting = head_or_deadline(&mut receiver, &clock, 5, now + 60_000);
        let announcing = async {
            sender.send_modify(|heads| {
                heads.take(&head(4, 1, false), 0, true, 1);
            });
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            sender.send_modify(|heads| {
                heads.take(&head(5, 2, false), 0, true, 2);
            });
        };
        let (seen, ()) = tokio::join!(waiting, announcing);
        assert_eq!(seen.unwrap().block.0[0], 2);
        assert!(unix_ms() < now + 10_000);
    }
}
