//! Hostile peers, many at once: everything that no honest peer says, on every topic and every protocol. Each is scored
//! down and cut, and meanwhile a node in a process of its own does all duties; what it takes is printed.

use super::villain::Villain;
use super::{Networked, networked, quiet, status_of, wait_for, with_options};
use crate::api::{Client, Folder, lately};
use consensus::constants::{DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::ssz::Ssz;
use consensus::types::{AttestationData, Checkpoint, Root, SignedBeaconBlock, SingleAttestation, Slot};
use consensus::{Config, Fork};
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId};
use node::network::NetworkOptions;
use node::network::digests::Digests;
use node::network::gossip::topics::Topic;
use node::network::rpc::protocol::ProtocolId;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const FORK: Fork = Fork::Fulu;

/// Tells a process of this test that it is the node: the genesis time, and its friend.
const ATTACKED: &str = "WREN_TEST_ATTACKED";

/// What the API may take at most, on a machine that is busy with other tests and runs the villains, too. Measured alone it
/// is a few milliseconds.
const API_MAX: Duration = Duration::from_secs(10);

/// How much more memory the node may have afterwards: all queues full, and what the allocator keeps of it.
const MEMORY_MB_MAX: u64 = 400;

/// How many flood it.
const FLOODERS: usize = 3;

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
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// The node, in its process.
struct Attacked {
    child: Child,
    errors: Arc<Mutex<String>>,
    client: Client,
    metrics: Client,
    peer: PeerId,
    address: Multiaddr,
}

impl Attacked {
    /// A node of the friend's chain that stays connected with it.
    fn start(genesis: u64, friend: &Networked) -> Attacked {
        let (peer, addresses) = friend.by(false);
        let name = "network::assault::hostile_peers_are_cut_and_nobody_else_suffers";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(ATTACKED, format!("{genesis} {peer} {}", addresses[0]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = Arc::new(Mutex::new(String::new()));
        let (mut stderr, kept) = (child.stderr.take().unwrap(), Arc::clone(&errors));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut bytes) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.find_map(|line| line.unwrap().split_once("READY ").map(|(_, rest)| rest.to_owned()));
        let ready = ready.unwrap_or_else(|| panic!("the node did not start: {}", errors.lock().unwrap()));
        // What else it says is of no interest, but must be read.
        std::thread::spawn(move || lines.for_each(drop));
        let words: Vec<&str> = ready.split(' ').collect();
        let client = |word: &str| Client::new(word.parse::<SocketAddr>().unwrap());
        Attacked {
            child,
            errors,
            client: client(words[0]),
            metrics: client(words[1]),
            peer: words[2].parse().unwrap(),
            address: words[3].parse().unwrap(),
        }
    }

    /// Resident memory in megabytes, and processor time in seconds.
    fn usage(&self) -> (u64, f64) {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap();
        let status = of("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = line.trim().split(' ').next().unwrap().parse().unwrap();
        let stat = of("stat");
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
        (kilobytes >> 10, (ticks(11) + ticks(12)) / 100.0)
    }

    /// A figure of its metrics; labels are part of the name.
    async fn figure(&self, name: &str) -> u64 {
        let page = self.metrics.get("/metrics").await.text();
        let found = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let found = found.unwrap_or_else(|| panic!("no {name} in {page}"));
        found.parse().unwrap_or_else(|_| panic!("{name} is {found}"))
    }

    async fn judged(&self, topic: Topic, verdict: &str) -> u64 {
        let kind = Topic::KINDS[topic.kind()];
        self.figure(&format!(
            "wren_gossip_messages_total{{topic=\"{kind}\",verdict=\"{verdict}\"}}"
        ))
        .await
    }

    /// Waits until so many messages of a topic were judged so.
    async fn until_judged(&self, topic: Topic, verdict: &str, count: u64) {
        for _ in 0..600 {
            if self.judged(topic, verdict).await >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{count} of {topic:?} were not {verdict} within a minute");
    }

    async fn head(&self) -> Root {
        let answer = self.client.get("/eth/v1/beacon/blocks/head/root").await.json();
        answer["data"]["root"].as_str().unwrap().parse().unwrap()
    }

    /// A subnet of votes that it is on for good.
    async fn subnet(&self) -> u64 {
        let identity = self.client.get("/eth/v1/node/identity").await.json();
        let attnets = identity["data"]["metadata"]["attnets"].as_str().unwrap().to_owned();
        let digits = attnets.trim_start_matches("0x").as_bytes().chunks(2);
        let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        let mut bits = (0..).zip(bytes).filter(|(_, byte)| *byte != 0);
        let (place, byte) = bits.next().expect("every node is on two");
        place * 8 + u64::from(byte.trailing_zeros())
    }
}

impl Drop for Attacked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process of the node: says where it is, and lives until its input ends.
async fn be_attacked(setting: &str) {
    let words: Vec<&str> = setting.split(' ').collect();
    let folder = Folder::new();
    let options = NetworkOptions {
        static_peers: vec![(words[1].parse().unwrap(), vec![words[2].parse().unwrap()])],
        ..quiet(&folder)
    };
    let node = with_options(FORK, words[0].parse().unwrap(), options, folder).await;
    let (peer, addresses) = node.by(false);
    let (api, metrics) = (node.node.client.address, node.node.metrics);
    println!("READY {api} {metrics} {peer} {}", addresses[0]);
    std::io::stdout().flush().unwrap();
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let _ = ended.await;
}

/// What the villains know.
struct Scene {
    digests: Digests,
    status: Vec<u8>,
    config: Arc<Config>,
    peer: PeerId,
    address: Multiaddr,
    subnet: u64,
    clock: node::clock::Clock,
}

impl Scene {
    async fn of(friend: &Networked, attacked: &Attacked) -> Scene {
        let chain = &friend.node.running.chain;
        let snapshot = chain.snapshot();
        Scene {
            digests: Digests::new(chain.config(), snapshot.head_state.genesis_validators_root),
            status: status_of(friend),
            config: Arc::clone(chain.config()),
            peer: attacked.peer,
            address: attacked.address.clone(),
            subnet: attacked.subnet().await,
            clock: *chain.clock(),
        }
    }

    fn text(&self, topic: Topic) -> String {
        topic.text(self.digests.at(0).digest)
    }

    /// Every topic of the fork; one subnet of each kind.
    fn topics(&self) -> Vec<Topic> {
        let mut topics = Topic::global(FORK);
        topics.extend([
            Topic::BeaconAttestation(self.subnet),
            Topic::SyncCommittee(0),
            Topic::DataColumnSidecar(3),
        ]);
        topics
    }

    async fn dial(&self, key: &Keypair) -> Option<Villain> {
        Villain::dial_as(key, &self.address, self.peer, &self.status).await
    }

    /// The same for one that must be let in, if need be when another has gone.
    async fn enter(&self, key: &Keypair) -> Villain {
        for _ in 0..60 {
            if let Some(villain) = self.dial(key).await {
                return villain;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("nobody is let in any more");
    }

    /// What is wrong in itself, for one topic.
    fn wrong(&self, topic: Topic) -> Vec<Vec<u8>> {
        let lengths = topic.message_len(self.digests.at(0), &self.config);
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

/// Says all that is wrong on a topic, until it is cut; then it is not let in again.
async fn assail_topic(scene: Arc<Scene>, topic: Topic) {
    let key = Keypair::generate_secp256k1();
    let mut villain = scene.enter(&key).await;
    let text = scene.text(topic);
    let wrong = scene.wrong(topic);
    for bytes in wrong.iter().cycle().take(5 * wrong.len()) {
        if !villain.say(&text, bytes.clone()).await {
            break;
        }
    }
    villain.is_cut().await;
    if let Some(mut again) = scene.dial(&key).await {
        // It may be connected for as long as it takes to tell it to go.
        again.is_cut().await;
    }
}

/// Sends all that is wrong as a request of a protocol, until it is cut.
async fn assail_protocol(scene: Arc<Scene>, id: ProtocolId) {
    let mut villain = scene.enter(&Keypair::generate_secp256k1()).await;
    let mut wrong = vec![vec![0xff; 12], noise(7, 300), vec![8, 1, 2, 3, 4, 5, 6, 7]];
    wrong.push([&[0xff, 0xff, 0xff, 0x7f][..], &noise(3, 64)].concat());
    for bytes in wrong.iter().cycle().take(40) {
        if villain.send(id.protocol, id.version, bytes).await.is_none() {
            break;
        }
    }
    villain.is_cut().await;
}

/// Opens streams of every protocol and says nothing on them, until it is cut.
async fn stall(scene: Arc<Scene>) {
    let mut villain = scene.enter(&Keypair::generate_secp256k1()).await;
    let mut held = Vec::new();
    let ids: Vec<ProtocolId> = ProtocolId::all().collect();
    for id in ids.iter().cycle().take(20 * ids.len()) {
        match villain.open(id.protocol, id.version).await {
            Some(stream) => held.push(stream),
            None if villain.is_connected() => {}
            None => break,
        }
    }
    villain.is_cut().await;
}

/// Votes for blocks that nobody knows, each another: not wrong in itself, and some thousands a second, far more than a
/// network has. As many as the line takes would be a test of this machine, which runs other tests too.
async fn flood(scene: Arc<Scene>, said: Arc<AtomicU64>) {
    let text = scene.text(Topic::BeaconAttestation(scene.subnet));
    loop {
        let villain = scene.enter(&Keypair::generate_secp256k1()).await;
        loop {
            let number = said.fetch_add(1, Ordering::Relaxed);
            if number.is_multiple_of(4) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let mut root = Root::default();
            root.0[..8].copy_from_slice(&number.to_le_bytes());
            let vote = vote_for(scene.clock.slot().unwrap_or(0), root);
            if !villain.say(&text, packed(&vote.encode(FORK))).await {
                break;
            }
        }
    }
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

/// What is well formed and signed, and not to be passed on: said before, a second one of the same slot, and of the far
/// future. `block` has come to the node by gossip.
async fn equivocate(scene: &Scene, friend: &Networked, attacked: &Attacked, block: &SignedBeaconBlock) {
    let villain = scene.enter(&Keypair::generate_secp256k1()).await;
    let (votes, blocks) = (Topic::BeaconAttestation(scene.subnet), Topic::BeaconBlock);
    let accepted = attacked.judged(blocks, "accepted").await;
    let ignored = attacked.judged(blocks, "ignored").await;
    let epoch = compute_epoch_at_slot(block.message.slot);
    let sign = |block: &mut SignedBeaconBlock| {
        let root = block.message.hash_tree_root(FORK);
        block.signature = friend
            .node
            .sign(DOMAIN_BEACON_PROPOSER, epoch, root, block.message.proposer_index);
    };
    for _ in 0..20 {
        villain.say(&scene.text(blocks), packed(&block.encode(FORK))).await;
    }
    let mut second = block.clone();
    second.message.body.graffiti = Root::from([1; 32]);
    sign(&mut second);
    villain.say(&scene.text(blocks), packed(&second.encode(FORK))).await;
    let mut far = block.clone();
    far.message.slot += 1_000_000;
    sign(&mut far);
    villain.say(&scene.text(blocks), packed(&far.encode(FORK))).await;
    // The same one again is known before anybody looks at it.
    attacked.until_judged(blocks, "ignored", ignored + 2).await;
    let mut vote = vote_for(block.message.slot + 1_000_000, block.message.parent_root);
    let root = vote.data.hash_tree_root(FORK);
    vote.signature = friend
        .node
        .sign(DOMAIN_BEACON_ATTESTER, vote.data.target.epoch, root, 0);
    let before = attacked.judged(votes, "ignored").await;
    villain.say(&scene.text(votes), packed(&vote.encode(FORK))).await;
    attacked.until_judged(votes, "ignored", before + 1).await;
    assert_eq!(
        attacked.judged(blocks, "accepted").await,
        accepted,
        "nothing of it is passed on"
    );
}

/// How long each answer took.
#[derive(Default)]
struct Answers {
    took: Mutex<Vec<Duration>>,
    stop: AtomicBool,
}

impl Answers {
    /// Asks for what an attester asks for, all the while.
    fn ask(client: Client, clock: node::clock::Clock) -> (Arc<Answers>, tokio::task::JoinHandle<()>) {
        let answers = Arc::new(Answers::default());
        let kept = Arc::clone(&answers);
        let task = tokio::spawn(async move {
            while !kept.stop.load(Ordering::Relaxed) {
                let slot = clock.slot().unwrap_or(0);
                let path = format!("/eth/v1/validator/attestation_data?slot={slot}&committee_index=0");
                let start = Instant::now();
                let answer = client.get(&path).await;
                kept.took.lock().unwrap().push(start.elapsed());
                assert_eq!(answer.status, 200, "{}", answer.text());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        (answers, task)
    }

    /// How many, the median, the 99th of a hundred and the longest, in milliseconds.
    fn told(&self) -> (usize, [f64; 3]) {
        let mut took = self.took.lock().unwrap().clone();
        took.sort();
        let at = |hundredths: usize| took[(took.len() - 1) * hundredths / 100].as_secs_f64() * 1000.0;
        (took.len(), [50, 99, 100].map(at))
    }
}

/// One slot of duties by the node under attack: a block, which its friend has after a while, and votes. The time until
/// the friend had the block.
async fn duties(friend: &Networked) -> Duration {
    let slot = friend.node.now() + 1;
    friend.node.until(slot).await;
    let start = Instant::now();
    let root = friend.node.propose(slot, true).await;
    friend.follows(root).await;
    let took = start.elapsed();
    friend.node.attest(slot).await;
    took
}

#[test]
fn hostile_peers_are_cut_and_nobody_else_suffers() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    match std::env::var(ATTACKED) {
        Ok(setting) => runtime.block_on(Box::pin(be_attacked(&setting))),
        Err(_) => runtime.block_on(Box::pin(assault())),
    }
}

/// All villains until each is dealt with, and duties all the while. The longest that a block took, and how many slots.
async fn attack(scene: &Arc<Scene>, friend: &Networked, said: &Arc<AtomicU64>) -> (Duration, usize) {
    let mut flooders = tokio::task::JoinSet::new();
    for _ in 0..FLOODERS {
        flooders.spawn(flood(Arc::clone(scene), Arc::clone(said)));
    }
    let mut villains = tokio::task::JoinSet::new();
    villains.spawn(stall(Arc::clone(scene)));
    for topic in scene.topics() {
        villains.spawn(assail_topic(Arc::clone(scene), topic));
    }
    for id in ProtocolId::all().filter(|id| id.protocol.has_request()) {
        villains.spawn(assail_protocol(Arc::clone(scene), id));
    }
    let (mut longest, mut slots) = (Duration::ZERO, 0);
    let start = Instant::now();
    while !villains.is_empty() || slots < 2 {
        longest = longest.max(duties(friend).await);
        slots += 1;
        while let Some(done) = villains.try_join_next() {
            done.expect("a villain was dealt with");
        }
        let left = villains.len();
        assert!(start.elapsed() < Duration::from_mins(4), "{left} villains are left");
    }
    (longest, slots)
}

async fn assault() {
    let genesis = lately();
    let mut friend = networked(FORK, genesis, Vec::new()).await;
    let mut attacked = Attacked::start(genesis, &friend);
    friend.has_peers(1).await;
    // A block that comes by gossip.
    let slot = friend.node.now() + 1;
    friend.node.until(slot).await;
    let root = friend.node.propose(slot, true).await;
    for _ in 0..600 {
        if attacked.head().await == root {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(attacked.head().await, root);
    let block = friend.node.running.storage.block(&root).unwrap().unwrap().1;
    // From here on the duties are those of the node under attack; the friend only signs.
    friend.node.client = attacked.client;
    let member = json!([{ "validator_index": "0", "sync_committee_indices": ["0"], "until_epoch": "100" }]);
    let path = "/eth/v1/validator/sync_committee_subscriptions";
    let answer = friend.node.client.post(path, FORK, member.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    // The same node before it is attacked.
    let clock = *friend.node.running.chain.clock();
    let (memory, cpu) = attacked.usage();
    let start = Instant::now();
    let (idle, asking) = Answers::ask(attacked.client, clock);
    let block_of_idle = duties(&friend).await.max(duties(&friend).await);
    idle.stop.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    let share = |cpu: f64, start: Instant| 100.0 * cpu / start.elapsed().as_secs_f64();
    let idle_share = share(attacked.usage().1 - cpu, start);

    let scene = Arc::new(Scene::of(&friend, &attacked).await);
    equivocate(&scene, &friend, &attacked, &block).await;
    let cut = "wren_peers_cut_total";
    let (cut_before, cpu) = (attacked.figure(cut).await, attacked.usage().1);
    let (said, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let (busy, asking) = Answers::ask(attacked.client, clock);
    let (block_of_busy, slots) = Box::pin(attack(&scene, &friend, &said)).await;
    busy.stop.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    let busy_share = share(attacked.usage().1 - cpu, start);
    let cut = attacked.figure(cut).await - cut_before;
    let after = attacked.usage().0;

    let villains = scene.topics().len() + ProtocolId::all().filter(|id| id.protocol.has_request()).count() + 1;
    let ((count, idle), (_, busy)) = (idle.told(), busy.told());
    println!(
        "attestation_data: {idle:.1?} ms of {count} before, {busy:.1?} ms under attack (half, 99 of 100, all within)\n\
         a block is at the other node {block_of_idle:.0?} after it is asked for before, {block_of_busy:.0?} under attack \
         (the longest of 2 and of {slots})\n\
         memory {memory} MB before, {after} MB after; processor {idle_share:.0} % before, {busy_share:.0} % under attack\n\
         {cut} of {villains} villains cut in {:.1} s, {} votes for unknown blocks said by {FLOODERS} more",
        start.elapsed().as_secs_f64(),
        said.load(Ordering::Relaxed),
    );
    assert!(attacked.child.try_wait().unwrap().is_none(), "the node has ended");
    let errors = attacked.errors.lock().unwrap().clone();
    assert!(!errors.contains("panicked"), "{errors}");
    // All have ended, or the attack would not have. Who opens streams without end may be ended by the transport's own
    // limit, which is not counted.
    assert!(cut as usize + 1 >= villains, "{cut} of {villains} were cut");
    assert!(busy[2] <= API_MAX.as_secs_f64() * 1000.0, "the API took {busy:?} ms");
    assert!(after <= memory + MEMORY_MB_MAX, "{memory} MB before, {after} MB after");
    assert!(said.load(Ordering::Relaxed) > 100, "there was no flood");
    // The friend was a peer all the while.
    wait_for("the friend", || {
        let peers = node::api::Network::peers(&friend.network);
        let connected = peers.iter().any(|peer| peer.state == node::api::PeerState::Connected);
        connected.then_some(())
    })
    .await;
}
