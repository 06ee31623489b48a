//! The containers that Electra brings or changes, by themselves or by what is in them.

pub(crate) use super::deneb::*;
use super::*;

pub(crate) type AggregationBits = Bitlist<{ MAX_VALIDATORS_PER_COMMITTEE * MAX_COMMITTEES_PER_SLOT }>;
pub(crate) type AttestingIndices = List<ValidatorIndex, { MAX_VALIDATORS_PER_COMMITTEE * MAX_COMMITTEES_PER_SLOT }>;
pub(crate) type DepositRequests = List<DepositRequest, MAX_DEPOSIT_REQUESTS_PER_PAYLOAD>;
pub(crate) type WithdrawalRequests = List<WithdrawalRequest, MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD>;
pub(crate) type ConsolidationRequests = List<ConsolidationRequest, MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD>;
pub(crate) type FinalityBranch = Vector<Bytes32, { floorlog2(FINALIZED_ROOT_GINDEX_ELECTRA) }>;
pub(crate) type CurrentSyncCommitteeBranch = Vector<Bytes32, { floorlog2(CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA) }>;
pub(crate) type NextSyncCommitteeBranch = Vector<Bytes32, { floorlog2(NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA) }>;

mirror! {
    IndexedAttestation {
        attesting_indices: AttestingIndices,
        data: AttestationData,
        signature: BLSSignature,
    }
    AttesterSlashing {
        attestation_1: IndexedAttestation,
        attestation_2: IndexedAttestation,
    }
    Attestation {
        aggregation_bits: AggregationBits,
        data: AttestationData,
        signature: BLSSignature,
        committee_bits: Bitvector<MAX_COMMITTEES_PER_SLOT>,
    }
    BeaconBlockBody {
        randao_reveal: BLSSignature,
        eth1_data: Eth1Data,
        graffiti: Bytes32,
        proposer_slashings: List<ProposerSlashing, MAX_PROPOSER_SLASHINGS>,
        attester_slashings: List<AttesterSlashing, MAX_ATTESTER_SLASHINGS_ELECTRA>,
        attestations: List<Attestation, MAX_ATTESTATIONS_ELECTRA>,
        deposits: List<Deposit, MAX_DEPOSITS>,
        voluntary_exits: List<SignedVoluntaryExit, MAX_VOLUNTARY_EXITS>,
        sync_aggregate: SyncAggregate,
        execution_payload: ExecutionPayload,
        bls_to_execution_changes: List<SignedBLSToExecutionChange, MAX_BLS_TO_EXECUTION_CHANGES>,
        blob_kzg_commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        execution_requests: ExecutionRequests,
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
        latest_execution_payload_header: ExecutionPayloadHeader,
        next_withdrawal_index: WithdrawalIndex,
        next_withdrawal_validator_index: ValidatorIndex,
        historical_summaries: List<HistoricalSummary, HISTORICAL_ROOTS_LIMIT>,
        deposit_requests_start_index: u64,
        deposit_balance_to_consume: Gwei,
        exit_balance_to_consume: Gwei,
        earliest_exit_epoch: Epoch,
        consolidation_balance_to_consume: Gwei,
        earliest_consolidation_epoch: Epoch,
        pending_deposits: List<PendingDeposit, PENDING_DEPOSITS_LIMIT>,
        pending_partial_withdrawals: List<PendingPartialWithdrawal, PENDING_PARTIAL_WITHDRAWALS_LIMIT>,
        pending_consolidations: List<PendingConsolidation, PENDING_CONSOLIDATIONS_LIMIT>,
    }
    AggregateAndProof {
        aggregator_index: ValidatorIndex,
        aggregate: Attestation,
        selection_proof: BLSSignature,
    }
    SignedAggregateAndProof {
        message: AggregateAndProof,
        signature: BLSSignature,
    }
    PendingDeposit {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
        signature: BLSSignature,
        slot: Slot,
    }
    PendingPartialWithdrawal {
        validator_index: ValidatorIndex,
        amount: Gwei,
        withdrawable_epoch: Epoch,
    }
    PendingConsolidation {
        source_index: ValidatorIndex,
        target_index: ValidatorIndex,
    }
    DepositRequest {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
        signature: BLSSignature,
        index: u64,
    }
    WithdrawalRequest {
        source_address: ExecutionAddress,
        validator_pubkey: BLSPubkey,
        amount: Gwei,
    }
    ConsolidationRequest {
        source_address: ExecutionAddress,
        source_pubkey: BLSPubkey,
        target_pubkey: BLSPubkey,
    }
    ExecutionRequests {
        deposits: DepositRequests,
        withdrawals: WithdrawalRequests,
        consolidations: ConsolidationRequests,
    }
    SingleAttestation {
        committee_index: CommitteeIndex,
        attester_index: ValidatorIndex,
        data: AttestationData,
        signature: BLSSignature,
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
    BuilderBid {
        header: ExecutionPayloadHeader,
        blob_kzg_commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        execution_requests: ExecutionRequests,
        value: U256,
        pubkey: BLSPubkey,
    }
    SignedBuilderBid {
        message: BuilderBid,
        signature: BLSSignature,
    }
    BlindedBeaconBlockBody {
        randao_reveal: BLSSignature,
        eth1_data: Eth1Data,
        graffiti: Bytes32,
        proposer_slashings: List<ProposerSlashing, MAX_PROPOSER_SLASHINGS>,
        attester_slashings: List<AttesterSlashing, MAX_ATTESTER_SLASHINGS_ELECTRA>,
        attestations: List<Attestation, MAX_ATTESTATIONS_ELECTRA>,
        deposits: List<Deposit, MAX_DEPOSITS>,
        voluntary_exits: List<SignedVoluntaryExit, MAX_VOLUNTARY_EXITS>,
        sync_aggregate: SyncAggregate,
        execution_payload_header: ExecutionPayloadHeader,
        bls_to_execution_changes: List<SignedBLSToExecutionChange, MAX_BLS_TO_EXECUTION_CHANGES>,
        blob_kzg_commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        execution_requests: ExecutionRequests,
    }
    BlindedBeaconBlock {
        slot: Slot,
        proposer_index: ValidatorIndex,
        parent_root: Root,
        state_root: Root,
        body: BlindedBeaconBlockBody,
    }
    SignedBlindedBeaconBlock {
        message: BlindedBeaconBlock,
        signature: BLSSignature,
    }
    BlockContents {
        block: BeaconBlock,
        kzg_proofs: List<KZGProof, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        blobs: List<Blob, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
    }
    SignedBlockContents {
        signed_block: SignedBeaconBlock,
        kzg_proofs: List<KZGProof, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        blobs: List<Blob, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
    }
}
