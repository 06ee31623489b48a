//! The containers that Bellatrix brings or changes, by themselves or by what is in them.

pub(crate) use super::altair::*;
use super::*;

pub(crate) type Transaction = List<u8, MAX_BYTES_PER_TRANSACTION>;

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
    }
    PowBlock {
        block_hash: Hash32,
        parent_hash: Hash32,
        total_difficulty: U256,
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
    ValidatorRegistrationV1 {
        fee_recipient: ExecutionAddress,
        gas_limit: u64,
        timestamp: u64,
        pubkey: BLSPubkey,
    }
    SignedValidatorRegistrationV1 {
        message: ValidatorRegistrationV1,
        signature: BLSSignature,
    }
    BuilderBid {
        header: ExecutionPayloadHeader,
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
}
