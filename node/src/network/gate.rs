//! The door: the book of peers stands in the swarm, so that a caller who has no chance is turned away before anybody
//! works on its handshake.

use super::addresses::ip_of;
use super::book::Book;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The door, with the book behind it. The service looks after the book; here it is only asked.
#[derive(Debug)]
pub(crate) struct Behaviour {
    pub(crate) book: Book,
    started: Instant,
}

impl Behaviour {
    pub(crate) fn new(book: Book) -> Self {
        Behaviour {
            book,
            started: Instant::now(),
        }
    }

    /// The time since the start, as the book counts it.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        caller: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let Some(ip) = ip_of(caller) else { return Ok(()) };
        let may = self.book.may_call(ip, self.now());
        may.map_err(|refusal| ConnectionDenied::new(refusal.to_string()))
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
