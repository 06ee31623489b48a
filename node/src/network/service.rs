//! The task that owns the swarm: it listens and dials, opens streams, publishes, and takes in what the swarm tells.

use super::addresses::ip_of;
use super::behaviour::{Behaviour, BehaviourEvent, swarm};
use super::book::{BAN_TIME, Book, Drop, GoodDeed, Goodbye, Limits, Reach, Wanted, memory};
use super::bootnodes::built_in;
use super::ceiling::{Ceiling, Totals};
use super::counts::{Transport, client_of};
use super::discovery::{self, Discovery, Found, Search};
use super::enr::{Announced, ForkPoint, Ports};
use super::gossip::decode::is_small;
use super::gossip::intake::{Came, Intake};
use super::gossip::params::THRESHOLDS;
use super::gossip::topics::Topic;
use super::handle::NetworkHandle;
use super::handshake::{self, keep};
use super::light::send_when_due;
use super::membership::Membership;
use super::node_key::{NodeKey, Sequence, node_id_number};
use super::notices::Notice;
use super::options::NetworkOptions;
use super::peer::{Offence, Outgoing};
use super::publish::encode;
use super::rpc::{ask, serve};
use super::shared::{Command, Connected, Local, Shared, lock};
use super::subnet_set::SubnetSet;
use super::subnets::{Subnets, column_subnets};
use crate::chain::Chain;
use crate::clock::unix_seconds;
use crate::light::Light;
use crate::stop::Stop;
use anyhow::{Result, anyhow};
use consensus::config::public_network;
use consensus::ssz::Ssz;
use consensus::types::MetaData;
use consensus::{Fork, Invalid};
use discv5::enr::NodeId;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, MessageId, PublishError};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ListenError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::Storage;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Commands that may wait: a verdict for every message that may be under way, and some besides.
const COMMANDS_MAX: usize = 8192;

/// What may wait to be published: the columns and votes of a slot.
const OUTGOING_MAX: usize = 2048;

/// How often the service looks after peers and topics: several times a slot.
const TICK: Duration = Duration::from_secs(1);

/// How long goodbyes may take at the end, and to one peer.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

/// How long listening may take to begin.
const LISTEN_TIME: Duration = Duration::from_secs(10);

/// Peers on each subnet that the node is on: a mesh of a few, one of whom may be slow and another gone.
const PEERS_PER_SUBNET: usize = 4;

/// Connections beyond what the book allows: those of peers that are being told that there is no room.
const CONNECTIONS_SPARE: usize = 8;

/// Starts the network in the runtime that it is called in.
pub async fn start(
    chain: &Chain,
    storage: &Storage,
    light: &Arc<Light>,
    key: &NodeKey,
    options: NetworkOptions,
    stop: Stop,
) -> Result<NetworkHandle> {
    let (commands, commands_end) = mpsc::channel(COMMANDS_MAX);
    let (outgoing, outgoing_end) = mpsc::channel(OUTGOING_MAX);
    let (config, me, node_id) = (chain.config(), key.peer_id(), key.node_id()?);
    let bound = chain.custody().bind(node_id.raw(), options.supernode);
    bound.map_err(|why| anyhow!("{why}"))?;
    let groups = chain.custody().group_count();
    let local = Local {
        metadata: first_metadata(&options, groups)?,
        enr: String::new(),
        listening: Vec::new(),
        discovery: Vec::new(),
        book: Vec::new(),
        notices: Vec::new(),
    };
    let shared = Arc::new(Shared::new(
        chain.clone(),
        storage.clone(),
        Arc::clone(light),
        me,
        local,
        commands,
        outgoing,
    ));
    let subnets = Subnets::new(Arc::clone(config), node_id_number(node_id), groups).map_err(|why| anyhow!("{why}"))?;
    let membership = Membership::new(Arc::clone(config), shared.digests.clone(), subnets);
    let network = public_network(&shared.genesis_root());
    let allow_private = options.allow_private || network.is_none();
    let mut book = Book::new(Limits::of_target(options.target_peers), allow_private);
    for (peer, addresses) in options.static_peers.iter().filter(|(peer, _)| *peer != me) {
        book.add_static(*peer, addresses.clone());
    }
    for peer in options.trusted_peers.iter().filter(|peer| **peer != me) {
        book.trust(*peer);
    }
    let exempt = options.static_peers.len() + options.trusted_peers.len();
    let connections = u32::try_from(book.limits().max + exempt + CONNECTIONS_SPARE).unwrap_or(u32::MAX);
    let ceiling = options
        .max_bandwidth
        .map(|megabits| Ceiling::new(megabits, options.target_peers));
    let mut swarm = swarm(&shared, &key.keypair(), book, connections, &options.dns)?;
    listen(&mut swarm, &shared, &options).await?;
    let (discovery, found) = if options.discovery {
        let started = discover(&shared, key, &options, network, allow_private, &stop).await?;
        (Some(started.0), Some(started.1))
    } else {
        (None, None)
    };
    let mut service = Service {
        intake: Intake::start(&shared),
        swarm,
        shared: Arc::clone(&shared),
        membership,
        unreachable: Notice::default(),
        other_schedule: Notice::default(),
        is_public: network.is_some(),
        wanted: Wanted {
            subnets: SubnetSet::EMPTY,
            per_subnet: PEERS_PER_SUBNET,
        },
        discovery,
        folder: options.folder,
        groups,
        ceiling,
    };
    service.tick();
    tokio::spawn(send_when_due(shared.clone(), stop.clone()));
    tokio::spawn(service.run(commands_end, outgoing_end, found, stop));
    Ok(NetworkHandle(shared))
}

/// What is told before discovery runs, and without it.
fn first_metadata(options: &NetworkOptions, groups: u64) -> Result<MetaData> {
    let mut metadata = MetaData::new(Fork::Fulu);
    metadata.custody_group_count = groups;
    if !options.discovery {
        // Peers remember the number of the last run.
        metadata.seq_number = Sequence::load(&options.folder, unix_seconds())?.metadata;
    }
    Ok(metadata)
}

/// The port of the first listener of a transport.
fn port_of(listening: &[Multiaddr], pick: impl Fn(&Protocol) -> Option<u16>) -> Option<u16> {
    listening
        .iter()
        .find_map(|address| address.iter().find_map(|part| pick(&part)))
}

/// Starts discovery.
async fn discover(
    shared: &Arc<Shared>,
    key: &NodeKey,
    options: &NetworkOptions,
    network: Option<&str>,
    allow_private: bool,
    stop: &Stop,
) -> Result<(Discovery, mpsc::Receiver<Found>)> {
    let listening = lock(&shared.local).listening.clone();
    let tcp = port_of(&listening, |part| match part {
        Protocol::Tcp(port) => Some(*port),
        _ => None,
    });
    let quic = port_of(&listening, |part| match part {
        Protocol::Udp(port) => Some(*port),
        _ => None,
    });
    let mut boot_nodes = options.bootnodes.clone();
    boot_nodes.extend(built_in(network.unwrap_or_default())?);
    boot_nodes.extend(memory::load(&options.folder));
    let of_discovery = discovery::Options {
        listen: options.listen.clone(),
        ports: Ports {
            discovery: options.port,
            tcp: tcp.unwrap_or(options.port),
            quic,
        },
        advertise: options.advertise.clone(),
        allow_private,
        boot_nodes,
        folder: options.folder.clone(),
        config: Arc::clone(shared.chain.config()),
    };
    let announced = Announced {
        fork: ForkPoint::at(shared.config(), shared.genesis_root(), shared.epoch()),
        subnets: SubnetSet::EMPTY,
        custody_group_count: shared.chain.custody().group_count(),
    };
    let (discovery, found, task) = discovery::start(of_discovery, key, announced, unix_seconds()).await?;
    tracing::info!("node record: {}", discovery.record().to_base64());
    tokio::spawn(task.run(stop.clone()));
    Ok((discovery, found))
}

/// Listens on all addresses; one that cannot be had is an error that names it.
async fn listen(swarm: &mut Swarm<Behaviour>, shared: &Shared, options: &NetworkOptions) -> Result<()> {
    for address in options.addresses() {
        let failed = |error: anyhow::Error| cannot_listen(&address, &error);
        let listener = swarm.listen_on(address.clone()).map_err(|error| failed(error.into()))?;
        let listening = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr { listener_id, address } if listener_id == listener => {
                        tracing::info!("listening for peers on {address}/p2p/{}", shared.me);
                        lock(&shared.local).listening.push(address);
                        return Ok(());
                    }
                    SwarmEvent::ListenerClosed {
                        listener_id, reason, ..
                    } if listener_id == listener => {
                        return reason.and(Err(std::io::ErrorKind::NotConnected.into()));
                    }
                    SwarmEvent::ListenerError { listener_id, error } if listener_id == listener => return Err(error),
                    _ => {}
                }
            }
        };
        let listening = timeout(LISTEN_TIME, listening).await;
        listening
            .unwrap_or_else(|late| Err(late.into()))
            .map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

/// What lies at the bottom of it, since a transport's error repeats what it holds, and the option that mends it.
fn cannot_listen(address: &Multiaddr, error: &anyhow::Error) -> anyhow::Error {
    let cause = error.root_cause();
    let is_quic = address.iter().any(|part| matches!(part, Protocol::Udp(_)));
    // A transport does not say of which kind its error is.
    let is_ours = |ip| {
        let bound = std::net::UdpSocket::bind((ip, 0));
        !bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrNotAvailable)
    };
    let remedy = if !ip_of(address).is_none_or(is_ours) {
        "this machine has no such address: choose another by --listen-address"
    } else if is_quic {
        "another program may have the port: choose another by --quic-port"
    } else {
        "another program may have the port: choose another by --port"
    };
    anyhow!("cannot listen for peers on {address}; {remedy}: {cause}")
}

struct Service {
    swarm: Swarm<Behaviour>,
    shared: Arc<Shared>,
    intake: Intake,
    membership: Membership,
    /// That nobody calls, and what to do.
    unreachable: Notice,
    /// That most of the network plans other forks.
    other_schedule: Notice,
    /// Whether this is one of the public networks.
    is_public: bool,
    /// Where peers are wanted.
    wanted: Wanted,
    discovery: Option<Discovery>,
    folder: PathBuf,
    /// Groups of columns that are kept, as was told last.
    groups: u64,
    ceiling: Option<Ceiling>,
}

/// The next find of discovery; never without it.
async fn next_found(found: &mut Option<mpsc::Receiver<Found>>) -> Found {
    if let Some(receiver) = found
        && let Some(found) = receiver.recv().await
    {
        return found;
    }
    std::future::pending().await
}

impl Service {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut outgoing: mpsc::Receiver<Outgoing>,
        mut found: Option<mpsc::Receiver<Found>>,
        stop: Stop,
    ) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(command) = commands.recv() => self.on_command(command),
                Some(outgoing) = outgoing.recv() => self.publish(&outgoing),
                found = next_found(&mut found) => {
                    let now = self.now();
                    self.book().discovered(found.peer, Some(found.record), found.addresses, found.subnets, now);
                }
                _ = ticks.tick() => self.tick(),
                () = stop.stopped() => break,
            }
        }
        self.end(commands).await;
    }

    /// The time since the start, as the book counts it.
    fn now(&self) -> Duration {
        self.swarm.behaviour().gate.now()
    }

    fn book(&mut self) -> &mut Book {
        &mut self.swarm.behaviour_mut().gate.book
    }

    /// Says goodbye to all, for a short time.
    async fn end(mut self, mut commands: mpsc::Receiver<Command>) {
        let now = self.now();
        let remembered = self.book().remembered(now);
        if !remembered.is_empty()
            && let Err(error) = memory::store(&self.folder, &remembered)
        {
            tracing::warn!("the peers cannot be kept for the next start: {error:#}");
        }
        let shared = Arc::clone(&self.shared);
        let drops = self.book().shut_down(now);
        let goodbyes = join_all(
            drops
                .into_iter()
                .map(|drop| ask::goodbye(&shared, drop.peer, drop.reason.code())),
        );
        let _ = timeout(GOODBYE_TIME, async {
            tokio::pin!(goodbyes);
            loop {
                tokio::select! {
                    _ = &mut goodbyes => return,
                    _ = self.swarm.select_next_some() => {}
                    Some(Command::Open(peer, open)) = commands.recv() => {
                        self.swarm.behaviour_mut().streams.open(peer, open);
                    }
                }
            }
        })
        .await;
    }

    fn tick(&mut self) {
        self.update();
        self.keep_to_ceiling();
        self.look_after_scores();
        let (now, wanted) = (self.now(), self.wanted);
        for Drop { peer, reason } in self.book().tick(&wanted, now) {
            self.leave(peer, reason.code());
        }
        for dial in self.book().next_dials(&wanted, now) {
            let options = DialOpts::peer_id(dial.peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(dial.addresses);
            if let Err(error) = self.swarm.dial(options.build()) {
                tracing::debug!(peer = %dial.peer, "not dialled: {error}");
                self.book().dial_failed(dial.peer, now);
            }
        }
        let book = &self.swarm.behaviour().gate.book;
        if let Some(discovery) = &self.discovery {
            discovery.search(Search {
                peers: book.missing(),
                subnets: book.lacking(&wanted),
            });
        }
        let peers = book.peers();
        self.look_at_notices();
        let mut local = lock(&self.shared.local);
        local.book = peers;
        local.notices = [&self.unreachable, &self.other_schedule]
            .into_iter()
            .filter_map(|notice| notice.text().map(str::to_owned))
            .collect();
        if let Some(discovery) = &self.discovery {
            local.enr = discovery.record().to_base64();
            local.discovery = discovery.listen_addresses().iter().map(|at| udp_address(*at)).collect();
        }
    }

    /// Looks at what was sent and received, and says what has to give way.
    fn keep_to_ceiling(&mut self) {
        let now = self.now();
        let Some(ceiling) = &mut self.ceiling else { return };
        let counts = &self.shared.counts;
        let (received, sent) = counts.bytes();
        let totals = Totals {
            received,
            sent,
            served: counts.served.load(Ordering::Relaxed),
        };
        let allowance = ceiling.note(totals, now);
        self.shared.spare.limit(allowance.serve);
        let may_backfill = self.shared.may_backfill.swap(allowance.backfill, Ordering::Relaxed);
        if may_backfill != allowance.backfill {
            let state = if may_backfill { "waits" } else { "goes on" };
            tracing::info!("history {state}: the line's ceiling of bandwidth (--max-bandwidth)");
        }
        let before = self.book().limits().target;
        if before != allowance.peers {
            let peers = allowance.peers;
            tracing::info!(
                "{peers} peers are wanted instead of {before}: the line's ceiling of bandwidth (--max-bandwidth)"
            );
            self.book().set_target(peers);
        }
    }

    /// Tells sync and gossip how well each peer has done, and cuts those to whom gossip does not listen any more.
    fn look_after_scores(&mut self) {
        let now = self.now();
        let peers: Vec<PeerId> = self.shared.peers().keys().copied().collect();
        let mut unheard = Vec::new();
        for peer in peers {
            let score = self.book().score(&peer, now);
            if let Some(connected) = self.shared.peers().get_mut(&peer) {
                connected.score = score;
            }
            let may_go = self.book().stays(&peer) && !self.book().is_exempt(&peer);
            let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
            gossipsub.set_application_score(&peer, f64::from(score.min(0)));
            let of_gossip = gossipsub.peer_score(&peer).unwrap_or(0.0);
            if of_gossip < THRESHOLDS.graylist_threshold && may_go {
                unheard.push(peer);
            }
        }
        for peer in unheard {
            let why = "its gossip was so often wrong that nobody listens to it";
            self.on_offence(peer, &Offence::Invalid(Invalid::new("gossip score", why.to_owned())));
        }
    }

    /// What the operator should know of the network.
    fn look_at_notices(&mut self) {
        let Some(discovery) = &self.discovery else { return };
        let now = self.now();
        let alarm = discovery.alarm();
        if self.other_schedule.set(alarm, now)
            && let Some(text) = self.other_schedule.text()
        {
            tracing::error!("{text}");
        }
        // Peers of a private network stand behind no router of the operator's.
        let advice = if self.is_public {
            let reach = reach(discovery, &lock(&self.shared.local).listening);
            self.swarm.behaviour().gate.book.inbound_advice(&reach, now)
        } else {
            None
        };
        if self.unreachable.set(advice, now)
            && let Some(text) = self.unreachable.text()
        {
            tracing::warn!("{text}");
        }
    }

    /// Joins and leaves topics, and tells peers by record and metadata.
    fn update(&mut self) {
        let slot = self.shared.chain.clock().slot().unwrap_or(0);
        let groups = self.shared.chain.custody().group_count();
        if groups != self.groups && self.membership.subnets.set_custody(groups).is_ok() {
            self.groups = groups;
        }
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        let change = match self.membership.update(gossipsub, slot) {
            Ok(change) => change,
            Err(why) => {
                tracing::warn!(%why, "the subnets of this node cannot be computed");
                return;
            }
        };
        self.wanted.subnets = change.wanted;
        let mut local = lock(&self.shared.local);
        if let Some(discovery) = &self.discovery {
            discovery.announce(Announced {
                fork: ForkPoint::at(self.shared.config(), self.shared.genesis_root(), self.shared.epoch()),
                subnets: change.announced,
                custody_group_count: groups,
            });
            local.metadata = discovery.metadata();
            return;
        }
        let mut metadata = local.metadata.clone();
        metadata.attnets = change.announced.attnets();
        metadata.syncnets = change.announced.syncnets();
        metadata.custody_group_count = groups;
        if metadata != local.metadata {
            metadata.seq_number += 1;
            local.metadata = metadata;
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Open(peer, open) => {
                if self.swarm.is_connected(&peer) {
                    self.swarm.behaviour_mut().streams.open(peer, open);
                }
            }
            Command::Validated(id, peer, topic, acceptance) => self.on_validated(&id, peer, topic, acceptance),
            Command::Answered(peer) => {
                let now = self.now();
                self.book().praise(peer, GoodDeed::Answered, now);
            }
            Command::Status(peer) => {
                let now = self.now();
                self.book().handshaken(peer, now);
            }
            Command::MetaData(peer, metadata) => {
                let columns = self
                    .shared
                    .peers()
                    .get(&peer)
                    .map(|connected| Arc::clone(&connected.columns));
                let columns = column_subnets(self.shared.config(), &columns.unwrap_or_default());
                let subnets = SubnetSet::of_bits(&metadata.attnets, &metadata.syncnets).union(columns);
                self.book().set_subnets(peer, subnets);
            }
            Command::Left(peer, reason) => {
                tracing::debug!(%peer, reason, "a peer said goodbye");
                // Its answer goes out first; whoever says goodbye closes.
                self.mark_leaving(peer);
            }
            Command::Offence(peer, offence) => self.on_offence(peer, &offence),
            Command::Leave(peer, reason) => self.leave(peer, reason),
            Command::Close(peer) => {
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            Command::Committees(subscriptions) => {
                let now = self.shared.chain.clock().slot().unwrap_or(0);
                self.membership.subnets.subscribe_committees(&subscriptions, now);
                self.update();
            }
            Command::SyncCommittees(subscriptions) => {
                let now = self.shared.chain.clock().slot().unwrap_or(0);
                self.membership.subnets.subscribe_sync_committees(&subscriptions, now);
                self.update();
            }
        }
    }

    fn mark_leaving(&self, peer: PeerId) -> bool {
        let mut peers = self.shared.peers();
        let connected = peers.get_mut(&peer).filter(|connected| !connected.leaving);
        connected.map(|connected| connected.leaving = true).is_some()
    }

    /// Shows a peer out.
    fn leave(&mut self, peer: PeerId, reason: u64) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let _ = timeout(GOODBYE_TIME, ask::goodbye(&shared, peer, reason)).await;
            if let Some(connected) = shared.peers().get_mut(&peer) {
                connected.leaving = true;
            }
            let _ = shared.commands.send(Command::Close(peer)).await;
        });
    }

    /// A verdict on a message of gossip: tells gossipsub, and what it means for the peer that brought it.
    fn on_validated(&mut self, id: &MessageId, peer: PeerId, topic: Topic, acceptance: MessageAcceptance) {
        let is_accepted = matches!(acceptance, MessageAcceptance::Accept);
        let is_rejected = matches!(acceptance, MessageAcceptance::Reject);
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        gossipsub.report_message_validation_result(id, &peer, acceptance);
        if is_rejected {
            self.on_offence(peer, &Offence::Wrong("an invalid message of gossip"));
        } else if is_accepted && !is_small(topic) {
            // Votes are so many that merit could be had by the thousand.
            let now = self.now();
            self.book().praise(peer, GoodDeed::First, now);
        }
    }

    fn on_offence(&mut self, peer: PeerId, offence: &Offence) {
        tracing::debug!(%peer, ?offence, "a peer did wrong");
        let now = self.now();
        let drop = self.book().report(peer, offence, now);
        let score = f64::from(self.book().score(&peer, now).min(0));
        self.swarm.behaviour_mut().gossipsub.set_application_score(&peer, score);
        if self.book().is_banned(&peer, now)
            && *offence != Offence::OtherChain
            && let (Some(discovery), Some(node)) = (&self.discovery, handshake::raw_node_id(&peer))
        {
            discovery.ban(NodeId::new(&node), BAN_TIME);
        }
        if let Some(Drop { peer, reason }) = drop {
            self.shared.count(|counts| &counts.cut);
            self.leave(peer, reason.code());
        }
    }

    /// A connection to a peer to which there was none.
    fn on_connected(&mut self, peer: PeerId, address: Multiaddr, inbound: bool) {
        tracing::debug!(%peer, %address, inbound, "connected");
        let now = self.now();
        let admitted = self.book().admit(peer, &address, inbound, now);
        self.shared
            .peers()
            .insert(peer, Connected::new(inbound, Transport::of(&address)));
        match admitted {
            Ok(()) => {
                tokio::spawn(keep(Arc::clone(&self.shared), peer, inbound));
            }
            Err(refusal) => {
                tracing::debug!(%peer, "not let in: {refusal}");
                let reason = refusal.goodbye().unwrap_or(Goodbye::Fault);
                self.leave(peer, reason.code());
            }
        }
    }

    fn publish(&mut self, outgoing: &Outgoing) {
        let (topic, data) = encode(&self.shared, outgoing);
        let published = self
            .swarm
            .behaviour_mut()
            .gossipsub
            .publish(IdentTopic::new(&topic), data);
        match published {
            Ok(_) => self.shared.count(|counts| &counts.published),
            // It came by gossip before; then it is under way already.
            Err(PublishError::Duplicate) => {}
            Err(error) => {
                self.shared.count(|counts| &counts.unpublished);
                tracing::debug!(topic, "not sent: {error}");
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Streams(opened)) => {
                tokio::spawn(serve::serve(Arc::clone(&self.shared), opened));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => {
                if let identify::Event::Received { peer_id, info, .. } = event
                    && let Some(connected) = self.shared.peers().get_mut(&peer_id)
                {
                    connected.client = client_of(&info.agent_version);
                }
            }
            SwarmEvent::ConnectionEstablished {
                peer_id,
                endpoint,
                num_established,
                ..
            } if num_established.get() == 1 => {
                let address = endpoint.get_remote_address().clone();
                self.on_connected(peer_id, address, endpoint.is_listener());
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                cause,
                ..
            } => {
                tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                self.shared.peers().remove(&peer_id);
                let now = self.now();
                self.book().disconnected(peer_id, now);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                tracing::debug!(peer = ?peer_id, "cannot connect: {error}");
                if let Some(peer) = peer_id {
                    let now = self.now();
                    self.book().dial_failed(peer, now);
                }
            }
            SwarmEvent::IncomingConnectionError {
                error: ListenError::Denied { cause },
                send_back_addr,
                ..
            } => {
                self.shared.count(|counts| &counts.turned_away);
                tracing::debug!(from = %send_back_addr, "a caller was turned away: {cause}");
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                let mut local = lock(&self.shared.local);
                if !local.listening.contains(&address) {
                    local.listening.push(address);
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                lock(&self.shared.local).listening.retain(|known| *known != address);
            }
            SwarmEvent::ListenerClosed { addresses, .. } => {
                tracing::warn!(?addresses, "the node does not listen there any more");
            }
            _ => {}
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => {
                let parsed = Topic::parse(message.topic.as_str(), &self.shared.digests, self.shared.config());
                let Some((era, topic)) = parsed else {
                    // Nobody joins such a topic, and its messages are not decompressed.
                    let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
                    let wrong = MessageAcceptance::Reject;
                    gossipsub.report_message_validation_result(&message_id, &propagation_source, wrong);
                    return;
                };
                let verdict = self.intake.take(Came {
                    id: message_id.clone(),
                    source: propagation_source,
                    topic,
                    era,
                    data: message.data,
                });
                if let Some(verdict) = verdict {
                    self.on_validated(&message_id, propagation_source, topic, verdict);
                }
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                // It may be a light client, or one who only looks: whether it may stay is seen by its status.
                tracing::debug!(peer = %peer_id, "it does not speak gossipsub");
            }
            _ => {}
        }
    }
}

/// An address of discovery as the API shows it. Spec: beacon-APIs, `discovery_addresses`.
fn udp_address(at: SocketAddr) -> String {
    Multiaddr::from(at.ip()).with(Protocol::Udp(at.port())).to_string()
}

/// Where the node listens, and where others see it.
fn reach(discovery: &Discovery, listening: &[Multiaddr]) -> Reach {
    let tcp = port_of(listening, |part| match part {
        Protocol::Tcp(port) => Some(*port),
        _ => None,
    });
    let quic = port_of(listening, |part| match part {
        Protocol::Udp(port) => Some(*port),
        _ => None,
    });
    let record = discovery.record();
    let udp = discovery.listen_addresses().first().map_or(0, SocketAddr::port);
    Reach {
        ports: Ports {
            discovery: udp,
            tcp: tcp.unwrap_or(udp),
            quic,
        },
        local: listening.iter().filter_map(ip_of).collect(),
        external: record.ip4().map(IpAddr::V4).or(record.ip6().map(IpAddr::V6)),
    }
}
