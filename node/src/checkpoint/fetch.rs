//! A checkpoint from another node's Beacon API.

use super::http::{Download, Limits};
use super::{BLOCK_BYTES_MAX, Raw};
use crate::start::Encoded;
use anyhow::{Context as _, Result, bail, ensure};
use consensus::Config;
use consensus::constants::FAR_FUTURE_EPOCH;
use serde_json::Value;
use std::path::Path;

/// Largest config that is believed; one has some ten kilobytes.
const SPEC_BYTES_MAX: u64 = 1 << 20;

/// Where the state root stands in the SSZ of a signed block: behind offset and signature, slot, proposer and parent root.
/// Spec: phase0/beacon-chain.md, `SignedBeaconBlock`, `BeaconBlock`.
const STATE_ROOT_AT: usize = 4 + 96 + 8 + 8 + 32;

/// Fetches the finalized block and the state after it into `folder`, which keeps what has come of the state when the
/// connection breaks, and compares the server's fork schedule with this config first.
pub async fn fetch(url: &str, config: &Config, folder: &Path, limits: &Limits) -> Result<Raw> {
    let download = Download::new(url, limits)?;
    check_schedule(&download, config).await?;
    let block = download
        .bytes(
            "/eth/v2/beacon/blocks/finalized",
            "application/octet-stream",
            BLOCK_BYTES_MAX,
        )
        .await
        .context("the finalized block")?;
    let root = block.get(STATE_ROOT_AT..STATE_ROOT_AT + 32);
    let root = root.context("the finalized block is too short for one")?;
    let root: [u8; 32] = root.try_into().context("32 bytes")?;
    let path = format!("/eth/v2/debug/beacon/states/{}", consensus::ssz::Bytes(root));
    tracing::info!("fetching the checkpoint's state from {}", download.name());
    let file = folder.join("checkpoint.part");
    let state = download
        .file(&path, "application/octet-stream", limits.state_bytes, &file)
        .await
        .context("the state after the finalized block")?;
    let state = Encoded::in_file(state).context("the state's file")?;
    Ok(Raw { state, block })
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
