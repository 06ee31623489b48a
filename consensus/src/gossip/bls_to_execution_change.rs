//! Topic `bls_to_execution_change`.

use super::verdict::{Checked, ignore_unless, reject_unless};
use super::{Gossip, Mark, Verdict, unanswered};
use crate::Invalid;
use crate::constants::{BLS_WITHDRAWAL_PREFIX, DOMAIN_BLS_TO_EXECUTION_CHANGE};
use crate::helpers::accessors::validator;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::signing::{compute_domain, compute_signing_root, parse_signature};
use crate::types::SignedBLSToExecutionChange;
use crypto::bls::{PublicKey, SignatureSet};
use crypto::hash::sha256;

/// Spec: capella/p2p-interface.md, `validate_bls_to_execution_change_gossip`.
pub fn validate_bls_to_execution_change_gossip(
    gossip: &mut Gossip,
    signed_bls_to_execution_change: &SignedBLSToExecutionChange,
) -> Verdict {
    rules(gossip, signed_bls_to_execution_change).into()
}

fn rules(gossip: &mut Gossip, signed: &SignedBLSToExecutionChange) -> Checked {
    const WHY: &str = "invalid BLS to execution change signature";
    let (state, config) = (gossip.state, gossip.config());
    let change = &signed.message;
    let validator_index = change.validator_index;
    let current_epoch = compute_epoch_at_slot(gossip.current_slot());
    ignore_unless(
        current_epoch >= config.capella_fork_epoch,
        "current epoch is pre-capella",
    )?;
    let mark = Mark::BlsToExecutionChange { validator_index };
    gossip.check_first(&mark)?;
    gossip.check_validator_index(validator_index, "validator index out of range")?;
    let credentials = unanswered(validator(state, validator_index))?.withdrawal_credentials;
    reject_unless(
        credentials.0[0] == BLS_WITHDRAWAL_PREFIX,
        "validator does not have BLS withdrawal credentials",
    )?;
    reject_unless(
        credentials.0[1..] == sha256(&change.from_bls_pubkey.0)[1..],
        "pubkey does not match validator withdrawal credentials",
    )?;
    gossip.check_signature(WHY, |_| {
        let version = config.genesis_fork_version;
        let domain = compute_domain(DOMAIN_BLS_TO_EXECUTION_CHANGE, version, state.genesis_validators_root);
        // Nobody has checked this key before.
        let pubkey = PublicKey::from_compressed(&change.from_bls_pubkey.0)
            .map_err(|error| Invalid::new(WHY, error.to_string()))?;
        Ok(SignatureSet {
            signature: parse_signature(WHY, &signed.signature)?,
            pubkey,
            message: compute_signing_root(change, state.at, domain).0,
        })
    })?;
    gossip.marks.push(mark);
    Ok(())
}
