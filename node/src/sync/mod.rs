//! Catching up with peers.

use consensus::types::Slot;

/// How far behind its peers this node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// Whether it is catching up: duties done now would rest on an old head.
    pub syncing: bool,
    /// The slot that it wants to reach.
    pub target_slot: Slot,
}
