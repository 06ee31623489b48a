//! What a node keeps on disk: blocks, columns, states and the few facts from which it starts again.
//!
//! One RocksDB database and a folder of anchor files (docs/architecture.md §5). The interface is synchronous: `Storage`
//! is cheap to clone and may be read from any thread; all that must not be lost goes through a `Batch`, which is whole on
//! disk when `commit` returns, or not there at all. Three things are written past the log, because each can be had
//! again: columns (from peers), states (by replay) and backfilled blocks before they are linked in (from peers).
//!
//! Ways of writing are chosen for flash: big values have keys that begin with the slot, so that compaction moves their
//! files instead of rewriting them, and whole files are dropped when their slots have passed.
#![forbid(unsafe_code)]

mod anchors;
mod blocks;
mod columns;
mod db;
mod disk;
mod error;
mod files;
mod meta;
mod prune;
pub mod schema;
mod states;

pub use anchors::Anchor;
pub use blocks::StoredBlock;
pub use columns::{Sidecar, StoredSidecar};
pub use db::{Batch, Claim, Identity, Options, Storage};
pub use disk::{DiskLimits, Room, written_bytes};
pub use error::{Error, Result};
pub use states::{SavedAs, StateId};
