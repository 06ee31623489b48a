//! Validators who name the execution address that withdrawals go to.

use crate::constants::{BLS_WITHDRAWAL_PREFIX, DOMAIN_BLS_TO_EXECUTION_CHANGE, ETH1_ADDRESS_WITHDRAWAL_PREFIX};
use crate::helpers::accessors::validator;
use crate::helpers::mutators::validator_mut;
use crate::signing::{Context, compute_domain, compute_signing_root, untrusted_key_set};
use crate::ssz::Bytes;
use crate::state::State;
use crate::types::SignedBLSToExecutionChange;
use crate::{Invalid, ensure};
use crypto::hash::sha256;

/// Spec: capella/beacon-chain.md, `process_bls_to_execution_change`.
pub fn process_bls_to_execution_change(
    state: &mut State,
    ctx: &mut Context,
    signed_address_change: &SignedBLSToExecutionChange,
) -> Result<(), Invalid> {
    const SIGNATURE: &str = "address change signature";
    let address_change = &signed_address_change.message;
    let (index, from) = (address_change.validator_index, &address_change.from_bls_pubkey);
    let held = validator(state, index)?.withdrawal_credentials;
    ensure!(
        held.0[0] == BLS_WITHDRAWAL_PREFIX,
        "address change credentials type",
        "validator {index} has {held}"
    );
    ensure!(
        held.0[1..] == sha256(&from.0)[1..],
        "address change credentials",
        "validator {index} has {held}, not the hash of {from}"
    );
    let version = ctx.config.genesis_fork_version;
    ctx.check(SIGNATURE, |_| {
        // Changes are valid on all forks.
        let domain = compute_domain(DOMAIN_BLS_TO_EXECUTION_CHANGE, version, state.genesis_validators_root);
        let signing_root = compute_signing_root(address_change, state.at, domain);
        untrusted_key_set(SIGNATURE, from, signing_root, &signed_address_change.signature)
    })?;
    let mut credentials = [0; 32];
    credentials[0] = ETH1_ADDRESS_WITHDRAWAL_PREFIX;
    credentials[12..].copy_from_slice(&address_change.to_execution_address.0);
    validator_mut(state, index)?.withdrawal_credentials = Bytes(credentials);
    Ok(())
}
