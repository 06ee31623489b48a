//! The one declaration of the config: every field with its type, its standard value and what it is.
//!
//! The struct, the names in files and messages, reading, writing and the standard values are all made from it, so they
//! cannot disagree. A name in a file is the field's name in capitals.

use super::value::ConfigValue;
use super::{BlobParameters, ConfigError, Yaml};
use crate::constants::FAR_FUTURE_EPOCH;
use crate::ssz::{Bytes, U256};

/// A field's name in capitals, made at compile time.
const fn capitals<const N: usize>(name: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut i = 0;
    while i < N {
        bytes[i] = name.as_bytes()[i].to_ascii_uppercase();
        i += 1;
    }
    bytes
}

/// Declares the config: `field: type = value on mainnet [=> value on minimal], "what it is";` under the spec documents.
macro_rules! config {
    (@standard $mainnet:expr) => { $mainnet };
    (@standard $mainnet:expr, $minimal:expr) => { if cfg!(feature = "minimal") { $minimal } else { $mainnet } };
    (@name $field:ident) => {{
        const NAME: [u8; stringify!($field).len()] = capitals(stringify!($field));
        const TEXT: &str = match std::str::from_utf8(&NAME) {
            Ok(text) => text,
            Err(_) => panic!("a field's name is ASCII"),
        };
        TEXT
    }};
    ($($document:literal {
        $($field:ident: $kind:ty = $mainnet:expr $(=> $minimal:expr)?, $doc:literal;)*
    })*) => {
        /// The values of a network that the compiled preset leaves open: the fields of the standard `config.yaml`.
        ///
        /// A value like any other and never global: each vector carries its own, and tests vary it. Times are in
        /// milliseconds, basis points of a slot, epochs or seconds as the name says; amounts are in Gwei.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $($(
                #[doc = concat!($doc, " Spec: ", $document, ".")]
                pub $field: $kind,
            )*)*
            /// What the file has beyond these, in its order: kept for `/eth/v1/config/spec` and written back.
            pub other: Vec<(String, Yaml)>,
        }

        impl Config {
            /// The names of all fields as files have them, in the order of the declaration.
            pub const NAMES: &[&str] = &[$($(config!(@name $field),)*)*];

            /// The standard config of the compiled preset: mainnet's, or the specs' minimal config.
            pub fn standard() -> Self {
                Config {
                    $($($field: config!(@standard $mainnet $(, $minimal)?),)*)*
                    other: Vec::new(),
                }
            }

            /// Sets the field of that name; `Ok(false)` if there is none.
            pub(super) fn set(&mut self, name: &str, value: &Yaml) -> Result<bool, ConfigError> {
                match name {
                    $($(
                        name if name == config!(@name $field) => {
                            self.$field = ConfigValue::read(value)
                                .map_err(|error| ConfigError(format!("{name} is {}: {error}", value.describe())))?;
                        }
                    )*)*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// Every field with its name, in the order of the declaration.
            pub(super) fn fields(&self) -> Vec<(&'static str, Yaml)> {
                vec![$($((config!(@name $field), self.$field.write()),)*)*]
            }
        }
    };
}

const fn version(number: u32) -> Bytes<4> {
    Bytes(number.to_be_bytes())
}

/// Mainnet's deposit contract.
const MAINNET_DEPOSIT_CONTRACT: Bytes<20> = Bytes([
    0x00, 0x00, 0x00, 0x00, 0x21, 0x9a, 0xb5, 0x40, 0x35, 0x6c, 0xbb, 0x83, 0x9c, 0xbe, 0x05, 0x30, 0x3d, 0x77, 0x05,
    0xfa,
]);
/// The minimal config's placeholder for a deposit contract.
const MINIMAL_DEPOSIT_CONTRACT: Bytes<20> = Bytes([
    0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78,
    0x90,
]);

/// Mainnet's blob-parameter forks.
fn mainnet_blob_schedule() -> Vec<BlobParameters> {
    [(412672, 15), (419072, 21)]
        .map(|(epoch, max_blobs_per_block)| BlobParameters {
            epoch,
            max_blobs_per_block,
        })
        .into()
}

config! {
    "configs/README.md, Format" {
        config_name: String = "mainnet".into() => "minimal".into(), "The network's short name.";
    }
    "bellatrix/fork-choice.md and validator.md, Transition settings" {
        terminal_total_difficulty: U256 = U256::from(58_750_000_000_000_000_000_000_u128) => U256::MAX - U256::from(1023),
            "Total difficulty at which proof of work ended.";
        terminal_block_hash: Bytes<32> = Bytes::ZERO,
            "Hash of the last block of proof of work, where it was chosen by hand; zeros otherwise.";
        terminal_block_hash_activation_epoch: u64 = FAR_FUTURE_EPOCH,
            "Epoch from which the terminal block hash counts.";
    }
    "phase0/beacon-chain.md, Genesis settings" {
        min_genesis_active_validator_count: u64 = 16384 => 64, "Validators that a genesis needs.";
        min_genesis_time: u64 = 1606824000 => 1578009600, "Unix time (seconds) before which there is no genesis.";
        genesis_fork_version: Bytes<4> = version(0x00000000) => version(0x00000001), "Version of phase0.";
        genesis_delay: u64 = 604800 => 300, "Seconds from the block that fulfils the conditions to the genesis.";
    }
    "altair/fork.md, Configuration" {
        altair_fork_version: Bytes<4> = version(0x01000000) => version(0x01000001), "Version of Altair.";
        altair_fork_epoch: u64 = 74240 => FAR_FUTURE_EPOCH, "First epoch of Altair; `FAR_FUTURE_EPOCH` for never.";
    }
    "bellatrix/fork.md, Configuration" {
        bellatrix_fork_version: Bytes<4> = version(0x02000000) => version(0x02000001), "Version of Bellatrix.";
        bellatrix_fork_epoch: u64 = 144896 => FAR_FUTURE_EPOCH,
            "First epoch of Bellatrix; `FAR_FUTURE_EPOCH` for never.";
    }
    "capella/fork.md, Configuration" {
        capella_fork_version: Bytes<4> = version(0x03000000) => version(0x03000001), "Version of Capella.";
        capella_fork_epoch: u64 = 194048 => FAR_FUTURE_EPOCH, "First epoch of Capella; `FAR_FUTURE_EPOCH` for never.";
    }
    "deneb/fork.md, Configuration" {
        deneb_fork_version: Bytes<4> = version(0x04000000) => version(0x04000001), "Version of Deneb.";
        deneb_fork_epoch: u64 = 269568 => FAR_FUTURE_EPOCH, "First epoch of Deneb; `FAR_FUTURE_EPOCH` for never.";
    }
    "electra/fork.md, Configuration" {
        electra_fork_version: Bytes<4> = version(0x05000000) => version(0x05000001), "Version of Electra.";
        electra_fork_epoch: u64 = 364032 => FAR_FUTURE_EPOCH, "First epoch of Electra; `FAR_FUTURE_EPOCH` for never.";
    }
    "fulu/fork.md, Configuration" {
        fulu_fork_version: Bytes<4> = version(0x06000000) => version(0x06000001), "Version of Fulu.";
        fulu_fork_epoch: u64 = 411392 => FAR_FUTURE_EPOCH, "First epoch of Fulu; `FAR_FUTURE_EPOCH` for never.";
    }
    "gloas/fork.md, Configuration" {
        gloas_fork_version: Bytes<4> = version(0x07000000) => version(0x07000001), "Version of Gloas.";
        gloas_fork_epoch: u64 = FAR_FUTURE_EPOCH, "First epoch of Gloas; `FAR_FUTURE_EPOCH` for never.";
    }
    "phase0/beacon-chain.md, Time parameters" {
        slot_duration_ms: u64 = 12000 => 6000, "Milliseconds of a slot. Files may say `SECONDS_PER_SLOT` instead.";
        seconds_per_eth1_block: u64 = 14, "Seconds between blocks of the execution chain, as assumed.";
        min_validator_withdrawability_delay: u64 = 256,
            "Epochs from a validator's exit to its being withdrawable, at least.";
        shard_committee_period: u64 = 256 => 64, "Epochs that a validator must be active before it may exit.";
        eth1_follow_distance: u64 = 2048 => 16, "Blocks of the execution chain by which eth1 votes lag.";
    }
    "phase0/fork-choice.md and validator.md, Time parameters" {
        proposer_reorg_cutoff_bps: u64 = 1667, "Until when in its slot a proposer may try to replace a late head.";
        attestation_due_bps: u64 = 3333, "When attestations are due, up to Fulu.";
        aggregate_due_bps: u64 = 6667, "When aggregates are due, up to Fulu.";
    }
    "altair/validator.md, Time parameters" {
        sync_message_due_bps: u64 = 3333, "When sync committee messages are due, up to Fulu.";
        contribution_due_bps: u64 = 6667, "When sync committee contributions are due, up to Fulu.";
    }
    "gloas/beacon-chain.md and validator.md, Time parameters" {
        min_builder_withdrawability_delay: u64 = 64 => 2, "Epochs from a builder's exit to its being withdrawable.";
        attestation_due_bps_gloas: u64 = 2500, "When attestations are due, from Gloas on.";
        aggregate_due_bps_gloas: u64 = 5000, "When aggregates are due, from Gloas on.";
        sync_message_due_bps_gloas: u64 = 2500, "When sync committee messages are due, from Gloas on.";
        contribution_due_bps_gloas: u64 = 5000, "When sync committee contributions are due, from Gloas on.";
        payload_due_bps: u64 = 5000, "When the payload is due.";
        payload_attestation_due_bps: u64 = 7500, "When payload attestations are due.";
    }
    "altair/beacon-chain.md, Inactivity penalties" {
        inactivity_score_bias: u64 = 4, "What an absent validator's inactivity score grows by in an epoch.";
        inactivity_score_recovery_rate: u64 = 16, "What every inactivity score falls by in an epoch outside a leak.";
    }
    "phase0/beacon-chain.md, Validator cycle" {
        ejection_balance: u64 = 16_000_000_000, "Effective balance at which a validator is ejected.";
        min_per_epoch_churn_limit: u64 = 4 => 2, "Validators that may enter or leave in an epoch, at least.";
        churn_limit_quotient: u64 = 65536 => 32, "Share of the validators that may enter or leave in an epoch.";
    }
    "deneb/beacon-chain.md, Validator cycle" {
        max_per_epoch_activation_churn_limit: u64 = 8 => 4, "Validators that may enter in an epoch, at most.";
    }
    "electra/beacon-chain.md, Validator cycle" {
        min_per_epoch_churn_limit_electra: u64 = 128_000_000_000 => 64_000_000_000,
            "Balance that may enter or leave in an epoch, at least.";
        max_per_epoch_activation_exit_churn_limit: u64 = 256_000_000_000 => 128_000_000_000,
            "Balance that may enter or leave in an epoch, at most.";
    }
    "gloas/beacon-chain.md, Validator cycle" {
        churn_limit_quotient_gloas: u64 = 32768 => 16,
            "Share of the balance that may enter or leave in an epoch, from Gloas on.";
        consolidation_churn_limit_quotient: u64 = 65536 => 32,
            "Share of the balance that may be consolidated in an epoch.";
        max_per_epoch_activation_churn_limit_gloas: u64 = 256_000_000_000 => 128_000_000_000,
            "Balance that may enter in an epoch, at most, from Gloas on.";
    }
    "phase0/fork-choice.md, Configuration" {
        proposer_score_boost: u64 = 40, "Weight of a timely block, in per cent of a slot's committee.";
        reorg_head_weight_threshold: u64 = 20,
            "Weight under which a head may be replaced, in per cent of a slot's committee.";
        reorg_parent_weight_threshold: u64 = 160,
            "Weight above which a parent may be built on, in per cent of a slot's committee.";
        reorg_max_epochs_since_finalization: u64 = 2, "Epochs since finality in which heads may be replaced, at most.";
    }
    "phase0/deposit-contract.md, Configuration" {
        deposit_chain_id: u64 = 1 => 5, "Chain id of the execution chain.";
        deposit_network_id: u64 = 1 => 5, "Network id of the execution chain.";
        deposit_contract_address: Bytes<20> = MAINNET_DEPOSIT_CONTRACT => MINIMAL_DEPOSIT_CONTRACT,
            "Address of the deposit contract.";
    }
    "phase0/p2p-interface.md, Configuration" {
        max_payload_size: u64 = 10_485_760, "Bytes of an uncompressed message, at most.";
        max_request_blocks: u64 = 1024, "Blocks in a request, at most, before Deneb.";
        epochs_per_subnet_subscription: u64 = 256, "Epochs that a node stays on its subnets.";
        attestation_propagation_slot_range: u64 = 32, "Slots in which an attestation is propagated, before Deneb.";
        maximum_gossip_clock_disparity: u64 = 500, "Milliseconds that honest clocks may differ.";
        message_domain_invalid_snappy: Bytes<4> = version(0x00000000),
            "What the id of a message that does not decompress is made with.";
        message_domain_valid_snappy: Bytes<4> = version(0x01000000),
            "What the id of a message that decompresses is made with.";
        subnets_per_node: u64 = 2, "Attestation subnets that a node stays on.";
        attestation_subnet_count: u64 = 64, "Attestation subnets.";
        attestation_subnet_extra_bits: u64 = 0, "Further bits of a node id that choose its subnets.";
    }
    "deneb/p2p-interface.md, Configuration" {
        max_request_blocks_deneb: u64 = 128, "Blocks in a request, at most, from Deneb on.";
        min_epochs_for_blob_sidecars_requests: u64 = 4096, "Epochs for which blob sidecars are kept and served.";
        blob_sidecar_subnet_count: u64 = 6, "Blob sidecar subnets in Deneb.";
    }
    "deneb/beacon-chain.md, Execution" {
        max_blobs_per_block: u64 = 6, "Blobs in a block, at most, in Deneb.";
    }
    "electra/p2p-interface.md, Configuration" {
        blob_sidecar_subnet_count_electra: u64 = 9, "Blob sidecar subnets in Electra.";
    }
    "electra/beacon-chain.md, Execution" {
        max_blobs_per_block_electra: u64 = 9,
            "Blobs in a block, at most, in Electra and until the blob schedule begins.";
    }
    "fulu/das-core.md, Configuration" {
        number_of_custody_groups: u64 = 128, "Groups that the columns are divided into.";
        data_column_sidecar_subnet_count: u64 = 128, "Data column sidecar subnets (fulu/p2p-interface.md).";
        samples_per_slot: u64 = 8, "Columns that a node samples in a slot, at least.";
        custody_requirement: u64 = 4, "Custody groups of a node, at least.";
    }
    "fulu/validator.md, Custody setting" {
        validator_custody_requirement: u64 = 8, "Custody groups of a node with validators, at least.";
        balance_per_additional_custody_group: u64 = 32_000_000_000, "Effective balance for each further custody group.";
    }
    "fulu/p2p-interface.md, Configuration" {
        min_epochs_for_data_column_sidecars_requests: u64 = 4096, "Epochs for which data columns are kept and served.";
    }
    "gloas/p2p-interface.md, Configuration" {
        max_request_payloads: u64 = 128, "Payload envelopes in a request, at most.";
    }
    "fulu/beacon-chain.md, Blob schedule" {
        blob_schedule: Vec<BlobParameters> = mainnet_blob_schedule() => Vec::new(),
            "Blobs in a block, at most, by epoch; sorted, from Fulu on.";
    }
    "phase0/fast-confirmation.md, Configuration" {
        confirmation_byzantine_threshold: u64 = 25, "Per cent of the validators that are assumed to be Byzantine.";
    }
}
