//! The shapes that clients depend on: every member and its kind, as the specification has them, kept as one text.

use super::{VALIDATORS, node};
use consensus::Fork;
use serde_json::{Value, json};
use std::fmt::Write;

/// A value's kind: names of members, and how leaves are written. Of a list the first item stands for all.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(text) if text.starts_with("0x") => format!("hex{}", (text.len() - 2) / 2),
        Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => "quoted".into(),
        Value::String(_) => "text".into(),
        Value::Array(items) => items.first().map_or("[]".into(), |item| format!("[{}]", shape(item))),
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name}: {}", shape(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shapes_are_those_of_the_specification() {
    let node = node(Fork::Fulu).await;
    let slot = node.now() + 1;
    node.until(slot).await;
    node.propose(slot, true).await;
    node.attest(slot).await;
    let paths = [
        "/eth/v1/beacon/genesis",
        "/eth/v1/beacon/states/head/root",
        "/eth/v1/beacon/states/head/fork",
        "/eth/v1/beacon/states/head/finality_checkpoints",
        "/eth/v1/beacon/states/head/validators?id=0",
        "/eth/v1/beacon/states/head/validators/0",
        "/eth/v1/beacon/states/head/validator_balances?id=0",
        "/eth/v1/beacon/states/head/committees",
        "/eth/v1/beacon/states/head/sync_committees",
        "/eth/v1/beacon/states/head/randao",
        "/eth/v1/beacon/states/head/pending_deposits",
        "/eth/v1/beacon/states/head/proposer_lookahead",
        "/eth/v1/beacon/headers",
        "/eth/v1/beacon/headers/head",
        "/eth/v1/beacon/blocks/head/root",
        "/eth/v1/config/fork_schedule",
        "/eth/v1/config/deposit_contract",
        "/eth/v1/node/identity",
        "/eth/v1/node/peers",
        "/eth/v1/node/peer_count",
        "/eth/v1/node/version",
        "/eth/v2/node/version",
        "/eth/v1/node/syncing",
        "/eth/v1/validator/duties/proposer/0",
        "/eth/v2/validator/duties/proposer/0",
        "/eth/v2/beacon/pool/attestations",
        "/eth/v1/beacon/pool/voluntary_exits",
    ];
    let mut found = String::new();
    for path in paths {
        let answer = node.client.get(path).await;
        writeln!(found, "{} {path}\n  {}", answer.status, shape(&answer.json())).unwrap();
    }
    for path in [
        "/eth/v1/validator/duties/attester/0",
        "/eth/v1/validator/duties/sync/0",
        "/eth/v1/validator/liveness/0",
    ] {
        // All of them: on the minimal preset not every validator has a seat in the sync committee.
        let indices: Vec<String> = (0..VALIDATORS).map(|index| index.to_string()).collect();
        let answer = node.client.post(path, Fork::Fulu, json!(indices).to_string()).await;
        writeln!(found, "{} POST {path}\n  {}", answer.status, shape(&answer.json())).unwrap();
    }
    // Whoever changes a shape on purpose runs this with WREN_BLESS=1 and looks at the difference.
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/shapes.txt");
    if std::env::var_os("WREN_BLESS").is_some() {
        std::fs::write(kept, &found).unwrap();
    }
    // The file is of the mainnet preset, whose slots have more committees.
    let committee_bits = format!(
        "committee_bits: hex{}",
        consensus::preset::MAX_COMMITTEES_PER_SLOT.div_ceil(8)
    );
    let wanted = std::fs::read_to_string(kept).unwrap();
    assert_eq!(found, wanted.replace("committee_bits: hex8", &committee_bits));
    let spec = node.client.get("/eth/v1/config/spec").await.json();
    for name in [
        "SECONDS_PER_SLOT",
        "SLOTS_PER_EPOCH",
        "DOMAIN_BEACON_PROPOSER",
        "MAX_BLOBS_PER_BLOCK",
        "BLOB_SCHEDULE",
    ] {
        assert!(!spec["data"][name].is_null(), "{name}");
    }
    node.running.end().await;
}
