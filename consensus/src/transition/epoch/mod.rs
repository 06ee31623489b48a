//! What the end of an epoch does to a state: one file for each function of the specs.
//!
//! Every `process_*` stands for itself, as the specs have it. [`process_epoch`] calls the same code in the specs' order,
//! but looks at the registry once for all of them (see `survey`).

mod attestations;
mod builder_pending_payments;
mod deltas;
pub mod deltas_phase0;
mod deposit_indices;
mod effective_balance_updates;
mod epoch_rewards;
mod eth1_data_reset;
mod historical_roots_update;
mod historical_summaries_update;
mod inactivity_updates;
mod justification_and_finalization;
mod leak;
mod participation_flag_updates;
mod participation_record_updates;
mod pending_consolidations;
mod pending_deposits;
mod proposer_lookahead;
mod ptc_window;
mod randao_mixes_reset;
mod registry_updates;
mod rewards_and_penalties;
mod row;
mod slashings;
mod slashings_reset;
mod survey;
mod sync_committee_updates;

pub use builder_pending_payments::{get_builder_payment_quorum_threshold, process_builder_pending_payments};
pub use deltas::{Deltas, FlagRewards, get_flag_index_deltas, get_inactivity_penalty_deltas};
pub use effective_balance_updates::process_effective_balance_updates;
pub use epoch_rewards::{Component, EpochRewards, ValidatorRewards};
pub use eth1_data_reset::process_eth1_data_reset;
pub use historical_roots_update::process_historical_roots_update;
pub use historical_summaries_update::process_historical_summaries_update;
pub use inactivity_updates::process_inactivity_updates;
pub use justification_and_finalization::{
    Finality, compute_unrealized_checkpoints, process_justification_and_finalization,
    weigh_justification_and_finalization,
};
pub use leak::{get_finality_delay, is_in_inactivity_leak};
pub use participation_flag_updates::process_participation_flag_updates;
pub use participation_record_updates::process_participation_record_updates;
pub use pending_consolidations::process_pending_consolidations;
pub use pending_deposits::{apply_pending_deposit, process_pending_deposits};
pub use proposer_lookahead::process_proposer_lookahead;
pub use ptc_window::process_ptc_window;
pub use randao_mixes_reset::process_randao_mixes_reset;
pub use registry_updates::process_registry_updates;
pub use rewards_and_penalties::process_rewards_and_penalties;
pub use slashings::process_slashings;
pub use slashings_reset::process_slashings_reset;
pub use sync_committee_updates::process_sync_committee_updates;

use crate::fork::Fork;
use crate::state::State;
use crate::{Config, Invalid};
use survey::Survey;

/// Ends the epoch of a state that is in its last slot. After an error the state is of no use.
///
/// Spec: phase0/, altair/, capella/, electra/, fulu/ and gloas/beacon-chain.md, `process_epoch`.
pub fn process_epoch(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let mut survey = Survey::of(state, config)?;
    let survey = &mut survey;
    state.cache.total_active_balance = Some((survey.current_epoch, survey.total_active_balance));

    justification_and_finalization::justify_and_finalize(state, survey)?;
    if state.at >= Fork::Altair {
        inactivity_updates::update_scores(state, config, survey)?;
    }
    rewards_and_penalties::reward_and_penalize(state, config, survey)?;
    registry_updates::update_registry(state, config, survey)?;
    slashings::penalize_slashed(state, survey)?;
    process_eth1_data_reset(state);
    if state.at >= Fork::Electra {
        pending_deposits::dequeue_deposits(state, config, survey)?;
        pending_consolidations::consolidate(state, survey)?;
    }
    if state.at >= Fork::Gloas {
        process_builder_pending_payments(state)?;
    }
    effective_balance_updates::update_effective_balances(state, survey)?;
    process_slashings_reset(state);
    process_randao_mixes_reset(state);
    if state.at >= Fork::Capella {
        process_historical_summaries_update(state)?;
    } else {
        process_historical_roots_update(state)?;
    }
    if state.at >= Fork::Altair {
        process_participation_flag_updates(state);
        process_sync_committee_updates(state)?;
    } else {
        process_participation_record_updates(state);
    }
    if state.at >= Fork::Fulu {
        proposer_lookahead::extend_lookahead(state, survey)?;
    }
    if state.at >= Fork::Gloas {
        ptc_window::shift_window(state, survey)?;
    }
    survey.leave_behind(state);
    Ok(())
}
