//! The pools as the node's parts share them: the chain thread enters what it accepted, workers take what they pack.
//!
//! A lock is held for an insertion or for the clone that a reader works on, never longer.

use super::{AttestationPool, Inserted, OperationPool, PoolVote, SyncCommitteePool, SyncVote};
use crate::chain::Message;
use consensus::types::Slot;
use consensus::{Fork, Invalid, State};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All pools.
#[derive(Debug, Default)]
pub struct Pools {
    attestations: Mutex<AttestationPool>,
    sync_committee: Mutex<SyncCommitteePool>,
    operations: Mutex<OperationPool>,
}

/// What a worker has made of a checked message for the pools.
#[derive(Debug)]
pub enum Entry {
    /// Votes of a committee.
    Vote(Box<PoolVote>),
    /// Signatures of a subcommittee.
    Sync(Box<SyncVote>),
    /// The message itself, as the rules of this fork found it.
    Operation(Fork),
}

impl Entry {
    /// Prepares a checked message. `state` is the one that it was checked with.
    pub fn of(message: &Message, state: &State) -> Result<Self, Invalid> {
        let vote = |vote: PoolVote| Entry::Vote(Box::new(vote));
        let sync = |vote: SyncVote| Entry::Sync(Box::new(vote));
        Ok(match message {
            Message::SingleAttestation(single, _) => vote(PoolVote::of_single(state, single)?),
            Message::Attestation(attestation, _) => vote(PoolVote::of_attestation(state, attestation)?),
            Message::Aggregate(aggregate) => vote(PoolVote::of_attestation(state, &aggregate.message.aggregate)?),
            Message::SyncMessage(message, _) => sync(SyncVote::of_message(state, message)?),
            Message::Contribution(contribution) => sync(SyncVote::of_contribution(&contribution.message.contribution)?),
            Message::VoluntaryExit(_)
            | Message::ProposerSlashing(_)
            | Message::AttesterSlashing(_)
            | Message::BlsToExecutionChange(_) => Entry::Operation(state.at),
        })
    }
}

fn lock<T>(pool: &Mutex<T>) -> MutexGuard<'_, T> {
    // Pools check what they are given before they change, so a panic leaves them whole.
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pools {
    /// Empty pools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a checked message.
    pub fn insert(&self, entry: &Entry, message: &Message) -> Inserted {
        let fork = match entry {
            Entry::Vote(vote) => return lock(&self.attestations).insert(vote),
            Entry::Sync(vote) => return lock(&self.sync_committee).insert(vote),
            Entry::Operation(fork) => *fork,
        };
        let mut operations = lock(&self.operations);
        match message {
            Message::VoluntaryExit(exit) => operations.insert_voluntary_exit(exit.clone(), fork),
            Message::ProposerSlashing(slashing) => operations.insert_proposer_slashing(slashing.as_ref().clone(), fork),
            Message::AttesterSlashing(slashing) => operations.insert_attester_slashing(slashing.as_ref().clone(), fork),
            Message::BlsToExecutionChange(change) => {
                operations.insert_bls_to_execution_change(change.as_ref().clone(), fork)
            }
            // Their entries are votes.
            _ => Inserted::Known,
        }
    }

    /// The votes, to read or pack; cheap.
    pub fn attestations(&self) -> AttestationPool {
        lock(&self.attestations).clone()
    }

    /// The sync committee's signatures; cheap.
    pub fn sync_committee(&self) -> SyncCommitteePool {
        lock(&self.sync_committee).clone()
    }

    /// The operations; cheap.
    pub fn operations(&self) -> OperationPool {
        lock(&self.operations).clone()
    }

    /// Forgets what is too old for a block of `slot` or later.
    pub fn prune(&self, slot: Slot) {
        lock(&self.attestations).prune(slot);
        lock(&self.sync_committee).prune(slot);
    }

    /// Forgets operations that the finalized state has no use for.
    pub fn prune_operations(&self, finalized: &State) {
        lock(&self.operations).prune(finalized);
    }
}
