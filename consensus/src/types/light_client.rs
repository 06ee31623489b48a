//! What light clients are served.
//!
//! A branch is as long as its object is deep in the tree of the state or the body, so its length changes where a fork
//! reshapes those trees: the state's in Electra (more than 32 fields) and in Gloas (progressive), the body's in Gloas.

use super::basic::{Bytes32, Hash32, Slot};
use super::block::BeaconBlockHeader;
use super::execution::ExecutionPayloadHeader;
use super::sync::{SyncAggregate, SyncCommittee};
use crate::constants::{
    EXECUTION_BRANCH_LENGTH, EXECUTION_BRANCH_LENGTH_GLOAS, FINALITY_BRANCH_LENGTH, FINALITY_BRANCH_LENGTH_ELECTRA,
    FINALITY_BRANCH_LENGTH_GLOAS, SYNC_COMMITTEE_BRANCH_LENGTH, SYNC_COMMITTEE_BRANCH_LENGTH_ELECTRA,
    SYNC_COMMITTEE_BRANCH_LENGTH_GLOAS,
};
use crate::ssz::{Vector, container};

container! {
    /// A header with what is proved of its execution payload. Spec: `LightClientHeader` in
    /// light-client/sync-protocol.md of altair, capella, gloas.
    pub struct LightClientHeader {
        beacon: BeaconBlockHeader,
        execution: ExecutionPayloadHeader => Capella..Gloas,
        execution_block_hash: Hash32 => Gloas..,
        execution_branch: Vector<Bytes32> [EXECUTION_BRANCH_LENGTH ..Gloas, EXECUTION_BRANCH_LENGTH_GLOAS Gloas..] => Capella..,
    }
}

container! {
    /// Where a light client starts. Spec: altair/light-client/sync-protocol.md, `LightClientBootstrap`; branch lengths
    /// in electra and gloas.
    pub struct LightClientBootstrap {
        header: LightClientHeader,
        current_sync_committee: SyncCommittee,
        current_sync_committee_branch: Vector<Bytes32> [
            SYNC_COMMITTEE_BRANCH_LENGTH ..Electra,
            SYNC_COMMITTEE_BRANCH_LENGTH_ELECTRA Electra..Gloas,
            SYNC_COMMITTEE_BRANCH_LENGTH_GLOAS Gloas..
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
            SYNC_COMMITTEE_BRANCH_LENGTH ..Electra,
            SYNC_COMMITTEE_BRANCH_LENGTH_ELECTRA Electra..Gloas,
            SYNC_COMMITTEE_BRANCH_LENGTH_GLOAS Gloas..
        ],
        finalized_header: LightClientHeader,
        finality_branch: Vector<Bytes32> [
            FINALITY_BRANCH_LENGTH ..Electra,
            FINALITY_BRANCH_LENGTH_ELECTRA Electra..Gloas,
            FINALITY_BRANCH_LENGTH_GLOAS Gloas..
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
            FINALITY_BRANCH_LENGTH ..Electra,
            FINALITY_BRANCH_LENGTH_ELECTRA Electra..Gloas,
            FINALITY_BRANCH_LENGTH_GLOAS Gloas..
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
