//! The latest message of every validator, and what these weigh where they stand.
//!
//! A vote is eight bytes, and the weight it lends its block moves with it: a changed vote costs two additions, and the
//! weights of branches are summed when the head is asked for. Only new balances need a pass over all votes.

use super::node::{Node, PayloadStatus};
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::helpers::predicates::is_active_validator;
use crate::preset::EFFECTIVE_BALANCE_INCREMENT;
use crate::state::State;
use crate::types::{Gwei, Slot, ValidatorIndex};
use std::collections::HashSet;
use std::sync::Arc;

/// Effective balances in increments, by validator; zero for those who are inactive or slashed and so have no say. They
/// are whole increments of at most 2,048, so 16 bits hold them.
pub(super) type Balances = Arc<[u16]>;

/// The balances with which validators of a checkpoint state vote.
///
/// Spec: phase0/fork-choice.md, `unslashed_and_active_indices` in `get_attestation_score`.
pub(super) fn balances_of(state: &State) -> Balances {
    let epoch = get_current_epoch(state);
    let voters = state.validators.iter().map(|validator| {
        if is_active_validator(validator, epoch) && !validator.slashed {
            u16::try_from(validator.effective_balance / EFFECTIVE_BALANCE_INCREMENT).unwrap_or(u16::MAX)
        } else {
            0
        }
    });
    voters.collect()
}

/// Weight by `PayloadStatus`. What a node weighs by itself is kept in increments, sums over branches are in Gwei.
pub(super) type Weight = [u64; 3];

/// A validator's latest message. Spec: phase0/ and gloas/fork-choice.md, `LatestMessage`.
#[derive(Clone, Copy, Debug)]
struct Vote {
    /// The slot of the attestation; 32 bits last for 1,600 years.
    slot: u32,
    /// The place of the block, with `PRESENT` for a vote that its payload is there; or `NOWHERE`.
    block: u32,
}

const PRESENT: u32 = 1 << 31;
/// No block, or one that is no longer kept.
const NOWHERE: u32 = u32::MAX;

impl Vote {
    const NONE: Vote = Vote {
        slot: 0,
        block: NOWHERE,
    };

    fn place(self) -> Option<usize> {
        (self.block != NOWHERE).then_some((self.block & !PRESENT) as usize)
    }

    fn status(self, block: &Node) -> PayloadStatus {
        block.supported(self.slot.into(), self.block & PRESENT != 0)
    }
}

/// A latest message as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LatestMessage {
    /// The slot of the attestation.
    pub(super) slot: Slot,
    /// The place of the block.
    pub(super) place: usize,
}

/// All latest messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Votes {
    latest: Vec<Vote>,
    balances: Balances,
    /// What each block weighs by the votes for itself, in increments.
    own: Vec<Weight>,
    /// Spec: `equivocating_indices` of the `Store`. As many as validators at most.
    equivocating: HashSet<ValidatorIndex>,
}

impl Votes {
    /// No votes, with the balances of the first justified state and one block.
    pub(super) fn new(balances: Balances) -> Self {
        Votes {
            own: vec![[0; 3]],
            balances,
            ..Votes::default()
        }
    }

    /// A block came behind the others.
    pub(super) fn add_block(&mut self) {
        self.own.push([0; 3]);
    }

    /// What the blocks weigh by votes for themselves, in increments.
    pub(super) fn own(&self) -> &[Weight] {
        &self.own
    }

    /// The validators that voted twice.
    pub(super) fn equivocating(&self) -> &HashSet<ValidatorIndex> {
        &self.equivocating
    }

    /// Enters the vote of a validator unless it equivocated or has a vote as new. `place` is the block's. Before Gloas
    /// (`by_epoch`) votes of one epoch count as equally new.
    ///
    /// Spec: phase0/ and gloas/fork-choice.md, `update_latest_messages`.
    pub(super) fn update(
        &mut self,
        blocks: &[Node],
        index: ValidatorIndex,
        slot: u32,
        place: usize,
        payload_present: bool,
        by_epoch: bool,
    ) {
        if !self.equivocating.is_empty() && self.equivocating.contains(&index) {
            return;
        }
        // Attesting indices come from committees, so the registry bounds this.
        let index = index as usize;
        if index >= self.latest.len() {
            self.latest.resize(index + 1, Vote::NONE);
        }
        let old = self.latest[index];
        let newer = if by_epoch {
            compute_epoch_at_slot(slot.into()) > compute_epoch_at_slot(old.slot.into())
        } else {
            slot > old.slot
        };
        // A validator without a message has slot 0 and no place; one whose block was dropped keeps its slot.
        let is_first = old.slot == 0 && old.block == NOWHERE;
        if !newer && !is_first {
            return;
        }
        let present = if payload_present { PRESENT } else { 0 };
        let vote = Vote {
            slot,
            block: place as u32 | present,
        };
        self.latest[index] = vote;
        let balance = self.balance(index);
        self.withdraw(blocks, old, balance);
        self.own[place][vote.status(&blocks[place]) as usize] += balance;
    }

    /// Takes away the voice of a validator that voted twice. Spec: phase0/fork-choice.md, `on_attester_slashing`.
    pub(super) fn exclude(&mut self, blocks: &[Node], index: ValidatorIndex) {
        if !self.equivocating.insert(index) {
            return;
        }
        let place = index as usize;
        if let Some(vote) = self.latest.get_mut(place) {
            let old = std::mem::replace(vote, Vote::NONE);
            let balance = self.balance(place);
            self.withdraw(blocks, old, balance);
        }
    }

    fn balance(&self, index: usize) -> u64 {
        self.balances.get(index).copied().unwrap_or(0).into()
    }

    fn withdraw(&mut self, blocks: &[Node], vote: Vote, balance: u64) {
        if let Some(place) = vote.place() {
            self.own[place][vote.status(&blocks[place]) as usize] -= balance;
        }
    }

    /// Votes weigh by other balances from now on.
    pub(super) fn set_balances(&mut self, blocks: &[Node], balances: Balances) {
        self.own = self.weigh(blocks, &balances);
        self.balances = balances;
    }

    /// What the blocks would weigh by these balances, in increments.
    pub(super) fn weigh(&self, blocks: &[Node], balances: &[u16]) -> Vec<Weight> {
        let mut own = vec![[0; 3]; blocks.len()];
        for (vote, balance) in self.latest.iter().zip(balances) {
            if let Some(place) = vote.place() {
                own[place][vote.status(&blocks[place]) as usize] += u64::from(*balance);
            }
        }
        own
    }

    /// Follows the blocks to their new places; votes for dropped ones weigh nothing.
    pub(super) fn follow(&mut self, places: &[Option<u32>]) {
        for vote in &mut self.latest {
            if let Some(place) = vote.place() {
                vote.block = places[place].map_or(NOWHERE, |new| new | vote.block & PRESENT);
            }
        }
        let mut old = 0..places.len();
        self.own
            .retain(|_| old.next().is_some_and(|place| places[place].is_some()));
    }

    /// The message of a validator whose block is still there and who did not equivocate.
    pub(super) fn latest_message(&self, index: usize) -> Option<LatestMessage> {
        let vote = self.latest.get(index)?;
        vote.place().map(|place| LatestMessage {
            slot: vote.slot.into(),
            place,
        })
    }

    /// How many validators have ever voted, at most.
    pub(super) fn len(&self) -> usize {
        self.latest.len()
    }
}

/// Increments in Gwei.
pub(super) fn gwei(increments: u64) -> Gwei {
    increments * EFFECTIVE_BALANCE_INCREMENT
}
