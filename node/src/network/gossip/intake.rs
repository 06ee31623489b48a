//! From gossip to the chain and back: decode, have it judged, tell gossipsub. So many messages may be under way of each
//! kind; what comes beyond that is ignored and counted.

use super::decode::{Decoded, decode, is_small};
use super::topics::Topic;
use crate::chain::Message;
use crate::network::counts::Judged;
use crate::network::digests::Era;
use crate::network::light;
use crate::network::shared::{Command, Shared};
use crate::work::Lane;
use consensus::gossip::Verdict;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::types::{Root, Slot};
use libp2p::PeerId;
use libp2p::gossipsub::{MessageAcceptance, MessageId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How long votes are collected before they are checked together: a signature in a batch of the same data costs a tenth
/// of one alone, and 20 ms are nothing against the four seconds in which they must arrive.
const WINDOW: Duration = Duration::from_millis(20);

/// How many are collected, at most: sixteen of the chain's own batches.
const BATCH_MAX: usize = 1024;

/// A kind of messages, by what they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Block,
    Sidecar,
    Slashing,
    LightClient,
    Aggregate,
    Attestation,
    Operation,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::Block,
        Kind::Sidecar,
        Kind::Slashing,
        Kind::LightClient,
        Kind::Aggregate,
        Kind::Attestation,
        Kind::Operation,
    ];

    fn of(topic: Topic) -> Kind {
        match topic {
            Topic::BeaconBlock => Kind::Block,
            Topic::BlobSidecar(_) | Topic::DataColumnSidecar(_) => Kind::Sidecar,
            Topic::AttesterSlashing => Kind::Slashing,
            Topic::LightClientFinalityUpdate | Topic::LightClientOptimisticUpdate => Kind::LightClient,
            Topic::BeaconAggregateAndProof | Topic::SyncCommitteeContributionAndProof => Kind::Aggregate,
            Topic::BeaconAttestation(_) | Topic::SyncCommittee(_) => Kind::Attestation,
            Topic::VoluntaryExit | Topic::ProposerSlashing | Topic::BlsToExecutionChange => Kind::Operation,
        }
    }

    /// How many may be under way. As many as their lane holds, but few of what may be long: a block may have 10 MiB and
    /// comes once a slot, a slashing 2 MiB and comes once a year.
    fn limit(self) -> usize {
        match self {
            Kind::Block => 16,
            Kind::Sidecar => Lane::Column.capacity(),
            Kind::Slashing | Kind::LightClient => 8,
            Kind::Aggregate => Lane::Aggregate.capacity(),
            Kind::Attestation => Lane::Attestation.capacity(),
            Kind::Operation => Lane::Operation.capacity(),
        }
    }
}

/// A message as gossipsub hands it over, decompressed.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) id: MessageId,
    pub(crate) source: PeerId,
    pub(crate) topic: Topic,
    pub(crate) era: Era,
    pub(crate) data: Vec<u8>,
}

/// A message that waits for its batch. Its place is free again when this is dropped.
struct Waiting {
    message: Message,
    topic: Topic,
    id: MessageId,
    source: PeerId,
    place: OwnedSemaphorePermit,
}

/// See the module.
pub(crate) struct Intake {
    shared: Arc<Shared>,
    places: [Arc<Semaphore>; Kind::ALL.len()],
    /// To the tasks that make batches.
    aggregates: mpsc::Sender<Waiting>,
    attestations: mpsc::Sender<Waiting>,
    operations: mpsc::Sender<Waiting>,
}

impl Intake {
    /// Starts the tasks that make batches.
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let batches = |kind: Kind| {
            let (send, receive) = mpsc::channel(kind.limit());
            tokio::spawn(batch(Arc::clone(shared), receive));
            send
        };
        Intake {
            shared: Arc::clone(shared),
            places: Kind::ALL.map(|kind| Arc::new(Semaphore::new(kind.limit()))),
            aggregates: batches(Kind::Aggregate),
            attestations: batches(Kind::Attestation),
            operations: batches(Kind::Operation),
        }
    }

    /// Takes a message. The verdict, if it is known at once; otherwise it comes as a command.
    pub(crate) fn take(&self, came: Came) -> Option<MessageAcceptance> {
        let (topic, kind) = (came.topic, Kind::of(came.topic));
        let Ok(place) = Arc::clone(&self.places[kind as usize]).try_acquire_owned() else {
            self.shared.counts.judged(topic, Judged::Dropped);
            return Some(MessageAcceptance::Ignore);
        };
        if is_small(topic) {
            let verdict = self.take_small(came, kind, place);
            match verdict {
                Some(MessageAcceptance::Reject) => self.shared.counts.judged(topic, Judged::Rejected),
                Some(_) => self.shared.counts.judged(topic, Judged::Ignored),
                None => {}
            }
            return verdict;
        }
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let (id, source, topic) = (came.id.clone(), came.source, came.topic);
            let verdict = judge(&shared, came, kind).await;
            tell(&shared, id, source, topic, verdict).await;
            drop(place);
        });
        None
    }

    fn take_small(&self, came: Came, kind: Kind, place: OwnedSemaphorePermit) -> Option<MessageAcceptance> {
        let Ok(Decoded::Message(message)) = decode(came.topic, came.era.fork, &came.data) else {
            return Some(MessageAcceptance::Reject);
        };
        if slot_of(&message).is_some_and(|slot| !is_of_era(&self.shared, slot, came.era)) {
            return Some(MessageAcceptance::Ignore);
        }
        let queue = match kind {
            Kind::Aggregate => &self.aggregates,
            Kind::Attestation => &self.attestations,
            _ => &self.operations,
        };
        let waiting = Waiting {
            message: *message,
            topic: came.topic,
            id: came.id,
            source: came.source,
            place,
        };
        // There is room: a place was free. It fails when the node stops.
        queue.try_send(waiting).err().map(|_| MessageAcceptance::Ignore)
    }
}

/// Whether a slot's messages belong on topics of the era. Spec: phase0/p2p-interface.md, "Topics and messages":
/// `ForkDigestValue` is that of the message's epoch.
fn is_of_era(shared: &Shared, slot: Slot, era: Era) -> bool {
    shared.digests.at(compute_epoch_at_slot(slot)).digest == era.digest
}

/// The slot that a message is of, if it is of one.
fn slot_of(message: &Message) -> Option<Slot> {
    match message {
        Message::SingleAttestation(vote, _) => Some(vote.data.slot),
        Message::Attestation(vote, _) => Some(vote.data.slot),
        Message::Aggregate(aggregate) => Some(aggregate.message.aggregate.data.slot),
        Message::SyncMessage(message, _) => Some(message.slot),
        Message::Contribution(contribution) => Some(contribution.message.contribution.slot),
        Message::VoluntaryExit(_)
        | Message::ProposerSlashing(_)
        | Message::AttesterSlashing(_)
        | Message::BlsToExecutionChange(_) => None,
    }
}

/// What votes of one batch have in common, so that those of the same data stand together.
fn data_of(message: &Message) -> (Slot, u64, Root) {
    match message {
        Message::SingleAttestation(vote, _) => (vote.data.slot, vote.data.index, vote.data.beacon_block_root),
        Message::Attestation(vote, _) => (vote.data.slot, vote.data.index, vote.data.beacon_block_root),
        Message::Aggregate(aggregate) => {
            let data = &aggregate.message.aggregate.data;
            (data.slot, data.index, data.beacon_block_root)
        }
        Message::SyncMessage(message, _) => (message.slot, u64::MAX, message.beacon_block_root),
        _ => Default::default(),
    }
}

/// Collects messages for a short time and has them checked together, for as long as the node runs.
async fn batch(shared: Arc<Shared>, mut queue: mpsc::Receiver<Waiting>) {
    while let Some(first) = queue.recv().await {
        tokio::time::sleep(WINDOW).await;
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        batch.sort_by_key(|waiting| data_of(&waiting.message));
        tokio::spawn(submit(Arc::clone(&shared), batch));
    }
}

async fn submit(shared: Arc<Shared>, batch: Vec<Waiting>) {
    let mut messages = Vec::with_capacity(batch.len());
    let mut rest = Vec::with_capacity(batch.len());
    for waiting in batch {
        messages.push(waiting.message);
        rest.push((waiting.id, waiting.source, waiting.topic, waiting.place));
    }
    let verdicts = shared.chain.submit(messages).await;
    for ((id, source, topic, _place), verdict) in rest.into_iter().zip(verdicts) {
        tell(&shared, id, source, topic, verdict).await;
    }
}

/// Counts a verdict and tells the swarm's task.
async fn tell(shared: &Shared, id: MessageId, source: PeerId, topic: Topic, verdict: Verdict) {
    if let Some(why) = verdict.why() {
        let what = Topic::KINDS[topic.kind()];
        tracing::debug!(peer = %source, what, why, reject = matches!(verdict, Verdict::Reject(_)), "not passed on");
    }
    let (judged, acceptance) = match verdict {
        Verdict::Accept => (Judged::Accepted, MessageAcceptance::Accept),
        Verdict::Ignore(crate::chain::BUSY) => (Judged::Dropped, MessageAcceptance::Ignore),
        Verdict::Ignore(_) => (Judged::Ignored, MessageAcceptance::Ignore),
        Verdict::Reject(_) => (Judged::Rejected, MessageAcceptance::Reject),
    };
    shared.counts.judged(topic, judged);
    // An error means that the node stops.
    let command = Command::Validated(id, source, topic, acceptance);
    let _ = shared.commands.send(command).await;
}

/// Decodes what is long on a worker, and has it judged.
async fn judge(shared: &Arc<Shared>, came: Came, kind: Kind) -> Verdict {
    let lane = match kind {
        Kind::Block => Lane::Block,
        Kind::Sidecar => Lane::Column,
        _ => Lane::Operation,
    };
    let (topic, era, data) = (came.topic, came.era, came.data);
    let decoded = shared
        .chain
        .work()
        .run(lane, move || decode(topic, era.fork, &data))
        .await;
    let decoded = match decoded {
        Ok(Ok(decoded)) => decoded,
        Ok(Err(_)) => return Verdict::Reject("it cannot be decoded"),
        Err(_) => return Verdict::Ignore(crate::chain::BUSY),
    };
    let elsewhere = |slot| !is_of_era(shared, slot, era);
    let wrong = Verdict::Reject("it belongs on a topic of another fork");
    match decoded {
        Decoded::Block(block) if elsewhere(block.message.slot) => wrong,
        Decoded::Column(column, _) if elsewhere(column.signed_block_header.message.slot) => wrong,
        Decoded::Blob(blob, _) if elsewhere(blob.signed_block_header.message.slot) => wrong,
        Decoded::Block(block) => super::super::import::block(shared, block, came.source).await,
        Decoded::Column(column, subnet) => super::super::import::column(shared, column, subnet, came.source).await,
        Decoded::Blob(blob, subnet) => super::super::import::blob(shared, blob, subnet, came.source).await,
        Decoded::Message(message) => {
            let mut verdicts = shared.chain.submit(vec![*message]).await;
            verdicts.pop().unwrap_or(Verdict::Ignore(crate::chain::BUSY))
        }
        Decoded::FinalityUpdate(update) => light::judge_finality(shared, &update).await,
        Decoded::OptimisticUpdate(update) => light::judge_optimistic(shared, &update).await,
    }
}
