//! Slashings, exits and changes of credentials on their way into blocks.

use crate::chain::{Chain, VALIDATORS, config_at, full, secret, sign_object};
use consensus::constants::{
    DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_BLS_TO_EXECUTION_CHANGE, DOMAIN_VOLUNTARY_EXIT,
    ETH1_ADDRESS_WITHDRAWAL_PREFIX, FAR_FUTURE_EPOCH,
};
use consensus::helpers::accessors::get_beacon_proposer_index;
use consensus::preset::{
    MAX_BLS_TO_EXECUTION_CHANGES, MAX_EFFECTIVE_BALANCE, MAX_VOLUNTARY_EXITS, SLOTS_PER_EPOCH,
    WHISTLEBLOWER_REWARD_QUOTIENT, WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA,
};
use consensus::signing::{compute_domain, compute_signing_root};
use consensus::ssz::Bytes;
use consensus::types::{
    AttestationData, AttesterSlashing, BLSToExecutionChange, BeaconBlockHeader, Checkpoint, IndexedAttestation,
    ProposerSlashing, SignedBLSToExecutionChange, SignedBeaconBlock, SignedBeaconBlockHeader, SignedVoluntaryExit,
    ValidatorIndex, VoluntaryExit,
};
use consensus::{Config, Fork, State};
use node::pools::{Inserted, OperationPool};

fn proposer_slashing(state: &State, proposer_index: ValidatorIndex) -> ProposerSlashing {
    let header = |number: u8| {
        let message = BeaconBlockHeader {
            slot: state.slot,
            proposer_index,
            body_root: Bytes([number; 32]),
            ..BeaconBlockHeader::default()
        };
        let epoch = state.slot / SLOTS_PER_EPOCH;
        SignedBeaconBlockHeader {
            message,
            signature: sign_object(state, DOMAIN_BEACON_PROPOSER, epoch, &message, proposer_index),
        }
    };
    ProposerSlashing {
        signed_header_1: header(1),
        signed_header_2: header(2),
    }
}

/// Two votes of these validators for one target epoch. `indices` ascend.
fn attester_slashing(state: &State, indices: &[ValidatorIndex]) -> AttesterSlashing {
    let vote = |number: u8| {
        let data = AttestationData {
            slot: state.slot,
            beacon_block_root: Bytes([number; 32]),
            target: Checkpoint {
                epoch: state.slot / SLOTS_PER_EPOCH,
                ..Checkpoint::default()
            },
            ..AttestationData::default()
        };
        let sign =
            |index: &ValidatorIndex| sign_object(state, DOMAIN_BEACON_ATTESTER, data.target.epoch, &data, *index);
        let signatures: Vec<_> = indices
            .iter()
            .map(|index| crypto::bls::Signature::from_bytes(&sign(index).0).unwrap())
            .collect();
        IndexedAttestation {
            attesting_indices: indices.to_vec(),
            data,
            signature: Bytes(crypto::bls::aggregate(&signatures).unwrap().to_bytes()),
        }
    };
    AttesterSlashing {
        attestation_1: vote(1),
        attestation_2: vote(2),
    }
}

fn voluntary_exit(state: &State, config: &Config, validator_index: ValidatorIndex) -> SignedVoluntaryExit {
    let epoch = state.slot / SLOTS_PER_EPOCH;
    let message = VoluntaryExit { epoch, validator_index };
    let signature = if state.at >= Fork::Deneb {
        let domain = compute_domain(
            DOMAIN_VOLUNTARY_EXIT,
            config.capella_fork_version,
            state.genesis_validators_root,
        );
        let signing_root = compute_signing_root(&message, state.at, domain);
        Bytes(secret(validator_index).sign(&signing_root.0).to_bytes())
    } else {
        sign_object(state, DOMAIN_VOLUNTARY_EXIT, epoch, &message, validator_index)
    };
    SignedVoluntaryExit { message, signature }
}

fn credentials_change(state: &State, config: &Config, validator_index: ValidatorIndex) -> SignedBLSToExecutionChange {
    let message = BLSToExecutionChange {
        validator_index,
        from_bls_pubkey: state.validators.get(validator_index as usize).unwrap().pubkey,
        to_execution_address: Bytes([3; 20]),
    };
    let domain = compute_domain(
        DOMAIN_BLS_TO_EXECUTION_CHANGE,
        config.genesis_fork_version,
        state.genesis_validators_root,
    );
    let signing_root = compute_signing_root(&message, state.at, domain);
    let signature = Bytes(secret(validator_index).sign(&signing_root.0).to_bytes());
    SignedBLSToExecutionChange { message, signature }
}

/// A chain whose pool has something of every kind, for the block of slot 2.
struct Scene {
    chain: Chain,
    /// The state that all of it was made with.
    before: State,
    /// By a proposer slashing the first, by attester slashings the others; they want to leave as well.
    slashed: Vec<u64>,
    /// Twenty who want to leave, and to have other credentials.
    leaving: Vec<u64>,
    /// The slashing of three attesters; another has one of them only.
    large: AttesterSlashing,
}

fn scene(fork: Fork) -> Scene {
    let mut chain = Chain::at(fork);
    chain.extend(1);
    let proposer = get_beacon_proposer_index(&chain.advanced(2)).unwrap();
    // Who proposes the next block must not be slashed in it.
    let mut others = (0..VALIDATORS as u64).filter(|index| *index != proposer);
    let slashed: Vec<u64> = others.by_ref().take(4).collect();
    let leaving: Vec<u64> = others.take(20).collect();
    let (before, config) = (chain.state.clone(), chain.config.clone());
    let pool = &mut chain.operations;
    let came = pool.insert_proposer_slashing(proposer_slashing(&before, slashed[0]), fork);
    assert_eq!(came, Inserted::New);
    let small = attester_slashing(&before, &slashed[1..2]);
    let large = attester_slashing(&before, &slashed[1..4]);
    assert_eq!(pool.insert_attester_slashing(small, fork), Inserted::New);
    assert_eq!(pool.insert_attester_slashing(large.clone(), fork), Inserted::New);
    assert_eq!(pool.insert_attester_slashing(large.clone(), fork), Inserted::Known);
    for index in leaving.iter().chain(&slashed) {
        let exit = voluntary_exit(&before, &config, *index);
        assert_eq!(pool.insert_voluntary_exit(exit.clone(), fork), Inserted::New);
        assert_eq!(pool.insert_voluntary_exit(exit, fork), Inserted::Known);
        let change = credentials_change(&before, &config, *index);
        assert_eq!(pool.insert_bls_to_execution_change(change, fork), Inserted::New);
    }
    Scene {
        chain,
        before,
        slashed,
        leaving,
        large,
    }
}

#[test]
fn blocks_take_what_waits_in_every_fork() {
    for fork in &Fork::ALL[..Fork::Gloas as usize] {
        let Scene {
            mut chain,
            leaving,
            large,
            ..
        } = scene(*fork);
        let produced = chain.produce(2);
        let body = &full(&produced).body;
        assert_eq!(body.proposer_slashings.len(), 1);
        // The larger first, after which nobody is left for the smaller.
        assert_eq!(body.attester_slashings, [large]);
        // Of those who are slashed in the same block no exit is taken.
        assert_eq!(body.voluntary_exits.len() as u64, MAX_VOLUNTARY_EXITS);
        let leaves = |exit: &SignedVoluntaryExit| leaving.contains(&exit.message.validator_index);
        assert!(body.voluntary_exits.iter().all(leaves));
        let changes = if *fork >= Fork::Capella {
            MAX_BLS_TO_EXECUTION_CHANGES
        } else {
            0
        };
        assert_eq!(body.bls_to_execution_changes.len() as u64, changes);
        let quotient = if *fork >= Fork::Electra {
            WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA
        } else {
            WHISTLEBLOWER_REWARD_QUOTIENT
        };
        let reward = MAX_EFFECTIVE_BALANCE / quotient;
        assert_eq!(produced.rewards.proposer_slashings, reward);
        assert_eq!(produced.rewards.attester_slashings, 3 * reward);
        chain.extend(2);

        let block = extend_past_slashed(&mut chain, 3);
        let body = &block.message.body;
        assert!(body.proposer_slashings.is_empty() && body.attester_slashings.is_empty());
        assert_eq!(body.voluntary_exits.len() as u64, 20 - MAX_VOLUNTARY_EXITS);
        let state = chain.advanced(block.message.slot + 1);
        let left = chain.operations.select(&state, &chain.config, &chain.keys);
        assert!(left.is_empty(), "{fork}: {left:?}");
    }
}

/// The block of `slot`, or of the first after it whose proposer is not slashed.
fn extend_past_slashed(chain: &mut Chain, mut slot: u64) -> SignedBeaconBlock {
    loop {
        let state = chain.advanced(slot);
        let proposer = get_beacon_proposer_index(&state).unwrap();
        if !state.validators.get(proposer as usize).unwrap().slashed {
            return chain.extend(slot);
        }
        slot += 1;
    }
}

#[test]
fn a_finalized_state_empties_the_pool_of_what_it_has() {
    for fork in [Fork::Bellatrix, Fork::Capella, Fork::Fulu] {
        let Scene {
            mut chain,
            before,
            slashed,
            leaving,
            ..
        } = scene(fork);
        chain.extend(2);
        extend_past_slashed(&mut chain, 3);
        let counts = |pool: &OperationPool| {
            [
                pool.proposer_slashings().count(),
                pool.attester_slashings().count(),
                pool.voluntary_exits().count(),
                pool.bls_to_execution_changes().count(),
            ]
        };
        chain.operations.prune(&before);
        assert_eq!(counts(&chain.operations), [1, 2, 24, 24]);
        chain.operations.prune(&chain.state);
        let changes = if fork >= Fork::Capella { 0 } else { 24 };
        assert_eq!(counts(&chain.operations), [0, 0, 0, changes]);
        let validator = |index: u64| chain.state.validators.get(index as usize).unwrap();
        assert!(slashed.iter().all(|index| validator(*index).slashed));
        assert!(
            leaving
                .iter()
                .all(|index| validator(*index).exit_epoch != FAR_FUTURE_EPOCH)
        );
        let prefix = validator(leaving[0]).withdrawal_credentials.0[0];
        assert_eq!(prefix == ETH1_ADDRESS_WITHDRAWAL_PREFIX, fork >= Fork::Capella);
    }
}

/// Before Deneb the domain of an exit is gone two forks later.
#[test]
fn an_exit_whose_domain_is_gone_is_not_taken() {
    let mut config = config_at(Fork::Phase0);
    for (epoch, fork) in [Fork::Phase0, Fork::Altair, Fork::Bellatrix].into_iter().enumerate() {
        config.set_fork_epoch(fork, epoch as u64);
    }
    let mut chain = Chain::new(config, VALIDATORS);
    chain.extend(1);
    let exit = voluntary_exit(&chain.state, &chain.config, 9);
    chain.operations.insert_voluntary_exit(exit.clone(), Fork::Phase0);
    let takes = |chain: &Chain, slot| {
        let state = chain.advanced(slot);
        chain
            .operations
            .select(&state, &chain.config, &chain.keys)
            .voluntary_exits
            .len()
    };
    // No blocks in between, which would take it.
    assert_eq!(takes(&chain, 2), 1);
    assert_eq!(takes(&chain, SLOTS_PER_EPOCH), 1);
    assert_eq!(takes(&chain, 2 * SLOTS_PER_EPOCH), 0);
    chain.extend(2 * SLOTS_PER_EPOCH);
}

#[test]
fn kinds_have_their_limits() {
    let mut pool = OperationPool::new();
    let fork = Fork::Fulu;
    let mut counts = [0; 4];
    for index in 0..5000 {
        let mut proposer = ProposerSlashing::default();
        proposer.signed_header_1.message.proposer_index = index;
        let mut attester = AttesterSlashing::default();
        attester.attestation_1.attesting_indices = vec![index];
        attester.attestation_2.attesting_indices = vec![index];
        let mut exit = SignedVoluntaryExit::default();
        exit.message.validator_index = index;
        let mut change = SignedBLSToExecutionChange::default();
        change.message.validator_index = index;
        let came = [
            pool.insert_proposer_slashing(proposer, fork),
            pool.insert_attester_slashing(attester, fork),
            pool.insert_voluntary_exit(exit, fork),
            pool.insert_bls_to_execution_change(change, fork),
        ];
        for (count, inserted) in counts.iter_mut().zip(came) {
            match inserted {
                Inserted::New => *count += 1,
                Inserted::Full(_) => {}
                Inserted::Known => panic!("{index} is new"),
            }
        }
    }
    assert_eq!(counts, [512, 64, 4096, 4096]);

    // Large slashings are limited by their voters.
    let mut pool = OperationPool::new();
    let mut came = 0;
    for number in 0..64 {
        let voters: Vec<u64> = (number * 100_000..(number + 1) * 100_000).collect();
        let mut attester = AttesterSlashing::default();
        attester.attestation_1.attesting_indices = voters;
        attester.attestation_2.attesting_indices = vec![number * 100_000];
        came += usize::from(pool.insert_attester_slashing(attester, fork) == Inserted::New);
    }
    assert_eq!(came, 20);
}
