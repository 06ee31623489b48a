//! The containers that Gloas brings or changes, by themselves or by what is in them.

pub(crate) use super::fulu::*;
use super::*;

pub(crate) type AggregationBits = ProgressiveBitlist;
pub(crate) type AttestingIndices = ProgressiveList<ValidatorIndex>;
pub(crate) type DepositRequests = ProgressiveList<DepositRequest>;
pub(crate) type WithdrawalRequests = ProgressiveList<WithdrawalRequest>;
pub(crate) type ConsolidationRequests = ProgressiveList<ConsolidationRequest>;
pub(crate) type BuilderDepositRequests = ProgressiveList<BuilderDepositRequest>;
pub(crate) type BuilderExitRequests = ProgressiveList<BuilderExitRequest>;
pub(crate) type BlockAccessList = ProgressiveByteList;
pub(crate) type Transaction = ProgressiveByteList;
pub(crate) type FinalityBranch = Vector<Bytes32, { floorlog2(FINALIZED_ROOT_GINDEX_GLOAS) }>;
pub(crate) type CurrentSyncCommitteeBranch = Vector<Bytes32, { floorlog2(CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS) }>;
pub(crate) type NextSyncCommitteeBranch = Vector<Bytes32, { floorlog2(NEXT_SYNC_COMMITTEE_GINDEX_GLOAS) }>;
pub(crate) type ExecutionBranch = Vector<Bytes32, { floorlog2(EXECUTION_BLOCK_HASH_GINDEX_GLOAS) }>;

mirror! {
    IndexedAttestation {
        attesting_indices: AttestingIndices,
        data: AttestationData,
        signature: BLSSignature,
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
        proposer_slashings: ProgressiveList<ProposerSlashing>,
        attester_slashings: ProgressiveList<AttesterSlashing>,
        attestations: ProgressiveList<Attestation>,
        deposits: ProgressiveList<Deposit>,
        voluntary_exits: ProgressiveList<SignedVoluntaryExit>,
        sync_aggregate: SyncAggregate,
        bls_to_execution_changes: ProgressiveList<SignedBLSToExecutionChange>,
        signed_execution_payload_bid: SignedExecutionPayloadBid,
        payload_attestations: ProgressiveList<PayloadAttestation>,
        parent_execution_requests: ExecutionRequests,
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
        validators: ProgressiveList<Validator>,
        balances: ProgressiveList<Gwei>,
        randao_mixes: Vector<Bytes32, EPOCHS_PER_HISTORICAL_VECTOR>,
        slashings: Vector<Gwei, EPOCHS_PER_SLASHINGS_VECTOR>,
        previous_epoch_participation: ProgressiveList<ParticipationFlags>,
        current_epoch_participation: ProgressiveList<ParticipationFlags>,
        justification_bits: Bitvector<JUSTIFICATION_BITS_LENGTH>,
        previous_justified_checkpoint: Checkpoint,
        current_justified_checkpoint: Checkpoint,
        finalized_checkpoint: Checkpoint,
        inactivity_scores: ProgressiveList<u64>,
        current_sync_committee: SyncCommittee,
        next_sync_committee: SyncCommittee,
        latest_block_hash: Hash32,
        next_withdrawal_index: WithdrawalIndex,
        next_withdrawal_validator_index: ValidatorIndex,
        historical_summaries: List<HistoricalSummary, HISTORICAL_ROOTS_LIMIT>,
        deposit_requests_start_index: u64,
        deposit_balance_to_consume: Gwei,
        exit_balance_to_consume: Gwei,
        earliest_exit_epoch: Epoch,
        consolidation_balance_to_consume: Gwei,
        earliest_consolidation_epoch: Epoch,
        pending_deposits: ProgressiveList<PendingDeposit>,
        pending_partial_withdrawals: ProgressiveList<PendingPartialWithdrawal>,
        pending_consolidations: ProgressiveList<PendingConsolidation>,
        proposer_lookahead: Vector<ValidatorIndex, { (MIN_SEED_LOOKAHEAD + 1) * SLOTS_PER_EPOCH }>,
        builders: ProgressiveList<Builder>,
        next_withdrawal_builder_index: BuilderIndex,
        execution_payload_availability: Bitvector<SLOTS_PER_HISTORICAL_ROOT>,
        builder_pending_payments: Vector<BuilderPendingPayment, { 2 * SLOTS_PER_EPOCH }>,
        builder_pending_withdrawals: ProgressiveList<BuilderPendingWithdrawal>,
        latest_execution_payload_bid: ExecutionPayloadBid,
        payload_expected_withdrawals: ProgressiveList<Withdrawal>,
        ptc_window: Vector<Vector<ValidatorIndex, PTC_SIZE>, { (2 + MIN_SEED_LOOKAHEAD) * SLOTS_PER_EPOCH }>,
    }
    LightClientHeader {
        beacon: BeaconBlockHeader,
        execution_block_hash: Hash32,
        execution_branch: ExecutionBranch,
    }
    ExecutionPayload {
        parent_hash: Hash32,
        fee_recipient: ExecutionAddress,
        state_root: Bytes32,
        receipts_root: Bytes32,
        logs_bloom: Vector<u8, BYTES_PER_LOGS_BLOOM>,
        prev_randao: Bytes32,
        block_number: u64,
        gas_limit: u64,
        gas_used: u64,
        timestamp: u64,
        extra_data: List<u8, MAX_EXTRA_DATA_BYTES>,
        base_fee_per_gas: U256,
        block_hash: Hash32,
        transactions: ProgressiveList<Transaction>,
        withdrawals: ProgressiveList<Withdrawal>,
        blob_gas_used: u64,
        excess_blob_gas: u64,
        block_access_list: BlockAccessList,
        slot_number: u64,
    }
    ExecutionRequests {
        deposits: DepositRequests,
        withdrawals: WithdrawalRequests,
        consolidations: ConsolidationRequests,
        builder_deposits: BuilderDepositRequests,
        builder_exits: BuilderExitRequests,
    }
    DataColumnSidecar {
        index: ColumnIndex,
        column: ProgressiveList<Cell>,
        kzg_proofs: ProgressiveList<KZGProof>,
        slot: Slot,
        beacon_block_root: Root,
    }
    PartialDataColumnSidecar {
        cells_present_bitmap: ProgressiveBitlist,
        partial_column: ProgressiveList<Cell>,
        kzg_proofs: ProgressiveList<KZGProof>,
    }
    PartialDataColumnGroupID {
        beacon_block_root: Root,
        slot: Slot,
    }
    Builder {
        pubkey: BLSPubkey,
        version: u8,
        execution_address: ExecutionAddress,
        balance: Gwei,
        deposit_epoch: Epoch,
        withdrawable_epoch: Epoch,
    }
    BuilderPendingPayment {
        weight: Gwei,
        withdrawal: BuilderPendingWithdrawal,
        proposer_index: ValidatorIndex,
    }
    BuilderPendingWithdrawal {
        fee_recipient: ExecutionAddress,
        amount: Gwei,
        builder_index: BuilderIndex,
    }
    BuilderDepositRequest {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
        signature: BLSSignature,
    }
    BuilderExitRequest {
        source_address: ExecutionAddress,
        pubkey: BLSPubkey,
    }
    PayloadAttestationData {
        beacon_block_root: Root,
        slot: Slot,
        payload_present: bool,
        blob_data_available: bool,
    }
    PayloadAttestation {
        aggregation_bits: Bitvector<PTC_SIZE>,
        data: PayloadAttestationData,
        signature: BLSSignature,
    }
    PayloadAttestationMessage {
        validator_index: ValidatorIndex,
        data: PayloadAttestationData,
        signature: BLSSignature,
    }
    IndexedPayloadAttestation {
        attesting_indices: List<ValidatorIndex, PTC_SIZE>,
        data: PayloadAttestationData,
        signature: BLSSignature,
    }
    ExecutionPayloadBid {
        parent_block_hash: Hash32,
        parent_block_root: Root,
        block_hash: Hash32,
        prev_randao: Bytes32,
        fee_recipient: ExecutionAddress,
        gas_limit: u64,
        builder_index: BuilderIndex,
        slot: Slot,
        value: Gwei,
        execution_payment: Gwei,
        blob_kzg_commitments: ProgressiveList<KZGCommitment>,
        execution_requests_root: Root,
    }
    SignedExecutionPayloadBid {
        message: ExecutionPayloadBid,
        signature: BLSSignature,
    }
    ExecutionPayloadEnvelope {
        payload: ExecutionPayload,
        execution_requests: ExecutionRequests,
        builder_index: BuilderIndex,
        beacon_block_root: Root,
        parent_beacon_block_root: Root,
    }
    SignedExecutionPayloadEnvelope {
        message: ExecutionPayloadEnvelope,
        signature: BLSSignature,
    }
    ProposerPreferences {
        dependent_root: Root,
        proposal_slot: Slot,
        validator_index: ValidatorIndex,
        fee_recipient: ExecutionAddress,
        target_gas_limit: u64,
    }
    SignedProposerPreferences {
        message: ProposerPreferences,
        signature: BLSSignature,
    }
    ExecutionPayloadEnvelopesByRange {
        start_slot: Slot,
        count: u64,
    }
    AttesterSlashing {
        attestation_1: IndexedAttestation,
        attestation_2: IndexedAttestation,
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
    AggregateAndProof {
        aggregator_index: ValidatorIndex,
        aggregate: Attestation,
        selection_proof: BLSSignature,
    }
    SignedAggregateAndProof {
        message: AggregateAndProof,
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
    LightClientOptimisticUpdate {
        attested_header: LightClientHeader,
        sync_aggregate: SyncAggregate,
        signature_slot: Slot,
    }
    BlockContents {
        block: BeaconBlock,
        execution_payload_envelope: ExecutionPayloadEnvelope,
        kzg_proofs: List<KZGProof, { FIELD_ELEMENTS_PER_EXT_BLOB * MAX_BLOB_COMMITMENTS_PER_BLOCK }>,
        blobs: List<Blob, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
    }
    SignedExecutionPayloadEnvelopeContents {
        signed_execution_payload_envelope: SignedExecutionPayloadEnvelope,
        kzg_proofs: List<KZGProof, { FIELD_ELEMENTS_PER_EXT_BLOB * MAX_BLOB_COMMITMENTS_PER_BLOCK }>,
        blobs: List<Blob, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
    }
}
