//! What blobs cost: loading the trusted setup, committing, extending, verifying columns of 6 blobs, and recovery.
//! The least of a few runs, on one core. `cargo bench -p crypto --bench kzg`; without `--bench` each is called once.

use crypto::kzg::{
    BYTES_PER_BLOB, CELLS_PER_EXT_BLOB, CellBytes, KzgCommitment, KzgProof, blob_to_kzg_commitment,
    compute_blob_kzg_proof, compute_cells, compute_cells_and_kzg_proofs, preload, recover_cells_and_kzg_proofs,
    verify_blob_kzg_proof, verify_cell_kzg_proof_batch,
};
use std::{hint::black_box, time::Instant};

const BLOBS: usize = 6; // the target of Pectra, and what the project's other figures are for

struct Extended {
    commitment: KzgCommitment,
    cells: Vec<CellBytes>,
    proofs: Vec<KzgProof>,
}

fn measure<T>(name: &str, runs: usize, mut work: impl FnMut() -> T) {
    let runs = if std::env::args().any(|arg| arg == "--bench") {
        runs
    } else {
        1
    };
    let milliseconds = |_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed().as_secs_f64() * 1e3
    };
    let least = (0..runs).map(milliseconds).fold(f64::INFINITY, f64::min);
    println!("{name:<40} {least:>10.2} ms");
}

fn blob(seed: usize) -> Vec<u8> {
    let byte = |i: usize| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 9) as u8;
    (0..BYTES_PER_BLOB)
        .map(|i| if i % 32 == 0 { 0 } else { byte(i) })
        .collect()
}

/// Verifies the first so many columns of all blobs in one call, as a node does with columns that arrive together.
fn verify_columns(blobs: &[Extended], columns: usize) -> bool {
    let places = || (0..columns).flat_map(|column| blobs.iter().map(move |blob| (blob, column)));
    let commitments: Vec<_> = places().map(|(blob, _)| blob.commitment).collect();
    let indices: Vec<_> = places().map(|(_, column)| column as u64).collect();
    let cells: Vec<_> = places().map(|(blob, column)| &blob.cells[column][..]).collect();
    let proofs: Vec<_> = places().map(|(blob, column)| blob.proofs[column]).collect();
    verify_cell_kzg_proof_batch(&commitments, &indices, &cells, &proofs) == Ok(true)
}

fn main() {
    measure("load trusted setup", 1, preload);
    let raw: Vec<_> = (0..BLOBS).map(blob).collect();
    let commitment = blob_to_kzg_commitment(&raw[0]).expect("the blob is valid");
    let proof = compute_blob_kzg_proof(&raw[0], &commitment).expect("the blob is valid");
    measure("blob_to_kzg_commitment", 10, || blob_to_kzg_commitment(&raw[0]));
    measure("verify_blob_kzg_proof", 10, || {
        verify_blob_kzg_proof(&raw[0], &commitment, &proof)
    });
    measure("compute_cells", 10, || compute_cells(&raw[0]));
    measure("compute_cells_and_kzg_proofs", 5, || {
        compute_cells_and_kzg_proofs(&raw[0])
    });

    let extend = |raw: &Vec<u8>| {
        let (cells, proofs) = compute_cells_and_kzg_proofs(raw).expect("the blob is valid");
        Extended {
            commitment: blob_to_kzg_commitment(raw).expect("the blob is valid"),
            cells,
            proofs,
        }
    };
    let blobs: Vec<_> = raw.iter().map(extend).collect();
    for columns in [1, 8, CELLS_PER_EXT_BLOB] {
        let name = format!("verify {columns} columns of {BLOBS} blobs");
        measure(&name, 5, || assert!(verify_columns(&blobs, columns)));
    }
    let odd: Vec<u64> = (1..CELLS_PER_EXT_BLOB as u64).step_by(2).collect();
    let half: Vec<_> = odd.iter().map(|&index| &blobs[0].cells[index as usize][..]).collect();
    measure("recover_cells_and_kzg_proofs, 64 cells", 5, || {
        recover_cells_and_kzg_proofs(&odd, &half)
    });
}
