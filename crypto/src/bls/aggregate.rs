//! Sums of public keys.
//!
//! `blst_p1s_add` adds points pairwise and shares one inversion among all pairs of a round, which makes an addition half
//! as dear as one after the other. A sum of keys may be infinity (a key and its negative), and then it is none.

use std::borrow::Borrow;

use blst::{blst_p1, blst_p1_affine};

use super::{BlsError, PublicKey};

/// How many keys are added at once: `blst` works on as many at a time, so that a longer array would gain nothing, and
/// the keys of a whole slot's committees (30,000) need not lie in memory together.
const ADD_AT_ONCE: usize = 1024;

/// The sum of public keys as one public key, for any number of keys, given by reference or by value.
///
/// An error if there is no key, or if the sum is infinity: no signature is valid under such a key.
/// Spec: IETF draft, `FastAggregateVerify`, steps 1 to 6.
pub fn aggregate_pubkeys(keys: impl IntoIterator<Item = impl Borrow<PublicKey>>) -> Result<PublicKey, BlsError> {
    PublicKey::from_point(sum(keys)?)
}

/// The sum of public keys in its compressed form, infinity included; an error only if there is no key.
/// Spec: altair/bls.md, `eth_aggregate_pubkeys`.
pub fn eth_aggregate_pubkeys(keys: impl IntoIterator<Item = impl Borrow<PublicKey>>) -> Result<[u8; 48], BlsError> {
    let point = sum(keys)?;
    let mut bytes = [0; 48];
    // SAFETY: reads one affine point and writes 48 bytes.
    unsafe { blst::blst_p1_affine_compress(bytes.as_mut_ptr(), &raw const point) };
    Ok(bytes)
}

fn sum(keys: impl IntoIterator<Item = impl Borrow<PublicKey>>) -> Result<blst_p1_affine, BlsError> {
    let mut keys = keys.into_iter();
    let mut points = Vec::with_capacity(keys.size_hint().0.min(ADD_AT_ONCE));
    let mut total = blst_p1::default();
    let mut empty = true;
    loop {
        points.clear();
        points.extend(keys.by_ref().take(ADD_AT_ONCE).map(|key| *key.borrow().point()));
        if points.is_empty() {
            break;
        }
        empty = false;
        let part = sum_of_points(&points);
        // SAFETY: reads two points and writes one, which may be one of the two.
        unsafe { blst::blst_p1_add_or_double(&raw mut total, &raw const total, &raw const part) };
    }
    if empty {
        return Err(BlsError::Empty);
    }
    let mut affine = blst_p1_affine::default();
    // SAFETY: reads one point and writes one.
    unsafe { blst::blst_p1_to_affine(&raw mut affine, &raw const total) };
    Ok(affine)
}

fn sum_of_points(points: &[blst_p1_affine]) -> blst_p1 {
    // A pointer followed by null means: this one and those behind it.
    let arrays = [points.as_ptr(), std::ptr::null()];
    let mut out = blst_p1::default();
    // SAFETY: reads `points.len()` points from the slice on and writes one.
    unsafe { blst::blst_p1s_add(&raw mut out, arrays.as_ptr(), points.len()) };
    out
}
