//! What was seen before, so that nothing is passed on twice.
//!
//! A validation leaves [`Mark`]s; only whoever owns [`Seen`] enters them, and entering asks once more whether the message
//! is the first, since others may have been entered while a worker was busy with it.
//!
//! Spec: `Seen` in p2p-interface.md of each fork.

use super::bounded::{BoundedMap, BoundedSet, EpochIndexSet, IndexSet};
use super::verdict::{Checked, Verdict, ignore_unless};
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::ssz::{BitList, BitVector, Root};
use crate::types::{
    BlobIndex, BuilderIndex, ColumnIndex, CommitteeIndex, Epoch, Gwei, Hash32, PartialDataColumnHeader,
    ProposerPreferences, Slot, SubnetID, ValidatorIndex,
};

/// What a message leaves in [`Seen`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // fields are the spec's names
pub enum Mark {
    /// `proposer_slots`.
    BeaconBlock { slot: Slot, proposer_index: ValidatorIndex },
    /// `aggregator_epochs` and `aggregate_data_roots`.
    Aggregate {
        slot: Slot,
        aggregator_index: ValidatorIndex,
        data_root: Root,
        committee_index: CommitteeIndex,
        aggregation_bits: BitList,
    },
    /// `attestation_validator_epochs`.
    Attestation {
        target_epoch: Epoch,
        attester_index: ValidatorIndex,
    },
    /// `voluntary_exit_indices`.
    VoluntaryExit { validator_index: ValidatorIndex },
    /// `proposer_slashing_indices`.
    ProposerSlashing { proposer_index: ValidatorIndex },
    /// `attester_slashing_indices`: those in both attestations.
    AttesterSlashing { indices: Vec<ValidatorIndex> },
    /// `sync_contribution_data` and `sync_contribution_aggregator_slots`.
    SyncContribution {
        slot: Slot,
        beacon_block_root: Root,
        subcommittee_index: u64,
        aggregator_index: ValidatorIndex,
        aggregation_bits: BitVector,
    },
    /// `sync_message_validator_slots`.
    SyncMessage {
        slot: Slot,
        validator_index: ValidatorIndex,
        subnet_id: SubnetID,
    },
    /// `bls_to_execution_change_indices`.
    BlsToExecutionChange { validator_index: ValidatorIndex },
    /// `blob_sidecar_tuples`.
    BlobSidecar {
        slot: Slot,
        proposer_index: ValidatorIndex,
        index: BlobIndex,
    },
    /// `data_column_sidecar_tuples`, up to Fulu.
    DataColumnSidecar {
        slot: Slot,
        proposer_index: ValidatorIndex,
        index: ColumnIndex,
    },
    /// `partial_data_column_headers`, up to Fulu.
    PartialDataColumnHeader {
        block_root: Root,
        header: Box<PartialDataColumnHeader>,
    },
    /// A column from Gloas on, which names its block.
    GloasDataColumnSidecar {
        slot: Slot,
        beacon_block_root: Root,
        index: ColumnIndex,
    },
    /// A payload envelope.
    ExecutionPayload {
        slot: Slot,
        beacon_block_root: Root,
        builder_index: BuilderIndex,
    },
    /// A vote on a payload's timeliness.
    PayloadAttestation {
        slot: Slot,
        validator_index: ValidatorIndex,
    },
    /// A builder's bid.
    ExecutionPayloadBid {
        slot: Slot,
        parent_block_hash: Hash32,
        parent_block_root: Root,
        builder_index: BuilderIndex,
        value: Gwei,
    },
    /// What a proposer prefers, which bids are held against.
    ProposerPreferences(Box<ProposerPreferences>),
    /// A finality update, by its finalized slot.
    FinalityUpdate { slot: Slot, supermajority: bool },
    /// An optimistic update, by its attested slot.
    OptimisticUpdate { slot: Slot },
}

/// The messages that were seen and found valid.
#[derive(Clone, Debug)]
pub struct Seen {
    proposer_slots: BoundedSet<ValidatorIndex>,
    aggregator_epochs: EpochIndexSet,
    aggregate_data_roots: BoundedMap<(Root, CommitteeIndex), Vec<BitList>>,
    attestation_validator_epochs: EpochIndexSet,
    voluntary_exit_indices: IndexSet,
    proposer_slashing_indices: IndexSet,
    attester_slashing_indices: IndexSet,
    sync_contribution_aggregator_slots: BoundedSet<(ValidatorIndex, u64)>,
    sync_contribution_data: BoundedMap<(Root, u64), Vec<BitVector>>,
    sync_message_validator_slots: BoundedSet<(ValidatorIndex, SubnetID)>,
    bls_to_execution_change_indices: IndexSet,
    blob_sidecar_tuples: BoundedSet<(ValidatorIndex, BlobIndex)>,
    data_column_sidecar_tuples: BoundedSet<(ValidatorIndex, ColumnIndex)>,
    partial_data_column_headers: BoundedMap<Root, PartialDataColumnHeader>,
    gloas_data_columns: BoundedSet<(Root, ColumnIndex)>,
    execution_payloads: BoundedSet<(Root, BuilderIndex)>,
    payload_attestations: BoundedSet<ValidatorIndex>,
    bidders: BoundedSet<(Hash32, Root, BuilderIndex)>,
    highest_bids: BoundedMap<(Hash32, Root), Gwei>,
    proposer_preferences: BoundedMap<(Root, ValidatorIndex), ProposerPreferences>,
    finality_update: Option<(Slot, bool)>,
    optimistic_update: Option<Slot>,
}

/// Blocks since the last finalized one, at one and a half a slot: two weeks of a chain that does not finalize; 16 bytes
/// each.
const MAX_BLOCKS: usize = 1 << 16;
/// Data of votes in two epochs times committees (4,096 on mainnet), four different heads each.
const MAX_AGGREGATE_DATA: usize = 1 << 14;
/// Aggregators of one committee, each of whom may send one set of bits: 16 are chosen on average, and more than 64 in
/// no committee that will ever be. Only bits that no other contains are kept.
const MAX_BITS: usize = 64;
/// Members of a sync committee times subnets, for the three slots that clocks allow, rounded up.
const MAX_SYNC_MESSAGES: usize = 1 << 13;
/// Subcommittees times slots times heads, with much room.
const MAX_SYNC_DATA: usize = 256;
/// Columns of an epoch of 32 slots and some more; 32 bytes each.
const MAX_SIDECARS: usize = 1 << 13;
/// A header may hold 200 kB of commitments, and only the current slots' are asked for.
const MAX_PARTIAL_HEADERS: usize = 32;
/// The payload committee of three slots, rounded up.
const MAX_PAYLOAD_ATTESTATIONS: usize = 1 << 11;
/// Bids for two slots: every builder may bid on each parent; builders must be funded, so they are few.
const MAX_BIDS: usize = 1 << 12;
/// Proposals of the current and the next epoch times possible dependent roots.
const MAX_PREFERENCES: usize = 512;

impl Default for Seen {
    fn default() -> Self {
        Seen {
            proposer_slots: BoundedSet::new(MAX_BLOCKS),
            aggregator_epochs: EpochIndexSet::default(),
            aggregate_data_roots: BoundedMap::new(MAX_AGGREGATE_DATA),
            attestation_validator_epochs: EpochIndexSet::default(),
            voluntary_exit_indices: IndexSet::default(),
            proposer_slashing_indices: IndexSet::default(),
            attester_slashing_indices: IndexSet::default(),
            sync_contribution_aggregator_slots: BoundedSet::new(MAX_SYNC_MESSAGES),
            sync_contribution_data: BoundedMap::new(MAX_SYNC_DATA),
            sync_message_validator_slots: BoundedSet::new(MAX_SYNC_MESSAGES),
            bls_to_execution_change_indices: IndexSet::default(),
            blob_sidecar_tuples: BoundedSet::new(MAX_SIDECARS),
            data_column_sidecar_tuples: BoundedSet::new(MAX_SIDECARS),
            partial_data_column_headers: BoundedMap::new(MAX_PARTIAL_HEADERS),
            gloas_data_columns: BoundedSet::new(MAX_SIDECARS),
            execution_payloads: BoundedSet::new(MAX_BLOCKS),
            payload_attestations: BoundedSet::new(MAX_PAYLOAD_ATTESTATIONS),
            bidders: BoundedSet::new(MAX_BIDS),
            highest_bids: BoundedMap::new(MAX_BIDS),
            proposer_preferences: BoundedMap::new(MAX_PREFERENCES),
            finality_update: None,
            optimistic_update: None,
        }
    }
}

impl Seen {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters the marks of an accepted message in order: `Accept` if it is the first of its kind, else the reason to
    /// ignore it, and nothing further changes.
    fn enter_all(&mut self, marks: impl IntoIterator<Item = Mark>) -> Verdict {
        marks
            .into_iter()
            .try_for_each(|mark| {
                self.check(&mark)?;
                self.enter(mark);
                Ok(())
            })
            .into()
    }

    /// The final verdict on a message: its marks are entered, and an Accept stands if they were the first.
    pub fn settle(&mut self, verdict: Verdict, marks: Vec<Mark>) -> Verdict {
        let entered = self.enter_all(marks);
        verdict.and_then(|| entered)
    }

    /// The header of a block's partial columns, if a valid one was seen.
    pub fn partial_data_column_header(&self, block_root: Root) -> Option<&PartialDataColumnHeader> {
        self.partial_data_column_headers.find(block_root)
    }

    /// What the proposer of `slot` prefers, by the shuffling's dependent root, if a valid message was seen. If there are
    /// several, only one validator can be the proposer, so all are of the same one.
    pub fn proposer_preferences(&self, dependent_root: Root, slot: Slot) -> Option<&ProposerPreferences> {
        self.proposer_preferences
            .find_at(slot, |(root, _)| *root == dependent_root)
    }

    /// Forgets what no message can meet any more: sidecars and blocks up to the finalized slot, votes that are too old
    /// to be passed on, and all but the newest of what is for the current slot only.
    pub fn prune(&mut self, finalized_epoch: Epoch, current_slot: Slot) {
        /// How far back votes are passed on before Deneb; later it is the previous epoch.
        const ATTESTATION_PROPAGATION_SLOT_RANGE: u64 = 32;
        let finalized_slot = compute_start_slot_at_epoch(finalized_epoch);
        self.proposer_slots.prune(finalized_slot);
        self.blob_sidecar_tuples.prune(finalized_slot);
        self.data_column_sidecar_tuples.prune(finalized_slot);
        self.gloas_data_columns.prune(finalized_slot);
        self.partial_data_column_headers.prune(finalized_slot);
        self.execution_payloads.prune(finalized_slot);

        let previous_epoch = compute_epoch_at_slot(current_slot).saturating_sub(1);
        let oldest_vote = current_slot.saturating_sub(ATTESTATION_PROPAGATION_SLOT_RANGE + 1);
        let oldest_vote = oldest_vote.min(compute_start_slot_at_epoch(previous_epoch));
        self.aggregate_data_roots.prune(oldest_vote);
        self.aggregator_epochs.prune(compute_epoch_at_slot(oldest_vote));
        self.attestation_validator_epochs
            .prune(compute_epoch_at_slot(oldest_vote));

        // Clocks may differ by less than a slot.
        let previous_slot = current_slot.saturating_sub(1);
        self.sync_contribution_aggregator_slots.prune(previous_slot);
        self.sync_contribution_data.prune(previous_slot);
        self.sync_message_validator_slots.prune(previous_slot);
        self.payload_attestations.prune(previous_slot);
        self.bidders.prune(previous_slot);
        self.highest_bids.prune(previous_slot);
        self.proposer_preferences.prune(previous_slot);
    }

    /// Fails with the reason to ignore the message if one like it was entered before.
    pub(super) fn check(&self, mark: &Mark) -> Checked {
        match mark {
            Mark::BeaconBlock { slot, proposer_index } => ignore_unless(
                !self.proposer_slots.contains(*slot, *proposer_index),
                "block is not the first valid block for this proposer and slot",
            ),
            Mark::Aggregate { .. } | Mark::Attestation { .. } => self.check_vote(mark),
            Mark::SyncContribution { .. } | Mark::SyncMessage { .. } => self.check_sync(mark),
            Mark::VoluntaryExit { validator_index } => ignore_unless(
                !self.voluntary_exit_indices.contains(*validator_index),
                "already seen voluntary exit for this validator",
            ),
            Mark::ProposerSlashing { proposer_index } => ignore_unless(
                !self.proposer_slashing_indices.contains(*proposer_index),
                "already seen proposer slashing for this proposer",
            ),
            Mark::AttesterSlashing { indices } => ignore_unless(
                indices
                    .iter()
                    .any(|index| !self.attester_slashing_indices.contains(*index)),
                "all attester slashing indices already seen",
            ),
            Mark::BlsToExecutionChange { validator_index } => ignore_unless(
                !self.bls_to_execution_change_indices.contains(*validator_index),
                "already seen BLS to execution change for this validator",
            ),
            Mark::BlobSidecar { .. } | Mark::DataColumnSidecar { .. } | Mark::GloasDataColumnSidecar { .. } => {
                self.check_sidecar(mark)
            }
            // Many columns share a header; whether a second one is equal is a rule of its own.
            Mark::PartialDataColumnHeader { .. } => Ok(()),
            Mark::FinalityUpdate { .. } | Mark::OptimisticUpdate { .. } => self.check_light_client(mark),
            Mark::ExecutionPayload { .. }
            | Mark::PayloadAttestation { .. }
            | Mark::ExecutionPayloadBid { .. }
            | Mark::ProposerPreferences(_) => self.check_payload(mark),
        }
    }

    fn check_vote(&self, mark: &Mark) -> Checked {
        match mark {
            Mark::Aggregate {
                slot,
                aggregator_index,
                data_root,
                committee_index,
                aggregation_bits,
            } => {
                let seen = self.aggregate_data_roots.get(*slot, (*data_root, *committee_index));
                let contained = seen.is_some_and(|seen| seen.iter().any(|bits| bits.is_superset(aggregation_bits)));
                ignore_unless(!contained, "already seen aggregate for this data")?;
                let epoch = compute_epoch_at_slot(*slot);
                ignore_unless(
                    !self.aggregator_epochs.contains(epoch, *aggregator_index),
                    "already seen aggregate from this aggregator for this epoch",
                )
            }
            Mark::Attestation {
                target_epoch,
                attester_index,
            } => ignore_unless(
                !self
                    .attestation_validator_epochs
                    .contains(*target_epoch, *attester_index),
                "already seen attestation from this validator for this epoch",
            ),
            _ => Ok(()),
        }
    }

    fn check_sync(&self, mark: &Mark) -> Checked {
        match mark {
            Mark::SyncContribution {
                slot,
                beacon_block_root,
                subcommittee_index,
                aggregator_index,
                aggregation_bits,
            } => {
                let seen = self
                    .sync_contribution_data
                    .get(*slot, (*beacon_block_root, *subcommittee_index));
                let contained = seen.is_some_and(|seen| seen.iter().any(|bits| bits.is_superset(aggregation_bits)));
                ignore_unless(!contained, "already seen contribution for this data")?;
                let aggregators = &self.sync_contribution_aggregator_slots;
                ignore_unless(
                    !aggregators.contains(*slot, (*aggregator_index, *subcommittee_index)),
                    "already seen contribution from this aggregator",
                )
            }
            Mark::SyncMessage {
                slot,
                validator_index,
                subnet_id,
            } => ignore_unless(
                !self
                    .sync_message_validator_slots
                    .contains(*slot, (*validator_index, *subnet_id)),
                "already seen message from this validator for this slot and subnet",
            ),
            _ => Ok(()),
        }
    }

    fn check_sidecar(&self, mark: &Mark) -> Checked {
        match mark {
            Mark::BlobSidecar {
                slot,
                proposer_index,
                index,
            } => ignore_unless(
                !self.blob_sidecar_tuples.contains(*slot, (*proposer_index, *index)),
                "already seen blob sidecar from this proposer for this slot and index",
            ),
            Mark::DataColumnSidecar {
                slot,
                proposer_index,
                index,
            } => ignore_unless(
                !self
                    .data_column_sidecar_tuples
                    .contains(*slot, (*proposer_index, *index)),
                "already seen sidecar from this proposer for this slot and index",
            ),
            Mark::GloasDataColumnSidecar {
                slot,
                beacon_block_root,
                index,
            } => ignore_unless(
                !self.gloas_data_columns.contains(*slot, (*beacon_block_root, *index)),
                "already seen sidecar for this block and index",
            ),
            _ => Ok(()),
        }
    }

    fn check_payload(&self, mark: &Mark) -> Checked {
        match mark {
            Mark::ExecutionPayload {
                slot,
                beacon_block_root,
                builder_index,
            } => ignore_unless(
                !self
                    .execution_payloads
                    .contains(*slot, (*beacon_block_root, *builder_index)),
                "already seen payload envelope for this block from this builder",
            ),
            Mark::PayloadAttestation { slot, validator_index } => ignore_unless(
                !self.payload_attestations.contains(*slot, *validator_index),
                "already seen payload attestation from this validator",
            ),
            Mark::ExecutionPayloadBid {
                slot,
                parent_block_hash,
                parent_block_root,
                builder_index,
                value,
            } => {
                let (hash, root) = (*parent_block_hash, *parent_block_root);
                ignore_unless(
                    !self.bidders.contains(*slot, (hash, root, *builder_index)),
                    "already seen bid from this builder for this slot and parent",
                )?;
                let highest = self.highest_bids.get(*slot, (hash, root));
                ignore_unless(
                    highest.is_none_or(|highest| value > highest),
                    "bid is not the highest for this slot and parent",
                )
            }
            Mark::ProposerPreferences(preferences) => {
                let key = (preferences.dependent_root, preferences.validator_index);
                ignore_unless(
                    self.proposer_preferences.get(preferences.proposal_slot, key).is_none(),
                    "already seen preferences of this validator for this slot and dependent root",
                )
            }
            _ => Ok(()),
        }
    }

    fn check_light_client(&self, mark: &Mark) -> Checked {
        match mark {
            Mark::FinalityUpdate { slot, supermajority } => ignore_unless(
                self.finality_update.is_none_or(|(highest, had_supermajority)| {
                    *slot > highest || *slot == highest && *supermajority && !had_supermajority
                }),
                "finality update is not newer than those already forwarded",
            ),
            Mark::OptimisticUpdate { slot } => ignore_unless(
                self.optimistic_update.is_none_or(|highest| *slot > highest),
                "optimistic update is not newer than those already forwarded",
            ),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, mark: Mark) {
        match mark {
            Mark::BeaconBlock { slot, proposer_index } => self.proposer_slots.insert(slot, proposer_index),
            Mark::Aggregate {
                slot,
                aggregator_index,
                data_root,
                committee_index,
                aggregation_bits,
            } => {
                self.aggregator_epochs
                    .insert(compute_epoch_at_slot(slot), aggregator_index);
                let kept = self.aggregate_data_roots.entry(slot, (data_root, committee_index));
                kept.retain(|bits| !aggregation_bits.is_superset(bits));
                if kept.len() < MAX_BITS {
                    kept.push(aggregation_bits);
                }
            }
            Mark::Attestation {
                target_epoch,
                attester_index,
            } => {
                self.attestation_validator_epochs.insert(target_epoch, attester_index);
            }
            Mark::VoluntaryExit { validator_index } => self.voluntary_exit_indices.insert(validator_index),
            Mark::ProposerSlashing { proposer_index } => self.proposer_slashing_indices.insert(proposer_index),
            Mark::AttesterSlashing { indices } => {
                for index in indices {
                    self.attester_slashing_indices.insert(index);
                }
            }
            Mark::SyncContribution {
                slot,
                beacon_block_root,
                subcommittee_index,
                aggregator_index,
                aggregation_bits,
            } => {
                let aggregators = &mut self.sync_contribution_aggregator_slots;
                aggregators.insert(slot, (aggregator_index, subcommittee_index));
                let kept = self
                    .sync_contribution_data
                    .entry(slot, (beacon_block_root, subcommittee_index));
                kept.retain(|bits| !aggregation_bits.is_superset(bits));
                if kept.len() < MAX_BITS {
                    kept.push(aggregation_bits);
                }
            }
            Mark::SyncMessage {
                slot,
                validator_index,
                subnet_id,
            } => {
                self.sync_message_validator_slots
                    .insert(slot, (validator_index, subnet_id));
            }
            Mark::BlsToExecutionChange { validator_index } => {
                self.bls_to_execution_change_indices.insert(validator_index);
            }
            Mark::BlobSidecar {
                slot,
                proposer_index,
                index,
            } => {
                self.blob_sidecar_tuples.insert(slot, (proposer_index, index));
            }
            Mark::DataColumnSidecar {
                slot,
                proposer_index,
                index,
            } => {
                self.data_column_sidecar_tuples.insert(slot, (proposer_index, index));
            }
            Mark::PartialDataColumnHeader { block_root, header } => {
                let slot = header.signed_block_header.message.slot;
                self.partial_data_column_headers.insert(slot, block_root, *header);
            }
            gloas_or_light_client => self.enter_later(gloas_or_light_client),
        }
    }

    /// What Gloas and the light client bring.
    fn enter_later(&mut self, mark: Mark) {
        match mark {
            Mark::GloasDataColumnSidecar {
                slot,
                beacon_block_root,
                index,
            } => {
                self.gloas_data_columns.insert(slot, (beacon_block_root, index));
            }
            Mark::ExecutionPayload {
                slot,
                beacon_block_root,
                builder_index,
            } => {
                self.execution_payloads.insert(slot, (beacon_block_root, builder_index));
            }
            Mark::PayloadAttestation { slot, validator_index } => {
                self.payload_attestations.insert(slot, validator_index);
            }
            Mark::ExecutionPayloadBid {
                slot,
                parent_block_hash,
                parent_block_root,
                builder_index,
                value,
            } => {
                self.bidders
                    .insert(slot, (parent_block_hash, parent_block_root, builder_index));
                self.highest_bids
                    .insert(slot, (parent_block_hash, parent_block_root), value);
            }
            Mark::ProposerPreferences(preferences) => {
                let key = (preferences.dependent_root, preferences.validator_index);
                self.proposer_preferences
                    .insert(preferences.proposal_slot, key, *preferences);
            }
            Mark::FinalityUpdate { slot, supermajority } => self.finality_update = Some((slot, supermajority)),
            Mark::OptimisticUpdate { slot } => self.optimistic_update = Some(slot),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(slot: Slot, proposer_index: ValidatorIndex) -> Mark {
        Mark::BeaconBlock { slot, proposer_index }
    }

    fn aggregate(aggregator_index: ValidatorIndex, bits: &[bool]) -> Mark {
        Mark::Aggregate {
            slot: 40,
            aggregator_index,
            data_root: Root::ZERO,
            committee_index: 0,
            aggregation_bits: bits.iter().copied().collect(),
        }
    }

    #[test]
    fn a_second_message_is_ignored_and_pruning_forgets() {
        let mut seen = Seen::new();
        assert_eq!(seen.enter_all([block(9, 3)]), Verdict::Accept);
        assert_eq!(seen.enter_all([block(9, 4)]), Verdict::Accept);
        let again = seen.enter_all([block(9, 3)]);
        assert_eq!(
            again,
            Verdict::Ignore("block is not the first valid block for this proposer and slot")
        );
        seen.prune(100, 5000);
        assert_eq!(seen.enter_all([block(9, 3)]), Verdict::Accept);
    }

    #[test]
    fn bits_that_others_contain_are_ignored_and_not_kept() {
        let mut seen = Seen::new();
        assert_eq!(seen.enter_all([aggregate(1, &[true, false, false])]), Verdict::Accept);
        assert_eq!(seen.enter_all([aggregate(2, &[true, true, false])]), Verdict::Accept);
        let contained = seen.enter_all([aggregate(3, &[false, true, false])]);
        assert_eq!(contained, Verdict::Ignore("already seen aggregate for this data"));
        let twice = seen.enter_all([aggregate(2, &[false, false, true])]);
        assert_eq!(
            twice,
            Verdict::Ignore("already seen aggregate from this aggregator for this epoch")
        );
        let kept = seen.aggregate_data_roots.get(40, (Root::ZERO, 0)).unwrap();
        assert_eq!(kept.len(), 1);
        seen.prune(0, 40);
        assert!(seen.aggregate_data_roots.find((Root::ZERO, 0)).is_some());
        seen.prune(0, 400);
        assert!(seen.aggregate_data_roots.find((Root::ZERO, 0)).is_none());
    }

    #[test]
    fn one_new_index_makes_a_slashing_new() {
        let mut seen = Seen::new();
        let slashing = |indices: &[u64]| Mark::AttesterSlashing {
            indices: indices.to_vec(),
        };
        let known = Verdict::Ignore("all attester slashing indices already seen");
        assert_eq!(seen.enter_all([slashing(&[])]), known);
        assert_eq!(seen.enter_all([slashing(&[1, 2])]), Verdict::Accept);
        assert_eq!(seen.enter_all([slashing(&[2])]), known);
        assert_eq!(seen.enter_all([slashing(&[2, 3])]), Verdict::Accept);
    }
}
