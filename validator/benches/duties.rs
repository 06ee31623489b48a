//! What a whole client costs: its start and its memory, and how long after the deadline of a slot its attestations are at
//! the node.
//!
//! `cargo bench -p validator --bench duties`, or with numbers of keys behind `--`; two minutes for each. The client is a
//! process of its own, so that the system's figures are its alone; the node is a script in this one. Slots last a second,
//! since what is measured does not hang on their length.
#![forbid(unsafe_code)]

use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{BitList, Bytes, Json, Root, Ssz};
use consensus::types::{Attestation, AttestationData, BLSPubkey, Slot};
use consensus::{Config, Fork};
use crypto::bls::{SecretKey, consecutive_secret_key};
use crypto::derive::SecretBytes;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use validator::beacon::Reach;
use validator::keys::{Candidate, Standing, Vouch, import};
use validator::run::{KeymanagerPort, KnownGenesis, Options, run};

const GENESIS_ROOT: Root = Bytes([7; 32]);
const FORK: Fork = Fork::Fulu;
const SLOT_MS: u64 = 1000;
/// The first epoch is the start; what is measured are the others.
const EPOCHS: u64 = 3;
/// Attesters of a committee, as mainnet has them: one in thirty aggregates.
const COMMITTEE: u64 = 480;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.as_slice() {
        [mode, folder, url] if mode == "client" => client(Path::new(folder), url),
        [] => [1, 100, 1000].into_iter().for_each(measure),
        numbers => numbers
            .iter()
            .filter_map(|number| number.parse().ok())
            .for_each(measure),
    }
}

fn config() -> Config {
    let mut config = Config::standard().with_forks_at_genesis(FORK);
    config.slot_duration_ms = SLOT_MS;
    config
}

/// The process that is measured.
fn client(folder: &Path, url: &str) {
    // What a process has before it does anything.
    println!("{}", figure("/proc/self/status", "VmRSS:"));
    let options = Options {
        config: config(),
        genesis: KnownGenesis::default(),
        folder: folder.to_path_buf(),
        nodes: vec![url.parse().expect("an address")],
        reach: Reach::default(),
        broadcast: false,
        suggested_fee_recipient: Some(Bytes([5; 20])),
        doppelganger_protection: false,
        metrics: None,
        keymanager: KeymanagerPort::Off,
        remote_signers: Reach::default(),
    };
    run(options).expect("it goes on until it is killed");
}

/// A figure of a process from the system, by the word before it; in KiB of memory or in bytes.
fn figure(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as u64
}

fn make_keys(folder: &Path, count: u64) -> Vec<BLSPubkey> {
    let first = SecretKey::from_bytes(&[1; 32]).expect("a key");
    let candidate = |number| Candidate {
        secret: SecretBytes::new(*consecutive_secret_key(&first, number).expect("a key").to_bytes()),
        path: String::new(),
        description: None,
    };
    let candidates: Vec<Candidate> = (0..count).map(candidate).collect();
    let new = Vouch::New(&|_| Standing::NotOnChain);
    let imported = import(folder, GENESIS_ROOT, &candidates, &new).expect("imported");
    imported.into_iter().map(|imported| imported.pubkey).collect()
}

fn measure(keys: u64) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("duties-{}-{keys}", std::process::id()));
    let node = Arc::new(Node {
        genesis_time: unix_ms() / 1000 + 4 + keys / 100,
        keys: make_keys(&folder, keys),
        asked: Mutex::new(None),
        late: Mutex::default(),
    });
    let url = serve(node.clone());
    let started = Instant::now();
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["client", folder.to_str().expect("UTF-8"), &url])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("it tells what it has");
    let idle: u64 = line.trim().parse().expect("a number");
    while node.asked.lock().expect("nobody panicked").is_none() {
        assert!(started.elapsed() < Duration::from_mins(1), "the client does not ask");
        std::thread::sleep(Duration::from_millis(1));
    }
    let (start, status) = (started.elapsed(), format!("/proc/{}/status", child.id()));
    let start_peak = figure(&status, "VmHWM:");
    let begun = wait_epoch(&node, 1, &mut child);
    let over = wait_epoch(&node, EPOCHS, &mut child);
    let a_day = (over - begun) / (EPOCHS - 1) * (86_400 / (12 * SLOTS_PER_EPOCH));
    let (resident, peak) = (figure(&status, "VmRSS:"), figure(&status, "VmHWM:"));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    std::fs::remove_dir_all(&folder).expect("it can be removed");
    let mut late = node.late.lock().expect("nobody panicked").clone();
    late.sort_unstable();
    assert!(!late.is_empty(), "nothing was attested");
    println!(
        "{keys} keys: at the node's door after {start:.2?}, with a peak of {} KiB above idle ({idle}); {resident} KiB resident, \
         {} at most; attestations at the node {} ms after the deadline (median of {} slots), {} ms (longest); {:.1} MB \
         written a day",
        start_peak.saturating_sub(idle),
        peak,
        late[late.len() / 2],
        late.len(),
        late[late.len() - 1],
        a_day as f64 / 1e6,
    );
}

/// Waits for the start of an epoch; the bytes that the client has written until then.
fn wait_epoch(node: &Node, epoch: u64, child: &mut Child) -> u64 {
    let start = node.genesis_time * 1000 + epoch * SLOTS_PER_EPOCH * SLOT_MS;
    while unix_ms() < start {
        assert!(child.try_wait().expect("it is ours").is_none(), "the client has ended");
        std::thread::sleep(Duration::from_millis(100));
    }
    figure(&format!("/proc/{}/io", child.id()), "write_bytes:")
}

/// A node on which every key attests once an epoch, its keys spread over the slots.
struct Node {
    genesis_time: u64,
    keys: Vec<BLSPubkey>,
    /// When the client first asked.
    asked: Mutex<Option<Instant>>,
    /// For each slot with attestations: milliseconds from the deadline until all were here.
    late: Mutex<Vec<u64>>,
}

/// Answers requests on a free port for as long as the process lives.
fn serve(node: Arc<Node>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let node = node.clone();
            std::thread::spawn(move || node.talk(stream));
        }
    });
    format!("http://{address}")
}

impl Node {
    /// Answers one connection until it ends. Bytes come from our own client, so nothing is bounded.
    fn talk(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut first, mut length) = (String::new(), 0);
            stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).ok()?;
                let line = line.trim_end().to_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(text) = line.strip_prefix("content-length: ") {
                    length = text.parse().ok()?;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).ok()?;
            self.asked.lock().ok()?.get_or_insert_with(Instant::now);
            let path = first.split(' ').nth(1)?;
            if path.starts_with("/eth/v1/events") {
                // No head is ever told: the deadline is what counts.
                write!(
                    stream.get_mut(),
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
                )
                .ok()?;
                std::thread::sleep(Duration::from_hours(1));
            }
            let (status, text) = match self.answer(path, &body) {
                Some(value) => ("200 OK", value.to_string()),
                None if first.starts_with("POST") => ("200 OK", String::new()),
                None => ("404 Not Found", String::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json");
            write!(
                stream.get_mut(),
                "{head}\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            )
            .ok()?;
        }
    }

    fn answer(&self, path: &str, body: &[u8]) -> Option<Value> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let last = || path.rsplit('/').next()?.parse::<u64>().ok();
        let slot = || {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix("slot=")?.parse::<Slot>().ok())
        };
        let data = |value: Value| Some(json!({"execution_optimistic": false, "data": value}));
        let parsed = |text: String| serde_json::from_str(&text).expect("JSON of our own");
        match path {
            "/eth/v1/beacon/genesis" => data(json!({
                "genesis_time": self.genesis_time.to_string(), "genesis_validators_root": GENESIS_ROOT.to_string(),
                "genesis_fork_version": config().genesis_fork_version.to_string(),
            })),
            "/eth/v1/config/spec" => data(config().spec_json()),
            "/eth/v1/node/version" => data(json!({"version": "Scripted/1"})),
            "/eth/v1/node/syncing" => data(json!({
                "head_slot": self.slot().to_string(), "sync_distance": "0", "is_syncing": false,
                "is_optimistic": false, "el_offline": false,
            })),
            "/eth/v1/beacon/states/head/validators" => data(self.validators()),
            "/eth/v1/validator/attestation_data" => data(parsed(vote(slot()?).to_json(FORK))),
            "/eth/v2/validator/aggregate_attestation" => {
                let mut aggregate = Attestation::new(FORK);
                aggregate.data = vote(slot()?);
                aggregate.aggregation_bits = BitList::new(COMMITTEE as usize);
                aggregate.aggregation_bits.set(1, true);
                aggregate.committee_bits.set(0, true);
                Some(json!({"version": "fulu", "data": parsed(aggregate.to_json(FORK))}))
            }
            "/eth/v2/beacon/pool/attestations" => {
                self.take(body);
                None
            }
            _ if path.starts_with("/eth/v1/validator/duties/attester/") => Some(Self::duties(self.attesters(last()?))),
            _ if path.contains("/validator/duties/") => Some(Self::duties(json!([]))),
            _ => None,
        }
    }

    fn slot(&self) -> Slot {
        unix_ms().saturating_sub(self.genesis_time * 1000) / SLOT_MS
    }

    fn duties(duties: Value) -> Value {
        json!({"dependent_root": Bytes::<32>([1; 32]).to_string(), "execution_optimistic": false, "data": duties})
    }

    fn validators(&self) -> Value {
        let far = u64::MAX.to_string();
        let one = |(index, key): (usize, &BLSPubkey)| {
            json!({
                "index": index.to_string(), "balance": "32000000000", "status": "active_ongoing",
                "validator": {
                    "pubkey": key.to_string(), "withdrawal_credentials": GENESIS_ROOT.to_string(),
                    "effective_balance": "32000000000", "slashed": false, "activation_eligibility_epoch": "0",
                    "activation_epoch": "0", "exit_epoch": far, "withdrawable_epoch": far,
                }
            })
        };
        self.keys.iter().enumerate().map(one).collect()
    }

    fn attesters(&self, epoch: u64) -> Value {
        let one = |(index, key): (usize, &BLSPubkey)| {
            let index = index as u64;
            json!({
                "pubkey": key.to_string(), "validator_index": index.to_string(), "committee_index": "0",
                "committee_length": COMMITTEE.to_string(), "committees_at_slot": "1",
                "validator_committee_index": (index / SLOTS_PER_EPOCH).to_string(),
                "slot": (epoch * SLOTS_PER_EPOCH + (index + 3) % SLOTS_PER_EPOCH).to_string(),
            })
        };
        self.keys.iter().enumerate().map(one).collect()
    }

    /// Notes how late attestations are that were posted.
    fn take(&self, body: &[u8]) {
        let now = unix_ms();
        let posted: Value = serde_json::from_slice(body).expect("attestations are JSON");
        let slot: Option<u64> = posted[0]["data"]["slot"].as_str().and_then(|slot| slot.parse().ok());
        let slot = slot.expect("an attestation has a slot");
        let deadline = self.genesis_time * 1000 + slot * SLOT_MS + SLOT_MS * config().attestation_due_bps / 10_000;
        if slot >= SLOTS_PER_EPOCH {
            self.late
                .lock()
                .expect("nobody panicked")
                .push(now.saturating_sub(deadline));
        }
    }
}

fn vote(slot: Slot) -> AttestationData {
    let mut data = AttestationData {
        slot,
        beacon_block_root: Bytes([0xaa; 32]),
        ..AttestationData::default()
    };
    data.target.epoch = slot / SLOTS_PER_EPOCH;
    data.source.epoch = data.target.epoch.saturating_sub(1);
    data
}
