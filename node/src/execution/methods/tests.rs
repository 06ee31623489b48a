//! Both ends of the Engine API over a real socket: our client, and the dev engine behind our server; and our client
//! against servers that are nothing of the kind.

use super::*;
use crate::execution::dev::{DevOptions, genesis_block, terminal_block};
use crate::execution::jwt::JwtSecret;
use crate::execution::types::{ClientVersion, EngineError, Failure, ForkchoiceState, PayloadStatus, Status};
use crate::execution::{Engine, HttpEngine, Server, check_payload};
use crate::genesis::{DevnetOptions, devnet_config};
use consensus::Config;
use consensus::helpers::misc::kzg_commitment_to_versioned_hash;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::Bytes;
use consensus::transition::merge::is_valid_terminal_pow_block;
use consensus::types::{ExecutionRequests, VersionedHash, Withdrawal, WithdrawalRequest};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TIME: u64 = 1_700_000_000;
const SECRET: [u8; 32] = [0x5e; 32];

fn now() -> u64 {
    TIME
}

fn later() -> u64 {
    TIME + 61
}

/// Runs a test that needs sockets and timers.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test)
}

/// A network that goes through every fork with payloads, an epoch each.
fn config() -> Config {
    let options = DevnetOptions {
        genesis_fork: Fork::Altair,
        schedule: (2..=6).map(|place| (Fork::ALL[place], place as u64)).collect(),
        slot_duration_ms: 2000,
        genesis_time: TIME,
        blob_schedule: Vec::new(),
    };
    devnet_config(Config::network("devnet").unwrap(), &options).unwrap()
}

fn dev(options: DevOptions) -> Arc<DevEngine> {
    Arc::new(DevEngine::new(&config(), TIME, &Bytes::ZERO, options).unwrap())
}

/// Serves an engine and returns its address.
async fn serve(engine: &Arc<DevEngine>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Arc::new(Server::new(Arc::clone(engine), JwtSecret::new(SECRET), now));
    tokio::spawn(server.serve(listener));
    format!("http://{address}")
}

fn client(urls: &[String]) -> Engine {
    Engine::Http(HttpEngine::new(urls, &JwtSecret::new(SECRET), now).unwrap())
}

fn attributes(fork: Fork, slot: u64) -> PayloadAttributes {
    let withdrawal = Withdrawal {
        index: slot,
        amount: 3,
        ..Withdrawal::default()
    };
    PayloadAttributes {
        timestamp: TIME + 2 * slot,
        prev_randao: Bytes([slot as u8; 32]),
        suggested_fee_recipient: Bytes([7; 20]),
        withdrawals: (fork >= Fork::Capella).then(|| vec![withdrawal]),
        parent_beacon_block_root: (fork >= Fork::Deneb).then_some(Bytes([slot as u8; 32])),
    }
}

fn at(head: Hash32) -> ForkchoiceState {
    ForkchoiceState {
        head_block_hash: head,
        ..ForkchoiceState::default()
    }
}

/// Builds on `head` and has the result judged, all through `engine`.
async fn step(engine: &Engine, fork: Fork, head: Hash32, slot: u64) -> Result<BuiltPayload, EngineError> {
    let attributes = attributes(fork, slot);
    let (status, id) = engine
        .forkchoice_updated(fork, at(head), Some(attributes.clone()))
        .await?;
    assert_eq!(status, PayloadStatus::valid(head), "{fork}");
    let built = engine
        .get_payload(fork, id.expect("a payload is built on a valid head"))
        .await?;
    let commitments = built.blobs.iter().flat_map(|blobs| &blobs.commitments);
    let request = NewPayloadRequest {
        fork,
        execution_payload: &built.payload,
        versioned_hashes: commitments.map(kzg_commitment_to_versioned_hash).collect(),
        parent_beacon_block_root: attributes.parent_beacon_block_root.unwrap_or_default(),
        execution_requests: (fork >= Fork::Electra).then_some(&built.execution_requests),
    };
    check_payload(&request).unwrap();
    let status = engine.new_payload(fork, &request).await?;
    assert_eq!(status, PayloadStatus::valid(built.payload.block_hash), "{fork}");
    Ok(built)
}

#[test]
fn a_chain_is_built_over_a_socket_through_all_forks() {
    run(async {
        let dev = dev(DevOptions {
            blobs_per_block: 1,
            hide_blobs: false,
        });
        let url = serve(&dev).await;
        let engine = client(std::slice::from_ref(&url));
        let config = config();
        let terminal = engine.terminal_pow_block(&config).await.unwrap().unwrap();
        assert_eq!(terminal.block_hash, terminal_block(&config, TIME).unwrap().hash());
        let genesis = engine.pow_block(&terminal.parent_hash).await.unwrap().unwrap();
        assert_eq!(genesis.block_hash, genesis_block(&config, TIME).hash());
        assert!(is_valid_terminal_pow_block(&config, &terminal, &genesis));
        assert_eq!(engine.pow_block(&Bytes([1; 32])).await.unwrap(), None);

        let requests = ExecutionRequests {
            withdrawals: vec![WithdrawalRequest::default()],
            ..ExecutionRequests::default()
        };
        assert!(dev.queue_requests(requests.clone()));
        let mut head = terminal.block_hash;
        for fork in [Fork::Bellatrix, Fork::Capella, Fork::Deneb, Fork::Electra, Fork::Fulu] {
            assert_eq!(engine.missing_methods(fork).await.unwrap(), Vec::<&str>::new());
            for slot in [0, 1] {
                let slot = slot + fork as u64 * SLOTS_PER_EPOCH;
                let built = step(&engine, fork, head, slot)
                    .await
                    .unwrap_or_else(|error| panic!("{fork}: {error}"));
                head = built.payload.block_hash;
                assert_eq!(built.payload.withdrawals.len(), usize::from(fork >= Fork::Capella));
                assert_eq!(built.blobs.is_some(), fork >= Fork::Deneb);
                let has_requests = fork == Fork::Electra && slot == fork as u64 * SLOTS_PER_EPOCH;
                assert_eq!(built.execution_requests == requests, has_requests);
                let Some(bundle) = built.blobs else { continue };
                let hash = kzg_commitment_to_versioned_hash(&bundle.commitments[0]);
                let found = engine.get_blobs(fork, &[hash]).await.unwrap();
                assert_eq!(found[0].as_ref().unwrap().proofs, bundle.proofs, "{fork}");
                let unknown: VersionedHash = Bytes([9; 32]);
                let partly = engine.get_blobs(fork, &[hash, unknown]).await.unwrap();
                assert_eq!(
                    (partly[0].is_some(), partly[1].is_some()),
                    (fork < Fork::Fulu, false),
                    "{fork}"
                );
            }
        }
        let all: Vec<Value> = (1..=dev.canonical(None).unwrap().1.number)
            .map(|number| {
                let (hash, _) = dev.canonical(Some(number)).unwrap();
                let asked = [json!([json::data(&hash.0), json::data(&[9; 32])])];
                let answer = call(&dev, "engine_getPayloadBodiesByHashV1", &asked).unwrap();
                assert_eq!(answer[1], Value::Null);
                answer[0].clone()
            })
            .collect();
        let range =
            |start: &str, count: &str| call(&dev, "engine_getPayloadBodiesByRangeV1", &[json!(start), json!(count)]);
        assert_eq!(range("0x1", "0x80").unwrap(), json!(all), "and none behind the head");
        assert_eq!(all[0], Value::Null, "the terminal block is of proof of work");
        assert_eq!(all[1], json!({ "transactions": [], "withdrawals": null }));
        let last = all.last().unwrap();
        assert_eq!(last["withdrawals"][0]["amount"], "0x3");
        assert_eq!(last["transactions"].as_array().unwrap().len(), 1, "the blob's");
        assert_eq!(range("0x0", "0x1").unwrap_err().code, code::INVALID_PARAMS);
        assert_eq!(range("0x1", "0x81").unwrap_err().code, code::TOO_LARGE_REQUEST);
        let ours = ClientVersion {
            code: "XX".into(),
            name: "a".into(),
            version: "b".into(),
            commit: "c".into(),
        };
        assert_eq!(engine.client_version(&ours).await.unwrap(), [DevEngine::version()]);
        assert!(!engine.is_offline());
    });
}

#[test]
fn refusals_come_back_as_what_they_are() {
    run(async {
        let dev = dev(DevOptions::default());
        let engine = client(&[serve(&dev).await]);
        let head = terminal_block(&config(), TIME).unwrap().hash();
        // Attributes of a later fork than the method's.
        let capella = attributes(Fork::Capella, 3 * SLOTS_PER_EPOCH);
        let error = engine
            .forkchoice_updated(Fork::Bellatrix, at(head), Some(capella))
            .await
            .unwrap_err();
        assert_eq!(error.failure, Failure::Refused(code::UNSUPPORTED_FORK), "{error}");
        let error = engine.get_payload(Fork::Fulu, Bytes([3; 8])).await.unwrap_err();
        assert_eq!(error.failure, Failure::Refused(code::UNKNOWN_PAYLOAD), "{error}");
        assert!(
            error.message.contains("http://127.0.0.1") && error.message.contains("engine_getPayloadV5"),
            "{error}"
        );
        let (status, id) = engine
            .forkchoice_updated(Fork::Fulu, at(Bytes([1; 32])), None)
            .await
            .unwrap();
        assert_eq!((status.status, id), (Status::Syncing, None));
        assert!(!engine.is_offline(), "a refusal is an answer");
        for fork in [Fork::Altair, Fork::Gloas] {
            let error = engine.get_payload(fork, Bytes([3; 8])).await.unwrap_err();
            assert_eq!(error.failure, Failure::Unsupported);
            assert!(error.message.contains(fork.name()), "{error}");
        }
    });
}

#[test]
fn only_who_has_the_secret_is_answered() {
    run(async {
        let url = serve(&dev(DevOptions::default())).await;
        for (secret, clock, expected) in [([1; 32], now as fn() -> u64, "secret"), (SECRET, later, "clocks")] {
            let http = HttpEngine::new(std::slice::from_ref(&url), &JwtSecret::new(secret), clock).unwrap();
            let error = Engine::Http(http)
                .get_payload(Fork::Fulu, Bytes([3; 8]))
                .await
                .unwrap_err();
            assert_eq!(error.failure, Failure::Unauthorized);
            assert!(
                error.message.contains("--execution-jwt") && error.message.contains(expected),
                "{error}"
            );
        }
        let bare = raw(
            &url,
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
        )
        .await;
        assert!(bare.starts_with("HTTP/1.1 401"), "{bare}");
    });
}

/// Sends bytes to a server and returns all that it answers.
async fn raw(url: &str, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a body with a token and returns the answer's body.
async fn rpc(url: &str, body: &str) -> Value {
    let token = JwtSecret::new(SECRET).token(TIME);
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\nconnection: close\r\n");
    let answer = raw(url, &format!("{head}content-length: {length}\r\n\r\n{body}")).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[test]
fn the_server_answers_anything_without_falling_over() {
    run(async {
        let url = serve(&dev(DevOptions::default())).await;
        let code_of = |answer: &Value| answer["error"]["code"].as_i64();
        for (body, expected) in [
            ("", code::PARSE_ERROR),
            ("{", code::PARSE_ERROR),
            ("[]", code::INVALID_REQUEST),
            ("7", code::INVALID_REQUEST),
            (r#"{"id":1}"#, code::INVALID_REQUEST),
            (
                r#"{"id":1,"method":"engine_newPayloadV9","params":[]}"#,
                code::METHOD_NOT_FOUND,
            ),
            (
                r#"{"id":1,"method":"engine_newPayloadV1","params":{}}"#,
                code::INVALID_PARAMS,
            ),
            (
                r#"{"id":1,"method":"engine_newPayloadV4","params":[{"timestamp":"0x0"}]}"#,
                code::UNSUPPORTED_FORK,
            ),
            (
                r#"{"id":1,"method":"engine_getPayloadV1","params":["0x00"]}"#,
                code::INVALID_PARAMS,
            ),
            (
                r#"{"id":1,"method":"engine_forkchoiceUpdatedV3","params":[null]}"#,
                code::INVALID_PARAMS,
            ),
            (
                r#"{"id":1,"method":"eth_getBlockByNumber","params":["0x0001"]}"#,
                code::INVALID_PARAMS,
            ),
        ] {
            let answer = rpc(&url, body).await;
            assert_eq!(code_of(&answer), Some(expected), "{body}: {answer}");
        }
        let batch = rpc(
            &url,
            r#"[{"id":"a","method":"eth_chainId"},{"id":2,"method":"eth_syncing","params":null}]"#,
        )
        .await;
        assert_eq!(batch[0], json!({ "jsonrpc": "2.0", "id": "a", "result": "0xedb20" }));
        assert_eq!(batch[1], json!({ "jsonrpc": "2.0", "id": 2, "result": false }));
        let block = rpc(
            &url,
            r#"{"id":1,"method":"eth_getBlockByNumber","params":["earliest",false]}"#,
        )
        .await;
        assert_eq!(block["result"]["totalDifficulty"], "0x1");
        assert_eq!(block["result"]["number"], "0x0");
        let long = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{{",
            JwtSecret::new(SECRET).token(TIME),
            1u64 << 40
        );
        assert!(raw(&url, &long).await.starts_with("HTTP/1.1 413"));
        assert!(
            raw(&url, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 405")
        );
    });
}

/// A server that answers every connection with these bytes, and then waits.
async fn canned(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
                tokio::time::sleep(Duration::from_mins(1)).await;
            });
        }
    });
    url
}

fn http(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn what_is_no_engine_is_found_out() {
    run(async {
        let endless = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
            "ffff\r\n".to_owned() + &"x".repeat(0xffff) + "\r\n"
        );
        let mut flood = endless.into_bytes();
        for _ in 0..40 {
            flood.extend_from_slice(format!("ffff\r\n{}\r\n", "x".repeat(0xffff)).as_bytes());
        }
        let status = r#"{"jsonrpc":"2.0","id":1,"result":{"status":"MAYBE"}}"#;
        let cases: [(Vec<u8>, Failure, &str); 9] = [
            (http("hello"), Failure::Malformed, "not JSON"),
            (http("{}"), Failure::Malformed, "another request"),
            (
                http(r#"{"jsonrpc":"2.0","id":9,"result":true}"#),
                Failure::Malformed,
                "another request",
            ),
            (
                http(r#"{"jsonrpc":"2.0","id":1}"#),
                Failure::Malformed,
                "neither a result nor an error",
            ),
            (http(status), Failure::Malformed, "payloadStatus"),
            (
                http(r#"{"id":1,"error":{"code":-38002,"message":"no\u001b[31m"}}"#),
                Failure::Refused(-38002),
                "refuses: no [31m",
            ),
            (
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno".to_vec(),
                Failure::Malformed,
                "404",
            ),
            (flood, Failure::Malformed, "longer than"),
            (
                b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
                Failure::Unreachable,
                "is this its Engine API",
            ),
        ];
        for (answer, failure, words) in cases {
            let url = canned(answer).await;
            let engine = client(std::slice::from_ref(&url));
            let error = engine
                .forkchoice_updated(Fork::Capella, at(Hash32::ZERO), None)
                .await
                .unwrap_err();
            assert_eq!(error.failure, failure, "{error}");
            assert!(error.message.contains(words) && error.message.contains(&url), "{error}");
            assert!(error.message.len() < 500);
        }
        // Silence, for as long as the spec lets the engine take.
        let start = Instant::now();
        let engine = client(&[canned(Vec::new()).await]);
        let error = engine.get_payload(Fork::Capella, Bytes([1; 8])).await.unwrap_err();
        assert_eq!(error.failure, Failure::TimedOut);
        assert!(
            (900..3000).contains(&start.elapsed().as_millis()),
            "{:?}",
            start.elapsed()
        );
        assert!(engine.is_offline());
        // Nobody at all.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = client(&[url])
            .get_payload(Fork::Capella, Bytes([1; 8]))
            .await
            .unwrap_err();
        assert_eq!(error.failure, Failure::Unreachable);
        assert!(error.message.contains("is it running"), "{error}");
    });
}

#[test]
fn another_client_steps_in_and_knows_the_chain() {
    run(async {
        let (first, second) = (dev(DevOptions::default()), dev(DevOptions::default()));
        let (one, two) = (serve(&first).await, serve(&second).await);
        let engine = client(&["http://127.0.0.1:1".to_owned(), one, two]);
        let mut head = terminal_block(&config(), TIME).unwrap().hash();
        let slot = |number: u64| 2 * SLOTS_PER_EPOCH + number;
        for number in 0..3 {
            head = step(&engine, Fork::Bellatrix, head, slot(number))
                .await
                .unwrap()
                .payload
                .block_hash;
        }
        let health = engine.health();
        let failing: Vec<bool> = health.iter().map(|endpoint| endpoint.error.is_some()).collect();
        assert_eq!(failing, [true, false, false]);
        assert!(!engine.is_offline());
        // The second client was told all of it meanwhile.
        for _ in 0..100 {
            if second.header(&head).is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(second.header(&head).is_some());
        // The first one now says that it is syncing: the next has a better answer, and builds.
        first.set_syncing(true);
        let built = step(&engine, Fork::Bellatrix, head, slot(3)).await.unwrap();
        assert!(second.header(&built.payload.block_hash).is_some());
        // Where all are syncing, so is the node.
        second.set_syncing(true);
        let (status, _) = engine
            .forkchoice_updated(Fork::Bellatrix, at(head), None)
            .await
            .unwrap();
        assert_eq!(status.status, Status::Syncing);
    });
}
