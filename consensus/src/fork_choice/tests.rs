//! The choice over arrays against the spec's own way over nodes, on random trees; and what it costs.

use super::fixture::{block, checkpoint, insert, root_of, store};
use super::node::{ExecutionStatus, ForkChoiceNode, PayloadStatus};
use super::store::{Store, View, voting_source};
use super::votes::gwei;
use crate::Fork;
use crate::constants::GENESIS_EPOCH;
use crate::preset::SLOTS_PER_EPOCH;
use crate::types::{Gwei, Hash32, Root, Slot};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A generator of numbers that are random enough for trees.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// The messages as the spec keeps them: root, slot, payload present.
type Messages = HashMap<u64, (Root, Slot, bool)>;

/// Spec: `get_attestation_score`.
fn slow_score(store: &Store, messages: &Messages, node: ForkChoiceNode) -> Gwei {
    let votes = messages.values().filter(|(root, slot, present)| {
        let voted = store.blocks.get(root).unwrap();
        let supported = ForkChoiceNode {
            root: *root,
            payload_status: voted.supported(*slot, *present),
        };
        store.blocks.is_ancestor(supported, node)
    });
    gwei(32 * votes.count() as u64)
}

/// Spec: `get_weight`, with the boost in effect if there is one.
fn slow_weight(store: &Store, messages: &Messages, node: ForkChoiceNode) -> Gwei {
    let block = store.blocks.get(&node.root).unwrap();
    if node.payload_status != PayloadStatus::Pending && block.slot + 1 == store.get_current_slot() {
        return 0;
    }
    let boosted = View::pending(store.proposer_boost_root);
    let has_boost = store.blocks.get(&boosted.root).is_some() && store.blocks.is_ancestor(boosted, node);
    let boost = if has_boost { store.get_proposer_score() } else { 0 };
    slow_score(store, messages, node) + boost
}

/// Spec: `filter_block_tree`.
fn slow_filter(store: &Store, root: Root, viable: &mut Vec<Root>) -> bool {
    let children: Vec<Root> = store
        .blocks
        .nodes()
        .iter()
        .filter(|child| child.parent_root == root)
        .map(|child| child.root)
        .collect();
    let block = store.blocks.get(&root).unwrap();
    let (justified, finalized) = (store.justified_checkpoint, store.finalized_checkpoint);
    let is_viable = if children.is_empty() {
        let current_epoch = store.get_current_store_epoch();
        let source = voting_source(block, current_epoch).epoch;
        let correct_justified =
            justified.epoch == GENESIS_EPOCH || source == justified.epoch || source + 2 >= current_epoch;
        let ancestor = store.blocks.get_checkpoint_block(&root, finalized.epoch);
        correct_justified && (finalized.epoch == GENESIS_EPOCH || ancestor == Some(finalized.root))
    } else {
        let results: Vec<bool> = children
            .iter()
            .map(|child| slow_filter(store, *child, viable))
            .collect();
        results.contains(&true)
    };
    if is_viable {
        viable.push(root);
    }
    is_viable
}

/// Spec: gloas/fork-choice.md, `get_head`, which before Gloas is the same without halves.
fn slow_head(store: &Store, messages: &Messages) -> ForkChoiceNode {
    let mut viable = Vec::new();
    slow_filter(store, store.justified_checkpoint.root, &mut viable);
    let mut head = View::pending(store.justified_checkpoint.root);
    loop {
        let block = store.blocks.get(&head.root).unwrap();
        let mut children = Vec::new();
        if block.separate_payload && head.payload_status == PayloadStatus::Pending {
            for full in [false, true].into_iter().filter(|full| !full || block.payload_verified) {
                children.push(ForkChoiceNode {
                    root: head.root,
                    payload_status: PayloadStatus::of(full),
                });
            }
        } else {
            for root in &viable {
                let child = store.blocks.get(root).unwrap();
                let side = block.side_of(child);
                if child.parent_root == head.root && side == head.payload_status {
                    children.push(View::pending(*root));
                }
            }
        }
        let tiebreaker = |node: &ForkChoiceNode| match node.payload_status {
            PayloadStatus::Empty if block.slot + 1 == store.get_current_slot() => 1,
            PayloadStatus::Full if block.slot + 1 == store.get_current_slot() => {
                if store.should_extend_payload(&node.root) { 2 } else { 0 }
            }
            status => status as u8,
        };
        let key = |node: &ForkChoiceNode| (slow_weight(store, messages, *node), node.root, tiebreaker(node));
        match children.into_iter().max_by_key(key) {
            Some(child) => head = child,
            None => return head,
        }
    }
}

/// A random tree with votes, and a boost that applies for sure: its parent is not from the slot before it.
fn random_store(fork: Fork, random: &mut Random) -> (Store, Messages) {
    let validators = 40;
    let blocks = 2 + random.below(24);
    let current_slot = 2 * blocks;
    let mut store = store(fork, validators, current_slot);
    for number in 1..blocks {
        let parent = random.below(number).max(random.below(number));
        let slot = 2 * number - u64::from(number + 1 == blocks && random.below(2) == 0);
        let mut node = block(fork, root_of(number), root_of(parent), slot.max(1));
        node.parent_full = fork < Fork::Gloas || random.below(2) == 0;
        node.payload_verified = fork < Fork::Gloas || random.below(3) > 0;
        node.unrealized_justification = checkpoint(random.below(3), root_of(0));
        insert(&mut store, node);
    }
    store.view.justified_checkpoint.epoch = random.below(3);
    if random.below(2) == 0 {
        // A finalized block of some epoch, and the justified one on it.
        let finalized = root_of(random.below(blocks));
        let slot = store.blocks.get(&finalized).unwrap().slot;
        store.view.finalized_checkpoint = checkpoint(slot.div_ceil(SLOTS_PER_EPOCH), finalized);
        store.view.justified_checkpoint.root = finalized;
    }
    if random.below(2) == 0 {
        let boosted = root_of(1 + random.below(blocks - 1));
        let node = store.blocks.get(&boosted).unwrap();
        let parent = store.blocks.get(&node.parent_root).unwrap();
        if parent.slot + 1 < node.slot || fork < Fork::Gloas {
            store.view.proposer_boost_root = boosted;
        }
    }
    let mut messages = Messages::new();
    for _ in 0..120 {
        let (index, number) = (random.below(validators as u64), random.below(blocks));
        let voted = store.blocks.get(&root_of(number)).unwrap();
        let slot = (voted.slot + random.below(3)).max(1);
        let present = voted.payload_verified && slot > voted.slot && random.below(2) == 0;
        let message = (voted.root, slot, present);
        let newer = messages.get(&index).is_none_or(|(_, old, _)| slot > *old);
        if newer {
            messages.insert(index, message);
        }
        let nodes = store.view.blocks.nodes();
        store
            .votes
            .update(nodes, index, slot as u32, number as usize, present, false);
    }
    (store, messages)
}

#[test]
fn the_head_is_the_specs() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut full, mut empty, mut pending, mut boosted) = (0, 0, 0, 0);
    for round in 0..600 {
        let fork = if round % 2 == 0 { Fork::Fulu } else { Fork::Gloas };
        let (store, messages) = random_store(fork, &mut random);
        let head = store.get_head();
        assert_eq!(head, slow_head(&store, &messages), "round {round}");
        let node = ForkChoiceNode {
            root: head.root,
            payload_status: PayloadStatus::Pending,
        };
        assert_eq!(
            store.get_attestation_score(node),
            slow_score(&store, &messages, node),
            "round {round}"
        );
        boosted += u32::from(!store.proposer_boost_root.is_zero());
        match head.payload_status {
            PayloadStatus::Full => full += 1,
            PayloadStatus::Empty => empty += 1,
            PayloadStatus::Pending => pending += 1,
        }
    }
    assert_eq!(pending, 300, "a block before Gloas is one node");
    assert!(
        full > 20 && empty > 20 && boosted > 50,
        "{full} full, {empty} empty, {boosted} boosted"
    );
}

#[test]
fn pruning_changes_no_head() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut dropped = 0;
    for round in 0..300 {
        let fork = if round % 2 == 0 { Fork::Fulu } else { Fork::Gloas };
        let (mut store, _) = random_store(fork, &mut random);
        let head = store.get_head();
        dropped += store.prune();
        assert_eq!(store.get_head(), head, "round {round}");
        // New balances are summed from the votes themselves.
        let (nodes, balances) = (store.view.blocks.nodes(), vec![32; 40]);
        assert_eq!(store.votes.weigh(nodes, &balances), store.votes.own(), "round {round}");
    }
    assert!(dropped > 100, "only {dropped} blocks dropped");
}

#[test]
fn who_votes_twice_has_no_voice() {
    let mut store = store(Fork::Fulu, 4, 10);
    for number in 1..3 {
        insert(&mut store, block(Fork::Fulu, root_of(number), root_of(0), number));
    }
    for (index, place) in [(0, 1), (1, 1), (2, 2)] {
        store
            .votes
            .update(store.view.blocks.nodes(), index, 5, place, false, true);
    }
    assert_eq!(store.head_root(), root_of(1));
    store.apply_attester_slashing(&[0, 1]);
    assert_eq!(store.head_root(), root_of(2));
    store.votes.update(store.view.blocks.nodes(), 0, 9, 1, false, true);
    store.votes.update(store.view.blocks.nodes(), 1, 9, 1, false, true);
    assert_eq!(store.head_root(), root_of(2));
}

#[test]
fn an_invalid_payload_takes_back_what_is_after_the_latest_valid() {
    let mut store = store(Fork::Fulu, 4, 10);
    for number in 1..5u64 {
        let mut node = block(Fork::Fulu, root_of(number), root_of(number - 1), number);
        node.block_hash = Hash32::from([number as u8; 32]);
        node.execution = ExecutionStatus::NotValidated;
        insert(&mut store, node);
    }
    assert_eq!(store.head_root(), root_of(4));
    // A hash that is not in the chain says nothing of other blocks.
    store.apply_invalid_payload(&root_of(9), &root_of(4), Some(Hash32::from([77; 32])));
    assert_eq!(store.head_root(), root_of(4));
    store.apply_invalid_payload(&root_of(9), &root_of(4), Some(Hash32::from([2; 32])));
    assert_eq!(store.head_root(), root_of(2));
    // What was executed stays, whatever the engine says later.
    assert!(store.blocks.is_optimistic(&root_of(2)));
    assert!(store.apply_valid_payload(&root_of(2)));
    assert!(!store.blocks.is_optimistic(&root_of(1)));
    store.apply_invalid_payload(&root_of(2), &root_of(1), Some(Hash32::from([0; 32])));
    assert_eq!(store.head_root(), root_of(2));
}

/// The least time of some runs.
fn least(mut run: impl FnMut()) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        run();
        least = least.min(start.elapsed());
    }
    least
}

fn with_votes(validators: usize, blocks: u64) -> Store {
    let mut store = store(Fork::Fulu, validators, blocks + 100);
    for number in 1..blocks {
        let parent = number.saturating_sub(1 + number % 2);
        insert(&mut store, block(Fork::Fulu, root_of(number), root_of(parent), number));
    }
    vote(&mut store, validators, 1);
    store
}

/// Every validator votes anew.
fn vote(store: &mut Store, validators: usize, slot: u32) {
    let blocks = store.blocks.len();
    for index in 0..validators {
        let place = (index * 7 + slot as usize) % blocks;
        let nodes = store.view.blocks.nodes();
        store.votes.update(nodes, index as u64, slot, place, false, false);
    }
}

/// The head costs as much as there are blocks, whatever the number of votes; a changed vote costs its own two additions.
#[test]
fn votes_cost_when_they_change_and_not_when_the_head_is_asked_for() {
    let (few, many, blocks) = (10_000, 1_000_000, 500);
    let (mut small, mut large) = (with_votes(few, blocks), with_votes(many, blocks));
    let head_of_few = least(|| assert!(!small.get_head().root.is_zero()));
    let head_of_many = least(|| assert!(!large.get_head().root.is_zero()));
    let mut slot = 1;
    let mut change = |store: &mut Store, validators| {
        least(|| {
            slot += 1;
            vote(store, validators, slot);
        })
    };
    let change_few = change(&mut small, few);
    let change_many = change(&mut large, many);
    println!(
        "head: {head_of_few:?} of {few} votes, {head_of_many:?} of {many}; change: {change_few:?}, {change_many:?}"
    );
    // Generous, since other work may run beside: a hundred times the votes may cost a hundred times as much to change
    // and nothing more to choose by.
    assert!(
        head_of_many < head_of_few * 10,
        "{head_of_many:?} against {head_of_few:?}"
    );
    assert!(
        change_many < change_few * 10_000,
        "{change_many:?} against {change_few:?}"
    );
}
