//! Namespace `rewards`: what was earned, computed again from states and blocks since finality.

use super::beacon::{IDS, sync_committee_indices};
use super::http::{Answer, Call, Error, Format, JSON, Router};
use super::ids::{FoundBlock, Id, Standing, ValidatorId};
use super::json::{array, object};
use super::reply::Reply;
use super::{ApiContext, Context, bulk, upload};
use crate::chain::Snapshot;
use consensus::constants::{TIMELY_HEAD_FLAG_INDEX, TIMELY_SOURCE_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX};
use consensus::fork_choice::Node;
use consensus::helpers::accessors::get_current_epoch;
use consensus::helpers::misc::compute_start_slot_at_epoch;
use consensus::preset::{EFFECTIVE_BALANCE_INCREMENT, MAX_EFFECTIVE_BALANCE, MAX_EFFECTIVE_BALANCE_ELECTRA};
use consensus::signing::{Context as Signing, ProposerRewards};
use consensus::ssz::Out;
use consensus::transition::block::sync_committee_rewards;
use consensus::transition::epoch::{
    Deltas, FlagRewards, deltas_phase0, get_flag_index_deltas, get_inactivity_penalty_deltas,
};
use consensus::transition::state_transition;
use consensus::types::{Epoch, Gwei, SignedBeaconBlock, ValidatorIndex};
use consensus::{Config, Fork, Invalid, State};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/beacon/rewards/blocks/{block_id}", JSON, get_block_rewards);
    router.post(
        "/eth/v1/beacon/rewards/sync_committee/{block_id}",
        IDS,
        JSON,
        get_sync_committee_rewards,
    );
    router.post(
        "/eth/v1/beacon/rewards/attestations/{epoch}",
        IDS,
        JSON,
        get_attestation_rewards,
    );
}

impl ApiContext {
    /// Has a thread for blocking work compute something that takes a tenth of a second and more: not a worker, which has
    /// blocks to look at. Gives its place among long answers, too.
    async fn compute<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, OwnedSemaphorePermit), Error> {
        let place = self.place().await?;
        let done = tokio::task::spawn_blocking(move || (job(), place));
        done.await
            .map_err(|_| Error::internal("the computation failed; this is a bug, please report it"))
    }
}

/// The block before one. Error 404 where its state is not here.
fn parent(block: &FoundBlock) -> Result<&Node, Error> {
    let node = block.snapshot.block(&block.root);
    let parent = node.and_then(|node| block.snapshot.block(&node.parent_root));
    parent.ok_or_else(|| {
        Error::not_found("the state before the block is not here: states are kept since the finalized block")
    })
}

/// The rewards of a block's proposer. Its signatures have been checked when it came.
fn proposer_rewards(snapshot: &Snapshot, state: &State, block: &SignedBeaconBlock) -> Result<ProposerRewards, Invalid> {
    let mut ctx = Signing::trusting(snapshot.view.config(), &snapshot.keys);
    state_transition(state, block, &mut ctx, false)?;
    Ok(ctx.rewards)
}

/// Spec: beacon-APIs, `getBlockRewards`.
async fn get_block_rewards(context: Context, call: Call) -> Answer {
    let block = context.block(&call).await?;
    let (root, slot) = parent(&block).map(|parent| (parent.root, parent.slot))?;
    let state = context.moved(root, slot).await?.map_err(unexpected)?;
    let signed = context.load_decoded(&block).await?;
    let reply = Reply::new().standing(block.standing);
    let snapshot = block.snapshot;
    let answer = context.compute(move || {
        let rewards = proposer_rewards(&snapshot, &state, &signed)?;
        Ok(reply.object(|object| {
            object.quoted("proposer_index", signed.message.proposer_index);
            object.quoted("total", rewards.total());
            object.quoted("attestations", rewards.attestations);
            object.quoted("sync_aggregate", rewards.sync_aggregate);
            object.quoted("proposer_slashings", rewards.proposer_slashings);
            object.quoted("attester_slashings", rewards.attester_slashings);
        }))
    });
    answer.await?.0.map_err(unexpected)
}

/// What was accepted before cannot be computed again.
fn unexpected(why: Invalid) -> Error {
    Error::internal(format!("the rewards cannot be computed: {why}"))
}

/// What each member of the sync committee got or lost for a block.
fn sync_rewards(
    snapshot: &Snapshot,
    state: &State,
    block: &SignedBeaconBlock,
) -> Result<BTreeMap<ValidatorIndex, i64>, Error> {
    let mut rewards = BTreeMap::new();
    if state.at < Fork::Altair {
        return Ok(rewards);
    }
    let members = sync_committee_indices(snapshot, state, get_current_epoch(state))?;
    let (reward, _) = sync_committee_rewards(state).map_err(unexpected)?;
    let reward = i64::try_from(reward).unwrap_or(i64::MAX);
    let bits = block.message.body.sync_aggregate.sync_committee_bits.iter();
    for (member, participated) in members.into_iter().zip(bits) {
        let sum: &mut i64 = rewards.entry(member).or_default();
        *sum = sum.saturating_add(if participated { reward } else { -reward });
    }
    Ok(rewards)
}

/// The indices of those asked for, ascending; `None` for all.
fn wanted_indices(snapshot: &Snapshot, state: &State, ids: &[ValidatorId]) -> Option<Vec<ValidatorIndex>> {
    if ids.is_empty() {
        return None;
    }
    let mut indices: Vec<ValidatorIndex> = ids.iter().filter_map(|id| id.index(snapshot, state)).collect();
    indices.sort_unstable();
    indices.dedup();
    Some(indices)
}

/// Spec: beacon-APIs, `getSyncCommitteeRewards`.
async fn get_sync_committee_rewards(context: Context, mut call: Call) -> Answer {
    let block = context.block(&call).await?;
    let ids = upload::ids(&context, &mut call).await?;
    let parent = parent(&block)?.root;
    let signed = context.load_decoded(&block).await?;
    let state = context.moved(parent, block.slot).await?;
    let state = state.map_err(|why| Error::not_found(why.to_string()))?;
    let reply = Reply::new().standing(block.standing);
    let snapshot = block.snapshot;
    let answer = context.work(move || {
        let mut rewards = sync_rewards(&snapshot, &state, &signed)?;
        if let Some(indices) = wanted_indices(&snapshot, &state, &ids) {
            rewards.retain(|index, _| indices.binary_search(index).is_ok());
        }
        Ok(reply.json(|out| {
            array(out, &rewards, |out, (index, reward)| {
                object(out, |object| {
                    object.quoted("validator_index", index);
                    object.quoted("reward", reward);
                });
            });
        }))
    });
    answer.await?
}

/// A component of what attesters earn, by validator, in Gwei.
type Component = Vec<i64>;

/// What attesters earned in the epoch before a state's, by component.
struct Earned {
    head: Component,
    target: Component,
    source: Component,
    inclusion_delay: Option<Component>,
    inactivity: Component,
}

/// Rewards less penalties of these validators, or of all.
fn component(deltas: Result<Deltas, Invalid>, indices: Option<&[ValidatorIndex]>) -> Result<Component, Invalid> {
    let deltas = deltas?;
    let of = |index: usize| {
        let signed = |list: &[u64]| {
            list.get(index)
                .map_or(0, |value| i64::try_from(*value).unwrap_or(i64::MAX))
        };
        signed(&deltas.rewards).saturating_sub(signed(&deltas.penalties))
    };
    Ok(match indices {
        Some(indices) => indices.iter().map(|index| of(*index as usize)).collect(),
        None => (0..deltas.rewards.len()).map(of).collect(),
    })
}

impl Earned {
    /// One component after the other, so that of the lists for all validators only one stands in memory.
    fn of(state: &State, config: &Config, indices: Option<&[ValidatorIndex]>) -> Result<Self, Invalid> {
        if state.at < Fork::Altair {
            return Ok(Earned {
                head: component(deltas_phase0::get_head_deltas(state, config), indices)?,
                target: component(deltas_phase0::get_target_deltas(state, config), indices)?,
                source: component(deltas_phase0::get_source_deltas(state, config), indices)?,
                inclusion_delay: Some(component(
                    deltas_phase0::get_inclusion_delay_deltas(state, config),
                    indices,
                )?),
                inactivity: component(deltas_phase0::get_inactivity_penalty_deltas(state, config), indices)?,
            });
        }
        let flag = |flag_index| component(get_flag_index_deltas(state, config, flag_index), indices);
        Ok(Earned {
            head: flag(TIMELY_HEAD_FLAG_INDEX)?,
            target: flag(TIMELY_TARGET_FLAG_INDEX)?,
            source: flag(TIMELY_SOURCE_FLAG_INDEX)?,
            inclusion_delay: None,
            inactivity: component(get_inactivity_penalty_deltas(state, config), indices)?,
        })
    }

    /// Spec: beacon-APIs, `AttestationRewards`.
    fn write(&self, out: &mut Out, place: usize, index: ValidatorIndex) {
        let of = |component: &Component| component.get(place).copied().unwrap_or(0);
        object(out, |object| {
            object.quoted("validator_index", index);
            object.quoted("head", of(&self.head));
            object.quoted("target", of(&self.target));
            object.quoted("source", of(&self.source));
            if let Some(delay) = &self.inclusion_delay {
                object.quoted("inclusion_delay", of(delay));
            }
            object.quoted("inactivity", of(&self.inactivity));
        });
    }
}

/// What a validator that did everything right would have earned, in Gwei.
struct Ideal {
    effective_balance: Gwei,
    head: Gwei,
    target: Gwei,
    source: Gwei,
}

/// The same for every effective balance. None in phase0, where it depends on who included its vote.
///
/// Spec: beacon-APIs, `IdealAttestationRewards`.
fn ideal(state: &State, config: &Config) -> Result<Vec<Ideal>, Invalid> {
    if state.at < Fork::Altair {
        return Ok(Vec::new());
    }
    let rewards = FlagRewards::at(state, config)?;
    let highest = if state.at >= Fork::Electra {
        MAX_EFFECTIVE_BALANCE_ELECTRA
    } else {
        MAX_EFFECTIVE_BALANCE
    };
    let of = |increments: u64| {
        Ok(Ideal {
            effective_balance: increments * EFFECTIVE_BALANCE_INCREMENT,
            head: rewards.reward(TIMELY_HEAD_FLAG_INDEX, increments)?,
            target: rewards.reward(TIMELY_TARGET_FLAG_INDEX, increments)?,
            source: rewards.reward(TIMELY_SOURCE_FLAG_INDEX, increments)?,
        })
    };
    (1..=highest / EFFECTIVE_BALANCE_INCREMENT).map(of).collect()
}

fn write_ideal(out: &mut Out, ideal: &Ideal) {
    object(out, |object| {
        object.quoted("effective_balance", ideal.effective_balance);
        object.quoted("head", ideal.head);
        object.quoted("target", ideal.target);
        object.quoted("source", ideal.source);
        object.quoted("inactivity", 0);
    });
}

/// The state at the end of the epoch after `epoch`, where the votes of `epoch` are paid for. Error 404 where it is not here
/// yet or not any more.
async fn paying_state(context: &ApiContext, epoch: Epoch) -> Result<(Arc<State>, Arc<Snapshot>, Standing), Error> {
    let now = context.chain.snapshot().current_slot();
    let paid = epoch
        .checked_add(2)
        .map(compute_start_slot_at_epoch)
        .filter(|paid| *paid <= now);
    let Some(paid) = paid else {
        let message = format!(
            "votes of epoch {epoch} are paid for when epoch {} has ended",
            epoch.saturating_add(1)
        );
        return Err(Error::not_found(message));
    };
    let found = context.state_of(Id::Slot(paid - 1)).await?;
    Ok((found.state, found.snapshot, found.standing))
}

/// Spec: beacon-APIs, `getAttestationsRewards`.
async fn get_attestation_rewards(context: Context, mut call: Call) -> Answer {
    let epoch = call.path_number(0, "epoch")?;
    let ids = upload::ids(&context, &mut call).await?;
    let (state, snapshot, standing) = paying_state(&context, epoch).await?;
    let config = Arc::clone(context.chain.config());
    let computed = context.compute(move || {
        let indices = wanted_indices(&snapshot, &state, &ids);
        let earned = Earned::of(&state, &config, indices.as_deref())?;
        let all = 0..state.validators.len() as u64;
        Ok((earned, ideal(&state, &config)?, indices, all))
    });
    let (computed, place) = computed.await?;
    let (earned, ideal, indices, all) = computed.map_err(unexpected)?;
    let reply = Reply::new().standing(standing);
    let before = reply.before_data();
    let body = bulk::encoded(place, move |out| {
        out.put(&before);
        object(out, |object| {
            object.member("ideal_rewards", |out| array(out, &ideal, write_ideal));
            object.member("total_rewards", |out| match &indices {
                Some(indices) => array(out, indices.iter().enumerate(), |out, (place, index)| {
                    earned.write(out, place, *index);
                }),
                None => array(out, all.enumerate(), |out, (place, index)| {
                    earned.write(out, place, index);
                }),
            });
        });
        out.put(b"}");
    });
    Ok(reply.with(Format::Json, body))
}
