//! What an operator chooses, and a node run by it from start to stop.

use crate::api::http::raise_descriptor_limit;
use crate::builder::Builder;
use crate::checkpoint;
use crate::clock::{self, Clock, ClockWatch, Sources};
use crate::execution::{DevEngine, Engine};
use crate::forks;
use crate::keys;
use crate::network::NetworkOptions;
use crate::network::node_key::NodeKey;
use crate::run::{Memory, Parts, Running, start_within};
use crate::start::Anchor;
use crate::stop::Stop;
use anyhow::{Context as _, Result, bail};
use consensus::config::public_network;
use consensus::types::{Checkpoint, ExecutionAddress, Root};
use consensus::{Config, State};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::{Identity, Storage};
use tokio::net::TcpListener;

/// Where something listens.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
}

/// The execution client.
#[derive(Clone, Debug)]
pub enum EngineChoice {
    /// The built-in one, for local chains.
    Dev,
    /// Clients by their Engine API, first choice first.
    Http {
        /// Their addresses.
        endpoints: Vec<String>,
        /// The file with the shared secret.
        jwt: Option<PathBuf>,
    },
}

/// How a node starts, besides from its genesis.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// The root that tells the chain, where it is known without a genesis state.
    pub genesis_validators_root: Option<Root>,
    /// A checkpoint to begin with where the folder holds no chain.
    pub checkpoint: Option<checkpoint::Source>,
    /// A checkpoint that the chain must have.
    pub wss: Option<Checkpoint>,
    /// Drop the database first.
    pub resync: bool,
    /// Bytes that the node may use, for the caches that it can size.
    pub max_memory: Option<u64>,
}

/// What an operator chooses; see `wren node --help`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The network.
    pub config: Config,
    /// The node's folder.
    pub datadir: PathBuf,
    /// A genesis state to begin with where the folder holds no chain.
    pub genesis_state: Option<PathBuf>,
    /// Where else to begin, and within what.
    pub start: StartOptions,
    /// The execution client.
    pub engine: EngineChoice,
    /// See `Parts`.
    pub safe_slots: u64,
    /// See `Parts`.
    pub fee_recipient: ExecutionAddress,
    /// Where an external builder is.
    pub builder: Option<String>,
    /// Where the Beacon API listens.
    pub http: Address,
    /// The peers; none for a node that stays alone.
    pub network: Option<NetworkOptions>,
    /// Where metrics are served; none for nowhere.
    pub metrics: Option<Address>,
}

/// Runs a node until a signal stops it or something fails.
pub fn run(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2) // swarm, API and timers wait more than they work
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let stop = Stop::new();
    runtime.block_on(async {
        let running = Box::pin(begin(options, stop.clone())).await?;
        tokio::select! {
            signal = signalled() => {
                tracing::info!("{signal}: stopping");
            }
            () = stop.stopped() => {}
        }
        running.end().await;
        Ok::<(), anyhow::Error>(())
    })?;
    match stop.failure() {
        Some(why) => bail!(why),
        None => Ok(()),
    }
}

/// Starts a node and its Beacon API.
pub async fn begin(options: Options, stop: Stop) -> Result<Running> {
    // First of all: the database opens hundreds of files.
    raise_descriptor_limit();
    let config = Arc::new(options.config);
    let (wanted, memory) = (
        &options.start,
        options.start.max_memory.map_or_else(Memory::default, Memory::of),
    );
    let genesis = options
        .genesis_state
        .as_deref()
        .map(|path| read_genesis(path, &config))
        .transpose()?;
    let root = genesis_root(genesis.as_ref(), wanted.genesis_validators_root)?;
    if wanted.resync && wanted.checkpoint.is_none() && genesis.is_none() {
        bail!("--resync leaves nothing to start from: give a checkpoint by --checkpoint-sync-url with it");
    }
    if wanted.resync {
        Storage::remove(&options.datadir)?;
        tracing::info!("the database in {} was dropped", options.datadir.display());
    }
    let of_storage = storage::Options {
        block_cache: memory.block_cache,
        ..storage::Options::default()
    };
    let storage = Storage::open(&options.datadir, &Identity::of(root), &of_storage)?;
    let engine = Arc::new(match (&options.engine, &genesis) {
        (EngineChoice::Dev, Some(genesis)) => Engine::Dev(Arc::new(DevEngine::of_genesis(&config, genesis)?)),
        (EngineChoice::Dev, None) => bail!("the built-in engine needs the genesis state of its chain"),
        (EngineChoice::Http { endpoints, jwt }, _) => Engine::http(endpoints, jwt.as_deref(), clock::unix_seconds)?,
    });
    let sources = clock_sources(&options.engine, wanted);
    let anchor = find_anchor(&storage, &config, wanted, genesis, root, (&sources, &stop)).await?;
    check_forks(&config, anchor.state.genesis_time)?;
    let builder = options.builder.as_deref().map(Builder::new).transpose()?.map(Arc::new);
    if let Some(builder) = &builder {
        tracing::info!("payloads of the builder {} may be taken", builder.name());
    }
    let wss = still_ahead(wanted.wss, &anchor)?;
    tracing::info!("starting from slot {}", anchor.block.slot);
    if let Engine::Dev(engine) = &*engine
        && anchor.state.slot > 0
    {
        // It keeps nothing of its own on disk.
        engine.trust(anchor.state.at, &anchor.state.latest_execution_payload_header);
    }
    let keys = keys::open(&options.datadir, &anchor.state.validators)?;
    let mut running = start_within(
        Parts {
            config,
            anchor,
            keys,
            storage,
            engine,
            fee_recipient: options.fee_recipient,
            safe_slots: options.safe_slots,
            builder,
        },
        memory,
        stop,
    )
    .await?;
    if let Some(wss) = wss {
        running.watch_wss(wss);
    }
    if let Some(network) = options.network {
        let key = NodeKey::load_or_create(&network.folder)?;
        running.connect(&key, network).await?;
    }
    running.watch_clock(sources);
    let listener = listen(options.http, "--http-port").await?;
    tracing::info!("Beacon API on http://{}", listener.local_addr()?);
    let metrics = match options.metrics {
        Some(address) => listen_for_metrics(address).await,
        None => None,
    };
    running.serve(listener, metrics);
    Ok(running)
}

/// Opens a port. The error names it, and the option to choose another.
async fn listen(address: Address, option: &str) -> Result<TcpListener> {
    let address = SocketAddr::new(address.ip, address.port);
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| {
        format!("cannot listen on {address}; another program may have the port: choose another by {option}")
    })
}

/// The same for metrics, without which a node does its duties all the same.
async fn listen_for_metrics(address: Address) -> Option<TcpListener> {
    match listen(address, "--metrics-port").await {
        Ok(listener) => {
            if let Ok(address) = listener.local_addr() {
                tracing::info!("metrics on http://{address}/metrics");
            }
            Some(listener)
        }
        Err(why) => {
            tracing::warn!("there are no metrics: {why:#}");
            None
        }
    }
}

/// Refuses to start in a fork that this version does not run, and warns of one that is scheduled.
fn check_forks(config: &Config, genesis_time: u64) -> Result<()> {
    let clock = Clock::new(config, genesis_time);
    if let Some(why) = forks::stop_in(config, clock.epoch().unwrap_or(0)) {
        bail!(why);
    }
    if let Some(warning) = forks::warning(config, clock.slots(), clock.now_ms()) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Who tells whether the clock is right: the server of checkpoints and the execution clients, beside the kernel.
fn clock_sources(engine: &EngineChoice, wanted: &StartOptions) -> Sources {
    let of_checkpoint = match &wanted.checkpoint {
        Some(checkpoint::Source::Url(url)) => Some(url.as_str()),
        _ => None,
    };
    let of_engine = match engine {
        EngineChoice::Http { endpoints, .. } => endpoints.as_slice(),
        EngineChoice::Dev => &[],
    };
    Sources::of(of_checkpoint.into_iter().chain(of_engine.iter().map(String::as_str)))
}

/// Where a node can begin.
enum Found {
    /// At what its database holds.
    Stored(Anchor),
    /// At a checkpoint, which is not in the database yet.
    Checkpoint(Box<checkpoint::Verified>),
    /// At genesis; the same.
    Genesis(Anchor),
}

impl Found {
    fn anchor(&self) -> &Anchor {
        match self {
            Found::Stored(anchor) | Found::Genesis(anchor) => anchor,
            Found::Checkpoint(verified) => &verified.anchor,
        }
    }

    /// Writes what is not in the database yet.
    fn keep(self, storage: &Storage) -> Result<Anchor> {
        match self {
            Found::Stored(anchor) => Ok(anchor),
            Found::Checkpoint(verified) => {
                checkpoint::keep(storage, &verified)?;
                Ok(verified.anchor)
            }
            Found::Genesis(anchor) => {
                storage.save_state(&anchor.state, &anchor.root)?;
                Ok(anchor)
            }
        }
    }
}

/// Where the node begins: at the newest final state of its database, else at a checkpoint, else at genesis. It waits for
/// a clock that can be believed: by a wrong one the newest state is too old, and no certificate valid.
async fn find_anchor(
    storage: &Storage,
    config: &Arc<Config>,
    wanted: &StartOptions,
    genesis: Option<State>,
    root: Root,
    (sources, stop): (&Sources, &Stop),
) -> Result<Anchor> {
    let is_public = public_network(&root).is_some();
    let watch = ClockWatch::default();
    watch.settle(sources, is_public, stop).await;
    let found = if let Some(anchor) = Anchor::stored(storage)? {
        Found::Stored(anchor)
    } else if let Some(source) = &wanted.checkpoint {
        Found::Checkpoint(Box::new(load_checkpoint(source, config, root, storage.dir()).await?))
    } else {
        let Some(genesis) = genesis else {
            bail!(
                "there is no chain to start from: give a recent checkpoint by --checkpoint-sync-url (the Beacon API of a \
                 node that you trust), or by --checkpoint-state and --checkpoint-block; on a local network a genesis state \
                 by --genesis-state, or a --network folder with genesis.ssz"
            );
        };
        Found::Genesis(Anchor::genesis(genesis)?)
    };
    let clock = Clock::new(config, found.anchor().state.genesis_time);
    let newest = storage.head()?.map_or(0, |(slot, _)| slot);
    if watch.heard_of_chain(&clock, newest.max(found.anchor().block.slot)) {
        watch.settle(sources, is_public, stop).await;
    }
    check_age(found.anchor(), config, is_public)?;
    found.keep(storage)
}

/// Refuses a start that is too old to be safe; where nobody's money is at stake it only warns.
fn check_age(anchor: &Anchor, config: &Config, is_public: bool) -> Result<()> {
    let clock = Clock::new(config, anchor.state.genesis_time);
    match checkpoint::check_age(&anchor.state, config, clock.epoch().unwrap_or(0)) {
        Err(why) if is_public => Err(why),
        Err(why) => {
            tracing::warn!("{why:#}; this is no public network, so the node goes on");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Gets a checkpoint and verifies it.
async fn load_checkpoint(
    source: &checkpoint::Source,
    config: &Arc<Config>,
    root: Root,
    folder: &Path,
) -> Result<checkpoint::Verified> {
    let raw = match source {
        checkpoint::Source::Url(url) => checkpoint::fetch(url, config, folder, &checkpoint::Limits::default()).await?,
        checkpoint::Source::Files { state, block } => checkpoint::read_files(state, block)?,
    };
    let config = Arc::clone(config);
    // A large state takes seconds to decode and hash, and signals are to be heard meanwhile.
    let verified = tokio::task::spawn_blocking(move || checkpoint::verify(raw, &config, root));
    let verified = verified.await.context("the checkpoint could not be verified")??;
    let slot = verified.anchor.block.slot;
    tracing::info!(
        "the checkpoint of slot {slot}, block {}, is verified",
        verified.anchor.root
    );
    Ok(verified)
}

/// What of the checkpoint that an operator names finality has still to pass; an error if the start shows another chain.
fn still_ahead(wss: Option<Checkpoint>, anchor: &Anchor) -> Result<Option<Checkpoint>> {
    match wss {
        Some(wss) if !checkpoint::check_wss(&anchor.state, anchor.root, &wss)? => Ok(Some(wss)),
        _ => Ok(None),
    }
}

/// Which chain it is.
fn genesis_root(genesis: Option<&State>, known: Option<Root>) -> Result<Root> {
    let of_state = genesis.map(|state| state.genesis_validators_root);
    match (of_state, known) {
        (Some(of_state), Some(known)) if of_state != known => bail!(
            "the genesis state is of another network than --network: its genesis validators root is {of_state}, not {known}"
        ),
        (Some(root), _) | (None, Some(root)) => Ok(root),
        (None, None) => bail!(
            "--network does not say which chain it is: give its genesis state by --genesis-state, or a folder with \
             genesis.ssz"
        ),
    }
}

/// The genesis state, which tells the network and is where a new chain begins.
fn read_genesis(path: &Path, config: &Config) -> Result<State> {
    let state = checkpoint::open_state(path)?.decode(config);
    state.with_context(|| format!("{}", path.display()))
}

/// Waits for a signal to stop; tells which.
async fn signalled() -> &'static str {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    let listen = |kind, name: &str| -> Option<Signal> {
        let heard = signal(kind);
        heard
            .map_err(|error| tracing::warn!(%error, "{name} cannot be waited for"))
            .ok()
    };
    let wait = async |signal: Option<Signal>| match signal {
        Some(mut signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    };
    tokio::select! {
        () = wait(listen(SignalKind::terminate(), "SIGTERM")) => "SIGTERM",
        () = wait(listen(SignalKind::interrupt(), "SIGINT")) => "SIGINT",
        () = wait(listen(SignalKind::hangup(), "SIGHUP")) => "SIGHUP",
    }
}
