//! Any bytes as the transactions of a payload, which nobody signed for: an error, or a payload whose hash and blobs fit
//! together. Its hash is made right first, since nobody meets one by chance.
//!
//! The first byte chooses the fork, the rest are transactions, each with one byte for its length.
#![no_main]

use consensus::Fork;
use consensus::ssz::{ByteList, Ssz};
use consensus::transition::NewPayloadRequest;
use consensus::types::BeaconBlock;
use libfuzzer_sys::fuzz_target;
use node::execution::{BlockHeader, check_payload};

fuzz_target!(|data: &[u8]| {
    let [fork, rest @ ..] = data else { return };
    let fork = [Fork::Bellatrix, Fork::Deneb, Fork::Fulu][*fork as usize % 3];
    let mut block = BeaconBlock::new(fork);
    let mut transactions = Vec::new();
    let mut rest = rest;
    while let [length, more @ ..] = rest {
        let (transaction, more) = more.split_at((*length as usize).min(more.len()));
        transactions.push(ByteList(transaction.to_vec()));
        rest = more;
    }
    block.body.execution_payload.transactions = transactions;
    let hash = BlockHeader::of_request(&NewPayloadRequest::of_block(fork, &block).expect("it has a payload")).hash();
    block.body.execution_payload.block_hash = hash;
    let request = NewPayloadRequest::of_block(fork, &block).expect("it has a payload");
    let _ = check_payload(&request);
});
