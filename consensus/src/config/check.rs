//! What makes a config usable: no contradictions, nothing that the compiled program or its arithmetic cannot follow.

use super::value::ConfigValue;
use super::{Config, ConfigError, PRESET_BASE, SECONDS_PER_SLOT, SLOT_DURATION_MS, Yaml};
use crate::constants::{BASIS_POINTS, FAR_FUTURE_EPOCH};
use crate::fork::Fork;
use crate::preset::{MAX_BLOB_COMMITMENTS_PER_BLOCK, NUMBER_OF_COLUMNS, PRESET_NAME, SLOTS_PER_EPOCH, VALUES};

/// Milliseconds of a slot, at most: a day, far beyond any network, so that times stay far from overflow.
const MAX_SLOT_DURATION_MS: u64 = 24 * 60 * 60 * 1000;

/// The last epoch that a fork may be scheduled for: from it on no time in milliseconds fits into 64 bits at the longest
/// slots.
const MAX_SCHEDULED_EPOCH: u64 = u64::MAX / MAX_SLOT_DURATION_MS / SLOTS_PER_EPOCH / 2;

/// Attestation subnets: a config value, but also the length of a bit vector in messages, so there is one that works.
const ATTESTATION_SUBNETS: u64 = 64;

/// Any count or amount of the config, at most, where nothing else bounds it. Products of two of them with what the specs
/// multiply them by stay within 64 bits.
const MAX_COUNT: u64 = 1 << 24;

/// Refuses the config of another preset.
pub(super) fn preset(value: &Yaml) -> Result<(), ConfigError> {
    if matches!(value, Yaml::Text(name) if name == PRESET_NAME) {
        return Ok(());
    }
    Err(ConfigError(format!(
        "the config has {PRESET_BASE} {}, and this program is compiled for the preset '{PRESET_NAME}': take a program that \
         is compiled for the config's preset (the cargo feature `minimal` selects minimal, mainnet is without it), or a \
         config with {PRESET_BASE} '{PRESET_NAME}'",
        value.describe()
    )))
}

/// Refuses a value of the preset that stands in the config and differs from the compiled one.
pub(super) fn agrees_with_preset(name: &str, value: &Yaml) -> Result<(), ConfigError> {
    let Some((_, compiled)) = VALUES.iter().find(|(known, _)| *known == name) else {
        return Ok(());
    };
    if u64::read(value) == Ok(*compiled) {
        return Ok(());
    }
    Err(ConfigError(format!(
        "the config has {name} {}, and the preset '{PRESET_NAME}' of this program has {compiled}: presets are fixed when the \
         program is compiled, so remove the line or take the network's own program",
        value.describe()
    )))
}

/// Reads `SECONDS_PER_SLOT`.
pub(super) fn whole_seconds(value: &Yaml) -> Result<u64, ConfigError> {
    u64::read(value).map_err(|error| ConfigError(format!("{SECONDS_PER_SLOT} is {}: {error}", value.describe())))
}

/// The slot time from the two ways in which a file may give it; `None` if it gives neither.
pub(super) fn slot_duration(milliseconds: Option<u64>, seconds: Option<u64>) -> Result<Option<u64>, ConfigError> {
    let Some(seconds) = seconds else {
        return Ok(milliseconds);
    };
    let from_seconds = seconds
        .checked_mul(1000)
        .filter(|duration| *duration <= MAX_SLOT_DURATION_MS)
        .ok_or_else(|| {
            ConfigError(format!(
                "{SECONDS_PER_SLOT} is {seconds}: a slot has at most {} seconds",
                MAX_SLOT_DURATION_MS / 1000
            ))
        })?;
    match milliseconds {
        Some(milliseconds) if milliseconds != from_seconds => Err(ConfigError(format!(
            "{SECONDS_PER_SLOT} is {seconds}, which is {from_seconds} milliseconds, but {SLOT_DURATION_MS} is \
             {milliseconds}: correct one of them or remove {SECONDS_PER_SLOT}"
        ))),
        _ => Ok(Some(from_seconds)),
    }
}

fn refuse(name: &str, value: u64, expected: &str) -> Result<(), ConfigError> {
    Err(ConfigError(format!("{name} is {value}: expected {expected}")))
}

impl Config {
    /// Refuses contradictions and values that the specs' arithmetic cannot follow. Run on everything that is read; code
    /// that changes a config by hand may call it too.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_forks()?;
        self.check_blob_schedule()?;
        self.check_times()?;
        self.check_counts()?;
        self.check_network()
    }

    /// Forks come in order, at epochs whose times can be counted, and scheduled ones have versions of their own: a
    /// version that two share would let a signature count in both.
    fn check_forks(&self) -> Result<(), ConfigError> {
        for fork in Fork::ALL {
            let (name, epoch) = (fork.name().to_uppercase(), self.fork_epoch(fork));
            if epoch != FAR_FUTURE_EPOCH && epoch > MAX_SCHEDULED_EPOCH {
                let expected = format!("at most {MAX_SCHEDULED_EPOCH}, or {FAR_FUTURE_EPOCH} for never");
                return refuse(&format!("{name}_FORK_EPOCH"), epoch, &expected);
            }
            for earlier in Fork::ALL.into_iter().take_while(|earlier| *earlier < fork) {
                let (earlier_name, earlier_epoch) = (earlier.name().to_uppercase(), self.fork_epoch(earlier));
                if earlier_epoch > epoch {
                    return Err(ConfigError(format!(
                        "{name}_FORK_EPOCH is {epoch}, before {earlier_name}_FORK_EPOCH, which is {earlier_epoch} (a line \
                         that is missing has the standard value): forks come in order, so correct one of them"
                    )));
                }
                let version = self.fork_version(fork);
                if epoch != FAR_FUTURE_EPOCH && version == self.fork_version(earlier) {
                    return Err(ConfigError(format!(
                        "{name} and {earlier_name} both have the fork version {version}: give each fork its own"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Spec: fulu/beacon-chain.md, Blob schedule.
    fn check_blob_schedule(&self) -> Result<(), ConfigError> {
        for entry in &self.blob_schedule {
            if entry.epoch < self.fulu_fork_epoch {
                return Err(ConfigError(format!(
                    "BLOB_SCHEDULE has an entry for epoch {}, before FULU_FORK_EPOCH, which is {} (a line that is missing \
                     has the standard value): remove the entry, or set `BLOB_SCHEDULE: []`",
                    entry.epoch, self.fulu_fork_epoch
                )));
            }
            if entry.epoch != FAR_FUTURE_EPOCH && entry.epoch > MAX_SCHEDULED_EPOCH {
                return refuse(
                    "EPOCH in BLOB_SCHEDULE",
                    entry.epoch,
                    &format!("at most {MAX_SCHEDULED_EPOCH}"),
                );
            }
            if entry.max_blobs_per_block > MAX_BLOB_COMMITMENTS_PER_BLOCK {
                let expected = format!("at most {MAX_BLOB_COMMITMENTS_PER_BLOCK} (MAX_BLOB_COMMITMENTS_PER_BLOCK)");
                return refuse(
                    "MAX_BLOBS_PER_BLOCK in BLOB_SCHEDULE",
                    entry.max_blobs_per_block,
                    &expected,
                );
            }
        }
        match self
            .blob_schedule
            .windows(2)
            .find(|pair| pair[0].epoch >= pair[1].epoch)
        {
            Some(pair) => Err(ConfigError(format!(
                "BLOB_SCHEDULE has an entry for epoch {} after one for epoch {}: epochs must rise, each once",
                pair[1].epoch, pair[0].epoch
            ))),
            None => Ok(()),
        }
    }

    fn check_times(&self) -> Result<(), ConfigError> {
        if self.slot_duration_ms == 0 || self.slot_duration_ms > MAX_SLOT_DURATION_MS {
            let expected = format!("1 to {MAX_SLOT_DURATION_MS} milliseconds");
            return refuse(SLOT_DURATION_MS, self.slot_duration_ms, &expected);
        }
        let within_slot = [
            ("PROPOSER_REORG_CUTOFF_BPS", self.proposer_reorg_cutoff_bps),
            ("ATTESTATION_DUE_BPS", self.attestation_due_bps),
            ("AGGREGATE_DUE_BPS", self.aggregate_due_bps),
            ("SYNC_MESSAGE_DUE_BPS", self.sync_message_due_bps),
            ("CONTRIBUTION_DUE_BPS", self.contribution_due_bps),
            ("ATTESTATION_DUE_BPS_GLOAS", self.attestation_due_bps_gloas),
            ("AGGREGATE_DUE_BPS_GLOAS", self.aggregate_due_bps_gloas),
            ("SYNC_MESSAGE_DUE_BPS_GLOAS", self.sync_message_due_bps_gloas),
            ("CONTRIBUTION_DUE_BPS_GLOAS", self.contribution_due_bps_gloas),
            ("PAYLOAD_DUE_BPS", self.payload_due_bps),
            ("PAYLOAD_ATTESTATION_DUE_BPS", self.payload_attestation_due_bps),
        ];
        for (name, value) in within_slot {
            if value > BASIS_POINTS {
                return refuse(
                    name,
                    value,
                    &format!("at most {BASIS_POINTS} basis points, the whole slot"),
                );
            }
        }
        let seconds = [
            ("MIN_GENESIS_TIME", self.min_genesis_time),
            ("GENESIS_DELAY", self.genesis_delay),
            ("SECONDS_PER_ETH1_BLOCK", self.seconds_per_eth1_block),
        ];
        // Unix time in 32 bits reaches the year 2106; twice that leaves room and keeps milliseconds far from overflow.
        at_most(&seconds, 1 << 33)
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        // The specs divide or take remainders by these.
        let divisors = [
            ("INACTIVITY_SCORE_BIAS", self.inactivity_score_bias),
            ("CHURN_LIMIT_QUOTIENT", self.churn_limit_quotient),
            ("CHURN_LIMIT_QUOTIENT_GLOAS", self.churn_limit_quotient_gloas),
            (
                "CONSOLIDATION_CHURN_LIMIT_QUOTIENT",
                self.consolidation_churn_limit_quotient,
            ),
            ("EPOCHS_PER_SUBNET_SUBSCRIPTION", self.epochs_per_subnet_subscription),
            ("BLOB_SIDECAR_SUBNET_COUNT", self.blob_sidecar_subnet_count),
            (
                "BLOB_SIDECAR_SUBNET_COUNT_ELECTRA",
                self.blob_sidecar_subnet_count_electra,
            ),
            ("NUMBER_OF_CUSTODY_GROUPS", self.number_of_custody_groups),
            (
                "DATA_COLUMN_SIDECAR_SUBNET_COUNT",
                self.data_column_sidecar_subnet_count,
            ),
            (
                "BALANCE_PER_ADDITIONAL_CUSTODY_GROUP",
                self.balance_per_additional_custody_group,
            ),
        ];
        for (name, value) in divisors {
            if value == 0 {
                return refuse(name, value, "at least 1, because the specs divide by it");
            }
        }
        let counts = [
            (
                "MIN_VALIDATOR_WITHDRAWABILITY_DELAY",
                self.min_validator_withdrawability_delay,
            ),
            (
                "MIN_BUILDER_WITHDRAWABILITY_DELAY",
                self.min_builder_withdrawability_delay,
            ),
            ("SHARD_COMMITTEE_PERIOD", self.shard_committee_period),
            ("ETH1_FOLLOW_DISTANCE", self.eth1_follow_distance),
            ("INACTIVITY_SCORE_BIAS", self.inactivity_score_bias),
            ("INACTIVITY_SCORE_RECOVERY_RATE", self.inactivity_score_recovery_rate),
            ("CHURN_LIMIT_QUOTIENT", self.churn_limit_quotient),
            ("CHURN_LIMIT_QUOTIENT_GLOAS", self.churn_limit_quotient_gloas),
            (
                "CONSOLIDATION_CHURN_LIMIT_QUOTIENT",
                self.consolidation_churn_limit_quotient,
            ),
            ("MIN_PER_EPOCH_CHURN_LIMIT", self.min_per_epoch_churn_limit),
            (
                "MAX_PER_EPOCH_ACTIVATION_CHURN_LIMIT",
                self.max_per_epoch_activation_churn_limit,
            ),
            ("PROPOSER_SCORE_BOOST", self.proposer_score_boost),
            ("REORG_HEAD_WEIGHT_THRESHOLD", self.reorg_head_weight_threshold),
            ("REORG_PARENT_WEIGHT_THRESHOLD", self.reorg_parent_weight_threshold),
            (
                "REORG_MAX_EPOCHS_SINCE_FINALIZATION",
                self.reorg_max_epochs_since_finalization,
            ),
            (
                "MIN_EPOCHS_FOR_BLOB_SIDECARS_REQUESTS",
                self.min_epochs_for_blob_sidecars_requests,
            ),
            (
                "MIN_EPOCHS_FOR_DATA_COLUMN_SIDECARS_REQUESTS",
                self.min_epochs_for_data_column_sidecars_requests,
            ),
        ];
        at_most(&counts, MAX_COUNT)?;
        // Balances: the specs add and compare them, so they only have to be far from the end of 64 bits.
        let balances = [
            ("EJECTION_BALANCE", self.ejection_balance),
            (
                "MIN_PER_EPOCH_CHURN_LIMIT_ELECTRA",
                self.min_per_epoch_churn_limit_electra,
            ),
            (
                "MAX_PER_EPOCH_ACTIVATION_EXIT_CHURN_LIMIT",
                self.max_per_epoch_activation_exit_churn_limit,
            ),
            (
                "MAX_PER_EPOCH_ACTIVATION_CHURN_LIMIT_GLOAS",
                self.max_per_epoch_activation_churn_limit_gloas,
            ),
            (
                "BALANCE_PER_ADDITIONAL_CUSTODY_GROUP",
                self.balance_per_additional_custody_group,
            ),
        ];
        at_most(&balances, 1 << 62)?;
        at_most(
            &[(
                "CONFIRMATION_BYZANTINE_THRESHOLD",
                self.confirmation_byzantine_threshold,
            )],
            25,
        )
    }

    fn check_network(&self) -> Result<(), ConfigError> {
        if self.attestation_subnet_count != ATTESTATION_SUBNETS {
            let expected = format!("{ATTESTATION_SUBNETS}, the length of a bit vector in every node's metadata");
            return refuse("ATTESTATION_SUBNET_COUNT", self.attestation_subnet_count, &expected);
        }
        // A node keeps requests and messages of this size in memory, so the limits stay near the standard ones.
        let requests = [
            ("MAX_REQUEST_BLOCKS", self.max_request_blocks),
            ("MAX_REQUEST_BLOCKS_DENEB", self.max_request_blocks_deneb),
            ("MAX_REQUEST_PAYLOADS", self.max_request_payloads),
            (
                "ATTESTATION_PROPAGATION_SLOT_RANGE",
                self.attestation_propagation_slot_range,
            ),
            ("MAXIMUM_GOSSIP_CLOCK_DISPARITY", self.maximum_gossip_clock_disparity),
            ("EPOCHS_PER_SUBNET_SUBSCRIPTION", self.epochs_per_subnet_subscription),
        ];
        at_most(&requests, 1 << 16)?;
        at_most(&[("MAX_PAYLOAD_SIZE", self.max_payload_size)], 1 << 30)?;
        // Node ids have 256 bits, of which the subnets take 6.
        at_most(
            &[("ATTESTATION_SUBNET_EXTRA_BITS", self.attestation_subnet_extra_bits)],
            32,
        )?;
        at_most(&[("SUBNETS_PER_NODE", self.subnets_per_node)], ATTESTATION_SUBNETS)?;
        let blobs = [
            ("MAX_BLOBS_PER_BLOCK", self.max_blobs_per_block),
            ("MAX_BLOBS_PER_BLOCK_ELECTRA", self.max_blobs_per_block_electra),
            ("BLOB_SIDECAR_SUBNET_COUNT", self.blob_sidecar_subnet_count),
            (
                "BLOB_SIDECAR_SUBNET_COUNT_ELECTRA",
                self.blob_sidecar_subnet_count_electra,
            ),
        ];
        at_most(&blobs, MAX_BLOB_COMMITMENTS_PER_BLOCK)?;
        let columns = [
            ("NUMBER_OF_CUSTODY_GROUPS", self.number_of_custody_groups),
            (
                "DATA_COLUMN_SIDECAR_SUBNET_COUNT",
                self.data_column_sidecar_subnet_count,
            ),
        ];
        at_most(&columns, NUMBER_OF_COLUMNS)?;
        if !NUMBER_OF_COLUMNS.is_multiple_of(self.number_of_custody_groups) {
            let expected = format!("a divisor of {NUMBER_OF_COLUMNS}, so that each group has as many columns");
            return refuse("NUMBER_OF_CUSTODY_GROUPS", self.number_of_custody_groups, &expected);
        }
        let groups = [
            ("SAMPLES_PER_SLOT", self.samples_per_slot),
            ("CUSTODY_REQUIREMENT", self.custody_requirement),
            ("VALIDATOR_CUSTODY_REQUIREMENT", self.validator_custody_requirement),
        ];
        at_most(&groups, self.number_of_custody_groups)
    }
}

fn at_most(values: &[(&str, u64)], limit: u64) -> Result<(), ConfigError> {
    match values.iter().find(|(_, value)| *value > limit) {
        Some((name, value)) => refuse(name, *value, &format!("at most {limit}")),
        None => Ok(()),
    }
}
