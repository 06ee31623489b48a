//! Votes with their voters written out: sorted, in the registry, and signed by all of them.
//!
//! The spec's predicates check the signature too; here it goes through the context, which may keep it for a batch.

use crate::constants::{DOMAIN_BEACON_ATTESTER, DOMAIN_PTC_ATTESTER};
use crate::fork::Fork;
use crate::helpers::misc::{committees_of, compute_epoch_at_slot};
use crate::helpers::voters_key::voters_key;
use crate::preset::MAX_VALIDATORS_PER_SLOT;
use crate::signing::{Context, compute_signing_root, get_domain, parse_signature, validators_set};
use crate::ssz::Root;
use crate::state::State;
use crate::types::{Attestation, AttestationData, IndexedAttestation, IndexedPayloadAttestation, ValidatorIndex};
use crate::{Invalid, ensure};
use crypto::bls::SignatureSet;

const SIGNATURE: &str = "attestation signature";

/// Fails unless the voters are not none, ascend without repeats, and have signed.
///
/// Spec: phase0/ and gloas/beacon-chain.md, `is_valid_indexed_attestation`.
pub fn is_valid_indexed_attestation(
    state: &State,
    ctx: &mut Context,
    indexed_attestation: &IndexedAttestation,
) -> Result<(), Invalid> {
    let IndexedAttestation {
        attesting_indices,
        data,
        signature,
    } = indexed_attestation;
    check_indices(state, attesting_indices)?;
    ctx.check(SIGNATURE, |keys| {
        let signing_root = vote_root(state, data);
        validators_set(SIGNATURE, state, keys, attesting_indices, signing_root, signature)
    })
}

/// The same for the voters of an attestation, `attesting_indices`, whose keys are added up by committees.
pub fn is_valid_attestation(
    state: &State,
    ctx: &mut Context,
    attestation: &Attestation,
    attesting_indices: &[ValidatorIndex],
) -> Result<(), Invalid> {
    check_indices(state, attesting_indices)?;
    ctx.check(SIGNATURE, |keys| {
        let data = &attestation.data;
        let committees = committees_of(state.at, attestation);
        Ok(SignatureSet {
            signature: parse_signature(SIGNATURE, &attestation.signature)?,
            pubkey: voters_key(state, keys, data.slot, &committees, &attestation.aggregation_bits)?,
            message: vote_root(state, data).0,
        })
    })
}

/// What is signed by all who vote alike.
fn vote_root(state: &State, data: &AttestationData) -> Root {
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, data.target.epoch);
    compute_signing_root(data, state.at, domain)
}

fn check_indices(state: &State, indices: &[ValidatorIndex]) -> Result<(), Invalid> {
    let count = indices.len();
    ensure!(
        state.at < Fork::Gloas || count as u64 <= MAX_VALIDATORS_PER_SLOT,
        "attesting indices limit",
        "{count}, at most {MAX_VALIDATORS_PER_SLOT}"
    );
    ensure!(
        indices.is_sorted_by(|earlier, later| earlier < later),
        "attesting indices order",
        "they do not ascend"
    );
    check_voters(state, indices)
}

/// Fails unless the voters are not none, ascend (a validator may stand in the committee twice), and have signed.
///
/// Spec: gloas/beacon-chain.md, `is_valid_indexed_payload_attestation`.
pub fn is_valid_indexed_payload_attestation(
    state: &State,
    ctx: &mut Context,
    attestation: &IndexedPayloadAttestation,
) -> Result<(), Invalid> {
    const RULE: &str = "payload attestation signature";
    let indices = &attestation.attesting_indices;
    ensure!(indices.is_sorted(), "attesting indices order", "they do not ascend");
    check_voters(state, indices)?;
    ctx.check(RULE, |keys| {
        let domain = get_domain(state, DOMAIN_PTC_ATTESTER, compute_epoch_at_slot(attestation.data.slot));
        let signing_root = compute_signing_root(&attestation.data, state.at, domain);
        validators_set(RULE, state, keys, indices, signing_root, &attestation.signature)
    })
}

/// Somebody votes, and all who do are in the registry, whether or not signatures are looked at. `indices` ascend.
fn check_voters(state: &State, indices: &[ValidatorIndex]) -> Result<(), Invalid> {
    let count = state.validators.len();
    match indices.last() {
        Some(last) if *last < count as u64 => Ok(()),
        Some(last) => Err(Invalid::new(
            "attesting indices",
            format!("{last}, registry has {count}"),
        )),
        None => Err(Invalid::new("attesting indices", "nobody votes")),
    }
}
