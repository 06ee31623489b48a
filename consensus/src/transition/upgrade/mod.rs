//! Irregular state changes: a fork turns the state of the one before it into its own.
//!
//! Fields that a fork adds are filled, those that it drops go back to their default, as they stand in no encoding any
//! more. All else stays where it is, so that an upgrade copies nothing but what changes shape.

mod altair;
mod bellatrix;
mod capella;
mod deneb;
mod electra;
mod fulu;
mod gloas;

pub use altair::{translate_participation, upgrade_to_altair};
pub use bellatrix::upgrade_to_bellatrix;
pub use capella::upgrade_to_capella;
pub use deneb::upgrade_to_deneb;
pub use electra::upgrade_to_electra;
pub use fulu::{initialize_proposer_lookahead, upgrade_to_fulu};
pub use gloas::{initialize_ptc_window, onboard_builders_from_pending_deposits, upgrade_to_gloas};

use crate::fork::Fork;
use crate::helpers::accessors::get_current_epoch;
use crate::preset::SLOTS_PER_EPOCH;
use crate::state::State;
use crate::types::ForkInfo;
use crate::{Config, Invalid};

/// Upgrades a state at the first slot of an epoch through every fork that starts there, one after the other. At genesis
/// this makes the state of a network whose forks have begun already.
///
/// Spec: "Fork trigger" in fork.md of every fork.
pub fn upgrade_where_due(state: &mut State, config: &Config) -> Result<(), Invalid> {
    if !state.slot.is_multiple_of(SLOTS_PER_EPOCH) {
        return Ok(());
    }
    let epoch = get_current_epoch(state);
    while let Some(next) = state.at.next() {
        if config.fork_epoch(next) != epoch {
            break;
        }
        upgrade_to(state, config, next)?;
    }
    Ok(())
}

/// Upgrades a state to the fork after its own. An error if `fork` is another.
pub fn upgrade_to(state: &mut State, config: &Config, fork: Fork) -> Result<(), Invalid> {
    if fork.previous() != Some(state.at) {
        let detail = format!("from {} to {fork} is more than one step", state.at);
        return Err(Invalid::new("upgrade order", detail));
    }
    match fork {
        Fork::Phase0 => Ok(()), // has no fork before it, and was refused above
        Fork::Altair => upgrade_to_altair(state, config),
        Fork::Bellatrix => {
            upgrade_to_bellatrix(state, config);
            Ok(())
        }
        Fork::Capella => {
            upgrade_to_capella(state, config);
            Ok(())
        }
        Fork::Deneb => {
            upgrade_to_deneb(state, config);
            Ok(())
        }
        Fork::Electra => upgrade_to_electra(state, config),
        Fork::Fulu => upgrade_to_fulu(state, config),
        Fork::Gloas => upgrade_to_gloas(state, config),
    }
}

/// What every upgrade does: the state is at `fork` from its current epoch on.
fn enter(state: &mut State, config: &Config, fork: Fork) {
    let epoch = get_current_epoch(state);
    state.beacon.fork = ForkInfo {
        previous_version: state.beacon.fork.current_version,
        current_version: config.fork_version(fork),
        epoch,
    };
    state.at = fork;
    // Electra chooses proposers by another rule and takes effective balances from those who wait.
    state.cache.proposer = None;
    state.cache.effective_balances = None;
    state.cache.target_balances = None;
    state.cache.builder_indices = None;
}
