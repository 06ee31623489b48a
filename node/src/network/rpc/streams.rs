//! Raw streams for the request protocols: a behaviour that opens them on request and hands in those of peers.
//!
//! `libp2p-stream` would do the same, but drops a stream that comes while the one before is being taken, asks for one
//! protocol at a time where ours have versions, and keeps something of every connection for ever.

use super::protocol::ProtocolId;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, transport::PortUse};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// Why a stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// The peer speaks none of the versions.
    Unsupported,
    /// The connection is gone or broken.
    Gone,
    /// It took too long.
    TimedOut,
}

/// Where an opened stream goes.
pub type Answer = oneshot::Sender<Result<(ProtocolId, Stream), Unopened>>;

/// Someone wants a stream.
#[derive(Debug)]
pub struct Open {
    /// The versions, best first.
    pub ids: Vec<ProtocolId>,
    /// Where it goes.
    pub answer: Answer,
}

/// A peer has opened a stream.
#[derive(Debug)]
pub struct Opened {
    /// Who.
    pub peer: PeerId,
    /// For what.
    pub id: ProtocolId,
    /// The stream.
    pub stream: Stream,
}

/// How long the negotiation of a stream may take: three round trips on a bad line.
const NEGOTIATION: Duration = Duration::from_secs(10);

/// The behaviour.
#[derive(Debug, Default)]
pub struct Behaviour {
    events: VecDeque<ToSwarm<Opened, Open>>,
}

impl Behaviour {
    /// Opens a stream on a connection to the peer; the answer is dropped where there is none. How many are wanted at once
    /// is limited by whoever asks.
    pub fn open(&mut self, peer: PeerId, open: Open) {
        self.events.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::Any,
            event: open,
        });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Opened;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, (id, stream): THandlerOutEvent<Self>) {
        self.events
            .push_back(ToSwarm::GenerateEvent(Opened { peer, id, stream }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The part of one connection. A connection is kept as long as nobody closes it: the service decides.
#[derive(Default)]
pub struct Handler {
    wanted: VecDeque<Open>,
    come: VecDeque<(ProtocolId, Stream)>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = (ProtocolId, Stream);
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Answer;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(Upgrade::all(), ()).with_timeout(NEGOTIATION)
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        if let Some(come) = self.come.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(come));
        }
        if let Some(open) = self.wanted.pop_front() {
            let protocol = SubstreamProtocol::new(Upgrade::of(&open.ids), open.answer).with_timeout(NEGOTIATION);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.wanted.push_back(open);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        // Whoever asked may have given up; then the stream is dropped, and so reset.
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.come.push_back(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                let _ = info.send(Ok(protocol));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let why = match error {
                    StreamUpgradeError::NegotiationFailed => Unopened::Unsupported,
                    StreamUpgradeError::Timeout => Unopened::TimedOut,
                    StreamUpgradeError::Io(_) | StreamUpgradeError::Apply(_) => Unopened::Gone,
                };
                let _ = info.send(Err(why));
            }
            _ => {}
        }
    }
}

/// The negotiation of a stream: which of these ids.
pub struct Upgrade(Arc<[(StreamProtocol, ProtocolId)]>);

impl Upgrade {
    fn all() -> Self {
        Upgrade(ProtocolId::all().map(|id| (id.name(), id)).collect())
    }

    fn of(ids: &[ProtocolId]) -> Self {
        Upgrade(ids.iter().map(|id| (id.name(), *id)).collect())
    }
}

/// A version as it is negotiated.
#[derive(Clone)]
pub struct Named(StreamProtocol, ProtocolId);

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.0.as_ref()
    }
}

impl UpgradeInfo for Upgrade {
    type Info = Named;
    type InfoIter = std::vec::IntoIter<Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        let named: Vec<Named> = self.0.iter().map(|(name, id)| Named(name.clone(), *id)).collect();
        named.into_iter()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (ProtocolId, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, info: Named) -> Self::Future {
        ready(Ok((info.1, stream)))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (ProtocolId, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, info: Named) -> Self::Future {
        ready(Ok((info.1, stream)))
    }
}
