//! Whom to dial, and whom to let go when there are too many.

use super::super::addresses::ip_of;
use super::super::subnet_set::{Subnet, SubnetSet};
use super::entry::{Entry, State};
use super::{Book, Dial, Drop, Goodbye, Wanted};
use libp2p::PeerId;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

/// A dial that is neither done nor failed after this is given up: longer than the transports' own limits.
pub(super) const DIAL_DEADLINE: Duration = Duration::from_secs(30);

/// After a failed dial; doubled each time.
const FIRST_WAIT: Duration = Duration::from_secs(30);

/// And at most this.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The same for static and trusted peers: they are few and wanted, and often restart together with this node.
const FIRST_WAIT_EXEMPT: Duration = Duration::from_secs(2);

/// And at most this.
const LONGEST_WAIT_EXEMPT: Duration = Duration::from_mins(1);

/// After so many failed dials in a row, half an hour in all, discovery may find the peer anew if it lives.
pub(super) const FAILED_DIALS_MAX: u32 = 6;

/// Before one whose connection has ended is dialled again: it may have let us go for want of room.
const AFTER_CONNECTION: Duration = Duration::from_mins(1);

/// Before one of another chain is heard again: it may be syncing, or about to be updated.
pub(super) const AFTER_OTHER_CHAIN: Duration = Duration::from_mins(10);

/// How long to wait after so many failed dials in a row.
pub(super) fn wait_after(failed_dials: u32, is_exempt: bool) -> Duration {
    let (first, longest) = if is_exempt {
        (FIRST_WAIT_EXEMPT, LONGEST_WAIT_EXEMPT)
    } else {
        (FIRST_WAIT, LONGEST_WAIT)
    };
    let doublings = failed_dials.saturating_sub(1).min(16);
    (first * (1 << doublings)).min(longest)
}

/// How long to wait after a connection.
pub(super) fn wait_after_connection(is_exempt: bool) -> Duration {
    if is_exempt { FIRST_WAIT_EXEMPT } else { AFTER_CONNECTION }
}

impl Book {
    /// Whom to dial now. They count as being dialled from then on: tell of each with `admit`, or `dial_failed`. To be called
    /// every second or so. Never more than the limits' `dials_max` go on at once, static peers among them.
    pub fn next_dials(&mut self, wanted: &Wanted, now: Duration) -> Vec<Dial> {
        let counts = self.counts();
        let mut free = self.limits.dials_max.saturating_sub(counts.connecting);
        let mut dials = Vec::new();
        let fixed: Vec<PeerId> = self
            .due(now)
            .filter(|(_, entry)| entry.is_exempt())
            .map(|(peer, _)| *peer)
            .collect();
        for peer in fixed.into_iter().take(free) {
            dials.extend(self.dial(peer, now));
        }
        free -= dials.len().min(free);
        let taken = counts.connected + counts.handshaking + counts.connecting + dials.len();
        let outbound = counts.outbound + counts.connecting + dials.len();
        let mut room = self.limits.max.saturating_sub(taken);
        let mut missing = self.limits.target.saturating_sub(taken);
        missing = missing.max(self.limits.outbound_min.saturating_sub(outbound));
        let mut covered =
            self.coverage(|entry| entry.state.counts() || matches!(entry.state, State::Connecting { .. }));
        while free > 0 && room > 0 {
            let lacks = |subnet: &Subnet| covered.get(subnet).copied().unwrap_or(0) < wanted.per_subnet;
            let lacking: SubnetSet = wanted.subnets.iter().filter(lacks).collect();
            let Some(peer) = self.best_candidate(lacking, missing > 0, now) else {
                break;
            };
            let Some(dial) = self.dial(peer, now) else { break };
            let subnets = self.peers.get(&peer).map(|entry| entry.subnets).unwrap_or_default();
            for subnet in subnets.iter() {
                *covered.entry(subnet).or_insert(0) += 1;
            }
            dials.push(dial);
            free -= 1;
            room -= 1;
            missing = missing.saturating_sub(1);
        }
        dials
    }

    /// Those who could be dialled now.
    fn due(&self, now: Duration) -> impl Iterator<Item = (&PeerId, &Entry)> {
        self.peers.iter().filter(move |(_, entry)| {
            entry.state == State::Known && !entry.addresses.is_empty() && now >= entry.next_dial
        })
    }

    /// The one who covers most of what lacks; then by score, by how often it could not be reached, and by the age of its
    /// news. One who covers nothing only if peers are wanted anyway.
    fn best_candidate(&self, lacking: SubnetSet, anyone: bool, now: Duration) -> Option<PeerId> {
        let worth = |entry: &Entry| {
            let covers = entry.subnets.intersection(lacking).len();
            (covers, entry.score.at(now), Reverse(entry.failed_dials), entry.news)
        };
        let may = |(peer, entry): &(&PeerId, &Entry)| {
            let is_useful = anyone || !entry.subnets.intersection(lacking).is_empty();
            is_useful && !entry.is_exempt() && self.may_dial_now(**peer, entry, now)
        };
        let best = self
            .due(now)
            .filter(may)
            .max_by_key(|(peer, entry)| (worth(entry), **peer));
        best.map(|(peer, _)| *peer)
    }

    fn may_dial_now(&self, peer: PeerId, entry: &Entry, now: Duration) -> bool {
        let ip = entry.addresses.first().and_then(ip_of);
        self.check_stranger(peer, ip, false, now).is_ok()
    }

    fn dial(&mut self, peer: PeerId, now: Duration) -> Option<Dial> {
        let entry = self.peers.get_mut(&peer)?;
        entry.dialled(now);
        Some(Dial {
            peer,
            addresses: entry.addresses.clone(),
        })
    }

    /// Lets those go who are beyond the target: the worst score first, and of equals the newest of those that called. Never
    /// an exempt one, never the only one on a wanted subnet, and none that we called while there are few of those.
    pub(super) fn prune(&mut self, wanted: &Wanted, now: Duration) -> Vec<Drop> {
        let mut covered = self.coverage(|entry| entry.state.counts());
        let mut drops = Vec::new();
        loop {
            let counts = self.counts();
            let exempt = self
                .peers
                .values()
                .filter(|entry| entry.is_exempt() && entry.state.counts())
                .count();
            if counts.connected + counts.handshaking - exempt <= self.limits.target {
                return drops;
            }
            let spare_outbound = counts.outbound > self.limits.outbound_min;
            let Some(peer) = self.worst(wanted.subnets, &covered, spare_outbound, now) else {
                return drops;
            };
            let subnets = self.peers.get(&peer).map(|entry| entry.subnets).unwrap_or_default();
            for subnet in subnets.iter() {
                covered.entry(subnet).and_modify(|count| *count -= 1);
            }
            drops.extend(self.let_go(peer, Goodbye::TooManyPeers, now));
        }
    }

    fn worst(
        &self,
        wanted: SubnetSet,
        covered: &HashMap<Subnet, usize>,
        spare_outbound: bool,
        now: Duration,
    ) -> Option<PeerId> {
        let is_only_one = |entry: &Entry| {
            let mut needed = entry.subnets.intersection(wanted).iter();
            needed.any(|subnet| covered.get(&subnet).copied().unwrap_or(0) <= 1)
        };
        let may_go = |(_, entry): &(&PeerId, &Entry)| {
            let State::Connected { .. } = entry.state else {
                return false; // a handshake has its own deadline
            };
            !entry.is_exempt() && (entry.inbound || spare_outbound) && !is_only_one(entry)
        };
        let age = |entry: &Entry| match entry.state {
            State::Connected { since } => now.saturating_sub(since),
            _ => Duration::ZERO,
        };
        let all = self.peers.iter().filter(may_go);
        let worst = all.min_by_key(|(peer, entry)| (entry.score.at(now), !entry.inbound, age(entry), **peer));
        worst.map(|(peer, _)| *peer)
    }
}
