//! Votes and operations: handing them in, and what is waiting for a block.

use crate::api::http::{ANY, Answer, Call, Error, Failure, JSON, Router, Upload};
use crate::api::json::array;
use crate::api::reply::{Reply, done};
use crate::api::{ApiContext, Context, upload};
use crate::chain::{BUSY, Message};
use crate::network::peer::Outgoing;
use crate::work::Lane;
use consensus::duties::{compute_subnet_for_attestation, compute_subnets_for_sync_committee};
use consensus::gossip::Verdict;
use consensus::helpers::accessors::{get_committee_count_per_slot, get_current_epoch};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::{MAX_COMMITTEES_PER_SLOT, MAX_VALIDATORS_PER_COMMITTEE, SYNC_COMMITTEE_SIZE};
use consensus::ssz::{Json, Out};
use consensus::types::{
    Attestation, AttesterSlashing, CommitteeIndex, ProposerSlashing, SignedBLSToExecutionChange, SignedVoluntaryExit,
    SingleAttestation, Slot, SubnetID, SyncCommitteeMessage,
};
use consensus::{Fork, State};
use std::sync::Arc;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v2/beacon/pool/attestations", JSON, get_attestations);
    router.post("/eth/v2/beacon/pool/attestations", VOTES, ANY, submit_attestations);
    router.post("/eth/v1/beacon/pool/attestations", VOTES, ANY, submit_attestations_v1);
    router.get("/eth/v2/beacon/pool/attester_slashings", JSON, get_attester_slashings);
    router.post(
        "/eth/v2/beacon/pool/attester_slashings",
        SLASHING,
        ANY,
        submit_attester_slashing,
    );
    router.get("/eth/v1/beacon/pool/proposer_slashings", JSON, get_proposer_slashings);
    router.post(
        "/eth/v1/beacon/pool/proposer_slashings",
        SMALL,
        ANY,
        submit_proposer_slashing,
    );
    router.post(
        "/eth/v1/beacon/pool/sync_committees",
        MESSAGES,
        ANY,
        submit_sync_messages,
    );
    router.get("/eth/v1/beacon/pool/voluntary_exits", JSON, get_voluntary_exits);
    router.post("/eth/v1/beacon/pool/voluntary_exits", SMALL, ANY, submit_voluntary_exit);
    router.get("/eth/v1/beacon/pool/bls_to_execution_changes", JSON, get_changes);
    router.post(
        "/eth/v1/beacon/pool/bls_to_execution_changes",
        MESSAGES,
        ANY,
        submit_changes,
    );
}

/// One operation of a few hundred bytes.
const SMALL: Upload = Upload::json(64 << 10);
/// Two lists of all voters of a slot.
const SLASHING: Upload = Upload::json(8 << 20);
/// Some thousand messages of half a kilobyte.
const MESSAGES: Upload = Upload::json(4 << 20).indexed();
/// The same in either form.
const VOTES: Upload = Upload::json_or_ssz(8 << 20).indexed();

/// Votes in one request. The API allows those of a whole slot; no client has as many validators.
const VOTES_MAX: u64 = 8192;
const _: () = assert!(VOTES_MAX <= MAX_VALIDATORS_PER_COMMITTEE * MAX_COMMITTEES_PER_SLOT);

/// Changes of credentials in one request.
const CHANGES_MAX: u64 = 4096;

impl ApiContext {
    /// Has messages checked and entered, and sends those that are good to all peers.
    async fn submit_and_send(&self, messages: Vec<Message>) -> Vec<Verdict> {
        let verdicts = self.chain.submit(messages.clone()).await;
        for (message, verdict) in messages.into_iter().zip(&verdicts) {
            if *verdict == Verdict::Accept {
                self.network.publish(Outgoing::Message(Arc::new(message)));
            }
        }
        verdicts
    }

    /// The fork of the current epoch, for endpoints that Electra has done away with. Error 400 from Electra on.
    pub(in crate::api) fn fork_before_electra(&self) -> Result<Fork, Error> {
        let epoch = self.chain.clock().epoch().unwrap_or(0);
        let fork = self.chain.config().fork_at_epoch(epoch);
        if fork < Fork::Electra {
            return Ok(fork);
        }
        Err(Error::bad_request(format!(
            "the chain is at {fork}: use version 2 of this endpoint"
        )))
    }

    /// Has messages checked and entered, several of them perhaps for one item of the client's list (`of_item` says which);
    /// an item is refused if none of its messages is good.
    async fn submit(
        &self,
        messages: Vec<(usize, Message)>,
        count: usize,
        mut failures: Vec<Failure>,
        what: &str,
    ) -> Answer {
        let (items, messages): (Vec<usize>, Vec<Message>) = messages.into_iter().unzip();
        let verdicts = self.submit_and_send(messages).await;
        let mut refused: Vec<Option<&'static str>> = vec![None; count];
        let mut accepted = vec![false; count];
        let mut busy = false;
        for (item, verdict) in items.into_iter().zip(verdicts) {
            match refusal(verdict) {
                None => accepted[item] = true,
                Some(why) => {
                    busy |= why == BUSY;
                    refused[item] = Some(why);
                }
            }
        }
        for (index, (why, accepted)) in refused.into_iter().zip(accepted).enumerate() {
            if let (Some(why), false) = (why, accepted) {
                let message = why.to_owned();
                failures.push(Failure { index, message });
            }
        }
        if failures.is_empty() {
            return Ok(done());
        }
        if busy {
            return Err(Error::unavailable(BUSY));
        }
        failures.sort_by_key(|failure| failure.index);
        tracing::debug!(
            what,
            refused = failures.len(),
            of = count,
            first = failures[0].message,
            "refused"
        );
        let message = format!("{} of {count} {what} are refused", failures.len());
        Err(Error::indexed(message, failures))
    }
}

/// Why a message is refused. What was seen before is as good as taken: clients send to several nodes, and again after a
/// timeout.
fn refusal(verdict: Verdict) -> Option<&'static str> {
    verdict.why().filter(|why| !why.contains("already seen"))
}

/// Has a list of messages checked and entered, one for each item.
pub(in crate::api) async fn submit_all(context: &ApiContext, messages: Vec<Message>, what: &str) -> Answer {
    let count = messages.len();
    context
        .submit(messages.into_iter().enumerate().collect(), count, Vec::new(), what)
        .await
}

/// The same for a single one, whose refusal is the answer's sentence.
async fn submit_one(context: &ApiContext, message: Message) -> Answer {
    let verdict = context.submit_and_send(vec![message]).await.pop();
    match verdict.and_then(refusal) {
        None => Ok(done()),
        Some(BUSY) => Err(Error::unavailable(BUSY)),
        Some(why) => Err(Error::bad_request(why)),
    }
}

/// The subnet of a vote. `None` for an epoch whose committees the state does not tell.
fn attestation_subnet(context: &ApiContext, state: &State, slot: Slot, index: CommitteeIndex) -> Option<SubnetID> {
    let epoch = compute_epoch_at_slot(slot);
    let current = get_current_epoch(state);
    if epoch > current + 1 || epoch + 1 < current {
        return None;
    }
    let committees = get_committee_count_per_slot(state, epoch);
    Some(compute_subnet_for_attestation(
        context.chain.config(),
        committees,
        slot,
        index,
    ))
}

/// Spec: beacon-APIs, `submitPoolAttestationsV2`.
async fn submit_attestations(context: Context, call: Call) -> Answer {
    let fork = call.consensus_version()?;
    submit_attestations_of(context, call, fork).await
}

/// Spec: beacon-APIs before version 4, `submitPoolAttestations`.
async fn submit_attestations_v1(context: Context, call: Call) -> Answer {
    let fork = context.fork_before_electra()?;
    submit_attestations_of(context, call, fork).await
}

async fn submit_attestations_of(context: Context, mut call: Call, fork: Fork) -> Answer {
    let state = &context.chain.snapshot().ahead.state;
    let mut messages = Vec::new();
    let mut failures = Vec::new();
    let mut enter = |index: usize, subnet: Option<SubnetID>, message: &dyn Fn(SubnetID) -> Message| match subnet {
        Some(subnet) => messages.push((index, message(subnet))),
        None => failures.push(Failure {
            index,
            message: "the vote is of no epoch around the current one".into(),
        }),
    };
    let count = if fork >= Fork::Electra {
        let votes: Vec<SingleAttestation> = upload::list(&context, &mut call, fork, VOTES_MAX).await?;
        for (index, vote) in votes.iter().enumerate() {
            let subnet = attestation_subnet(&context, state, vote.data.slot, vote.committee_index);
            enter(index, subnet, &|subnet| {
                Message::SingleAttestation(vote.clone(), subnet)
            });
        }
        votes.len()
    } else {
        let votes: Vec<Attestation> = upload::list(&context, &mut call, fork, VOTES_MAX).await?;
        for (index, vote) in votes.iter().enumerate() {
            let subnet = attestation_subnet(&context, state, vote.data.slot, vote.data.index);
            enter(index, subnet, &|subnet| {
                Message::Attestation(Box::new(vote.clone()), subnet)
            });
        }
        votes.len()
    };
    context.submit(messages, count, failures, "attestations").await
}

/// Spec: beacon-APIs, `submitPoolSyncCommitteeSignatures`.
async fn submit_sync_messages(context: Context, mut call: Call) -> Answer {
    let list: Vec<SyncCommitteeMessage> =
        upload::list(&context, &mut call, Fork::Altair, 2 * SYNC_COMMITTEE_SIZE).await?;
    let count = list.len();
    let state = Arc::clone(&context.chain.snapshot().ahead.state);
    // A walk over the committee for each.
    let sorted = context.work(move || {
        let mut messages = Vec::new();
        let mut failures = Vec::new();
        for (index, message) in list.into_iter().enumerate() {
            let subnets = compute_subnets_for_sync_committee(&state, message.slot, message.validator_index);
            let subnets = subnets.unwrap_or_default();
            if subnets.is_empty() {
                let message = "the validator is not in the sync committee of the slot".into();
                failures.push(Failure { index, message });
            }
            let messages_of_one = subnets
                .into_iter()
                .map(|subnet| Message::SyncMessage(message.clone(), subnet));
            messages.extend(messages_of_one.map(|message| (index, message)));
        }
        (messages, failures)
    });
    let (messages, failures) = sorted.await?;
    context
        .submit(messages, count, failures, "sync committee messages")
        .await
}

/// Spec: beacon-APIs, `submitPoolAttesterSlashingsV2`.
async fn submit_attester_slashing(context: Context, mut call: Call) -> Answer {
    let fork = call.consensus_version()?;
    let slashing: AttesterSlashing = upload::value(&context, &mut call, fork, Lane::Api).await?;
    submit_one(&context, Message::AttesterSlashing(Box::new(slashing))).await
}

/// Spec: beacon-APIs, `submitPoolProposerSlashings`.
async fn submit_proposer_slashing(context: Context, mut call: Call) -> Answer {
    let slashing: ProposerSlashing = upload::value(&context, &mut call, Fork::Phase0, Lane::Api).await?;
    submit_one(&context, Message::ProposerSlashing(Box::new(slashing))).await
}

/// Spec: beacon-APIs, `submitPoolVoluntaryExit`.
async fn submit_voluntary_exit(context: Context, mut call: Call) -> Answer {
    let exit: SignedVoluntaryExit = upload::value(&context, &mut call, Fork::Phase0, Lane::Api).await?;
    submit_one(&context, Message::VoluntaryExit(exit)).await
}

/// Spec: beacon-APIs, `submitPoolBLSToExecutionChange`.
async fn submit_changes(context: Context, mut call: Call) -> Answer {
    let changes: Vec<SignedBLSToExecutionChange> =
        upload::list(&context, &mut call, Fork::Capella, CHANGES_MAX).await?;
    let messages = changes
        .into_iter()
        .map(|change| Message::BlsToExecutionChange(Box::new(change)));
    submit_all(&context, messages.collect(), "changes of credentials").await
}

/// Spec: beacon-APIs, `getPoolAttestationsV2`.
async fn get_attestations(context: Context, call: Call) -> Answer {
    let (slot, index) = (call.query.number("slot")?, call.query.number("committee_index")?);
    let config = Arc::clone(context.chain.config());
    let pool = context.pools.attestations();
    let now = context.chain.snapshot().current_slot();
    // One list is of one fork: that of the slot asked for, or of now.
    let fork = config.fork_at_epoch(compute_epoch_at_slot(slot.unwrap_or(now)));
    let place = context.bulk.take().await?;
    let answer = context.work(move || {
        let _place = place;
        let is_of_fork = |attestation: &Attestation| {
            let of = config.fork_at_epoch(compute_epoch_at_slot(attestation.data.slot));
            (of >= Fork::Electra) == (fork >= Fork::Electra)
        };
        let attestations = pool.attestations(&config, slot, index).filter(is_of_fork);
        let write = |out: &mut Out, one: Attestation| one.write_json(fork, &[], out);
        Reply::new().version(fork).json(|out| array(out, attestations, write))
    });
    answer.await
}

/// Spec: beacon-APIs, `getPoolAttesterSlashingsV2`.
async fn get_attester_slashings(context: Context, _: Call) -> Answer {
    let pool = context.pools.operations();
    let now = context.chain.snapshot().current_slot();
    let fork = context.chain.config().fork_at_epoch(compute_epoch_at_slot(now));
    let reply = Reply::new().version(fork);
    let write = |out: &mut Out, one: &AttesterSlashing| one.write_json(fork, &[], out);
    Ok(reply.json(|out| array(out, pool.attester_slashings(), write)))
}

/// Spec: beacon-APIs, `getPoolProposerSlashings`.
async fn get_proposer_slashings(context: Context, _: Call) -> Answer {
    let pool = context.pools.operations();
    Ok(Reply::new().json(|out| array(out, pool.proposer_slashings(), write)))
}

/// Spec: beacon-APIs, `getPoolVoluntaryExits`.
async fn get_voluntary_exits(context: Context, _: Call) -> Answer {
    let pool = context.pools.operations();
    Ok(Reply::new().json(|out| array(out, pool.voluntary_exits(), write)))
}

/// Spec: beacon-APIs, `getPoolBLSToExecutionChanges`.
async fn get_changes(context: Context, _: Call) -> Answer {
    let pool = context.pools.operations();
    Ok(Reply::new().json(|out| array(out, pool.bls_to_execution_changes(), write)))
}

/// Writes an operation that is the same at every fork.
fn write(out: &mut Out, operation: &impl Json) {
    operation.write_json(Fork::Capella, &[], out);
}
