//! The registry's public keys: a file beside the database, filled in the background where it is new.
//!
//! Docs: docs/architecture.md §5.

use crate::chain::{Chain, Event};
use crate::stop::Stop;
use crate::work::Lane;
use anyhow::{Context, Result};
use consensus::State;
use consensus::keys::{Keys, decompress};
use consensus::ssz::PersistentList;
use consensus::types::Validator;
use crypto::pubkeys::{Pubkeys, PubkeysError};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The file's name in the database's folder.
const FILE: &str = "pubkeys";
/// So many missing keys are made at the start: a second's work on a small machine.
const FEW: usize = 10_000;
/// Keys that a worker makes at a time: 30 ms of work, 120 on a small machine, in the least urgent lane.
const AT_ONCE: usize = 2048;
/// How often a file in use is tried again: ten seconds in all.
const TRIES: usize = 100;
/// How long after a lane was full, or a file in use, it is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the work is told of.
const TELL: Duration = Duration::from_secs(15);

/// The keys of a final state's registry from the file in a folder. A file that is damaged or of another network is made
/// again: all of it comes from the state. Errors if it cannot be read, written or mapped, or is another program's.
pub fn open(folder: &Path, validators: &PersistentList<Validator>) -> Result<Keys> {
    let path = folder.join(FILE);
    let opened = open_patiently(&path);
    let of_state = |table| Keys::with_table(table, validators);
    let mut keys = match opened {
        Ok(table) => match of_state(table) {
            Ok(keys) => keys,
            Err(why) => of_state(make_again(&path, &why)?)?,
        },
        Err(why @ (PubkeysError::Shortened { .. } | PubkeysError::Version { .. } | PubkeysError::Corrupt { .. })) => {
            of_state(make_again(&path, &why)?)?
        }
        Err(why) => return Err(why).context("the public keys of the validators cannot be kept"),
    };
    if validators.len().saturating_sub(keys.in_table()) <= FEW {
        keys.extend(validators)?;
    }
    Ok(keys)
}

/// The database beside the file is ours already: whoever has the file is about to let go of it.
fn open_patiently(path: &Path) -> Result<Pubkeys, PubkeysError> {
    for _ in 0..TRIES {
        match Pubkeys::open(path) {
            Err(PubkeysError::InUse { .. }) => std::thread::sleep(PAUSE),
            opened => return opened,
        }
    }
    Pubkeys::open(path)
}

fn make_again(path: &Path, why: &dyn std::fmt::Display) -> Result<Pubkeys> {
    tracing::warn!("the public keys are made again: {why}");
    std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(Pubkeys::open(path)?)
}

/// Makes the keys that are missing, and puts them on disk. Until then whoever needs one makes it for himself.
pub(crate) async fn fill(chain: Chain, state: Arc<State>, stop: Stop) {
    let missing = chain.snapshot().keys.missing();
    // As on most starts.
    if missing.is_empty() {
        return;
    }
    let (begun, mut told, mut done) = (Instant::now(), Instant::now(), 0);
    for part in missing.chunks(AT_ONCE) {
        let (part, of, to) = (Arc::<[u32]>::from(part), Arc::clone(&state), chain.clone());
        done += part.len();
        let job = move || match decompress(&of.validators, &part) {
            Ok(keys) => to.tell_certainly(Event::Keys(keys)),
            Err(why) => tracing::error!(%why, "a key of a finalized state is wrong; this is a bug, please report it"),
        };
        if on_worker(&chain, &stop, job).await.is_none() {
            return;
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            let left = begun.elapsed().as_secs() * (missing.len() - done) as u64 / done as u64;
            let percent = 100 * done / missing.len();
            tracing::info!("preparing the validators' public keys, once: {percent} %, about {left} s left");
        }
    }
    sync(&chain, &stop).await;
    let seconds = begun.elapsed().as_secs();
    tracing::info!(
        "the public keys of {} validators are prepared, after {seconds} s",
        state.validators.len()
    );
}

/// Puts the table on disk. What a crash takes of it before is found and made again at the next start.
async fn sync(chain: &Chain, stop: &Stop) {
    let latest = chain.clone();
    let synced = on_worker(chain, stop, move || latest.snapshot().keys.sync()).await;
    if let Some(Err(why)) = synced {
        tracing::warn!(%why, "the public keys are not on disk yet");
    }
}

/// Runs something in the lane of what has time; `None` when the node stops.
async fn on_worker<T: Send + 'static>(
    chain: &Chain,
    stop: &Stop,
    job: impl FnOnce() -> T + Clone + Send + 'static,
) -> Option<T> {
    loop {
        if stop.is_stopping() {
            return None;
        }
        if let Ok(result) = chain.work.run(Lane::Backfill, job.clone()).await {
            return Some(result);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
