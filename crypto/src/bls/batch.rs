//! Many signatures checked at once.
//!
//! Each check is an equation `e(key, hash) = e(generator, signature)`. Their sum, each multiplied by a random number
//! of 64 bits that its author could not know, holds only if all hold, but for a probability of 2^-64. What is gained:
//! - all signatures become one point by one multi-scalar multiplication, and need one pairing in place of one each;
//! - sets of the same message have the same hash, and their keys become one point too. Within a batch that votes alike
//!   a signature costs little more than its subgroup check; since Electra that is what committees of a slot do.
//!
//! Subgroup checks are made one by one before: outside the subgroup the multiplication would not bind, because a point
//! of small order vanishes with some of the random numbers.

use std::borrow::Borrow;
use std::ops::Range;

use blst::{blst_p1_affine, blst_p2_affine};

use super::pairing::{self, SCALAR_BYTES};
use super::{BlsError, PublicKey, Signature, aggregate_pubkeys};
use crate::hash::Hash256;

/// A signature, the root it is of, and the key, which may be the sum of several, that has to have made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureSet {
    /// The signature.
    pub signature: Signature,
    /// The signer's key, or the sum of the signers' keys.
    pub pubkey: PublicKey,
    /// The signing root.
    pub message: Hash256,
}

impl SignatureSet {
    /// A set with several signers, whose keys are added up here. An error if there is no key or their sum is infinity:
    /// no such signature is valid.
    pub fn aggregate(
        signature: Signature,
        pubkeys: impl IntoIterator<Item = impl Borrow<PublicKey>>,
        message: Hash256,
    ) -> Result<Self, BlsError> {
        Ok(Self {
            signature,
            pubkey: aggregate_pubkeys(pubkeys)?,
            message,
        })
    }
}

/// Whether all sets are valid; false for no sets, because a caller who has nothing to check has lost something.
pub fn verify_signature_sets(sets: &[SignatureSet]) -> bool {
    if sets.is_empty() || !sets.iter().all(|set| set.signature.is_in_subgroup()) {
        return false;
    }
    let batch = Batch::new(sets, (0..sets.len()).collect());
    batch.holds(0..sets.len())
}

/// The indices of the invalid sets in ascending order; none if all are valid, or if there are no sets.
///
/// Halves the batch until the bad ones stand alone. With one bad set among `n` it takes about `2 log2(n)` checks of
/// ever smaller batches; if all are bad, about `2 n`, but messages are hashed and subgroups checked only once.
pub fn find_invalid(sets: &[SignatureSet]) -> Vec<usize> {
    let (inside, mut invalid): (Vec<_>, Vec<_>) = (0..sets.len()).partition(|i| sets[*i].signature.is_in_subgroup());
    let batch = Batch::new(sets, inside);
    batch.bisect(0..batch.order.len(), false, &mut invalid);
    invalid.sort_unstable();
    invalid
}

/// Sets whose signatures are in the subgroup, in an order that keeps the same messages together.
struct Batch<'a> {
    sets: &'a [SignatureSet],
    /// Indices into `sets`.
    order: Vec<usize>,
    /// For each position in `order` the index of its message in `hashes`.
    message_at: Vec<usize>,
    /// The messages, each once, mapped into G2.
    hashes: Vec<blst_p2_affine>,
}

impl<'a> Batch<'a> {
    fn new(sets: &'a [SignatureSet], mut order: Vec<usize>) -> Self {
        order.sort_unstable_by_key(|i| sets[*i].message);
        let mut messages: Vec<&[u8]> = Vec::new();
        let mut message_at = Vec::with_capacity(order.len());
        for i in &order {
            if messages.last() != Some(&&sets[*i].message[..]) {
                messages.push(&sets[*i].message);
            }
            message_at.push(messages.len() - 1);
        }
        Self {
            sets,
            order,
            message_at,
            hashes: pairing::hash_messages(messages.into_iter()),
        }
    }

    /// Whether all sets at these positions are valid.
    fn holds(&self, positions: Range<usize>) -> bool {
        let sets = || self.order[positions.clone()].iter().map(|i| &self.sets[*i]);
        if let [i] = self.order[positions.clone()] {
            let (key, hash) = (
                self.sets[i].pubkey.point(),
                &self.hashes[self.message_at[positions.start]],
            );
            return pairing::signature_matches(&[*key], &[*hash], self.sets[i].signature.point());
        }
        let scalars = random_scalars(positions.len());
        let signatures: Vec<blst_p2_affine> = sets().map(|set| *set.signature.point()).collect();
        let signature = pairing::multiply_g2(&signatures, &scalars);
        let keys: Vec<blst_p1_affine> = sets().map(|set| *set.pubkey.point()).collect();
        let mut sums = Vec::new();
        let mut at = 0;
        for same in self.message_at[positions.clone()].chunk_by(|a, b| a == b) {
            let range = at..at + same.len();
            sums.push(pairing::multiply_g1(&keys[range.clone()], &scalars[range]));
            at += same.len();
        }
        // Positions are ordered by message, so that the messages of a range are a range too.
        let first = self.message_at[positions.start];
        pairing::signature_matches(
            &pairing::to_affine(&sums),
            &self.hashes[first..first + sums.len()],
            &signature,
        )
    }

    /// Adds to `invalid` the sets at these positions that are; `known` says that there is one.
    fn bisect(&self, positions: Range<usize>, known: bool, invalid: &mut Vec<usize>) {
        if positions.is_empty() || !known && self.holds(positions.clone()) {
            return;
        }
        if positions.len() == 1 {
            invalid.push(self.order[positions.start]);
            return;
        }
        let middle = positions.start + positions.len() / 2;
        let (left, right) = (positions.start..middle, middle..positions.end);
        let in_left = !self.holds(left.clone());
        if in_left {
            self.bisect(left, true, invalid);
        }
        self.bisect(right, !in_left, invalid);
    }
}

/// Random numbers, none of them zero.
fn random_scalars(count: usize) -> Vec<[u8; SCALAR_BYTES]> {
    let mut scalars = vec![[0; SCALAR_BYTES]; count];
    getrandom::fill(scalars.as_flattened_mut()).expect("the operating system gives random numbers once it has booted");
    for scalar in &mut scalars {
        if *scalar == [0; SCALAR_BYTES] {
            scalar[0] = 1;
        }
    }
    scalars
}
