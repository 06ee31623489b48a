//! What the API asks the network part of the node. A node without one is alone, and content with that.

use crate::network::counts::Figures;
use crate::network::peer::Outgoing;
use consensus::Fork;
use consensus::ssz::Ssz;
use consensus::types::{CommitteeIndex, Epoch, MetaData, Slot, ValidatorIndex};
use std::fmt::Debug;

/// Who this node is among its peers. Spec: beacon-APIs, `NetworkIdentity`.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its libp2p identifier.
    pub peer_id: String,
    /// Its node record.
    pub enr: String,
    /// Where libp2p listens.
    pub p2p_addresses: Vec<String>,
    /// Where discovery listens.
    pub discovery_addresses: Vec<String>,
    /// What it tells peers.
    pub metadata: MetaData,
}

/// Whether a peer is connected. Spec: beacon-APIs, `PeerConnectionState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// Not any more.
    Disconnected,
    /// Not yet.
    Connecting,
    /// Yes.
    Connected,
    /// Not much longer.
    Disconnecting,
}

impl PeerState {
    /// All of them.
    pub const ALL: [PeerState; 4] = [
        PeerState::Disconnected,
        PeerState::Connecting,
        PeerState::Connected,
        PeerState::Disconnecting,
    ];

    /// The API's word.
    pub fn name(self) -> &'static str {
        match self {
            PeerState::Disconnected => "disconnected",
            PeerState::Connecting => "connecting",
            PeerState::Connected => "connected",
            PeerState::Disconnecting => "disconnecting",
        }
    }
}

/// A peer. Spec: beacon-APIs, `Peer`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its libp2p identifier.
    pub peer_id: String,
    /// Its node record, if it is known.
    pub enr: Option<String>,
    /// Where it was seen last.
    pub last_seen_p2p_address: String,
    /// Whether it is connected.
    pub state: PeerState,
    /// Whether it called us.
    pub inbound: bool,
}

/// A validator will attest. Spec: beacon-APIs, `prepareBeaconCommitteeSubnet`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitteeSubscription {
    /// The validator.
    pub validator_index: ValidatorIndex,
    /// Its committee.
    pub committee_index: CommitteeIndex,
    /// How many committees the slot has.
    pub committees_at_slot: u64,
    /// When.
    pub slot: Slot,
    /// Whether it aggregates its committee's votes, and so must hear them.
    pub is_aggregator: bool,
}

/// A validator is in a sync committee. Spec: beacon-APIs, `prepareSyncCommitteeSubnets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSubscription {
    /// The validator.
    pub validator_index: ValidatorIndex,
    /// Its seats.
    pub sync_committee_indices: Vec<u64>,
    /// The first epoch in which it is not any more.
    pub until_epoch: Epoch,
}

/// The network as the API sees it. Calls return at once.
pub trait Network: Debug + Send + Sync {
    /// Who this node is.
    fn identity(&self) -> Identity;

    /// All peers that are known.
    fn peers(&self) -> Vec<Peer>;

    /// What the operator should know of the network: sentences that hold for a while, such as that nobody calls.
    fn notices(&self) -> Vec<String>;

    /// What is counted, for metrics.
    fn figures(&self) -> Figures;

    /// Whether blocks are being fetched because the head is too far behind that of peers.
    fn is_syncing(&self) -> bool;

    /// Validators of this node will attest.
    fn subscribe_committees(&self, subscriptions: Vec<CommitteeSubscription>);

    /// Validators of this node are in sync committees.
    fn subscribe_sync_committees(&self, subscriptions: Vec<SyncSubscription>);

    /// Sends to all peers. What does not fit into the queue is dropped and counted.
    fn publish(&self, outgoing: Outgoing);
}

/// A node without a network: for a local chain of one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Network for Alone {
    fn identity(&self) -> Identity {
        Identity {
            peer_id: String::new(),
            enr: String::new(),
            p2p_addresses: Vec::new(),
            discovery_addresses: Vec::new(),
            metadata: MetaData::new(Fork::Fulu),
        }
    }

    fn peers(&self) -> Vec<Peer> {
        Vec::new()
    }

    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }

    fn is_syncing(&self) -> bool {
        false
    }

    fn subscribe_committees(&self, _: Vec<CommitteeSubscription>) {}

    fn subscribe_sync_committees(&self, _: Vec<SyncSubscription>) {}

    fn publish(&self, _: Outgoing) {}
}
