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

/// Any count of the config, at most, where nothing else bounds it: the products that the specs make of two of them stay
/// far from the end of 64 bits.
const MAX_COUNT: u64 = 1 << 24;

/// Refuses the config of another preset.
pub(super) fn preset(value: &Yaml) -> Result<(), ConfigError> {
    if matches!(value, Yaml::Text(name) if name == PRESET_NAME) {
        return Ok(());
    }
    Err(ConfigError(format!(
        "the config has {PRESET_BASE} {}, and this program is compiled for the preset '{PRESET_NAME}': take a \
         program that is compiled for the config's preset (the cargo feature `minimal` selects minimal, mainnet is \
         without it), or a config with {PRESET_BASE} '{PRESET_NAME}'",
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
        "the config has {name} {}, and the preset '{PRESET_NAME}' of this program has {compiled}: presets are \
         fixed when the program is compiled, so remove the line or take the network's own program",
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

/// Fields with their names, written once.
macro_rules! numbers {
    [$config:ident: $($field:ident),*] => { [$((stringify!($field), $config.$field)),*] };
}

/// Refuses a field, whose name stands in small letters as in the struct, or in capitals.
fn refuse(field: &str, value: u64, expected: &str) -> Result<(), ConfigError> {
    let name = field.to_uppercase();
    Err(ConfigError(format!("{name} is {value}: expected {expected}")))
}

impl Config {
    /// Refuses contradictions and values that the specs' arithmetic cannot follow. Run on everything that is read; code
    /// that changes a config by hand may call it too.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_forks()?;
        self.check_blob_schedule()?;
        self.check_times()?;
        self.check_divisors()?;
        self.check_counts()?;
        self.check_balances()?;
        self.check_network()?;
        self.check_blobs_and_columns()
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
                        "{name}_FORK_EPOCH is {epoch}, before {earlier_name}_FORK_EPOCH, which is {earlier_epoch} (a \
                         line that is missing has the standard value): forks come in order, so correct one of them"
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
                    "BLOB_SCHEDULE has an entry for epoch {}, before FULU_FORK_EPOCH, which is {} (a line that is \
                     missing has the standard value): remove the entry, or set `BLOB_SCHEDULE: []`",
                    entry.epoch, self.fulu_fork_epoch
                )));
            }
            if entry.epoch != FAR_FUTURE_EPOCH && entry.epoch > MAX_SCHEDULED_EPOCH {
                return refuse(
                    "EPOCH",
                    entry.epoch,
                    &format!("at most {MAX_SCHEDULED_EPOCH} in BLOB_SCHEDULE"),
                );
            }
            if entry.max_blobs_per_block > MAX_BLOB_COMMITMENTS_PER_BLOCK {
                let expected = format!("at most {MAX_BLOB_COMMITMENTS_PER_BLOCK} in each entry of BLOB_SCHEDULE");
                return refuse("MAX_BLOBS_PER_BLOCK", entry.max_blobs_per_block, &expected);
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
        let within_slot = numbers![self:
            proposer_reorg_cutoff_bps, attestation_due_bps, aggregate_due_bps, sync_message_due_bps,
            contribution_due_bps, attestation_due_bps_gloas, aggregate_due_bps_gloas,
            sync_message_due_bps_gloas, contribution_due_bps_gloas, payload_due_bps,
            payload_attestation_due_bps
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
        let seconds = numbers![self: min_genesis_time, genesis_delay, seconds_per_eth1_block];
        // Unix time in 32 bits reaches the year 2106; twice that leaves room and keeps milliseconds far from overflow.
        at_most(&seconds, 1 << 33)
    }

    /// The specs divide or take remainders by these.
    fn check_divisors(&self) -> Result<(), ConfigError> {
        let divisors = numbers![self:
            inactivity_score_bias, churn_limit_quotient, churn_limit_quotient_gloas,
            consolidation_churn_limit_quotient, epochs_per_subnet_subscription, blob_sidecar_subnet_count,
            blob_sidecar_subnet_count_electra, number_of_custody_groups, data_column_sidecar_subnet_count,
            balance_per_additional_custody_group
        ];
        for (name, value) in divisors {
            if value == 0 {
                return refuse(name, value, "at least 1, because the specs divide by it");
            }
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        let counts = numbers![self:
            min_validator_withdrawability_delay, min_builder_withdrawability_delay, shard_committee_period,
            eth1_follow_distance, inactivity_score_bias, inactivity_score_recovery_rate,
            churn_limit_quotient, churn_limit_quotient_gloas, consolidation_churn_limit_quotient,
            min_per_epoch_churn_limit, max_per_epoch_activation_churn_limit, proposer_score_boost,
            reorg_head_weight_threshold, reorg_parent_weight_threshold, reorg_max_epochs_since_finalization,
            min_epochs_for_blob_sidecars_requests, min_epochs_for_data_column_sidecars_requests
        ];
        at_most(&counts, MAX_COUNT)?;
        // Spec: phase0/fast-confirmation.md gives this as its greatest value.
        at_most(&numbers![self: confirmation_byzantine_threshold], 25)
    }

    /// The specs add and compare balances, so they only have to be far from the end of 64 bits.
    fn check_balances(&self) -> Result<(), ConfigError> {
        let balances = numbers![self:
            ejection_balance, min_per_epoch_churn_limit_electra, max_per_epoch_activation_exit_churn_limit,
            max_per_epoch_activation_churn_limit_gloas, balance_per_additional_custody_group
        ];
        at_most(&balances, 1 << 62)
    }

    fn check_network(&self) -> Result<(), ConfigError> {
        if self.attestation_subnet_count != ATTESTATION_SUBNETS {
            let expected = format!("{ATTESTATION_SUBNETS}, the length of a bit vector in every node's metadata");
            return refuse("attestation_subnet_count", self.attestation_subnet_count, &expected);
        }
        // A node keeps requests and messages of this size in memory, so the limits stay near the standard ones.
        let requests = numbers![self:
            max_request_blocks, max_request_blocks_deneb, max_request_payloads,
            attestation_propagation_slot_range, maximum_gossip_clock_disparity,
            epochs_per_subnet_subscription
        ];
        at_most(&requests, 1 << 16)?;
        at_most(&numbers![self: max_payload_size], 1 << 30)?;
        // Node ids have 256 bits, of which the subnets take 6.
        at_most(&numbers![self: attestation_subnet_extra_bits], 32)?;
        at_most(&numbers![self: subnets_per_node], ATTESTATION_SUBNETS)
    }

    fn check_blobs_and_columns(&self) -> Result<(), ConfigError> {
        let blobs = numbers![self:
            max_blobs_per_block, max_blobs_per_block_electra, blob_sidecar_subnet_count,
            blob_sidecar_subnet_count_electra
        ];
        at_most(&blobs, MAX_BLOB_COMMITMENTS_PER_BLOCK)?;
        let columns = numbers![self: number_of_custody_groups, data_column_sidecar_subnet_count];
        at_most(&columns, NUMBER_OF_COLUMNS)?;
        if !NUMBER_OF_COLUMNS.is_multiple_of(self.number_of_custody_groups) {
            let expected = format!("a divisor of {NUMBER_OF_COLUMNS}, so that each group has as many columns");
            return refuse("number_of_custody_groups", self.number_of_custody_groups, &expected);
        }
        let groups = numbers![self: samples_per_slot, custody_requirement, validator_custody_requirement];
        at_most(&groups, self.number_of_custody_groups)
    }
}

fn at_most(values: &[(&str, u64)], limit: u64) -> Result<(), ConfigError> {
    match values.iter().find(|(_, value)| *value > limit) {
        Some((name, value)) => refuse(name, *value, &format!("at most {limit}")),
        None => Ok(()),
    }
}
