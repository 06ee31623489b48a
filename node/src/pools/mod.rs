//! What waits to get into a block: votes, sync committee signatures, operations.
//!
//! Plain data with an owner: no thread, no clock, no lock. Everything put in was checked before, by the rules of gossip;
//! everything taken out is checked against the state that it is for, since that may be another branch. Each pool is
//! bounded in count and bytes, and a clone shares what is large: whoever packs a block works on a clone while votes go on
//! coming in.

pub mod attestations;
mod cover;
pub mod operations;
mod packing;
mod shared;
pub mod sync_committee;
mod vote;

pub use attestations::AttestationPool;
pub use operations::{OperationPool, Operations};
pub use shared::{Entry, Pools};
pub use sync_committee::{SyncCommitteePool, SyncVote};
pub use vote::PoolVote;

/// What became of something that was put into a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is in.
    New,
    /// Nothing of it was new, or worth keeping beside what there is.
    Known,
    /// There is no room for it, for this reason.
    Full(&'static str),
}
