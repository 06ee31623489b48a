//! A checkpoint from another node's Beacon API.

use super::http::{Download, Failed, Limits};
use super::{BLOCK_BYTES_MAX, Raw};
use crate::start::Encoded;
use crate::tls::Authorities;
use anyhow::{Context as _, Result, bail, ensure};
use consensus::Config;
use consensus::constants::FAR_FUTURE_EPOCH;
use serde_json::Value;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// Largest config that is believed; one has some ten kilobytes.
const SPEC_BYTES_MAX: u64 = 1 << 20;

/// Where the state root stands in the SSZ of a signed block: behind offset and signature, slot, proposer and parent root.
/// Spec: phase0/beacon-chain.md, `SignedBeaconBlock`, `BeaconBlock`.
const STATE_ROOT_AT: usize = SLOT_AT + 8 + 8 + 32;

/// Where its slot stands.
const SLOT_AT: usize = 4 + 96;

/// Fetches a finalized block and the state after it, and compares the server's fork schedule with this config first. What
/// has come of the state lies in `folder` until it is all here: where the connection or the node breaks off, the next
/// fetch goes on from there, as long as the server has that block and its state.
pub async fn fetch(
    url: &str,
    authorities: &Authorities,
    config: &Config,
    folder: &Path,
    limits: &Limits,
) -> Result<Raw> {
    let download = Download::new(url, authorities, limits)?;
    check_schedule(&download, config).await?;
    let newest = fetch_block(&download, "finalized")
        .await
        .context("the finalized block")?;
    let begun = Begun::in_folder(folder);
    let (block, goes_on) = match begun.block(&download, &newest).await {
        Some(block) => (block, true),
        None => (newest.clone(), false),
    };
    match fetch_state(&download, &begun, &block, goes_on, limits).await {
        // It may have the newest state only.
        Err(Failed::Final(why)) if block != newest => {
            tracing::info!("what has come of a state cannot be gone on with: {why:#}; fetching the newest");
            let state = fetch_state(&download, &begun, &newest, false, limits).await;
            state.map(|state| Raw { state, block: newest })
        }
        state => state.map(|state| Raw { state, block }),
    }
    .map_err(|failed| failed.why().context("the state after the finalized block"))
}

/// The signed block with that id, as SSZ.
async fn fetch_block(download: &Download, id: &str) -> Result<Vec<u8>> {
    let path = format!("/eth/v2/beacon/blocks/{id}");
    let block = download
        .bytes(&path, "application/octet-stream", BLOCK_BYTES_MAX)
        .await?;
    ensure!(block.len() >= STATE_ROOT_AT + 32, "it is too short for a block");
    Ok(block)
}

/// The state after a block, going on with what is there of it or from the start.
async fn fetch_state(
    download: &Download,
    begun: &Begun,
    block: &[u8],
    goes_on: bool,
    limits: &Limits,
) -> Result<Encoded, Failed> {
    if !goes_on {
        begun.begin(block).map_err(Failed::Final)?;
    }
    let root: [u8; 32] = array_at(block, STATE_ROOT_AT).map_err(Failed::Final)?;
    let path = format!("/eth/v2/debug/beacon/states/{}", consensus::ssz::Bytes(root));
    let again = if goes_on { ", going on with what is here" } else { "" };
    tracing::info!("fetching the checkpoint's state from {}{again}", download.name());
    let state = download.file(&path, "application/octet-stream", limits.state_bytes, &begun.state);
    let state = state.await;
    if !matches!(state, Err(Failed::Broken(_))) {
        // Without the state's file it is of no use; one that stays is overwritten.
        let _ = fs::remove_file(&begun.block);
    }
    Encoded::in_file(state?)
        .context("the state's file")
        .map_err(Failed::Final)
}

fn array_at<const LENGTH: usize>(bytes: &[u8], at: usize) -> Result<[u8; LENGTH]> {
    let part = bytes.get(at..at + LENGTH).context("the block is too short for one")?;
    Ok(part.try_into()?)
}

/// The files of a fetch that has begun: the block, and what has come of the state after it.
struct Begun {
    block: PathBuf,
    state: PathBuf,
}

impl Begun {
    fn in_folder(folder: &Path) -> Self {
        Begun {
            block: folder.join("checkpoint.block"),
            state: folder.join("checkpoint.part"),
        }
    }

    /// The block, if there is something of its state and it is final by the word of this server, whatever server the fetch
    /// began with: the one that it names at that slot, which is not after its finalized one.
    async fn block(&self, download: &Download, newest: &[u8]) -> Option<Vec<u8>> {
        if fs::metadata(&self.state).ok()?.len() == 0 {
            return None;
        }
        let file = fs::File::open(&self.block).ok()?;
        let mut block = Vec::new();
        file.take(BLOCK_BYTES_MAX).read_to_end(&mut block).ok()?;
        if block == newest {
            return Some(block);
        }
        let slot = |block: &[u8]| array_at(block, SLOT_AT).map(u64::from_le_bytes).ok();
        let of_block = slot(&block)?;
        if of_block > slot(newest)? {
            return None;
        }
        let named = fetch_block(download, &of_block.to_string()).await.ok()?;
        (named == block).then_some(block)
    }

    /// Leaves nothing but a block, of whose state nothing has come yet.
    fn begin(&self, block: &[u8]) -> Result<()> {
        match fs::remove_file(&self.state) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", self.state.display()));
            }
            _ => {}
        }
        // Torn by a power cut it equals no block of the server's, and is not gone on with.
        let written = fs::write(&self.block, block);
        written.with_context(|| format!("cannot write {}", self.block.display()))
    }
}

/// Refuses a server whose network forks at other times than this config says: one of the two follows the wrong chain.
async fn check_schedule(download: &Download, config: &Config) -> Result<()> {
    let spec = download
        .bytes("/eth/v1/config/spec", "application/json", SPEC_BYTES_MAX)
        .await;
    let spec = spec.context("the config of the checkpoint's server")?;
    let spec: Value = serde_json::from_slice(&spec).context("the config of the checkpoint's server is no JSON")?;
    let theirs = spec.get("data").and_then(Value::as_object);
    let theirs = theirs.context("the config of the checkpoint's server has no data")?;
    let ours = config.spec_json();
    for (key, value) in theirs {
        let is_schedule = key.ends_with("_FORK_EPOCH") || key.ends_with("_FORK_VERSION") || key == "BLOB_SCHEDULE";
        let ours = ours.get(key);
        if !is_schedule || ours == Some(value) {
            continue;
        }
        // A fork that this version does not know and nobody has scheduled.
        let is_unscheduled = value.as_str() == Some(FAR_FUTURE_EPOCH.to_string().as_str());
        let is_unknown_version = ours.is_none() && key.ends_with("_FORK_VERSION");
        if ours.is_none() && is_unscheduled || is_unknown_version {
            continue;
        }
        let ours = ours.map_or_else(|| "nothing".to_owned(), Value::to_string);
        bail!(
            "the server of --checkpoint-sync-url has another fork schedule: {key} is {value} there and {ours} here. One of \
             the two would follow the wrong chain: bring this version or its config up to date, or ask another server"
        );
    }
    ensure!(
        theirs.contains_key("GENESIS_FORK_VERSION"),
        "the config of the checkpoint's server does not say its fork versions"
    );
    Ok(())
}
