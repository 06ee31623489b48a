//! The constants of the specs: what neither preset nor config can change.
//!
//! One declaration makes the constants and the list of them that `/eth/v1/config/spec` tells, so that the two agree.
//! Bytes are `Bytes<N>`, a withdrawal prefix or request type is a `u8`, and what indexes an array is a `usize`.
//! `UINT256_MAX` (fulu/das-core.md) is `U256::MAX`, and `ENDIANNESS` is in `to_le_bytes`.

use crate::ssz::Bytes;

/// Declares constants, each with its section in the specs and what it is, and the list that the Beacon API tells.
macro_rules! constants {
    (@type Bytes1) => { u8 };
    (@type Bytes4) => { Bytes<4> };
    (@value Bytes4 $value:expr) => { Bytes($value) };
    (@type Bytes32) => { Bytes<32> };
    (@value Bytes32 $value:expr) => { Bytes($value) };
    (@type Bytes96) => { Bytes<96> };
    (@value Bytes96 $value:expr) => { Bytes($value) };
    (@type $number:ident) => { $number };
    (@value $kind:ident $value:expr) => { $value };
    (@show Bytes1 $value:expr) => { hex(&[$value]) };
    (@show Bytes4 $value:expr) => { $value.to_string() };
    (@show Bytes32 $value:expr) => { $value.to_string() };
    (@show Bytes96 $value:expr) => { $value.to_string() };
    (@show $number:ident $value:expr) => { $value.to_string() };
    ($($document:literal { $($name:ident: $kind:ident = $value:expr, $doc:literal;)* })*) => {
        $($(
            #[doc = concat!($doc, " Spec: ", $document, ".")]
            pub const $name: constants!(@type $kind) = constants!(@value $kind $value);
        )*)*

        /// Every constant with its value as the Beacon API writes it (decimal or 0x-hex), in the specs' order.
        pub fn values() -> Vec<(&'static str, String)> {
            vec![$($((stringify!($name), constants!(@show $kind $name)),)*)*]
        }
    };
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"))
}

/// The compressed point at infinity of G2: the flag bits and zeros.
const fn g2_infinity() -> [u8; 96] {
    let mut bytes = [0; 96];
    bytes[0] = 0xc0;
    bytes
}

constants! {
    "phase0/beacon-chain.md, Misc" {
        UINT64_MAX: u64 = u64::MAX, "The greatest `Uint64`.";
        UINT64_MAX_SQRT: u64 = 4294967295, "The integer square root of `UINT64_MAX`.";
        GENESIS_SLOT: u64 = 0, "The first slot.";
        GENESIS_EPOCH: u64 = 0, "The first epoch.";
        FAR_FUTURE_EPOCH: u64 = u64::MAX, "The epoch that stands for \"never\".";
        BASE_REWARDS_PER_EPOCH: u64 = 4, "Base rewards that a phase0 attester can earn in an epoch.";
        JUSTIFICATION_BITS_LENGTH: u64 = 4, "Epochs whose justification the state remembers.";
    }
    "phase0/beacon-chain.md, Withdrawal prefixes" {
        BLS_WITHDRAWAL_PREFIX: Bytes1 = 0x00, "Credentials that hold the hash of a BLS key.";
        ETH1_ADDRESS_WITHDRAWAL_PREFIX: Bytes1 = 0x01, "Credentials that hold an execution address.";
    }
    "phase0/beacon-chain.md, Domains" {
        DOMAIN_BEACON_PROPOSER: Bytes4 = [0x00, 0, 0, 0], "Domain of a block's signature.";
        DOMAIN_BEACON_ATTESTER: Bytes4 = [0x01, 0, 0, 0], "Domain of an attestation.";
        DOMAIN_RANDAO: Bytes4 = [0x02, 0, 0, 0], "Domain of a randao reveal.";
        DOMAIN_DEPOSIT: Bytes4 = [0x03, 0, 0, 0], "Domain of a deposit.";
        DOMAIN_VOLUNTARY_EXIT: Bytes4 = [0x04, 0, 0, 0], "Domain of a voluntary exit.";
        DOMAIN_SELECTION_PROOF: Bytes4 = [0x05, 0, 0, 0], "Domain of an aggregator's selection proof.";
        DOMAIN_AGGREGATE_AND_PROOF: Bytes4 = [0x06, 0, 0, 0], "Domain of an aggregate with its proof.";
        DOMAIN_APPLICATION_MASK: Bytes4 = [0, 0, 0, 0x01],
            "Bit that marks domains of applications outside the protocol.";
    }
    "phase0/deposit-contract.md, Constants" {
        DEPOSIT_CONTRACT_TREE_DEPTH: u64 = 32, "Depth of the deposit contract's tree.";
    }
    "phase0/fast-confirmation.md, Constants" {
        COMMITTEE_WEIGHT_ESTIMATION_ADJUSTMENT_FACTOR: u64 = 5,
            "Per mille added to the weight estimated over part of an epoch.";
    }
    "phase0/fork-choice.md, Constant" {
        BASIS_POINTS: u64 = 10000, "Basis points in a whole, which the `*_BPS` values divide a slot by.";
    }
    "phase0/p2p-interface.md, Constants and Configuration" {
        NODE_ID_BITS: u64 = 256, "Bits of a node id.";
        MAX_CONCURRENT_REQUESTS: u64 = 2, "Requests that may be under way at once per protocol and peer.";
    }
    "phase0/validator.md, Misc" {
        TARGET_AGGREGATORS_PER_COMMITTEE: u64 = 16, "Aggregators that a committee has on average.";
    }
    "phase0/weak-subjectivity.md, Constants and Configuration" {
        ETH_TO_GWEI: u64 = 1000000000, "Gwei in an ether.";
        SAFETY_DECAY: u64 = 10, "Per cent of safety that may be lost within the weak subjectivity period.";
    }
    "altair/beacon-chain.md, Participation flag indices" {
        TIMELY_SOURCE_FLAG_INDEX: usize = 0, "Participation bit of a timely source vote.";
        TIMELY_TARGET_FLAG_INDEX: usize = 1, "Participation bit of a timely target vote.";
        TIMELY_HEAD_FLAG_INDEX: usize = 2, "Participation bit of a timely head vote.";
    }
    "altair/beacon-chain.md, Incentivization weights" {
        TIMELY_SOURCE_WEIGHT: u64 = 14, "Share of the reward for a timely source vote.";
        TIMELY_TARGET_WEIGHT: u64 = 26, "Share of the reward for a timely target vote.";
        TIMELY_HEAD_WEIGHT: u64 = 14, "Share of the reward for a timely head vote.";
        SYNC_REWARD_WEIGHT: u64 = 2, "Share of the reward for the sync committee.";
        PROPOSER_WEIGHT: u64 = 8, "Share of the reward for the proposer.";
        WEIGHT_DENOMINATOR: u64 = 64, "The sum of all shares.";
    }
    "altair/beacon-chain.md, Domains" {
        DOMAIN_SYNC_COMMITTEE: Bytes4 = [0x07, 0, 0, 0], "Domain of a sync committee message.";
        DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF: Bytes4 = [0x08, 0, 0, 0],
            "Domain of a sync aggregator's selection proof.";
        DOMAIN_CONTRIBUTION_AND_PROOF: Bytes4 = [0x09, 0, 0, 0], "Domain of a contribution with its proof.";
    }
    "altair/bls.md, Constants" {
        G2_POINT_AT_INFINITY: Bytes96 = g2_infinity(), "The signature of nobody.";
    }
    "altair/light-client/p2p-interface.md, Configuration" {
        MAX_REQUEST_LIGHT_CLIENT_UPDATES: u64 = 128, "Light client updates in one request, at most.";
    }
    "altair/light-client/sync-protocol.md, Constants" {
        FINALIZED_ROOT_GINDEX: u64 = 105, "Place of the finalized root in the state, up to Deneb.";
        CURRENT_SYNC_COMMITTEE_GINDEX: u64 = 54, "Place of the current sync committee in the state, up to Deneb.";
        NEXT_SYNC_COMMITTEE_GINDEX: u64 = 55, "Place of the next sync committee in the state, up to Deneb.";
    }
    "altair/validator.md, Misc" {
        TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE: u64 = 16, "Aggregators that a sync subcommittee has on average.";
        SYNC_COMMITTEE_SUBNET_COUNT: u64 = 4, "Subnets, and so subcommittees, of the sync committee.";
    }
    "bellatrix/beacon-chain.md, Constants" {
        EMPTY_BLOCK_HASH: Bytes32 = [0; 32], "The hash that stands for no execution block.";
    }
    "bellatrix/p2p-interface.md, Constants" {
        PAYLOAD_STATUS_VALID: u8 = 0, "The execution layer found the payload valid.";
        PAYLOAD_STATUS_INVALIDATED: u8 = 1, "The execution layer found the payload invalid.";
        PAYLOAD_STATUS_NOT_VALIDATED: u8 = 2, "The execution layer has not judged the payload yet.";
    }
    "capella/beacon-chain.md, Domains" {
        DOMAIN_BLS_TO_EXECUTION_CHANGE: Bytes4 = [0x0a, 0, 0, 0], "Domain of a change of withdrawal credentials.";
    }
    "capella/light-client/sync-protocol.md, Constants" {
        EXECUTION_PAYLOAD_GINDEX: u64 = 25, "Place of the payload in the block's body, from Capella up to Fulu.";
    }
    "deneb/beacon-chain.md, Blob" {
        VERSIONED_HASH_VERSION_KZG: Bytes1 = 0x01, "First byte of a blob's versioned hash.";
        BYTES_PER_FIELD_ELEMENT: u64 = 32, "Bytes of a field element.";
    }
    "electra/beacon-chain.md, Misc" {
        UNSET_DEPOSIT_REQUESTS_START_INDEX: u64 = u64::MAX, "No deposit request was seen yet.";
        FULL_EXIT_REQUEST_AMOUNT: u64 = 0, "Amount (Gwei) by which a withdrawal request asks for a full exit.";
    }
    "electra/beacon-chain.md, Withdrawal prefixes" {
        COMPOUNDING_WITHDRAWAL_PREFIX: Bytes1 = 0x02, "Credentials of a compounding validator.";
    }
    "electra/beacon-chain.md, Execution-layer triggered requests" {
        DEPOSIT_REQUEST_TYPE: Bytes1 = 0x00, "Type byte of the deposit requests.";
        WITHDRAWAL_REQUEST_TYPE: Bytes1 = 0x01, "Type byte of the withdrawal requests.";
        CONSOLIDATION_REQUEST_TYPE: Bytes1 = 0x02, "Type byte of the consolidation requests.";
    }
    "electra/light-client/sync-protocol.md, New constants" {
        FINALIZED_ROOT_GINDEX_ELECTRA: u64 = 169, "Place of the finalized root in the state, Electra and Fulu.";
        CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA: u64 = 86,
            "Place of the current sync committee in the state, Electra and Fulu.";
        NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA: u64 = 87,
            "Place of the next sync committee in the state, Electra and Fulu.";
    }
    "gloas/beacon-chain.md, Index flags" {
        BUILDER_INDEX_FLAG: u64 = 1 << 40, "Bit by which a validator index names a builder.";
    }
    "gloas/beacon-chain.md, Domains" {
        DOMAIN_BEACON_BUILDER: Bytes4 = [0x0b, 0, 0, 0], "Domain of a builder's bid and envelope.";
        DOMAIN_PTC_ATTESTER: Bytes4 = [0x0c, 0, 0, 0], "Domain of a payload attestation.";
        DOMAIN_PROPOSER_PREFERENCES: Bytes4 = [0x0d, 0, 0, 0], "Domain of a proposer's preferences.";
        DOMAIN_BUILDER_DEPOSIT: Bytes4 = [0x0e, 0, 0, 0], "Domain of a builder's deposit.";
    }
    "gloas/beacon-chain.md, Misc" {
        BUILDER_INDEX_SELF_BUILD: u64 = u64::MAX, "Builder index of a proposer that builds for itself.";
        BUILDER_PAYMENT_THRESHOLD_NUMERATOR: u64 = 6,
            "Share of the weight from which a builder must pay: above the line.";
        BUILDER_PAYMENT_THRESHOLD_DENOMINATOR: u64 = 10,
            "Share of the weight from which a builder must pay: below the line.";
    }
    "gloas/beacon-chain.md, Withdrawal prefixes" {
        BUILDER_WITHDRAWAL_PREFIX: Bytes1 = 0xb0, "Credentials of a builder.";
    }
    "gloas/beacon-chain.md, Builder versions" {
        PAYLOAD_BUILDER_VERSION: u8 = 0, "Version of a builder that builds payloads.";
    }
    "gloas/beacon-chain.md, Execution-layer triggered requests" {
        BUILDER_DEPOSIT_REQUEST_TYPE: Bytes1 = 0x03, "Type byte of the builder deposit requests.";
        BUILDER_EXIT_REQUEST_TYPE: Bytes1 = 0x04, "Type byte of the builder exit requests.";
    }
    "gloas/fork-choice.md, Constants" {
        PAYLOAD_STATUS_EMPTY: u8 = 0, "A fork-choice node whose payload was not delivered.";
        PAYLOAD_STATUS_FULL: u8 = 1, "A fork-choice node with its payload.";
        PAYLOAD_STATUS_PENDING: u8 = 2, "A fork-choice node whose payload is undecided.";
        ATTESTATION_TIMELINESS_INDEX: usize = 0, "Place of the attestation deadline in a block's timeliness.";
        PTC_TIMELINESS_INDEX: usize = 1, "Place of the payload attestation deadline in a block's timeliness.";
        NUM_BLOCK_TIMELINESS_DEADLINES: usize = 2, "Deadlines in a block's timeliness.";
    }
    "gloas/light-client/sync-protocol.md, New constants" {
        FINALIZED_ROOT_GINDEX_GLOAS: u64 = 735, "Place of the finalized root in the state, from Gloas on.";
        CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS: u64 = 2945,
            "Place of the current sync committee in the state, from Gloas on.";
        NEXT_SYNC_COMMITTEE_GINDEX_GLOAS: u64 = 2946, "Place of the next sync committee in the state, from Gloas on.";
        EXECUTION_BLOCK_HASH_GINDEX: u64 = 412, "Place of the block hash in the body, Capella.";
        EXECUTION_BLOCK_HASH_GINDEX_DENEB: u64 = 812, "Place of the block hash in the body, Deneb up to Fulu.";
        EXECUTION_BLOCK_HASH_GINDEX_GLOAS: u64 = 2856, "Place of the parent block hash in the body, from Gloas on.";
    }
}

/// What each participation flag is worth, by its index. Spec: altair/beacon-chain.md, Misc.
pub const PARTICIPATION_FLAG_WEIGHTS: [u64; 3] = [TIMELY_SOURCE_WEIGHT, TIMELY_TARGET_WEIGHT, TIMELY_HEAD_WEIGHT];

/// Leaves of the deposit contract's tree: the limit of the list of all deposits. Spec: phase0/validator.md.
pub const MAX_DEPOSIT_CONTRACT_LEAVES: u64 = 1 << DEPOSIT_CONTRACT_TREE_DEPTH;

/// Length of a deposit's proof: the tree's depth and the mixed-in count. Spec: phase0/beacon-chain.md, `Deposit`.
pub const DEPOSIT_PROOF_LENGTH: u64 = DEPOSIT_CONTRACT_TREE_DEPTH + 1;

/// The depth of the node with that generalized index, which is the length of its proof (the specs' `floorlog2`).
const fn depth(gindex: u64) -> u64 {
    gindex.ilog2() as u64
}

/// Length of `FinalityBranch` up to Deneb. Spec: altair/light-client/sync-protocol.md, Types.
pub const FINALITY_BRANCH_LENGTH: u64 = depth(FINALIZED_ROOT_GINDEX);
/// Length of `FinalityBranch` in Electra and Fulu. Spec: electra/light-client/sync-protocol.md, Types.
pub const FINALITY_BRANCH_LENGTH_ELECTRA: u64 = depth(FINALIZED_ROOT_GINDEX_ELECTRA);
/// Length of `FinalityBranch` from Gloas on. Spec: gloas/light-client/sync-protocol.md, Types.
pub const FINALITY_BRANCH_LENGTH_GLOAS: u64 = depth(FINALIZED_ROOT_GINDEX_GLOAS);

/// Length of both sync committee branches up to Deneb. Spec: altair/light-client/sync-protocol.md, Types.
pub const SYNC_COMMITTEE_BRANCH_LENGTH: u64 = depth(CURRENT_SYNC_COMMITTEE_GINDEX);
/// Length of both sync committee branches in Electra and Fulu. Spec: electra/light-client/sync-protocol.md, Types.
pub const SYNC_COMMITTEE_BRANCH_LENGTH_ELECTRA: u64 = depth(CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA);
/// Length of both sync committee branches from Gloas on. Spec: gloas/light-client/sync-protocol.md, Types.
pub const SYNC_COMMITTEE_BRANCH_LENGTH_GLOAS: u64 = depth(CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS);

/// Length of `ExecutionBranch` from Capella up to Fulu. Spec: capella/light-client/sync-protocol.md, Types.
pub const EXECUTION_BRANCH_LENGTH: u64 = depth(EXECUTION_PAYLOAD_GINDEX);
/// Length of `ExecutionBranch` from Gloas on. Spec: gloas/light-client/sync-protocol.md, Types.
pub const EXECUTION_BRANCH_LENGTH_GLOAS: u64 = depth(EXECUTION_BLOCK_HASH_GINDEX_GLOAS);

// Both sync committees lie at the same depth, so one length serves both branches.
const _: () = assert!(
    depth(NEXT_SYNC_COMMITTEE_GINDEX) == SYNC_COMMITTEE_BRANCH_LENGTH
        && depth(NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA) == SYNC_COMMITTEE_BRANCH_LENGTH_ELECTRA
        && depth(NEXT_SYNC_COMMITTEE_GINDEX_GLOAS) == SYNC_COMMITTEE_BRANCH_LENGTH_GLOAS
);
