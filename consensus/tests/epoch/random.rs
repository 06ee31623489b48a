//! Random states at the end of an epoch: not states that a chain reaches, but ones in which every branch is taken.

use consensus::constants::*;
use consensus::helpers::accessors::{get_beacon_committee, get_committee_count_per_slot};
use consensus::preset::*;
use consensus::signing::{compute_domain, compute_signing_root};
use consensus::ssz::{BitList, Bytes, PersistentList, PersistentVector, Ssz};
use consensus::types::*;
use consensus::{Config, Fork, State};
use crypto::bls::{PublicKey, SecretKey};
use synthetic::Numbers;

const ETHER: u64 = 1_000_000_000;

/// Keys for a registry and for deposits of new validators, made once.
pub(crate) struct KeyRing {
    pub(crate) secrets: Vec<SecretKey>,
    pub(crate) publics: Vec<BLSPubkey>,
}

impl KeyRing {
    pub(crate) fn new(count: usize) -> Self {
        let secret = |number: usize| {
            let mut bytes = [0; 32];
            bytes[24..].copy_from_slice(&(number as u64 + 1).to_be_bytes());
            SecretKey::from_bytes(&bytes).unwrap()
        };
        let secrets: Vec<SecretKey> = (0..count).map(secret).collect();
        let compressed = |key: &SecretKey| Bytes(PublicKey::to_compressed(&key.public_key()));
        let publics = secrets.iter().map(compressed).collect();
        KeyRing { secrets, publics }
    }
}

/// One chance in `n`.
fn one_in(numbers: &mut Numbers, n: u64) -> bool {
    numbers.below(n) == 0
}

pub(crate) fn state(at: Fork, config: &Config, keys: &KeyRing, numbers: &mut Numbers) -> State {
    let epoch = match numbers.below(8) {
        0 => numbers.below(3),
        // The last epoch before a period of votes, history or a sync committee ends.
        1 => EPOCHS_PER_SYNC_COMMITTEE_PERIOD * 8 - 1,
        2 => SLOTS_PER_HISTORICAL_ROOT / SLOTS_PER_EPOCH * 3 - 1,
        _ => 40 + numbers.below(400),
    };
    let mut state = BeaconState::new(at);
    state.slot = epoch * SLOTS_PER_EPOCH + SLOTS_PER_EPOCH - 1;
    fill_history(&mut state, epoch, numbers);
    let count = 30 + numbers.below(60) as usize;
    fill_registry(&mut state, at, epoch, &keys.publics[..count], numbers);
    if at >= Fork::Altair {
        fill_participation(&mut state, numbers);
    }
    if at >= Fork::Electra {
        fill_queues(&mut state, config, keys, numbers);
    }
    if at >= Fork::Gloas {
        for payment in state.builder_pending_payments.iter_mut() {
            payment.weight = numbers.below(80 * ETHER);
            payment.withdrawal.amount = numbers.below(ETHER);
        }
        state.validators = state.validators.to_progressive();
        state.balances = state.balances.to_progressive();
        state.inactivity_scores = state.inactivity_scores.to_progressive();
        state.previous_epoch_participation = state.previous_epoch_participation.to_progressive();
        state.current_epoch_participation = state.current_epoch_participation.to_progressive();
    }
    let mut state = State::new(at, state);
    if at == Fork::Phase0 {
        fill_attestations(&mut state, epoch, numbers);
    }
    state
}

fn fill_history(state: &mut BeaconState, epoch: Epoch, numbers: &mut Numbers) {
    // A few roots are enough; the rest may be equal.
    for slot in state.slot.saturating_sub(3 * SLOTS_PER_EPOCH)..state.slot {
        *state
            .block_roots
            .get_mut((slot % SLOTS_PER_HISTORICAL_ROOT) as usize)
            .unwrap() = numbers.root();
    }
    for epoch in epoch.saturating_sub(4)..=epoch {
        let place = epoch % EPOCHS_PER_HISTORICAL_VECTOR;
        *state.randao_mixes.get_mut(place as usize).unwrap() = numbers.root();
    }
    let slashed = numbers.below(4) * numbers.below(200);
    let slashings = (0..EPOCHS_PER_SLASHINGS_VECTOR).map(|place| if place < 3 { slashed * ETHER } else { 0 });
    state.slashings = PersistentVector::from_vec(slashings.collect());
    // In a leak or not.
    let age = if one_in(numbers, 2) { 2 } else { 7 };
    let mut checkpoint = |age: u64| Checkpoint {
        epoch: epoch.saturating_sub(age),
        root: numbers.root(),
    };
    state.finalized_checkpoint = checkpoint(age);
    state.previous_justified_checkpoint = checkpoint(age.min(3));
    state.current_justified_checkpoint = checkpoint(age.min(3) - 1);
    for bit in 0..4 {
        state.justification_bits.set(bit, one_in(numbers, 2));
    }
    state.eth1_data_votes = vec![Eth1Data::default(); numbers.below(3) as usize];
}

fn fill_registry(state: &mut BeaconState, at: Fork, epoch: Epoch, keys: &[BLSPubkey], numbers: &mut Numbers) {
    let mut validators: Vec<Validator> = keys.iter().map(|key| validator(at, epoch, *key, numbers)).collect();
    // Somebody must be able to propose.
    for (place, validator) in validators.iter_mut().enumerate().take(4) {
        *validator = Validator {
            effective_balance: 32 * ETHER,
            activation_epoch: 0,
            activation_eligibility_epoch: 0,
            exit_epoch: FAR_FUTURE_EPOCH,
            withdrawable_epoch: FAR_FUTURE_EPOCH,
            slashed: place == 3,
            ..validator.clone()
        };
    }
    let mut balance = |validator: &Validator| match numbers.below(6) {
        0 => 0,
        1 => numbers.below(70 * ETHER),
        2 => validator.effective_balance,
        _ => (validator.effective_balance + numbers.below(3 * ETHER)).saturating_sub(ETHER),
    };
    state.balances = PersistentList::from_vec(validators.iter().map(&mut balance).collect());
    state.validators = PersistentList::from_vec(validators);
}

fn validator(at: Fork, epoch: Epoch, pubkey: BLSPubkey, numbers: &mut Numbers) -> Validator {
    let compounding = one_in(numbers, 3);
    let most = if compounding && at >= Fork::Electra { 2048 } else { 32 };
    let effective_balance = match numbers.below(8) {
        0 => 0,
        1 => numbers.below(18) * ETHER,
        2 => numbers.below(33 * ETHER), // no state of a chain has this
        3 => numbers.below(most + 1) * ETHER,
        _ => 32 * ETHER,
    };
    let mut withdrawal_credentials = numbers.root();
    withdrawal_credentials.0[0] = if compounding { 2 } else { numbers.below(2) as u8 };
    let mut validator = Validator {
        pubkey,
        withdrawal_credentials,
        effective_balance,
        slashed: one_in(numbers, 6),
        activation_eligibility_epoch: 0,
        activation_epoch: 0,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    };
    live(&mut validator, epoch, numbers);
    if validator.slashed && one_in(numbers, 2) {
        validator.exit_epoch = validator.exit_epoch.min(epoch + numbers.below(9));
        validator.withdrawable_epoch = epoch + EPOCHS_PER_SLASHINGS_VECTOR / 2;
    }
    validator
}

/// Where the validator is between its deposit and its withdrawal.
fn live(validator: &mut Validator, epoch: Epoch, numbers: &mut Numbers) {
    let near = |numbers: &mut Numbers| (epoch + numbers.below(8)).saturating_sub(4);
    match numbers.below(8) {
        0 => {
            validator.activation_eligibility_epoch = FAR_FUTURE_EPOCH;
            validator.activation_epoch = FAR_FUTURE_EPOCH;
        }
        1 => {
            validator.activation_eligibility_epoch = near(numbers).saturating_sub(3);
            validator.activation_epoch = FAR_FUTURE_EPOCH;
        }
        2 => validator.activation_epoch = near(numbers),
        3 => {
            validator.exit_epoch = near(numbers);
            validator.withdrawable_epoch = validator.exit_epoch + numbers.below(5);
        }
        _ => {}
    }
}

fn fill_participation(state: &mut BeaconState, numbers: &mut Numbers) {
    let count = state.validators.len();
    let absent = 1 + numbers.below(12);
    let mut flags = || {
        if one_in(numbers, absent) {
            numbers.below(8) as u8
        } else {
            7
        }
    };
    state.previous_epoch_participation = PersistentList::from_vec((0..count).map(|_| flags()).collect());
    state.current_epoch_participation = PersistentList::from_vec((0..count).map(|_| flags()).collect());
    let most = [1, 20, 100_000][numbers.below(3) as usize];
    state.inactivity_scores = PersistentList::from_vec((0..count).map(|_| numbers.below(most)).collect());
}

fn fill_queues(state: &mut BeaconState, config: &Config, keys: &KeyRing, numbers: &mut Numbers) {
    let finalized_slot = state.finalized_checkpoint.epoch * SLOTS_PER_EPOCH;
    let count = numbers.below(3) * numbers.below(14);
    let mut deposits = Vec::new();
    for _ in 0..count {
        let slot = if one_in(numbers, 25) {
            finalized_slot + 1
        } else {
            numbers.below(finalized_slot + 1)
        };
        let number = numbers.below(keys.publics.len() as u64) as usize;
        deposits.push(deposit(config, keys, number, slot, numbers));
    }
    state.pending_deposits = state.pending_deposits.rebuilt(deposits);
    state.deposit_balance_to_consume = numbers.below(100) * ETHER;
    state.eth1_deposit_index = numbers.below(8);
    let validators = state.validators.len() as u64;
    let consolidations = (0..numbers.below(8)).map(|_| PendingConsolidation {
        source_index: numbers.below(validators),
        target_index: numbers.below(validators),
    });
    let consolidations: Vec<_> = consolidations.collect();
    state.pending_consolidations = state.pending_consolidations.rebuilt(consolidations);
}

/// A deposit for key `number`, signed rightly or not.
fn deposit(config: &Config, keys: &KeyRing, number: usize, slot: Slot, numbers: &mut Numbers) -> PendingDeposit {
    let message = DepositMessage {
        pubkey: keys.publics[number],
        withdrawal_credentials: numbers.root(),
        amount: numbers.below(40 * ETHER),
    };
    let domain = compute_domain(DOMAIN_DEPOSIT, config.genesis_fork_version, Root::ZERO);
    let root = compute_signing_root(&message, Fork::Phase0, domain);
    let signature = if one_in(numbers, 3) {
        G2_POINT_AT_INFINITY
    } else {
        Bytes(keys.secrets[number].sign(&root.0).to_bytes())
    };
    PendingDeposit {
        pubkey: message.pubkey,
        withdrawal_credentials: message.withdrawal_credentials,
        amount: message.amount,
        signature,
        slot,
    }
}

fn fill_attestations(state: &mut State, epoch: Epoch, numbers: &mut Numbers) {
    state.prepare();
    for of_epoch in [epoch.saturating_sub(1), epoch] {
        let mut attestations = Vec::new();
        let target = of_epoch * SLOTS_PER_EPOCH;
        for slot in target..(target + SLOTS_PER_EPOCH).min(state.slot) {
            for index in 0..get_committee_count_per_slot(state, of_epoch) {
                let members = get_beacon_committee(state, slot, index).unwrap().len();
                for _ in 0..numbers.below(3) {
                    attestations.push(vote(state, slot, index, members, numbers));
                }
            }
        }
        if of_epoch == epoch {
            state.current_epoch_attestations = attestations;
        } else {
            state.previous_epoch_attestations = attestations;
        }
    }
}

fn vote(state: &State, slot: Slot, index: u64, members: usize, numbers: &mut Numbers) -> PendingAttestation {
    let root_at = |slot: Slot| {
        *state
            .block_roots
            .get((slot % SLOTS_PER_HISTORICAL_ROOT) as usize)
            .unwrap()
    };
    let target_slot = slot / SLOTS_PER_EPOCH * SLOTS_PER_EPOCH;
    let mut right = |slot: Slot| if one_in(numbers, 5) { Root::ZERO } else { root_at(slot) };
    let (beacon_block_root, target_root) = (right(slot), right(target_slot));
    let mut aggregation_bits = BitList::new(members);
    for place in 0..members {
        aggregation_bits.set(place, !one_in(numbers, 4));
    }
    PendingAttestation {
        aggregation_bits,
        data: AttestationData {
            slot,
            index,
            beacon_block_root,
            source: Checkpoint::default(),
            target: Checkpoint {
                epoch: slot / SLOTS_PER_EPOCH,
                root: target_root,
            },
        },
        inclusion_delay: 1 + numbers.below(4),
        proposer_index: numbers.below(state.validators.len() as u64),
    }
}
