//! The network as the rest of the node has it.

use super::counts::{Counts, Figures, PeerKind};
use super::peer::{Chunk, Offence, Outgoing, PeerView, Peers, Request, RequestError};
use super::rpc::ask;
use super::shared::{Command, Shared, lock};
use crate::api::{self, CommitteeSubscription, Identity, Network, SyncSubscription};
use futures_util::future::BoxFuture;
use libp2p::{Multiaddr, PeerId};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A running network. Clones are the same one.
#[derive(Clone, Debug)]
pub struct NetworkHandle(pub(super) Arc<Shared>);

impl NetworkHandle {
    /// Its peer id.
    pub fn peer_id(&self) -> PeerId {
        self.0.me
    }

    /// Where it listens.
    pub fn listening(&self) -> Vec<Multiaddr> {
        lock(&self.0.local).listening.clone()
    }

    /// What it has counted.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }
}

impl Peers for NetworkHandle {
    fn peers(&self) -> Vec<PeerView> {
        let peers = self.0.peers();
        let view = |(id, connected): (&PeerId, &super::shared::Connected)| {
            let status = connected.status.filter(|_| !connected.leaving)?;
            Some(PeerView {
                id: *id,
                status,
                columns: Arc::clone(&connected.columns),
                score: connected.score,
            })
        };
        peers.iter().filter_map(view).collect()
    }

    fn request(&self, peer: PeerId, request: Request) -> BoxFuture<'static, Result<Vec<Chunk>, RequestError>> {
        Box::pin(ask::request(Arc::clone(&self.0), peer, request))
    }

    fn report(&self, peer: PeerId, offence: Offence) {
        self.0.tell(Command::Offence(peer, offence));
    }

    fn may_backfill(&self) -> bool {
        self.0.may_backfill.load(Ordering::Relaxed)
    }

    fn publish(&self, outgoing: Outgoing) {
        if self.0.outgoing.try_send(outgoing).is_err() {
            self.0.count(|counts| &counts.unpublished);
        }
    }
}

impl Network for NetworkHandle {
    fn identity(&self) -> Identity {
        let local = lock(&self.0.local);
        let with_id = |address: &Multiaddr| format!("{address}/p2p/{}", self.0.me);
        Identity {
            peer_id: self.0.me.to_string(),
            enr: local.enr.clone(),
            p2p_addresses: local.listening.iter().map(with_id).collect(),
            discovery_addresses: local.discovery.clone(),
            metadata: local.metadata.clone(),
        }
    }

    fn peers(&self) -> Vec<api::Peer> {
        lock(&self.0.local).book.clone()
    }

    fn notices(&self) -> Vec<String> {
        lock(&self.0.local).notices.clone()
    }

    fn figures(&self) -> Figures {
        let kind = |connected: &super::shared::Connected| PeerKind {
            inbound: connected.inbound,
            transport: connected.transport,
            client: connected.client,
        };
        let peers = self.0.peers();
        let peers = peers.values().filter(|connected| connected.status.is_some());
        Figures {
            peers: peers.map(kind).collect(),
            counts: Arc::clone(&self.0.counts),
        }
    }

    fn is_syncing(&self) -> bool {
        self.0.chain.sync_status().syncing
    }

    fn subscribe_committees(&self, subscriptions: Vec<CommitteeSubscription>) {
        self.0.tell(Command::Committees(subscriptions));
    }

    fn subscribe_sync_committees(&self, subscriptions: Vec<SyncSubscription>) {
        self.0.tell(Command::SyncCommittees(subscriptions));
    }

    fn publish(&self, outgoing: Outgoing) {
        Peers::publish(self, outgoing);
    }
}
