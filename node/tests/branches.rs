//! Branches that have been apart for long enough to have other committees, as after a network was parted: votes for each
//! are judged by its own, and nobody is wronged by what only one of them knows.

use super::chain::{
    Chain, VALIDATORS, config_at, genesis, secret, sign_block, sign_object, sign_vote, sync_message, vote_data,
};
use consensus::constants::{DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_SELECTION_PROOF};
use consensus::duties::{compute_subnet_for_attestation, compute_subnets_for_sync_committee};
use consensus::gossip::Verdict;
use consensus::helpers::accessors::{get_beacon_committee, get_committee_count_per_slot};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::{get_domain, signing_root_of};
use consensus::ssz::{BitList, Bytes, Ssz};
use consensus::types::{
    AggregateAndProof, Attestation, Hash32, SignedAggregateAndProof, SignedBeaconBlock, SignedVoluntaryExit,
    SingleAttestation, Slot, SubnetID, ValidatorIndex,
};
use consensus::{Config, Fork, State};
use node::chain::{Imported, Message, NewBlock, Source};
use node::execution::dev::{DevEngine, DevOptions};
use node::execution::{Engine, ForkchoiceState};
use node::genesis::{DevnetOptions, GenesisValidator, devnet_config, genesis_state};
use node::production::{PayloadChoice, payload_attributes, produce_block};
use node::run::{Parts, Running, start};
use node::start::Anchor;
use node::stop::Stop;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storage::{Identity, Storage};

/// The epoch whose committees the first blocks decide on, and its first slot.
const EPOCH: u64 = 2;
const START: Slot = EPOCH * SLOTS_PER_EPOCH;

/// A chain that began so long ago that it is two slots after `START` now, and a node of it.
struct Scene {
    config: Config,
    genesis: State,
    running: Running,
    folder: PathBuf,
}

fn engine(config: &Config, state: &State) -> DevEngine {
    let options = DevOptions {
        blobs_per_block: 0,
        hide_blobs: false,
    };
    DevEngine::new(config, state.genesis_time, &state.genesis_validators_root, options).unwrap()
}

fn genesis_time(config: &Config) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now - (START + 2) * config.slot_duration_ms / 1000
}

/// A chain before payloads.
fn old_chain(mut config: Config) -> (Config, State) {
    // Long enough that a busy machine is still in the epoch when it has made all blocks.
    config.slot_duration_ms = 12_000;
    let mut state = genesis(&config, VALIDATORS);
    state.genesis_time = genesis_time(&config);
    (config, state)
}

/// A chain of single attestations, and with payloads.
fn new_chain() -> (Config, State) {
    let mut options = DevnetOptions {
        genesis_fork: Fork::Electra,
        schedule: Vec::new(),
        slot_duration_ms: 12_000,
        genesis_time: 0,
        blob_schedule: Vec::new(),
    };
    let config = devnet_config(Config::standard(), &options).unwrap();
    options.genesis_time = genesis_time(&config);
    let config = devnet_config(Config::standard(), &options).unwrap();
    let validator = |index| GenesisValidator {
        pubkey: Bytes(secret(index).public_key().to_compressed()),
        withdrawal_credentials: Bytes([1; 32]),
    };
    let validators: Vec<GenesisValidator> = (0..VALIDATORS as u64).map(validator).collect();
    let mut state = genesis_state(&config, options.genesis_time, &validators).unwrap();
    state.prepare();
    (config, state)
}

impl Scene {
    async fn of((config, genesis): (Config, State), name: &str) -> Scene {
        let folder = std::env::temp_dir().join(format!("wren-branches-{name}-{}", std::process::id()));
        let identity = Identity::of(genesis.genesis_validators_root);
        let parts = Parts {
            config: Arc::new(config.clone()),
            keys: Keys::of(&genesis).unwrap(),
            anchor: Anchor::genesis(genesis.clone()).unwrap(),
            storage: Storage::open(&folder, &identity, &crate::storage_options()).unwrap(),
            engine: Arc::new(Engine::Dev(Arc::new(engine(&config, &genesis)))),
            fee_recipient: Bytes([0xfe; 20]),
            safe_slots: 128,
            builder: None,
        };
        let running = start(parts, Stop::new()).await.unwrap();
        Scene {
            config,
            genesis,
            running,
            folder,
        }
    }

    /// A branch: a block in the first epoch, at this slot, which makes its committees its own, and one in the third.
    fn branch(&self, first: Slot, second: Slot) -> Branch {
        let mut chain = Chain::from_genesis(self.config.clone(), self.genesis.clone());
        let engine = engine(&self.config, &self.genesis);
        let mut parent = self.genesis.latest_execution_payload_header.block_hash;
        let mut extend = |slot| {
            let state = chain.advanced(slot);
            let payload = payload(&engine, &chain.config, &state, parent);
            let produced = produce_block(chain.proposal(&state, payload)).unwrap();
            let signed = sign_block(&produced);
            parent = signed.message.body.execution_payload.block_hash;
            if state.at >= Fork::Bellatrix {
                let (_, request) = consensus::transition::state_transition(
                    &chain.state,
                    &signed,
                    &mut consensus::signing::Context::trusting(&chain.config, &chain.keys),
                    true,
                )
                .unwrap();
                engine.new_payload(&request.unwrap()).unwrap();
            }
            chain.state = State::clone(&produced.post_state);
            signed
        };
        let blocks = vec![extend(first), extend(second)];
        Branch {
            state: chain.state,
            blocks,
        }
    }

    async fn import(&self, branch: &Branch) {
        for signed in &branch.blocks {
            let root = self.root(signed);
            let imported = self.running.chain.import_block(NewBlock {
                block: Arc::new(signed.clone()),
                columns: Vec::new(),
                blobs: Vec::new(),
                source: Source::Sync,
                received_ms: 0,
            });
            assert_eq!(imported.await.unwrap(), Imported::Done);
            // It is acknowledged when on disk, and published a moment later or before.
            self.until(|scene| scene.running.chain.snapshot().block(&root).is_some())
                .await;
        }
        // And its state is that of the current epoch.
        self.until(|scene| {
            let snapshot = scene.running.chain.snapshot();
            snapshot.ahead.root == snapshot.head.root && snapshot.ahead.epoch() >= EPOCH
        })
        .await;
    }

    async fn until(&self, holds: impl Fn(&Scene) -> bool) {
        for _ in 0..6000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come within a minute");
    }

    fn root(&self, signed: &SignedBeaconBlock) -> consensus::ssz::Root {
        let fork = self.config.fork_at_epoch(compute_epoch_at_slot(signed.message.slot));
        signed.message.hash_tree_root(fork)
    }

    fn is_head(&self, branch: &Branch) -> bool {
        self.running.chain.snapshot().head.root == self.root(&branch.blocks[1])
    }

    async fn submit(&self, messages: Vec<Message>) -> Vec<Verdict> {
        self.running.chain.submit(messages).await
    }

    async fn end(self) {
        self.running.end().await;
        std::fs::remove_dir_all(&self.folder).unwrap();
    }

    /// The votes of the first committee of the third epoch for a branch, one by one, by its own committees.
    fn votes(&self, branch: &Branch) -> Vec<Message> {
        let state = &branch.state;
        let count = get_committee_count_per_slot(state, EPOCH);
        let subnet = compute_subnet_for_attestation(&self.config, count, START, 0);
        let committee = get_beacon_committee(state, START, 0).unwrap();
        let data = vote_data(state, START, 0);
        let vote = |place: usize| {
            let attester_index = u64::from(committee[place]);
            let signature = sign_vote(state, &data, attester_index);
            if state.at >= Fork::Electra {
                let single = SingleAttestation {
                    committee_index: 0,
                    attester_index,
                    data,
                    signature,
                };
                return Message::SingleAttestation(single, subnet);
            }
            let vote = Attestation {
                aggregation_bits: (0..committee.len()).map(|other| other == place).collect::<BitList>(),
                data,
                signature,
                ..Attestation::default()
            };
            Message::Attestation(Box::new(vote), subnet)
        };
        (0..committee.len()).map(vote).collect()
    }
}

/// Blocks, and the state after them.
struct Branch {
    state: State,
    blocks: Vec<SignedBeaconBlock>,
}

impl Branch {
    fn committee(&self) -> Vec<u32> {
        get_beacon_committee(&self.state, START, 0).unwrap().into_owned()
    }

    /// One of its votes as an aggregate. Committees are so small that everybody aggregates.
    fn aggregate(&self) -> Message {
        let (state, committee) = (&self.state, self.committee());
        let aggregator_index = u64::from(committee[0]);
        let data = vote_data(state, START, 0);
        let mut aggregate = Attestation {
            aggregation_bits: (0..committee.len()).map(|place| place == 0).collect::<BitList>(),
            data,
            signature: sign_vote(state, &data, aggregator_index),
            ..Attestation::new(state.at)
        };
        if state.at >= Fork::Electra {
            aggregate.committee_bits.set(0, true);
        }
        let domain = get_domain(state, DOMAIN_SELECTION_PROOF, EPOCH);
        let slot_root = signing_root_of(START.hash_tree_root(state.at), domain);
        let message = AggregateAndProof {
            aggregator_index,
            aggregate,
            selection_proof: Bytes(secret(aggregator_index).sign(&slot_root.0).to_bytes()),
        };
        let signature = sign_object(state, DOMAIN_AGGREGATE_AND_PROOF, EPOCH, &message, aggregator_index);
        Message::Aggregate(Box::new(SignedAggregateAndProof { message, signature }))
    }
}

fn payload(engine: &DevEngine, config: &Config, state: &State, parent: Hash32) -> PayloadChoice {
    if state.at < Fork::Bellatrix {
        return PayloadChoice::None;
    }
    let attributes = payload_attributes(state, config, state.slot, Bytes([5; 20])).unwrap();
    let forkchoice = ForkchoiceState {
        head_block_hash: parent,
        ..ForkchoiceState::default()
    };
    let (_, id) = engine
        .forkchoice_updated(state.at, &forkchoice, Some(&attributes))
        .unwrap();
    PayloadChoice::Built(Box::new(engine.get_payload(state.at, id.unwrap()).unwrap()))
}

fn accepted(verdict: &Verdict) -> bool {
    *verdict == Verdict::Accept
}

fn ignored(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Ignore(_))
}

fn rejected(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Reject(_))
}

/// A vote with another signature, or by another validator.
fn spoiled(vote: &Message, state: &State, signer: ValidatorIndex) -> Message {
    let mut vote = vote.clone();
    match &mut vote {
        Message::SingleAttestation(vote, _) => {
            vote.attester_index = signer;
            vote.signature = sign_vote(state, &vote.data, signer);
        }
        Message::Attestation(vote, _) => vote.signature = sign_vote(state, &vote.data, signer),
        other => panic!("{other:?} is no vote"),
    }
    vote
}

async fn judged_by_their_branch(chain: (Config, State), name: &str) {
    let scene = Scene::of(chain, name).await;
    let [east, west] = [scene.branch(1, START), scene.branch(2, START)];
    assert_ne!(east.committee(), west.committee(), "this test is of no use otherwise");
    let outsider = |of: &Branch, other: &Branch| {
        let own = of.committee();
        let mut others = other.committee().into_iter().filter(|member| !own.contains(member));
        u64::from(others.next().expect("the committees are not the same"))
    };

    // As long as nothing of the other side is known, its votes wrong nobody, whatever the committees here are.
    scene.import(&east).await;
    let verdicts = scene.submit(scene.votes(&west)).await;
    assert!(verdicts.iter().all(ignored), "{verdicts:?}");
    let verdicts = scene.submit(vec![west.aggregate()]).await;
    assert!(verdicts.iter().all(ignored), "{verdicts:?}");

    // Those of this side are right, and wrong ones are found out.
    let mut of_east = scene.votes(&east);
    let last = of_east.pop().unwrap();
    of_east.push(spoiled(&last, &east.state, outsider(&east, &west)));
    let verdicts = scene.submit(of_east).await;
    let (wrong, rest) = verdicts.split_last().unwrap();
    assert!(rest.iter().all(accepted) && rejected(wrong), "{verdicts:?}");

    // Once both sides are known, each vote counts by its own committees, and wrong ones are found out there, too.
    scene.import(&west).await;
    let mut of_west = scene.votes(&west);
    // By the committees of the other side.
    let wrong = spoiled(&of_west[0], &west.state, outsider(&west, &east));
    let verdicts = scene.submit(vec![wrong]).await;
    assert!(verdicts.iter().all(rejected), "{verdicts:?}");
    of_west.push(west.aggregate());
    // Each validator votes once an epoch: who has voted for the other side already says nothing new.
    let verdicts = scene.submit(of_west).await;
    let (aggregate, votes) = verdicts.split_last().unwrap();
    let twice = |member: &u32| east.committee().contains(member);
    for (member, verdict) in west.committee().iter().zip(votes) {
        assert!(accepted(verdict) || twice(member) && ignored(verdict), "{verdicts:?}");
    }
    assert!(accepted(aggregate), "{verdicts:?}");
    // The vote that was wrong before, as it should be: one of the two sides is not the head's.
    let verdicts = scene.submit(vec![last]).await;
    assert!(!rejected(&verdicts[0]), "{verdicts:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_are_judged_by_the_committees_of_their_branch() {
    Box::pin(judged_by_their_branch(old_chain(config_at(Fork::Phase0)), "old")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_attestations_are_judged_by_the_committees_of_their_branch() {
    Box::pin(judged_by_their_branch(new_chain(), "new")).await;
}

/// Which state judges a vote is looked up before its signature is: whoever names one branch after the other must not keep
/// a node busy with making them.
#[tokio::test(flavor = "multi_thread")]
async fn so_many_branches_are_judged_in_a_slot() {
    const OTHERS: usize = 6;
    /// As in `chain/states`.
    const STATES_IN_A_SLOT: usize = 4;
    let scene = Scene::of(old_chain(config_at(Fork::Phase0)), "many").await;
    // A head that is two epochs old does not know who has come since.
    let stranger = || {
        let mut exit = SignedVoluntaryExit::default();
        exit.message.validator_index = VALIDATORS as u64;
        Message::VoluntaryExit(exit)
    };
    let verdicts = scene.submit(vec![stranger()]).await;
    assert!(verdicts.iter().all(ignored), "{verdicts:?}");

    // Where the epoch's first slot is empty its committees are in no state that a block left.
    let mut branches = vec![scene.branch(1, START + 1)];
    scene.import(&branches[0]).await;
    let verdicts = scene.submit(vec![stranger()]).await;
    assert!(verdicts.iter().all(rejected), "{verdicts:?}");
    for first in 2..=OTHERS as u64 + 1 {
        let branch = scene.branch(first, START + 1);
        scene.import(&branch).await;
        branches.push(branch);
    }

    // One batch, and so one slot. Who votes does not matter: nobody's signature is right.
    let nonsense = |branch: &Branch| {
        let mut vote = scene.votes(branch).remove(0);
        if let Message::Attestation(vote, _) = &mut vote {
            vote.signature = sign_vote(&branch.state, &vote.data, 63 - u64::from(branch.committee()[0]));
        }
        vote
    };
    let all: Vec<Message> = branches.iter().map(nonsense).collect();
    let unknown = |verdict: &&Verdict| verdict.why() == Some("the committees of its branch are not available");
    let verdicts = scene.submit(all.clone()).await;
    let left_out = verdicts.iter().filter(unknown).count();
    assert_eq!(left_out, OTHERS - STATES_IN_A_SLOT, "{verdicts:?}");
    let found_out = verdicts.iter().filter(|verdict| rejected(verdict)).count();
    assert_eq!(found_out, STATES_IN_A_SLOT + 1, "{verdicts:?}");

    // In another slot there are states for the rest.
    let slot = scene.running.chain.snapshot().current_slot();
    scene
        .until(|scene| scene.running.chain.snapshot().current_slot() > slot)
        .await;
    let rest = all.into_iter().zip(&verdicts).filter(|(_, verdict)| unknown(verdict));
    let verdicts = scene.submit(rest.map(|(vote, _)| vote).collect()).await;
    assert!(verdicts.iter().all(rejected), "{verdicts:?}");
    scene.end().await;
}

/// The messages that the sync committee of a branch signs now, by its members and subnets, and whether the other branch
/// has each, too.
fn sync_messages(branch: &Branch, other: &Branch, slot: Slot) -> Vec<(Message, bool)> {
    let root = super::chain::head_root(&branch.state);
    let subnets = |branch: &Branch, index| compute_subnets_for_sync_committee(&branch.state, slot, index).unwrap();
    let mut messages = Vec::new();
    for index in 0..VALIDATORS as u64 {
        let of_other = subnets(other, index);
        for subnet in subnets(branch, index) {
            let message = sync_message(&branch.state, slot, root, index);
            messages.push((Message::SyncMessage(message, subnet), of_other.contains(&subnet)));
        }
    }
    messages
}

/// The same with their verdicts, all given in the slot that the messages are of.
async fn sync_verdicts(
    scene: &Scene,
    branch: &Branch,
    other: &Branch,
    change: impl Fn(&mut SubnetID),
) -> Vec<(Verdict, bool)> {
    loop {
        let slot = scene.running.chain.clock().slot().unwrap();
        let mut messages = sync_messages(branch, other, slot);
        for (message, _) in &mut messages {
            if let Message::SyncMessage(_, subnet) = message {
                change(subnet);
            }
        }
        let (messages, shared): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let verdicts = scene.submit(messages).await;
        if scene.running.chain.clock().slot() == Some(slot) {
            return verdicts.into_iter().zip(shared).collect();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_committee_that_may_be_another_wrongs_nobody() {
    // Sync committees begin with the second epoch, and the first two are chosen by what the first one has brought.
    let mut config = config_at(Fork::Phase0);
    config.altair_fork_epoch = 1;
    let scene = Scene::of(old_chain(config), "sync").await;
    let [east, west] = [scene.branch(1, START), scene.branch(2, START)];
    let nothing = |_: &mut SubnetID| ();

    // Nothing of the other side is known.
    scene.import(&east).await;
    let verdicts = sync_verdicts(&scene, &west, &east, nothing).await;
    // With mainnet's preset everybody sits in every part of the committee, whichever it is.
    assert!(
        cfg!(not(feature = "minimal")) || verdicts.iter().any(|(_, shared)| !shared),
        "this test is of no use otherwise"
    );
    assert!(verdicts.iter().all(|(verdict, _)| ignored(verdict)), "{verdicts:?}");

    // Both sides are known, and one of them is the head's.
    scene.import(&west).await;
    let (head, other) = if scene.is_head(&east) {
        (&east, &west)
    } else {
        (&west, &east)
    };
    let verdicts = sync_verdicts(&scene, other, head, nothing).await;
    assert!(verdicts.iter().all(|(verdict, _)| ignored(verdict)), "{verdicts:?}");
    let verdicts = sync_verdicts(&scene, head, other, |subnet| *subnet += 64).await;
    assert!(verdicts.iter().all(|(verdict, _)| rejected(verdict)), "{verdicts:?}");
    let verdicts = sync_verdicts(&scene, head, other, nothing).await;
    assert!(verdicts.iter().all(|(verdict, _)| accepted(verdict)), "{verdicts:?}");
    scene.end().await;
}
