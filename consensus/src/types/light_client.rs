//! What light clients are served.
//!
//! A branch is as long as its object is deep in the tree of the state or the body, so its length changes where a fork
//! reshapes those trees: the state's in Electra (more than 32 fields) and in Gloas (progressive), the body's in Gloas.

use super::basic::{Bytes32, Hash32, Slot};
use super::block::BeaconBlockHeader;
use super::execution::ExecutionPayloadHeader;
use super::sync::{SyncAggregate, SyncCommittee};
use crate::constants::{
    CURRENT_SYNC_COMMITTEE_GINDEX, CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA, CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS,
    EXECUTION_BLOCK_HASH_GINDEX_GLOAS, EXECUTION_PAYLOAD_GINDEX, FINALIZED_ROOT_GINDEX, FINALIZED_ROOT_GINDEX_ELECTRA,
    FINALIZED_ROOT_GINDEX_GLOAS, NEXT_SYNC_COMMITTEE_GINDEX, NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA,
    NEXT_SYNC_COMMITTEE_GINDEX_GLOAS,
};
use crate::ssz::{Vector, container};

/// The length of a branch to a generalized index: `floorlog2`.
const fn depth(gindex: u64) -> u64 {
    gindex.ilog2() as u64
}

const FINALITY_DEPTH: u64 = depth(FINALIZED_ROOT_GINDEX);
const FINALITY_DEPTH_ELECTRA: u64 = depth(FINALIZED_ROOT_GINDEX_ELECTRA);
const FINALITY_DEPTH_GLOAS: u64 = depth(FINALIZED_ROOT_GINDEX_GLOAS);
const CURRENT_DEPTH: u64 = depth(CURRENT_SYNC_COMMITTEE_GINDEX);
const CURRENT_DEPTH_ELECTRA: u64 = depth(CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA);
const CURRENT_DEPTH_GLOAS: u64 = depth(CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS);
const NEXT_DEPTH: u64 = depth(NEXT_SYNC_COMMITTEE_GINDEX);
const NEXT_DEPTH_ELECTRA: u64 = depth(NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA);
const NEXT_DEPTH_GLOAS: u64 = depth(NEXT_SYNC_COMMITTEE_GINDEX_GLOAS);
const EXECUTION_DEPTH: u64 = depth(EXECUTION_PAYLOAD_GINDEX);
const EXECUTION_DEPTH_GLOAS: u64 = depth(EXECUTION_BLOCK_HASH_GINDEX_GLOAS);

container! {
    /// A header with what is proved of its execution payload. Spec: `LightClientHeader` in
    /// light-client/sync-protocol.md of altair, capella, gloas.
    pub struct LightClientHeader {
        beacon: BeaconBlockHeader,
        execution: ExecutionPayloadHeader => Capella..Gloas,
        execution_block_hash: Hash32 => Gloas..,
        execution_branch: Vector<Bytes32> [EXECUTION_DEPTH ..Gloas, EXECUTION_DEPTH_GLOAS Gloas..] => Capella..,
    }
}

container! {
    /// Where a light client starts. Spec: altair/light-client/sync-protocol.md, `LightClientBootstrap`; branch lengths
    /// in electra and gloas.
    pub struct LightClientBootstrap {
        header: LightClientHeader,
        current_sync_committee: SyncCommittee,
        current_sync_committee_branch: Vector<Bytes32> [
            CURRENT_DEPTH ..Electra,
            CURRENT_DEPTH_ELECTRA Electra..Gloas,
            CURRENT_DEPTH_GLOAS Gloas..
        ],
    }
}

container! {
    /// A step to the next sync committee. Spec: altair/light-client/sync-protocol.md, `LightClientUpdate`; branch
    /// lengths in electra and gloas.
    pub struct LightClientUpdate {
        attested_header: LightClientHeader,
        next_sync_committee: SyncCommittee,
        next_sync_committee_branch: Vector<Bytes32> [
            NEXT_DEPTH ..Electra,
            NEXT_DEPTH_ELECTRA Electra..Gloas,
            NEXT_DEPTH_GLOAS Gloas..
        ],
        finalized_header: LightClientHeader,
        finality_branch: Vector<Bytes32> [
            FINALITY_DEPTH ..Electra,
            FINALITY_DEPTH_ELECTRA Electra..Gloas,
            FINALITY_DEPTH_GLOAS Gloas..
        ],
        sync_aggregate: SyncAggregate,
        signature_slot: Slot,
    }
}

container! {
    /// The latest finalized header. Spec: altair/light-client/sync-protocol.md, `LightClientFinalityUpdate`; branch
    /// lengths in electra and gloas.
    pub struct LightClientFinalityUpdate {
        attested_header: LightClientHeader,
        finalized_header: LightClientHeader,
        finality_branch: Vector<Bytes32> [
            FINALITY_DEPTH ..Electra,
            FINALITY_DEPTH_ELECTRA Electra..Gloas,
            FINALITY_DEPTH_GLOAS Gloas..
        ],
        sync_aggregate: SyncAggregate,
        signature_slot: Slot,
    }
}

container! {
    /// The latest signed header. Spec: altair/light-client/sync-protocol.md, `LightClientOptimisticUpdate`.
    pub struct LightClientOptimisticUpdate {
        attested_header: LightClientHeader,
        sync_aggregate: SyncAggregate,
        signature_slot: Slot,
    }
}
