//! Catching up with peers, and filling in what is missing: one task that decides, and bounded ones beside it that ask,
//! check and import.
//!
//! `range` loads a chain that peers are on, `lookup` single blocks, `backfill` history; `fetch` gets blocks with their
//! sidecars, `ask` keeps to what a peer may be asked. What the chain thread misses comes as a `Want`.

mod ask;
mod backfill;
mod fetch;
mod lookup;
mod progress;
mod range;

use crate::chain::{Chain, ENGINE_SILENT, Imported, NewBlock, Source, Want};
use crate::custody::Custody;
use crate::network::peer::{Outgoing, PeerView, Peers};
use crate::stop::Stop;
use crate::work::Lane;
use ask::Asker;
use backfill::{Backfill, Place, Step};
use consensus::types::{Epoch, Root, SignedBeaconBlock, Slot};
use consensus::{Config, Invalid};
use fetch::{By, Failed, Fetched, Fetcher};
use libp2p::PeerId;
use lookup::Lookups;
use progress::{Cause, Progress};
use range::{Local, Outcome, Range};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use storage::{Room, Storage};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

/// How far behind its peers this node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// Whether it is catching up: duties done now would rest on an old head.
    pub syncing: bool,
    /// The slot that it wants to reach.
    pub target_slot: Slot,
    /// How fast the head moves towards it: slots a second over the last minute, in thousandths.
    pub rate_milli: u64,
}

/// How many slots behind its peers a node may be and still count as synced: what comes by gossip and lookups within a
/// minute or two.
const TOLERANCE: u64 = 8;

/// How often peers' status is looked at.
const TICK: Duration = Duration::from_millis(500);

/// How long a node that finds its head old waits for peers before it counts as synced all the same, in milliseconds: one
/// that is alone must go on.
const WAIT_FOR_PEERS_MS: u64 = 30_000;

/// How long after a failure that was no peer's fault range sync and backfill pause, in milliseconds.
const PAUSE_MS: u64 = 2_000;

/// How long backfill pauses between batches, and after a failure, in milliseconds: history has time, and a peer that
/// limits its answers is not to be pressed.
const BACKFILL_PAUSE_MS: u64 = 200;
const BACKFILL_FAILED_MS: u64 = 15_000;

/// Bytes of a batch, at most: four of them and their columns fit into memory beside everything else on a machine of
/// 1 GiB.
const BATCH_BYTES: u64 = 16 << 20;

/// How long the import of one block may take before it counts as not possible now.
const IMPORT_PATIENCE: Duration = Duration::from_mins(1);

/// Blocks whose data is being fetched at once: as few blocks as there are heads at a time.
const DATA_AT_ONCE: usize = 4;

/// What became of the import of one block.
pub(crate) enum Import {
    Done,
    /// Its parent is not here.
    Apart,
    Wrong(Invalid),
    Later(Cause),
}

/// Has the chain import a block that was fetched.
pub(crate) async fn import(chain: &Chain, fetched: Fetched) -> Import {
    let (root, parent) = (fetched.root, fetched.block.message.parent_root);
    let new = NewBlock {
        block: fetched.block,
        columns: fetched.columns,
        blobs: fetched.blobs,
        source: Source::Sync,
        received_ms: chain.clock().now_ms(),
    };
    match tokio::time::timeout(IMPORT_PATIENCE, chain.import_block(new)).await {
        Ok(Ok(Imported::Done | Imported::Known)) => Import::Done,
        Ok(Ok(Imported::Rejected(why))) => Import::Wrong(why),
        Ok(Ok(Imported::Waiting(why))) => {
            let snapshot = chain.snapshot();
            if snapshot.block(&root).is_some() {
                Import::Done
            } else if snapshot.block(&parent).is_none() {
                Import::Apart
            } else if why == ENGINE_SILENT {
                Import::Later(Cause::Engine)
            } else {
                Import::Later(Cause::Busy)
            }
        }
        Ok(Err(_)) | Err(_) => Import::Later(Cause::Busy),
    }
}

/// What a task beside the main one came to.
enum Done {
    Batch(Slot, PeerId, Result<Vec<Fetched>, Failed>),
    Imported(Slot, Outcome, Option<Cause>),
    LookedUp(Root, bool),
    Data(Root),
    Place(Option<Place>),
    Backfilled(Box<Backfill>, Step),
    Custody,
}

struct Syncing {
    fetcher: Fetcher,
    storage: Storage,
    custody: Custody,
    range: Range,
    lookups: Lookups,
    progress: Progress,
    tasks: JoinSet<Done>,
    /// Batches that peers are loading.
    loading: HashMap<PeerId, usize>,
    importing: bool,
    /// Blocks whose data is being fetched.
    data: HashSet<Root>,
    backfill: Option<Box<Backfill>>,
    backfill_after_ms: u64,
    range_after_ms: u64,
    cause: Cause,
    started_ms: u64,
    had_peers: bool,
    custody_epoch: Option<Epoch>,
}

/// Catches up with peers and fills in what is missing, until the node stops. `custody` is the chain's.
pub async fn run(chain: Chain, storage: Storage, peers: Arc<dyn Peers>, custody: Custody, stop: Stop) {
    let started_ms = chain.clock().now_ms();
    let syncing = Syncing {
        fetcher: Fetcher {
            chain,
            asker: Asker::new(peers),
        },
        storage,
        custody,
        range: Range::default(),
        lookups: Lookups::default(),
        progress: Progress::default(),
        tasks: JoinSet::new(),
        loading: HashMap::new(),
        importing: false,
        data: HashSet::new(),
        backfill: None,
        backfill_after_ms: 0,
        range_after_ms: 0,
        cause: Cause::NoPeers,
        started_ms,
        had_peers: false,
        custody_epoch: None,
    };
    tokio::select! {
        () = stop.stopped() => {}
        () = syncing.go() => {}
    }
}

impl Syncing {
    fn chain(&self) -> &Chain {
        &self.fetcher.chain
    }

    async fn go(mut self) {
        let mut wants = self.chain().wants();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        self.find_place();
        loop {
            tokio::select! {
                _ = tick.tick() => self.look_at_custody(),
                want = wants.recv() => match want {
                    Ok(want) => self.on_want(want),
                    Err(RecvError::Lagged(count)) => tracing::debug!(count, "wishes of the chain were lost"),
                    Err(RecvError::Closed) => return,
                },
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.on_done(done),
                    Err(error) => {
                        tracing::error!(%error, "a task of sync failed; this is a bug, please report it");
                    }
                },
            }
            self.drive();
        }
    }

    fn local(&self) -> Local {
        let snapshot = self.chain().snapshot();
        Local {
            finalized_epoch: snapshot.finalized().epoch,
            head_slot: snapshot.head.slot,
            current_slot: self.chain().clock().slot().unwrap_or(0),
        }
    }

    /// Starts whatever is due.
    fn drive(&mut self) {
        let now_ms = self.chain().clock().now_ms();
        let (local, views) = (self.local(), self.fetcher.asker.peers());
        self.had_peers |= !views.is_empty();
        let slots = batch_slots(self.chain().config(), self.custody.held().sampled.len(), &local);
        let snapshot = self.chain().snapshot();
        let knows = |root: &Root| snapshot.block(root).is_some() || snapshot.finalized().root == *root;
        self.range.choose(&local, &views, slots, knows);
        if now_ms >= self.range_after_ms {
            self.start_batches(&views);
            self.start_import();
        }
        for (peer, offence) in self.range.take_blames() {
            self.fetcher.asker.report(peer, offence);
        }
        while let Some((root, from)) = self.lookups.next(now_ms) {
            let fetcher = self.fetcher.clone();
            self.tasks
                .spawn(async move { Done::LookedUp(root, lookup::look_up(&fetcher, root, from).await) });
        }
        self.tell(now_ms, &local, &views);
        let may_backfill = now_ms >= self.backfill_after_ms
            && self.fetcher.asker.all().may_backfill()
            && self.chain().pressure().may_backfill();
        if may_backfill && !self.chain().sync_status().syncing {
            self.start_backfill();
        }
    }

    fn start_batches(&mut self, views: &[PeerView]) {
        loop {
            let (loading, asker) = (&self.loading, &self.fetcher.asker);
            let load = |peer: &PeerId| loading.get(peer).copied().unwrap_or(0) + asker.load(peer);
            let Some((start, count, peer)) = self.range.next_request(views, load) else {
                return;
            };
            *self.loading.entry(peer).or_default() += 1;
            let fetcher = self.fetcher.clone();
            self.tasks.spawn(async move {
                let blocks = fetcher.blocks_by_range(peer, start, count, Lane::Column).await;
                let batch = match blocks {
                    Ok(blocks) => fetcher.with_data(blocks, Some(peer), By::Range).await,
                    Err(why) => Err(why),
                };
                Done::Batch(start, peer, batch)
            });
        }
    }

    fn start_import(&mut self) {
        if self.importing {
            return;
        }
        if let Some((start, blocks)) = self.range.next_import() {
            self.importing = true;
            let chain = self.chain().clone();
            self.tasks.spawn(async move {
                let (outcome, cause) = import_batch(&chain, blocks).await;
                Done::Imported(start, outcome, cause)
            });
        }
    }

    fn find_place(&mut self) {
        let snapshot = self.chain().snapshot();
        let first = snapshot.view.blocks().nodes().first();
        let Some(first) = first.map(|block| (block.slot, block.parent_root)) else {
            return;
        };
        let storage = self.storage.clone();
        self.tasks.spawn(async move {
            let place = tokio::task::spawn_blocking(move || Place::stored(&storage, first)).await;
            match place {
                Ok(Ok(place)) => Done::Place(place),
                Ok(Err(error)) => {
                    tracing::error!(%error, "the database does not say where history begins");
                    Done::Place(None)
                }
                Err(_) => Done::Place(None),
            }
        });
    }

    fn start_backfill(&mut self) {
        let Some(mut backfill) = self.backfill.take() else {
            return;
        };
        let (fetcher, storage) = (self.fetcher.clone(), self.storage.clone());
        self.tasks.spawn(async move {
            let step = backfill.step(&fetcher, &storage).await;
            Done::Backfilled(backfill, step)
        });
    }

    /// Once an epoch: whether this node's validators ask for more custody.
    fn look_at_custody(&mut self) {
        let snapshot = self.chain().snapshot();
        let epoch = self.chain().clock().epoch();
        if epoch.is_none() || self.custody_epoch == epoch {
            return;
        }
        self.custody_epoch = epoch;
        let Some(state) = snapshot.view.state(&snapshot.finalized().root).map(Arc::clone) else {
            return;
        };
        match self.custody.adjust(&state, snapshot.current_slot()) {
            Ok(true) => {
                let groups = self.custody.group_count();
                tracing::info!(groups, "this node keeps more columns for its validators");
            }
            Ok(false) => {}
            Err(why) => tracing::warn!(%why, "custody cannot be told"),
        }
        let (custody, storage) = (self.custody.clone(), self.storage.clone());
        self.tasks.spawn(async move {
            let stored = tokio::task::spawn_blocking(move || custody.store_if_new(&storage)).await;
            if let Ok(Err(error)) = stored {
                tracing::warn!(%error, "the custody group count cannot be written");
            }
            Done::Custody
        });
    }

    fn on_want(&mut self, want: Want) {
        let now_ms = self.chain().clock().now_ms();
        match want {
            // What is missing of a chain that is being loaded comes with it.
            Want::Block { .. } if self.chain().sync_status().syncing => {}
            Want::Block { root, from } => self.lookups.want(root, from, now_ms),
            Want::Data { root, block } => self.want_data(root, block),
            Want::Columns(columns) => {
                for column in columns {
                    self.fetcher.asker.all().publish(Outgoing::Column(column));
                }
            }
            Want::Offence(peer, offence) => self.fetcher.asker.report(peer, offence),
        }
    }

    /// Fetches what a waiting block lacks, if it still does when gossip has had its time.
    fn want_data(&mut self, root: Root, block: Arc<SignedBeaconBlock>) {
        if self.data.len() >= DATA_AT_ONCE || !self.data.insert(root) {
            return;
        }
        let fetcher = self.fetcher.clone();
        let patience = Duration::from_millis(fetcher.chain.clock().slots().slot_duration_ms / GOSSIP_SHARE);
        self.tasks.spawn(async move {
            tokio::time::sleep(patience).await;
            fetch_data(&fetcher, root, block).await;
            Done::Data(root)
        });
    }

    fn on_done(&mut self, done: Done) {
        let now_ms = self.chain().clock().now_ms();
        match done {
            Done::Batch(start, peer, batch) => self.on_batch(now_ms, start, peer, batch),
            Done::Imported(start, outcome, cause) => {
                self.importing = false;
                if let Some(cause) = cause {
                    self.cause = cause;
                    self.range_after_ms = now_ms + PAUSE_MS;
                }
                let local = self.local();
                let snapshot = self.chain().snapshot();
                let knows = |root: &Root| snapshot.block(root).is_some() || snapshot.finalized().root == *root;
                for (peer, offence) in self.range.imported(start, outcome, &local, knows) {
                    self.fetcher.asker.report(peer, offence);
                }
            }
            Done::LookedUp(root, found) => self.lookups.done(root, found, now_ms),
            Done::Data(root) => {
                self.data.remove(&root);
            }
            Done::Place(place) => self.backfill = place.map(|place| Box::new(Backfill::new(place))),
            Done::Backfilled(backfill, step) => self.on_backfilled(now_ms, backfill, step),
            Done::Custody => {}
        }
    }

    fn on_batch(&mut self, now_ms: u64, start: Slot, peer: PeerId, batch: Result<Vec<Fetched>, Failed>) {
        if let Some(count) = self.loading.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.loading.remove(&peer);
            }
        }
        match batch {
            Ok(blocks) => self.range.loaded(start, peer, Some(blocks)),
            Err(Failed::Peer(why)) => {
                tracing::debug!(%peer, start, %why, "a batch was not loaded");
                self.cause = Cause::NotHad;
                self.range.loaded(start, peer, None);
            }
            Err(why @ (Failed::Data(_) | Failed::Busy)) => {
                tracing::debug!(%peer, start, %why, "a batch is not whole");
                self.cause = if why == Failed::Busy {
                    Cause::Busy
                } else {
                    Cause::NotHad
                };
                self.range_after_ms = now_ms + PAUSE_MS;
                self.range.not_now(start);
            }
        }
    }

    fn on_backfilled(&mut self, now_ms: u64, backfill: Box<Backfill>, step: Step) {
        let pause = match &step {
            Step::Further => BACKFILL_PAUSE_MS,
            Step::Complete => {
                tracing::info!("history is complete down to slot {}", backfill.low());
                return;
            }
            Step::Again(why) => {
                tracing::debug!(low = backfill.low(), why, "history is asked of another peer");
                BACKFILL_PAUSE_MS
            }
            Step::Later(why) => {
                tracing::debug!(low = backfill.low(), why, "history waits");
                BACKFILL_FAILED_MS
            }
            Step::DiskLow => {
                tracing::warn!("history waits: the disk is nearly full");
                BACKFILL_FAILED_MS
            }
        };
        self.backfill_after_ms = now_ms + pause;
        self.backfill = Some(backfill);
    }

    /// Says how far sync is: to the rest of the node, and to the operator.
    fn tell(&mut self, now_ms: u64, local: &Local, views: &[PeerView]) {
        let target = self.range.target();
        let behind = target.filter(|target| target.slot > local.head_slot.saturating_add(TOLERANCE));
        let old = local.current_slot > local.head_slot.saturating_add(TOLERANCE);
        let lonely = old && !self.had_peers && now_ms < self.started_ms.saturating_add(WAIT_FOR_PEERS_MS);
        let status = SyncStatus {
            syncing: behind.is_some() || lonely,
            target_slot: behind.map_or(local.head_slot, |target| target.slot),
            rate_milli: behind.map_or(0, |_| self.progress.rate_milli(now_ms)),
        };
        self.chain().sync.send_if_modified(|known| {
            let changed = *known != status;
            *known = status;
            changed
        });
        let Some(target) = behind else {
            self.progress.reset();
            return;
        };
        self.progress.note(now_ms, local.head_slot);
        let cause = if views.is_empty() { Cause::NoPeers } else { self.cause };
        let cause = if self.progress.is_still(now_ms) && !matches!(self.storage.room(), Ok(Room::Enough)) {
            Cause::Disk
        } else {
            cause
        };
        let peers = self.range.peers();
        if let Some(sentence) = self.progress.sentence(now_ms, target.slot, peers, cause) {
            tracing::info!("{sentence}");
        }
    }
}

/// The part of a slot that columns have to come by gossip before they are asked for.
const GOSSIP_SHARE: u64 = 6;

/// Fetches what a waiting block still lacks, and gives it to the chain.
async fn fetch_data(fetcher: &Fetcher, root: Root, block: Arc<SignedBeaconBlock>) {
    let Some(missing) = fetcher.chain.missing_data(root).await else {
        return;
    };
    if missing.is_empty() {
        return;
    }
    let mut blocks = vec![Fetched {
        root,
        block,
        ..Fetched::default()
    }];
    let blobs = fetcher.add_blobs(&mut blocks, None, Lane::Column).await;
    let columns = fetcher.add_columns(&mut blocks, &missing, By::Root, Lane::Column).await;
    tracing::debug!(%root, wanted = missing.len(), ?blobs, ?columns, "data of a block that waits was asked for");
    for block in blocks {
        fetcher.chain.add_sidecars(root, block.columns, block.blobs).await;
    }
}

/// Imports blocks in order, up to the first that cannot be.
async fn import_batch(chain: &Chain, blocks: Vec<Fetched>) -> (Outcome, Option<Cause>) {
    let last = blocks.last().map(|block| block.root);
    for block in blocks {
        match import(chain, block).await {
            Import::Done => {}
            Import::Apart => return (Outcome::Apart, None),
            Import::Wrong(why) => return (Outcome::Wrong(why), None),
            Import::Later(cause) => return (Outcome::Later, Some(cause)),
        }
    }
    // On disk is not yet published: what comes next looks at the snapshot.
    let published = || last.is_none_or(|root| chain.snapshot().block(&root).is_some());
    for _ in 0..PUBLISHED_TRIES {
        if published() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (Outcome::Done, None)
}

/// How often the snapshot is looked at for a block that is on disk: two seconds in all, and it takes milliseconds. A
/// block that finality has passed meanwhile never shows.
const PUBLISHED_TRIES: u32 = 200;

/// Slots of a batch, so that its blocks with all sampled columns are no more than a batch may be, at the most blobs that
/// there may be: the 32 of an epoch for a node that samples eight, a few for a supernode.
fn batch_slots(config: &Config, sampled: usize, local: &Local) -> u64 {
    /// A block as it is most often, rounded up.
    const BLOCK: u64 = 256 << 10;
    /// A cell with commitment and proof.
    const CELL: u64 = 2048 + 48 + 48;
    let epoch = consensus::helpers::misc::compute_epoch_at_slot(local.current_slot);
    let blobs = config.max_blobs_per_block_at(epoch);
    let slot = BLOCK + CELL * blobs * sampled as u64;
    (BATCH_BYTES / slot).clamp(2, 32)
}
