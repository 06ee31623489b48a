//! Gloas' topics, rule by rule: the valid message is accepted, and each rule is broken alone.

use super::fixture::DEPENDENT;
use super::fixture::{BUILDER_KEY, FAILED, HEAD, HEAD_HASH, NOW, Network, PARENT, UNKNOWN};
use super::*;
use crate::constants::{
    BUILDER_INDEX_SELF_BUILD, DOMAIN_BEACON_BUILDER, DOMAIN_BEACON_PROPOSER, DOMAIN_PROPOSER_PREFERENCES,
    DOMAIN_PTC_ATTESTER,
};
use crate::fork_choice::PayloadStatus;
use crate::fork_choice::fixture::{block, insert, root_of, store};
use crate::preset::SLOTS_PER_EPOCH;
use crate::preset::{MAX_PAYLOAD_ATTESTATIONS, MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD, MAX_WITHDRAWALS_PER_PAYLOAD};
use crate::ssz::{Bytes, Ssz};
use crate::types::*;

const GLOAS: Fork = Fork::Gloas;

/// The verdict on a message after `change`, signed by `sign` afterwards.
fn check<T: Clone>(
    network: &Network,
    message: &T,
    judge: impl Fn(&mut Gossip, &T) -> Verdict,
    change: impl FnOnce(&mut T),
    sign: impl FnOnce(&mut T),
) -> Verdict {
    let mut message = message.clone();
    change(&mut message);
    sign(&mut message);
    network.judge(|gossip| judge(gossip, &message))
}

fn envelope(network: &Network) -> SignedExecutionPayloadEnvelope {
    let mut signed = SignedExecutionPayloadEnvelope::default();
    signed.message.payload.slot_number = NOW;
    signed.message.payload.block_hash = HEAD_HASH;
    signed.message.beacon_block_root = HEAD;
    sign_envelope(network, &mut signed);
    signed
}

fn sign_envelope(network: &Network, signed: &mut SignedExecutionPayloadEnvelope) {
    signed.signature = network.sign(BUILDER_KEY, DOMAIN_BEACON_BUILDER, signed.message.hash_tree_root(GLOAS));
}

#[test]
fn execution_payload() {
    let mut network = Network::new();
    let valid = envelope(&network);
    let verdict = |network: &Network, change: &dyn Fn(&mut SignedExecutionPayloadEnvelope)| {
        let judge = |gossip: &mut Gossip, message: &_| validate_execution_payload_gossip(gossip, message);
        check(network, &valid, judge, change, |signed| sign_envelope(network, signed))
    };
    assert_eq!(verdict(&network, &|_| ()), Verdict::Accept);
    let rules: [(Verdict, &dyn Fn(&mut SignedExecutionPayloadEnvelope)); 9] = [
        (Verdict::Ignore("envelope's block has not been seen"), &|signed| {
            signed.message.beacon_block_root = UNKNOWN;
        }),
        (
            Verdict::Ignore("envelope is from a slot before the latest finalized slot"),
            &|signed| signed.message.payload.slot_number = SLOTS_PER_EPOCH - 1,
        ),
        (Verdict::Reject("envelope's block failed validation"), &|signed| {
            signed.message.beacon_block_root = FAILED;
        }),
        (Verdict::Reject("envelope's slot is not its block's"), &|signed| {
            signed.message.payload.slot_number = NOW - 1;
        }),
        (Verdict::Reject("envelope's builder is not the bid's"), &|signed| {
            signed.message.builder_index = 1;
        }),
        (Verdict::Reject("envelope's block hash is not the bid's"), &|signed| {
            signed.message.payload.block_hash = Bytes([9; 32]);
        }),
        (
            Verdict::Reject("envelope's execution requests are not the bid's"),
            &|signed| {
                signed
                    .message
                    .execution_requests
                    .builder_exits
                    .push(BuilderExitRequest::default())
            },
        ),
        (Verdict::Reject("too many withdrawals"), &|signed| {
            let count = MAX_WITHDRAWALS_PER_PAYLOAD as usize + 1;
            signed.message.payload.withdrawals = vec![Withdrawal::default(); count];
        }),
        (Verdict::Accept, &|signed| {
            let count = MAX_WITHDRAWALS_PER_PAYLOAD as usize;
            signed.message.payload.withdrawals = vec![Withdrawal::default(); count];
        }),
    ];
    for (expected, change) in rules {
        assert_eq!(verdict(&network, change), expected);
    }
    let unsigned = network.judge(|gossip| {
        let mut signed = valid.clone();
        signed.signature = network.sign(1, DOMAIN_BEACON_BUILDER, signed.message.hash_tree_root(GLOAS));
        validate_execution_payload_gossip(gossip, &signed)
    });
    assert_eq!(unsigned, Verdict::Reject("invalid envelope signature"));

    // Requests that the bid promised may still be too many.
    let many = ExecutionRequests {
        withdrawals: vec![WithdrawalRequest::default(); MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD as usize + 1],
        ..ExecutionRequests::default()
    };
    network.known.bids.get_mut(&HEAD).unwrap().execution_requests_root = many.hash_tree_root(GLOAS);
    let too_many = verdict(&network, &|signed| signed.message.execution_requests = many.clone());
    assert_eq!(too_many, Verdict::Reject("too many execution requests"));

    let mut network = Network::new();
    let first = network.settle(|gossip| validate_execution_payload_gossip(gossip, &valid));
    assert_eq!(first, Verdict::Accept);
    let again = network.settle(|gossip| validate_execution_payload_gossip(gossip, &valid));
    assert_eq!(
        again,
        Verdict::Ignore("already seen payload envelope for this block from this builder")
    );

    // A proposer that builds for itself signs with its own key.
    let mut network = Network::new();
    network.known.bids.get_mut(&HEAD).unwrap().builder_index = BUILDER_INDEX_SELF_BUILD;
    let mut own = valid.clone();
    own.message.builder_index = BUILDER_INDEX_SELF_BUILD;
    own.signature = network.sign(0, DOMAIN_BEACON_BUILDER, own.message.hash_tree_root(GLOAS));
    let own_verdict = network.judge(|gossip| validate_execution_payload_gossip(gossip, &own));
    assert_eq!(own_verdict, Verdict::Accept);
}

#[test]
fn payload_attestation_message() {
    let mut network = Network::new();
    let sign = |network: &Network, message: &mut PayloadAttestationMessage| {
        message.signature = network.sign(0, DOMAIN_PTC_ATTESTER, message.data.hash_tree_root(GLOAS));
    };
    let mut valid = PayloadAttestationMessage::default();
    (valid.data.slot, valid.data.beacon_block_root) = (NOW, HEAD);
    sign(&network, &mut valid);
    let judge = |gossip: &mut Gossip, message: &_| validate_payload_attestation_message_gossip(gossip, message);
    let rules: [(Verdict, fn(&mut PayloadAttestationMessage)); 6] = [
        (Verdict::Accept, |_| ()),
        (
            Verdict::Ignore("payload attestation is not for the current slot"),
            |message| message.data.slot = NOW + 1,
        ),
        (Verdict::Ignore("block being voted for has not been seen"), |message| {
            message.data.beacon_block_root = UNKNOWN;
        }),
        (Verdict::Ignore("block being voted for is of another slot"), |message| {
            message.data.beacon_block_root = PARENT;
        }),
        (Verdict::Reject("block being voted for failed validation"), |message| {
            message.data.beacon_block_root = FAILED;
        }),
        (
            Verdict::Reject("validator is not in the payload timeliness committee"),
            |message| message.validator_index = 1,
        ),
    ];
    for (expected, change) in rules {
        let verdict = check(&network, &valid, judge, change, |message| sign(&network, message));
        assert_eq!(verdict, expected);
    }
    let forged = check(
        &network,
        &valid,
        judge,
        |message| message.data.payload_present = true,
        |_| (),
    );
    assert_eq!(forged, Verdict::Reject("invalid payload attestation signature"));
    assert_eq!(network.settle(|gossip| judge(gossip, &valid)), Verdict::Accept);
    assert_eq!(
        network.settle(|gossip| judge(gossip, &valid)),
        Verdict::Ignore("already seen payload attestation from this validator")
    );
}

fn preferences(network: &Network) -> SignedProposerPreferences {
    let mut signed = SignedProposerPreferences {
        message: ProposerPreferences {
            dependent_root: DEPENDENT,
            proposal_slot: NOW + 1,
            target_gas_limit: 30_000_000,
            ..ProposerPreferences::default()
        },
        ..SignedProposerPreferences::default()
    };
    sign_preferences(network, &mut signed);
    signed
}

fn sign_preferences(network: &Network, signed: &mut SignedProposerPreferences) {
    signed.signature = network.sign(0, DOMAIN_PROPOSER_PREFERENCES, signed.message.hash_tree_root(GLOAS));
}

#[test]
fn proposer_preferences() {
    let mut network = Network::new();
    let valid = preferences(&network);
    let judge = |gossip: &mut Gossip, message: &_| validate_proposer_preferences_gossip(gossip, message);
    let rules: [(Verdict, fn(&mut SignedProposerPreferences)); 7] = [
        (Verdict::Accept, |_| ()),
        (
            Verdict::Ignore("proposal slot is not within the proposer lookahead"),
            |signed| signed.message.proposal_slot = 4 * SLOTS_PER_EPOCH,
        ),
        (
            Verdict::Ignore("proposal slot is not within the proposer lookahead"),
            |signed| signed.message.proposal_slot = 2 * SLOTS_PER_EPOCH - 1,
        ),
        (Verdict::Ignore("proposal slot has already passed"), |signed| {
            signed.message.proposal_slot = NOW;
        }),
        (
            Verdict::Ignore("the block of the dependent root has not been seen"),
            |signed| signed.message.dependent_root = UNKNOWN,
        ),
        (
            Verdict::Reject("dependent root is too late for the proposal slot"),
            |signed| signed.message.dependent_root = PARENT,
        ),
        (Verdict::Reject("validator is not the proposer of the slot"), |signed| {
            signed.message.validator_index = 1;
        }),
    ];
    for (expected, change) in rules {
        let verdict = check(&network, &valid, judge, change, |signed| {
            sign_preferences(&network, signed)
        });
        assert_eq!(verdict, expected);
    }
    let forged = check(
        &network,
        &valid,
        judge,
        |signed| signed.message.target_gas_limit = 1,
        |_| (),
    );
    assert_eq!(forged, Verdict::Reject("invalid proposer preferences signature"));
    assert_eq!(network.settle(|gossip| judge(gossip, &valid)), Verdict::Accept);
    assert_eq!(
        network.settle(|gossip| judge(gossip, &valid)),
        Verdict::Ignore("already seen preferences of this validator for this slot and dependent root")
    );
    // Nothing but an unknown head: then no block follows the one of the dependent root.
    network.known.fork_choice = store(GLOAS, 1, NOW);
    insert(
        &mut network.known.fork_choice,
        block(GLOAS, DEPENDENT, root_of(0), SLOTS_PER_EPOCH - 1),
    );
    assert_eq!(
        network.judge(|gossip| judge(gossip, &valid)),
        Verdict::Ignore("dependent root is not a possible one")
    );
}

/// A network that knows the preferences of the next slot's proposer.
fn network_for_bids() -> Network {
    let mut network = Network::new();
    let preferences = preferences(&network);
    let entered = network.settle(|gossip| validate_proposer_preferences_gossip(gossip, &preferences));
    assert_eq!(entered, Verdict::Accept);
    network
}

fn bid(network: &Network) -> SignedExecutionPayloadBid {
    let mut signed = SignedExecutionPayloadBid {
        message: ExecutionPayloadBid {
            slot: NOW + 1,
            parent_block_hash: HEAD_HASH,
            parent_block_root: HEAD,
            gas_limit: 30_000_000,
            value: 1000,
            ..ExecutionPayloadBid::default()
        },
        ..SignedExecutionPayloadBid::default()
    };
    sign_bid(network, &mut signed);
    signed
}

fn sign_bid(network: &Network, signed: &mut SignedExecutionPayloadBid) {
    let number = BUILDER_KEY + signed.message.builder_index;
    signed.signature = network.sign(number, DOMAIN_BEACON_BUILDER, signed.message.hash_tree_root(GLOAS));
}

#[test]
fn execution_payload_bid() {
    let network = network_for_bids();
    let valid = bid(&network);
    let judge = |gossip: &mut Gossip, message: &_| validate_execution_payload_bid_gossip(gossip, message);
    let rules: [(Verdict, fn(&mut SignedExecutionPayloadBid)); 12] = [
        (Verdict::Accept, |_| ()),
        (
            Verdict::Ignore("bid is not for the current or the next slot"),
            |signed| {
                signed.message.slot = NOW + 2;
            },
        ),
        (
            Verdict::Ignore("matching proposer preferences have not been seen"),
            |signed| {
                signed.message.slot = NOW;
            },
        ),
        (Verdict::Reject("builder is not active"), |signed| {
            signed.message.builder_index = 1
        }),
        (Verdict::Reject("builder is not active"), |signed| {
            signed.message.builder_index = 9
        }),
        (Verdict::Reject("builder is of another version"), |signed| {
            signed.message.builder_index = 2;
        }),
        (Verdict::Reject("bid's execution payment is not zero"), |signed| {
            signed.message.execution_payment = 1;
        }),
        (Verdict::Ignore("bid's fee recipient is not the proposer's"), |signed| {
            signed.message.fee_recipient = Bytes([1; 20]);
        }),
        (Verdict::Reject("too many blob kzg commitments"), |signed| {
            signed.message.blob_kzg_commitments = vec![KZGCommitment::default(); 100];
        }),
        (Verdict::Ignore("builder cannot cover the bid"), |signed| {
            signed.message.value = 9_000_000_001;
        }),
        (Verdict::Ignore("bid's parent payload is not known"), |signed| {
            signed.message.parent_block_hash = Bytes([9; 32]);
        }),
        (
            Verdict::Ignore("bid's gas limit is not compatible with the proposer's target"),
            |signed| signed.message.gas_limit += 1,
        ),
    ];
    for (expected, change) in rules {
        let verdict = check(&network, &valid, judge, change, |signed| sign_bid(&network, signed));
        assert_eq!(verdict, expected);
    }
    let wrong_mix = check(
        &network,
        &valid,
        judge,
        |signed| signed.message.prev_randao = Bytes([1; 32]),
        |signed| sign_bid(&network, signed),
    );
    assert_eq!(wrong_mix, Verdict::Reject("bid's randao mix is wrong"));
    let forged = check(&network, &valid, judge, |signed| signed.message.value += 1, |_| ());
    assert_eq!(forged, Verdict::Reject("invalid bid signature"));
}

#[test]
fn bids_against_each_other_and_the_head() {
    let mut network = network_for_bids();
    let valid = bid(&network);
    let judge = |gossip: &mut Gossip, message: &_| validate_execution_payload_bid_gossip(gossip, message);
    // The head without its payload: what is built on the payload does not fit.
    network.known.head.payload_status = PayloadStatus::Empty;
    let verdict = network.judge(|gossip| judge(gossip, &valid));
    assert_eq!(verdict, Verdict::Ignore("bid is not compatible with the head"));
    network.known.head.payload_status = PayloadStatus::Full;
    network.known.blocks.insert(HEAD, (NOW + 1, true));
    let verdict = network.judge(|gossip| judge(gossip, &valid));
    assert_eq!(verdict, Verdict::Reject("bid is not for a higher slot than its parent"));
    network.known.blocks.insert(HEAD, (NOW, true));

    assert_eq!(network.settle(|gossip| judge(gossip, &valid)), Verdict::Accept);
    let again = network.settle(|gossip| judge(gossip, &valid));
    assert_eq!(
        again,
        Verdict::Ignore("already seen bid from this builder for this slot and parent")
    );
    network.state.builders.get_mut(1).unwrap().withdrawable_epoch = u64::MAX;
    let mut other = valid.clone();
    other.message.builder_index = 1;
    sign_bid(&network, &mut other);
    let equal = network.settle(|gossip| judge(gossip, &other));
    assert_eq!(
        equal,
        Verdict::Ignore("bid is not the highest for this slot and parent")
    );
    other.message.value += 1;
    sign_bid(&network, &mut other);
    assert_eq!(network.settle(|gossip| judge(gossip, &other)), Verdict::Accept);
}

#[test]
fn gas_limits_move_towards_the_target_by_a_1024th() {
    let parent = 1_024_000;
    assert!(is_gas_limit_target_compatible(parent, parent, parent));
    assert!(is_gas_limit_target_compatible(parent, parent + 999, parent + 5000));
    assert!(!is_gas_limit_target_compatible(parent, parent + 1000, parent + 5000));
    assert!(!is_gas_limit_target_compatible(parent, parent, parent + 5000));
    assert!(is_gas_limit_target_compatible(parent, parent - 999, 0));
    assert!(is_gas_limit_target_compatible(parent, parent + 500, parent + 500));
    assert!(is_gas_limit_target_compatible(0, 0, 7));
    assert!(is_gas_limit_target_compatible(u64::MAX, u64::MAX, u64::MAX));
}

fn sign_block(network: &Network, signed: &mut SignedBeaconBlock) {
    signed.signature = network.sign(0, DOMAIN_BEACON_PROPOSER, signed.message.hash_tree_root(GLOAS));
}

#[test]
fn beacon_block() {
    let mut network = Network::new();
    let mut valid = SignedBeaconBlock {
        message: BeaconBlock::new(GLOAS),
        ..SignedBeaconBlock::default()
    };
    (valid.message.slot, valid.message.parent_root) = (NOW, PARENT);
    let bid = &mut valid.message.body.signed_execution_payload_bid.message;
    (bid.parent_block_hash, bid.parent_block_root) = (HEAD_HASH, PARENT);
    let judge = |gossip: &mut Gossip, message: &_| validate_beacon_block_gossip(gossip, message);
    let rules: [(Verdict, fn(&mut BeaconBlock)); 8] = [
        (Verdict::Accept, |_| ()),
        (Verdict::Reject("block's parent is invalid"), |block| {
            block.parent_root = FAILED
        }),
        (Verdict::Reject("too many blob kzg commitments"), |block| {
            let bid = &mut block.body.signed_execution_payload_bid.message;
            bid.blob_kzg_commitments = vec![KZGCommitment::default(); 100];
        }),
        (Verdict::Reject("too many parent execution requests"), |block| {
            let count = MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD as usize + 1;
            block.body.parent_execution_requests.withdrawals = vec![WithdrawalRequest::default(); count];
        }),
        (Verdict::Reject("too many operations"), |block| {
            let count = MAX_PAYLOAD_ATTESTATIONS as usize + 1;
            block.body.payload_attestations = vec![PayloadAttestation::new(GLOAS); count];
        }),
        (Verdict::Reject("too many operations"), |block| {
            block.body.deposits.push(Deposit::new(GLOAS));
        }),
        (Verdict::Ignore("block's parent payload has not been seen"), |block| {
            block.body.signed_execution_payload_bid.message.parent_block_hash = UNKNOWN;
        }),
        (Verdict::Reject("bid's parent is not the block's parent"), |block| {
            block.body.signed_execution_payload_bid.message.parent_block_root = UNKNOWN;
        }),
    ];
    for (expected, change) in rules {
        let change = |signed: &mut SignedBeaconBlock| change(&mut signed.message);
        let verdict = check(&network, &valid, judge, change, |signed| sign_block(&network, signed));
        assert_eq!(verdict, expected);
    }
    sign_block(&network, &mut valid);
    network
        .known
        .payloads
        .insert(HEAD_HASH, PayloadValidationStatus::Invalidated);
    assert_eq!(
        network.judge(|gossip| judge(gossip, &valid)),
        Verdict::Reject("block's parent payload is invalid")
    );
    network
        .known
        .payloads
        .insert(HEAD_HASH, PayloadValidationStatus::NotValidated);
    assert_eq!(network.judge(|gossip| judge(gossip, &valid)), Verdict::Accept);
}
