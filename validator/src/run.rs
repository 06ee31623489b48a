//! The client from start to stop: the only place where tasks and channels are made.
//!
//! One thread runs everything but signatures and the database, which wait for the disk on threads of their own. Tasks
//! share immutable values through `watch` channels; the one queue there is holds events and drops what does not fit.

mod serve;
mod slots;
mod startup;
mod watching;

#[cfg(test)]
mod tests;

pub use startup::KnownGenesis;

use crate::beacon::{Genesis, Node, NodeUrl, Nodes, Reach};
use crate::clock::Clock;
use crate::context::Context;
use crate::doppelganger::{Doppelganger, Doubles};
use crate::duties::DutyTable;
use crate::fetch::Fetcher;
use crate::gate::{Allowed, Gate};
use crate::heads::Heads;
use crate::keymanager::{self, Keymanager};
use crate::metrics::Metrics;
use crate::report::Report;
use crate::signer::Signer;
use crate::silence;
use crate::slashing_protection::{FILE_NAME, SlashingProtection};
use crate::validators::Validators;
use anyhow::{Context as _, Result, anyhow, bail};
use consensus::Config;
use consensus::config::public_network;
use consensus::slot_clock::SlotClock;
use consensus::types::{ExecutionAddress, Root};
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Events wait here for a moment at most; a node sends one or two a slot.
const EVENTS: usize = 64;

/// For the first word of each node.
const MEETING_TIMEOUT: Duration = Duration::from_secs(4);

/// What an operator chooses; see `wren validator --help`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The network.
    pub config: Config,
    /// What is known of its genesis.
    pub genesis: KnownGenesis,
    /// The client's folder: keys, slashing protection, settings.
    pub folder: PathBuf,
    /// The beacon nodes, first choice first.
    pub nodes: Vec<NodeUrl>,
    /// How they are reached.
    pub reach: Reach,
    /// Whether what is published goes to all nodes at once.
    pub broadcast: bool,
    /// Where fees go that the settings do not say.
    pub suggested_fee_recipient: Option<ExecutionAddress>,
    /// Whether keys listen for doubles of themselves before they sign.
    pub doppelganger_protection: bool,
    /// Where metrics are served; none for nowhere.
    pub metrics: Option<SocketAddr>,
    /// Where the keymanager API is served.
    pub keymanager: KeymanagerPort,
    /// How remote signers are reached.
    pub remote_signers: Reach,
}

/// Where the keymanager API is served, always on loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeymanagerPort {
    /// On the usual port, or on any that is free where another client has that.
    #[default]
    Usual,
    /// On this one.
    Port(u16),
    /// Nowhere.
    Off,
}

/// How a client ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By a signal, its duties done.
    Stopped,
    /// By a second signal, at once.
    Forced,
    /// Somebody else signs with its keys, which are stopped.
    Doubles(Doubles),
    /// It was set up well and could not go on; holds why, and what to do.
    Failed(String),
}

/// Runs a client until a signal stops it or it cannot go on. Errors are of how it is set up: its folder, keys, network.
/// They say what to do.
pub fn run(options: Options) -> Result<Ended> {
    let signer = open_signer(&options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // For the disk alone: signatures of a moment come in one call.
        .max_blocking_threads(8)
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::new()?;
        live(options, signer, async || signals.next().await).await
    });
    // A forced stop waits for nobody.
    runtime.shutdown_background();
    Ok(ended.unwrap_or_else(|error| Ended::Failed(format!("{error:#}"))))
}

/// Opens keys and database, and checks that they are of this network.
fn open_signer(options: &Options) -> Result<Signer> {
    let root = database_root(options)?;
    startup::check_root(&options.genesis, root)?;
    let reach = options.remote_signers.clone();
    let signer = Signer::open_reaching(&options.folder, options.config.clone(), root, reach)?;
    if let Some(address) = options.suggested_fee_recipient {
        signer.suggest_fee_recipient(address);
    }
    startup::check_fee_recipients(&signer, &root)?;
    let (enabled, disabled) = (signer.public_keys().len(), signer.disabled_keys());
    tracing::info!(
        "{enabled} keys sign, {} are disabled ({})",
        disabled.len(),
        options.folder.display()
    );
    for (key, why) in disabled {
        tracing::warn!("key {key} does not sign: {why}");
    }
    Ok(signer)
}

/// The root of the network that the database belongs to.
fn database_root(options: &Options) -> Result<Root> {
    let protection = SlashingProtection::open_any_network(&options.folder.join(FILE_NAME))?;
    Ok(protection.genesis_validators_root())
}

/// The client as one future; `signal` waits for the next signal and gives its name.
async fn live(options: Options, signer: Signer, mut signal: impl AsyncFnMut() -> &'static str) -> Result<Ended> {
    let nodes = Arc::new(connect(&options)?);
    let root = signer.protection().genesis_validators_root();
    let listener = match options.metrics {
        Some(address) => Some(serve::listen(address).await?),
        None => None,
    };
    let api = match options.keymanager {
        KeymanagerPort::Usual => Some(keymanager::listen(None).await?),
        KeymanagerPort::Port(port) => Some(keymanager::listen(Some(port)).await?),
        KeymanagerPort::Off => None,
    };
    let token = keymanager::Token::read_or_make(&options.folder)?;
    let config = Arc::new(options.config.clone());
    let metrics = Arc::new(Metrics::default());
    let (ctx_sender, ctx_known) = watch::channel(None);
    // Ends with this function, and takes all these with it.
    let mut tasks = JoinSet::new();
    if let Some(listener) = listener {
        tasks.spawn(serve::serve(listener, metrics.clone()));
    }
    if let Some(listener) = api {
        let keymanager = Keymanager::new(signer.clone(), ctx_known);
        tasks.spawn(keymanager::serve(listener, keymanager, token));
    }
    let genesis = tokio::select! {
        genesis = startup::learn_genesis(&nodes, &options.genesis, root, &config) => genesis,
        name = signal() => {
            tracing::info!("{name}: stopped");
            return Ok(Ended::Stopped);
        }
    };
    let clock = Arc::new(Clock::new(config.clone(), genesis.genesis_time));
    let slots = SlotClock::new(&config, genesis.genesis_time);

    let (heads_sender, heads) = watch::channel(Heads::default());
    let (duties_sender, duties) = watch::channel(Arc::new(DutyTable::default()));
    let (validators_sender, validators) = watch::channel(Arc::new(Validators::default()));
    let (allowed_sender, allowed) = watch::channel(Allowed::default());
    let (events_sender, events) = mpsc::channel(EVENTS);
    let (stop_sender, stop) = watch::channel(false);
    let ctx = Context {
        config,
        public_network: public_network(&root).is_some(),
        clock: clock.clone(),
        nodes: nodes.clone(),
        gate: Gate::new(signer.clone(), clock, allowed),
        heads,
        duties,
        validators,
        report: Arc::new(Report::new(metrics)),
    };
    ctx_sender.send_replace(Some(ctx.clone()));

    meet_nodes(&ctx, &genesis).await;
    check_forks(&ctx.config, &slots, &ctx.clock)?;

    for position in 0..nodes.all().len() {
        tasks.spawn(watching::check_node(ctx.clone(), position, genesis));
        tasks.spawn(watching::listen(ctx.clone(), position, events_sender.clone()));
    }
    tasks.spawn(watching::follow_heads(ctx.clone(), events, heads_sender));
    tasks.spawn(watching::fetch_duties(Fetcher::new(
        ctx.clone(),
        validators_sender,
        duties_sender,
    )));
    tasks.spawn(watching::prepare(ctx.clone()));
    tasks.spawn(watching::sum_up(ctx.clone()));
    tasks.spawn(silence::listen(ctx.clone(), signer.clone()));
    let doppelganger = Doppelganger::new(watching::recorded(&signer), options.doppelganger_protection);
    let guard = watching::guard(ctx.clone(), doppelganger, allowed_sender);
    let driver = slots::drive(ctx, slots, stop);
    until_end(signal, stop_sender, tasks, guard, driver, &signer).await
}

/// Asks all nodes once who they are, so that duties begin at once where a node is there.
async fn meet_nodes(ctx: &Context, genesis: &Genesis) {
    let checks = (0..ctx.nodes.all().len()).map(|position| async move {
        let news = ctx.nodes.check(position, &ctx.config, genesis, &ctx.clock).await;
        if let Some(text) = news {
            tracing::info!("{text}");
        }
    });
    // One that hangs is asked again by its own task.
    let _ = tokio::time::timeout(MEETING_TIMEOUT, join_all(checks)).await;
}

/// Waits for whatever ends the client.
async fn until_end(
    mut signal: impl AsyncFnMut() -> &'static str,
    stop: watch::Sender<bool>,
    mut tasks: JoinSet<()>,
    guard: impl Future<Output = Doubles>,
    driver: impl Future<Output = Result<(), String>>,
    signer: &Signer,
) -> Result<Ended> {
    tokio::pin!(guard, driver);
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            name = signal() => {
                if stopping {
                    tracing::warn!("{name}: stopped at once");
                    return Ok(Ended::Forced);
                }
                tracing::info!("{name}: stopping; another signal stops at once");
                stopping = true;
                // The driver holds the other end as long as it runs.
                stop.send_replace(true);
            }
            result = &mut driver => {
                return result.map(|()| Ended::Stopped).map_err(|why| anyhow!(why));
            }
            doubles = &mut guard => {
                for (key, ..) in &doubles.0 {
                    signer.disable(key, format!("{doubles}"))?;
                }
                return Ok(Ended::Doubles(doubles));
            }
            ended = tasks.join_next(), if !tasks.is_empty() => {
                // None of them ends by itself.
                let why = ended.and_then(Result::err).map_or_else(|| "it ended".into(), |error| error.to_string());
                bail!("a part of the client stopped by a bug, please report it: {why}");
            }
        }
    }
}

fn connect(options: &Options) -> Result<Nodes> {
    let mut list = Vec::with_capacity(options.nodes.len());
    for (position, url) in options.nodes.iter().enumerate() {
        if url.shows_password() {
            tracing::warn!("the password for {url} crosses the network in clear: use https");
        }
        let node = Node::new(position, url.clone(), &options.reach);
        list.push(node.map_err(|why| anyhow!("{url}: {why}"))?);
    }
    Nodes::new(list, options.broadcast).map_err(|why| anyhow!(why))
}

/// Refuses to start where this version does no duties, and warns of a fork that is still far off. By a clock that the
/// nodes contradict nothing is refused: it is waited for.
fn check_forks(config: &Config, slots: &SlotClock, clock: &Clock) -> Result<()> {
    let stopped = startup::fork_stop(config, slots, clock.now().epoch);
    if let Some(why) = stopped.filter(|_| clock.wrong().is_none()) {
        bail!(why);
    }
    if let Some((name, epoch)) = startup::unsupported_fork(config) {
        let date = startup::fork_date(slots, epoch);
        tracing::warn!(
            "this version stops before the fork {name} at epoch {epoch} ({date}); install a newer one by then"
        );
    }
    Ok(())
}

/// The signals that stop the client.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
