//! The execution layer's block header and its hash.
//!
//! The beacon chain carries payloads, whose header it never sees: most of its fields stand in the payload, lists are
//! there as their roots, and the rest are constants since the merge.
//!
//! Spec: EIP-3675 and EIP-4399 (the merge), EIP-4895 (withdrawals), EIP-4844 and EIP-4788 (Deneb), EIP-7685 (Electra).

use super::rlp::{list, number, string, uint};
use super::trie::{keccak256, ordered_trie_root};
use consensus::Fork;
use consensus::ssz::{ByteList, Bytes, U256};
use consensus::transition::NewPayloadRequest;
use consensus::types::{
    Bytes32, ExecutionAddress, ExecutionPayload, ExecutionPayloadHeader, Hash32, LogsBloom, Root, Withdrawal,
};
use crypto::hash::sha256;

/// The hash of an empty list of uncles, `keccak256(rlp([]))`, which every block has since the merge.
pub const EMPTY_OMMERS_HASH: Hash32 = Bytes([
    0x1d, 0xcc, 0x4d, 0xe8, 0xde, 0xc7, 0x5d, 0x7a, 0xab, 0x85, 0xb5, 0x67, 0xb6, 0xcc, 0xd4, 0x1a, 0xd3, 0x12, 0x45,
    0x1b, 0x94, 0x8a, 0x74, 0x13, 0xf0, 0xa1, 0x42, 0xfd, 0x40, 0xd4, 0x93, 0x47,
]);

/// The root of a trie without items, `keccak256(rlp(""))`.
pub const EMPTY_TRIE_ROOT: Hash32 = Bytes([
    0x56, 0xe8, 0x1f, 0x17, 0x1b, 0xcc, 0x55, 0xa6, 0xff, 0x83, 0x45, 0xe6, 0x92, 0xc0, 0xf8, 0x6e, 0x5b, 0x48, 0xe0,
    0x1b, 0x99, 0x6c, 0xad, 0xc0, 0x01, 0x62, 0x2f, 0xb5, 0xe3, 0x63, 0xb4, 0x21,
]);

/// A block header of the execution layer, from London on. What a fork brought is `None` before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Hash of the parent's header.
    pub parent_hash: Hash32,
    /// Hash of the list of uncles; [`EMPTY_OMMERS_HASH`] since the merge.
    pub ommers_hash: Hash32,
    /// Who gets the fees.
    pub fee_recipient: ExecutionAddress,
    /// Root of all accounts after the block.
    pub state_root: Bytes32,
    /// Root of the transactions as a trie, which is not the SSZ root.
    pub transactions_root: Hash32,
    /// Root of the receipts.
    pub receipts_root: Bytes32,
    /// Filter of the logs.
    pub logs_bloom: LogsBloom,
    /// Work in the block; zero since the merge.
    pub difficulty: U256,
    /// Number of ancestors.
    pub number: u64,
    /// Gas that the transactions may use.
    pub gas_limit: u64,
    /// Gas that they used.
    pub gas_used: u64,
    /// Unix time in seconds.
    pub timestamp: u64,
    /// Anything, 32 bytes at most.
    pub extra_data: Vec<u8>,
    /// The RANDAO mix since the merge.
    pub prev_randao: Bytes32,
    /// Zeros since the merge.
    pub nonce: [u8; 8],
    /// Wei per gas that is burnt.
    pub base_fee_per_gas: U256,
    /// Root of the withdrawals as a trie, from Capella on.
    pub withdrawals_root: Option<Hash32>,
    /// Gas of blobs and what was too much so far, from Deneb on.
    pub blob_gas: Option<BlobGas>,
    /// Parent of the beacon block, from Deneb on.
    pub parent_beacon_block_root: Option<Root>,
    /// Commitment to the requests, from Electra on.
    pub requests_hash: Option<Hash32>,
}

/// Blob gas of a header, from Deneb on. Spec: EIP-4844.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobGas {
    /// Gas of the block's own blobs.
    pub used: u64,
    /// Gas above the target, summed up over the blocks before.
    pub excess: u64,
}

impl BlockHeader {
    /// The header of a payload, of Bellatrix to Fulu.
    pub fn of_request(request: &NewPayloadRequest) -> Self {
        let (fork, payload) = (request.fork, request.execution_payload);
        let requests = request.execution_requests_list();
        BlockHeader {
            parent_hash: payload.parent_hash,
            ommers_hash: EMPTY_OMMERS_HASH,
            fee_recipient: payload.fee_recipient,
            state_root: payload.state_root,
            transactions_root: transactions_root(&payload.transactions),
            receipts_root: payload.receipts_root,
            logs_bloom: payload.logs_bloom,
            difficulty: U256::ZERO,
            number: payload.block_number,
            gas_limit: payload.gas_limit,
            gas_used: payload.gas_used,
            timestamp: payload.timestamp,
            extra_data: payload.extra_data.0.clone(),
            prev_randao: payload.prev_randao,
            nonce: [0; 8],
            base_fee_per_gas: payload.base_fee_per_gas,
            withdrawals_root: (fork >= Fork::Capella).then(|| withdrawals_root(&payload.withdrawals)),
            blob_gas: (fork >= Fork::Deneb).then_some(BlobGas {
                used: payload.blob_gas_used,
                excess: payload.excess_blob_gas,
            }),
            parent_beacon_block_root: (fork >= Fork::Deneb).then_some(request.parent_beacon_block_root),
            requests_hash: requests.map(|requests| requests_hash(&requests)),
        }
    }

    /// What a beacon state of `fork` knows of a header; its hash cannot be computed from that, since the roots of lists
    /// are of another kind there.
    pub fn of_payload_header(fork: Fork, header: &ExecutionPayloadHeader) -> Self {
        BlockHeader {
            parent_hash: header.parent_hash,
            ommers_hash: EMPTY_OMMERS_HASH,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            transactions_root: Bytes::ZERO,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            difficulty: U256::ZERO,
            number: header.block_number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data.0.clone(),
            prev_randao: header.prev_randao,
            nonce: [0; 8],
            base_fee_per_gas: header.base_fee_per_gas,
            withdrawals_root: (fork >= Fork::Capella).then_some(Bytes::ZERO),
            blob_gas: (fork >= Fork::Deneb).then_some(BlobGas {
                used: header.blob_gas_used,
                excess: header.excess_blob_gas,
            }),
            parent_beacon_block_root: (fork >= Fork::Deneb).then_some(Bytes::ZERO),
            requests_hash: (fork >= Fork::Electra).then_some(Bytes::ZERO),
        }
    }

    /// The payload of a block of that hash that has neither transactions nor withdrawals nor requests.
    pub fn to_payload(&self, block_hash: Hash32) -> ExecutionPayload {
        let blob_gas = self.blob_gas.unwrap_or(BlobGas { used: 0, excess: 0 });
        ExecutionPayload {
            parent_hash: self.parent_hash,
            fee_recipient: self.fee_recipient,
            state_root: self.state_root,
            receipts_root: self.receipts_root,
            logs_bloom: self.logs_bloom,
            prev_randao: self.prev_randao,
            block_number: self.number,
            gas_limit: self.gas_limit,
            gas_used: self.gas_used,
            timestamp: self.timestamp,
            extra_data: self.extra_data.clone().into(),
            base_fee_per_gas: self.base_fee_per_gas,
            block_hash,
            blob_gas_used: blob_gas.used,
            excess_blob_gas: blob_gas.excess,
            ..ExecutionPayload::default()
        }
    }

    /// The block hash: `keccak256(rlp(header))`. Spec: yellow paper, section 4.4.
    pub fn hash(&self) -> Hash32 {
        let mut fields = vec![
            string(&self.parent_hash.0),
            string(&self.ommers_hash.0),
            string(&self.fee_recipient.0),
            string(&self.state_root.0),
            string(&self.transactions_root.0),
            string(&self.receipts_root.0),
            string(&self.logs_bloom.0),
            uint(&self.difficulty.to_be_bytes::<32>()),
            number(self.number),
            number(self.gas_limit),
            number(self.gas_used),
            number(self.timestamp),
            string(&self.extra_data),
            string(&self.prev_randao.0),
            string(&self.nonce),
            uint(&self.base_fee_per_gas.to_be_bytes::<32>()),
        ];
        fields.extend(self.withdrawals_root.map(|root| string(&root.0)));
        if let Some(gas) = self.blob_gas {
            fields.extend([number(gas.used), number(gas.excess)]);
        }
        fields.extend(self.parent_beacon_block_root.map(|root| string(&root.0)));
        fields.extend(self.requests_hash.map(|hash| string(&hash.0)));
        keccak256(&list(&fields))
    }
}

/// The root of a payload's transactions in its header.
fn transactions_root(transactions: &[ByteList]) -> Hash32 {
    ordered_trie_root(transactions.iter().map(|transaction| transaction.0.as_slice()))
}

/// The root of a payload's withdrawals in its header. Spec: EIP-4895.
fn withdrawals_root(withdrawals: &[Withdrawal]) -> Hash32 {
    let encoded: Vec<Vec<u8>> = withdrawals
        .iter()
        .map(|withdrawal| {
            list(&[
                number(withdrawal.index),
                number(withdrawal.validator_index),
                string(&withdrawal.address.0),
                number(withdrawal.amount),
            ])
        })
        .collect();
    ordered_trie_root(encoded.iter().map(Vec::as_slice))
}

/// The commitment to requests, each kind its type byte and its data; kinds without data are not in the list.
///
/// Spec: EIP-7685, `compute_requests_hash`.
pub fn requests_hash(requests: &[Vec<u8>]) -> Hash32 {
    let hashes: Vec<u8> = requests.iter().flat_map(|request| sha256(request)).collect();
    Hash32::from(sha256(&hashes))
}
