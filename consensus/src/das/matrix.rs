//! The matrix of cells: a row for each blob, a column for each cell index; any half of the columns restores the rest.

use crate::preset::MAX_BLOB_COMMITMENTS_PER_BLOCK;
use crate::ssz::Bytes;
use crate::types::{Blob, Cell, KZGProof, MatrixEntry};
use crate::{Invalid, ensure};
use crypto::kzg::{self, KzgError};

/// The cells of one extended blob with their proofs, each `CELLS_PER_EXT_BLOB` long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellsAndProofs {
    /// The cells in order.
    pub cells: Vec<Cell>,
    /// The proof of each.
    pub proofs: Vec<KZGProof>,
}

impl CellsAndProofs {
    fn new(cells: Vec<kzg::CellBytes>, proofs: Vec<kzg::KzgProof>) -> Self {
        CellsAndProofs {
            cells: cells.into_iter().map(Bytes).collect(),
            proofs: proofs.into_iter().map(Bytes).collect(),
        }
    }

    fn entries(self, row_index: u64) -> impl Iterator<Item = MatrixEntry> {
        let columns = self.cells.into_iter().zip(self.proofs).zip(0..);
        columns.map(move |((cell, kzg_proof), column_index)| MatrixEntry {
            cell,
            kzg_proof,
            column_index,
            row_index,
        })
    }
}

fn kzg_failed(rule: &'static str) -> impl Fn(KzgError) -> Invalid {
    move |error| Invalid::new(rule, error.to_string())
}

/// The cells of each blob with the proofs that the execution layer gives, `CELLS_PER_EXT_BLOB` for each blob in a row. An
/// error if a blob is none or the proofs are not as many. The proofs are not checked.
///
/// Spec: fulu/validator.md, "get_data_column_sidecars".
pub fn compute_cells_with_proofs(blobs: &[Blob], proofs: &[KZGProof]) -> Result<Vec<CellsAndProofs>, Invalid> {
    let expected = blobs.len() * kzg::CELLS_PER_EXT_BLOB;
    ensure!(
        proofs.len() == expected,
        "cell proofs",
        "{}, {} blobs need {expected}",
        proofs.len(),
        blobs.len()
    );
    let rows = blobs.iter().zip(proofs.chunks_exact(kzg::CELLS_PER_EXT_BLOB));
    rows.map(|(blob, proofs)| {
        let cells = kzg::compute_cells(&blob.0).map_err(kzg_failed("blob"))?;
        Ok(CellsAndProofs {
            cells: cells.into_iter().map(Bytes).collect(),
            proofs: proofs.to_vec(),
        })
    })
    .collect()
}

/// The whole matrix, row by row. An error if a blob is none.
///
/// Spec: fulu/das-core.md, `compute_matrix`.
pub fn compute_matrix(blobs: &[Blob]) -> Result<Vec<MatrixEntry>, Invalid> {
    let mut matrix = Vec::with_capacity(blobs.len() * kzg::CELLS_PER_EXT_BLOB);
    for (blob, row_index) in blobs.iter().zip(0..) {
        let (cells, proofs) = kzg::compute_cells_and_kzg_proofs(&blob.0).map_err(kzg_failed("blob"))?;
        matrix.extend(CellsAndProofs::new(cells, proofs).entries(row_index));
    }
    Ok(matrix)
}

/// The whole matrix, row by row, from at least half of each row, in rising order of columns. An error if a row has too
/// few cells or they are out of order. Cells are not checked against commitments: verify them first.
///
/// Spec: fulu/das-core.md, `recover_matrix`.
pub fn recover_matrix(partial_matrix: &[MatrixEntry], blob_count: u64) -> Result<Vec<MatrixEntry>, Invalid> {
    ensure!(
        blob_count <= MAX_BLOB_COMMITMENTS_PER_BLOCK,
        "blob count",
        "{blob_count}, a block has at most {MAX_BLOB_COMMITMENTS_PER_BLOCK}"
    );
    let mut matrix = Vec::new();
    for row_index in 0..blob_count {
        let row = partial_matrix.iter().filter(|entry| entry.row_index == row_index);
        let (indices, cells): (Vec<u64>, Vec<&Cell>) = row.map(|entry| (entry.column_index, &entry.cell)).unzip();
        let recovered = kzg::recover_cells_and_kzg_proofs(&indices, &cells);
        let (cells, proofs) = recovered.map_err(kzg_failed("matrix row"))?;
        matrix.extend(CellsAndProofs::new(cells, proofs).entries(row_index));
    }
    Ok(matrix)
}
