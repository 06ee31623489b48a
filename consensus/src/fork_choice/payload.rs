//! Payloads that come in envelopes, and the votes of the committee that watches for them, from Gloas on.

use super::action::{EnvelopeAction, ExecutionVerdict, PayloadAttestationAction};
use super::node::{ExecutionStatus, Node};
use super::store::{Stopped, Store, View};
use crate::fork::Fork;
use crate::helpers::accessors::get_ptc;
use crate::helpers::votes::is_valid_indexed_payload_attestation;
use crate::preset::{DATA_AVAILABILITY_TIMELY_THRESHOLD, PAYLOAD_TIMELY_THRESHOLD};
use crate::signing::Context;
use crate::state::State;
use crate::transition::NewPayloadRequest;
use crate::transition::block::verify_execution_payload_envelope;
use crate::types::{
    ExecutionPayloadBid, Hash32, IndexedPayloadAttestation, PayloadAttestation, PayloadAttestationData,
    PayloadAttestationMessage, Root, SignedExecutionPayloadEnvelope, Slot, ValidatorIndex,
};
use crate::{Invalid, ensure};

/// An envelope that belongs to its block; its payload is still to be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidEnvelope {
    /// The block.
    pub beacon_block_root: Root,
}

/// Votes on the payload of a block, to be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidPayloadAttestation {
    /// What they say.
    pub data: PayloadAttestationData,
    /// The positions of the voters in the committee; none if the vote is about a slot that is not its block's.
    pub(super) positions: Vec<usize>,
}

/// All positions of these validators in the committee of the block's slot.
fn positions_of(state: &State, slot: Slot, voters: &[ValidatorIndex]) -> Result<Vec<usize>, Invalid> {
    let ptc = get_ptc(state, slot)?;
    let places = ptc.iter().enumerate().filter(|(_, member)| voters.contains(member));
    Ok(places.map(|(place, _)| place).collect())
}

impl View {
    /// Spec: gloas/fork-choice.md, `is_payload_verified`.
    pub fn is_payload_verified(&self, root: &Root) -> bool {
        self.blocks.get(root).is_some_and(|block| block.payload_verified)
    }

    /// The bid in a block whose state is kept; `None` before Gloas.
    pub fn bid(&self, root: &Root) -> Option<&ExecutionPayloadBid> {
        let state = self.states.get(root).filter(|state| state.at >= Fork::Gloas)?;
        Some(&state.latest_execution_payload_bid)
    }

    /// What is known of the payload with that hash; `None` if it was not seen. Costs a pass over the blocks.
    ///
    /// Of equivocating blocks that promise the same payload one that has it answers. What the oldest block kept rests on
    /// came before it and is trusted with it.
    pub fn payload_status_of(&self, block_hash: &Hash32) -> Option<ExecutionStatus> {
        let blocks = self.blocks.nodes();
        let holders = blocks.iter().filter(|block| block.block_hash == *block_hash);
        let status = holders
            .filter_map(Node::seen_payload)
            .min_by_key(|status| *status == ExecutionStatus::Invalidated);
        status.or_else(|| {
            let oldest = blocks.first()?;
            // A genesis block of Gloas has an empty bid: only its state knows the payload.
            let state = self.states.get(&oldest.root);
            let before = oldest.parent_block_hash == *block_hash
                || state.is_some_and(|state| state.at >= Fork::Gloas && state.latest_block_hash == *block_hash);
            before.then_some(ExecutionStatus::Valid)
        })
    }

    /// The gas limit of the payload with that hash, if it is here and the state after its block is kept. Costs a pass
    /// over the blocks.
    pub fn payload_gas_limit(&self, block_hash: &Hash32) -> Option<u64> {
        let blocks = self.blocks.nodes().iter().rev();
        let mut holders = blocks.filter(|block| block.payload_verified && block.block_hash == *block_hash);
        holders.find_map(|block| {
            let state = self.states.get(&block.root)?;
            Some(if block.separate_payload {
                // An envelope is valid only with the limit that its bid promised.
                state.latest_execution_payload_bid.gas_limit
            } else {
                state.latest_execution_payload_header.gas_limit
            })
        })
    }

    /// Whether the block's payload came in time, or whether it did not; neither may hold. False for an unknown block.
    ///
    /// Spec: gloas/fork-choice.md, `payload_timeliness`.
    pub fn payload_timeliness(&self, root: &Root, timely: bool) -> bool {
        self.blocks.get(root).is_some_and(|block| {
            let votes = block.payload_votes.as_deref().map(|votes| &*votes.timeliness);
            agreed(block, votes, timely, PAYLOAD_TIMELY_THRESHOLD)
        })
    }

    /// The same about blob data. Spec: gloas/fork-choice.md, `payload_data_availability`.
    pub fn payload_data_availability(&self, root: &Root, available: bool) -> bool {
        self.blocks.get(root).is_some_and(|block| {
            let votes = block.payload_votes.as_deref().map(|votes| &*votes.data_availability);
            agreed(block, votes, available, DATA_AVAILABILITY_TIMELY_THRESHOLD)
        })
    }

    /// Whether the payload of this block of the previous slot should be built on. False for an unknown block.
    ///
    /// Spec: gloas/fork-choice.md, `should_extend_payload`.
    pub fn should_extend_payload(&self, root: &Root) -> bool {
        if !self.is_payload_verified(root) {
            return false;
        }
        if self.payload_timeliness(root, true) && self.payload_data_availability(root, true) {
            return true;
        }
        // Else unless the boosted block builds on it and chooses empty.
        let boosted = self.blocks.get(&self.proposer_boost_root);
        boosted.is_none_or(|boosted| boosted.parent_root != *root || boosted.parent_full)
    }

    /// Checks an envelope against the state after its block; returns what the engine has to be asked too, if it is
    /// right. What it answers comes in with `EnvelopeAction::with_verdicts`.
    ///
    /// Spec: gloas/fork-choice.md, `on_execution_payload_envelope`.
    pub fn validate_execution_payload_envelope<'e>(
        &self,
        ctx: &mut Context,
        signed_envelope: &'e SignedExecutionPayloadEnvelope,
    ) -> (EnvelopeAction, Option<NewPayloadRequest<'e>>) {
        let beacon_block_root = signed_envelope.message.beacon_block_root;
        let Some(block) = self.blocks.get(&beacon_block_root) else {
            return (EnvelopeAction::DelayUntilBlock(beacon_block_root), None);
        };
        if !block.separate_payload {
            let detail = format!("for {beacon_block_root}, whose payload is in the block");
            return (EnvelopeAction::Reject(Invalid::new("envelope fork", detail)), None);
        }
        let Some(state) = self.states.get(&beacon_block_root) else {
            return (EnvelopeAction::DelayUntilBlock(beacon_block_root), None);
        };
        let verified = verify_execution_payload_envelope(state, ctx, signed_envelope);
        match verified.and_then(|request| ctx.verify_collected().map(|()| request)) {
            Ok(request) => (
                EnvelopeAction::Accept(ValidEnvelope { beacon_block_root }),
                Some(request),
            ),
            Err(why) => (EnvelopeAction::Reject(why), None),
        }
    }

    /// Checks one member's vote. From a block (`is_from_block`) its signature and slot have been checked.
    ///
    /// Spec: gloas/fork-choice.md, `on_payload_attestation_message`.
    pub fn validate_payload_attestation_message(
        &self,
        ctx: &mut Context,
        message: &PayloadAttestationMessage,
        is_from_block: bool,
    ) -> PayloadAttestationAction {
        let (data, index) = (message.data, message.validator_index);
        let Some(block) = self.blocks.get(&data.beacon_block_root) else {
            return PayloadAttestationAction::DelayUntilBlock(data.beacon_block_root);
        };
        if data.slot != block.slot {
            return PayloadAttestationAction::Ignore;
        }
        let Some(state) = self.states.get(&data.beacon_block_root) else {
            return PayloadAttestationAction::DelayUntilBlock(data.beacon_block_root);
        };
        match self.payload_vote(ctx, (block, state), message, is_from_block) {
            Ok(positions) => PayloadAttestationAction::Accept(ValidPayloadAttestation { data, positions }),
            Err(why) => PayloadAttestationAction::Reject(Invalid::new(
                why.rule,
                format!("{}, vote of validator {index} at slot {}", why.detail, data.slot),
            )),
        }
    }

    fn payload_vote(
        &self,
        ctx: &mut Context,
        (block, state): (&Node, &State),
        message: &PayloadAttestationMessage,
        is_from_block: bool,
    ) -> Result<Vec<usize>, Invalid> {
        let slot = message.data.slot;
        ensure!(
            block.payload_votes.is_some(),
            "payload vote fork",
            "its payload is in the block"
        );
        let positions = positions_of(state, slot, &[message.validator_index])?;
        ensure!(
            !positions.is_empty(),
            "payload committee member",
            "not in the committee"
        );
        if !is_from_block {
            let current = self.get_current_slot();
            ensure!(slot == current, "payload vote slot", "the current one is {current}");
            let indexed = IndexedPayloadAttestation {
                attesting_indices: vec![message.validator_index],
                data: message.data,
                signature: message.signature,
            };
            is_valid_indexed_payload_attestation(state, ctx, &indexed)?;
            ctx.verify_collected()?;
        }
        Ok(positions)
    }

    /// The votes in a block, whose transition has checked them. Spec: gloas/fork-choice.md, `notify_ptc_messages`.
    pub(super) fn payload_votes_of_block(
        &self,
        payload_attestations: &[PayloadAttestation],
    ) -> Result<Vec<ValidPayloadAttestation>, Stopped> {
        let mut votes = Vec::with_capacity(payload_attestations.len());
        for attestation in payload_attestations {
            let data = attestation.data;
            let block = self.blocks.get(&data.beacon_block_root);
            let Some(block) = block.filter(|block| block.slot == data.slot && block.payload_votes.is_some()) else {
                continue;
            };
            let ptc = get_ptc(self.need_state(&block.root)?, data.slot)?;
            let voted = ptc
                .iter()
                .zip(attestation.aggregation_bits.iter())
                .filter(|(_, bit)| *bit);
            let mut voters: Vec<ValidatorIndex> = voted.map(|(member, _)| *member).collect();
            voters.sort_unstable();
            // A member may stand in the committee twice and votes at all its positions.
            let members = ptc.iter().enumerate();
            let positions = members.filter(|(_, member)| voters.binary_search(member).is_ok());
            let positions = positions.map(|(place, _)| place).collect();
            votes.push(ValidPayloadAttestation { data, positions });
        }
        Ok(votes)
    }
}

impl Store {
    /// Enters a payload. `verdict` is the engine's, and one that was invalid takes back what it shows to be invalid
    /// too. False if the block has gone meanwhile.
    pub fn apply_execution_payload_envelope(&mut self, envelope: ValidEnvelope, verdict: ExecutionVerdict) -> bool {
        let Some(place) = self.blocks.place(&envelope.beacon_block_root) else {
            return false;
        };
        if let ExecutionVerdict::Invalid { latest_valid_hash } = verdict {
            self.view.blocks.invalidate(place, latest_valid_hash, true);
            return true;
        }
        if let Some(block) = self.view.blocks.get_mut(&envelope.beacon_block_root)
            && block.execution != ExecutionStatus::Invalidated
        {
            if !block.payload_verified {
                block.execution = ExecutionStatus::NotValidated;
            }
            block.payload_verified = true;
        }
        if verdict == ExecutionVerdict::Valid {
            self.view.blocks.mark_valid(place);
        }
        true
    }

    /// Enters votes on a payload. False if the block has gone meanwhile.
    pub fn apply_payload_attestation(&mut self, vote: &ValidPayloadAttestation) -> bool {
        let block = self.view.blocks.get_mut(&vote.data.beacon_block_root);
        let Some(votes) = block.and_then(|block| block.payload_votes.as_deref_mut()) else {
            return false;
        };
        for position in &vote.positions {
            if let Some(timeliness) = votes.timeliness.get_mut(*position) {
                *timeliness = Some(vote.data.payload_present);
            }
            if let Some(availability) = votes.data_availability.get_mut(*position) {
                *availability = Some(vote.data.blob_data_available);
            }
        }
        true
    }
}

/// Whether more than `threshold` of the votes say `answer`; a payload that is not here is not there, whatever they say.
fn agreed(block: &Node, votes: Option<&[Option<bool>]>, answer: bool, threshold: u64) -> bool {
    if !block.payload_verified {
        return !answer;
    }
    let Some(votes) = votes else { return answer };
    votes.iter().filter(|vote| **vote == Some(answer)).count() as u64 > threshold
}
