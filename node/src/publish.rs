//! A block that a validator client publishes, with its blobs: made into what goes out and is kept.

use crate::api::Network;
use crate::chain::{Chain, ChainEvent, Imported, NewBlock, Snapshot, Source};
use crate::network::peer::Outgoing;
use crate::production::{Sidecars, blob_sidecars, column_sidecars};
use crate::work::{Busy, Lane};
use consensus::das::compute_cells_with_proofs;
use consensus::gossip::{Gossip, Seen, Verdict, validate_beacon_block_gossip};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::signing::Context;
use consensus::ssz::Ssz as _;
use consensus::types::{Blob, KZGProof, SignedBeaconBlock};
use consensus::{Fork, Invalid};
use std::sync::Arc;

/// Imports a published block and sends it to all, its columns with it. What its blobs need is computed on a worker:
/// columns from Fulu on.
///
/// With `early` it goes out as soon as the rules of gossip, the proposer's signature with them, say that peers will pass
/// it on, and it is the first of its slot: they have it while its import goes on. Otherwise when it is imported.
pub async fn publish_block(
    chain: &Chain,
    network: &dyn Network,
    early: bool,
    block: SignedBeaconBlock,
    blobs: Vec<Blob>,
    kzg_proofs: Vec<KZGProof>,
) -> Result<Imported, Busy> {
    let received_ms = chain.clock().now_ms();
    let fork = chain.config().fork_at_epoch(compute_epoch_at_slot(block.message.slot));
    let snapshot = chain.snapshot();
    let made = chain.work().run(Lane::Produce, move || {
        let sidecars = sidecars_of(fork, &block, blobs, &kzg_proofs)?;
        let passes = !has_rival(&snapshot, &block) && passes_gossip(&snapshot, received_ms, &block);
        let root = passes.then(|| block.message.hash_tree_root(fork));
        Ok::<_, Invalid>((block, sidecars, root))
    });
    let (block, sidecars, passed) = match made.await? {
        Ok(made) => made,
        Err(why) => return Ok(Imported::Rejected(why)),
    };
    if let Some(root) = passed {
        let slot = block.message.slot;
        chain.publish_event(ChainEvent::BlockGossip { slot, root });
    }
    let mut new = NewBlock {
        block: Arc::new(block),
        columns: Vec::new(),
        blobs: Vec::new(),
        source: Source::Api,
        received_ms,
    };
    match sidecars {
        Sidecars::None => {}
        Sidecars::Blobs(blobs) => new.blobs = blobs.into_iter().map(Arc::new).collect(),
        Sidecars::Columns(columns) => new.columns = columns.into_iter().map(Arc::new).collect(),
    }
    if early && passed.is_some() {
        send(network, &new);
        return chain.import_block(new).await;
    }
    let kept = new.share();
    let imported = chain.import_block(new).await?;
    if imported == Imported::Done {
        send(network, &kept);
    }
    Ok(imported)
}

/// Hands a block and what belongs to it to the network: the block first, which peers need to place the rest.
fn send(network: &dyn Network, new: &NewBlock) {
    network.publish(Outgoing::Block(Arc::clone(&new.block)));
    for column in &new.columns {
        network.publish(Outgoing::Column(Arc::clone(column)));
    }
    for blob in &new.blobs {
        network.publish(Outgoing::Blob(Arc::clone(blob)));
    }
}

/// Whether there is another block of its slot: then one of two may be all that a proposer signs.
fn has_rival(snapshot: &Snapshot, block: &SignedBeaconBlock) -> bool {
    let slot = block.message.slot;
    let mut of_slot = snapshot.view.blocks().nodes().iter().filter(|node| node.slot == slot);
    of_slot.any(|node| node.parent_root != block.message.parent_root || node.state_root != block.message.state_root)
}

/// The rules of the topic.
fn passes_gossip(snapshot: &Snapshot, now_ms: u64, block: &SignedBeaconBlock) -> bool {
    let seen = Seen::new();
    let ctx = Context::collecting(snapshot.view.config(), &snapshot.keys);
    let mut gossip = Gossip::new(snapshot, &seen, &snapshot.ahead.state, now_ms, ctx);
    let verdict = validate_beacon_block_gossip(&mut gossip, block);
    gossip.finish(verdict) == Verdict::Accept
}

/// What goes out beside a block, made from its blobs: milliseconds a blob, so for workers.
pub(crate) fn sidecars_of(
    fork: Fork,
    block: &SignedBeaconBlock,
    blobs: Vec<Blob>,
    kzg_proofs: &[KZGProof],
) -> Result<Sidecars, Invalid> {
    if fork >= Fork::Fulu {
        let rows = compute_cells_with_proofs(&blobs, kzg_proofs)?;
        return column_sidecars(fork, block, &rows);
    }
    if fork >= Fork::Deneb {
        return blob_sidecars(fork, block, blobs, kzg_proofs);
    }
    Ok(Sidecars::None)
}
