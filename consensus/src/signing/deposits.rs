//! Signatures of deposits, which are like no other: a wrong one makes no block invalid, but decides that no validator or
//! builder comes of the deposit.
//!
//! So they cannot be put off to the batch of a block, and must be checked even in blocks whose signatures are trusted. An
//! epoch brings sixteen of validators, but a Gloas payload hundreds of builders', and the fork to Gloas asks for those in
//! the whole queue. They are known long before they count: whoever has time checks them ahead, in batches, and hands the
//! verdicts in as a value. A verdict belongs to the content, so that it holds in every state of the network.

use super::{Root, compute_domain, compute_signing_root, untrusted_key_set};
use crate::Config;
use crate::constants::{DOMAIN_BUILDER_DEPOSIT, DOMAIN_DEPOSIT};
use crate::fork::Fork;
use crate::ssz::Bytes;
use crate::types::{BLSPubkey, BLSSignature, BuilderDepositRequest, Bytes32, DepositData, DepositMessage};
use crate::types::{DomainType, Gwei, PendingDeposit};
use crypto::bls::{find_invalid, verify_signature_sets};
use crypto::hash::sha256;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Verdicts that are kept, at most: 4 MB. More than any epoch, payload or fork asks for; what finds no room is checked where
/// it counts.
const MAX_VERDICTS: usize = 1 << 16;

/// A deposit's claim that whoever has the key wants it. Of a network, since its domain has the genesis version.
#[derive(Clone, Copy, Debug)]
pub struct DepositProof {
    pubkey: BLSPubkey,
    signing_root: Root,
    signature: BLSSignature,
}

impl DepositProof {
    /// That of a validator's deposit. Spec: phase0/beacon-chain.md, in `apply_deposit`; electra/beacon-chain.md,
    /// `is_valid_deposit_signature`.
    pub fn of_deposit(config: &Config, deposit: &DepositData) -> Self {
        Self::new(config, DOMAIN_DEPOSIT, deposit)
    }

    /// That of a deposit in the queue.
    pub fn of_pending(config: &Config, deposit: &PendingDeposit) -> Self {
        let PendingDeposit {
            pubkey,
            withdrawal_credentials,
            amount,
            signature,
            slot: _,
        } = *deposit;
        let deposit = DepositData {
            pubkey,
            withdrawal_credentials,
            amount,
            signature,
        };
        Self::of_deposit(config, &deposit)
    }

    /// That of a builder's deposit. Spec: gloas/beacon-chain.md, `is_valid_builder_deposit_signature`.
    pub fn of_builder(config: &Config, request: &BuilderDepositRequest) -> Self {
        let BuilderDepositRequest {
            pubkey,
            withdrawal_credentials,
            amount,
            signature,
        } = *request;
        let deposit = DepositData {
            pubkey,
            withdrawal_credentials,
            amount,
            signature,
        };
        Self::new(config, DOMAIN_BUILDER_DEPOSIT, &deposit)
    }

    /// The domain has no genesis root, since deposits are valid on all forks.
    fn new(config: &Config, domain_type: DomainType, deposit: &DepositData) -> Self {
        let message = DepositMessage {
            pubkey: deposit.pubkey,
            withdrawal_credentials: deposit.withdrawal_credentials,
            amount: deposit.amount,
        };
        let domain = compute_domain(domain_type, config.genesis_fork_version, Root::ZERO);
        DepositProof {
            pubkey: deposit.pubkey,
            signing_root: compute_signing_root(&message, Fork::Phase0, domain),
            signature: deposit.signature,
        }
    }

    /// What is signed.
    pub fn signing_root(&self) -> Root {
        self.signing_root
    }

    /// Whether the signature verifies. A key that is no valid point has no valid signature.
    pub fn verify(&self) -> bool {
        let set = untrusted_key_set("signature", &self.pubkey, self.signing_root, &self.signature);
        set.is_ok_and(|set| verify_signature_sets(&[set]))
    }

    /// What a verdict is remembered by: the signing root has all but the signature in it.
    fn content(&self) -> Root {
        let mut bytes = [0; 128];
        bytes[..32].copy_from_slice(&self.signing_root.0);
        bytes[32..].copy_from_slice(&self.signature.0);
        Bytes(sha256(&bytes))
    }
}

/// Whether a deposit's proof of possession is valid.
///
/// Spec: electra/beacon-chain.md, `is_valid_deposit_signature`.
pub fn is_valid_deposit_signature(
    config: &Config,
    pubkey: &BLSPubkey,
    withdrawal_credentials: &Bytes32,
    amount: Gwei,
    signature: &BLSSignature,
) -> bool {
    let deposit = DepositData {
        pubkey: *pubkey,
        withdrawal_credentials: *withdrawal_credentials,
        amount,
        signature: *signature,
    };
    DepositProof::of_deposit(config, &deposit).verify()
}

/// How deposits are judged: part of a [`State`](crate::State), which hands it on to those that come of it.
#[derive(Clone, Debug, Default)]
pub enum DepositSignatures {
    /// Each is checked where it counts.
    #[default]
    Verify,
    /// As they were found to be; what is not known is checked.
    Known(Arc<DepositVerdicts>),
    /// All count as valid. Only for chains made with signatures switched off, as some test vectors are.
    Trust,
}

impl DepositSignatures {
    /// Whether the proof is valid.
    pub fn accept(&self, proof: &DepositProof) -> bool {
        match self {
            DepositSignatures::Verify => proof.verify(),
            DepositSignatures::Known(verdicts) => verdicts.get(proof).unwrap_or_else(|| proof.verify()),
            DepositSignatures::Trust => true,
        }
    }
}

/// Verdicts on deposits that were checked ahead.
#[derive(Clone, Debug, Default)]
pub struct DepositVerdicts {
    by_content: HashMap<Root, bool>,
}

impl DepositVerdicts {
    /// How many are known.
    pub fn len(&self) -> usize {
        self.by_content.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.by_content.is_empty()
    }

    /// The verdict on a proof, if it is known.
    pub fn get(&self, proof: &DepositProof) -> Option<bool> {
        self.by_content.get(&proof.content()).copied()
    }

    /// Checks those of the proofs that are not known, in one batch, and remembers the verdicts as long as there is room.
    /// Half a millisecond each, four times that if all are wrong: whoever must not take long brings few at a time.
    pub fn verify(&mut self, proofs: &[DepositProof]) {
        let mut new = Vec::new();
        let mut sets = Vec::new();
        for proof in proofs {
            let content = proof.content();
            if self.len() >= MAX_VERDICTS || self.by_content.contains_key(&content) {
                continue;
            }
            let set = untrusted_key_set("signature", &proof.pubkey, proof.signing_root, &proof.signature);
            self.by_content.insert(content, false);
            if let Ok(set) = set {
                new.push(content);
                sets.push(set);
            }
        }
        let invalid = if sets.is_empty() || verify_signature_sets(&sets) {
            Vec::new()
        } else {
            find_invalid(&sets)
        };
        for (place, content) in new.into_iter().enumerate() {
            self.by_content.insert(content, invalid.binary_search(&place).is_err());
        }
    }

    /// Forgets all verdicts but those on these proofs: for instance on what has left the queue.
    pub fn retain(&mut self, proofs: impl IntoIterator<Item = DepositProof>) {
        let kept: HashSet<Root> = proofs.into_iter().map(|proof| proof.content()).collect();
        self.by_content.retain(|content, _| kept.contains(content));
        self.by_content.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::bls::SecretKey;

    /// A deposit of the key with this number, which signs `amount` and says `claimed`.
    fn deposit(config: &Config, number: u8, amount: u64, claimed: u64) -> PendingDeposit {
        let mut secret = [0; 32];
        secret[31] = number;
        let secret = SecretKey::from_bytes(&secret).unwrap();
        let mut deposit = PendingDeposit {
            pubkey: Bytes(secret.public_key().to_compressed()),
            amount,
            ..PendingDeposit::default()
        };
        let signing_root = DepositProof::of_pending(config, &deposit).signing_root;
        deposit.signature = Bytes(secret.sign(&signing_root.0).to_bytes());
        deposit.amount = claimed;
        deposit
    }

    #[test]
    fn verdicts_checked_ahead_are_those_of_the_signatures() {
        let config = Config::standard();
        let mut deposits: Vec<_> = (1..8)
            .map(|number| deposit(&config, number, 32, if number == 3 { 33 } else { 32 }))
            .collect();
        deposits[4].pubkey.0[0] = 0; // no point
        let proofs: Vec<_> = deposits
            .iter()
            .map(|deposit| DepositProof::of_pending(&config, deposit))
            .collect();
        let expected = [true, true, false, true, false, true, true];
        let mut verdicts = DepositVerdicts::default();
        verdicts.verify(&proofs[..3]);
        assert_eq!(verdicts.len(), 3);
        assert_eq!(verdicts.get(&proofs[3]), None);
        verdicts.verify(&proofs);
        for (proof, valid) in proofs.iter().zip(expected) {
            assert_eq!(proof.verify(), valid);
            assert_eq!(verdicts.get(proof), Some(valid));
        }
        verdicts.retain(proofs[2..4].iter().copied());
        let known: Vec<_> = proofs.iter().map(|proof| verdicts.get(proof)).collect();
        assert_eq!(known, [None, None, Some(false), Some(true), None, None, None]);
    }

    #[test]
    fn a_verdict_belongs_to_the_content_and_the_network() {
        let config = Config::standard();
        let good = deposit(&config, 1, 32, 32);
        let mut verdicts = DepositVerdicts::default();
        verdicts.verify(&[DepositProof::of_pending(&config, &good)]);
        let later = PendingDeposit {
            slot: 7,
            ..good.clone()
        };
        assert_eq!(verdicts.get(&DepositProof::of_pending(&config, &later)), Some(true));
        let mut other_signature = good.clone();
        other_signature.signature.0[95] ^= 1;
        let builder = BuilderDepositRequest {
            pubkey: good.pubkey,
            withdrawal_credentials: good.withdrawal_credentials,
            amount: good.amount,
            signature: good.signature,
        };
        let mut other_network = config.clone();
        other_network.genesis_fork_version = Bytes([9; 4]);
        for other in [
            DepositProof::of_pending(&config, &other_signature),
            DepositProof::of_pending(
                &config,
                &PendingDeposit {
                    amount: 31,
                    ..good.clone()
                },
            ),
            DepositProof::of_builder(&config, &builder),
            DepositProof::of_pending(&other_network, &good),
        ] {
            assert_eq!(verdicts.get(&other), None);
            assert!(!other.verify());
        }
    }

    #[test]
    fn what_is_known_is_not_checked_again_and_trust_asks_nothing() {
        let config = Config::standard();
        let wrong = DepositProof::of_pending(&config, &deposit(&config, 1, 32, 33));
        let mut verdicts = DepositVerdicts::default();
        assert!(!DepositSignatures::Known(Arc::new(verdicts.clone())).accept(&wrong));
        // A false verdict shows that nobody looked again.
        verdicts.by_content.insert(wrong.content(), true);
        assert!(DepositSignatures::Known(Arc::new(verdicts)).accept(&wrong));
        assert!(!DepositSignatures::Verify.accept(&wrong));
        assert!(DepositSignatures::Trust.accept(&wrong));
    }
}
