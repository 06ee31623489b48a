//! The registry: validators with their balances and statuses, all or some, in pieces where there are many.

use crate::api::bulk::{self, Pieces};
use crate::api::http::{Answer, Body, Call, Error, Format, JSON, JSON_OR_SSZ, Router, Upload, excerpt};
use crate::api::ids::{FoundState, ValidatorId};
use crate::api::json::object;
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context, upload};
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::helpers::accessors::get_current_epoch;
use consensus::ssz::Out;
use consensus::types::{Epoch, Gwei, Validator, ValidatorIndex};
use consensus::{Fork, State};
use hyper::StatusCode;
use std::sync::Arc;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/beacon/states/{state_id}/validators", JSON, get_validators);
    router.post(
        "/eth/v1/beacon/states/{state_id}/validators",
        IDS,
        JSON,
        post_validators,
    );
    router.get(
        "/eth/v1/beacon/states/{state_id}/validators/{validator_id}",
        JSON,
        get_validator,
    );
    router.get(
        "/eth/v1/beacon/states/{state_id}/validator_balances",
        JSON_OR_SSZ,
        get_balances,
    );
    router.post(
        "/eth/v1/beacon/states/{state_id}/validator_balances",
        IDS,
        JSON_OR_SSZ,
        post_balances,
    );
    router.post(
        "/eth/v1/beacon/states/{state_id}/validator_identities",
        IDS,
        JSON_OR_SSZ,
        post_identities,
    );
}

/// Room for 80,000 public keys: no client has as many validators.
pub(in crate::api) const IDS: Upload = Upload::json(8 << 20);

/// Spec: beacon-APIs, `getStateValidators`: `maxItems` of the query's `id`.
const IDS_IN_QUERY_MAX: usize = 64;

/// Validators that are written in one go. A piece of a thousand is some 300 kB of JSON and takes a millisecond.
const PIECE: usize = 1024;

/// How many are looked at in one go where few are of the status asked for.
const LOOKS: usize = 16 * PIECE;

/// Spec: beacon-APIs, `ValidatorStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    PendingInitialized,
    PendingQueued,
    ActiveOngoing,
    ActiveExiting,
    ActiveSlashed,
    ExitedUnslashed,
    ExitedSlashed,
    WithdrawalPossible,
    WithdrawalDone,
}

/// The statuses in order, with the word that stands for several at once.
const STATUSES: [(&str, &str); 9] = [
    ("pending_initialized", "pending"),
    ("pending_queued", "pending"),
    ("active_ongoing", "active"),
    ("active_exiting", "active"),
    ("active_slashed", "active"),
    ("exited_unslashed", "exited"),
    ("exited_slashed", "exited"),
    ("withdrawal_possible", "withdrawal"),
    ("withdrawal_done", "withdrawal"),
];

impl Status {
    fn of(validator: &Validator, balance: Gwei, epoch: Epoch) -> Self {
        if epoch < validator.activation_epoch {
            if validator.activation_eligibility_epoch == FAR_FUTURE_EPOCH {
                Status::PendingInitialized
            } else {
                Status::PendingQueued
            }
        } else if epoch < validator.exit_epoch {
            if validator.slashed {
                Status::ActiveSlashed
            } else if validator.exit_epoch == FAR_FUTURE_EPOCH {
                Status::ActiveOngoing
            } else {
                Status::ActiveExiting
            }
        } else if epoch < validator.withdrawable_epoch {
            if validator.slashed {
                Status::ExitedSlashed
            } else {
                Status::ExitedUnslashed
            }
        } else if balance > 0 {
            Status::WithdrawalPossible
        } else {
            Status::WithdrawalDone
        }
    }

    fn name(self) -> &'static str {
        STATUSES[self as usize].0
    }
}

/// A set of statuses, a bit for each. No status named means all of them.
fn read_statuses<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<u16, Error> {
    let mut set = 0;
    let mut named = false;
    for name in names {
        named = true;
        let places = STATUSES.iter().enumerate();
        let places = places.filter(|(_, (status, group))| *status == name || *group == name);
        let bits = places.fold(0u16, |bits, (place, _)| bits | 1 << place);
        if bits == 0 {
            return Err(Error::bad_request(format!(
                "'{}' is no status of a validator",
                excerpt(name)
            )));
        }
        set |= bits;
    }
    Ok(if named { set } else { u16::MAX })
}

/// Validators of a list of indices and keys. Error 400 names the first that is neither.
pub(in crate::api) fn read_ids<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<ValidatorId>, Error> {
    texts.into_iter().map(str::parse).collect()
}

/// What is told of each validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Spec: beacon-APIs, `ValidatorResponse`.
    Record,
    /// Spec: beacon-APIs, `ValidatorBalanceResponse`.
    Balance,
    /// Spec: beacon-APIs, `ValidatorIdentityResponse`.
    Identity,
}

/// Which validators are asked for.
#[derive(Clone, Debug)]
struct Wanted {
    /// `None` for all.
    ids: Option<Vec<ValidatorId>>,
    statuses: u16,
}

impl Wanted {
    /// These validators, whatever their status; of an empty list, all.
    fn ids(ids: Vec<ValidatorId>) -> Self {
        Wanted {
            ids: (!ids.is_empty()).then_some(ids),
            statuses: u16::MAX,
        }
    }
}

/// The form in which validators are written.
#[derive(Clone, Copy, Debug)]
struct Form {
    kind: Kind,
    format: Format,
    fork: Fork,
    epoch: Epoch,
    statuses: u16,
}

impl Form {
    /// Writes a validator, unless its status is none of those asked for.
    fn write(
        &self,
        out: &mut Out,
        first: &mut bool,
        index: ValidatorIndex,
        validator: &Validator,
        balance: Gwei,
    ) -> bool {
        let status = Status::of(validator, balance, self.epoch);
        if self.statuses >> status as u8 & 1 == 0 {
            return false;
        }
        if self.format == Format::Ssz {
            self.write_ssz(out, index, validator, balance);
            return true;
        }
        if !std::mem::replace(first, false) {
            out.put(b",");
        }
        object(out, |object| {
            object.quoted("index", index);
            match self.kind {
                Kind::Record => {
                    object.quoted("balance", balance);
                    object.quoted("status", status.name());
                    object.json("validator", validator, self.fork);
                }
                Kind::Balance => object.quoted("balance", balance),
                Kind::Identity => {
                    object.json("pubkey", &validator.pubkey, self.fork);
                    object.quoted("activation_epoch", validator.activation_epoch);
                }
            }
        });
        true
    }

    /// Spec: beacon-APIs, `getStateValidatorBalances` and `postStateValidatorIdentities`: lists of containers of fixed
    /// size.
    fn write_ssz(&self, out: &mut Out, index: ValidatorIndex, validator: &Validator, balance: Gwei) {
        out.put(&index.to_le_bytes());
        if self.kind == Kind::Identity {
            out.put(&validator.pubkey.0);
            out.put(&validator.activation_epoch.to_le_bytes());
        } else {
            out.put(&balance.to_le_bytes());
        }
    }
}

/// Validators being written.
struct Listing {
    state: Arc<State>,
    form: Form,
    /// Ascending; `None` for all.
    indices: Option<Vec<ValidatorIndex>>,
    /// Where among them, or in the registry, the next piece begins.
    place: usize,
    first: bool,
    /// What stands before the first.
    before: Vec<u8>,
    /// What stands behind the last.
    after: &'static [u8],
}

impl Listing {
    fn end(&self) -> usize {
        self.indices.as_ref().map_or(self.state.validators.len(), Vec::len)
    }

    fn write_range(&mut self, out: &mut Out) {
        let state = Arc::clone(&self.state);
        let end = (self.place + LOOKS).min(self.end());
        let balances = state.balances.iter_from(self.place);
        let validators = state.validators.iter_from(self.place).zip(balances);
        let mut written = 0;
        for (index, (validator, balance)) in (self.place..end).zip(validators) {
            let shown = self.form.write(out, &mut self.first, index as u64, validator, *balance);
            written += usize::from(shown);
            if written >= PIECE {
                self.place = index + 1;
                return;
            }
        }
        self.place = end;
    }

    fn write_some(&mut self, out: &mut Out) {
        let Some(indices) = &self.indices else { return };
        let end = (self.place + PIECE).min(indices.len());
        for index in &indices[self.place..end] {
            let place = *index as usize;
            let found = self.state.validators.get(place).zip(self.state.balances.get(place));
            if let Some((validator, balance)) = found {
                self.form.write(out, &mut self.first, *index, validator, *balance);
            }
        }
        self.place = end;
    }
}

impl Pieces for Listing {
    fn write(&mut self, bytes: &mut Vec<u8>) -> bool {
        let mut out = Out::memory(64 << 10);
        out.put(&std::mem::take(&mut self.before));
        if self.indices.is_some() {
            self.write_some(&mut out);
        } else {
            self.write_range(&mut out);
        }
        let more = self.place < self.end();
        if !more {
            out.put(self.after);
        }
        *bytes = out.into_bytes();
        more
    }
}

/// Answers with the validators that are asked for.
async fn list(context: Context, found: FoundState, kind: Kind, format: Format, wanted: Wanted) -> Answer {
    let state = Arc::clone(&found.state);
    let snapshot = Arc::clone(&found.snapshot);
    let few = wanted.ids.as_ref().is_some_and(|ids| ids.len() <= PIECE);
    // Taken first: the work before the first piece counts too.
    let place = if few { None } else { Some(context.place().await?) };
    let indices = context.work(move || {
        let ids = wanted.ids?;
        let mut indices: Vec<ValidatorIndex> = ids.iter().filter_map(|id| id.index(&snapshot, &state)).collect();
        indices.sort_unstable();
        indices.dedup();
        Some(indices)
    });
    let indices = indices.await?;
    let reply = Reply::new().standing(found.standing);
    let (before, after): (Vec<u8>, &[u8]) = match format {
        Format::Json => ([reply.before_data(), b"[".to_vec()].concat(), b"]}"),
        Format::Ssz => (Vec::new(), b""),
    };
    let mut listing = Listing {
        form: Form {
            kind,
            format,
            fork: found.state.at,
            epoch: get_current_epoch(&found.state),
            statuses: wanted.statuses,
        },
        state: found.state,
        indices,
        place: 0,
        first: true,
        before,
        after,
    };
    if few {
        let bytes = context.work(move || {
            let mut bytes = Vec::new();
            listing.write(&mut bytes);
            bytes
        });
        return Ok(reply.with(format, Body::full(bytes.await?)));
    }
    Ok(reply.with(format, bulk::body_of(context.chain.work(), listing, place)))
}

fn ids_of_query(call: &Call) -> Result<Vec<ValidatorId>, Error> {
    let ids = call.query.list("id");
    if ids.len() > IDS_IN_QUERY_MAX {
        let message = format!(
            "{} validators are too many for a query, at most {IDS_IN_QUERY_MAX}: use POST",
            ids.len()
        );
        return Err(Error::new(StatusCode::URI_TOO_LONG, message));
    }
    read_ids(ids)
}

/// Spec: beacon-APIs, `getStateValidators`.
async fn get_validators(context: Context, call: Call) -> Answer {
    let mut wanted = Wanted::ids(ids_of_query(&call)?);
    wanted.statuses = read_statuses(call.query.list("status"))?;
    let found = context.state(&call).await?;
    list(context, found, Kind::Record, Format::Json, wanted).await
}

/// Spec: beacon-APIs, `postStateValidators`.
async fn post_validators(context: Context, mut call: Call) -> Answer {
    let found = context.state(&call).await?;
    let wanted = upload::json(&context, &mut call, |body| {
        let texts = |name: &str| upload::optional_texts(body, name);
        // Null and a list that is left out mean the same; an empty list of validators is one of none, but means all in
        // the other endpoints and in every client.
        let mut wanted = Wanted::ids(read_ids(texts("ids")?)?);
        wanted.statuses = read_statuses(texts("statuses")?)?;
        Ok(wanted)
    });
    let wanted = wanted.await?;
    list(context, found, Kind::Record, Format::Json, wanted).await
}

/// Spec: beacon-APIs, `getStateValidator`.
async fn get_validator(context: Context, call: Call) -> Answer {
    let id: ValidatorId = call.path(1).parse()?;
    let found = context.state(&call).await?;
    let (state, snapshot) = (Arc::clone(&found.state), Arc::clone(&found.snapshot));
    let index = context.work(move || id.index(&snapshot, &state)).await?;
    let of = |index: ValidatorIndex| {
        let place = index as usize;
        let validator = found.state.validators.get(place)?;
        Some((index, validator, *found.state.balances.get(place)?))
    };
    let Some((index, validator, balance)) = index.and_then(of) else {
        return Err(Error::not_found("the state has no such validator"));
    };
    let form = Form {
        kind: Kind::Record,
        format: Format::Json,
        fork: found.state.at,
        epoch: get_current_epoch(&found.state),
        statuses: u16::MAX,
    };
    let reply = Reply::new().standing(found.standing);
    Ok(reply.json(|out| {
        form.write(out, &mut true, index, validator, balance);
    }))
}

/// Spec: beacon-APIs, `getStateValidatorBalances`.
async fn get_balances(context: Context, call: Call) -> Answer {
    let wanted = Wanted::ids(ids_of_query(&call)?);
    let found = context.state(&call).await?;
    list(context, found, Kind::Balance, call.format, wanted).await
}

/// Spec: beacon-APIs, `postStateValidatorBalances`.
async fn post_balances(context: Context, call: Call) -> Answer {
    list_posted(context, call, Kind::Balance).await
}

/// Spec: beacon-APIs, `postStateValidatorIdentities`.
async fn post_identities(context: Context, call: Call) -> Answer {
    list_posted(context, call, Kind::Identity).await
}

async fn list_posted(context: Context, mut call: Call, kind: Kind) -> Answer {
    let found = context.state(&call).await?;
    let ids = upload::ids(&context, &mut call).await?;
    list(context, found, kind, call.format, Wanted::ids(ids)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_follow_the_epochs() {
        let never = FAR_FUTURE_EPOCH;
        let validator = |eligible, active, exit, withdrawable, slashed| Validator {
            activation_eligibility_epoch: eligible,
            activation_epoch: active,
            exit_epoch: exit,
            withdrawable_epoch: withdrawable,
            slashed,
            ..Validator::default()
        };
        let cases = [
            (validator(never, never, never, never, false), 1, "pending_initialized"),
            (validator(8, never, never, never, false), 1, "pending_queued"),
            (validator(8, 11, never, never, false), 1, "pending_queued"),
            (validator(8, 10, never, never, false), 1, "active_ongoing"),
            (validator(8, 10, 11, 20, false), 1, "active_exiting"),
            (validator(8, 10, 11, 20, true), 1, "active_slashed"),
            (validator(0, 0, 10, 11, false), 1, "exited_unslashed"),
            (validator(0, 0, 10, 11, true), 1, "exited_slashed"),
            (validator(0, 0, 9, 10, true), 1, "withdrawal_possible"),
            (validator(0, 0, 9, 10, false), 0, "withdrawal_done"),
        ];
        for (validator, balance, wanted) in cases {
            assert_eq!(Status::of(&validator, balance, 10).name(), wanted);
        }
    }

    #[test]
    fn groups_stand_for_their_statuses() {
        assert_eq!(read_statuses([]), Ok(u16::MAX));
        assert_eq!(read_statuses(["active"]), Ok(0b1_1100));
        assert_eq!(read_statuses(["withdrawal_done", "pending_queued"]), Ok(0b1_0000_0010));
        assert!(read_statuses(["activ"]).is_err());
    }
}
