use super::*;
use crate::network::bootnodes;
use crate::network::node_key::NodeKey;
use crate::network::schedule_watch::ScheduleWatch;
use crate::network::subnet_set::Subnet;
use consensus::config::BlobParameters;

/// A network with Fulu at epoch 10, blobs raised at 20, and Gloas at 30.
fn config() -> Config {
    let mut config = Config::standard().with_forks_at_genesis(Fork::Electra);
    config.set_fork_epoch(Fork::Fulu, 10);
    config.set_fork_epoch(Fork::Gloas, 30);
    config.blob_schedule = vec![BlobParameters {
        epoch: 20,
        max_blobs_per_block: 12,
    }];
    config
}

const ROOT: Root = Bytes([7; 32]);

const PORTS: Ports = Ports {
    discovery: 9000,
    tcp: 9002,
    quic: Some(80), // one byte, and beyond 127 two in RLP: both forms are met
};

fn announced(epoch: Epoch) -> Announced {
    Announced {
        fork: ForkPoint::at(&config(), ROOT, epoch),
        subnets: [Subnet::Attestation(3), Subnet::Attestation(62), Subnet::Sync(2)]
            .into_iter()
            .collect(),
        custody_group_count: 128,
    }
}

fn place() -> Place {
    Place {
        ip4: Some(Ipv4Addr::new(1, 2, 3, 4)),
        ip6: Some("2400::1".parse().unwrap()),
        udp4: Some(9000),
        udp6: Some(9000),
    }
}

fn read(record: &Enr) -> Record {
    Record::of(record).unwrap()
}

#[test]
fn a_fork_point_follows_the_schedule() {
    let config = config();
    let digest = |epoch| config.compute_fork_digest(ROOT, epoch);
    let at = |epoch| ForkPoint::at(&config, ROOT, epoch);
    let version = |fork| config.fork_version(fork);

    let electra = at(9);
    assert_eq!(electra.eth2.fork_digest, digest(0));
    assert_eq!(
        (electra.eth2.next_fork_version, electra.eth2.next_fork_epoch),
        (version(Fork::Fulu), 10)
    );
    assert_eq!(
        (electra.next_fork_digest, electra.previous, electra.since),
        (Some(digest(10)), None, 0)
    );

    // More blobs: a fork of digests, not of versions.
    let fulu = at(10);
    assert_eq!(
        (fulu.eth2.next_fork_version, fulu.eth2.next_fork_epoch),
        (version(Fork::Fulu), 20)
    );
    assert_eq!(
        (fulu.next_fork_digest, fulu.previous, fulu.since),
        (Some(digest(20)), Some(digest(9)), 10)
    );
    assert_ne!(digest(19), digest(20));

    let more = at(29);
    assert_eq!(
        (more.eth2.next_fork_version, more.eth2.next_fork_epoch),
        (version(Fork::Gloas), 30)
    );
    let gloas = at(1000);
    assert_eq!(
        (gloas.eth2.next_fork_version, gloas.eth2.next_fork_epoch),
        (version(Fork::Gloas), FAR_FUTURE_EPOCH)
    );
    assert_eq!((gloas.next_fork_digest, gloas.since), (Some(Bytes([0; 4])), 30));

    let mut without = config.clone();
    without.set_fork_epoch(Fork::Fulu, FAR_FUTURE_EPOCH);
    without.set_fork_epoch(Fork::Gloas, FAR_FUTURE_EPOCH);
    assert_eq!(
        ForkPoint::at(&without, ROOT, 5).next_fork_digest,
        None,
        "`nfd` comes with Fulu"
    );
}

#[test]
fn a_record_says_what_it_is_told() {
    let key = NodeKey::generate().unwrap();
    let combined = key.combined().unwrap();
    let mut record = build(&combined, 41, &announced(15), &place(), PORTS).unwrap();
    assert!(record.verify());
    assert_eq!(record.seq(), 41);
    assert!(record.size() <= 300, "{} bytes", record.size());
    let text: Enr = record.to_base64().parse().unwrap();
    let got = read(&text);
    assert_eq!(got.peer_id, key.peer_id());
    assert_eq!(got.node_id, key.node_id().unwrap());
    assert_eq!(
        (got.eth2, got.next_fork_digest),
        (announced(15).fork.eth2, announced(15).fork.next_fork_digest)
    );
    assert_eq!(got.subnets, announced(15).subnets);
    assert_eq!(got.custody_group_count, Some(128));
    assert_eq!(Place::of(&text), place());
    assert_eq!(
        (text.tcp4(), text.tcp6(), text.udp4(), text.udp6()),
        (Some(9002), Some(9002), Some(9000), Some(9000))
    );

    assert!(
        !update(&mut record, &combined, &announced(15), &place(), PORTS).unwrap(),
        "nothing new"
    );
    assert_eq!(record.seq(), 41);
    let mut other = announced(15);
    other.custody_group_count = 0;
    let nowhere = Place {
        ip6: None,
        udp6: None,
        ..place()
    };
    assert!(update(&mut record, &combined, &other, &nowhere, PORTS).unwrap());
    assert_eq!(record.seq(), 42, "all in one step");
    assert!(record.verify());
    assert_eq!(
        record.get_raw_rlp("cgc"),
        Some([0x80].as_slice()),
        "0 is the empty string"
    );
    assert_eq!(
        (record.ip6(), record.tcp6(), record.get_raw_rlp("quic6")),
        (None, None, None)
    );
}

#[test]
fn quic_is_called_before_tcp() {
    let key = NodeKey::generate().unwrap().combined().unwrap();
    let record = build(&key, 1, &announced(0), &place(), PORTS).unwrap();
    let shown = |record: &Enr, private| -> Vec<String> {
        multiaddrs(record, private).iter().map(ToString::to_string).collect()
    };
    let expected = [
        "/ip4/1.2.3.4/udp/80/quic-v1",
        "/ip6/2400::1/udp/80/quic-v1",
        "/ip4/1.2.3.4/tcp/9002",
        "/ip6/2400::1/tcp/9002",
    ];
    assert_eq!(shown(&record, false), expected);
    let private = Place {
        ip4: Some(Ipv4Addr::new(192, 168, 1, 1)),
        ..place()
    };
    let no_quic = Ports { quic: None, ..PORTS };
    let record = build(&key, 1, &announced(0), &private, no_quic).unwrap();
    assert_eq!(shown(&record, false), ["/ip6/2400::1/tcp/9002"]);
    assert_eq!(
        shown(&record, true),
        ["/ip4/192.168.1.1/tcp/9002", "/ip6/2400::1/tcp/9002"]
    );
}

#[test]
fn fields_of_wrong_length_are_not_there() {
    let key = NodeKey::generate().unwrap().combined().unwrap();
    let good = build(&key, 1, &announced(15), &place(), PORTS).unwrap();
    let with = |field: &str, bytes: &[u8]| {
        let mut record = good.clone();
        record.insert(field, &bytes, &key).unwrap();
        record
    };
    for wrong in [&[0; 15][..], &[0; 17], &[]] {
        assert!(Record::of(&with("eth2", wrong)).is_err());
    }
    let mut without = good.clone();
    without.remove_key("eth2", &key).unwrap();
    assert!(Record::of(&without).is_err());
    let sync_only: SubnetSet = [Subnet::Sync(2)].into_iter().collect();
    for wrong in [&[0xff; 7][..], &[0xff; 9], &[]] {
        assert_eq!(read(&with("attnets", wrong)).subnets, sync_only);
    }
    for wrong in [&[0x14][..], &[4, 0], &[]] {
        assert!(
            !read(&with("syncnets", wrong)).subnets.contains(Subnet::Sync(2)),
            "{wrong:?}"
        );
    }
    for wrong in [&[1, 2, 3][..], &[1, 2, 3, 4, 5]] {
        assert_eq!(read(&with("nfd", wrong)).next_fork_digest, None);
    }
    for wrong in [&[0, 4][..], &[1; 9]] {
        assert_eq!(read(&with("cgc", wrong)).custody_group_count, None, "{wrong:?}");
    }
    for wrong in [&[0x01, 0x02, 0x03][..], &[]] {
        let addresses = multiaddrs(&with("quic", wrong), false);
        assert!(!addresses[0].to_string().starts_with("/ip4"), "{addresses:?}");
    }
    // Something else than a string where a string should be.
    let mut list = good.clone();
    list.insert("attnets", &vec![1u64, 2], &key).unwrap();
    assert_eq!(read(&list).subnets, sync_only);
}

#[test]
fn kin_are_told_from_others() {
    let config = config();
    let key = NodeKey::generate().unwrap().combined().unwrap();
    let of = |config: &Config, root, epoch| {
        let announced = Announced {
            fork: ForkPoint::at(config, root, epoch),
            ..announced(0)
        };
        read(&build(&key, 1, &announced, &place(), PORTS).unwrap())
    };
    let ours = ForkPoint::at(&config, ROOT, 15);
    assert_eq!(kinship(&ours, &of(&config, ROOT, 15)), Kinship::Same);
    assert_eq!(
        kinship(&ours, &of(&config, ROOT, 9)),
        Kinship::Same,
        "an old record that announced Fulu"
    );
    assert_eq!(
        kinship(&ours, &of(&config, ROOT, 20)),
        Kinship::Same,
        "a clock ahead of ours"
    );
    assert!(
        matches!(kinship(&ours, &of(&config, ROOT, 30)), Kinship::Other(_)),
        "two forks ahead"
    );
    let Kinship::Other(why) = kinship(&ours, &of(&config, Bytes([8; 32]), 15)) else {
        panic!("another network is another network");
    };
    assert!(why.contains(&ours.eth2.fork_digest.to_string()), "{why}");

    // Who has not heard of Fulu is left behind.
    let mut old = config.clone();
    old.set_fork_epoch(Fork::Fulu, FAR_FUTURE_EPOCH);
    old.set_fork_epoch(Fork::Gloas, FAR_FUTURE_EPOCH);
    old.blob_schedule.clear();
    assert!(matches!(kinship(&ours, &of(&old, ROOT, 15)), Kinship::Other(_)));
    assert!(matches!(
        kinship(&ForkPoint::at(&config, ROOT, 9), &of(&old, ROOT, 9)),
        Kinship::UntilNextFork(_)
    ));
    // The same epoch, another number of blobs: only `nfd` tells.
    let mut blobs = config.clone();
    blobs.blob_schedule[0].max_blobs_per_block = 13;
    let Kinship::UntilNextFork(why) = kinship(&ours, &of(&blobs, ROOT, 15)) else {
        panic!("they part at epoch 20");
    };
    assert!(why.contains("epoch 20"), "{why}");
}

/// Boot nodes of Hoodi whose records are of the network's first days say what we would have said then.
#[test]
fn records_of_a_public_network_are_understood() {
    if cfg!(feature = "minimal") {
        return;
    }
    let config = Config::network("hoodi").unwrap();
    let root = consensus::config::PUBLIC_NETWORKS
        .iter()
        .find(|(name, _)| *name == "hoodi")
        .map(|(_, root)| *root)
        .unwrap();
    let records = bootnodes::built_in("hoodi").unwrap();
    let first_days = ForkPoint::at(&config, root, 0);
    let kin = |point: &ForkPoint| {
        let records = records.iter().filter_map(|record| Record::of(record).ok());
        records.filter(|record| kinship(point, record) == Kinship::Same).count()
    };
    assert!(kin(&first_days) >= 4, "{}", kin(&first_days));
    let electra = ForkPoint::at(&config, root, first_days.eth2.next_fork_epoch);
    assert_eq!(kin(&electra), kin(&first_days), "they announced Electra");
    let now = ForkPoint::at(&config, root, 90_000);
    assert_eq!(kin(&now), 0);
}

#[test]
fn the_operator_hears_when_most_plan_otherwise() {
    let config = config();
    let mut other = config.clone();
    other.blob_schedule[0].epoch = 25;
    let ours = ForkPoint::at(&config, ROOT, 15);
    let record = |config: &Config, root, epoch| {
        let key = NodeKey::generate().unwrap().combined().unwrap();
        let announced = Announced {
            fork: ForkPoint::at(config, root, epoch),
            ..announced(0)
        };
        read(&build(&key, 1, &announced, &place(), PORTS).unwrap())
    };
    let mut watch = ScheduleWatch::new();
    assert_eq!(watch.alarm(&ours, 0), None, "no records, no alarm");
    for _ in 0..10 {
        watch.observe(&ours, &record(&config, ROOT, 15));
        watch.observe(&ours, &record(&other, ROOT, 15));
        watch.observe(&ours, &record(&config, Bytes([8; 32]), 15));
    }
    assert_eq!(watch.alarm(&ours, 10), None, "half is not most");
    let last = record(&other, ROOT, 15);
    watch.observe(&ours, &last);
    watch.observe(&ours, &last);
    assert_eq!(watch.alarm(&ours, 22), None, "21 records, each node's once");
    let alarm = watch.alarm(&ours, 21).unwrap();
    assert!(
        alarm.contains("11 of the last 21") && alarm.contains("epoch 25") && alarm.contains("epoch 20"),
        "{alarm}"
    );
    watch.clear();
    assert_eq!(watch.alarm(&ours, 1), None);

    // Most made a fork that we do not know.
    let mut gone: Vec<Record> = (0..3).map(|_| record(&config, ROOT, 15)).collect();
    for record in &mut gone {
        watch.observe(&ours, record);
        record.eth2.fork_digest = Bytes([1, 2, 3, 4]);
        watch.observe(&ours, record);
    }
    let alarm = watch.alarm(&ours, 3).unwrap();
    assert!(
        alarm.contains("3 of the last 3") && alarm.contains("01020304"),
        "{alarm}"
    );
    // Bounded.
    for _ in 0..300 {
        let mut record = gone[0].clone();
        record.node_id = NodeId::random();
        record.eth2 = ours.eth2;
        record.next_fork_digest = ours.next_fork_digest;
        watch.observe(&ours, &record);
    }
    assert_eq!(watch.alarm(&ours, 257), None);
}
