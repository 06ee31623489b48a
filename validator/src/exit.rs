//! Voluntary exits: signed without any node, the one message that needs neither clock nor slashing protection; and what
//! the chain will make of one.
//!
//! Spec: phase0/beacon-chain.md, `VoluntaryExit`; deneb/beacon-chain.md, `process_voluntary_exit` (EIP-7044).

use crate::beacon::{Genesis, Leaving, NodeUrl, PartialWithdrawal, Reach};
use crate::clock::date_of;
use crate::keys::{KeyStore, Place};
use crate::signer;
use anyhow::{Context, Result};
use consensus::constants::{DOMAIN_VOLUNTARY_EXIT, FAR_FUTURE_EPOCH};
use consensus::signing::{compute_domain, compute_signing_root};
use consensus::ssz::Root;
use consensus::types::{BLSPubkey, Epoch, SignedVoluntaryExit, ValidatorIndex, Version, VoluntaryExit};
use consensus::{Config, Fork};
use crypto::bls::{PublicKey, Signature, verify};
use crypto::derive::SecretBytes;
use std::path::Path;

/// What signs an exit.
pub enum ExitKey {
    /// A key at hand.
    Secret(SecretBytes),
    /// A key in a remote signer.
    Remote {
        /// The key.
        pubkey: BLSPubkey,
        /// The signer.
        url: NodeUrl,
        /// How it is reached.
        reach: Reach,
    },
}

/// The exit of a validator that the network takes from `epoch` on, in Capella's domain: no later fork invalidates it.
/// Blocks while a remote signer is asked.
pub fn sign(
    key: &ExitKey,
    config: &Config,
    genesis_validators_root: Root,
    validator_index: ValidatorIndex,
    epoch: Epoch,
) -> Result<SignedVoluntaryExit> {
    let message = VoluntaryExit { epoch, validator_index };
    let signature = match key {
        ExitKey::Secret(secret) => signer::sign_exit(secret, config, genesis_validators_root, &message)?,
        ExitKey::Remote { pubkey, url, reach } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let key = (pubkey, url);
            let asked = signer::sign_exit_remotely(key, reach, config, genesis_validators_root, &message);
            runtime.context("cannot start the runtime")?.block_on(asked)?
        }
    };
    Ok(SignedVoluntaryExit { message, signature })
}

/// A key of the client with this folder, which may run meanwhile. A remote signer is reached as
/// `reach` says.
pub fn stored_key(folder: &Path, key: &BLSPubkey, reach: Reach) -> Result<ExitKey> {
    match Place::of(key, folder)? {
        Place::Folder => Ok(ExitKey::Secret(KeyStore::new(folder).unlock()?.load(key)?)),
        Place::Remote(url) => Ok(ExitKey::Remote {
            pubkey: *key,
            url,
            reach,
        }),
    }
}

/// What a network's exits are counted by, as a node tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Genesis, in seconds since 1970.
    pub genesis_time: u64,
    /// Length of a slot, in milliseconds.
    pub slot_duration_ms: u64,
    /// Slots of an epoch.
    pub slots_per_epoch: u64,
    /// Epochs that a validator must have been active.
    pub shard_committee_period: u64,
    /// Epochs between exit and payout.
    pub min_validator_withdrawability_delay: u64,
    /// Epochs between now and the earliest exit, less one.
    pub max_seed_lookahead: u64,
    /// Gwei that may leave in an epoch, at least.
    pub churn: u64,
    /// The domain of exits.
    pub capella_fork_version: Version,
    /// The network.
    pub genesis_validators_root: Root,
}

/// When a validator would leave, as the queue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Its last epoch of duties is the one before.
    pub exit_epoch: Epoch,
    /// From then on its balance is paid out.
    pub withdrawable_epoch: Epoch,
}

impl Rules {
    /// Reads them from a node's `config/spec`. Errors name what is missing.
    pub fn read(spec: &serde_json::Value, genesis: &Genesis) -> Result<Self> {
        let text = |name: &str| spec[name].as_str();
        let number = |name: &str| -> Result<u64> {
            let number = text(name).and_then(|text| text.parse().ok());
            number.with_context(|| format!("the node's config does not say {name}"))
        };
        let seconds = || Ok::<_, anyhow::Error>(number("SECONDS_PER_SLOT")?.saturating_mul(1000));
        let version = text("CAPELLA_FORK_VERSION").and_then(|version| version.parse().ok());
        Ok(Rules {
            genesis_time: genesis.genesis_time,
            slot_duration_ms: number("SLOT_DURATION_MS").or_else(|_| seconds())?.max(1),
            slots_per_epoch: number("SLOTS_PER_EPOCH")?.max(1),
            shard_committee_period: number("SHARD_COMMITTEE_PERIOD")?,
            min_validator_withdrawability_delay: number("MIN_VALIDATOR_WITHDRAWABILITY_DELAY")?,
            max_seed_lookahead: number("MAX_SEED_LOOKAHEAD")?,
            churn: number("MIN_PER_EPOCH_CHURN_LIMIT_ELECTRA")
                .unwrap_or(128_000_000_000)
                .max(1),
            capella_fork_version: version.context("the node's config does not say CAPELLA_FORK_VERSION")?,
            genesis_validators_root: genesis.genesis_validators_root,
        })
    }

    /// The epoch at a time in milliseconds since 1970.
    pub fn epoch_at(&self, ms: u64) -> Epoch {
        let since = ms.saturating_sub(self.genesis_time.saturating_mul(1000));
        since / self.slot_duration_ms / self.slots_per_epoch
    }

    /// The date of an epoch's beginning.
    pub fn date(&self, epoch: Epoch) -> String {
        let ms = epoch
            .saturating_mul(self.slots_per_epoch)
            .saturating_mul(self.slot_duration_ms);
        date_of(self.genesis_time.saturating_mul(1000).saturating_add(ms))
    }

    /// When a validator would leave that asks now: behind those that leave already, with the least that may leave in an
    /// epoch. The chain alone decides; with more room it is sooner.
    /// Spec: electra/beacon-chain.md, `compute_exit_epoch_and_update_churn`.
    pub fn outlook(&self, leaving: &Leaving, queue: &[Leaving], partial: &[PartialWithdrawal], now: Epoch) -> Outlook {
        let earliest = now.saturating_add(1).saturating_add(self.max_seed_lookahead);
        let delay = self.min_validator_withdrawability_delay;
        let exits = queue.iter().filter(|other| other.info.exit_epoch != FAR_FUTURE_EPOCH);
        let taken: Vec<(Epoch, u64)> = exits
            .map(|other| (other.info.exit_epoch, other.info.effective_balance))
            .chain(
                partial
                    .iter()
                    .map(|one| (one.withdrawable_epoch.saturating_sub(delay), one.amount)),
            )
            .collect();
        let last = taken.iter().map(|(epoch, _)| *epoch).max().unwrap_or(0).max(earliest);
        let in_last = taken.iter().filter(|(epoch, _)| *epoch == last);
        let sum = in_last.fold(0_u64, |sum, (_, amount)| sum.saturating_add(*amount));
        // What is more than an epoch's worth has filled epochs before.
        let used = sum.checked_sub(1).map_or(0, |less| less % self.churn + 1);
        let beyond = used
            .saturating_add(leaving.info.effective_balance)
            .saturating_sub(self.churn);
        let exit_epoch = last.saturating_add(beyond.div_ceil(self.churn));
        Outlook {
            exit_epoch,
            withdrawable_epoch: exit_epoch.saturating_add(delay),
        }
    }

    /// Why the chain would not take an exit of this validator now, in words; none if it would.
    /// Spec: electra/beacon-chain.md, `process_voluntary_exit`.
    pub fn obstacle(
        &self,
        leaving: &Leaving,
        partial: &[PartialWithdrawal],
        exit: Option<&VoluntaryExit>,
        now: Epoch,
    ) -> Option<String> {
        let info = &leaving.info;
        if info.exit_epoch != FAR_FUTURE_EPOCH {
            let date = self.date(info.exit_epoch);
            return Some(format!(
                "it is leaving already: its exit epoch is {} ({date})",
                info.exit_epoch
            ));
        }
        if !info.is_active_in(now) {
            return Some("it is not active yet: only an active validator can leave".into());
        }
        let from = info.activation_epoch.saturating_add(self.shard_committee_period);
        if now < from {
            return Some(format!(
                "it is too young: a validator may leave {} epochs after its activation, this one from epoch {from} ({}) on",
                self.shard_committee_period,
                self.date(from)
            ));
        }
        if let Some(exit) = exit.filter(|exit| exit.epoch > now) {
            return Some(format!(
                "the exit is signed for epoch {} ({}) and later",
                exit.epoch,
                self.date(exit.epoch)
            ));
        }
        let own: Vec<_> = partial.iter().filter(|one| one.validator_index == info.index).collect();
        if let Some(last) = own.iter().map(|one| one.withdrawable_epoch).max() {
            return Some(format!(
                "{} partial withdrawals of it are pending, and it cannot leave before they are paid; the last of them is \
                 due from epoch {last} ({}) on, as each waits {} epochs",
                own.len(),
                self.date(last),
                self.min_validator_withdrawability_delay
            ));
        }
        None
    }

    /// Whether an exit was signed by the key of its validator. Spec: deneb/beacon-chain.md, `process_voluntary_exit`
    /// (EIP-7044).
    pub fn is_signed_by(&self, exit: &SignedVoluntaryExit, pubkey: &BLSPubkey) -> bool {
        let domain = compute_domain(
            DOMAIN_VOLUNTARY_EXIT,
            self.capella_fork_version,
            self.genesis_validators_root,
        );
        let root = compute_signing_root(&exit.message, Fork::Capella, domain);
        let key = PublicKey::from_compressed(&pubkey.0);
        let signature = Signature::from_bytes(&exit.signature.0);
        key.is_ok_and(|key| signature.is_ok_and(|signature| verify(&key, &root.0, &signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beacon::{Status, ValidatorInfo};
    use consensus::ssz::Bytes;

    const RULES: Rules = Rules {
        genesis_time: 0,
        slot_duration_ms: 12_000,
        slots_per_epoch: 32,
        shard_committee_period: 256,
        min_validator_withdrawability_delay: 256,
        max_seed_lookahead: 4,
        churn: 128,
        capella_fork_version: Bytes([0; 4]),
        genesis_validators_root: Root::ZERO,
    };

    fn leaving(index: u64, effective_balance: u64, exit_epoch: Epoch) -> Leaving {
        Leaving {
            info: ValidatorInfo {
                index,
                pubkey: Bytes([1; 48]),
                status: Status::ActiveOngoing,
                balance: effective_balance,
                effective_balance,
                slashed: false,
                activation_epoch: 10,
                exit_epoch,
            },
            withdrawal_credentials: Bytes([1; 32]),
            withdrawable_epoch: FAR_FUTURE_EPOCH,
        }
    }

    #[test]
    fn the_queue_tells_when_a_validator_leaves() {
        let one = leaving(1, 32, FAR_FUTURE_EPOCH);
        let at = |one: &Leaving, queue: &[Leaving], partial: &[PartialWithdrawal]| {
            RULES.outlook(one, queue, partial, 1000).exit_epoch
        };
        assert_eq!(at(&one, &[], &[]), 1005);
        assert_eq!(RULES.outlook(&one, &[], &[], 1000).withdrawable_epoch, 1005 + 256);
        let before: Vec<Leaving> = (2..6).map(|index| leaving(index, 32, 1010)).collect();
        assert_eq!(at(&one, &before[..3], &[]), 1010, "128 leave in an epoch");
        assert_eq!(at(&leaving(1, 64, FAR_FUTURE_EPOCH), &before[..3], &[]), 1011);
        assert_eq!(at(&one, &before, &[]), 1011, "the epoch is full");
        assert_eq!(at(&leaving(1, 2048, FAR_FUTURE_EPOCH), &[], &[]), 1005 + 15);
        let partial = PartialWithdrawal {
            validator_index: 9,
            amount: 100,
            withdrawable_epoch: 1020 + 256,
        };
        assert_eq!(at(&one, &before, &[partial]), 1021);
    }

    #[test]
    fn what_keeps_a_validator_is_said() {
        let why = |one: &Leaving, partial: &[PartialWithdrawal], exit: Option<&VoluntaryExit>, now| {
            RULES.obstacle(one, partial, exit, now).unwrap_or_default()
        };
        let one = leaving(1, 32, FAR_FUTURE_EPOCH);
        assert!(why(&one, &[], None, 5).contains("not active yet"));
        assert!(why(&one, &[], None, 265).contains("from epoch 266 (1970-"));
        assert_eq!(why(&one, &[], None, 266), "");
        assert!(why(&leaving(1, 32, 300), &[], None, 266).contains("leaving already: its exit epoch is 300"));
        let exit = VoluntaryExit {
            epoch: 280,
            validator_index: 1,
        };
        assert!(why(&one, &[], Some(&exit), 279).contains("for epoch 280"));
        assert_eq!(why(&one, &[], Some(&exit), 280), "");
        let partial = |validator_index| PartialWithdrawal {
            validator_index,
            amount: 1,
            withdrawable_epoch: 600,
        };
        assert!(why(&one, &[partial(1)], None, 300).contains("from epoch 600"));
        assert_eq!(why(&one, &[partial(2)], None, 300), "");
    }
}
