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
    ProposerSlashing, SignedBLSToExecutionChange, SignedBeaconBlockHeader, SignedVoluntaryExit, ValidatorIndex,
    VoluntaryExit,
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

/// Everything at once, in every fork: two blocks take it, and a finalized state empties the pool.
#[test]
fn blocks_take_what_waits_in_every_fork() {
    for fork in &Fork::ALL[..Fork::Gloas as usize] {
        let mut chain = Chain::at(*fork);
        chain.extend(1);
        let first = chain.advanced(2);
        let proposer = get_beacon_proposer_index(&first).unwrap();
        // Who proposes the next block must not be slashed in it.
        let others: Vec<u64> = (0..VALIDATORS as u64).filter(|index| *index != proposer).collect();
        let (slashed, leaving) = (&others[..4], &others[4..24]);
        let (state, config, at) = (chain.state.clone(), chain.config.clone(), *fork);
        let pool = &mut chain.operations;
        assert_eq!(
            pool.insert_proposer_slashing(proposer_slashing(&state, slashed[0]), at),
            Inserted::New
        );
        let small = attester_slashing(&state, &slashed[1..2]);
        let large = attester_slashing(&state, &slashed[1..4]);
        assert_eq!(pool.insert_attester_slashing(small.clone(), at), Inserted::New);
        assert_eq!(pool.insert_attester_slashing(large.clone(), at), Inserted::New);
        assert_eq!(pool.insert_attester_slashing(large.clone(), at), Inserted::Known);
        // Of those who are slashed in the same block no exit is taken.
        for index in leaving.iter().chain(slashed) {
            assert_eq!(
                pool.insert_voluntary_exit(voluntary_exit(&state, &config, *index), at),
                Inserted::New
            );
            let change = credentials_change(&state, &config, *index);
            assert_eq!(pool.insert_bls_to_execution_change(change, at), Inserted::New);
        }
        assert_eq!(
            pool.insert_voluntary_exit(voluntary_exit(&state, &config, leaving[0]), at),
            Inserted::Known
        );

        let produced = chain.produce(2);
        let body = &full(&produced).body;
        assert_eq!(body.proposer_slashings.len(), 1);
        // The larger first, after which nobody is left for the smaller.
        assert_eq!(body.attester_slashings, [large]);
        assert_eq!(body.voluntary_exits.len() as u64, MAX_VOLUNTARY_EXITS);
        assert!(
            body.voluntary_exits
                .iter()
                .all(|exit| leaving.contains(&exit.message.validator_index))
        );
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
        assert_eq!(produced.rewards.proposer_slashings, MAX_EFFECTIVE_BALANCE / quotient);
        assert_eq!(
            produced.rewards.attester_slashings,
            3 * (MAX_EFFECTIVE_BALANCE / quotient)
        );
        chain.extend(2);

        let mut slot = 3;
        while chain
            .state
            .validators
            .get(get_beacon_proposer_index(&chain.advanced(slot)).unwrap() as usize)
            .unwrap()
            .slashed
        {
            slot += 1;
        }
        let block = chain.extend(slot);
        assert!(block.message.body.proposer_slashings.is_empty() && block.message.body.attester_slashings.is_empty());
        assert_eq!(
            block.message.body.voluntary_exits.len() as u64,
            20 - MAX_VOLUNTARY_EXITS
        );
        let left = chain.operations.select(&chain.advanced(slot + 1), &config, &chain.keys);
        assert!(left.is_empty(), "{fork}: {left:?}");

        let mut finalized = chain.state.clone();
        let unfinalized = chain.operations.clone();
        chain.operations.prune(&finalized);
        let pool = &chain.operations;
        assert_eq!(pool.proposer_slashings().count() + pool.attester_slashings().count(), 0);
        assert_eq!(pool.voluntary_exits().count(), 0);
        let changes = if *fork >= Fork::Capella { 0 } else { 24 };
        assert_eq!(pool.bls_to_execution_changes().count(), changes);
        // An older state leaves all of it.
        finalized = state;
        let mut pool = unfinalized;
        pool.prune(&finalized);
        assert_eq!(pool.proposer_slashings().count(), 1);
        assert_eq!(pool.attester_slashings().count(), 2);
        assert_eq!(
            (pool.voluntary_exits().count(), pool.bls_to_execution_changes().count()),
            (24, 24)
        );
        assert!(
            !chain
                .state
                .validators
                .iter()
                .all(|validator| validator.exit_epoch == FAR_FUTURE_EPOCH)
        );
        let changed = |index: u64| {
            let validator = chain.state.validators.get(index as usize).unwrap();
            validator.withdrawal_credentials.0[0] == ETH1_ADDRESS_WITHDRAWAL_PREFIX
        };
        assert_eq!(changed(leaving[0]), *fork >= Fork::Capella);
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
