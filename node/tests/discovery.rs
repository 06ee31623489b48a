//! Wren among discovery nodes of another make.

use consensus::config::BlobParameters;
use consensus::ssz::{Bytes, Ssz};
use consensus::{Config, Fork};
use node::network::discovery::{Options, Search, start};
use node::network::enr::{Announced, ForkPoint, Ports};
use node::network::node_key::NodeKey;
use node::network::subnet_set::{Subnet, SubnetSet};
use node::stop::Stop;
use serde_json::Value;
use std::collections::HashSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than the script is patient.
const LONG: Duration = Duration::from_mins(2);

/// The folder of the script with its packages, from `WREN_DISCV5_JS`; without that says on the real standard error that
/// nothing was checked.
fn script() -> Option<PathBuf> {
    let folder = std::env::var_os("WREN_DISCV5_JS").map(PathBuf::from);
    if folder.is_none() {
        writeln!(
            std::io::stderr(),
            "NOT CHECKED: `npm ci` in tests/system/js/discv5 and set WREN_DISCV5_JS to that folder"
        )
        .expect("standard error is open");
    }
    folder
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "0x".to_owned();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

fn config() -> Config {
    let mut config = Config::standard().with_forks_at_genesis(Fork::Fulu);
    config.blob_schedule = vec![BlobParameters {
        epoch: 9,
        max_blobs_per_block: 12,
    }];
    config
}

/// They read our record as we mean it, find each other in our table, and we find them.
#[tokio::test]
async fn a_foreign_stack_finds_wren_and_is_found() {
    let Some(folder) = script() else { return };
    let home = std::env::temp_dir().join(format!("wren-discovery-js-{}", std::process::id()));
    let config = config();
    let announced = Announced {
        fork: ForkPoint::at(&config, Bytes([5; 32]), 3),
        subnets: [Subnet::Attestation(1), Subnet::Attestation(40), Subnet::Sync(3)]
            .into_iter()
            .collect(),
        custody_group_count: 128,
    };
    let options = Options {
        listen: vec![[127, 0, 0, 1].into()],
        ports: Ports {
            discovery: 0,
            tcp: 9123,
            quic: Some(9124),
        },
        advertise: Vec::new(),
        allow_private: true,
        boot_nodes: Vec::new(),
        folder: home.clone(),
        config: Arc::new(config),
    };
    let key = NodeKey::load_or_create(&home).unwrap();
    let (discovery, mut found, task) = start(options, &key, announced, 1_800_000_000).await.unwrap();
    let old = discovery.record();
    let stop = Stop::new();
    let task = tokio::spawn(task.run(stop.clone()));
    // The record that they start from is not the newest.
    let announced = Announced {
        subnets: announced.subnets.union([Subnet::Attestation(63)].into_iter().collect()),
        ..announced
    };
    discovery.announce(announced);
    let mut records = discovery.watch_record();
    let newer = records.wait_for(|record| record.seq() > old.seq());
    let ours = timeout(LONG, newer).await.unwrap().unwrap().clone();
    discovery.search(Search {
        peers: 10,
        subnets: SubnetSet::EMPTY,
    });

    let node = folder.join("node_modules/.bin/node");
    let script = tokio::task::spawn_blocking(move || {
        std::process::Command::new(node)
            .arg(folder.join("find.mjs"))
            .args([old.to_base64(), "9555".to_owned()])
            .stderr(Stdio::inherit())
            .output()
    });
    let output = timeout(LONG, script).await.unwrap().unwrap().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let wren = &seen["wren"];
    let expected = [
        ("nodeId", hex(&key.node_id().unwrap().raw())[2..].to_owned()),
        ("peerId", key.peer_id().to_string()),
        ("seq", ours.seq().to_string()),
        ("ip", "127.0.0.1".to_owned()),
        ("eth2", hex(&announced.fork.eth2.encode(Fork::Phase0))),
        ("nfd", hex(&announced.fork.next_fork_digest.unwrap().0)),
        ("attnets", "0x0200000000010080".to_owned()),
        ("syncnets", "0x08".to_owned()),
        ("cgc", "0x80".to_owned()),
    ];
    for (field, value) in expected {
        assert_eq!(wren[field].as_str(), Some(value.as_str()), "{field}");
    }
    let port = u64::from(discovery.listen_addresses()[0].port());
    for (field, port) in [("udp", port), ("tcp", 9123), ("quic", 9124)] {
        assert_eq!(wren[field].as_u64(), Some(port), "{field}");
    }
    assert_eq!(seen["pong"]["seq"].as_str(), Some(ours.seq().to_string().as_str()));
    assert_ne!(seen["one"]["nodeId"], seen["other"]["nodeId"]);

    // And what called us came out as peers that can be dialled.
    let mut wanted: HashSet<String> = ["one", "other"]
        .iter()
        .map(|name| seen[name]["peerId"].as_str().unwrap().to_owned())
        .collect();
    while !wanted.is_empty() {
        let peer = timeout(LONG, found.recv()).await.unwrap().unwrap();
        if wanted.remove(&peer.peer.to_string()) {
            let shown: Vec<String> = peer.addresses.iter().map(ToString::to_string).collect();
            assert_eq!(shown, ["/ip4/127.0.0.1/tcp/9555"]);
            assert!(peer.subnets.contains(Subnet::Attestation(63)));
            assert!(!peer.subnets.only_columns().is_empty(), "everyone keeps some");
        }
    }
    stop.stop();
    timeout(LONG, task).await.unwrap().unwrap();
    std::fs::remove_dir_all(home).ok();
}
