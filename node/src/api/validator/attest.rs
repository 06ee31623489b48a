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
use consensus::types::{Root, SignedAggregateAndProof};

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/validator/attestation_data", JSON_OR_SSZ, get_attestation_data);
    router.get("/eth/v2/validator/aggregate_attestation", JSON_OR_SSZ, get_aggregate);
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
    let data_root: Root = call.query.required("attestation_data_root", "a root with 0x")?;
    let slot = call.query.required_number("slot")?;
    let committee_index = call.query.required_number("committee_index")?;
    let config = context.chain.config();
    let pool = context.pools.attestations();
    let aggregate = pool.get_aggregate(config, slot, data_root, Some(committee_index));
    let aggregate = aggregate.ok_or_else(|| Error::not_found("no vote for that is here"))?;
    context.check_executed(&aggregate.data.beacon_block_root)?;
    let fork = config.fork_at_epoch(compute_epoch_at_slot(slot));
    Ok(Reply::new().version(fork).value(&call, &aggregate, fork))
}

/// Spec: beacon-APIs, `publishAggregateAndProofsV2`.
async fn publish_aggregates(context: Context, mut call: Call) -> Answer {
    let fork = call.consensus_version()?;
    let aggregates: Vec<SignedAggregateAndProof> = upload::list(&context, &mut call, fork, AGGREGATES_MAX).await?;
    let messages = aggregates
        .into_iter()
        .map(|aggregate| Message::Aggregate(Box::new(aggregate)));
    submit_all(&context, messages.collect(), "aggregates").await
}
