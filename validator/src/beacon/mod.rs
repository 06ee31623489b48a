//! The Beacon API from the client's side: nodes, their calls, their health, and several of them as one.
//!
//! Everything that comes from a node is bounded in size and time and checked for form; whether it makes sense for the
//! duty at hand is checked where it is used.

mod blocks;
mod error;
mod events;
mod exits;
mod fallback;
mod health;
pub(crate) mod http;
mod meeting;
mod names;
mod node;
mod shapes;
mod url;

pub use blocks::{BlockRequest, Produced, Published, Signed, Unsigned, header_root};
pub use error::{CallError, Kind};
pub use events::{Event, Events, HeadEvent};
pub use exits::{Leaving, PartialWithdrawal};
pub use fallback::{Answer, Ask, MAX_NODES, Nodes, Unanswered};
pub use health::Need;
pub use meeting::Introduction;
pub use names::Reach;
pub use node::Node;
pub use shapes::{
    AttestationReward, AttestationRewards, AttesterDuty, CommitteeSubscription, Duties, Genesis, IdealReward, Liveness,
    ProposerDuty, ProposerPreparation, Status, SyncDuty, SyncSubscription, Syncing, ValidatorInfo,
};
pub use url::NodeUrl;

#[cfg(test)]
mod tests;
