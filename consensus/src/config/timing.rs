//! When in a slot things are due, and the other figures that the specs compute from the config alone.

use super::Config;
use crate::constants::BASIS_POINTS;
use crate::fork::Fork;
use crate::preset::NUMBER_OF_COLUMNS;

impl Config {
    /// Seconds of a slot, if they are whole: the form in which older files and clients have the slot time.
    pub fn seconds_per_slot(&self) -> Option<u64> {
        self.slot_duration_ms
            .is_multiple_of(1000)
            .then_some(self.slot_duration_ms / 1000)
    }

    /// Milliseconds of that many basis points of a slot. Spec: phase0/fork-choice.md, `get_slot_component_duration_ms`.
    pub fn get_slot_component_duration_ms(&self, basis_points: u64) -> u64 {
        let duration = u128::from(basis_points) * u128::from(self.slot_duration_ms) / u128::from(BASIS_POINTS);
        u64::try_from(duration).unwrap_or(u64::MAX)
    }

    /// Milliseconds into the slot. Spec: phase0/fork-choice.md, `get_proposer_reorg_cutoff_ms`.
    pub fn get_proposer_reorg_cutoff_ms(&self) -> u64 {
        self.get_slot_component_duration_ms(self.proposer_reorg_cutoff_bps)
    }

    /// Milliseconds into the slot. Spec: phase0 and gloas/fork-choice.md, `get_attestation_due_ms`.
    pub fn get_attestation_due_ms(&self, fork: Fork) -> u64 {
        self.due_ms(fork, self.attestation_due_bps, self.attestation_due_bps_gloas)
    }

    /// Milliseconds into the slot. Spec: phase0 and gloas/fork-choice.md, `get_aggregate_due_ms`.
    pub fn get_aggregate_due_ms(&self, fork: Fork) -> u64 {
        self.due_ms(fork, self.aggregate_due_bps, self.aggregate_due_bps_gloas)
    }

    /// Milliseconds into the slot. Spec: altair and gloas/fork-choice.md, `get_sync_message_due_ms`.
    pub fn get_sync_message_due_ms(&self, fork: Fork) -> u64 {
        self.due_ms(fork, self.sync_message_due_bps, self.sync_message_due_bps_gloas)
    }

    /// Milliseconds into the slot. Spec: altair and gloas/fork-choice.md, `get_contribution_due_ms`.
    pub fn get_contribution_due_ms(&self, fork: Fork) -> u64 {
        self.due_ms(fork, self.contribution_due_bps, self.contribution_due_bps_gloas)
    }

    /// Milliseconds into the slot, from Gloas on. Spec: gloas/fork-choice.md, `get_payload_due_ms`.
    pub fn get_payload_due_ms(&self) -> u64 {
        self.get_slot_component_duration_ms(self.payload_due_bps)
    }

    /// Milliseconds into the slot, from Gloas on. Spec: gloas/fork-choice.md, `get_payload_attestation_due_ms`.
    pub fn get_payload_attestation_due_ms(&self) -> u64 {
        self.get_slot_component_duration_ms(self.payload_attestation_due_bps)
    }

    fn due_ms(&self, fork: Fork, before_gloas: u64, from_gloas: u64) -> u64 {
        self.get_slot_component_duration_ms(if fork >= Fork::Gloas { from_gloas } else { before_gloas })
    }

    /// Bits of a node id that choose its subnets. Spec: phase0/p2p-interface.md,
    /// `compute_attestation_subnet_prefix_bits`.
    pub fn compute_attestation_subnet_prefix_bits(&self) -> u64 {
        let ceillog2 = self
            .attestation_subnet_count
            .saturating_sub(1)
            .checked_ilog2()
            .map_or(0, |log| log as u64 + 1);
        ceillog2.saturating_add(self.attestation_subnet_extra_bits)
    }

    /// Epochs for which blocks are kept and served. Spec: phase0/p2p-interface.md,
    /// `compute_min_epochs_for_block_requests`.
    pub fn compute_min_epochs_for_block_requests(&self) -> u64 {
        self.min_validator_withdrawability_delay
            .saturating_add(self.churn_limit_quotient / 2)
    }

    /// Blob sidecars in a request, at most. Spec: deneb and electra/p2p-interface.md,
    /// `compute_max_request_blob_sidecars`.
    pub fn compute_max_request_blob_sidecars(&self, fork: Fork) -> u64 {
        let blobs = if fork >= Fork::Electra {
            self.max_blobs_per_block_electra
        } else {
            self.max_blobs_per_block
        };
        self.max_request_blocks_deneb.saturating_mul(blobs)
    }

    /// Data column sidecars in a request, at most. Spec: fulu/p2p-interface.md,
    /// `compute_max_request_data_column_sidecars`.
    pub fn compute_max_request_data_column_sidecars(&self) -> u64 {
        self.max_request_blocks_deneb.saturating_mul(NUMBER_OF_COLUMNS)
    }
}
