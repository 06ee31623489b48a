//! What the rules of attestations and of aggregates share.

use super::verdict::{Checked, ignore, ignore_unless, reject_unless};
use super::{Gossip, PayloadValidationStatus, unanswered};
use crate::fork::Fork;
use crate::helpers::accessors::{get_beacon_committee, get_committee_count_per_slot};
use crate::helpers::misc::compute_epoch_at_slot;
use crate::preset::MAX_COMMITTEES_PER_SLOT;
use crate::types::{AttestationData, CommitteeIndex, Slot};
use std::borrow::Cow;

/// The reasons for which a vote comes at the wrong time, which differ by topic from Deneb on.
pub(super) struct TimeReasons {
    pub(super) future: &'static str,
    pub(super) epoch: &'static str,
}

impl Gossip<'_> {
    /// The committees in a slot of the vote's epoch, having checked the index against them; `None` for an epoch whose
    /// committees the state does not know.
    pub(super) fn check_committee_index(&self, data: &AttestationData, index: CommitteeIndex) -> Checked<Option<u64>> {
        let epoch = data.target.epoch;
        let count = self
            .knows_committees(epoch)
            .then(|| get_committee_count_per_slot(self.state, epoch));
        let limit = count.unwrap_or(MAX_COMMITTEES_PER_SLOT);
        self.by_committees(index < limit, "committee index out of range")?;
        Ok(count)
    }

    /// A rule about the committees: rejects where they are known to be the state's.
    pub(super) fn by_committees(&self, holds: bool, why: &'static str) -> Checked {
        if self.committees_known {
            reject_unless(holds, why)
        } else {
            ignore_unless(holds, why)
        }
    }

    /// Whether votes of that slot are passed on now, and are for the epoch that they say.
    pub(super) fn check_vote_time(&self, data: &AttestationData, fork: Fork, reasons: &TimeReasons) -> Checked {
        let (clock, config, now) = (self.clock(), self.config(), self.current_time_ms);
        if fork >= Fork::Deneb {
            ignore_unless(clock.is_not_from_future_slot(config, data.slot, now), reasons.future)?;
            let epoch = compute_epoch_at_slot(data.slot);
            ignore_unless(clock.is_current_or_previous_epoch(config, epoch, now), reasons.epoch)?;
        } else {
            let range = config.attestation_propagation_slot_range;
            ignore_unless(
                clock.is_within_slot_range(config, data.slot, range, now),
                "attestation slot not within propagation range",
            )?;
        }
        reject_unless(
            data.target.epoch == compute_epoch_at_slot(data.slot),
            "attestation epoch does not match target epoch",
        )
    }

    /// The committee of a vote that comes at its time.
    pub(super) fn committee(&self, slot: Slot, index: CommitteeIndex) -> Checked<Cow<'_, [u32]>> {
        if !self.knows_committees(compute_epoch_at_slot(slot)) {
            return ignore("the committees of the epoch are not available");
        }
        unanswered(get_beacon_committee(self.state, slot, index))
    }

    /// The block voted for: seen, valid, on the target's branch and the finalized one.
    ///
    /// Spec: the last rules of `validate_beacon_attestation_gossip`; gloas/p2p-interface.md adds those about the payload.
    pub(super) fn check_vote_block(&self, data: &AttestationData, fork: Fork) -> Checked {
        let (view, root) = (self.view, data.beacon_block_root);
        let Some(block_slot) = view.block_slot(root) else {
            return ignore("block being voted for has not been seen");
        };
        reject_unless(view.is_valid_block(root), "block being voted for failed validation")?;
        reject_unless(
            view.checkpoint_block(root, data.target.epoch) == Some(data.target.root),
            "target block is not an ancestor of LMD vote block",
        )?;
        ignore_unless(
            view.descends_from_finalized(root),
            "finalized checkpoint is not an ancestor of block",
        )?;
        if fork >= Fork::Gloas {
            reject_unless(
                data.index == 0 || block_slot != data.slot,
                "payload vote for a block of the same slot",
            )?;
            if data.index == 1 {
                reject_unless(
                    view.own_payload_status(root) != Some(PayloadValidationStatus::Invalidated),
                    "payload being voted for failed validation",
                )?;
                ignore_unless(
                    view.is_payload_verified(root),
                    "payload being voted for has not been imported",
                )?;
            }
        }
        Ok(())
    }
}

/// From Electra on the index in the data is 0, from Gloas on it is the vote on the payload.
pub(super) fn check_data_index(data: &AttestationData, fork: Fork, why: &'static str) -> Checked {
    if fork >= Fork::Gloas {
        reject_unless(data.index < 2, "attestation data index is not less than 2")
    } else if fork >= Fork::Electra {
        reject_unless(data.index == 0, why)
    } else {
        Ok(())
    }
}
