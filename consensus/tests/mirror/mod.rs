//! Every container of the specs once more, in `ssz_rs`: another hand's encoding and hash tree roots to compare with.
//!
//! The declarations are the specs' own text, one module per fork with what the fork adds or changes, and so say nothing
//! that ours say: no ranges of forks, limits as types. Containers of the builder and beacon APIs and of requests stand
//! with the fork that brings them.
//!
//! `ssz_rs` knows no progressive types. Those of Gloas are declared as bounded lists and plain containers here, which
//! are encoded alike but hashed otherwise: up to Fulu bytes and roots are compared, at Gloas bytes only. The roots of
//! Gloas are proved by the specs' vectors.
#![allow(unused_braces)] // computed sizes need them; the derive of `ssz_rs` hides that from the compiler

use crate::support::Rng;
use consensus::{constants, preset};
use ssz_rs::prelude::*;

mod altair;
mod bellatrix;
mod capella;
mod deneb;
mod electra;
mod fulu;
mod gloas;
mod phase0;

/// The names that the specs give to integers and byte strings.
mod names {
    use super::{BYTES_PER_FIELD_ELEMENT, FIELD_ELEMENTS_PER_BLOB, FIELD_ELEMENTS_PER_CELL, List, Node, Vector};

    pub(crate) type Slot = u64;
    pub(crate) type Epoch = u64;
    pub(crate) type CommitteeIndex = u64;
    pub(crate) type ValidatorIndex = u64;
    pub(crate) type WithdrawalIndex = u64;
    pub(crate) type BuilderIndex = u64;
    pub(crate) type BlobIndex = u64;
    pub(crate) type ColumnIndex = u64;
    pub(crate) type RowIndex = u64;
    pub(crate) type Gwei = u64;
    pub(crate) type ParticipationFlags = u8;
    pub(crate) type Root = Node;
    pub(crate) type Hash32 = Node;
    pub(crate) type Bytes32 = Node;
    pub(crate) type Domain = Node;
    pub(crate) type Version = Vector<u8, 4>;
    pub(crate) type ForkDigest = Vector<u8, 4>;
    pub(crate) type ExecutionAddress = Vector<u8, 20>;
    pub(crate) type BLSPubkey = Vector<u8, 48>;
    pub(crate) type BLSSignature = Vector<u8, 96>;
    pub(crate) type KZGCommitment = Vector<u8, 48>;
    pub(crate) type KZGProof = Vector<u8, 48>;
    pub(crate) type Blob = Vector<u8, { BYTES_PER_FIELD_ELEMENT * FIELD_ELEMENTS_PER_BLOB }>;
    pub(crate) type Cell = Vector<u8, { BYTES_PER_FIELD_ELEMENT * FIELD_ELEMENTS_PER_CELL }>;

    /// Stands for "no limit".
    const UNLIMITED: usize = 1 << 40;
    pub(crate) type ProgressiveList<T> = List<T, UNLIMITED>;
    pub(crate) type ProgressiveByteList = List<u8, UNLIMITED>;
    pub(crate) type ProgressiveBitlist = super::Bitlist<UNLIMITED>;
}
use names::*;

/// Takes over the sizes in which the specs declare containers, as Rust's const generics want them.
macro_rules! sizes {
    ($($from:ident: $($name:ident)*;)*) => { $($(const $name: usize = $from::$name as usize;)*)* };
}

sizes! {
    preset: EPOCHS_PER_ETH1_VOTING_PERIOD EPOCHS_PER_HISTORICAL_VECTOR EPOCHS_PER_SLASHINGS_VECTOR
        FIELD_ELEMENTS_PER_BLOB FIELD_ELEMENTS_PER_CELL FIELD_ELEMENTS_PER_EXT_BLOB BYTES_PER_LOGS_BLOOM
        HISTORICAL_ROOTS_LIMIT KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH KZG_COMMITMENT_INCLUSION_PROOF_DEPTH
        MAX_ATTESTATIONS MAX_ATTESTATIONS_ELECTRA MAX_ATTESTER_SLASHINGS MAX_ATTESTER_SLASHINGS_ELECTRA
        MAX_BLOB_COMMITMENTS_PER_BLOCK MAX_BLS_TO_EXECUTION_CHANGES MAX_BYTES_PER_TRANSACTION
        MAX_COMMITTEES_PER_SLOT MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD MAX_DEPOSITS
        MAX_DEPOSIT_REQUESTS_PER_PAYLOAD MAX_EXTRA_DATA_BYTES MAX_PROPOSER_SLASHINGS MAX_TRANSACTIONS_PER_PAYLOAD
        MAX_VALIDATORS_PER_COMMITTEE MAX_VOLUNTARY_EXITS MAX_WITHDRAWALS_PER_PAYLOAD
        MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD MIN_SEED_LOOKAHEAD NUMBER_OF_COLUMNS PENDING_CONSOLIDATIONS_LIMIT
        PENDING_DEPOSITS_LIMIT PENDING_PARTIAL_WITHDRAWALS_LIMIT PTC_SIZE SLOTS_PER_EPOCH
        SLOTS_PER_HISTORICAL_ROOT SYNC_COMMITTEE_SIZE VALIDATOR_REGISTRY_LIMIT;
    constants: BYTES_PER_FIELD_ELEMENT CURRENT_SYNC_COMMITTEE_GINDEX CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA
        CURRENT_SYNC_COMMITTEE_GINDEX_GLOAS DEPOSIT_CONTRACT_TREE_DEPTH EXECUTION_BLOCK_HASH_GINDEX_GLOAS
        EXECUTION_PAYLOAD_GINDEX FINALIZED_ROOT_GINDEX FINALIZED_ROOT_GINDEX_ELECTRA FINALIZED_ROOT_GINDEX_GLOAS
        JUSTIFICATION_BITS_LENGTH NEXT_SYNC_COMMITTEE_GINDEX NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA
        NEXT_SYNC_COMMITTEE_GINDEX_GLOAS SYNC_COMMITTEE_SUBNET_COUNT;
}

/// A config value by the specs, but the same everywhere.
const ATTESTATION_SUBNET_COUNT: usize = 64;

/// Spec: altair/light-client/sync-protocol.md.
const fn floorlog2(index: usize) -> usize {
    index.ilog2() as usize
}

/// Types of which a random value can be made.
pub(crate) trait Random {
    /// The next value.
    fn random(rng: &mut Rng) -> Self;
}

macro_rules! random_integers {
    ($($type:ty)*) => {$(
        impl Random for $type {
            fn random(rng: &mut Rng) -> Self {
                rng.word() as $type
            }
        }
    )*};
}

random_integers!(u8 u64);

impl Random for bool {
    fn random(rng: &mut Rng) -> Self {
        rng.word() & 1 == 1
    }
}

impl Random for U256 {
    fn random(rng: &mut Rng) -> Self {
        U256::try_from_bytes_le(&rng.bytes(32)).expect("32 bytes are an integer")
    }
}

impl Random for Node {
    fn random(rng: &mut Rng) -> Self {
        Node::try_from(&rng.bytes(32)[..]).expect("32 bytes are a node")
    }
}

impl<T: SimpleSerialize + Random, const N: usize> Random for List<T, N> {
    fn random(rng: &mut Rng) -> Self {
        let len = rng.len(N, T::size_hint());
        let items: Vec<T> = (0..len).map(|_| T::random(rng)).collect();
        items
            .try_into()
            .map_err(|(_, error)| error)
            .expect("the length is within the limit")
    }
}

impl<T: SimpleSerialize + Random, const N: usize> Random for Vector<T, N> {
    fn random(rng: &mut Rng) -> Self {
        let items: Vec<T> = (0..N).map(|_| T::random(rng)).collect();
        items
            .try_into()
            .map_err(|(_, error)| error)
            .expect("the length is the vector's")
    }
}

impl<const N: usize> Random for Bitlist<N> {
    fn random(rng: &mut Rng) -> Self {
        // Items of seven bytes: up to 585 bits, so that there is more than one chunk at times.
        let bits: Vec<bool> = (0..rng.len(N, 7)).map(|_| bool::random(rng)).collect();
        Bitlist::try_from(&bits[..]).expect("the length is within the limit")
    }
}

impl<const N: usize> Random for Bitvector<N> {
    fn random(rng: &mut Rng) -> Self {
        let mut bits = Bitvector::default();
        for index in 0..N {
            bits.set(index, bool::random(rng));
        }
        bits
    }
}

/// A value of `ssz_rs`, its type forgotten.
pub(crate) trait Theirs {
    /// The encoding.
    fn bytes(&self) -> Vec<u8>;
    /// The hash tree root. `ssz_rs` takes `&mut` to compute it.
    fn root(&mut self) -> [u8; 32];
}

impl<T: SimpleSerialize> Theirs for T {
    fn bytes(&self) -> Vec<u8> {
        serialize(self).expect("a value within its limits can be encoded")
    }

    fn root(&mut self) -> [u8; 32] {
        let root = self.hash_tree_root().expect("a value within its limits has a root");
        root.as_ref().try_into().expect("a root has 32 bytes")
    }
}

/// A container as `ssz_rs` has it.
#[derive(Clone, Copy)]
pub(crate) struct Mirror {
    /// A random value.
    pub(crate) random: fn(&mut Rng) -> Box<dyn Theirs>,
    /// Decodes; `None` if the bytes are refused. May panic on bytes that are no encoding: a fault of `ssz_rs` 0.9.
    pub(crate) decode: fn(&[u8]) -> Option<Box<dyn Theirs>>,
}

impl Mirror {
    const fn of<T: SimpleSerialize + Random + 'static>() -> Self {
        Mirror {
            random: |rng| {
                rng.begin_value();
                Box::new(T::random(rng))
            },
            decode: |bytes| Some(Box::new(T::deserialize(bytes).ok()?)),
        }
    }
}

/// The container of that name as it is at `fork`: as the latest fork up to it has declared it.
pub(crate) fn find(name: &str, fork: consensus::Fork) -> Option<Mirror> {
    let declared = [
        phase0::DECLARED,
        altair::DECLARED,
        bellatrix::DECLARED,
        capella::DECLARED,
        deneb::DECLARED,
        electra::DECLARED,
        fulu::DECLARED,
        gloas::DECLARED,
    ];
    let up_to = declared[..=fork as usize].iter().rev();
    up_to
        .flat_map(|declared| declared.iter())
        .find(|(declared, _)| *declared == name)
        .map(|(_, mirror)| *mirror)
}

/// Declares the containers of a fork, and lists them.
macro_rules! mirror {
    ($($name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            #[derive(Clone, Debug, Default, PartialEq, Eq, SimpleSerialize)]
            pub(crate) struct $name {
                $(pub(crate) $field: $type,)*
            }

            impl Random for $name {
                fn random(rng: &mut Rng) -> Self {
                    $name { $($field: Random::random(rng),)* }
                }
            }
        )*

        /// The containers of this fork by name.
        pub(super) static DECLARED: &[(&str, Mirror)] = &[$((stringify!($name), Mirror::of::<$name>()),)*];
    };
}
use mirror;
