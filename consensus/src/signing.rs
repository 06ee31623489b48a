//! What is signed: domains and signing roots, and how a transition treats the signatures it meets.
//!
//! Spec: phase0/beacon-chain.md, `compute_domain`, `compute_signing_root`, `get_domain`.

use crate::config::compute_fork_data_root;
use crate::constants::DOMAIN_DEPOSIT;
use crate::fork::Fork;
use crate::helpers::accessors::get_current_epoch;
use crate::keys::Keys;
use crate::ssz::{Bytes, Root, Ssz};
use crate::state::State;
use crate::types::{BLSPubkey, BLSSignature, Bytes32, DepositMessage, Domain, DomainType, Epoch, Gwei, SigningData};
use crate::types::{ValidatorIndex, Version};
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

/// What a transition does with a signature. Deposits are not meant: their signatures are part of the outcome.
#[derive(Debug)]
pub enum Signatures {
    /// Check each where it stands; the error names its rule.
    Verify,
    /// Keep all for one batch, which `Context::verify_collected` checks.
    Collect(Vec<(&'static str, SignatureSet)>),
    /// Believe them: blocks that this node has checked before.
    Trust,
}

/// What a transition needs beside the state and the block.
#[derive(Debug)]
pub struct Context<'a> {
    /// The network.
    pub config: &'a Config,
    /// The decompressed keys of the registry.
    pub keys: &'a Keys,
    /// What to do with signatures.
    pub signatures: Signatures,
}

impl<'a> Context<'a> {
    /// A context that checks each signature where it stands.
    pub fn verifying(config: &'a Config, keys: &'a Keys) -> Self {
        Context {
            config,
            keys,
            signatures: Signatures::Verify,
        }
    }

    /// A context that collects signatures for one batch.
    pub fn collecting(config: &'a Config, keys: &'a Keys) -> Self {
        Context {
            config,
            keys,
            signatures: Signatures::Collect(Vec::new()),
        }
    }

    /// A context that checks no signature.
    pub fn trusting(config: &'a Config, keys: &'a Keys) -> Self {
        Context {
            config,
            keys,
            signatures: Signatures::Trust,
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

/// Whether a deposit's proof of possession is valid.
///
/// Spec: electra/beacon-chain.md, `is_valid_deposit_signature`; phase0/beacon-chain.md, in `apply_deposit`.
pub fn is_valid_deposit_signature(
    config: &Config,
    pubkey: &BLSPubkey,
    withdrawal_credentials: &Bytes32,
    amount: Gwei,
    signature: &BLSSignature,
) -> bool {
    is_valid_deposit_signature_in(
        DOMAIN_DEPOSIT,
        config,
        pubkey,
        withdrawal_credentials,
        amount,
        signature,
    )
}

/// The same in a domain of that type: validators and builders have one each. The domain has no genesis root, since
/// deposits are valid on all forks.
pub(crate) fn is_valid_deposit_signature_in(
    domain_type: DomainType,
    config: &Config,
    pubkey: &BLSPubkey,
    withdrawal_credentials: &Bytes32,
    amount: Gwei,
    signature: &BLSSignature,
) -> bool {
    let message = DepositMessage {
        pubkey: *pubkey,
        withdrawal_credentials: *withdrawal_credentials,
        amount,
    };
    let domain = compute_domain(domain_type, config.genesis_fork_version, Root::ZERO);
    let signing_root = compute_signing_root(&message, Fork::Phase0, domain);
    is_signed_by(pubkey, signing_root, signature)
}

/// Spec: phase0/beacon-chain.md, `bls.Verify` of a key that is not in the registry, and so not checked yet.
fn is_signed_by(pubkey: &BLSPubkey, signing_root: Root, signature: &BLSSignature) -> bool {
    let set = untrusted_key_set("signature", pubkey, signing_root, signature);
    set.is_ok_and(|set| verify_signature_sets(&[set]))
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
