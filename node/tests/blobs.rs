//! Blocks with blobs, and the sidecars that go out beside them.

use crate::chain::{Chain, fake_payload, sign_block};
use consensus::das::{
    compute_cells_with_proofs, verify_blob_sidecar_inclusion_proof, verify_data_column_sidecar,
    verify_data_column_sidecar_inclusion_proof, verify_data_column_sidecar_kzg_proofs,
};
use consensus::preset::{BYTES_PER_BLOB, NUMBER_OF_COLUMNS};
use consensus::ssz::Bytes;
use consensus::types::{Blob, BlobsBundle, SignedBeaconBlock};
use consensus::{Fork, Invalid};
use crypto::kzg;
use node::production::{PayloadChoice, ProducedBlock, Sidecars, blob_sidecars, column_sidecars, produce_block};

/// Blobs with commitments and the proofs that their fork wants.
fn bundle(fork: Fork, count: u8) -> BlobsBundle {
    let mut bundle = BlobsBundle::default();
    for number in 0..count {
        let mut bytes = vec![0; BYTES_PER_BLOB as usize];
        bytes[31] = number + 1;
        bytes[31 + 32 * 7] = 200;
        let commitment = kzg::blob_to_kzg_commitment(&bytes).unwrap();
        if fork >= Fork::Fulu {
            let (_, proofs) = kzg::compute_cells_and_kzg_proofs(&bytes).unwrap();
            bundle.proofs.extend(proofs.into_iter().map(Bytes));
        } else {
            let proof = kzg::compute_blob_kzg_proof(&bytes, &commitment).unwrap();
            bundle.proofs.push(Bytes(proof));
        }
        bundle.commitments.push(Bytes(commitment));
        bundle.blobs.push(Blob::from(bytes));
    }
    bundle
}

fn produce(chain: &Chain, blobs_bundle: BlobsBundle) -> Result<ProducedBlock, Invalid> {
    let state = chain.advanced(2);
    let mut payload = fake_payload(&state, &chain.config);
    payload.blobs = Some(blobs_bundle);
    produce_block(chain.proposal(&state, PayloadChoice::Built(Box::new(payload))))
}

fn with_blobs(fork: Fork, count: u8) -> (ProducedBlock, SignedBeaconBlock) {
    let mut chain = Chain::at(fork);
    chain.extend(1);
    let produced = produce(&chain, bundle(fork, count)).unwrap();
    let signed = sign_block(&produced);
    chain.import(&signed).unwrap();
    (produced, signed)
}

#[test]
fn columns_of_a_block_are_valid() {
    let (produced, signed) = with_blobs(Fork::Fulu, 2);
    let rows = compute_cells_with_proofs(&produced.blobs, &produced.kzg_proofs).unwrap();
    let Sidecars::Columns(columns) = column_sidecars(Fork::Fulu, &signed, &rows).unwrap() else {
        panic!("there are blobs");
    };
    assert_eq!(columns.len() as u64, NUMBER_OF_COLUMNS);
    let config = crate::chain::config_at(Fork::Fulu);
    for (index, column) in columns.iter().enumerate() {
        assert_eq!(column.index, index as u64);
        verify_data_column_sidecar(&config, Fork::Fulu, column, &column.kzg_commitments).unwrap();
        assert!(verify_data_column_sidecar_inclusion_proof(column));
    }
    for index in [0, 63, 127] {
        let column = &columns[index];
        assert!(verify_data_column_sidecar_kzg_proofs(column, &column.kzg_commitments));
        assert_eq!(column.signed_block_header.signature, signed.signature);
    }
    assert!(column_sidecars(Fork::Fulu, &signed, &rows[..1]).is_err());
    assert!(column_sidecars(Fork::Electra, &signed, &rows).is_err());
}

#[test]
fn blob_sidecars_of_a_block_are_valid() {
    for fork in [Fork::Deneb, Fork::Electra] {
        let (produced, signed) = with_blobs(fork, 2);
        let sidecars = blob_sidecars(fork, &signed, produced.blobs.clone(), &produced.kzg_proofs).unwrap();
        let Sidecars::Blobs(blobs) = sidecars else {
            panic!("there are blobs");
        };
        assert_eq!(blobs.len(), 2);
        for blob in &blobs {
            assert!(verify_blob_sidecar_inclusion_proof(blob));
            let verified = kzg::verify_blob_kzg_proof(&blob.blob.0, &blob.kzg_commitment.0, &blob.kzg_proof.0);
            assert_eq!(verified, Ok(true));
        }
        assert!(blob_sidecars(fork, &signed, produced.blobs.clone(), &produced.kzg_proofs[..1]).is_err());
        assert!(blob_sidecars(Fork::Fulu, &signed, produced.blobs, &produced.kzg_proofs).is_err());
    }
}

#[test]
fn a_block_without_blobs_has_no_sidecars_and_too_many_are_refused() {
    let mut chain = Chain::at(Fork::Fulu);
    let signed = chain.extend(1);
    assert_eq!(column_sidecars(Fork::Fulu, &signed, &[]).unwrap(), Sidecars::None);
    assert_eq!(
        blob_sidecars(Fork::Electra, &signed, Vec::new(), &[]).unwrap(),
        Sidecars::None
    );
    let limit = chain.config.max_blobs_per_block_at(0) as usize;
    let commitments = |count| BlobsBundle {
        commitments: vec![Bytes([0xc0; 48]); count],
        ..BlobsBundle::default()
    };
    assert!(produce(&chain, commitments(limit)).is_ok());
    assert_eq!(
        produce(&chain, commitments(limit + 1)).unwrap_err().rule,
        "blob commitments"
    );
}
