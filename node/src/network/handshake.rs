//! Getting to know a peer and keeping in touch: one task for each, from its connection to its end.
//!
//! Spec: phase0/p2p-interface.md, "Status v1", "Ping v1", "GetMetaData v1".

use super::book::Goodbye;
use super::peer::{Offence, RequestError};
use super::rpc::ask;
use super::shared::{Command, Shared};
use consensus::das::{compute_columns_for_custody_group, get_custody_groups};
use consensus::helpers::misc::compute_start_slot_at_epoch;
use consensus::ssz::U256;
use consensus::types::{ColumnIndex, Epoch, MetaData, Root, Status};
use libp2p::PeerId;
use libp2p::identity::PublicKey;
use sha3::{Digest as _, Keccak256};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How long a peer that called us may take to send its status, which it must do first; then it is asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a peer is asked whether it is there: connections break silently when a home router forgets them.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Every so many pings the statuses are exchanged anew: once a minute, since sync chooses peers by them.
const STATUS_EVERY: u32 = 3;

/// Pings in a row that may fail.
const FAILURES_MAX: u32 = 3;

/// Slots before the start of an epoch in which its block is looked for: further back only after an outage of the whole
/// network, and then the question stays open.
const LOOK_BACK: u64 = 256;

/// Keeps in touch with a peer until it is gone.
pub(crate) async fn keep(shared: Arc<Shared>, peer: PeerId, inbound: bool) {
    if inbound {
        sleep(PATIENCE).await;
    }
    if !has_status(&shared, peer) && !exchange_status(&shared, peer).await {
        shared.tell(Command::Leave(peer, Goodbye::Fault.code()));
        return;
    }
    refresh_metadata(&shared, peer).await;
    let (mut turn, mut failures) = (0_u32, 0);
    loop {
        sleep(PING_EVERY).await;
        if !shared.peers().contains_key(&peer) {
            return;
        }
        turn = turn.wrapping_add(1);
        let answered = match ask::ping(&shared, peer).await {
            Ok(number) => {
                shared.pinged(peer, number);
                true
            }
            Err(RequestError::Gone) => return,
            Err(_) => false,
        };
        failures = if answered { 0 } else { failures + 1 };
        if failures >= FAILURES_MAX {
            tracing::debug!(%peer, "it does not answer");
            shared.tell(Command::Leave(peer, Goodbye::Fault.code()));
            return;
        }
        if shared.wants_metadata(peer) {
            refresh_metadata(&shared, peer).await;
        }
        if turn.is_multiple_of(STATUS_EVERY) {
            exchange_status(&shared, peer).await;
        }
    }
}

fn has_status(shared: &Shared, peer: PeerId) -> bool {
    shared
        .peers()
        .get(&peer)
        .is_some_and(|connected| connected.status.is_some())
}

async fn exchange_status(shared: &Arc<Shared>, peer: PeerId) -> bool {
    match ask::status(shared, peer).await {
        Ok(status) => {
            judge(shared, peer, status).await;
            true
        }
        Err(error) => {
            tracing::debug!(%peer, "the handshake failed: {error}");
            false
        }
    }
}

async fn refresh_metadata(shared: &Arc<Shared>, peer: PeerId) {
    match ask::metadata(shared, peer).await {
        Ok(metadata) => {
            let columns = custody_columns(shared, peer, &metadata);
            if let Some(connected) = shared.peers().get_mut(&peer) {
                connected.metadata = Some(metadata.clone());
                connected.columns = columns;
            }
            shared.tell(Command::MetaData(peer, Box::new(metadata)));
        }
        Err(error) => tracing::debug!(%peer, "no metadata: {error}"),
    }
}

/// Takes a peer's status: enters it, or shows the peer out where it follows another chain.
pub(crate) async fn judge(shared: &Arc<Shared>, peer: PeerId, status: Status) {
    let ours = shared.digests.at(shared.epoch());
    if status.fork_digest != ours.digest {
        tracing::debug!(%peer, theirs = %status.fork_digest, ours = %ours.digest, "another network or fork");
        shared.tell(Command::Offence(peer, Offence::OtherChain));
        return;
    }
    if follows_another_chain(shared, &status).await {
        tracing::debug!(%peer, root = %status.finalized_root, epoch = status.finalized_epoch, "it finalized another chain");
        shared.tell(Command::Offence(peer, Offence::OtherChain));
        return;
    }
    if let Some(connected) = shared.peers().get_mut(&peer) {
        connected.status = Some(status);
    }
    shared.tell(Command::Status(peer));
}

/// Whether the peer has finalized what is not on our chain. Only what we have finalized ourselves can tell.
async fn follows_another_chain(shared: &Arc<Shared>, status: &Status) -> bool {
    let finalized = shared.chain.snapshot().finalized();
    let epoch = status.finalized_epoch;
    if epoch == 0 || epoch > finalized.epoch {
        return false;
    }
    if epoch == finalized.epoch {
        return status.finalized_root != finalized.root;
    }
    canonical_at(shared, epoch)
        .await
        .is_some_and(|root| root != status.finalized_root)
}

/// The finalized chain's block at the start of an epoch, or the last before it.
async fn canonical_at(shared: &Arc<Shared>, epoch: Epoch) -> Option<Root> {
    let start = compute_start_slot_at_epoch(epoch);
    let found = shared.read(move |storage| {
        let slots = start.saturating_sub(LOOK_BACK)..start.saturating_add(1);
        let mut last = None;
        for block in storage.canonical_in(slots) {
            last = Some(block?.1);
        }
        Ok(last)
    });
    found.await.flatten()
}

/// The columns that a peer keeps, by its id and what it says. None where it says what cannot be.
fn custody_columns(shared: &Shared, peer: PeerId, metadata: &MetaData) -> Arc<[ColumnIndex]> {
    let config = shared.config();
    let groups = node_id(&peer).and_then(|id| get_custody_groups(config, id, metadata.custody_group_count).ok());
    let mut columns: Vec<ColumnIndex> = groups
        .into_iter()
        .flatten()
        .flat_map(|group| compute_columns_for_custody_group(config, group).unwrap_or_default())
        .collect();
    columns.sort_unstable();
    columns.into()
}

/// The node id of a peer: the hash of its key, which its id holds. `None` for a key that is not of secp256k1.
///
/// Spec: phase0/p2p-interface.md, "The discovery domain: discv5"; EIP-778, identity scheme v4.
pub(crate) fn node_id(peer: &PeerId) -> Option<U256> {
    raw_node_id(peer).map(U256::from_be_bytes)
}

/// The same as bytes.
pub(crate) fn raw_node_id(peer: &PeerId) -> Option<[u8; 32]> {
    /// The multihash that holds its content itself.
    const IDENTITY: u64 = 0;
    let multihash = peer.as_ref();
    if multihash.code() != IDENTITY {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
    let point = key.try_into_secp256k1().ok()?.to_bytes_uncompressed();
    let hash = Keccak256::digest(&point[1..]);
    let mut id = [0; 32];
    id.copy_from_slice(&hash);
    Some(id)
}

impl Shared {
    /// A peer tells the number of its metadata.
    pub(crate) fn pinged(&self, peer: PeerId, number: u64) {
        if let Some(connected) = self.peers().get_mut(&peer) {
            let known = connected.metadata.as_ref().map(|metadata| metadata.seq_number);
            connected.stale = known.is_none_or(|known| known < number);
        }
    }

    /// Whether its metadata is old, or was never told.
    fn wants_metadata(&self, peer: PeerId) -> bool {
        self.peers()
            .get(&peer)
            .is_some_and(|connected| connected.stale || connected.metadata.is_none())
    }
}
