//! The containers that Deneb brings or changes, by themselves or by what is in them.

pub(crate) use super::capella::*;
use super::*;

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
        execution_payload: ExecutionPayload,
        bls_to_execution_changes: List<SignedBLSToExecutionChange, MAX_BLS_TO_EXECUTION_CHANGES>,
        blob_kzg_commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
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
        transactions: List<Transaction, MAX_TRANSACTIONS_PER_PAYLOAD>,
        withdrawals: List<Withdrawal, MAX_WITHDRAWALS_PER_PAYLOAD>,
        blob_gas_used: u64,
        excess_blob_gas: u64,
    }
    ExecutionPayloadHeader {
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
        transactions_root: Root,
        withdrawals_root: Root,
        blob_gas_used: u64,
        excess_blob_gas: u64,
    }
    BlobSidecar {
        index: BlobIndex,
        blob: Blob,
        kzg_commitment: KZGCommitment,
        kzg_proof: KZGProof,
        signed_block_header: SignedBeaconBlockHeader,
        kzg_commitment_inclusion_proof: Vector<Bytes32, KZG_COMMITMENT_INCLUSION_PROOF_DEPTH>,
    }
    BlobIdentifier {
        block_root: Root,
        index: BlobIndex,
    }
    BlobsBundle {
        commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        proofs: List<KZGProof, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
        blobs: List<Blob, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
    }
    BlobSidecarsByRange {
        start_slot: Slot,
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
    LightClientHeader {
        beacon: BeaconBlockHeader,
        execution: ExecutionPayloadHeader,
        execution_branch: ExecutionBranch,
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
    BuilderBid {
        header: ExecutionPayloadHeader,
        blob_kzg_commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
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
        attester_slashings: List<AttesterSlashing, MAX_ATTESTER_SLASHINGS>,
        attestations: List<Attestation, MAX_ATTESTATIONS>,
        deposits: List<Deposit, MAX_DEPOSITS>,
        voluntary_exits: List<SignedVoluntaryExit, MAX_VOLUNTARY_EXITS>,
        sync_aggregate: SyncAggregate,
        execution_payload_header: ExecutionPayloadHeader,
        bls_to_execution_changes: List<SignedBLSToExecutionChange, MAX_BLS_TO_EXECUTION_CHANGES>,
        blob_kzg_commitments: List<KZGCommitment, MAX_BLOB_COMMITMENTS_PER_BLOCK>,
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
    ExecutionPayloadAndBlobsBundle {
        execution_payload: ExecutionPayload,
        blobs_bundle: BlobsBundle,
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
