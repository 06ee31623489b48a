//! A thousand clients who do nothing good, and one who has a duty and keeps its connection, as validator clients do: the
//! program itself, under the limits of descriptors that systems come with.

use super::{Scratch, root, wren_ok};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Connections at once.
const CROWD: usize = 1000;
/// Requests of the one with the duty.
const REQUESTS: usize = 100;
/// For a node to start, and for one answer: far more than it takes, since CI's machines are busy.
const PATIENCE: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_secs(10);

/// A node that is stopped when dropped.
struct Node {
    child: Child,
    api: SocketAddr,
    metrics: SocketAddr,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a listener has an address")
}

impl Node {
    /// A node on a chain that nobody proposes on, whose shell has set `limit` (what stands behind `ulimit`) before.
    fn start(scratch: &Scratch, limit: &str) -> Self {
        let network = scratch.path("network");
        // Slots so long that the one in which the chain begins lasts for the test.
        let options = ["--validators", "64", "--slot-time", "600", "--delay", "0"];
        wren_ok(&[&["genesis", "--output", network.as_str()], &options[..]].concat());
        let program = std::env::var("WREN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wren").into());
        let (api, metrics) = (free_port(), free_port());
        let child = Command::new("sh")
            .current_dir(root())
            .args(["-c", &format!("ulimit {limit} && exec \"$@\""), "sh", &program])
            .args(["node", "--dev-engine", "--alone", "--network", &network])
            .args(["--datadir", &scratch.path("data"), "--log-level", "error"])
            .args([
                "--http-port",
                &api.port().to_string(),
                "--metrics-port",
                &metrics.port().to_string(),
            ])
            .stdin(Stdio::null())
            .spawn()
            .expect("the program starts");
        let node = Node { child, api, metrics };
        Client::new(api).ask();
        node
    }

    /// What the page at `path` of a port says, if the status is 200.
    fn get(address: SocketAddr, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&address, ANSWER).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.0 200").then_some(answer)
    }

    /// A figure of the metrics page.
    fn figure(&self, series: &str) -> u64 {
        let page = Self::get(self.metrics, "/metrics").expect("metrics are served");
        let found = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found
            .unwrap_or_else(|| panic!("{series} is not in {page}"))
            .parse()
            .expect("a figure is a number")
    }
}

/// The one who has a duty.
struct Client {
    api: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    fn new(api: SocketAddr) -> Self {
        Client { api, stream: None }
    }

    /// What to vote for in the first slot, over the connection that there is or a new one.
    fn exchange(&mut self) -> std::io::Result<String> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect_timeout(&self.api, ANSWER)?;
                stream.set_read_timeout(Some(ANSWER))?;
                none.insert(BufReader::new(stream))
            }
        };
        let path = "/eth/v1/validator/attestation_data?slot=0&committee_index=0";
        stream
            .get_mut()
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())?;
        let mut length = 0;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let before = head.len();
            if stream.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = head[before..].to_lowercase();
            if let Some(found) = line.strip_prefix("content-length: ") {
                length = found.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(std::io::Error::other(head));
        }
        String::from_utf8(body).map_err(std::io::Error::other)
    }

    /// The same until there is an answer; how long that took.
    fn ask(&mut self) -> Duration {
        let begin = Instant::now();
        loop {
            match self.exchange() {
                Ok(answer) => {
                    assert!(answer.contains("beacon_block_root"), "{answer}");
                    return begin.elapsed();
                }
                Err(error) => {
                    self.stream = None;
                    assert!(begin.elapsed() < PATIENCE, "no answer: {error}");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    /// The times of many requests, ascending.
    fn ask_often(&mut self, mut between: impl FnMut()) -> Vec<Duration> {
        let mut times: Vec<Duration> = (0..REQUESTS)
            .map(|_| {
                between();
                self.ask()
            })
            .collect();
        times.sort_unstable();
        times
    }
}

/// One of the crowd, of one of five kinds. `None` where the node closed the connection at once.
fn join(api: SocketAddr, kind: usize) -> Option<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&api, ANSWER).ok()?;
    stream.set_nonblocking(true).ok()?;
    let all: &[u8] = match kind {
        // Idle, and those who send a byte at a time.
        0 => b"",
        1 => b"G",
        // Never reading what is larger than all buffers, and what is small, over and over.
        2 => b"GET /eth/v2/debug/beacon/states/head HTTP/1.1\r\nHost: x\r\nAccept: application/octet-stream\r\n\r\n",
        3 => &b"GET /eth/v1/config/spec HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20),
        // Half closed in the middle of a request.
        _ => b"POST /eth/v1/validator/duties/attester/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[",
    };
    stream.write_all(all).ok()?;
    if kind == 4 {
        stream.shutdown(Shutdown::Write).ok()?;
    }
    Some(stream)
}

/// How many connections this process may open.
fn room() -> usize {
    let hard = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: hard,
        maximum: hard,
    };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may be raised");
    hard.map_or(usize::MAX, |hard| usize::try_from(hard).unwrap_or(usize::MAX))
}

/// Compares the one with the duty when alone and in the crowd.
fn crowded(node: &Node, what: &str) {
    let mut client = Client::new(node.api);
    let alone = client.ask_often(|| ());
    let most = CROWD.min(room().saturating_sub(100));
    let mut crowd: Vec<(usize, TcpStream)> = (0..most)
        .filter_map(|number| Some((number % 5, join(node.api, number % 5)?)))
        .collect();
    let slow = b"ET /eth/v1/node/version HTTP/1.1\r\nX-Long: ";
    let mut turn = 0;
    let crowded = client.ask_often(|| {
        let byte = slow.get(turn).copied().unwrap_or(b'x');
        turn += 1;
        for (_, stream) in crowd.iter_mut().filter(|(kind, _)| *kind == 1) {
            // Whom the node has sent away by now does no harm.
            let _ = stream.write_all(&[byte]);
        }
    });
    let p99 = |times: &[Duration]| times[REQUESTS * 99 / 100 - 1];
    writeln!(
        std::io::stderr(),
        "{what}: attestation_data, 99 of 100 within {:?} alone and {:?} beside {most} connections",
        p99(&alone),
        p99(&crowded)
    )
    .expect("standard error is open");
}

#[test]
fn a_crowd_does_not_delay_a_duty_with_a_low_soft_limit() {
    let scratch = Scratch::new("crowd-soft");
    let node = Node::start(&scratch, "-Sn 1024");
    let most = node.figure("process_max_fds");
    assert!(most as usize >= room().min(1 << 30), "the limit was not raised: {most}");
    crowded(&node, "ulimit -Sn 1024");
}

#[test]
fn a_crowd_does_not_delay_a_duty_with_a_low_hard_limit() {
    let scratch = Scratch::new("crowd-hard");
    let node = Node::start(&scratch, "-n 1024");
    assert_eq!(node.figure("process_max_fds"), 1024);
    crowded(&node, "ulimit -Hn 1024");
    let series = |outcome| format!("wren_api_connections_total{{outcome=\"{outcome}\"}}");
    let sent_away = node.figure(&series("refused")) + node.figure(&series("evicted"));
    assert!(sent_away > 0, "nobody was sent away");
    // Room is kept for database and duties, so it never comes to that.
    assert_eq!(node.figure(&series("exhausted")), 0);
    assert!(node.figure("process_open_fds") < 1024 - 64);
}
