//! How long objects may be on the wire: the bounds of their SSZ types, so that nothing longer is ever allocated.
//!
//! Spec: phase0/p2p-interface.md, "Gossipsub size limits" and "What are SSZ type size bounds?".

use super::digests::Era;
use consensus::preset::{
    BYTES_PER_CELL, KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH, MAX_COMMITTEES_PER_SLOT, MAX_VALIDATORS_PER_COMMITTEE,
};
use consensus::ssz::Ssz;
use consensus::types::BlobSidecar;
use consensus::{Config, Fork};
use std::ops::RangeInclusive;

/// `AttestationData`, a signature, and the offset of the bits.
const ATTESTATION_FIXED: usize = 4 + 128 + 96;

/// The signed header of a block.
const SIGNED_HEADER: usize = 208;

/// A commitment, and a proof.
const G1: usize = 48;

/// A signed block: longer than its fixed part, which is longer than this in every fork; as long as any message at most.
pub fn block(_fork: Fork, config: &Config) -> RangeInclusive<usize> {
    400..=payload_max(config)
}

/// Spec: `MAX_PAYLOAD_SIZE`.
pub fn payload_max(config: &Config) -> usize {
    usize::try_from(config.max_payload_size).unwrap_or(usize::MAX)
}

/// A blob sidecar has one length.
pub fn blob_sidecar() -> RangeInclusive<usize> {
    let length = BlobSidecar::fixed_len(Fork::Deneb, &[]).unwrap_or(0);
    length..=length
}

/// A column of Fulu: cells, commitments and proofs, at most as many as there may be blobs in the era's blocks. The type
/// allows 4,096, 8 MiB of cells; a column of more than the limit is to be rejected, so it need not be read.
pub fn column_sidecar(era: Era) -> RangeInclusive<usize> {
    let fixed = 8 + 3 * 4 + SIGNED_HEADER + 32 * KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH as usize;
    let cell = BYTES_PER_CELL as usize + 2 * G1;
    let blobs = usize::try_from(era.blobs_max).unwrap_or(usize::MAX);
    fixed..=fixed.saturating_add(cell.saturating_mul(blobs))
}

/// Bits of a committee, and from Electra on of all committees of a slot, as a list with its last bit.
fn bits(fork: Fork) -> usize {
    let committees = if fork >= Fork::Electra {
        MAX_COMMITTEES_PER_SLOT
    } else {
        1
    };
    (MAX_VALIDATORS_PER_COMMITTEE * committees) as usize / 8 + 1
}

/// Bytes of the committee bits of an attestation.
fn committee_bits(fork: Fork) -> usize {
    if fork >= Fork::Electra {
        (MAX_COMMITTEES_PER_SLOT as usize).div_ceil(8)
    } else {
        0
    }
}

/// A vote on a subnet before Electra.
pub fn attestation(fork: Fork) -> RangeInclusive<usize> {
    let fixed = ATTESTATION_FIXED + committee_bits(fork);
    fixed + 1..=fixed + bits(fork)
}

/// A signed aggregate: an offset and a signature, an index, an offset and a proof, and the attestation.
pub fn aggregate(fork: Fork) -> RangeInclusive<usize> {
    let around = 4 + 96 + 8 + 4 + 96;
    let attestation = attestation(fork);
    around + attestation.start()..=around + attestation.end()
}

/// Two offsets, and twice an offset, data, a signature and indices.
pub fn attester_slashing(fork: Fork) -> RangeInclusive<usize> {
    let committees = if fork >= Fork::Electra {
        MAX_COMMITTEES_PER_SLOT
    } else {
        1
    };
    let indices = 8 * (MAX_VALIDATORS_PER_COMMITTEE * committees) as usize;
    let least = 2 * (4 + ATTESTATION_FIXED);
    least..=least + 2 * indices
}

/// The longest, an update, has a sync committee of 24,624 bytes, two headers of under 1 KiB each, and branches.
pub fn light_client() -> RangeInclusive<usize> {
    100..=32 << 10
}
