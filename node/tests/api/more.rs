//! What operators and tools read: rewards, states, blobs, light clients, and operations handed in.

use super::{Either, Node, VALIDATORS, json_of, node, node_since};
use consensus::Fork;
use consensus::constants::{DOMAIN_BEACON_PROPOSER, DOMAIN_BLS_TO_EXECUTION_CHANGE, DOMAIN_VOLUNTARY_EXIT};
use consensus::gossip::Verdict;
use consensus::helpers::misc::kzg_commitment_to_versioned_hash;
use consensus::light_client::initialize_light_client_store;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::preset::SYNC_COMMITTEE_SIZE;
use consensus::signing::{compute_domain, signing_root_of};
use consensus::ssz::{Bytes, Json, Ssz};
use consensus::types::{
    BLSToExecutionChange, BeaconState, DataColumnSidecar, LightClientBootstrap, SignedBLSToExecutionChange,
    SignedBeaconBlock, SignedVoluntaryExit, VoluntaryExit,
};
use node::genesis::interop_secret_key;
use serde_json::{Value, json};
use std::sync::Arc;

fn signed(value: &Value) -> i64 {
    value.as_str().unwrap().parse().unwrap()
}

fn place(value: &Value) -> usize {
    value.as_str().unwrap().parse().unwrap()
}

async fn balances(node: &Node, state: &str) -> Vec<i64> {
    let answer = node
        .client
        .get(&format!("/eth/v1/beacon/states/{state}/validator_balances"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| signed(&entry["balance"]))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rewards_add_up_to_the_changes_of_balances() {
    let node = node(Fork::Fulu).await;
    let slot = node.now() + 1;
    node.until(slot).await;
    node.propose(slot, true).await;
    node.attest(slot).await;
    node.sync(slot).await;
    node.until(slot + 1).await;
    node.propose(slot + 1, true).await;
    let (before, after) = (balances(&node, &slot.to_string()).await, balances(&node, "head").await);
    let block = node.client.get("/eth/v1/beacon/rewards/blocks/head").await.json()["data"].clone();
    assert!(
        signed(&block["attestations"]) > 0 && signed(&block["sync_aggregate"]) > 0,
        "{block}"
    );
    let parts = [
        "attestations",
        "sync_aggregate",
        "proposer_slashings",
        "attester_slashings",
    ];
    assert_eq!(
        parts.iter().map(|part| signed(&block[part])).sum::<i64>(),
        signed(&block["total"])
    );
    let path = "/eth/v1/beacon/rewards/sync_committee/head";
    let sync = node.client.post(path, Fork::Fulu, String::new()).await.json()["data"].clone();
    // A committee of the minimal preset has fewer seats than there are validators.
    let members = sync.as_array().unwrap().len() as u64;
    assert!(
        members > 0 && members <= VALIDATORS.min(SYNC_COMMITTEE_SIZE),
        "{members}"
    );
    let mut expected = before;
    for entry in sync.as_array().unwrap() {
        expected[place(&entry["validator_index"])] += signed(&entry["reward"]);
    }
    expected[place(&block["proposer_index"])] += signed(&block["total"]);
    assert_eq!(expected, after);
    let wanted = format!("[{}]", sync[3]["validator_index"]);
    let one = node.client.post(path, Fork::Fulu, wanted).await.json();
    assert_eq!(one["data"], json!([sync[3]]));
    let too_early = node
        .client
        .post("/eth/v1/beacon/rewards/attestations/0", Fork::Fulu, "[]".into())
        .await;
    assert_eq!(too_early.status, 404, "{}", too_early.text());
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn penalties_of_an_epoch_are_told_by_component() {
    let end = 2 * SLOTS_PER_EPOCH;
    let node = node_since(Fork::Fulu, end + 1).await;
    node.until(end).await;
    let (before, after) = (
        balances(&node, &(end - 1).to_string()).await,
        balances(&node, &end.to_string()).await,
    );
    let answer = node
        .client
        .post("/eth/v1/beacon/rewards/attestations/0", Fork::Fulu, String::new())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let data = answer.json()["data"].clone();
    let parts = ["head", "target", "source", "inactivity"];
    for (index, entry) in data["total_rewards"].as_array().unwrap().iter().enumerate() {
        let sum: i64 = parts.iter().map(|part| signed(&entry[part])).sum();
        assert!(sum < 0, "nobody voted");
        assert_eq!(before[index] + sum, after[index], "validator {index}: {entry}");
    }
    assert_eq!(data["ideal_rewards"].as_array().unwrap().len(), 2048);
    assert_eq!(data["ideal_rewards"][31]["effective_balance"], "32000000000");
    let some = node
        .client
        .post("/eth/v1/beacon/rewards/attestations/0", Fork::Fulu, "[\"5\"]".into())
        .await
        .json();
    assert_eq!(some["data"]["total_rewards"], json!([data["total_rewards"][5]]));
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_blobs_and_columns_are_served_whole() {
    let node = node(Fork::Fulu).await;
    let slot = node.now() + 1;
    node.until(slot).await;
    let root = node.propose(slot, false).await;
    let snapshot = node.running.chain.snapshot();
    let state = node.client.get_ssz("/eth/v2/debug/beacon/states/head").await;
    assert_eq!(state.header("eth-consensus-version"), Some("fulu"));
    assert_eq!(state.body, snapshot.head_state.encode());
    let json = node
        .client
        .get(&format!("/eth/v2/debug/beacon/states/{}", snapshot.head.state_root))
        .await
        .json();
    let read: BeaconState = json_of(&json["data"], Fork::Fulu);
    assert_eq!(read, snapshot.head_state.beacon);

    let block = node.client.get_ssz(&format!("/eth/v2/beacon/blocks/{root}")).await;
    let block = SignedBeaconBlock::decode(&block.body, Fork::Fulu).unwrap();
    let commitment = &block.message.body.blob_kzg_commitments[0];
    let hash = kzg_commitment_to_versioned_hash(commitment);
    let blobs = node.client.get_ssz(&format!("/eth/v1/beacon/blobs/{slot}")).await;
    assert_eq!(blobs.body.len(), 131_072);
    assert_eq!(
        crypto::kzg::blob_to_kzg_commitment(&blobs.body).unwrap(),
        commitment.0,
        "it is the blob promised"
    );
    let same = node
        .client
        .get(&format!("/eth/v1/beacon/blobs/head?versioned_hashes={hash}"))
        .await
        .json();
    assert_eq!(same["data"].as_array().unwrap().len(), 1);
    assert_eq!(same["data"][0].as_str().unwrap().len(), 2 + 2 * 131_072);
    let other = format!("/eth/v1/beacon/blobs/head?versioned_hashes=0x{}", "01".repeat(32));
    assert_eq!(node.client.get(&other).await.json()["data"], json!([]));
    let columns = node
        .client
        .get("/eth/v1/debug/beacon/data_column_sidecars/head?indices=5,127")
        .await
        .json();
    let columns: Vec<DataColumnSidecar> = columns["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json_of(one, Fork::Fulu))
        .collect();
    assert_eq!(columns.iter().map(|column| column.index).collect::<Vec<_>>(), [5, 127]);
    let ssz = node
        .client
        .get_ssz("/eth/v1/debug/beacon/data_column_sidecars/head?indices=5&indices=127")
        .await;
    let limit = [consensus::ssz::Bound::Fixed(128)];
    assert_eq!(
        Vec::<DataColumnSidecar>::decode_from(&ssz.body, Fork::Fulu, &limit).unwrap(),
        columns
    );

    let blinded = node.client.get("/eth/v1/beacon/blinded_blocks/head").await.json();
    let header = &blinded["data"]["message"]["body"]["execution_payload_header"];
    assert_eq!(
        header["block_hash"],
        block.message.body.execution_payload.block_hash.to_string()
    );
    let heads = node.client.get("/eth/v2/debug/beacon/heads").await.json();
    assert_eq!(
        heads["data"],
        json!([{ "root": root.to_string(), "slot": slot.to_string(), "execution_optimistic": false }])
    );
    let nodes = node.client.get("/eth/v1/debug/fork_choice").await.json();
    assert_eq!(nodes["fork_choice_nodes"].as_array().unwrap().len(), 2);
    assert_eq!(nodes["fork_choice_nodes"][1]["validity"], "valid");
    let genesis = node.client.get_ssz("/eth/v2/beacon/blocks/genesis").await;
    let genesis = SignedBeaconBlock::decode(&genesis.body, Fork::Fulu).unwrap();
    assert_eq!(genesis.message.hash_tree_root(Fork::Fulu), block.message.parent_root);
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn light_clients_can_start_and_follow() {
    let node = node(Fork::Fulu).await;
    let slot = node.now() + 1;
    node.until(slot).await;
    let root = node.propose(slot, true).await;
    let none = node.client.get("/eth/v1/beacon/light_client/optimistic_update").await;
    assert_eq!(none.status, 404, "{}", none.text());
    node.sync(slot).await;
    node.until(slot + 1).await;
    node.propose(slot + 1, true).await;
    let bootstrap = node
        .client
        .get_ssz(&format!("/eth/v1/beacon/light_client/bootstrap/{root}"))
        .await;
    assert_eq!(bootstrap.status, 200, "{}", bootstrap.text());
    let bootstrap = LightClientBootstrap::decode_or_json(&bootstrap, Fork::Fulu);
    let config = node.running.chain.config();
    initialize_light_client_store(config, Fork::Fulu, root, bootstrap).unwrap();
    let update = node
        .client
        .get("/eth/v1/beacon/light_client/optimistic_update")
        .await
        .json();
    assert_eq!(update["version"], "fulu");
    assert_eq!(update["data"]["attested_header"]["beacon"]["slot"], slot.to_string());
    assert_eq!(
        node.client
            .get("/eth/v1/beacon/light_client/finality_update")
            .await
            .status,
        404
    );
    let updates = node
        .client
        .get("/eth/v1/beacon/light_client/updates?start_period=0&count=9")
        .await
        .json();
    assert_eq!(updates.as_array().unwrap().len(), 1);
    assert_eq!(updates[0]["data"]["signature_slot"], (slot + 1).to_string());
    let ssz = node
        .client
        .get_ssz("/eth/v1/beacon/light_client/updates?start_period=0&count=1")
        .await
        .body;
    assert_eq!(u64::from_le_bytes(ssz[..8].try_into().unwrap()) as usize, ssz.len() - 8);
    let empty = node
        .client
        .get("/eth/v1/beacon/light_client/updates?start_period=7&count=1")
        .await
        .json();
    assert_eq!(empty, json!([]));
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_come_into_the_pool_or_are_refused_with_the_reason() {
    let node = node(Fork::Fulu).await;
    let state = &node.running.chain.snapshot().head_state;
    let config = node.running.chain.config();
    let change = BLSToExecutionChange {
        validator_index: 4,
        from_bls_pubkey: Bytes(interop_secret_key(4).public_key().to_compressed()),
        to_execution_address: Bytes([4; 20]),
    };
    let domain = compute_domain(
        DOMAIN_BLS_TO_EXECUTION_CHANGE,
        config.genesis_fork_version,
        state.genesis_validators_root,
    );
    let signing_root = signing_root_of(change.hash_tree_root(Fork::Fulu), domain);
    let good = SignedBLSToExecutionChange {
        message: change,
        signature: Bytes(interop_secret_key(4).sign(&signing_root.0).to_bytes()),
    };
    let mut bad = good.clone();
    bad.message.validator_index = 5;
    let path = "/eth/v1/beacon/pool/bls_to_execution_changes";
    let both = format!("[{},{}]", bad.to_json(Fork::Fulu), good.to_json(Fork::Fulu));
    let answer = node.client.post(path, Fork::Fulu, both).await;
    assert_eq!(answer.status, 400);
    let failures = answer.json()["failures"].clone();
    assert_eq!(failures.as_array().unwrap().len(), 1);
    assert_eq!(failures[0]["index"], json!(0));
    let again = node
        .client
        .post(path, Fork::Fulu, format!("[{}]", good.to_json(Fork::Fulu)))
        .await;
    assert_eq!(again.status, 200, "seen before is as good as taken: {}", again.text());
    let pool = node.client.get(path).await.json();
    assert_eq!(
        json_of::<SignedBLSToExecutionChange>(&pool["data"][0], Fork::Fulu),
        good
    );

    let exit = VoluntaryExit {
        epoch: 0,
        validator_index: 9,
    };
    let domain = compute_domain(
        DOMAIN_VOLUNTARY_EXIT,
        config.capella_fork_version,
        state.genesis_validators_root,
    );
    let signing_root = signing_root_of(exit.hash_tree_root(Fork::Fulu), domain);
    let signed = SignedVoluntaryExit {
        message: exit,
        signature: Bytes(interop_secret_key(9).sign(&signing_root.0).to_bytes()),
    };
    let answer = node
        .client
        .post(
            "/eth/v1/beacon/pool/voluntary_exits",
            Fork::Fulu,
            signed.to_json(Fork::Fulu),
        )
        .await;
    let young = config.shard_committee_period > 0;
    assert_eq!(answer.status, if young { 400 } else { 200 }, "{}", answer.text());
    node.running.end().await;
}

/// Of a chain that stood still for forty epochs the state of now comes in several steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_of_long_ago_comes_to_today() {
    let node = node_since(Fork::Fulu, 40 * SLOTS_PER_EPOCH).await;
    let chain = &node.running.chain;
    let has_come = async {
        while chain.snapshot().ahead.epoch() < node.now() / SLOTS_PER_EPOCH {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let patience = std::time::Duration::from_mins(1);
    tokio::time::timeout(patience, has_come).await.expect("it comes");
    assert!(chain.snapshot().ahead.epoch() >= 40);
    node.running.end().await;
}

/// Whose block this node published has made its block of the slot: a second one by gossip is not passed on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rival_of_a_published_block_is_not_passed_on() {
    let node = node(Fork::Fulu).await;
    let slot = node.now();
    node.propose(slot, true).await;
    let answer = node.client.get_ssz("/eth/v2/beacon/blocks/head").await;
    let mut rival = SignedBeaconBlock::decode_or_json(&answer, Fork::Fulu);
    assert_eq!(rival.message.slot, slot);
    rival.message.body.graffiti = Bytes([1; 32]);
    let root = rival.message.hash_tree_root(Fork::Fulu);
    let epoch = slot / SLOTS_PER_EPOCH;
    rival.signature = node.sign(DOMAIN_BEACON_PROPOSER, epoch, root, rival.message.proposer_index);
    let verdict = node.running.chain.gossip_block(Arc::new(rival), None).await;
    let why = "block is not the first valid block for this proposer and slot";
    assert_eq!(verdict, Verdict::Ignore(why));
    node.running.end().await;
}
