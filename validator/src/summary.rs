//! What attesting has earned in an epoch, as the chain counts it: in words and Gwei.
//!
//! The chain settles an epoch's votes at the end of the next one, so an epoch is summed up two epochs later.

use crate::beacon::{Ask, AttestationRewards, Kind, Need, Node};
use crate::context::Context;
use crate::report::named;
use crate::validators::Validators;
use consensus::types::{Epoch, Slot, ValidatorIndex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A node may have to replay an epoch for the answer; nothing waits for it.
const WITHIN: Duration = Duration::from_secs(30);
/// So many validators go into one question.
const VALIDATORS_AT_ONCE: usize = 1_000;

/// The epoch whose votes are settled at `epoch`.
pub fn settled_at(epoch: Epoch) -> Option<Epoch> {
    epoch.checked_sub(2)
}

/// One line on a settled epoch; `None` where we had no part, or no node can tell.
pub async fn earned(ctx: &Context, settled: Epoch, slot: Slot) -> Option<String> {
    let validators = ctx.validators.borrow().clone();
    let indices = validators.active_in(settled);
    let ask = Ask {
        within: WITHIN,
        patience: WITHIN / 2,
        ..ctx.ask("rewards", Need::Head, slot, 0)
    };
    let mut rewards = AttestationRewards::default();
    for some in indices.chunks(VALIDATORS_AT_ONCE) {
        let call = |node: Arc<Node>, left| async move { node.attestation_rewards(settled, some, left).await };
        match ctx.nodes.first(ask, call).await {
            Ok(answer) => {
                rewards.ideal = answer.value.ideal;
                rewards.earned.extend(answer.value.earned);
            }
            Err(error) => {
                // Many nodes do not have this route or not for this epoch: then there is nothing to tell.
                if !matches!(error.kind(), Kind::Status(_)) {
                    tracing::debug!("{error}");
                }
                return None;
            }
        }
    }
    sum_up(settled, &rewards, &validators)
}

/// What came of a settled epoch, against the best that was possible.
fn sum_up(epoch: Epoch, rewards: &AttestationRewards, validators: &Validators) -> Option<String> {
    let best: BTreeMap<u64, i64> = rewards
        .ideal
        .iter()
        .map(|ideal| {
            let sum = ideal.head.saturating_add(ideal.target).saturating_add(ideal.source);
            (ideal.effective_balance, i64::try_from(sum).unwrap_or(i64::MAX))
        })
        .collect();
    let balances: BTreeMap<ValidatorIndex, u64> = validators
        .iter()
        .map(|info| (info.index, info.effective_balance))
        .collect();
    let (mut earned, mut possible) = (0_i64, 0_i64);
    let (mut missed, mut wrong_target, mut wrong_head) = (Vec::new(), Vec::new(), Vec::new());
    for reward in &rewards.earned {
        for part in [reward.head, reward.target, reward.source, reward.inactivity] {
            earned = earned.saturating_add(part);
        }
        let balance = balances.get(&reward.validator_index);
        let ideal = balance.and_then(|balance| best.get(balance)).copied().unwrap_or(0);
        possible = possible.saturating_add(ideal);
        // A vote is judged by its parts: without the source it was not counted at all.
        if reward.source < 0 {
            missed.push(reward.validator_index);
        } else if reward.target < 0 {
            wrong_target.push(reward.validator_index);
        } else if reward.head == 0 && ideal > 0 {
            wrong_head.push(reward.validator_index);
        }
    }
    if rewards.earned.is_empty() {
        return None;
    }
    let mut parts = vec![format!(
        "epoch {epoch} is settled: attesting {}",
        result(earned, possible)
    )];
    for (who, what) in [
        (missed, "not counted"),
        (wrong_target, "for another target, or late"),
        (wrong_head, "for another head, or late"),
    ] {
        if !who.is_empty() {
            parts.push(format!("{} {what} ({})", who.len(), named(&who)));
        }
    }
    Some(parts.join("; "))
}

/// What was earned, in words. In a leak the best vote earns nothing, and its share would be of nothing.
fn result(earned: i64, possible: i64) -> String {
    if possible > 0 {
        let share = earned as f64 * 100.0 / possible as f64;
        return format!("earned {earned} gwei of {possible} possible ({share:.1} %)");
    }
    let lost = earned.min(0).unsigned_abs();
    format!("lost {lost} gwei; nothing can be earned while the chain does not finalize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beacon::{AttestationReward, IdealReward, Status, ValidatorInfo};
    use consensus::constants::FAR_FUTURE_EPOCH;
    use consensus::ssz::Bytes;

    #[test]
    fn an_epoch_is_summed_up_against_what_was_possible() {
        let infos: Vec<ValidatorInfo> = (1..=4)
            .map(|number: u8| ValidatorInfo {
                index: number.into(),
                pubkey: Bytes([number; 48]),
                status: Status::ActiveOngoing,
                balance: 0,
                effective_balance: 32,
                slashed: false,
                activation_epoch: 0,
                exit_epoch: FAR_FUTURE_EPOCH,
            })
            .collect();
        let keys = infos.iter().map(|info| info.pubkey).collect();
        let validators = Validators::next(&Validators::default(), keys, infos);
        let reward = |validator_index, head, target, source| AttestationReward {
            validator_index,
            head,
            target,
            source,
            inactivity: 0,
        };
        let rewards = AttestationRewards {
            ideal: vec![IdealReward {
                effective_balance: 32,
                head: 10,
                target: 20,
                source: 15,
            }],
            earned: vec![
                reward(1, 10, 20, 15),
                reward(2, 0, 20, 15),
                reward(3, 0, -20, 15),
                reward(4, 0, -20, -15),
            ],
        };
        assert_eq!(
            sum_up(7, &rewards, &validators).unwrap(),
            "epoch 7 is settled: attesting earned 40 gwei of 180 possible (22.2 %); 1 not counted (validator 4); 1 for \
             another target, or late (validator 3); 1 for another head, or late (validator 2)"
        );
        assert_eq!(sum_up(7, &AttestationRewards::default(), &validators), None);
        let leak = AttestationRewards {
            ideal: Vec::new(),
            earned: vec![reward(1, 0, 0, 0), reward(4, 0, -20, -15)],
        };
        assert_eq!(
            sum_up(7, &leak, &validators).unwrap(),
            "epoch 7 is settled: attesting lost 35 gwei; nothing can be earned while the chain does not finalize; 1 not \
             counted (validator 4)"
        );
        assert_eq!((settled_at(1), settled_at(9)), (None, Some(7)));
    }
}
