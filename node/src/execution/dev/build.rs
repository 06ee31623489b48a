//! Building a payload on a head.

use super::blobs::blob_gas;
use super::rules::{next_base_fee, next_excess_blob_gas};
use super::{DevEngine, State};
use crate::execution::header::{BlockHeader, EMPTY_TRIE_ROOT};
use crate::execution::types::{PayloadAttributes, RpcError, code};
use consensus::Fork;
use consensus::ssz::Bytes;
use consensus::transition::NewPayloadRequest;
use consensus::types::{ExecutionPayload, ExecutionRequests, Hash32, PayloadId};
use crypto::hash::sha256;
use std::collections::VecDeque;

/// Built payloads kept, at most: a node asks for one within a slot.
const MAX_BUILDS: usize = 16;

/// What a payload of this engine says in its `extra_data`.
const EXTRA_DATA: &[u8] = b"wren dev engine";

/// A payload and what goes with it.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) payload: ExecutionPayload,
    /// Places of its blobs in the stock.
    pub(super) blobs: Vec<usize>,
    pub(super) requests: ExecutionRequests,
}

/// The latest built payloads.
#[derive(Debug, Default)]
pub(super) struct Builds(VecDeque<(PayloadId, Build)>);

impl Builds {
    /// Keeps a payload under an id that its hash gives, so that asking for the same again gives the same id.
    pub(super) fn keep(&mut self, build: Build) -> PayloadId {
        let digest = sha256(&build.payload.block_hash.0);
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        let id = Bytes(id);
        if self.get(id).is_none() {
            if self.0.len() >= MAX_BUILDS {
                self.0.pop_front();
            }
            self.0.push_back((id, build));
        }
        id
    }

    pub(super) fn get(&self, id: PayloadId) -> Option<&Build> {
        self.0.iter().find(|(kept, _)| *kept == id).map(|(_, build)| build)
    }
}

impl DevEngine {
    /// Builds on a known, valid head. Errors are those of `engine_forkchoiceUpdated`.
    pub(super) fn build(
        &self,
        state: &State,
        fork: Fork,
        head: Hash32,
        attributes: &PayloadAttributes,
    ) -> Result<Build, RpcError> {
        let parent = state
            .chain
            .header(&head)
            .ok_or_else(|| RpcError::new(code::INVALID_FORKCHOICE_STATE, format!("the head {head} is not known")))?;
        if attributes.timestamp <= parent.timestamp {
            let message = format!(
                "timestamp {} is not after the head's, {}",
                attributes.timestamp, parent.timestamp
            );
            return Err(RpcError::new(code::INVALID_PAYLOAD_ATTRIBUTES, message));
        }
        self.check_fork(fork, attributes.timestamp)?;
        let complete = [
            (Fork::Capella, attributes.withdrawals.is_some()),
            (Fork::Deneb, attributes.parent_beacon_block_root.is_some()),
        ];
        if complete.iter().any(|(from, is_there)| *is_there != (fork >= *from)) {
            let message = format!("withdrawals and the parent's beacon block root are not as {fork} has them");
            return Err(RpcError::new(code::INVALID_PAYLOAD_ATTRIBUTES, message));
        }
        let mut build = self.unsealed(fork, head, parent, attributes);
        if fork >= Fork::Electra {
            build.requests = state.requests.first().cloned().unwrap_or_default();
        }
        build.payload.block_hash = sealed_hash(fork, &build, attributes);
        Ok(build)
    }

    /// All of a payload but its hash.
    fn unsealed(&self, fork: Fork, head: Hash32, parent: &BlockHeader, attributes: &PayloadAttributes) -> Build {
        let number = parent.number + 1;
        let rules = self.schedule.blobs_at(attributes.timestamp);
        let count = self.options.blobs_per_block.min(rules.max);
        let blobs = if fork >= Fork::Deneb {
            self.blobs.choose(number, count)
        } else {
            Vec::new()
        };
        let mut payload = ExecutionPayload {
            parent_hash: head,
            fee_recipient: attributes.suggested_fee_recipient,
            state_root: parent.state_root,
            receipts_root: EMPTY_TRIE_ROOT,
            prev_randao: attributes.prev_randao,
            block_number: number,
            gas_limit: parent.gas_limit,
            timestamp: attributes.timestamp,
            extra_data: EXTRA_DATA.to_vec().into(),
            base_fee_per_gas: next_base_fee(parent),
            transactions: self.blobs.transactions(self.chain_id(), number, &blobs),
            ..ExecutionPayload::default()
        };
        if fork >= Fork::Capella {
            payload.withdrawals = attributes.withdrawals.clone().unwrap_or_default();
        }
        if fork >= Fork::Deneb {
            payload.blob_gas_used = blob_gas(blobs.len() as u64);
            payload.excess_blob_gas = next_excess_blob_gas(parent, fork, rules);
        }
        Build {
            payload,
            blobs,
            requests: ExecutionRequests::default(),
        }
    }
}

/// The hash of a finished payload.
fn sealed_hash(fork: Fork, build: &Build, attributes: &PayloadAttributes) -> Hash32 {
    let request = NewPayloadRequest {
        fork,
        execution_payload: &build.payload,
        versioned_hashes: Vec::new(),
        parent_beacon_block_root: attributes.parent_beacon_block_root.unwrap_or_default(),
        execution_requests: (fork >= Fork::Electra).then_some(&build.requests),
    };
    BlockHeader::of_request(&request).hash()
}
