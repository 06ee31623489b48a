//! Which of two updates is the better one.

use super::branch::is_zero;
use super::compute_sync_committee_period_at_slot as period_at;
use crate::types::LightClientUpdate;

/// Whether the update proves the next sync committee.
///
/// Spec: altair/light-client/sync-protocol.md, `is_sync_committee_update`.
pub fn is_sync_committee_update(update: &LightClientUpdate) -> bool {
    !is_zero(&update.next_sync_committee_branch)
}

/// Whether the update proves its finalized header.
///
/// Spec: altair/light-client/sync-protocol.md, `is_finality_update`.
pub fn is_finality_update(update: &LightClientUpdate) -> bool {
    !is_zero(&update.finality_branch)
}

/// What an update is judged by.
struct Merits {
    participants: usize,
    has_supermajority: bool,
    has_relevant_sync_committee: bool,
    has_finality: bool,
    has_sync_committee_finality: bool,
}

impl Merits {
    fn of(update: &LightClientUpdate, max_participants: usize) -> Self {
        let participants = update.sync_aggregate.sync_committee_bits.count_ones();
        let attested_period = period_at(update.attested_header.beacon.slot);
        Merits {
            participants,
            has_supermajority: participants * 3 >= max_participants * 2,
            has_relevant_sync_committee: is_sync_committee_update(update)
                && attested_period == period_at(update.signature_slot),
            has_finality: is_finality_update(update),
            has_sync_committee_finality: period_at(update.finalized_header.beacon.slot) == attested_period,
        }
    }
}

/// Whether `new_update` serves a light client better than `old_update`; not if they are equal.
///
/// Spec: altair/light-client/sync-protocol.md, `is_better_update`.
pub fn is_better_update(new_update: &LightClientUpdate, old_update: &LightClientUpdate) -> bool {
    let max_participants = new_update.sync_aggregate.sync_committee_bits.len();
    let (new, old) = (
        Merits::of(new_update, max_participants),
        Merits::of(old_update, max_participants),
    );
    if new.has_supermajority != old.has_supermajority {
        return new.has_supermajority;
    }
    if !new.has_supermajority && new.participants != old.participants {
        return new.participants > old.participants;
    }
    if new.has_relevant_sync_committee != old.has_relevant_sync_committee {
        return new.has_relevant_sync_committee;
    }
    if new.has_finality != old.has_finality {
        return new.has_finality;
    }
    if new.has_finality && new.has_sync_committee_finality != old.has_sync_committee_finality {
        return new.has_sync_committee_finality;
    }
    if new.participants != old.participants {
        return new.participants > old.participants;
    }
    // Older data is preferred: the best update then changes less often.
    let slots = |update: &LightClientUpdate| (update.attested_header.beacon.slot, update.signature_slot);
    slots(new_update) < slots(old_update)
}
