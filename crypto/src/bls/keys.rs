//! Secret and public keys.

use std::fmt;

use blst::{blst_p1, blst_p1_affine, blst_p2, blst_p2_affine, blst_scalar};
use zeroize::{Zeroize, Zeroizing};

use super::{BlsError, DST, Signature, decoded, pairing, write_hex};

/// A secret key: a number between 1 and the order of the group.
///
/// Its bytes lie in one place on the heap, so that moving the key leaves no copies behind, and are wiped when it is
/// dropped. It is neither cloned nor printed.
pub struct SecretKey(Box<blst_scalar>);

impl SecretKey {
    /// Reads the 32 big-endian bytes of a key; zero and anything from the order of the group on is refused.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BlsError> {
        let mut key = Self(Box::default());
        // SAFETY: the function reads 32 bytes and writes one scalar.
        unsafe { blst::blst_scalar_from_bendian(&raw mut *key.0, bytes.as_ptr()) };
        // SAFETY: reads one scalar.
        if unsafe { blst::blst_sk_check(&raw const *key.0) } {
            Ok(key)
        } else {
            Err(BlsError::SecretKeyOutOfRange)
        }
    }

    /// The 32 big-endian bytes of the key, wiped when dropped. For key stores only.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        // SAFETY: reads one scalar and writes 32 bytes.
        unsafe { blst::blst_bendian_from_scalar(bytes.as_mut_ptr(), &raw const *self.0) };
        bytes
    }

    /// The public key that belongs to this one. Spec: IETF draft, `SkToPk`.
    pub fn public_key(&self) -> PublicKey {
        let mut point = blst_p1_affine::default();
        // SAFETY: null means that the serialised form is not wanted; the others are one point and one scalar.
        unsafe { blst::blst_sk_to_pk2_in_g1(std::ptr::null_mut(), &raw mut point, &raw const *self.0) };
        PublicKey(point)
    }

    /// Signs a message, in constant time. Spec: IETF draft, `Sign`.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let hash: blst_p2 = pairing::map_to_g2(message, DST);
        let mut point = blst_p2_affine::default();
        // SAFETY: null means that the serialised form is not wanted; the others are two points and one scalar.
        unsafe {
            blst::blst_sign_pk2_in_g1(
                std::ptr::null_mut(),
                &raw mut point,
                &raw const hash,
                &raw const *self.0,
            );
        };
        Signature::from_point(point)
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.b.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A public key: a point of the subgroup of G1 that is not infinity, affine (96 bytes of memory).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct PublicKey(blst_p1_affine);

impl PublicKey {
    /// Decompresses and checks a key that comes from anyone. Spec: IETF draft, `KeyValidate`.
    pub fn from_compressed(bytes: &[u8; 48]) -> Result<Self, BlsError> {
        let key = Self::from_compressed_trusted(bytes)?;
        // SAFETY: reads one affine point, which is on the curve as decompression makes no others.
        if unsafe { blst::blst_p1_affine_in_g1(&raw const key.0) } {
            Ok(key)
        } else {
            Err(BlsError::NotInSubgroup)
        }
    }

    /// Decompresses a key from a state that is trusted, where only checked keys ever got in: a quarter of the time of
    /// [`PublicKey::from_compressed`], because the subgroup is not checked again.
    pub fn from_compressed_trusted(bytes: &[u8; 48]) -> Result<Self, BlsError> {
        let mut point = blst_p1_affine::default();
        // SAFETY: reads 48 bytes and writes one affine point.
        decoded(unsafe { blst::blst_p1_uncompress(&raw mut point, bytes.as_ptr()) })?;
        Self::from_point(point)
    }

    /// Reads a key that this program has checked and written by [`PublicKey::to_uncompressed`] before. Bytes that are
    /// not on the curve are an error; the subgroup is not checked again.
    pub fn from_uncompressed_trusted(bytes: &[u8; 96]) -> Result<Self, BlsError> {
        // `blst` takes the compressed form here too, by this flag, and would read 48 of the 96 bytes.
        if bytes[0] & 0x80 != 0 {
            return Err(BlsError::BadEncoding);
        }
        let mut point = blst_p1_affine::default();
        // SAFETY: reads 96 bytes and writes one affine point.
        decoded(unsafe { blst::blst_p1_deserialize(&raw mut point, bytes.as_ptr()) })?;
        Self::from_point(point)
    }

    /// The 48 bytes that stand in states and messages.
    pub fn to_compressed(&self) -> [u8; 48] {
        let mut bytes = [0; 48];
        // SAFETY: reads one affine point and writes 48 bytes.
        unsafe { blst::blst_p1_affine_compress(bytes.as_mut_ptr(), &raw const self.0) };
        bytes
    }

    /// Both coordinates, big-endian: 96 bytes that are read back sixty times as fast as the 48.
    pub fn to_uncompressed(&self) -> [u8; 96] {
        let mut bytes = [0; 96];
        // SAFETY: reads one affine point and writes 96 bytes.
        unsafe { blst::blst_p1_affine_serialize(bytes.as_mut_ptr(), &raw const self.0) };
        bytes
    }

    /// Takes a point of the subgroup; infinity is refused.
    pub(super) fn from_point(point: blst_p1_affine) -> Result<Self, BlsError> {
        // SAFETY: reads one affine point.
        if unsafe { blst::blst_p1_affine_is_inf(&raw const point) } {
            Err(BlsError::Infinity)
        } else {
            Ok(Self(point))
        }
    }

    pub(super) fn point(&self) -> &blst_p1_affine {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.to_compressed())
    }
}

/// The public keys of the secret keys `first`, `first + 1`, … : valid and distinct, half a microsecond each in place of a
/// hundred. For registries of devnets, tests and benchmarks only: who knows one secret knows all.
pub fn consecutive_public_keys(first: &SecretKey, count: usize) -> Vec<PublicKey> {
    const AT_ONCE: usize = 1024; // points that share the inversion which makes them affine
    // SAFETY: the generator is a constant of the library.
    let generator = unsafe { *blst::blst_p1_affine_generator() };
    let mut next = blst_p1::default();
    // SAFETY: reads one scalar and writes one point.
    unsafe { blst::blst_sk_to_pk_in_g1(&raw mut next, &raw const *first.0) };
    let mut keys = Vec::with_capacity(count);
    while keys.len() < count {
        let mut points = Vec::with_capacity(AT_ONCE);
        for _ in 0..AT_ONCE.min(count - keys.len()) {
            points.push(next);
            let before = next;
            // SAFETY: two points of ours and a third that is written.
            unsafe { blst::blst_p1_add_or_double_affine(&raw mut next, &raw const before, &raw const generator) };
        }
        keys.extend(
            blst::p1_affines::from(&points)
                .as_slice()
                .iter()
                .map(|point| PublicKey(*point)),
        );
    }
    keys
}

/// The secret key `first + number`, which belongs to key `number` of `consecutive_public_keys`.
pub fn consecutive_secret_key(first: &SecretKey, number: u64) -> Result<SecretKey, BlsError> {
    let mut offset = [0; 32];
    offset[24..].copy_from_slice(&number.to_be_bytes());
    let mut key = SecretKey(Box::default());
    let mut step = blst_scalar::default();
    // SAFETY: reads 32 bytes and writes one scalar; then reads two scalars and writes one.
    let fits = unsafe {
        blst::blst_scalar_from_bendian(&raw mut step, offset.as_ptr());
        blst::blst_sk_add_n_check(&raw mut *key.0, &raw const *first.0, &raw const step)
    };
    if fits {
        Ok(key)
    } else {
        Err(BlsError::SecretKeyOutOfRange)
    }
}
