//! The checks against payloads of public networks, whose block hashes a whole network agreed on.

use super::*;
use crate::execution::header::{EMPTY_OMMERS_HASH, EMPTY_TRIE_ROOT};
use crate::execution::rlp::{list, number, string, uint};
use crate::execution::trie::{keccak256, ordered_trie_root, trie_root};
use crate::testing;
use consensus::ssz::{Bytes, U256};
use consensus::types::{ExecutionPayload, WithdrawalRequest};

#[test]
fn real_payloads_have_their_block_hashes() {
    let Some(blocks) = testing::real_blocks() else { return };
    assert_eq!(blocks.len(), 18);
    let mut blobs = 0;
    for (name, fork, block) in &blocks {
        let request = NewPayloadRequest::of_block(*fork, block).expect("these forks have payloads");
        check_payload(&request).unwrap_or_else(|error| panic!("{name}: {error}"));
        blobs += request.versioned_hashes.len();
    }
    assert!(blobs > 10, "only {blobs} blobs were checked");
}

#[test]
fn a_change_anywhere_is_noticed() {
    let Some(blocks) = testing::real_blocks() else { return };
    let (_, fork, block) = blocks
        .iter()
        .find(|(_, fork, block)| *fork == Fork::Electra && block.body.blob_kzg_commitments.len() > 1)
        .expect("a block of Electra with blobs");
    let rule = |change: &dyn Fn(&mut consensus::types::BeaconBlock)| {
        let mut block = block.clone();
        change(&mut block);
        let request = NewPayloadRequest::of_block(*fork, &block).expect("Electra has payloads");
        check_payload(&request).err().map(|error| error.rule)
    };
    assert_eq!(rule(&|_| ()), None);
    let hash = Some("block hash");
    assert_eq!(rule(&|block| block.body.execution_payload.timestamp += 1), hash);
    assert_eq!(
        rule(&|block| block.body.execution_payload.base_fee_per_gas += U256::from(1)),
        hash
    );
    assert_eq!(rule(&|block| block.body.execution_payload.extra_data.0.push(0)), hash);
    assert_eq!(
        rule(&|block| block.body.execution_payload.transactions.swap(0, 1)),
        hash
    );
    assert_eq!(
        rule(&|block| block.body.execution_payload.withdrawals[3].amount += 1),
        hash
    );
    assert_eq!(rule(&|block| block.body.execution_payload.excess_blob_gas ^= 1), hash);
    assert_eq!(rule(&|block| block.parent_root.0[0] ^= 1), hash);
    assert_eq!(
        rule(&|block| block
            .body
            .execution_requests
            .withdrawals
            .push(WithdrawalRequest::default())),
        hash
    );
    let versioned = Some("versioned hashes");
    assert_eq!(rule(&|block| block.body.blob_kzg_commitments.swap(0, 1)), versioned);
    assert_eq!(rule(&|block| block.body.blob_kzg_commitments.truncate(1)), versioned);
    let empty = Some("empty transaction");
    assert_eq!(
        rule(&|block| block.body.execution_payload.transactions.push(Vec::new().into())),
        empty
    );
}

#[test]
fn the_first_payload_of_a_test_network_has_its_hash() {
    // The example of `engine_newPayloadV1` in the execution-apis.
    let payload = ExecutionPayload {
        parent_hash: "0x3b8fb240d288781d4aac94d3fd16809ee413bc99294a085798a589dae51ddd4a"
            .parse()
            .unwrap(),
        fee_recipient: "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b".parse().unwrap(),
        state_root: "0xca3149fa9e37db08d1cd49c9061db1002ef1cd58db2210f2115c8c989b2bdf45"
            .parse()
            .unwrap(),
        receipts_root: EMPTY_TRIE_ROOT,
        block_number: 1,
        gas_limit: 0x1c9_c380,
        timestamp: 5,
        base_fee_per_gas: U256::from(7),
        block_hash: "0x3559e851470f6e7bbed1db474980683e8c315bfce99b2a6ef47c057c04de7858"
            .parse()
            .unwrap(),
        ..ExecutionPayload::default()
    };
    let request = NewPayloadRequest {
        fork: Fork::Bellatrix,
        execution_payload: &payload,
        versioned_hashes: Vec::new(),
        parent_beacon_block_root: Bytes::ZERO,
        execution_requests: None,
    };
    check_payload(&request).unwrap();
}

#[test]
fn constants_are_what_they_are_hashes_of() {
    assert_eq!(keccak256(&list(&[])), EMPTY_OMMERS_HASH);
    assert_eq!(keccak256(&string(&[])), EMPTY_TRIE_ROOT);
    assert_eq!(ordered_trie_root(std::iter::empty()), EMPTY_TRIE_ROOT);
    // EIP-7685 gives the hash of no requests.
    let none = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(super::super::header::requests_hash(&[]).to_string(), none);
    assert_eq!(uint(&[0, 0]), [0x80]);
    assert_eq!(number(127), [127]);
    assert_eq!(number(128), [0x81, 128]);
}

/// Tries with known roots: the yellow paper's shapes (extension, branch with a value, short nodes inside their parents).
#[test]
fn tries_have_their_known_roots() {
    let root = |pairs: &[(&str, &str)]| {
        let items = pairs
            .iter()
            .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes()));
        trie_root(items).to_string()
    };
    // From the ethereum/tests suite: `dogs`, `puppy`, `branchingTests`-like inputs of trietest.json.
    assert_eq!(
        root(&[("doe", "reindeer"), ("dog", "puppy"), ("dogglesworth", "cat")]),
        "0x8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3"
    );
    assert_eq!(
        root(&[
            ("do", "verb"),
            ("horse", "stallion"),
            ("doge", "coin"),
            ("dog", "puppy")
        ]),
        "0x5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84"
    );
    assert_eq!(
        root(&[("A", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]),
        "0xd23786fb4a010da3ce639d66d5e904a11dbc02746d1ce25029e53290cabf28ab"
    );
}

#[test]
fn malformed_blob_transactions_are_refused_without_panic() {
    let hash = [1u8; 32];
    let field = |_| string(&[7]);
    let fields = |count: usize| -> Vec<Vec<u8>> { (0..count).map(field).collect() };
    let transaction = |before: usize, hashes: Vec<u8>, after: usize| {
        let mut items = fields(before);
        items.push(hashes);
        items.extend(fields(after));
        [vec![3], list(&items)].concat()
    };
    let hashes = |bytes: &[u8]| {
        let mut found = Vec::new();
        blob_hashes(bytes, &mut found).map(|()| found.len())
    };
    let good = transaction(10, list(&[string(&hash), string(&hash)]), 3);
    assert_eq!(hashes(&good), Ok(2));
    assert_eq!(hashes(&[2, 0xff]), Ok(0), "other kinds are not looked into");
    assert!(hashes(&[good.clone(), vec![0]].concat()).is_err(), "bytes behind it");
    assert!(
        hashes(&transaction(9, list(&[string(&hash)]), 3)).is_err(),
        "too few fields"
    );
    assert!(
        hashes(&transaction(10, list(&[string(&hash)]), 4)).is_err(),
        "too many fields"
    );
    assert!(
        hashes(&transaction(10, list(&[string(&hash[1..])]), 3)).is_err(),
        "a short hash"
    );
    assert!(hashes(&transaction(10, string(&hash), 3)).is_err(), "no list");
    for end in 0..good.len() {
        assert!(hashes(&good[..end]).is_err() || end == 0, "cut to {end} bytes");
    }
    // A length near the end of the address space.
    assert!(hashes(&[3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
}
