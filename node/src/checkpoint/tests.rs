//! Checkpoints that are wrong, and servers that are.

use super::*;
use crate::tls::Authorities;
use consensus::Fork;
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, PersistentList};
use consensus::types::{BeaconBlock, BeaconBlockBody, BeaconBlockHeader, BeaconState, ForkInfo, Slot, Validator};
use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const GENESIS_ROOT: Root = Bytes([0x42; 32]);
pub(super) const SLOT: Slot = 40 * SLOTS_PER_EPOCH;

pub(super) fn config() -> Config {
    Config::standard().with_forks_at_genesis(Fork::Altair)
}

/// A checkpoint as bytes.
pub(super) struct Pair {
    pub(super) state: Vec<u8>,
    pub(super) block: Vec<u8>,
}

impl Pair {
    fn raw(&self) -> Raw {
        Raw {
            state: Encoded::in_memory(self.state.clone()),
            block: self.block.clone(),
        }
    }
}

/// A state and its block, as bytes: they belong together, whoever signed.
fn checkpoint(change: impl FnOnce(&mut BeaconState)) -> Pair {
    checkpoint_at(SLOT, change)
}

pub(super) fn checkpoint_at(slot: Slot, change: impl FnOnce(&mut BeaconState)) -> Pair {
    let (fork, config) = (Fork::Altair, config());
    let mut block = BeaconBlock::new(fork);
    block.slot = slot;
    let mut beacon = BeaconState::new(fork);
    beacon.slot = slot;
    beacon.genesis_validators_root = GENESIS_ROOT;
    let version = config.compute_fork_version(0);
    beacon.fork = ForkInfo {
        previous_version: version,
        current_version: version,
        epoch: 0,
    };
    beacon.latest_block_header = BeaconBlockHeader {
        slot,
        body_root: BeaconBlockBody::new(fork).hash_tree_root(fork),
        ..BeaconBlockHeader::default()
    };
    let validator = Validator {
        effective_balance: 32_000_000_000,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
        ..Validator::default()
    };
    beacon.validators = PersistentList::from_vec(vec![validator; 64]);
    beacon.balances = PersistentList::from_vec(vec![32_000_000_000; 64]);
    for list in [
        &mut beacon.previous_epoch_participation,
        &mut beacon.current_epoch_participation,
    ] {
        *list = PersistentList::from_vec(vec![0; 64]);
    }
    beacon.inactivity_scores = PersistentList::from_vec(vec![0; 64]);
    change(&mut beacon);
    let state = State::new(fork, beacon);
    block.state_root = state.hash_tree_root();
    let block = SignedBeaconBlock {
        message: block,
        ..SignedBeaconBlock::new(fork)
    };
    Pair {
        state: state.encode(),
        block: block.encode(fork),
    }
}

fn refusal(pair: &Pair) -> String {
    format!("{:#}", verify(pair.raw(), &config(), GENESIS_ROOT).unwrap_err())
}

#[test]
fn a_checkpoint_is_checked_against_itself_and_the_network() {
    let good = checkpoint(|_| {});
    let verified = verify(good.raw(), &config(), GENESIS_ROOT).unwrap();
    assert_eq!(verified.anchor.block.slot, SLOT);
    let other = checkpoint(|state| state.eth1_deposit_index = 7);
    let mixed = Pair {
        state: other.state,
        block: good.block.clone(),
    };
    assert!(
        refusal(&mixed).contains("do not belong together"),
        "{}",
        refusal(&mixed)
    );
    let foreign = checkpoint(|state| state.genesis_validators_root = Bytes([0x43; 32]));
    assert!(refusal(&foreign).contains("another network"), "{}", refusal(&foreign));
    let forked = checkpoint(|state| state.fork.current_version = Bytes([9; 4]));
    assert!(refusal(&forked).contains("fork version"), "{}", refusal(&forked));
    let unrelated = checkpoint(|state| state.latest_block_header.proposer_index = 3);
    assert!(
        refusal(&unrelated).contains("latest block of its state"),
        "{}",
        refusal(&unrelated)
    );
    let short = Pair {
        state: good.state[..1000].to_vec(),
        block: good.block.clone(),
    };
    assert!(refusal(&short).contains("no altair state"), "{}", refusal(&short));
    let shorter = Pair {
        state: good.state[..47].to_vec(),
        block: good.block.clone(),
    };
    assert!(refusal(&shorter).contains("too short"), "{}", refusal(&shorter));
}

#[test]
fn an_old_checkpoint_is_refused_with_the_command_that_helps() {
    let verified = verify(checkpoint(|_| {}).raw(), &config(), GENESIS_ROOT).unwrap();
    let state = &verified.anchor.state;
    check_age(state, &config(), 40 + 200).unwrap();
    let why = check_age(state, &config(), 1_000_000).unwrap_err().to_string();
    assert!(why.contains("wren node --resync --checkpoint-sync-url"), "{why}");
}

#[test]
fn the_chain_must_have_the_checkpoint_that_is_named() {
    let anchor = verify(checkpoint(|_| {}).raw(), &config(), GENESIS_ROOT)
        .unwrap()
        .anchor;
    let wss = |epoch: u64, root: Root| parse_wss(&format!("{root}:{epoch}")).unwrap();
    assert!(check_wss(&anchor.state, anchor.root, &wss(40, anchor.root)).unwrap());
    assert!(!check_wss(&anchor.state, anchor.root, &wss(41, anchor.root)).unwrap());
    let why = check_wss(&anchor.state, anchor.root, &wss(40, GENESIS_ROOT)).unwrap_err();
    assert!(why.to_string().contains("not the chain of --wss-checkpoint"), "{why}");
    // Of an epoch before: the state knows the block of its first slot.
    let before = checkpoint(|state| {
        *state
            .block_roots
            .get_mut(39 * SLOTS_PER_EPOCH as usize % state.block_roots.len())
            .unwrap() = Bytes([8; 32]);
    });
    let anchor = verify(before.raw(), &config(), GENESIS_ROOT).unwrap().anchor;
    assert!(check_wss(&anchor.state, anchor.root, &wss(39, Bytes([8; 32]))).unwrap());
    assert!(check_wss(&anchor.state, anchor.root, &wss(39, Bytes([7; 32]))).is_err());
    for wrong in ["", "0x12:3", "7", &format!("{GENESIS_ROOT}:x")] {
        assert!(parse_wss(wrong).is_err(), "{wrong}");
    }
}

/// How a server treats the state.
#[derive(Clone, Copy)]
enum Manner {
    Honest,
    /// Breaks off after this many bytes of each answer, and goes on where it is asked to.
    Cuts(usize),
    /// The same without knowing of ranges, but the third time it sends all.
    CutsTwice(usize),
    /// Never ends.
    Endless,
    /// Sends so many bytes of each answer and nothing more.
    Falls(usize),
}

/// Serves a checkpoint on a loopback port; counts requests for the state.
async fn serve(raw: Pair, spec: serde_json::Value, manner: Manner) -> (String, &'static AtomicUsize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count: &'static AtomicUsize = Box::leak(Box::default());
    let spec = serde_json::json!({ "data": spec }).to_string().into_bytes();
    let answers = HashMap::from([
        ("/eth/v1/config/spec", spec),
        ("/eth/v2/beacon/blocks/finalized", raw.block),
    ]);
    let answers: &'static HashMap<&str, Vec<u8>> = Box::leak(Box::new(answers));
    let state: &'static [u8] = raw.state.leak();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, answers, state, manner, count));
        }
    });
    (url, count)
}

async fn answer(
    mut stream: TcpStream,
    answers: &HashMap<&str, Vec<u8>>,
    state: &[u8],
    manner: Manner,
    count: &AtomicUsize,
) -> Option<()> {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.ok()?);
        }
        let request = String::from_utf8(request).unwrap().to_lowercase();
        let path = request.split(' ').nth(1).unwrap();
        if let Some(body) = answers.get(path) {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(body).await.ok()?;
            continue;
        }
        assert!(path.starts_with("/eth/v2/debug/beacon/states/0x"), "{path}");
        let number = count.fetch_add(1, Ordering::Relaxed);
        let range = request
            .split("range: bytes=")
            .nth(1)
            .and_then(|text| text.split('-').next()?.parse().ok());
        let from: usize = match manner {
            Manner::CutsTwice(_) => 0,
            _ => range.unwrap_or(0),
        };
        let rest = &state[from..];
        let status = if from > 0 {
            format!(
                "206 Partial Content\r\ncontent-range: bytes {from}-{}/{}",
                state.len() - 1,
                state.len()
            )
        } else {
            "200 OK".to_owned()
        };
        let length = if matches!(manner, Manner::Endless) {
            String::new()
        } else {
            format!("content-length: {}\r\n", rest.len())
        };
        let head = format!("HTTP/1.1 {status}\r\n{length}\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        match manner {
            Manner::Honest => stream.write_all(rest).await.ok()?,
            Manner::CutsTwice(_) if number == 2 => stream.write_all(rest).await.ok()?,
            Manner::Cuts(most) | Manner::CutsTwice(most) => {
                stream.write_all(&rest[..most.min(rest.len())]).await.ok()?;
                return None;
            }
            Manner::Endless => loop {
                stream.write_all(&vec![0; 65536]).await.ok()?;
            },
            Manner::Falls(most) => {
                stream.write_all(&rest[..most]).await.ok()?;
                std::future::pending::<()>().await;
            }
        }
    }
}

pub(super) fn limits() -> Limits {
    Limits {
        silence: Duration::from_secs(20),
        attempts: 3,
        pause: Duration::from_millis(10),
        rate: 10_000,
        grace: Duration::from_mins(1),
        state_bytes: 8 << 20,
    }
}

pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("wren-checkpoint-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let good = checkpoint(|_| {});
    let (len, spec) = (good.state.len(), config().spec_json());
    for (manner, requests) in [
        (Manner::Honest, 1),
        (Manner::Cuts(len / 3 + 1), 3),
        (Manner::CutsTwice(len / 2), 3),
    ] {
        let folder = Folder::new();
        let raw = checkpoint(|_| {});
        let (url, count) = serve(raw, spec.clone(), manner).await;
        let fetched = fetch(&url, &Authorities::default(), &config(), &folder.0, &limits())
            .await
            .unwrap();
        assert_eq!(fetched.block, good.block);
        assert_eq!(fetched.state.length(), len as u64);
        let state = fetched.state.decode(&config()).unwrap();
        assert_eq!(state.encode(), good.state);
        assert_eq!(count.load(Ordering::Relaxed), requests);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0, "nothing is left over");
    }
}

#[tokio::test]
async fn a_server_that_does_not_behave_is_given_up_with_a_sentence() {
    let spec = config().spec_json();
    let ask = async |manner, limits: Limits| {
        let folder = Folder::new();
        let (url, _) = serve(checkpoint(|_| {}), spec.clone(), manner).await;
        let error = fetch(&url, &Authorities::default(), &config(), &folder.0, &limits)
            .await
            .unwrap_err();
        format!("{error:#}")
    };
    let endless = ask(Manner::Endless, limits()).await;
    assert!(endless.contains("sends more than the"), "{endless}");
    let quick = Limits {
        silence: Duration::from_millis(200),
        attempts: 2,
        ..limits()
    };
    let silent = ask(Manner::Falls(0), quick).await;
    assert!(
        silent.contains("nothing came") && silent.contains("again and again"),
        "{silent}"
    );
    // Who sends a little again and again is not silent, but slow.
    let slow = Limits {
        grace: Duration::from_secs(1),
        ..quick
    };
    let trickle = ask(Manner::Falls(10), slow).await;
    assert!(trickle.contains("bytes a second"), "{trickle}");
    let download = Download::new("http://127.0.0.1:1", &Authorities::default(), &quick).unwrap();
    let refused = download.bytes("/", "*/*", 1).await.unwrap_err();
    assert!(format!("{refused:#}").contains("cannot be reached"), "{refused:#}");
    for wrong in ["127.0.0.1:5052", "ftp://host", "http://", "nonsense with spaces"] {
        assert!(
            Download::new(wrong, &Authorities::default(), &limits()).is_err(),
            "{wrong}"
        );
    }
    assert_eq!(
        Download::new("http://user:secret@host/path/", &Authorities::default(), &limits())
            .unwrap()
            .name(),
        "host"
    );
}

#[tokio::test]
async fn a_server_with_another_fork_schedule_is_refused_in_plain_words() {
    let change = async |key: &str, value: serde_json::Value| {
        let mut spec = config().spec_json();
        spec[key] = value;
        let folder = Folder::new();
        let (url, count) = serve(checkpoint(|_| {}), spec, Manner::Honest).await;
        let fetched = fetch(&url, &Authorities::default(), &config(), &folder.0, &limits()).await;
        assert_eq!(
            fetched.is_ok(),
            count.load(Ordering::Relaxed) > 0,
            "no state of the wrong network is fetched"
        );
        fetched.map_err(|error| format!("{error:#}"))
    };
    let other = change("ELECTRA_FORK_EPOCH", "1234".into()).await.unwrap_err();
    assert!(other.contains("another fork schedule: ELECTRA_FORK_EPOCH"), "{other}");
    let newer = change("HEZE_FORK_EPOCH", "99".into()).await.unwrap_err();
    assert!(newer.contains("HEZE_FORK_EPOCH"), "{newer}");
    // What nobody has scheduled, and what is no schedule, is no matter.
    change("HEZE_FORK_EPOCH", FAR_FUTURE_EPOCH.to_string().into())
        .await
        .unwrap();
    change("HEZE_FORK_VERSION", "0x80000000".into()).await.unwrap();
    change("SOMETHING_ELSE", "7".into()).await.unwrap();
}

#[test]
fn a_node_begins_again_at_the_checkpoint_that_it_kept() {
    // Not at the start of its epoch: the slots after it were empty.
    let slot = SLOT + 3;
    let raw = checkpoint_at(slot, |_| {});
    let verified = verify(raw.raw(), &config(), GENESIS_ROOT).unwrap();
    let folder = Folder::new();
    let identity = storage::Identity::of(GENESIS_ROOT);
    let storage = Storage::open(&folder.0, &identity, &storage::Options::default()).unwrap();
    assert!(Anchor::stored(&storage).unwrap().is_none());
    keep(&storage, &verified).unwrap();
    // A later state on disk is not final.
    let mut later = State::clone(&verified.anchor.state);
    later.slot += SLOTS_PER_EPOCH;
    storage.save_state(&later, &Bytes([1; 32])).unwrap();
    let anchor = Anchor::stored(&storage).unwrap().unwrap();
    assert_eq!((anchor.root, anchor.state.slot), (verified.anchor.root, slot));
    let store = anchor.store(&Arc::new(config())).unwrap();
    let finalized = store.finalized_checkpoint();
    assert_eq!((finalized.root, finalized.epoch), (anchor.root, 40));
    // What builds on it counts as its descendant, though the epoch began before it.
    let of_epoch = store.blocks().get_checkpoint_block(&anchor.root, 40);
    assert_eq!(of_epoch, Some(anchor.root));
}
