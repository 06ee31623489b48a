//! The Beacon API of a node that runs, asked over sockets: with the dev engine, all validators here, and short slots.

mod builder;
mod client;
mod clock;
mod earlier;
mod endpoints;
mod hostile;
mod memory;
mod metrics;
mod more;
mod recipient;
mod shapes;
mod specification;

use client::Answered;
pub(crate) use client::Client;
use consensus::constants::{
    DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_CONTRIBUTION_AND_PROOF,
    DOMAIN_RANDAO, DOMAIN_SELECTION_PROOF, DOMAIN_SYNC_COMMITTEE, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF,
};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::keys::Keys;
use consensus::signing::{get_domain, signing_root_of};
use consensus::ssz::{Bytes, Json, Root, Ssz};
use consensus::types::{
    AggregateAndProof, Attestation, AttestationData, BLSSignature, BlockContents, ContributionAndProof, DomainType,
    Epoch, SignedAggregateAndProof, SignedBeaconBlock, SignedBlockContents, SignedContributionAndProof,
    SingleAttestation, Slot, SyncAggregatorSelectionData, SyncCommitteeContribution, SyncCommitteeMessage,
    ValidatorIndex,
};
use consensus::{Config, Fork};
use node::builder::Builder;
use node::execution::Engine;
use node::execution::dev::{DevEngine, DevOptions};
use node::genesis::{DevnetOptions, GenesisKey, Withdrawals, devnet_config, genesis_state, interop_secret_key};
use node::network::NetworkOptions;
use node::network::node_key::NodeKey;
use node::run::{Parts, Running, start};
use node::start::Anchor;
use node::stop::Stop;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storage::{Identity, Storage};

pub(crate) const VALIDATORS: u64 = 64;

/// A genesis two slots ago, in seconds since 1970.
pub(crate) fn lately() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now - 2 * SLOT
}

/// Seconds of a slot: all duties of one fit even where the machine is busy and nothing is optimized.
const SLOT: u64 = 4;

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("wren-api-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left over where the database is still closing; the system clears it away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A node with its API.
pub(crate) struct Node {
    pub(crate) running: Running,
    pub(crate) client: Client,
    /// Where metrics are served.
    pub(crate) metrics: SocketAddr,
    fork: Fork,
    _folder: Folder,
}

/// A node whose chain is at `fork` from genesis, two slots ago.
pub(crate) async fn node(fork: Fork) -> Node {
    node_since(fork, 2).await
}

/// The same that many slots after genesis.
pub(crate) async fn node_since(fork: Fork, slots: u64) -> Node {
    node_with(fork, slots, None).await
}

/// The same with an external builder.
pub(crate) async fn node_with(fork: Fork, slots: u64, builder: Option<Builder>) -> Node {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Box::pin(node_of(fork, now - slots * SLOT, builder, None, in_process)).await
}

/// The dev engine, called directly.
async fn in_process(engine: DevEngine, _: &Path) -> Engine {
    Engine::Dev(Arc::new(engine))
}

/// A node of the chain that began at `genesis_time`, in seconds since 1970: another of the same time is of the same chain.
pub(crate) async fn node_of_genesis(fork: Fork, genesis_time: u64, network: Option<NetworkOptions>) -> Node {
    Box::pin(node_of(fork, genesis_time, None, network, in_process)).await
}

/// `reach` makes what the node asks of the dev engine; it is given the node's folder too.
async fn node_of(
    fork: Fork,
    genesis_time: u64,
    builder: Option<Builder>,
    network: Option<NetworkOptions>,
    reach: impl AsyncFnOnce(DevEngine, &Path) -> Engine,
) -> Node {
    let options = DevnetOptions {
        genesis_fork: fork,
        schedule: Vec::new(),
        slot_duration_ms: SLOT * 1000,
        genesis_time,
        blob_schedule: Vec::new(),
    };
    let config = devnet_config(Config::standard(), &options).unwrap();
    let validators: Vec<_> = (0..VALIDATORS)
        .map(|index| GenesisKey::interop(index).validator(Withdrawals::Bls))
        .collect();
    let state = genesis_state(&config, options.genesis_time, &validators).unwrap();
    let dev = DevOptions {
        blobs_per_block: 1,
        hide_blobs: false,
    };
    let engine = DevEngine::new(&config, options.genesis_time, &state.genesis_validators_root, dev).unwrap();
    let folder = Folder::new();
    let identity = Identity::of(state.genesis_validators_root);
    let storage = Storage::open(&folder.0.join("db"), &identity, &crate::storage_options()).unwrap();
    let stop = Stop::new();
    let parts = Parts {
        config: Arc::new(config),
        keys: Keys::of(&state).unwrap(),
        anchor: Anchor::genesis(state).unwrap(),
        storage,
        engine: Arc::new(reach(engine, &folder.0).await),
        fee_recipient: Bytes([0xfe; 20]),
        safe_slots: 128,
        builder: builder.map(Arc::new),
    };
    let mut running = start(parts, stop).await.unwrap();
    if let Some(network) = network {
        let key = NodeKey::load_or_create(&network.folder).unwrap();
        running.connect(&key, network).await.unwrap();
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(listener.local_addr().unwrap());
    let metrics_listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metrics = metrics_listener.local_addr().unwrap();
    running.serve(listener, Some(metrics_listener));
    Node {
        running,
        client,
        metrics,
        fork,
        _folder: folder,
    }
}

impl Node {
    pub(crate) fn now(&self) -> Slot {
        self.running.chain.clock().slot().unwrap_or(0)
    }

    /// Waits for a slot to begin.
    pub(crate) async fn until(&self, slot: Slot) {
        while self.running.chain.snapshot().current_slot() < slot {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn sign(&self, domain: DomainType, epoch: Epoch, root: Root, signer: ValidatorIndex) -> BLSSignature {
        let state = &self.running.chain.snapshot().head_state;
        let signing_root = signing_root_of(root, get_domain(state, domain, epoch));
        Bytes(interop_secret_key(signer).sign(&signing_root.0).to_bytes())
    }

    async fn data(&self, path: &str) -> Value {
        let answer = self.client.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()["data"].clone()
    }

    /// Has the proposer of `slot` make, sign and publish its block, in SSZ or JSON. Gives its root.
    pub(crate) async fn propose(&self, slot: Slot, ssz: bool) -> Root {
        let epoch = compute_epoch_at_slot(slot);
        let duties = self.data(&format!("/eth/v1/validator/duties/proposer/{epoch}")).await;
        let mut duties = duties.as_array().unwrap().iter();
        let wanted = slot.to_string();
        let duty = duties
            .find(|duty| duty["slot"].as_str() == Some(&wanted))
            .unwrap()
            .clone();
        let proposer: u64 = duty["validator_index"].as_str().unwrap().parse().unwrap();
        let reveal = self.sign(DOMAIN_RANDAO, epoch, epoch.hash_tree_root(self.fork), proposer);
        let graffiti = Root::from([0x77; 32]);
        let path = format!("/eth/v3/validator/blocks/{slot}?randao_reveal={reveal}&graffiti={graffiti}");
        let answer = if ssz {
            self.client.get_ssz(&path).await
        } else {
            self.client.get(&path).await
        };
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("eth-consensus-version"), Some(self.fork.name()));
        assert_eq!(answer.header("eth-execution-payload-blinded"), Some("false"));
        let contents = BlockContents::decode_or_json(&answer, self.fork);
        let root = contents.block.hash_tree_root(self.fork);
        let signed = SignedBlockContents {
            signed_block: SignedBeaconBlock {
                signature: self.sign(DOMAIN_BEACON_PROPOSER, epoch, root, proposer),
                message: contents.block,
            },
            kzg_proofs: contents.kzg_proofs,
            blobs: contents.blobs,
        };
        let answer = self.post("/eth/v2/beacon/blocks", &signed, ssz).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
        root
    }

    /// Posts a protocol type in the form asked for.
    pub(crate) async fn post<T: Json + Ssz>(&self, path: &str, value: &T, ssz: bool) -> Answered {
        if ssz {
            self.client.post_ssz(path, self.fork, value.encode(self.fork)).await
        } else {
            self.client.post(path, self.fork, value.to_json(self.fork)).await
        }
    }

    async fn post_list<T: Json + Ssz>(&self, path: &str, values: &[T]) -> Answered {
        let items: Vec<String> = values.iter().map(|value| value.to_json(self.fork)).collect();
        self.client
            .post(path, self.fork, format!("[{}]", items.join(",")))
            .await
    }

    /// Where everybody attests in an epoch.
    pub(crate) async fn attester_duties(&self, epoch: Epoch) -> Vec<Value> {
        let indices: Vec<String> = (0..VALIDATORS).map(|index| index.to_string()).collect();
        let path = format!("/eth/v1/validator/duties/attester/{epoch}");
        let answer = self.client.post(&path, self.fork, json!(indices).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"].as_array().unwrap().clone()
    }

    /// Has the committees of `slot` vote, and one member each aggregate.
    pub(crate) async fn attest(&self, slot: Slot) {
        let epoch = compute_epoch_at_slot(slot);
        let duties = self.attester_duties(epoch).await;
        let path = format!("/eth/v1/validator/attestation_data?slot={slot}&committee_index=0");
        let data: AttestationData = json_of(&self.data(&path).await, self.fork);
        let data_root = data.hash_tree_root(self.fork);
        let number = |duty: &Value, name: &str| duty[name].as_str().unwrap().parse::<u64>().unwrap();
        let mut votes = Vec::new();
        for duty in duties.iter().filter(|duty| number(duty, "slot") == slot) {
            let attester_index = number(duty, "validator_index");
            votes.push(SingleAttestation {
                committee_index: number(duty, "committee_index"),
                attester_index,
                data,
                signature: self.sign(DOMAIN_BEACON_ATTESTER, epoch, data_root, attester_index),
            });
        }
        let answer = self.post_list("/eth/v2/beacon/pool/attestations", &votes).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
        let first = &votes[0];
        let path = format!(
            "/eth/v2/validator/aggregate_attestation?attestation_data_root={data_root}&slot={slot}&committee_index={}",
            first.committee_index
        );
        let aggregate: Attestation = json_of(&self.data(&path).await, self.fork);
        assert!(aggregate.aggregation_bits.any());
        let selection_proof = self.sign(
            DOMAIN_SELECTION_PROOF,
            epoch,
            slot.hash_tree_root(self.fork),
            first.attester_index,
        );
        let message = AggregateAndProof {
            aggregator_index: first.attester_index,
            aggregate,
            selection_proof,
        };
        let root = message.hash_tree_root(self.fork);
        let signature = self.sign(DOMAIN_AGGREGATE_AND_PROOF, epoch, root, first.attester_index);
        let signed = SignedAggregateAndProof { message, signature };
        let answer = self
            .post_list("/eth/v2/validator/aggregate_and_proofs", &[signed])
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    }

    /// Has the members of the sync committee sign the head at `slot`: its root, their duties, and what the node answered,
    /// which is a refusal where the slot has gone by meanwhile.
    pub(crate) async fn sign_head(&self, slot: Slot) -> (Root, Vec<Value>, Answered) {
        let epoch = compute_epoch_at_slot(slot);
        let root: Root = self.data("/eth/v1/beacon/blocks/head/root").await["root"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let indices: Vec<String> = (0..VALIDATORS).map(|index| index.to_string()).collect();
        let path = format!("/eth/v1/validator/duties/sync/{epoch}");
        let answer = self.client.post(&path, self.fork, json!(indices).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let duties = answer.json()["data"].as_array().unwrap().clone();
        assert!(!duties.is_empty());
        let mut messages = Vec::new();
        for duty in &duties {
            let validator_index = duty["validator_index"].as_str().unwrap().parse().unwrap();
            messages.push(SyncCommitteeMessage {
                slot,
                beacon_block_root: root,
                validator_index,
                signature: self.sign(DOMAIN_SYNC_COMMITTEE, epoch, root, validator_index),
            });
        }
        let answer = self.post_list("/eth/v1/beacon/pool/sync_committees", &messages).await;
        (root, duties, answer)
    }

    /// Has the sync committee sign the head at `slot`, and one member of a part of it aggregate.
    pub(crate) async fn sync(&self, slot: Slot) {
        let epoch = compute_epoch_at_slot(slot);
        let (root, duties, answer) = self.sign_head(slot).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
        let path = format!(
            "/eth/v1/validator/sync_committee_contribution?slot={slot}&subcommittee_index=1&beacon_block_root={root}"
        );
        let contribution: SyncCommitteeContribution = json_of(&self.data(&path).await, self.fork);
        assert_eq!(
            contribution.aggregation_bits.count_ones(),
            contribution.aggregation_bits.len()
        );
        let selection = SyncAggregatorSelectionData {
            slot,
            subcommittee_index: 1,
        };
        let proof_of = |index: ValidatorIndex| {
            let root = selection.hash_tree_root(self.fork);
            self.sign(DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, epoch, root, index)
        };
        let is_chosen = |index: &ValidatorIndex| consensus::duties::is_sync_committee_aggregator(&proof_of(*index));
        let in_second = |duty: &&Value| {
            let mut seats = duty["validator_sync_committee_indices"].as_array().unwrap().iter();
            seats.any(|seat| {
                seat.as_str().unwrap().parse::<u64>().unwrap() / consensus::preset::SYNC_SUBCOMMITTEE_SIZE == 1
            })
        };
        let members = duties.iter().filter(in_second);
        let mut members = members.map(|duty| duty["validator_index"].as_str().unwrap().parse().unwrap());
        let Some(aggregator_index) = members.find(is_chosen) else {
            return;
        };
        let message = ContributionAndProof {
            aggregator_index,
            contribution,
            selection_proof: proof_of(aggregator_index),
        };
        let root = message.hash_tree_root(self.fork);
        let signature = self.sign(DOMAIN_CONTRIBUTION_AND_PROOF, epoch, root, aggregator_index);
        let signed = SignedContributionAndProof { message, signature };
        let answer = self
            .post_list("/eth/v1/validator/contribution_and_proofs", &[signed])
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    }
}

/// Reads JSON as a protocol type.
pub(crate) fn json_of<T: Json>(value: &Value, fork: Fork) -> T {
    T::from_json(value, fork, &[]).unwrap()
}

/// Reads an answer in the form that it says it has.
trait Either: Sized {
    fn decode_or_json(answer: &Answered, fork: Fork) -> Self;
}

impl<T: Json + Ssz> Either for T {
    fn decode_or_json(answer: &Answered, fork: Fork) -> Self {
        match answer.header("content-type") {
            Some("application/octet-stream") => T::decode(&answer.body, fork).unwrap(),
            Some("application/json") => json_of(&answer.json()["data"], fork),
            other => panic!("content type {other:?}"),
        }
    }
}
