//! Node records: what ours says, and what is read from those of others.
//!
//! A foreign record is signed by its owner and otherwise unchecked: a field of the wrong length counts as not there.
//!
//! Spec: EIP-778; "ENR structure" in p2p-interface.md of phase0, altair and fulu.

use super::addresses::is_public;
use super::node_key::peer_id_of;
use super::subnet_set::{ATTESTATION_SUBNETS, SubnetSet};
use alloy_rlp::{Decodable, Header};
use anyhow::{Context as _, Result, anyhow};
use consensus::constants::{FAR_FUTURE_EPOCH, SYNC_COMMITTEE_SUBNET_COUNT};
use consensus::ssz::{BitVector, Bytes, Ssz};
use consensus::types::{ENRForkID, Epoch, ForkDigest, Root};
use consensus::{Config, Fork};
use discv5::enr::{CombinedKey, NodeId};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use discv5::Enr;

/// Where the clock stands in the schedule of forks, blob-parameter forks with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkPoint {
    /// The digest now, and the next fork.
    pub eth2: ENRForkID,
    /// The digest after the next fork; zeros where none is planned, and `None` where Fulu is not even planned.
    pub next_fork_digest: Option<ForkDigest>,
    /// The digest before the last fork; `None` at genesis.
    pub previous: Option<ForkDigest>,
    /// When the digest changed last.
    pub since: Epoch,
}

impl ForkPoint {
    /// At `epoch`, by the clock. Spec: fulu/p2p-interface.md, "`eth2` field" and "Next fork digest".
    pub fn at(config: &Config, genesis_validators_root: Root, epoch: Epoch) -> ForkPoint {
        let digest = |epoch| config.compute_fork_digest(genesis_validators_root, epoch);
        let epochs = config.digest_epochs();
        let since = epochs.iter().copied().filter(|at| *at <= epoch).max().unwrap_or(0);
        let next = epochs.iter().copied().find(|at| *at > epoch);
        let fulu_is_planned = config.fork_epoch(Fork::Fulu) != FAR_FUTURE_EPOCH;
        ForkPoint {
            eth2: ENRForkID {
                fork_digest: digest(epoch),
                // A blob-parameter fork changes no version, and without a next fork it is the current one.
                next_fork_version: config.compute_fork_version(next.unwrap_or(epoch)),
                next_fork_epoch: next.unwrap_or(FAR_FUTURE_EPOCH),
            },
            next_fork_digest: fulu_is_planned.then(|| next.map_or(Bytes([0; 4]), digest)),
            previous: (since > 0).then(|| digest(since - 1)),
            since,
        }
    }
}

/// What our record says beside addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The fork.
    pub fork: ForkPoint,
    /// The long-lived attestation subnets and the sync subnets; columns are told by `custody_group_count`.
    pub subnets: SubnetSet,
    /// How many groups of columns the node keeps.
    pub custody_group_count: u64,
}

/// The ports that peers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// UDP, discovery.
    pub discovery: u16,
    /// TCP, libp2p.
    pub tcp: u16,
    /// UDP, libp2p's QUIC; none if it is off.
    pub quic: Option<u16>,
}

/// Where our record says that we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// By IPv4; none if it is not known or not public.
    pub ip4: Option<Ipv4Addr>,
    /// By IPv6.
    pub ip6: Option<Ipv6Addr>,
    /// The UDP port of discovery over IPv4, which behind a NAT may be another than the one listened on.
    pub udp4: Option<u16>,
    /// Over IPv6.
    pub udp6: Option<u16>,
}

impl Place {
    /// Where a record says that its owner is.
    pub fn of(record: &Enr) -> Place {
        Place {
            ip4: record.ip4(),
            ip6: record.ip6(),
            udp4: port_of(record, "udp"),
            udp6: port_of(record, "udp6"),
        }
    }
}

/// The keys that are ours to set or remove.
const KEYS: [&str; 13] = [
    "attnets", "cgc", "eth2", "ip", "ip6", "nfd", "quic", "quic6", "syncnets", "tcp", "tcp6", "udp", "udp6",
];

/// A record with the given sequence number. Errors as [`update`].
pub fn build(key: &CombinedKey, sequence: u64, announced: &Announced, place: &Place, ports: Ports) -> Result<Enr> {
    let mut record = Enr::builder()
        .seq(sequence.saturating_sub(1)) // the update below counts on
        .build(key)
        .map_err(|error| anyhow!("cannot make a node record: {error}"))?;
    update(&mut record, key, announced, place, ports)?;
    Ok(record)
}

/// Makes a record say this and no more, and counts its sequence number on by one; `false` if it says so already. An error
/// if the number is at its end.
pub fn update(record: &mut Enr, key: &CombinedKey, announced: &Announced, place: &Place, ports: Ports) -> Result<bool> {
    let wanted = fields(announced, place, ports);
    let is_same = KEYS.iter().all(|key| {
        let value = wanted
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_slice());
        bytes_of(record, key) == value
    });
    if is_same {
        return Ok(false);
    }
    let gone = KEYS.iter().filter(|key| wanted.iter().all(|(name, _)| name != *key));
    let set = wanted.iter().map(|(name, value)| (*name, value.as_slice()));
    record
        .remove_insert(gone, set, key)
        .map_err(|error| anyhow!("cannot update the node record: {error}"))?;
    Ok(true)
}

fn fields(announced: &Announced, place: &Place, ports: Ports) -> Vec<(&'static str, Vec<u8>)> {
    let fork = &announced.fork;
    let mut fields = vec![
        ("attnets", announced.subnets.attnets().as_bytes().to_vec()),
        ("eth2", fork.eth2.encode(Fork::Phase0)),
        ("syncnets", announced.subnets.syncnets().as_bytes().to_vec()),
    ];
    if let Some(digest) = fork.next_fork_digest {
        fields.push(("cgc", integer(announced.custody_group_count)));
        fields.push(("nfd", digest.0.to_vec()));
    }
    let quic = ports.quic.map(u64::from);
    let tcp = Some(u64::from(ports.tcp));
    let families = [
        (
            ["ip", "tcp", "udp", "quic"],
            place.ip4.map(|ip| ip.octets().to_vec()),
            place.udp4,
        ),
        (
            ["ip6", "tcp6", "udp6", "quic6"],
            place.ip6.map(|ip| ip.octets().to_vec()),
            place.udp6,
        ),
    ];
    for ([ip_key, tcp_key, udp_key, quic_key], ip, udp) in families {
        let Some(ip) = ip else { continue };
        fields.push((ip_key, ip));
        let ports = [(tcp_key, tcp), (udp_key, udp.map(u64::from)), (quic_key, quic)];
        fields.extend(ports.into_iter().filter_map(|(key, port)| Some((key, integer(port?)))));
    }
    fields
}

/// Big-endian without leading zeros: what RLP has for numbers. Spec: fulu/p2p-interface.md, "Custody group count".
fn integer(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    bytes[number.leading_zeros() as usize / 8..].to_vec()
}

/// The bytes of an entry; `None` if it is not there, or is a list.
fn bytes_of<'a>(record: &'a Enr, key: &str) -> Option<&'a [u8]> {
    let mut rlp = record.get_raw_rlp(key)?;
    let bytes = Header::decode_bytes(&mut rlp, false).ok()?;
    rlp.is_empty().then_some(bytes)
}

fn port_of(record: &Enr, key: &str) -> Option<u16> {
    let mut rlp = record.get_raw_rlp(key)?;
    let port = <u16 as Decodable>::decode(&mut rlp).ok()?;
    (port != 0 && rlp.is_empty()).then_some(port)
}

/// What a foreign record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its owner in libp2p.
    pub peer_id: PeerId,
    /// Its owner in discovery.
    pub node_id: NodeId,
    /// Its fork.
    pub eth2: ENRForkID,
    /// The digest after its next fork.
    pub next_fork_digest: Option<ForkDigest>,
    /// Its attestation and sync subnets.
    pub subnets: SubnetSet,
    /// How many groups of columns it keeps.
    pub custody_group_count: Option<u64>,
}

impl Record {
    /// Reads a record. An error if it is not one of a beacon node: its key is not of secp256k1, or `eth2` is missing or
    /// not 16 bytes.
    pub fn of(record: &Enr) -> Result<Record> {
        let peer_id = peer_id_of(&record.public_key()).context("the record's key is not of secp256k1")?;
        let eth2 = bytes_of(record, "eth2").context("the record has no `eth2`")?;
        let eth2 = ENRForkID::decode(eth2, Fork::Phase0).map_err(|error| anyhow!("the record's `eth2`: {error}"))?;
        let attnets = bits_of(record, "attnets", ATTESTATION_SUBNETS);
        let syncnets = bits_of(record, "syncnets", SYNC_COMMITTEE_SUBNET_COUNT as usize);
        let next_fork_digest = bytes_of(record, "nfd").and_then(|bytes| Some(Bytes(bytes.try_into().ok()?)));
        let custody_group_count = record
            .get_raw_rlp("cgc")
            .and_then(|mut rlp| <u64 as Decodable>::decode(&mut rlp).ok());
        Ok(Record {
            peer_id,
            node_id: record.node_id(),
            eth2,
            next_fork_digest,
            subnets: SubnetSet::of_bits(&attnets, &syncnets),
            custody_group_count,
        })
    }
}

/// A bitfield; none set where it is missing, of another length, or has bits beyond its end.
fn bits_of(record: &Enr, key: &str, length: usize) -> BitVector {
    let empty = BitVector::new(length);
    let Some(bytes) = bytes_of(record, key) else {
        return empty;
    };
    let ends_within = length.is_multiple_of(8) || bytes.last().is_some_and(|last| last >> (length % 8) == 0);
    if bytes.len() != length.div_ceil(8) || !ends_within {
        return empty;
    }
    (0..length)
        .map(|index| bytes[index / 8] >> (index % 8) & 1 == 1)
        .collect()
}

/// Where a record's owner can be called, best first: QUIC before TCP (the spec prefers it), IPv4 before IPv6, which fewer
/// have. Without private addresses unless they are allowed. Never more than four.
pub fn multiaddrs(record: &Enr, allow_private: bool) -> Vec<Multiaddr> {
    let ip4 = record.ip4().map(IpAddr::V4);
    let ip6 = record.ip6().map(IpAddr::V6);
    let is_fit = |ip: &IpAddr| {
        let usable = !ip.is_unspecified() && !ip.is_multicast();
        usable && (allow_private || is_public(*ip))
    };
    let quic = |(ip, key)| address(ip?, port_of(record, key)?, true);
    let tcp = |(ip, key)| address(ip?, port_of(record, key)?, false);
    let (ip4, ip6) = (ip4.filter(is_fit), ip6.filter(is_fit));
    let by_quic = [(ip4, "quic"), (ip6, "quic6")].into_iter().filter_map(quic);
    let by_tcp = [(ip4, "tcp"), (ip6, "tcp6")].into_iter().filter_map(tcp);
    by_quic.chain(by_tcp).collect()
}

fn address(ip: IpAddr, port: u16, quic: bool) -> Option<Multiaddr> {
    let host = Multiaddr::from(ip);
    if port == 0 {
        return None;
    }
    Some(if quic {
        host.with(Protocol::Udp(port)).with(Protocol::QuicV1)
    } else {
        host.with(Protocol::Tcp(port))
    })
}

/// How a record's chain relates to ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kinship {
    /// Ours, now and after the next fork.
    Same,
    /// Ours until the next fork, of which one of us does not know or thinks otherwise: a sentence says so.
    UntilNextFork(String),
    /// Another: a sentence with both digests.
    Other(String),
}

/// Whether a record is of our network. One that still has the digest before our last fork is ours if it announced that
/// fork: records outlive forks in tables. One that has the digest of our next fork has a clock ahead of ours.
///
/// Spec: phase0/p2p-interface.md, "`eth2` field"; fulu/p2p-interface.md, "Next fork digest".
pub fn kinship(ours: &ForkPoint, theirs: &Record) -> Kinship {
    let their_digest = theirs.eth2.fork_digest;
    if their_digest == ours.eth2.fork_digest {
        return same_until_next(ours, theirs);
    }
    let announced_ours = match theirs.next_fork_digest {
        Some(next) => next == ours.eth2.fork_digest,
        None => theirs.eth2.next_fork_epoch == ours.since,
    };
    let is_behind = ours.previous == Some(their_digest) && announced_ours;
    let is_ahead = ours.eth2.next_fork_epoch != FAR_FUTURE_EPOCH && ours.next_fork_digest == Some(their_digest);
    if is_behind || is_ahead {
        return Kinship::Same;
    }
    Kinship::Other(format!(
        "its fork digest is {their_digest}, ours {}",
        ours.eth2.fork_digest
    ))
}

fn same_until_next(ours: &ForkPoint, theirs: &Record) -> Kinship {
    let epochs_agree = theirs.eth2.next_fork_epoch == ours.eth2.next_fork_epoch;
    let digests_agree = match (ours.next_fork_digest, theirs.next_fork_digest) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => theirs.eth2.next_fork_version == ours.eth2.next_fork_version,
    };
    if epochs_agree && digests_agree {
        return Kinship::Same;
    }
    Kinship::UntilNextFork(format!(
        "its next fork is {}, ours {}",
        told(theirs.eth2.next_fork_epoch, theirs.next_fork_digest),
        told(ours.eth2.next_fork_epoch, ours.next_fork_digest)
    ))
}

/// A next fork in words.
pub(crate) fn told(epoch: Epoch, digest: Option<ForkDigest>) -> String {
    match (epoch, digest) {
        (FAR_FUTURE_EPOCH, _) => "none".to_owned(),
        (epoch, Some(digest)) => format!("at epoch {epoch} with digest {digest}"),
        (epoch, None) => format!("at epoch {epoch}"),
    }
}

#[cfg(test)]
#[path = "enr_tests.rs"]
mod tests;
