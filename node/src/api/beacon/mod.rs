//! Namespace `beacon`.

mod blobs;
mod blocks;
mod committees;
mod light_client;
mod pool;
mod publish;
mod queues;
mod states;
mod validators;

pub(super) use committees::sync_committee_indices;
pub(super) use pool::submit_all;
pub(super) use validators::{IDS, read_ids};

use super::http::{Answer, Call, JSON, Router};
use super::reply::Reply;
use super::{ApiContext, Context};

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/beacon/genesis", JSON, get_genesis);
    states::routes(router);
    validators::routes(router);
    committees::routes(router);
    queues::routes(router);
    blocks::routes(router);
    blobs::routes(router);
    publish::routes(router);
    light_client::routes(router);
    pool::routes(router);
}

/// Spec: beacon-APIs, `getGenesis`.
async fn get_genesis(context: Context, _: Call) -> Answer {
    let state = &context.chain.snapshot().head_state;
    let version = context.chain.config().genesis_fork_version;
    Ok(Reply::new().object(|object| {
        object.quoted("genesis_time", state.genesis_time);
        object.quoted("genesis_validators_root", state.genesis_validators_root);
        object.quoted("genesis_fork_version", version);
    }))
}
