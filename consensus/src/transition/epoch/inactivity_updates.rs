//! Inactivity scores, by which absence during a leak is paid.

use super::leak::is_in_inactivity_leak;
use super::row::Row;
use super::survey::Survey;
use crate::constants::{GENESIS_EPOCH, TIMELY_TARGET_FLAG_INDEX};
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::math::add;
use crate::state::State;
use crate::{Config, Invalid};

/// Spec: altair/beacon-chain.md, `process_inactivity_updates`.
pub fn process_inactivity_updates(state: &mut State, config: &Config) -> Result<(), Invalid> {
    let mut survey = Survey::of(state, config)?;
    update_scores(state, config, &mut survey)
}

/// `process_inactivity_updates` with what the survey found, which learns whether any score is left.
pub(super) fn update_scores(state: &mut State, config: &Config, survey: &mut Survey) -> Result<(), Invalid> {
    // Scores are based on the participation in the previous epoch.
    if get_current_epoch(state) == GENESIS_EPOCH {
        return Ok(());
    }
    let leak = is_in_inactivity_leak(state)?;
    let rows = &survey.rows;
    let (mut any, mut failed) = (0, None);
    state.inactivity_scores.update(|index, score| {
        let row = rows.get(index).filter(|row| row.has(Row::ELIGIBLE));
        let new = row.map_or(Ok(*score), |row| new_score(config, *row, *score, leak));
        let new = new.unwrap_or_else(|invalid| {
            failed = Some(invalid);
            *score
        });
        any |= new;
        (new != *score).then_some(new)
    });
    survey.scores_are_zero = any == 0;
    failed.map_or(Ok(()), Err)
}

/// The score of an eligible validator after the epoch.
#[inline]
fn new_score(config: &Config, row: Row, score: u64, leak: bool) -> Result<u64, Invalid> {
    let score = if row.earned(TIMELY_TARGET_FLAG_INDEX) {
        score.saturating_sub(1)
    } else {
        add(score, config.inactivity_score_bias)?
    };
    Ok(if leak {
        score
    } else {
        score.saturating_sub(config.inactivity_score_recovery_rate)
    })
}
