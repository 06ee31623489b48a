//! What validator clients do in a slot, and what they read.

use super::{Either, VALIDATORS, json_of, node};
use consensus::Fork;
use consensus::ssz::{Root, Ssz};
use consensus::types::{AttestationData, SignedBeaconBlock};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_can_propose_attest_and_sign_as_the_sync_committee() {
    let node = node(Fork::Fulu).await;
    let first = node.now() + 1;
    for (count, slot) in (first..first + 3).enumerate() {
        node.until(slot).await;
        let root = node.propose(slot, count % 2 == 0).await;
        let head = node.client.get("/eth/v1/beacon/headers/head").await.json();
        assert_eq!(head["data"]["root"], root.to_string());
        assert_eq!(
            (&head["execution_optimistic"], &head["finalized"]),
            (&json!(false), &json!(false))
        );
        node.attest(slot).await;
        node.sync(slot).await;
    }
    let block = node.client.get_ssz("/eth/v2/beacon/blocks/head").await;
    let block = SignedBeaconBlock::decode(&block.body, Fork::Fulu).unwrap();
    assert!(!block.message.body.attestations.is_empty(), "votes are in the block");
    assert!(
        block.message.body.sync_aggregate.sync_committee_bits.any(),
        "so are signatures"
    );
    assert_eq!(block.message.body.blob_kzg_commitments.len(), 1);
    assert_eq!(block.message.body.graffiti, Root::from([0x77; 32]));
    let same = node.client.get("/eth/v2/beacon/blocks/head").await;
    assert_eq!(SignedBeaconBlock::decode_or_json(&same, Fork::Fulu), block);
    let votes = node.client.get("/eth/v2/beacon/blocks/head/attestations").await.json();
    assert_eq!(
        votes["data"].as_array().unwrap().len(),
        block.message.body.attestations.len()
    );
    let pool = node.client.get("/eth/v2/beacon/pool/attestations").await.json();
    assert!(!pool["data"].as_array().unwrap().is_empty());
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_of_head_and_block() {
    let node = node(Fork::Fulu).await;
    let mut stream = TcpStream::connect(node.client.address).await.unwrap();
    let topics = [
        "head",
        "block",
        "block_gossip",
        "single_attestation",
        "payload_attributes",
        "fast_confirmation",
    ];
    let request = format!(
        "GET /eth/v1/events?topics={}&topics={} HTTP/1.1\r\nHost: x\r\n\r\n",
        topics[..3].join(","),
        topics[3..].join(",")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let slot = node.now() + 1;
    node.until(slot).await;
    let root = node.propose(slot, true).await;
    node.attest(slot).await;
    let mut seen = String::new();
    let reading = async {
        let mut buffer = [0; 4096];
        while !topics.iter().all(|topic| seen.contains(&format!("event: {topic}\n"))) {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "{seen}");
            seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap();
    assert!(seen.contains("content-type: text/event-stream"), "{seen}");
    let event = |name: &str| -> Value {
        let (_, rest) = seen.split_once(&format!("event: {name}\ndata: ")).unwrap();
        serde_json::from_str(rest.split('\n').next().unwrap()).unwrap()
    };
    let head = event("head");
    assert_eq!(head["block"], root.to_string());
    assert_eq!(head["slot"], slot.to_string());
    assert_eq!(head["epoch_transition"], json!(false));
    assert_eq!(event("block")["execution_optimistic"], json!(false));
    let passed = json!({ "slot": slot.to_string(), "block": root.to_string() });
    assert_eq!(event("block_gossip"), passed);
    assert!(
        seen.find("event: block_gossip\n") < seen.find("event: block\n"),
        "{seen}"
    );
    let proposal = event("payload_attributes");
    assert_eq!(proposal["version"], json!("fulu"));
    assert_eq!(proposal["data"]["proposal_slot"], slot.to_string());
    let attributes = &proposal["data"]["payload_attributes"];
    assert_eq!(
        attributes["parent_beacon_block_root"],
        proposal["data"]["parent_block_root"]
    );
    assert!(attributes["withdrawals"].is_array());
    let confirmed = event("fast_confirmation");
    assert!(confirmed["block"].is_string() && confirmed["current_slot"].is_string());
    node.running.end().await;
    // A stop ends the stream in order.
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok_and(|ended| ended.is_ok()));
    assert!(rest.ends_with(b"0\r\n\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_are_found_by_index_key_and_status() {
    let node = node(Fork::Fulu).await;
    let all = node.client.get("/eth/v1/beacon/states/head/validators").await.json();
    let all = all["data"].as_array().unwrap().clone();
    assert_eq!(all.len() as u64, VALIDATORS);
    let key = all[7]["validator"]["pubkey"].as_str().unwrap();
    let one = node
        .client
        .get(&format!("/eth/v1/beacon/states/head/validators/{key}"))
        .await
        .json();
    assert_eq!(one["data"], all[7]);
    let unknown = format!("0x{}", "ab".repeat(48));
    let some = format!("/eth/v1/beacon/states/genesis/validators?id={key}&id=3,99999&id={unknown}&status=active");
    let some = node.client.get(&some).await.json();
    assert_eq!(some["data"], json!([all[3], all[7]]));
    let none = node
        .client
        .get("/eth/v1/beacon/states/head/validators?status=exited")
        .await
        .json();
    assert_eq!(none["data"], json!([]));
    let body = json!({ "ids": [key, "1"], "statuses": null }).to_string();
    let some = node
        .client
        .post("/eth/v1/beacon/states/head/validators", Fork::Fulu, body)
        .await
        .json();
    assert_eq!(some["data"], json!([all[1], all[7]]));
    let missing = node
        .client
        .get(&format!("/eth/v1/beacon/states/head/validators/{unknown}"))
        .await;
    assert_eq!(missing.status, 404);
    let many: Vec<String> = (0..65).map(|index| format!("id={index}")).collect();
    let many = node
        .client
        .get(&format!("/eth/v1/beacon/states/head/validators?{}", many.join("&")))
        .await;
    assert_eq!(many.status, 414);

    let path = "/eth/v1/beacon/states/head/validator_balances";
    let balances = node.client.post(path, Fork::Fulu, String::new()).await.json();
    assert_eq!(balances["data"].as_array().unwrap().len() as u64, VALIDATORS);
    assert_eq!(balances["data"][2], json!({ "index": "2", "balance": "32000000000" }));
    let ssz = node.client.get_ssz(&format!("{path}?id=2")).await;
    assert_eq!(ssz.body, [2u64.to_le_bytes(), 32_000_000_000u64.to_le_bytes()].concat());
    let path = "/eth/v1/beacon/states/head/validator_identities";
    let identities = node.client.post(path, Fork::Fulu, "[\"7\"]".into()).await.json();
    assert_eq!(
        identities["data"],
        json!([{ "index": "7", "pubkey": key, "activation_epoch": "0" }])
    );
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attestation_data_is_the_same_in_both_forms() {
    let node = node(Fork::Fulu).await;
    let slot = node.now();
    let path = format!("/eth/v1/validator/attestation_data?slot={slot}");
    let data: AttestationData = json_of(&node.client.get(&path).await.json()["data"], Fork::Fulu);
    assert_eq!((data.slot, data.index), (slot, 0));
    let ssz = node.client.get_ssz(&path).await;
    assert_eq!(ssz.header("content-type"), Some("application/octet-stream"));
    assert_eq!(ssz.body, data.encode(Fork::Fulu));
    for wrong in [
        "",
        "?slot=x",
        "?slot=-1",
        "?slot=99999999",
        "?slot=1&slot=2",
        "?slot=1&committee_index=64",
    ] {
        let answer = node
            .client
            .get(&format!("/eth/v1/validator/attestation_data{wrong}"))
            .await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
        assert_eq!(answer.json()["code"], json!(400));
    }
    node.running.end().await;
}
