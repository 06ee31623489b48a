//! What the execution engine is asked about a payload: a value that the caller sends, so that the transition itself
//! stays pure.

use crate::constants::{
    BUILDER_DEPOSIT_REQUEST_TYPE, BUILDER_EXIT_REQUEST_TYPE, CONSOLIDATION_REQUEST_TYPE, DEPOSIT_REQUEST_TYPE,
    WITHDRAWAL_REQUEST_TYPE,
};
use crate::fork::Fork;
use crate::helpers::misc::kzg_commitment_to_versioned_hash;
use crate::ssz::{Bound, List, Out, Root, Ssz};
use crate::types::{BeaconBlock, BeaconBlockBody, ExecutionPayload, ExecutionRequests, KZGCommitment, VersionedHash};

/// A payload to be executed, with what the beacon chain vouches for. Lent from the block or envelope that it came in.
///
/// Spec: bellatrix/, deneb/ and electra/beacon-chain.md, `NewPayloadRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPayloadRequest<'b> {
    /// The fork of the block, which decides the version of the engine's method.
    pub fork: Fork,
    /// The payload.
    pub execution_payload: &'b ExecutionPayload,
    /// The hashes that its blob transactions must have; empty before Deneb.
    pub versioned_hashes: Vec<VersionedHash>,
    /// The parent of the beacon block; not sent before Deneb.
    pub parent_beacon_block_root: Root,
    /// The requests that it must have made; `None` before Electra.
    pub execution_requests: Option<&'b ExecutionRequests>,
}

impl<'b> NewPayloadRequest<'b> {
    /// The request for a block of `fork`, so that the engine can start before the transition does; `None` from Gloas on
    /// and before Bellatrix. A Bellatrix block whose payload is the default one executes nothing; that it may is for
    /// the transition to say.
    pub fn of_block(fork: Fork, block: &'b BeaconBlock) -> Option<Self> {
        let has_payload = fork >= Fork::Bellatrix && fork < Fork::Gloas;
        has_payload.then(|| Self::of_body(fork, &block.body, block.parent_root))
    }

    /// The request for a block's body, from Bellatrix up to Fulu.
    pub(super) fn of_body(fork: Fork, body: &'b BeaconBlockBody, parent_beacon_block_root: Root) -> Self {
        NewPayloadRequest {
            fork,
            execution_payload: &body.execution_payload,
            versioned_hashes: versioned_hashes(&body.blob_kzg_commitments),
            parent_beacon_block_root,
            execution_requests: (fork >= Fork::Electra).then_some(&body.execution_requests),
        }
    }

    /// Whether a transaction is empty: such a payload is invalid, whatever the engine says.
    ///
    /// Spec: bellatrix/beacon-chain.md, `verify_and_notify_new_payload`.
    pub fn has_empty_transaction(&self) -> bool {
        let transactions = &self.execution_payload.transactions;
        transactions.iter().any(|transaction| transaction.0.is_empty())
    }

    /// The requests as the engine wants them; `None` before Electra.
    pub fn execution_requests_list(&self) -> Option<Vec<Vec<u8>>> {
        self.execution_requests
            .map(|requests| get_execution_requests_list(self.fork, requests))
    }
}

/// The versioned hash of each commitment.
pub(super) fn versioned_hashes(commitments: &[KZGCommitment]) -> Vec<VersionedHash> {
    commitments.iter().map(kzg_commitment_to_versioned_hash).collect()
}

/// The kinds of requests that are not empty, each its type byte and its SSZ.
///
/// Spec: electra/ and gloas/beacon-chain.md, `get_execution_requests_list`.
pub fn get_execution_requests_list(fork: Fork, execution_requests: &ExecutionRequests) -> Vec<Vec<u8>> {
    let mut lists = vec![
        typed(fork, DEPOSIT_REQUEST_TYPE, &execution_requests.deposits),
        typed(fork, WITHDRAWAL_REQUEST_TYPE, &execution_requests.withdrawals),
        typed(fork, CONSOLIDATION_REQUEST_TYPE, &execution_requests.consolidations),
    ];
    if fork >= Fork::Gloas {
        let requests = execution_requests;
        lists.push(typed(fork, BUILDER_DEPOSIT_REQUEST_TYPE, &requests.builder_deposits));
        lists.push(typed(fork, BUILDER_EXIT_REQUEST_TYPE, &requests.builder_exits));
    }
    lists.into_iter().flatten().collect()
}

fn typed<T: Ssz>(fork: Fork, request_type: u8, requests: &List<T>) -> Option<Vec<u8>> {
    if requests.is_empty() {
        return None;
    }
    // The encoding of a list does not depend on its bound.
    let shape = [Bound::Progressive];
    let mut out = Out::memory(1 + requests.encoded_len(fork, &shape));
    out.put(&[request_type]);
    requests.encode_to(fork, &shape, &mut out);
    Some(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BuilderExitRequest, DepositRequest, WithdrawalRequest};

    #[test]
    fn only_kinds_that_occur_are_listed() {
        let mut requests = ExecutionRequests::default();
        assert!(get_execution_requests_list(Fork::Gloas, &requests).is_empty());
        requests.withdrawals = vec![WithdrawalRequest::default(); 2];
        requests.deposits = vec![DepositRequest::default()];
        requests.builder_exits = vec![BuilderExitRequest::default()];
        let heads = |fork| -> Vec<(u8, usize)> {
            let lists = get_execution_requests_list(fork, &requests);
            lists.iter().map(|list| (list[0], list.len())).collect()
        };
        // Sizes of the containers, after the type byte.
        assert_eq!(heads(Fork::Electra), [(0, 1 + 192), (1, 1 + 2 * 76)]);
        assert_eq!(heads(Fork::Gloas), [(0, 1 + 192), (1, 1 + 2 * 76), (4, 1 + 68)]);
    }

    #[test]
    fn the_request_of_a_block_has_what_its_fork_has() {
        let mut block = BeaconBlock::default();
        block.body.blob_kzg_commitments = vec![KZGCommitment::default()];
        for fork in Fork::ALL {
            let request = NewPayloadRequest::of_block(fork, &block);
            assert_eq!(
                request.is_some(),
                (Fork::Bellatrix..Fork::Gloas).contains(&fork),
                "{fork}"
            );
            if let Some(request) = request {
                assert_eq!(
                    request.execution_requests_list().is_some(),
                    fork >= Fork::Electra,
                    "{fork}"
                );
                assert!(!request.has_empty_transaction());
            }
        }
        block.body.execution_payload.transactions = vec![vec![1].into(), Vec::new().into()];
        let request = NewPayloadRequest::of_block(Fork::Fulu, &block).expect("Fulu blocks have payloads");
        assert!(request.has_empty_transaction());
        assert_eq!(request.versioned_hashes.len(), 1);
    }
}
