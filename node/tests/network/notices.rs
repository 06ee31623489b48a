//! What an operator is told about the network by a node that runs.

use super::{quiet, wait_for, with_options};
use crate::api::{Folder, lately};
use consensus::config::BlobParameters;
use consensus::{Config, Fork};
use node::network::discovery::{Options, start};
use node::network::enr::{Announced, Enr, ForkPoint, Ports};
use node::network::node_key::NodeKey;
use node::network::subnet_set::SubnetSet;
use node::network::{NetworkHandle, NetworkOptions};
use node::stop::Stop;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// How many records must have come before anybody is alarmed, and one more.
const MANY: u64 = 21;

/// A node of discovery on loopback, whose record says what this config plans and that knows one other at first.
async fn stranger(config: &Config, fork: ForkPoint, friend: Enr, stop: &Stop) -> Folder {
    let folder = Folder::new();
    let options = Options {
        listen: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        ports: Ports {
            discovery: 0,
            tcp: 9,
            quic: None,
        },
        advertise: Vec::new(),
        allow_private: true,
        boot_nodes: vec![friend],
        folder: folder.0.clone(),
        config: Arc::new(config.clone()),
    };
    let key = NodeKey::load_or_create(&folder.0).unwrap();
    let announced = Announced {
        fork,
        subnets: SubnetSet::EMPTY,
        custody_group_count: 4,
    };
    let (discovery, _, task) = start(options, &key, announced, 1_800_000_000).await.unwrap();
    let stop = stop.clone();
    tokio::spawn(async move {
        // It lives as long as somebody can tell it something.
        let _discovery = discovery;
        task.run(stop).await;
    });
    folder
}

fn notices(network: &NetworkHandle) -> Vec<String> {
    node::api::Network::notices(network)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_plans_other_forks_than_most_says_so() {
    let folder = Folder::new();
    let options = NetworkOptions {
        discovery: true,
        ..quiet(&folder)
    };
    let node = with_options(Fork::Fulu, lately(), options, folder).await;
    let record: Enr = wait_for("the record", || {
        let record = node::api::Network::identity(&node.network).enr;
        (!record.is_empty()).then_some(record)
    })
    .await
    .parse()
    .unwrap();
    let chain = &node.node.running.chain;
    let root = chain.snapshot().head_state.genesis_validators_root;
    assert_eq!(notices(&node.network), [""; 0]);

    // The same network up to now, in which all others have an epoch with more blobs before them.
    let mut other = Config::clone(chain.config());
    other.blob_schedule.push(BlobParameters {
        epoch: 900,
        max_blobs_per_block: 48,
    });
    let fork = ForkPoint::at(&other, root, 0);
    let stop = Stop::new();
    let mut folders = Vec::new();
    for _ in 0..MANY {
        folders.push(stranger(&other, fork, record.clone(), &stop).await);
    }
    let told = wait_for("the alarm", || notices(&node.network).pop()).await;
    assert!(told.contains("disagree") && told.contains("900"), "{told}");
    let answer = node.node.client.get("/wren/v1/node/notices").await;
    assert_eq!(answer.json()["data"][0].as_str(), Some(told.as_str()));
    stop.stop();
}
