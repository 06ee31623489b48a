//! A chain in memory whose validators are all here: what the tests make blocks and votes with.

use consensus::constants::{
    BLS_WITHDRAWAL_PREFIX, DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_RANDAO, DOMAIN_SYNC_COMMITTEE,
    FAR_FUTURE_EPOCH, SYNC_COMMITTEE_SUBNET_COUNT,
};
use consensus::helpers::accessors::{
    get_beacon_committee, get_beacon_proposer_index, get_block_root_at_slot, get_committee_count_per_slot,
    get_current_epoch,
};
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::keys::Keys;
use consensus::preset::{EPOCHS_PER_HISTORICAL_VECTOR, MAX_EFFECTIVE_BALANCE, VALIDATOR_REGISTRY_LIMIT};
use consensus::signing::{Context, compute_signing_root, get_domain, signing_root_of};
use consensus::ssz::{BitList, Bound, Bytes, PersistentList, PersistentVector, Root, Ssz, U256};
use consensus::transition::block::is_merge_transition_complete;
use consensus::transition::upgrade::upgrade_where_due;
use consensus::transition::{process_slots, state_transition};
use consensus::types::{
    Attestation, AttestationData, BLSSignature, BeaconBlock, BeaconBlockBody, BeaconBlockHeader, BeaconState,
    Checkpoint, CommitteeIndex, DomainType, Epoch, Eth1Data, ExecutionPayload, ExecutionRequests, ForkInfo,
    SignedBeaconBlock, SingleAttestation, Slot, SyncCommitteeMessage, Validator, ValidatorIndex,
};
use consensus::{Config, Fork, Invalid, State};
use crypto::bls::{SecretKey, consecutive_public_keys, consecutive_secret_key};
use crypto::hash::sha256;
use node::execution::BuiltPayload;
use node::pools::{AttestationPool, Inserted, OperationPool, PoolVote, SyncCommitteePool, SyncVote};
use node::production::{AnyBlock, PayloadChoice, Picks, ProducedBlock, Proposal, payload_attributes, produce_block};
use synthetic::first_secret_key;

/// Validators of a chain, unless a test wants more.
pub(crate) const VALIDATORS: usize = 64;

/// A chain, its pools, and everybody's keys.
pub(crate) struct Chain {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    /// After the last block.
    pub(crate) state: State,
    pub(crate) attestations: AttestationPool,
    pub(crate) sync_committee: SyncCommitteePool,
    pub(crate) operations: OperationPool,
}

/// The secret key of a validator.
pub(crate) fn secret(index: ValidatorIndex) -> SecretKey {
    consecutive_secret_key(&first_secret_key(), index).unwrap()
}

/// A config whose forks up to `fork` begin at genesis, and where a validator may leave at once.
pub(crate) fn config_at(fork: Fork) -> Config {
    let mut config = Config::standard().with_forks_at_genesis(fork);
    config.shard_committee_period = 0;
    config
}

/// The state at genesis, all validators active. Their credentials are the hashes of their own keys.
pub(crate) fn genesis(config: &Config, validators: usize) -> State {
    let mut state = BeaconState::new(Fork::Phase0);
    state.genesis_time = 1_700_000_000;
    state.fork = ForkInfo {
        previous_version: config.genesis_fork_version,
        current_version: config.genesis_fork_version,
        epoch: 0,
    };
    let keys = consecutive_public_keys(&first_secret_key(), validators);
    let validator = |key: &crypto::bls::PublicKey| {
        let pubkey = key.to_compressed();
        let mut withdrawal_credentials = Bytes(sha256(&pubkey));
        withdrawal_credentials.0[0] = BLS_WITHDRAWAL_PREFIX;
        Validator {
            pubkey: Bytes(pubkey),
            withdrawal_credentials,
            effective_balance: MAX_EFFECTIVE_BALANCE,
            slashed: false,
            activation_eligibility_epoch: 0,
            activation_epoch: 0,
            exit_epoch: FAR_FUTURE_EPOCH,
            withdrawable_epoch: FAR_FUTURE_EPOCH,
        }
    };
    state.validators = PersistentList::from_vec(keys.iter().map(validator).collect());
    state.balances = PersistentList::from_vec(vec![MAX_EFFECTIVE_BALANCE; validators]);
    state.genesis_validators_root = state
        .validators
        .root(Fork::Phase0, &[Bound::Fixed(VALIDATOR_REGISTRY_LIMIT)]);
    state.eth1_data = Eth1Data {
        deposit_count: validators as u64,
        ..Eth1Data::default()
    };
    state.eth1_deposit_index = validators as u64;
    let mixes = vec![Bytes([7; 32]); EPOCHS_PER_HISTORICAL_VECTOR as usize];
    state.randao_mixes = PersistentVector::from_vec(mixes);
    state.latest_block_header = BeaconBlockHeader {
        body_root: BeaconBlockBody::new(Fork::Phase0).hash_tree_root(Fork::Phase0),
        ..BeaconBlockHeader::default()
    };
    let mut state = State::new(Fork::Phase0, state);
    upgrade_where_due(&mut state, config).unwrap();
    state.prepare();
    state
}

impl Chain {
    pub(crate) fn new(config: Config, validators: usize) -> Self {
        let state = genesis(&config, validators);
        Self::from_genesis(config, state)
    }

    /// A chain on a state whose validators have the keys of `secret`.
    pub(crate) fn from_genesis(config: Config, state: State) -> Self {
        let mut keys = Keys::of(&state).unwrap();
        keys.settle(state.validators.len());
        Chain {
            config,
            keys,
            state,
            attestations: AttestationPool::new(),
            sync_committee: SyncCommitteePool::new(),
            operations: OperationPool::new(),
        }
    }

    pub(crate) fn at(fork: Fork) -> Self {
        Self::new(config_at(fork), VALIDATORS)
    }

    /// The state moved on to `slot`, on which its block is made.
    pub(crate) fn advanced(&self, slot: Slot) -> State {
        let mut state = self.state.clone();
        process_slots(&mut state, &self.config, slot).unwrap();
        state
    }

    pub(crate) fn picks(&self, state: &State) -> Picks {
        let (config, keys) = (&self.config, &self.keys);
        Picks::from_pools(
            state,
            config,
            keys,
            &self.attestations,
            &self.sync_committee,
            &self.operations,
        )
        .unwrap()
    }

    pub(crate) fn proposal<'a>(&'a self, state: &'a State, payload: PayloadChoice) -> Proposal<'a> {
        Proposal {
            state,
            config: &self.config,
            keys: &self.keys,
            randao_reveal: randao_reveal(state),
            verify_randao: true,
            graffiti: Bytes([9; 32]),
            picks: self.picks(state),
            payload,
        }
    }

    /// The block of `slot` with all that the pools have.
    pub(crate) fn produce(&self, slot: Slot) -> ProducedBlock {
        let state = self.advanced(slot);
        let payload = if state.at >= Fork::Capella || is_merge_transition_complete(&state) {
            PayloadChoice::Built(Box::new(fake_payload(&state, &self.config)))
        } else {
            PayloadChoice::None
        };
        produce_block(self.proposal(&state, payload)).unwrap()
    }

    /// Makes the block of `slot`, signs it and imports it with every signature checked.
    pub(crate) fn extend(&mut self, slot: Slot) -> SignedBeaconBlock {
        let produced = self.produce(slot);
        assert_eq!(produced.left_out, None, "slot {slot}");
        let signed = sign_block(&produced);
        self.import(&signed)
            .unwrap_or_else(|error| panic!("slot {slot}: {error}"));
        assert_eq!(self.state.hash_tree_root(), produced.post_state.hash_tree_root());
        signed
    }

    pub(crate) fn import(&mut self, signed: &SignedBeaconBlock) -> Result<(), Invalid> {
        let mut ctx = Context::collecting(&self.config, &self.keys);
        let (post, _) = state_transition(&self.state, signed, &mut ctx, true)?;
        self.state = post;
        self.attestations.prune(self.state.slot);
        self.sync_committee.prune(self.state.slot);
        Ok(())
    }

    /// Makes everybody of whom `votes` says so vote at the last block's slot, through the pools.
    pub(crate) fn vote(&mut self, votes: impl Fn(ValidatorIndex) -> bool) {
        let state = self.state.clone();
        self.attest(&state, state.slot, &votes);
        if state.at >= Fork::Altair {
            self.sign_head(&votes);
        }
    }

    /// Single votes of a slot's committees, in the form of its fork; `state` knows the committees and the head.
    pub(crate) fn attest(&mut self, state: &State, slot: Slot, votes: &impl Fn(ValidatorIndex) -> bool) {
        for index in 0..get_committee_count_per_slot(state, compute_epoch_at_slot(slot)) {
            let members = get_beacon_committee(state, slot, index).unwrap().to_vec();
            let data = vote_data(state, slot, index);
            for (place, member) in members.iter().enumerate() {
                let attester_index = u64::from(*member);
                if !votes(attester_index) {
                    continue;
                }
                let signature = sign_vote(state, &data, attester_index);
                let vote = if state.at >= Fork::Electra {
                    let single = SingleAttestation {
                        committee_index: index,
                        attester_index,
                        data,
                        signature,
                    };
                    PoolVote::of_single(state, &single)
                } else {
                    let attestation = Attestation {
                        aggregation_bits: (0..members.len()).map(|other| other == place).collect::<BitList>(),
                        data,
                        signature,
                        ..Attestation::default()
                    };
                    PoolVote::of_attestation(state, &attestation)
                };
                assert_eq!(self.attestations.insert(&vote.unwrap()), Inserted::New);
            }
        }
    }

    /// The sync committee's messages on the last block: half of them one by one, half as contributions of another node.
    fn sign_head(&mut self, votes: &impl Fn(ValidatorIndex) -> bool) {
        let state = &self.state;
        let root = head_root(state);
        let mut elsewhere = SyncCommitteePool::new();
        for validator_index in (0..state.validators.len() as u64).filter(|index| votes(*index)) {
            let message = sync_message(state, state.slot, root, validator_index);
            let Ok(vote) = SyncVote::of_message(state, &message) else {
                continue; // not a member
            };
            let pool = if validator_index % 2 == 0 {
                &mut self.sync_committee
            } else {
                &mut elsewhere
            };
            assert_eq!(pool.insert(&vote), Inserted::New);
        }
        for subcommittee in 0..SYNC_COMMITTEE_SUBNET_COUNT {
            if let Some(contribution) = elsewhere.get_contribution(state.slot, root, subcommittee) {
                let vote = SyncVote::of_contribution(&contribution).unwrap();
                assert_eq!(self.sync_committee.insert(&vote), Inserted::New);
            }
        }
    }
}

/// The root of the last block of a state, whose header may still lack the state root.
pub(crate) fn head_root(state: &State) -> Root {
    let mut header = state.latest_block_header;
    if header.state_root == Root::ZERO {
        header.state_root = state.hash_tree_root();
    }
    header.hash_tree_root(state.at)
}

/// What an honest validator votes for at `slot` with the last block of `state` as its head.
pub(crate) fn vote_data(state: &State, slot: Slot, index: CommitteeIndex) -> AttestationData {
    let root_at = |at: Slot| {
        if at >= state.latest_block_header.slot {
            head_root(state)
        } else {
            get_block_root_at_slot(state, at).unwrap()
        }
    };
    let epoch = compute_epoch_at_slot(slot);
    AttestationData {
        slot,
        index: if state.at >= Fork::Electra { 0 } else { index },
        beacon_block_root: root_at(slot),
        source: if epoch == get_current_epoch(state) {
            state.current_justified_checkpoint
        } else {
            state.previous_justified_checkpoint
        },
        target: Checkpoint {
            epoch,
            root: root_at(compute_start_slot_at_epoch(epoch)),
        },
    }
}

fn sign_root(domain_type: DomainType, state: &State, epoch: Epoch, root: Root, signer: ValidatorIndex) -> BLSSignature {
    let signing_root = signing_root_of(root, get_domain(state, domain_type, epoch));
    Bytes(secret(signer).sign(&signing_root.0).to_bytes())
}

pub(crate) fn sign_vote(state: &State, data: &AttestationData, signer: ValidatorIndex) -> BLSSignature {
    let root = data.hash_tree_root(state.at);
    sign_root(DOMAIN_BEACON_ATTESTER, state, data.target.epoch, root, signer)
}

pub(crate) fn sync_message(
    state: &State,
    slot: Slot,
    beacon_block_root: Root,
    validator_index: ValidatorIndex,
) -> SyncCommitteeMessage {
    let epoch = compute_epoch_at_slot(slot);
    SyncCommitteeMessage {
        slot,
        beacon_block_root,
        validator_index,
        signature: sign_root(DOMAIN_SYNC_COMMITTEE, state, epoch, beacon_block_root, validator_index),
    }
}

/// The reveal of the proposer of a state's slot.
pub(crate) fn randao_reveal(state: &State) -> BLSSignature {
    let (epoch, proposer) = (get_current_epoch(state), get_beacon_proposer_index(state).unwrap());
    sign_root(DOMAIN_RANDAO, state, epoch, epoch.hash_tree_root(state.at), proposer)
}

/// The proposer's signature, of the state after the block: its fork is the block's.
pub(crate) fn proposer_signature(post: &State, proposer: ValidatorIndex, root: Root) -> BLSSignature {
    sign_root(DOMAIN_BEACON_PROPOSER, post, get_current_epoch(post), root, proposer)
}

pub(crate) fn sign_block(produced: &ProducedBlock) -> SignedBeaconBlock {
    let AnyBlock::Full(block) = &produced.block else {
        panic!("a blinded block");
    };
    SignedBeaconBlock {
        message: (**block).clone(),
        signature: proposer_signature(&produced.post_state, block.proposer_index, produced.root()),
    }
}

pub(crate) fn full(produced: &ProducedBlock) -> &BeaconBlock {
    match &produced.block {
        AnyBlock::Full(block) => block,
        AnyBlock::Blinded(_) => panic!("a blinded block"),
    }
}

/// A payload with the fields that the beacon chain looks at; its block hash is made up.
pub(crate) fn fake_payload(state: &State, config: &Config) -> BuiltPayload {
    let attributes = payload_attributes(state, config, state.slot, Bytes([5; 20])).unwrap();
    let payload = ExecutionPayload {
        parent_hash: state.latest_execution_payload_header.block_hash,
        fee_recipient: attributes.suggested_fee_recipient,
        prev_randao: attributes.prev_randao,
        timestamp: attributes.timestamp,
        block_number: state.slot,
        gas_limit: 30_000_000,
        block_hash: Bytes(sha256(&state.slot.to_le_bytes())),
        transactions: vec![vec![1, 2, 3].into()],
        withdrawals: attributes.withdrawals.unwrap_or_default(),
        ..ExecutionPayload::default()
    };
    BuiltPayload {
        payload,
        value: U256::ZERO,
        blobs: None,
        should_override_builder: false,
        execution_requests: ExecutionRequests::default(),
    }
}

/// Signs any object with a domain type at an epoch.
pub(crate) fn sign_object<T: Ssz>(
    state: &State,
    domain_type: DomainType,
    epoch: Epoch,
    object: &T,
    signer: ValidatorIndex,
) -> BLSSignature {
    let signing_root = compute_signing_root(object, state.at, get_domain(state, domain_type, epoch));
    Bytes(secret(signer).sign(&signing_root.0).to_bytes())
}
