//! The containers that Altair brings or changes, by themselves or by what is in them.

pub(crate) use super::phase0::*;
use super::*;

pub(crate) type FinalityBranch = Vector<Bytes32, { floorlog2(FINALIZED_ROOT_GINDEX) }>;
pub(crate) type CurrentSyncCommitteeBranch = Vector<Bytes32, { floorlog2(CURRENT_SYNC_COMMITTEE_GINDEX) }>;
pub(crate) type NextSyncCommitteeBranch = Vector<Bytes32, { floorlog2(NEXT_SYNC_COMMITTEE_GINDEX) }>;

mirror! {
    BeaconBlockBody {
        randao_reveal: BLSSignature,
        eth1_data: Eth1Data,
        graffiti: Bytes32,
        proposer_slashings: List<ProposerSlashing, MAX_PROPOSER_SLASHINGS>,
        attester_slashings: List<AttesterSlashing, MAX_ATTESTER_SLASHINGS>,
        attestations: List<Attestation, MAX_ATTESTATIONS>,
        deposits: List<Deposit, MAX_DEPOSITS>,
        voluntary_exits: List<SignedVoluntaryExit, MAX_VOLUNTARY_EXITS>,
        sync_aggregate: SyncAggregate,
    }
    BeaconState {
        genesis_time: u64,
        genesis_validators_root: Root,
        slot: Slot,
        fork: Fork,
        latest_block_header: BeaconBlockHeader,
        block_roots: Vector<Root, SLOTS_PER_HISTORICAL_ROOT>,
        state_roots: Vector<Root, SLOTS_PER_HISTORICAL_ROOT>,
        historical_roots: List<Root, HISTORICAL_ROOTS_LIMIT>,
        eth1_data: Eth1Data,
        eth1_data_votes: List<Eth1Data, { EPOCHS_PER_ETH1_VOTING_PERIOD * SLOTS_PER_EPOCH }>,
        eth1_deposit_index: u64,
        validators: List<Validator, VALIDATOR_REGISTRY_LIMIT>,
        balances: List<Gwei, VALIDATOR_REGISTRY_LIMIT>,
        randao_mixes: Vector<Bytes32, EPOCHS_PER_HISTORICAL_VECTOR>,
        slashings: Vector<Gwei, EPOCHS_PER_SLASHINGS_VECTOR>,
        previous_epoch_participation: List<ParticipationFlags, VALIDATOR_REGISTRY_LIMIT>,
        current_epoch_participation: List<ParticipationFlags, VALIDATOR_REGISTRY_LIMIT>,
        justification_bits: Bitvector<JUSTIFICATION_BITS_LENGTH>,
        previous_justified_checkpoint: Checkpoint,
        current_justified_checkpoint: Checkpoint,
        finalized_checkpoint: Checkpoint,
        inactivity_scores: List<u64, VALIDATOR_REGISTRY_LIMIT>,
        current_sync_committee: SyncCommittee,
        next_sync_committee: SyncCommittee,
    }
    MetaData {
        seq_number: u64,
        attnets: Bitvector<ATTESTATION_SUBNET_COUNT>,
        syncnets: Bitvector<SYNC_COMMITTEE_SUBNET_COUNT>,
    }
    SyncAggregate {
        sync_committee_bits: Bitvector<SYNC_COMMITTEE_SIZE>,
        sync_committee_signature: BLSSignature,
    }
    SyncCommittee {
        pubkeys: Vector<BLSPubkey, SYNC_COMMITTEE_SIZE>,
        aggregate_pubkey: BLSPubkey,
    }
    SyncCommitteeMessage {
        slot: Slot,
        beacon_block_root: Root,
        validator_index: ValidatorIndex,
        signature: BLSSignature,
    }
    SyncCommitteeContribution {
        slot: Slot,
        beacon_block_root: Root,
        subcommittee_index: u64,
        aggregation_bits: Bitvector<{ SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT }>,
        signature: BLSSignature,
    }
    ContributionAndProof {
        aggregator_index: ValidatorIndex,
        contribution: SyncCommitteeContribution,
        selection_proof: BLSSignature,
    }
    SignedContributionAndProof {
        message: ContributionAndProof,
        signature: BLSSignature,
    }
    SyncAggregatorSelectionData {
        slot: Slot,
        subcommittee_index: u64,
    }
    LightClientHeader {
        beacon: BeaconBlockHeader,
    }
    LightClientBootstrap {
        header: LightClientHeader,
        current_sync_committee: SyncCommittee,
        current_sync_committee_branch: CurrentSyncCommitteeBranch,
    }
    LightClientUpdate {
        attested_header: LightClientHeader,
        next_sync_committee: SyncCommittee,
        next_sync_committee_branch: NextSyncCommitteeBranch,
        finalized_header: LightClientHeader,
        finality_branch: FinalityBranch,
        sync_aggregate: SyncAggregate,
        signature_slot: Slot,
    }
    LightClientFinalityUpdate {
        attested_header: LightClientHeader,
        finalized_header: LightClientHeader,
        finality_branch: FinalityBranch,
        sync_aggregate: SyncAggregate,
        signature_slot: Slot,
    }
    LightClientOptimisticUpdate {
        attested_header: LightClientHeader,
        sync_aggregate: SyncAggregate,
        signature_slot: Slot,
    }
    LightClientUpdatesByRange {
        start_period: u64,
        count: u64,
    }
    BeaconBlock {
        slot: Slot,
        proposer_index: ValidatorIndex,
        parent_root: Root,
        state_root: Root,
        body: BeaconBlockBody,
    }
    SignedBeaconBlock {
        message: BeaconBlock,
        signature: BLSSignature,
    }
}
