//! The spec's names for integers and byte strings.
//!
//! Plain aliases, not newtypes: spec functions mix them in arithmetic on every line, and a newtype would turn each of
//! those lines into conversions without catching the mistakes that happen (two `Epoch`s swapped). Byte strings with a
//! fixed meaning are `Bytes<N>`, which already differ by length.

use crate::ssz::{ByteVector, Bytes};

pub use crate::ssz::Root;

/// A slot number. Spec: phase0/beacon-chain.md, "Types".
pub type Slot = u64;
/// An epoch number. Spec: phase0/beacon-chain.md, "Types".
pub type Epoch = u64;
/// A committee index at a slot. Spec: phase0/beacon-chain.md, "Types".
pub type CommitteeIndex = u64;
/// An index into the validator registry. Spec: phase0/beacon-chain.md, "Types".
pub type ValidatorIndex = u64;
/// An amount in Gwei. Spec: phase0/beacon-chain.md, "Types".
pub type Gwei = u64;
/// An amount in Ether. Spec: phase0/weak-subjectivity.md, "Types".
pub type Ether = u64;
/// A 32-byte string. Spec: ssz/simple-serialize.md, "Aliases".
pub type Bytes32 = Bytes<32>;
/// A 256-bit hash. Spec: phase0/beacon-chain.md, "Types".
pub type Hash32 = Bytes<32>;
/// A fork version number. Spec: phase0/beacon-chain.md, "Types".
pub type Version = Bytes<4>;
/// A domain type. Spec: phase0/beacon-chain.md, "Types".
pub type DomainType = Bytes<4>;
/// A digest of the current fork data. Spec: phase0/beacon-chain.md, "Types".
pub type ForkDigest = Bytes<4>;
/// A signature domain. Spec: phase0/beacon-chain.md, "Types".
pub type Domain = Bytes<32>;
/// A compressed BLS12-381 public key, not checked. Spec: phase0/beacon-chain.md, "Types".
pub type BLSPubkey = Bytes<48>;
/// A compressed BLS12-381 signature, not checked. Spec: phase0/beacon-chain.md, "Types".
pub type BLSSignature = Bytes<96>;
/// The index of a gossip subnet. Spec: phase0/p2p-interface.md, "Types".
pub type SubnetID = u64;

/// Eight participation flags of one validator. Spec: altair/beacon-chain.md, "Types".
pub type ParticipationFlags = u8;

/// An address on the execution layer. Spec: phase0/deposit-contract.md, "Types".
pub type ExecutionAddress = Bytes<20>;
/// An identifier of a payload building process. Spec: bellatrix/fork-choice.md, "Types".
pub type PayloadId = Bytes<8>;
/// The bloom filter of a payload's logs, `BYTES_PER_LOGS_BLOOM` long in both presets. Spec: bellatrix/beacon-chain.md.
pub type LogsBloom = Bytes<256>;

/// An index of a withdrawal, counted since Capella. Spec: capella/beacon-chain.md, "Types".
pub type WithdrawalIndex = u64;

/// A versioned hash of a blob commitment. Spec: deneb/beacon-chain.md, "Types".
pub type VersionedHash = Bytes<32>;
/// The index of a blob in its block. Spec: deneb/beacon-chain.md, "Types".
pub type BlobIndex = u64;
/// A KZG commitment to a blob, compressed and not checked. Spec: deneb/beacon-chain.md, "Types".
pub type KZGCommitment = Bytes<48>;
/// A KZG proof, compressed and not checked. Spec: deneb/beacon-chain.md, "Types".
pub type KZGProof = Bytes<48>;
/// A blob of `BYTES_PER_BLOB` bytes: on the heap, since 128 KiB would be a danger on the stack.
/// Spec: deneb/beacon-chain.md, "Types".
pub type Blob = ByteVector;

/// The unit of blob data that has its own proof, 32 × `FIELD_ELEMENTS_PER_CELL` bytes in both presets.
/// Spec: fulu/das-core.md, "Types".
pub type Cell = Bytes<2048>;
/// A cell's position in an extended blob. Spec: fulu/das-core.md, "Types".
pub type CellIndex = u64;
/// A row of the matrix of cells. Spec: fulu/das-core.md, "Types".
pub type RowIndex = u64;
/// A column of the matrix of cells. Spec: fulu/das-core.md, "Types".
pub type ColumnIndex = u64;
/// A custody group. Spec: fulu/das-core.md, "Types".
pub type CustodyIndex = u64;

/// An index into the builder registry. Spec: gloas/beacon-chain.md, "Types".
pub type BuilderIndex = u64;
