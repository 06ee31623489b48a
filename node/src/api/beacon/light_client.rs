//! What light clients are served; see `crate::light`, which makes it.

use crate::api::http::{Answer, Call, Error, Format, JSON_OR_SSZ, Response, Router};
use crate::api::json::{array, object};
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context};
use consensus::constants::MAX_REQUEST_LIGHT_CLIENT_UPDATES;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::light_client::{
    create_light_client_finality_update, create_light_client_optimistic_update, is_finality_update,
};
use consensus::ssz::{Json, Out, Ssz};
use consensus::types::{LightClientUpdate, Root, Slot};
use consensus::{Config, Fork};
use std::sync::Arc;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get(
        "/eth/v1/beacon/light_client/bootstrap/{block_root}",
        JSON_OR_SSZ,
        get_bootstrap,
    );
    router.get("/eth/v1/beacon/light_client/updates", JSON_OR_SSZ, get_updates);
    router.get(
        "/eth/v1/beacon/light_client/finality_update",
        JSON_OR_SSZ,
        get_finality_update,
    );
    router.get(
        "/eth/v1/beacon/light_client/optimistic_update",
        JSON_OR_SSZ,
        get_optimistic_update,
    );
}

fn fork_at(config: &Config, slot: Slot) -> Fork {
    config.fork_at_epoch(compute_epoch_at_slot(slot))
}

impl ApiContext {
    /// The update that the latest block with signatures makes. Error 404 where there is none.
    pub(in crate::api) async fn light_client_update(&self) -> Result<Arc<LightClientUpdate>, Error> {
        let latest = self.light.latest().await?;
        latest.ok_or_else(|| Error::not_found("no block since finality lets an update be made"))
    }
}

/// Spec: beacon-APIs, `getLightClientBootstrap`.
async fn get_bootstrap(context: Context, call: Call) -> Answer {
    let root: Root = call.path_value(0, "a block root with 0x")?;
    let bootstrap = context.light.bootstrap(root).await?.ok_or_else(|| {
        Error::not_found(format!(
            "the state of block {root} is not here: it is unknown, or older than the finalized one"
        ))
    })?;
    Ok(answer(&context, &call, bootstrap.header.beacon.slot, &bootstrap))
}

/// An object in the form of the fork at its attested header.
fn answer<T: Json + Ssz>(context: &ApiContext, call: &Call, slot: Slot, object: &T) -> Response {
    let fork = fork_at(context.chain.config(), slot);
    Reply::new().version(fork).value(call, object, fork)
}

/// Spec: beacon-APIs, `getLightClientFinalityUpdate`.
async fn get_finality_update(context: Context, call: Call) -> Answer {
    let update = context.light_client_update().await?;
    if !is_finality_update(&update) {
        return Err(Error::not_found("nothing is finalized yet"));
    }
    let finality = create_light_client_finality_update(&update);
    Ok(answer(&context, &call, finality.attested_header.beacon.slot, &finality))
}

/// Spec: beacon-APIs, `getLightClientOptimisticUpdate`.
async fn get_optimistic_update(context: Context, call: Call) -> Answer {
    let update = context.light_client_update().await?;
    let optimistic = create_light_client_optimistic_update(&update);
    Ok(answer(
        &context,
        &call,
        optimistic.attested_header.beacon.slot,
        &optimistic,
    ))
}

/// Spec: beacon-APIs, `getLightClientUpdatesByRange`.
async fn get_updates(context: Context, call: Call) -> Answer {
    let start = call.query.required_number("start_period")?;
    let count = call
        .query
        .required_number("count")?
        .min(MAX_REQUEST_LIGHT_CLIENT_UPDATES);
    let updates = context.light.best(start..start.saturating_add(count)).await?;
    let config = Arc::clone(context.chain.config());
    let genesis_root = context.chain.snapshot().head_state.genesis_validators_root;
    let made = context.work(move || {
        let fork_of = |update: &LightClientUpdate| fork_at(&config, update.attested_header.beacon.slot);
        let mut out = Out::memory(32 << 10);
        if call.format == Format::Json {
            array(&mut out, &updates, |out, update| {
                let fork = fork_of(update);
                object(out, |object| {
                    object.text("version", fork.name());
                    object.json("data", &**update, fork);
                });
            });
        } else {
            for update in &updates {
                let epoch = compute_epoch_at_slot(update.attested_header.beacon.slot);
                let ssz = update.encode(fork_of(update));
                out.put(&(ssz.len() as u64 + 4).to_le_bytes());
                out.put(&config.compute_fork_digest(genesis_root, epoch).0);
                out.put(&ssz);
            }
        }
        Reply::new().with(call.format, crate::api::http::Body::full(out.into_bytes()))
    });
    made.await
}
