//! Which state tells the committees of a vote.
//!
//! The rules of gossip are given the head state. Its committees are those of all branches that have the block in common
//! that decides on them, the last one before the epoch before; a branch that is older has others. While a network that was
//! parted comes together again every honest vote from the other side would look wrong by the head state, and cost its
//! sender the peers that it is about to find.

use super::message::Message;
use super::snapshot::Snapshot;
use consensus::State;
use consensus::gossip::Verdict;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::preset::MIN_SEED_LOOKAHEAD;
use consensus::types::{AttestationData, Epoch, Root};
use std::sync::Arc;

/// What a vote is for, as far as it decides on the committees.
type Key = (Root, Epoch);

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
    /// In a state that cannot be made again.
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
        let key = vote_of(message).and_then(|data| key_of(snapshot, data));
        let Some((root, epoch)) = key else {
            let place = Place::Head;
            return Committees { key, place };
        };
        if let Some(last) = last.filter(|last| last.key == key) {
            return last.clone();
        }
        let place = place(snapshot, root, epoch);
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

/// What to ask for; none for a vote whose time makes the rules refuse it before its committee matters, so that nobody
/// can have states made for epochs long past.
fn key_of(snapshot: &Snapshot, data: &AttestationData) -> Option<Key> {
    let (epoch, now) = (data.target.epoch, compute_epoch_at_slot(snapshot.current_slot()));
    let is_near = epoch.saturating_add(1) >= now && epoch <= now.saturating_add(1);
    let is_of_slot = compute_epoch_at_slot(data.slot) == epoch;
    (is_near && is_of_slot).then_some((data.beacon_block_root, epoch))
}

fn place(snapshot: &Snapshot, root: Root, epoch: Epoch) -> Place {
    if snapshot.block(&root).is_none() {
        return Place::Unseen;
    }
    // Spec: phase0/beacon-chain.md, `get_seed`: of the epoch before, as its first block found it.
    let decided = compute_start_slot_at_epoch(epoch.saturating_sub(MIN_SEED_LOOKAHEAD)).saturating_sub(1);
    // Two that are both not kept are one: all that is kept has the finalized block in common.
    if snapshot.ancestor(root, decided) == snapshot.ancestor(snapshot.ahead.root, decided) {
        return Place::Head;
    }
    let start = compute_start_slot_at_epoch(epoch);
    let Some(target) = snapshot.ancestor(root, start) else {
        return Place::Unavailable;
    };
    match snapshot.states.compute(snapshot, target, start) {
        Ok(state) => Place::Branch(state),
        Err(why) => {
            tracing::debug!(%root, epoch, %why, "votes for a branch cannot be judged");
            Place::Unavailable
        }
    }
}
