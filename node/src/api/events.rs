//! Namespace `events`: what happens on the chain, as server-sent events.

use super::http::{ANY, Answer, Broken, Call, Error, Response, Router, excerpt, stream};
use super::json::{Object, array, object};
use super::{ApiContext, Context};
use crate::chain::{ChainEvent, Message, ProposalAttributes, Snapshot};
use consensus::helpers::accessors::get_block_root_at_slot;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::light_client::{
    create_light_client_finality_update, create_light_client_optimistic_update, is_finality_update,
};
use consensus::ssz::{Json, Out};
use consensus::types::{Epoch, Root, Slot};
use consensus::{Config, Fork};
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/events", ANY, get_events);
}

/// Who listens at once. Each costs a connection and the writing of what it asked for.
const SUBSCRIBERS_MAX: usize = 64;

/// After how long without an event a comment is sent, so that proxies and clients see that the connection lives.
const ALIVE: Duration = Duration::from_secs(15);

/// The places of subscribers.
pub(super) struct Subscribers(Arc<Semaphore>);

impl Default for Subscribers {
    fn default() -> Self {
        Subscribers(Arc::new(Semaphore::new(SUBSCRIBERS_MAX)))
    }
}

/// Topics, a bit for each of [`TOPICS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Topics(u32);

/// All topics of the API. Those of Gloas are known and silent, since this version runs no chain with them: payloads and
/// bids on their own, payload attestations, preferences of proposers.
const TOPICS: [&str; 24] = [
    "head",
    "head_v2",
    "block",
    "block_gossip",
    "attestation",
    "single_attestation",
    "voluntary_exit",
    "bls_to_execution_change",
    "proposer_slashing",
    "attester_slashing",
    "finalized_checkpoint",
    "chain_reorg",
    "contribution_and_proof",
    "light_client_finality_update",
    "light_client_optimistic_update",
    "payload_attributes",
    "data_column_sidecar",
    "execution_payload",
    "execution_payload_gossip",
    "execution_payload_available",
    "execution_payload_bid",
    "payload_attestation_message",
    "fast_confirmation",
    "proposer_preferences",
];

impl Topics {
    fn read<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut topics = 0;
        for name in names {
            let place = TOPICS.iter().position(|topic| *topic == name);
            let place = place.ok_or_else(|| Error::bad_request(format!("'{}' is no topic", excerpt(name))))?;
            topics |= 1 << place;
        }
        if topics == 0 {
            return Err(Error::bad_request("the parameter 'topics' is missing"));
        }
        Ok(Topics(topics))
    }

    fn has(self, name: &str) -> bool {
        let place = TOPICS.iter().position(|topic| *topic == name);
        place.is_some_and(|place| self.0 >> place & 1 == 1)
    }
}

/// Somebody who listens.
struct Subscriber {
    events: Receiver<ChainEvent>,
    topics: Topics,
    context: Context,
    /// Attested slots of the last updates for light clients that were sent: finality, optimistic.
    updates: [Slot; 2],
    _place: OwnedSemaphorePermit,
}

/// Spec: beacon-APIs, `eventstream`.
async fn get_events(context: Context, call: Call) -> Answer {
    let topics = Topics::read(call.query.list("topics"))?;
    let place = Arc::clone(&context.subscribers.0).try_acquire_owned();
    let place = place.map_err(|_| Error::unavailable(format!("{SUBSCRIBERS_MAX} subscribers are the most")))?;
    let subscriber = Subscriber {
        events: context.chain.subscribe(),
        topics,
        context,
        updates: [0; 2],
        _place: place,
    };
    let mut response = Response::new(stream(subscriber, next).lasting());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Waits for the next event that the subscriber wants.
async fn next(mut subscriber: Subscriber) -> Result<(Bytes, Option<Subscriber>), Broken> {
    let stop = subscriber.context.stop.clone();
    let text = loop {
        let event = tokio::select! {
            event = tokio::time::timeout(ALIVE, subscriber.events.recv()) => event,
            () = stop.stopped() => return Ok((Bytes::new(), None)),
        };
        match event {
            Err(_) => break b":\n\n".to_vec(),
            Ok(Err(RecvError::Closed)) => return Ok((Bytes::new(), None)),
            Ok(Err(RecvError::Lagged(count))) => break format!(": {count} events were lost\n\n").into_bytes(),
            Ok(Ok(event)) => {
                let mut text = written(subscriber.context.chain.config(), subscriber.topics, &event);
                if matches!(event, ChainEvent::Head { .. }) {
                    text.extend(light_client_updates(&mut subscriber).await);
                }
                if !text.is_empty() {
                    break text;
                }
            }
        }
    };
    Ok((text.into(), Some(subscriber)))
}

/// The updates for light clients that a new head makes, where the subscriber wants them and they are new.
async fn light_client_updates(subscriber: &mut Subscriber) -> Vec<u8> {
    let names = ["light_client_finality_update", "light_client_optimistic_update"];
    if !names.iter().any(|name| subscriber.topics.has(name)) {
        return Vec::new();
    }
    // None yet, or none now: the next head brings one.
    let Ok(update) = subscriber.context.light_client_update().await else {
        return Vec::new();
    };
    let mut out = Out::memory(0);
    let slot = update.attested_header.beacon.slot;
    let fork = subscriber
        .context
        .chain
        .config()
        .fork_at_epoch(compute_epoch_at_slot(slot));
    let is_new = [is_finality_update(&update), true];
    for (place, name) in names.into_iter().enumerate() {
        if !is_new[place] || !subscriber.topics.has(name) || subscriber.updates[place] >= slot {
            continue;
        }
        subscriber.updates[place] = slot;
        out.put(format!("event: {name}\ndata: ").as_bytes());
        object(&mut out, |object| {
            object.text("version", fork.name());
            if place == 0 {
                object.json("data", &create_light_client_finality_update(&update), fork);
            } else {
                object.json("data", &create_light_client_optimistic_update(&update), fork);
            }
        });
        out.put(b"\n\n");
    }
    out.into_bytes()
}

/// What is sent of an event to one who wants these topics.
fn written(config: &Config, topics: Topics, event: &ChainEvent) -> Vec<u8> {
    let mut out = Out::memory(512);
    let mut send = |topic: &str, write: &dyn Fn(&mut Out)| {
        if topics.has(topic) {
            out.put(format!("event: {topic}\ndata: ").as_bytes());
            write(&mut out);
            out.put(b"\n\n");
        }
    };
    match event {
        ChainEvent::Head {
            snapshot,
            old_head,
            reorg_to,
            epoch_transition,
        } => {
            send("head", &|out| write_head(out, snapshot, *epoch_transition));
            send("head_v2", &|out| {
                write_head_v2(out, config, snapshot, *epoch_transition);
            });
            if let Some(common) = reorg_to {
                send("chain_reorg", &|out| write_reorg(out, snapshot, *old_head, *common));
            }
        }
        ChainEvent::BlockGossip { slot, root } => send("block_gossip", &|out| {
            object(out, |object| {
                object.quoted("slot", slot);
                object.quoted("block", root);
            });
        }),
        ChainEvent::Block { slot, root, optimistic } => send("block", &|out| {
            object(out, |object| {
                object.quoted("slot", slot);
                object.quoted("block", root);
                object.bare("execution_optimistic", optimistic);
            });
        }),
        ChainEvent::Finalized { snapshot } => send("finalized_checkpoint", &|out| write_finalized(out, snapshot)),
        ChainEvent::Message(message) => {
            if let Some(topic) = topic_of(message) {
                send(topic, &|out| write_message(out, config, message));
            }
        }
        ChainEvent::PayloadAttributes(proposal) => {
            send("payload_attributes", &|out| write_attributes(out, proposal));
        }
        ChainEvent::FastConfirmation {
            root,
            slot,
            current_slot,
        } => send("fast_confirmation", &|out| {
            object(out, |object| {
                object.quoted("block", root);
                object.quoted("slot", slot);
                object.quoted("current_slot", current_slot);
            });
        }),
        ChainEvent::Column {
            block_root,
            index,
            slot,
        } => send("data_column_sidecar", &|out| {
            object(out, |object| {
                object.quoted("block_root", block_root);
                object.quoted("index", index);
                object.quoted("slot", slot);
            });
        }),
    }
    out.into_bytes()
}

/// The last block before an epoch, on the chain of the head; the genesis block where there is none before.
fn last_block_before(snapshot: &Snapshot, epoch: Epoch) -> Root {
    let slot = compute_start_slot_at_epoch(epoch).saturating_sub(1);
    get_block_root_at_slot(&snapshot.head_state, slot).unwrap_or(snapshot.head.root)
}

fn write_head(out: &mut Out, snapshot: &Snapshot, epoch_transition: bool) {
    let head = &snapshot.head;
    let epoch = compute_epoch_at_slot(head.slot);
    object(out, |object| {
        object.quoted("slot", head.slot);
        object.quoted("block", head.root);
        object.quoted("state", head.state_root);
        object.bare("epoch_transition", epoch_transition);
        let previous = last_block_before(snapshot, epoch.saturating_sub(1));
        object.quoted("previous_duty_dependent_root", previous);
        object.quoted("current_duty_dependent_root", last_block_before(snapshot, epoch));
        object.bare("execution_optimistic", head.optimistic);
    });
}

fn write_head_v2(out: &mut Out, config: &Config, snapshot: &Snapshot, epoch_transition: bool) {
    let head = &snapshot.head;
    let epoch = compute_epoch_at_slot(head.slot);
    object(out, |outer| {
        outer.text("version", config.fork_at_epoch(epoch).name());
        outer.member("data", |out| {
            object(out, |object| {
                object.quoted("slot", head.slot);
                object.quoted("block", head.root);
                object.quoted("state", head.state_root);
                // Up to Fulu the payload is in the block.
                object.text("payload_status", "full");
                object.bare("epoch_transition", epoch_transition);
                let current = last_block_before(snapshot, epoch.saturating_sub(1));
                object.quoted("current_epoch_dependent_root", current);
                object.quoted("next_epoch_dependent_root", last_block_before(snapshot, epoch));
                object.bare("execution_optimistic", head.optimistic);
            });
        });
    });
}

fn write_reorg(out: &mut Out, snapshot: &Snapshot, old_head: Root, common: Slot) {
    let head = &snapshot.head;
    let old = snapshot.block(&old_head);
    object(out, |object| {
        object.quoted("slot", head.slot);
        object.quoted("depth", old.map_or(head.slot, |old| old.slot).saturating_sub(common));
        object.quoted("old_head_block", old_head);
        object.quoted("new_head_block", head.root);
        object.quoted("old_head_state", old.map(|old| old.state_root).unwrap_or_default());
        object.quoted("new_head_state", head.state_root);
        object.quoted("epoch", compute_epoch_at_slot(head.slot));
        object.bare("execution_optimistic", head.optimistic);
    });
}

fn write_attributes(out: &mut Out, proposal: &ProposalAttributes) {
    object(out, |outer| {
        outer.text("version", proposal.fork.name());
        outer.member("data", |out| {
            object(out, |data| {
                data.quoted("proposer_index", proposal.proposer_index);
                data.quoted("proposal_slot", proposal.proposal_slot);
                data.quoted("parent_block_root", proposal.parent_block_root);
                data.quoted("parent_block_number", proposal.parent_block_number);
                data.quoted("parent_block_hash", proposal.parent_block_hash);
                data.member("payload_attributes", |out| {
                    object(out, |object| write_payload_attributes(object, proposal));
                });
            });
        });
    });
}

/// Spec: execution-apis, `PayloadAttributesV1` to `V3`, in the API's form.
fn write_payload_attributes(object: &mut Object, proposal: &ProposalAttributes) {
    let attributes = &proposal.attributes;
    object.quoted("timestamp", attributes.timestamp);
    object.quoted("prev_randao", attributes.prev_randao);
    object.quoted("suggested_fee_recipient", attributes.suggested_fee_recipient);
    if let Some(withdrawals) = &attributes.withdrawals {
        object.member("withdrawals", |out| {
            array(out, withdrawals, |out, one| one.write_json(proposal.fork, &[], out));
        });
    }
    if let Some(root) = attributes.parent_beacon_block_root {
        object.quoted("parent_beacon_block_root", root);
    }
}

fn write_finalized(out: &mut Out, snapshot: &Snapshot) {
    let checkpoint = snapshot.finalized();
    let state_root = snapshot.block(&checkpoint.root).map(|block| block.state_root);
    object(out, |object| {
        object.quoted("block", checkpoint.root);
        object.quoted("state", state_root.unwrap_or_default());
        object.quoted("epoch", checkpoint.epoch);
        object.bare("execution_optimistic", snapshot.is_optimistic(&checkpoint.root));
    });
}

/// The topic of a message; none for aggregates, whose votes come as attestations.
fn topic_of(message: &Message) -> Option<&'static str> {
    Some(match message {
        Message::SingleAttestation(..) => "single_attestation",
        Message::Attestation(..) => "attestation",
        Message::Contribution(_) => "contribution_and_proof",
        Message::VoluntaryExit(_) => "voluntary_exit",
        Message::ProposerSlashing(_) => "proposer_slashing",
        Message::AttesterSlashing(_) => "attester_slashing",
        Message::BlsToExecutionChange(_) => "bls_to_execution_change",
        Message::Aggregate(_) | Message::SyncMessage(..) => return None,
    })
}

fn write_message(out: &mut Out, config: &Config, message: &Message) {
    let at = |slot: Slot| config.fork_at_epoch(compute_epoch_at_slot(slot));
    match message {
        Message::SingleAttestation(vote, _) => vote.write_json(at(vote.data.slot), &[], out),
        Message::Attestation(vote, _) => vote.write_json(at(vote.data.slot), &[], out),
        Message::Aggregate(aggregate) => aggregate.write_json(at(aggregate.message.aggregate.data.slot), &[], out),
        Message::SyncMessage(message, _) => message.write_json(Fork::Altair, &[], out),
        Message::Contribution(contribution) => contribution.write_json(Fork::Altair, &[], out),
        Message::VoluntaryExit(exit) => exit.write_json(Fork::Phase0, &[], out),
        Message::ProposerSlashing(slashing) => slashing.write_json(Fork::Phase0, &[], out),
        Message::AttesterSlashing(slashing) => {
            slashing.write_json(at(slashing.attestation_1.data.slot), &[], out);
        }
        Message::BlsToExecutionChange(change) => change.write_json(Fork::Capella, &[], out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_a_list_of_known_names() {
        let topics = Topics::read(["head", "chain_reorg"]).unwrap();
        assert!(topics.has("head") && topics.has("chain_reorg") && !topics.has("block"));
        assert!(Topics::read([]).is_err() && Topics::read(["heads"]).is_err() && Topics::read([""]).is_err());
    }
}
