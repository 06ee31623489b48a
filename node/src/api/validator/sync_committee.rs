//! Contributions of the sync committee.

use crate::api::beacon::submit_all;
use crate::api::http::{ANY, Answer, Call, Error, JSON, Router, Upload};
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context, upload};
use crate::chain::Message;
use consensus::Fork;
use consensus::constants::SYNC_COMMITTEE_SUBNET_COUNT;
use consensus::preset::SYNC_COMMITTEE_SIZE;
use consensus::types::{Root, SignedContributionAndProof};

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/validator/sync_committee_contribution", JSON, get_contribution);
    router.post(
        "/eth/v1/validator/contribution_and_proofs",
        CONTRIBUTIONS,
        ANY,
        publish_contributions,
    );
}

/// A contribution from every seat, more than there can be.
const CONTRIBUTIONS: Upload = Upload::json(2 << 20).indexed();

/// Spec: beacon-APIs, `produceSyncCommitteeContribution`.
async fn get_contribution(context: Context, call: Call) -> Answer {
    let slot = call.query.required_number("slot")?;
    let subcommittee = call.query.required_number("subcommittee_index")?;
    let root: Root = call.query.required("beacon_block_root", "a root with 0x")?;
    if subcommittee >= SYNC_COMMITTEE_SUBNET_COUNT {
        let message = format!("there are {SYNC_COMMITTEE_SUBNET_COUNT} subcommittees, {subcommittee} is none of them");
        return Err(Error::bad_request(message));
    }
    context.check_synced()?;
    context.check_executed(&root)?;
    let contribution = context
        .pools
        .sync_committee()
        .get_contribution(slot, root, subcommittee);
    let contribution = contribution.ok_or_else(|| Error::not_found("no message of that subcommittee is here"))?;
    Ok(Reply::new().value(&call, &contribution, Fork::Altair))
}

/// Spec: beacon-APIs, `publishContributionAndProofs`.
async fn publish_contributions(context: Context, mut call: Call) -> Answer {
    let contributions: Vec<SignedContributionAndProof> =
        upload::list(&context, &mut call, Fork::Altair, SYNC_COMMITTEE_SIZE).await?;
    let messages = contributions
        .into_iter()
        .map(|one| Message::Contribution(Box::new(one)));
    submit_all(&context, messages.collect(), "contributions").await
}
