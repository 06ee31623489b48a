//! Which fork and which blob limit hold at an epoch, and the digests that tell networks apart.

use super::{Config, Yaml};
use crate::constants::{FAR_FUTURE_EPOCH, GENESIS_EPOCH};
use crate::fork::Fork;
use crate::ssz::{Bytes, Root};
use crypto::hash::{hash2, sha256};

/// From which epoch a block may have how many blobs. Spec: fulu/beacon-chain.md, `BlobParameters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobParameters {
    /// First epoch at which the limit holds.
    pub epoch: u64,
    /// Blobs in a block, at most.
    pub max_blobs_per_block: u64,
}

impl Config {
    /// The version of `fork`.
    pub fn fork_version(&self, fork: Fork) -> Bytes<4> {
        [
            self.genesis_fork_version,
            self.altair_fork_version,
            self.bellatrix_fork_version,
            self.capella_fork_version,
            self.deneb_fork_version,
            self.electra_fork_version,
            self.fulu_fork_version,
            self.gloas_fork_version,
        ][fork as usize]
    }

    /// The first epoch of `fork`; `FAR_FUTURE_EPOCH` for never.
    pub fn fork_epoch(&self, fork: Fork) -> u64 {
        [
            GENESIS_EPOCH,
            self.altair_fork_epoch,
            self.bellatrix_fork_epoch,
            self.capella_fork_epoch,
            self.deneb_fork_epoch,
            self.electra_fork_epoch,
            self.fulu_fork_epoch,
            self.gloas_fork_epoch,
        ][fork as usize]
    }

    /// Moves the first epoch of `fork`; phase0 stays at genesis.
    pub fn set_fork_epoch(&mut self, fork: Fork, epoch: u64) {
        let fields = [
            &mut self.altair_fork_epoch,
            &mut self.bellatrix_fork_epoch,
            &mut self.capella_fork_epoch,
            &mut self.deneb_fork_epoch,
            &mut self.electra_fork_epoch,
            &mut self.fulu_fork_epoch,
            &mut self.gloas_fork_epoch,
        ];
        if let Some(field) = (fork as usize)
            .checked_sub(1)
            .and_then(|index| fields.into_iter().nth(index))
        {
            *field = epoch;
        }
    }

    /// The same config with every fork up to `last` at genesis, later ones never, and no blob-parameter forks: what
    /// tests and vectors of one fork run on.
    #[must_use]
    pub fn with_forks_at_genesis(mut self, last: Fork) -> Self {
        for fork in Fork::ALL {
            self.set_fork_epoch(fork, if fork <= last { GENESIS_EPOCH } else { FAR_FUTURE_EPOCH });
        }
        self.blob_schedule.clear();
        self
    }

    /// The fork at `epoch`: the last one that has begun.
    pub fn fork_at_epoch(&self, epoch: u64) -> Fork {
        Fork::ALL
            .into_iter()
            .rev()
            .find(|fork| epoch >= self.fork_epoch(*fork))
            .unwrap_or(Fork::Phase0)
    }

    /// The forks that are scheduled, with their versions and first epochs, in order.
    pub fn scheduled_forks(&self) -> impl Iterator<Item = (Fork, Bytes<4>, u64)> {
        Fork::ALL
            .into_iter()
            .map(|fork| (fork, self.fork_version(fork), self.fork_epoch(fork)))
            .filter(|(_, _, epoch)| *epoch != FAR_FUTURE_EPOCH)
    }

    /// Forks that the config schedules and this version does not know: the name in capitals and the first epoch. A node
    /// cannot follow the network beyond that epoch.
    pub fn unknown_forks(&self) -> Vec<(String, u64)> {
        let fork = |(name, value): &(String, Yaml)| {
            let fork = name.strip_suffix("_FORK_EPOCH")?;
            let Yaml::Text(text) = value else { return None };
            Some((
                fork.to_owned(),
                text.parse().ok().filter(|epoch| *epoch != FAR_FUTURE_EPOCH)?,
            ))
        };
        self.other.iter().filter_map(fork).collect()
    }

    /// The fork version at `epoch`. Spec: gloas/p2p-interface.md, `compute_fork_version`.
    pub fn compute_fork_version(&self, epoch: u64) -> Bytes<4> {
        self.fork_version(self.fork_at_epoch(epoch))
    }

    /// The blob parameters at `epoch`. Spec: fulu/beacon-chain.md, `get_blob_parameters`.
    pub fn get_blob_parameters(&self, epoch: u64) -> BlobParameters {
        let electra = BlobParameters {
            epoch: self.electra_fork_epoch,
            max_blobs_per_block: self.max_blobs_per_block_electra,
        };
        self.blob_schedule
            .iter()
            .rev()
            .find(|entry| epoch >= entry.epoch)
            .copied()
            .unwrap_or(electra)
    }

    /// Blobs in a block of `epoch`, at most, by the rule of the fork that holds then; none before Deneb.
    ///
    /// Spec: `process_execution_payload` of deneb, electra and fulu/beacon-chain.md.
    pub fn max_blobs_per_block_at(&self, epoch: u64) -> u64 {
        let fork = self.fork_at_epoch(epoch);
        if fork >= Fork::Fulu {
            self.get_blob_parameters(epoch).max_blobs_per_block
        } else if fork >= Fork::Electra {
            self.max_blobs_per_block_electra
        } else if fork >= Fork::Deneb {
            self.max_blobs_per_block
        } else {
            0
        }
    }

    /// The digest by which topics, handshakes and node records tell networks and forks apart.
    ///
    /// Spec: phase0/p2p-interface.md and, with blob-parameter forks, fulu/beacon-chain.md, `compute_fork_digest`.
    pub fn compute_fork_digest(&self, genesis_validators_root: Root, epoch: u64) -> Bytes<4> {
        let mut digest = compute_fork_data_root(self.compute_fork_version(epoch), genesis_validators_root).0;
        if self.fork_at_epoch(epoch) >= Fork::Fulu {
            let parameters = self.get_blob_parameters(epoch);
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&parameters.epoch.to_le_bytes());
            bytes[8..].copy_from_slice(&parameters.max_blobs_per_block.to_le_bytes());
            digest
                .iter_mut()
                .zip(sha256(&bytes))
                .for_each(|(byte, mask)| *byte ^= mask);
        }
        Bytes([digest[0], digest[1], digest[2], digest[3]])
    }

    /// The epochs at which the fork digest changes: genesis, every scheduled fork and blob-parameter fork, rising.
    ///
    /// Spec: fulu/p2p-interface.md, `next_fork_epoch` and `nfd` of node records.
    pub fn digest_epochs(&self) -> Vec<u64> {
        let forks = self.scheduled_forks().map(|(_, _, epoch)| epoch);
        let blobs = self
            .blob_schedule
            .iter()
            .map(|entry| entry.epoch)
            .filter(|epoch| *epoch != FAR_FUTURE_EPOCH);
        let mut epochs: Vec<u64> = forks.chain(blobs).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }
}

/// The root of `ForkData`, a container of two chunks: the version, and the root of the genesis validators.
///
/// Spec: phase0/beacon-chain.md, `compute_fork_data_root`.
pub fn compute_fork_data_root(current_version: Bytes<4>, genesis_validators_root: Root) -> Root {
    let mut version = [0; 32];
    version[..4].copy_from_slice(&current_version.0);
    Bytes(hash2(&version, &genesis_validators_root.0))
}
