//! What gossip brings besides votes, handed to the chain.

use super::shared::Shared;
use consensus::gossip::Verdict;
use consensus::types::{BlobSidecar, DataColumnSidecar, SignedBeaconBlock, SubnetID};
use libp2p::PeerId;
use std::sync::Arc;

/// A block.
pub(crate) async fn block(shared: &Shared, block: Arc<SignedBeaconBlock>, from: PeerId) -> Verdict {
    shared.chain.gossip_block(block, Some(from)).await
}

/// A column of a subnet.
pub(crate) async fn column(shared: &Shared, column: Arc<DataColumnSidecar>, subnet: SubnetID, from: PeerId) -> Verdict {
    shared.chain.gossip_column(column, subnet, Some(from)).await
}

/// A blob of a subnet.
pub(crate) async fn blob(shared: &Shared, blob: Arc<BlobSidecar>, subnet: SubnetID, from: PeerId) -> Verdict {
    shared.chain.gossip_blob(blob, subnet, Some(from)).await
}
