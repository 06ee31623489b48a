//! The execution layer's part: payloads, their headers, withdrawals and requests.

use super::basic::{
    BLSPubkey, BLSSignature, Bytes32, ExecutionAddress, Gwei, Hash32, LogsBloom, Root, ValidatorIndex, WithdrawalIndex,
};
use super::payload::{BuilderDepositRequest, BuilderExitRequest};
use crate::preset::{
    MAX_BYTES_PER_TRANSACTION, MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD, MAX_DEPOSIT_REQUESTS_PER_PAYLOAD,
    MAX_EXTRA_DATA_BYTES, MAX_TRANSACTIONS_PER_PAYLOAD, MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD,
    MAX_WITHDRAWALS_PER_PAYLOAD,
};
use crate::ssz::{ByteList, List, U256, container};

container! {
    /// A withdrawal from the beacon chain to an address. Spec: capella/beacon-chain.md, `Withdrawal`.
    #[derive(Copy)]
    batched;
    pub struct Withdrawal {
        index: WithdrawalIndex,
        validator_index: ValidatorIndex,
        address: ExecutionAddress,
        amount: Gwei,
    }
}

container! {
    /// A block of the execution layer (`timestamp` in seconds, `base_fee_per_gas` in Wei).
    ///
    /// Spec: `ExecutionPayload` in beacon-chain.md of bellatrix, capella, deneb, gloas.
    progressive Gloas..;
    pub struct ExecutionPayload {
        parent_hash: Hash32,
        fee_recipient: ExecutionAddress,
        state_root: Bytes32,
        receipts_root: Bytes32,
        logs_bloom: LogsBloom,
        prev_randao: Bytes32,
        block_number: u64,
        gas_limit: u64,
        gas_used: u64,
        timestamp: u64,
        extra_data: ByteList [MAX_EXTRA_DATA_BYTES],
        base_fee_per_gas: U256,
        block_hash: Hash32,
        transactions: List<ByteList> [
            MAX_TRANSACTIONS_PER_PAYLOAD / MAX_BYTES_PER_TRANSACTION ..Gloas,
            progressive / progressive Gloas..
        ],
        withdrawals: List<Withdrawal> [MAX_WITHDRAWALS_PER_PAYLOAD ..Gloas, progressive Gloas..] => Capella..,
        blob_gas_used: u64 => Deneb..,
        excess_blob_gas: u64 => Deneb..,
        block_access_list: ByteList [progressive] => Gloas..,
        slot_number: u64 => Gloas..,
    }
}

container! {
    /// A payload with its lists replaced by their roots; up to Fulu the state keeps the latest one.
    ///
    /// Spec: `ExecutionPayloadHeader` in beacon-chain.md of bellatrix, capella, deneb.
    pub struct ExecutionPayloadHeader {
        parent_hash: Hash32,
        fee_recipient: ExecutionAddress,
        state_root: Bytes32,
        receipts_root: Bytes32,
        logs_bloom: LogsBloom,
        prev_randao: Bytes32,
        block_number: u64,
        gas_limit: u64,
        gas_used: u64,
        timestamp: u64,
        extra_data: ByteList [MAX_EXTRA_DATA_BYTES],
        base_fee_per_gas: U256,
        block_hash: Hash32,
        transactions_root: Root,
        withdrawals_root: Root => Capella..,
        blob_gas_used: u64 => Deneb..,
        excess_blob_gas: u64 => Deneb..,
    }
}

container! {
    /// A deposit that the execution layer reports itself. Spec: electra/beacon-chain.md, `DepositRequest`.
    batched;
    pub struct DepositRequest {
        pubkey: BLSPubkey,
        withdrawal_credentials: Bytes32,
        amount: Gwei,
        signature: BLSSignature,
        index: u64,
    }
}

container! {
    /// A withdrawal or exit asked for from the execution layer. Spec: electra/beacon-chain.md, `WithdrawalRequest`.
    pub struct WithdrawalRequest {
        source_address: ExecutionAddress,
        validator_pubkey: BLSPubkey,
        amount: Gwei,
    }
}

container! {
    /// A merger of two validators asked for from the execution layer.
    ///
    /// Spec: electra/beacon-chain.md, `ConsolidationRequest`.
    pub struct ConsolidationRequest {
        source_address: ExecutionAddress,
        source_pubkey: BLSPubkey,
        target_pubkey: BLSPubkey,
    }
}

container! {
    /// What the execution layer asks of the beacon chain with a payload.
    ///
    /// Spec: electra/beacon-chain.md and gloas/beacon-chain.md, `ExecutionRequests`.
    progressive Gloas..;
    pub struct ExecutionRequests {
        deposits: List<DepositRequest> [MAX_DEPOSIT_REQUESTS_PER_PAYLOAD ..Gloas, progressive Gloas..],
        withdrawals: List<WithdrawalRequest> [MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD ..Gloas, progressive Gloas..],
        consolidations: List<ConsolidationRequest> [
            MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD ..Gloas,
            progressive Gloas..
        ],
        builder_deposits: List<BuilderDepositRequest> [progressive] => Gloas..,
        builder_exits: List<BuilderExitRequest> [progressive] => Gloas..,
    }
}

container! {
    /// A proof-of-work block, for the merge. Spec: bellatrix/fork-choice.md, `PowBlock`.
    pub struct PowBlock {
        block_hash: Hash32,
        parent_hash: Hash32,
        total_difficulty: U256,
    }
}
