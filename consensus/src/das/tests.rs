//! Sidecars made, checked, damaged and restored. The custody functions are in the vectors but for their errors.

use super::*;
use crate::preset::{BYTES_PER_BLOB, NUMBER_OF_COLUMNS};
use crate::ssz::{BitList, ByteVector, Bytes, Ssz, U256};
use crate::types::{
    BeaconBlock, BeaconState, Blob, DataColumnSidecar, KZGCommitment, KZGProof, MatrixEntry, PartialDataColumnHeader,
    PartialDataColumnSidecar, SignedBeaconBlock, Validator,
};
use crate::{Config, Fork, State};
use crypto::kzg;

/// A blob whose field elements are small numbers.
fn blob(number: u8) -> Blob {
    let mut bytes = vec![0; BYTES_PER_BLOB as usize];
    for (place, byte) in bytes.iter_mut().skip(31).step_by(32).enumerate() {
        *byte = (place as u8).wrapping_mul(number);
    }
    ByteVector(bytes)
}

struct Fixture {
    config: Config,
    fork: Fork,
    blobs: Vec<Blob>,
    commitments: Vec<KZGCommitment>,
    rows: Vec<CellsAndProofs>,
    block: SignedBeaconBlock,
}

impl Fixture {
    fn new(fork: Fork) -> Self {
        let blobs = vec![blob(1), blob(2)];
        let commitment = |blob: &Blob| Bytes(kzg::blob_to_kzg_commitment(&blob.0).unwrap());
        let commitments: Vec<KZGCommitment> = blobs.iter().map(commitment).collect();
        let matrix = compute_matrix(&blobs).unwrap();
        let proofs: Vec<KZGProof> = matrix.iter().map(|entry| entry.kzg_proof).collect();
        let rows = compute_cells_with_proofs(&blobs, &proofs).unwrap();
        let mut message = BeaconBlock::new(fork);
        message.slot = 5;
        if fork >= Fork::Gloas {
            let bid = &mut message.body.signed_execution_payload_bid.message;
            bid.blob_kzg_commitments.clone_from(&commitments);
        } else {
            message.body.blob_kzg_commitments.clone_from(&commitments);
        }
        Fixture {
            config: Config::standard().with_forks_at_genesis(fork),
            fork,
            blobs,
            commitments,
            rows,
            block: SignedBeaconBlock {
                message,
                signature: Bytes([3; 96]),
            },
        }
    }

    fn sidecars(&self) -> Vec<DataColumnSidecar> {
        get_data_column_sidecars_from_block(self.fork, &self.block, &self.rows).unwrap()
    }

    fn rule(&self, sidecar: &DataColumnSidecar, commitments: &[KZGCommitment]) -> &'static str {
        let result = verify_data_column_sidecar(&self.config, self.fork, sidecar, commitments);
        result.expect_err("the sidecar is wrong").rule
    }
}

#[test]
fn sidecars_of_fulu_are_valid_until_something_changes() {
    let fixture = Fixture::new(Fork::Fulu);
    let sidecars = fixture.sidecars();
    assert_eq!(sidecars.len() as u64, NUMBER_OF_COLUMNS);
    let good = &sidecars[100];
    verify_data_column_sidecar(&fixture.config, fixture.fork, good, &good.kzg_commitments).unwrap();
    assert!(verify_data_column_sidecar_inclusion_proof(good));
    assert!(verify_data_column_sidecar_kzg_proofs(good, &good.kzg_commitments));
    let again = get_data_column_sidecars_from_column_sidecar(fixture.fork, good, &fixture.rows).unwrap();
    assert_eq!(again, sidecars);

    let mut bad = good.clone();
    bad.index = 101;
    assert!(!verify_data_column_sidecar_kzg_proofs(&bad, &bad.kzg_commitments));
    bad.index = NUMBER_OF_COLUMNS;
    assert_eq!(fixture.rule(&bad, &bad.kzg_commitments), "column index");
    assert!(!verify_data_column_sidecar_kzg_proofs(&bad, &bad.kzg_commitments));
    let mut bad = good.clone();
    bad.kzg_commitments.swap(0, 1);
    assert!(!verify_data_column_sidecar_inclusion_proof(&bad));
    assert!(!verify_data_column_sidecar_kzg_proofs(&bad, &bad.kzg_commitments));
    let mut bad = good.clone();
    bad.kzg_proofs.pop();
    assert_eq!(fixture.rule(&bad, &bad.kzg_commitments), "column length");
    assert!(!verify_data_column_sidecar_kzg_proofs(&bad, &bad.kzg_commitments));
    assert_eq!(fixture.rule(good, &[]), "column without blobs");
    let limit = fixture.config.get_blob_parameters(0).max_blobs_per_block as usize;
    assert_eq!(fixture.rule(good, &vec![Bytes::ZERO; limit + 1]), "column blob limit");
}

#[test]
fn a_batch_of_columns_is_right_if_each_is() {
    let fixture = Fixture::new(Fork::Fulu);
    let sidecars = fixture.sidecars();
    let is_right = |columns: &[&DataColumnSidecar]| {
        let with_commitments = columns
            .iter()
            .map(|column| (*column, column.kzg_commitments.as_slice()));
        verify_data_column_sidecars_kzg_proofs(&with_commitments.collect::<Vec<_>>())
    };
    assert!(is_right(&[&sidecars[3], &sidecars[127], &sidecars[0]]));
    assert!(is_right(&[]));
    let mut other_index = sidecars[127].clone();
    other_index.index = 0;
    assert!(!is_right(&[&sidecars[3], &other_index]));
    // Counts that only agree in sum.
    let (mut one, mut two) = (sidecars[3].clone(), sidecars[4].clone());
    two.kzg_proofs.push(one.kzg_proofs.pop().unwrap());
    assert!(!is_right(&[&one, &two]));
}

#[test]
fn sidecars_of_gloas_name_their_block_and_take_the_bids_commitments() {
    let fixture = Fixture::new(Fork::Gloas);
    let sidecars = fixture.sidecars();
    let good = &sidecars[7];
    assert_eq!(
        good.beacon_block_root,
        fixture.block.message.hash_tree_root(Fork::Gloas)
    );
    assert_eq!((good.slot, good.index), (5, 7));
    verify_data_column_sidecar(&fixture.config, fixture.fork, good, &fixture.commitments).unwrap();
    assert!(verify_data_column_sidecar_kzg_proofs(good, &fixture.commitments));
    assert!(!verify_data_column_sidecar_kzg_proofs(good, &fixture.commitments[..1]));
    assert_eq!(fixture.rule(good, &fixture.commitments[..1]), "column length");
    let again = get_data_column_sidecars_from_column_sidecar(fixture.fork, good, &fixture.rows).unwrap();
    assert_eq!(again, sidecars);
    let empty = DataColumnSidecar::new(Fork::Gloas);
    assert_eq!(fixture.rule(&empty, &[]), "column without blobs");
}

#[test]
fn half_of_the_columns_restore_the_matrix() {
    let fixture = Fixture::new(Fork::Fulu);
    let whole = compute_matrix(&fixture.blobs).unwrap();
    let half: Vec<MatrixEntry> = whole
        .iter()
        .filter(|entry| entry.column_index % 2 == 1)
        .cloned()
        .collect();
    assert_eq!(recover_matrix(&half, 2).unwrap(), whole);
    assert_eq!(recover_matrix(&half[1..], 2).unwrap_err().rule, "matrix row");
    assert_eq!(recover_matrix(&half, 3).unwrap_err().rule, "matrix row");
    assert_eq!(recover_matrix(&half, u64::MAX).unwrap_err().rule, "blob count");
    let proofs = vec![KZGProof::ZERO; 129];
    let error = compute_cells_with_proofs(&fixture.blobs[..1], &proofs).unwrap_err();
    assert_eq!(error.rule, "cell proofs");
}

#[test]
fn rows_must_fit_the_block() {
    let mut fixture = Fixture::new(Fork::Fulu);
    let build = |fork, rows: &[CellsAndProofs]| get_data_column_sidecars_from_block(fork, &fixture.block, rows);
    assert_eq!(build(Fork::Fulu, &fixture.rows[..1]).unwrap_err().rule, "matrix rows");
    assert_eq!(
        build(Fork::Capella, &fixture.rows).unwrap_err().rule,
        "block commitments"
    );
    fixture.rows[1].cells.pop();
    let error = get_data_column_sidecars_from_block(Fork::Fulu, &fixture.block, &fixture.rows).unwrap_err();
    assert_eq!(error.rule, "matrix row");
}

#[test]
fn partial_columns_are_valid_for_their_bits() {
    let fixture = Fixture::new(Fork::Fulu);
    let whole = &fixture.sidecars()[9];
    let mut header = PartialDataColumnHeader {
        kzg_commitments: whole.kzg_commitments.clone(),
        signed_block_header: whole.signed_block_header,
        kzg_commitments_inclusion_proof: whole.kzg_commitments_inclusion_proof.clone(),
    };
    assert!(verify_partial_data_column_header_inclusion_proof(&header));
    header.kzg_commitments.pop();
    assert!(!verify_partial_data_column_header_inclusion_proof(&header));

    let mut bits = BitList::new(2);
    bits.set(1, true);
    let mut sidecar = PartialDataColumnSidecar {
        cells_present_bitmap: bits,
        partial_column: vec![whole.column[1]],
        kzg_proofs: vec![whole.kzg_proofs[1]],
        header: Vec::new(),
    };
    let valid = |sidecar: &PartialDataColumnSidecar, commitments: &[KZGCommitment], index| {
        verify_partial_data_column_sidecar_kzg_proofs(sidecar, commitments, index)
    };
    assert!(valid(&sidecar, &fixture.commitments, 9));
    assert!(!valid(&sidecar, &fixture.commitments, 8));
    assert!(!valid(&sidecar, &fixture.commitments[..1], 9));
    sidecar.cells_present_bitmap.set(0, true);
    assert!(!valid(&sidecar, &fixture.commitments, 9));
}

#[test]
fn blob_sidecars_prove_their_place() {
    for fork in [Fork::Deneb, Fork::Electra] {
        let fixture = Fixture::new(fork);
        let proof = |(blob, commitment): (&Blob, &KZGCommitment)| {
            Bytes(kzg::compute_blob_kzg_proof(&blob.0, &commitment.0).unwrap())
        };
        let proofs: Vec<KZGProof> = fixture.blobs.iter().zip(&fixture.commitments).map(proof).collect();
        let sidecars = get_blob_sidecars(fork, &fixture.block, fixture.blobs.clone(), &proofs).unwrap();
        assert_eq!(sidecars.len(), 2);
        assert!(sidecars.iter().all(verify_blob_sidecar_inclusion_proof));
        let mut bad = sidecars[0].clone();
        bad.index = 1;
        assert!(!verify_blob_sidecar_inclusion_proof(&bad));
        bad.index = u64::MAX;
        assert!(!verify_blob_sidecar_inclusion_proof(&bad));
        let error = get_blob_sidecars(fork, &fixture.block, fixture.blobs.clone(), &proofs[..1]).unwrap_err();
        assert_eq!(error.rule, "blob count");
    }
    let config = Config::standard();
    assert_eq!(compute_subnet_for_blob_sidecar(&config, Fork::Deneb, 7), 1);
    assert_eq!(compute_subnet_for_blob_sidecar(&config, Fork::Electra, 7), 7);
    assert_eq!(compute_subnet_for_data_column_sidecar(&config, 130), 2);
}

#[test]
fn custody_has_its_bounds() {
    let mut config = Config::standard();
    assert_eq!(get_custody_groups(&config, U256::MAX, 0).unwrap(), Vec::<u64>::new());
    let error = get_custody_groups(&config, U256::MAX, 129).unwrap_err();
    assert_eq!(error.rule, "custody group count");
    assert_eq!(
        compute_columns_for_custody_group(&config, 128).unwrap_err().rule,
        "custody group"
    );
    config.number_of_custody_groups = 32;
    assert_eq!(compute_columns_for_custody_group(&config, 3).unwrap(), [3, 35, 67, 99]);
    assert_eq!(get_custody_groups(&config, U256::from(1), 32).unwrap().len(), 32);
    config.number_of_custody_groups = 1 << 60;
    let error = get_custody_groups(&config, U256::from(1), 1 << 60).unwrap_err();
    assert_eq!(error.rule, "custody group count");
}

#[test]
fn custody_grows_with_the_balance_of_validators() {
    let config = Config::standard();
    let mut state = State::new(Fork::Fulu, BeaconState::new(Fork::Fulu));
    for ether in [32, 2048, 2048, 2048] {
        state.validators.push(Validator {
            effective_balance: ether * 1_000_000_000,
            ..Validator::default()
        });
    }
    let requirement = |indices: &[u64]| get_validators_custody_requirement(&state, &config, indices);
    assert_eq!(requirement(&[0]), Ok(8));
    assert_eq!(requirement(&[0, 1]), Ok(65));
    assert_eq!(requirement(&[1, 2, 3]), Ok(128));
    assert_eq!(requirement(&[4]).unwrap_err().rule, "validator index");
}
