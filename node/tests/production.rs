//! Blocks of every fork, blinded and not.

use crate::chain::{Chain, config_at, fake_payload, full, head_root, proposer_signature, sign_block};
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::helpers::accessors::get_beacon_proposer_index;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, Ssz, U256};
use consensus::transition::block::{header_of, is_merge_transition_complete};
use consensus::transition::upgrade::upgrade_to;
use consensus::types::{BuilderBid, ExecutionPayload, SignedBlindedBeaconBlock, Withdrawal};
use consensus::{Fork, State};
use node::execution::BuiltPayload;
use node::production::{
    AnyBlock, PayloadChoice, ProducedBlock, blinded_block, payload_attributes, produce_block, unblinded_block,
};
use synthetic::Numbers;

const FORKS: &[Fork] = &[
    Fork::Phase0,
    Fork::Altair,
    Fork::Bellatrix,
    Fork::Capella,
    Fork::Deneb,
    Fork::Electra,
    Fork::Fulu,
];

fn built(chain: &Chain, state: &State) -> PayloadChoice {
    PayloadChoice::Built(Box::new(fake_payload(state, &chain.config)))
}

fn gain(before: &State, after: &State, validator: usize) -> i64 {
    let balance = |state: &State| *state.balances.get(validator).unwrap();
    balance(after).wrapping_sub(balance(before)).cast_signed()
}

/// Seats of a validator in the sync committee that signed, less those that did not.
fn seats(before: &State, produced: &ProducedBlock, validator: usize) -> i64 {
    if before.at < Fork::Altair {
        return 0;
    }
    let pubkey = before.validators.get(validator).unwrap().pubkey;
    let bits = full(produced).body.sync_aggregate.sync_committee_bits.iter();
    let seats = before.current_sync_committee.pubkeys.iter().zip(bits);
    let own = seats.filter(|(member, _)| **member == pubkey);
    own.map(|(_, signed)| if signed { 1 } else { -1 }).sum()
}

/// What a member gets for a seat, seen on one who does not propose.
fn member_reward(before: &State, produced: &ProducedBlock) -> i64 {
    let proposer = full(produced).proposer_index as usize;
    let mut others = (0..64).filter(|index| *index != proposer && seats(before, produced, *index) != 0);
    others.next().map_or(0, |index| {
        gain(before, &produced.post_state, index) / seats(before, produced, index)
    })
}

/// With missed slots and votes as they come; what the proposer earns by the block is what its balance says.
#[test]
fn every_block_is_valid_and_pays_what_it_says() {
    for fork in FORKS {
        let mut chain = Chain::at(*fork);
        let mut numbers = Numbers::new(*fork as u64);
        let (mut slot, mut paid) = (0, 0);
        while slot < 2 * SLOTS_PER_EPOCH {
            slot += 1 + u64::from(numbers.below(4) == 0);
            let before = chain.advanced(slot);
            let produced = chain.produce(slot);
            let proposer = full(&produced).proposer_index as usize;
            let earned = gain(&before, &produced.post_state, proposer);
            let as_member = seats(&before, &produced, proposer) * member_reward(&before, &produced);
            let total = produced.rewards.total().cast_signed();
            assert_eq!(earned, total + as_member, "{fork}, slot {slot}");
            paid += usize::from(total > 0);
            chain.extend(slot);
            let away: Vec<u64> = (0..16).map(|_| numbers.below(64)).collect();
            chain.vote(|validator| !away.contains(&validator));
        }
        // Phase0 pays for votes at the end of the epoch.
        assert_eq!(paid > 8, *fork >= Fork::Altair, "{fork}: {paid} blocks paid");
    }
}

#[test]
fn the_merge_happens_in_a_block_of_bellatrix() {
    let mut chain = Chain::at(Fork::Bellatrix);
    chain.extend(1);
    assert!(!is_merge_transition_complete(&chain.state));
    let state = chain.advanced(2);
    let produced = produce_block(chain.proposal(&state, built(&chain, &state))).unwrap();
    chain.import(&sign_block(&produced)).unwrap();
    assert!(is_merge_transition_complete(&chain.state));
    chain.extend(3);
}

/// A chain of `fork` whose merge is done.
fn merged(fork: Fork) -> Chain {
    let mut chain = Chain::at(fork);
    let state = chain.advanced(1);
    let produced = produce_block(chain.proposal(&state, built(&chain, &state))).unwrap();
    chain.import(&sign_block(&produced)).unwrap();
    chain.vote(|_| true);
    chain
}

#[test]
fn a_blinded_block_is_the_block_with_another_look() {
    for fork in &FORKS[Fork::Bellatrix as usize..] {
        let mut chain = merged(*fork);
        let state = chain.advanced(2);
        let payload = fake_payload(&state, &chain.config);
        let whole = produce_block(chain.proposal(&state, PayloadChoice::Built(Box::new(payload.clone())))).unwrap();
        let bid = BuilderBid {
            header: header_of(*fork, &payload.payload),
            value: U256::from(77),
            ..BuilderBid::default()
        };
        let blinded = produce_block(chain.proposal(&state, PayloadChoice::Bid(Box::new(bid.clone())))).unwrap();
        assert_eq!(blinded.root(), whole.root(), "{fork}");
        assert_eq!(blinded.execution_payload_value, U256::from(77));
        assert_eq!(blinded.rewards, whole.rewards);
        assert_eq!(blinded.post_state.hash_tree_root(), whole.post_state.hash_tree_root());
        let AnyBlock::Blinded(block) = blinded.block.clone() else {
            panic!("a bid makes a blinded block");
        };
        assert_eq!(blinded_block(*fork, full(&whole).clone()).unwrap(), *block);

        let signature = proposer_signature(&whole.post_state, block.proposer_index, blinded.root());
        let signed = SignedBlindedBeaconBlock {
            message: *block,
            signature,
        };
        let mut other = payload.payload.clone();
        other.transactions.push(vec![1].into());
        let refused = unblinded_block(*fork, signed.clone(), other).unwrap_err();
        assert_eq!(refused.rule, "builder payload");
        let unblinded = unblinded_block(*fork, signed, payload.payload.clone()).unwrap();
        assert_eq!(unblinded, sign_block(&whole));
        chain.import(&unblinded).unwrap();

        let refused = |spoil: &dyn Fn(&mut BuilderBid)| {
            let mut bid = bid.clone();
            spoil(&mut bid);
            let choice = PayloadChoice::Bid(Box::new(bid));
            produce_block(chain.proposal(&state, choice)).unwrap_err().rule
        };
        assert_eq!(refused(&|bid| bid.header.timestamp += 1), "payload timestamp");
        assert_eq!(refused(&|bid| bid.header.parent_hash.0[0] ^= 1), "payload parent hash");
        assert_eq!(refused(&|bid| bid.header.prev_randao.0[0] ^= 1), "payload randao");
        if *fork >= Fork::Capella {
            let rule = refused(&|bid| bid.header.withdrawals_root.0[0] ^= 1);
            assert_eq!(rule, "builder withdrawals root");
        }
    }
    let early = Chain::at(Fork::Bellatrix);
    let state = early.advanced(1);
    let bid = PayloadChoice::Bid(Box::default());
    let refused = produce_block(early.proposal(&state, bid)).unwrap_err();
    assert_eq!(refused.rule, "builder before the merge");
    assert!(blinded_block(Fork::Altair, full(&early_block(&early)).clone()).is_err());
}

fn early_block(chain: &Chain) -> ProducedBlock {
    let state = chain.advanced(1);
    produce_block(chain.proposal(&state, PayloadChoice::None)).unwrap()
}

#[test]
fn wrong_parts_are_refused_by_name() {
    let mut chain = Chain::at(Fork::Fulu);
    chain.extend(1);
    let state = chain.advanced(2);
    let refused = |spoil: &dyn Fn(&mut ExecutionPayload)| {
        let mut payload = fake_payload(&state, &chain.config);
        spoil(&mut payload.payload);
        let choice = PayloadChoice::Built(Box::new(payload));
        produce_block(chain.proposal(&state, choice)).unwrap_err().rule
    };
    assert_eq!(refused(&|payload| payload.timestamp += 1), "payload timestamp");
    assert_eq!(refused(&|payload| payload.parent_hash.0[0] ^= 1), "payload parent hash");
    assert_eq!(
        refused(&|payload| payload.withdrawals.push(Withdrawal::default())),
        "withdrawals"
    );

    let mut unsigned = chain.proposal(&state, built(&chain, &state));
    unsigned.randao_reveal = Bytes::ZERO;
    assert_eq!(produce_block(unsigned.clone()).unwrap_err().rule, "randao reveal");
    unsigned.verify_randao = false;
    assert!(produce_block(unsigned).is_ok());

    let mut later = Chain::at(Fork::Fulu);
    later.extend(1);
    let mut gloas = later.advanced(2);
    upgrade_to(&mut gloas, &later.config, Fork::Gloas).unwrap();
    let proposal = later.proposal(&gloas, PayloadChoice::None);
    assert_eq!(produce_block(proposal).unwrap_err().rule, "block production fork");
}

#[test]
fn a_chain_with_unprocessed_deposits_is_refused_with_a_sentence() {
    for fork in FORKS {
        let mut chain = Chain::at(*fork);
        chain.extend(1);
        let mut state = chain.advanced(2);
        state.eth1_data.deposit_count += 3;
        let payload = if *fork >= Fork::Capella {
            built(&chain, &state)
        } else {
            PayloadChoice::None
        };
        let result = produce_block(chain.proposal(&state, payload.clone()));
        if *fork >= Fork::Fulu {
            assert!(result.is_ok());
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error.rule, "unprocessed Eth1 deposits");
        assert!(error.detail.contains("deposit 64 of 67"), "{error}");
        if *fork >= Fork::Electra {
            // Behind the first deposit that comes as a request, none is brought by blocks.
            state.deposit_requests_start_index = 64;
            assert!(produce_block(chain.proposal(&state, payload)).is_ok());
        }
    }
}

#[test]
fn attributes_have_what_their_fork_has() {
    for fork in FORKS {
        let mut chain = if *fork >= Fork::Bellatrix {
            merged(*fork)
        } else {
            Chain::at(*fork)
        };
        // Somebody whose balance is withdrawn.
        let next = chain.state.next_withdrawal_validator_index;
        let full_out = chain.state.beacon.validators.get_mut(next as usize).unwrap();
        full_out.withdrawal_credentials.0[0] = 1;
        full_out.withdrawable_epoch = 0;
        let state = chain.advanced(2);
        let attributes = payload_attributes(&state, &chain.config, 2, Bytes([4; 20]));
        if *fork < Fork::Bellatrix {
            assert_eq!(attributes.unwrap_err().rule, "payload fork");
            continue;
        }
        let attributes = attributes.unwrap();
        assert_eq!(
            attributes.timestamp,
            state.genesis_time + 2 * chain.config.slot_duration_ms / 1000
        );
        assert_eq!(attributes.prev_randao, *state.randao_mixes.get(0).unwrap());
        assert_eq!(attributes.suggested_fee_recipient, Bytes([4; 20]));
        let withdrawn = attributes.withdrawals.as_ref();
        let withdrawn = withdrawn.map(|list| list.iter().map(|one| one.validator_index).collect::<Vec<_>>());
        assert_eq!(withdrawn, (*fork >= Fork::Capella).then(|| vec![next]));
        let parent = (*fork >= Fork::Deneb).then(|| head_root(&chain.state));
        assert_eq!(attributes.parent_beacon_block_root, parent);
        let other = payload_attributes(&state, &chain.config, 3, Bytes::ZERO);
        assert_eq!(other.unwrap_err().rule, "payload slot");
    }
}

/// A proposer that is slashed cannot make a valid block, and is told so.
#[test]
fn a_slashed_proposer_is_told() {
    let mut chain = Chain::at(Fork::Fulu);
    chain.extend(1);
    let mut state = chain.advanced(2);
    let proposer = get_beacon_proposer_index(&state).unwrap();
    let validator = state.beacon.validators.get_mut(proposer as usize).unwrap();
    validator.slashed = true;
    assert_eq!(validator.exit_epoch, FAR_FUTURE_EPOCH);
    let error = produce_block(chain.proposal(&state, built(&chain, &state))).unwrap_err();
    assert_eq!(error.rule, "block proposer slashed");
}

#[test]
fn the_value_is_told_in_wei() {
    let mut chain = Chain::new(config_at(Fork::Fulu), 64);
    chain.extend(1);
    chain.vote(|_| true);
    let state = chain.advanced(2);
    let payload = BuiltPayload {
        value: U256::from(5),
        ..fake_payload(&state, &chain.config)
    };
    let produced = produce_block(chain.proposal(&state, PayloadChoice::Built(Box::new(payload)))).unwrap();
    assert_eq!(produced.execution_payload_value, U256::from(5));
    let gwei = produced.rewards.attestations + produced.rewards.sync_aggregate;
    assert!(gwei > 0);
    assert_eq!(
        produced.consensus_block_value(),
        U256::from(gwei) * U256::from(1_000_000_000u64)
    );
    assert_eq!(full(&produced).hash_tree_root(Fork::Fulu), produced.root());
}
