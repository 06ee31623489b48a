//! Beacon states of any size, made up: for benchmarks and for tests that need a registry like mainnet's.
//!
//! What costs time and memory in a real state is here too: distinct valid keys and credentials, balances that differ,
//! scores that are not zero, participation as a healthy chain has it, a queue of deposits. Nothing is equal by accident,
//! since equal parts would share memory in a tree. The same arguments give the same state.
#![forbid(unsafe_code)]

mod block;

pub use block::{Votes, attestation, signed_block, signed_block_with};

use consensus::constants::{
    COMPOUNDING_WITHDRAWAL_PREFIX, ETH1_ADDRESS_WITHDRAWAL_PREFIX, FAR_FUTURE_EPOCH, G2_POINT_AT_INFINITY,
};
use consensus::preset::{
    EPOCHS_PER_HISTORICAL_VECTOR, EPOCHS_PER_SLASHINGS_VECTOR, MAX_EFFECTIVE_BALANCE_ELECTRA, MIN_ACTIVATION_BALANCE,
    SLOTS_PER_EPOCH, SLOTS_PER_HISTORICAL_ROOT, SYNC_COMMITTEE_SIZE,
};
use consensus::ssz::{Bytes, PersistentList, PersistentVector, Root, Ssz};
use consensus::types::{
    BeaconState, Checkpoint, ForkInfo, HistoricalSummary, PendingDeposit, SyncCommittee, Validator,
};
use consensus::{Config, Fork, State};
use crypto::bls::{PublicKey, SecretKey, consecutive_public_keys};
use crypto::hash::sha256;

/// Epoch of a synthetic state, late enough that everybody's life fits before it.
pub const EPOCH: u64 = 400_000;

/// Gwei in an Ether.
const ETHER: u64 = 1_000_000_000;

/// The secret key of validator 0.
const FIRST_SECRET: u64 = 7;

/// What a state is made with.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Validators in the registry.
    pub validators: usize,
    /// Of these active; the others have exited, as most of a real registry has.
    pub active: usize,
    /// Pending deposits.
    pub pending_deposits: usize,
}

impl Shape {
    /// A registry of `validators` like mainnet's: 95 in 220 are active.
    pub fn like_mainnet(validators: usize) -> Self {
        Shape {
            validators,
            active: validators * 95 / 220,
            pending_deposits: 20_000.min(validators),
        }
    }
}

/// The secret key that the keys of the registry count on from: validator `n` has it plus `n`.
///
/// # Panics
/// Never: the number is a valid key.
pub fn first_secret_key() -> SecretKey {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&FIRST_SECRET.to_be_bytes());
    SecretKey::from_bytes(&bytes).expect("seven is a valid secret key")
}

/// Processor time of this thread in milliseconds: what work costs, whatever else the machine does.
pub fn cpu_ms() -> f64 {
    cpu_time::ThreadTime::now().as_duration().as_secs_f64() * 1e3
}

/// The same of all threads of this process.
pub fn process_cpu_ms() -> f64 {
    cpu_time::ProcessTime::now().as_duration().as_secs_f64() * 1e3
}

/// A repeatable stream of numbers that look random (splitmix64).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Numbers(seed)
    }

    /// The next number, any.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// Thirty-two bytes.
    pub fn root(&mut self) -> Root {
        Root::from(sha256(&self.next_u64().to_le_bytes()))
    }
}

/// A Fulu state of this shape on the standard config's forks.
pub fn fulu_state(shape: Shape, config: &Config) -> State {
    let mut numbers = Numbers::new(shape.validators as u64);
    let keys = consecutive_public_keys(&first_secret_key(), shape.validators);
    let mut state = BeaconState::new(Fork::Fulu);
    state.slot = EPOCH * SLOTS_PER_EPOCH;
    state.genesis_time = 1_606_824_023;
    state.genesis_validators_root = numbers.root();
    state.fork = ForkInfo {
        previous_version: config.electra_fork_version,
        current_version: config.fulu_fork_version,
        epoch: EPOCH - 10_000,
    };
    fill_registry(&mut state, shape, &keys, &mut numbers);
    fill_history(&mut state, &mut numbers);
    fill_queues(&mut state, shape, &mut numbers);
    state.current_sync_committee = sync_committee(&keys, shape, &mut numbers);
    state.next_sync_committee = sync_committee(&keys, shape, &mut numbers);
    State::new(Fork::Fulu, state)
}

fn fill_registry(state: &mut BeaconState, shape: Shape, keys: &[PublicKey], numbers: &mut Numbers) {
    let validators: Vec<Validator> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| validator(index, key, shape, numbers))
        .collect();
    let balances = validators
        .iter()
        .map(|validator| validator.effective_balance + numbers.below(ETHER / 4))
        .collect();
    // Nine in ten voted in time for all three, a few for less, and those who are gone for nothing.
    let mut flags = |index: usize| match numbers.below(20) {
        _ if !is_active(index, shape) => 0,
        0 => 0,
        1 => 0b011,
        _ => 0b111,
    };
    let previous = (0..shape.validators).map(&mut flags).collect();
    let current = (0..shape.validators).map(&mut flags).collect();
    let scores = (0..shape.validators).map(|_| 1 + numbers.below(30)).collect();
    state.validators = PersistentList::from_vec(validators);
    state.balances = PersistentList::from_vec(balances);
    state.previous_epoch_participation = PersistentList::from_vec(previous);
    state.current_epoch_participation = PersistentList::from_vec(current);
    state.inactivity_scores = PersistentList::from_vec(scores);
}

/// Spread evenly, since real exits are.
fn is_active(index: usize, shape: Shape) -> bool {
    (index + 1) * shape.active / shape.validators > index * shape.active / shape.validators
}

fn validator(index: usize, key: &PublicKey, shape: Shape, numbers: &mut Numbers) -> Validator {
    let mut withdrawal_credentials = [0; 32];
    withdrawal_credentials[12..].copy_from_slice(&numbers.root().0[..20]);
    let compounding = index.is_multiple_of(20);
    withdrawal_credentials[0] = if compounding {
        COMPOUNDING_WITHDRAWAL_PREFIX
    } else {
        ETH1_ADDRESS_WITHDRAWAL_PREFIX
    };
    let activation_epoch = numbers.below(EPOCH - 50_000);
    let active = is_active(index, shape);
    let exit_epoch = if active {
        FAR_FUTURE_EPOCH
    } else {
        activation_epoch + 1 + numbers.below(40_000)
    };
    let effective_balance = match (active, compounding) {
        (false, _) => 0,
        (true, false) => MIN_ACTIVATION_BALANCE,
        (true, true) => (MIN_ACTIVATION_BALANCE + numbers.below(2000) * ETHER).min(MAX_EFFECTIVE_BALANCE_ELECTRA),
    };
    Validator {
        pubkey: Bytes(key.to_compressed()),
        withdrawal_credentials: Bytes(withdrawal_credentials),
        effective_balance,
        slashed: !active && index.is_multiple_of(2000),
        activation_eligibility_epoch: activation_epoch.saturating_sub(5),
        activation_epoch,
        exit_epoch,
        withdrawable_epoch: if active { FAR_FUTURE_EPOCH } else { exit_epoch + 256 },
    }
}

fn fill_history(state: &mut BeaconState, numbers: &mut Numbers) {
    let mut roots = |count: u64| PersistentVector::from_vec((0..count).map(|_| numbers.root()).collect());
    state.block_roots = roots(SLOTS_PER_HISTORICAL_ROOT);
    state.state_roots = roots(SLOTS_PER_HISTORICAL_ROOT);
    state.randao_mixes = roots(EPOCHS_PER_HISTORICAL_VECTOR);
    let summaries = (0..EPOCH * SLOTS_PER_EPOCH / SLOTS_PER_HISTORICAL_ROOT).map(|_| HistoricalSummary {
        block_summary_root: numbers.root(),
        state_summary_root: numbers.root(),
    });
    state.historical_summaries = PersistentList::from_vec(summaries.collect());
    let slashings = (0..EPOCHS_PER_SLASHINGS_VECTOR)
        .map(|_| numbers.below(64) * ETHER)
        .collect();
    state.slashings = PersistentVector::from_vec(slashings);
    for bit in 0..4 {
        state.justification_bits.set(bit, true);
    }
    let mut checkpoint = |age: u64| Checkpoint {
        epoch: EPOCH - age,
        root: numbers.root(),
    };
    state.previous_justified_checkpoint = checkpoint(2);
    state.current_justified_checkpoint = checkpoint(1);
    state.finalized_checkpoint = checkpoint(2);
}

fn fill_queues(state: &mut BeaconState, shape: Shape, numbers: &mut Numbers) {
    let deposits = (0..shape.pending_deposits).map(|number| {
        // Top-ups of validators that there are: the signature is not looked at.
        let index = number * (shape.validators / shape.pending_deposits.max(1));
        let owner = state.validators.get(index).cloned().unwrap_or_default();
        PendingDeposit {
            pubkey: owner.pubkey,
            withdrawal_credentials: owner.withdrawal_credentials,
            amount: ETHER + numbers.below(31 * ETHER),
            signature: G2_POINT_AT_INFINITY,
            slot: EPOCH * SLOTS_PER_EPOCH - numbers.below(100_000),
        }
    });
    let deposits = PersistentList::from_vec(deposits.collect());
    state.pending_deposits = deposits;
    state.deposit_requests_start_index = 0;
    state.exit_balance_to_consume = 256 * ETHER;
    state.earliest_exit_epoch = EPOCH + 5;
    state.earliest_consolidation_epoch = EPOCH + 5;
    let active: Vec<u64> = (0..shape.validators)
        .filter(|index| is_active(*index, shape))
        .map(|i| i as u64)
        .collect();
    for proposer in state.proposer_lookahead.iter_mut() {
        *proposer = active[numbers.below(active.len() as u64) as usize];
    }
}

fn sync_committee(keys: &[PublicKey], shape: Shape, numbers: &mut Numbers) -> SyncCommittee {
    let active: Vec<&PublicKey> = keys
        .iter()
        .enumerate()
        .filter(|(index, _)| is_active(*index, shape))
        .map(|(_, key)| key)
        .collect();
    let members: Vec<&PublicKey> = (0..SYNC_COMMITTEE_SIZE)
        .map(|_| active[numbers.below(active.len() as u64) as usize])
        .collect();
    let sum = crypto::bls::aggregate_pubkeys(members.iter().copied()).expect("a random sum of keys is not infinity");
    SyncCommittee {
        pubkeys: members
            .iter()
            .map(|key| Bytes(key.to_compressed()))
            .collect::<Vec<_>>()
            .into(),
        aggregate_pubkey: Bytes(sum.to_compressed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::keys::Keys;
    use consensus::signing::Context;
    use consensus::transition::{process_block, process_slots, verify_block_signature};

    #[test]
    fn a_chain_of_blocks_has_valid_signatures() {
        let config = Config::standard();
        let mut state = fulu_state(Shape::like_mainnet(3000), &config);
        state.current_epoch_participation.update(|_, _| Some(0));
        let keys = Keys::of(&state).unwrap();
        for votes in [Votes::Usual, Votes::Full, Votes::Usual] {
            let slot = state.slot + 1;
            process_slots(&mut state, &config, slot).unwrap();
            let block = signed_block(&state, &config, &keys, votes).unwrap();
            let voters: usize = block
                .message
                .body
                .attestations
                .iter()
                .map(|vote| vote.aggregation_bits.count_ones())
                .sum();
            assert_eq!(
                voters > 4 * 3000 / SLOTS_PER_EPOCH as usize * 95 / 220,
                votes == Votes::Full,
                "{voters} voters"
            );
            let mut ctx = Context::collecting(&config, &keys);
            verify_block_signature(&state, &mut ctx, &block).unwrap();
            process_block(&mut state, &mut ctx, &block.message).unwrap();
            ctx.verify_collected().unwrap();
            assert_eq!(state.hash_tree_root(), block.message.state_root);
        }
    }

    #[test]
    fn a_state_is_repeatable_and_as_large_as_asked() {
        let shape = Shape::like_mainnet(2200);
        let (one, two) = (
            fulu_state(shape, &Config::standard()),
            fulu_state(shape, &Config::standard()),
        );
        assert_eq!(one.hash_tree_root(), two.hash_tree_root());
        assert_eq!(one.validators.len(), 2200);
        let active = one
            .validators
            .iter()
            .filter(|validator| validator.exit_epoch == FAR_FUTURE_EPOCH)
            .count();
        assert_eq!(active, 950);
        let mut keys: Vec<_> = one.validators.iter().map(|validator| validator.pubkey).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 2200);
        assert!(PublicKey::from_compressed(&keys[0].0).is_ok());
    }
}
