//! How many votes of gossip a core checks in a second: all those of a slot, who vote for the same, handed in as they are
//! where they come within a few milliseconds of each other, and one after the other.
//!
//! The way is that of the node: bytes as gossipsub hands them over are decoded and given to a running chain, whose workers
//! apply the rules of the topic and check signatures, and whose own thread enters them. Time is processor time of the whole
//! process. What is before that (the connection, decompression, the id of the message) is the same for both and not in it.

use consensus::constants::DOMAIN_BEACON_ATTESTER;
use consensus::duties::compute_subnet_for_attestation;
use consensus::gossip::Verdict;
use consensus::helpers::accessors::{get_beacon_committee, get_committee_count_per_slot};
use consensus::keys::Keys;
use consensus::signing::{get_domain, signing_root_of};
use consensus::ssz::{Bytes, Ssz};
use consensus::types::{AttestationData, Checkpoint, SingleAttestation, Slot};
use consensus::{Config, Fork};
use node::chain::{Chain, Message};
use node::execution::Engine;
use node::execution::dev::{DevEngine, DevOptions};
use node::genesis::{DevnetOptions, GenesisKey, Withdrawals, devnet_config, genesis_state, interop_secret_key};
use node::network::gossip::decode::{Decoded, decode};
use node::network::gossip::topics::Topic;
use node::run::{Parts, Running, start};
use node::start::Anchor;
use node::stop::Stop;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use storage::{Identity, Storage};
use synthetic::process_cpu_ms;

/// Slots whose votes are checked, half of them together: all are of the past, and of the first epoch.
const SLOTS: Slot = 6;
/// Seconds of a slot: none begins within the run that would change the epoch.
const SLOT_SECONDS: u64 = 12;

/// A message as it comes: its topic and its bytes.
type Came = (Topic, Vec<u8>);

pub(super) fn bench(validators: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-gossip-{}", std::process::id()));
    runtime.block_on(async {
        let running = node(validators, &folder).await;
        println!("\nvotes of gossip, {validators} validators");
        let mut rates = [Vec::new(), Vec::new()];
        for slot in 1..=SLOTS {
            let together = slot % 2 == 1;
            let votes = votes_of(&running.chain, slot);
            let count = votes.len();
            let begun = process_cpu_ms();
            let verdicts = check(&running.chain, votes, together).await;
            let rate = count as f64 / (process_cpu_ms() - begun) * 1e3;
            assert!(
                verdicts.iter().all(|verdict| *verdict == Verdict::Accept),
                "an honest vote is not accepted: {:?}",
                verdicts.iter().find(|verdict| **verdict != Verdict::Accept)
            );
            let how = if together { "together" } else { "one by one" };
            println!("  {count} for the same, {how}: {rate:.0} a second and core");
            rates[usize::from(together)].push(rate);
        }
        let [alone, together] = rates.map(|rates| rates.iter().sum::<f64>() / rates.len() as f64);
        println!(
            "  in the mean {together:.0} against {alone:.0}: {:.1} times",
            together / alone
        );
        running.stop.stop();
        running.end().await;
    });
    std::fs::remove_dir_all(&folder).expect("the folder was made here");
}

/// A node without peers, whose chain began a few slots ago and has no block but the first.
async fn node(validators: u64, folder: &Path) -> Running {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is right");
    let options = DevnetOptions {
        genesis_fork: Fork::Fulu,
        schedule: Vec::new(),
        slot_duration_ms: SLOT_SECONDS * 1000,
        genesis_time: now.as_secs() - (SLOTS + 1) * SLOT_SECONDS,
        blob_schedule: Vec::new(),
    };
    let config = devnet_config(Config::standard(), &options).expect("the options fit together");
    let validators: Vec<_> = (0..validators)
        .map(|index| GenesisKey::interop(index).validator(Withdrawals::Bls))
        .collect();
    let state = genesis_state(&config, options.genesis_time, &validators).expect("the keys are valid");
    let root = state.genesis_validators_root;
    let dev = DevOptions {
        blobs_per_block: 0,
        hide_blobs: false,
    };
    let engine = DevEngine::new(&config, options.genesis_time, &root, dev).expect("it is no public network");
    let storage = Storage::open(&folder.join("db"), &Identity::of(root), &storage::Options::default());
    let parts = Parts {
        config: Arc::new(config),
        keys: Keys::of(&state).expect("the keys are valid"),
        anchor: Anchor::genesis(state).expect("it is a genesis"),
        storage: storage.expect("the folder can be written"),
        engine: Arc::new(Engine::Dev(Arc::new(engine))),
        fee_recipient: Bytes([0xfe; 20]),
        safe_slots: 128,
        builder: None,
    };
    start(parts, Stop::new()).await.expect("the node starts")
}

/// The votes of all committees of a slot for the first block.
fn votes_of(chain: &Chain, slot: Slot) -> Vec<Came> {
    let snapshot = chain.snapshot();
    let state = &snapshot.head_state;
    let data = AttestationData {
        slot,
        index: 0,
        beacon_block_root: snapshot.head.root,
        source: state.current_justified_checkpoint,
        target: Checkpoint {
            epoch: 0,
            root: snapshot.head.root,
        },
    };
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, 0);
    let signed = signing_root_of(data.hash_tree_root(Fork::Fulu), domain);
    let committees = get_committee_count_per_slot(state, 0);
    let mut votes = Vec::new();
    for committee_index in 0..committees {
        let subnet = compute_subnet_for_attestation(chain.config(), committees, slot, committee_index);
        let committee = get_beacon_committee(state, slot, committee_index).expect("the committee exists");
        votes.extend(committee.iter().map(|attester| {
            let attester_index = u64::from(*attester);
            let signature = interop_secret_key(attester_index).sign(&signed.0).to_bytes();
            let vote = SingleAttestation {
                committee_index,
                attester_index,
                data,
                signature: Bytes(signature),
            };
            (Topic::BeaconAttestation(subnet), vote.encode(Fork::Fulu))
        }));
    }
    votes
}

async fn check(chain: &Chain, votes: Vec<Came>, together: bool) -> Vec<Verdict> {
    let decoded = |(topic, bytes): Came| match decode(topic, Fork::Fulu, &bytes) {
        Ok(Decoded::Message(message)) => *message,
        _ => panic!("an honest vote cannot be decoded"),
    };
    if together {
        let votes: Vec<Message> = votes.into_iter().map(decoded).collect();
        return chain.submit(votes).await;
    }
    let mut verdicts = Vec::with_capacity(votes.len());
    for vote in votes {
        verdicts.extend(chain.submit(vec![decoded(vote)]).await);
    }
    verdicts
}
