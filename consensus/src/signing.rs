//! What is signed: domains and signing roots, and how a transition treats the signatures it meets.
//!
//! Spec: phase0/beacon-chain.md, `compute_domain`, `compute_signing_root`, `get_domain`.

mod deposits;

pub use deposits::{DepositProof, DepositSignatures, DepositVerdicts, is_valid_deposit_signature};

use crate::config::compute_fork_data_root;
use crate::fork::Fork;
use crate::helpers::accessors::get_current_epoch;
use crate::keys::Keys;
use crate::ssz::{Bytes, Root, Ssz};
use crate::state::State;
use crate::types::{BLSPubkey, BLSSignature, Domain, DomainType, Epoch, Gwei, SigningData, ValidatorIndex, Version};
use crate::{Config, Invalid};
use crypto::bls::{PublicKey, Signature, SignatureSet, find_invalid, verify_signature_sets};

/// Spec: phase0/beacon-chain.md, `compute_domain`.
pub fn compute_domain(domain_type: DomainType, fork_version: Version, genesis_validators_root: Root) -> Domain {
    let fork_data_root = compute_fork_data_root(fork_version, genesis_validators_root);
    let mut domain = [0; 32];
    domain[..4].copy_from_slice(&domain_type.0);
    domain[4..].copy_from_slice(&fork_data_root.0[..28]);
    Bytes(domain)
}

/// The root that is signed for an object. Spec: phase0/beacon-chain.md, `compute_signing_root`.
pub fn compute_signing_root<T: Ssz>(object: &T, fork: Fork, domain: Domain) -> Root {
    signing_root_of(object.hash_tree_root(fork), domain)
}

/// The root that is signed for an object whose own root is known.
pub fn signing_root_of(object_root: Root, domain: Domain) -> Root {
    SigningData { object_root, domain }.hash_tree_root(Fork::Phase0)
}

/// The domain of a message of `epoch`. Spec: phase0/beacon-chain.md, `get_domain`.
pub fn get_domain(state: &State, domain_type: DomainType, epoch: Epoch) -> Domain {
    let fork = &state.beacon.fork;
    let version = if epoch < fork.epoch {
        fork.previous_version
    } else {
        fork.current_version
    };
    compute_domain(domain_type, version, state.genesis_validators_root)
}

/// The domain of a message of the current epoch.
pub fn get_current_domain(state: &State, domain_type: DomainType) -> Domain {
    get_domain(state, domain_type, get_current_epoch(state))
}

/// What a transition does with a signature. Deposits are not meant: their signatures are part of the outcome, and
/// [`DepositSignatures`] says how they are judged.
#[derive(Debug)]
pub enum Signatures {
    /// Check each where it stands; the error names its rule.
    Verify,
    /// Keep all for one batch, which `Context::verify_collected` checks.
    Collect(Vec<(&'static str, SignatureSet)>),
    /// Believe them: blocks that this node has checked before.
    Trust,
}

/// What the proposer of a block earned by what it put into it, in Gwei. Before Altair votes are paid at the epoch's end and
/// count nothing here.
///
/// Spec: beacon-APIs, `getBlockRewards`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProposerRewards {
    /// For attestations.
    pub attestations: Gwei,
    /// For the sync committee's signatures; not what the proposer earns as a member of it.
    pub sync_aggregate: Gwei,
    /// For proposers that were slashed.
    pub proposer_slashings: Gwei,
    /// For attesters that were slashed.
    pub attester_slashings: Gwei,
}

impl ProposerRewards {
    /// All of it, in Gwei.
    pub fn total(&self) -> Gwei {
        let parts = [
            self.attestations,
            self.sync_aggregate,
            self.proposer_slashings,
            self.attester_slashings,
        ];
        parts.into_iter().fold(0, Gwei::saturating_add)
    }
}

/// What a transition needs beside the state and the block, and what it tells beside the state.
#[derive(Debug)]
pub struct Context<'a> {
    /// The network.
    pub config: &'a Config,
    /// The decompressed keys of the registry.
    pub keys: &'a Keys,
    /// What to do with signatures.
    pub signatures: Signatures,
    /// What the proposer of the last block earned.
    pub rewards: ProposerRewards,
    /// What is known of the deposits; for `state_transition`, which gives it to the state. `None` leaves the state what it
    /// has.
    pub deposit_signatures: Option<DepositSignatures>,
}

impl<'a> Context<'a> {
    /// A context that checks each signature where it stands.
    pub fn verifying(config: &'a Config, keys: &'a Keys) -> Self {
        Self::with(config, keys, Signatures::Verify)
    }

    /// A context that collects signatures for one batch.
    pub fn collecting(config: &'a Config, keys: &'a Keys) -> Self {
        Self::with(config, keys, Signatures::Collect(Vec::new()))
    }

    /// A context that checks no signature.
    pub fn trusting(config: &'a Config, keys: &'a Keys) -> Self {
        Self::with(config, keys, Signatures::Trust)
    }

    /// A context that treats signatures in this way.
    pub fn with(config: &'a Config, keys: &'a Keys, signatures: Signatures) -> Self {
        Context {
            config,
            keys,
            signatures,
            rewards: ProposerRewards::default(),
            deposit_signatures: None,
        }
    }

    /// Treats the signature that `make` describes. `make` is not called where signatures are trusted. An error of `make`
    /// is a key or signature that is no valid point: as invalid as one that does not verify.
    pub fn check(
        &mut self,
        rule: &'static str,
        make: impl FnOnce(&Keys) -> Result<SignatureSet, Invalid>,
    ) -> Result<(), Invalid> {
        match &mut self.signatures {
            Signatures::Trust => Ok(()),
            Signatures::Collect(sets) => {
                sets.push((rule, make(self.keys)?));
                Ok(())
            }
            Signatures::Verify => {
                let set = make(self.keys)?;
                let valid = verify_signature_sets(std::slice::from_ref(&set));
                if valid {
                    Ok(())
                } else {
                    Err(Invalid::new(rule, "the signature does not verify"))
                }
            }
        }
    }

    /// Checks what was collected, in one batch, and forgets it. The error names the first signature that is wrong.
    pub fn verify_collected(&mut self) -> Result<(), Invalid> {
        let Signatures::Collect(collected) = &mut self.signatures else {
            return Ok(());
        };
        let (rules, sets): (Vec<_>, Vec<_>) = std::mem::take(collected).into_iter().unzip();
        if sets.is_empty() || verify_signature_sets(&sets) {
            return Ok(());
        }
        let rule = find_invalid(&sets).first().map_or("signature", |index| rules[*index]);
        Err(Invalid::new(rule, "the signature does not verify"))
    }

    /// Drops what was collected: the signatures of a block that is invalid anyway must not count against the next.
    pub fn forget_collected(&mut self) {
        if let Signatures::Collect(collected) = &mut self.signatures {
            collected.clear();
        }
    }
}

/// Decompresses a signature; the error names `rule`.
pub fn parse_signature(rule: &'static str, signature: &BLSSignature) -> Result<Signature, Invalid> {
    Signature::from_bytes(&signature.0).map_err(|error| Invalid::new(rule, error.to_string()))
}

/// The set for a message of one validator.
pub fn validator_set(
    rule: &'static str,
    state: &State,
    keys: &Keys,
    index: ValidatorIndex,
    signing_root: Root,
    signature: &BLSSignature,
) -> Result<SignatureSet, Invalid> {
    let pubkey = keys.public_key(state, index)?;
    Ok(SignatureSet {
        signature: parse_signature(rule, signature)?,
        pubkey,
        message: signing_root.0,
    })
}

/// The set for a message of whoever has `pubkey`, which is one of the state: it was checked when it came in.
pub fn pubkey_set(
    rule: &'static str,
    pubkey: &BLSPubkey,
    signing_root: Root,
    signature: &BLSSignature,
) -> Result<SignatureSet, Invalid> {
    let key = PublicKey::from_compressed_trusted(&pubkey.0);
    Ok(SignatureSet {
        signature: parse_signature(rule, signature)?,
        pubkey: key.map_err(|error| Invalid::new(rule, format!("public key {pubkey}: {error}")))?,
        message: signing_root.0,
    })
}

/// The set for one message signed by several validators.
pub fn validators_set(
    rule: &'static str,
    state: &State,
    keys: &Keys,
    indices: &[ValidatorIndex],
    signing_root: Root,
    signature: &BLSSignature,
) -> Result<SignatureSet, Invalid> {
    let pubkeys: Result<Vec<PublicKey>, Invalid> = indices.iter().map(|index| keys.public_key(state, *index)).collect();
    let signature = parse_signature(rule, signature)?;
    SignatureSet::aggregate(signature, pubkeys?, signing_root.0).map_err(|error| Invalid::new(rule, error.to_string()))
}

/// The set for a message signed with a key that is not in the registry: the error names `rule` where it is no valid one.
pub fn untrusted_key_set(
    rule: &'static str,
    pubkey: &BLSPubkey,
    signing_root: Root,
    signature: &BLSSignature,
) -> Result<SignatureSet, Invalid> {
    let key = PublicKey::from_compressed(&pubkey.0);
    Ok(SignatureSet {
        pubkey: key.map_err(|error| Invalid::new(rule, format!("public key {pubkey}: {error}")))?,
        signature: parse_signature(rule, signature)?,
        message: signing_root.0,
    })
}
