//! Availability of blob data: who keeps which columns, whether a column is what its block commits to, and how columns are
//! made and restored.
//!
//! Pure functions; what is available is decided by who holds the columns, and comes to fork choice as a value.
//!
//! Spec: fulu/das-core.md; the sidecar functions of p2p-interface.md and validator.md of deneb, electra, fulu and gloas.

mod blob_sidecar;
mod column_sidecar;
mod custody;
mod matrix;
mod partial;
#[cfg(test)]
mod tests;

pub use blob_sidecar::{
    compute_signed_block_header, compute_subnet_for_blob_sidecar, get_blob_sidecars,
    verify_blob_sidecar_inclusion_proof,
};
pub use column_sidecar::{
    get_data_column_sidecars, get_data_column_sidecars_from_block, get_data_column_sidecars_from_column_sidecar,
    get_data_column_sidecars_gloas, verify_data_column_sidecar, verify_data_column_sidecar_inclusion_proof,
    verify_data_column_sidecar_kzg_proofs, verify_data_column_sidecars_kzg_proofs,
};
pub use custody::{
    compute_columns_for_custody_group, compute_subnet_for_data_column_sidecar, get_custody_groups,
    get_validators_custody_requirement,
};
pub use matrix::{CellsAndProofs, compute_cells_with_proofs, compute_matrix, recover_matrix};
pub use partial::{verify_partial_data_column_header_inclusion_proof, verify_partial_data_column_sidecar_kzg_proofs};

use crate::fork::Fork;
use crate::ssz::{PathStep, get_generalized_index};
use crate::types::BeaconBlockBody;

/// The place of the list of commitments in a body, which has one from Deneb up to Fulu.
fn commitments_gindex(fork: Fork) -> Option<u64> {
    get_generalized_index::<BeaconBlockBody>(fork, &[PathStep::Field("blob_kzg_commitments")])
}

/// The same for forks of which it is known that they have it: Fulu, whose sidecars carry the proof.
fn commitments_gindex_fulu() -> u64 {
    commitments_gindex(Fork::Fulu).expect("Fulu's body has commitments")
}
