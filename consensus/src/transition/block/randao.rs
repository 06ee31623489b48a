//! The proposer's part in the chain's randomness.

use crate::Invalid;
use crate::constants::DOMAIN_RANDAO;
use crate::helpers::accessors::{get_beacon_proposer_index, get_current_epoch, get_randao_mix};
use crate::preset::EPOCHS_PER_HISTORICAL_VECTOR;
use crate::signing::{Context, compute_signing_root, get_current_domain, validator_set};
use crate::state::State;
use crate::types::BeaconBlockBody;
use crypto::hash::sha256;

/// Spec: phase0/beacon-chain.md, `process_randao`.
pub fn process_randao(state: &mut State, ctx: &mut Context, body: &BeaconBlockBody) -> Result<(), Invalid> {
    const RULE: &str = "randao reveal";
    let epoch = get_current_epoch(state);
    let proposer_index = get_beacon_proposer_index(state)?;
    ctx.check(RULE, |keys| {
        let signing_root = compute_signing_root(&epoch, state.at, get_current_domain(state, DOMAIN_RANDAO));
        validator_set(RULE, state, keys, proposer_index, signing_root, &body.randao_reveal)
    })?;
    let mut mix = get_randao_mix(state, epoch);
    for (byte, other) in mix.0.iter_mut().zip(sha256(body.randao_reveal.as_bytes())) {
        *byte ^= other;
    }
    let place = (epoch % EPOCHS_PER_HISTORICAL_VECTOR) as usize;
    if let Some(kept) = state.randao_mixes.get_mut(place) {
        *kept = mix;
    }
    Ok(())
}
