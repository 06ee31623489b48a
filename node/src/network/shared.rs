//! What the tasks of the network share: the peers that are connected, and ways to the swarm.

use super::counts::{Counts, Transport, client_of};
use super::digests::Digests;
use super::gossip::topics::Topic;
use super::peer::{Offence, Outgoing};
use super::rpc::protocol::{MAX_CONCURRENT_REQUESTS, Protocol};
use super::rpc::rate::Bucket;
use super::rpc::streams::Open;
use crate::api::{CommitteeSubscription, SyncSubscription};
use crate::chain::Chain;
use crate::light::Light;
use consensus::Config;
use consensus::gossip::Seen;
use consensus::types::{ColumnIndex, Epoch, MetaData, Root, Slot, Status};
use libp2p::gossipsub::{MessageAcceptance, MessageId};
use libp2p::{Multiaddr, PeerId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storage::Storage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Requests of ours that may wait for one peer and protocol, those under way included. Sync asks many peers rather than
/// one often.
const OURS_MAX: usize = 8;

/// Streams of one protocol that a peer may have open: two are answered, and two more wait, since a peer may have given up
/// two without our knowing yet.
pub(crate) const THEIRS_MAX: usize = 2 * MAX_CONCURRENT_REQUESTS;

/// Answers made of stored blocks, blobs and columns at once, over all peers: each has some MiB in memory, and a small
/// disk gains nothing from more.
const SERVED_MAX: usize = 16;

/// Blocking reads for peers at once; see `api/read.rs`.
const READS_MAX: usize = 2;

/// Something for the task that owns the swarm.
#[derive(Debug)]
pub(crate) enum Command {
    /// A stream is wanted.
    Open(PeerId, Open),
    /// The verdict on a message of gossip.
    Validated(MessageId, PeerId, Topic, MessageAcceptance),
    /// A peer has answered a request as it should.
    Answered(PeerId),
    /// A peer has told its status; it is on our chain.
    Status(PeerId),
    /// A peer has told its metadata.
    MetaData(PeerId, Box<MetaData>),
    /// A peer says goodbye.
    Left(PeerId, u64),
    /// A peer has done something.
    Offence(PeerId, Offence),
    /// A peer is to go, after a goodbye with this reason.
    Leave(PeerId, u64),
    /// The goodbye is said.
    Close(PeerId),
    /// Validators will attest.
    Committees(Vec<CommitteeSubscription>),
    /// Validators are in sync committees.
    SyncCommittees(Vec<SyncSubscription>),
}

/// A connected peer.
#[derive(Debug)]
pub(crate) struct Connected {
    /// What it said last; `None` before the handshake is done.
    pub(crate) status: Option<Status>,
    /// What it said of itself last.
    pub(crate) metadata: Option<MetaData>,
    /// Whether it has newer metadata than that.
    pub(crate) stale: bool,
    /// The columns it keeps.
    pub(crate) columns: Arc<[ColumnIndex]>,
    /// Its score.
    pub(crate) score: i32,
    /// Whether it is being shown out.
    pub(crate) leaving: bool,
    /// The program it says it is, as one of few names.
    pub(crate) client: &'static str,
    /// Whether it called us.
    pub(crate) inbound: bool,
    /// How it is connected.
    pub(crate) transport: Transport,
    /// Places of our requests, and who waits for one.
    ours: HashMap<Protocol, (Arc<Semaphore>, Arc<Semaphore>)>,
    /// The same of its requests.
    theirs: HashMap<Protocol, (Arc<Semaphore>, Arc<Semaphore>)>,
    /// How fast it is served.
    bucket: Arc<Bucket>,
}

impl Connected {
    pub(crate) fn new(inbound: bool, transport: Transport) -> Self {
        Connected {
            status: None,
            metadata: None,
            stale: false,
            columns: Arc::from([]),
            score: 0,
            leaving: false,
            client: client_of(""),
            inbound,
            transport,
            ours: HashMap::new(),
            theirs: HashMap::new(),
            bucket: Arc::default(),
        }
    }
}

/// Places: for those under way, and for those and the ones that wait.
fn places(waiting: usize) -> (Arc<Semaphore>, Arc<Semaphore>) {
    let place = |count| Arc::new(Semaphore::new(count));
    (place(MAX_CONCURRENT_REQUESTS), place(waiting))
}

/// The right to have a request under way.
pub(crate) struct Place {
    _under_way: OwnedSemaphorePermit,
    _waiting: OwnedSemaphorePermit,
}

/// What is told to peers of this node.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    /// Its metadata.
    pub(crate) metadata: MetaData,
    /// Its record.
    pub(crate) enr: String,
    /// Where libp2p listens.
    pub(crate) listening: Vec<Multiaddr>,
    /// Where discovery listens.
    pub(crate) discovery: Vec<String>,
    /// All peers that are known, as the API shows them.
    pub(crate) book: Vec<crate::api::Peer>,
    /// What the operator should know.
    pub(crate) notices: Vec<String>,
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) chain: Chain,
    pub(crate) storage: Storage,
    pub(crate) digests: Digests,
    pub(crate) me: PeerId,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) outgoing: mpsc::Sender<Outgoing>,
    pub(crate) peers: Mutex<HashMap<PeerId, Connected>>,
    pub(crate) local: Mutex<Local>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) light: Arc<Light>,
    /// Updates for light clients that were passed on.
    pub(crate) updates_seen: Mutex<Seen>,
    pub(crate) serving: Arc<Semaphore>,
    /// What is left for answers made of what is stored, under a ceiling of bandwidth.
    pub(crate) spare: Bucket,
    /// Whether a ceiling of bandwidth leaves room for history.
    pub(crate) may_backfill: AtomicBool,
    reads: Arc<Semaphore>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("me", &self.me).finish_non_exhaustive()
    }
}

/// Locks what only short and simple steps are done under.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        chain: Chain,
        storage: Storage,
        light: Arc<Light>,
        me: PeerId,
        local: Local,
        commands: mpsc::Sender<Command>,
        outgoing: mpsc::Sender<Outgoing>,
    ) -> Self {
        let root = chain.snapshot().head_state.genesis_validators_root;
        let digests = Digests::new(chain.config(), root);
        Shared {
            chain,
            storage,
            digests,
            me,
            commands,
            outgoing,
            peers: Mutex::default(),
            local: Mutex::new(local),
            counts: Arc::default(),
            light,
            updates_seen: Mutex::default(),
            serving: Arc::new(Semaphore::new(SERVED_MAX)),
            spare: Bucket::endless(),
            may_backfill: AtomicBool::new(true),
            reads: Arc::new(Semaphore::new(READS_MAX)),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        self.chain.config()
    }

    pub(crate) fn genesis_root(&self) -> Root {
        self.chain.snapshot().head_state.genesis_validators_root
    }

    /// The epoch of the clock; genesis before it.
    pub(crate) fn epoch(&self) -> Epoch {
        self.chain.clock().epoch().unwrap_or(0)
    }

    pub(crate) fn peers(&self) -> MutexGuard<'_, HashMap<PeerId, Connected>> {
        lock(&self.peers)
    }

    /// Tells the swarm's task; what does not fit is dropped and counted by whoever cares.
    pub(crate) fn tell(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::debug!("the network's queue is full");
        }
    }

    /// What this node tells of its chain. Spec: phase0/p2p-interface.md, "Status v1"; fulu, "Status v2".
    pub(crate) fn status(&self) -> Status {
        let snapshot = self.chain.snapshot();
        let finalized = snapshot.finalized();
        Status {
            fork_digest: self.digests.at(self.epoch()).digest,
            // Genesis is named by zeros.
            finalized_root: if finalized.epoch == 0 {
                Root::default()
            } else {
                finalized.root
            },
            finalized_epoch: finalized.epoch,
            head_root: snapshot.head.root,
            head_slot: snapshot.head.slot,
            earliest_available_slot: self.earliest_slot(),
        }
    }

    /// The first slot of which this node has all that it should. Spec: fulu/p2p-interface.md, `earliest_available_slot`.
    pub(crate) fn earliest_slot(&self) -> Slot {
        let current = self.chain.clock().slot().unwrap_or(0);
        let earliest = self.chain.custody().earliest_available_slot(&self.storage, current);
        // Where the database cannot be read there is nothing to offer but what comes from now on.
        earliest.unwrap_or(current)
    }

    /// The first slot of which this node has the block, whatever there is of its sidecars.
    pub(crate) fn earliest_block(&self) -> Slot {
        let earliest = crate::custody::earliest_block(&self.storage);
        earliest.unwrap_or_else(|_| self.chain.clock().slot().unwrap_or(0))
    }

    /// A place for a request of ours to a peer: waits while two are under way.
    pub(crate) async fn our_place(&self, peer: PeerId, protocol: Protocol) -> Result<Place, super::peer::RequestError> {
        use super::peer::RequestError;
        let (under_way, waiting) = {
            let mut peers = self.peers();
            let connected = peers.get_mut(&peer).filter(|connected| !connected.leaving);
            let connected = connected.ok_or(RequestError::Gone)?;
            connected
                .ours
                .entry(protocol)
                .or_insert_with(|| places(OURS_MAX))
                .clone()
        };
        let waiting = waiting.try_acquire_owned().map_err(|_| RequestError::Busy)?;
        let under_way = under_way.acquire_owned().await.map_err(|_| RequestError::Gone)?;
        Ok(Place {
            _under_way: under_way,
            _waiting: waiting,
        })
    }

    /// A place for a stream of a peer's: `None` where it has too many. Held back while two are answered.
    pub(crate) fn their_place(&self, peer: PeerId, protocol: Protocol) -> Option<Waiting> {
        let mut peers = self.peers();
        let connected = peers.get_mut(&peer)?;
        let (under_way, waiting) = connected
            .theirs
            .entry(protocol)
            .or_insert_with(|| places(THEIRS_MAX))
            .clone();
        let waiting = waiting.try_acquire_owned().ok()?;
        Some(Waiting { under_way, waiting })
    }

    /// The bucket out of which a peer is served.
    pub(crate) fn bucket(&self, peer: PeerId) -> Option<Arc<Bucket>> {
        self.peers().get(&peer).map(|connected| Arc::clone(&connected.bucket))
    }

    /// Reads the database, on a thread for blocking work; see `api/read.rs`. `None` where it cannot be read.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Storage) -> storage::Result<T> + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.reads).acquire_owned().await;
        let storage = self.storage.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Kept to the end, even if whoever asked has gone.
            let _place = place;
            read(&storage)
        });
        match done.await {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) => {
                tracing::error!(%error, "the database could not be read for a peer");
                None
            }
            Err(_) => None,
        }
    }

    pub(crate) fn count(&self, which: impl FnOnce(&Counts) -> &AtomicU64) {
        which(&self.counts).fetch_add(1, Ordering::Relaxed);
    }

    /// This node's metadata, as the newest version has it.
    pub(crate) fn metadata(&self) -> MetaData {
        lock(&self.local).metadata.clone()
    }
}

/// A stream of a peer's that waits for its turn.
pub(crate) struct Waiting {
    under_way: Arc<Semaphore>,
    waiting: OwnedSemaphorePermit,
}

impl Waiting {
    /// Its turn.
    pub(crate) async fn turn(self) -> Option<Place> {
        let under_way = self.under_way.acquire_owned().await.ok()?;
        Some(Place {
            _under_way: under_way,
            _waiting: self.waiting,
        })
    }
}
