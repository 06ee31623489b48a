//! Two branches that have been apart for long enough to have other committees, as after a network was parted: votes for
//! either are judged by its own.

use super::chain::{Chain, VALIDATORS, config_at, genesis, secret, sign_block, sign_object, sign_vote, vote_data};
use consensus::constants::{DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_SELECTION_PROOF};
use consensus::duties::compute_subnet_for_attestation;
use consensus::gossip::Verdict;
use consensus::helpers::accessors::{get_beacon_committee, get_committee_count_per_slot};
use consensus::keys::Keys;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::signing::{get_domain, signing_root_of};
use consensus::ssz::{BitList, Bytes, Ssz};
use consensus::types::{AggregateAndProof, Attestation, SignedAggregateAndProof, SignedBeaconBlock, Slot};
use consensus::{Fork, State};
use node::chain::{Imported, Message, NewBlock, Source};
use node::execution::Engine;
use node::execution::dev::{DevEngine, DevOptions};
use node::run::{Parts, Running, start};
use node::start::Anchor;
use node::stop::Stop;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use storage::{Identity, Storage};

/// The epoch whose committees the first blocks decide on, and its first slot.
const EPOCH: u64 = 2;
const START: Slot = EPOCH * SLOTS_PER_EPOCH;

/// Blocks of a branch: one in the first epoch, which makes its committees its own, and one in the third, to vote for.
fn branch(chain: &mut Chain, first: Slot) -> Vec<SignedBeaconBlock> {
    let mut extend = |slot| {
        let produced = chain.produce(slot);
        chain.state = State::clone(&produced.post_state);
        sign_block(&produced)
    };
    vec![extend(first), extend(START)]
}

async fn begin(config: &consensus::Config, state: State, storage: Storage) -> Running {
    let options = DevOptions {
        blobs_per_block: 0,
        hide_blobs: false,
    };
    let engine = DevEngine::new(config, state.genesis_time, &state.genesis_validators_root, options).unwrap();
    let parts = Parts {
        config: Arc::new(config.clone()),
        keys: Keys::of(&state).unwrap(),
        anchor: Anchor::genesis(state).unwrap(),
        storage,
        engine: Arc::new(Engine::Dev(Arc::new(engine))),
        fee_recipient: Bytes([0xfe; 20]),
        safe_slots: 128,
        builder: None,
    };
    start(parts, Stop::new()).await.unwrap()
}

async fn import(running: &Running, blocks: Vec<SignedBeaconBlock>) {
    for signed in blocks {
        let root = signed.message.hash_tree_root(Fork::Phase0);
        let imported = running.chain.import_block(NewBlock {
            block: Arc::new(signed),
            columns: Vec::new(),
            blobs: Vec::new(),
            source: Source::Sync,
            received_ms: 0,
        });
        assert_eq!(imported.await.unwrap(), Imported::Done);
        // It is acknowledged when on disk, and published a moment later or before.
        while running.chain.snapshot().block(&root).is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The votes of the first committee of the third epoch for the branch of `state`, one by one, by its own committees.
fn votes(config: &consensus::Config, state: &State) -> Vec<Message> {
    let count = get_committee_count_per_slot(state, EPOCH);
    let subnet = compute_subnet_for_attestation(config, count, START, 0);
    let committee = get_beacon_committee(state, START, 0).unwrap();
    let data = vote_data(state, START, 0);
    let vote = |place: usize| Attestation {
        aggregation_bits: (0..committee.len()).map(|other| other == place).collect::<BitList>(),
        data,
        signature: sign_vote(state, &data, u64::from(committee[place])),
        ..Attestation::default()
    };
    let all = 0..committee.len();
    all.map(|place| Message::Attestation(Box::new(vote(place)), subnet))
        .collect()
}

/// One of them as an aggregate. Committees are so small that everybody aggregates.
fn aggregate(config: &consensus::Config, state: &State) -> Message {
    let Message::Attestation(aggregate, _) = votes(config, state).remove(0) else {
        panic!("it is a vote");
    };
    let aggregator_index = u64::from(get_beacon_committee(state, START, 0).unwrap()[0]);
    let domain = get_domain(state, DOMAIN_SELECTION_PROOF, EPOCH);
    let slot_root = signing_root_of(START.hash_tree_root(Fork::Phase0), domain);
    let message = AggregateAndProof {
        aggregator_index,
        aggregate: *aggregate,
        selection_proof: Bytes(secret(aggregator_index).sign(&slot_root.0).to_bytes()),
    };
    let signature = sign_object(state, DOMAIN_AGGREGATE_AND_PROOF, EPOCH, &message, aggregator_index);
    Message::Aggregate(Box::new(SignedAggregateAndProof { message, signature }))
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_are_judged_by_the_committees_of_their_branch() {
    let config = config_at(Fork::Phase0);
    let mut state = genesis(&config, VALIDATORS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    state.genesis_time = now - (START + 2) * config.slot_duration_ms / 1000;
    let folder = std::env::temp_dir().join(format!("wren-branches-{}", std::process::id()));
    let identity = Identity::of(state.genesis_validators_root);
    let storage = Storage::open(&folder, &identity, &crate::storage_options()).unwrap();
    let running = begin(&config, state.clone(), storage.clone()).await;
    let [mut east, mut west] = [(); 2].map(|()| Chain::from_genesis(config.clone(), state.clone()));
    let [of_east, of_west] = [branch(&mut east, 1), branch(&mut west, 2)];
    let committee = |chain: &Chain| get_beacon_committee(&chain.state, START, 0).unwrap().into_owned();
    assert_ne!(committee(&east), committee(&west), "this test is of no use otherwise");
    let submit = async |messages: Vec<Message>| running.chain.submit(messages).await;
    let ignored = |verdict: &Verdict| matches!(verdict, Verdict::Ignore(_));

    // As long as nothing of the other side is known, its votes wrong nobody, whatever the committees here are.
    import(&running, of_east).await;
    let unknown = votes(&config, &west.state);
    let verdicts = submit(unknown).await;
    assert!(verdicts.iter().all(ignored), "{verdicts:?}");
    let verdicts = submit(vec![aggregate(&config, &west.state)]).await;
    assert!(verdicts.iter().all(ignored), "{verdicts:?}");

    // Those of this side are right, and wrong ones are found out.
    let accepted = |verdict: &Verdict| *verdict == Verdict::Accept;
    let mut of_east = votes(&config, &east.state);
    let Some(Message::Attestation(wrong, _)) = of_east.last_mut() else {
        panic!("there are votes");
    };
    wrong.signature.0[5] ^= 1;
    let verdicts = submit(of_east).await;
    let (last, rest) = verdicts.split_last().unwrap();
    assert!(
        rest.iter().all(accepted) && matches!(last, Verdict::Reject(_)),
        "{verdicts:?}"
    );

    // Once both sides are known, each vote counts by its own committees, and wrong ones are found out there, too.
    import(&running, of_west).await;
    let mut of_west = votes(&config, &west.state);
    of_west.push(aggregate(&config, &west.state));
    let mut wrong = votes(&config, &west.state);
    // By the committees of the other side.
    if let (Message::Attestation(wrong, _), Message::Attestation(other, _)) =
        (&mut wrong[0], &votes(&config, &east.state)[0])
    {
        let signer = committee(&east)[0];
        wrong.signature = sign_vote(&west.state, &wrong.data, u64::from(signer));
        assert_ne!(wrong.data, other.data);
    }
    let verdicts = submit(vec![wrong.swap_remove(0)]).await;
    assert!(matches!(verdicts[0], Verdict::Reject(_)), "{verdicts:?}");
    let verdicts = submit(of_west).await;
    assert!(verdicts.iter().all(accepted), "{verdicts:?}");
    // The vote that was wrong before, as it should be: one of the two sides is not the head's.
    let last = votes(&config, &east.state).pop().unwrap();
    let verdicts = submit(vec![last]).await;
    assert!(verdicts.iter().all(accepted), "{verdicts:?}");
    running.end().await;
    drop(storage);
    std::fs::remove_dir_all(&folder).unwrap();
}
