//! The whole client against a scripted chain on a real socket, with slots so short that an epoch is over in seconds.

use super::*;
use crate::clock::unix_ms;
use crate::keys::{Candidate, Standing, Vouch, import};
use crate::scripted::{Asked, Reply, Scripted};
use crate::tests::Scratch;
use consensus::Fork;
use consensus::constants::{DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_SYNC_COMMITTEE};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::{compute_domain, signing_root_of};
use consensus::ssz::{BitList, Bytes, Json, Ssz};
use consensus::types::{
    Attestation, AttestationData, BLSPubkey, BLSSignature, BlockContents, DomainType, Epoch, SignedAggregateAndProof,
    SignedBlockContents, SingleAttestation, Slot, SyncCommitteeContribution, SyncCommitteeMessage,
};
use crypto::bls::{PublicKey, Signature, verify};
use crypto::derive::SecretBytes;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROOT: Root = Bytes([7; 32]);
const FORK: Fork = Fork::Fulu;

fn config(slot_duration_ms: u64) -> Config {
    let mut config = Config::standard().with_forks_at_genesis(FORK);
    config.slot_duration_ms = slot_duration_ms;
    config
}

fn make_keys(scratch: &Scratch, count: u8) -> Vec<BLSPubkey> {
    let candidate = |number: u8| Candidate {
        secret: SecretBytes::new([number; 32]),
        path: String::new(),
        description: None,
    };
    let candidates: Vec<Candidate> = (1..=count).map(candidate).collect();
    let new = Vouch::New(&|_| Standing::BeforeStart);
    let imported = import(scratch.folder(), ROOT, &candidates, &new).unwrap();
    imported.into_iter().map(|imported| imported.pubkey).collect()
}

/// A chain that has a block at every slot. Validator `i` attests at slot `i` of each epoch, proposes there, and number 0
/// sits in the sync committee.
#[derive(Clone)]
struct Chain {
    genesis_time: u64,
    slot_ms: u64,
    keys: Vec<BLSPubkey>,
    /// Whether other clients' messages of our validators are seen.
    doubled: Arc<AtomicBool>,
    /// Whether the node is optimistic.
    optimistic: Arc<AtomicBool>,
}

impl Chain {
    fn slot(&self) -> Slot {
        unix_ms().saturating_sub(self.genesis_time * 1000) / self.slot_ms
    }

    fn data(slot: Slot) -> AttestationData {
        let mut data = AttestationData {
            slot,
            beacon_block_root: Chain::root(slot),
            ..AttestationData::default()
        };
        data.target.epoch = slot / SLOTS_PER_EPOCH;
        data.source.epoch = data.target.epoch.saturating_sub(1);
        data
    }

    fn root(slot: Slot) -> Root {
        let mut root = Bytes([0xaa; 32]);
        root.0[..8].copy_from_slice(&slot.to_le_bytes());
        root
    }

    fn answer(&self, asked: &Asked) -> Reply {
        let path = asked.path.split('?').next().unwrap();
        let last = path.rsplit('/').next().unwrap();
        let number = |name| asked.query(name).unwrap().parse::<u64>().unwrap();
        let duties = |duties: Vec<Value>| {
            let root = Bytes::<32>([1; 32]).to_string();
            let answer = json!({"dependent_root": root, "execution_optimistic": false, "data": duties});
            Reply::json(answer.to_string())
        };
        match path {
            "/eth/v1/beacon/genesis" => Reply::data(json!({
                "genesis_time": self.genesis_time.to_string(), "genesis_validators_root": ROOT.to_string(),
                "genesis_fork_version": config(1).genesis_fork_version.to_string(),
            })),
            "/eth/v1/config/spec" => Reply::data(config(self.slot_ms).spec_json()),
            "/eth/v1/node/version" => Reply::data(json!({"version": "Scripted/1"})),
            "/eth/v1/node/syncing" => Reply::data(json!({
                "head_slot": self.slot().to_string(), "sync_distance": "0", "is_syncing": false,
                "is_optimistic": self.optimistic.load(Ordering::SeqCst), "el_offline": false,
            })),
            "/eth/v1/events" => self.events(),
            "/eth/v1/beacon/states/head/validators" => Reply::data(Value::from(self.validators())),
            _ if path.starts_with("/eth/v1/validator/duties/attester/") => {
                duties(self.attesters(last.parse().unwrap()))
            }
            _ if path.starts_with("/eth/v2/validator/duties/proposer/") => {
                duties(self.proposers(last.parse().unwrap()))
            }
            _ if path.starts_with("/eth/v1/validator/duties/sync/") => duties(vec![json!({
                "pubkey": self.keys[0].to_string(), "validator_index": "0",
                "validator_sync_committee_indices": ["3"],
            })]),
            _ if path.starts_with("/eth/v1/validator/liveness/") => {
                let live = self.doubled.load(Ordering::SeqCst);
                let one = |index: &Value| json!({"index": index, "is_live": live});
                Reply::data(Value::from(
                    asked.json().as_array().unwrap().iter().map(one).collect::<Vec<_>>(),
                ))
            }
            "/eth/v1/validator/attestation_data" => Reply::data(Chain::data(number("slot")).to_json(FORK)),
            "/eth/v2/validator/aggregate_attestation" => aggregate(asked, number("slot")),
            "/eth/v1/validator/sync_committee_contribution" => contribution(asked, number("slot")),
            "/eth/v1/beacon/blocks/head/root" => Reply::data(json!({"root": Chain::root(self.slot()).to_string()})),
            _ if path.starts_with("/eth/v3/validator/blocks/") => Chain::block(last.parse().unwrap()),
            _ if asked.method == "POST" => Reply::json(""),
            _ => Reply::status(404, "no such route"),
        }
    }

    /// A head event at a fifth of each slot.
    fn events(&self) -> Reply {
        let chain = self.clone();
        let feed = move || {
            let slot = chain.slot() + 1;
            let at = chain.genesis_time * 1000 + slot * chain.slot_ms + chain.slot_ms / 5;
            std::thread::sleep(Duration::from_millis(at.saturating_sub(unix_ms())));
            let root = Bytes::<32>([1; 32]).to_string();
            let data = json!({
                "slot": slot.to_string(), "block": Chain::root(slot).to_string(), "state": root,
                "epoch_transition": false, "previous_duty_dependent_root": root,
                "current_duty_dependent_root": root, "execution_optimistic": false,
            });
            format!("event: head\ndata: {data}\n\n").into_bytes()
        };
        let mut reply = Reply::json("").header("content-type", "text/event-stream");
        reply.feed = Some(Arc::new(feed));
        reply
    }

    fn validators(&self) -> Vec<Value> {
        let far = u64::MAX.to_string();
        let one = |(index, key): (usize, &BLSPubkey)| {
            json!({
                "index": index.to_string(), "balance": "32000000000", "status": "active_ongoing",
                "validator": {
                    "pubkey": key.to_string(), "withdrawal_credentials": ROOT.to_string(),
                    "effective_balance": "32000000000", "slashed": false, "activation_eligibility_epoch": "0",
                    "activation_epoch": "0", "exit_epoch": far, "withdrawable_epoch": far,
                }
            })
        };
        self.keys.iter().enumerate().map(one).collect()
    }

    fn attesters(&self, epoch: Epoch) -> Vec<Value> {
        let one = |(index, key): (usize, &BLSPubkey)| {
            json!({
                "pubkey": key.to_string(), "validator_index": index.to_string(), "committee_index": "0",
                "committee_length": "4", "committees_at_slot": "1", "validator_committee_index": "1",
                "slot": (epoch * SLOTS_PER_EPOCH + index as u64).to_string(),
            })
        };
        self.keys.iter().enumerate().map(one).collect()
    }

    fn proposers(&self, epoch: Epoch) -> Vec<Value> {
        let one = |(index, key): (usize, &BLSPubkey)| {
            let slot = (epoch * SLOTS_PER_EPOCH + index as u64).to_string();
            json!({"pubkey": key.to_string(), "validator_index": index.to_string(), "slot": slot})
        };
        self.keys.iter().enumerate().map(one).collect()
    }

    fn block(slot: Slot) -> Reply {
        let mut contents = BlockContents::new(FORK);
        contents.block.slot = slot;
        contents.block.proposer_index = slot % SLOTS_PER_EPOCH;
        let mut reply = Reply::json("")
            .header("content-type", "application/octet-stream")
            .header("Eth-Consensus-Version", "fulu")
            .header("Eth-Execution-Payload-Blinded", "false");
        reply.body = contents.encode(FORK);
        reply
    }
}

fn aggregate(asked: &Asked, slot: Slot) -> Reply {
    let data = Chain::data(slot);
    if asked.query("attestation_data_root") != Some(&data.hash_tree_root(FORK).to_string()) {
        return Reply::status(404, "no such attestation data");
    }
    let mut aggregate = Attestation::new(FORK);
    aggregate.data = data;
    aggregate.aggregation_bits = BitList::new(4);
    aggregate.aggregation_bits.set(1, true);
    aggregate.committee_bits.set(0, true);
    Reply::json(format!("{{\"version\":\"fulu\",\"data\":{}}}", aggregate.to_json(FORK)))
}

fn contribution(asked: &Asked, slot: Slot) -> Reply {
    let mut contribution = SyncCommitteeContribution::new(FORK);
    contribution.slot = slot;
    contribution.beacon_block_root = asked.query("beacon_block_root").unwrap().parse().unwrap();
    contribution.subcommittee_index = asked.query("subcommittee_index").unwrap().parse().unwrap();
    contribution.aggregation_bits.set(3, true);
    Reply::data(contribution.to_json(FORK))
}

/// A client on its way, with the node that it talks to.
struct World {
    scratch: Scratch,
    chain: Chain,
    node: Scripted,
}

impl World {
    /// A chain of which `epochs` have passed already, and `ahead_ms` before its next slot.
    fn new(name: &str, keys: u8, slot_ms: u64, genesis_time: u64) -> Self {
        let scratch = Scratch::new(name);
        let chain = Chain {
            genesis_time,
            slot_ms,
            keys: make_keys(&scratch, keys),
            doubled: Arc::default(),
            optimistic: Arc::default(),
        };
        let answering = chain.clone();
        let node = Scripted::start(move |asked| answering.answer(asked));
        World { scratch, chain, node }
    }

    fn options(&self) -> Options {
        self.options_in(self.scratch.folder())
    }

    fn options_in(&self, folder: &Path) -> Options {
        Options {
            config: config(self.chain.slot_ms),
            genesis: KnownGenesis::default(),
            folder: folder.to_path_buf(),
            nodes: vec![self.node.url().parse().unwrap()],
            reach: Reach::default(),
            broadcast: false,
            suggested_fee_recipient: Some(Bytes([5; 20])),
            doppelganger_protection: true,
            metrics: None,
            keymanager: KeymanagerPort::Off,
            remote_signers: Reach::default(),
        }
    }

    /// Runs a client until it ends by itself, or is told to stop when `until` is over.
    async fn run(&self, until: impl Future<Output = ()>) -> Result<Ended> {
        self.run_in(self.scratch.folder(), until).await
    }

    async fn run_in(&self, folder: &Path, until: impl Future<Output = ()>) -> Result<Ended> {
        let options = self.options_in(folder);
        let signer = open_signer(&options)?;
        let (sender, mut receiver) = mpsc::channel(1);
        let signal = async || receiver.recv().await.expect("the sender lives as long as the client");
        let client = live(options, signer, signal);
        let stopping = async {
            until.await;
            sender.send("a test").await.unwrap();
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = client => ended,
            ended = stopping => ended,
        };
        // The client's tasks let go of the database when the runtime comes to them.
        tokio::time::sleep(Duration::from_millis(100)).await;
        ended
    }

    /// The targets of all attestations that were published.
    fn targets(&self) -> Vec<Epoch> {
        let attestations: Vec<SingleAttestation> = self.posted("/eth/v2/beacon/pool/attestations");
        attestations
            .iter()
            .map(|attestation| attestation.data.target.epoch)
            .collect()
    }

    /// Waits until an attestation with a target from `epoch` on was published.
    async fn attested(&self, epoch: Epoch) {
        while self.targets().iter().all(|target| *target < epoch) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn epoch(&self) -> Epoch {
        self.chain.slot() / SLOTS_PER_EPOCH
    }

    /// What was posted to a path, item by item.
    fn posted<T: Json>(&self, path: &str) -> Vec<T> {
        let bodies = self.node.asked(path).into_iter().filter(|asked| asked.method == "POST");
        let items = bodies.flat_map(|asked| asked.json().as_array().unwrap().clone());
        items.map(|item| T::from_json(&item, FORK, &[]).unwrap()).collect()
    }

    fn is_signed(&self, index: u64, object_root: Root, domain: DomainType, signature: &BLSSignature) -> bool {
        let version = config(1).fork_version(FORK);
        let root = signing_root_of(object_root, compute_domain(domain, version, ROOT));
        let key = PublicKey::from_compressed(&self.chain.keys[index as usize].0).unwrap();
        verify(&key, &root.0, &Signature::from_bytes(&signature.0).unwrap())
    }
}

#[tokio::test]
async fn every_duty_is_done_from_genesis_on() {
    let slot_ms = 1500;
    let world = World::new("every-duty", 4, slot_ms, unix_ms() / 1000 + 2);
    let end = world.chain.genesis_time * 1000 + 5 * slot_ms + slot_ms / 10;
    let ended = world.run(async {
        tokio::time::sleep(Duration::from_millis(end - unix_ms())).await;
    });
    assert_eq!(ended.await.unwrap(), Ended::Stopped);

    let attestations: Vec<SingleAttestation> = world.posted("/eth/v2/beacon/pool/attestations");
    let seen: Vec<(u64, Slot)> = attestations.iter().map(|a| (a.attester_index, a.data.slot)).collect();
    assert_eq!(seen, [(0, 0), (1, 1), (2, 2), (3, 3)]);
    for attestation in &attestations {
        let root = attestation.data.hash_tree_root(FORK);
        assert_eq!(attestation.data, Chain::data(attestation.data.slot));
        assert!(world.is_signed(
            attestation.attester_index,
            root,
            DOMAIN_BEACON_ATTESTER,
            &attestation.signature
        ));
    }
    let aggregates: Vec<SignedAggregateAndProof> = world.posted("/eth/v2/validator/aggregate_and_proofs");
    let seen: Vec<u64> = aggregates.iter().map(|a| a.message.aggregator_index).collect();
    assert_eq!(seen, [0, 1, 2, 3], "in a committee of four everybody aggregates");

    let messages: Vec<SyncCommitteeMessage> = world.posted("/eth/v1/beacon/pool/sync_committees");
    let slots: Vec<Slot> = messages.iter().map(|message| message.slot).collect();
    assert!(slots.len() >= 5 && slots[..5] == [0, 1, 2, 3, 4], "{slots:?}");
    for message in &messages {
        assert_eq!(message.beacon_block_root, Chain::root(message.slot));
        let root = message.beacon_block_root;
        assert!(world.is_signed(0, root, DOMAIN_SYNC_COMMITTEE, &message.signature));
    }

    let blocks = world.node.asked("/eth/v2/beacon/blocks");
    assert_eq!(blocks.len(), 3, "the first slot has the genesis block");
    for (slot, asked) in (1..).zip(&blocks) {
        let block = SignedBlockContents::decode(&asked.body, FORK).unwrap().signed_block;
        assert_eq!(block.message.slot, slot);
        let root = block.message.hash_tree_root(FORK);
        assert!(world.is_signed(slot, root, DOMAIN_BEACON_PROPOSER, &block.signature));
    }
    let prepared = world.node.asked("/eth/v1/validator/prepare_beacon_proposer");
    let all = prepared
        .iter()
        .map(Asked::json)
        .find(|told| told.as_array().unwrap().len() == 4);
    assert_eq!(
        all.expect("all are told together")[0]["fee_recipient"],
        "0x0505050505050505050505050505050505050505"
    );
    // A node that was started again has forgotten them: before each block they are told once more, by the slot and at once.
    for slot in 1..=3_u64 {
        let index = slot.to_string();
        let alone = |asked: &&Asked| {
            let told = asked.json();
            told.as_array().unwrap().len() == 1 && told[0]["validator_index"] == index.as_str()
        };
        assert!(prepared.iter().filter(alone).count() >= 2, "slot {slot}: {prepared:?}");
    }
    assert!(
        !world
            .node
            .asked("/eth/v1/validator/beacon_committee_subscriptions")
            .is_empty()
    );
    assert!(
        !world
            .node
            .asked("/eth/v1/validator/sync_committee_subscriptions")
            .is_empty()
    );
}

#[tokio::test]
async fn nothing_is_signed_on_an_optimistic_node() {
    let slot_ms = 600;
    let world = World::new("optimistic", 3, slot_ms, unix_ms() / 1000 + 1);
    world.chain.optimistic.store(true, Ordering::SeqCst);
    let end = world.chain.genesis_time * 1000 + 4 * slot_ms;
    let ended = world.run(async {
        tokio::time::sleep(Duration::from_millis(end - unix_ms())).await;
    });
    assert_eq!(ended.await.unwrap(), Ended::Stopped);
    for path in [
        "/eth/v2/beacon/",
        "/eth/v1/beacon/pool",
        "/eth/v1/validator/attestation_data",
        "/eth/v3/",
    ] {
        assert!(world.node.asked(path).is_empty(), "{path}");
    }
}

/// Slots of a tenth of a second: an epoch of mainnet's preset takes three.
#[tokio::test]
async fn a_double_stops_the_client_and_its_key_and_silence_lets_it_sign() {
    let slot_ms = 100;
    let past_epochs = 10;
    let passed = past_epochs * SLOTS_PER_EPOCH * slot_ms / 1000;
    let world = World::new("double", 2, slot_ms, unix_ms() / 1000 - passed);
    world.chain.doubled.store(true, Ordering::SeqCst);
    let forever = || std::future::pending::<()>();
    let Ended::Doubles(doubles) = world.run(forever()).await.unwrap() else {
        panic!("the double was not seen");
    };
    let seen: BTreeSet<BLSPubkey> = doubles.0.iter().map(|(key, ..)| *key).collect();
    assert_eq!(seen, world.chain.keys.iter().copied().collect());
    assert!(world.node.asked("/eth/v2/beacon/pool/attestations").is_empty());
    // Across restarts.
    let signer = open_signer(&world.options()).unwrap();
    assert_eq!((signer.public_keys().len(), signer.disabled_keys().len()), (0, 2));
    drop(signer);

    let quiet = World::new("silence", 1, slot_ms, unix_ms() / 1000 - passed);
    let first = quiet.epoch() + 3;
    assert_eq!(quiet.run(quiet.attested(first)).await.unwrap(), Ended::Stopped);
    assert!(quiet.targets()[0] >= first, "{:?} {first}", quiet.targets());
}

/// A machine without an id cannot tell a copy from the original: there every start waits.
fn has_machine_id() -> bool {
    std::fs::read_to_string("/etc/machine-id").is_ok_and(|id| !id.trim().is_empty())
}

#[tokio::test]
async fn a_restart_signs_at_once_and_a_copy_waits_and_stops() {
    // An epoch of three seconds: a stop, a copy and a start have to fit into two of them on a busy machine.
    let slot_ms = 3200 / SLOTS_PER_EPOCH;
    // It begins in the genesis epoch, where nobody waits, and goes on into the next ones.
    let world = World::new("restart", 2, slot_ms, unix_ms() / 1000);
    world.run(world.attested(2)).await.unwrap();
    let copy = Scratch::new("copy");
    copy_folder(world.scratch.folder(), copy.folder());

    let restarted = world.epoch();
    assert!((2..=3).contains(&restarted));
    let next = world.targets().iter().max().unwrap() + 1;
    world.run(world.attested(next)).await.unwrap();
    let waited = *world.targets().iter().max().unwrap() > restarted + 1;
    assert_eq!(waited, !has_machine_id(), "{:?} {restarted}", world.targets());

    let started = world.epoch();
    let before = world.targets().len();
    world.chain.doubled.store(true, Ordering::SeqCst);
    let ended = world.run_in(copy.folder(), std::future::pending()).await.unwrap();
    assert!(matches!(ended, Ended::Doubles(_)));
    assert!(world.epoch() > started);
    assert_eq!(world.targets().len(), before);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
