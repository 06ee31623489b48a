//! Deposits whose signatures are checked, known ahead or believed: which validators and builders come of them.

use consensus::constants::{BUILDER_WITHDRAWAL_PREFIX, ETH1_ADDRESS_WITHDRAWAL_PREFIX};
use consensus::keys::Keys;
use consensus::preset::{MIN_ACTIVATION_BALANCE, SLOTS_PER_EPOCH};
use consensus::signing::{Context, DepositProof, DepositSignatures, DepositVerdicts};
use consensus::ssz::{Bytes, PersistentList};
use consensus::transition::epoch::process_pending_deposits;
use consensus::transition::upgrade::upgrade_to;
use consensus::transition::{process_slots, state_transition};
use consensus::types::PendingDeposit;
use consensus::{Config, Fork, State};
use crypto::bls::SecretKey;
use std::sync::Arc;
use synthetic::{Shape, Votes, fulu_state, signed_block};

/// New keys with valid and invalid proofs of possession in turn, beginning with a valid one.
fn deposits(config: &Config, state: &State, prefix: u8, count: u8) -> Vec<PendingDeposit> {
    (0..count)
        .map(|number| {
            let mut secret = [0x11; 32];
            secret[31] = number;
            let secret = SecretKey::from_bytes(&secret).unwrap();
            let mut withdrawal_credentials = Bytes([0; 32]);
            withdrawal_credentials.0[0] = prefix;
            let mut deposit = PendingDeposit {
                pubkey: Bytes(secret.public_key().to_compressed()),
                withdrawal_credentials,
                amount: MIN_ACTIVATION_BALANCE,
                slot: state.finalized_checkpoint.epoch * SLOTS_PER_EPOCH,
                ..PendingDeposit::default()
            };
            let root = DepositProof::of_pending(config, &deposit).signing_root();
            deposit.signature = Bytes(secret.sign(&root.0).to_bytes());
            deposit.withdrawal_credentials.0[31] = number % 2;
            deposit
        })
        .collect()
}

/// What `count` of a state is with each way of judging deposits.
fn of_each_way(config: &Config, state: &State, count: impl Fn(State) -> usize) -> [usize; 4] {
    let proofs = |state: &State| -> Vec<DepositProof> {
        let deposits = state.pending_deposits.iter();
        deposits
            .map(|deposit| DepositProof::of_pending(config, deposit))
            .collect()
    };
    let mut all = DepositVerdicts::default();
    all.verify(&proofs(state));
    let mut some = DepositVerdicts::default();
    some.verify(&proofs(state)[..3]);
    [
        DepositSignatures::Verify,
        DepositSignatures::Known(Arc::new(all)),
        DepositSignatures::Known(Arc::new(some)),
        DepositSignatures::Trust,
    ]
    .map(|signatures| {
        let mut state = state.clone();
        state.deposit_signatures = signatures;
        count(state)
    })
}

fn state(config: &Config, prefix: u8, count: u8) -> State {
    let mut state = fulu_state(
        Shape {
            validators: 1500,
            active: 1500,
            pending_deposits: 0,
        },
        config,
    );
    state.pending_deposits = PersistentList::from_vec(deposits(config, &state, prefix, count));
    state
}

/// What a context brings goes to the state after the block; one that brings nothing leaves what the state has.
#[test]
fn a_block_hands_the_verdicts_on() {
    let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
    let mut pre = state(&config, ETH1_ADDRESS_WITHDRAWAL_PREFIX, 0);
    let keys = Keys::of(&pre).unwrap();
    let mut at_block = pre.clone();
    process_slots(&mut at_block, &config, pre.slot + 1).unwrap();
    let block = signed_block(&at_block, &config, &keys, Votes::Usual).unwrap();
    let mut trusts_after = |brings: Option<DepositSignatures>, had: DepositSignatures| {
        let mut ctx = Context::collecting(&config, &keys);
        ctx.deposit_signatures = brings;
        pre.deposit_signatures = had;
        let (post, _) = state_transition(&pre, &block, &mut ctx, true).unwrap();
        matches!(post.deposit_signatures, DepositSignatures::Trust)
    };
    assert!(trusts_after(Some(DepositSignatures::Trust), DepositSignatures::Verify));
    assert!(trusts_after(None, DepositSignatures::Trust));
    assert!(!trusts_after(None, DepositSignatures::Verify));
    assert!(!trusts_after(Some(DepositSignatures::Verify), DepositSignatures::Trust));
}

#[test]
fn validators_come_of_deposits_as_the_state_judges_them() {
    let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
    let state = state(&config, ETH1_ADDRESS_WITHDRAWAL_PREFIX, 4);
    let before = state.validators.len();
    let made = of_each_way(&config, &state, |mut state| {
        process_pending_deposits(&mut state, &config).unwrap();
        state.validators.len() - before
    });
    assert_eq!(made, [2, 2, 2, 4]);
}

#[test]
fn builders_come_of_deposits_as_the_state_judges_them() {
    let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
    let state = state(&config, BUILDER_WITHDRAWAL_PREFIX, 6);
    let made = of_each_way(&config, &state, |mut state| {
        upgrade_to(&mut state, &config, Fork::Gloas).unwrap();
        assert!(state.pending_deposits.is_empty());
        state.builders.len()
    });
    assert_eq!(made, [3, 3, 3, 6]);
}
