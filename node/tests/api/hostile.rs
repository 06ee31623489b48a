//! Requests that are wrong in every way: each gets an answer with a reason, and the node stays as it is.

use super::node;
use consensus::Fork;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_get_their_status_and_a_sentence() {
    let node = node(Fork::Fulu).await;
    let root = format!("0x{}", "11".repeat(32));
    let unknown_state = format!("/eth/v1/beacon/states/{root}/fork");
    let unknown_block = format!("/eth/v2/beacon/blocks/{root}");
    let gets = [
        ("/eth/v1/beacon/states/nowhere/root", 400),
        ("/eth/v1/beacon/states/0x11/root", 400),
        ("/eth/v1/beacon/states/99999999/root", 404),
        ("/eth/v1/beacon/states/18446744073709551615/root", 404),
        (unknown_state.as_str(), 404),
        (unknown_block.as_str(), 404),
        ("/eth/v1/beacon/headers/99999999", 404),
        ("/eth/v1/beacon/headers?slot=a", 400),
        ("/eth/v1/beacon/headers?parent_root=0x1", 400),
        ("/eth/v1/beacon/states/head/validators/x", 400),
        ("/eth/v1/beacon/states/head/validators?status=sleeping", 400),
        ("/eth/v1/beacon/states/head/committees?epoch=99", 400),
        ("/eth/v1/beacon/states/head/committees?epoch=18446744073709551615", 400),
        ("/eth/v1/beacon/states/head/committees?slot=1&epoch=1", 400),
        ("/eth/v1/beacon/states/head/committees?index=64", 400),
        (
            "/eth/v1/beacon/states/head/sync_committees?epoch=18446744073709551615",
            400,
        ),
        ("/eth/v1/beacon/states/head/randao?epoch=1", 400),
        ("/eth/v1/node/health?syncing_status=1", 400),
        ("/eth/v1/node/peers/%00", 400),
        ("/eth/v1/node/peers/16Uiu2HAm", 404),
        ("/eth/v1/events", 400),
        ("/eth/v1/events?topics=weather", 400),
        ("/eth/v1/validator/duties/proposer/99", 400),
        ("/eth/v1/validator/duties/proposer/18446744073709551615", 400),
        ("/eth/v3/validator/blocks/1", 400),
        ("/eth/v3/validator/blocks/99999999?randao_reveal=0x00", 400),
        ("/eth/v2/validator/aggregate_attestation?slot=1&committee_index=0", 400),
        ("/eth/v9/nothing", 404),
    ];
    for (path, status) in gets {
        let answer = node.client.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let body = answer.json();
        assert_eq!(body["code"], json!(status), "{path}");
        assert!(body["message"].as_str().unwrap().len() > 8, "{path}");
    }
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bodies_get_their_status_and_a_sentence() {
    let node = node(Fork::Fulu).await;
    let bodies = [
        "",
        "[",
        "null",
        "{}",
        "[1]",
        "[[]]",
        "\"x\"",
        "[{\"message\":{}}]",
        "[\"\\ud800\"]",
    ];
    let deep = "[".repeat(100_000);
    let posts = [
        "/eth/v1/validator/duties/attester/0",
        "/eth/v1/validator/duties/sync/0",
        "/eth/v1/validator/liveness/0",
        "/eth/v1/validator/beacon_committee_subscriptions",
        "/eth/v1/validator/sync_committee_subscriptions",
        "/eth/v1/validator/prepare_beacon_proposer",
        "/eth/v1/validator/register_validator",
        "/eth/v2/validator/aggregate_and_proofs",
        "/eth/v1/validator/contribution_and_proofs",
        "/eth/v2/beacon/pool/attestations",
        "/eth/v1/beacon/pool/sync_committees",
        "/eth/v1/beacon/pool/voluntary_exits",
        "/eth/v1/beacon/pool/proposer_slashings",
        "/eth/v2/beacon/pool/attester_slashings",
        "/eth/v1/beacon/pool/bls_to_execution_changes",
        "/eth/v2/beacon/blocks",
        "/eth/v2/beacon/blinded_blocks",
    ];
    for path in posts {
        for body in bodies.into_iter().chain([deep.as_str()]) {
            let answer = node.client.post(path, Fork::Fulu, body.into()).await;
            let refused = [400, 413, 503].contains(&answer.status);
            assert!(refused, "{path} {:.20}: {} {}", body, answer.status, answer.text());
        }
        let answer = node
            .client
            .ask("POST", path, "Content-Type: text/plain\r\n", b"[]")
            .await;
        assert_eq!(answer.status, 415, "{path}: {}", answer.text());
        assert_eq!(answer.json()["code"], json!(415));
        let answer = node.client.get(path).await;
        assert!([200, 405].contains(&answer.status), "{path}: {}", answer.status);
    }
    node.running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_forms_get_their_status() {
    let node = node(Fork::Fulu).await;
    for path in [
        "/eth/v2/beacon/blocks",
        "/eth/v2/beacon/pool/attestations",
        "/eth/v2/validator/aggregate_and_proofs",
    ] {
        for length in [1, 4, 100, 5000] {
            let answer = node.client.post_ssz(path, Fork::Fulu, vec![0xff; length]).await;
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        }
        let no_version = node
            .client
            .ask("POST", path, "Content-Type: application/json\r\n", b"[]")
            .await;
        assert_eq!(no_version.status, 400);
        let answer = node
            .client
            .ask("POST", path, "Eth-Consensus-Version: dorado\r\n", b"[]")
            .await;
        assert_eq!(answer.status, 400);
    }
    let answer = node
        .client
        .ask(
            "GET",
            "/eth/v1/config/spec",
            "Accept: application/octet-stream\r\n",
            b"",
        )
        .await;
    assert_eq!(answer.status, 406);
    let answer = node.client.ask("DELETE", "/eth/v1/config/spec", "", b"").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    assert_eq!(node.client.get("/eth/v1/node/health").await.status, 200);
    node.running.end().await;
}
