//! Finality updates for light clients, by gossip: one is passed on only if it is this node's own.

use super::villain::Villain;
use super::{quiet, wait_for};
use crate::api::{Client, Folder};
use crate::chain::{Chain, VALIDATORS, config_at, genesis};
use consensus::Fork;
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, Ssz};
use consensus::types::{BeaconBlock, LightClientFinalityUpdate, SignedBeaconBlock, Status};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use node::chain::{Imported, NewBlock, Source};
use node::execution::Engine;
use node::execution::dev::{DevEngine, DevOptions};
use node::network::counts::Judged;
use node::network::digests::Digests;
use node::network::gossip::topics::Topic;
use node::network::node_key::NodeKey;
use node::run::{Parts, Running, start};
use node::start::Anchor;
use node::stop::Stop;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use storage::{Identity, Storage};

const FORK: Fork = Fork::Altair;

/// The last block: by then the second epoch is final.
const LAST: u64 = 4 * SLOTS_PER_EPOCH + 2;

/// A node with a network whose chain has these blocks.
async fn node_of(chain: &Chain, begin: consensus::State, blocks: Vec<SignedBeaconBlock>, folder: &Folder) -> Running {
    let options = DevOptions {
        blobs_per_block: 0,
        hide_blobs: false,
    };
    let root = begin.genesis_validators_root;
    let engine = DevEngine::new(&chain.config, begin.genesis_time, &root, options).unwrap();
    let parts = Parts {
        config: Arc::new(chain.config.clone()),
        keys: Keys::of(&begin).unwrap(),
        anchor: Anchor::genesis(begin).unwrap(),
        storage: Storage::open(&folder.0.join("db"), &Identity::of(root), &crate::storage_options()).unwrap(),
        engine: Arc::new(Engine::Dev(Arc::new(engine))),
        fee_recipient: Bytes([0xfe; 20]),
        safe_slots: 128,
        builder: None,
    };
    let mut running = start(parts, Stop::new()).await.unwrap();
    for block in blocks {
        let imported = running.chain.import_block(NewBlock {
            block: Arc::new(block),
            columns: Vec::new(),
            blobs: Vec::new(),
            source: Source::Sync,
            received_ms: 0,
        });
        assert_eq!(imported.await.unwrap(), Imported::Done);
    }
    wait_for("finality", || {
        (running.chain.snapshot().finalized().epoch >= 2).then_some(())
    })
    .await;
    let options = quiet(folder);
    let key = NodeKey::load_or_create(&options.folder).unwrap();
    running.connect(&key, options).await.unwrap();
    running
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finality_update_is_passed_on_only_if_it_is_our_own() {
    let config = config_at(FORK);
    let mut begin = genesis(&config, VALIDATORS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    begin.genesis_time = now - (LAST + 1) * config.slot_duration_ms / 1000;
    // The genesis block is the default one of its fork.
    begin.latest_block_header.body_root = BeaconBlock::new(FORK).body.hash_tree_root(FORK);
    let mut chain = Chain::from_genesis(config, begin.clone());
    let mut blocks = Vec::new();
    for slot in 1..=LAST {
        blocks.push(chain.extend(slot));
        chain.vote(|_| true);
    }
    let folder = Folder::new();
    let running = Box::pin(node_of(&chain, begin, blocks, &folder)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(listener.local_addr().unwrap());
    running.serve(listener, None);
    let answer = client.get_ssz("/eth/v1/beacon/light_client/finality_update").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let own = LightClientFinalityUpdate::decode(&answer.body, FORK).unwrap();
    assert!(own.finalized_header.beacon.slot > 0);

    let network = running.network.clone().unwrap();
    let is_tcp = |address: &libp2p::Multiaddr| address.iter().any(|part| matches!(part, Protocol::Tcp(_)));
    let address = network.listening().into_iter().find(is_tcp).unwrap();
    let snapshot = running.chain.snapshot();
    let digest = Digests::new(running.chain.config(), snapshot.head_state.genesis_validators_root)
        .at(4)
        .digest;
    let status = Status {
        fork_digest: digest,
        finalized_root: snapshot.finalized().root,
        finalized_epoch: snapshot.finalized().epoch,
        head_root: snapshot.head.root,
        head_slot: snapshot.head.slot,
        earliest_available_slot: 0,
    };
    let (key, status) = (Keypair::generate_secp256k1(), status.encode(Fork::Fulu));
    let peer = Villain::dial_as(&key, &address, network.peer_id(), &status).await;
    let peer = peer.expect("it is let in");
    let topic = Topic::LightClientFinalityUpdate;
    let judged = |verdict| network.counts().gossip(topic.kind(), verdict);
    let say = async |update: &LightClientFinalityUpdate| {
        let packed = snap::raw::Encoder::new().compress_vec(&update.encode(FORK)).unwrap();
        assert!(peer.say(&topic.text(digest), packed).await);
    };

    // One signature fewer is as good for a light client, and not this node's.
    let mut other = own.clone();
    let signer = other.sync_aggregate.sync_committee_bits.ones().next().unwrap();
    other.sync_aggregate.sync_committee_bits.set(signer, false);
    say(&other).await;
    wait_for("a verdict", || (judged(Judged::Ignored) == 1).then_some(())).await;
    assert_eq!(judged(Judged::Accepted), 0);
    say(&own).await;
    wait_for("a verdict", || (judged(Judged::Accepted) == 1).then_some(())).await;
    assert_eq!((judged(Judged::Ignored), judged(Judged::Rejected)), (1, 0));
    running.end().await;
}
