//! The book of peers: who is known, connected or banned, whom to dial next and whom to let go.
//!
//! A pure state machine: the swarm tells what happened and asks what to do; time is an argument, counted from the start of
//! the process. Nobody is made to wait and nothing grows without a bound.
//!
//! The rules, in short. A peer is admitted while there is room, unless it or its range is banned or too many of its range
//! are here; a part of the room is kept for peers that this node chose itself, for those who call could all be one party's.
//! Dials go first to peers that cover subnets and columns on which too few are. Above the target the worst goes, but
//! never the only one on a subnet that is wanted. Trusted and static peers are exempt from limits and bans.

mod dial;
mod entry;
mod limits;
pub mod memory;
mod score;
#[cfg(test)]
mod tests;
mod words;

pub use limits::{BAN_TIME, Limits, Refusal};
pub use score::{GoodDeed, Score};
pub use words::Reach;

use super::addresses::{Range, ip_of, is_public};
use super::enr::Enr;
use super::peer::Offence;
use super::subnet_set::{Subnet, SubnetSet};
use crate::api::{Peer, PeerState};
use entry::{Entry, State};
use libp2p::{Multiaddr, PeerId};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Why a peer is let go. Spec: phase0/p2p-interface.md, "Goodbye v1"; codes from 129 on are those that the other clients
/// understand too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// This node stops.
    Shutdown,
    /// The peer follows another chain.
    IrrelevantNetwork,
    /// It, or the connection, does not work: a handshake that does not end.
    Fault,
    /// There are enough.
    TooManyPeers,
    /// It has not behaved well enough.
    BadScore,
    /// It is banned.
    Banned,
}

impl Goodbye {
    /// The number in the message.
    pub fn code(self) -> u64 {
        match self {
            Goodbye::Shutdown => 1,
            Goodbye::IrrelevantNetwork => 2,
            Goodbye::Fault => 3,
            Goodbye::TooManyPeers => 129,
            Goodbye::BadScore => 250,
            Goodbye::Banned => 251,
        }
    }
}

/// A peer to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Who.
    pub peer: PeerId,
    /// Where, best first; at least one.
    pub addresses: Vec<Multiaddr>,
}

/// A peer to let go: say goodbye, and close the connection when it is said, after a few seconds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drop {
    /// Who.
    pub peer: PeerId,
    /// Why.
    pub reason: Goodbye,
}

/// Where peers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The subnets.
    pub subnets: SubnetSet,
    /// How many peers on each.
    pub per_subnet: usize,
}

/// How many peers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the book.
    pub known: usize,
    /// Being dialled.
    pub connecting: usize,
    /// Connected and not yet known to be on our chain.
    pub handshaking: usize,
    /// Connected and on our chain.
    pub connected: usize,
    /// Of the last two, those that called us.
    pub inbound: usize,
    /// Of the same, those that we called.
    pub outbound: usize,
    /// On their way out.
    pub disconnecting: usize,
    /// Banned peers.
    pub banned: usize,
}

/// The book.
#[derive(Clone, Debug)]
pub struct Book {
    limits: Limits,
    allow_private: bool,
    peers: HashMap<PeerId, Entry>,
    bans: HashMap<PeerId, limits::Ban>,
    range_bans: HashMap<Range, Duration>,
    last_inbound: Duration,
    last_prune: Duration,
}

impl Book {
    /// An empty book. Without `allow_private` peers at addresses that are not public are refused and not dialled.
    pub fn new(limits: Limits, allow_private: bool) -> Book {
        Book {
            limits,
            allow_private,
            peers: HashMap::new(),
            bans: HashMap::new(),
            range_bans: HashMap::new(),
            last_inbound: Duration::ZERO,
            last_prune: Duration::ZERO,
        }
    }

    /// The limits that it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Changes how many peers there should be; those beyond are let go with the next round.
    pub fn set_target(&mut self, target: usize) {
        if target != self.limits.target {
            self.limits = Limits::of_target(target);
        }
    }

    /// Trusts a peer: no limit, score or ban holds for it. `false`, and nothing done, if too many are trusted already.
    pub fn trust(&mut self, peer: PeerId) -> bool {
        let Some(entry) = self.exempt_entry(peer) else {
            return false;
        };
        entry.trusted = true;
        self.bans.remove(&peer);
        true
    }

    /// Adds a peer that is to be connected always, at these addresses. It is exempt as trusted ones are. `false`, and
    /// nothing done, if there are too many already.
    pub fn add_static(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) -> bool {
        let Some(entry) = self.exempt_entry(peer) else {
            return false;
        };
        entry.fixed = true;
        entry.learn(addresses);
        self.bans.remove(&peer);
        true
    }

    /// Takes in a peer that discovery found: its record, addresses and subnets (columns with them). Full books forget
    /// another for it, if one is worth less.
    pub fn discovered(
        &mut self,
        peer: PeerId,
        record: Option<Enr>,
        addresses: Vec<Multiaddr>,
        subnets: SubnetSet,
        now: Duration,
    ) {
        let fit: Vec<Multiaddr> = addresses.into_iter().filter(|address| self.may_dial(address)).collect();
        let is_banned = self.is_banned(&peer, now);
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.found(record, fit, subnets, now);
            return;
        }
        if fit.is_empty() || is_banned || !self.make_room() {
            return;
        }
        let mut entry = Entry::new(now);
        entry.found(record, fit, subnets, now);
        self.peers.insert(peer, entry);
    }

    /// Whether a caller from `ip` may go on with its handshake: to be asked before any work is done for it. Which peer it
    /// is, is not known yet; it may if it could be a trusted or static one that is missing.
    pub fn may_call(&self, ip: IpAddr, now: Duration) -> Result<(), Refusal> {
        let could_be = |entry: &Entry| {
            let addresses = &entry.addresses;
            addresses.is_empty()
                || addresses
                    .iter()
                    .any(|address| ip_of(address).is_none_or(|known| known == ip))
        };
        let mut missing = self
            .peers
            .values()
            .filter(|entry| entry.is_exempt() && !entry.state.is_open());
        if missing.any(could_be) {
            return Ok(());
        }
        if !self.allow_private && !is_public(ip) {
            return Err(Refusal::Private(ip));
        }
        self.check_range_ban(ip, now)?;
        self.check_room(true)?;
        self.check_ranges(None, ip)
    }

    /// A connection is made: whether the peer is let in. If so the handshake (status) has until its deadline; if not,
    /// close it, with the refusal's goodbye if it has one.
    pub fn admit(&mut self, peer: PeerId, address: &Multiaddr, inbound: bool, now: Duration) -> Result<(), Refusal> {
        let ip = ip_of(address);
        let known = self.peers.get(&peer);
        if known.is_some_and(|entry| entry.state.is_open()) {
            return Err(Refusal::AlreadyConnected);
        }
        if !known.is_some_and(Entry::is_exempt) {
            self.check_stranger(peer, ip, inbound, now)?;
            if known.is_none() && !self.make_room() {
                return Err(Refusal::Full);
            }
        }
        let entry = self.peers.entry(peer).or_insert_with(|| Entry::new(now));
        entry.connected(address.clone(), ip, inbound, now, self.limits.handshake);
        if inbound {
            self.last_inbound = now;
        }
        Ok(())
    }

    /// The peer's status shows that it is on our chain: it counts as connected.
    pub fn handshaken(&mut self, peer: PeerId, now: Duration) {
        if let Some(entry) = self.peers.get_mut(&peer)
            && matches!(entry.state, State::Handshaking { .. })
        {
            entry.state = State::Connected { since: now };
            entry.failed_dials = 0;
        }
    }

    /// What a connected peer says of its subnets, by metadata or subscriptions (columns with them).
    pub fn set_subnets(&mut self, peer: PeerId, subnets: SubnetSet) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.subnets = subnets;
        }
    }

    /// A dial did not lead to a connection: the next one waits twice as long. After some it is forgotten.
    pub fn dial_failed(&mut self, peer: PeerId, now: Duration) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        if !matches!(entry.state, State::Connecting { .. }) {
            return; // it has called in the meantime
        }
        entry.dial_failed(now);
        if entry.failed_dials >= dial::FAILED_DIALS_MAX && !entry.is_exempt() {
            self.peers.remove(&peer);
        }
    }

    /// The last connection to a peer is closed.
    pub fn disconnected(&mut self, peer: PeerId, now: Duration) {
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        match entry.state {
            State::Known => return,
            // It was refused when the dial had led to it.
            State::Connecting { .. } => return self.dial_failed(peer, now),
            _ => {}
        }
        if entry.inbound {
            self.last_inbound = now;
        }
        entry.state = State::Known;
        entry.ip = None;
        entry.next_dial = entry
            .next_dial
            .max(now + dial::wait_after_connection(entry.is_exempt()));
        if entry.addresses.is_empty() && !entry.is_exempt() && !entry.score.is_blamed(now) {
            self.peers.remove(&peer); // a caller whom we could not call, and with nothing to hold against it
        }
    }

    /// A peer did wrong. If it has to go, tells why; if that means a ban, it is banned from now on.
    pub fn report(&mut self, peer: PeerId, offence: &Offence, now: Duration) -> Option<Drop> {
        let entry = self.peers.get_mut(&peer)?;
        entry.score.blame(offence, now);
        let reason = if *offence == Offence::OtherChain {
            entry.next_dial = now + dial::AFTER_OTHER_CHAIN;
            if !entry.is_exempt() {
                self.ban_until(peer, None, now + dial::AFTER_OTHER_CHAIN); // its neighbours have nothing to do with it
            }
            Goodbye::IrrelevantNetwork
        } else if entry.is_exempt() {
            return None;
        } else if entry.score.is_ban(now) {
            let ip = entry.ip;
            self.ban(peer, ip, now);
            Goodbye::Banned
        } else if entry.score.at(now) < 0 {
            Goodbye::BadScore
        } else {
            return None;
        };
        self.let_go(peer, reason, now)
    }

    /// A peer did well.
    pub fn praise(&mut self, peer: PeerId, deed: GoodDeed, now: Duration) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.score.praise(deed, now);
        }
    }

    /// How well a peer has done; lower is worse, below 0 it is on its way out. 0 for one that is not known.
    pub fn score(&self, peer: &PeerId, now: Duration) -> i32 {
        self.peers.get(peer).map_or(0, |entry| entry.score.at(now))
    }

    /// Whether a peer is banned. Trusted and static ones never are.
    pub fn is_banned(&self, peer: &PeerId, now: Duration) -> bool {
        self.bans.get(peer).is_some_and(|ban| now < ban.until)
    }

    /// Whether a peer is trusted or static.
    pub fn is_exempt(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(Entry::is_exempt)
    }

    /// To be called every second or so: whom to let go, because its handshake took too long or there are too many. One that
    /// was told before and is still there is told again after a while: close it without further words.
    pub fn tick(&mut self, wanted: &Wanted, now: Duration) -> Vec<Drop> {
        self.bans.retain(|_, ban| now < ban.until);
        self.range_bans.retain(|_, until| now < *until);
        let mut drops = Vec::new();
        for (peer, entry) in &mut self.peers {
            match entry.state {
                State::Connecting { since } if now >= since + dial::DIAL_DEADLINE => entry.dial_failed(now),
                State::Handshaking { deadline } if now >= deadline => {
                    entry.state = State::Disconnecting {
                        since: now,
                        reason: Goodbye::Fault,
                    };
                    drops.push(Drop {
                        peer: *peer,
                        reason: Goodbye::Fault,
                    });
                }
                State::Disconnecting { since, reason } if now >= since + self.limits.goodbye => {
                    entry.state = State::Disconnecting { since: now, reason };
                    drops.push(Drop { peer: *peer, reason });
                }
                _ => {}
            }
        }
        if now >= self.last_prune + self.limits.prune_every {
            self.last_prune = now;
            drops.extend(self.prune(wanted, now));
        }
        drops
    }

    /// Lets all go, for a stop.
    pub fn shut_down(&mut self, now: Duration) -> Vec<Drop> {
        let open = self.peers.iter().filter(|(_, entry)| entry.state.is_open());
        let open: Vec<PeerId> = open.map(|(peer, _)| *peer).collect();
        open.into_iter()
            .filter_map(|peer| self.let_go(peer, Goodbye::Shutdown, now))
            .collect()
    }

    /// How many peers there are.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            known: self.peers.len(),
            banned: self.bans.len(),
            ..Counts::default()
        };
        for entry in self.peers.values() {
            match entry.state {
                State::Known => {}
                State::Connecting { .. } => counts.connecting += 1,
                State::Handshaking { .. } => counts.handshaking += 1,
                State::Connected { .. } => counts.connected += 1,
                State::Disconnecting { .. } => counts.disconnecting += 1,
            }
            if entry.state.counts() {
                counts.inbound += usize::from(entry.inbound);
                counts.outbound += usize::from(!entry.inbound);
            }
        }
        counts
    }

    /// The subnets of those wanted on which there are too few peers.
    pub fn lacking(&self, wanted: &Wanted) -> SubnetSet {
        let covered = self.coverage(|entry| entry.state.counts());
        let lacks = |subnet: &Subnet| covered.get(subnet).copied().unwrap_or(0) < wanted.per_subnet;
        wanted.subnets.iter().filter(lacks).collect()
    }

    /// How many more peers should be looked for.
    pub fn missing(&self) -> usize {
        let counts = self.counts();
        let open = counts.connected + counts.handshaking;
        let too_few = self.limits.target.saturating_sub(open);
        too_few.max(self.limits.outbound_min.saturating_sub(counts.outbound))
    }

    /// All that are connected, being dialled, or have been connected, as the API has them.
    pub fn peers(&self) -> Vec<Peer> {
        let seen = self
            .peers
            .iter()
            .filter(|(_, entry)| entry.seen.is_some() || entry.state != State::Known);
        seen.map(|(peer, entry)| Peer {
            peer_id: peer.to_base58(),
            enr: entry.record.as_ref().map(Enr::to_base64),
            last_seen_p2p_address: entry.last_address().map(ToString::to_string).unwrap_or_default(),
            state: match entry.state {
                State::Known => PeerState::Disconnected,
                State::Connecting { .. } | State::Handshaking { .. } => PeerState::Connecting,
                State::Connected { .. } => PeerState::Connected,
                State::Disconnecting { .. } => PeerState::Disconnecting,
            },
            inbound: entry.inbound,
        })
        .collect()
    }

    /// A sentence for the operator when nobody has called for an hour: what to forward where, with real values.
    pub fn inbound_advice(&self, reach: &Reach, now: Duration) -> Option<String> {
        let has_inbound = self.peers.values().any(|entry| entry.inbound && entry.state.counts());
        if has_inbound || now < self.last_inbound + words::PATIENCE {
            return None;
        }
        Some(reach.advice())
    }

    fn exempt_entry(&mut self, peer: PeerId) -> Option<&mut Entry> {
        let exempt = self.peers.values().filter(|entry| entry.is_exempt()).count();
        if exempt >= limits::EXEMPT_MAX && !self.is_exempt(&peer) {
            return None;
        }
        Some(self.peers.entry(peer).or_insert_with(|| Entry::new(Duration::ZERO)))
    }

    /// Marks a peer as on its way out, if it is connected.
    fn let_go(&mut self, peer: PeerId, reason: Goodbye, now: Duration) -> Option<Drop> {
        let entry = self.peers.get_mut(&peer)?;
        if !entry.state.counts() {
            return None;
        }
        entry.state = State::Disconnecting { since: now, reason };
        Some(Drop { peer, reason })
    }

    fn may_dial(&self, address: &Multiaddr) -> bool {
        self.allow_private || ip_of(address).is_some_and(is_public)
    }

    /// How many peers are on each subnet, of those that are picked.
    fn coverage(&self, pick: impl Fn(&Entry) -> bool) -> HashMap<Subnet, usize> {
        let mut covered = HashMap::new();
        for entry in self.peers.values().filter(|entry| pick(entry)) {
            for subnet in entry.subnets.iter() {
                *covered.entry(subnet).or_insert(0) += 1;
            }
        }
        covered
    }
}
