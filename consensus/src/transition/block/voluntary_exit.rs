//! Validators who leave of their own will.

use crate::constants::{DOMAIN_VOLUNTARY_EXIT, FAR_FUTURE_EPOCH};
use crate::fork::Fork;
use crate::helpers::accessors::{get_current_epoch, get_pending_balance_to_withdraw, validator};
use crate::helpers::math::add;
use crate::helpers::mutators::initiate_validator_exit;
use crate::helpers::predicates::is_active_validator;
use crate::signing::{Context, compute_domain, compute_signing_root, get_domain, validator_set};
use crate::state::State;
use crate::types::{Domain, SignedVoluntaryExit, VoluntaryExit};
use crate::{Config, Invalid, ensure};

/// Spec: phase0/, deneb/ and electra/beacon-chain.md, `process_voluntary_exit`.
pub fn process_voluntary_exit(
    state: &mut State,
    ctx: &mut Context,
    signed_voluntary_exit: &SignedVoluntaryExit,
) -> Result<(), Invalid> {
    const SIGNATURE: &str = "voluntary exit signature";
    let voluntary_exit = &signed_voluntary_exit.message;
    let (config, index) = (ctx.config, voluntary_exit.validator_index);
    check_exit(state, config, voluntary_exit)?;
    ctx.check(SIGNATURE, |keys| {
        let domain = exit_domain(state, config, voluntary_exit);
        let signing_root = compute_signing_root(voluntary_exit, state.at, domain);
        validator_set(
            SIGNATURE,
            state,
            keys,
            index,
            signing_root,
            &signed_voluntary_exit.signature,
        )
    })?;
    initiate_validator_exit(state, config, index)
}

/// The validator may leave now.
fn check_exit(state: &State, config: &Config, voluntary_exit: &VoluntaryExit) -> Result<(), Invalid> {
    let index = voluntary_exit.validator_index;
    let leaving = validator(state, index)?;
    let epoch = get_current_epoch(state);
    ensure!(
        is_active_validator(leaving, epoch),
        "voluntary exit of the inactive",
        "validator {index} is not active in epoch {epoch}"
    );
    ensure!(
        leaving.exit_epoch == FAR_FUTURE_EPOCH,
        "voluntary exit again",
        "validator {index} leaves in epoch {} already",
        leaving.exit_epoch
    );
    ensure!(
        epoch >= voluntary_exit.epoch,
        "voluntary exit too early",
        "valid from epoch {} on, in epoch {epoch}",
        voluntary_exit.epoch
    );
    let allowed_from = add(leaving.activation_epoch, config.shard_committee_period)?;
    ensure!(
        epoch >= allowed_from,
        "voluntary exit of the young",
        "validator {index} may leave from epoch {allowed_from} on, not in {epoch}"
    );
    if state.at >= Fork::Electra {
        let pending = get_pending_balance_to_withdraw(state, index)?;
        ensure!(
            pending == 0,
            "voluntary exit with pending withdrawals",
            "validator {index} still waits for {pending} Gwei"
        );
    }
    Ok(())
}

/// Since Deneb an exit is valid for ever, since its domain no longer follows the forks (EIP-7044).
fn exit_domain(state: &State, config: &Config, voluntary_exit: &VoluntaryExit) -> Domain {
    if state.at >= Fork::Deneb {
        let version = config.capella_fork_version;
        compute_domain(DOMAIN_VOLUNTARY_EXIT, version, state.genesis_validators_root)
    } else {
        get_domain(state, DOMAIN_VOLUNTARY_EXIT, voluntary_exit.epoch)
    }
}
