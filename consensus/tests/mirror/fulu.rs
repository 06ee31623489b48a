//! The containers that Fulu brings or changes, by themselves or by what is in them.

pub(crate) use super::electra::*;
use super::*;

mirror! {
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
        proposer_lookahead: Vector<ValidatorIndex, { (MIN_SEED_LOOKAHEAD + 1) * SLOTS_PER_EPOCH }>,
    }
    Status {
        fork_digest: ForkDigest,
        finalized_root: Root,
        finalized_epoch: Epoch,
        head_root: Root,
        head_slot: Slot,
        earliest_available_slot: Slot,
    }
    MetaData {
        seq_number: u64,
        attnets: Bitvector<ATTESTATION_SUBNET_COUNT>,
        syncnets: Bitvector<SYNC_COMMITTEE_SUBNET_COUNT>,
        custody_group_count: u64,
    }
    BlobsBundle {
        commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        proofs: List<KZGProof, { FIELD_ELEMENTS_PER_EXT_BLOB * MAX_BLOB_COMMITMENTS_PER_BLOCK }>,
        blobs: List<Blob, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
    }
    DataColumnSidecar {
        index: ColumnIndex,
        column: List<Cell, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        kzg_commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        kzg_proofs: List<KZGProof, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        signed_block_header: SignedBeaconBlockHeader,
        kzg_commitments_inclusion_proof: Vector<Bytes32, KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH>,
    }
    MatrixEntry {
        cell: Cell,
        kzg_proof: KZGProof,
        column_index: ColumnIndex,
        row_index: RowIndex,
    }
    DataColumnsByRootIdentifier {
        block_root: Root,
        columns: List<ColumnIndex, NUMBER_OF_COLUMNS>,
    }
    PartialDataColumnSidecar {
        cells_present_bitmap: Bitlist<MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        partial_column: List<Cell, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        kzg_proofs: List<KZGProof, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        header: List<PartialDataColumnHeader, 1>,
    }
    PartialDataColumnPartsMetadata {
        available: Bitlist<MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        requests: Bitlist<MAX_BLOB_COMMITMENTS_PER_BLOCK>,
    }
    PartialDataColumnHeader {
        kzg_commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        signed_block_header: SignedBeaconBlockHeader,
        kzg_commitments_inclusion_proof: Vector<Bytes32, KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH>,
    }
    PartialDataColumnGroupID {
        beacon_block_root: Root,
    }
    BeaconBlocksByHead {
        beacon_root: Root,
        count: u64,
    }
    DataColumnSidecarsByRange {
        start_slot: Slot,
        count: u64,
        columns: List<ColumnIndex, NUMBER_OF_COLUMNS>,
    }
    ExecutionPayloadAndBlobsBundle {
        execution_payload: ExecutionPayload,
        blobs_bundle: BlobsBundle,
    }
    BlockContents {
        block: BeaconBlock,
        kzg_proofs: List<KZGProof, { FIELD_ELEMENTS_PER_EXT_BLOB * MAX_BLOB_COMMITMENTS_PER_BLOCK }>,
        blobs: List<Blob, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
    }
    SignedBlockContents {
        signed_block: SignedBeaconBlock,
        kzg_proofs: List<KZGProof, { FIELD_ELEMENTS_PER_EXT_BLOB * MAX_BLOB_COMMITMENTS_PER_BLOCK }>,
        blobs: List<Blob, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
    }
}
