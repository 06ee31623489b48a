//! A local chain whose node and client are killed at any moment: it finalizes all the same, and nobody is slashed.

use super::chain::{Chain, kill, stop};

#[test]
fn a_chain_outlives_kills_of_node_and_client() {
    let chain = Chain::new("restart", &[]);
    let (node, client) = (chain.node(), chain.client());
    chain.wait_slot(5);
    kill(node);
    let node = chain.node();
    chain.wait_slot(11);
    kill(client);
    let client = chain.client();
    chain.wait_slot(16);
    kill(node);
    let node = chain.node();
    chain.wait_slot(20);
    kill(client);
    let client = chain.client();
    let checkpoints = "/eth/v1/beacon/states/head/finality_checkpoints";
    chain.wait(checkpoints, "/data/finalized/epoch", 3);
    let slashed = chain.get("/eth/v1/beacon/states/head/validators?status=active_slashed,exited_slashed");
    assert_eq!(slashed.unwrap()["data"], serde_json::json!([]));
    stop(client);
    stop(node);
    let log = chain.log("node.log");
    assert!(log.contains("went through the blocks of the database"), "{log}");
}
