use super::*;
use consensus::Invalid;

mod chance;

const NONE: Wanted = Wanted {
    subnets: SubnetSet::EMPTY,
    per_subnet: 0,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The address of a host of its own /16.
fn address(host: u8) -> Multiaddr {
    format!("/ip4/{}.1.1.1/tcp/9000", u16::from(host) + 20).parse().unwrap()
}

fn at(ip: &str) -> Multiaddr {
    format!("/ip4/{ip}/tcp/9000").parse().unwrap()
}

fn book(target: usize) -> Book {
    Book::new(Limits::of_target(target), false)
}

fn set(subnets: &[Subnet]) -> SubnetSet {
    subnets.iter().copied().collect()
}

/// Connects a new peer all the way.
fn join(book: &mut Book, address: &Multiaddr, inbound: bool, now: Duration) -> Result<PeerId, Refusal> {
    let peer = PeerId::random();
    book.admit(peer, address, inbound, now)?;
    book.handshaken(peer, now);
    Ok(peer)
}

fn find(book: &mut Book, address: Multiaddr, subnets: &[Subnet], now: Duration) -> PeerId {
    let peer = PeerId::random();
    book.discovered(peer, None, vec![address], set(subnets), now);
    peer
}

fn invalid() -> Offence {
    Offence::Invalid(Invalid::new("rule", "detail".to_owned()))
}

fn dialled(book: &mut Book, wanted: &Wanted, now: Duration) -> Vec<PeerId> {
    book.next_dials(wanted, now).into_iter().map(|dial| dial.peer).collect()
}

#[test]
fn a_part_of_the_room_is_kept_for_those_we_choose() {
    let mut book = book(30);
    let limits = book.limits().clone();
    assert_eq!((limits.max, limits.outbound_min, limits.inbound_max), (36, 10, 26));
    let mut host = 0;
    let mut next = || {
        host += 1;
        address(host)
    };
    for _ in 0..limits.inbound_max {
        join(&mut book, &next(), true, seconds(0)).unwrap();
    }
    assert_eq!(join(&mut book, &next(), true, seconds(0)), Err(Refusal::FullOfInbound));
    assert_eq!(book.missing(), 10, "four to the target, but ten of our own choice");
    for _ in 0..limits.outbound_min {
        join(&mut book, &next(), false, seconds(0)).unwrap();
    }
    assert_eq!(join(&mut book, &next(), false, seconds(0)), Err(Refusal::Full));
    let counts = book.counts();
    assert_eq!((counts.connected, counts.inbound, counts.outbound), (36, 26, 10));
    // A trusted peer has its place all the same.
    let friend = PeerId::random();
    assert!(book.trust(friend));
    assert_eq!(book.admit(friend, &next(), true, seconds(0)), Ok(()));
    assert_eq!(
        book.may_call("9.9.9.9".parse().unwrap(), seconds(0)),
        Err(Refusal::Full)
    );
}

#[test]
fn no_range_fills_the_book() {
    let mut book = book(50);
    let limits = book.limits().clone();
    assert_eq!((limits.site_max, limits.provider_max), (3, 8));
    for host in 1..=3 {
        join(&mut book, &at(&format!("8.8.8.{host}")), true, seconds(0)).unwrap();
    }
    let refused = join(&mut book, &at("8.8.8.4"), true, seconds(0)).unwrap_err();
    assert_eq!(refused.to_string(), "there are enough peers of 8.8.8.0/24");
    for site in 1..=5 {
        join(&mut book, &at(&format!("8.8.{site}.1")), true, seconds(0)).unwrap();
    }
    let refused = join(&mut book, &at("8.8.77.1"), true, seconds(0)).unwrap_err();
    assert_eq!(refused.to_string(), "there are enough peers of 8.8.0.0/16");
    assert_eq!(book.may_call("8.8.99.1".parse().unwrap(), seconds(0)), Err(refused));
    assert!(join(&mut book, &at("8.9.1.1"), true, seconds(0)).is_ok());
    // Nor do dials go there.
    let there = find(&mut book, at("8.8.8.9"), &[], seconds(0));
    let elsewhere = find(&mut book, at("7.7.7.7"), &[], seconds(0));
    let dials = dialled(&mut book, &NONE, seconds(0));
    assert!(dials.contains(&elsewhere) && !dials.contains(&there));
    let v6 = |host| {
        format!("/ip6/2400:1:2::{host}/udp/9001/quic-v1")
            .parse::<Multiaddr>()
            .unwrap()
    };
    for host in 1..=3 {
        join(&mut book, &v6(host), true, seconds(0)).unwrap();
    }
    let refused = join(&mut book, &v6(4), true, seconds(0)).unwrap_err();
    assert_eq!(refused.to_string(), "there are enough peers of 2400:1:2::/48");
}

#[test]
fn private_addresses_need_leave() {
    let mut public = book(10);
    let refused = join(&mut public, &at("192.168.1.2"), true, seconds(0)).unwrap_err();
    assert!(refused.to_string().contains("--allow-private"), "{refused}");
    assert!(public.may_call("10.0.0.1".parse().unwrap(), seconds(0)).is_err());
    find(&mut public, at("10.0.0.1"), &[], seconds(0));
    assert_eq!(public.counts().known, 0, "not even remembered");
    let mut private = Book::new(Limits::of_target(50), true);
    for host in 1..=20 {
        join(&mut private, &at(&format!("10.0.0.{host}")), true, seconds(0)).unwrap();
    }
    // An operator's own static peer may be anywhere.
    let own = PeerId::random();
    assert!(public.add_static(own, vec![at("192.168.1.3")]));
    assert_eq!(dialled(&mut public, &NONE, seconds(0)), [own]);
    assert_eq!(public.admit(own, &at("192.168.1.3"), false, seconds(1)), Ok(()));
}

#[test]
fn handshakes_have_a_deadline() {
    let mut book = book(10);
    let peer = PeerId::random();
    book.admit(peer, &address(1), true, seconds(0)).unwrap();
    assert_eq!(
        book.admit(peer, &address(1), false, seconds(1)),
        Err(Refusal::AlreadyConnected)
    );
    assert!(book.tick(&NONE, seconds(14)).is_empty());
    let drop = Drop {
        peer,
        reason: Goodbye::Fault,
    };
    assert_eq!(book.tick(&NONE, seconds(15)), [drop]);
    book.handshaken(peer, seconds(16));
    assert_eq!(book.counts().disconnecting, 1, "too late");
    assert!(book.tick(&NONE, seconds(16)).is_empty(), "told once");
    assert_eq!(book.tick(&NONE, seconds(20)), [drop], "and again if it stays");
    book.disconnected(peer, seconds(21));
    assert_eq!(book.counts().disconnecting, 0);
}

#[test]
fn bad_conduct_ends_in_a_ban() {
    let mut book = book(10);
    let peer = join(&mut book, &address(1), true, seconds(0)).unwrap();
    assert_eq!(book.report(peer, &Offence::Wrong("it"), seconds(0)), None);
    assert_eq!(book.report(peer, &Offence::Wrong("it"), seconds(0)), None);
    let bad = book.report(peer, &Offence::Wrong("it"), seconds(0)).unwrap();
    assert_eq!(bad.reason, Goodbye::BadScore);
    assert!(!book.is_banned(&peer, seconds(0)));
    book.disconnected(peer, seconds(0));
    assert_eq!(book.admit(peer, &address(1), true, seconds(1)), Err(Refusal::BadScore));
    assert_eq!(
        book.report(peer, &invalid(), seconds(1)),
        None,
        "it is not here: nobody to say goodbye to"
    );
    assert!(book.is_banned(&peer, seconds(1)));
    assert_eq!(book.admit(peer, &address(1), true, seconds(3000)), Err(Refusal::Banned));
    book.tick(&NONE, seconds(3601));
    assert_eq!(book.admit(peer, &address(1), true, seconds(3601)), Ok(()), "bans end");
    // Nobody else suffers; and what is not known cannot be reported.
    assert!(join(&mut book, &at("21.1.1.2"), true, seconds(1)).is_ok());
    assert_eq!(book.report(PeerId::random(), &invalid(), seconds(1)), None);
}

#[test]
fn three_banned_neighbours_ban_their_site() {
    let mut book = book(50);
    let friend = PeerId::random();
    book.trust(friend);
    for host in 1..=3 {
        assert!(book.may_call("8.8.8.9".parse().unwrap(), seconds(0)).is_ok());
        let peer = join(&mut book, &at(&format!("8.8.8.{host}")), true, seconds(0)).unwrap();
        book.report(peer, &invalid(), seconds(0));
        book.report(peer, &invalid(), seconds(0));
        assert!(book.is_banned(&peer, seconds(0)));
        book.disconnected(peer, seconds(0));
    }
    let refused = join(&mut book, &at("8.8.8.9"), true, seconds(1)).unwrap_err();
    assert_eq!(refused.to_string(), "its range 8.8.8.0/24 is banned");
    assert!(join(&mut book, &at("8.8.9.9"), true, seconds(1)).is_ok());
    assert_eq!(
        book.admit(friend, &at("8.8.8.7"), true, seconds(1)),
        Ok(()),
        "never a trusted one"
    );
    assert_eq!(
        book.may_call("8.8.8.9".parse().unwrap(), seconds(1)),
        Err(refused),
        "with all trusted peers here, it can be none of them"
    );
    book.tick(&NONE, seconds(3601));
    assert!(join(&mut book, &at("8.8.8.9"), true, seconds(3601)).is_ok());
}

#[test]
fn trusted_peers_are_never_banned() {
    let mut book = book(10);
    let friend = PeerId::random();
    book.trust(friend);
    book.admit(friend, &address(1), true, seconds(0)).unwrap();
    book.handshaken(friend, seconds(0));
    for _ in 0..100 {
        assert_eq!(book.report(friend, &invalid(), seconds(0)), None);
    }
    assert!(!book.is_banned(&friend, seconds(0)) && book.counts().connected == 1);
    let gone = book.report(friend, &Offence::OtherChain, seconds(0)).unwrap();
    assert_eq!(gone.reason, Goodbye::IrrelevantNetwork);
    assert!(!book.is_banned(&friend, seconds(0)));
    // A peer that is banned and then trusted is banned no more.
    let other = join(&mut book, &address(2), true, seconds(0)).unwrap();
    book.report(other, &invalid(), seconds(0));
    book.report(other, &invalid(), seconds(0));
    assert!(book.is_banned(&other, seconds(0)));
    book.trust(other);
    assert!(!book.is_banned(&other, seconds(0)));
    // There is an end to trust.
    let trusted = (0..100).filter(|_| book.trust(PeerId::random())).count();
    assert_eq!(trusted, limits::EXEMPT_MAX - 2);
}

#[test]
fn another_chain_waits_without_blame() {
    let mut book = book(10);
    let peer = join(&mut book, &address(1), false, seconds(0)).unwrap();
    let drop = book.report(peer, &Offence::OtherChain, seconds(0)).unwrap();
    assert_eq!(drop.reason.code(), 2);
    book.disconnected(peer, seconds(1));
    assert_eq!(book.admit(peer, &address(1), true, seconds(500)), Err(Refusal::Banned));
    assert_eq!(book.admit(peer, &address(1), true, seconds(600)), Ok(()));
}

#[test]
fn dials_go_where_peers_are_lacking() {
    let mut book = book(4);
    let lonely = Subnet::Attestation(5);
    let wanted = Wanted {
        subnets: set(&[lonely, Subnet::Column(7)]),
        per_subnet: 1,
    };
    for host in 1..=4 {
        join(&mut book, &address(host), false, seconds(0)).unwrap();
    }
    let anyone = find(&mut book, address(10), &[Subnet::Sync(1)], seconds(0));
    assert!(dialled(&mut book, &wanted, seconds(0)).is_empty(), "the target is met");
    let one = find(&mut book, address(11), &[lonely], seconds(0));
    let both = find(&mut book, address(12), &[lonely, Subnet::Column(7)], seconds(0));
    assert_eq!(book.lacking(&wanted), wanted.subnets);
    assert_eq!(
        dialled(&mut book, &wanted, seconds(0)),
        [both],
        "one covers all: the other is not needed"
    );
    assert!(dialled(&mut book, &wanted, seconds(1)).is_empty(), "it is on its way");
    book.dial_failed(both, seconds(2));
    assert_eq!(dialled(&mut book, &wanted, seconds(2)), [one], "the first waits");
    book.admit(one, &address(11), false, seconds(3)).unwrap();
    book.handshaken(one, seconds(3));
    assert_eq!(book.lacking(&wanted), set(&[Subnet::Column(7)]));
    assert_eq!(dialled(&mut book, &wanted, seconds(32)), [both], "half a minute later");
    assert!(book.peers.contains_key(&anyone));
}

#[test]
fn failed_dials_wait_longer_and_end() {
    let mut book = book(4);
    let peer = find(&mut book, address(1), &[], seconds(0));
    let fixed = PeerId::random();
    assert!(book.add_static(fixed, vec![address(2)]));
    let mut now = seconds(0);
    let mut waits = Vec::new();
    for _ in 0..dial::FAILED_DIALS_MAX {
        let start = now;
        while !dialled(&mut book, &NONE, now).contains(&peer) {
            now += seconds(1);
        }
        waits.push(now.as_secs() - start.as_secs());
        book.dial_failed(peer, now);
        book.dial_failed(peer, now); // said twice, counted once
    }
    assert_eq!(waits, [0, 30, 60, 120, 240, 480]);
    assert!(!book.peers.contains_key(&peer), "discovery may find it anew");
    // A static one is dialled for ever, and one whose dial never ends is dialled again.
    for _ in 0..50 {
        now += seconds(3600);
        book.tick(&NONE, now);
        now += seconds(3600);
        assert_eq!(dialled(&mut book, &NONE, now), [fixed]);
    }
}

#[test]
fn beyond_the_target_the_worst_goes() {
    let mut book = book(6);
    let only = Subnet::Column(3);
    let wanted = Wanted {
        subnets: set(&[only]),
        per_subnet: 2,
    };
    let mut peers = Vec::new();
    for host in 1..=9u8 {
        let outbound = host <= 2;
        peers.push(join(&mut book, &address(host), !outbound, seconds(u64::from(host))).unwrap());
    }
    // The worst of all is the only one on a wanted subnet; the next worst is one that we called, of which there are few.
    book.set_subnets(peers[4], set(&[only]));
    book.report(peers[4], &Offence::Wrong("it"), seconds(10));
    book.report(peers[0], &Offence::Unreliable("it"), seconds(10));
    book.report(peers[5], &Offence::Unreliable("it"), seconds(10));
    let handshaking = PeerId::random();
    book.admit(handshaking, &address(20), true, seconds(28)).unwrap();
    let gone: Vec<PeerId> = book
        .tick(&wanted, seconds(30))
        .into_iter()
        .map(|drop| drop.peer)
        .collect();
    assert_eq!(
        gone,
        [peers[5], peers[8], peers[7], peers[6]],
        "bad conduct, then the newest callers"
    );
    let counts = book.counts();
    assert_eq!((counts.connected, counts.handshaking), (5, 1));
    assert!(book.tick(&wanted, seconds(31)).is_empty());
}

#[test]
fn a_missing_friend_may_always_call() {
    let mut book = book(1);
    for host in 1..=book.limits().inbound_max {
        join(&mut book, &address(host as u8), true, seconds(0)).unwrap();
    }
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let may = |book: &Book, text| book.may_call(ip(text), seconds(0)).is_ok();
    assert!(!may(&book, "9.9.9.9"));
    let fixed = PeerId::random();
    book.add_static(fixed, vec![at("10.0.0.9"), at("9.9.9.9")]);
    assert!(may(&book, "9.9.9.9") && may(&book, "10.0.0.9") && !may(&book, "9.9.9.8"));
    book.admit(fixed, &at("9.9.9.9"), true, seconds(0)).unwrap();
    assert!(!may(&book, "9.9.9.9"), "it is here");
    // One of whom nothing is known but the name could be anywhere.
    book.trust(PeerId::random());
    assert!(may(&book, "9.9.9.8"));
}

#[test]
fn who_is_refused_after_a_dial_is_not_dialled_at_once() {
    let mut book = book(10);
    let peer = find(&mut book, at("21.1.1.1"), &[], seconds(0));
    assert_eq!(dialled(&mut book, &NONE, seconds(0)), [peer]);
    // A name led to another address than it was dialled for.
    let refused = book.admit(peer, &at("192.168.0.1"), false, seconds(1));
    assert!(matches!(refused, Err(Refusal::Private(_))));
    book.disconnected(peer, seconds(2));
    assert_eq!(book.counts().connecting, 0);
    assert!(dialled(&mut book, &NONE, seconds(3)).is_empty());
    assert_eq!(dialled(&mut book, &NONE, seconds(32)), [peer]);
}

#[test]
fn counts_and_the_apis_list_agree() {
    let mut book = book(10);
    let connected = join(&mut book, &address(1), true, seconds(0)).unwrap();
    let handshaking = PeerId::random();
    book.admit(handshaking, &address(2), false, seconds(0)).unwrap();
    let known = find(&mut book, address(3), &[], seconds(0));
    let left = join(&mut book, &address(4), false, seconds(0)).unwrap();
    book.discovered(left, None, vec![address(4)], SubnetSet::EMPTY, seconds(0));
    book.disconnected(left, seconds(1));
    let leaving = join(&mut book, &address(5), true, seconds(0)).unwrap();
    book.report(leaving, &Offence::OtherChain, seconds(1));
    let list = book.peers();
    let state = |peer: PeerId| {
        list.iter()
            .find(|other| other.peer_id == peer.to_base58())
            .map(|peer| peer.state)
    };
    assert_eq!(state(connected), Some(PeerState::Connected));
    assert_eq!(state(handshaking), Some(PeerState::Connecting));
    assert_eq!(state(left), Some(PeerState::Disconnected));
    assert_eq!(state(leaving), Some(PeerState::Disconnecting));
    assert_eq!(state(known), None, "never met");
    let first = list.iter().find(|peer| peer.peer_id == connected.to_base58()).unwrap();
    assert_eq!(
        (first.last_seen_p2p_address.as_str(), first.inbound),
        ("/ip4/21.1.1.1/tcp/9000", true)
    );
    let drops = book.shut_down(seconds(2));
    assert_eq!(drops.len(), 2);
    assert!(drops.iter().all(|drop| drop.reason.code() == 1));
}

#[test]
fn an_hour_without_callers_is_told_with_real_values() {
    let mut book = book(10);
    let reach = Reach {
        ports: super::super::enr::Ports {
            discovery: 9100,
            tcp: 9102,
            quic: Some(9103),
        },
        local: vec!["127.0.0.1".parse().unwrap(), "192.168.7.3".parse().unwrap()],
        external: Some("8.8.4.4".parse().unwrap()),
    };
    join(&mut book, &address(1), false, seconds(0)).unwrap();
    assert_eq!(book.inbound_advice(&reach, seconds(3599)), None);
    let advice = book.inbound_advice(&reach, seconds(3600)).unwrap();
    for value in ["TCP 9102", "UDP 9100", "UDP 9103", "192.168.7.3", "8.8.4.4"] {
        assert!(advice.contains(value), "{advice}");
    }
    assert!(!advice.contains("127.0.0.1"));
    let caller = join(&mut book, &address(2), true, seconds(4000)).unwrap();
    assert_eq!(book.inbound_advice(&reach, seconds(40_000)), None, "it is still here");
    book.disconnected(caller, seconds(40_000));
    assert_eq!(book.inbound_advice(&reach, seconds(43_599)), None);
    assert!(book.inbound_advice(&reach, seconds(43_600)).is_some());
}

#[test]
fn good_peers_are_remembered_in_a_file() {
    use crate::network::enr::Enr;
    use discv5::enr::CombinedKey;
    let folder = crate::testing::Scratch::new("peers");
    assert!(memory::load(folder.path()).is_empty());
    let mut book = book(10);
    let mut record_of = |host: u8, good: bool, met: bool| {
        let record = Enr::empty(&CombinedKey::generate_secp256k1()).unwrap();
        let peer = PeerId::random();
        book.discovered(
            peer,
            Some(record.clone()),
            vec![address(host)],
            SubnetSet::EMPTY,
            seconds(0),
        );
        if met {
            book.admit(peer, &address(host), false, seconds(0)).unwrap();
            book.handshaken(peer, seconds(0));
            book.praise(peer, GoodDeed::Answered, seconds(0));
        }
        if !good {
            book.report(peer, &invalid(), seconds(0));
        }
        record
    };
    let good = record_of(1, true, true);
    record_of(2, false, true);
    record_of(3, true, false);
    let remembered = book.remembered(seconds(1));
    assert_eq!(
        remembered,
        std::slice::from_ref(&good),
        "those that were met and behaved"
    );
    memory::store(folder.path(), &remembered).unwrap();
    std::fs::write(
        folder.path().join("peers"),
        format!("nonsense\n\n{}\nenr:broken\n", good.to_base64()),
    )
    .unwrap();
    assert_eq!(memory::load(folder.path()), [good]);
    std::fs::write(folder.path().join("peers"), vec![b'x'; 70_000]).unwrap();
    assert!(memory::load(folder.path()).is_empty());
}
