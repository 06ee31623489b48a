//! No interleaving of concurrent requests, kills and restarts yields two signatures that contradict each other.
//!
//! A child process signs from many tasks at once and publishes what it gets on standard output. It is killed at some
//! moment and started again on the same folder. What was published, over all its lives, is compared pair by pair with the
//! spec's own definition of what is slashable.

use crate::{Random, Scratch, child_command, child_mode, long, spawn_child};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::{Bytes, Root};
use consensus::types::{AttestationData, BLSPubkey, BeaconBlockHeader, Checkpoint, Epoch, Slot};
use consensus::{Config, Fork};
use crypto::derive::SecretBytes;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::sync::mpsc;
use std::time::Duration;
use validator::keys::{Candidate, Standing, Vouch, import};
use validator::signer::{Message, Refused, Signer};
use validator::slashing_protection::{FILE_NAME, KeyState, Record, SlashingProtection};

pub(crate) const GENESIS_ROOT: Root = Bytes([7; 32]);
const KEYS: u8 = 3;
/// Tasks that sign at the same time.
const TASKS: u64 = 6;

/// Something that was signed and has left the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    Block {
        key: u8,
        slot: Slot,
        root: u8,
    },
    Vote {
        key: u8,
        source: Epoch,
        target: Epoch,
        root: u8,
    },
}

impl Published {
    /// Spec: phase0/beacon-chain.md, `is_slashable_attestation_data` and `process_proposer_slashing`.
    fn contradicts(&self, other: &Published) -> bool {
        use Published::{Block, Vote};
        match (*self, *other) {
            (
                Block { key, slot, root },
                Block {
                    key: k,
                    slot: s,
                    root: r,
                },
            ) => key == k && slot == s && root != r,
            (
                Vote {
                    key,
                    source,
                    target,
                    root,
                },
                Vote {
                    key: k,
                    source: s,
                    target: t,
                    root: r,
                },
            ) => {
                let is_double_vote = target == t && (source, root) != (s, r);
                let surrounds = (source < s && t < target) || (s < source && target < t);
                key == k && (is_double_vote || surrounds)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Published::Block { key, slot, root } => write!(f, "SIGNED block {key} {slot} {root}"),
            Published::Vote {
                key,
                source,
                target,
                root,
            } => write!(f, "SIGNED vote {key} {source} {target} {root}"),
        }
    }
}

impl FromStr for Published {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).ok_or(());
        match words.get(..2) {
            Some(["SIGNED", "block"]) => Ok(Published::Block {
                key: number(2)? as u8,
                slot: number(3)?,
                root: number(4)? as u8,
            }),
            Some(["SIGNED", "vote"]) => Ok(Published::Vote {
                key: number(2)? as u8,
                source: number(3)?,
                target: number(4)?,
                root: number(5)? as u8,
            }),
            _ => Err(()),
        }
    }
}

/// A folder with a few enabled keys; their public keys in the order of their numbers.
pub(crate) fn prepare(folder: &Path) -> Vec<BLSPubkey> {
    let candidate = |number: u8| Candidate {
        secret: SecretBytes::new([number + 1; 32]),
        path: String::new(),
        description: None,
    };
    let candidates: Vec<Candidate> = (0..KEYS).map(candidate).collect();
    let new = Vouch::New(&|_| Standing::BeforeStart);
    let imported = import(folder, GENESIS_ROOT, &candidates, &new).expect("keys can be imported");
    imported.into_iter().map(|imported| imported.pubkey).collect()
}

fn config() -> Config {
    Config::network("mainnet")
        .or_else(|_| Config::network("devnet"))
        .expect("one of them has this preset")
        .with_forks_at_genesis(Fork::Fulu)
}

/// A request near that epoch, contradicting others often.
fn request(random: &mut Random, epoch: Epoch) -> Published {
    let (key, root) = (random.below(u64::from(KEYS)) as u8, random.below(2) as u8);
    if random.below(3) == 0 {
        return Published::Block {
            key,
            slot: epoch * SLOTS_PER_EPOCH + random.below(5),
            root,
        };
    }
    let target = epoch + random.below(4);
    Published::Vote {
        key,
        source: target.saturating_sub(random.below(5)),
        target,
        root,
    }
}

pub(crate) async fn sign(
    signer: &Signer,
    keys: &[BLSPubkey],
    requests: &[Published],
    now: Slot,
) -> Vec<Result<(), Refused>> {
    let headers: Vec<BeaconBlockHeader> = requests.iter().map(header).collect();
    let votes: Vec<AttestationData> = requests.iter().map(vote).collect();
    let message = |(at, request): (usize, &Published)| match *request {
        Published::Block { key, slot, .. } => {
            let block_header = &headers[at];
            (keys[key as usize], Message::Block { slot, block_header })
        }
        Published::Vote { key, .. } => (keys[key as usize], Message::Attestation(&votes[at])),
    };
    let messages = requests.iter().enumerate().map(message).collect();
    let signed = signer.sign(messages, now).await;
    signed.into_iter().map(|signed| signed.map(|_| ())).collect()
}

fn header(request: &Published) -> BeaconBlockHeader {
    match *request {
        Published::Block { slot, root, .. } => BeaconBlockHeader {
            slot,
            state_root: Bytes([root; 32]),
            ..BeaconBlockHeader::default()
        },
        Published::Vote { .. } => BeaconBlockHeader::default(),
    }
}

fn vote(request: &Published) -> AttestationData {
    match *request {
        Published::Vote {
            source, target, root, ..
        } => AttestationData {
            slot: target * SLOTS_PER_EPOCH,
            beacon_block_root: Bytes([root; 32]),
            source: Checkpoint {
                epoch: source,
                root: Root::ZERO,
            },
            target: Checkpoint {
                epoch: target,
                root: Root::ZERO,
            },
            ..AttestationData::default()
        },
        Published::Block { .. } => AttestationData::default(),
    }
}

/// One task of the child: signs random things one after another, or some at once, and publishes what it gets.
async fn sign_at_random(signer: Signer, keys: Vec<BLSPubkey>, seed: u64, epoch: Epoch, moments: u64) {
    let mut random = Random(seed);
    for moment in 0..moments {
        let epoch = epoch + moment / 5; // time passes, or there would soon be nothing left to sign
        let requests: Vec<Published> = (0..=random.below(3)).map(|_| request(&mut random, epoch)).collect();
        let answers = sign(&signer, &keys, &requests, (epoch + 8) * SLOTS_PER_EPOCH).await;
        for (request, answer) in requests.iter().zip(answers) {
            match answer {
                Ok(()) => writeln!(std::io::stdout(), "{request}").expect("the parent reads"),
                Err(Refused::Slashable(_)) => {}
                Err(other) => panic!("{request}: {other}"),
            }
        }
    }
}

/// Not a test by itself: what the child process runs.
#[test]
fn child() {
    let Some((mode, folder, seed)) = child_mode() else {
        return;
    };
    let keys = || {
        let store = validator::keys::KeyStore::new(&folder);
        // The order of numbers is that of secrets; the list is in that of public keys.
        let listed = store.list().expect("listed");
        let number = |number: u8| {
            let secret = crypto::bls::SecretKey::from_bytes(&[number + 1; 32]).expect("a key");
            Bytes(secret.public_key().to_compressed())
        };
        let keys: Vec<BLSPubkey> = (0..KEYS).map(number).collect();
        assert!(keys.iter().all(|key| listed.contains(key)));
        keys
    };
    let epoch = 10 + seed / 4;
    match mode.as_str() {
        "sign" | "sign-a-little" => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .build()
                .expect("a runtime");
            let signer = Signer::open(&folder, config(), GENESIS_ROOT).expect("the folder opens");
            let moments = if mode == "sign" { 1000 } else { 40 };
            let task = |task| sign_at_random(signer.clone(), keys(), seed * TASKS + task, epoch, moments);
            let tasks: Vec<_> = (0..TASKS).map(|number| runtime.spawn(task(number))).collect();
            for task in tasks {
                runtime.block_on(task).expect("a task ends");
            }
        }
        "record" => {
            let database = SlashingProtection::open(&folder.join(FILE_NAME), GENESIS_ROOT).expect("it opens");
            let record = Record::Block {
                slot: seed,
                signing_root: Bytes([1; 32]),
            };
            let recorded = database.record(&[(keys()[0], record)]);
            assert!(recorded[0].is_ok());
            std::process::abort(); // on record, not signed
        }
        "until-full" => sign_until_full(&folder, &keys()),
        other => panic!("there is no mode {other}"),
    }
}

/// Signs blocks one after another until the disk is full, and a little longer.
fn sign_until_full(folder: &Path, keys: &[BLSPubkey]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let signer = Signer::open(folder, config(), GENESIS_ROOT).expect("the folder opens");
    let mut failures = 0;
    for slot in 1..1000 {
        let block = Published::Block { key: 0, slot, root: 1 };
        match runtime.block_on(sign(&signer, keys, &[block], slot)).remove(0) {
            Ok(()) => writeln!(std::io::stdout(), "{block}").expect("the parent reads"),
            Err(Refused::Database(_)) => failures += 1,
            Err(other) => panic!("{block}: {other}"),
        }
        if failures == 5 {
            return;
        }
    }
    panic!("the disk never was full");
}

/// A limit on the size of files stands for a full disk: writing fails at some point in the middle of a record.
#[test]
fn a_full_disk_signs_nothing_and_damages_nothing() {
    for kib in [96, 128, 150] {
        let scratch = Scratch::new("full");
        let keys = prepare(&scratch.0);
        let child = child_command("model::child", "until-full", &scratch.0, 0);
        // Exceeding the limit would kill the process, unless it is told to take an error in place of that.
        let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
        let output = Command::new("sh")
            .args(["-c", &limit])
            .arg(child.get_program())
            .args(child.get_args())
            .envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .output()
            .expect("sh starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let published: Vec<Published> = lines.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(
            published.len() > 3,
            "only {} signatures before the disk was full",
            published.len()
        );

        let database = SlashingProtection::open(&scratch.path(FILE_NAME), GENESIS_ROOT).expect("it opens");
        let block = |slot| Record::Block {
            slot,
            signing_root: Bytes([9; 32]),
        };
        for signed in &published {
            let Published::Block { slot, .. } = *signed else {
                panic!("only blocks were asked for")
            };
            let answer = database.record(&[(keys[0], block(slot))]).remove(0);
            assert!(matches!(answer, Err(Refused::Slashable(_))), "{signed}: {answer:?}");
        }
        assert!(
            database.record(&[(keys[0], block(5000))])[0].is_ok(),
            "with room again, it goes on"
        );
    }
}

#[test]
fn kills_and_restarts_yield_nothing_slashable() {
    let scratch = Scratch::new("model");
    prepare(&scratch.0);
    let lives = if long() { 2000 } else { 200 };
    let mut random = Random(99);
    let mut published: Vec<Published> = Vec::new();
    for life in 0..lives {
        let before = published.len();
        for signed in live_and_die(&scratch.0, life, &mut random) {
            let other = published.iter().find(|other| other.contradicts(&signed));
            assert_eq!(other, None, "life {life}: against {signed}");
            published.push(signed);
        }
        // Old signatures are too far away to meet new ones, and comparing all pairs would take hours.
        if published.len() > 4000 {
            published.drain(..1000);
        }
        assert!(published.len() >= before.min(3000));
    }
    assert!(
        published.len() > 100,
        "only {} signatures: the test shows nothing",
        published.len()
    );
}

/// Starts the child, kills it at some moment, and returns what it has published.
pub(crate) fn live_and_die(folder: &Path, life: u64, random: &mut Random) -> Vec<Published> {
    let mut child = spawn_child("model::child", "sign", folder, life);
    let stdout = child.stdout.take().expect("it is piped");
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { break };
            if send.send(line).is_err() {
                break;
            }
        }
    });
    let mut published = Vec::new();
    let wanted = random.below(12);
    while (published.len() as u64) < wanted {
        match receive.recv_timeout(Duration::from_mins(1)) {
            Ok(line) => published.extend(line.parse::<Published>()),
            Err(error) => panic!("life {life} published {} of {wanted}: {error}", published.len()),
        }
    }
    // Anywhere from at once to a few syncs later.
    std::thread::sleep(Duration::from_micros(random.below(8000)));
    child.kill().expect("it can be killed");
    child.wait().expect("it is dead");
    reader.join().expect("the reader ends");
    published.extend(receive.try_iter().filter_map(|line| line.parse::<Published>().ok()));
    published
}

#[test]
fn a_kill_between_record_and_signature_leaves_the_record() {
    let scratch = Scratch::new("between");
    let keys = prepare(&scratch.0);
    for slot in 1..=if long() { 300 } else { 30 } {
        let mut child = spawn_child("model::child", "record", &scratch.0, slot);
        assert!(!child.wait().expect("it ends").success());
        let database = SlashingProtection::open(&scratch.path(FILE_NAME), GENESIS_ROOT).expect("it opens");
        let block = |root| Record::Block {
            slot,
            signing_root: Bytes([root; 32]),
        };
        let answers = database.record(&[(keys[0], block(2)), (keys[0], block(1))]);
        assert!(matches!(answers[0], Err(Refused::Slashable(_))), "{:?}", answers[0]);
        assert!(answers[1].is_ok(), "the same once more: {:?}", answers[1]);
    }
}

#[test]
fn many_tasks_at_once_yield_nothing_slashable() {
    let scratch = Scratch::new("tasks");
    let keys = prepare(&scratch.0);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .expect("a runtime");
    let rounds = if long() { 3000 } else { 300 };
    let (mut random, mut signed_at_all) = (Random(5), 0);
    let mut signer = Signer::open(&scratch.0, config(), GENESIS_ROOT).expect("the folder opens");
    let mut published: Vec<Published> = Vec::new();
    for round in 0..rounds {
        let epoch = 10 + round / 8;
        let requests: Vec<Vec<Published>> = (0..TASKS)
            .map(|_| (0..2).map(|_| request(&mut random, epoch)).collect())
            .collect();
        let tasks: Vec<_> = requests
            .into_iter()
            .map(|requests| {
                let (signer, keys) = (signer.clone(), keys.clone());
                runtime.spawn(async move {
                    let answers = sign(&signer, &keys, &requests, (epoch + 8) * SLOTS_PER_EPOCH).await;
                    (requests, answers)
                })
            })
            .collect();
        for task in tasks {
            let (requests, answers) = runtime.block_on(task).expect("a task ends");
            for (request, answer) in requests.into_iter().zip(answers) {
                if answer.is_ok() {
                    let other = published.iter().find(|other| other.contradicts(&request));
                    assert_eq!(other, None, "round {round}: against {request}");
                    published.push(request);
                    signed_at_all += 1;
                }
            }
        }
        if random.below(10) == 0 {
            drop(signer);
            let database = SlashingProtection::open(&scratch.path(FILE_NAME), GENESIS_ROOT).expect("it opens");
            database.prune(random.below(5)).expect("it can be pruned");
            database
                .set_state(&keys[0], KeyState::Enabled, "")
                .expect("it can be set");
            drop(database);
            signer = Signer::open(&scratch.0, config(), GENESIS_ROOT).expect("the folder opens");
        }
        published.drain(..published.len().saturating_sub(2000));
    }
    assert!(
        signed_at_all > rounds / 2,
        "only {signed_at_all} signatures: the test shows nothing"
    );
}
