//! The queues of a state: deposits, withdrawals and consolidations to come, and who proposes next.

use crate::api::bulk::{self, Pieces};
use crate::api::http::{Answer, Call, Error, Format, JSON_OR_SSZ, Router};
use crate::api::json::numbers;
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context};
use consensus::ssz::{Json, Out, PersistentList, Ssz};
use consensus::{Fork, State};
use std::sync::Arc;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get(
        "/eth/v1/beacon/states/{state_id}/pending_deposits",
        JSON_OR_SSZ,
        get_pending_deposits,
    );
    router.get(
        "/eth/v1/beacon/states/{state_id}/pending_partial_withdrawals",
        JSON_OR_SSZ,
        get_pending_partial_withdrawals,
    );
    router.get(
        "/eth/v1/beacon/states/{state_id}/pending_consolidations",
        JSON_OR_SSZ,
        get_pending_consolidations,
    );
    router.get(
        "/eth/v1/beacon/states/{state_id}/proposer_lookahead",
        JSON_OR_SSZ,
        get_proposer_lookahead,
    );
}

/// Entries that are written in one go; some hundred bytes each.
const PIECE: usize = 2048;

/// Which queue of a state.
type Queue<T> = fn(&State) -> &PersistentList<T>;

/// A queue being written.
struct Listing<T> {
    state: Arc<State>,
    queue: Queue<T>,
    format: Format,
    place: usize,
    before: Vec<u8>,
}

impl<T: Json + Ssz + 'static> Pieces for Listing<T> {
    fn write(&mut self, bytes: &mut Vec<u8>) -> bool {
        let (fork, queue) = (self.state.at, (self.queue)(&self.state));
        let mut out = Out::memory(64 << 10);
        out.put(&std::mem::take(&mut self.before));
        for (place, entry) in queue.iter_from(self.place).enumerate().take(PIECE) {
            match self.format {
                Format::Ssz => entry.encode_to(fork, &[], &mut out),
                Format::Json => {
                    if self.place + place > 0 {
                        out.put(b",");
                    }
                    entry.write_json(fork, &[], &mut out);
                }
            }
        }
        self.place = (self.place + PIECE).min(queue.len());
        let more = self.place < queue.len();
        if !more && self.format == Format::Json {
            out.put(b"]}");
        }
        *bytes = out.into_bytes();
        more
    }
}

async fn queue<T: Json + Ssz + 'static>(context: Context, call: Call, queue: Queue<T>) -> Answer {
    let found = context.state(&call).await?;
    if found.state.at < Fork::Electra {
        return Err(Error::bad_request(
            "the state is from before Electra and has no such queue",
        ));
    }
    let reply = Reply::new().version(found.state.at).standing(found.standing);
    let before = match call.format {
        Format::Json => [reply.before_data(), b"[".to_vec()].concat(),
        Format::Ssz => Vec::new(),
    };
    let long = queue(&found.state).len() > PIECE;
    let place = if long { Some(context.place().await?) } else { None };
    let listing = Listing {
        state: found.state,
        queue,
        format: call.format,
        place: 0,
        before,
    };
    Ok(reply.with(call.format, bulk::body_of(context.chain.work(), listing, place)))
}

/// Spec: beacon-APIs, `getPendingDeposits`.
async fn get_pending_deposits(context: Context, call: Call) -> Answer {
    queue(context, call, |state| &state.pending_deposits).await
}

/// Spec: beacon-APIs, `getPendingPartialWithdrawals`.
async fn get_pending_partial_withdrawals(context: Context, call: Call) -> Answer {
    queue(context, call, |state| &state.pending_partial_withdrawals).await
}

/// Spec: beacon-APIs, `getPendingConsolidations`.
async fn get_pending_consolidations(context: Context, call: Call) -> Answer {
    queue(context, call, |state| &state.pending_consolidations).await
}

/// Spec: beacon-APIs, `getProposerLookahead`.
async fn get_proposer_lookahead(context: Context, call: Call) -> Answer {
    let found = context.state(&call).await?;
    if found.state.at < Fork::Fulu {
        return Err(Error::bad_request(
            "the state is from before Fulu and has no lookahead of proposers",
        ));
    }
    let reply = Reply::new().version(found.state.at).standing(found.standing);
    let proposers = found.state.proposer_lookahead.iter().copied();
    Ok(match call.format {
        Format::Json => reply.json(|out| numbers(out, proposers)),
        Format::Ssz => reply.ssz(proposers.flat_map(u64::to_le_bytes).collect()),
    })
}
