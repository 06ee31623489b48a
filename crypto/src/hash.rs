//! SHA-256, once and in batches.
//!
//! A Merkle layer is thousands of independent hashes of 64 bytes, and the second compression of each works on a padding
//! block that is always the same. The kernels of the C library `hashtree` use both facts: two or more messages at a
//! time, the padding's schedule precomputed, less than half of the time of hashing one by one. What they are good for
//! ends there, so messages of other lengths go through `sha2`.
//!
//! The kernel is chosen here and not by the library's own `hashtree_init`: that one writes a global from whichever
//! thread comes first, asks the processor but not the operating system whether AVX may be used, and cannot be told to
//! take the portable code.

use std::sync::{LazyLock, OnceLock};

use hashtree_rs as _; // links the C library whose functions stand in `ffi`
use sha2::block_api::compress256;

/// A SHA-256 digest, and in SSZ a node or chunk.
pub type Hash256 = [u8; 32];

/// A function that hashes `count` messages of 64 bytes at `input` into as many digests at `output`.
type KernelFn = unsafe extern "C" fn(output: *mut u8, input: *const u8, count: u64);

/// The kernels of the C library (its header `hashtree.h`), one batch size and instruction set each.
mod ffi {
    unsafe extern "C" {
        pub(super) fn hashtree_sha256_generic(output: *mut u8, input: *const u8, count: u64);
    }
    #[cfg(target_arch = "x86_64")]
    unsafe extern "C" {
        pub(super) fn hashtree_sha256_sse_x1(output: *mut u8, input: *const u8, count: u64);
        pub(super) fn hashtree_sha256_avx_x4(output: *mut u8, input: *const u8, count: u64);
        pub(super) fn hashtree_sha256_avx2_x8(output: *mut u8, input: *const u8, count: u64);
        pub(super) fn hashtree_sha256_avx512_x16(output: *mut u8, input: *const u8, count: u64);
        pub(super) fn hashtree_sha256_shani_x2(output: *mut u8, input: *const u8, count: u64);
    }
    #[cfg(target_arch = "aarch64")]
    unsafe extern "C" {
        pub(super) fn hashtree_sha256_neon_x4(output: *mut u8, input: *const u8, count: u64);
        pub(super) fn hashtree_sha256_sha_x1(output: *mut u8, input: *const u8, count: u64);
    }
}

/// A way of hashing pairs that this machine can run.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The instructions it needs, and how many messages it takes at a time.
    pub name: &'static str,
    function: KernelFn,
}

impl Kernel {
    /// As [`hash_pairs`], by this kernel.
    pub fn hash_pairs(&self, input: &[Hash256], out: &mut [Hash256]) {
        assert!(
            input.len() / 2 == out.len() && input.len().is_multiple_of(2),
            "hash_pairs needs two inputs for each output, and got {} inputs for {} outputs",
            input.len(),
            out.len()
        );
        if out.is_empty() {
            return;
        }
        // SAFETY: the kernel reads 64 * count bytes and writes 32 * count, which are the lengths of the two slices as
        // asserted; they do not overlap because one is borrowed mutably; and `kernels` offers only what runs here.
        unsafe { (self.function)(out.as_mut_ptr().cast(), input.as_ptr().cast(), out.len() as u64) }
    }
}

const PORTABLE: Kernel = Kernel {
    name: "portable x1",
    function: ffi::hashtree_sha256_generic,
};

/// Every kernel that runs on this machine, the fastest for short and long batches alike first, the portable one last.
///
/// SHA-NI stands before AVX-512: the latter is faster only at multiples of 16, and far slower at the short batches that
/// most updates of a tree consist of.
pub fn kernels() -> Vec<Kernel> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let mut add = |runs, name, function: KernelFn| {
            if runs {
                found.push(Kernel { name, function });
            }
        };
        let sse = is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("sse4.1");
        add(
            sse && is_x86_feature_detected!("sha"),
            "SHA-NI x2",
            ffi::hashtree_sha256_shani_x2,
        );
        let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
        add(
            avx512 && is_x86_feature_detected!("avx512bw"),
            "AVX-512 x16",
            ffi::hashtree_sha256_avx512_x16,
        );
        add(
            is_x86_feature_detected!("avx2"),
            "AVX2 x8",
            ffi::hashtree_sha256_avx2_x8,
        );
        add(is_x86_feature_detected!("avx"), "AVX x4", ffi::hashtree_sha256_avx_x4);
        add(sse, "SSE x1", ffi::hashtree_sha256_sse_x1);
    }
    #[cfg(target_arch = "aarch64")]
    {
        if std::arch::is_aarch64_feature_detected!("sha2") {
            found.push(Kernel {
                name: "ARMv8 SHA x1",
                function: ffi::hashtree_sha256_sha_x1,
            });
        }
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Kernel {
                name: "NEON x4",
                function: ffi::hashtree_sha256_neon_x4,
            });
        }
    }
    found.push(PORTABLE);
    found
}

static CHOSEN: OnceLock<Kernel> = OnceLock::new();

/// The kernel that [`hash_pairs`] uses, chosen at the first call.
#[inline]
pub fn kernel() -> &'static Kernel {
    CHOSEN.get_or_init(|| kernels()[0])
}

/// Makes [`hash_pairs`] use portable code only, to measure what a machine without SHA instructions would do.
///
/// Returns whether it does so now: no longer possible once a pair has been hashed by another kernel.
pub fn force_portable() -> bool {
    CHOSEN.get_or_init(|| PORTABLE).name == PORTABLE.name
}

/// The digest of a message of any length.
pub fn sha256(message: &[u8]) -> Hash256 {
    const INITIAL: [u32; 8] = [
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    ];
    let mut state = INITIAL;
    let (blocks, rest) = message.as_chunks::<64>();
    compress256(&mut state, blocks);
    // What is left, a one bit, zeroes, and the length in bits in the last 8 bytes: one block, or two if it does not fit.
    let mut tail = [[0; 64]; 2];
    tail.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
    tail.as_flattened_mut()[rest.len()] = 0x80;
    let used = if rest.len() < 56 { 1 } else { 2 };
    tail[used - 1][56..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    compress256(&mut state, &tail[..used]);
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}

/// The digest of two nodes, one after the other: the parent of both in a Merkle tree.
pub fn hash2(left: &Hash256, right: &Hash256) -> Hash256 {
    let mut out = [[0; 32]];
    kernel().hash_pairs(&[*left, *right], &mut out);
    out[0]
}

/// Hashes `input[2 * i]` and `input[2 * i + 1]` into `out[i]` for every `i`: a layer of a Merkle tree into the next.
///
/// Panics unless there are exactly two inputs for each output.
pub fn hash_pairs(input: &[Hash256], out: &mut [Hash256]) {
    kernel().hash_pairs(input, out);
}

/// As [`hash_pairs`], from the first `2 * pairs` entries of `buf` into its first `pairs` entries; what lies behind
/// those afterwards is unspecified.
///
/// Panics if `buf` is shorter than `2 * pairs`.
///
/// No kernel promises that input and output may overlap. They need not: outputs `k .. 2k` come from inputs `2k .. 4k`,
/// so that after a head of few pairs the work falls into pieces of doubling size whose two sides are disjoint.
pub fn hash_pairs_in_place(buf: &mut [Hash256], pairs: usize) {
    const HEAD: usize = 4; // what SHA-NI and NEON take at once; more would only cost a longer copy of short batches
    assert!(
        pairs <= buf.len() / 2,
        "hash_pairs_in_place needs two entries for each pair, and got {} entries for {pairs} pairs",
        buf.len()
    );
    let head = pairs.min(HEAD);
    let mut copy = [[0; 32]; 2 * HEAD];
    copy[..2 * head].copy_from_slice(&buf[..2 * head]);
    hash_pairs(&copy[..2 * head], &mut buf[..head]);
    let mut done = head;
    while done < pairs {
        let count = done.min(pairs - done);
        let (outputs, inputs) = buf.split_at_mut(2 * done);
        hash_pairs(&inputs[..2 * count], &mut outputs[done..done + count]);
        done += count;
    }
}

/// How many depths [`zero_hash`] knows: a tree over 2^64 chunks is the deepest that SSZ can declare.
pub const ZERO_HASH_COUNT: usize = 65;

/// The roots of the trees whose leaves are all zero, by depth.
pub static ZERO_HASHES: LazyLock<[Hash256; ZERO_HASH_COUNT]> = LazyLock::new(|| {
    let mut hashes = [[0; 32]; ZERO_HASH_COUNT];
    for depth in 1..ZERO_HASH_COUNT {
        hashes[depth] = hash2(&hashes[depth - 1], &hashes[depth - 1]);
    }
    hashes
});

/// The root of the tree with 2^`depth` leaves that are all zero; `depth` is at most 64.
pub fn zero_hash(depth: usize) -> &'static Hash256 {
    &ZERO_HASHES[depth]
}

#[cfg(test)]
#[path = "hash_tests.rs"]
mod tests;
