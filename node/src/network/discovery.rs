//! Discovery: finds nodes of our network by discv5, and keeps our own record true.
//!
//! `start` binds the sockets, `Task::run` lives as long as the node, and `Discovery` is how the rest of the network tells it
//! what to announce and what to look for. What it finds goes into a bounded channel; when that is full the find is dropped,
//! for the network offers it again.
//!
//! Spec: "The discovery domain: discv5" in p2p-interface.md of phase0, altair and fulu; devp2p, discv5.

mod task;
#[cfg(test)]
mod tests;

pub use task::Task;

use super::addresses::is_public;
use super::enr::{Announced, Enr, Place, Ports, build};
use super::node_key::{NodeKey, Sequence};
use super::schedule_watch::ScheduleWatch;
use super::subnet_set::SubnetSet;
use anyhow::{Context as _, Result, bail};
use consensus::Config;
use consensus::types::MetaData;
use discv5::enr::NodeId;
use discv5::{ConfigBuilder, Discv5, ListenConfig};
use libp2p::{Multiaddr, PeerId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Finds that wait to be taken: a few lookups' worth, about 300 KB.
const FOUND_MAX: usize = 256;

/// Bans that wait to be taken: they are rare, and taken at once.
const BANS_MAX: usize = 64;

/// How many others must agree on our address before we believe it, on a public network: an attacker must be ten of the
/// nodes that we asked within two minutes.
const VOTES_PUBLIC: usize = 10;

/// The same on a private one, which may be small; discv5 wants at least two.
const VOTES_PRIVATE: usize = 2;

/// What an operator and the swarm determine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen. The first of each family is used; there must be one.
    pub listen: Vec<IpAddr>,
    /// The ports. Discovery's own may be 0, which takes a free one; the others must be those that libp2p listens on.
    pub ports: Ports,
    /// Where others reach this node (`--advertise-address`): fixed, no votes are counted then. Otherwise learned.
    pub advertise: Vec<IpAddr>,
    /// Whether addresses that are not public are used and told.
    pub allow_private: bool,
    /// Where to begin: boot nodes, static peers with records, and the peers of the last time.
    pub boot_nodes: Vec<Enr>,
    /// The network's folder, for the sequence numbers.
    pub folder: PathBuf,
    /// The network.
    pub config: Arc<Config>,
}

/// What to look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// How many more peers are wanted; with 0, and no subnets, lookups are rare.
    pub peers: usize,
    /// Subnets on which there are too few.
    pub subnets: SubnetSet,
}

/// A node that was found: of our network (now; see `kinship`), with an address that can be dialled.
#[derive(Clone, Debug)]
pub struct Found {
    /// Who, in libp2p.
    pub peer: PeerId,
    /// Who, in discovery.
    pub node_id: NodeId,
    /// Its record.
    pub record: Enr,
    /// Where to dial it, best first; never empty.
    pub addresses: Vec<Multiaddr>,
    /// Its subnets, columns with them.
    pub subnets: SubnetSet,
}

/// What is announced, and the number that tells peers that `MetaData` is new.
#[derive(Clone, Copy, Debug)]
struct Told {
    announced: Announced,
    metadata: u64,
}

/// The way to the task. Clones share it. Every call returns at once.
#[derive(Clone, Debug)]
pub struct Discovery {
    told: watch::Sender<Told>,
    search: watch::Sender<Search>,
    bans: mpsc::Sender<(NodeId, Duration)>,
    record: watch::Receiver<Enr>,
    alarm: watch::Receiver<Option<String>>,
    listen: Arc<[SocketAddr]>,
}

impl Discovery {
    /// Changes what the record and `MetaData` say. Their sequence numbers rise if that is another thing than before.
    pub fn announce(&self, announced: Announced) {
        self.told.send_if_modified(|told| {
            if told.announced == announced {
                return false;
            }
            let metadata_changes = told.announced.subnets != announced.subnets
                || told.announced.custody_group_count != announced.custody_group_count;
            told.metadata += u64::from(metadata_changes);
            told.announced = announced;
            true
        });
    }

    /// What to answer those who ask for it. Spec: fulu/p2p-interface.md, "MetaData".
    pub fn metadata(&self) -> MetaData {
        let told = *self.told.borrow();
        MetaData {
            seq_number: told.metadata,
            attnets: told.announced.subnets.attnets(),
            syncnets: told.announced.subnets.syncnets(),
            custody_group_count: told.announced.custody_group_count,
        }
    }

    /// Changes what to look for.
    pub fn search(&self, search: Search) {
        self.search
            .send_if_modified(|old| std::mem::replace(old, search) != search);
    }

    /// Has nothing to do with a node for a while. Dropped if too many such calls wait: the book still refuses the peer.
    pub fn ban(&self, node: NodeId, time: Duration) {
        if self.bans.try_send((node, time)).is_err() {
            tracing::debug!(%node, "not banned from discovery: too much waits, or it has ended");
        }
    }

    /// Our own record as it is now.
    pub fn record(&self) -> Enr {
        self.record.borrow().clone()
    }

    /// Our own record, with news of its changes.
    pub fn watch_record(&self) -> watch::Receiver<Enr> {
        self.record.clone()
    }

    /// A sentence for the operator if most of the network plans another fork than this node. See `ScheduleWatch`.
    pub fn alarm(&self) -> Option<String> {
        self.alarm.borrow().clone()
    }

    /// Where discovery listens, with the real ports.
    pub fn listen_addresses(&self) -> &[SocketAddr] {
        &self.listen
    }
}

/// Bytes of packets that discovery has received and sent since the start.
pub fn bytes() -> (u64, u64) {
    let counts = Discv5::raw_metrics();
    let load = |count: &AtomicUsize| count.load(Ordering::Relaxed) as u64;
    (load(&counts.bytes_recv), load(&counts.bytes_sent))
}

/// Binds the sockets and makes the first record. `unix_seconds` is the time, for sequence numbers that were lost. To be
/// called in a tokio runtime. Errors name the address or the file.
pub async fn start(
    options: Options,
    key: &NodeKey,
    announced: Announced,
    unix_seconds: u64,
) -> Result<(Discovery, mpsc::Receiver<Found>, Task)> {
    let (listen, port) = listen_config(&options)?;
    let ports = Ports {
        discovery: port,
        ..options.ports
    };
    let place = first_place(&options, port);
    let sequence = Sequence::load(&options.folder, unix_seconds)?;
    let record = build(&key.combined()?, sequence.record, &announced, &place, ports)?;
    let config = discv5_config(listen.clone(), &options);
    let mut discv5 = Discv5::new(record.clone(), key.combined()?, config).map_err(anyhow::Error::msg)?;
    let sockets = sockets_of(&listen);
    discv5.start().await.map_err(|error| {
        let shown: Vec<String> = sockets.iter().map(ToString::to_string).collect();
        let error = match error {
            discv5::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        };
        anyhow::anyhow!(
            "discovery cannot listen on UDP {}; another program may have the port: choose another by --port: {error}",
            shown.join(" and ")
        )
    })?;
    let events = discv5.event_stream().await;
    let events = events.map_err(|error| anyhow::anyhow!("discovery does not start: {error}"))?;
    let (told_sender, told) = watch::channel(Told {
        announced,
        metadata: sequence.metadata,
    });
    let (search_sender, search) = watch::channel(Search::default());
    let (bans_sender, bans) = mpsc::channel(BANS_MAX);
    let (record_sender, record_receiver) = watch::channel(record);
    let (alarm_sender, alarm) = watch::channel(None);
    let (found_sender, found) = mpsc::channel(FOUND_MAX);
    let discovery = Discovery {
        told: told_sender,
        search: search_sender,
        bans: bans_sender,
        record: record_receiver,
        alarm,
        listen: sockets.into(),
    };
    let task = Task {
        key: key.combined()?,
        discv5,
        events,
        ports,
        stored: sequence,
        watch: ScheduleWatch::new(),
        fork: announced.fork,
        found: found_sender,
        record: record_sender,
        alarm: alarm_sender,
        told,
        search,
        bans,
        options,
    };
    Ok((discovery, found, task))
}

/// The sockets to bind, and their port.
fn listen_config(options: &Options) -> Result<(ListenConfig, u16)> {
    let (ip4, ip6) = first_of_each(&options.listen);
    let Some(first) = ip4.map(IpAddr::V4).or(ip6.map(IpAddr::V6)) else {
        bail!("discovery has no address to listen on: give one by --listen-address");
    };
    let port = match options.ports.discovery {
        0 => free_port(first)?,
        port => port,
    };
    let config = match (ip4, ip6) {
        (Some(ipv4), Some(ipv6)) => ListenConfig::DualStack {
            ipv4,
            ipv4_port: port,
            ipv6,
            ipv6_port: port,
        },
        _ => ListenConfig::from_ip(first, port),
    };
    Ok((config, port))
}

/// discv5 does not tell which port it got, so that one is looked for; somebody else may take it in between, and the bind
/// then fails with the reason.
fn free_port(ip: IpAddr) -> Result<u16> {
    let bound = UdpSocket::bind((ip, 0)).and_then(|socket| socket.local_addr());
    let bound = bound.with_context(|| format!("discovery cannot listen on UDP {ip}"))?;
    Ok(bound.port())
}

fn sockets_of(listen: &ListenConfig) -> Vec<SocketAddr> {
    match *listen {
        ListenConfig::Ipv4 { ip, port } => vec![(ip, port).into()],
        ListenConfig::Ipv6 { ip, port } => vec![(ip, port).into()],
        ListenConfig::DualStack {
            ipv4,
            ipv4_port,
            ipv6,
            ipv6_port,
        } => vec![(ipv4, ipv4_port).into(), (ipv6, ipv6_port).into()],
    }
}

fn first_of_each(all: &[IpAddr]) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    let ip4 = all.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    });
    let ip6 = all.iter().find_map(|ip| match ip {
        IpAddr::V6(ip) => Some(*ip),
        IpAddr::V4(_) => None,
    });
    (ip4, ip6)
}

/// What the record says of the place before anyone has told us: what the operator says, or the very address that is
/// listened on, if it is one that others may be told.
fn first_place(options: &Options, port: u16) -> Place {
    let (advertised4, advertised6) = first_of_each(&options.advertise);
    let (ip4, ip6) = first_of_each(&options.listen);
    let may_tell = |ip: IpAddr| !ip.is_unspecified() && (options.allow_private || is_public(ip));
    let ip4 = advertised4.or(ip4.filter(|ip| may_tell(IpAddr::V4(*ip))));
    let ip6 = advertised6.or(ip6.filter(|ip| may_tell(IpAddr::V6(*ip))));
    Place {
        ip4,
        ip6,
        udp4: ip4.map(|_| port),
        udp6: ip6.map(|_| port),
    }
}

fn discv5_config(listen: ListenConfig, options: &Options) -> discv5::Config {
    let mut builder = ConfigBuilder::new(listen);
    builder
        .request_timeout(Duration::from_secs(2)) // a slow line under load takes its time
        .query_timeout(Duration::from_secs(30)); // what has not been found by then is looked for again
    if options.allow_private {
        // Many nodes may share an address there. Pings are frequent for the sake of votes: after a change of address.
        builder
            .table_filter(may_be_in_table)
            .enr_peer_update_min(VOTES_PRIVATE)
            .ping_interval(Duration::from_mins(1));
    } else {
        builder
            .table_filter(may_be_in_public_table)
            .enr_peer_update_min(VOTES_PUBLIC)
            .enable_packet_filter()
            .ip_limit();
    }
    if !options.advertise.is_empty() {
        builder.disable_enr_update();
    }
    builder.build()
}

/// Whether a record may be in the table: not one of an execution client, whose network has nothing to tell us. Those of
/// other beacon chains are removed by the task, which knows ours; boot nodes may announce no chain at all.
fn may_be_in_table(record: &Enr) -> bool {
    record.get_raw_rlp("eth2").is_some() || record.get_raw_rlp("eth").is_none()
}

/// The same where only public addresses are used.
fn may_be_in_public_table(record: &Enr) -> bool {
    let all = [record.ip4().map(IpAddr::V4), record.ip6().map(IpAddr::V6)];
    may_be_in_table(record) && all.into_iter().flatten().all(is_public)
}
