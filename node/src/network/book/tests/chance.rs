//! Whatever happens, in whatever order: counts are right, bounds hold, nobody trusted is banned, nobody banned is dialled.

use super::*;
use std::collections::HashSet;

/// Numbers by chance from a seed, so that a failure can be had again (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A peer id that is the same in every run: an "identity" multihash of a number.
fn peer(number: u8) -> PeerId {
    PeerId::from_bytes(&[0, 1, number]).unwrap()
}

struct World {
    book: Book,
    peers: Vec<PeerId>,
    trusted: HashSet<PeerId>,
    /// What a swarm would know: who has a connection.
    open: HashSet<PeerId>,
    now: Duration,
    chance: Chance,
    /// That something has been met at all.
    refused: usize,
    banned: usize,
    dropped: usize,
    dialled: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut limits = Limits::of_target(12);
        limits.known_max = 40;
        let mut book = Book::new(limits, false);
        let peers: Vec<PeerId> = (0..100).map(peer).collect();
        let trusted: HashSet<PeerId> = peers[..3].iter().copied().collect();
        for peer in &trusted {
            book.trust(*peer);
        }
        World {
            book,
            peers,
            trusted,
            open: HashSet::new(),
            now: Duration::ZERO,
            chance: Chance(seed),
            refused: 0,
            banned: 0,
            dropped: 0,
            dialled: 0,
        }
    }

    fn wanted(&mut self) -> Wanted {
        Wanted {
            subnets: (0..10).map(|_| Subnet::Column(self.chance.below(128))).collect(),
            per_subnet: 2,
        }
    }

    fn address(&mut self) -> Multiaddr {
        let (a, b, c) = (self.chance.below(3), self.chance.below(3), self.chance.below(200));
        at(&format!("{}.{b}.{a}.{c}", 20 + a))
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.chance.below(20_000));
        let count = self.peers.len() as u64;
        let peer = self.peers[self.chance.below(count) as usize];
        match self.chance.below(12) {
            0 | 1 => {
                let (address, subnet) = (self.address(), Subnet::Column(self.chance.below(128)));
                self.book
                    .discovered(peer, None, vec![address], set(&[subnet]), self.now);
            }
            2 | 3 => self.call(peer, true),
            4 => self.book.handshaken(peer, self.now),
            5 => {
                if self.open.remove(&peer) {
                    self.book.disconnected(peer, self.now);
                }
            }
            6 => self.report(peer),
            7 => self.book.praise(peer, GoodDeed::Answered, self.now),
            8 => {
                let subnets = set(&[Subnet::Column(self.chance.below(128))]);
                self.book.set_subnets(peer, subnets);
            }
            9 | 10 => self.dial(),
            _ => {
                let wanted = self.wanted();
                for drop in self.book.tick(&wanted, self.now) {
                    self.drop(drop);
                }
            }
        }
    }

    fn call(&mut self, peer: PeerId, inbound: bool) {
        if self.open.contains(&peer) {
            let again = self.book.admit(peer, &address(1), inbound, self.now);
            assert_eq!(again, Err(Refusal::AlreadyConnected));
            return;
        }
        let address = self.address();
        match self.book.admit(peer, &address, inbound, self.now) {
            Ok(()) => {
                assert!(!self.book.is_banned(&peer, self.now), "a banned one is in");
                self.open.insert(peer);
            }
            Err(refusal) => {
                assert!(!self.trusted.contains(&peer), "a trusted one is refused: {refusal}");
                assert_ne!(refusal, Refusal::AlreadyConnected);
                self.refused += 1;
                if !inbound {
                    self.book.dial_failed(peer, self.now);
                }
            }
        }
    }

    fn report(&mut self, peer: PeerId) {
        let offence = match self.chance.below(4) {
            0 => Offence::Unreliable("chance"),
            1 => Offence::Wrong("chance"),
            2 => Offence::OtherChain,
            _ => invalid(),
        };
        if let Some(drop) = self.book.report(peer, &offence, self.now) {
            assert!(offence == Offence::OtherChain || !self.trusted.contains(&peer));
            self.drop(drop);
        }
        self.banned += usize::from(self.book.is_banned(&peer, self.now));
    }

    fn drop(&mut self, drop: Drop) {
        assert!(self.open.contains(&drop.peer), "{drop:?} is not connected");
        self.dropped += 1;
        // Sometimes the goodbye does not get through, and it stays for a while.
        if self.chance.below(3) > 0 {
            self.open.remove(&drop.peer);
            self.book.disconnected(drop.peer, self.now);
        }
    }

    fn dial(&mut self) {
        let wanted = self.wanted();
        let dials = self.book.next_dials(&wanted, self.now);
        for dial in dials {
            assert!(!self.book.is_banned(&dial.peer, self.now), "a banned one is dialled");
            assert!(!self.open.contains(&dial.peer), "one that is here is dialled");
            assert!(!dial.addresses.is_empty());
            self.dialled += 1;
            match self.chance.below(3) {
                0 => self.book.dial_failed(dial.peer, self.now),
                1 => self.call(dial.peer, false),
                _ => {} // not decided yet
            }
        }
    }

    fn check(&self) {
        let (book, counts, limits) = (&self.book, self.book.counts(), self.book.limits());
        let here = counts.connected + counts.handshaking + counts.disconnecting;
        assert_eq!(here, self.open.len());
        assert_eq!(counts.inbound + counts.outbound, counts.connected + counts.handshaking);
        assert!(counts.known <= limits.known_max, "{counts:?}");
        assert!(counts.connecting <= limits.dials_max, "{counts:?}");
        let strangers: Vec<_> = book
            .peers
            .values()
            .filter(|entry| entry.state.is_open() && !entry.is_exempt())
            .collect();
        assert!(strangers.len() <= limits.max, "{}", strangers.len());
        assert!(strangers.iter().filter(|entry| entry.inbound).count() <= limits.inbound_max);
        type RangeOf = fn(IpAddr) -> Range;
        for (range_of, most) in [
            (Range::site as RangeOf, limits.site_max),
            (Range::provider, limits.provider_max),
        ] {
            for ip in strangers.iter().filter_map(|entry| entry.ip) {
                let alike = strangers
                    .iter()
                    .filter(|other| other.ip.map(range_of) == Some(range_of(ip)));
                assert!(alike.count() <= most, "too many of {}", range_of(ip));
            }
        }
        for peer in &self.trusted {
            assert!(!book.is_banned(peer, self.now));
        }
        let listed = book
            .peers()
            .iter()
            .filter(|peer| peer.state == PeerState::Connected)
            .count();
        assert_eq!(listed, counts.connected);
    }
}

#[test]
fn invariants_hold_by_chance() {
    let (mut refused, mut banned, mut dropped, mut dialled) = (0, 0, 0, 0);
    for seed in 0..10 {
        let mut world = World::new(seed);
        for _ in 0..1500 {
            world.step();
            world.check();
        }
        refused += world.refused;
        banned += world.banned;
        dropped += world.dropped;
        dialled += world.dialled;
    }
    // Otherwise nothing was tried.
    for met in [refused, banned, dropped, dialled] {
        assert!(met > 10, "{refused} {banned} {dropped} {dialled}");
    }
}
