//! Signatures, and the checks of one signature.

use std::borrow::Borrow;
use std::fmt;

use blst::{blst_p1_affine, blst_p2, blst_p2_affine};

use super::{BlsError, PublicKey, aggregate_pubkeys, decoded, pairing, write_hex};

/// A signature, one or an aggregate: a point of the curve over the extension field. Whether it is in the subgroup is
/// checked when it is verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(blst_p2_affine);

impl Signature {
    /// The compressed point at infinity. Spec: altair/bls.md, `G2_POINT_AT_INFINITY`.
    pub const INFINITY: [u8; 96] = {
        let mut bytes = [0; 96];
        bytes[0] = 0xc0;
        bytes
    };

    /// Decompresses a signature; infinity is one, which aggregates of nothing use.
    pub fn from_bytes(bytes: &[u8; 96]) -> Result<Self, BlsError> {
        let mut point = blst_p2_affine::default();
        // SAFETY: reads 96 bytes and writes one affine point.
        decoded(unsafe { blst::blst_p2_uncompress(&raw mut point, bytes.as_ptr()) })?;
        Ok(Self(point))
    }

    /// The 96 bytes of the compressed form.
    pub fn to_bytes(&self) -> [u8; 96] {
        let mut bytes = [0; 96];
        // SAFETY: reads one affine point and writes 96 bytes.
        unsafe { blst::blst_p2_affine_compress(bytes.as_mut_ptr(), &raw const self.0) };
        bytes
    }

    /// Whether this is the point at infinity.
    pub fn is_infinity(&self) -> bool {
        // SAFETY: reads one affine point.
        unsafe { blst::blst_p2_affine_is_inf(&raw const self.0) }
    }

    /// Whether the point is in the subgroup of prime order. Every check of a signature asks this itself.
    pub fn is_in_subgroup(&self) -> bool {
        // SAFETY: reads one affine point.
        unsafe { blst::blst_p2_affine_in_g2(&raw const self.0) }
    }

    pub(super) fn from_point(point: blst_p2_affine) -> Self {
        Self(point)
    }

    pub(super) fn point(&self) -> &blst_p2_affine {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.to_bytes())
    }
}

/// A sum of signatures that grows: an aggregate in the pool that takes one vote after the other.
#[derive(Clone, Copy)]
pub struct AggregateSignature(blst_p2);

impl AggregateSignature {
    /// The sum of no signatures: infinity.
    pub fn new() -> Self {
        Self(blst_p2::default())
    }

    /// Adds a signature, or an aggregate of others.
    pub fn add(&mut self, signature: &Signature) {
        // SAFETY: reads two points and writes one, which may be the first.
        unsafe { blst::blst_p2_add_or_double_affine(&raw mut self.0, &raw const self.0, &raw const signature.0) };
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        // SAFETY: reads two points and writes one, which may be the first.
        unsafe { blst::blst_p2_add_or_double(&raw mut self.0, &raw const self.0, &raw const other.0) };
    }

    /// The sum so far.
    pub fn signature(&self) -> Signature {
        let mut point = blst_p2_affine::default();
        // SAFETY: reads one point and writes one.
        unsafe { blst::blst_p2_to_affine(&raw mut point, &raw const self.0) };
        Signature(point)
    }
}

impl Default for AggregateSignature {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AggregateSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.signature().fmt(f)
    }
}

/// The sum of signatures; an error if there is none. Spec: IETF draft, `Aggregate`.
pub fn aggregate(signatures: impl IntoIterator<Item = impl Borrow<Signature>>) -> Result<Signature, BlsError> {
    let mut signatures = signatures.into_iter().peekable();
    if signatures.peek().is_none() {
        return Err(BlsError::Empty);
    }
    let mut sum = AggregateSignature::new();
    signatures.for_each(|signature| sum.add(signature.borrow()));
    Ok(sum.signature())
}

/// Whether `signature` is that of `pubkey` on `message`. Spec: IETF draft, `Verify`.
pub fn verify(pubkey: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    check(&[*pubkey.point()], [message].into_iter(), signature)
}

/// Whether `signature` is the sum of the signatures of each key on its own message: false if there is none, or if
/// there are not as many keys as messages. Spec: IETF draft, `AggregateVerify`.
pub fn aggregate_verify(pubkeys: &[PublicKey], messages: &[impl AsRef<[u8]>], signature: &Signature) -> bool {
    if pubkeys.is_empty() || pubkeys.len() != messages.len() {
        return false;
    }
    let points: Vec<_> = pubkeys.iter().map(|key| *key.point()).collect();
    check(&points, messages.iter().map(AsRef::as_ref), signature)
}

/// Whether `signature` is the sum of the signatures of all keys on one message: false if there is no key, or if the
/// keys add up to infinity. Spec: IETF draft, `FastAggregateVerify`.
pub fn fast_aggregate_verify(
    pubkeys: impl IntoIterator<Item = impl Borrow<PublicKey>>,
    message: &[u8],
    signature: &Signature,
) -> bool {
    aggregate_pubkeys(pubkeys).is_ok_and(|pubkey| verify(&pubkey, message, signature))
}

/// As [`fast_aggregate_verify`], but no keys and the signature at infinity are valid: a sync committee of which nobody
/// took part. Spec: altair/bls.md, `eth_fast_aggregate_verify`.
pub fn eth_fast_aggregate_verify(
    pubkeys: impl IntoIterator<Item = impl Borrow<PublicKey>>,
    message: &[u8],
    signature: &Signature,
) -> bool {
    let mut pubkeys = pubkeys.into_iter().peekable();
    if pubkeys.peek().is_none() {
        return signature.is_infinity();
    }
    fast_aggregate_verify(pubkeys, message, signature)
}

fn check<'a>(keys: &[blst_p1_affine], messages: impl Iterator<Item = &'a [u8]>, signature: &Signature) -> bool {
    signature.is_in_subgroup() && pairing::signature_matches(keys, &pairing::hash_messages(messages), signature.point())
}
