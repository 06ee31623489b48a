//! A block that a validator client publishes, with its blobs: made into what goes out and is kept.

use crate::chain::{Chain, Imported, NewBlock, Source};
use crate::production::{Sidecars, blob_sidecars, column_sidecars};
use crate::work::{Busy, Lane};
use consensus::das::compute_cells_with_proofs;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::types::{Blob, KZGProof, SignedBeaconBlock};
use consensus::{Fork, Invalid};
use std::sync::Arc;

/// Imports a published block. What its blobs need is computed on a worker: columns from Fulu on.
pub async fn publish_block(
    chain: &Chain,
    block: SignedBeaconBlock,
    blobs: Vec<Blob>,
    kzg_proofs: Vec<KZGProof>,
) -> Result<Imported, Busy> {
    let received_ms = chain.clock().now_ms();
    let fork = chain.config().fork_at_epoch(compute_epoch_at_slot(block.message.slot));
    let made = chain.work().run(Lane::Produce, move || {
        let sidecars = sidecars_of(fork, &block, blobs, &kzg_proofs)?;
        Ok::<_, Invalid>((block, sidecars))
    });
    let (block, sidecars) = match made.await? {
        Ok(made) => made,
        Err(why) => return Ok(Imported::Rejected(why)),
    };
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
    chain.import_block(new).await
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
