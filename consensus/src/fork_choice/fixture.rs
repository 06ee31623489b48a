//! Stores of made-up blocks, for tests.

use super::node::{ExecutionStatus, Node};
use super::proto_array::ProtoArray;
use super::store::{CheckpointState, Store, View, empty_payload_votes};
use super::votes::{Votes, gwei};
use crate::ssz::Ssz;
use crate::types::{BeaconState, Checkpoint, Epoch, Hash32, Root, Slot};
use crate::{Config, Fork, State};
use std::collections::HashMap;
use std::sync::Arc;

/// The root of a block by its number.
pub(crate) fn root_of(number: u64) -> Root {
    let mut root = [0; 32];
    // Roots do not rise with the blocks, so that ties are decided both ways.
    root[..8].copy_from_slice(&(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Root::from(root)
}

/// A checkpoint.
pub(crate) fn checkpoint(epoch: u64, root: Root) -> Checkpoint {
    Checkpoint { epoch, root }
}

/// A block with a verified payload, on that of its parent.
pub(crate) fn block(fork: Fork, root: Root, parent_root: Root, slot: Slot) -> Node {
    Node {
        root,
        slot,
        proposer_index: 0,
        parent_root,
        state_root: Root::ZERO,
        parent: None,
        parent_full: true,
        separate_payload: fork >= Fork::Gloas,
        block_hash: Hash32::ZERO,
        parent_block_hash: Hash32::ZERO,
        payload_verified: true,
        execution: ExecutionStatus::Valid,
        invalid: false,
        current_justified_checkpoint: checkpoint(0, root_of(0)),
        unrealized_justification: checkpoint(0, root_of(0)),
        block_timeliness: [true, true],
        payload_votes: empty_payload_votes(fork),
        finalized_checkpoint: checkpoint(0, root_of(0)),
    }
}

/// A store of one block at slot 0 with validators of 32 increments each.
pub(crate) fn store(fork: Fork, validators: usize, current_slot: Slot) -> Store {
    let config = Config::standard().with_forks_at_genesis(fork);
    let state = Arc::new(State::new(fork, BeaconState::new(fork)));
    let justified = Arc::new(CheckpointState {
        state: Arc::clone(&state),
        total_active_balance: gwei(32 * validators as u64),
        balances: vec![32; validators].into(),
    });
    let anchor = checkpoint(0, root_of(0));
    let mut blocks = ProtoArray::default();
    blocks.insert(block(fork, root_of(0), Root::ZERO, 0)).unwrap();
    let votes = Votes::new(Arc::clone(&justified.balances));
    let view = View {
        time_ms: current_slot * config.slot_duration_ms,
        config: Arc::new(config),
        genesis_time: 0,
        justified_checkpoint: anchor,
        finalized_checkpoint: anchor,
        unrealized_justified_checkpoint: anchor,
        unrealized_finalized_checkpoint: anchor,
        proposer_boost_root: Root::ZERO,
        blocks,
        states: HashMap::from([(root_of(0), state)]),
        checkpoint_states: HashMap::from([(anchor, Arc::clone(&justified))]),
        justified,
    };
    Store { view, votes }
}

/// Enters a block as it is.
pub(crate) fn insert(store: &mut Store, node: Node) {
    store.view.blocks.insert(node).unwrap();
    store.votes.add_block();
}

/// Keeps `state` as that after the block.
pub(crate) fn keep(store: &mut Store, root: Root, state: State) {
    store.view.keep_state(root, Arc::new(state));
}

/// Keeps `state` as that of the checkpoint.
pub(crate) fn keep_checkpoint(store: &mut Store, checkpoint: Checkpoint, state: State) {
    store.keep_checkpoint_state(checkpoint, Arc::new(CheckpointState::new(Arc::new(state))));
}

/// Finalizes the block at the start of the epoch, and drops what does not descend from it.
pub(crate) fn finalize(store: &mut Store, epoch: Epoch, root: Root) {
    store.view.finalized_checkpoint = checkpoint(epoch, root);
    store.prune();
}

/// Enters the votes of the first `count` members of a block's payload committee.
pub(crate) fn vote_on_payload(store: &mut Store, root: Root, count: usize, timely: bool, available: bool) {
    let block = store.view.blocks.get_mut(&root).unwrap();
    let votes = block.payload_votes.as_deref_mut().unwrap();
    votes.timeliness[..count].fill(Some(timely));
    votes.data_availability[..count].fill(Some(available));
}
