//! Topic `voluntary_exit`.

use super::verdict::{Checked, reject_unless};
use super::{Gossip, Mark, Verdict, unanswered};
use crate::constants::{DOMAIN_VOLUNTARY_EXIT, FAR_FUTURE_EPOCH};
use crate::fork::Fork;
use crate::helpers::accessors::{get_current_epoch, validator};
use crate::helpers::predicates::is_active_validator;
use crate::signing::compute_domain;
use crate::ssz::Ssz;
use crate::types::SignedVoluntaryExit;

/// Spec: phase0/ and deneb/p2p-interface.md, `validate_voluntary_exit_gossip`.
pub fn validate_voluntary_exit_gossip(gossip: &mut Gossip, signed_voluntary_exit: &SignedVoluntaryExit) -> Verdict {
    rules(gossip, signed_voluntary_exit).into()
}

fn rules(gossip: &mut Gossip, signed: &SignedVoluntaryExit) -> Checked {
    let (state, config) = (gossip.state, gossip.config());
    let voluntary_exit = &signed.message;
    let validator_index = voluntary_exit.validator_index;
    let mark = Mark::VoluntaryExit { validator_index };
    gossip.check_first(&mark)?;
    gossip.check_validator_index(validator_index, "validator index out of range")?;
    let validator = unanswered(validator(state, validator_index))?;
    let current_epoch = get_current_epoch(state);
    gossip.by_state(is_active_validator(validator, current_epoch), "validator is not active")?;
    reject_unless(
        validator.exit_epoch == FAR_FUTURE_EPOCH,
        "validator has already initiated exit",
    )?;
    gossip.by_state(
        current_epoch >= voluntary_exit.epoch,
        "voluntary exit epoch is in the future",
    )?;
    gossip.by_state(
        current_epoch >= validator.activation_epoch.saturating_add(config.shard_committee_period),
        "validator has not been active long enough",
    )?;
    let domain = if state.at >= Fork::Deneb {
        // Exits stay valid across forks.
        let version = config.capella_fork_version;
        compute_domain(DOMAIN_VOLUNTARY_EXIT, version, state.genesis_validators_root)
    } else {
        gossip.domain(DOMAIN_VOLUNTARY_EXIT, voluntary_exit.epoch)
    };
    gossip.check_validator_signature(
        "invalid voluntary exit signature",
        validator_index,
        domain,
        voluntary_exit.hash_tree_root(state.at),
        &signed.signature,
    )?;
    gossip.marks.push(mark);
    Ok(())
}
