//! What an operator chooses, and a node run by it from start to stop.

use crate::api::http::raise_descriptor_limit;
use crate::builder::Builder;
use crate::clock::{self, Clock};
use crate::execution::{DevEngine, Engine};
use crate::forks;
use crate::network::NetworkOptions;
use crate::network::node_key::NodeKey;
use crate::run::{Parts, Running, start};
use crate::start::{Anchor, decode_state};
use crate::stop::Stop;
use anyhow::{Context as _, Result, bail};
use consensus::types::ExecutionAddress;
use consensus::{Config, State};
use std::fs;
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

/// What an operator chooses; see `wren node --help`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The network.
    pub config: Config,
    /// The node's folder.
    pub datadir: PathBuf,
    /// A genesis state to begin with where the folder holds no chain.
    pub genesis_state: Option<PathBuf>,
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
    let genesis = genesis(options.genesis_state.as_deref(), &config)?;
    let root = genesis.genesis_validators_root;
    check_forks(&config, genesis.genesis_time)?;
    let storage = Storage::open(&options.datadir, &Identity::of(root), &storage::Options::default())?;
    let engine = Arc::new(match &options.engine {
        EngineChoice::Dev => Engine::Dev(Arc::new(DevEngine::of_genesis(&config, &genesis)?)),
        EngineChoice::Http { endpoints, jwt } => Engine::http(endpoints, jwt.as_deref(), clock::unix_seconds)?,
    });
    let builder = options.builder.as_deref().map(Builder::new).transpose()?.map(Arc::new);
    if let Some(builder) = &builder {
        tracing::info!("payloads of the builder {} may be taken", builder.name());
    }
    let anchor = match Anchor::stored(&storage)? {
        Some(anchor) => anchor,
        None => Anchor::genesis(genesis)?,
    };
    tracing::info!("starting from slot {}", anchor.block.slot);
    if let Engine::Dev(engine) = &*engine
        && anchor.state.slot > 0
    {
        // It keeps nothing of its own on disk.
        engine.trust(anchor.state.at, &anchor.state.latest_execution_payload_header);
    }
    let mut running = start(
        Parts {
            config,
            anchor,
            storage,
            engine,
            fee_recipient: options.fee_recipient,
            safe_slots: options.safe_slots,
            builder,
        },
        stop,
    )
    .await?;
    if let Some(network) = options.network {
        let key = NodeKey::load_or_create(&network.folder)?;
        running.connect(&key, network).await?;
    }
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

/// A state of the largest network is a third of this.
const STATE_BYTES_MAX: u64 = 1 << 30;

/// The genesis state, which tells the network and is where a new chain begins.
fn genesis(file: Option<&Path>, config: &Config) -> Result<State> {
    let Some(path) = file else {
        bail!(
            "there is no chain to start from: give a genesis state by --genesis-state, or a --network folder with \
             genesis.ssz"
        );
    };
    let length = fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    if length > STATE_BYTES_MAX {
        bail!("{} is no genesis state: it has {length} bytes", path.display());
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    decode_state(&bytes, config).with_context(|| format!("{}", path.display()))
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
