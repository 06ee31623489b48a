//! The rules about the block header that sidecars carry: the same for blobs, columns and partial columns but for the
//! words.

use super::Gossip;
use super::verdict::{Checked, ignore, ignore_unless, reject_unless};
use crate::constants::DOMAIN_BEACON_PROPOSER;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::ssz::Ssz;
use crate::types::{BeaconBlockHeader, SignedBeaconBlockHeader};

/// The spec's reasons on one topic.
pub(super) struct HeaderReasons {
    pub(super) future: &'static str,
    pub(super) finalized: &'static str,
    pub(super) signature: &'static str,
    pub(super) parent_unseen: &'static str,
    pub(super) parent_failed: &'static str,
    pub(super) not_higher: &'static str,
    pub(super) not_descendant: &'static str,
    pub(super) proposer: &'static str,
}

impl Gossip<'_> {
    /// From the slot to the finalized ancestor.
    pub(super) fn check_signed_header(&mut self, signed: &SignedBeaconBlockHeader, why: &HeaderReasons) -> Checked {
        let header = &signed.message;
        let (config, view) = (self.config(), self.view);
        ignore_unless(
            self.clock()
                .is_not_from_future_slot(config, header.slot, self.current_time_ms),
            why.future,
        )?;
        ignore_unless(header.slot > view.finalized_slot(), why.finalized)?;
        self.check_validator_index(header.proposer_index, "proposer index out of range")?;
        let domain = self.domain(DOMAIN_BEACON_PROPOSER, compute_epoch_at_slot(header.slot));
        let fork = self.fork_at_slot(header.slot);
        self.check_validator_signature(
            why.signature,
            header.proposer_index,
            domain,
            header.hash_tree_root(fork),
            &signed.signature,
        )?;
        let Some(parent_slot) = view.block_slot(header.parent_root) else {
            return ignore(why.parent_unseen);
        };
        reject_unless(view.is_valid_block(header.parent_root), why.parent_failed)?;
        reject_unless(header.slot > parent_slot, why.not_higher)?;
        reject_unless(view.descends_from_finalized(header.parent_root), why.not_descendant)
    }

    /// The last rule, behind those about the content.
    pub(super) fn check_header_proposer(&self, header: &BeaconBlockHeader, why: &HeaderReasons) -> Checked {
        let Some(expected_proposer) = self.view.proposer_index(header.parent_root, header.slot) else {
            return ignore("the proposer shuffling is not available");
        };
        reject_unless(header.proposer_index == expected_proposer, why.proposer)
    }
}
