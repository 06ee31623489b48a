//! What may be passed on: one pure function per topic, with the rules in the specs' order and the specs' reasons.
//!
//! Up to Fulu each follows the spec function of its name; Gloas' topics and the light client's follow the specs' lists.
//! The functions change nothing. A worker runs one with a [`Gossip`] of its own, [`Gossip::finish`] checks the signatures
//! that were collected, and the owner of [`Seen`] enters the marks that the function left:
//!
//! ```text
//! let verdict = validate_beacon_block_gossip(&mut gossip, &block);   // worker, rules; signatures verified or collected
//! let verdict = gossip.finish(verdict);                              // worker, the batch of signatures
//! seen.settle(verdict, gossip.marks)                                   // owner of Seen: an Accept becomes final here
//! ```
//!
//! With collected signatures a rule that stands behind a signature is judged before it. The verdict is the spec's all the
//! same: `finish` lets the first wrong signature win over whatever was found behind it.
//!
//! Domains take their version from the schedule at the message's epoch, not from the head state, which in the first slots
//! of a fork may not have been upgraded yet and would make the first messages look wrongly signed. Otherwise the two agree.
//! For the same reason the rules of a message are those of the fork of its slot.

mod attester_slashing;
mod beacon_aggregate_and_proof;
mod beacon_attestation;
mod beacon_block;
mod blob_sidecar;
mod bls_to_execution_change;
mod bounded;
mod data_column_sidecar;
mod execution_payload;
mod execution_payload_bid;
mod light_client;
mod partial_data_column_sidecar;
mod payload_attestation_message;
mod proposer_preferences;
mod proposer_slashing;
mod seen;
mod signed_header;
mod sync_committee_contribution_and_proof;
mod sync_committee_message;
mod verdict;
mod view;
mod voluntary_exit;
mod vote;

#[cfg(test)]
#[allow(clippy::type_complexity, clippy::semicolon_if_nothing_returned)] // tables of rules with their closures
mod fixture;
#[cfg(test)]
mod fork_choice_tests;
#[cfg(test)]
#[allow(clippy::type_complexity, clippy::semicolon_if_nothing_returned)] // tables of rules with their closures
mod gloas_tests;
#[cfg(test)]
#[allow(clippy::type_complexity, clippy::semicolon_if_nothing_returned)] // tables of rules with their closures
mod tests;

pub use attester_slashing::validate_attester_slashing_gossip;
pub use beacon_aggregate_and_proof::validate_beacon_aggregate_and_proof_gossip;
pub use beacon_attestation::{validate_beacon_attestation_gossip, validate_single_attestation_gossip};
pub use beacon_block::validate_beacon_block_gossip;
pub use blob_sidecar::validate_blob_sidecar_gossip;
pub use bls_to_execution_change::validate_bls_to_execution_change_gossip;
pub use data_column_sidecar::{
    INVALID_CELL_PROOFS, validate_data_column_sidecar_gossip, validate_data_column_sidecar_gossip_but_proofs,
};
pub use execution_payload::validate_execution_payload_gossip;
pub use execution_payload_bid::{
    is_bid_compatible_with_head, is_gas_limit_target_compatible, validate_execution_payload_bid_gossip,
};
pub use light_client::{validate_light_client_finality_update_gossip, validate_light_client_optimistic_update_gossip};
pub use partial_data_column_sidecar::validate_partial_data_column_sidecar_gossip;
pub use payload_attestation_message::validate_payload_attestation_message_gossip;
pub use proposer_preferences::{is_valid_dependent_root, is_valid_proposal_slot, validate_proposer_preferences_gossip};
pub use proposer_slashing::validate_proposer_slashing_gossip;
pub use seen::{Mark, Seen};
pub use sync_committee_contribution_and_proof::validate_sync_committee_contribution_and_proof_gossip;
pub use sync_committee_message::validate_sync_committee_message_gossip;
pub use verdict::Verdict;
pub use view::{GossipView, PayloadValidationStatus};
pub use voluntary_exit::validate_voluntary_exit_gossip;

use crate::constants::{DOMAIN_BEACON_ATTESTER, GENESIS_SLOT};
use crate::fork::Fork;
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::helpers::voters_key::voters_key;
use crate::keys::Keys;
use crate::signing::{
    Context, Signatures, compute_domain, parse_signature, signing_root_of, validator_set, validators_set,
};
use crate::slot_clock::SlotClock;
use crate::ssz::{Root, Ssz};
use crate::state::State;
use crate::types::{
    Attestation, AttestationData, BLSSignature, CommitteeIndex, Domain, DomainType, Epoch, IndexedAttestation, Slot,
    ValidatorIndex,
};
use crate::{Config, Invalid};
use crypto::bls::SignatureSet;
use verdict::{Checked, ignore, ignore_unless, reject_unless};

/// What the rules ask besides the message. One per message: marks and collected signatures are the message's.
#[derive(Debug)]
pub struct Gossip<'a> {
    /// The blocks that this node knows.
    pub view: &'a dyn GossipView,
    /// What was seen before. A worker without it passes an empty one: `Seen::settle` asks again.
    pub seen: &'a Seen,
    /// The head state, moved on to about the current epoch and prepared; the spec's `state`.
    pub state: &'a State,
    /// Whether a vote's committees are those of `state`. They may be others where the block that is voted for is not
    /// known: a branch that left two epochs ago has its own shuffling. What the committees decide then rejects nobody, and
    /// signatures of many, which they decide on too, are not looked at; the block is unknown, so that the vote is ignored
    /// in any case.
    pub committees_known: bool,
    /// Whether `state` is of the current epoch and of a recent block. An older one does not know who has come into the
    /// registry since, or become active: what only it decides then rejects nobody.
    pub state_is_current: bool,
    /// Unix time in milliseconds.
    pub current_time_ms: u64,
    /// Config, keys, and what to do with signatures.
    pub ctx: Context<'a>,
    /// What must be entered into `Seen` for the verdict to become final. A refused message may leave one, too: a
    /// partial column whose header is valid and whose cells are not.
    pub marks: Vec<Mark>,
}

impl<'a> Gossip<'a> {
    /// Everything for one message.
    pub fn new(
        view: &'a dyn GossipView,
        seen: &'a Seen,
        state: &'a State,
        current_time_ms: u64,
        ctx: Context<'a>,
    ) -> Self {
        Gossip {
            view,
            seen,
            state,
            committees_known: true,
            state_is_current: true,
            current_time_ms,
            ctx,
            marks: Vec::new(),
        }
    }

    /// The verdict with the collected signatures checked in one batch: the first wrong one rejects, since all of them
    /// stand before the rule that `verdict` is about.
    pub fn finish(&mut self, verdict: Verdict) -> Verdict {
        match self.ctx.verify_collected() {
            Ok(()) => verdict,
            Err(invalid) => {
                self.marks.clear();
                Verdict::Reject(invalid.rule)
            }
        }
    }

    /// The collected signatures with their reasons, for a batch over many messages; empty where they were verified at
    /// once. The caller takes over what `finish` does.
    pub fn take_collected(&mut self) -> Vec<(&'static str, SignatureSet)> {
        match &mut self.ctx.signatures {
            Signatures::Collect(sets) => std::mem::take(sets),
            Signatures::Verify | Signatures::Trust => Vec::new(),
        }
    }

    fn clock(&self) -> SlotClock {
        SlotClock::new(self.ctx.config, self.state.genesis_time)
    }

    /// The slot of the clock; 0 before genesis.
    fn current_slot(&self) -> Slot {
        self.clock().slot_at(self.current_time_ms).unwrap_or(GENESIS_SLOT)
    }

    fn config(&self) -> &'a Config {
        self.ctx.config
    }

    /// The fork whose rules hold for a message of `slot`.
    fn fork_at_slot(&self, slot: Slot) -> Fork {
        self.ctx.config.fork_at_epoch(compute_epoch_at_slot(slot))
    }

    /// See the head of this module for why the version is the schedule's.
    fn domain(&self, domain_type: DomainType, epoch: Epoch) -> Domain {
        let version = self.ctx.config.compute_fork_version(epoch);
        compute_domain(domain_type, version, self.state.genesis_validators_root)
    }

    /// Fails unless the message is the first of its kind, and leaves nothing.
    fn check_first(&self, mark: &Mark) -> Checked {
        self.seen.check(mark)
    }

    /// Treats the signature that `make` describes; whatever is wrong with it rejects for `why`.
    fn check_signature(
        &mut self,
        why: &'static str,
        make: impl FnOnce(&Keys) -> Result<SignatureSet, Invalid>,
    ) -> Checked {
        self.ctx.check(why, make).map_err(|_| Verdict::Reject(why))
    }

    /// Treats the signature of one validator of the state on an object's root.
    fn check_validator_signature(
        &mut self,
        why: &'static str,
        index: ValidatorIndex,
        domain: Domain,
        object_root: Root,
        signature: &BLSSignature,
    ) -> Checked {
        let state = self.state;
        self.check_signature(why, |keys| {
            validator_set(why, state, keys, index, signing_root_of(object_root, domain), signature)
        })
    }

    /// Spec: phase0/beacon-chain.md, `is_valid_indexed_attestation`, whose indices are known to be in the registry.
    fn check_indexed_attestation(&mut self, why: &'static str, attestation: &IndexedAttestation) -> Checked {
        let indices = &attestation.attesting_indices;
        let sorted = indices.windows(2).all(|pair| pair[0] < pair[1]);
        reject_unless(!indices.is_empty() && sorted, why)?;
        let signing_root = self.vote_root(&attestation.data);
        let state = self.state;
        self.check_signature(why, |keys| {
            validators_set(why, state, keys, indices, signing_root, &attestation.signature)
        })
    }

    /// The same for the voters of one committee, whose keys are added up with the help of the committee's sum.
    fn check_aggregate(&mut self, why: &'static str, committee: CommitteeIndex, aggregate: &Attestation) -> Checked {
        let (data, bits) = (&aggregate.data, &aggregate.aggregation_bits);
        let signing_root = self.vote_root(data);
        let state = self.state;
        self.check_signature(why, |keys| {
            Ok(SignatureSet {
                signature: parse_signature(why, &aggregate.signature)?,
                pubkey: voters_key(state, keys, data.slot, &[committee], bits)?,
                message: signing_root.0,
            })
        })
    }

    /// What is signed by all who vote alike.
    fn vote_root(&self, data: &AttestationData) -> Root {
        let domain = self.domain(DOMAIN_BEACON_ATTESTER, data.target.epoch);
        signing_root_of(data.hash_tree_root(self.state.at), domain)
    }

    fn check_validator_index(&self, index: ValidatorIndex, why: &'static str) -> Checked {
        self.by_state(index < self.state.validators.len() as u64, why)
    }

    /// A rule about what stands in the state: rejects where the state is current.
    fn by_state(&self, holds: bool, why: &'static str) -> Checked {
        if self.state_is_current {
            reject_unless(holds, why)
        } else {
            ignore_unless(holds, why)
        }
    }

    /// Whether the state can tell the committees of `epoch`: those of other epochs would cost a pass over the registry
    /// or a shuffling for every message that names one, and such a message is refused for its time in the end.
    fn knows_committees(&self, epoch: Epoch) -> bool {
        let current = get_current_epoch(self.state);
        epoch.saturating_add(1) >= current && epoch <= current.saturating_add(1)
    }
}

/// What the state should have told and did not: no fault of whoever sent the message.
fn unanswered<T>(answer: Result<T, Invalid>) -> Checked<T> {
    answer.or_else(|_| ignore("the state cannot answer what the rule asks"))
}
