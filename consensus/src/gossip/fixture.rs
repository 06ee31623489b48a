//! A small Gloas network for the tests of rules that no vector covers.

use super::{Gossip, GossipView, Mark, PayloadValidationStatus, Seen, Verdict};
use crate::Config;
use crate::constants::FAR_FUTURE_EPOCH;
use crate::fork::Fork;
use crate::fork_choice::fixture::{block, insert, root_of, store};
use crate::fork_choice::{ForkChoiceNode, PayloadStatus, Store, View};
use crate::keys::Keys;
use crate::preset::{MAX_EFFECTIVE_BALANCE, SLOTS_PER_EPOCH};
use crate::signing::{Context, signing_root_of};
use crate::ssz::{Bytes, Root, Ssz};
use crate::state::State;
use crate::types::{
    BLSPubkey, BLSSignature, BeaconState, Builder, Checkpoint, DomainType, Epoch, ExecutionPayloadBid,
    ExecutionRequests, Hash32, LightClientFinalityUpdate, LightClientOptimisticUpdate, Slot, Validator, ValidatorIndex,
};
use crypto::bls::SecretKey;
use std::collections::BTreeMap;

/// The slot of the clock, in the third epoch.
pub(super) const NOW: Slot = 2 * SLOTS_PER_EPOCH + 3;
/// The finalized block.
pub(super) const FINALIZED: Root = Bytes([1; 32]);
/// A valid block of the current slot.
pub(super) const HEAD: Root = Bytes([2; 32]);
/// A valid block of the slot before.
pub(super) const PARENT: Root = Bytes([3; 32]);
/// A block of the current slot that failed validation.
pub(super) const FAILED: Root = Bytes([4; 32]);
/// The last block before the epoch that decides the current proposers.
pub(super) const DEPENDENT: Root = Bytes([5; 32]);
/// A block that nobody has seen.
pub(super) const UNKNOWN: Root = Bytes([6; 32]);
/// The payload of `HEAD`.
pub(super) const HEAD_HASH: Hash32 = Bytes([7; 32]);
/// The payload of `PARENT`.
pub(super) const PARENT_HASH: Hash32 = Bytes([8; 32]);
/// Validators of the network.
pub(super) const VALIDATORS: u64 = 64;
/// The number of the first builder's key, behind those of the validators.
pub(super) const BUILDER_KEY: u64 = VALIDATORS;

/// What the network's fork choice knows.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) blocks: BTreeMap<Root, (Slot, bool)>,
    pub(super) bids: BTreeMap<Root, ExecutionPayloadBid>,
    pub(super) payloads: BTreeMap<Hash32, PayloadValidationStatus>,
    pub(super) own_payload: Option<PayloadValidationStatus>,
    pub(super) payload_verified: bool,
    pub(super) fork_choice: Store,
    pub(super) head: ForkChoiceNode,
    pub(super) state: Option<State>,
    pub(super) checkpoint_state: Option<State>,
    pub(super) finality_update: Option<LightClientFinalityUpdate>,
    pub(super) optimistic_update: Option<LightClientOptimisticUpdate>,
}

impl GossipView for Known {
    fn block_slot(&self, root: Root) -> Option<Slot> {
        self.blocks.get(&root).map(|(slot, _)| *slot)
    }

    fn is_valid_block(&self, root: Root) -> bool {
        self.blocks.get(&root).is_some_and(|(_, valid)| *valid)
    }

    fn payload_status(&self, _: Root) -> PayloadValidationStatus {
        PayloadValidationStatus::NotValidated
    }

    fn finalized_checkpoint(&self) -> Checkpoint {
        Checkpoint {
            epoch: 1,
            root: FINALIZED,
        }
    }

    fn checkpoint_block(&self, _: Root, _: Epoch) -> Option<Root> {
        Some(FINALIZED)
    }

    fn proposer_index(&self, _: Root, _: Slot) -> Option<ValidatorIndex> {
        Some(0)
    }

    fn finality_update(&self) -> Option<&LightClientFinalityUpdate> {
        self.finality_update.as_ref()
    }

    fn optimistic_update(&self) -> Option<&LightClientOptimisticUpdate> {
        self.optimistic_update.as_ref()
    }

    fn bid(&self, block_root: Root) -> Option<&ExecutionPayloadBid> {
        self.bids.get(&block_root)
    }

    fn payload_status_of(&self, block_hash: Hash32) -> Option<PayloadValidationStatus> {
        self.payloads.get(&block_hash).copied()
    }

    fn own_payload_status(&self, _: Root) -> Option<PayloadValidationStatus> {
        self.own_payload
    }

    fn is_payload_verified(&self, _: Root) -> bool {
        self.payload_verified
    }

    fn payload_gas_limit(&self, block_hash: Hash32) -> Option<u64> {
        (block_hash == HEAD_HASH).then_some(30_000_000)
    }

    fn shuffling_dependent_root(&self, root: Root, _: Epoch) -> Option<Root> {
        self.blocks.contains_key(&root).then_some(DEPENDENT)
    }

    fn fork_choice(&self) -> Option<(&View, ForkChoiceNode)> {
        Some((&self.fork_choice, self.head))
    }

    fn block_state(&self, _: Root) -> Option<&State> {
        self.state.as_ref()
    }

    fn checkpoint_state(&self, _: Checkpoint) -> Option<&State> {
        self.checkpoint_state.as_ref()
    }
}

/// A network at slot `NOW`, in which validator 0 proposes every slot and makes up every payload committee.
pub(super) struct Network {
    pub(super) config: Config,
    pub(super) keys: Keys,
    pub(super) state: State,
    pub(super) known: Known,
    pub(super) seen: Seen,
    pub(super) time_ms: u64,
}

pub(super) fn secret_key(number: u64) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&(number + 1).to_be_bytes());
    SecretKey::from_bytes(&bytes).unwrap()
}

fn pubkey(number: u64) -> BLSPubkey {
    Bytes(secret_key(number).public_key().to_compressed())
}

fn state() -> State {
    let mut state = State::new(Fork::Gloas, BeaconState::new(Fork::Gloas));
    state.slot = NOW;
    state.finalized_checkpoint.epoch = 1;
    for number in 0..VALIDATORS {
        state.validators.push(Validator {
            pubkey: pubkey(number),
            effective_balance: MAX_EFFECTIVE_BALANCE,
            exit_epoch: FAR_FUTURE_EPOCH,
            withdrawable_epoch: FAR_FUTURE_EPOCH,
            ..Validator::default()
        });
    }
    // The second has left, the third builds something else than payloads.
    for (number, (version, withdrawable_epoch)) in (0..).zip([(0, FAR_FUTURE_EPOCH), (0, 5), (1, FAR_FUTURE_EPOCH)]) {
        state.builders.push(Builder {
            pubkey: pubkey(BUILDER_KEY + number),
            version,
            balance: 10_000_000_000,
            withdrawable_epoch,
            ..Builder::default()
        });
    }
    state.prepare();
    state
}

/// The valid blocks in a chain, the head on the payload of its parent and with its own.
fn fork_choice() -> Store {
    let mut store = store(Fork::Gloas, VALIDATORS as usize, NOW);
    let chain = [
        (DEPENDENT, root_of(0), SLOTS_PER_EPOCH - 1),
        (FINALIZED, DEPENDENT, SLOTS_PER_EPOCH),
        (PARENT, FINALIZED, NOW - 1),
    ];
    for (root, parent_root, slot) in chain {
        insert(&mut store, block(Fork::Gloas, root, parent_root, slot));
    }
    let mut head = block(Fork::Gloas, HEAD, PARENT, NOW);
    (head.block_hash, head.parent_block_hash) = (HEAD_HASH, PARENT_HASH);
    insert(&mut store, head);
    store
}

impl Network {
    pub(super) fn new() -> Self {
        let config = Config::standard().with_forks_at_genesis(Fork::Gloas);
        let state = state();
        let mut checkpoint_state = state.clone();
        checkpoint_state.slot = SLOTS_PER_EPOCH;
        let bid = ExecutionPayloadBid {
            block_hash: HEAD_HASH,
            execution_requests_root: ExecutionRequests::default().hash_tree_root(Fork::Gloas),
            ..ExecutionPayloadBid::default()
        };
        let blocks = [
            (FINALIZED, (SLOTS_PER_EPOCH, true)),
            (HEAD, (NOW, true)),
            (PARENT, (NOW - 1, true)),
            (FAILED, (NOW, false)),
            (DEPENDENT, (SLOTS_PER_EPOCH - 1, true)),
        ];
        Network {
            keys: Keys::of(&state).unwrap(),
            time_ms: NOW * config.slot_duration_ms,
            known: Known {
                blocks: blocks.into(),
                bids: [(HEAD, bid.clone()), (FAILED, bid)].into(),
                payloads: [(HEAD_HASH, PayloadValidationStatus::Valid)].into(),
                own_payload: Some(PayloadValidationStatus::Valid),
                payload_verified: true,
                fork_choice: fork_choice(),
                head: ForkChoiceNode {
                    root: HEAD,
                    payload_status: PayloadStatus::Full,
                },
                state: Some(state.clone()),
                checkpoint_state: Some(checkpoint_state),
                finality_update: None,
                optimistic_update: None,
            },
            seen: Seen::new(),
            config,
            state,
        }
    }

    /// What the holder of that key signs at the network's present fork.
    pub(super) fn sign(&self, number: u64, domain_type: DomainType, object_root: Root) -> BLSSignature {
        let version = self.config.gloas_fork_version;
        let domain = crate::signing::compute_domain(domain_type, version, self.state.genesis_validators_root);
        let signing_root = signing_root_of(object_root, domain);
        Bytes(secret_key(number).sign(&signing_root.0).to_bytes())
    }

    /// The verdict of `judge`, alike with signatures checked one by one and in a batch, and its marks.
    pub(super) fn judge_only(&self, judge: impl Fn(&mut Gossip) -> Verdict) -> (Verdict, Vec<Mark>) {
        let ends = [
            Context::verifying(&self.config, &self.keys),
            Context::collecting(&self.config, &self.keys),
        ]
        .map(|context| {
            let mut gossip = Gossip::new(&self.known, &self.seen, &self.state, self.time_ms, context);
            let verdict = judge(&mut gossip);
            (gossip.finish(verdict), gossip.marks)
        });
        assert_eq!(ends[0], ends[1], "one by one and in a batch");
        let [end, _] = ends;
        end
    }

    /// The same, as the final verdict on a message that nothing follows.
    pub(super) fn judge(&self, judge: impl Fn(&mut Gossip) -> Verdict) -> Verdict {
        let (verdict, marks) = self.judge_only(judge);
        self.seen.clone().settle(verdict, marks)
    }

    /// The same, entering what was seen.
    pub(super) fn settle(&mut self, judge: impl Fn(&mut Gossip) -> Verdict) -> Verdict {
        let (verdict, marks) = self.judge_only(judge);
        self.seen.settle(verdict, marks)
    }
}
