//! Hostile peers, many at once: everything that no honest peer says, on every topic and every protocol. Each is scored
//! down and cut, an honest peer follows all the while, and the API answers.

use super::villain::Villain;
use super::{Networked, networked, status_of, wait_for};
use crate::api::lately;
use consensus::constants::{DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::ssz::Ssz;
use consensus::types::{AttestationData, Checkpoint, Root, SignedBeaconBlock, SingleAttestation, Slot};
use consensus::{Config, Fork};
use libp2p::identity::Keypair;
use node::network::counts::Judged;
use node::network::digests::Digests;
use node::network::gossip::topics::Topic;
use node::network::rpc::protocol::ProtocolId;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const FORK: Fork = Fork::Fulu;

/// What the API may take to say how the node is while it is under attack, on a machine that is busy with other tests.
const API_MS_MAX: u64 = 3000;

/// By how much resident memory may grow while twenty peers do their worst, in megabytes: the queues of all of them full,
/// and what the allocator keeps.
const MEMORY_MB_MAX: u64 = 512;

/// Raw snappy of these bytes.
fn packed(ssz: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(ssz).unwrap()
}

/// Bytes that look random, from a seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Every topic of the fork; one subnet of each kind.
fn topics() -> Vec<Topic> {
    let mut topics = Topic::global(FORK);
    topics.extend([Topic::BeaconAttestation(0), Topic::DataColumnSidecar(3)]);
    topics
}

struct Scene {
    digests: Digests,
    status: Vec<u8>,
}

impl Scene {
    fn of(node: &Networked) -> Scene {
        let chain = &node.node.running.chain;
        let snapshot = chain.snapshot();
        let digests = Digests::new(chain.config(), snapshot.head_state.genesis_validators_root);
        Scene {
            digests,
            status: status_of(node),
        }
    }

    fn text(&self, topic: Topic) -> String {
        topic.text(self.digests.at(0).digest)
    }

    /// What is wrong in itself, for one topic.
    fn wrong(&self, topic: Topic, config: &Config) -> Vec<Vec<u8>> {
        let lengths = topic.message_len(self.digests.at(0), config);
        let fit = (*lengths.start()).max(64).min(*lengths.end());
        let whole = packed(&noise(1, fit));
        vec![
            noise(topic.kind() as u64, 200),          // no snappy at all
            vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00], // four gigabytes, it says
            packed(&vec![0; *lengths.end() + 1]),     // longer than its type
            whole[..whole.len() / 2].to_vec(),        // cut off
            packed(&vec![0xff; fit]),                 // offsets that lead nowhere, or numbers that cannot be
            packed(&noise(2, fit)),
        ]
    }
}

/// Resident memory of this process, in megabytes, and its processor time in seconds.
fn usage() -> (u64, f64) {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    (pages * 4096 >> 20, ticks / 100.0)
}

/// Asks the API all the while how the node is; the longest time that it took, in milliseconds.
fn ask_api(node: &Arc<Networked>, stop: &Arc<AtomicBool>) -> Arc<AtomicU64> {
    let longest = Arc::new(AtomicU64::new(0));
    let (node, stop, seen) = (Arc::clone(node), Arc::clone(stop), Arc::clone(&longest));
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            let answer = node.node.client.get("/eth/v1/node/syncing").await;
            assert_eq!(answer.status, 200);
            seen.fetch_max(start.elapsed().as_millis() as u64, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    longest
}

/// Says all that is wrong on a topic, until it is cut; then it is not let in again.
async fn assail_topic(node: Arc<Networked>, scene: Arc<Scene>, topic: Topic) {
    let (peer, addresses) = node.by(false);
    let key = Keypair::generate_secp256k1();
    let villain = Villain::dial_as(&key, &addresses[0], peer, &scene.status).await;
    let mut villain = villain.unwrap_or_else(|| panic!("{topic:?}: not let in"));
    let text = scene.text(topic);
    let config = Arc::clone(node.node.running.chain.config());
    let wrong = scene.wrong(topic, &config);
    for bytes in wrong.iter().cycle().take(3 * wrong.len()) {
        if !villain.say(&text, bytes.clone()).await {
            break;
        }
    }
    villain.is_cut().await;
    let again = Villain::dial_as(&key, &addresses[0], peer, &scene.status).await;
    if let Some(mut again) = again {
        // It may be connected for as long as it takes to tell it to go.
        again.is_cut().await;
    }
}

/// Sends all that is wrong as a request of a protocol, until it is cut.
async fn assail_protocol(node: Arc<Networked>, scene: Arc<Scene>, id: ProtocolId) {
    let (peer, addresses) = node.by(false);
    let villain = Villain::dial(&addresses[0], peer, &scene.status).await;
    let mut villain = villain.unwrap_or_else(|| panic!("{id:?}: not let in"));
    let mut wrong = vec![vec![0xff; 12], noise(7, 300), vec![8, 1, 2, 3, 4, 5, 6, 7]];
    wrong.push([&[0xff, 0xff, 0xff, 0x7f][..], &noise(3, 64)].concat());
    for bytes in wrong.iter().cycle().take(40) {
        if villain.send(id.protocol, id.version, bytes).await.is_none() {
            break;
        }
    }
    villain.is_cut().await;
}

/// Opens streams and says nothing on them, as often as it can.
async fn stall(node: Arc<Networked>, scene: Arc<Scene>, stop: Arc<AtomicBool>) {
    let (peer, addresses) = node.by(false);
    while !stop.load(Ordering::Relaxed) {
        let Some(villain) = Villain::dial(&addresses[0], peer, &scene.status).await else {
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        };
        let mut held = Vec::new();
        for id in ProtocolId::all().cycle().take(200) {
            match villain.open(id.protocol, id.version).await {
                Some(stream) => held.push(stream),
                None if villain.is_connected() => {}
                None => break,
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// Votes for blocks that nobody knows, each another: not wrong in itself, so that nobody is cut for it.
async fn flood(node: Arc<Networked>, scene: Arc<Scene>, stop: Arc<AtomicBool>) -> u64 {
    let (peer, addresses) = node.by(false);
    let villain = Villain::dial(&addresses[0], peer, &scene.status).await.unwrap();
    let text = scene.text(Topic::BeaconAttestation(0));
    let mut said = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut root = Root::default();
        root.0[..8].copy_from_slice(&u64::to_le_bytes(said));
        let vote = vote_for(node.node.now(), root);
        if !villain.say(&text, packed(&vote.encode(FORK))).await {
            break;
        }
        said += 1;
    }
    said
}

fn vote_for(slot: Slot, root: Root) -> SingleAttestation {
    let checkpoint = |epoch| Checkpoint { epoch, root };
    let data = AttestationData {
        slot,
        index: 0,
        beacon_block_root: root,
        source: checkpoint(0),
        target: checkpoint(compute_epoch_at_slot(slot)),
    };
    SingleAttestation {
        data,
        ..SingleAttestation::new(FORK)
    }
}

/// What is well formed and signed, and not to be passed on: said before, of the far future, and one thing after another.
async fn equivocate(node: &Networked, scene: &Scene, block: &SignedBeaconBlock) {
    let (peer, addresses) = node.by(false);
    let villain = Villain::dial(&addresses[0], peer, &scene.status).await.unwrap();
    let count = |topic: Topic, judged| node.network.counts().gossip(topic.kind(), judged);
    let (blocks, votes) = (scene.text(Topic::BeaconBlock), scene.text(Topic::BeaconAttestation(0)));
    let accepted = count(Topic::BeaconBlock, Judged::Accepted);
    let ignored = count(Topic::BeaconBlock, Judged::Ignored);
    let epoch = compute_epoch_at_slot(block.message.slot);
    let sign_block = |block: &mut SignedBeaconBlock| {
        let root = block.message.hash_tree_root(FORK);
        let proposer = block.message.proposer_index;
        block.signature = node.node.sign(DOMAIN_BEACON_PROPOSER, epoch, root, proposer);
    };
    // The same again, a second one of the same slot, and one of a slot that is far off.
    villain.say(&blocks, packed(&block.encode(FORK))).await;
    let mut second = block.clone();
    second.message.body.graffiti = Root::from([1; 32]);
    sign_block(&mut second);
    villain.say(&blocks, packed(&second.encode(FORK))).await;
    let mut far = block.clone();
    far.message.slot += 1_000_000;
    sign_block(&mut far);
    villain.say(&blocks, packed(&far.encode(FORK))).await;
    wait_for("verdicts on both", || {
        (count(Topic::BeaconBlock, Judged::Ignored) >= ignored + 2).then_some(())
    })
    .await;
    assert_eq!(count(Topic::BeaconBlock, Judged::Accepted), accepted);
    // A vote of the far future, signed.
    let ignored = count(Topic::BeaconAttestation(0), Judged::Ignored);
    let mut vote = vote_for(block.message.slot + 1_000_000, block.message.parent_root);
    let root = vote.data.hash_tree_root(FORK);
    vote.signature = node.node.sign(DOMAIN_BEACON_ATTESTER, vote.data.target.epoch, root, 0);
    villain.say(&votes, packed(&vote.encode(FORK))).await;
    wait_for("the verdict on the vote", || {
        (count(Topic::BeaconAttestation(0), Judged::Ignored) > ignored).then_some(())
    })
    .await;
    assert!(villain.is_connected(), "none of it is sure to be the villain's fault");
}

/// In a process of its own, so that memory and processor time are those of this test alone.
#[test]
fn hostile_peers_are_cut_and_nobody_else_suffers() {
    const ALONE: &str = "WREN_ASSAULT_ALONE";
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(4).enable_all().build().unwrap();
        runtime.block_on(Box::pin(assault()));
        return;
    }
    let name = "network::assault::hostile_peers_are_cut_and_nobody_else_suffers";
    let own = std::env::current_exe().unwrap();
    let ran = Command::new(own)
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    println!("{told}");
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{told}\n{errors}");
    assert!(told.contains("1 passed"), "the test of this name ran: {told}");
    assert!(!errors.contains("panicked"), "{errors}");
}

async fn assault() {
    let genesis = lately();
    let node = Arc::new(networked(FORK, genesis, Vec::new()).await);
    let friend = networked(FORK, genesis, vec![node.by(false)]).await;
    node.has_peers(1).await;
    friend.has_peers(1).await;
    let slot = node.node.now() + 1;
    node.node.until(slot).await;
    let root = node.node.propose(slot, true).await;
    friend.follows(root).await;
    let (memory, cpu) = usage();
    let start = Instant::now();

    let stop = Arc::new(AtomicBool::new(false));
    let longest = ask_api(&node, &stop);
    let scene = Arc::new(Scene::of(&node));
    let stalling = tokio::spawn(stall(Arc::clone(&node), Arc::clone(&scene), Arc::clone(&stop)));
    let flooding = tokio::spawn(flood(Arc::clone(&node), Arc::clone(&scene), Arc::clone(&stop)));
    let mut villains = tokio::task::JoinSet::new();
    for topic in topics() {
        villains.spawn(assail_topic(Arc::clone(&node), Arc::clone(&scene), topic));
    }
    for id in ProtocolId::all().filter(|id| id.protocol.has_request()) {
        villains.spawn(assail_protocol(Arc::clone(&node), Arc::clone(&scene), id));
    }
    let block = node.node.running.storage.block(&root).unwrap().unwrap().1;
    equivocate(&node, &scene, &block).await;
    let mut blocks = 0;
    let mut highest = memory;
    // The chain goes on meanwhile: each slot has its block and votes, and the friend has them too.
    while !villains.is_empty() || blocks < 2 {
        let slot = node.node.now() + 1;
        node.node.until(slot).await;
        let root = node.node.propose(slot, true).await;
        node.node.attest(slot).await;
        friend.follows(root).await;
        blocks += 1;
        highest = highest.max(usage().0);
        while let Some(done) = villains.try_join_next() {
            done.expect("a villain was dealt with");
        }
        assert!(
            start.elapsed() < Duration::from_mins(4),
            "{} villains are left",
            villains.len()
        );
    }
    let cut = node.network.counts().cut.load(Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    let said = flooding.await.unwrap();
    stalling.await.unwrap();
    let (_, cpu_now) = usage();
    let longest = longest.load(Ordering::Relaxed);
    let grown = highest.saturating_sub(memory);
    println!(
        "{blocks} blocks in {:.1} s, {cut} cut, {said} votes for unknown blocks, memory grew by {grown} MB, {:.1} s of \
         processor time, the API took {longest} ms at most",
        start.elapsed().as_secs_f64(),
        cpu_now - cpu
    );
    assert!(cut as usize >= topics().len(), "{cut} were cut");
    assert!(longest <= API_MS_MAX, "the API took {longest} ms");
    assert!(grown <= MEMORY_MB_MAX, "memory grew by {grown} MB");
    let peers = node.has_peers(1).await;
    assert!(peers.iter().any(|peer| peer.id == friend.network.peer_id()));
}
