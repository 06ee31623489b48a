//! The chain: one thread that owns the fork choice, snapshots for everybody else, and what lies between.

mod actor;
mod budget;
mod handle;
mod import;
mod message;
mod pending;
mod snapshot;
mod states;

pub(crate) use actor::Actor;
pub(crate) use budget::Budget;
pub(crate) use handle::Event;
pub use handle::{Chain, ChainEvent, Imported, NewBlock, Source};
pub(crate) use import::EngineAnswer;
pub use message::{BUSY, Message, Submitted};
pub(crate) use pending::Pending;
pub use snapshot::{Ahead, Head, Snapshot};
pub use states::States;
