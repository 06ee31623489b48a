//! The task that owns the swarm: it listens and dials, opens streams, publishes, and takes in what the swarm tells.

use super::behaviour::{Behaviour, BehaviourEvent, swarm};
use super::gossip::intake::{Came, Intake};
use super::gossip::topics::Topic;
use super::handle::NetworkHandle;
use super::handshake::{self, FAULT, SHUT_DOWN, keep, node_id};
use super::membership::Membership;
use super::node_key::NodeKey;
use super::options::{NetworkOptions, peer_of};
use super::peer::{Offence, Outgoing};
use super::publish::encode;
use super::rpc::{ask, serve};
use super::shared::{Command, Connected, Local, Shared, lock};
use super::subnets::Subnets;
use crate::chain::Chain;
use crate::stop::Stop;
use anyhow::{Context as _, Result, anyhow};
use consensus::Fork;
use consensus::ssz::Ssz;
use consensus::types::MetaData;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, PublishError};
use libp2p::swarm::SwarmEvent;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, Swarm, identify};
use std::sync::Arc;
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

/// Every so many ticks static peers that are away are dialled.
const DIAL_EVERY: u32 = 5;

/// How long goodbyes may take at the end.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

/// Peers beyond the target that may come in, as a share of it: room for those who find us, out of whom the best stay.
const ROOM_PERCENT: usize = 20;

/// Starts the network in the runtime that it is called in.
pub async fn start(
    chain: &Chain,
    storage: &Storage,
    key: &NodeKey,
    options: NetworkOptions,
    stop: Stop,
) -> Result<NetworkHandle> {
    let (commands, commands_end) = mpsc::channel(COMMANDS_MAX);
    let (outgoing, outgoing_end) = mpsc::channel(OUTGOING_MAX);
    let me = key.peer_id();
    let config = chain.config();
    let groups = if options.supernode {
        config.number_of_custody_groups
    } else {
        config.custody_requirement
    };
    let mut metadata = MetaData::new(Fork::Fulu);
    metadata.custody_group_count = groups;
    let local = Local {
        metadata,
        enr: String::new(),
        listening: Vec::new(),
        discovery: Vec::new(),
    };
    let shared = Arc::new(Shared::new(chain.clone(), storage.clone(), me, local, commands, outgoing));
    let id = node_id(&me).ok_or_else(|| anyhow!("the node's key is not one of secp256k1"))?;
    let subnets = Subnets::new(Arc::clone(config), id, groups).map_err(|why| anyhow!("{why}"))?;
    let membership = Membership::new(Arc::clone(config), shared.digests.clone(), subnets);
    let peers_max = options.target_peers.saturating_mul(100 + ROOM_PERCENT) / 100;
    let peers_max = u32::try_from(peers_max).unwrap_or(u32::MAX).max(1);
    let mut swarm = swarm(&shared, &key.keypair().into(), peers_max, &options.dns)?;
    listen(&mut swarm, &shared, &options).await?;
    let mut service = Service {
        intake: Intake::start(&shared),
        swarm,
        shared: Arc::clone(&shared),
        membership,
        statics: options.static_peers,
        ticks: 0,
    };
    service.update();
    service.dial();
    tokio::spawn(service.run(commands_end, outgoing_end, stop));
    Ok(NetworkHandle(shared))
}

/// How long listening may take to begin.
const LISTEN_TIME: Duration = Duration::from_secs(10);

/// Listens on all addresses; one that cannot be had is an error that names it.
async fn listen(swarm: &mut Swarm<Behaviour>, shared: &Shared, options: &NetworkOptions) -> Result<()> {
    for address in options.addresses() {
        let failed = || format!("cannot listen for peers on {address}; another program may have the port");
        let listener = swarm.listen_on(address.clone()).with_context(failed)?;
        let listening = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr { listener_id, address } if listener_id == listener => {
                        tracing::info!("listening for peers on {address}");
                        lock(&shared.local).listening.push(address);
                        return Ok(());
                    }
                    SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == listener => {
                        return reason.and(Err(std::io::ErrorKind::NotConnected.into()));
                    }
                    SwarmEvent::ListenerError { listener_id, error } if listener_id == listener => return Err(error),
                    _ => {}
                }
            }
        };
        let listening = timeout(LISTEN_TIME, listening).await;
        listening.unwrap_or_else(|late| Err(late.into())).with_context(failed)?;
    }
    Ok(())
}

struct Service {
    swarm: Swarm<Behaviour>,
    shared: Arc<Shared>,
    intake: Intake,
    membership: Membership,
    statics: Vec<Multiaddr>,
    ticks: u32,
}

impl Service {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut outgoing: mpsc::Receiver<Outgoing>, stop: Stop) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(command) = commands.recv() => self.on_command(command),
                Some(outgoing) = outgoing.recv() => self.publish(&outgoing),
                _ = ticks.tick() => self.tick(),
                () = stop.stopped() => break,
            }
        }
        self.end(commands).await;
    }

    /// Says goodbye to all, for a short time.
    async fn end(mut self, mut commands: mpsc::Receiver<Command>) {
        let shared = Arc::clone(&self.shared);
        let peers: Vec<PeerId> = shared.peers().keys().copied().collect();
        let goodbyes = join_all(peers.into_iter().map(|peer| ask::goodbye(&shared, peer, SHUT_DOWN)));
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
        self.ticks = self.ticks.wrapping_add(1);
        self.update();
        if self.ticks.is_multiple_of(DIAL_EVERY) {
            self.dial();
        }
    }

    /// Joins and leaves topics, and tells peers by the metadata.
    fn update(&mut self) {
        let slot = self.shared.chain.clock().slot().unwrap_or(0);
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        match self.membership.update(gossipsub, slot) {
            Ok(change) => {
                let mut local = lock(&self.shared.local);
                let metadata = &mut local.metadata;
                let (attnets, syncnets) = (change.announced.attnets(), change.announced.syncnets());
                if metadata.attnets != attnets || metadata.syncnets != syncnets {
                    metadata.attnets = attnets;
                    metadata.syncnets = syncnets;
                    metadata.seq_number += 1;
                }
            }
            Err(why) => tracing::warn!(%why, "the subnets of this node cannot be computed"),
        }
    }

    /// Dials static peers that are away.
    fn dial(&mut self) {
        for address in &self.statics {
            let Some(peer) = peer_of(address) else { continue };
            let options = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![address.clone()]);
            if peer != self.shared.me
                && let Err(error) = self.swarm.dial(options.build())
            {
                tracing::trace!(%peer, "not dialled: {error}");
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Open(peer, open) => {
                if self.swarm.is_connected(&peer) {
                    self.swarm.behaviour_mut().streams.open(peer, open);
                }
            }
            Command::Validated(id, peer, acceptance) => {
                let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
                gossipsub.report_message_validation_result(&id, &peer, acceptance);
            }
            Command::Status(peer, status) => {
                tracing::debug!(%peer, head_slot = status.head_slot, "a peer told its status");
            }
            Command::MetaData(..) => {}
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

    fn on_offence(&mut self, peer: PeerId, offence: &Offence) {
        let cost = match offence {
            Offence::Unreliable(_) => 1,
            Offence::Wrong(_) => 20,
            Offence::Invalid(_) => 50,
            Offence::OtherChain => 100,
        };
        tracing::debug!(%peer, ?offence, "a peer did wrong");
        let score = {
            let mut peers = self.shared.peers();
            let Some(connected) = peers.get_mut(&peer) else { return };
            connected.score = connected.score.saturating_sub(cost);
            connected.score
        };
        self.swarm.behaviour_mut().gossipsub.set_application_score(&peer, f64::from(score));
        if score <= -100 {
            self.leave(peer, FAULT);
        }
    }

    fn publish(&mut self, outgoing: &Outgoing) {
        let (topic, data) = encode(&self.shared, outgoing);
        let published = self.swarm.behaviour_mut().gossipsub.publish(IdentTopic::new(&topic), data);
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
                    // A name, not a novel.
                    connected.agent = info.agent_version.chars().take(128).collect();
                }
            }
            SwarmEvent::ConnectionEstablished {
                peer_id,
                endpoint,
                num_established,
                ..
            } if num_established.get() == 1 => {
                let inbound = endpoint.is_listener();
                let address = endpoint.get_remote_address().clone();
                tracing::debug!(peer = %peer_id, %address, inbound, "connected");
                self.shared.peers().insert(peer_id, Connected::new(address, inbound));
                tokio::spawn(keep(Arc::clone(&self.shared), peer_id, inbound));
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                cause,
                ..
            } => {
                tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                self.shared.peers().remove(&peer_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                tracing::debug!(peer = ?peer_id, "cannot connect: {error}");
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
                let verdict = match parsed {
                    Some((era, topic)) => self.intake.take(Came {
                        id: message_id.clone(),
                        source: propagation_source,
                        topic,
                        era,
                        data: message.data,
                    }),
                    None => Some(MessageAcceptance::Reject),
                };
                if let Some(verdict) = verdict {
                    let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
                    gossipsub.report_message_validation_result(&message_id, &propagation_source, verdict);
                }
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::debug!(peer = %peer_id, "it does not speak gossipsub");
                self.leave(peer_id, handshake::IRRELEVANT);
            }
            _ => {}
        }
    }
}
