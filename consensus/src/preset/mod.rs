//! The preset: the sizes that shape containers and epochs, fixed when the program is compiled.
//!
//! Exactly one preset is compiled in (cargo feature `minimal`, otherwise mainnet), so every value is a plain `u64`
//! constant that can stand in a type or a bound. Each preset is one declaration, which also makes the table [`VALUES`]
//! for `/eth/v1/config/spec`; the lengths that the specs compute from presets follow here, once for both.

/// Declares the values of a preset, each with the spec document and section it comes from, and the table of them all.
macro_rules! preset {
    ($($document:literal, $section:literal { $($name:ident = $value:literal;)* })*) => {
        $($(
            #[doc = concat!("`", stringify!($name), "` = ", stringify!($value), ". Spec: ", $document, ", ", $section, ".")]
            pub const $name: u64 = $value;
        )*)*

        /// Every value of this preset by its name, in the specs' order.
        pub const VALUES: &[(&str, u64)] = &[$($((stringify!($name), $name),)*)*];
    };
}

#[cfg(not(feature = "minimal"))]
mod mainnet;
#[cfg(feature = "minimal")]
mod minimal;

#[cfg(not(feature = "minimal"))]
pub use mainnet::*;
#[cfg(feature = "minimal")]
pub use minimal::*;

use crate::constants::{BYTES_PER_FIELD_ELEMENT, SYNC_COMMITTEE_SUBNET_COUNT};

/// The name of the compiled preset, as `PRESET_BASE` of a config spells it.
pub const PRESET_NAME: &str = if cfg!(feature = "minimal") {
    "minimal"
} else {
    "mainnet"
};

/// Slots in an eth1 voting period: the limit of `eth1_data_votes`. Spec: phase0/beacon-chain.md, `BeaconState`.
pub const SLOTS_PER_ETH1_VOTING_PERIOD: u64 = EPOCHS_PER_ETH1_VOTING_PERIOD * SLOTS_PER_EPOCH;

/// Limit of both lists of pending attestations in the state. Spec: phase0/beacon-chain.md, `BeaconState`.
pub const MAX_PENDING_ATTESTATIONS: u64 = MAX_ATTESTATIONS * SLOTS_PER_EPOCH;

/// Slots in a sync committee period. Spec: altair/validator.md, `compute_sync_committee_period`.
pub const SLOTS_PER_SYNC_COMMITTEE_PERIOD: u64 = EPOCHS_PER_SYNC_COMMITTEE_PERIOD * SLOTS_PER_EPOCH;

/// Members of a sync subcommittee. Spec: altair/validator.md, `SyncCommitteeContribution`.
pub const SYNC_SUBCOMMITTEE_SIZE: u64 = SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT;

/// Bytes of a blob. Spec: deneb/beacon-chain.md, `Blob`.
pub const BYTES_PER_BLOB: u64 = BYTES_PER_FIELD_ELEMENT * FIELD_ELEMENTS_PER_BLOB;

/// Attesters of a whole slot: limit of the bits and indices of an attestation that spans committees.
/// Spec: electra/beacon-chain.md, `Attestation` and `IndexedAttestation`.
pub const MAX_VALIDATORS_PER_SLOT: u64 = MAX_VALIDATORS_PER_COMMITTEE * MAX_COMMITTEES_PER_SLOT;

/// Bytes of a cell. Spec: fulu/das-core.md, `Cell`.
pub const BYTES_PER_CELL: u64 = BYTES_PER_FIELD_ELEMENT * FIELD_ELEMENTS_PER_CELL;

/// Length of `proposer_lookahead`. Spec: fulu/beacon-chain.md, `BeaconState`.
pub const PROPOSER_LOOKAHEAD_LENGTH: u64 = (MIN_SEED_LOOKAHEAD + 1) * SLOTS_PER_EPOCH;

/// Length of `builder_pending_payments`: two epochs of slots. Spec: gloas/beacon-chain.md, `BeaconState`.
pub const BUILDER_PENDING_PAYMENTS_LENGTH: u64 = 2 * SLOTS_PER_EPOCH;

/// Length of `ptc_window`: the epoch before, this one and the lookahead. Spec: gloas/beacon-chain.md, `BeaconState`.
pub const PTC_WINDOW_LENGTH: u64 = (2 + MIN_SEED_LOOKAHEAD) * SLOTS_PER_EPOCH;

/// Validators in the payload timeliness committee that must vote "present". Spec: gloas/fork-choice.md, Constants.
pub const PAYLOAD_TIMELY_THRESHOLD: u64 = PTC_SIZE / 2;

/// Validators in the payload timeliness committee that must see the data. Spec: gloas/fork-choice.md, Constants.
pub const DATA_AVAILABILITY_TIMELY_THRESHOLD: u64 = PTC_SIZE / 2;
