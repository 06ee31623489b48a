//! The containers that phase0 has.

use super::*;

mirror! {
    Fork {
        previous_version: Version,
        current_version: Version,
        epoch: Epoch,
    }
    ForkData {
        current_version: Version,
        genesis_validators_root: Root,
    }
    Checkpoint {
        epoch: Epoch,
        root: Root,
    }
    Validator {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        effective_balance: Gwei,
        slashed: bool,
        activation_eligibility_epoch: Epoch,
        activation_epoch: Epoch,
        exit_epoch: Epoch,
        withdrawable_epoch: Epoch,
    }
    AttestationData {
        slot: Slot,
        index: CommitteeIndex,
        beacon_block_root: Root,
        source: Checkpoint,
        target: Checkpoint,
    }
    IndexedAttestation {
        attesting_indices: List<ValidatorIndex, MAX_VALIDATORS_PER_COMMITTEE>,
        data: AttestationData,
        signature: BLSSignature,
    }
    PendingAttestation {
        aggregation_bits: Bitlist<MAX_VALIDATORS_PER_COMMITTEE>,
        data: AttestationData,
        inclusion_delay: Slot,
        proposer_index: ValidatorIndex,
    }
    Eth1Data {
        deposit_root: Root,
        deposit_count: u64,
        block_hash: Hash32,
    }
    HistoricalBatch {
        block_roots: Vector<Root, SLOTS_PER_HISTORICAL_ROOT>,
        state_roots: Vector<Root, SLOTS_PER_HISTORICAL_ROOT>,
    }
    DepositMessage {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
    }
    DepositData {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
        signature: BLSSignature,
    }
    BeaconBlockHeader {
        slot: Slot,
        proposer_index: ValidatorIndex,
        parent_root: Root,
        state_root: Root,
        body_root: Root,
    }
    SigningData {
        object_root: Root,
        domain: Domain,
    }
    ProposerSlashing {
        signed_header_1: SignedBeaconBlockHeader,
        signed_header_2: SignedBeaconBlockHeader,
    }
    AttesterSlashing {
        attestation_1: IndexedAttestation,
        attestation_2: IndexedAttestation,
    }
    Attestation {
        aggregation_bits: Bitlist<MAX_VALIDATORS_PER_COMMITTEE>,
        data: AttestationData,
        signature: BLSSignature,
    }
    Deposit {
        proof: Vector<Bytes32, { DEPOSIT_CONTRACT_TREE_DEPTH + 1 }>,
        data: DepositData,
    }
    VoluntaryExit {
        epoch: Epoch,
        validator_index: ValidatorIndex,
    }
    BeaconBlockBody {
        randao_reveal: BLSSignature,
        eth1_data: Eth1Data,
        graffiti: Bytes32,
        proposer_slashings: List<ProposerSlashing, MAX_PROPOSER_SLASHINGS>,
        attester_slashings: List<AttesterSlashing, MAX_ATTESTER_SLASHINGS>,
        attestations: List<Attestation, MAX_ATTESTATIONS>,
        deposits: List<Deposit, MAX_DEPOSITS>,
        voluntary_exits: List<SignedVoluntaryExit, MAX_VOLUNTARY_EXITS>,
    }
    BeaconBlock {
        slot: Slot,
        proposer_index: ValidatorIndex,
        parent_root: Root,
        state_root: Root,
        body: BeaconBlockBody,
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
        previous_epoch_attestations: List<PendingAttestation, { MAX_ATTESTATIONS * SLOTS_PER_EPOCH }>,
        current_epoch_attestations: List<PendingAttestation, { MAX_ATTESTATIONS * SLOTS_PER_EPOCH }>,
        justification_bits: Bitvector<JUSTIFICATION_BITS_LENGTH>,
        previous_justified_checkpoint: Checkpoint,
        current_justified_checkpoint: Checkpoint,
        finalized_checkpoint: Checkpoint,
    }
    SignedVoluntaryExit {
        message: VoluntaryExit,
        signature: BLSSignature,
    }
    SignedBeaconBlock {
        message: BeaconBlock,
        signature: BLSSignature,
    }
    SignedBeaconBlockHeader {
        message: BeaconBlockHeader,
        signature: BLSSignature,
    }
    Eth1Block {
        timestamp: u64,
        deposit_root: Root,
        deposit_count: u64,
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
    Status {
        fork_digest: ForkDigest,
        finalized_root: Root,
        finalized_epoch: Epoch,
        head_root: Root,
        head_slot: Slot,
    }
    MetaData {
        seq_number: u64,
        attnets: Bitvector<ATTESTATION_SUBNET_COUNT>,
    }
    ENRForkID {
        fork_digest: ForkDigest,
        next_fork_version: Version,
        next_fork_epoch: Epoch,
    }
    BeaconBlocksByRange {
        start_slot: Slot,
        count: u64,
        step: u64,
    }
}
