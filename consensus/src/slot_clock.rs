//! Arithmetic of wall-clock time and slots. No clock is read here: whoever has the time brings it, in milliseconds since
//! 1970.
//!
//! Slots before genesis do not exist; what is asked about that time answers `None` or slot 0, as each function says.
//! Sums saturate: a time that overflows lies hundreds of millions of years ahead, and such a slot is "not yet".

use crate::Config;
use crate::constants::{GENESIS_SLOT, UINT64_MAX};
use crate::fork::Fork;
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::preset::SLOTS_PER_EPOCH;
use crate::types::{Epoch, Slot};

/// Spec: phase0/fork-choice.md, `seconds_to_milliseconds`.
pub fn seconds_to_milliseconds(seconds: u64) -> u64 {
    seconds.checked_mul(1000).unwrap_or(UINT64_MAX)
}

/// Spec: phase0/fork-choice.md, `compute_slots_since_epoch_start`.
pub fn compute_slots_since_epoch_start(slot: Slot) -> u64 {
    slot - compute_start_slot_at_epoch(compute_epoch_at_slot(slot))
}

/// What is due in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deadline {
    /// The block, and with it the slot's start.
    Block,
    /// Until when a late head may be replaced.
    ProposerReorgCutoff,
    /// Attestations.
    Attestation,
    /// Sync committee messages.
    SyncMessage,
    /// Aggregates.
    Aggregate,
    /// Sync committee contributions.
    Contribution,
    /// The payload, from Gloas on.
    Payload,
    /// Payload attestations, from Gloas on.
    PayloadAttestation,
}

/// When the slots of a network are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotClock {
    /// Start of slot 0, in milliseconds since 1970.
    pub genesis_time_ms: u64,
    /// Length of a slot in milliseconds, at least 1.
    pub slot_duration_ms: u64,
}

impl SlotClock {
    /// The clock of a network whose state has that `genesis_time`, in seconds since 1970.
    pub fn new(config: &Config, genesis_time: u64) -> Self {
        SlotClock {
            genesis_time_ms: seconds_to_milliseconds(genesis_time),
            slot_duration_ms: config.slot_duration_ms.max(1),
        }
    }

    /// The slot at a time; `None` before genesis. Spec: phase0/fork-choice.md, `get_slots_since_genesis`,
    /// `get_current_slot`.
    pub fn slot_at(&self, time_ms: u64) -> Option<Slot> {
        let since_genesis = time_ms.checked_sub(self.genesis_time_ms)?;
        Some(GENESIS_SLOT + since_genesis / self.slot_duration_ms)
    }

    /// The epoch at a time; `None` before genesis. Spec: phase0/fork-choice.md, `get_current_store_epoch`.
    pub fn epoch_at(&self, time_ms: u64) -> Option<Epoch> {
        self.slot_at(time_ms).map(compute_epoch_at_slot)
    }

    /// Milliseconds since the start of the slot at a time; `None` before genesis.
    /// Spec: phase0/fork-choice.md, `record_block_timeliness`.
    pub fn time_into_slot_ms(&self, time_ms: u64) -> Option<u64> {
        let since_genesis = time_ms.checked_sub(self.genesis_time_ms)?;
        Some(since_genesis % self.slot_duration_ms)
    }

    /// Start of a slot in milliseconds. Spec: phase0/p2p-interface.md, `compute_time_at_slot_ms`.
    pub fn compute_time_at_slot_ms(&self, slot: Slot) -> u64 {
        let since_genesis = (slot - GENESIS_SLOT).saturating_mul(self.slot_duration_ms);
        self.genesis_time_ms.saturating_add(since_genesis)
    }

    /// The first start of a slot after a time; that of slot 0 before genesis.
    pub fn next_slot(&self, time_ms: u64) -> (Slot, u64) {
        let slot = self
            .slot_at(time_ms)
            .map_or(GENESIS_SLOT, |slot| slot.saturating_add(1));
        (slot, self.compute_time_at_slot_ms(slot))
    }

    /// When something is due at a slot, in milliseconds since 1970; `None` for what the slot's fork does not have.
    pub fn due_ms(&self, config: &Config, slot: Slot, deadline: Deadline) -> Option<u64> {
        let fork = config.fork_at_epoch(compute_epoch_at_slot(slot));
        let since = match deadline {
            Deadline::Payload | Deadline::PayloadAttestation if fork < Fork::Gloas => return None,
            Deadline::SyncMessage | Deadline::Contribution if fork < Fork::Altair => return None,
            Deadline::Block => 0,
            Deadline::ProposerReorgCutoff => config.get_proposer_reorg_cutoff_ms(),
            Deadline::Attestation => config.get_attestation_due_ms(fork),
            Deadline::SyncMessage => config.get_sync_message_due_ms(fork),
            Deadline::Aggregate => config.get_aggregate_due_ms(fork),
            Deadline::Contribution => config.get_contribution_due_ms(fork),
            Deadline::Payload => config.get_payload_due_ms(),
            Deadline::PayloadAttestation => config.get_payload_attestation_due_ms(),
        };
        Some(self.compute_time_at_slot_ms(slot).saturating_add(since))
    }

    /// Whether a slot has begun, by clocks that may differ from ours.
    ///
    /// Spec: phase0/p2p-interface.md, `is_not_from_future_slot`.
    pub fn is_not_from_future_slot(&self, config: &Config, slot: Slot, current_time_ms: u64) -> bool {
        current_time_ms.saturating_add(config.maximum_gossip_clock_disparity) >= self.compute_time_at_slot_ms(slot)
    }

    /// Whether the time lies in slots `slot..=slot + slot_range`, by clocks that may differ from ours.
    ///
    /// Spec: phase0/p2p-interface.md, `is_within_slot_range`.
    pub fn is_within_slot_range(&self, config: &Config, slot: Slot, slot_range: u64, current_time_ms: u64) -> bool {
        let disparity = config.maximum_gossip_clock_disparity;
        let last = slot.saturating_add(slot_range).saturating_add(1);
        let (start_time_ms, end_time_ms) = (self.compute_time_at_slot_ms(slot), self.compute_time_at_slot_ms(last));
        let begun = current_time_ms.saturating_add(disparity) >= start_time_ms;
        begun && end_time_ms.saturating_add(disparity) >= current_time_ms
    }

    /// Whether it is that slot now, by clocks that may differ from ours.
    ///
    /// Spec: altair/p2p-interface.md, `is_current_slot`.
    pub fn is_current_slot(&self, config: &Config, slot: Slot, current_time_ms: u64) -> bool {
        self.is_within_slot_range(config, slot, 0, current_time_ms)
    }

    /// Whether it is that epoch now, by clocks that may differ from ours.
    ///
    /// Spec: deneb/p2p-interface.md, `is_within_epoch`.
    pub fn is_within_epoch(&self, config: &Config, epoch: Epoch, current_time_ms: u64) -> bool {
        let start_slot = compute_start_slot_at_epoch(epoch);
        self.is_within_slot_range(config, start_slot, SLOTS_PER_EPOCH - 1, current_time_ms)
    }

    /// Whether the epoch is now or was before now, by clocks that may differ from ours.
    ///
    /// Spec: deneb/p2p-interface.md, `is_current_or_previous_epoch`.
    pub fn is_current_or_previous_epoch(&self, config: &Config, epoch: Epoch, current_time_ms: u64) -> bool {
        self.is_within_epoch(config, epoch, current_time_ms)
            || self.is_within_epoch(config, epoch.saturating_add(1), current_time_ms)
    }
}

#[cfg(test)]
mod tests;
