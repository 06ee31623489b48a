//! Votes: what to vote for, aggregates to sign, and aggregates handed in.

use crate::api::beacon::submit_all;
use crate::api::http::{ANY, Answer, Call, Error, JSON_OR_SSZ, Router, Upload};
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context, upload};
use crate::chain::Message;
use consensus::Fork;
use consensus::constants::TARGET_AGGREGATORS_PER_COMMITTEE;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::MAX_COMMITTEES_PER_SLOT;
use consensus::types::{Attestation, CommitteeIndex, Root, SignedAggregateAndProof};

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/validator/attestation_data", JSON_OR_SSZ, get_attestation_data);
    router.get("/eth/v2/validator/aggregate_attestation", JSON_OR_SSZ, get_aggregate);
    router.get("/eth/v1/validator/aggregate_attestation", JSON_OR_SSZ, get_aggregate_v1);
    router.post(
        "/eth/v1/validator/aggregate_and_proofs",
        AGGREGATES,
        ANY,
        publish_aggregates_v1,
    );
    router.post(
        "/eth/v2/validator/aggregate_and_proofs",
        AGGREGATES,
        ANY,
        publish_aggregates,
    );
}

/// Aggregates in one request. Spec: beacon-APIs, `publishAggregateAndProofsV2`.
const AGGREGATES_MAX: u64 = MAX_COMMITTEES_PER_SLOT * TARGET_AGGREGATORS_PER_COMMITTEE;

/// Room for as many, with the bits of a committee of a thousand.
const AGGREGATES: Upload = Upload::json_or_ssz(4 << 20).indexed();

impl ApiContext {
    /// Error 503 for a block whose payload nobody has executed: nobody may vote for it.
    pub(super) fn check_executed(&self, root: &Root) -> Result<(), Error> {
        let snapshot = self.chain.snapshot();
        if snapshot.block(root).is_some() && snapshot.is_optimistic(root) {
            let message = format!("block {root} has a payload that the execution client has not executed yet");
            return Err(Error::unavailable(message));
        }
        Ok(())
    }
}

/// Spec: beacon-APIs, `produceAttestationData`.
async fn get_attestation_data(context: Context, call: Call) -> Answer {
    let slot = call.query.required_number("slot")?;
    let committee_index = call.query.number("committee_index")?;
    let epoch = compute_epoch_at_slot(slot);
    if committee_index.is_none() && context.chain.config().fork_at_epoch(epoch) < Fork::Electra {
        return Err(Error::bad_request("the parameter 'committee_index' is missing"));
    }
    if committee_index.is_some_and(|index| index >= MAX_COMMITTEES_PER_SLOT) {
        return Err(Error::bad_request("there is no committee of that index"));
    }
    context.check_synced()?;
    let snapshot = context.chain.snapshot();
    let data = snapshot.attestation_data(slot, committee_index.unwrap_or(0));
    let data = data.map_err(|why| Error::bad_request(why.to_string()))?;
    context.check_executed(&data.beacon_block_root)?;
    Ok(Reply::new().value(&call, &data, Fork::Phase0))
}

/// Spec: beacon-APIs, `getAggregatedAttestationV2`.
async fn get_aggregate(context: Context, call: Call) -> Answer {
    let committee_index = call.query.required_number("committee_index")?;
    let (aggregate, fork) = aggregate(&context, &call, Some(committee_index))?;
    Ok(Reply::new().version(fork).value(&call, &aggregate, fork))
}

/// Spec: beacon-APIs before version 4, `getAggregatedAttestation`.
async fn get_aggregate_v1(context: Context, call: Call) -> Answer {
    context.fork_before_electra()?;
    let (aggregate, fork) = aggregate(&context, &call, None)?;
    Ok(Reply::new().value(&call, &aggregate, fork))
}

fn aggregate(
    context: &ApiContext,
    call: &Call,
    committee_index: Option<CommitteeIndex>,
) -> Result<(Attestation, Fork), Error> {
    let data_root: Root = call.query.required("attestation_data_root", "a root with 0x")?;
    let slot = call.query.required_number("slot")?;
    let config = context.chain.config();
    let pool = context.pools.attestations();
    let aggregate = pool.get_aggregate(config, slot, data_root, committee_index);
    let aggregate = aggregate.ok_or_else(|| Error::not_found("no vote for that is here"))?;
    context.check_executed(&aggregate.data.beacon_block_root)?;
    Ok((aggregate, config.fork_at_epoch(compute_epoch_at_slot(slot))))
}

/// Spec: beacon-APIs, `publishAggregateAndProofsV2`.
async fn publish_aggregates(context: Context, call: Call) -> Answer {
    let fork = call.consensus_version()?;
    publish_aggregates_of(context, call, fork).await
}

/// Spec: beacon-APIs before version 4, `publishAggregateAndProofs`.
async fn publish_aggregates_v1(context: Context, call: Call) -> Answer {
    let fork = context.fork_before_electra()?;
    publish_aggregates_of(context, call, fork).await
}

async fn publish_aggregates_of(context: Context, mut call: Call, fork: Fork) -> Answer {
    let aggregates: Vec<SignedAggregateAndProof> = upload::list(&context, &mut call, fork, AGGREGATES_MAX).await?;
    let messages = aggregates
        .into_iter()
        .map(|aggregate| Message::Aggregate(Box::new(aggregate)));
    submit_all(&context, messages.collect(), "aggregates").await
}
