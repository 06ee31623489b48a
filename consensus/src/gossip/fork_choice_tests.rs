//! What Gloas' rules ask of the fork choice: the rules about its head, and what a view that has nothing else answers.

use super::{GossipView, PayloadValidationStatus, is_bid_compatible_with_head, is_valid_dependent_root};
use crate::fork::Fork;
use crate::fork_choice::fixture::{
    block, checkpoint, finalize, insert, keep, keep_checkpoint, root_of, store, vote_on_payload,
};
use crate::fork_choice::{ExecutionStatus, ForkChoiceNode, PayloadStatus, Store, View};
use crate::preset::{DATA_AVAILABILITY_TIMELY_THRESHOLD, PAYLOAD_TIMELY_THRESHOLD, SLOTS_PER_EPOCH};
use crate::ssz::{Bytes, Root, Ssz};
use crate::state::State;
use crate::types::{BeaconState, Checkpoint, Epoch, ExecutionPayloadBid, Hash32, Slot, ValidatorIndex};

const GLOAS: Fork = Fork::Gloas;
/// The slot of the head.
const SLOT: Slot = 20;
const GRANDPARENT_HASH: Hash32 = Bytes([1; 32]);
const PARENT_HASH: Hash32 = Bytes([2; 32]);
const HEAD_HASH: Hash32 = Bytes([3; 32]);

fn parent() -> Root {
    root_of(1)
}

fn head() -> Root {
    root_of(2)
}

/// A head on its parent's payload, both with payloads, and beside it another block on the parent.
fn chain() -> Store {
    let mut store = store(GLOAS, 1, SLOT + 1);
    let mut node = block(GLOAS, parent(), root_of(0), SLOT - 1);
    (node.block_hash, node.parent_block_hash) = (PARENT_HASH, GRANDPARENT_HASH);
    insert(&mut store, node);
    let mut node = block(GLOAS, head(), parent(), SLOT);
    (node.block_hash, node.parent_block_hash) = (HEAD_HASH, PARENT_HASH);
    insert(&mut store, node);
    insert(&mut store, block(GLOAS, root_of(3), parent(), SLOT));
    store
}

/// Whether a bid of `slot` on that block and payload fits to the head with that payload.
fn fits(view: &View, payload_status: PayloadStatus, slot: Slot, root: Root, hash: Hash32) -> bool {
    let head = ForkChoiceNode {
        root: head(),
        payload_status,
    };
    let bid = ExecutionPayloadBid {
        slot,
        parent_block_root: root,
        parent_block_hash: hash,
        ..ExecutionPayloadBid::default()
    };
    is_bid_compatible_with_head(view, head, &bid)
}

#[test]
fn is_bid_compatible_with_head_by_block_and_payload() {
    use PayloadStatus::{Empty, Full, Pending};
    let store = chain();
    let elsewhere = Bytes([9; 32]);
    for slot in [SLOT + 1, SLOT + 2] {
        let fits = |status, root, hash| fits(&store, status, slot, root, hash);
        // On the head: its payload where there is one, the payload before where there is none.
        assert!(fits(Full, head(), HEAD_HASH), "slot {slot}");
        assert!(!fits(Full, head(), PARENT_HASH), "slot {slot}");
        assert!(!fits(Empty, head(), HEAD_HASH), "slot {slot}");
        assert!(fits(Empty, head(), PARENT_HASH), "slot {slot}");
        for status in [Full, Empty] {
            // In the head's place: only on what the head itself is on.
            assert!(fits(status, parent(), PARENT_HASH), "slot {slot}");
            assert!(!fits(status, parent(), GRANDPARENT_HASH), "slot {slot}");
            assert!(!fits(status, parent(), HEAD_HASH), "slot {slot}");
            // On another block, whatever the payload.
            for hash in [HEAD_HASH, PARENT_HASH] {
                assert!(!fits(status, root_of(3), hash), "slot {slot}");
                assert!(!fits(status, root_of(0), hash), "slot {slot}");
            }
            assert!(!fits(status, head(), elsewhere), "slot {slot}");
        }
        // Undecided, which `get_head` never says of a block of Gloas.
        assert!(!fits(Pending, head(), HEAD_HASH) && !fits(Pending, head(), PARENT_HASH));
    }
    let unknown = ForkChoiceNode {
        root: root_of(9),
        payload_status: Full,
    };
    assert!(!is_bid_compatible_with_head(
        &store,
        unknown,
        &ExecutionPayloadBid::default()
    ));
}

/// A payload of the slot before that most of its committee found late, or its data missing, is left aside.
#[test]
fn is_bid_compatible_with_head_by_the_payload_committee() {
    let timely = PAYLOAD_TIMELY_THRESHOLD as usize;
    let available = DATA_AVAILABILITY_TIMELY_THRESHOLD as usize;
    let cases = [
        (timely, false, true, true),
        (timely + 1, false, true, false),
        (available, true, false, true),
        (available + 1, true, false, false),
        (timely + 1, true, true, true),
    ];
    for (count, is_timely, is_available, builds_on_full) in cases {
        let mut store = chain();
        vote_on_payload(&mut store, head(), count, is_timely, is_available);
        let on = |slot, hash| fits(&store, PayloadStatus::Full, slot, head(), hash);
        let case = format!("{count} votes for {is_timely}, {is_available}");
        assert_eq!(on(SLOT + 1, HEAD_HASH), builds_on_full, "{case}");
        assert_eq!(on(SLOT + 1, PARENT_HASH), !builds_on_full, "{case}");
        // Later the branch has decided.
        assert!(on(SLOT + 2, HEAD_HASH) && !on(SLOT + 2, PARENT_HASH), "{case}");
    }
}

/// In the first slot of Gloas the head still has its payload inside.
#[test]
fn a_bid_on_a_block_of_fulu_takes_its_payload() {
    let mut store = store(Fork::Fulu, 1, SLOT + 1);
    let mut node = block(Fork::Fulu, head(), root_of(0), SLOT);
    (node.block_hash, node.parent_block_hash) = (HEAD_HASH, PARENT_HASH);
    insert(&mut store, node);
    let on = |root, hash| fits(&store, PayloadStatus::Pending, SLOT + 1, root, hash);
    assert!(on(head(), HEAD_HASH) && !on(head(), PARENT_HASH));
    assert!(on(root_of(0), PARENT_HASH) && !on(root_of(0), HEAD_HASH));
}

#[test]
fn is_valid_dependent_root_on_some_branch() {
    const START: Slot = 2 * SLOTS_PER_EPOCH;
    let mut store = store(GLOAS, 1, START + 5);
    // 1 is the last before epoch 2 on one branch; 2 and 3 on another that goes on at once, 4 on one that ends.
    for (number, parent, slot) in [
        (1, 0, START - 3),
        (2, 1, START - 2),
        (3, 2, START - 1),
        (4, 0, START - 1),
        (5, 3, START),
        (6, 1, START + 1),
        (7, 6, START + 2),
    ] {
        insert(&mut store, block(GLOAS, root_of(number), root_of(parent), slot));
    }
    let is_valid = |head, root, epoch| is_valid_dependent_root(&store, &root_of(head), &root_of(root), epoch);
    assert!(is_valid(7, 1, 2), "block 6 follows");
    assert!(!is_valid(7, 2, 2), "only a block before the epoch follows");
    assert!(is_valid(7, 3, 2), "the epoch's first block follows");
    assert!(!is_valid(7, 0, 2), "only blocks before the epoch follow");
    assert!(!is_valid(7, 4, 2), "nothing follows, and it is not the head");
    assert!(is_valid(4, 4, 2), "something may follow the head");
    assert!(!is_valid(5, 5, 2), "a head in the epoch itself");
    assert!(!is_valid(7, 6, 2), "a block in the epoch itself");
    assert!(is_valid(5, 5, 3), "a head before a later epoch");
    assert!(!is_valid(5, 6, 3), "not the head, and no block of the later epoch");
    assert!(!is_valid(9, 9, 2), "an unknown block, be it the head");
}

/// A view that has the fork choice and no more than it must beside.
#[derive(Debug)]
struct Chain(Store);

impl GossipView for Chain {
    fn block_slot(&self, root: Root) -> Option<Slot> {
        self.0.blocks().get(&root).map(|block| block.slot)
    }

    fn is_valid_block(&self, root: Root) -> bool {
        self.0.blocks().get(&root).is_some()
    }

    fn payload_status(&self, _: Root) -> PayloadValidationStatus {
        PayloadValidationStatus::NotValidated
    }

    fn finalized_checkpoint(&self) -> Checkpoint {
        self.0.finalized_checkpoint()
    }

    fn checkpoint_block(&self, root: Root, epoch: Epoch) -> Option<Root> {
        self.0.blocks().get_checkpoint_block(&root, epoch)
    }

    fn proposer_index(&self, _: Root, _: Slot) -> Option<ValidatorIndex> {
        None
    }

    fn fork_choice(&self) -> Option<(&View, ForkChoiceNode)> {
        Some((&self.0, self.0.get_head()))
    }
}

#[test]
fn payloads_are_told_from_the_fork_choice() {
    use PayloadValidationStatus::{Invalidated, NotValidated, Valid};
    let mut store = store(GLOAS, 1, SLOT + 1);
    // Payload, whether it is here, what the engine said, whether the chain is invalid; what is known.
    let blocks = [
        (1, true, ExecutionStatus::Valid, false, Some(Valid)),
        (2, true, ExecutionStatus::NotValidated, false, Some(NotValidated)),
        (3, false, ExecutionStatus::NotValidated, false, None),
        (4, false, ExecutionStatus::Invalidated, false, Some(Invalidated)),
        (5, false, ExecutionStatus::NotValidated, true, Some(Invalidated)),
    ];
    for (number, payload_verified, execution, invalid, _) in blocks {
        let mut node = block(GLOAS, root_of(number), root_of(0), number);
        node.block_hash = Bytes([number as u8; 32]);
        (node.payload_verified, node.execution, node.invalid) = (payload_verified, execution, invalid);
        insert(&mut store, node);
    }
    // An equivocating block with the bid of block 1, whose payload has not come for it, and one with that of block 4.
    for (number, hash) in [(6, 1), (7, 4)] {
        let mut node = block(GLOAS, root_of(number), root_of(0), number);
        node.block_hash = Bytes([hash; 32]);
        (node.payload_verified, node.execution) = (number == 7, ExecutionStatus::NotValidated);
        insert(&mut store, node);
    }
    let chain = Chain(store);
    for (number, payload_verified, .., expected) in blocks {
        let hash = Bytes([number as u8; 32]);
        assert_eq!(chain.own_payload_status(root_of(number)), expected, "block {number}");
        assert_eq!(chain.is_payload_verified(root_of(number)), payload_verified);
        let of_hash = if number == 4 { Some(NotValidated) } else { expected };
        assert_eq!(chain.payload_status_of(hash), of_hash, "payload {number}");
    }
    assert_eq!(chain.own_payload_status(root_of(6)), None);
    assert_eq!(chain.own_payload_status(root_of(9)), None);
    assert_eq!(chain.payload_status_of(Bytes([9; 32])), None);
    assert!(!chain.is_payload_verified(root_of(9)));
}

/// The first blocks after the oldest one kept may rest on the payload before it.
#[test]
fn the_payload_before_the_oldest_block_is_known() {
    let mut store = store(GLOAS, 1, SLOT);
    let mut state = State::new(GLOAS, BeaconState::new(GLOAS));
    state.latest_block_hash = GRANDPARENT_HASH;
    keep(&mut store, root_of(0), state);
    // That of a later block says nothing of the sort.
    insert(&mut store, block(GLOAS, parent(), root_of(0), SLOT - 1));
    let mut state = State::new(GLOAS, BeaconState::new(GLOAS));
    state.latest_block_hash = PARENT_HASH;
    keep(&mut store, parent(), state);
    assert_eq!(store.payload_status_of(&GRANDPARENT_HASH), Some(ExecutionStatus::Valid));
    assert_eq!(store.payload_status_of(&PARENT_HASH), None);
    store.drop_state(&root_of(0));
    assert_eq!(store.payload_status_of(&GRANDPARENT_HASH), None);

    // Without the state its bid tells, of the oldest block alone.
    let mut store = chain();
    assert_eq!(store.payload_status_of(&GRANDPARENT_HASH), None);
    finalize(&mut store, 1, parent());
    assert_eq!(store.payload_status_of(&GRANDPARENT_HASH), Some(ExecutionStatus::Valid));
}

#[test]
fn bids_gas_limits_and_states_are_told_from_the_states_kept() {
    let mut store = chain();
    let mut of_head = State::new(GLOAS, BeaconState::new(GLOAS));
    of_head.slot = SLOT;
    of_head.latest_execution_payload_bid.gas_limit = 30;
    let mut of_parent = of_head.clone();
    of_parent.latest_execution_payload_bid.gas_limit = 20;
    of_parent.slot = SLOT - 1;
    keep(&mut store, head(), of_head);
    keep(&mut store, parent(), of_parent.clone());
    // One whose payload is not here.
    let mut absent = block(GLOAS, root_of(4), head(), SLOT + 1);
    (absent.block_hash, absent.payload_verified) = (Bytes([9; 32]), false);
    insert(&mut store, absent);
    keep(&mut store, root_of(4), of_parent.clone());
    // One of Fulu.
    let mut old = block(Fork::Fulu, root_of(5), root_of(0), 1);
    old.block_hash = Bytes([5; 32]);
    insert(&mut store, old);
    let mut of_old = State::new(Fork::Fulu, BeaconState::new(Fork::Fulu));
    of_old.latest_execution_payload_header.gas_limit = 10;
    keep(&mut store, root_of(5), of_old);
    let target = checkpoint(3, parent());
    let mut moved = of_parent;
    moved.slot = 3 * SLOTS_PER_EPOCH;
    keep_checkpoint(&mut store, target, moved);

    let chain = Chain(store);
    let limit_in_bid = |root| chain.bid(root).map(|bid| bid.gas_limit);
    assert_eq!(limit_in_bid(head()), Some(30));
    assert_eq!(limit_in_bid(parent()), Some(20));
    assert_eq!(limit_in_bid(root_of(3)), None, "no state kept");
    assert_eq!(limit_in_bid(root_of(5)), None, "no bid in a block of Fulu");
    assert_eq!(chain.payload_gas_limit(HEAD_HASH), Some(30));
    assert_eq!(chain.payload_gas_limit(PARENT_HASH), Some(20));
    assert_eq!(chain.payload_gas_limit(Bytes([5; 32])), Some(10));
    assert_eq!(chain.payload_gas_limit(Bytes([9; 32])), None, "not here");
    assert_eq!(chain.payload_gas_limit(Bytes([8; 32])), None, "unknown");
    assert_eq!(chain.block_state(head()).map(|state| state.slot), Some(SLOT));
    assert!(chain.block_state(root_of(3)).is_none());
    let of_target = chain.checkpoint_state(target).map(|state| state.slot);
    assert_eq!(of_target, Some(3 * SLOTS_PER_EPOCH));
    assert!(chain.checkpoint_state(checkpoint(2, parent())).is_none());
}

#[test]
fn the_dependent_root_is_told_from_the_fork_choice() {
    let mut store = store(GLOAS, 1, 2 * SLOTS_PER_EPOCH);
    for (number, slot) in [(1, SLOTS_PER_EPOCH - 1), (2, SLOTS_PER_EPOCH), (3, 2 * SLOTS_PER_EPOCH)] {
        insert(&mut store, block(GLOAS, root_of(number), root_of(number - 1), slot));
    }
    let chain = Chain(store);
    let dependent = |number, epoch| chain.shuffling_dependent_root(root_of(number), epoch);
    assert_eq!(dependent(3, 2), Some(root_of(1)));
    assert_eq!(dependent(3, 3), Some(root_of(2)));
    assert_eq!(dependent(3, 1), Some(Root::ZERO));
}
