//! What light clients are served by request and gossip: made of the states and blocks since finality, on workers.

use super::rpc::answer::Refusal;
use super::rpc::protocol::Protocol;
use super::rpc::stream::{Code, part};
use super::shared::{Shared, lock};
use crate::chain::Snapshot;
use crate::work::Lane;
use consensus::Fork;
use consensus::constants::MAX_REQUEST_LIGHT_CLIENT_UPDATES;
use consensus::gossip::{
    Gossip, GossipView, PayloadValidationStatus, Seen, Verdict, validate_light_client_finality_update_gossip,
    validate_light_client_optimistic_update_gossip,
};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::light_client::{
    compute_sync_committee_period_at_slot, create_light_client_bootstrap, create_light_client_finality_update,
    create_light_client_optimistic_update, create_light_client_update, is_better_update, is_finality_update,
};
use consensus::signing::Context;
use consensus::ssz::Ssz;
use consensus::types::{
    Checkpoint, Epoch, LightClientFinalityUpdate, LightClientOptimisticUpdate, LightClientUpdate,
    LightClientUpdatesByRange, Root, Slot, ValidatorIndex,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Periods whose best update is remembered; one is 27 hours on mainnet, and an update has 25 KiB.
const PERIODS_MAX: usize = 32;

/// How many blocks back a usable one is looked for, where nobody of the sync committee has signed for the head.
const LOOK_BACK: usize = 8;

/// What was made before, and what was passed on.
#[derive(Default)]
pub(crate) struct Light {
    made: Mutex<Made>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Made {
    latest: Option<(Root, Arc<LightClientUpdate>)>,
    best: BTreeMap<u64, Arc<LightClientUpdate>>,
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

/// The update that the latest block with signatures makes.
async fn latest(shared: &Arc<Shared>) -> Option<Arc<LightClientUpdate>> {
    let snapshot = shared.chain.snapshot();
    for root in latest_blocks(&snapshot) {
        let known = lock(&shared.light.made).latest.clone();
        if let Some((_, update)) = known.filter(|(of, _)| *of == root) {
            return Some(update);
        }
        if let Some(update) = update_of(shared, &snapshot, root).await {
            let update = Arc::new(update);
            let period = compute_sync_committee_period_at_slot(update.attested_header.beacon.slot);
            let mut made = lock(&shared.light.made);
            made.latest = Some((root, Arc::clone(&update)));
            if made
                .best
                .get(&period)
                .is_none_or(|known| is_better_update(&update, known))
            {
                made.best.insert(period, Arc::clone(&update));
            }
            while made.best.len() > PERIODS_MAX {
                made.best.pop_first();
            }
            return Some(update);
        }
    }
    None
}

/// The update of one block; `None` where too few have signed or its parent is finalized and gone.
async fn update_of(shared: &Arc<Shared>, snapshot: &Arc<Snapshot>, root: Root) -> Option<LightClientUpdate> {
    let node = snapshot.block(&root)?;
    let parent = snapshot.block(&node.parent_root)?;
    let view = &snapshot.view;
    let (state, attested_state) = (Arc::clone(view.state(&root)?), Arc::clone(view.state(&parent.root)?));
    let (parent_root, finalized_root) = (parent.root, attested_state.finalized_checkpoint.root);
    let blocks = shared.read(move |storage| {
        Ok((
            storage.block(&root)?,
            storage.block(&parent_root)?,
            storage.block(&finalized_root)?,
        ))
    });
    let (Some((_, block)), Some((_, attested)), finalized) = blocks.await? else {
        return None;
    };
    let config = Arc::clone(shared.chain.config());
    let made = shared.chain.work().run(Lane::Operation, move || {
        let (block, attested) = ((&*state, &block), (&*attested_state, &attested));
        let finalized = finalized.map(|(_, block)| block);
        create_light_client_update(&config, block, attested, finalized.as_ref()).ok()
    });
    made.await.ok().flatten()
}

/// A part of an answer: an object of the fork at its attested header.
fn packed<T: Ssz>(shared: &Shared, slot: Slot, object: &T) -> Vec<u8> {
    let era = shared.digests.at(compute_epoch_at_slot(slot));
    part(Some(era.digest), &object.encode(era.fork))
}

/// Answers a request of a light client.
pub(crate) async fn answer(shared: &Arc<Shared>, protocol: Protocol, request: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let none = (Code::ResourceUnavailable, "there is no such update");
    match protocol {
        Protocol::LightClientBootstrap => bootstrap(shared, request).await.map(|part| vec![part]),
        Protocol::LightClientUpdatesByRange => {
            let asked = LightClientUpdatesByRange::decode(request, Fork::Altair)
                .map_err(|_| (Code::InvalidRequest, "the request cannot be decoded"))?;
            // The current period's, if there is one by now.
            latest(shared).await;
            let count = asked.count.min(MAX_REQUEST_LIGHT_CLIENT_UPDATES);
            let periods = asked.start_period..asked.start_period.saturating_add(count);
            let best = lock(&shared.light.made)
                .best
                .range(periods)
                .map(|(_, update)| Arc::clone(update))
                .collect();
            let best: Vec<Arc<LightClientUpdate>> = best;
            Ok(best
                .iter()
                .map(|update| packed(shared, update.attested_header.beacon.slot, &**update))
                .collect())
        }
        _ => {
            let update = latest(shared).await.ok_or(none)?;
            let slot = update.attested_header.beacon.slot;
            if protocol == Protocol::LightClientOptimisticUpdate {
                return Ok(vec![packed(
                    shared,
                    slot,
                    &create_light_client_optimistic_update(&update),
                )]);
            }
            if !is_finality_update(&update) {
                return Err(none);
            }
            Ok(vec![packed(
                shared,
                slot,
                &create_light_client_finality_update(&update),
            )])
        }
    }
}

async fn bootstrap(shared: &Arc<Shared>, request: &[u8]) -> Result<Vec<u8>, Refusal> {
    let none = (Code::ResourceUnavailable, "the state of that block is not here");
    let root = Root::decode(request, Fork::Altair).map_err(|_| (Code::InvalidRequest, "that is no root"))?;
    let snapshot = shared.chain.snapshot();
    let slot = snapshot.block(&root).map(|node| node.slot).ok_or(none)?;
    let state = shared.chain.state_at(root, slot, Lane::Api).await;
    let state = state.ok().and_then(Result::ok).ok_or(none)?;
    let block = shared.read(move |storage| storage.block(&root)).await.flatten();
    let (_, block) = block.ok_or(none)?;
    let of_job = Arc::clone(shared);
    let made = shared.chain.work().run(Lane::Api, move || {
        let bootstrap = create_light_client_bootstrap(of_job.config(), &state, &block).ok()?;
        Some(packed(&of_job, bootstrap.header.beacon.slot, &bootstrap))
    });
    let busy = (Code::ServerError, "the node is too busy");
    made.await.map_err(|_| busy)?.ok_or(none)
}

/// A snapshot with the updates of this node.
#[derive(Debug)]
struct WithUpdates<'a> {
    snapshot: &'a Snapshot,
    finality: Option<LightClientFinalityUpdate>,
    optimistic: LightClientOptimisticUpdate,
}

impl GossipView for WithUpdates<'_> {
    fn block_slot(&self, root: Root) -> Option<Slot> {
        self.snapshot.block_slot(root)
    }

    fn is_valid_block(&self, root: Root) -> bool {
        self.snapshot.is_valid_block(root)
    }

    fn payload_status(&self, root: Root) -> PayloadValidationStatus {
        self.snapshot.payload_status(root)
    }

    fn finalized_checkpoint(&self) -> Checkpoint {
        self.snapshot.finalized_checkpoint()
    }

    fn checkpoint_block(&self, root: Root, epoch: Epoch) -> Option<Root> {
        self.snapshot.checkpoint_block(root, epoch)
    }

    fn proposer_index(&self, parent_root: Root, slot: Slot) -> Option<ValidatorIndex> {
        self.snapshot.proposer_index(parent_root, slot)
    }

    fn finality_update(&self) -> Option<&LightClientFinalityUpdate> {
        self.finality.as_ref()
    }

    fn optimistic_update(&self) -> Option<&LightClientOptimisticUpdate> {
        Some(&self.optimistic)
    }
}

/// Whether an update may be passed on. Spec: altair/light-client/p2p-interface.md.
pub(crate) async fn judge_finality(shared: &Arc<Shared>, update: &LightClientFinalityUpdate) -> Verdict {
    judge(shared, |gossip| {
        validate_light_client_finality_update_gossip(gossip, update)
    })
    .await
}

/// The same of the other.
pub(crate) async fn judge_optimistic(shared: &Arc<Shared>, update: &LightClientOptimisticUpdate) -> Verdict {
    judge(shared, |gossip| {
        validate_light_client_optimistic_update_gossip(gossip, update)
    })
    .await
}

/// Compares with this node's own update; a few comparisons of headers, once it is made.
async fn judge(shared: &Arc<Shared>, rules: impl FnOnce(&mut Gossip) -> Verdict) -> Verdict {
    let Some(update) = latest(shared).await else {
        return Verdict::Ignore("this node has no update to compare with");
    };
    let snapshot = shared.chain.snapshot();
    let view = WithUpdates {
        snapshot: &snapshot,
        finality: is_finality_update(&update).then(|| create_light_client_finality_update(&update)),
        optimistic: create_light_client_optimistic_update(&update),
    };
    let now_ms = shared.chain.clock().now_ms();
    let mut seen = lock(&shared.light.seen);
    let (verdict, marks) = {
        let ctx = Context::trusting(shared.config(), &snapshot.keys);
        let mut gossip = Gossip::new(&view, &seen, &snapshot.ahead.state, now_ms, ctx);
        let verdict = rules(&mut gossip);
        (verdict, std::mem::take(&mut gossip.marks))
    };
    seen.settle(verdict, marks)
}
