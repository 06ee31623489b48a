//! What a validator client announces: subnets to be on, proposers to prepare for; and who has been seen.

use super::duties::INDICES;
use crate::api::http::{ANY, Answer, Call, Error, JSON, Router, Upload, read_number};
use crate::api::json::{array, object};
use crate::api::liveness::liveness;
use crate::api::network::{CommitteeSubscription, SyncSubscription};
use crate::api::reply::{Reply, done};
use crate::api::{ApiContext, Context, upload};
use crate::chain::Snapshot;
use consensus::Fork;
use consensus::helpers::accessors::get_current_epoch;
use consensus::preset::SYNC_COMMITTEE_SIZE;
use consensus::types::{ExecutionAddress, SignedValidatorRegistrationV1, ValidatorIndex};
use hyper::StatusCode;
use serde_json::Value;
use std::str::FromStr;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.post(
        "/eth/v1/validator/beacon_committee_subscriptions",
        ANNOUNCEMENTS,
        ANY,
        subscribe_committees,
    );
    router.post(
        "/eth/v1/validator/sync_committee_subscriptions",
        ANNOUNCEMENTS,
        ANY,
        subscribe_sync_committees,
    );
    router.post(
        "/eth/v1/validator/prepare_beacon_proposer",
        ANNOUNCEMENTS,
        ANY,
        prepare_proposers,
    );
    router.post(
        "/eth/v1/validator/register_validator",
        REGISTRATIONS,
        ANY,
        register_validators,
    );
    router.post("/eth/v1/validator/liveness/{epoch}", INDICES, JSON, get_liveness);
    router.post(
        "/eth/v1/validator/beacon_committee_selections",
        ANNOUNCEMENTS,
        JSON,
        no_selections,
    );
    router.post(
        "/eth/v1/validator/sync_committee_selections",
        ANNOUNCEMENTS,
        JSON,
        no_selections,
    );
}

/// Announcements for ten thousand validators.
const ANNOUNCEMENTS: Upload = Upload::json(4 << 20);
/// Signed registrations of as many.
const REGISTRATIONS: Upload = Upload::json_or_ssz(8 << 20);
/// Announcements in one request.
const ANNOUNCED_MAX: usize = 16_384;

/// A member of an object that is a number in quotes.
fn number(entry: &Value, name: &str) -> Result<u64, Error> {
    let number = entry.get(name).and_then(|value| read_number(value.as_str()?));
    number.ok_or_else(|| Error::bad_request(format!("'{name}' is not a number in quotes")))
}

/// A list of at most so many entries as may be announced at once, each read by `read`.
async fn announced<T: Send + 'static>(
    context: &ApiContext,
    call: &mut Call,
    read: impl Fn(&Value) -> Result<T, Error> + Send + 'static,
) -> Result<Vec<T>, Error> {
    let list = upload::json(context, call, move |body| {
        let entries = body
            .as_array()
            .ok_or_else(|| Error::bad_request("the body is not an array"))?;
        if entries.len() > ANNOUNCED_MAX {
            let message = format!("{} entries, at most {ANNOUNCED_MAX} are taken at once", entries.len());
            return Err(Error::bad_request(message));
        }
        entries.iter().map(read).collect()
    });
    list.await
}

/// Spec: beacon-APIs, `prepareBeaconCommitteeSubnet`.
async fn subscribe_committees(context: Context, mut call: Call) -> Answer {
    let subscriptions = announced(&context, &mut call, |entry| {
        let is_aggregator = entry.get("is_aggregator").and_then(Value::as_bool);
        Ok(CommitteeSubscription {
            validator_index: number(entry, "validator_index")?,
            committee_index: number(entry, "committee_index")?,
            committees_at_slot: number(entry, "committees_at_slot")?,
            slot: number(entry, "slot")?,
            is_aggregator: is_aggregator.ok_or_else(|| Error::bad_request("'is_aggregator' is not a boolean"))?,
        })
    });
    let subscriptions = subscriptions.await?;
    context.check_synced()?;
    context.network.subscribe_committees(subscriptions);
    Ok(done())
}

/// Spec: beacon-APIs, `prepareSyncCommitteeSubnets`.
async fn subscribe_sync_committees(context: Context, mut call: Call) -> Answer {
    let subscriptions = announced(&context, &mut call, |entry| {
        let seats = entry.get("sync_committee_indices").and_then(Value::as_array);
        let seats = seats.filter(|seats| seats.len() as u64 <= SYNC_COMMITTEE_SIZE);
        let seats = seats.and_then(|seats| seats.iter().map(|seat| read_number(seat.as_str()?)).collect());
        let seats: Option<Vec<u64>> = seats;
        let seats = seats.filter(|seats| seats.iter().all(|seat| *seat < SYNC_COMMITTEE_SIZE));
        Ok(SyncSubscription {
            validator_index: number(entry, "validator_index")?,
            sync_committee_indices: seats
                .ok_or_else(|| Error::bad_request("'sync_committee_indices' is not a list of seats in quotes"))?,
            until_epoch: number(entry, "until_epoch")?,
        })
    });
    let subscriptions = subscriptions.await?;
    context.network.subscribe_sync_committees(subscriptions);
    Ok(done())
}

/// Spec: beacon-APIs, `prepareBeaconProposer`.
async fn prepare_proposers(context: Context, mut call: Call) -> Answer {
    let proposers = announced(&context, &mut call, |entry| {
        let index: ValidatorIndex = number(entry, "validator_index")?;
        let address = entry.get("fee_recipient").and_then(Value::as_str);
        let address = address.and_then(|text| ExecutionAddress::from_str(text).ok());
        let address = address.ok_or_else(|| Error::bad_request("'fee_recipient' is not an address with 0x"))?;
        Ok((index, address))
    });
    let proposers = proposers.await?;
    let epoch = context.chain.clock().epoch().unwrap_or(0);
    context.producer.prepare(epoch, &proposers);
    Ok(done())
}

/// Spec: beacon-APIs, `registerValidator`: those of validators that are active or will be are handed on to the builder. A
/// node without one has done all there is to do when it has read them.
async fn register_validators(context: Context, mut call: Call) -> Answer {
    let registrations: Vec<SignedValidatorRegistrationV1> =
        upload::list(&context, &mut call, Fork::Bellatrix, ANNOUNCED_MAX as u64).await?;
    let Some(builder) = context.producer.builder() else {
        tracing::debug!(
            count = registrations.len(),
            "registrations for builders came, and there is no builder"
        );
        return Ok(done());
    };
    let snapshot = context.chain.snapshot();
    let eligible = context.work(move || eligible(&snapshot, registrations)).await?;
    if !eligible.is_empty()
        && let Err(why) = builder.register(&eligible).await
    {
        tracing::warn!("registrations did not reach the builder: {why}");
        return Err(Error::internal(why));
    }
    Ok(done())
}

/// Registrations of validators that are active or pending. Spec: builder-specs bellatrix/builder.md,
/// `is_eligible_for_registration`.
fn eligible(
    snapshot: &Snapshot,
    mut registrations: Vec<SignedValidatorRegistrationV1>,
) -> Vec<SignedValidatorRegistrationV1> {
    let state = &snapshot.head_state;
    let epoch = get_current_epoch(state);
    registrations.retain(|signed| {
        let index = snapshot.keys.index_of(state, &signed.message.pubkey);
        let validator = index.and_then(|index| state.validators.get(index as usize));
        validator.is_some_and(|validator| epoch < validator.exit_epoch)
    });
    registrations
}

/// Spec: beacon-APIs, `getLiveness`.
async fn get_liveness(context: Context, mut call: Call) -> Answer {
    let epoch = call.path_number(0, "epoch")?;
    let indices = upload::indices(&context, &mut call).await?;
    context.check_synced()?;
    let duty_state = context.duty_state().await?;
    let answer = context.work(move || {
        let live = liveness(&duty_state.state, epoch, &indices)?;
        Ok(Reply::new().json(|out| {
            array(out, indices.iter().zip(live), |out, (index, is_live)| {
                object(out, |object| {
                    object.quoted("index", index);
                    object.bare("is_live", is_live);
                });
            });
        }))
    });
    answer.await?
}

/// Spec: beacon-APIs, `submitBeaconCommitteeSelections`, `submitSyncCommitteeSelections`: for the middleware of
/// distributed validators alone.
async fn no_selections(_: Context, _: Call) -> Answer {
    let message = "this is for the middleware of distributed validators, which answers it itself";
    Err(Error::new(StatusCode::NOT_IMPLEMENTED, message))
}
