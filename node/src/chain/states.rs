//! States that were moved on to a later slot than their block's: kept for a while, since whoever asks for one seldom is
//! the only one.

use super::snapshot::Snapshot;
use consensus::transition::process_slots;
use consensus::types::{Root, Slot};
use consensus::{Invalid, State, ensure};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many states are kept. Those of one chain share nearly everything; two chains at two slots are four.
const STATES_MAX: usize = 4;

/// How far a state is moved on for somebody: an epoch of a large registry costs a quarter of a second, and nobody has
/// business further from the head than the two epochs that duties are told for, but after a long silence of all proposers.
const SLOTS_AHEAD_MAX: u64 = 8192;

/// A small store of states by block and slot, oldest first.
#[derive(Debug, Default)]
pub struct States {
    kept: Mutex<VecDeque<(Root, Arc<State>)>>,
}

impl States {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Root, Arc<State>)>> {
        // Nothing that may panic happens under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, root: Root, slot: Slot) -> Option<Arc<State>> {
        let kept = self.lock();
        let mut found = kept.iter().filter(|(of, state)| *of == root && state.slot == slot);
        found.next().map(|(_, state)| Arc::clone(state))
    }

    /// The state if it need not be computed.
    pub fn at_hand(&self, snapshot: &Snapshot, root: Root, slot: Slot) -> Option<Arc<State>> {
        let block = snapshot.block(&root)?;
        if block.state.slot >= slot {
            return Some(Arc::clone(&block.state));
        }
        let ahead = &snapshot.ahead;
        if ahead.root == root && ahead.state.slot == slot {
            return Some(Arc::clone(&ahead.state));
        }
        self.kept(root, slot)
    }

    /// The state, computed where it is not at hand. A transition: for workers.
    pub fn compute(&self, snapshot: &Snapshot, root: Root, slot: Slot) -> Result<Arc<State>, Invalid> {
        if let Some(state) = self.at_hand(snapshot, root, slot) {
            return Ok(state);
        }
        let block = snapshot.block(&root);
        let block = block.ok_or_else(|| Invalid::new("block known", format!("{root} is not, or is finalized")))?;
        let ahead = &snapshot.ahead;
        let start = if ahead.root == root && ahead.state.slot < slot {
            &ahead.state
        } else {
            &block.state
        };
        ensure!(
            slot - start.slot <= SLOTS_AHEAD_MAX,
            "slot",
            "{slot} is too far from the state of slot {}",
            start.slot
        );
        let mut state = State::clone(start);
        process_slots(&mut state, snapshot.view.config(), slot)?;
        let state = Arc::new(state);
        let mut kept = self.lock();
        if kept.len() >= STATES_MAX {
            kept.pop_front();
        }
        kept.push_back((root, Arc::clone(&state)));
        Ok(state)
    }
}
