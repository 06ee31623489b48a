//! What light clients are served by request and gossip, and when this node sends its own updates.

use super::peer::Outgoing;
use super::rpc::answer::Refusal;
use super::rpc::protocol::Protocol;
use super::rpc::stream::{Code, part};
use super::shared::{Shared, lock};
use crate::chain::Snapshot;
use crate::light::Failed;
use crate::stop::Stop;
use consensus::Fork;
use consensus::constants::MAX_REQUEST_LIGHT_CLIENT_UPDATES;
use consensus::gossip::{
    Gossip, GossipView, PayloadValidationStatus, Verdict, validate_light_client_finality_update_gossip,
    validate_light_client_optimistic_update_gossip,
};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::light_client::{
    create_light_client_finality_update, create_light_client_optimistic_update, is_finality_update,
};
use consensus::signing::Context;
use consensus::slot_clock::Deadline;
use consensus::ssz::Ssz;
use consensus::types::{
    Checkpoint, Epoch, LightClientFinalityUpdate, LightClientOptimisticUpdate, LightClientUpdate,
    LightClientUpdatesByRange, Root, Slot, ValidatorIndex,
};
use std::sync::Arc;

/// A part of an answer: an object of the fork at its attested header.
fn packed<T: Ssz>(shared: &Shared, slot: Slot, object: &T) -> Vec<u8> {
    let era = shared.digests.at(compute_epoch_at_slot(slot));
    part(Some(era.digest), &object.encode(era.fork))
}

fn unmade(failed: Failed) -> Refusal {
    match failed {
        Failed::Busy => (Code::ServerError, "the node is too busy"),
        Failed::Storage(_) => (Code::ServerError, "the database cannot be read"),
    }
}

/// Answers a request of a light client.
pub(crate) async fn answer(shared: &Arc<Shared>, protocol: Protocol, request: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let none = (Code::ResourceUnavailable, "there is no such update");
    match protocol {
        Protocol::LightClientBootstrap => {
            let root = Root::decode(request, Fork::Altair).map_err(|_| (Code::InvalidRequest, "that is no root"))?;
            let gone = (Code::ResourceUnavailable, "the state of that block is not here");
            let bootstrap = shared.light.bootstrap(root).await.map_err(unmade)?.ok_or(gone)?;
            Ok(vec![packed(shared, bootstrap.header.beacon.slot, &bootstrap)])
        }
        Protocol::LightClientUpdatesByRange => {
            let asked = LightClientUpdatesByRange::decode(request, Fork::Altair)
                .map_err(|_| (Code::InvalidRequest, "the request cannot be decoded"))?;
            let count = asked.count.min(MAX_REQUEST_LIGHT_CLIENT_UPDATES);
            let periods = asked.start_period..asked.start_period.saturating_add(count);
            let best = shared.light.best(periods).await.map_err(unmade)?;
            let pack = |update: &Arc<_>| packed(shared, attested_slot(update), &**update);
            Ok(best.iter().map(pack).collect())
        }
        _ => {
            let update = shared.light.latest().await.map_err(unmade)?.ok_or(none)?;
            let slot = attested_slot(&update);
            if protocol == Protocol::LightClientOptimisticUpdate {
                let optimistic = create_light_client_optimistic_update(&update);
                return Ok(vec![packed(shared, slot, &optimistic)]);
            }
            if !is_finality_update(&update) {
                return Err(none);
            }
            let finality = create_light_client_finality_update(&update);
            Ok(vec![packed(shared, slot, &finality)])
        }
    }
}

fn attested_slot(update: &LightClientUpdate) -> Slot {
    update.attested_header.beacon.slot
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
    let Ok(Some(update)) = shared.light.latest().await else {
        return Verdict::Ignore("this node has no update to compare with");
    };
    judge_by(shared, &update, rules)
}

/// The rules with this as the node's own update; what they accept counts as passed on.
fn judge_by(shared: &Shared, update: &LightClientUpdate, rules: impl FnOnce(&mut Gossip) -> Verdict) -> Verdict {
    let snapshot = shared.chain.snapshot();
    let view = WithUpdates {
        snapshot: &snapshot,
        finality: is_finality_update(update).then(|| create_light_client_finality_update(update)),
        optimistic: create_light_client_optimistic_update(update),
    };
    let now_ms = shared.chain.clock().now_ms();
    let mut seen = lock(&shared.updates_seen);
    let (verdict, marks) = {
        let ctx = Context::trusting(shared.config(), &snapshot.keys);
        let mut gossip = Gossip::new(&view, &seen, &snapshot.ahead.state, now_ms, ctx);
        let verdict = rules(&mut gossip);
        (verdict, std::mem::take(&mut gossip.marks))
    };
    seen.settle(verdict, marks)
}

/// Sends this node's own updates when they are due, in every slot in which one of its validators is in the sync
/// committee: not earlier, so that the block has had time to reach everybody, and only what is newer than all that was
/// passed on. It is held to the rules by which updates of others are judged.
///
/// Spec: altair/light-client/p2p-interface.md, "Sync committee".
pub(crate) async fn send_when_due(shared: Arc<Shared>, stop: Stop) {
    let mut last = None;
    loop {
        let clock = *shared.chain.clock();
        let now = clock.slot().unwrap_or(0);
        let slot = if last == Some(now) { now + 1 } else { now };
        last = Some(slot);
        let due_ms = clock.slots().due_ms(shared.config(), slot, Deadline::SyncMessage);
        // Before Altair there is nothing to send, and the next slot is looked at.
        let wake_ms = due_ms.unwrap_or_else(|| clock.slots().compute_time_at_slot_ms(slot + 1));
        tokio::select! {
            () = tokio::time::sleep(clock.until(wake_ms)) => {}
            () = stop.stopped() => return,
        }
        if due_ms.is_some() && shared.metadata().syncnets.any() {
            send_new(&shared).await;
        }
    }
}

/// Sends this node's own updates as far as they are new.
async fn send_new(shared: &Arc<Shared>) {
    let Ok(Some(update)) = shared.light.latest().await else {
        return;
    };
    let mut new = Vec::new();
    if is_finality_update(&update) {
        let finality = create_light_client_finality_update(&update);
        let verdict = judge_by(shared, &update, |gossip| {
            validate_light_client_finality_update_gossip(gossip, &finality)
        });
        if verdict == Verdict::Accept {
            new.push(Outgoing::FinalityUpdate(Box::new(finality)));
        }
    }
    let optimistic = create_light_client_optimistic_update(&update);
    let verdict = judge_by(shared, &update, |gossip| {
        validate_light_client_optimistic_update_gossip(gossip, &optimistic)
    });
    if verdict == Verdict::Accept {
        new.push(Outgoing::OptimisticUpdate(Box::new(optimistic)));
    }
    for outgoing in new {
        if shared.outgoing.try_send(outgoing).is_err() {
            shared.count(|counts| &counts.unpublished);
        }
    }
}
