//! Two headers of one proposer for one slot.

use crate::constants::DOMAIN_BEACON_PROPOSER;
use crate::fork::Fork;
use crate::helpers::accessors::{get_current_epoch, validator};
use crate::helpers::builders::{builder_payment_index, builder_payment_mut};
use crate::helpers::misc::compute_epoch_at_slot;
use crate::helpers::mutators::slash_validator;
use crate::helpers::predicates::is_slashable_validator;
use crate::signing::{Context, compute_signing_root, get_domain, validator_set};
use crate::state::State;
use crate::types::{BeaconBlockHeader, BuilderPendingPayment, ProposerSlashing};
use crate::{Invalid, ensure};

/// Spec: phase0/ and gloas/beacon-chain.md, `process_proposer_slashing`.
pub fn process_proposer_slashing(
    state: &mut State,
    ctx: &mut Context,
    proposer_slashing: &ProposerSlashing,
) -> Result<(), Invalid> {
    const SIGNATURE: &str = "proposer slashing signature";
    let header_1 = &proposer_slashing.signed_header_1.message;
    let header_2 = &proposer_slashing.signed_header_2.message;
    check_headers(header_1, header_2)?;
    let proposer_index = header_1.proposer_index;
    let epoch = get_current_epoch(state);
    ensure!(
        is_slashable_validator(validator(state, proposer_index)?, epoch),
        "proposer slashing of the unslashable",
        "validator {proposer_index} cannot be slashed in epoch {epoch}"
    );
    for signed_header in [&proposer_slashing.signed_header_1, &proposer_slashing.signed_header_2] {
        let header = &signed_header.message;
        ctx.check(SIGNATURE, |keys| {
            let domain = get_domain(state, DOMAIN_BEACON_PROPOSER, compute_epoch_at_slot(header.slot));
            let signing_root = compute_signing_root(header, state.at, domain);
            validator_set(
                SIGNATURE,
                state,
                keys,
                proposer_index,
                signing_root,
                &signed_header.signature,
            )
        })?;
    }
    if state.at >= Fork::Gloas {
        forget_payment(state, header_1)?;
    }
    let reward = slash_validator(state, ctx.config, proposer_index, None)?;
    ctx.rewards.proposer_slashings = ctx.rewards.proposer_slashings.saturating_add(reward);
    Ok(())
}

/// They are two, of one proposer, for one slot.
fn check_headers(header_1: &BeaconBlockHeader, header_2: &BeaconBlockHeader) -> Result<(), Invalid> {
    ensure!(
        header_1.slot == header_2.slot,
        "proposer slashing slots",
        "{} and {}",
        header_1.slot,
        header_2.slot
    );
    ensure!(
        header_1.proposer_index == header_2.proposer_index,
        "proposer slashing proposers",
        "{} and {}",
        header_1.proposer_index,
        header_2.proposer_index
    );
    ensure!(header_1 != header_2, "proposer slashing headers", "both are the same");
    Ok(())
}

/// A builder owes nothing to a proposer who has signed two blocks. Only to that one: anybody may sign a second header
/// for a slot, but not take an honest proposer's payment by it.
///
/// Spec: gloas/beacon-chain.md, in `process_proposer_slashing`.
fn forget_payment(state: &mut State, header: &BeaconBlockHeader) -> Result<(), Invalid> {
    let Some(payment_index) = builder_payment_index(state, header.slot) else {
        return Ok(());
    };
    let payment = builder_payment_mut(state, payment_index)?;
    if payment.proposer_index == header.proposer_index {
        *payment = BuilderPendingPayment::default();
    }
    Ok(())
}
