//! Everything that a client sends to its node, kept by a go-between, and judged as a slasher would.

use consensus::Fork;
use consensus::ssz::{Root, Ssz};
use consensus::types::SignedBlockContents;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What went from a client to a node, a buffer for each connection.
type Streams = Arc<Mutex<Vec<Vec<u8>>>>;

/// A go-between for the Beacon API; it lives as long as the test's process.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    streams: Streams,
}

impl Recorder {
    pub(crate) fn new(node: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Streams::default();
        let kept = Arc::clone(&streams);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A node that is down refuses, and so does this one.
                let Ok(node) = TcpStream::connect(node) else { continue };
                let (back, forth) = (node.try_clone().unwrap(), client.try_clone().unwrap());
                let place = {
                    let mut streams = kept.lock().unwrap();
                    streams.push(Vec::new());
                    streams.len() - 1
                };
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || pass(back, forth, |_| ()));
                std::thread::spawn(move || {
                    pass(client, node, |bytes| {
                        kept.lock().unwrap()[place].extend_from_slice(bytes);
                    });
                });
            }
        });
        Recorder { address, streams }
    }

    /// What was signed in all that came through so far.
    pub(crate) fn signed(&self) -> Signed {
        let mut signed = Signed::default();
        for stream in self.streams.lock().unwrap().iter() {
            signed.read(stream);
        }
        signed
    }
}

/// Passes bytes on until either end is gone, and shows them before they arrive.
fn pass(mut from: TcpStream, mut to: TcpStream, mut show: impl FnMut(&[u8])) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count) = from.read(&mut buffer) {
        show(&buffer[..count]);
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Whichever end is gone, the other one shall notice.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

/// A vote as far as it can be slashed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Vote {
    source: u64,
    target: u64,
    data: String,
}

/// Signatures by validator.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    votes: BTreeMap<u64, Vec<Vote>>,
    blocks: BTreeMap<(u64, u64), Vec<Root>>,
}

impl Signed {
    pub(crate) fn votes(&self) -> usize {
        self.votes.values().map(Vec::len).sum()
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The requests of one connection; the last one may have been cut off by a kill.
    fn read(&mut self, mut stream: &[u8]) {
        while let Some(end) = stream.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&stream[..end]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = length.map_or(0, |(_, length)| length.trim().parse().unwrap());
            let Some(body) = stream.get(end + 4..end + 4 + length) else {
                return;
            };
            self.request(head.split(' ').nth(1).unwrap_or(""), body);
            stream = &stream[end + 4 + length..];
        }
    }

    fn request(&mut self, path: &str, body: &[u8]) {
        if path.starts_with("/eth/v2/beacon/pool/attestations") {
            let votes: Value = serde_json::from_slice(body).unwrap();
            for vote in votes.as_array().unwrap() {
                self.vote(vote);
            }
        } else if path.starts_with("/eth/v2/beacon/blocks") {
            let block = SignedBlockContents::decode(body, Fork::Fulu)
                .unwrap()
                .signed_block
                .message;
            let root = block.hash_tree_root(Fork::Fulu);
            self.block(block.proposer_index, block.slot, root);
        }
    }

    fn vote(&mut self, vote: &Value) {
        let number = |place: &str| -> u64 { vote.pointer(place).unwrap().as_str().unwrap().parse().unwrap() };
        let new = Vote {
            source: number("/data/source/epoch"),
            target: number("/data/target/epoch"),
            data: vote["data"].to_string(),
        };
        let votes = self.votes.entry(number("/attester_index")).or_default();
        if !votes.contains(&new) {
            votes.push(new);
        }
    }

    fn block(&mut self, proposer: u64, slot: u64, root: Root) {
        let roots = self.blocks.entry((proposer, slot)).or_default();
        if !roots.contains(&root) {
            roots.push(root);
        }
    }

    /// What could be slashed. Spec: phase0/beacon-chain.md, `is_slashable_attestation_data` and
    /// `process_proposer_slashing`.
    pub(crate) fn slashable(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (validator, votes) in &self.votes {
            for (place, one) in votes.iter().enumerate() {
                for two in &votes[..place] {
                    let surrounds = |a: &Vote, b: &Vote| a.source < b.source && b.target < a.target;
                    if one.target == two.target || surrounds(one, two) || surrounds(two, one) {
                        found.push(format!("validator {validator}: {one:?} and {two:?}"));
                    }
                }
            }
        }
        let double = self.blocks.iter().filter(|(_, roots)| roots.len() > 1);
        found.extend(double.map(|(of, roots)| format!("proposer and slot {of:?}: {roots:?}")));
        found
    }
}

/// A request that a client could have sent.
fn attestations(votes: &[(u64, u64, u64, &str)]) -> Vec<u8> {
    let one = |(validator, source, target, head): &(u64, u64, u64, &str)| {
        serde_json::json!({"attester_index": validator.to_string(), "data": {"beacon_block_root": head,
            "source": {"epoch": source.to_string()}, "target": {"epoch": target.to_string()}}})
    };
    let body = Value::Array(votes.iter().map(one).collect()).to_string();
    let head = format!(
        "POST /eth/v2/beacon/pool/attestations HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

#[test]
fn what_is_slashable_is_found() {
    let judged = |votes: &[(u64, u64, u64, &str)]| {
        let mut signed = Signed::default();
        // Cut off in the middle, after a whole one.
        signed.read(&[attestations(votes), attestations(&[(9, 0, 1, "x")])[..90].to_vec()].concat());
        signed.slashable().len()
    };
    assert_eq!(
        judged(&[(1, 0, 1, "a"), (1, 1, 2, "b"), (1, 0, 1, "a"), (2, 0, 1, "c")]),
        0
    );
    assert_eq!(judged(&[(1, 0, 1, "a"), (1, 0, 1, "b")]), 1, "two votes for a target");
    assert_eq!(judged(&[(1, 0, 4, "a"), (1, 1, 3, "b")]), 1, "one around the other");
    let mut signed = Signed::default();
    signed.block(3, 7, Root::default());
    signed.block(3, 8, Root::from([1; 32]));
    assert!(signed.slashable().is_empty());
    signed.block(3, 7, Root::from([1; 32]));
    assert_eq!(signed.slashable().len(), 1, "two blocks for a slot");
}
