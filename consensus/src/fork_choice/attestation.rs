//! Votes and proofs of voting twice.

use super::action::AttestationAction;
use super::node::Node;
use super::store::{CheckpointState, Stopped, Store, View};
use crate::fork::Fork;
use crate::helpers::accessors::get_indexed_attestation;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::helpers::predicates::is_slashable_attestation_data;
use crate::helpers::votes::{is_valid_attestation, is_valid_indexed_attestation};
use crate::signing::Context;
use crate::types::ValidatorIndex;
use crate::types::{Attestation, AttestationData, AttesterSlashing, Checkpoint, IndexedAttestation, Root, Slot};
use crate::{Invalid, ensure};
use std::sync::Arc;

/// Equal votes of some validators, to be entered.
#[derive(Clone, Debug)]
pub struct ValidAttestation {
    /// The voters, ascending.
    pub attesting_indices: Vec<ValidatorIndex>,
    beacon_block_root: Root,
    slot: u32,
    payload_present: bool,
    by_epoch: bool,
    target: Checkpoint,
    target_state: Arc<CheckpointState>,
}

/// A cheap check has ended the matter.
type Early = Box<AttestationAction>;

impl View {
    /// Checks an attestation, with its signature unless the context trusts it. Those in a valid block
    /// (`is_from_block`) may be older.
    ///
    /// Spec: phase0/fork-choice.md, `on_attestation`.
    pub fn validate_attestation(
        &self,
        ctx: &mut Context,
        attestation: &Attestation,
        is_from_block: bool,
    ) -> AttestationAction {
        if let Err(action) = self.validate_on_attestation(&attestation.data, is_from_block) {
            return *action;
        }
        self.validate_voters(ctx, attestation)
    }

    /// The second half of `validate_attestation`: who voted, and the signature. For a vote that `DelayUntilSlot` put off,
    /// which is the last check of the first half for all but votes from a future epoch: its voters need not be worked out
    /// again when its time has come.
    ///
    /// Spec: phase0/fork-choice.md, `on_attestation`, from `store_target_checkpoint_state` on.
    pub fn validate_voters(&self, ctx: &mut Context, attestation: &Attestation) -> AttestationAction {
        match self.check_voters(ctx, attestation) {
            Ok(valid) => AttestationAction::Accept(valid),
            Err(Stopped::Wrong(why)) => AttestationAction::Reject(why),
            Err(Stopped::State(root)) => AttestationAction::DelayUntilState(root),
        }
    }

    fn check_voters(&self, ctx: &mut Context, attestation: &Attestation) -> Result<ValidAttestation, Stopped> {
        let target_state = self.compute_checkpoint_state(attestation.data.target)?;
        let indexed = get_indexed_attestation(&target_state.state, attestation)?;
        is_valid_attestation(&target_state.state, ctx, attestation, &indexed.attesting_indices)?;
        ctx.verify_collected()?;
        Ok(self.vote_of(indexed, target_state)?)
    }

    fn vote_of(
        &self,
        indexed: IndexedAttestation,
        target_state: Arc<CheckpointState>,
    ) -> Result<ValidAttestation, Invalid> {
        let data = indexed.data;
        let fork = self.config.fork_at_epoch(compute_epoch_at_slot(data.slot));
        let too_late = |_| Invalid::new("attestation slot", format!("{} is beyond 32 bits", data.slot));
        Ok(ValidAttestation {
            attesting_indices: indexed.attesting_indices,
            beacon_block_root: data.beacon_block_root,
            slot: u32::try_from(data.slot).map_err(too_late)?,
            payload_present: fork >= Fork::Gloas && data.index == 1,
            by_epoch: fork < Fork::Gloas,
            target: data.target,
            target_state,
        })
    }

    /// Spec: phase0/ and gloas/fork-choice.md, `validate_on_attestation`.
    fn validate_on_attestation(&self, data: &AttestationData, is_from_block: bool) -> Result<(), Early> {
        let reject = |rule, detail| Box::new(AttestationAction::Reject(Invalid::new(rule, detail)));
        if !is_from_block {
            self.validate_target_epoch_against_current_time(data)?;
        }
        let (target, epoch) = (data.target, compute_epoch_at_slot(data.slot));
        if target.epoch != epoch {
            let detail = format!("target epoch {}, slot {} is in {epoch}", target.epoch, data.slot);
            return Err(reject("attestation target epoch", detail));
        }
        let known = |root: Root| {
            let unknown = || Box::new(AttestationAction::DelayUntilBlock(root));
            self.blocks.get(&root).ok_or_else(unknown)
        };
        known(target.root)?;
        let block = known(data.beacon_block_root)?;
        if block.slot > data.slot {
            let detail = format!("block of slot {}, vote of slot {}", block.slot, data.slot);
            return Err(reject("attested block slot", detail));
        }
        if self.config.fork_at_epoch(epoch) >= Fork::Gloas {
            check_payload_vote(block, data)?;
        }
        let checkpoint_block = self.blocks.get_checkpoint_block(&data.beacon_block_root, target.epoch);
        if checkpoint_block != Some(target.root) {
            let detail = format!("target {}, of the block {checkpoint_block:?}", target.root);
            return Err(reject("attestation target", detail));
        }
        let counts_from: Slot = data.slot.saturating_add(1);
        if self.get_current_slot() < counts_from {
            return Err(Box::new(AttestationAction::DelayUntilSlot(counts_from)));
        }
        Ok(())
    }

    /// Spec: phase0/fork-choice.md, `validate_target_epoch_against_current_time`.
    fn validate_target_epoch_against_current_time(&self, data: &AttestationData) -> Result<(), Early> {
        let (target, current) = (data.target.epoch, self.get_current_store_epoch());
        if target > current {
            return Err(Box::new(AttestationAction::DelayUntilSlot(data.slot.saturating_add(1))));
        }
        if target < current.saturating_sub(1) {
            let detail = format!("target epoch {target}, current {current}");
            return Err(Box::new(AttestationAction::Ignore(Invalid::new(
                "attestation age",
                detail,
            ))));
        }
        Ok(())
    }

    /// Checks a proof of voting twice; returns those who did.
    ///
    /// Spec: phase0/fork-choice.md, `on_attester_slashing`.
    pub fn validate_attester_slashing(
        &self,
        ctx: &mut Context,
        attester_slashing: &AttesterSlashing,
    ) -> Result<Vec<ValidatorIndex>, Invalid> {
        let (first, second) = (&attester_slashing.attestation_1, &attester_slashing.attestation_2);
        ensure!(
            is_slashable_attestation_data(&first.data, &second.data),
            "slashable attestation data",
            "{:?} and {:?}",
            first.data,
            second.data
        );
        // Where the state after the justified block is not kept, that of the checkpoint knows the same validators.
        let state = self.states.get(&self.justified_checkpoint.root);
        let state = state.unwrap_or(&self.justified.state);
        is_valid_indexed_attestation(state, ctx, first)?;
        is_valid_indexed_attestation(state, ctx, second)?;
        ctx.verify_collected()?;
        // Both ascend.
        let twice = first.attesting_indices.iter().copied();
        Ok(twice
            .filter(|index| second.attesting_indices.binary_search(index).is_ok())
            .collect())
    }
}

impl Store {
    /// Enters votes. False if their block has gone meanwhile.
    ///
    /// Spec: phase0/ and gloas/fork-choice.md, `update_latest_messages`.
    pub fn apply_attestation(&mut self, attestation: &ValidAttestation) -> bool {
        let Some(place) = self.blocks.place(&attestation.beacon_block_root) else {
            return false;
        };
        self.keep_checkpoint_state(attestation.target, Arc::clone(&attestation.target_state));
        for index in &attestation.attesting_indices {
            self.votes.update(
                self.view.blocks.nodes(),
                *index,
                attestation.slot,
                place,
                attestation.payload_present,
                attestation.by_epoch,
            );
        }
        true
    }

    /// Takes away the voice of those who voted twice.
    pub fn apply_attester_slashing(&mut self, indices: &[ValidatorIndex]) {
        for index in indices {
            self.votes.exclude(self.view.blocks.nodes(), *index);
        }
    }
}

/// The index says whether the payload is there. Spec: gloas/fork-choice.md, `validate_on_attestation`.
fn check_payload_vote(block: &Node, data: &AttestationData) -> Result<(), Early> {
    let same_slot = block.slot == data.slot;
    if data.index > 1 || same_slot && data.index != 0 {
        let detail = format!(
            "{} for a block of slot {}, vote of slot {}",
            data.index, block.slot, data.slot
        );
        let why = Invalid::new("attestation payload index", detail);
        return Err(Box::new(AttestationAction::Reject(why)));
    }
    if data.index == 1 && !block.payload_verified {
        return Err(Box::new(AttestationAction::DelayUntilPayload(block.root)));
    }
    Ok(())
}
