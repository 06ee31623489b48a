//! The steps of the epoch transition one by one, and the whole transition where the case has its states.
//! Format: tests/formats/epoch_processing/README.md.

use consensus::transition::epoch::*;
use consensus::{Config, Fork, Invalid, State};

use crate::runners::state;
use crate::{Case, Failure, Outcome, Verdict};

/// A step in one of the forms that they have.
#[derive(Clone, Copy)]
enum Step {
    Plain(fn(&mut State)),
    Fallible(fn(&mut State) -> Result<(), Invalid>),
    Configured(fn(&mut State, &Config) -> Result<(), Invalid>),
}

use Step::{Configured, Fallible, Plain};

impl Step {
    fn apply(self, state: &mut State, config: &Config) -> Result<(), Invalid> {
        match self {
            Plain(step) => step(state),
            Fallible(step) => step(state)?,
            Configured(step) => step(state, config)?,
        }
        Ok(())
    }
}

/// Each handler with its step.
const STEPS: &[(&str, Step)] = &[
    ("builder_pending_payments", Fallible(process_builder_pending_payments)),
    (
        "effective_balance_updates",
        Configured(process_effective_balance_updates),
    ),
    ("eth1_data_reset", Plain(process_eth1_data_reset)),
    ("historical_roots_update", Fallible(process_historical_roots_update)),
    (
        "historical_summaries_update",
        Fallible(process_historical_summaries_update),
    ),
    ("inactivity_updates", Configured(process_inactivity_updates)),
    (
        "justification_and_finalization",
        Configured(process_justification_and_finalization),
    ),
    ("participation_flag_updates", Plain(process_participation_flag_updates)),
    (
        "participation_record_updates",
        Plain(process_participation_record_updates),
    ),
    ("pending_consolidations", Configured(process_pending_consolidations)),
    ("pending_deposits", Configured(process_pending_deposits)),
    ("pending_deposits_churn", Configured(process_pending_deposits)),
    ("proposer_lookahead", Configured(process_proposer_lookahead)),
    ("ptc_window", Configured(process_ptc_window)),
    ("randao_mixes_reset", Plain(process_randao_mixes_reset)),
    ("registry_updates", Configured(process_registry_updates)),
    ("rewards_and_penalties", Configured(process_rewards_and_penalties)),
    ("slashings", Configured(process_slashings)),
    ("slashings_reset", Plain(process_slashings_reset)),
    ("sync_committee_updates", Fallible(process_sync_committee_updates)),
];

/// Whether there is a step of that name; those of other forks do not occur.
pub(super) fn knows(name: &str, _: Fork) -> bool {
    STEPS.iter().any(|(known, _)| *known == name)
}

pub(super) fn run(case: &Case) -> Outcome {
    let name = case.path().handler();
    let (_, step) = STEPS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| Failure::new(format!("unknown step '{name}'")))?;
    let config = case.config()?;
    let verdict = check(case, &config, name, "pre.ssz_snappy", "post.ssz_snappy", *step)?;
    if case.has("pre_epoch.ssz_snappy") {
        check(
            case,
            &config,
            "epoch",
            "pre_epoch.ssz_snappy",
            "post_epoch.ssz_snappy",
            Configured(process_epoch),
        )?;
    }
    Ok(verdict)
}

/// Runs a step from `pre` to `post`, which is not there if the step must fail.
fn check(case: &Case, config: &Config, what: &str, pre: &str, post: &str, step: Step) -> Outcome {
    let mut state = state::read(case, pre)?;
    if what == "justification_and_finalization" {
        unrealized_is_realized(&state, config)?;
    }
    let result = step.apply(&mut state, config);
    if case.expect_validity(what, case.has(post), result)?.is_none() {
        return Ok(Verdict::Refused);
    }
    case.expect_ssz(what, post, &state.encode())?;
    Ok(Verdict::Valid)
}

/// The pure form must tell what the step then does.
fn unrealized_is_realized(state: &State, config: &Config) -> Result<(), Failure> {
    let told = compute_unrealized_checkpoints(state, config);
    let told = told.map_err(|invalid| Failure::new(format!("unrealized checkpoints: {invalid}")))?;
    let mut after = state.clone();
    let result = process_justification_and_finalization(&mut after, config);
    result.map_err(|invalid| Failure::new(format!("justification: {invalid}")))?;
    if told == Finality::of(&after) {
        Ok(())
    } else {
        let realized = Finality::of(&after);
        Err(Failure::new(format!("unrealized {told:?}, but realized {realized:?}")))
    }
}
