//! The beacon state and what only occurs in it.
//!
//! Lists and vectors that grow with the registry or with history are persistent trees: states share what they have in
//! common, and roots of unchanged parts are kept. The rest is small and plain.

use super::attestation::{Checkpoint, PendingAttestation};
use super::basic::{
    BLSPubkey, BLSSignature, BuilderIndex, Bytes32, Epoch, Gwei, Hash32, ParticipationFlags, Root, Slot,
    ValidatorIndex, WithdrawalIndex,
};
use super::block::BeaconBlockHeader;
use super::domain::ForkInfo;
use super::execution::{ExecutionPayloadHeader, Withdrawal};
use super::operations::Eth1Data;
use super::payload::{Builder, BuilderPendingPayment, BuilderPendingWithdrawal, ExecutionPayloadBid};
use super::sync::SyncCommittee;
use crate::constants::JUSTIFICATION_BITS_LENGTH;
use crate::preset::{
    BUILDER_PENDING_PAYMENTS_LENGTH, EPOCHS_PER_HISTORICAL_VECTOR, EPOCHS_PER_SLASHINGS_VECTOR, HISTORICAL_ROOTS_LIMIT,
    MAX_PENDING_ATTESTATIONS, PENDING_CONSOLIDATIONS_LIMIT, PENDING_DEPOSITS_LIMIT, PENDING_PARTIAL_WITHDRAWALS_LIMIT,
    PROPOSER_LOOKAHEAD_LENGTH, PTC_SIZE, PTC_WINDOW_LENGTH, SLOTS_PER_ETH1_VOTING_PERIOD, SLOTS_PER_HISTORICAL_ROOT,
    VALIDATOR_REGISTRY_LIMIT,
};
use crate::ssz::{BitVector, List, PersistentList, PersistentVector, Vector, container};

container! {
    /// A validator's record in the registry. Spec: phase0/beacon-chain.md, `Validator`.
    batched;
    pub struct Validator {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        effective_balance: Gwei,
        slashed: bool,
        activation_eligibility_epoch: Epoch,
        activation_epoch: Epoch,
        exit_epoch: Epoch,
        withdrawable_epoch: Epoch,
    }
}

container! {
    /// The roots of one period of history, before Capella. Spec: phase0/beacon-chain.md, `HistoricalBatch`.
    pub struct HistoricalBatch {
        block_roots: PersistentVector<Root> [SLOTS_PER_HISTORICAL_ROOT],
        state_roots: PersistentVector<Root> [SLOTS_PER_HISTORICAL_ROOT],
    }
}

container! {
    /// `HistoricalBatch` with its two vectors replaced by their roots. Spec: capella/beacon-chain.md,
    /// `HistoricalSummary`.
    #[derive(Copy)]
    batched;
    pub struct HistoricalSummary {
        block_summary_root: Root,
        state_summary_root: Root,
    }
}

container! {
    /// A deposit waiting to be credited. Spec: electra/beacon-chain.md, `PendingDeposit`.
    batched;
    pub struct PendingDeposit {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
        signature: BLSSignature,
        slot: Slot,
    }
}

container! {
    /// A partial withdrawal waiting for its epoch. Spec: electra/beacon-chain.md, `PendingPartialWithdrawal`.
    #[derive(Copy)]
    batched;
    pub struct PendingPartialWithdrawal {
        validator_index: ValidatorIndex,
        amount: Gwei,
        withdrawable_epoch: Epoch,
    }
}

container! {
    /// A consolidation waiting for its source to become withdrawable. Spec: electra/beacon-chain.md,
    /// `PendingConsolidation`.
    #[derive(Copy)]
    batched;
    pub struct PendingConsolidation {
        source_index: ValidatorIndex,
        target_index: ValidatorIndex,
    }
}

container! {
    /// All that the chain remembers at a slot (`genesis_time` in seconds).
    ///
    /// Spec: `BeaconState` in beacon-chain.md of phase0, altair, bellatrix, capella, electra, fulu, gloas.
    progressive Gloas..;
    streamed;
    pub struct BeaconState {
        genesis_time: u64,
        genesis_validators_root: Root,
        slot: Slot,
        fork: ForkInfo,
        latest_block_header: BeaconBlockHeader,
        block_roots: PersistentVector<Root> [SLOTS_PER_HISTORICAL_ROOT],
        state_roots: PersistentVector<Root> [SLOTS_PER_HISTORICAL_ROOT],
        historical_roots: PersistentList<Root> [HISTORICAL_ROOTS_LIMIT],
        eth1_data: Eth1Data,
        eth1_data_votes: List<Eth1Data> [SLOTS_PER_ETH1_VOTING_PERIOD],
        eth1_deposit_index: u64,
        validators: PersistentList<Validator> [VALIDATOR_REGISTRY_LIMIT ..Gloas, progressive Gloas..],
        balances: PersistentList<Gwei> [VALIDATOR_REGISTRY_LIMIT ..Gloas, progressive Gloas..],
        randao_mixes: PersistentVector<Bytes32> [EPOCHS_PER_HISTORICAL_VECTOR],
        slashings: PersistentVector<Gwei> [EPOCHS_PER_SLASHINGS_VECTOR],
        // Altair puts the participation flags where the pending attestations were.
        previous_epoch_attestations: List<PendingAttestation> [MAX_PENDING_ATTESTATIONS] => ..Altair,
        current_epoch_attestations: List<PendingAttestation> [MAX_PENDING_ATTESTATIONS] => ..Altair,
        previous_epoch_participation: PersistentList<ParticipationFlags> [
            VALIDATOR_REGISTRY_LIMIT ..Gloas,
            progressive Gloas..
        ] => Altair..,
        current_epoch_participation: PersistentList<ParticipationFlags> [
            VALIDATOR_REGISTRY_LIMIT ..Gloas,
            progressive Gloas..
        ] => Altair..,
        justification_bits: BitVector [JUSTIFICATION_BITS_LENGTH],
        previous_justified_checkpoint: Checkpoint,
        current_justified_checkpoint: Checkpoint,
        finalized_checkpoint: Checkpoint,
        inactivity_scores: PersistentList<u64> [VALIDATOR_REGISTRY_LIMIT ..Gloas, progressive Gloas..] => Altair..,
        current_sync_committee: SyncCommittee => Altair..,
        next_sync_committee: SyncCommittee => Altair..,
        // Gloas puts the hash of the latest payload where its header was.
        latest_execution_payload_header: ExecutionPayloadHeader => Bellatrix..Gloas,
        latest_block_hash: Hash32 => Gloas..,
        next_withdrawal_index: WithdrawalIndex => Capella..,
        next_withdrawal_validator_index: ValidatorIndex => Capella..,
        historical_summaries: PersistentList<HistoricalSummary> [HISTORICAL_ROOTS_LIMIT] => Capella..,
        deposit_requests_start_index: u64 => Electra..,
        deposit_balance_to_consume: Gwei => Electra..,
        exit_balance_to_consume: Gwei => Electra..,
        earliest_exit_epoch: Epoch => Electra..,
        consolidation_balance_to_consume: Gwei => Electra..,
        earliest_consolidation_epoch: Epoch => Electra..,
        pending_deposits: PersistentList<PendingDeposit> [
            PENDING_DEPOSITS_LIMIT ..Gloas,
            progressive Gloas..
        ] => Electra..,
        pending_partial_withdrawals: PersistentList<PendingPartialWithdrawal> [
            PENDING_PARTIAL_WITHDRAWALS_LIMIT ..Gloas,
            progressive Gloas..
        ] => Electra..,
        pending_consolidations: PersistentList<PendingConsolidation> [
            PENDING_CONSOLIDATIONS_LIMIT ..Gloas,
            progressive Gloas..
        ] => Electra..,
        proposer_lookahead: Vector<ValidatorIndex> [PROPOSER_LOOKAHEAD_LENGTH] => Fulu..,
        builders: PersistentList<Builder> [progressive] => Gloas..,
        next_withdrawal_builder_index: BuilderIndex => Gloas..,
        execution_payload_availability: BitVector [SLOTS_PER_HISTORICAL_ROOT] => Gloas..,
        builder_pending_payments: Vector<BuilderPendingPayment> [BUILDER_PENDING_PAYMENTS_LENGTH] => Gloas..,
        builder_pending_withdrawals: List<BuilderPendingWithdrawal> [progressive] => Gloas..,
        latest_execution_payload_bid: ExecutionPayloadBid => Gloas..,
        payload_expected_withdrawals: List<Withdrawal> [progressive] => Gloas..,
        ptc_window: Vector<Vector<ValidatorIndex>> [PTC_WINDOW_LENGTH / PTC_SIZE] => Gloas..,
    }
}
