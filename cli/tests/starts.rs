//! Starts that take long: a node that fetches its checkpoint or waits for a right clock, and is stopped meanwhile.

use super::{Process, Scratch, program, wren_fails, wren_ok};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, Ssz};
use consensus::types::{BeaconBlock, BeaconBlockBody, BeaconBlockHeader, SignedBeaconBlock};
use consensus::{Config, Fork};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The slot of the checkpoint.
const SLOT: u64 = SLOTS_PER_EPOCH;
/// Seconds of a slot: so many that the slot after the checkpoint's lasts for the test.
const SLOT_SECONDS: u64 = 300;
/// For a node to start, stop or say something: far more than it takes, since CI's machines are busy.
const PATIENCE: Duration = Duration::from_mins(2);

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is after 1970").as_secs()
}

/// A local network whose genesis was some slots ago, and what a Beacon API has of its one finalized block.
struct Network {
    scratch: Scratch,
    paths: HashMap<String, Vec<u8>>,
    state_len: usize,
}

impl Network {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let network = scratch.path("network");
        let slot = SLOT_SECONDS.to_string();
        let options = ["--validators", "64", "--slot-time", &slot, "--delay", "0"];
        wren_ok(&[&["genesis", "--output", network.as_str()], &options[..]].concat());
        let folder = Path::new(&network);
        let config = fs::read_to_string(folder.join("config.yaml")).unwrap();
        let config = Config::from_yaml(&config).unwrap().config;
        let genesis = folder.join("genesis.ssz");
        let mut state = node::checkpoint::open_state(&genesis).unwrap().decode(&config).unwrap();
        state.genesis_time = now() - (SLOT + 1) * SLOT_SECONDS;
        fs::write(&genesis, state.encode()).unwrap();
        let mut block = BeaconBlock::new(Fork::Fulu);
        (block.slot, block.parent_root) = (SLOT, Bytes([1; 32]));
        state.slot = SLOT;
        state.latest_block_header = BeaconBlockHeader {
            slot: SLOT,
            parent_root: block.parent_root,
            body_root: BeaconBlockBody::new(Fork::Fulu).hash_tree_root(Fork::Fulu),
            ..BeaconBlockHeader::default()
        };
        block.state_root = state.hash_tree_root();
        let of_state = format!("/eth/v2/debug/beacon/states/{}", block.state_root);
        let signed = SignedBeaconBlock {
            message: block,
            ..SignedBeaconBlock::new(Fork::Fulu)
        };
        let spec = serde_json::json!({ "data": config.spec_json() });
        let encoded = state.encode();
        Network {
            scratch,
            state_len: encoded.len(),
            paths: HashMap::from([
                ("/eth/v1/config/spec".into(), spec.to_string().into_bytes()),
                ("/eth/v2/beacon/blocks/finalized".into(), signed.encode(Fork::Fulu)),
                (of_state, encoded),
            ]),
        }
    }

    /// The file with what has come of the checkpoint's state.
    fn part(&self) -> PathBuf {
        Path::new(&self.scratch.path("data")).join("node/checkpoint.part")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.scratch.path("node.log")).unwrap_or_default()
    }

    /// Starts a node.
    fn node(&self, options: &[&str]) -> Node {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let api = listener.local_addr().unwrap();
        drop(listener);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.scratch.path("node.log"));
        let child = Command::new(program())
            .args(["node", "--alone", "--metrics-port", "0"])
            .args(["--network", &self.scratch.path("network")])
            .args(["--datadir", &self.scratch.path("data")])
            .args(["--http-port", &api.port().to_string()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn();
        Node {
            child: Process(child.expect("the program starts")),
            api,
        }
    }
}

struct Node {
    child: Process,
    api: SocketAddr,
}

impl Node {
    /// Stops it as an operator does: it ends well, and soon.
    fn stop(mut self, network: &Network, signal: Signal, name: &str) {
        let before = network.log().len();
        let id = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(id, signal).unwrap();
        let mut status = None;
        wait_until("the node's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let said = network.log()[before..].to_owned();
        assert_eq!(status.unwrap().code(), Some(0), "{said}");
        assert!(said.contains(&format!("{name}: stopping")), "{said}");
    }

    #[cfg(not(feature = "minimal"))]
    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Whether its head is the checkpoint.
    fn is_at_checkpoint(&self) -> bool {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.api)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(b"GET /eth/v1/node/syncing HTTP/1.0\r\nHost: x\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        asked().is_ok_and(|answer| answer.contains(&format!("\"head_slot\":\"{SLOT}\"")))
    }
}

/// A server with the Beacon API of a checkpoint, whose clock the test sets.
struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    paths: HashMap<String, Vec<u8>>,
    /// How much of a state is sent until `whole`.
    part: usize,
    whole: AtomicBool,
    /// From where on the state was asked for, each time.
    asked: Mutex<Vec<usize>>,
    /// By how many seconds its clock is ahead of ours.
    ahead: AtomicI64,
}

impl Server {
    fn start(ip: Ipv4Addr, network: &Network) -> Self {
        Server::start_with(ip, network, None)
    }

    /// The same over TLS where there is something to be shown for it.
    fn start_with(ip: Ipv4Addr, network: &Network, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            paths: network.paths.clone(),
            part: network.state_len / 3,
            whole: AtomicBool::new(false),
            asked: Mutex::default(),
            ahead: AtomicI64::new(0),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&serving), tls.clone());
                std::thread::spawn(move || match tls {
                    None => shared.serve(stream),
                    Some(config) => {
                        let connection = ServerConnection::new(config).ok()?;
                        shared.serve(StreamOwned::new(connection, stream))
                    }
                });
            }
        });
        Server { address, shared }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Shared {
    /// Answers what comes over a connection; ends with it.
    fn serve(&self, stream: impl Read + Write) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut path, mut from, mut length) = (String::new(), 0, 0);
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                let line = line.trim_end().to_lowercase();
                if line.is_empty() {
                    break;
                }
                if path.is_empty() {
                    line.split(' ').nth(1)?.clone_into(&mut path);
                }
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = range.split('-').next()?.parse().ok()?;
                }
                if let Some(text) = line.strip_prefix("content-length: ") {
                    length = text.parse().ok()?;
                }
            }
            stream.read_exact(&mut vec![0; length]).ok()?;
            self.answer(stream.get_mut(), &path, from)?;
        }
    }

    fn answer(&self, stream: &mut impl Write, path: &str, from: usize) -> Option<()> {
        let date = http_date(now().saturating_add_signed(self.ahead.load(Ordering::Relaxed)));
        let Some(body) = self.paths.get(path) else {
            let head = format!("HTTP/1.1 404 Not Found\r\ndate: {date}\r\ncontent-length: 0\r\n\r\n");
            return stream.write_all(head.as_bytes()).ok();
        };
        let (rest, total) = (body.get(from..)?, body.len());
        let status = match from {
            0 => "200 OK".to_owned(),
            _ => format!(
                "206 Partial Content\r\ncontent-range: bytes {from}-{}/{total}",
                total - 1
            ),
        };
        let length = rest.len();
        let head = format!("HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        if !path.contains("/states/") {
            return stream.write_all(rest).ok();
        }
        self.asked.lock().unwrap().push(from);
        let (now, later) = rest.split_at(self.part.min(length));
        stream.write_all(now).ok()?;
        while !self.whole.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        stream.write_all(later).ok()
    }
}

/// A time in seconds since 1970 as the `Date` header writes it.
fn http_date(seconds: u64) -> String {
    let output = Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C")
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// The node stops at once and well while its checkpoint comes, twice, and keeps what has come; the next start goes on
/// with it.
#[test]
fn a_node_stops_while_it_fetches_its_checkpoint_and_goes_on_with_it_later() {
    let network = Network::new("stop-fetch");
    let server = Server::start(Ipv4Addr::LOCALHOST, &network);
    let url = server.url();
    let start = || network.node(&["--dev-engine", "--checkpoint-sync-url", &url]);
    let part = network.state_len / 3;
    for (times, signal, name) in [(1, Signal::TERM, "SIGTERM"), (2, Signal::INT, "SIGINT")] {
        let node = start();
        let has = || fs::metadata(network.part()).map_or(0, |file| file.len());
        wait_until("a part of the state", || has() == (times * part) as u64);
        node.stop(&network, signal, name);
        assert_eq!(has(), (times * part) as u64, "it is kept");
    }
    server.shared.whole.store(true, Ordering::Relaxed);
    let node = start();
    wait_until("the checkpoint as head", || node.is_at_checkpoint());
    assert_eq!(*server.shared.asked.lock().unwrap(), [0, part, 2 * part]);
    assert!(!network.part().exists());
    node.stop(&network, Signal::TERM, "SIGTERM");
}

/// A server whose certificate is of an authority that nobody knows is refused in words, and taken where the operator
/// names that authority.
#[test]
fn a_checkpoint_comes_over_tls_from_whom_the_operator_trusts() {
    let network = Network::new("tls");
    let (config, authority) = certified();
    let server = Server::start_with(Ipv4Addr::LOCALHOST, &network, Some(config));
    server.shared.whole.store(true, Ordering::Relaxed);
    let (right, other) = (network.scratch.path("ca.pem"), network.scratch.path("other.pem"));
    fs::write(&right, authority).unwrap();
    fs::write(&other, certified().1).unwrap();
    let url = format!("https://{}", server.address);
    let ours = ["--dev-engine", "--checkpoint-sync-url", &url];
    let text = |name: &str| network.scratch.path(name);
    for more in [&[][..], &["--tls-ca", &other]] {
        let place = ["--alone", "--network", &text("network"), "--datadir", &text("data")];
        let ports = ["--metrics-port", "0", "--http-port", "0"];
        let why = wren_fails(6, &[&["node"], &place[..], &ports, &ours, more].concat(), b"");
        assert!(why.contains("127.0.0.1") && why.contains("is not trusted"), "{why}");
        assert!(why.contains("--tls-ca FILE"), "{why}");
    }
    assert_eq!(*server.shared.asked.lock().unwrap(), [0_usize; 0]);
    let node = network.node(&[&ours[..], &["--tls-ca", &right]].concat());
    wait_until("the checkpoint as head", || node.is_at_checkpoint());
    node.stop(&network, Signal::TERM, "SIGTERM");
}

/// A server's side of TLS with a certificate of a new authority, and that authority (PEM).
fn certified() -> (Arc<ServerConfig>, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    let server = server.signed_by(&key, &authority, &authority_key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = config.with_single_cert(vec![server.der().clone()], key).unwrap();
    (Arc::new(config), authority.pem())
}

/// Two servers, of checkpoints and of payloads, say that our clock is a day wrong: the node waits and says so, can be
/// stopped meanwhile, and goes on by itself when they agree with it.
///
/// A server on this machine has our clock, so that the two have addresses of a private network, in a namespace of the
/// test's own: the test runs itself there.
#[cfg(not(feature = "minimal"))]
#[test]
fn a_node_waits_for_a_right_clock_and_goes_on_by_itself() {
    /// Not `WREN_…`, which the program would take for a setting.
    const INSIDE: &str = "IN_NAMESPACE_OF_CLOCK_TEST";
    const NAME: &str = "starts::a_node_waits_for_a_right_clock_and_goes_on_by_itself";
    if std::env::var_os(INSIDE).is_some() {
        return with_a_clock_a_day_wrong();
    }
    // Root may do it as it is, in a changed root as well, where nobody gets users of his own.
    let as_user = (!rustix::process::geteuid().is_root()).then_some("--map-root-user");
    let namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(as_user).args(["--net", "sh", "-c", script]);
        command
    };
    const ADDRESSES: &str =
        "ip link set lo up && ip address add 10.77.0.1/32 dev lo && ip address add 10.77.0.2/32 dev lo";
    let possible = namespace(ADDRESSES).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return super::skip("clock-namespace", "no network namespace can be made here");
    }
    let ran = namespace(&format!("{ADDRESSES} && exec \"$0\" --exact {NAME} --nocapture"))
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

#[cfg(not(feature = "minimal"))]
fn with_a_clock_a_day_wrong() {
    const DAY: i64 = 86_400;
    for (name, ahead, side) in [("clock-past", DAY, "behind"), ("clock-future", -DAY, "ahead")] {
        let network = Network::new(name);
        let servers = [[10, 77, 0, 1], [10, 77, 0, 2]].map(|ip| Server::start(ip.into(), &network));
        for server in &servers {
            server.shared.whole.store(true, Ordering::Relaxed);
            server.shared.ahead.store(ahead, Ordering::Relaxed);
        }
        let secret = network.scratch.path("jwt");
        fs::write(&secret, "ab".repeat(32)).unwrap();
        let [checkpoint, engine] = servers.each_ref().map(Server::url);
        let start = || {
            let engine = ["--execution-endpoint", &engine, "--execution-jwt", &secret];
            network.node(&[&["--checkpoint-sync-url", checkpoint.as_str()], &engine[..]].concat())
        };
        let waits = |times| {
            let log = network.log();
            let told = log
                .matches("the node waits: the clock of this machine is wrong")
                .count();
            assert!(!log.contains("starting from slot"), "{log}");
            told == times
        };
        let node = start();
        wait_until("a word on the clock", || waits(1));
        node.stop(&network, Signal::TERM, "SIGTERM");
        let mut node = start();
        wait_until("a word on the clock", || waits(2));
        // Three times as long as until the sources are asked again.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(15) {
            assert!(node.is_alive() && waits(2), "{}", network.log());
            std::thread::sleep(Duration::from_millis(200));
        }
        let log = network.log();
        let (of, by) = (format!(" s {side} by what "), "10.77.0.1 and 10.77.0.2");
        assert!(log.contains(&of) && log.contains(by), "{log}");
        for server in &servers {
            server.shared.ahead.store(0, Ordering::Relaxed);
        }
        wait_until("the checkpoint as head", || node.is_at_checkpoint());
        assert!(
            network
                .log()
                .contains("the clock of this machine is believed: going on")
        );
        node.stop(&network, Signal::TERM, "SIGTERM");
    }
}
