//! The task around discv5.

use super::super::addresses::is_public;
use super::super::enr::{Announced, Enr, ForkPoint, Kinship, Place, Ports, Record, kinship, multiaddrs, update};
use super::super::node_key::{Sequence, node_id_number};
use super::super::schedule_watch::ScheduleWatch;
use super::super::subnet_set::SubnetSet;
use super::super::subnets::column_subnets_of_peer;
use super::{Found, Options, Search, Told};
use crate::stop::Stop;
use consensus::Config;
use discv5::enr::{CombinedKey, NodeId};
use discv5::{Discv5, Event, QueryError};
use futures_util::future::BoxFuture;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between lookups while peers are wanted and are found.
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);

/// At most this when lookups bring nothing: a network that is small, or gone.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Between lookups while nobody is wanted: keeps the table alive.
const CALM_PAUSE: Duration = Duration::from_mins(5);

/// How many nodes a lookup by subnets ends with.
const RESULTS: usize = 16;

/// How often the record's number is written, if it rises: it moves on by less than `Sequence`'s leap in that time.
const STORE_EVERY: Duration = Duration::from_mins(1);

/// Records that must disagree, at least, before the operator is alarmed.
const ALARM_FROM: usize = 20;

type Lookup = BoxFuture<'static, Result<Vec<Enr>, QueryError>>;

/// Discovery at work: `run` it.
pub struct Task {
    pub(super) key: CombinedKey,
    pub(super) discv5: Discv5,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) ports: Ports,
    pub(super) stored: Sequence,
    pub(super) watch: ScheduleWatch,
    pub(super) fork: ForkPoint,
    pub(super) found: mpsc::Sender<Found>,
    pub(super) record: watch::Sender<Enr>,
    pub(super) alarm: watch::Sender<Option<String>>,
    pub(super) told: watch::Receiver<Told>,
    pub(super) search: watch::Receiver<Search>,
    pub(super) bans: mpsc::Receiver<(NodeId, Duration)>,
    pub(super) options: Options,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "discovery of {}", self.discv5.local_enr().node_id())
    }
}

/// When to look next.
struct Pace {
    search: Search,
    /// When the last lookup ended.
    ended: Instant,
    next: Instant,
    pause: Duration,
    /// Nodes that the lookup going on has brought and that were given on.
    useful: usize,
}

impl Task {
    /// Lives until the node stops or nobody is left who could tell it anything. Closes its sockets at the end.
    pub async fn run(mut self, stop: Stop) {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lookup: Option<Lookup> = None;
        let mut pace = Pace {
            search: Search::default(),
            ended: Instant::now(),
            next: Instant::now(),
            pause: SHORTEST_PAUSE,
            useful: 0,
        };
        let mut next_store = Instant::now() + STORE_EVERY;
        loop {
            tokio::select! {
                () = stop.stopped() => break,
                changed = self.told.changed() => match changed {
                    Ok(()) => self.refresh_record(),
                    Err(_) => break,
                },
                changed = self.search.changed() => match changed {
                    Ok(()) => {
                        let search = *self.search.borrow_and_update();
                        pace.follow(search);
                    }
                    Err(_) => break,
                },
                Some((node, time)) = self.bans.recv() => self.discv5.ban_node(&node, Some(time)),
                Some(event) = self.events.recv() => pace.useful += self.heed(event),
                Some(nodes) = finished(&mut lookup) => {
                    lookup = None;
                    pace.useful += nodes.into_iter().map(|node| usize::from(self.consider(node))).sum::<usize>();
                    pace.rest();
                }
                _ = second.tick() => {
                    self.refresh_record();
                    if lookup.is_none() && Instant::now() >= pace.next {
                        lookup = Some(self.look());
                    }
                    if Instant::now() >= next_store {
                        next_store = Instant::now() + STORE_EVERY;
                        self.store().await;
                    }
                }
            }
        }
        self.store().await;
        self.discv5.shutdown();
    }

    /// Begins a lookup at a random place: for nodes on the subnets that are wanted, if there are such, or for any.
    fn look(&self) -> Lookup {
        if self.discv5.connected_peers() == 0 {
            self.begin_anew();
        }
        let wanted = self.search.borrow().subnets;
        if wanted.is_empty() {
            return Box::pin(self.discv5.find_node(NodeId::random()));
        }
        let config = self.options.config.clone();
        let fork = self.announced().fork;
        let is_wanted = move |node: &Enr| {
            let Ok(record) = Record::of(node) else { return false };
            let ours = !matches!(kinship(&fork, &record), Kinship::Other(_));
            ours && !subnets_of(&config, &record).intersection(wanted).is_empty()
        };
        Box::pin(
            self.discv5
                .find_node_predicate(NodeId::random(), Box::new(is_wanted), RESULTS),
        )
    }

    /// Nobody in the table answers: starts from the boot nodes, as at first.
    fn begin_anew(&self) {
        for node in &self.options.boot_nodes {
            if !self.may_know(node) || node.node_id() == self.discv5.local_enr().node_id() {
                continue;
            }
            if let Err(why) = self.discv5.add_enr(node.clone()) {
                tracing::debug!(node = %node.node_id(), why, "a boot node is not used");
            }
        }
    }

    fn may_know(&self, node: &Enr) -> bool {
        let ips = [node.ip4().map(IpAddr::V4), node.ip6().map(IpAddr::V6)];
        self.options.allow_private || ips.into_iter().flatten().any(is_public)
    }

    /// Takes in what discv5 tells; how many nodes it gave on.
    fn heed(&mut self, event: Event) -> usize {
        match event {
            Event::Discovered(node) | Event::SessionEstablished(node, _) => usize::from(self.consider(node)),
            Event::NodeInserted { node_id, .. } => {
                self.remove_stranger(&node_id);
                0
            }
            Event::SocketUpdated(socket) => {
                self.learn_place(socket);
                0
            }
            // Talk requests of unknown protocols are answered with nothing by discv5 itself.
            _ => 0,
        }
    }

    /// A node of another chain has no place in our table, unless it is a boot node: those know many.
    fn remove_stranger(&self, node_id: &NodeId) {
        if self.options.boot_nodes.iter().any(|node| node.node_id() == *node_id) {
            return;
        }
        let record = self.discv5.find_enr(node_id).and_then(|node| Record::of(&node).ok());
        if let Some(record) = record
            && matches!(kinship(&self.announced().fork, &record), Kinship::Other(_))
        {
            self.discv5.remove_node(node_id);
        }
    }

    /// Others agree on where we are.
    fn learn_place(&mut self, socket: SocketAddr) {
        if self.options.allow_private || is_public(socket.ip()) {
            tracing::info!("others see this node at {socket}");
            self.refresh_record();
            return;
        }
        tracing::debug!(%socket, "others say that we are at an address that is not public: not announced");
        let record = self.discv5.external_enr();
        let mut record = record.write();
        let removed = match socket {
            SocketAddr::V4(_) => record.remove_udp_socket(&self.key),
            SocketAddr::V6(_) => record.remove_udp6_socket(&self.key),
        };
        if let Err(error) = removed {
            tracing::warn!("the node record still has a private address: {error}");
        }
    }

    /// Gives a node on, if it is of our network and can be dialled.
    fn consider(&mut self, node: Enr) -> bool {
        if node.node_id() == self.discv5.local_enr().node_id() {
            return false;
        }
        let Ok(record) = Record::of(&node) else { return false };
        let fork = self.announced().fork;
        self.watch.observe(&fork, &record);
        let alarm = self.watch.alarm(&fork, ALARM_FROM);
        self.alarm.send_if_modified(|old| {
            let changes = old.is_some() != alarm.is_some();
            if changes {
                *old = alarm;
            }
            changes
        });
        if let Kinship::Other(why) = kinship(&fork, &record) {
            tracing::trace!(node = %record.node_id, why, "not of our network");
            return false;
        }
        let addresses = multiaddrs(&node, self.options.allow_private);
        if addresses.is_empty() {
            return false;
        }
        let found = Found {
            peer: record.peer_id,
            node_id: record.node_id,
            record: node,
            addresses,
            subnets: subnets_of(&self.options.config, &record),
        };
        // Full: more than can be dialled soon wait already, and it will be found again.
        self.found.try_send(found).is_ok()
    }

    fn announced(&self) -> Announced {
        self.told.borrow().announced
    }

    /// Makes our record say what is announced, at the place that discv5 has learned, and tells who listens. After a fork,
    /// what others had planned before it is forgotten.
    fn refresh_record(&mut self) {
        let announced = self.told.borrow_and_update().announced;
        if announced.fork.eth2 != self.fork.eth2 {
            self.watch.clear();
            self.alarm.send_replace(None);
        }
        self.fork = announced.fork;
        let shared = self.discv5.external_enr();
        let record = {
            let mut record = shared.write();
            let place = Place::of(&record);
            if let Err(error) = update(&mut record, &self.key, &announced, &place, self.ports) {
                tracing::warn!("{error:#}");
            }
            record.clone()
        };
        self.record.send_if_modified(|old| {
            let changes = old.seq() != record.seq();
            if changes {
                *old = record;
            }
            changes
        });
    }

    /// Writes the numbers if they have risen. A failure is told and tried again: the leap at a start covers a while.
    async fn store(&mut self) {
        let now = Sequence {
            record: self.discv5.local_enr().seq(),
            metadata: self.told.borrow().metadata,
        };
        if now == self.stored {
            return;
        }
        let folder = self.options.folder.clone();
        match tokio::task::spawn_blocking(move || now.store(&folder)).await {
            Ok(Ok(())) => self.stored = now,
            Ok(Err(error)) => tracing::warn!("{error:#}"),
            Err(error) => tracing::warn!("the sequence numbers are not written: {error}"),
        }
    }
}

impl Pace {
    /// Another search: looks soon if more is wanted than before. That less or as much is wanted changes nothing.
    fn follow(&mut self, search: Search) {
        let was_calm = is_calm(&self.search);
        if (was_calm && !is_calm(&search)) || !search.subnets.without(self.search.subnets).is_empty() {
            self.pause = SHORTEST_PAUSE;
            self.next = self.next.min(self.ended + SHORTEST_PAUSE);
        }
        self.search = search;
    }

    fn rest(&mut self) {
        self.pause = match (is_calm(&self.search), self.useful) {
            (true, _) => CALM_PAUSE,
            (false, 0) => (self.pause * 2).min(LONGEST_PAUSE),
            (false, _) => SHORTEST_PAUSE,
        };
        self.useful = 0;
        self.ended = Instant::now();
        self.next = self.ended + self.pause;
    }
}

/// Whether nobody is wanted.
fn is_calm(search: &Search) -> bool {
    search.peers == 0 && search.subnets.is_empty()
}

/// The nodes of a lookup when it is done; for ever nothing while there is none.
async fn finished(lookup: &mut Option<Lookup>) -> Option<Vec<Enr>> {
    match lookup {
        Some(lookup) => match lookup.await {
            Ok(nodes) => Some(nodes),
            Err(error) => {
                tracing::debug!(?error, "a lookup failed");
                Some(Vec::new())
            }
        },
        None => std::future::pending().await,
    }
}

/// All subnets of a node.
fn subnets_of(config: &Config, record: &Record) -> SubnetSet {
    let columns = column_subnets_of_peer(config, node_id_number(record.node_id), record.custody_group_count);
    record.subnets.union(columns)
}

#[cfg(test)]
mod tests {
    use super::super::super::subnet_set::Subnet;
    use super::*;

    #[test]
    fn lookups_are_as_frequent_as_they_are_useful() {
        let start = Instant::now();
        let mut pace = Pace {
            search: Search::default(),
            ended: start,
            next: start,
            pause: SHORTEST_PAUSE,
            useful: 3,
        };
        pace.rest();
        assert_eq!(pace.next, pace.ended + CALM_PAUSE);
        let many = |peers| Search {
            peers,
            ..Search::default()
        };
        pace.follow(many(10));
        assert_eq!(pace.next, pace.ended + SHORTEST_PAUSE, "there is something to look for");
        let mut pauses = Vec::new();
        for useful in [1, 0, 0, 0, 0, 0, 2] {
            pace.useful = useful;
            pace.rest();
            pauses.push((pace.next - pace.ended).as_secs());
            pace.follow(many(10 + useful)); // as often as every second, and no reason to look sooner
            pauses.push((pace.next - pace.ended).as_secs());
        }
        assert_eq!(pauses, [5, 5, 10, 10, 20, 20, 40, 40, 60, 60, 60, 60, 5, 5]);
        pace.useful = 0;
        pace.rest();
        pace.follow(Search {
            peers: 10,
            subnets: [Subnet::Column(1)].into_iter().collect(),
        });
        assert_eq!(
            pace.next,
            pace.ended + SHORTEST_PAUSE,
            "a subnet that was not wanted before"
        );
        pace.follow(Search::default());
        pace.rest();
        assert_eq!(pace.next, pace.ended + CALM_PAUSE);
    }
}
