//! Which block is the head: the heaviest branch of what is viable.
//!
//! Two passes over the blocks since finality, each from the end to the start: the first sums votes up the branches, the
//! second adds the boost, decides viability and remembers the best child of every node. Then a walk from the justified
//! block finds the head. Nothing depends on the number of votes.

use super::node::{ForkChoiceNode, Node, PayloadStatus};
use super::store::{Store, View, voting_source};
use super::votes::{Weight, gwei};
use crate::constants::{GENESIS_EPOCH, PTC_TIMELINESS_INDEX};
use crate::helpers::misc::compute_start_slot_at_epoch;
use crate::types::{Gwei, Root};

const EMPTY: usize = PayloadStatus::Empty as usize;
const FULL: usize = PayloadStatus::Full as usize;
const PENDING: usize = PayloadStatus::Pending as usize;

/// What the branches weigh, in Gwei, from what blocks weigh by votes for themselves, in increments.
///
/// Spec: phase0/fork-choice.md, `get_attestation_score`, for all nodes at once.
pub(super) fn attestation_scores(blocks: &[Node], own: &[Weight]) -> Vec<Weight> {
    let mut scores: Vec<Weight> = own.iter().map(|own| own.map(gwei)).collect();
    for place in (0..blocks.len()).rev() {
        let score = &mut scores[place];
        score[PENDING] += score[EMPTY] + score[FULL];
        let total = score[PENDING];
        let block = &blocks[place];
        // What was found invalid is out of the tree with all its votes.
        if let Some(parent) = block.parent.filter(|_| !block.invalid) {
            let parent = parent as usize;
            scores[parent][blocks[parent].side_of(block) as usize] += total;
        }
    }
    scores
}

/// The tree as the choice sees it.
struct Tree {
    /// Weights with the boost, in Gwei.
    weights: Vec<Weight>,
    /// The best viable child of each side of a block.
    best: Vec<[Option<usize>; 3]>,
    /// Whether the block is in the filtered tree.
    viable: Vec<bool>,
}

impl Store {
    /// What each block weighs by votes, without boost.
    pub(super) fn scores(&self) -> Vec<Weight> {
        attestation_scores(self.blocks.nodes(), self.votes.own())
    }

    /// Spec: phase0/fork-choice.md, `get_attestation_score`, by the balances of the justified state. In Gwei.
    pub fn get_attestation_score(&self, node: ForkChoiceNode) -> Gwei {
        let place = self.blocks.place(&node.root);
        place.map_or(0, |place| self.scores()[place][node.payload_status as usize])
    }

    /// Spec: phase0/fork-choice.md, `get_proposer_score`. In Gwei.
    pub fn get_proposer_score(&self) -> Gwei {
        self.justified
            .calculate_committee_fraction(self.config.proposer_score_boost)
    }

    /// The head. Spec: phase0/ and gloas/fork-choice.md, `get_head`.
    pub fn get_head(&self) -> ForkChoiceNode {
        let root = self.justified_checkpoint.root;
        let Some(mut place) = self.blocks.place(&root) else {
            return View::pending(root);
        };
        let tree = self.tree();
        loop {
            let status = self.choose_payload(place, &tree.weights[place]);
            match tree.best[place][status as usize] {
                Some(child) => place = child,
                None => return self.node_at(place, status),
            }
        }
    }

    /// The leaves of the filtered tree with their weights in Gwei, in the order in which the blocks came.
    ///
    /// Not in the spec; its vectors check it.
    pub fn viable_for_head_roots_and_weights(&self) -> Vec<(ForkChoiceNode, Gwei)> {
        let Some(start) = self.blocks.place(&self.justified_checkpoint.root) else {
            return Vec::new();
        };
        let (tree, blocks) = (self.tree(), self.blocks.nodes());
        let mut reached = vec![false; blocks.len()];
        let mut leaves = Vec::new();
        for (place, block) in blocks.iter().enumerate().skip(start) {
            let after = self.blocks.parent(place).is_some_and(|parent| reached[parent]);
            reached[place] = place == start || after && tree.viable[place];
            if !reached[place] {
                continue;
            }
            let sides: &[PayloadStatus] = match (block.separate_payload, block.payload_verified) {
                (false, _) => &[PayloadStatus::Pending],
                (true, false) => &[PayloadStatus::Empty],
                (true, true) => &[PayloadStatus::Empty, PayloadStatus::Full],
            };
            for side in sides.iter().filter(|side| tree.best[place][**side as usize].is_none()) {
                let weight = self.weight_of(block, *side, &tree.weights[place]);
                leaves.push((self.node_at(place, *side), weight));
            }
        }
        leaves
    }

    fn node_at(&self, place: usize, payload_status: PayloadStatus) -> ForkChoiceNode {
        ForkChoiceNode {
            root: self.blocks.nodes()[place].root,
            payload_status,
        }
    }

    /// The weight of a node, which is nothing while votes cannot have decided on its payload.
    ///
    /// Spec: gloas/fork-choice.md, `get_weight` and `is_previous_slot_payload_decision`.
    fn weight_of(&self, block: &Node, status: PayloadStatus, weight: &Weight) -> Gwei {
        if status != PayloadStatus::Pending && self.is_from_previous_slot(block) {
            0
        } else {
            weight[status as usize]
        }
    }

    pub(super) fn is_from_previous_slot(&self, block: &Node) -> bool {
        block.slot.saturating_add(1) == self.get_current_slot()
    }

    /// Which side of a block is heavier.
    ///
    /// Spec: gloas/fork-choice.md, `get_node_children` and `get_payload_status_tiebreaker`.
    fn choose_payload(&self, place: usize, weight: &Weight) -> PayloadStatus {
        let block = &self.blocks.nodes()[place];
        if !block.separate_payload {
            return PayloadStatus::Pending;
        }
        if !block.payload_verified {
            return PayloadStatus::Empty;
        }
        let full = if self.is_from_previous_slot(block) {
            self.should_extend_payload(&block.root)
        } else {
            weight[FULL] >= weight[EMPTY]
        };
        PayloadStatus::of(full)
    }

    fn tree(&self) -> Tree {
        let mut weights = self.scores();
        self.add_boost(&mut weights);
        let blocks = self.blocks.nodes();
        let mut best: Vec<[Option<usize>; 3]> = vec![[None; 3]; blocks.len()];
        let mut viable = self.viable_leaves();
        let mut has_children = vec![false; blocks.len()];
        let mut has_viable_child = vec![false; blocks.len()];
        for (place, block) in blocks.iter().enumerate().rev() {
            if has_children[place] {
                viable[place] = has_viable_child[place];
            }
            let Some(parent) = self.blocks.parent(place).filter(|_| !block.invalid) else {
                continue;
            };
            has_children[parent] = true;
            if !viable[place] {
                continue;
            }
            has_viable_child[parent] = true;
            let key = |place: usize| (weights[place][PENDING], blocks[place].root);
            let best = &mut best[parent][blocks[parent].side_of(block) as usize];
            if best.is_none_or(|other| key(place) > key(other)) {
                *best = Some(place);
            }
        }
        Tree { weights, best, viable }
    }

    /// Which blocks would be viable if they were leaves. Spec: phase0/fork-choice.md, `filter_block_tree`.
    fn viable_leaves(&self) -> Vec<bool> {
        let current_epoch = self.get_current_store_epoch();
        let (justified, finalized) = (self.justified_checkpoint, self.finalized_checkpoint);
        let finalized_slot = compute_start_slot_at_epoch(finalized.epoch);
        let mut after_finalized = vec![false; self.blocks.len()];
        let mut viable = Vec::with_capacity(self.blocks.len());
        for (place, block) in self.blocks.nodes().iter().enumerate() {
            // A child of the finalized block at or before the checkpoint's slot is on another chain.
            let after = self.blocks.parent(place).is_some_and(|parent| {
                after_finalized[parent]
                    && (self.blocks.nodes()[parent].root != finalized.root || block.slot > finalized_slot)
            });
            after_finalized[place] = after || block.root == finalized.root;
            let correct_finalized = finalized.epoch == GENESIS_EPOCH || after_finalized[place];
            let voting_source = voting_source(block, current_epoch);
            let correct_justified = justified.epoch == GENESIS_EPOCH
                || voting_source.epoch == justified.epoch
                || voting_source.epoch.saturating_add(2) >= current_epoch;
            viable.push(correct_justified && correct_finalized && !block.invalid);
        }
        viable
    }

    /// Adds the proposer score to the boosted block and the nodes it builds on.
    ///
    /// Spec: phase0/ and gloas/fork-choice.md, `get_weight`.
    fn add_boost(&self, weights: &mut [Weight]) {
        let Some(mut place) = self.blocks.place(&self.proposer_boost_root) else {
            return;
        };
        let blocks = self.blocks.nodes();
        if blocks[place].invalid || !self.should_apply_proposer_boost(weights) {
            return;
        }
        let score = self.get_proposer_score();
        weights[place][PENDING] += score;
        while let Some(parent) = self.blocks.parent(place) {
            let side = blocks[parent].side_of(&blocks[place]);
            if side != PayloadStatus::Pending {
                weights[parent][side as usize] += score;
            }
            weights[parent][PENDING] += score;
            place = parent;
        }
    }

    /// Whether the boosted block may have its boost. Before Gloas always. `scores` are those without boost.
    ///
    /// Spec: gloas/fork-choice.md, `should_apply_proposer_boost`.
    fn should_apply_proposer_boost(&self, scores: &[Weight]) -> bool {
        let blocks = self.blocks.nodes();
        let Some(place) = self.blocks.place(&self.proposer_boost_root) else {
            return false;
        };
        let block = &blocks[place];
        if !block.separate_payload {
            return true;
        }
        let Some(parent_place) = self.blocks.parent(place) else {
            return true;
        };
        let parent = &blocks[parent_place];
        // Apply the boost if the parent is not from the previous slot, or is not weak.
        if parent.slot + 1 < block.slot || !self.is_weak(parent, scores[parent_place][PENDING]) {
            return true;
        }
        // Else only if there are no early equivocations of the parent.
        let is_early_equivocation = |other: &Node| {
            other.block_timeliness[PTC_TIMELINESS_INDEX]
                && other.proposer_index == parent.proposer_index
                && other.slot + 1 == block.slot
                && other.root != parent.root
        };
        !blocks.iter().any(is_early_equivocation)
    }

    /// The block of the head. Spec: `get_head(store).root`.
    pub fn head_root(&self) -> Root {
        self.get_head().root
    }
}
