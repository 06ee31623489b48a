//! Who has what to do in an epoch.

use crate::api::beacon::sync_committee_indices;
use crate::api::http::{Answer, Call, Error, JSON, Router, Upload};
use crate::api::json::{array, numbers, object};
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context, upload};
use crate::chain::Snapshot;
use consensus::duties::{compute_sync_committee_period, get_proposers};
use consensus::helpers::accessors::{get_block_root_at_slot, get_current_epoch};
use consensus::helpers::misc::compute_start_slot_at_epoch;
use consensus::helpers::shuffling::EpochShuffling;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::Out;
use consensus::types::{CommitteeIndex, Epoch, Root, Slot, ValidatorIndex};
use consensus::{Fork, State};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.post(
        "/eth/v1/validator/duties/attester/{epoch}",
        INDICES,
        JSON,
        get_attester_duties,
    );
    router.get(
        "/eth/v1/validator/duties/proposer/{epoch}",
        JSON,
        get_proposer_duties_v1,
    );
    router.get(
        "/eth/v2/validator/duties/proposer/{epoch}",
        JSON,
        get_proposer_duties_v2,
    );
    router.post(
        "/eth/v1/validator/duties/sync/{epoch}",
        INDICES,
        JSON,
        get_sync_committee_duties,
    );
}

/// Room for some 80,000 indices.
pub(in crate::api) const INDICES: Upload = Upload::json(1 << 20);

/// How long the state of a new epoch is waited for; a worker takes a quarter of a second for a large network's, and several
/// times that on a small machine.
const AHEAD_WAIT: Duration = Duration::from_secs(2);
/// How often it is looked for meanwhile.
const AHEAD_LOOK: Duration = Duration::from_millis(10);

/// A state that knows the duties of an epoch, of the chain of the head.
pub(in crate::api) struct DutyState {
    pub(in crate::api) state: Arc<State>,
    /// The last block before it.
    pub(in crate::api) root: Root,
    pub(in crate::api) snapshot: Arc<Snapshot>,
}

impl ApiContext {
    /// The head's state in the current epoch: at hand but for a moment after an epoch has begun or the head has changed
    /// branches. A worker is at it then, which is waited for rather than doing the same again.
    pub(in crate::api) async fn duty_state(&self) -> Result<DutyState, Error> {
        let mut waited = Duration::ZERO;
        loop {
            let snapshot = self.chain.snapshot();
            let now = self.chain.clock().epoch().unwrap_or(0);
            let (ahead, head) = (&snapshot.ahead, &snapshot.head);
            if ahead.epoch() >= now && ahead.root == head.root {
                let (state, root) = (Arc::clone(&ahead.state), ahead.root);
                return Ok(DutyState { state, root, snapshot });
            }
            if waited >= AHEAD_WAIT {
                let slot = compute_start_slot_at_epoch(now).max(head.slot);
                let state = self.moved(head.root, slot).await?;
                let cannot = |why| Error::unavailable(format!("the head's state cannot be moved on: {why}"));
                let (state, root) = (state.map_err(cannot)?, head.root);
                return Ok(DutyState { state, root, snapshot });
            }
            tokio::time::sleep(AHEAD_LOOK).await;
            waited += AHEAD_LOOK;
        }
    }
}

impl DutyState {
    fn epoch(&self) -> Epoch {
        get_current_epoch(&self.state)
    }

    /// The last block before `epoch` begins: what was drawn with it stays as long as it does. The genesis block where
    /// there is none before.
    ///
    /// Spec: beacon-APIs, `dependent_root`.
    pub(in crate::api) fn last_block_before(&self, epoch: Epoch) -> Root {
        let slot = compute_start_slot_at_epoch(epoch).saturating_sub(1);
        // From the state's slot on there is no later block than its last.
        get_block_root_at_slot(&self.state, slot).unwrap_or(self.root)
    }

    fn reply(&self, dependent_root: Option<Root>) -> Reply {
        let reply = match dependent_root {
            Some(root) => Reply::new().member("dependent_root", format!("\"{root}\"")),
            None => Reply::new(),
        };
        reply.optimistic(self.snapshot.is_optimistic(&self.root))
    }

    /// Error 400 unless `epoch` is one of those around the state's.
    fn check_epoch(&self, epoch: Epoch, past: u64) -> Result<(), Error> {
        let current = self.epoch();
        if epoch.saturating_add(past) >= current && epoch <= current + 1 {
            return Ok(());
        }
        let message = format!("duties of epoch {epoch} are not known in epoch {current}, only of those around it");
        Err(Error::bad_request(message))
    }
}

/// Where a validator attests.
struct Duty {
    validator_index: ValidatorIndex,
    committee_index: CommitteeIndex,
    committee_length: usize,
    place: usize,
    slot: Slot,
}

/// The duties of these validators, ascending, in an epoch of a registry of `count`. One pass over the epoch's shuffling.
fn attester_duties(shuffling: &EpochShuffling, wanted: &[ValidatorIndex], count: usize) -> Vec<Duty> {
    // A mark for each is quicker to look at than a search for each of two million members.
    let highest = wanted
        .last()
        .map_or(0, |index| index.saturating_add(1).min(count as u64));
    let mut is_wanted = vec![false; highest as usize];
    for index in wanted {
        if let Some(mark) = is_wanted.get_mut(*index as usize) {
            *mark = true;
        }
    }
    let start = compute_start_slot_at_epoch(shuffling.epoch);
    let mut duties = Vec::new();
    for slot in start..start + SLOTS_PER_EPOCH {
        for committee_index in 0..shuffling.committees_per_slot {
            let committee = shuffling.committee(slot, committee_index).unwrap_or_default();
            for (place, member) in committee.iter().enumerate() {
                if is_wanted.get(*member as usize).copied().unwrap_or(false) {
                    duties.push(Duty {
                        validator_index: u64::from(*member),
                        committee_index,
                        committee_length: committee.len(),
                        place,
                        slot,
                    });
                }
            }
        }
    }
    duties
}

/// Spec: beacon-APIs, `getAttesterDuties`.
async fn get_attester_duties(context: Context, mut call: Call) -> Answer {
    let epoch = call.path_number(0, "epoch")?;
    let wanted = upload::indices(&context, &mut call).await?;
    context.check_synced()?;
    let duty_state = context.duty_state().await?;
    duty_state.check_epoch(epoch, 1)?;
    let reply = duty_state.reply(Some(duty_state.last_block_before(epoch.saturating_sub(1))));
    let state = duty_state.state;
    let answer = context.work(move || {
        let computed;
        let shuffling = if let Some(kept) = state.shuffling(epoch) {
            kept.as_ref()
        } else {
            computed = EpochShuffling::compute(&state, epoch);
            &computed
        };
        let duties = attester_duties(shuffling, &wanted, state.validators.len());
        reply.json(|out| {
            array(out, &duties, |out, duty| {
                write_attester_duty(out, &state, shuffling.committees_per_slot, duty);
            });
        })
    });
    answer.await
}

/// Spec: beacon-APIs, `AttesterDuty`.
fn write_attester_duty(out: &mut Out, state: &State, committees_at_slot: u64, duty: &Duty) {
    // Members of committees are in the registry.
    let pubkey = state
        .validators
        .get(duty.validator_index as usize)
        .map(|validator| validator.pubkey);
    object(out, |object| {
        object.quoted("pubkey", pubkey.unwrap_or_default());
        object.quoted("validator_index", duty.validator_index);
        object.quoted("committee_index", duty.committee_index);
        object.quoted("committee_length", duty.committee_length);
        object.quoted("committees_at_slot", committees_at_slot);
        object.quoted("validator_committee_index", duty.place);
        object.quoted("slot", duty.slot);
    });
}

/// Spec: beacon-APIs, `getProposerDuties`, whose dependent root is the last block before the epoch.
async fn get_proposer_duties_v1(context: Context, call: Call) -> Answer {
    get_proposer_duties(context, call, 0).await
}

/// Spec: beacon-APIs, `getProposerDutiesV2`, whose dependent root is the last block before the epoch before.
async fn get_proposer_duties_v2(context: Context, call: Call) -> Answer {
    get_proposer_duties(context, call, 1).await
}

async fn get_proposer_duties(context: Context, call: Call, lookahead: u64) -> Answer {
    let epoch = call.path_number(0, "epoch")?;
    context.check_synced()?;
    let duty_state = context.duty_state().await?;
    duty_state.check_epoch(epoch, 0)?;
    let reply = duty_state.reply(Some(duty_state.last_block_before(epoch.saturating_sub(lookahead))));
    let first = compute_start_slot_at_epoch(epoch);
    let mut state = duty_state.state;
    if epoch > get_current_epoch(&state) && state.at < Fork::Fulu {
        // Before Fulu a state knows the proposers of its own epoch alone.
        let moved = context.moved(duty_state.root, first).await?;
        state =
            moved.map_err(|why| Error::unavailable(format!("the proposers of epoch {epoch} are not known: {why}")))?;
    }
    let answer = context.work(move || {
        let known = get_proposers(&state).map_err(|why| Error::internal(why.to_string()))?;
        let start = compute_start_slot_at_epoch(get_current_epoch(&state));
        let all = known.into_iter().zip(start..);
        let wanted: Vec<(ValidatorIndex, Slot)> = all
            .filter(|(_, slot)| (first..first + SLOTS_PER_EPOCH).contains(slot))
            .collect();
        Ok(reply.json(|out| array(out, &wanted, |out, duty| write_proposer_duty(out, &state, *duty))))
    });
    answer.await?
}

/// Spec: beacon-APIs, `ProposerDuty`.
fn write_proposer_duty(out: &mut Out, state: &State, (index, slot): (ValidatorIndex, Slot)) {
    // Proposers are in the registry.
    let pubkey = state.validators.get(index as usize).map(|validator| validator.pubkey);
    object(out, |object| {
        object.quoted("pubkey", pubkey.unwrap_or_default());
        object.quoted("validator_index", index);
        object.quoted("slot", slot);
    });
}

/// Spec: beacon-APIs, `getSyncCommitteeDuties`.
async fn get_sync_committee_duties(context: Context, mut call: Call) -> Answer {
    let epoch = call.path_number(0, "epoch")?;
    let wanted = upload::indices(&context, &mut call).await?;
    context.check_synced()?;
    let duty_state = context.duty_state().await?;
    let current = compute_sync_committee_period(duty_state.epoch());
    let period = compute_sync_committee_period(epoch);
    if period < current || period > current + 1 {
        let message = format!("epoch {epoch} is in period {period}; known are {current} and the next");
        return Err(Error::bad_request(message));
    }
    let reply = duty_state.reply(None);
    let (state, snapshot) = (duty_state.state, duty_state.snapshot);
    if state.at < Fork::Altair {
        // No committee, so no duties.
        return Ok(reply.json(|out| out.put(b"[]")));
    }
    let answer = context.work(move || {
        let members = sync_committee_indices(&snapshot, &state, epoch)?;
        let mut seats: BTreeMap<ValidatorIndex, Vec<u64>> = BTreeMap::new();
        for (seat, member) in members.into_iter().enumerate() {
            if wanted.binary_search(&member).is_ok() {
                seats.entry(member).or_default().push(seat as u64);
            }
        }
        Ok(reply.json(|out| {
            array(out, &seats, |out, (index, seats)| {
                write_sync_duty(out, &state, *index, seats);
            });
        }))
    });
    answer.await?
}

/// Spec: beacon-APIs, `SyncDuty`.
fn write_sync_duty(out: &mut Out, state: &State, index: ValidatorIndex, seats: &[u64]) {
    let pubkey = state.validators.get(index as usize).map(|validator| validator.pubkey);
    object(out, |object| {
        object.quoted("pubkey", pubkey.unwrap_or_default());
        object.quoted("validator_index", index);
        object.member("validator_sync_committee_indices", |out| {
            numbers(out, seats.iter().copied());
        });
    });
}
