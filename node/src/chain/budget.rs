//! Which states after blocks stay in memory: as many as a number of bytes allows, those used last.
//!
//! States share nearly everything with the one that they came of, so none can be charged for its whole size. What a state
//! is charged for is what its block and, where one lies between, its epoch transition wrote anew (see [`charge`]). When a
//! state goes, what it alone shared with a state that came of it stays, so that one inherits the charge; the larger of
//! the two, not the sum, since both wrote mostly the same lists. The one whole state that all share is not counted: it
//! is there whatever is dropped.

use consensus::State;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::types::{Epoch, Root};
use std::collections::HashMap;

/// What a block writes whatever the registry: randao mix, roots, sync committee's balances and the paths to them.
const OF_BLOCK: usize = 256 << 10;

/// Bytes a block writes for every validator: the votes in it set flags all over both lists of participation, of which
/// each has a byte for everybody and as much again in hashes.
const OF_BLOCK_EACH: usize = 4;

/// Bytes that an epoch transition writes for every validator: a balance and a score (8 each), flags (2), half as much
/// again for hashes, the shuffling of one more epoch and the effective balances beside the state (6).
const OF_EPOCH_EACH: usize = 34;

/// States that stay whatever the limit: besides those that the fork choice needs, the last blocks that came, on which
/// the next ones build.
const LEAST: usize = 4;

struct Charge {
    parent: Root,
    bytes: usize,
    /// Counts uses, not time.
    used: u64,
}

/// The states that are kept, and what they are charged for.
pub(crate) struct Budget {
    limit: usize,
    kept: HashMap<Root, Charge>,
    bytes: usize,
    uses: u64,
}

/// What a state that came of one in `epoch_before` holds alone, in bytes, at most.
fn charge(state: &State, epoch_before: Epoch) -> usize {
    let validators = state.validators.len();
    let of_epoch = if compute_epoch_at_slot(state.slot) > epoch_before {
        validators * OF_EPOCH_EACH
    } else {
        0
    };
    OF_BLOCK + validators * OF_BLOCK_EACH + of_epoch
}

impl Budget {
    /// Nothing kept yet, `limit` bytes at most.
    pub(crate) fn new(limit: usize) -> Self {
        Budget {
            limit,
            kept: HashMap::new(),
            bytes: 0,
            uses: 0,
        }
    }

    /// How many states of checkpoints are kept for votes, besides those by which the choice goes: what half of the limit
    /// holds where each is an epoch transition of its own, at least those of two epochs, at most those of four branches.
    pub(crate) fn checkpoint_states(&self, validators: usize) -> usize {
        (self.limit / 2 / (validators * OF_EPOCH_EACH).max(1)).clamp(2, 8)
    }

    /// Bytes that the kept states are charged for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A state came that was made of its parent's, which thereby was used.
    pub(crate) fn enter(&mut self, root: Root, parent: Root, epoch_before: Epoch, state: &State) {
        self.uses += 2;
        if let Some(parent) = self.kept.get_mut(&parent) {
            parent.used = self.uses - 1;
        }
        let charge = Charge {
            parent,
            bytes: charge(state, epoch_before),
            used: self.uses,
        };
        self.bytes += charge.bytes;
        if let Some(old) = self.kept.insert(root, charge) {
            self.bytes -= old.bytes;
        }
    }

    /// What is to be dropped so that the rest is within the limit: the states used longest ago, but none of `needed`.
    pub(crate) fn shed(&mut self, needed: &[Root]) -> Vec<Root> {
        let mut dropped = Vec::new();
        while self.bytes > self.limit && self.kept.len() > LEAST {
            let others = self.kept.iter().filter(|(root, _)| !needed.contains(root));
            let oldest = others.min_by_key(|(_, charge)| charge.used).map(|(root, _)| *root);
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
            dropped.push(oldest);
        }
        dropped
    }

    /// Forgets what was pruned with finality.
    pub(crate) fn retain(&mut self, is_here: impl Fn(&Root) -> bool) {
        self.kept.retain(|root, _| is_here(root));
        self.bytes = self.kept.values().map(|charge| charge.bytes).sum();
    }

    fn remove(&mut self, root: &Root) {
        let Some(gone) = self.kept.remove(root) else { return };
        self.bytes -= gone.bytes;
        for child in self.kept.values_mut().filter(|child| child.parent == *root) {
            let inherited = child.bytes.max(gone.bytes);
            self.bytes += inherited - child.bytes;
            child.bytes = inherited;
            child.parent = gone.parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::Fork;
    use consensus::ssz::{Bytes, Ssz};
    use consensus::types::BeaconState;

    fn root(number: u8) -> Root {
        Bytes([number; 32])
    }

    #[test]
    fn the_states_used_longest_ago_go_and_their_charge_stays_with_what_came_of_them() {
        let state = State::new(Fork::Phase0, BeaconState::new(Fork::Phase0));
        let mut budget = Budget::new(6 * OF_BLOCK);
        for number in 1..=6 {
            budget.enter(root(number), root(number - 1), 0, &state);
            assert_eq!(budget.shed(&[]), []);
        }
        assert_eq!(budget.bytes(), 6 * OF_BLOCK);
        // The first is used once more, and the second needed.
        budget.enter(root(7), root(1), 0, &state);
        assert_eq!(budget.shed(&[root(2)]), [root(3)]);
        assert_eq!(budget.bytes(), 6 * OF_BLOCK);
        // A dear state that goes leaves its price to its child.
        budget.kept.get_mut(&root(4)).unwrap().bytes += 100;
        budget.bytes += 100;
        budget.limit = 5 * OF_BLOCK + 100;
        assert_eq!(budget.shed(&[root(2)]), [root(4)]);
        assert_eq!(budget.kept[&root(5)].bytes, OF_BLOCK + 100);
        assert_eq!(budget.kept[&root(5)].parent, root(2));
        budget.retain(|kept| *kept == root(5));
        assert_eq!(budget.bytes(), OF_BLOCK + 100);
        // The last ones stay whatever the limit.
        budget.limit = 0;
        assert_eq!(budget.shed(&[]), []);
    }
}
