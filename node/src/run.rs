//! The node put together: the only place where threads and channels are made.

use crate::api::{self, Alone, ApiContext, ApiOptions, Network};
use crate::builder::Builder;
use crate::chain::{
    Actor, Ahead, Budget, Chain, Event, Head, Imported, NewBlock, Pending, Sidecars, Snapshot, Source, States,
};
use crate::checkpoint;
use crate::clock::{Clock, ClockWatch, Sources};
use crate::custody::Custody;
use crate::disk::{self, Disk};
use crate::driver::{self, EngineDriver};
use crate::execution::{Engine, fitness};
use crate::forks;
use crate::keys;
use crate::light::Light;
use crate::metrics;
use crate::network::node_key::NodeKey;
use crate::network::peer::Peers;
use crate::network::{self, NetworkHandle, NetworkOptions};
use crate::pools::Pools;
use crate::pressure::{self, Pressure};
use crate::produce::Producer;
use crate::room;
use crate::start::{Anchor, blocks_after};
use crate::stop::Stop;
use crate::sync::{self, SyncStatus};
use crate::work::Work;
use anyhow::{Context as _, Result};
use consensus::Config;
use consensus::fork_choice::{FastConfirmationStore, Store};
use consensus::gossip::Seen;
use consensus::helpers::accessors::get_current_epoch;
use consensus::keys::Keys;
use consensus::types::{Checkpoint, ExecutionAddress};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use storage::Storage;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};

/// Events that may wait for the chain thread. Every waiting vote of a slot may be one; the thread takes microseconds for
/// each.
const EVENTS_MAX: usize = 8192;

/// Events that a slow subscriber may be behind before it loses the oldest.
const SUBSCRIBERS_BEHIND_MAX: usize = 4096;

/// Wishes of the chain that may wait for sync: a block or its data each, of which few are missing at once; what is lost
/// is wished for again.
const WANTS_MAX: usize = 256;

/// What a node is made of.
pub struct Parts {
    /// The network.
    pub config: Arc<Config>,
    /// Where the chain begins.
    pub anchor: Anchor,
    /// The public keys of its registry.
    pub keys: Keys,
    /// The database.
    pub storage: Storage,
    /// The execution client.
    pub engine: Arc<Engine>,
    /// Where fees of clients go that name no recipient.
    pub fee_recipient: ExecutionAddress,
    /// Spec: sync/optimistic.md, `SAFE_SLOTS_TO_IMPORT_OPTIMISTICALLY`.
    pub safe_slots: u64,
    /// Whose payloads may be taken in place of the execution client's.
    pub builder: Option<Arc<Builder>>,
}

/// A node that runs.
pub struct Running {
    /// The chain.
    pub chain: Chain,
    /// The pools.
    pub pools: Arc<Pools>,
    /// Who makes blocks.
    pub producer: Arc<Producer>,
    /// The database.
    pub storage: Storage,
    /// What light clients are served.
    pub light: Arc<Light>,
    /// The execution client.
    pub engine: Arc<Engine>,
    /// Its peers; none for a node that is alone.
    pub network: Option<NetworkHandle>,
    /// How it is stopped.
    pub stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

/// What the chain thread begins with.
struct Beginning {
    store: Store,
    fast: FastConfirmationStore,
    keys: Arc<Keys>,
    ahead: Arc<Ahead>,
    snapshot: Arc<Snapshot>,
    budget: Budget,
}

impl Beginning {
    /// At a point of the chain that is trusted.
    fn at(parts: &Parts, now_ms: u64, states: &Arc<States>, memory: Memory) -> Result<Self> {
        let (anchor, config, mut keys) = (&parts.anchor, &parts.config, parts.keys.clone());
        let mut store = anchor.store(config)?;
        store.on_tick_ms(now_ms);
        keys.settle(anchor.state.validators.len());
        let keys = Arc::new(keys);
        let fast = FastConfirmationStore::get_fast_confirmation_store(&store);
        let epoch = get_current_epoch(&anchor.state);
        let ahead = Arc::new(Ahead::of(anchor.root, &anchor.state, config, epoch)?);
        let block = store.blocks().nodes().first();
        let head = Head {
            root: anchor.root,
            slot: anchor.block.slot,
            state_root: anchor.block.state_root,
            block_hash: block.map_or_else(Default::default, |block| block.block_hash),
            payload_status: store.get_head().payload_status,
            optimistic: false,
        };
        let snapshot = Arc::new(Snapshot {
            number: 0,
            view: store.view().clone(),
            head,
            head_state: Arc::clone(&anchor.state),
            ahead: Arc::clone(&ahead),
            safe_block_hash: fast.get_safe_execution_block_hash(&store),
            finalized_block_hash: head.block_hash,
            keys: Arc::clone(&keys),
            state_bytes: 0,
            states: Arc::clone(states),
        });
        Ok(Beginning {
            store,
            fast,
            keys,
            ahead,
            snapshot,
            budget: Budget::new(memory.states),
        })
    }
}

/// What a node may keep in memory, in bytes, of what it can make again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// States after blocks, beside the one whole state that they share.
    pub states: usize,
    /// The database's block cache.
    pub block_cache: usize,
    /// What the operator grants for all; above it things give way (see [`Pressure`]).
    pub granted: Option<u64>,
}

const MB: usize = 1 << 20;

impl Default for Memory {
    /// With a registry of 2.2 million, two epoch transitions and ten blocks.
    fn default() -> Self {
        Memory {
            states: 256 * MB,
            block_cache: 32 * MB,
            granted: None,
        }
    }
}

impl Memory {
    /// The share of a total that an operator grants by `--max-memory`: an eighth for states, a thirty-second for the block
    /// cache, both within what is of use. The rest is the one whole state, keys, votes, pools and buffers, whose size the
    /// network decides on.
    pub fn of(max_memory: u64) -> Self {
        let total = usize::try_from(max_memory).unwrap_or(usize::MAX);
        Memory {
            states: (total / 8).clamp(16 * MB, 1024 * MB),
            block_cache: (total / 32).clamp(8 * MB, 64 * MB),
            granted: Some(max_memory),
        }
    }
}

/// Starts the threads and tasks of a node, in the runtime that it is called in, and replays what the database holds, or as
/// much of it as it comes to until it is told to stop.
pub async fn start(parts: Parts, stop: Stop) -> Result<Running> {
    start_within(parts, Memory::default(), stop).await
}

/// The same with limits on what it keeps in memory.
pub async fn start_within(parts: Parts, memory: Memory, stop: Stop) -> Result<Running> {
    let clock = Clock::new(&parts.config, parts.anchor.state.genesis_time);
    let states = Arc::new(States::new(parts.storage.clone()));
    let beginning = Beginning::at(&parts, clock.now_ms(), &states, memory)?;
    let (events, events_end) = sync_channel(EVENTS_MAX);
    let chain = Chain {
        config: Arc::clone(&parts.config),
        clock,
        clock_watch: ClockWatch::default(),
        pressure: Pressure::default(),
        latest: Arc::new(Mutex::new(Arc::clone(&beginning.snapshot))),
        events,
        subscribers: broadcast::channel(SUBSCRIBERS_BEHIND_MAX).0,
        work: Work::new(),
        states,
        custody: Custody::stored(Arc::clone(&parts.config), &parts.storage)?,
        columns: Arc::default(),
        wants: broadcast::channel(WANTS_MAX).0,
        sync: watch::channel(SyncStatus::default()).0,
        metrics: Arc::default(),
    };
    let pools = Arc::new(Pools::new());
    let (driver, ends) = EngineDriver::new(&parts.engine);
    let threads = start_threads(&parts, beginning, &chain, &pools, &driver, events_end, &stop)?;
    let engine = parts.engine;
    tokio::spawn(driver::run(
        driver,
        Arc::clone(&engine),
        chain.clone(),
        ends,
        stop.clone(),
    ));
    if let Ok(replayed) = stop
        .unless(Box::pin(replay(&chain, &parts.storage, parts.anchor.block.slot)))
        .await
    {
        replayed?;
    }
    chain.tell_patiently(Event::Replayed).await;
    tokio::spawn(keys::fill(chain.clone(), parts.anchor.state, stop.clone()));
    let producer = Producer::new(
        chain.clone(),
        Arc::clone(&engine),
        Arc::clone(&pools),
        parts.fee_recipient,
        parts.builder,
    );
    let producer = Arc::new(producer);
    if let Some(granted) = memory.granted {
        tokio::spawn(pressure::watch(chain.clone(), granted, stop.clone()));
    }
    tokio::spawn(room::watch(parts.storage.clone(), chain.clock, stop.clone()));
    tokio::spawn(fitness::watch(
        Arc::clone(&engine),
        Arc::clone(&parts.config),
        chain.clock,
        stop.clone(),
    ));
    tokio::spawn(tick(chain.clone(), Arc::clone(&producer), stop.clone()));
    Ok(Running {
        light: Arc::new(Light::new(chain.clone(), parts.storage.clone())),
        chain,
        pools,
        producer,
        storage: parts.storage,
        engine,
        network: None,
        stop,
        threads,
    })
}

/// The threads: disk, states, workers, chain.
fn start_threads(
    parts: &Parts,
    beginning: Beginning,
    chain: &Chain,
    pools: &Arc<Pools>,
    driver: &EngineDriver,
    events: Receiver<Event>,
    stop: &Stop,
) -> Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    let (disk, writes) = Disk::new();
    let (storage, config, stop_of_disk) = (parts.storage.clone(), Arc::clone(&parts.config), stop.clone());
    threads.push(thread("disk", move || {
        disk::run(&storage, &config, &writes, &stop_of_disk);
    })?);
    // One may wait: the next finalized state comes an epoch later, and says all that one left out would have said.
    let (states, states_end) = sync_channel(1);
    let (storage, stop_of_states) = (parts.storage.clone(), stop.clone());
    threads.push(thread("states", move || {
        disk::run_states(&storage, &states_end, &stop_of_states);
    })?);
    for number in 0..workers() {
        let work = chain.work.clone();
        threads.push(thread(&format!("worker-{number}"), move || work.work())?);
    }
    let actor = Actor {
        chain: chain.clone(),
        store: beginning.store,
        fast: beginning.fast,
        seen: Seen::new(),
        pending: Pending::default(),
        sidecars: Sidecars::default(),
        later: BTreeMap::new(),
        later_count: 0,
        keys: beginning.keys,
        ahead: beginning.ahead,
        ahead_wanted: None,
        number: 0,
        disk,
        states,
        stored_epoch: get_current_epoch(&parts.anchor.state),
        budget: beginning.budget,
        pruned: beginning.snapshot.view.finalized_checkpoint(),
        entered_slot: 0,
        replaying: true,
        state_wanted: None,
        engine: driver.clone(),
        pools: Arc::clone(pools),
        safe_slots: parts.safe_slots,
        confirmed_slot: None,
        changed: true,
    };
    let stop = stop.clone();
    threads.push(thread("chain", move || {
        // A chain thread that ends by a panic stops the process before anybody reads what it left.
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| actor.run(&events)));
        if ran.is_err() {
            stop.fail("the chain failed; this is a bug, please report it".into());
        }
    })?);
    Ok(threads)
}

impl Running {
    /// Connects the node with peers, and has it catch up with them and follow.
    pub async fn connect(&mut self, key: &NodeKey, options: NetworkOptions) -> Result<()> {
        let network = network::start(&self.chain, &self.storage, &self.light, key, options, self.stop.clone()).await?;
        tokio::spawn(sync::run(
            self.chain.clone(),
            self.storage.clone(),
            Arc::new(network.clone()),
            self.chain.custody().clone(),
            self.stop.clone(),
        ));
        self.network = Some(network);
        Ok(())
    }

    /// Serves the Beacon API on a listener until the node stops, and metrics on another if there is one.
    pub fn serve(&self, listener: TcpListener, metrics_listener: Option<TcpListener>) {
        let network: Arc<dyn Network> = match &self.network {
            Some(network) => Arc::new(network.clone()),
            None => Arc::new(Alone),
        };
        let context = ApiContext::new(
            self.chain.clone(),
            Arc::clone(&self.pools),
            Arc::clone(&self.producer),
            Arc::clone(&self.light),
            Arc::clone(&self.engine),
            network,
            self.stop.clone(),
        );
        let context = Arc::new(context);
        if let Some(listener) = metrics_listener {
            let sources = Arc::new(metrics::Sources::new(Arc::clone(&context)));
            tokio::spawn(metrics::serve(listener, sources, self.stop.clone()));
        }
        tokio::spawn(async move {
            api::serve(listener, context, &ApiOptions::default()).await;
        });
    }

    /// Compares the chain with a checkpoint that the operator trusts, once finality has passed it.
    pub fn watch_wss(&self, wss: Checkpoint) {
        tokio::spawn(checkpoint::watch_wss(self.chain.clone(), wss, self.stop.clone()));
    }

    /// Has the clock compared with what others say of the time, as long as the node runs: by a wrong one nothing is done.
    pub fn watch_clock(&self, sources: Sources) {
        let peers = self.network.clone().map(|network| Arc::new(network) as Arc<dyn Peers>);
        let watch = self.chain.clock_watch().clone();
        tokio::spawn(watch.run(*self.chain.clock(), sources, peers, self.stop.clone()));
    }

    /// Stops in order: no new events, what waits for the disk is written, the clean stop last.
    pub async fn end(self) {
        self.stop.stop();
        self.chain.tell_patiently(Event::Stop).await;
        self.chain.work.close();
        drop(self.chain);
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A panic was logged where it happened.
                let _ = thread.join();
            }
        });
        // Joining a thread cannot fail but by a panic, which `join` caught.
        let _ = joined.await;
    }
}

/// One worker less than there are processors, so that the chain and the network go on; at least one.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().saturating_sub(1).max(1))
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(body);
    thread.with_context(|| format!("cannot start the thread {name}"))
}

/// Hands the blocks of the database to the chain, as if they came again.
async fn replay(chain: &Chain, storage: &Storage, after: u64) -> Result<()> {
    let mut count = 0_u64;
    for block in blocks_after(storage, after) {
        let block = block.context("a block of the database cannot be read")?;
        let slot = block.message.slot;
        let new = NewBlock {
            block,
            columns: Vec::new(),
            blobs: Vec::new(),
            source: Source::Replay,
            received_ms: 0,
        };
        match chain.import_block(new).await {
            Ok(Imported::Done | Imported::Known) => count += 1,
            Ok(Imported::Waiting(why)) => tracing::warn!(slot, "a block of the database waits: {why}"),
            Ok(Imported::Rejected(why)) => tracing::warn!(slot, %why, "a block of the database was refused"),
            Err(busy) => tracing::warn!(slot, "a block of the database was not replayed: {busy}"),
        }
    }
    if count > 0 {
        tracing::info!(blocks = count, "went through the blocks of the database");
    }
    Ok(())
}

/// How often the chain is told the time between slots: fine enough for deadlines, and 20 events a second cost nothing.
const TICK: Duration = Duration::from_millis(50);

/// How long before a slot its payload is started, as a share of the slot: a third, as for what follows from the votes of
/// the slot before.
const PREPARE_SHARE: u64 = 3;

/// Tells the chain the time, and starts payloads ahead of the slots.
async fn tick(chain: Chain, producer: Arc<Producer>, stop: Stop) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let (mut prepared, mut custody_slot) = (None, None);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = stop.stopped() => return,
        }
        let watch = chain.clock_watch();
        if let Some(step) = watch.stepped() {
            let seconds = step as f64 / 1000.0;
            tracing::warn!("the clock of this machine jumped by {seconds:+.1} s, or the machine slept");
        }
        if !watch.may_be_believed() {
            continue;
        }
        let now_ms = chain.clock().now_ms();
        let epoch = chain.clock().slots().epoch_at(now_ms).unwrap_or(0);
        if let Some(why) = forks::stop_in(chain.config(), epoch) {
            stop.fail(why);
            return;
        }
        if chain.tell(Event::Tick(now_ms)).is_err() {
            tracing::debug!("the chain is too busy for the time");
        }
        let slots = chain.clock().slots();
        let (next, start_ms) = slots.next_slot(now_ms);
        if custody_slot != Some(next) {
            custody_slot = Some(next);
            chain.custody().attach(producer.prepared());
        }
        let due = start_ms.saturating_sub(slots.slot_duration_ms / PREPARE_SHARE) <= now_ms;
        if due && prepared != Some(next) {
            prepared = Some(next);
            let producer = Arc::clone(&producer);
            tokio::spawn(async move { producer.prepare_slot(next).await });
        }
    }
}
