//! BLS signatures over BLS12-381 with public keys in G1, the proof-of-possession scheme of the IETF draft, as the
//! consensus-specs use it (phase0/beacon-chain.md, "BLS signatures", and altair/bls.md).
//!
//! The types carry what has been checked, so that nothing is checked twice and nothing is forgotten:
//! - A [`PublicKey`] is a point of the subgroup and not infinity. It is kept affine, because decompressing costs sixty
//!   times what reading the uncompressed form does.
//! - A [`Signature`] is a point of the curve only. Its subgroup check costs as much as decompressing it once more, and
//!   is done by every function that says whether a signature is valid.
//!
//! Nothing here starts a thread: `blst` would (its feature `no-threads` keeps it from doing so), but who verifies many
//! signatures here is a worker of a pool already, and the caller is the one to know how many there are.

mod aggregate;
mod batch;
mod keys;
mod pairing;
mod signature;

use std::fmt;

pub use aggregate::{PublicKeySum, aggregate_pubkeys, eth_aggregate_pubkeys};
pub use batch::{SignatureSet, find_invalid, verify_signature_sets};
pub use keys::{PublicKey, SecretKey, consecutive_public_keys, consecutive_secret_key};
pub use pairing::hash_to_g2;
pub use signature::{
    AggregateSignature, Signature, aggregate, aggregate_verify, eth_fast_aggregate_verify, fast_aggregate_verify,
    verify,
};

use blst::BLST_ERROR;

/// The domain separation tag of the scheme. Spec: phase0/beacon-chain.md, "BLS signatures".
pub const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// Why bytes are no key or signature, or why keys or signatures cannot be aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlsError {
    /// The flag bits contradict each other, or a coordinate is not below the modulus.
    BadEncoding,
    /// There is no point with this coordinate.
    NotOnCurve,
    /// A point of the curve, but outside the subgroup of prime order.
    NotInSubgroup,
    /// The point at infinity where a public key is due.
    Infinity,
    /// Nothing to aggregate.
    Empty,
    /// A secret key that is zero or not below the order of the group.
    SecretKeyOutOfRange,
}

impl fmt::Display for BlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadEncoding => "the bytes do not encode a BLS12-381 point",
            Self::NotOnCurve => "the encoded point is not on the curve",
            Self::NotInSubgroup => "the encoded point is not in the subgroup of prime order",
            Self::Infinity => "the point at infinity is not a public key",
            Self::Empty => "there is nothing to aggregate",
            Self::SecretKeyOutOfRange => "the secret key is zero or not below the order of the group",
        })
    }
}

impl std::error::Error for BlsError {}

/// The outcome of a decoding function of `blst`, as ours.
fn decoded(code: BLST_ERROR) -> Result<(), BlsError> {
    match code {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => Err(BlsError::NotOnCurve),
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Err(BlsError::NotInSubgroup),
        BLST_ERROR::BLST_PK_IS_INFINITY => Err(BlsError::Infinity),
        _ => Err(BlsError::BadEncoding),
    }
}

/// Writes bytes as `0x` and lower-case digits.
fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("0x")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests;
