//! Every container by its spec name, for what learns the type only at run time: test vectors, `wren ssz`, fuzzing.
//!
//! Names are the spec's, so [`ForkInfo`] is found as `Fork`. A type is listed with the forks in which it exists.

use super::*;
use crate::Fork::{self, Altair, Bellatrix, Capella, Deneb, Electra, Fulu, Gloas, Phase0};
use crate::ssz::{Json, JsonError, Out, Ssz, SszError};
use std::fmt::Debug;
use std::io;

/// A value of some container, its type forgotten. Made by [`TypeInfo`].
pub trait DynSsz: Debug + Send + Sync {
    /// The SSZ bytes at `fork`.
    fn ssz_bytes(&self, fork: Fork) -> Vec<u8>;
    /// The length of [`Self::ssz_bytes`], without making them.
    fn ssz_len(&self, fork: Fork) -> usize;
    /// `hash_tree_root` at `fork`.
    fn ssz_root(&self, fork: Fork) -> Root;
    /// The Beacon API's JSON at `fork`.
    fn json(&self, fork: Fork) -> String;
    /// Appends the SSZ bytes at `fork`; a big object reaches a file this way without standing in memory twice.
    fn write_ssz(&self, fork: Fork, out: &mut Out);
    /// Appends the JSON at `fork`, likewise.
    fn write_json(&self, fork: Fork, out: &mut Out);
}

impl<T: Ssz + Json + Send + Sync> DynSsz for T {
    fn ssz_bytes(&self, fork: Fork) -> Vec<u8> {
        self.encode(fork)
    }

    fn ssz_len(&self, fork: Fork) -> usize {
        self.encoded_len(fork, &[])
    }

    fn ssz_root(&self, fork: Fork) -> Root {
        self.hash_tree_root(fork)
    }

    fn json(&self, fork: Fork) -> String {
        self.to_json(fork)
    }

    fn write_ssz(&self, fork: Fork, out: &mut Out) {
        self.encode_to(fork, &[], out);
    }

    fn write_json(&self, fork: Fork, out: &mut Out) {
        Json::write_json(self, fork, &[], out);
    }
}

/// A decoded object, or why the bytes are none.
type Decoded = Result<Box<dyn DynSsz>, SszError>;
/// An object read from JSON, or why the JSON is none.
type FromJson = Result<Box<dyn DynSsz>, JsonError>;

/// What can be done with a container whose name is known.
pub struct TypeInfo {
    /// The spec's name of the container.
    pub name: &'static str,
    /// The first fork that has it.
    pub since: Fork,
    /// The first fork that no longer has it.
    pub until: Option<Fork>,
    /// Decodes SSZ bytes as of a fork; strict.
    pub decode: fn(&[u8], Fork) -> Decoded,
    /// Decodes that many bytes of a reader as of a fork, big lists without a buffer of their size; strict.
    pub decode_read: fn(&mut dyn io::Read, usize, Fork) -> Decoded,
    /// Reads the Beacon API's JSON as of a fork.
    pub from_json: fn(&serde_json::Value, Fork) -> FromJson,
    /// The default value as of a fork: zeros, empty lists, vectors at full length.
    pub default: fn(Fork) -> Box<dyn DynSsz>,
    /// The length of every encoding as of a fork, `None` if it varies.
    pub fixed_len: fn(Fork) -> Option<usize>,
}

impl TypeInfo {
    const fn of<T: Ssz + Json + Send + Sync + 'static>(name: &'static str, since: Fork, until: Option<Fork>) -> Self {
        TypeInfo {
            name,
            since,
            until,
            decode: |bytes, fork| Ok(Box::new(T::decode(bytes, fork)?)),
            decode_read: |reader, len, fork| Ok(Box::new(T::decode_read(reader, len, fork, &[])?)),
            from_json: |value, fork| Ok(Box::new(T::from_json(value, fork, &[])?)),
            default: |fork| Box::new(T::new(fork)),
            fixed_len: |fork| T::fixed_len(fork, &[]),
        }
    }

    /// Whether the container exists at `fork`.
    pub fn exists_at(&self, fork: Fork) -> bool {
        fork >= self.since && self.until.is_none_or(|until| fork < until)
    }
}

/// The container of that spec name, or `None` if there is none.
pub fn find(name: &str) -> Option<&'static TypeInfo> {
    TYPES.iter().find(|info| info.name == name)
}

/// Makes [`TYPES`]: per line of forks (first with, first without) the types, with another name where ours differs.
macro_rules! types {
    ($($since:expr, $until:expr => { $($ty:ident $(as $name:literal)?),* $(,)? })*) => {
        /// Every container, grouped by the forks that have it.
        pub static TYPES: &[TypeInfo] = &[
            $($(TypeInfo::of::<$ty>(types!(@name $ty $($name)?), $since, $until),)*)*
        ];
    };
    (@name $ty:ident) => { stringify!($ty) };
    (@name $ty:ident $name:literal) => { $name };
}

types! {
    Phase0, None => {
        AggregateAndProof,
        Attestation,
        AttestationData,
        AttesterSlashing,
        BeaconBlock,
        BeaconBlockBody,
        BeaconBlockHeader,
        BeaconBlocksByRange,
        BeaconState,
        Checkpoint,
        Deposit,
        DepositData,
        DepositMessage,
        ENRForkID,
        Eth1Block,
        Eth1Data,
        ForkData,
        ForkInfo as "Fork",
        IndexedAttestation,
        MetaData,
        ProposerSlashing,
        SignedAggregateAndProof,
        SignedBeaconBlock,
        SignedBeaconBlockHeader,
        SignedVoluntaryExit,
        SigningData,
        Status,
        Validator,
        VoluntaryExit,
    }
    Phase0, Some(Altair) => {
        PendingAttestation,
    }
    Phase0, Some(Capella) => {
        HistoricalBatch,
    }
    Altair, None => {
        ContributionAndProof,
        LightClientBootstrap,
        LightClientFinalityUpdate,
        LightClientHeader,
        LightClientOptimisticUpdate,
        LightClientUpdate,
        LightClientUpdatesByRange,
        SignedContributionAndProof,
        SyncAggregate,
        SyncAggregatorSelectionData,
        SyncCommittee,
        SyncCommitteeContribution,
        SyncCommitteeMessage,
    }
    Bellatrix, None => {
        ExecutionPayload,
        PowBlock,
        SignedValidatorRegistrationV1,
        ValidatorRegistrationV1,
    }
    Bellatrix, Some(Gloas) => {
        BlindedBeaconBlock,
        BlindedBeaconBlockBody,
        BuilderBid,
        ExecutionPayloadHeader,
        SignedBlindedBeaconBlock,
        SignedBuilderBid,
    }
    Capella, None => {
        BLSToExecutionChange,
        HistoricalSummary,
        SignedBLSToExecutionChange,
        Withdrawal,
    }
    Deneb, None => {
        BlobsBundle,
        BlockContents,
    }
    Deneb, Some(Fulu) => {
        BlobIdentifier,
        BlobSidecar,
        BlobSidecarsByRange,
    }
    Deneb, Some(Gloas) => {
        ExecutionPayloadAndBlobsBundle,
        SignedBlockContents,
    }
    Electra, None => {
        ConsolidationRequest,
        DepositRequest,
        ExecutionRequests,
        PendingConsolidation,
        PendingDeposit,
        PendingPartialWithdrawal,
        SingleAttestation,
        WithdrawalRequest,
    }
    Fulu, None => {
        BeaconBlocksByHead,
        DataColumnSidecar,
        DataColumnSidecarsByRange,
        DataColumnsByRootIdentifier,
        MatrixEntry,
        PartialDataColumnGroupID,
        PartialDataColumnPartsMetadata,
        PartialDataColumnSidecar,
    }
    Fulu, Some(Gloas) => {
        PartialDataColumnHeader,
    }
    Gloas, None => {
        Builder,
        BuilderDepositRequest,
        BuilderExitRequest,
        BuilderPendingPayment,
        BuilderPendingWithdrawal,
        ExecutionPayloadBid,
        ExecutionPayloadEnvelope,
        ExecutionPayloadEnvelopesByRange,
        IndexedPayloadAttestation,
        PayloadAttestation,
        PayloadAttestationData,
        PayloadAttestationMessage,
        ProposerPreferences,
        SignedExecutionPayloadBid,
        SignedExecutionPayloadEnvelope,
        SignedExecutionPayloadEnvelopeContents,
        SignedProposerPreferences,
    }
}
