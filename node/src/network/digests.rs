//! Which fork digest stands for which fork: one for every fork and, from Fulu on, for every change of the blob parameters.

use consensus::types::{Epoch, ForkDigest, Root};
use consensus::{Config, Fork};

/// A stretch of epochs with one digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era {
    /// Its first epoch.
    pub epoch: Epoch,
    /// Its digest.
    pub digest: ForkDigest,
    /// Its fork.
    pub fork: Fork,
    /// Blobs in a block of it, at most.
    pub blobs_max: u64,
}

/// Epochs before an era at which its topics are joined: long enough for meshes to form, which takes some heartbeats, on
/// the minimal preset too.
pub const JOIN_AHEAD: Epoch = 2;

/// Epochs for which an era's topics are kept after its end. Spec: altair/p2p-interface.md, "Transitioning the gossip".
pub const LEAVE_AFTER: Epoch = 2;

/// All eras of a network.
#[derive(Clone, Debug)]
pub struct Digests {
    eras: Vec<Era>,
}

impl Digests {
    /// Those that the config schedules.
    pub fn new(config: &Config, genesis_validators_root: Root) -> Self {
        let era = |epoch| Era {
            epoch,
            digest: config.compute_fork_digest(genesis_validators_root, epoch),
            fork: config.fork_at_epoch(epoch),
            blobs_max: config.max_blobs_per_block_at(epoch),
        };
        let mut eras: Vec<Era> = config.digest_epochs().into_iter().map(era).collect();
        // A blob-parameter fork before Fulu, or one that changes nothing, is no era of its own.
        eras.dedup_by(|later, earlier| later.digest == earlier.digest);
        Digests { eras }
    }

    /// The era of an epoch.
    pub fn at(&self, epoch: Epoch) -> Era {
        let place = self.eras.partition_point(|era| era.epoch <= epoch);
        // The first era begins at genesis.
        self.eras[place.saturating_sub(1)]
    }

    /// The era with this digest.
    pub fn of(&self, digest: ForkDigest) -> Option<Era> {
        self.eras.iter().copied().find(|era| era.digest == digest)
    }

    /// The first digest of a fork's that is phase0's, if the network began there: its topics have another message id.
    pub fn phase0(&self) -> Option<ForkDigest> {
        let first = self.eras.first()?;
        (first.fork == Fork::Phase0).then_some(first.digest)
    }

    /// The eras whose topics are joined at an epoch: its own, one that begins soon, one that ended lately.
    pub fn joined(&self, epoch: Epoch) -> Vec<Era> {
        let ends = self.eras.iter().skip(1).map(|era| era.epoch).chain([Epoch::MAX]);
        let near = self.eras.iter().zip(ends).filter(|(era, end)| {
            era.epoch <= epoch.saturating_add(JOIN_AHEAD) && epoch < end.saturating_add(LEAVE_AFTER)
        });
        near.map(|(era, _)| *era).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::config::BlobParameters;

    fn config() -> Config {
        let mut config = Config::standard().with_forks_at_genesis(Fork::Phase0);
        config.set_fork_epoch(Fork::Altair, 10);
        for fork in [Fork::Bellatrix, Fork::Capella, Fork::Deneb, Fork::Electra] {
            config.set_fork_epoch(fork, 20);
        }
        config.set_fork_epoch(Fork::Fulu, 30);
        config.blob_schedule = vec![BlobParameters {
            epoch: 40,
            max_blobs_per_block: 15,
        }];
        config
    }

    #[test]
    fn eras_are_found_by_epoch_and_by_digest() {
        let root = Root::default();
        let digests = Digests::new(&config(), root);
        let epochs: Vec<Epoch> = digests.eras.iter().map(|era| era.epoch).collect();
        assert_eq!(epochs, [0, 10, 20, 30, 40]);
        for era in &digests.eras {
            assert_eq!(digests.of(era.digest), Some(*era));
            assert_eq!(era.digest, config().compute_fork_digest(root, era.epoch));
        }
        assert_eq!(digests.at(39).fork, Fork::Fulu);
        assert_ne!(digests.at(39).digest, digests.at(40).digest);
        assert_eq!(digests.at(40).blobs_max, 15);
        assert_eq!(digests.of(ForkDigest::default()), None);
        assert_eq!(digests.phase0(), Some(digests.at(0).digest));
    }

    #[test]
    fn topics_are_joined_ahead_and_left_two_epochs_after() {
        let digests = Digests::new(&config(), Root::default());
        let joined = |epoch| {
            let epochs: Vec<Epoch> = digests.joined(epoch).iter().map(|era| era.epoch).collect();
            epochs
        };
        assert_eq!(joined(7), [0]);
        assert_eq!(joined(8), [0, 10]);
        assert_eq!(joined(11), [0, 10]);
        assert_eq!(joined(12), [10]);
        assert_eq!(joined(38), [30, 40]);
        assert_eq!(joined(1000), [40]);
    }
}
