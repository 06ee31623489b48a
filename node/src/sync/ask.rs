//! Asking peers: never more at once than the protocol allows, never longer than is of use, the least busy first.

use crate::network::peer::{Chunk, Offence, PeerView, Peers, Request, RequestError};
use libp2p::PeerId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests of one kind that wait for one peer. Spec: phase0/p2p-interface.md, `MAX_CONCURRENT_REQUESTS` (2); one is
/// left free for lookups while a range is being loaded.
const AT_ONCE: usize = 2;

/// How long an answer may take in all. The network gives up before: a peer that sends little after some fifteen seconds, a
/// slow line when the longest answer should be through (`network/rpc/pace`), 12 seconds for a stream and 188 for the answer.
const PATIENCE: Duration = Duration::from_secs(210);

/// What is asked for, as far as limits are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Blocks,
    Sidecars,
}

fn kind(request: &Request) -> Kind {
    match request {
        Request::BlocksByRange(_) | Request::BlocksByRoot(_) | Request::BlocksByHead(_) => Kind::Blocks,
        Request::BlobsByRange(_) | Request::BlobsByRoot(_) | Request::ColumnsByRange(_) | Request::ColumnsByRoot(_) => {
            Kind::Sidecars
        }
    }
}

type Busy = Mutex<HashMap<(PeerId, Kind), usize>>;

/// Peers, with what they are being asked. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    peers: Arc<dyn Peers>,
    busy: Arc<Busy>,
}

fn lock(busy: &Busy) -> MutexGuard<'_, HashMap<(PeerId, Kind), usize>> {
    // Numbers go up and down under the lock; nothing there panics.
    busy.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request that is under way; gives its place back when it is dropped.
struct Place {
    busy: Arc<Busy>,
    key: (PeerId, Kind),
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut busy = lock(&self.busy);
        if let Some(count) = busy.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.key);
            }
        }
    }
}

impl Asker {
    pub(crate) fn new(peers: Arc<dyn Peers>) -> Self {
        Asker {
            peers,
            busy: Arc::default(),
        }
    }

    /// Everybody.
    pub(crate) fn all(&self) -> &Arc<dyn Peers> {
        &self.peers
    }

    /// Those who are connected.
    pub(crate) fn peers(&self) -> Vec<PeerView> {
        self.peers.peers()
    }

    pub(crate) fn report(&self, peer: PeerId, offence: Offence) {
        tracing::debug!(%peer, ?offence, "a peer did wrong");
        self.peers.report(peer, offence);
    }

    /// How many requests wait for a peer.
    pub(crate) fn load(&self, peer: &PeerId) -> usize {
        let busy = lock(&self.busy);
        let of = |kind| busy.get(&(*peer, kind)).copied().unwrap_or(0);
        of(Kind::Blocks) + of(Kind::Sidecars)
    }

    fn place(&self, peer: PeerId, kind: Kind) -> Option<Place> {
        let key = (peer, kind);
        let mut busy = lock(&self.busy);
        let count = busy.entry(key).or_insert(0);
        if *count >= AT_ONCE {
            return None;
        }
        *count += 1;
        drop(busy);
        Some(Place {
            busy: Arc::clone(&self.busy),
            key,
        })
    }

    /// Asks one peer. Who takes longer than the network itself would wait is reported; it reports all others.
    pub(crate) async fn ask(&self, peer: PeerId, request: Request) -> Result<Vec<Chunk>, RequestError> {
        let Some(_place) = self.place(peer, kind(&request)) else {
            return Err(RequestError::Busy);
        };
        let answer = tokio::time::timeout(PATIENCE, self.peers.request(peer, request));
        answer.await.unwrap_or_else(|_| {
            self.report(peer, Offence::Unreliable("it did not answer in time"));
            Err(RequestError::TimedOut)
        })
    }
}

/// The best of these to ask next: the least busy, of those the one with the best score.
pub(crate) fn best<'a>(
    candidates: impl Iterator<Item = &'a PeerView>,
    load: impl Fn(&PeerId) -> usize,
) -> Option<PeerId> {
    let best = candidates.min_by_key(|peer| (load(&peer.id), std::cmp::Reverse(peer.score)));
    best.map(|peer| peer.id)
}
