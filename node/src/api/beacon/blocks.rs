//! Blocks and their headers.

use crate::api::http::{Answer, Call, Error, Format, JSON, JSON_OR_SSZ, Router};
use crate::api::ids::{FoundBlock, Id, Standing};
use crate::api::json::{array, object};
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context};
use crate::production::blinded_block;
use consensus::Fork;
use consensus::das::compute_signed_block_header;
use consensus::ssz::{Json, Out};
use consensus::types::{
    BLSSignature, BeaconBlockHeader, Root, SignedBeaconBlock, SignedBeaconBlockHeader, SignedBlindedBeaconBlock, Slot,
};
use storage::StoredBlock;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/beacon/headers", JSON, get_headers);
    router.get("/eth/v1/beacon/headers/{block_id}", JSON, get_header);
    router.get("/eth/v2/beacon/blocks/{block_id}", JSON_OR_SSZ, get_block);
    router.get("/eth/v1/beacon/blocks/{block_id}/root", JSON, get_block_root);
    router.get(
        "/eth/v2/beacon/blocks/{block_id}/attestations",
        JSON,
        get_block_attestations,
    );
    router.get(
        "/eth/v1/beacon/blinded_blocks/{block_id}",
        JSON_OR_SSZ,
        get_blinded_block,
    );
}

/// Headers in one answer: more blocks than these have one parent or one slot only where proposers equivocate.
const HEADERS_MAX: usize = 64;

/// A block's header with its signature.
struct Header {
    root: Root,
    canonical: bool,
    signed: SignedBeaconBlockHeader,
}

impl Header {
    /// Spec: beacon-APIs, `getBlockHeader`.
    fn write(&self, out: &mut Out) {
        object(out, |object| {
            object.quoted("root", self.root);
            object.bare("canonical", self.canonical);
            object.json("header", &self.signed, Fork::Phase0);
        });
    }
}

/// Where the signature stands in the SSZ of a signed block: behind the offset of the message.
const SIGNATURE_AT: std::ops::Range<usize> = 4..100;

fn signature_of(stored: &StoredBlock) -> Option<BLSSignature> {
    let bytes = stored.ssz.get(SIGNATURE_AT)?;
    Some(consensus::ssz::Bytes(bytes.try_into().ok()?))
}

impl ApiContext {
    /// The header of a block. That of a recent one is in its state; that of an older one is computed by a worker.
    async fn header(&self, block: &FoundBlock) -> Result<Header, Error> {
        let stored = self.load(block).await?;
        let signature = signature_of(&stored);
        let signature = signature.ok_or_else(|| Error::internal("the database has a damaged block"))?;
        let known = block
            .snapshot
            .block(&block.root)
            .zip(block.snapshot.view.state(&block.root));
        let message = if let Some((node, state)) = known {
            BeaconBlockHeader {
                state_root: node.state_root,
                ..state.latest_block_header
            }
        } else {
            let hashed = self.work(move || {
                let block = stored.decode()?;
                Ok(compute_signed_block_header(stored.fork, &block).message)
            });
            hashed.await?.map_err(damaged)?
        };
        Ok(Header {
            root: block.root,
            canonical: block.canonical,
            signed: SignedBeaconBlockHeader { message, signature },
        })
    }
}

/// Spec: beacon-APIs, `getBlockHeaders`.
async fn get_headers(context: Context, call: Call) -> Answer {
    let slot = call.query.number("slot")?;
    let parent_root: Option<Root> = call.query.read("parent_root", "a root with 0x")?;
    let snapshot = context.chain.snapshot();
    let slot = match (slot, parent_root) {
        (None, None) => Some(snapshot.head.slot),
        (slot, _) => slot,
    };
    let is_wanted = |of_slot: Slot, parent: Root| {
        slot.is_none_or(|slot| slot == of_slot) && parent_root.is_none_or(|root| root == parent)
    };
    let nodes = snapshot.view.blocks().nodes().iter();
    let roots = nodes.filter(|node| !node.invalid && is_wanted(node.slot, node.parent_root));
    let roots: Vec<Root> = roots.map(|node| node.root).take(HEADERS_MAX).collect();
    let mut headers = Vec::new();
    let mut standing = Standing {
        optimistic: false,
        finalized: true,
    };
    for root in roots {
        let block = context.block_of(Id::Root(root)).await?;
        standing.optimistic |= block.standing.optimistic;
        standing.finalized &= block.standing.finalized;
        headers.push(context.header(&block).await?);
    }
    // Of finalized slots the one block that stayed.
    if headers.is_empty()
        && let Some(slot) = slot
        && let Ok(block) = context.block_of(Id::Slot(slot)).await
    {
        let header = context.header(&block).await?;
        standing = block.standing;
        headers.extend(Some(header).filter(|header| is_wanted(slot, header.signed.message.parent_root)));
    }
    let reply = Reply::new().standing(standing);
    Ok(reply.json(|out| array(out, &headers, |out, header| header.write(out))))
}

/// Spec: beacon-APIs, `getBlockHeader`.
async fn get_header(context: Context, call: Call) -> Answer {
    let block = context.block(&call).await?;
    let header = context.header(&block).await?;
    Ok(Reply::new().standing(block.standing).json(|out| header.write(out)))
}

/// Spec: beacon-APIs, `getBlockRoot`.
async fn get_block_root(context: Context, call: Call) -> Answer {
    let block = context.block(&call).await?;
    let reply = Reply::new().standing(block.standing);
    Ok(reply.object(|object| object.quoted("root", block.root)))
}

/// Spec: beacon-APIs, `getBlockV2`.
async fn get_block(context: Context, call: Call) -> Answer {
    let block = context.block(&call).await?;
    let stored = context.load(&block).await?;
    let reply = Reply::new().version(stored.fork).standing(block.standing);
    if call.format == Format::Ssz {
        return Ok(reply.ssz(stored.ssz));
    }
    let answer = context.work(move || {
        let block = stored.decode()?;
        Ok(reply.json(|out| block.write_json(stored.fork, &[], out)))
    });
    answer.await?.map_err(damaged)
}

fn damaged(error: storage::Error) -> Error {
    Error::internal(format!("the database has a damaged block: {error}"))
}

/// Spec: beacon-APIs, `getBlockAttestationsV2`.
async fn get_block_attestations(context: Context, call: Call) -> Answer {
    let block = context.block(&call).await?;
    let stored = context.load(&block).await?;
    let reply = Reply::new().version(stored.fork).standing(block.standing);
    let answer = context.work(move || {
        let attestations = stored.decode()?.message.body.attestations;
        let fork = stored.fork;
        Ok(reply.json(|out| array(out, &attestations, |out, one| one.write_json(fork, &[], out))))
    });
    answer.await?.map_err(damaged)
}

/// Spec: beacon-APIs, `getBlindedBlock`. Before Bellatrix it is the block itself.
async fn get_blinded_block(context: Context, call: Call) -> Answer {
    let block = context.block(&call).await?;
    let stored = context.load(&block).await?;
    let reply = Reply::new().version(stored.fork).standing(block.standing);
    let answer = context.work(move || {
        let fork = stored.fork;
        let SignedBeaconBlock { message, signature } = stored.decode().map_err(damaged)?;
        if fork < Fork::Bellatrix {
            return Ok(reply.value(&call, &SignedBeaconBlock { message, signature }, fork));
        }
        let message = blinded_block(fork, message).map_err(|why| Error::bad_request(why.to_string()))?;
        Ok(reply.value(&call, &SignedBlindedBeaconBlock { message, signature }, fork))
    });
    answer.await?
}
