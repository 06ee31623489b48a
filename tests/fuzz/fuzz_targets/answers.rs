//! Any bytes as what an execution client, a builder or a beacon node answers, over a connection: an error in words, or a
//! value.
//!
//! The first byte chooses who is asked for what, the second the fork, the third how the answer is dressed: its status, and
//! whether it says that it is JSON or SSZ. The rest is its body; for an execution client the result in it.
#![no_main]

use consensus::ssz::{Bytes, Ssz};
use consensus::transition::NewPayloadRequest;
use consensus::types::{BeaconBlock, PayloadId, SignedBlindedBeaconBlock};
use consensus::{Config, Fork};
use libfuzzer_sys::{Corpus, fuzz_target};
use node::builder::Builder;
use node::execution::{ClientVersion, Engine, ForkchoiceState, HttpEngine, JwtSecret};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use tokio::runtime::{Builder as RuntimeBuilder, Runtime};
use validator::beacon::{BlockRequest, Node, Reach};

/// Statuses that are treated each in its own way somewhere.
const STATUSES: [u16; 8] = [200, 200, 200, 200, 202, 204, 404, 500];
/// The answer comes at once.
const TIME: Duration = Duration::from_secs(5);
/// Methods of the execution client, of the builder, and of a beacon node.
const ENGINE: u8 = 7;
const BUILDER: u8 = 2;
const BEACON: u8 = 14;

/// What is answered next.
static ANSWER: Mutex<Dressed> = Mutex::new(Dressed {
    status: 200,
    headers: String::new(),
    body: Vec::new(),
    of_engine: false,
});

struct Dressed {
    status: u16,
    headers: String,
    body: Vec<u8>,
    of_engine: bool,
}

struct Setup {
    runtime: Runtime,
    engine: Engine,
    builder: Builder,
    node: Node,
    /// A network of each fork.
    configs: Vec<Config>,
}

/// A server that answers every request with what is laid ready.
fn serve(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut request = vec![0; length];
        reader.read_exact(&mut request).ok()?;
        let answer = ANSWER.lock().ok()?;
        let body = if answer.of_engine {
            let request: serde_json::Value = serde_json::from_slice(&request).ok()?;
            let front = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":", request["id"]);
            [front.as_bytes(), &answer.body, b"}"].concat()
        } else {
            answer.body.clone()
        };
        let head = format!(
            "HTTP/1.1 {} x\r\n{}Content-Length: {}\r\n\r\n",
            answer.status,
            answer.headers,
            body.len()
        );
        drop(answer);
        writer.write_all(&[head.as_bytes(), &body].concat()).ok()?;
    }
}

fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_nodelay(true);
                std::thread::spawn(move || serve(stream));
            }
        });
        let engine = HttpEngine::new(&[url.clone()], &JwtSecret::new([1; 32]), || 0).expect("it is an address");
        Setup {
            runtime: RuntimeBuilder::new_current_thread()
                .enable_all()
                .build()
                .expect("there is a runtime"),
            engine: Engine::Http(engine),
            builder: Builder::new(&url).expect("it is an address"),
            configs: Fork::ALL
                .map(|fork| Config::standard().with_forks_at_genesis(fork))
                .into(),
            node: Node::new(0, url.parse().expect("it is an address"), &Reach::default())
                .expect("no certificate is wanted"),
        }
    })
}

async fn ask_engine(engine: &Engine, what: u8, fork: Fork) {
    let ours = ClientVersion {
        code: "WR".into(),
        name: "Wren".into(),
        version: "0".into(),
        commit: "00000000".into(),
    };
    match what {
        0 => drop(engine.get_payload(fork, PayloadId::default()).await),
        1 => drop(engine.get_blobs(fork, &[Bytes([1; 32]); 2]).await),
        2 => drop(engine.pow_block(&Bytes([1; 32])).await),
        3 => drop(engine.missing_methods(fork).await),
        4 => drop(engine.client_version(&ours).await),
        5 => drop(engine.forkchoice_updated(fork, ForkchoiceState::default(), None).await),
        _ => {
            let block = BeaconBlock::new(fork);
            if let Some(request) = NewPayloadRequest::of_block(fork, &block) {
                drop(engine.new_payload(fork, &request).await);
            }
        }
    }
}

async fn ask_builder(builder: &Builder, what: u8, fork: Fork) {
    if what == 0 {
        drop(builder.get_header(fork, 1, Bytes([1; 32]), Bytes([2; 48]), 3).await);
    } else {
        drop(builder.submit(fork, &SignedBlindedBeaconBlock::new(fork)).await);
    }
}

async fn ask_node(node: &Node, what: u8, fork: Fork, config: &Config) {
    let (keys, indices) = ([Bytes([2; 48]); 2], [1, 2]);
    match what {
        0 => drop(node.genesis(TIME).await),
        1 => drop(node.spec(TIME).await),
        2 => drop(node.version(TIME).await),
        3 => drop(node.validators(&keys, TIME).await),
        4 => drop(node.attester_duties(1, &indices, TIME).await),
        5 => drop(node.proposer_duties(1, TIME).await),
        6 => drop(node.sync_duties(1, &indices, TIME).await),
        7 => drop(node.attestation_data(1, 0, TIME).await),
        8 => drop(node.aggregate(Bytes([1; 32]), 1, 0, fork, TIME).await),
        9 => drop(node.head_root(TIME).await),
        10 => drop(node.contribution(1, 0, Bytes([1; 32]), TIME).await),
        11 => drop(node.liveness(1, &indices, TIME).await),
        12 => drop(node.attestation_rewards(1, &indices, TIME).await),
        _ => {
            let request = BlockRequest {
                slot: 1,
                randao_reveal: Bytes([0; 96]),
                graffiti: None,
                builder_boost_factor: None,
            };
            if let Ok(produced) = node.produce_block(&request, config, 0, TIME).await {
                let _ = produced.header();
            }
        }
    }
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let [what, fork, dress, body @ ..] = data else {
        return Corpus::Reject;
    };
    let what = what % (ENGINE + BUILDER + BEACON);
    let fork = Fork::ALL[*fork as usize % Fork::ALL.len()];
    let setup = setup();
    let media = ["application/json", "application/octet-stream"][usize::from(dress & 1)];
    let version = match dress & 2 {
        0 => String::new(),
        _ => format!("Eth-Consensus-Version: {}\r\n", fork.name()),
    };
    *ANSWER.lock().expect("nobody panics with it") = Dressed {
        status: STATUSES[usize::from(dress >> 2) % STATUSES.len()],
        headers: format!("Content-Type: {media}\r\n{version}"),
        body: body.to_vec(),
        of_engine: what < ENGINE,
    };
    setup.runtime.block_on(async {
        match what {
            0..ENGINE => ask_engine(&setup.engine, what, fork).await,
            what if what < ENGINE + BUILDER => ask_builder(&setup.builder, what - ENGINE, fork).await,
            what => {
                let config = &setup.configs[fork as usize];
                ask_node(&setup.node, what - ENGINE - BUILDER, fork, config).await;
            }
        }
    });
    Corpus::Keep
});
