//! What gossip brings besides votes, handed to the chain.

use super::shared::Shared;
use crate::chain::{BUSY, Imported, NewBlock, Source};
use consensus::gossip::Verdict;
use consensus::types::{BlobSidecar, DataColumnSidecar, SignedBeaconBlock, SubnetID};
use libp2p::PeerId;
use std::sync::Arc;

/// A block.
pub(crate) async fn block(shared: &Shared, block: Arc<SignedBeaconBlock>, _from: PeerId) -> Verdict {
    let received_ms = shared.chain.clock().now_ms();
    let new = NewBlock {
        block,
        columns: Vec::new(),
        blobs: Vec::new(),
        source: Source::Gossip,
        received_ms,
    };
    match shared.chain.import_block(new).await {
        Ok(Imported::Done) => Verdict::Accept,
        Ok(Imported::Known | Imported::Waiting(_)) => Verdict::Ignore("not now"),
        Ok(Imported::Rejected(_)) => Verdict::Reject("the block is invalid"),
        Err(_) => Verdict::Ignore(BUSY),
    }
}

/// A column of a subnet.
pub(crate) async fn column(_: &Shared, _: Arc<DataColumnSidecar>, _: SubnetID, _: PeerId) -> Verdict {
    Verdict::Ignore(BUSY)
}

/// A blob of a subnet.
pub(crate) async fn blob(_: &Shared, _: Arc<BlobSidecar>, _: SubnetID, _: PeerId) -> Verdict {
    Verdict::Ignore(BUSY)
}
