//! Votes and operations, from the Beacon API or from gossip: checked in batches on workers by the rules of their topic,
//! entered by the chain thread.

use super::committees::Committees;
use super::handle::{Chain, Event};
use super::import::needed_for_vote;
use super::intake::Want;
use super::snapshot::Snapshot;
use crate::pools::Entry;
use crate::work::{Busy, Lane};
use consensus::State;
use consensus::duties::attestation_of_single;
use consensus::fork_choice::{AttestationAction, ValidAttestation, View};
use consensus::gossip::{
    Gossip, Mark, Seen, Verdict, validate_attester_slashing_gossip, validate_beacon_aggregate_and_proof_gossip,
    validate_beacon_attestation_gossip, validate_bls_to_execution_change_gossip, validate_proposer_slashing_gossip,
    validate_single_attestation_gossip, validate_sync_committee_contribution_and_proof_gossip,
    validate_sync_committee_message_gossip, validate_voluntary_exit_gossip,
};
use consensus::signing::Context;
use consensus::types::{
    Attestation, AttesterSlashing, ProposerSlashing, Root, SignedAggregateAndProof, SignedBLSToExecutionChange,
    SignedContributionAndProof, SignedVoluntaryExit, SingleAttestation, Slot, SubnetID, SyncCommitteeMessage,
    ValidatorIndex,
};
use crypto::bls::{find_invalid, verify_signature_sets};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What others tell the chain besides blocks.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A vote, from Electra on.
    SingleAttestation(SingleAttestation, SubnetID),
    /// A vote before Electra: one bit is set.
    Attestation(Box<Attestation>, SubnetID),
    /// Votes of a committee.
    Aggregate(Box<SignedAggregateAndProof>),
    /// A sync committee member's signature of the head.
    SyncMessage(SyncCommitteeMessage, SubnetID),
    /// Those of a subcommittee.
    Contribution(Box<SignedContributionAndProof>),
    /// A validator wants to leave.
    VoluntaryExit(SignedVoluntaryExit),
    /// A proposer signed two blocks.
    ProposerSlashing(Box<ProposerSlashing>),
    /// Attesters voted twice.
    AttesterSlashing(Box<AttesterSlashing>),
    /// A validator sets its withdrawal address.
    BlsToExecutionChange(Box<SignedBLSToExecutionChange>),
}

/// The verdict on a message, with the reason unless it was accepted.
pub type Submitted = Verdict;

/// How many messages a worker takes at once: more make a signature hardly cheaper, and 64 of different data take
/// 35 ms, which is about as long as a worker may be away from the lanes.
const BATCH: usize = 64;

impl Message {
    /// The lane in which it is checked.
    pub fn lane(&self) -> Lane {
        match self {
            Message::SingleAttestation(..) | Message::Attestation(..) | Message::SyncMessage(..) => Lane::Attestation,
            Message::Aggregate(_) | Message::Contribution(_) => Lane::Aggregate,
            Message::VoluntaryExit(_)
            | Message::ProposerSlashing(_)
            | Message::AttesterSlashing(_)
            | Message::BlsToExecutionChange(_) => Lane::Operation,
        }
    }
}

/// What a message changes in the fork choice.
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// These votes count, from the slot after theirs on.
    Votes(Box<ValidAttestation>),
    /// Votes that count from this slot on.
    Later(Box<ValidAttestation>, Slot),
    /// These validators have no voice any more.
    Silenced(Vec<ValidatorIndex>),
}

/// A message that a worker has checked.
pub(crate) struct CheckedMessage {
    pub(crate) message: Arc<Message>,
    pub(crate) verdict: Verdict,
    pub(crate) marks: Vec<Mark>,
    pub(crate) effect: Effect,
    /// What goes into the pools, if it is accepted.
    pub(crate) entry: Option<Entry>,
    /// Where the final verdict goes.
    pub(crate) answer: Option<oneshot::Sender<Verdict>>,
}

/// See `Chain::submit`.
pub(super) async fn submit(chain: &Chain, messages: Vec<Message>) -> Vec<Submitted> {
    let mut answers = Vec::with_capacity(messages.len());
    let mut batch: Vec<(Message, oneshot::Sender<Verdict>)> = Vec::new();
    let mut lane = Lane::Operation;
    for message in messages {
        let (answer, result) = oneshot::channel();
        answers.push(result);
        if batch.len() >= BATCH || !batch.is_empty() && message.lane() != lane {
            push(chain, lane, std::mem::take(&mut batch));
        }
        lane = message.lane();
        batch.push((message, answer));
    }
    push(chain, lane, batch);
    let mut verdicts = Vec::with_capacity(answers.len());
    for answer in answers {
        verdicts.push(answer.await.unwrap_or(Verdict::Ignore(BUSY)));
    }
    verdicts
}

/// The reason of a verdict on what was dropped unchecked.
pub const BUSY: &str = "the node is too busy";

/// Puts a batch into its lane; without room, its answers are dropped with it.
fn push(chain: &Chain, lane: Lane, batch: Vec<(Message, oneshot::Sender<Verdict>)>) {
    if batch.is_empty() {
        return;
    }
    let chain_of_job = chain.clone();
    let job = Box::new(move || {
        let snapshot = chain_of_job.snapshot();
        let now_ms = chain_of_job.clock().now_ms();
        let (messages, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let mut checked = check(&snapshot, now_ms, messages.into_iter().map(Arc::new).collect());
        for (checked, answer) in checked.iter_mut().zip(answers) {
            checked.answer = Some(answer);
        }
        for root in named_blocks(&snapshot, &checked) {
            chain_of_job.want(Want::Block { root, from: None });
        }
        chain_of_job.tell_certainly(Event::Messages(checked));
    });
    if chain.work().push(lane, job) == Err(Busy) {
        tracing::debug!(lane = lane.name(), "messages were dropped: the lane is full");
    }
}

/// Blocks that are not here and that votes of a batch name, at most so many: all honest votes of a slot name one or two.
const NAMED_MAX: usize = 4;

/// The blocks that votes name which were ignored, and that are not here.
fn named_blocks(snapshot: &Snapshot, checked: &[CheckedMessage]) -> Vec<Root> {
    let mut roots: Vec<Root> = Vec::new();
    for checked in checked {
        let data = match (&checked.verdict, checked.message.as_ref()) {
            (Verdict::Ignore(_), Message::SingleAttestation(vote, _)) => &vote.data,
            (Verdict::Ignore(_), Message::Attestation(vote, _)) => &vote.data,
            (Verdict::Ignore(_), Message::Aggregate(aggregate)) => &aggregate.message.aggregate.data,
            _ => continue,
        };
        let root = data.beacon_block_root;
        let recent = data.slot.saturating_add(consensus::preset::SLOTS_PER_EPOCH) >= snapshot.current_slot();
        if recent && snapshot.block(&root).is_none() && !roots.contains(&root) && roots.len() < NAMED_MAX {
            roots.push(root);
        }
    }
    roots
}

/// Checks messages by the rules of their topics, with all their signatures in one batch.
pub(crate) fn check(snapshot: &Arc<Snapshot>, now_ms: u64, messages: Vec<Arc<Message>>) -> Vec<CheckedMessage> {
    let seen = Seen::new();
    let mut checked = Vec::with_capacity(messages.len());
    let mut sets = Vec::new();
    let mut owners = Vec::new();
    let mut committees = Vec::with_capacity(checked.capacity());
    for (place, message) in messages.into_iter().enumerate() {
        committees.push(Committees::of(snapshot, &message, committees.last()));
        let of_vote = &committees[place];
        let ctx = Context::collecting(snapshot.view.config(), &snapshot.keys);
        let mut gossip = snapshot.rules(&seen, of_vote.state(snapshot), now_ms, ctx);
        gossip.committees_known = of_vote.are_known();
        let verdict = match of_vote.refusal() {
            Some(refusal) => refusal,
            None => apply_rules(&mut gossip, &message),
        };
        for (why, set) in gossip.take_collected() {
            sets.push(set);
            owners.push((place, why));
        }
        let marks = std::mem::take(&mut gossip.marks);
        checked.push(CheckedMessage {
            message,
            verdict,
            marks,
            effect: Effect::None,
            entry: None,
            answer: None,
        });
    }
    if !sets.is_empty() && !verify_signature_sets(&sets) {
        // The first wrong signature of a message wins over whatever was found behind it.
        for (place, why) in find_invalid(&sets).into_iter().rev().map(|index| owners[index]) {
            checked[place].verdict = Verdict::Reject(why);
            checked[place].marks.clear();
        }
    }
    for (checked, committees) in checked.iter_mut().zip(&committees) {
        if checked.verdict == Verdict::Accept {
            let state = committees.state(snapshot);
            checked.effect = effect_of(snapshot, state, &checked.message);
            // Pools are for blocks on the head, which cannot hold votes of other committees.
            if committees.are_of_head() {
                checked.entry = Entry::of(&checked.message, state).ok();
            }
        }
    }
    checked
}

fn apply_rules(gossip: &mut Gossip, message: &Message) -> Verdict {
    match message {
        Message::SingleAttestation(attestation, subnet) => {
            validate_single_attestation_gossip(gossip, attestation, *subnet)
        }
        Message::Attestation(attestation, subnet) => validate_beacon_attestation_gossip(gossip, attestation, *subnet),
        Message::Aggregate(aggregate) => validate_beacon_aggregate_and_proof_gossip(gossip, aggregate),
        Message::SyncMessage(message, subnet) => validate_sync_committee_message_gossip(gossip, message, *subnet),
        Message::Contribution(contribution) => {
            validate_sync_committee_contribution_and_proof_gossip(gossip, contribution)
        }
        Message::VoluntaryExit(exit) => validate_voluntary_exit_gossip(gossip, exit),
        Message::ProposerSlashing(slashing) => validate_proposer_slashing_gossip(gossip, slashing),
        Message::AttesterSlashing(slashing) => validate_attester_slashing_gossip(gossip, slashing),
        Message::BlsToExecutionChange(change) => validate_bls_to_execution_change_gossip(gossip, change),
    }
}

/// What an accepted message changes in the fork choice. Its signatures have been checked.
fn effect_of(snapshot: &Snapshot, state: &State, message: &Message) -> Effect {
    match message {
        Message::SingleAttestation(single, _) => match attestation_of_single(state, single) {
            Ok(attestation) => votes(snapshot, &attestation),
            Err(_) => Effect::None,
        },
        Message::Attestation(attestation, _) => votes(snapshot, attestation),
        Message::Aggregate(aggregate) => votes(snapshot, &aggregate.message.aggregate),
        Message::AttesterSlashing(slashing) => {
            let mut ctx = Context::trusting(snapshot.view.config(), &snapshot.keys);
            let twice = snapshot.view.validate_attester_slashing(&mut ctx, slashing);
            twice.map_or(Effect::None, Effect::Silenced)
        }
        _ => Effect::None,
    }
}

/// The votes of an attestation whose signature is valid.
fn votes(snapshot: &Snapshot, attestation: &Attestation) -> Effect {
    let mut ctx = Context::trusting(snapshot.view.config(), &snapshot.keys);
    let check = |view: &View| view.validate_attestation(&mut ctx, attestation, false);
    let action = snapshot.states.check(snapshot, check, needed_for_vote);
    let action = action.unwrap_or_else(AttestationAction::Ignore);
    match action {
        AttestationAction::Accept(valid) => Effect::Votes(Box::new(valid)),
        AttestationAction::DelayUntilSlot(slot) => {
            let check = |view: &View| view.validate_voters(&mut ctx, attestation);
            let action = snapshot.states.check(snapshot, check, needed_for_vote);
            let valid = action.and_then(AttestationAction::accepted);
            valid.map_or(Effect::None, |valid| Effect::Later(Box::new(valid), slot))
        }
        // The gossip rules have seen its blocks; whatever is missing now has been pruned meanwhile.
        AttestationAction::DelayUntilBlock(_)
        | AttestationAction::DelayUntilPayload(_)
        | AttestationAction::DelayUntilState(_)
        | AttestationAction::Ignore(_)
        | AttestationAction::Reject(_) => Effect::None,
    }
}
