//! Light clients: what they follow the chain with, and what full nodes make for them.
//!
//! A light client object has the form of the fork at its attested header (a bootstrap: at its only header). A store has
//! the form of a fork too, and takes objects of that form only: older ones are upgraded first ([`upgrade_lc_update`] and
//! its siblings). Since one struct stands for all forks, an upgrade changes the object in place, and the functions that
//! depend on the form take it as an argument, `at`.
//!
//! Rules that depend on when a header was made (its generalized indices, what it says of its payload) go by the fork at
//! the header's slot, which the config tells.
//!
//! Spec: altair/light-client and the documents of later forks that modify it.

mod branch;
mod full_node;
mod header;
mod ranking;
mod store;
#[cfg(test)]
mod tests;
mod upgrade;
mod validate;

pub use branch::{
    current_sync_committee_gindex_at_slot, finalized_root_gindex_at_slot, get_subtree_index,
    is_valid_normalized_merkle_branch, next_sync_committee_gindex_at_slot, normalize_merkle_branch,
};
pub use full_node::{
    block_to_light_client_header, create_light_client_bootstrap, create_light_client_finality_update,
    create_light_client_optimistic_update, create_light_client_update,
};
pub use header::{get_lc_execution_root, is_valid_light_client_header};
pub use ranking::{is_better_update, is_finality_update, is_sync_committee_update};
pub use store::{
    LightClientStore, apply_light_client_update, get_safety_threshold, initialize_light_client_store,
    is_next_sync_committee_known, process_light_client_finality_update, process_light_client_optimistic_update,
    process_light_client_store_force_update, process_light_client_update,
};
pub use upgrade::{
    upgrade_lc_bootstrap, upgrade_lc_finality_update, upgrade_lc_header, upgrade_lc_optimistic_update,
    upgrade_lc_store, upgrade_lc_update,
};
pub use validate::validate_light_client_update;

use crate::duties::compute_sync_committee_period;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::types::Slot;

/// Spec: altair/light-client/sync-protocol.md, `compute_sync_committee_period_at_slot`.
pub fn compute_sync_committee_period_at_slot(slot: Slot) -> u64 {
    compute_sync_committee_period(compute_epoch_at_slot(slot))
}
