//! Committees of attesters and of the sync protocol.

use crate::api::bulk::{self, Pieces};
use crate::api::http::{Answer, Call, Error, Format, JSON, Router};
use crate::api::ids::FoundState;
use crate::api::json::{array, numbers, object};
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context};
use crate::chain::Snapshot;
use consensus::duties::compute_sync_committee_period;
use consensus::helpers::accessors::get_current_epoch;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::helpers::shuffling::EpochShuffling;
use consensus::preset::{SLOTS_PER_EPOCH, SYNC_SUBCOMMITTEE_SIZE};
use consensus::ssz::Out;
use consensus::types::{CommitteeIndex, Epoch, Slot, SyncCommittee, ValidatorIndex};
use consensus::{Fork, State};
use std::sync::Arc;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/beacon/states/{state_id}/committees", JSON, get_committees);
    router.get(
        "/eth/v1/beacon/states/{state_id}/sync_committees",
        JSON,
        get_sync_committees,
    );
}

/// Committees of an epoch being written, a slot at a time.
struct Listing {
    shuffling: Arc<EpochShuffling>,
    slots: std::ops::Range<Slot>,
    index: Option<CommitteeIndex>,
    first: bool,
    before: Vec<u8>,
}

impl Pieces for Listing {
    fn write(&mut self, bytes: &mut Vec<u8>) -> bool {
        let mut out = Out::memory(64 << 10);
        out.put(&std::mem::take(&mut self.before));
        if let Some(slot) = self.slots.next() {
            let all = 0..self.shuffling.committees_per_slot;
            for index in all.filter(|index| self.index.is_none_or(|wanted| wanted == *index)) {
                let members = self.shuffling.committee(slot, index).unwrap_or_default();
                if !std::mem::replace(&mut self.first, false) {
                    out.put(b",");
                }
                object(&mut out, |object| {
                    object.quoted("index", index);
                    object.quoted("slot", slot);
                    let members = members.iter().map(|member| u64::from(*member));
                    object.member("validators", |out| numbers(out, members));
                });
            }
        }
        let more = !self.slots.is_empty();
        if !more {
            out.put(b"]}");
        }
        *bytes = out.into_bytes();
        more
    }
}

/// Spec: beacon-APIs, `getEpochCommittees`.
async fn get_committees(context: Context, call: Call) -> Answer {
    let (epoch, slot) = (call.query.number("epoch")?, call.query.number("slot")?);
    let index = call.query.number("index")?;
    let found = context.state(&call).await?;
    let current = get_current_epoch(&found.state);
    let epoch = epoch.or(slot.map(compute_epoch_at_slot)).unwrap_or(current);
    if slot.is_some_and(|slot| compute_epoch_at_slot(slot) != epoch) {
        return Err(Error::bad_request(format!("the slot is not in epoch {epoch}")));
    }
    if epoch > current + 1 || epoch + 1 < current {
        let message = format!("a state of epoch {current} tells the committees of that epoch and those beside it");
        return Err(Error::bad_request(message));
    }
    let place = context.place().await?;
    let shuffling = shuffling(&context, &found.state, epoch).await?;
    if index.is_some_and(|index| index >= shuffling.committees_per_slot) {
        let count = shuffling.committees_per_slot;
        return Err(Error::bad_request(format!(
            "there are {count} committees in a slot of epoch {epoch}"
        )));
    }
    let start = compute_start_slot_at_epoch(epoch);
    let reply = Reply::new().standing(found.standing);
    let listing = Listing {
        shuffling,
        slots: slot.map_or(start..start + SLOTS_PER_EPOCH, |slot| slot..slot + 1),
        index,
        first: true,
        before: [reply.before_data(), b"[".to_vec()].concat(),
    };
    let body = bulk::body_of(context.chain.work(), listing, Some(place));
    Ok(reply.with(Format::Json, body))
}

/// The shuffling of an epoch around that of the state, kept or computed.
async fn shuffling(context: &Context, state: &Arc<State>, epoch: Epoch) -> Result<Arc<EpochShuffling>, Error> {
    if let Some(kept) = state.shuffling(epoch) {
        return Ok(Arc::clone(kept));
    }
    let state = Arc::clone(state);
    context
        .work(move || Arc::new(EpochShuffling::compute(&state, epoch)))
        .await
}

/// The sync committee of an epoch as far as the state knows it. Error 400 for other epochs.
fn sync_committee(state: &State, epoch: Epoch) -> Result<&SyncCommittee, Error> {
    if state.at < Fork::Altair {
        return Err(Error::bad_request("there are no sync committees before Altair"));
    }
    let known = compute_sync_committee_period(get_current_epoch(state));
    let period = compute_sync_committee_period(epoch);
    if period == known {
        Ok(&state.current_sync_committee)
    } else if period == known + 1 {
        Ok(&state.next_sync_committee)
    } else {
        let message = format!("epoch {epoch} is in period {period}; the state knows those of {known} and the next");
        Err(Error::bad_request(message))
    }
}

/// The members of the sync committee of an epoch by their seats. For workers.
pub(in crate::api) fn sync_committee_indices(
    snapshot: &Snapshot,
    state: &State,
    epoch: Epoch,
) -> Result<Vec<ValidatorIndex>, Error> {
    let committee = sync_committee(state, epoch)?;
    let indices = committee
        .pubkeys
        .iter()
        .map(|pubkey| snapshot.keys.index_of(state, pubkey));
    let indices: Option<Vec<ValidatorIndex>> = indices.collect();
    // A committee is drawn from the registry, which loses nobody.
    indices.ok_or_else(|| Error::internal("a member of the sync committee is not in the registry"))
}

/// Spec: beacon-APIs, `getEpochSyncCommittees`.
async fn get_sync_committees(context: Context, call: Call) -> Answer {
    let epoch = call.query.number("epoch")?;
    let FoundState {
        state,
        standing,
        snapshot,
    } = context.state(&call).await?;
    let epoch = epoch.unwrap_or(get_current_epoch(&state));
    let indices = context
        .work(move || sync_committee_indices(&snapshot, &state, epoch))
        .await??;
    let reply = Reply::new().standing(standing);
    Ok(reply.object(|object| {
        object.member("validators", |out| numbers(out, indices.iter().copied()));
        let subcommittees = indices.chunks(SYNC_SUBCOMMITTEE_SIZE as usize);
        object.member("validator_aggregates", |out| {
            array(out, subcommittees, |out, part| numbers(out, part.iter().copied()));
        });
    }))
}
