//! What the book knows of one peer.

use super::super::addresses::ip_of;
use super::super::enr::Enr;
use super::super::subnet_set::SubnetSet;
use super::{Goodbye, Score, dial};
use libp2p::Multiaddr;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses of one peer: a record has at most four, and a static peer may be given some more.
const ADDRESSES_MAX: usize = 8;

/// Where a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Known, and nothing more.
    Known,
    /// Being dialled.
    Connecting { since: Duration },
    /// Connected; its status must come before the deadline.
    Handshaking { deadline: Duration },
    /// Connected and on our chain.
    Connected { since: Duration },
    /// Told to go, or about to be.
    Disconnecting { since: Duration, reason: Goodbye },
}

impl State {
    /// Whether there is a connection.
    pub(super) fn is_open(self) -> bool {
        !matches!(self, State::Known | State::Connecting { .. })
    }

    /// Whether it takes one of the places for peers.
    pub(super) fn counts(self) -> bool {
        matches!(self, State::Handshaking { .. } | State::Connected { .. })
    }
}

/// One peer.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) state: State,
    pub(super) trusted: bool,
    pub(super) fixed: bool,
    pub(super) addresses: Vec<Multiaddr>,
    pub(super) record: Option<Enr>,
    pub(super) subnets: SubnetSet,
    pub(super) score: Score,
    pub(super) inbound: bool,
    /// The address of the connection or dial.
    pub(super) ip: Option<IpAddr>,
    /// Where it was connected last.
    pub(super) seen: Option<Multiaddr>,
    pub(super) failed_dials: u32,
    pub(super) next_dial: Duration,
    /// When something was heard of it last.
    pub(super) news: Duration,
}

impl Entry {
    pub(super) fn new(now: Duration) -> Entry {
        Entry {
            state: State::Known,
            trusted: false,
            fixed: false,
            addresses: Vec::new(),
            record: None,
            subnets: SubnetSet::EMPTY,
            score: Score::new(now),
            inbound: false,
            ip: None,
            seen: None,
            failed_dials: 0,
            next_dial: Duration::ZERO,
            news: now,
        }
    }

    /// Whether limits, scores and bans do not hold for it.
    pub(super) fn is_exempt(&self) -> bool {
        self.trusted || self.fixed
    }

    /// Adds addresses, best first, before those known.
    pub(super) fn learn(&mut self, addresses: Vec<Multiaddr>) {
        let older = std::mem::replace(&mut self.addresses, addresses);
        for address in older {
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
        self.addresses.truncate(ADDRESSES_MAX);
    }

    /// Discovery has news of it.
    pub(super) fn found(&mut self, record: Option<Enr>, addresses: Vec<Multiaddr>, subnets: SubnetSet, now: Duration) {
        let is_newer = match (&self.record, &record) {
            (Some(old), Some(new)) => new.seq() > old.seq(),
            _ => true,
        };
        if is_newer && record.is_some() {
            self.record = record;
            // A static peer keeps the addresses that the operator gave; another one's old addresses are out of date.
            if self.fixed {
                self.learn(addresses);
            } else if !addresses.is_empty() {
                self.addresses = addresses;
                self.addresses.truncate(ADDRESSES_MAX);
            }
        } else {
            self.learn(addresses);
        }
        if !self.state.is_open() {
            self.subnets = subnets; // what it says itself on a connection is fresher
        }
        self.news = now;
    }

    pub(super) fn connected(
        &mut self,
        address: Multiaddr,
        ip: Option<IpAddr>,
        inbound: bool,
        now: Duration,
        handshake: Duration,
    ) {
        self.state = State::Handshaking {
            deadline: now + handshake,
        };
        self.seen = Some(address);
        self.ip = ip;
        self.inbound = inbound;
        self.news = now;
    }

    pub(super) fn dialled(&mut self, now: Duration) {
        self.state = State::Connecting { since: now };
        self.ip = self.addresses.first().and_then(ip_of);
        self.inbound = false;
    }

    pub(super) fn dial_failed(&mut self, now: Duration) {
        self.state = State::Known;
        self.ip = None;
        self.failed_dials = self.failed_dials.saturating_add(1);
        self.next_dial = now + dial::wait_after(self.failed_dials, self.is_exempt());
    }

    /// Where it is or was, as far as is known.
    pub(super) fn last_address(&self) -> Option<&Multiaddr> {
        self.seen.as_ref().or(self.addresses.first())
    }
}
