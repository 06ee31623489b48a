//! Which rules hold at a timestamp: the execution layer knows no slots.

use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::Epoch;
use consensus::{Config, Fork};

/// Gas of one blob. Spec: EIP-4844, `GAS_PER_BLOB`.
pub(crate) const GAS_PER_BLOB: u64 = 1 << 17;

/// Fork times of a network.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    config: Config,
    genesis_time: u64,
}

/// How many blobs a block may have and how their price moves. Spec: EIP-4844, EIP-7691, EIP-7840, EIP-7892.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobRules {
    /// Blobs in a block, at most.
    pub(crate) max: u64,
    /// Blobs in a block at which the price stays.
    pub(crate) target: u64,
    /// How slowly the price follows.
    pub(crate) update_fraction: u64,
}

impl Schedule {
    pub(crate) fn new(config: &Config, genesis_time: u64) -> Self {
        Schedule {
            config: config.clone(),
            genesis_time,
        }
    }

    /// The config that the times come from.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Unix time (seconds) of the beacon chain's genesis.
    pub(crate) fn genesis_time(&self) -> u64 {
        self.genesis_time
    }

    /// The epoch of the last slot that has started at `timestamp`; the first one before genesis.
    fn epoch_at(&self, timestamp: u64) -> Epoch {
        // The time of a slot is rounded down to whole seconds, so the last millisecond of this second counts.
        let milliseconds = u128::from(timestamp.saturating_sub(self.genesis_time)) * 1000 + 999;
        let slot = milliseconds / u128::from(self.config.slot_duration_ms.max(1));
        u64::try_from(slot).unwrap_or(u64::MAX) / SLOTS_PER_EPOCH
    }

    /// The fork at `timestamp`.
    pub(crate) fn fork_at(&self, timestamp: u64) -> Fork {
        self.config.fork_at_epoch(self.epoch_at(timestamp))
    }

    /// The rules for blobs at `timestamp`, by the formulas that give the known networks' values (3/6 in Deneb, two
    /// thirds of the limit from Electra on, and an update fraction proportional to the target).
    pub(crate) fn blobs_at(&self, timestamp: u64) -> BlobRules {
        let epoch = self.epoch_at(timestamp);
        let max = self.config.max_blobs_per_block_at(epoch);
        if self.config.fork_at_epoch(epoch) < Fork::Electra {
            return BlobRules {
                max,
                target: max / 2,
                update_fraction: 3_338_477,
            };
        }
        let target = max * 2 / 3;
        BlobRules {
            max,
            target,
            // 5,007,716 at a target of 6 (EIP-7691), rounded to the nearest.
            update_fraction: (5_007_716 * target + 3) / 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::config::BlobParameters;

    #[test]
    fn forks_begin_with_the_first_slot_of_their_epoch() {
        let mut config = Config::standard().with_forks_at_genesis(Fork::Deneb);
        config.electra_fork_epoch = 3;
        for slot_duration_ms in [1000, 2000, 2500, 12_000] {
            config.slot_duration_ms = slot_duration_ms;
            let schedule = Schedule::new(&config, 1_000);
            let time = |slot: u64| 1_000 + slot * slot_duration_ms / 1000;
            let first = 3 * SLOTS_PER_EPOCH;
            assert_eq!(schedule.fork_at(time(first - 1)), Fork::Deneb, "{slot_duration_ms}");
            assert_eq!(schedule.fork_at(time(first)), Fork::Electra, "{slot_duration_ms}");
        }
        let schedule = Schedule::new(&config, 1_000);
        assert_eq!(schedule.fork_at(0), Fork::Deneb);
        assert_eq!(schedule.fork_at(u64::MAX), Fork::Electra);
    }

    /// Target, limit and update fraction of mainnet's blob forks. Spec: EIP-7691, EIP-7892 and its mainnet schedule.
    #[test]
    fn blob_rules_are_those_of_mainnet() {
        let mut config = Config::standard().with_forks_at_genesis(Fork::Fulu);
        let entry = |epoch, max_blobs_per_block| BlobParameters {
            epoch,
            max_blobs_per_block,
        };
        (
            config.deneb_fork_epoch,
            config.electra_fork_epoch,
            config.fulu_fork_epoch,
        ) = (0, 1, 2);
        config.blob_schedule = vec![entry(3, 15), entry(4, 21)];
        let schedule = Schedule::new(&config, 0);
        let at = |epoch: u64| {
            let rules = schedule.blobs_at(epoch * SLOTS_PER_EPOCH * config.slot_duration_ms / 1000);
            (rules.target, rules.max, rules.update_fraction)
        };
        assert_eq!(at(0), (3, 6, 3_338_477));
        assert_eq!(at(1), (6, 9, 5_007_716));
        assert_eq!(at(2), (6, 9, 5_007_716));
        assert_eq!(at(3), (10, 15, 8_346_193));
        assert_eq!(at(4), (14, 21, 11_684_671));
    }
}
