//! What a state says in a few words: its root, fork, checkpoints, RANDAO mix.

use crate::api::http::{Answer, Call, Error, JSON, Router};
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context};
use consensus::helpers::accessors::{get_current_epoch, get_randao_mix};
use consensus::preset::EPOCHS_PER_HISTORICAL_VECTOR;
use std::sync::Arc;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/beacon/states/{state_id}/root", JSON, get_state_root);
    router.get("/eth/v1/beacon/states/{state_id}/fork", JSON, get_state_fork);
    router.get(
        "/eth/v1/beacon/states/{state_id}/finality_checkpoints",
        JSON,
        get_state_finality_checkpoints,
    );
    router.get("/eth/v1/beacon/states/{state_id}/randao", JSON, get_state_randao);
}

/// Spec: beacon-APIs, `getStateRoot`.
async fn get_state_root(context: Context, call: Call) -> Answer {
    let found = context.state(&call).await?;
    // Known without hashing where it is the state after a block.
    let view = &found.snapshot.view;
    let is_found = |root: &_| view.state(root).is_some_and(|state| Arc::ptr_eq(state, &found.state));
    let of_block = view.blocks().nodes().iter().rev().find(|node| is_found(&node.root));
    let root = if let Some(node) = of_block {
        node.state_root
    } else {
        let state = Arc::clone(&found.state);
        context.work(move || state.hash_tree_root()).await?
    };
    let reply = Reply::new().standing(found.standing);
    Ok(reply.object(|object| object.quoted("root", root)))
}

/// Spec: beacon-APIs, `getStateFork`.
async fn get_state_fork(context: Context, call: Call) -> Answer {
    let found = context.state(&call).await?;
    let fork = &found.state.fork;
    let reply = Reply::new().standing(found.standing);
    Ok(reply.json(|out| consensus::ssz::Json::write_json(fork, found.state.at, &[], out)))
}

/// Spec: beacon-APIs, `getStateFinalityCheckpoints`.
async fn get_state_finality_checkpoints(context: Context, call: Call) -> Answer {
    let found = context.state(&call).await?;
    let state = &found.state;
    let reply = Reply::new().standing(found.standing);
    Ok(reply.object(|object| {
        object.json("previous_justified", &state.previous_justified_checkpoint, state.at);
        object.json("current_justified", &state.current_justified_checkpoint, state.at);
        object.json("finalized", &state.finalized_checkpoint, state.at);
    }))
}

/// Spec: beacon-APIs, `getStateRandao`.
async fn get_state_randao(context: Context, call: Call) -> Answer {
    let wanted = call.query.number("epoch")?;
    let found = context.state(&call).await?;
    let current = get_current_epoch(&found.state);
    let epoch = wanted.unwrap_or(current);
    // The place of the oldest is that of the epoch to come.
    if epoch > current || epoch.saturating_add(EPOCHS_PER_HISTORICAL_VECTOR) <= current {
        let message = format!("the state is of epoch {current} and has no RANDAO mix of epoch {epoch}");
        return Err(Error::bad_request(message));
    }
    let randao = get_randao_mix(&found.state, epoch);
    let reply = Reply::new().standing(found.standing);
    Ok(reply.object(|object| object.quoted("randao", randao)))
}
