//! Starting from a checkpoint: a recent state and its block, from another node's Beacon API or from files.
//!
//! Whoever hands them out is trusted with one thing alone, that the block is on the chain. All else is checked: that the
//! state is the block's, that both are of this network and of the fork that its config has at that slot, and that the
//! checkpoint is young enough for its validators to be bound by it.

mod fetch;
mod http;
#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod tests;
mod wss;

pub use fetch::fetch;
pub use http::{Download, Limits};
pub use wss::{check_age, check_wss, parse_wss, watch_wss};

use crate::start::{Anchor, Encoded};
use anyhow::{Context as _, Result, bail, ensure};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::ssz::Ssz;
use consensus::types::{Checkpoint, Root, SignedBeaconBlock};
use consensus::{Config, State};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::Storage;

/// Largest state that is believed: one of the largest network is a third of this.
pub const STATE_BYTES_MAX: u64 = 1 << 30;

/// Largest block that is believed: what a gossip message may have at most.
pub const BLOCK_BYTES_MAX: u64 = 10 << 20;

/// Where a checkpoint comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A Beacon API.
    Url(String),
    /// Files with the SSZ of a state and of its signed block.
    Files {
        /// The state.
        state: PathBuf,
        /// The block.
        block: PathBuf,
    },
}

/// A checkpoint as bytes, not checked.
#[derive(Debug)]
pub struct Raw {
    /// SSZ of the state.
    pub state: Encoded,
    /// SSZ of its signed block.
    pub block: Vec<u8>,
}

/// A checkpoint that was verified.
#[derive(Debug)]
pub struct Verified {
    /// State and block.
    pub anchor: Anchor,
    /// The block with its signature.
    pub block: SignedBeaconBlock,
}

/// Opens the two files of a checkpoint.
pub fn read_files(state: &Path, block: &Path) -> Result<Raw> {
    let (mut bytes, failed) = (Vec::new(), || format!("cannot read {}", block.display()));
    open(block, BLOCK_BYTES_MAX)?
        .take(BLOCK_BYTES_MAX)
        .read_to_end(&mut bytes)
        .with_context(failed)?;
    Ok(Raw {
        state: open_state(state)?,
        block: bytes,
    })
}

/// Opens a file with a state, whose bytes are read when it is decoded.
pub fn open_state(path: &Path) -> Result<Encoded> {
    let file = open(path, STATE_BYTES_MAX)?;
    Encoded::in_file(file).with_context(|| format!("cannot read {}", path.display()))
}

fn open(path: &Path, most: u64) -> Result<File> {
    let failed = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(failed)?;
    let length = file.metadata().with_context(failed)?.len();
    ensure!(
        length <= most,
        "{} has {length} bytes, more than the {most} that it can have",
        path.display()
    );
    Ok(file)
}

/// Checks a checkpoint against itself and the network. Its age is `check_age`'s.
pub fn verify(raw: Raw, config: &Config, genesis_validators_root: Root) -> Result<Verified> {
    let mut state = raw.state.decode(config).context("the checkpoint's state")?;
    ensure!(
        state.genesis_validators_root == genesis_validators_root,
        "the checkpoint is of another network: its genesis validators root is {}, this network's is \
         {genesis_validators_root}",
        state.genesis_validators_root
    );
    check_fork(&state, config)?;
    if state.slot == 0 {
        bail!("the checkpoint is the genesis: give it by --genesis-state");
    }
    let block = SignedBeaconBlock::decode(&raw.block, state.at);
    let block = block.map_err(|error| anyhow::anyhow!("the checkpoint's block is no {} block: {error}", state.at))?;
    let message = &block.message;
    ensure!(
        message.slot == state.slot,
        "the checkpoint's block is of slot {}, its state of slot {}: they do not belong together",
        message.slot,
        state.slot
    );
    let root = state.hash_tree_root();
    ensure!(
        message.state_root == root,
        "the checkpoint's state has root {root}, its block says {}: they do not belong together",
        message.state_root
    );
    let block_root = message.hash_tree_root(state.at);
    let mut header = state.latest_block_header;
    header.state_root = root;
    let of_state = header.hash_tree_root(state.at);
    ensure!(
        of_state == block_root,
        "the checkpoint's block is {block_root}, the latest block of its state {of_state}: they do not belong together"
    );
    state.prepare();
    Ok(Verified {
        anchor: Anchor {
            root: block_root,
            block: message.clone(),
            state: Arc::new(state),
        },
        block,
    })
}

fn check_fork(state: &State, config: &Config) -> Result<()> {
    let epoch = compute_epoch_at_slot(state.slot);
    let (found, ours) = (state.fork.current_version, config.compute_fork_version(epoch));
    ensure!(
        found == ours,
        "the checkpoint's state is at fork version {found}, by this config it is {ours} at epoch {epoch}: the config is \
         another network's or out of date"
    );
    Ok(())
}

/// Writes a checkpoint into an empty database, as the point before which nothing is known. On disk when it returns.
pub fn keep(storage: &Storage, verified: &Verified) -> Result<()> {
    let Verified { anchor, block } = verified;
    storage.save_state(&anchor.state, &anchor.root)?;
    let slot = anchor.block.slot;
    let mut batch = storage.batch();
    batch.put_block(&anchor.root, anchor.state.at, block);
    batch.set_canonical(slot, &anchor.root);
    batch.set_head(slot, &anchor.root);
    batch.set_oldest_block(slot);
    let checkpoint = Checkpoint {
        epoch: compute_epoch_at_slot(slot),
        root: anchor.root,
    };
    batch.set_finalized(&checkpoint);
    batch.set_justified(&checkpoint);
    Ok(batch.commit()?)
}
