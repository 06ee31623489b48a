//! What is left of a signature check when keys and signatures have been summed: whether a product of pairings is one.

use std::sync::LazyLock;

use blst::{blst_fp12, blst_p1, blst_p1_affine, blst_p2, blst_p2_affine};

use super::DST;

/// The generator of G1, negated: `e(key, hash) = e(generator, signature)` is checked with both sides on one, because
/// factors of one product share their squarings and the final exponentiation.
static NEGATED_GENERATOR: LazyLock<blst_p1_affine> = LazyLock::new(|| {
    let mut affine = blst_p1_affine::default();
    // SAFETY: the generator is a constant of the library; the others are points of ours.
    unsafe {
        let mut point: blst_p1 = *blst::blst_p1_generator();
        blst::blst_p1_cneg(&raw mut point, true);
        blst::blst_p1_to_affine(&raw mut affine, &raw const point);
    }
    affine
});

/// Maps a message into G2 under a domain separation tag. Spec: RFC 9380, `hash_to_curve` with BLS12381G2_XMD:SHA-256_SSWU_RO_.
pub(super) fn map_to_g2(message: &[u8], dst: &[u8]) -> blst_p2 {
    let mut point = blst_p2::default();
    // SAFETY: reads the two slices by their lengths and writes one point; there is no augmentation.
    unsafe {
        blst::blst_hash_to_g2(
            &raw mut point,
            message.as_ptr(),
            message.len(),
            dst.as_ptr(),
            dst.len(),
            std::ptr::null(),
            0,
        );
    }
    point
}

/// Maps a message into G2 under a domain separation tag, uncompressed: x and y, of each the imaginary part first.
/// Spec: RFC 9380, suite BLS12381G2_XMD:SHA-256_SSWU_RO_. It is public for its test vectors.
pub fn hash_to_g2(message: &[u8], dst: &[u8]) -> [u8; 192] {
    let mut bytes = [0; 192];
    let point = map_to_g2(message, dst);
    // SAFETY: reads one point and writes 192 bytes.
    unsafe { blst::blst_p2_serialize(bytes.as_mut_ptr(), &raw const point) };
    bytes
}

/// Maps messages into G2 under the scheme's tag, affine; the inversion that this takes is shared.
pub(super) fn hash_messages<'a>(messages: impl Iterator<Item = &'a [u8]>) -> Vec<blst_p2_affine> {
    let points: Vec<blst_p2> = messages.map(|message| map_to_g2(message, DST)).collect();
    let mut affine = vec![blst_p2_affine::default(); points.len()];
    if !points.is_empty() {
        let arrays = [points.as_ptr(), std::ptr::null()];
        // SAFETY: reads `points.len()` points from the first on and writes as many.
        unsafe { blst::blst_p2s_to_affine(affine.as_mut_ptr(), arrays.as_ptr(), points.len()) };
    }
    affine
}

/// The sum of `scalars[i] * points[i]` in G1. Not in constant time.
pub(super) fn multiply_g1(points: &[blst_p1_affine], scalars: &[[u8; SCALAR_BYTES]]) -> blst_p1 {
    assert_eq!(points.len(), scalars.len(), "each point has its scalar");
    let mut out = blst_p1::default();
    if points.is_empty() {
        return out;
    }
    let (points_at, scalars_at) = (
        [points.as_ptr(), std::ptr::null()],
        [scalars.as_ptr().cast(), std::ptr::null()],
    );
    // SAFETY: the scratch has the size that the library asks for; points and scalars are read by their common length,
    // a scalar having as many bytes as the bits tell.
    unsafe {
        let mut scratch = vec![0u64; blst::blst_p1s_mult_pippenger_scratch_sizeof(points.len()).div_ceil(8)];
        blst::blst_p1s_mult_pippenger(
            &raw mut out,
            points_at.as_ptr(),
            points.len(),
            scalars_at.as_ptr(),
            8 * SCALAR_BYTES,
            scratch.as_mut_ptr(),
        );
    }
    out
}

/// The sum of `scalars[i] * points[i]` in G2. Not in constant time.
pub(super) fn multiply_g2(points: &[blst_p2_affine], scalars: &[[u8; SCALAR_BYTES]]) -> blst_p2_affine {
    assert_eq!(points.len(), scalars.len(), "each point has its scalar");
    let mut affine = blst_p2_affine::default();
    if points.is_empty() {
        return affine;
    }
    let (points_at, scalars_at) = (
        [points.as_ptr(), std::ptr::null()],
        [scalars.as_ptr().cast(), std::ptr::null()],
    );
    // SAFETY: as in `multiply_g1`.
    unsafe {
        let mut out = blst_p2::default();
        let mut scratch = vec![0u64; blst::blst_p2s_mult_pippenger_scratch_sizeof(points.len()).div_ceil(8)];
        blst::blst_p2s_mult_pippenger(
            &raw mut out,
            points_at.as_ptr(),
            points.len(),
            scalars_at.as_ptr(),
            8 * SCALAR_BYTES,
            scratch.as_mut_ptr(),
        );
        blst::blst_p2_to_affine(&raw mut affine, &raw const out);
    }
    affine
}

/// Bytes of a random scalar: a batch with a bad signature passes with a probability of 2^-64.
pub(super) const SCALAR_BYTES: usize = 8;

/// Points of G1, affine; the inversion that this takes is shared.
pub(super) fn to_affine(points: &[blst_p1]) -> Vec<blst_p1_affine> {
    let mut affine = vec![blst_p1_affine::default(); points.len()];
    if !points.is_empty() {
        let arrays = [points.as_ptr(), std::ptr::null()];
        // SAFETY: reads `points.len()` points from the first on and writes as many.
        unsafe { blst::blst_p1s_to_affine(affine.as_mut_ptr(), arrays.as_ptr(), points.len()) };
    }
    affine
}

/// Whether the product of `e(keys[i], hashes[i])` is `e(generator, signature)`: whether the signature, which must be
/// in the subgroup, is the sum of the keys' signatures of those messages.
pub(super) fn signature_matches(
    keys: &[blst_p1_affine],
    hashes: &[blst_p2_affine],
    signature: &blst_p2_affine,
) -> bool {
    assert_eq!(keys.len(), hashes.len(), "each key has its message");
    let (mut g1, mut g2) = (Vec::with_capacity(keys.len() + 1), Vec::with_capacity(keys.len() + 1));
    let factors = keys.iter().zip(hashes).chain([(&*NEGATED_GENERATOR, signature)]);
    for (key, hash) in factors {
        // The library's loop has no place for infinity, whose factor is one.
        // SAFETY: reads one point each.
        let is_one =
            unsafe { blst::blst_p1_affine_is_inf(&raw const *key) || blst::blst_p2_affine_is_inf(&raw const *hash) };
        if !is_one {
            g1.push(*key);
            g2.push(*hash);
        }
    }
    g1.is_empty() || blst_fp12::miller_loop_n(&g2, &g1).final_exp() == blst_fp12::default()
}
