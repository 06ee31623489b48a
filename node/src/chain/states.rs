//! States that had to be computed: those moved on to a later slot than their block's, and those of blocks whose state the
//! fork choice has dropped, which are made again from the nearest one that is kept, in memory or on disk. Kept for a
//! while, since whoever asks for one seldom is the only one.

use super::snapshot::Snapshot;
use consensus::fork_choice::View;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::Context;
use consensus::transition::{process_slots, state_transition};
use consensus::types::{Root, Slot};
use consensus::{Invalid, State, ensure};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storage::{StateId, Storage};

/// How many states are kept. Those of one chain share nearly everything; two chains at two slots are four.
const STATES_MAX: usize = 4;
/// How many of a large registry, of which each may be an epoch or two away from all others: 75 MB an epoch at 2.2 million.
const LARGE_STATES_MAX: usize = 2;
/// Validators of a large registry.
const LARGE: usize = 500_000;

/// How far a state is moved on for somebody: an epoch of a large registry costs a quarter of a second, and nobody has
/// business further from the head than the two epochs that duties are told for, but after a long silence of all proposers.
const SLOTS_AHEAD_MAX: u64 = 8192;

/// Blocks that are applied again for one state, at most. On disk there is a state of every 32nd epoch at least, along
/// the chain; a branch as long again may leave it.
const REPLAY_MAX: usize = 64 * SLOTS_PER_EPOCH as usize;

/// A state from disk shares nothing with those in memory and takes seconds with a large registry: it is read only where
/// the nearest in memory is further away than this many blocks, or than can be replayed.
const NEAR: usize = 8 * SLOTS_PER_EPOCH as usize;

/// States that one check may ask for one after the other: its parent's, and those of the two checkpoints that it may
/// justify.
const STATES_OF_CHECK: usize = 4;

/// How many states are made for votes in a slot: as many as are kept. Which committees judge a vote has to be known before
/// its signature is looked at, so that anybody can ask for the state of any branch. Two branches ask for two a slot beside
/// the head's, for this epoch and the one before; with more branches than are kept each would push out what the next asks
/// for, and every message cost a transition. What is beyond is ignored until the next slot.
fn made_for_votes_max(large: bool) -> usize {
    kept_max(large)
}

fn kept_max(large: bool) -> usize {
    if large { LARGE_STATES_MAX } else { STATES_MAX }
}

/// How many states were made for votes in a slot.
#[derive(Debug, Default)]
struct Allowance {
    slot: Slot,
    made: usize,
}

impl Allowance {
    /// Whether one more may be made at `slot`, which then counts, whatever comes of it.
    fn take(&mut self, slot: Slot, most: usize) -> bool {
        if slot > self.slot {
            *self = Allowance { slot, made: 0 };
        }
        let allowed = self.made < most;
        self.made += usize::from(allowed);
        allowed
    }
}

/// A small store of states by block and slot, oldest first.
#[derive(Debug, Default)]
pub struct States {
    kept: Mutex<VecDeque<(Root, Arc<State>)>>,
    for_votes: Mutex<Allowance>,
    /// Where blocks and states are read again; without one nothing is made again.
    storage: Option<Storage>,
}

impl States {
    /// Nothing kept yet, with the database from which states are made again.
    pub fn new(storage: Storage) -> Self {
        States {
            kept: Mutex::default(),
            for_votes: Mutex::default(),
            storage: Some(storage),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Root, Arc<State>)>> {
        // Nothing that may panic happens under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, root: Root, slot: Slot) -> Option<Arc<State>> {
        let kept = self.lock();
        let mut found = kept.iter().filter(|(of, state)| *of == root && state.slot == slot);
        found.next().map(|(_, state)| Arc::clone(state))
    }

    fn keep(&self, root: Root, state: &Arc<State>) {
        let most = kept_max(state.validators.len() >= LARGE);
        let mut kept = self.lock();
        let old = (kept.len() >= most).then(|| kept.pop_front()).flatten();
        kept.push_back((root, Arc::clone(state)));
        drop(kept);
        // Outside of the lock: it may be the last one to hold a large state.
        drop(old);
    }

    /// Forgets all that are kept.
    pub(crate) fn forget(&self) {
        let kept = std::mem::take(&mut *self.lock());
        // Outside of the lock: large states take a while to free.
        drop(kept);
    }

    /// The state if it need not be computed.
    pub fn at_hand(&self, snapshot: &Snapshot, root: Root, slot: Slot) -> Option<Arc<State>> {
        let block = snapshot.block(&root)?;
        if block.slot >= slot {
            let after = snapshot.view.state(&root).map(Arc::clone);
            return after.or_else(|| self.kept(root, block.slot));
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
        let ahead = &snapshot.ahead;
        let start = if ahead.root == root && ahead.state.slot < slot {
            Arc::clone(&ahead.state)
        } else {
            self.after(snapshot, root)?
        };
        if start.slot >= slot {
            return Ok(start);
        }
        ensure!(
            slot - start.slot <= SLOTS_AHEAD_MAX,
            "slot",
            "{slot} is too far from the state of slot {}",
            start.slot
        );
        let mut state = State::clone(&start);
        process_slots(&mut state, snapshot.view.config(), slot)?;
        let state = Arc::new(state);
        self.keep(root, &state);
        Ok(state)
    }

    /// The same for a vote whose signature nobody has looked at yet: an error where so many were made in this slot that
    /// others have to wait. For workers.
    pub(super) fn compute_for_vote(&self, snapshot: &Snapshot, root: Root, slot: Slot) -> Result<Arc<State>, Invalid> {
        if let Some(state) = self.at_hand(snapshot, root, slot) {
            return Ok(state);
        }
        let most = made_for_votes_max(snapshot.head_state.validators.len() >= LARGE);
        let mut allowance = self.for_votes.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = allowance.take(snapshot.current_slot(), most);
        drop(allowance);
        ensure!(allowed, "states for votes", "{most} were made in this slot");
        self.compute(snapshot, root, slot)
    }

    /// The state after a block that the fork choice has, made again where it is not kept. For workers.
    pub fn after(&self, snapshot: &Snapshot, root: Root) -> Result<Arc<State>, Invalid> {
        let block = snapshot.block(&root);
        let block = block.ok_or_else(|| Invalid::new("block known", format!("{root} is not, or is finalized")))?;
        if let Some(state) = self.at_hand(snapshot, root, block.slot) {
            return Ok(state);
        }
        let state = self.replay(snapshot, root)?;
        self.keep(root, &state);
        Ok(state)
    }

    /// Runs a check on a snapshot's view; where it answers that it needs a state that is not kept, once more with that
    /// state. `needed` reads the answer. For workers.
    pub fn check<T>(
        &self,
        snapshot: &Snapshot,
        mut check: impl FnMut(&View) -> T,
        needed: impl Fn(&T) -> Option<Root>,
    ) -> Result<T, Invalid> {
        let mut answer = check(&snapshot.view);
        let Some(mut root) = needed(&answer) else {
            return Ok(answer);
        };
        let mut view = snapshot.view.clone();
        for _ in 0..STATES_OF_CHECK {
            view.keep_state(root, self.after(snapshot, root)?);
            answer = check(&view);
            match needed(&answer) {
                Some(next) => root = next,
                None => return Ok(answer),
            }
        }
        Err(Invalid::new(
            "states of a check",
            format!("more than {STATES_OF_CHECK}"),
        ))
    }

    /// Applies blocks from the database to the nearest state. Their signatures have been checked when they came.
    fn replay(&self, snapshot: &Snapshot, root: Root) -> Result<Arc<State>, Invalid> {
        let storage = self.storage.as_ref();
        let storage = storage.ok_or_else(|| Invalid::new("state kept", format!("the one after {root} is not")))?;
        let (mut state, blocks) = self.base(snapshot, storage, root)?;
        for root in blocks {
            let read = storage.block(&root);
            let read = read.map_err(|error| Invalid::new("block on disk", error.to_string()))?;
            let (_, block) = read.ok_or_else(|| Invalid::new("block on disk", format!("{root} is not")))?;
            let mut ctx = Context::trusting(snapshot.view.config(), &snapshot.keys);
            let (after, _) = state_transition(&state, &block, &mut ctx, true)?;
            state = Arc::new(after);
        }
        Ok(state)
    }

    /// The state to begin with, and the blocks from there to `root`, oldest first.
    fn base(&self, snapshot: &Snapshot, storage: &Storage, root: Root) -> Result<(Arc<State>, Vec<Root>), Invalid> {
        let failed = |error: storage::Error| Invalid::new("state on disk", error.to_string());
        let stored: HashMap<Root, StateId> = storage
            .states()
            .map_err(failed)?
            .into_iter()
            .map(|id| (id.block_root, id))
            .collect();
        let mut blocks = Vec::new();
        let mut on_disk = None;
        let mut next = root;
        loop {
            let block = snapshot.block(&next);
            let block = block.ok_or_else(|| Invalid::new("state kept", format!("none before block {root}")))?;
            let in_memory = self.at_hand(snapshot, next, block.slot);
            if on_disk.is_none() {
                let id = stored.get(&next).filter(|id| id.slot == block.slot);
                on_disk = id.map(|id| (*id, blocks.len()));
            }
            let disk_wins = on_disk.is_some() && blocks.len() > NEAR;
            if let (Some(state), false) = (in_memory, disk_wins) {
                ensure!(blocks.len() <= REPLAY_MAX, "replay", "{} blocks", blocks.len());
                blocks.reverse();
                return Ok((state, blocks));
            }
            if let (Some((id, count)), true) = (on_disk, disk_wins) {
                ensure!(count <= REPLAY_MAX, "replay", "{count} blocks");
                let state = storage.state(&id).map_err(failed)?;
                let mut state = state.ok_or_else(|| Invalid::new("state on disk", format!("{id:?} is not")))?;
                state.prepare();
                blocks.truncate(count);
                blocks.reverse();
                tracing::debug!(slot = id.slot, blocks = count, "a state is made again from disk");
                return Ok((Arc::new(state), blocks));
            }
            blocks.push(next);
            next = block.parent_root;
        }
    }
}

/// The epoch of a block in the fork choice; that of the state in question where it is not there.
pub(crate) fn epoch_of(snapshot: &View, root: &Root, otherwise: Slot) -> u64 {
    let block = snapshot.blocks().get(root);
    compute_epoch_at_slot(block.map_or(otherwise, |block| block.slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_states_are_made_for_votes_in_a_slot() {
        let mut allowance = Allowance::default();
        let most = made_for_votes_max(false);
        let mut taken = |slot| (0..20).filter(|_| allowance.take(slot, most)).count();
        assert_eq!(taken(0), most);
        assert_eq!(taken(7), most, "another slot has its own");
        assert_eq!(taken(7), 0);
        assert_eq!(
            taken(6),
            0,
            "a worker that still has an older snapshot gets none beside"
        );
        assert_eq!(taken(8), most);
    }
}
