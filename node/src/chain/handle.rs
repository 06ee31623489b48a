//! What everybody else has of the chain: the latest snapshot, and ways to hand something in.

use super::message::{Message, Submitted};
use super::snapshot::Snapshot;
use crate::clock::{Clock, ClockWatch};
use crate::custody::Custody;
use crate::execution::PayloadAttributes;
use crate::metrics::Metrics;
use crate::pressure::Pressure;
use crate::sync::SyncStatus;
use crate::work::{Busy, Lane, Work};
use consensus::types::{
    BlobIndex, BlobSidecar, DataColumnSidecar, Hash32, Root, SignedBeaconBlock, Slot, ValidatorIndex,
};
use consensus::{Config, Fork, Invalid, State};
use crypto::bls::PublicKey;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot, watch};

/// Where a block came from: decides on limits and on who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The Beacon API: a validator client published it.
    Api,
    /// Gossip.
    Gossip,
    /// Sync, or a lookup.
    Sync,
    /// This node's own database.
    Replay,
}

/// What became of a block that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is in the fork choice and on disk.
    Done,
    /// It was there already, or is from before finality.
    Known,
    /// It waits for something, which the sentence names.
    Waiting(String),
    /// It is wrong.
    Rejected(Invalid),
}

/// A block to import, with what came along.
#[derive(Debug)]
pub struct NewBlock {
    /// The block.
    pub block: Arc<SignedBeaconBlock>,
    /// The columns that came with it, from Fulu on.
    pub columns: Vec<Arc<DataColumnSidecar>>,
    /// The blobs that came with it, in Deneb and Electra.
    pub blobs: Vec<Arc<BlobSidecar>>,
    /// Where it came from.
    pub source: Source,
    /// When it arrived, in milliseconds since 1970.
    pub received_ms: u64,
}

impl NewBlock {
    /// The same block once more; all that is large is shared.
    pub(crate) fn share(&self) -> NewBlock {
        NewBlock {
            block: Arc::clone(&self.block),
            columns: self.columns.clone(),
            blobs: self.blobs.clone(),
            source: self.source,
            received_ms: self.received_ms,
        }
    }
}

/// What subscribers hear of. Spec: beacon-APIs, `eventstream`.
#[derive(Clone, Debug)]
pub enum ChainEvent {
    /// There is a new head.
    Head {
        /// The snapshot with it.
        snapshot: Arc<Snapshot>,
        /// The head before.
        old_head: Root,
        /// The slot of the last block that both have, if that is not the old head.
        reorg_to: Option<Slot>,
        /// Whether the epoch has changed.
        epoch_transition: bool,
    },
    /// A block has passed the rules of its topic, by gossip or from a validator client. It is not imported yet, and may
    /// never be.
    BlockGossip {
        /// Its slot.
        slot: Slot,
        /// Its root.
        root: Root,
    },
    /// A block was imported.
    Block {
        /// Its slot.
        slot: Slot,
        /// Its root.
        root: Root,
        /// Whether its payload was executed.
        optimistic: bool,
    },
    /// The finalized checkpoint has moved.
    Finalized {
        /// The snapshot with it.
        snapshot: Arc<Snapshot>,
    },
    /// A message was accepted.
    Message(Arc<Message>),
    /// A column has come.
    Column {
        /// Its block.
        block_root: Root,
        /// Its number.
        index: BlobIndex,
        /// Its slot.
        slot: Slot,
    },
    /// A payload is about to be built.
    PayloadAttributes(Arc<ProposalAttributes>),
    /// Fast confirmation has run.
    FastConfirmation {
        /// The last block that is confirmed.
        root: Root,
        /// Its slot.
        slot: Slot,
        /// The slot in which it ran.
        current_slot: Slot,
    },
}

/// What a payload is built for and with. Spec: beacon-APIs, `payload_attributes`.
#[derive(Clone, Debug)]
pub struct ProposalAttributes {
    /// The fork of the block.
    pub fork: Fork,
    /// Who proposes it.
    pub proposer_index: ValidatorIndex,
    /// Its slot.
    pub proposal_slot: Slot,
    /// The block before it.
    pub parent_block_root: Root,
    /// The number of the payload before it.
    pub parent_block_number: u64,
    /// The hash of the payload before it.
    pub parent_block_hash: Hash32,
    /// What the execution client is told.
    pub attributes: PayloadAttributes,
}

/// What the chain thread is told.
pub(crate) enum Event {
    /// The clock, in milliseconds since 1970.
    Tick(u64),
    /// A block has come; the answer goes out when it is on disk, refused, or waits.
    Block(Box<NewBlock>, Option<oneshot::Sender<Imported>>),
    /// A worker is done with a block.
    Checked(Box<super::import::CheckedBlock>),
    /// The engine has answered.
    Executed(Root, super::import::EngineAnswer),
    /// A worker has moved the head state on.
    Ahead(super::snapshot::Ahead),
    /// The blocks of the database have been gone through.
    Replayed,
    /// A worker has made public keys of a final registry.
    Keys(Vec<(u32, PublicKey)>),
    /// A worker has made the state after this block again, or could not.
    State(Root, Option<Arc<State>>),
    /// Workers have checked messages.
    Messages(Vec<super::message::CheckedMessage>),
    /// A worker has checked a block of gossip.
    GossipBlock(Box<super::intake::GossipBlock>),
    /// Columns and blobs that were checked.
    Sidecars(Vec<super::intake::CheckedSidecar>),
    /// A worker has looked at the data of a waiting block.
    Data(Box<super::data::CheckedData>),
    /// What does this waiting block lack?
    Missing(Root, oneshot::Sender<Option<Vec<u64>>>),
    /// Which block should the proposer of this slot build on?
    ProposerHead(Slot, oneshot::Sender<Root>),
    /// End, after what is waiting.
    Stop,
}

/// The chain, as all but its own thread see it. Clones are the same chain.
#[derive(Clone)]
pub struct Chain {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) clock_watch: ClockWatch,
    pub(crate) pressure: Pressure,
    pub(crate) latest: Arc<Mutex<Arc<Snapshot>>>,
    pub(crate) events: SyncSender<Event>,
    pub(crate) subscribers: broadcast::Sender<ChainEvent>,
    pub(crate) work: Work,
    pub(crate) states: Arc<super::states::States>,
    pub(crate) custody: Custody,
    pub(crate) columns: Arc<super::intake::ColumnQueue>,
    pub(crate) wants: broadcast::Sender<super::Want>,
    pub(crate) sync: watch::Sender<SyncStatus>,
    pub(crate) metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").finish_non_exhaustive()
    }
}

impl Chain {
    /// The network.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The wall clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What is thought of the wall clock.
    pub fn clock_watch(&self) -> &ClockWatch {
        &self.clock_watch
    }

    /// What gives way for want of memory.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// Forgets states that were made for somebody: the next one who asks has them made again.
    pub(crate) fn forget_made_states(&self) {
        self.states.forget();
    }

    /// Which columns this node keeps.
    pub fn custody(&self) -> &Custody {
        &self.custody
    }

    /// How far behind its peers this node is, as sync sees it.
    pub fn sync_status(&self) -> SyncStatus {
        *self.sync.borrow()
    }

    /// What the chain asks of sync from now on. A subscriber that falls far behind loses the oldest; what is still
    /// wanted is asked for again with the next slot.
    pub fn wants(&self) -> broadcast::Receiver<super::Want> {
        self.wants.subscribe()
    }

    /// How many listen to what the chain asks of sync.
    pub fn wants_listeners(&self) -> usize {
        self.wants.receiver_count()
    }

    /// Asks sync for something; without a network nobody listens.
    pub(crate) fn want(&self, want: super::Want) {
        let _ = self.wants.send(want);
    }

    /// The lanes to the workers.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// What is counted along the way.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The chain as it stands.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What happens from now on. A subscriber that falls far behind loses the oldest events and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.subscribers.subscribe()
    }

    /// Tells subscribers; that there are none is no matter.
    pub(crate) fn publish_event(&self, event: ChainEvent) {
        let _ = self.subscribers.send(event);
    }

    /// Tells the chain thread, and waits while its queue is full: for workers and the disk, which have done something
    /// that must not be lost. Nothing happens when it has stopped.
    pub(crate) fn tell_certainly(&self, event: Event) {
        if self.events.send(event).is_err() {
            tracing::debug!("the chain has stopped");
        }
    }

    /// The same for tasks, which may not hold up their thread.
    pub(crate) async fn tell_patiently(&self, mut event: Event) {
        while let Err(TrySendError::Full(back)) = self.events.try_send(event) {
            event = back;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Tells the chain thread; `Busy` where its queue is full or it has ended.
    pub(crate) fn tell(&self, event: Event) -> Result<(), Busy> {
        self.events.try_send(event).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
        })
    }

    /// Hands in a block and waits until it is on disk, refused or put aside.
    pub async fn import_block(&self, block: NewBlock) -> Result<Imported, Busy> {
        let (answer, result) = oneshot::channel();
        self.tell(Event::Block(Box::new(block), Some(answer)))?;
        result.await.map_err(|_| Busy)
    }

    /// Has messages checked and entered; the verdicts stand in their order.
    pub async fn submit(&self, messages: Vec<Message>) -> Vec<Submitted> {
        super::message::submit(self, messages).await
    }

    /// What the proposer of `slot` builds on: the head, or its parent where the head came late and weak.
    ///
    /// Spec: phase0/fork-choice.md, `get_proposer_head`.
    pub async fn proposer_head(&self, slot: Slot) -> Result<Root, Busy> {
        let (answer, result) = oneshot::channel();
        self.tell(Event::ProposerHead(slot, answer))?;
        result.await.map_err(|_| Busy)
    }

    /// The state after the block `root`, moved on to `slot` where that is later. Known for blocks since finality.
    /// Computed on a worker of `lane`, and kept for the next who asks.
    pub async fn state_at(&self, root: Root, slot: Slot, lane: Lane) -> Result<Result<Arc<State>, Invalid>, Busy> {
        let (states, snapshot) = (Arc::clone(&self.states), self.snapshot());
        if let Some(state) = states.at_hand(&snapshot, root, slot) {
            return Ok(Ok(state));
        }
        self.work.run(lane, move || states.compute(&snapshot, root, slot)).await
    }
}
