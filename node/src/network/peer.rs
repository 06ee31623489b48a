//! Peers as sync, chain and API see them: who is there, what can be asked of them, and what is told of them.

use crate::chain::Message;
use consensus::Invalid;
use consensus::types::{
    BeaconBlocksByHead, BeaconBlocksByRange, BlobIdentifier, BlobSidecar, BlobSidecarsByRange, ColumnIndex,
    DataColumnSidecar, DataColumnSidecarsByRange, DataColumnsByRootIdentifier, LightClientFinalityUpdate,
    LightClientOptimisticUpdate, Root, SignedBeaconBlock, Status,
};
use futures_util::future::BoxFuture;
use libp2p::PeerId;
use std::fmt::Debug;
use std::sync::Arc;

/// A connected peer that follows our chain, as far as its status tells.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Who.
    pub id: PeerId,
    /// What it said last. Before Fulu's version of it `earliest_available_slot` is 0.
    pub status: Status,
    /// The columns that it keeps, ascending; empty before its custody is known.
    pub columns: Arc<[ColumnIndex]>,
    /// How well it has done; lower is worse, a peer below 0 is on its way out.
    pub score: i32,
}

/// What can be asked of a peer. Spec: "The Req/Resp domain" in p2p-interface.md of each fork.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Blocks of these slots.
    BlocksByRange(BeaconBlocksByRange),
    /// Blocks of these roots.
    BlocksByRoot(Vec<Root>),
    /// A block and its ancestors.
    BlocksByHead(BeaconBlocksByHead),
    /// Blobs of these slots.
    BlobsByRange(BlobSidecarsByRange),
    /// These blobs.
    BlobsByRoot(Vec<BlobIdentifier>),
    /// Columns of these slots.
    ColumnsByRange(DataColumnSidecarsByRange),
    /// These columns.
    ColumnsByRoot(Vec<DataColumnsByRootIdentifier>),
}

/// One part of the answer, decoded under its fork and within the limits of the protocol; what it says is not checked yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Chunk {
    /// A block.
    Block(Arc<SignedBeaconBlock>),
    /// A blob.
    Blob(Arc<BlobSidecar>),
    /// A column.
    Column(Arc<DataColumnSidecar>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The peer is not connected any more.
    Gone,
    /// It took too long.
    TimedOut,
    /// It does not speak the protocol, or has not what was asked for.
    Unavailable(String),
    /// It broke the protocol; the network has noted it.
    Misbehaved(String),
    /// Too many requests of ours wait for it already.
    Busy,
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RequestError::Gone => f.write_str("the peer is gone"),
            RequestError::TimedOut => f.write_str("the peer took too long"),
            RequestError::Unavailable(why) => write!(f, "the peer does not have it: {why}"),
            RequestError::Misbehaved(why) => write!(f, "the peer broke the protocol: {why}"),
            RequestError::Busy => f.write_str("too many requests wait for the peer"),
        }
    }
}

impl std::error::Error for RequestError {}

/// What a peer did wrong, from slight to unforgivable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offence {
    /// It answered late, or lacked what it should have: some of it happens to honest peers.
    Unreliable(&'static str),
    /// It sent something that no honest peer sends, but that a bug may explain.
    Wrong(&'static str),
    /// It sent a block or message that is invalid beyond doubt.
    Invalid(Invalid),
    /// It follows another chain.
    OtherChain,
}

/// What this node sends to all.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// A block of a validator of this node.
    Block(Arc<SignedBeaconBlock>),
    /// A blob of such a block.
    Blob(Arc<BlobSidecar>),
    /// A column of such a block, or one that was rebuilt.
    Column(Arc<DataColumnSidecar>),
    /// A vote or an operation that was accepted.
    Message(Arc<Message>),
    /// This node's own light-client update, when it is due.
    FinalityUpdate(Box<LightClientFinalityUpdate>),
    /// The same.
    OptimisticUpdate(Box<LightClientOptimisticUpdate>),
}

/// All peers together.
pub trait Peers: Debug + Send + Sync {
    /// Those who are connected and on our chain.
    fn peers(&self) -> Vec<PeerView>;

    /// Asks one of them. The answer has at most as many parts as were asked for, in the order in which they came.
    fn request(&self, peer: PeerId, request: Request) -> BoxFuture<'static, Result<Vec<Chunk>, RequestError>>;

    /// Tells what a peer did. It decides nothing here: scores and bans are the network's.
    fn report(&self, peer: PeerId, offence: Offence);

    /// Whether history may be fetched now, as far as a ceiling of bandwidth is concerned.
    fn may_backfill(&self) -> bool {
        true
    }

    /// Sends to all. Returns at once; what does not fit into the queue is dropped and counted.
    fn publish(&self, outgoing: Outgoing);
}
