//! A node with an external builder, which here is a server that says what a test wants: sound bids, lies, silence.

use super::{Node, VALIDATORS, node_with};
use consensus::Fork;
use consensus::constants::{DOMAIN_BEACON_PROPOSER, DOMAIN_RANDAO};
use consensus::helpers::accessors::get_beacon_proposer_index;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::signing::{compute_domain, compute_signing_root};
use consensus::ssz::{Bytes, Json, Root, Ssz, U256};
use consensus::transition::block::header_of;
use consensus::types::{
    BlindedBeaconBlock, BuilderBid, ExecutionAddress, ExecutionPayloadAndBlobsBundle, SignedBeaconBlock,
    SignedBlindedBeaconBlock, SignedBlockContents, SignedBuilderBid, SignedValidatorRegistrationV1, Slot,
    ValidatorRegistrationV1,
};
use node::builder::{Builder, DOMAIN_APPLICATION_BUILDER};
use node::execution::BuiltPayload;
use node::genesis::{GenesisKey, Withdrawals, interop_secret_key};
use node::production::{payload_attributes, unblinded_block};
use node::work::Lane;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const FEES: ExecutionAddress = Bytes([0xaa; 20]);
const GAS_LIMIT: u64 = 36_000_000;

/// The slot of the blocks, whatever the clock says by now: on a busy machine many slots pass, and those without a block
/// would break the circuit.
const FIRST: Slot = 1;

/// What the builder answers to a kind of request.
#[derive(Clone, Default)]
enum Says {
    /// Nothing at all.
    #[default]
    Silence,
    Json(u16, String),
    Ssz(Vec<u8>),
}

/// The builder's side.
#[derive(Default)]
struct Desk {
    bid: Says,
    reveal: Says,
    /// `METHOD /path` and body of what came.
    came: Vec<(String, Vec<u8>)>,
}

/// A builder on a port of its own.
struct Mock {
    url: String,
    desk: Arc<Mutex<Desk>>,
}

impl Mock {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let desk = Arc::new(Mutex::new(Desk::default()));
        let of_server = Arc::clone(&desk);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&of_server)));
            }
        });
        Mock { url, desk }
    }

    fn builder(&self) -> Builder {
        Builder::new(&self.url).unwrap()
    }

    fn offer(&self, bid: Says) {
        self.desk.lock().unwrap().bid = bid;
    }

    /// What came with a path that has `part` in it, and forgets all that came.
    fn came(&self, part: &str) -> Vec<(String, Vec<u8>)> {
        let mut came = std::mem::take(&mut self.desk.lock().unwrap().came);
        came.retain(|(name, _)| name.contains(part));
        came
    }
}

/// One request of one connection.
async fn answer(mut stream: TcpStream, desk: Arc<Mutex<Desk>>) {
    let mut bytes = Vec::new();
    let split = loop {
        if let Some(split) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break split;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while bytes.len() < split + 4 + length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let name = head.split(" http/").next().unwrap().to_owned();
    let says = {
        let mut desk = desk.lock().unwrap();
        desk.came.push((name.clone(), bytes[split + 4..].to_vec()));
        match name.as_str() {
            name if name.contains("/validators") => Says::Json(200, String::new()),
            name if name.contains("/header/") => desk.bid.clone(),
            _ => desk.reveal.clone(),
        }
    };
    let (status, kind, body) = match says {
        Says::Silence => {
            tokio::time::sleep(std::time::Duration::from_secs(30)).await;
            return;
        }
        Says::Json(status, body) => (status, "application/json", body.into_bytes()),
        Says::Ssz(body) => (200, "application/octet-stream", body),
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // The node may have had enough of waiting.
    let _ = stream.write_all(&[head.into_bytes(), body].concat()).await;
}

/// A signed bid with the key of the builder, which is nobody's on the chain.
fn signed(node: &Node, message: BuilderBid) -> SignedBuilderBid {
    let version = node.running.chain.config().genesis_fork_version;
    let domain = compute_domain(DOMAIN_APPLICATION_BUILDER, version, Root::ZERO);
    let root = compute_signing_root(&message, node.fork, domain);
    let signature = Bytes(interop_secret_key(1000).sign(&root.0).to_bytes());
    SignedBuilderBid { message, signature }
}

fn as_json(node: &Node, bid: &SignedBuilderBid) -> Says {
    let data = bid.to_json(node.fork);
    Says::Json(200, format!("{{\"version\":\"{}\",\"data\":{data}}}", node.fork))
}

impl Node {
    /// What the engine would build for `slot`, with fees to [`FEES`].
    async fn built(&self, slot: Slot) -> BuiltPayload {
        let chain = &self.running.chain;
        let snapshot = chain.snapshot();
        let state = chain
            .state_at(snapshot.head.root, slot, Lane::Produce)
            .await
            .unwrap()
            .unwrap();
        let attributes = payload_attributes(&state, chain.config(), slot, FEES).unwrap();
        let engine = &self.running.engine;
        let mut forkchoice = snapshot.forkchoice_state();
        forkchoice.head_block_hash = state.latest_execution_payload_header.block_hash;
        let started = engine.forkchoice_updated(self.fork, forkchoice, Some(attributes)).await;
        let id = started.unwrap().1.unwrap();
        engine.get_payload(self.fork, id).await.unwrap()
    }

    /// A sound bid that promises `value` Wei.
    fn bid(&self, built: &BuiltPayload, value: u64) -> BuilderBid {
        let bundle = built.blobs.clone().unwrap_or_default();
        BuilderBid {
            header: header_of(self.fork, &built.payload),
            blob_kzg_commitments: bundle.commitments,
            execution_requests: built.execution_requests.clone(),
            value: U256::from(value),
            pubkey: Bytes(interop_secret_key(1000).public_key().to_compressed()),
        }
    }

    /// Registers all validators, and one whom the chain does not know.
    async fn register(&self) {
        let message = |pubkey| ValidatorRegistrationV1 {
            fee_recipient: FEES,
            gas_limit: GAS_LIMIT,
            timestamp: 1,
            pubkey,
        };
        let known = (0..VALIDATORS).map(|index| GenesisKey::interop(index).validator(Withdrawals::Bls).pubkey);
        let all = known.chain([Bytes(interop_secret_key(999).public_key().to_compressed())]);
        let all: Vec<_> = all
            .map(|pubkey| SignedValidatorRegistrationV1 {
                message: message(pubkey),
                ..SignedValidatorRegistrationV1::default()
            })
            .collect();
        let answer = self.post_list("/eth/v1/validator/register_validator", &all).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    }

    /// A block for `slot` with this factor for builders; `None` for a full one, else the blinded one and the proposer.
    async fn produced(&self, slot: Slot, factor: u64) -> Option<(BlindedBeaconBlock, u64)> {
        let chain = &self.running.chain;
        let state = chain
            .state_at(chain.snapshot().head.root, slot, Lane::Produce)
            .await
            .unwrap()
            .unwrap();
        let proposer = get_beacon_proposer_index(&state).unwrap();
        let epoch = compute_epoch_at_slot(slot);
        let reveal = self.sign(DOMAIN_RANDAO, epoch, epoch.hash_tree_root(self.fork), proposer);
        let path = format!("/eth/v3/validator/blocks/{slot}?randao_reveal={reveal}&builder_boost_factor={factor}");
        let answer = self.client.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        let blinded = json["execution_payload_blinded"].as_bool().unwrap();
        assert_eq!(
            answer.header("eth-execution-payload-blinded"),
            Some(blinded.to_string().as_str())
        );
        assert_eq!(
            answer.header("eth-execution-payload-value"),
            json["execution_payload_value"].as_str()
        );
        blinded.then(|| (super::json_of(&json["data"], self.fork), proposer))
    }

    fn sign_blinded(&self, message: BlindedBeaconBlock, proposer: u64) -> (Root, SignedBlindedBeaconBlock) {
        let root = message.hash_tree_root(self.fork);
        let epoch = compute_epoch_at_slot(message.slot);
        let signature = self.sign(DOMAIN_BEACON_PROPOSER, epoch, root, proposer);
        (root, SignedBlindedBeaconBlock { message, signature })
    }
}

fn builder_of(node: &Node) -> &Builder {
    node.running.producer.builder().unwrap()
}

fn counted(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_bid_is_taken_and_a_lie_costs_nothing() {
    let mock = Mock::new().await;
    let node = node_with(Fork::Electra, FIRST, Some(mock.builder())).await;
    let slot = FIRST;
    // Nobody has registered, so nobody is asked.
    assert!(node.produced(slot, 100).await.is_none() && mock.came("/header/").is_empty());
    node.register().await;
    let came = mock.came("post /eth/v1/builder/validators");
    let handed_on: serde_json::Value = serde_json::from_slice(&came[0].1).unwrap();
    assert_eq!(handed_on.as_array().unwrap().len() as u64, VALIDATORS);

    let built = node.built(slot).await;
    let own: u64 = built.value.try_into().unwrap();
    let rich = own * 2 + 1000;
    let sound = node.bid(&built, rich);
    let taken = |factor| node.produced(slot, factor);
    // Less than the own payload, or wanted less; as much as is wanted.
    mock.offer(as_json(&node, &signed(&node, node.bid(&built, own / 2))));
    assert!(taken(100).await.is_none());
    mock.offer(as_json(&node, &signed(&node, sound.clone())));
    assert!(taken(0).await.is_none());
    for factor in [100, u64::MAX] {
        assert!(
            taken(factor).await.is_some(),
            "{factor}: {:?}",
            builder_of(&node).counts
        );
    }
    let asked = mock.came("/header/");
    let parent = &built.payload.parent_hash;
    assert!(
        asked[0]
            .0
            .starts_with(&format!("get /eth/v1/builder/header/{slot}/{parent}/0x")),
        "{}",
        asked[0].0
    );

    let refused = counted(&builder_of(&node).counts.refused);
    let mut lies = vec![sound.clone(); 6];
    lies[0].header.parent_hash = Bytes([1; 32]);
    lies[1].header.fee_recipient = Bytes([2; 20]);
    lies[2].header.gas_limit += 1;
    lies[3].header.timestamp += 1;
    lies[4].header.withdrawals_root = Bytes([3; 32]);
    lies[5].blob_kzg_commitments = vec![Bytes([0xc0; 48]); 100];
    let mut bids: Vec<SignedBuilderBid> = lies.into_iter().map(|lie| signed(&node, lie)).collect();
    let mut unsigned = signed(&node, sound.clone());
    unsigned.message.value += U256::from(1);
    bids.push(unsigned);
    for bid in &bids {
        mock.offer(as_json(&node, bid));
        assert!(taken(u64::MAX).await.is_none(), "{bid:?}");
    }
    assert_eq!(counted(&builder_of(&node).counts.refused) - refused, bids.len() as u64);
    let wrong_fork = format!(
        "{{\"version\":\"deneb\",\"data\":{}}}",
        signed(&node, sound).to_json(node.fork)
    );
    for says in [
        Says::Silence,
        Says::Json(204, String::new()),
        Says::Json(500, String::new()),
        Says::Json(200, "[".into()),
        Says::Json(200, wrong_fork),
    ] {
        mock.offer(says);
        assert!(taken(u64::MAX).await.is_none());
    }
    assert_eq!(counted(&builder_of(&node).counts.silent), 5);
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revealed_payload_makes_the_block_before_fulu() {
    let mock = Mock::new().await;
    let node = node_with(Fork::Electra, FIRST, Some(mock.builder())).await;
    node.register().await;
    let slot = FIRST;
    let built = node.built(slot).await;
    mock.offer(as_json(&node, &signed(&node, node.bid(&built, u64::MAX))));
    let (block, proposer) = node.produced(slot, 100).await.unwrap();
    let (root, blinded) = node.sign_blinded(block, proposer);
    let path = "/eth/v2/beacon/blinded_blocks";

    // Another payload than was promised.
    let mut shown = ExecutionPayloadAndBlobsBundle {
        execution_payload: built.payload.clone(),
        blobs_bundle: built.blobs.clone().unwrap(),
    };
    let reveal = |shown: &ExecutionPayloadAndBlobsBundle| {
        let data = shown.to_json(node.fork);
        mock.desk.lock().unwrap().reveal = Says::Json(200, format!("{{\"version\":\"electra\",\"data\":{data}}}"));
    };
    shown.execution_payload.gas_used += 1;
    reveal(&shown);
    let answer = node.post(path, &blinded, false).await;
    assert!(
        answer.status == 503 && answer.text().contains("is lost"),
        "{}",
        answer.text()
    );
    mock.desk.lock().unwrap().reveal = Says::Json(400, "{\"message\":\"no such bid\"}".into());
    let answer = node.post(path, &blinded, false).await;
    assert!(
        answer.status == 503 && answer.text().contains("no such bid"),
        "{}",
        answer.text()
    );
    assert_ne!(node.running.chain.snapshot().head.root, root);

    shown.execution_payload.gas_used -= 1;
    reveal(&shown);
    let answer = node.post(path, &blinded, true).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    assert_eq!(node.running.chain.snapshot().head.root, root);
    let came = mock.came("post /eth/v1/builder/blinded_blocks");
    assert_eq!(came.len(), 3);
    let counts = &builder_of(&node).counts;
    assert_eq!((counted(&counts.revealed), counted(&counts.lost)), (2, 1));
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_fulu_on_the_builder_publishes() {
    let mock = Mock::new().await;
    let node = node_with(Fork::Fulu, FIRST, Some(mock.builder())).await;
    node.register().await;
    let slot = FIRST;
    let built = node.built(slot).await;
    // A bid as SSZ: then the block goes as SSZ too.
    mock.offer(Says::Ssz(signed(&node, node.bid(&built, u64::MAX)).encode(node.fork)));
    let (block, proposer) = node.produced(slot, 100).await.unwrap();
    let (root, blinded) = node.sign_blinded(block, proposer);
    mock.desk.lock().unwrap().reveal = Says::Json(202, String::new());
    let answer = node.post("/eth/v2/beacon/blinded_blocks", &blinded, false).await;
    assert_eq!((answer.status, answer.text().as_str()), (202, ""));
    let came = mock.came("post /eth/v2/builder/blinded_blocks");
    assert_eq!(came[0].1, blinded.encode(node.fork));
    // What the builder does then, and the network brings here.
    let whole: SignedBeaconBlock = unblinded_block(node.fork, blinded, built.payload.clone()).unwrap();
    let bundle = built.blobs.clone().unwrap();
    let contents = SignedBlockContents {
        signed_block: whole,
        kzg_proofs: bundle.proofs,
        blobs: bundle.blobs,
    };
    let answer = node.post("/eth/v2/beacon/blocks", &contents, true).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    assert_eq!(node.running.chain.snapshot().head.root, root);
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_builder_is_asked_while_blocks_are_missing() {
    let mock = Mock::new().await;
    let node = node_with(Fork::Electra, 5, Some(mock.builder())).await;
    node.register().await;
    let slot = node.now() + 1;
    let built = node.built(slot).await;
    mock.offer(as_json(&node, &signed(&node, node.bid(&built, u64::MAX))));
    assert!(node.produced(slot, u64::MAX).await.is_none());
    assert!(mock.came("/header/").is_empty());
    assert_eq!(counted(&builder_of(&node).counts.broken_circuit), 1);
    node.running.end().await;
}
