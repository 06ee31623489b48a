//! Whether a block belongs where it claims to.

use crate::helpers::accessors::{get_beacon_proposer_index, validator};
use crate::ssz::{Root, Ssz};
use crate::state::State;
use crate::types::{BeaconBlock, BeaconBlockHeader};
use crate::{Invalid, ensure};

/// Spec: phase0/beacon-chain.md, `process_block_header`.
pub fn process_block_header(state: &mut State, block: &BeaconBlock) -> Result<(), Invalid> {
    let (slot, latest) = (state.slot, state.latest_block_header.slot);
    ensure!(block.slot == slot, "block slot", "block {}, state {slot}", block.slot);
    ensure!(
        block.slot > latest,
        "block newer than parent",
        "block {}, parent {latest}",
        block.slot
    );
    let proposer_index = get_beacon_proposer_index(state)?;
    ensure!(
        block.proposer_index == proposer_index,
        "block proposer",
        "computed {proposer_index}, in block {}",
        block.proposer_index
    );
    let parent_root = state.latest_block_header.hash_tree_root(state.at);
    ensure!(
        block.parent_root == parent_root,
        "block parent root",
        "computed {parent_root}, in block {}",
        block.parent_root
    );
    state.latest_block_header = BeaconBlockHeader {
        slot: block.slot,
        proposer_index: block.proposer_index,
        parent_root: block.parent_root,
        // Overwritten in the next `process_slot`.
        state_root: Root::ZERO,
        body_root: block.body.hash_tree_root(state.at),
    };
    let slashed = validator(state, block.proposer_index)?.slashed;
    ensure!(!slashed, "block proposer slashed", "validator {}", block.proposer_index);
    Ok(())
}
