//! Which state tells the committees of a vote, and whether the sync committee of a message is known for sure.
//!
//! The rules of gossip are given the head state. Its committees are those of all branches that have the block in common
//! that decides on them, the last one before the epoch before; a branch that is older has others. While a network that was
//! parted comes together again every honest vote from the other side would look wrong by the head state, and cost its
//! sender the peers that it is about to find.
//!
//! A sync committee is chosen a whole period before it begins, so that branches seldom have different ones, and nobody needs
//! signatures of a branch that is not the head's: where it may be another, the message is ignored.

use super::message::Message;
use super::snapshot::Snapshot;
use consensus::State;
use consensus::duties::compute_sync_committee_period;
use consensus::gossip::Verdict;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::preset::{EPOCHS_PER_SYNC_COMMITTEE_PERIOD, MIN_SEED_LOOKAHEAD};
use consensus::types::{AttestationData, Epoch, Root, Slot};
use std::sync::Arc;

/// What a message is for, as far as it decides on the committees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// A vote for this block, in this epoch.
    Vote(Root, Epoch),
    /// A sync committee's signature of this block, by the committee of this period.
    Sync(Root, u64),
}

/// Where the committees of a message stand.
#[derive(Clone, Debug)]
pub(super) struct Committees {
    /// What was asked; none for a message to which this does not matter.
    key: Option<Key>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// In the head state.
    Head,
    /// In this state, of another branch.
    Branch(Arc<State>),
    /// Nobody knows: the block is not here.
    Unseen,
    /// In a state that is not to be had, or not now.
    Unavailable,
}

/// The vote in a message.
fn vote_of(message: &Message) -> Option<&AttestationData> {
    match message {
        Message::SingleAttestation(vote, _) => Some(&vote.data),
        Message::Attestation(vote, _) => Some(&vote.data),
        Message::Aggregate(aggregate) => Some(&aggregate.message.aggregate.data),
        _ => None,
    }
}

impl Committees {
    /// Those of a message. `last` are those of the one before, which mostly votes for the same. May move a state on to
    /// another epoch, once for each branch and epoch: for workers.
    pub(super) fn of(snapshot: &Snapshot, message: &Message, last: Option<&Committees>) -> Self {
        let key = key_of(snapshot, message);
        if let Some(last) = last.filter(|last| last.key == key) {
            return last.clone();
        }
        let place = match key {
            Some(Key::Vote(root, epoch)) => place_of_vote(snapshot, root, epoch),
            Some(Key::Sync(root, period)) => place_of_sync(snapshot, root, period),
            None => Place::Head,
        };
        Committees { key, place }
    }

    /// The state that has them, or else the one that tells the rest.
    pub(super) fn state<'a>(&'a self, snapshot: &'a Snapshot) -> &'a State {
        match &self.place {
            Place::Branch(state) => state,
            Place::Head | Place::Unseen | Place::Unavailable => &snapshot.ahead.state,
        }
    }

    /// Whether that state has them for sure.
    pub(super) fn are_known(&self) -> bool {
        matches!(self.place, Place::Head | Place::Branch(_))
    }

    /// Whether they are those of the head.
    pub(super) fn are_of_head(&self) -> bool {
        matches!(self.place, Place::Head)
    }

    /// What becomes of a message that cannot be judged.
    pub(super) fn refusal(&self) -> Option<Verdict> {
        let refusal = Verdict::Ignore("the committees of its branch are not available");
        matches!(self.place, Place::Unavailable).then_some(refusal)
    }
}

/// What to ask for.
fn key_of(snapshot: &Snapshot, message: &Message) -> Option<Key> {
    let of_sync = |root, slot: Slot| {
        // The committee signs for the block of the slot after.
        let epoch = compute_epoch_at_slot(slot.saturating_add(1));
        Some(Key::Sync(root, compute_sync_committee_period(epoch)))
    };
    match message {
        Message::SyncMessage(message, _) => of_sync(message.beacon_block_root, message.slot),
        Message::Contribution(signed) => {
            let contribution = &signed.message.contribution;
            of_sync(contribution.beacon_block_root, contribution.slot)
        }
        _ => vote_of(message).and_then(|data| key_of_vote(snapshot, data)),
    }
}

/// None for a vote whose time makes the rules refuse it before its committee matters, so that nobody can have states made
/// for epochs long past.
fn key_of_vote(snapshot: &Snapshot, data: &AttestationData) -> Option<Key> {
    let (epoch, now) = (data.target.epoch, compute_epoch_at_slot(snapshot.current_slot()));
    let is_near = epoch.saturating_add(1) >= now && epoch <= now.saturating_add(1);
    let is_of_slot = compute_epoch_at_slot(data.slot) == epoch;
    (is_near && is_of_slot).then_some(Key::Vote(data.beacon_block_root, epoch))
}

/// Whether a block that is here and the one of the state at hand have what was decided before `start` in common.
fn shares_with_head(snapshot: &Snapshot, root: Root, start: Slot) -> bool {
    let (head, decided) = (snapshot.ahead.root, start.saturating_sub(1));
    // The state at hand may for a moment be of a block that is not kept any more, and then says nothing of the others.
    // Two ancestors that are both not kept are one: all that is kept has the finalized block in common.
    snapshot.block(&head).is_some() && snapshot.ancestor(root, decided) == snapshot.ancestor(head, decided)
}

fn place_of_vote(snapshot: &Snapshot, root: Root, epoch: Epoch) -> Place {
    if snapshot.block(&root).is_none() {
        return Place::Unseen;
    }
    // Spec: phase0/beacon-chain.md, `get_seed`: of the epoch before, as its first block found it.
    let decided = compute_start_slot_at_epoch(epoch.saturating_sub(MIN_SEED_LOOKAHEAD));
    if shares_with_head(snapshot, root, decided) {
        return Place::Head;
    }
    let start = compute_start_slot_at_epoch(epoch);
    let Some(target) = snapshot.ancestor(root, start) else {
        return Place::Unavailable;
    };
    match snapshot.states.compute_for_vote(snapshot, target, start) {
        Ok(state) => Place::Branch(state),
        Err(why) => {
            tracing::debug!(%root, epoch, %why, "votes for a branch cannot be judged");
            Place::Unavailable
        }
    }
}

fn place_of_sync(snapshot: &Snapshot, root: Root, period: u64) -> Place {
    // Spec: altair/beacon-chain.md, `process_sync_committee_updates`: chosen as the period before begins; altair/fork.md
    // chooses the first two.
    let chosen = period
        .saturating_sub(1)
        .saturating_mul(EPOCHS_PER_SYNC_COMMITTEE_PERIOD);
    let chosen = compute_start_slot_at_epoch(chosen.max(snapshot.view.config().altair_fork_epoch));
    let oldest = snapshot.view.blocks().nodes().first();
    let is_common = oldest.is_some_and(|oldest| oldest.slot.saturating_add(1) >= chosen);
    let is_known = if snapshot.block(&root).is_some() {
        shares_with_head(snapshot, root, chosen)
    } else {
        // All that has come since the oldest block kept has it in common, blocks that are not here among it.
        is_common && snapshot.block(&snapshot.ahead.root).is_some()
    };
    if is_known { Place::Head } else { Place::Unavailable }
}
