//! Sums of public keys.
//!
//! `blst_p1s_add` adds points pairwise and shares one inversion among all pairs of a round, which makes an addition half
//! as dear as one after the other. A sum of keys may be infinity (a key and its negative), and then it is none.

use std::borrow::Borrow;
use std::fmt;

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
    some(keys).map(PublicKeySum::of)?.public_key()
}

/// The sum of public keys in its compressed form, infinity included; an error only if there is no key.
/// Spec: altair/bls.md, `eth_aggregate_pubkeys`.
pub fn eth_aggregate_pubkeys(keys: impl IntoIterator<Item = impl Borrow<PublicKey>>) -> Result<[u8; 48], BlsError> {
    let point = some(keys).map(PublicKeySum::of)?.affine();
    let mut bytes = [0; 48];
    // SAFETY: reads one affine point and writes 48 bytes.
    unsafe { blst::blst_p1_affine_compress(bytes.as_mut_ptr(), &raw const point) };
    Ok(bytes)
}

/// The keys, of which there must be one.
fn some<K: Borrow<PublicKey>>(keys: impl IntoIterator<Item = K>) -> Result<impl Iterator<Item = K>, BlsError> {
    let mut keys = keys.into_iter().peekable();
    if keys.peek().is_none() {
        return Err(BlsError::Empty);
    }
    Ok(keys)
}

/// A sum of public keys that others are added to and taken from. It may be infinity, as that of no key is.
///
/// Of a committee nearly all of whose members take part, the sum of all less that of the absent is had with a few
/// additions, where the sum of all is known.
#[derive(Clone, Copy, Default)]
pub struct PublicKeySum(blst_p1);

impl PublicKeySum {
    /// The sum of these keys.
    pub fn of(keys: impl IntoIterator<Item = impl Borrow<PublicKey>>) -> Self {
        let mut keys = keys.into_iter();
        let mut points = Vec::with_capacity(keys.size_hint().0.min(ADD_AT_ONCE));
        let mut total = Self::default();
        loop {
            points.clear();
            points.extend(keys.by_ref().take(ADD_AT_ONCE).map(|key| *key.borrow().point()));
            if points.is_empty() {
                return total;
            }
            total.add(&Self(sum_of_points(&points)));
        }
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        let before = self.0;
        // SAFETY: reads two points and writes one.
        unsafe { blst::blst_p1_add_or_double(&raw mut self.0, &raw const before, &raw const other.0) };
    }

    /// Takes another sum away.
    pub fn subtract(&mut self, other: &Self) {
        let mut negative = *other;
        // SAFETY: changes the sign of one point in place.
        unsafe { blst::blst_p1_cneg(&raw mut negative.0, true) };
        self.add(&negative);
    }

    /// The key that checks a signature of all; an error if the sum is infinity: no signature is valid under such a key.
    pub fn public_key(&self) -> Result<PublicKey, BlsError> {
        PublicKey::from_point(self.affine())
    }

    fn affine(&self) -> blst_p1_affine {
        let mut affine = blst_p1_affine::default();
        // SAFETY: reads one point and writes one.
        unsafe { blst::blst_p1_to_affine(&raw mut affine, &raw const self.0) };
        affine
    }
}

impl From<&PublicKey> for PublicKeySum {
    fn from(key: &PublicKey) -> Self {
        let mut point = blst_p1::default();
        // SAFETY: reads one affine point and writes one point.
        unsafe { blst::blst_p1_from_affine(&raw mut point, key.point()) };
        Self(point)
    }
}

impl fmt::Debug for PublicKeySum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.public_key() {
            Ok(key) => write!(f, "PublicKeySum({key:?})"),
            Err(_) => f.write_str("PublicKeySum(infinity)"),
        }
    }
}

fn sum_of_points(points: &[blst_p1_affine]) -> blst_p1 {
    // A pointer followed by null means: this one and those behind it.
    let arrays = [points.as_ptr(), std::ptr::null()];
    let mut out = blst_p1::default();
    // SAFETY: reads `points.len()` points from the slice on and writes one.
    unsafe { blst::blst_p1s_add(&raw mut out, arrays.as_ptr(), points.len()) };
    out
}
