//! Blobs for the dev engine: a few made-up ones with real commitments and proofs, and transactions that carry them.
//!
//! They are made once, when the engine starts, because the proofs of one take a quarter of a second; every engine of a
//! network makes the same, as if all had them in their pools.

use super::schedule::GAS_PER_BLOB;
use crate::execution::rlp::{list, number, string, uint};
use crate::execution::transaction::BLOB_TX_TYPE;
use crate::execution::types::BlobAndProofs;
use anyhow::{Context, Result};
use consensus::constants::BYTES_PER_FIELD_ELEMENT;
use consensus::helpers::misc::kzg_commitment_to_versioned_hash;
use consensus::preset::BYTES_PER_BLOB;
use consensus::ssz::{ByteList, ByteVector};
use consensus::types::{BlobsBundle, KZGCommitment, KZGProof, VersionedHash};
use consensus::{Config, Fork};
use crypto::hash::sha256;
use crypto::kzg;

/// Blobs in one transaction, at most. Spec: EIP-7594.
const MAX_BLOBS_PER_TX: usize = 6;
/// Blobs made beyond those of one block, so that neighbouring blocks differ.
const SPARE: u64 = 2;

/// A blob with all that can be asked about it.
#[derive(Debug)]
struct Made {
    blob: Vec<u8>,
    commitment: KZGCommitment,
    versioned_hash: VersionedHash,
    proof: KZGProof,
    /// Proofs of its cells; empty where the network never reaches Fulu.
    cell_proofs: Vec<KZGProof>,
}

/// The blobs of an engine.
#[derive(Debug)]
pub(crate) struct Blobs {
    made: Vec<Made>,
}

impl Blobs {
    /// Makes blobs for blocks of `per_block`; with proofs for cells if the network ever needs them.
    pub(crate) fn make(config: &Config, per_block: u64) -> Result<Self> {
        let count = if per_block == 0 { 0 } else { per_block + SPARE };
        let with_cells = config.scheduled_forks().any(|(fork, _, _)| fork >= Fork::Fulu);
        let made = (0..count).map(|seed| make(seed, with_cells)).collect::<Result<_>>();
        Ok(Blobs {
            made: made.context("the dev engine cannot make its blobs")?,
        })
    }

    /// Which blobs block `number` carries if it is to have `count`: neighbouring ones of the stock, beginning elsewhere
    /// in each block.
    pub(crate) fn choose(&self, number: u64, count: u64) -> Vec<usize> {
        let stock = self.made.len() as u64;
        if stock == 0 {
            return Vec::new();
        }
        (0..count)
            .map(|place| (number.wrapping_add(place) % stock) as usize)
            .collect()
    }

    /// The transactions that carry these blobs in block `number`: well-formed and unsigned, for nobody executes them.
    pub(crate) fn transactions(&self, chain_id: u64, block: u64, chosen: &[usize]) -> Vec<ByteList> {
        let parts = chosen.chunks(MAX_BLOBS_PER_TX).enumerate();
        parts
            .map(|(place, part)| self.transaction(chain_id, block, place, part))
            .collect()
    }

    /// Spec: EIP-4844, "Blob transaction".
    fn transaction(&self, chain_id: u64, block: u64, place: usize, chosen: &[usize]) -> ByteList {
        let fee = number(1_000_000_000);
        let hashes: Vec<Vec<u8>> = chosen
            .iter()
            .filter_map(|index| self.made.get(*index))
            .map(|made| string(&made.versioned_hash.0))
            .collect();
        let fields = [
            number(chain_id),
            // A nonce of its own for each, so that no two transactions are equal.
            number(block.wrapping_mul(64).wrapping_add(place as u64)),
            fee.clone(),
            fee.clone(),
            number(21_000),
            string(&[0; 20]),
            number(0),
            string(&[]),
            list(&[]),
            fee,
            list(&hashes),
            number(0),
            uint(&[1; 32]),
            uint(&[1; 32]),
        ];
        let mut bytes = vec![BLOB_TX_TYPE];
        bytes.extend(list(&fields));
        ByteList(bytes)
    }

    /// What goes with a payload that carries these blobs.
    pub(crate) fn bundle(&self, fork: Fork, chosen: &[usize]) -> BlobsBundle {
        let made = || chosen.iter().filter_map(|index| self.made.get(*index));
        BlobsBundle {
            commitments: made().map(|made| made.commitment).collect(),
            proofs: made().flat_map(|made| made.proofs(fork)).copied().collect(),
            blobs: made().map(|made| ByteVector(made.blob.clone())).collect(),
        }
    }

    /// The blob of that hash, if it is in the stock.
    pub(crate) fn find(&self, fork: Fork, hash: &VersionedHash) -> Option<BlobAndProofs> {
        let made = self.made.iter().find(|made| made.versioned_hash == *hash)?;
        Some(BlobAndProofs {
            blob: ByteVector(made.blob.clone()),
            proofs: made.proofs(fork).to_vec(),
        })
    }
}

impl Made {
    fn proofs(&self, fork: Fork) -> &[KZGProof] {
        if fork >= Fork::Fulu {
            &self.cell_proofs
        } else {
            std::slice::from_ref(&self.proof)
        }
    }
}

/// Blob gas of that many blobs.
pub(crate) fn blob_gas(blobs: u64) -> u64 {
    blobs.saturating_mul(GAS_PER_BLOB)
}

fn make(seed: u64, with_cells: bool) -> Result<Made> {
    let mut blob = Vec::with_capacity(BYTES_PER_BLOB as usize);
    for place in 0..BYTES_PER_BLOB / BYTES_PER_FIELD_ELEMENT {
        let mut element = sha256(&[seed.to_le_bytes(), place.to_le_bytes()].concat());
        // Below the modulus, which begins with 0x73.
        element[0] = 0;
        blob.extend_from_slice(&element);
    }
    let commitment = kzg::blob_to_kzg_commitment(&blob)?;
    let proof = kzg::compute_blob_kzg_proof(&blob, &commitment)?;
    let cell_proofs = if with_cells {
        kzg::compute_cells_and_kzg_proofs(&blob)?.1
    } else {
        Vec::new()
    };
    let commitment = KZGCommitment::from(commitment);
    Ok(Made {
        versioned_hash: kzg_commitment_to_versioned_hash(&commitment),
        commitment,
        proof: proof.into(),
        cell_proofs: cell_proofs.into_iter().map(KZGProof::from).collect(),
        blob,
    })
}
