//! Blocks that validator clients publish.

use crate::api::http::{ANY, Answer, Call, Error, Router, Upload, excerpt};
use crate::api::reply::only;
use crate::api::{ApiContext, Context, upload};
use crate::builder::Revealed;
use crate::chain::Imported;
use crate::production::unblinded_block;
use crate::publish::publish_block;
use crate::work::Lane;
use consensus::Fork;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::types::{Blob, KZGProof, SignedBeaconBlock, SignedBlindedBeaconBlock, SignedBlockContents, Slot};
use hyper::StatusCode;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.post("/eth/v2/beacon/blocks", BLOCK, ANY, publish);
    router.post("/eth/v2/beacon/blinded_blocks", BLOCK, ANY, publish_blinded);
}

/// A payload may have 10 MiB (`MAX_PAYLOAD_SIZE`), and 21 blobs have 2.75 MB; JSON takes twice that.
const BLOCK: Upload = Upload::json_or_ssz(32 << 20);

/// Spec: beacon-APIs, `BroadcastValidation`. With `gossip`, which is the default, a block goes out when it passes the rules
/// of gossip and is the first of its slot; with the other two, which are the same here, when it was checked in full and
/// against others of its proposer.
fn check_broadcast_validation(call: &Call) -> Result<(), Error> {
    match call.query.one("broadcast_validation")? {
        None | Some("gossip" | "consensus" | "consensus_and_equivocation") => Ok(()),
        Some(other) => Err(Error::bad_request(format!(
            "broadcast_validation '{}' is none of gossip, consensus, consensus_and_equivocation",
            excerpt(other)
        ))),
    }
}

/// The fork that the header names must be that of the block's slot: it decided on how the block was read.
fn check_fork(context: &ApiContext, slot: Slot, named: Fork) -> Result<(), Error> {
    let fork = context.chain.config().fork_at_epoch(compute_epoch_at_slot(slot));
    if fork == named {
        return Ok(());
    }
    let message = format!("Eth-Consensus-Version is {named}, a block of slot {slot} is of {fork}");
    Err(Error::bad_request(message))
}

/// Spec: beacon-APIs, `publishBlockV2`.
async fn publish(context: Context, mut call: Call) -> Answer {
    check_broadcast_validation(&call)?;
    let early = matches!(call.query.one("broadcast_validation")?, None | Some("gossip"));
    let fork = call.consensus_version()?;
    if fork >= Fork::Gloas {
        return Err(Error::bad_request(format!("this version makes no blocks of {fork}")));
    }
    let (block, blobs, proofs) = if fork >= Fork::Deneb {
        let contents: SignedBlockContents = upload::value(&context, &mut call, fork, Lane::Produce).await?;
        (contents.signed_block, contents.blobs, contents.kzg_proofs)
    } else {
        let block: SignedBeaconBlock = upload::value(&context, &mut call, fork, Lane::Produce).await?;
        (block, Vec::new(), Vec::new())
    };
    import_and_send(&context, early, fork, block, blobs, proofs).await
}

/// Imports a block, and sends it to all when it is imported.
async fn import(
    context: &ApiContext,
    fork: Fork,
    block: SignedBeaconBlock,
    blobs: Vec<Blob>,
    proofs: Vec<KZGProof>,
) -> Answer {
    import_and_send(context, false, fork, block, blobs, proofs).await
}

/// The same; with `early` it is sent before its import is through.
async fn import_and_send(
    context: &ApiContext,
    early: bool,
    fork: Fork,
    block: SignedBeaconBlock,
    blobs: Vec<Blob>,
    proofs: Vec<KZGProof>,
) -> Answer {
    let slot = block.message.slot;
    check_fork(context, slot, fork)?;
    match publish_block(&context.chain, &*context.network, early, block, blobs, proofs).await? {
        Imported::Done | Imported::Known => Ok(only(StatusCode::OK)),
        Imported::Waiting(why) => {
            tracing::warn!(slot, "a published block is not in the chain yet: {why}");
            Ok(only(StatusCode::ACCEPTED))
        }
        Imported::Rejected(why) => {
            tracing::warn!(slot, %why, "a published block is refused");
            Err(Error::bad_request(format!("the block is refused: {why}")))
        }
    }
}

/// Spec: beacon-APIs, `publishBlindedBlockV2`. Before Bellatrix it takes the block itself. The builder shows the payload,
/// and the block is published here; or it publishes the block, which then comes from the network: 202.
async fn publish_blinded(context: Context, mut call: Call) -> Answer {
    check_broadcast_validation(&call)?;
    let fork = call.consensus_version()?;
    if fork >= Fork::Gloas {
        return Err(Error::bad_request(format!("blocks of {fork} are not blinded")));
    }
    if fork < Fork::Bellatrix {
        let block: SignedBeaconBlock = upload::value(&context, &mut call, fork, Lane::Produce).await?;
        return import(&context, fork, block, Vec::new(), Vec::new()).await;
    }
    let signed: SignedBlindedBeaconBlock = upload::value(&context, &mut call, fork, Lane::Produce).await?;
    let slot = signed.message.slot;
    check_fork(&context, slot, fork)?;
    let builder = context.producer.builder();
    let builder = builder.ok_or_else(|| {
        Error::bad_request("no builder is set up that could show the payload of a blinded block; name one by --builder")
    })?;
    let revealed = builder.submit(fork, &signed).await.map_err(|why| {
        tracing::error!(slot, "a blinded block is lost: {why}");
        Error::unavailable(format!(
            "the block of slot {slot} is lost, and no other may be signed: {why}"
        ))
    })?;
    let Revealed::Payload {
        payload,
        blobs,
        kzg_proofs,
    } = revealed
    else {
        tracing::info!(slot, "the builder has taken on to publish the block");
        return Ok(only(StatusCode::ACCEPTED));
    };
    let work = context.chain.work();
    let whole = work
        .run(Lane::Produce, move || unblinded_block(fork, signed, *payload))
        .await?;
    let whole = whole.map_err(|why| {
        tracing::error!(slot, %why, "a blinded block is lost: the builder shows another payload than it promised");
        Error::unavailable(format!("the block of slot {slot} is lost: {why}"))
    })?;
    import(&context, fork, whole, blobs, kzg_proofs).await
}
