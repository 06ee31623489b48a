//! Known answers that follow from the mathematics, and that wrong input is named. The official vectors run elsewhere.

use super::*;

/// The compressed generator of G1: what a blob that is 1 everywhere commits to (the constant polynomial 1).
const GENERATOR: &str =
    "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";

fn constant_blob(value: u8) -> Vec<u8> {
    (0..BYTES_PER_BLOB)
        .map(|i| if i % 32 == 31 { value } else { 0 })
        .collect()
}

fn varied_blob(seed: u8) -> Vec<u8> {
    let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 11) as u8 ^ seed;
    (0..BYTES_PER_BLOB)
        .map(|i| if i % 32 == 0 { 0 } else { byte(i) })
        .collect()
}

fn infinity() -> KzgCommitment {
    let mut point = [0; 48];
    point[0] = 0xc0;
    point
}

#[test]
fn constant_polynomials_commit_to_multiples_of_the_generator() {
    preload();
    assert_eq!(
        hex::encode(blob_to_kzg_commitment(&constant_blob(1)).unwrap()),
        GENERATOR
    );
    assert_eq!(blob_to_kzg_commitment(&constant_blob(0)).unwrap(), infinity());
}

#[test]
fn a_constant_polynomial_has_its_value_everywhere() {
    let mut z = [0; 32];
    z[31] = 77;
    let (proof, y) = compute_kzg_proof(&constant_blob(5), &z).unwrap();
    assert_eq!((y[31], proof), (5, infinity()));
    let commitment = blob_to_kzg_commitment(&constant_blob(5)).unwrap();
    assert_eq!(verify_kzg_proof(&commitment, &z, &y, &proof), Ok(true));
    assert_eq!(verify_kzg_proof(&commitment, &z, &z, &proof), Ok(false));
}

#[test]
fn blob_proofs_hold_for_their_own_blob_only() {
    let blobs = [varied_blob(1), varied_blob(2)];
    let commitments = blobs.each_ref().map(|blob| blob_to_kzg_commitment(blob).unwrap());
    let proofs = [0, 1].map(|i| compute_blob_kzg_proof(&blobs[i], &commitments[i]).unwrap());
    assert_eq!(verify_blob_kzg_proof(&blobs[0], &commitments[0], &proofs[0]), Ok(true));
    assert_eq!(verify_blob_kzg_proof(&blobs[0], &commitments[0], &proofs[1]), Ok(false));
    assert_eq!(verify_blob_kzg_proof_batch(&blobs, &commitments, &proofs), Ok(true));
    assert_eq!(
        verify_blob_kzg_proof_batch(&blobs, &commitments, &[proofs[1], proofs[0]]),
        Ok(false)
    );
    assert_eq!(verify_blob_kzg_proof_batch(&[] as &[Vec<u8>], &[], &[]), Ok(true));
}

#[test]
fn any_half_of_the_cells_restores_the_rest() {
    let blob = varied_blob(3);
    let (cells, proofs) = compute_cells_and_kzg_proofs(&blob).unwrap();
    assert_eq!(
        cells.concat()[..BYTES_PER_BLOB],
        blob[..],
        "the first half of the cells is the blob itself"
    );
    assert_eq!(compute_cells(&blob).unwrap(), cells);
    let odd: Vec<u64> = (0..128).filter(|i| i % 2 == 1).collect();
    let half: Vec<_> = odd.iter().map(|&i| cells[i as usize]).collect();
    assert_eq!(
        recover_cells_and_kzg_proofs(&odd, &half),
        Ok((cells.clone(), proofs.clone()))
    );

    let commitments = [blob_to_kzg_commitment(&blob).unwrap(); 2];
    let pair = [cells[7].to_vec(), cells[90].to_vec()];
    let verify = |indices: &[u64]| verify_cell_kzg_proof_batch(&commitments, indices, &pair, &[proofs[7], proofs[90]]);
    assert_eq!(verify(&[7, 90]), Ok(true));
    assert_eq!(verify(&[7, 91]), Ok(false));
    assert_eq!(
        verify(&[7, 128]),
        Err(KzgError::CellIndex {
            position: 1,
            index: 128
        })
    );
    assert_eq!(
        verify(&[7]),
        Err(KzgError::Count {
            what: "cell indices",
            expected: 2,
            found: 1
        })
    );
}

#[test]
fn recovery_refuses_cells_that_cannot_do() {
    let cells = vec![[0u8; BYTES_PER_CELL]; 129];
    let recover = |indices: &[u64]| recover_cells_and_kzg_proofs(indices, &cells[..indices.len()]).map(|_| ());
    let first: Vec<u64> = (0..64).collect();
    assert_eq!(recover(&first), Ok(()));
    assert_eq!(recover(&first[..63]), Err(KzgError::TooFewCells { found: 63 }));
    let repeated: Vec<u64> = first.iter().copied().chain([63]).collect();
    assert_eq!(recover(&repeated), Err(KzgError::CellOrder { position: 64 }));
    let too_many: Vec<u64> = (0..129).collect();
    assert_eq!(
        recover(&too_many),
        Err(KzgError::CellIndex {
            position: 128,
            index: 128
        })
    );
    let short = vec![vec![0u8; BYTES_PER_CELL]; 63]
        .into_iter()
        .chain([vec![0u8; 2047]])
        .collect::<Vec<_>>();
    let error = KzgError::Length {
        what: "the cell",
        position: 63,
        expected: BYTES_PER_CELL,
        found: 2047,
    };
    assert_eq!(recover_cells_and_kzg_proofs(&first, &short), Err(error));
}

#[test]
fn wrong_input_is_an_error_and_never_a_verdict() {
    for length in [0, 1, BYTES_PER_BLOB - 1, BYTES_PER_BLOB + 1, 2 * BYTES_PER_BLOB] {
        let error = KzgError::Length {
            what: "the blob",
            position: 0,
            expected: BYTES_PER_BLOB,
            found: length,
        };
        assert_eq!(blob_to_kzg_commitment(&vec![0; length]), Err(error));
    }
    assert_eq!(
        blob_to_kzg_commitment(&vec![0xff; BYTES_PER_BLOB]),
        Err(KzgError::Invalid)
    );
    let zero = [0; 32];
    assert_eq!(
        verify_kzg_proof(&[0; 48], &zero, &zero, &infinity()),
        Err(KzgError::Invalid)
    );
    assert_eq!(
        verify_kzg_proof(&infinity(), &[0xff; 32], &zero, &infinity()),
        Err(KzgError::Invalid)
    );
}
