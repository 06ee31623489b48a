use super::*;
use crate::network::enr::{ForkPoint, Record};
use crate::network::subnet_set::Subnet;
use crate::stop::Stop;
use crate::testing::Scratch;
use consensus::Fork;
use consensus::ssz::Bytes;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nobody waits for as long on a machine that does anything at all.
const LONG: Duration = Duration::from_mins(1);

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn announced(network: u8, subnets: &[Subnet]) -> Announced {
    let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
    Announced {
        fork: ForkPoint::at(&config, Bytes([network; 32]), 5),
        subnets: subnets.iter().copied().collect(),
        custody_group_count: 4,
    }
}

fn options(folder: &Scratch, boot_nodes: Vec<Enr>) -> Options {
    Options {
        listen: vec![LOOPBACK],
        ports: Ports {
            discovery: 0,
            tcp: 9000,
            quic: Some(9001),
        },
        advertise: Vec::new(),
        allow_private: true,
        boot_nodes,
        folder: folder.path().to_path_buf(),
        config: Arc::new(Config::standard().with_forks_at_genesis(Fork::Fulu)),
    }
}

struct Node {
    discovery: Discovery,
    found: mpsc::Receiver<Found>,
    stop: Stop,
    task: JoinHandle<()>,
    key: NodeKey,
    folder: Scratch,
}

impl Node {
    async fn start(name: &str, network: u8, boot_nodes: Vec<Enr>, subnets: &[Subnet]) -> Node {
        let folder = Scratch::new(&format!("discovery-{name}"));
        let key = NodeKey::load_or_create(folder.path()).unwrap();
        let announced = announced(network, subnets);
        let options = options(&folder, boot_nodes);
        let (discovery, found, task) = start(options, &key, announced, 1000).await.unwrap();
        let stop = Stop::new();
        let task = tokio::spawn(task.run(stop.clone()));
        Node {
            discovery,
            found,
            stop,
            task,
            key,
            folder,
        }
    }

    /// Waits until a peer is found.
    async fn finds(&mut self, peer: PeerId) -> Found {
        let find = async {
            loop {
                let found = self.found.recv().await.unwrap();
                if found.peer == peer {
                    return found;
                }
            }
        };
        timeout(LONG, find).await.expect("the peer is found")
    }
}

#[tokio::test]
async fn nodes_of_a_network_find_each_other() {
    let mut boot = Node::start("boot", 1, Vec::new(), &[]).await;
    let record = boot.discovery.record();
    let known = || vec![record.clone()];
    let subnets = [Subnet::Attestation(9), Subnet::Sync(1)];
    let stranger = Node::start("stranger", 2, known(), &subnets).await;
    let friend = Node::start("friend", 1, known(), &subnets).await;
    let mut seeker = Node::start("seeker", 1, known(), &[]).await;
    seeker.discovery.search(Search {
        peers: 10,
        subnets: SubnetSet::EMPTY,
    });
    let found = seeker.finds(friend.key.peer_id()).await;
    assert_eq!(found.record.node_id(), friend.key.node_id().unwrap());
    let shown: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["/ip4/127.0.0.1/udp/9001/quic-v1", "/ip4/127.0.0.1/tcp/9000"]);
    assert_eq!(found.subnets.without_columns(), subnets.into_iter().collect());
    assert_eq!(found.subnets.only_columns().len(), 4);

    // The same by a subnet; and what is of another network never comes, though it has the subnet too.
    seeker.discovery.search(Search {
        peers: 0,
        subnets: [Subnet::Attestation(9)].into_iter().collect(),
    });
    for _ in 0..3 {
        let again = timeout(LONG, seeker.found.recv()).await.unwrap().unwrap();
        assert_ne!(again.peer, stranger.key.peer_id());
        assert_ne!(again.peer, seeker.key.peer_id());
    }
    // All three have called the boot node, which tells of its own network's alone.
    let mut called = Vec::new();
    while [&friend, &seeker]
        .iter()
        .any(|node| !called.contains(&node.key.peer_id()))
    {
        called.push(timeout(LONG, boot.found.recv()).await.unwrap().unwrap().peer);
    }
    assert!(!called.contains(&stranger.key.peer_id()));
    for node in [boot, stranger, friend, seeker] {
        node.stop.stop();
        timeout(LONG, node.task).await.unwrap().unwrap();
        assert!(node.folder.path().exists());
    }
}

#[tokio::test]
async fn the_record_follows_what_is_announced() {
    let node = Node::start("record", 1, Vec::new(), &[]).await;
    let first = node.discovery.record();
    let metadata = node.discovery.metadata();
    assert_eq!(
        (first.seq(), metadata.seq_number),
        (1000, 1000),
        "the time, for want of a file"
    );
    let mut records = node.discovery.watch_record();

    node.discovery.announce(announced(1, &[Subnet::Attestation(3)]));
    node.discovery.announce(announced(1, &[Subnet::Attestation(3)]));
    assert_eq!(node.discovery.metadata().seq_number, 1001, "the same again is no news");
    assert_eq!(node.discovery.metadata().attnets.as_bytes()[0], 8);
    timeout(LONG, records.changed()).await.unwrap().unwrap();
    let second = node.discovery.record();
    assert_eq!(second.seq(), first.seq() + 1);
    assert!(Record::of(&second).unwrap().subnets.contains(Subnet::Attestation(3)));
    assert!(second.verify());

    // Another fork is news of the record, and none of `MetaData`.
    node.discovery.announce(announced(2, &[Subnet::Attestation(3)]));
    timeout(LONG, records.wait_for(|record| record.seq() == first.seq() + 2))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(node.discovery.metadata().seq_number, 1001);

    // After a stop the sockets are free, and a start counts on.
    let address = node.discovery.listen_addresses()[0];
    node.stop.stop();
    timeout(LONG, node.task).await.unwrap().unwrap();
    let free = async {
        while UdpSocket::bind(address).is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, free).await.expect("the port is free again");
    let started = start(options(&node.folder, Vec::new()), &node.key, announced(1, &[]), 7).await;
    let (again, _, _) = started.unwrap();
    assert!(again.record().seq() > first.seq() + 2, "{}", again.record().seq());
    assert!(again.metadata().seq_number > 1001);
}

/// Where the machine has IPv6: one node on both families, another on IPv6 alone.
#[tokio::test]
async fn both_families_are_spoken() {
    let loopback6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((loopback6, 0)).is_err() {
        return;
    }
    let both = Scratch::new("discovery-both");
    let six = Scratch::new("discovery-six");
    let mut options_both = options(&both, Vec::new());
    options_both.listen = vec![loopback6, LOOPBACK];
    let key = NodeKey::generate().unwrap();
    let (first, _found, task) = start(options_both, &key, announced(1, &[]), 1).await.unwrap();
    let record = first.record();
    assert_eq!(
        (record.ip4(), record.ip6()),
        (Some(Ipv4Addr::LOCALHOST), Some(Ipv6Addr::LOCALHOST))
    );
    assert_eq!(first.listen_addresses().len(), 2);
    let stop = Stop::new();
    let both_task = tokio::spawn(task.run(stop.clone()));
    let mut options_six = options(&six, vec![record]);
    options_six.listen = vec![loopback6];
    let other = NodeKey::generate().unwrap();
    let (second, mut found, task) = start(options_six, &other, announced(1, &[]), 1).await.unwrap();
    second.search(Search {
        peers: 1,
        subnets: SubnetSet::EMPTY,
    });
    let task = tokio::spawn(task.run(stop.clone()));
    let peer = timeout(LONG, found.recv()).await.unwrap().unwrap();
    assert_eq!(peer.peer, key.peer_id());
    assert_eq!(peer.addresses.len(), 4);
    stop.stop();
    for task in [both_task, task] {
        timeout(LONG, task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = Scratch::new("discovery-taken");
    let mut options = options(&folder, Vec::new());
    options.ports.discovery = port;
    let key = NodeKey::generate().unwrap();
    let error = start(options.clone(), &key, announced(1, &[]), 1).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains(&format!("127.0.0.1:{port}")) && error.contains("--port"),
        "{error}"
    );
    options.listen.clear();
    let error = start(options, &key, announced(1, &[]), 1).await.unwrap_err();
    assert!(format!("{error:#}").contains("--listen-address"));
}

#[test]
fn only_what_others_may_know_is_told() {
    let folder = Scratch::new("discovery-place");
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let place = |listen: &[&str], advertise: &[&str], allow_private| {
        let mut options = options(&folder, Vec::new());
        options.listen = listen.iter().map(|text| ip(text)).collect();
        options.advertise = advertise.iter().map(|text| ip(text)).collect();
        options.allow_private = allow_private;
        let place = first_place(&options, 9000);
        assert_eq!(
            (place.udp4.is_some(), place.udp6.is_some()),
            (place.ip4.is_some(), place.ip6.is_some())
        );
        (place.ip4.map(|ip| ip.to_string()), place.ip6.map(|ip| ip.to_string()))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(place(&["0.0.0.0", "::"], &[], true), (None, None), "not known yet");
    assert_eq!(place(&["192.168.1.2"], &[], false), (None, None), "private");
    assert_eq!(
        place(&["192.168.1.2", "192.168.1.3"], &[], true),
        (some("192.168.1.2"), None)
    );
    assert_eq!(
        place(&["8.8.8.8", "2400::1"], &[], false),
        (some("8.8.8.8"), some("2400::1"))
    );
    assert_eq!(place(&["192.168.1.2"], &["8.8.8.8"], false), (some("8.8.8.8"), None));
    assert_eq!(
        place(&["8.8.8.8"], &["9.9.9.9", "2400::2"], false),
        (some("9.9.9.9"), some("2400::2"))
    );
}

#[test]
fn the_table_takes_beacon_nodes_and_bare_boot_nodes() {
    use discv5::enr::CombinedKey;
    let key = CombinedKey::generate_secp256k1();
    let record = |fields: &[&str], ip: [u8; 4]| {
        let mut record = Enr::empty(&key).unwrap();
        record.set_udp_socket((ip, 9000).into(), &key).unwrap();
        for field in fields {
            record.insert(field, &[0u8; 16].as_slice(), &key).unwrap();
        }
        record
    };
    let public = [8, 8, 8, 8];
    assert!(may_be_in_table(&record(&["eth2"], public)));
    assert!(may_be_in_table(&record(&[], public)));
    assert!(!may_be_in_table(&record(&["eth"], public)), "an execution client");
    assert!(may_be_in_table(&record(&["eth", "eth2"], public)), "both in one");
    assert!(may_be_in_public_table(&record(&["eth2"], public)));
    assert!(!may_be_in_public_table(&record(&["eth2"], [10, 0, 0, 1])));
    assert!(!may_be_in_public_table(&record(&["eth"], public)));
}
