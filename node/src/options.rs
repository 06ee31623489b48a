//! What an operator chooses, and a node run by it from start to stop.

use crate::api::http::raise_descriptor_limit;
use crate::builder::Builder;
use crate::checkpoint;
use crate::clock::{self, Sources};
use crate::execution::{DevEngine, Engine};
use crate::ground::{self, Ground, find_start};
use crate::keys;
use crate::network::NetworkOptions;
use crate::network::node_key::NodeKey;
use crate::run::{Memory, Parts, Running, start_within};
use crate::stop::{Stop, Stopped};
use crate::tls::Authorities;
use anyhow::{Context as _, Result, anyhow, bail};
use consensus::types::{Checkpoint, ExecutionAddress, Root};
use consensus::{Config, State};
use futures_util::future::select_all;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

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
    /// A file (PEM) of authorities whose certificates are taken beside those of the web, of the checkpoint's server.
    pub tls_ca: Option<PathBuf>,
    /// Drop the database once there is a new start, verified.
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

/// Runs a node until a signal stops it or something fails. A signal during the start ends that in good order too.
pub fn run(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2) // swarm, API and timers wait more than they work
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let stop = Stop::new();
    let ran: Result<bool> = runtime.block_on(async {
        let mut signals = Signals::listen();
        // A task of its own: it reads and hashes for seconds, and signals are heard meanwhile.
        let mut starting = tokio::spawn(Box::pin(begin(options, stop.clone())));
        let begun = tokio::select! {
            begun = &mut starting => begun,
            signal = signals.heard() => {
                tracing::info!("{signal}: stopping");
                stop.stop();
                starting.await
            }
        };
        let running = match begun.context("the start failed; this is a bug, please report it")? {
            Err(error) if error.is::<Stopped>() => return Ok(false),
            begun => begun?,
        };
        tokio::select! {
            () = stop.stopped() => {}
            signal = signals.heard() => tracing::info!("{signal}: stopping"),
        }
        running.end().await;
        Ok(true)
    });
    if !ran? {
        // A checkpoint that is being hashed is not waited for: it writes nothing.
        runtime.shutdown_background();
    }
    match stop.failure() {
        Some(why) => bail!(why),
        None => Ok(()),
    }
}

/// Starts a node and its Beacon API. Ends with `Stopped` where it is told to stop before that is done, with nothing of it
/// running any more.
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
        .map(|path| ground::read_genesis(path, &config))
        .transpose()?;
    let root = genesis_root(genesis.as_ref(), wanted.genesis_validators_root)?;
    if wanted.resync && wanted.checkpoint.is_none() && genesis.is_none() {
        bail!("--resync leaves nothing to start from: give a checkpoint by --checkpoint-sync-url with it");
    }
    let engine = Arc::new(match (&options.engine, &genesis) {
        (EngineChoice::Dev, Some(genesis)) => Engine::Dev(Arc::new(DevEngine::of_genesis(&config, genesis)?)),
        (EngineChoice::Dev, None) => bail!("the built-in engine needs the genesis state of its chain"),
        (EngineChoice::Http { endpoints, jwt }, _) => Engine::http(endpoints, jwt.as_deref(), clock::unix_seconds)?,
    });
    let builder = options.builder.as_deref().map(Builder::new).transpose()?.map(Arc::new);
    let authorities = wanted.tls_ca.as_deref().map(Authorities::with_file).transpose();
    let authorities = authorities.context("--tls-ca")?.unwrap_or_default();
    let sources = clock_sources(&options.engine, wanted, &authorities);
    let ground = Ground::prepare(&options.datadir, root, memory, wanted.resync)?;
    let found = find_start(&ground, &config, wanted, genesis, root, &authorities, (&sources, &stop)).await;
    let (found, wss) = found.map_err(|error| ground.stays(error))?;
    let storage = ground.open()?;
    let anchor = found.keep(&storage)?;
    if let Some(builder) = &builder {
        tracing::info!("payloads of the builder {} may be taken", builder.name());
    }
    tracing::info!("starting from slot {}", anchor.block.slot);
    if let Engine::Dev(engine) = &*engine
        && anchor.state.slot > 0
    {
        // It keeps nothing of its own on disk.
        engine.trust(anchor.state.at, &anchor.state.latest_execution_payload_header);
    }
    stop.check()?;
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
        stop.clone(),
    )
    .await?;
    if let Err(stopped) = stop.check() {
        running.end().await;
        return Err(stopped.into());
    }
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
    listener.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::AddrNotAvailable => {
                let option = option.replace("-port", "-address");
                format!("this machine has no such address: choose another by {option}")
            }
            _ => format!("another program may have the port: choose another by {option}"),
        };
        anyhow!("cannot listen on {address}; {remedy}: {error}")
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

/// Who tells whether the clock is right: the server of checkpoints and the execution clients, beside the kernel.
fn clock_sources(engine: &EngineChoice, wanted: &StartOptions, authorities: &Authorities) -> Sources {
    let of_checkpoint = match &wanted.checkpoint {
        Some(checkpoint::Source::Url(url)) => Some(url.as_str()),
        _ => None,
    };
    let of_engine = match engine {
        EngineChoice::Http { endpoints, .. } => endpoints.as_slice(),
        EngineChoice::Dev => &[],
    };
    let urls = of_checkpoint.into_iter().chain(of_engine.iter().map(String::as_str));
    Sources::of(urls, authorities)
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

/// The signals by which a node is stopped. From when they are listened to on, none of them ends the process by itself.
struct Signals(Vec<(Signal, &'static str)>);

impl Signals {
    fn listen() -> Self {
        let kinds = [
            (SignalKind::terminate(), "SIGTERM"),
            (SignalKind::interrupt(), "SIGINT"),
            (SignalKind::hangup(), "SIGHUP"),
        ];
        let heard = kinds.into_iter().filter_map(|(kind, name)| match signal(kind) {
            Ok(signal) => Some((signal, name)),
            Err(error) => {
                tracing::warn!(%error, "{name} cannot be waited for");
                None
            }
        });
        Signals(heard.collect())
    }

    /// Waits for one; tells which.
    async fn heard(&mut self) -> &'static str {
        let waiting = self.0.iter_mut().map(|(signal, name)| {
            Box::pin(async move {
                match signal.recv().await {
                    Some(()) => *name,
                    None => std::future::pending().await,
                }
            })
        });
        let waiting: Vec<_> = waiting.collect();
        if waiting.is_empty() {
            return std::future::pending().await;
        }
        select_all(waiting).await.0
    }
}
