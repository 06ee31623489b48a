//! The tree of blocks as an array in which every parent stands before its children.
//!
//! So one pass from the end to the start sums what branches weigh, and one from the start to the end hands down what
//! holds for descendants: nothing recurses, and nothing is linked but a child to its parent.

use super::node::{ExecutionStatus, ForkChoiceNode, Node, PayloadStatus};
use crate::helpers::misc::compute_start_slot_at_epoch;
use crate::types::{Epoch, Hash32, Root, Slot};
use crate::{Invalid, ensure};
use std::collections::HashMap;

/// Blocks kept at most: 145 days without finality at one block a slot. Their states are kept apart, and few of them; a
/// block itself takes some 400 bytes, and votes must be able to count on it.
const NODES_MAX: usize = 1 << 20;

/// The blocks from the finalized one on.
#[derive(Clone, Debug, Default)]
pub struct ProtoArray {
    nodes: Vec<Node>,
    places: HashMap<Root, u32>,
}

impl ProtoArray {
    /// All blocks, parents first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many blocks there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The block of this root.
    pub fn get(&self, root: &Root) -> Option<&Node> {
        self.place(root).map(|place| &self.nodes[place])
    }

    pub(super) fn get_mut(&mut self, root: &Root) -> Option<&mut Node> {
        self.place(root).map(|place| &mut self.nodes[place])
    }

    /// Where the block stands in the array.
    pub(super) fn place(&self, root: &Root) -> Option<usize> {
        self.places.get(root).map(|place| *place as usize)
    }

    /// Where the parent of the block at `place` stands.
    pub(super) fn parent(&self, place: usize) -> Option<usize> {
        self.nodes[place].parent.map(|parent| parent as usize)
    }

    /// Enters a block behind its parent; returns its place.
    pub(super) fn insert(&mut self, mut node: Node) -> Result<usize, Invalid> {
        let place = self.nodes.len();
        ensure!(place < NODES_MAX, "fork choice size", "{place} blocks since finality");
        node.parent = self.places.get(&node.parent_root).copied();
        node.invalid |= node.parent.is_some_and(|parent| self.nodes[parent as usize].invalid);
        self.places.insert(node.root, place as u32);
        self.nodes.push(node);
        Ok(place)
    }

    /// The latest block at or before `slot` in the chain of the one at `place`; `None` where that chain is not kept so
    /// far back.
    pub(super) fn ancestor_at(&self, mut place: usize, slot: Slot) -> Option<usize> {
        while self.nodes[place].slot > slot {
            place = self.parent(place)?;
        }
        Some(place)
    }

    /// Spec: phase0/ and gloas/fork-choice.md, `get_ancestor`. `None` if a block on the way is not known.
    pub fn get_ancestor(&self, node: ForkChoiceNode, slot: Slot) -> Option<ForkChoiceNode> {
        let mut place = self.place(&node.root)?;
        let mut payload_status = node.payload_status;
        while self.nodes[place].slot > slot {
            let parent = self.parent(place)?;
            payload_status = self.nodes[parent].side_of(&self.nodes[place]);
            place = parent;
        }
        Some(ForkChoiceNode {
            root: self.nodes[place].root,
            payload_status,
        })
    }

    /// Spec: phase0/ and gloas/fork-choice.md, `is_ancestor`.
    pub fn is_ancestor(&self, node: ForkChoiceNode, ancestor: ForkChoiceNode) -> bool {
        let Some(slot) = self.get(&ancestor.root).map(|block| block.slot) else {
            return false;
        };
        self.get_ancestor(node, slot).is_some_and(|found| {
            found.root == ancestor.root
                && (found.payload_status == ancestor.payload_status
                    || ancestor.payload_status == PayloadStatus::Pending)
        })
    }

    /// The checkpoint block of `epoch` in the chain of `root`. For an epoch that began before the oldest block kept it is
    /// that one: a node may begin at a block in the middle of an epoch, which then is its finalized checkpoint, and all
    /// blocks descend from it.
    ///
    /// Spec: phase0/fork-choice.md, `get_checkpoint_block`.
    pub fn get_checkpoint_block(&self, root: &Root, epoch: Epoch) -> Option<Root> {
        let place = self.place(root)?;
        let ancestor = self.ancestor_at(place, compute_start_slot_at_epoch(epoch)).unwrap_or(0);
        Some(self.nodes[ancestor].root)
    }

    /// The block whose payload the one at `place` builds on.
    fn payload_parent(&self, mut place: usize) -> Option<usize> {
        loop {
            let full = self.nodes[place].parent_full;
            place = self.parent(place)?;
            if full {
                return Some(place);
            }
        }
    }

    /// Notes that the engine found this payload valid, and with it all before it.
    pub(super) fn mark_valid(&mut self, place: usize) {
        let mut next = Some(place);
        while let Some(place) = next {
            if self.nodes[place].execution != ExecutionStatus::NotValidated {
                break;
            }
            self.nodes[place].execution = ExecutionStatus::Valid;
            next = self.payload_parent(place);
        }
    }

    /// Takes back payloads from `place` to before the one of hash `latest_valid`, and what builds on them. Where that
    /// hash is not in the chain, only the payload at `place`, and only if `certain`: nothing else is known then.
    ///
    /// Spec: sync/optimistic.md, "How to apply `latestValidHash` when payload status is `INVALID`".
    pub(super) fn invalidate(&mut self, place: usize, latest_valid: Option<Hash32>, certain: bool) {
        let mut chain = Vec::new();
        let mut reached = false;
        let mut next = latest_valid.and(Some(place));
        while let Some(place) = next {
            let node = &self.nodes[place];
            reached = Some(node.block_hash) == latest_valid;
            if reached {
                break;
            }
            // What was executed before stays: an engine that contradicts itself must not take it away.
            if node.execution != ExecutionStatus::Valid {
                chain.push(place);
            }
            next = self.payload_parent(place);
        }
        if !reached {
            chain.clear();
            chain.extend(certain.then_some(place));
        }
        for place in chain {
            let node = &mut self.nodes[place];
            node.execution = ExecutionStatus::Invalidated;
            node.payload_verified = false;
            node.invalid |= !node.separate_payload;
        }
        self.spread_invalidity();
    }

    /// Whatever builds on an invalid block or payload is invalid.
    fn spread_invalidity(&mut self) {
        for place in 0..self.nodes.len() {
            let Some(parent) = self.parent(place) else { continue };
            let (before, node) = (&self.nodes[parent], &self.nodes[place]);
            let bad_payload = node.parent_full && before.execution == ExecutionStatus::Invalidated;
            let invalid = before.invalid || bad_payload;
            self.nodes[place].invalid |= invalid;
        }
    }

    /// Whether a payload that the block rests on has not been executed. Spec: sync/optimistic.md, `is_optimistic`.
    pub fn is_optimistic(&self, root: &Root) -> bool {
        let Some(place) = self.place(root) else { return true };
        let payload = if self.nodes[place].separate_payload {
            self.payload_parent(place)
        } else {
            Some(place)
        };
        payload.is_some_and(|place| self.nodes[place].execution != ExecutionStatus::Valid)
    }

    /// Drops what does not descend from `finalized`. Returns the new place of every old one, or `None` if nothing goes.
    pub(super) fn prune(&mut self, finalized: &Root) -> Option<Vec<Option<u32>>> {
        let first = self.place(finalized)?;
        let mut places: Vec<Option<u32>> = vec![None; self.nodes.len()];
        let mut kept = 0;
        for place in first..self.nodes.len() {
            let stays = place == first || self.parent(place).is_some_and(|parent| places[parent].is_some());
            if stays {
                places[place] = Some(kept);
                kept += 1;
            }
        }
        if kept as usize == self.nodes.len() {
            return None;
        }
        let mut old = 0..places.len();
        self.nodes
            .retain(|_| old.next().is_some_and(|place| places[place].is_some()));
        for node in &mut self.nodes {
            node.parent = node.parent.and_then(|parent| places[parent as usize]);
        }
        self.places = self
            .nodes
            .iter()
            .enumerate()
            .map(|(place, node)| (node.root, place as u32))
            .collect();
        Some(places)
    }
}
