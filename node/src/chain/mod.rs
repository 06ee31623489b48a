//! The chain: one thread that owns the fork choice, snapshots for everybody else, and what lies between.

mod actor;
mod budget;
mod committees;
mod data;
mod handle;
mod import;
mod intake;
mod message;
mod pending;
mod sidecars;
mod snapshot;
mod states;

pub(crate) use actor::{Actor, ENGINE_SILENT};
pub(crate) use budget::Budget;
pub(crate) use data::{needed_at, rebuild_columns};
pub(crate) use handle::Event;
pub use handle::{Chain, ChainEvent, Imported, NewBlock, ProposalAttributes, Source};
pub(crate) use import::EngineAnswer;
pub use intake::Want;
pub use message::{BUSY, Message, Submitted};
pub(crate) use pending::Pending;
pub(crate) use sidecars::Sidecars;
pub use snapshot::{Ahead, Head, Snapshot};
pub use states::States;
