//! How many peers, of whom, and from where.

use super::super::addresses::{Range, is_public};
use super::entry::State;
use super::{Book, Goodbye};
use libp2p::PeerId;
use std::net::IpAddr;
use std::time::Duration;

/// Trusted and static peers in all: an operator's own nodes and friends. They are exempt from all limits, so that they need
/// one.
pub(super) const EXEMPT_MAX: usize = 64;

/// Bans remembered. Each takes an identity, which costs an attacker nothing, so the oldest give way: about 100 KB.
const BANS_MAX: usize = 1024;

/// Ranges banned: 64 KB at most.
const RANGE_BANS_MAX: usize = 256;

/// How long a ban lasts: longer than a restart with a mended version takes, and short enough that a dynamic address
/// harms its next owner little.
pub const BAN_TIME: Duration = Duration::from_hours(1);

/// How many banned peers of one site make the site banned: below that it may be a bug of a popular client among
/// customers of one provider.
const BANS_PER_SITE: usize = 3;

/// How many peers the book keeps, and how long things take. See [`Limits::of_target`] for the reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many there should be.
    pub target: usize,
    /// How many there may be, exempt ones aside.
    pub max: usize,
    /// How many of them may have called us.
    pub inbound_max: usize,
    /// How many of them should be called by us.
    pub outbound_min: usize,
    /// How many may be of one site (see `Range::site`).
    pub site_max: usize,
    /// How many may be of one provider.
    pub provider_max: usize,
    /// How many the book knows in all.
    pub known_max: usize,
    /// How many dials go on at once.
    pub dials_max: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long a goodbye may take before the peer is named again.
    pub goodbye: Duration,
    /// How often those beyond the target are let go.
    pub prune_every: Duration,
}

impl Limits {
    /// The limits that go with a target: `--target-peers`, 50 by default.
    pub fn of_target(target: usize) -> Limits {
        // Head-room, so that callers are let in when the target is met and the best of all can be kept.
        let max = target + (target / 5).max(4);
        // Who calls may all be one party; a third is chosen by this node, at random places of the network.
        let outbound_min = target.div_ceil(3);
        Limits {
            target,
            max,
            inbound_max: max - outbound_min.min(max),
            outbound_min,
            // Two neighbours at one hoster are common; more than one in sixteen from there are not needed.
            site_max: (target / 16).max(2),
            provider_max: (target / 6).max(4),
            // About 1 KB each with their records. Enough to be choosy about subnets without asking the network again.
            known_max: 1024,
            // A home router's table of connections is small, and dials to the dead take a while.
            dials_max: 8,
            // Status is asked for at once; this is long for a slow line and short for one who only takes a place.
            handshake: Duration::from_secs(15),
            goodbye: Duration::from_secs(5),
            // Newcomers get the time to show what they are worth.
            prune_every: Duration::from_secs(30),
        }
    }
}

/// Why a peer is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is connected already: close the newer connection only.
    AlreadyConnected,
    /// It is banned.
    Banned,
    /// Its range is.
    RangeBanned(Range),
    /// It has not behaved well enough lately.
    BadScore,
    /// Its address is not public, on a public network.
    Private(IpAddr),
    /// There are enough peers.
    Full,
    /// There are enough that called us.
    FullOfInbound,
    /// There are enough of its range.
    FullOfRange(Range),
}

impl Refusal {
    /// What to tell it; `None` if the peer itself stays.
    pub fn goodbye(&self) -> Option<Goodbye> {
        match self {
            Refusal::AlreadyConnected => None,
            Refusal::Banned | Refusal::RangeBanned(_) => Some(Goodbye::Banned),
            Refusal::BadScore => Some(Goodbye::BadScore),
            Refusal::Private(_) => Some(Goodbye::Fault),
            Refusal::Full | Refusal::FullOfInbound | Refusal::FullOfRange(_) => Some(Goodbye::TooManyPeers),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::AlreadyConnected => f.write_str("it is connected already"),
            Refusal::Banned => f.write_str("it is banned"),
            Refusal::RangeBanned(range) => write!(f, "its range {range} is banned"),
            Refusal::BadScore => f.write_str("its score is too low"),
            Refusal::Private(ip) => write!(f, "{ip} is not a public address (--allow-private)"),
            Refusal::Full => f.write_str("there are enough peers"),
            Refusal::FullOfInbound => f.write_str("there are enough peers that called"),
            Refusal::FullOfRange(range) => write!(f, "there are enough peers of {range}"),
        }
    }
}

impl Book {
    /// Whether a peer that is not exempt may have a place.
    pub(super) fn check_stranger(
        &self,
        peer: PeerId,
        ip: Option<IpAddr>,
        inbound: bool,
        now: Duration,
    ) -> Result<(), Refusal> {
        if self.is_banned(&peer, now) {
            return Err(Refusal::Banned);
        }
        if self.peers.get(&peer).is_some_and(|entry| entry.score.at(now) < 0) {
            return Err(Refusal::BadScore);
        }
        if let Some(ip) = ip {
            if !self.allow_private && !is_public(ip) {
                return Err(Refusal::Private(ip));
            }
            self.check_range_ban(ip, now)?;
        }
        self.check_room(inbound)?;
        match ip {
            Some(ip) => self.check_ranges(Some(peer), ip),
            None => Ok(()),
        }
    }

    pub(super) fn check_range_ban(&self, ip: IpAddr, now: Duration) -> Result<(), Refusal> {
        let range = Range::site(ip);
        match self.range_bans.get(&range) {
            Some(until) if now < *until => Err(Refusal::RangeBanned(range)),
            _ => Ok(()),
        }
    }

    pub(super) fn check_room(&self, inbound: bool) -> Result<(), Refusal> {
        let strangers = self
            .peers
            .values()
            .filter(|entry| entry.state.is_open() && !entry.is_exempt());
        let (all, called) = strangers.fold((0, 0), |(all, called), entry| {
            (all + 1, called + usize::from(entry.inbound))
        });
        if all >= self.limits.max {
            return Err(Refusal::Full);
        }
        if inbound && called >= self.limits.inbound_max {
            return Err(Refusal::FullOfInbound);
        }
        Ok(())
    }

    /// Whether there is room for another of the ranges of `ip`, `peer` itself aside. Addresses that are not public are not
    /// counted: where they are allowed, one range is the whole network.
    pub(super) fn check_ranges(&self, peer: Option<PeerId>, ip: IpAddr) -> Result<(), Refusal> {
        if !is_public(ip) {
            return Ok(());
        }
        let count = |range_of: fn(IpAddr) -> Range| {
            let of_range = |(other, entry): &(&PeerId, &super::Entry)| {
                entry.state != State::Known
                    && !entry.is_exempt()
                    && Some(**other) != peer
                    && entry.ip.map(range_of) == Some(range_of(ip))
            };
            self.peers.iter().filter(of_range).count()
        };
        if count(Range::site) >= self.limits.site_max {
            return Err(Refusal::FullOfRange(Range::site(ip)));
        }
        if count(Range::provider) >= self.limits.provider_max {
            return Err(Refusal::FullOfRange(Range::provider(ip)));
        }
        Ok(())
    }

    /// Bans a peer, which must not be exempt, and its site if too many there are banned.
    pub(super) fn ban(&mut self, peer: PeerId, ip: Option<IpAddr>, now: Duration) {
        self.ban_until(peer, ip, now + BAN_TIME);
        let Some(ip) = ip.filter(|ip| is_public(*ip)) else {
            return;
        };
        let site = Range::site(ip);
        let of_site = self.bans.values().filter(|ban| ban.ip.map(Range::site) == Some(site));
        if of_site.count() >= BANS_PER_SITE {
            if self.range_bans.len() >= RANGE_BANS_MAX
                && let Some(first) = self
                    .range_bans
                    .iter()
                    .min_by_key(|(_, until)| **until)
                    .map(|(range, _)| *range)
            {
                self.range_bans.remove(&first);
            }
            self.range_bans.insert(site, now + BAN_TIME);
        }
    }

    /// Bans a peer until a time. `ip` only if its site is to be suspected too.
    pub(super) fn ban_until(&mut self, peer: PeerId, ip: Option<IpAddr>, until: Duration) {
        if self.bans.len() >= BANS_MAX
            && !self.bans.contains_key(&peer)
            && let Some(first) = self.bans.iter().min_by_key(|(_, ban)| ban.until).map(|(peer, _)| *peer)
        {
            self.bans.remove(&first);
        }
        self.bans.insert(peer, Ban { until, ip });
    }

    /// Makes room for one more in the book: forgets who is only known, could not be reached, and was not heard of for
    /// longest. `false` if all are worth more than a stranger.
    pub(super) fn make_room(&mut self) -> bool {
        if self.peers.len() < self.limits.known_max {
            return true;
        }
        let forgettable = self
            .peers
            .iter()
            .filter(|(_, entry)| entry.state == State::Known && !entry.is_exempt());
        let worst = forgettable.max_by_key(|(_, entry)| (entry.failed_dials, std::cmp::Reverse(entry.news)));
        let Some(worst) = worst.map(|(peer, _)| *peer) else {
            return false;
        };
        self.peers.remove(&worst);
        true
    }
}

/// A ban.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ban {
    pub(super) until: Duration,
    pub(super) ip: Option<IpAddr>,
}
