//! Containers of the request/response protocols and of the ENR.
//!
//! Where a protocol's version added fields, the version is one fork of the container: v1 of `Status` is encoded as of
//! phase0 and v2 as of Fulu; v1, v2 and v3 of `MetaData` as of phase0, Altair and Fulu. The version is the protocol
//! ID's, whatever fork the chain is at. Requests by root are bare lists, not containers, with a limit from the config.

use super::basic::{ColumnIndex, Epoch, ForkDigest, Root, Slot, Version};
use crate::constants::SYNC_COMMITTEE_SUBNET_COUNT;
use crate::preset::NUMBER_OF_COLUMNS;
use crate::ssz::{BitVector, List, container};

/// Attestation subnets: a config value by the spec's grouping, but the length of a bitvector, and 64 in every config.
/// Spec: phase0/p2p-interface.md, `ATTESTATION_SUBNET_COUNT`.
const ATTESTATION_SUBNET_COUNT: u64 = 64;

container! {
    /// The first message between peers. Spec: phase0/p2p-interface.md, "Status v1"; fulu/p2p-interface.md, "Status v2".
    #[derive(Copy)]
    pub struct Status {
        fork_digest: ForkDigest,
        finalized_root: Root,
        finalized_epoch: Epoch,
        head_root: Root,
        head_slot: Slot,
        earliest_available_slot: Slot => Fulu..,
    }
}

container! {
    /// What a node tells of itself. Spec: "MetaData" in p2p-interface.md of phase0 (v1), altair (v2), fulu (v3).
    pub struct MetaData {
        seq_number: u64,
        attnets: BitVector [ATTESTATION_SUBNET_COUNT],
        syncnets: BitVector [SYNC_COMMITTEE_SUBNET_COUNT] => Altair..,
        custody_group_count: u64 => Fulu..,
    }
}

container! {
    /// The ENR's `eth2` entry. Spec: phase0/p2p-interface.md, `ENRForkID`.
    #[derive(Copy)]
    pub struct ENRForkID {
        fork_digest: ForkDigest,
        next_fork_version: Version,
        next_fork_epoch: Epoch,
    }
}

container! {
    /// Asks for the blocks of `[start_slot, start_slot + count)`; `step` must be 1. Spec: phase0/p2p-interface.md,
    /// "BeaconBlocksByRange v1".
    #[derive(Copy)]
    pub struct BeaconBlocksByRange {
        start_slot: Slot,
        count: u64,
        step: u64,
    }
}

container! {
    /// Asks for `beacon_root` and its ancestors, `count` blocks in all. Spec: fulu/p2p-interface.md,
    /// "BeaconBlocksByHead v1".
    #[derive(Copy)]
    pub struct BeaconBlocksByHead {
        beacon_root: Root,
        count: u64,
    }
}

container! {
    /// Spec: deneb/p2p-interface.md, "BlobSidecarsByRange v1".
    #[derive(Copy)]
    pub struct BlobSidecarsByRange {
        start_slot: Slot,
        count: u64,
    }
}

container! {
    /// Spec: fulu/p2p-interface.md, "DataColumnSidecarsByRange v1".
    pub struct DataColumnSidecarsByRange {
        start_slot: Slot,
        count: u64,
        columns: List<ColumnIndex> [NUMBER_OF_COLUMNS],
    }
}

container! {
    /// Spec: gloas/p2p-interface.md, "ExecutionPayloadEnvelopesByRange v1".
    #[derive(Copy)]
    pub struct ExecutionPayloadEnvelopesByRange {
        start_slot: Slot,
        count: u64,
    }
}

container! {
    /// Asks for the updates of `count` sync committee periods. Spec: altair/light-client/p2p-interface.md,
    /// "LightClientUpdatesByRange".
    #[derive(Copy)]
    pub struct LightClientUpdatesByRange {
        start_period: u64,
        count: u64,
    }
}
