//! KZG commitments, blob proofs (EIP-4844) and cell proofs (EIP-7594): the functions of c-kzg-4844 that the specs call.
//!
//! A thin skin over the C library: plain bytes in and out, lengths and counts checked here so that the caller learns
//! what was wrong, everything else left to the audited code. The trusted setup of the KZG ceremony is part of the
//! binary and is loaded once, on first use or by [`preload`]. No thread is started; every call is serial.
//!
//! Why `c-kzg` and not `rust_eth_kzg` (both measured on one x86-64 core with the table-free setting): they are equally
//! fast, but c-kzg adds 552 kB to the binary against 1,203 kB, 4 crates against 56, holds 3.2 MB after loading against
//! 3.5 (and keeps 0.2 MB more after use against 1.6), and loads in 2.1 s like the other. Precomputed tables would gain a
//! fifth on `compute_cells_and_kzg_proofs` only, for one more second of loading and 100 MB, so there are none.

use c_kzg::{Blob, Bytes32, Bytes48, Cell, CkzgError, Error, KzgSettings};
use std::fmt;

/// Bytes of a blob: 4096 field elements of 32 bytes. Spec: deneb, `BYTES_PER_BLOB`.
pub const BYTES_PER_BLOB: usize = 131_072;
/// Bytes of a cell: 64 field elements of 32 bytes. Spec: fulu/polynomial-commitments-sampling, `BYTES_PER_CELL`.
pub const BYTES_PER_CELL: usize = 2048;
/// Cells of an extended blob, of which any half restore the rest. Spec: fulu, `CELLS_PER_EXT_BLOB`.
pub const CELLS_PER_EXT_BLOB: usize = 128;

/// A compressed G1 point that commits to a blob's polynomial. Not validated by its type. Spec: deneb, `KZGCommitment`.
pub type KzgCommitment = [u8; 48];
/// A compressed G1 point that proves an evaluation. Not validated by its type. Spec: deneb, `KZGProof`.
pub type KzgProof = [u8; 48];
/// A big-endian field element below the BLS12-381 group order. Spec: deneb, `Bytes32` of a `BLSFieldElement`.
pub type FieldElement = [u8; 32];
/// The bytes of one cell. Spec: fulu, `Cell`.
pub type CellBytes = [u8; BYTES_PER_CELL];

/// Why a KZG function gave no answer. All but [`KzgError::Internal`] are the input's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KzgError {
    /// A blob, or a cell at a place in the list, has another length than the spec's.
    Length {
        /// What it is, for people.
        what: &'static str,
        /// Its place in the list, 0 for a single one.
        position: usize,
        /// The length it must have, in bytes.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// Two lists that belong together differ in length.
    Count {
        /// What the second list holds.
        what: &'static str,
        /// The length of the first list.
        expected: usize,
        /// The length of the second.
        found: usize,
    },
    /// A cell index is not below [`CELLS_PER_EXT_BLOB`].
    CellIndex {
        /// Its place in the list.
        position: usize,
        /// The index itself.
        index: u64,
    },
    /// Cell indices for recovery do not rise strictly (they repeat or are out of order).
    CellOrder {
        /// The first place whose index is not greater than the one before it.
        position: usize,
    },
    /// Fewer than half of the cells: nothing can be restored.
    TooFewCells {
        /// How many there are.
        found: usize,
    },
    /// The bytes are no valid field elements or curve points.
    Invalid,
    /// The library failed for a reason that does not lie in the input, such as no memory.
    Internal(&'static str),
}

impl fmt::Display for KzgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length {
                what,
                position,
                expected,
                found,
            } => {
                write!(
                    f,
                    "{what} at position {position} has {found} bytes, it must have {expected}"
                )
            }
            Self::Count { what, expected, found } => write!(f, "there are {found} {what}, there must be {expected}"),
            Self::CellIndex { position, index } => {
                write!(
                    f,
                    "cell index {index} at position {position} is not below {CELLS_PER_EXT_BLOB}"
                )
            }
            Self::CellOrder { position } => {
                write!(
                    f,
                    "the cell index at position {position} is not greater than the one before it"
                )
            }
            Self::TooFewCells { found } => {
                write!(
                    f,
                    "{found} cells cannot restore a blob, at least {} are needed",
                    CELLS_PER_EXT_BLOB / 2
                )
            }
            Self::Invalid => f.write_str("a field element is not canonical or a commitment or proof is no curve point"),
            Self::Internal(why) => write!(f, "the KZG library failed: {why}"),
        }
    }
}

impl std::error::Error for KzgError {}

impl From<Error> for KzgError {
    fn from(error: Error) -> Self {
        match error {
            Error::CError(CkzgError::C_KZG_BADARGS) => Self::Invalid,
            Error::CError(CkzgError::C_KZG_MALLOC) => Self::Internal("out of memory"),
            _ => Self::Internal("an error that should never occur"),
        }
    }
}

/// Loads the trusted setup now (about 2 s on a fast core, 3.2 MB) instead of at the first use. Blocks; callers that
/// need the setup meanwhile wait for it. Run it on a thread of your own at start-up.
pub fn preload() {
    settings();
}

fn settings() -> &'static KzgSettings {
    c_kzg::ethereum_kzg_settings(0) // 0: no precomputed tables, see the head of this file
}

/// The commitment to a blob. Errors when a field element is not canonical. Spec: deneb, `blob_to_kzg_commitment`.
pub fn blob_to_kzg_commitment(blob: &[u8]) -> Result<KzgCommitment, KzgError> {
    Ok(settings()
        .blob_to_kzg_commitment(as_blob(blob)?)?
        .to_bytes()
        .into_inner())
}

/// The proof that the blob's polynomial has at `z` the value which is returned with it. Spec: deneb, `compute_kzg_proof`.
pub fn compute_kzg_proof(blob: &[u8], z: &FieldElement) -> Result<(KzgProof, FieldElement), KzgError> {
    let (proof, y) = settings().compute_kzg_proof(as_blob(blob)?, &Bytes32::new(*z))?;
    Ok((proof.to_bytes().into_inner(), *y.as_ref()))
}

/// The proof that a blob belongs to a commitment. The commitment is checked to be a curve point, not to be the blob's.
/// Spec: deneb, `compute_blob_kzg_proof`.
pub fn compute_blob_kzg_proof(blob: &[u8], commitment: &KzgCommitment) -> Result<KzgProof, KzgError> {
    let proof = settings().compute_blob_kzg_proof(as_blob(blob)?, &Bytes48::new(*commitment))?;
    Ok(proof.to_bytes().into_inner())
}

/// Whether the committed polynomial has the value `y` at `z`. Spec: deneb, `verify_kzg_proof`.
pub fn verify_kzg_proof(
    commitment: &KzgCommitment,
    z: &FieldElement,
    y: &FieldElement,
    proof: &KzgProof,
) -> Result<bool, KzgError> {
    let (commitment, proof) = (Bytes48::new(*commitment), Bytes48::new(*proof));
    Ok(settings().verify_kzg_proof(&commitment, &Bytes32::new(*z), &Bytes32::new(*y), &proof)?)
}

/// Whether a blob belongs to a commitment. Spec: deneb, `verify_blob_kzg_proof`.
pub fn verify_blob_kzg_proof(blob: &[u8], commitment: &KzgCommitment, proof: &KzgProof) -> Result<bool, KzgError> {
    let (commitment, proof) = (Bytes48::new(*commitment), Bytes48::new(*proof));
    Ok(settings().verify_blob_kzg_proof(as_blob(blob)?, &commitment, &proof)?)
}

/// Whether every blob belongs to the commitment at its place; true for none at all. Copies the blobs together.
/// Spec: deneb, `verify_blob_kzg_proof_batch`.
pub fn verify_blob_kzg_proof_batch(
    blobs: &[impl AsRef<[u8]>],
    commitments: &[KzgCommitment],
    proofs: &[KzgProof],
) -> Result<bool, KzgError> {
    check_count("commitments", blobs.len(), commitments.len())?;
    check_count("proofs", blobs.len(), proofs.len())?;
    let joined = join(blobs, "the blob", BYTES_PER_BLOB)?;
    Ok(settings().verify_blob_kzg_proof_batch(as_blobs(&joined), &points(commitments), &points(proofs))?)
}

/// The 128 cells of a blob, in order. Spec: fulu, `compute_cells`.
pub fn compute_cells(blob: &[u8]) -> Result<Vec<CellBytes>, KzgError> {
    Ok(cell_bytes(settings().compute_cells(as_blob(blob)?)?.as_slice()))
}

/// The 128 cells of a blob with their proofs, in order. Spec: fulu, `compute_cells_and_kzg_proofs`.
pub fn compute_cells_and_kzg_proofs(blob: &[u8]) -> Result<(Vec<CellBytes>, Vec<KzgProof>), KzgError> {
    let (cells, proofs) = settings().compute_cells_and_kzg_proofs(as_blob(blob)?)?;
    Ok((
        cell_bytes(cells.as_slice()),
        proofs.iter().map(|proof| proof.to_bytes().into_inner()).collect(),
    ))
}

/// All 128 cells and proofs from at least 64 cells of one blob, whose indices must rise strictly. The cells are not
/// checked against a commitment: verify them first. Spec: fulu, `recover_cells_and_kzg_proofs`.
pub fn recover_cells_and_kzg_proofs(
    cell_indices: &[u64],
    cells: &[impl AsRef<[u8]>],
) -> Result<(Vec<CellBytes>, Vec<KzgProof>), KzgError> {
    check_count("cells", cell_indices.len(), cells.len())?;
    check_indices(cell_indices)?;
    if let Some(before) = cell_indices.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(KzgError::CellOrder { position: before + 1 });
    }
    if cells.len() < CELLS_PER_EXT_BLOB / 2 {
        return Err(KzgError::TooFewCells { found: cells.len() });
    }
    let joined = join(cells, "the cell", BYTES_PER_CELL)?;
    let (cells, proofs) = settings().recover_cells_and_kzg_proofs(cell_indices, as_cells(&joined))?;
    Ok((
        cell_bytes(cells.as_slice()),
        proofs.iter().map(|proof| proof.to_bytes().into_inner()).collect(),
    ))
}

/// Whether every cell is the one at its index of the blob committed to at its place; true for none at all. One call has
/// a fixed cost of 4-5 ms, so give it all columns that arrived together. Copies the cells together (2 kB each).
/// Spec: fulu, `verify_cell_kzg_proof_batch`.
pub fn verify_cell_kzg_proof_batch(
    commitments: &[KzgCommitment],
    cell_indices: &[u64],
    cells: &[impl AsRef<[u8]>],
    proofs: &[KzgProof],
) -> Result<bool, KzgError> {
    check_count("commitments", cells.len(), commitments.len())?;
    check_count("cell indices", cells.len(), cell_indices.len())?;
    check_count("proofs", cells.len(), proofs.len())?;
    check_indices(cell_indices)?;
    let joined = join(cells, "the cell", BYTES_PER_CELL)?;
    let (commitments, proofs) = (points(commitments), points(proofs));
    Ok(settings().verify_cell_kzg_proof_batch(&commitments, cell_indices, as_cells(&joined), &proofs)?)
}

fn check_count(what: &'static str, expected: usize, found: usize) -> Result<(), KzgError> {
    if expected == found {
        Ok(())
    } else {
        Err(KzgError::Count { what, expected, found })
    }
}

fn check_indices(cell_indices: &[u64]) -> Result<(), KzgError> {
    match cell_indices
        .iter()
        .position(|&index| index >= CELLS_PER_EXT_BLOB as u64)
    {
        Some(position) => Err(KzgError::CellIndex {
            position,
            index: cell_indices[position],
        }),
        None => Ok(()),
    }
}

/// The items one after the other, each checked for its length. Allocates what the items hold already.
fn join(items: &[impl AsRef<[u8]>], what: &'static str, expected: usize) -> Result<Vec<u8>, KzgError> {
    let mut wrong = items
        .iter()
        .map(|item| item.as_ref().len())
        .enumerate()
        .filter(|(_, found)| *found != expected);
    if let Some((position, found)) = wrong.next() {
        return Err(KzgError::Length {
            what,
            position,
            expected,
            found,
        });
    }
    let mut joined = Vec::with_capacity(items.len() * expected);
    for item in items {
        joined.extend_from_slice(item.as_ref());
    }
    Ok(joined)
}

fn points(bytes: &[[u8; 48]]) -> Vec<Bytes48> {
    bytes.iter().map(|point| Bytes48::new(*point)).collect()
}

fn cell_bytes(cells: &[Cell]) -> Vec<CellBytes> {
    cells.iter().map(Cell::to_bytes).collect()
}

fn as_blob(bytes: &[u8]) -> Result<&Blob, KzgError> {
    match as_blobs(bytes) {
        [blob] if bytes.len() == BYTES_PER_BLOB => Ok(blob),
        _ => Err(KzgError::Length {
            what: "the blob",
            position: 0,
            expected: BYTES_PER_BLOB,
            found: bytes.len(),
        }),
    }
}

// `Blob::from_bytes` and `Cell::from_bytes` would move 128 kB over the stack per blob and copy all cells twice.
const _: () = assert!(size_of::<Blob>() == BYTES_PER_BLOB && align_of::<Blob>() == 1);
const _: () = assert!(size_of::<Cell>() == BYTES_PER_CELL && align_of::<Cell>() == 1);

fn as_blobs(bytes: &[u8]) -> &[Blob] {
    // SAFETY: `Blob` is `repr(C)` around `[u8; BYTES_PER_BLOB]`, so every byte pattern is one and its alignment is 1
    // (both asserted above); the count is rounded down to the blobs that fit, and the borrow is the argument's.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / BYTES_PER_BLOB) }
}

fn as_cells(bytes: &[u8]) -> &[Cell] {
    // SAFETY: as in `as_blobs`, for `Cell` around `[u8; BYTES_PER_CELL]`.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / BYTES_PER_CELL) }
}

#[cfg(test)]
mod tests;
