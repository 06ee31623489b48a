//! What pools give out: aggregates for aggregators, contributions, and nothing that is of another branch.

use crate::chain::{Chain, config_at, fake_payload, head_root, sign_vote, sync_message, vote_data};
use consensus::Fork;
use consensus::constants::{G2_POINT_AT_INFINITY, SYNC_COMMITTEE_SUBNET_COUNT};
use consensus::helpers::accessors::{get_beacon_committee, get_committee_count_per_slot};
use consensus::preset::{SLOTS_PER_EPOCH, SYNC_COMMITTEE_SIZE};
use consensus::signing::Context;
use consensus::ssz::{BitList, BitVector, Bytes, Root, Ssz};
use consensus::transition::block::{process_attestation, process_sync_aggregate};
use consensus::types::{Attestation, SingleAttestation};
use crypto::bls::{Signature, aggregate};
use node::pools::{AttestationPool, Inserted, PoolVote, SyncCommitteePool, SyncVote};
use node::production::{PayloadChoice, produce_block};
use std::collections::BTreeSet;
use synthetic::Numbers;

#[test]
fn an_aggregator_gets_all_votes_of_its_committee() {
    for fork in [Fork::Deneb, Fork::Electra] {
        let mut chain = Chain::at(fork);
        chain.extend(1);
        chain.extend(2);
        chain.vote(|validator| validator % 4 != 0);
        let state = chain.advanced(3);
        let mut committees = 0;
        for index in 0..get_committee_count_per_slot(&chain.state, 0) {
            let data = vote_data(&chain.state, 2, index);
            let members = get_beacon_committee(&chain.state, 2, index).unwrap().to_vec();
            let expected: Vec<usize> = (0..members.len())
                .filter(|place| !members[*place].is_multiple_of(4))
                .collect();
            let asked = (fork >= Fork::Electra).then_some(index);
            let root = data.hash_tree_root(fork);
            let found = chain.attestations.get_aggregate(&chain.config, 2, root, asked);
            let Some(aggregate) = found else {
                assert!(expected.is_empty());
                continue;
            };
            assert_eq!(aggregate.aggregation_bits.ones().collect::<Vec<_>>(), expected);
            // As a block would have it, with its signature checked.
            let mut ctx = Context::verifying(&chain.config, &chain.keys);
            process_attestation(&mut state.clone(), &mut ctx, &aggregate, 0).unwrap();
            let mut listed = chain.attestations.attestations(&chain.config, Some(2), Some(index));
            assert!(listed.any(|listed| listed == aggregate));
            assert_eq!(chain.attestations.attestations(&chain.config, Some(1), None).count(), 0);
            committees += 1;
        }
        assert!(committees > 0);
        let nothing = chain.attestations.get_aggregate(&chain.config, 2, Root::ZERO, Some(0));
        assert_eq!(nothing, None);
    }
}

#[test]
fn what_is_no_vote_of_one_committee_is_refused() {
    let mut chain = Chain::at(Fork::Fulu);
    chain.extend(1);
    let state = &chain.state;
    let data = vote_data(state, 1, 0);
    let members = get_beacon_committee(state, 1, 0).unwrap().to_vec();
    let signature = sign_vote(state, &data, u64::from(members[0]));
    let single = |committee_index, attester_index| SingleAttestation {
        committee_index,
        attester_index,
        data,
        signature,
    };
    let rule = |vote: Result<PoolVote, consensus::Invalid>| vote.unwrap_err().rule;
    let outside = (0..64).find(|index| !members.contains(index)).unwrap();
    assert_eq!(
        rule(PoolVote::of_single(state, &single(0, u64::from(outside)))),
        "attester committee"
    );
    assert_eq!(rule(PoolVote::of_single(state, &single(9999, 0))), "committee index");
    let mut broken = single(0, u64::from(members[0]));
    broken.signature = Bytes([1; 96]);
    assert_eq!(rule(PoolVote::of_single(state, &broken)), "attestation signature");

    let with_bits = |bits: &[bool], committees: &[bool]| Attestation {
        aggregation_bits: bits.iter().copied().collect::<BitList>(),
        data,
        signature,
        committee_bits: committees.iter().copied().collect::<BitVector>(),
    };
    let all = vec![true; members.len()];
    let rule_of =
        |bits: &[bool], committees: &[bool]| rule(PoolVote::of_attestation(state, &with_bits(bits, committees)));
    assert_eq!(rule_of(&all, &[true, true]), "attestation committees");
    assert_eq!(rule_of(&all, &[false]), "attestation committees");
    assert_eq!(rule_of(&all[1..], &[true]), "aggregation bits length");
    assert_eq!(rule_of(&vec![false; members.len()], &[true]), "aggregation bits");
    assert!(PoolVote::of_attestation(state, &with_bits(&all, &[true])).is_ok());
}

/// Votes of a branch with other committees, or another justified checkpoint, are not packed; those with another head are.
#[test]
fn only_votes_that_are_valid_on_the_state_are_packed() {
    let mut chain = Chain::at(Fork::Fulu);
    for slot in 1..3 * SLOTS_PER_EPOCH {
        chain.extend(slot);
    }
    // Another branch: it parts from the first before the epoch ahead of the last one, and so has other committees.
    let mut other = Chain::at(Fork::Fulu);
    for slot in (1..3 * SLOTS_PER_EPOCH).filter(|slot| *slot != SLOTS_PER_EPOCH - 1) {
        other.extend(slot);
    }
    let slot = 3 * SLOTS_PER_EPOCH - 1;
    other.vote(|_| true);
    let there = other.advanced(slot + 1);
    assert_eq!(other.attestations.pack(&there).len(), 1);
    let here = chain.advanced(slot + 1);
    assert_eq!(other.attestations.pack(&here), []);

    let mut data = vote_data(&chain.state, slot, 0);
    let voter = u64::from(get_beacon_committee(&chain.state, slot, 0).unwrap()[0]);
    let mut pool = AttestationPool::new();
    let mut packs = |data| {
        let single = SingleAttestation {
            committee_index: 0,
            attester_index: voter,
            data,
            signature: sign_vote(&chain.state, &data, voter),
        };
        pool.insert(&PoolVote::of_single(&chain.state, &single).unwrap());
        pool.pack(&here).len()
    };
    data.source.root.0[0] ^= 1;
    assert_eq!(packs(data), 0);
    data.source.root.0[0] ^= 1;
    data.beacon_block_root.0[0] ^= 1;
    assert_eq!(packs(data), 1);
    // The same voter with its head right is worth more, and then the other nothing.
    data.beacon_block_root.0[0] ^= 1;
    assert_eq!(packs(data), 1);
    assert_eq!(pool.len(), 3);
    assert_eq!(pool.pack(&here)[0].data, data);
}

/// Aggregates that overlap in every way, with their own signatures: whatever comes out of the pool verifies.
#[test]
fn whatever_is_merged_has_the_signatures_of_its_bits() {
    for fork in [Fork::Altair, Fork::Fulu] {
        // Committees of sixteen, or of 64 on mainnet.
        let mut chain = Chain::new(config_at(fork), 64 * SLOTS_PER_EPOCH as usize);
        chain.extend(1);
        let state = chain.state.clone();
        let mut numbers = Numbers::new(fork as u64);
        let data = vote_data(&state, 1, 0);
        let members = get_beacon_committee(&state, 1, 0).unwrap().to_vec();
        let signatures: Vec<Signature> = members
            .iter()
            .map(|member| Signature::from_bytes(&sign_vote(&state, &data, u64::from(*member)).0).unwrap())
            .collect();
        for round in 0..40 {
            let bits: BitList = (0..members.len()).map(|_| numbers.below(2 + round % 8) == 0).collect();
            if !bits.any() {
                continue;
            }
            let sum = aggregate(bits.ones().map(|place| signatures[place])).unwrap();
            let mut attestation = Attestation {
                aggregation_bits: bits,
                data,
                signature: Bytes(sum.to_bytes()),
                ..Attestation::new(fork)
            };
            attestation.committee_bits.set(0, true);
            let vote = PoolVote::of_attestation(&state, &attestation).unwrap();
            chain.attestations.insert(&vote);
            for listed in chain.attestations.attestations(&chain.config, None, None) {
                let mut ctx = Context::verifying(&chain.config, &chain.keys);
                process_attestation(&mut chain.advanced(2), &mut ctx, &listed, 0).unwrap();
            }
            if round % 8 == 7 {
                chain.attestations = AttestationPool::new();
            }
        }
    }
}

#[test]
fn a_vote_in_a_block_is_not_packed_again() {
    for fork in [Fork::Phase0, Fork::Fulu] {
        let mut chain = Chain::at(fork);
        chain.extend(1);
        chain.vote(|_| true);
        assert_ne!(chain.attestations.pack(&chain.advanced(2)), []);
        chain.extend(2);
        assert_eq!(chain.attestations.pack(&chain.advanced(3)), [], "{fork}");
    }
}

#[test]
fn a_member_with_several_seats_signs_for_each() {
    // So few validators that everybody has several seats in each subcommittee, or nearly.
    let mut chain = Chain::new(config_at(Fork::Fulu), 5);
    chain.extend(1);
    let (state, root) = (chain.state.clone(), head_root(&chain.state));
    let mut pool = SyncCommitteePool::new();
    let mut most = 0;
    for index in 0..5 {
        let message = sync_message(&state, 1, root, index);
        let pubkey = state.validators.get(index as usize).unwrap().pubkey;
        let members = state.current_sync_committee.pubkeys.iter();
        let seats = members.filter(|member| **member == pubkey).count();
        let before = pool.get_sync_aggregate(1, root).sync_committee_bits.count_ones();
        match SyncVote::of_message(&state, &message) {
            Ok(vote) => {
                assert_eq!(pool.insert(&vote), Inserted::New);
                assert_eq!(pool.insert(&vote), Inserted::Known);
            }
            Err(error) => assert_eq!((error.rule, seats), ("sync committee", 0)),
        }
        let after = pool.get_sync_aggregate(1, root).sync_committee_bits.count_ones();
        assert_eq!(after - before, seats);
        most = most.max(seats);
    }
    assert!(most as u64 > SYNC_COMMITTEE_SUBNET_COUNT, "{most} seats, at most");
    let aggregate = pool.get_sync_aggregate(1, root);
    assert_eq!(aggregate.sync_committee_bits.count_ones() as u64, SYNC_COMMITTEE_SIZE);
    let mut next = chain.advanced(2);
    let mut ctx = Context::verifying(&chain.config, &chain.keys);
    process_sync_aggregate(&mut next, &mut ctx, &aggregate).unwrap();
}

#[test]
fn sync_signatures_are_bounded_and_nobodys_are_valid() {
    let mut chain = Chain::at(Fork::Altair);
    chain.extend(1);
    let mut pool = SyncCommitteePool::new();
    let voter = (0..64).find(|index| {
        let message = sync_message(&chain.state, 1, Root::ZERO, *index);
        SyncVote::of_message(&chain.state, &message).is_ok()
    });
    let vote = |slot: u64, number: u8| {
        let message = sync_message(&chain.state, slot, Bytes([number; 32]), voter.unwrap());
        SyncVote::of_message(&chain.state, &message).unwrap()
    };
    for number in 0..40 {
        assert_eq!(pool.insert(&vote(1, number)), Inserted::New);
    }
    let has = |pool: &SyncCommitteePool, slot, number| {
        (0..SYNC_COMMITTEE_SUBNET_COUNT).any(|index| pool.get_contribution(slot, Bytes([number; 32]), index).is_some())
    };
    let kept: BTreeSet<u8> = (0..40).filter(|number| has(&pool, 1, *number)).collect();
    assert_eq!(kept.len(), 16);
    assert!(kept.contains(&39));
    for slot in 2..8 {
        pool.insert(&vote(slot, 0));
    }
    let slots: Vec<u64> = (0..10).filter(|slot| has(&pool, *slot, 0)).collect();
    assert_eq!(slots, [4, 5, 6, 7]);
    assert!(matches!(pool.insert(&vote(3, 0)), Inserted::Full(_)));
    pool.prune(9);
    let slots: Vec<u64> = (0..10).filter(|slot| has(&pool, *slot, 0)).collect();
    assert_eq!(slots, [7]);

    let nobody = pool.get_sync_aggregate(3, Root::ZERO);
    assert_eq!(nobody.sync_committee_signature, G2_POINT_AT_INFINITY);
    let mut ctx = Context::verifying(&chain.config, &chain.keys);
    process_sync_aggregate(&mut chain.advanced(4), &mut ctx, &nobody).unwrap();
}

/// Picks that a block cannot have do not cost the block.
#[test]
fn a_wrong_pick_is_left_out_with_all_others() {
    let mut chain = Chain::at(Fork::Fulu);
    chain.extend(1);
    chain.vote(|_| true);
    let state = chain.advanced(2);
    let payload = PayloadChoice::Built(Box::new(fake_payload(&state, &chain.config)));
    let mut proposal = chain.proposal(&state, payload);
    proposal.picks.attestations[0].data.source.epoch = 77;
    let produced = produce_block(proposal).unwrap();
    assert_eq!(produced.left_out.as_ref().unwrap().rule, "attestation source");
    let signed = crate::chain::sign_block(&produced);
    assert_eq!(signed.message.body.attestations, []);
    chain.import(&signed).unwrap();
}
