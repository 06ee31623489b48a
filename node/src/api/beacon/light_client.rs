//! What light clients are served: made from the states and blocks since finality, when somebody asks.

use crate::api::http::{Answer, Call, Error, Format, JSON_OR_SSZ, Response, Router};
use crate::api::ids::Id;
use crate::api::json::{array, object};
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context};
use crate::chain::Snapshot;
use consensus::constants::MAX_REQUEST_LIGHT_CLIENT_UPDATES;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::light_client::{
    compute_sync_committee_period_at_slot, create_light_client_bootstrap, create_light_client_finality_update,
    create_light_client_optimistic_update, create_light_client_update, is_better_update, is_finality_update,
};
use consensus::ssz::{Json, Out, Ssz};
use consensus::types::{LightClientUpdate, Root, Slot};
use consensus::{Config, Fork};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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

/// Periods whose best update is remembered; one is 27 hours on mainnet, and an update has 25 KiB.
const PERIODS_MAX: usize = 32;

/// How many blocks back a usable one is looked for, where nobody of the sync committee has signed for the head.
const LOOK_BACK: usize = 8;

/// What was made before.
#[derive(Debug, Default)]
pub(in crate::api) struct Updates {
    /// That of the latest block asked for.
    latest: Option<(Root, Arc<LightClientUpdate>)>,
    /// The best of each period.
    best: BTreeMap<u64, Arc<LightClientUpdate>>,
}

/// What was made before, shared.
pub(in crate::api) type Known = Mutex<Updates>;

impl Updates {
    fn keep(&mut self, root: Root, update: &Arc<LightClientUpdate>) {
        self.latest = Some((root, Arc::clone(update)));
        let period = compute_sync_committee_period_at_slot(update.attested_header.beacon.slot);
        let known = self.best.get(&period);
        if known.is_none_or(|known| is_better_update(update, known)) {
            self.best.insert(period, Arc::clone(update));
        }
        while self.best.len() > PERIODS_MAX {
            self.best.pop_first();
        }
    }
}

fn lock(known: &Known) -> std::sync::MutexGuard<'_, Updates> {
    // Nothing that may panic happens under the lock but comparisons of headers.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fork_at(config: &Config, slot: Slot) -> Fork {
    config.fork_at_epoch(compute_epoch_at_slot(slot))
}

/// The latest blocks of the head's chain, newest first.
fn latest_blocks(snapshot: &Snapshot) -> Vec<Root> {
    let mut blocks = Vec::new();
    let mut next = snapshot.block(&snapshot.head.root);
    while let Some(block) = next
        && blocks.len() < LOOK_BACK
    {
        blocks.push(block.root);
        next = snapshot.block(&block.parent_root);
    }
    blocks
}

impl ApiContext {
    /// The update that the latest block with signatures makes. Error 404 where there is none.
    pub(in crate::api) async fn light_client_update(&self) -> Result<Arc<LightClientUpdate>, Error> {
        let snapshot = self.chain.snapshot();
        for root in latest_blocks(&snapshot) {
            let known = lock(&self.light_client).latest.clone();
            if let Some((_, update)) = known.filter(|(of, _)| *of == root) {
                return Ok(update);
            }
            if let Some(update) = self.update_of(&snapshot, root).await? {
                let update = Arc::new(update);
                lock(&self.light_client).keep(root, &update);
                return Ok(update);
            }
        }
        Err(Error::not_found("no block since finality lets an update be made"))
    }

    /// The update of one block; `None` where too few have signed or its parent is finalized and gone.
    async fn update_of(&self, snapshot: &Arc<Snapshot>, root: Root) -> Result<Option<LightClientUpdate>, Error> {
        let Some(node) = snapshot.block(&root) else {
            return Ok(None);
        };
        let Some(parent) = snapshot.block(&node.parent_root) else {
            return Ok(None);
        };
        let states = (
            self.moved(root, node.slot).await?,
            self.moved(parent.root, parent.slot).await?,
        );
        let (Ok(state), Ok(attested_state)) = states else {
            return Ok(None);
        };
        let block = self.load_decoded(&self.block_of(Id::Root(root)).await?).await?;
        let attested = self.load_decoded(&self.block_of(Id::Root(parent.root)).await?).await?;
        let finalized_root = attested_state.finalized_checkpoint.root;
        let finalized = if finalized_root.is_zero() {
            None
        } else {
            match self.block_of(Id::Root(finalized_root)).await {
                Ok(found) => self.load_decoded(&found).await.ok(),
                Err(_) => None,
            }
        };
        let config = Arc::clone(self.chain.config());
        let update = self.work(move || {
            let (block, attested) = ((&*state, &block), (&*attested_state, &attested));
            create_light_client_update(&config, block, attested, finalized.as_ref()).ok()
        });
        update.await
    }
}

/// Spec: beacon-APIs, `getLightClientBootstrap`.
async fn get_bootstrap(context: Context, call: Call) -> Answer {
    let root: Root = call.path_value(0, "a block root with 0x")?;
    let snapshot = context.chain.snapshot();
    let state = match snapshot.block(&root).map(|node| node.slot) {
        Some(slot) => context.moved(root, slot).await?.ok(),
        None => None,
    };
    let state = state.ok_or_else(|| {
        Error::not_found(format!(
            "the state of block {root} is not here: it is unknown, or older than the finalized one"
        ))
    })?;
    let block = context.load_decoded(&context.block_of(Id::Root(root)).await?).await?;
    let config = Arc::clone(context.chain.config());
    let made = context.work(move || {
        let bootstrap = create_light_client_bootstrap(&config, &state, &block);
        bootstrap.map(|bootstrap| Reply::new().version(state.at).value(&call, &bootstrap, state.at))
    });
    made.await?.map_err(|why| Error::not_found(why.to_string()))
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
    // The current period's, if there is one by now.
    match context.light_client_update().await {
        Ok(_) => {}
        Err(error) if error.code == hyper::StatusCode::NOT_FOUND => {}
        Err(error) => return Err(error),
    }
    let known = lock(&context.light_client).best.clone();
    let in_range = known
        .range(start..start.saturating_add(count))
        .map(|(_, update)| Arc::clone(update));
    let updates: Vec<Arc<LightClientUpdate>> = in_range.collect();
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
