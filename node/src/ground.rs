//! Where a node finds its start: the newest final state of its database, else a checkpoint, else genesis; and when a
//! database is dropped for that.

use crate::checkpoint::{self, Source};
use crate::clock::{Clock, ClockWatch, Sources};
use crate::forks;
use crate::options::StartOptions;
use crate::run::Memory;
use crate::start::Anchor;
use crate::stop::{Stop, Stopped};
use crate::tls::Authorities;
use anyhow::{Context as _, Result, bail};
use consensus::config::public_network;
use consensus::types::{Checkpoint, Root};
use consensus::{Config, State};
use std::path::Path;
use std::sync::Arc;
use storage::{Claim, Identity, Storage};

/// The folder of the database that the node will have.
pub(crate) struct Ground {
    place: Place,
    identity: Identity,
    options: storage::Options,
}

enum Place {
    /// An open database.
    Open(Storage),
    /// One that is dropped once there is something to put in its place. It is not opened: it may be damaged, or another
    /// network's.
    ToDrop(Claim),
}

impl Ground {
    /// Takes the folder, and opens the database in it unless that is to be dropped.
    pub(crate) fn prepare(folder: &Path, root: Root, memory: Memory, resync: bool) -> Result<Self> {
        let (identity, options) = (
            Identity::of(root),
            storage::Options {
                block_cache: memory.block_cache,
                ..storage::Options::default()
            },
        );
        let claim = Storage::claim(folder)?;
        let place = if resync {
            Place::ToDrop(claim)
        } else {
            Place::Open(claim.open(&identity, &options)?)
        };
        Ok(Ground {
            place,
            identity,
            options,
        })
    }

    fn folder(&self) -> &Path {
        match &self.place {
            Place::Open(storage) => storage.dir(),
            Place::ToDrop(claim) => claim.dir(),
        }
    }

    fn stored(&self) -> Option<&Storage> {
        match &self.place {
            Place::Open(storage) => Some(storage),
            Place::ToDrop(_) => None,
        }
    }

    /// An error of the start, with what became of a database that was to be dropped.
    pub(crate) fn stays(&self, error: anyhow::Error) -> anyhow::Error {
        match &self.place {
            Place::ToDrop(claim) if !error.is::<Stopped>() => error.context(format!(
                "the database in {} stays as it is, since there is nothing to put in its place",
                claim.dir().display()
            )),
            _ => error,
        }
    }

    /// The database to go on with: what was to be dropped is dropped now.
    pub(crate) fn open(self) -> Result<Storage> {
        match self.place {
            Place::Open(storage) => Ok(storage),
            Place::ToDrop(claim) => {
                claim.remove()?;
                tracing::info!("the database in {} was dropped", claim.dir().display());
                Ok(claim.open(&self.identity, &self.options)?)
            }
        }
    }
}

/// Where a node can begin.
pub(crate) enum Found {
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
    pub(crate) fn keep(self, storage: &Storage) -> Result<Anchor> {
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

/// Where the node begins, checked, and what of `--wss-checkpoint` lies ahead of it. It waits for a clock that can be
/// believed: by a wrong one the newest state is too old, and no certificate valid. Nothing is written.
pub(crate) async fn find_start(
    ground: &Ground,
    config: &Arc<Config>,
    wanted: &StartOptions,
    genesis: Option<State>,
    root: Root,
    authorities: &Authorities,
    (sources, stop): (&Sources, &Stop),
) -> Result<(Found, Option<Checkpoint>)> {
    let is_public = public_network(&root).is_some();
    let watch = ClockWatch::default();
    watch.settle(sources, is_public, stop).await;
    stop.check()?;
    let stored = ground.stored();
    let found = if let Some(anchor) = stored.map(Anchor::stored).transpose()?.flatten() {
        Found::Stored(anchor)
    } else if let Some(source) = &wanted.checkpoint {
        let loading = Box::pin(load_checkpoint(source, authorities, config, root, ground.folder()));
        Found::Checkpoint(Box::new(stop.unless(loading).await??))
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
    let anchor = found.anchor();
    let clock = Clock::new(config, anchor.state.genesis_time);
    let newest = stored
        .map(Storage::head)
        .transpose()?
        .flatten()
        .map_or(0, |(slot, _)| slot);
    if watch.heard_of_chain(&clock, newest.max(anchor.block.slot)) {
        watch.settle(sources, is_public, stop).await;
    }
    stop.check()?;
    check_age(anchor, config, is_public)?;
    check_forks(config, anchor.state.genesis_time)?;
    let wss = still_ahead(wanted.wss, anchor)?;
    Ok((found, wss))
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

/// Gets a checkpoint and verifies it.
async fn load_checkpoint(
    source: &Source,
    authorities: &Authorities,
    config: &Arc<Config>,
    root: Root,
    folder: &Path,
) -> Result<checkpoint::Verified> {
    let raw = match source {
        Source::Url(url) => checkpoint::fetch(url, authorities, config, folder, &checkpoint::Limits::default()).await?,
        Source::Files { state, block } => checkpoint::read_files(state, block)?,
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

/// The genesis state, which tells the network and is where a new chain begins.
pub(crate) fn read_genesis(path: &Path, config: &Config) -> Result<State> {
    let state = checkpoint::open_state(path)?.decode(config);
    state.with_context(|| format!("{}", path.display()))
}
