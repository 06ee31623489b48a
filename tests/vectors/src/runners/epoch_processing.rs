//! The steps of the epoch transition one by one, and the whole transition where the case has its states.
//! Format: tests/formats/epoch_processing/README.md.

use consensus::transition::epoch::*;
use consensus::{Config, Fork, Invalid, State};

use crate::runners::state;
use crate::{Case, Failure, Outcome, Verdict};

type Step = fn(&mut State, &Config) -> Result<(), Invalid>;

/// Each handler with its step.
#[allow(clippy::unit_arg)] // `done` turns the steps that cannot fail into those that can
const STEPS: &[(&str, Step)] = &[
    ("builder_pending_payments", |state, _| {
        process_builder_pending_payments(state)
    }),
    ("effective_balance_updates", process_effective_balance_updates),
    ("eth1_data_reset", |state, _| done(process_eth1_data_reset(state))),
    ("historical_roots_update", |state, _| {
        process_historical_roots_update(state)
    }),
    ("historical_summaries_update", |state, _| {
        process_historical_summaries_update(state)
    }),
    ("inactivity_updates", process_inactivity_updates),
    ("justification_and_finalization", process_justification_and_finalization),
    ("participation_flag_updates", |state, _| {
        done(process_participation_flag_updates(state))
    }),
    ("participation_record_updates", |state, _| {
        done(process_participation_record_updates(state))
    }),
    ("pending_consolidations", process_pending_consolidations),
    ("pending_deposits", process_pending_deposits),
    ("pending_deposits_churn", process_pending_deposits),
    ("proposer_lookahead", process_proposer_lookahead),
    ("ptc_window", process_ptc_window),
    ("randao_mixes_reset", |state, _| done(process_randao_mixes_reset(state))),
    ("registry_updates", process_registry_updates),
    ("rewards_and_penalties", process_rewards_and_penalties),
    ("slashings", process_slashings),
    ("slashings_reset", |state, _| done(process_slashings_reset(state))),
    ("sync_committee_updates", |state, _| {
        process_sync_committee_updates(state)
    }),
];

#[allow(clippy::unnecessary_wraps)] // for steps that cannot fail, in a table of those that can
fn done((): ()) -> Result<(), Invalid> {
    Ok(())
}

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
            process_epoch,
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
    let result = step(&mut state, config);
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
