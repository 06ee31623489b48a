//! Proofs of single leaves, for the runners `merkle_proof` and `light_client`.
//! Format: tests/formats/light_client/single_merkle_proof.md.

use consensus::Fork;
use consensus::light_client::{
    current_sync_committee_gindex_at_slot, finalized_root_gindex_at_slot, get_subtree_index,
    next_sync_committee_gindex_at_slot,
};
use consensus::ssz::proof::{is_valid_merkle_branch, prove};
use consensus::ssz::{PathStep, Root, Ssz, get_generalized_index};
use consensus::types::{BeaconBlockBody, BeaconState};
use serde_json::Value;

use crate::{Case, Failure, Outcome, Verdict};

const OBJECT: &str = "object.ssz_snappy";

pub(super) fn run(case: &Case) -> Outcome {
    match case.path().suite() {
        "BeaconState" => examine::<BeaconState>(case),
        "BeaconBlockBody" => examine::<BeaconBlockBody>(case),
        other => Err(Failure::new(format!("no code for suite '{other}'"))),
    }
}

fn examine<T: Ssz>(case: &Case) -> Outcome {
    let fork = case.fork();
    let object = T::decode(&case.ssz(OBJECT)?, fork).map_err(|error| Failure::new(format!("{OBJECT}: {error}")))?;
    let proof = case.yaml("proof.yaml")?;
    let (index, leaf) = (proof.get("leaf_index")?, proof.get("leaf")?);
    let gindex = known_index(case)?;
    case.expect_yaml("index of the leaf", index, &Value::from(gindex))?;

    let computed = object.node(fork, &[], gindex).map(Root::from);
    let computed = computed.ok_or_else(|| Failure::new(format!("the object has no node {gindex}")))?;
    case.expect_text("leaf", leaf, &computed.to_string())?;
    let branch = prove(&object, fork, gindex).ok_or_else(|| Failure::new(format!("no branch for {gindex}")))?;
    let texts: Value = branch.iter().map(ToString::to_string).collect();
    case.expect_yaml("branch", proof.get("branch")?, &texts)?;

    let depth = u64::from(gindex.ilog2());
    let root = object.hash_tree_root(fork);
    let valid = is_valid_merkle_branch(&computed, &branch, depth, get_subtree_index(gindex), &root);
    if valid {
        Ok(Verdict::Valid)
    } else {
        Err(Failure::new("the branch does not lead to the object's root"))
    }
}

/// The index of what the case's name says.
fn known_index(case: &Case) -> Result<u64, Failure> {
    let fork = case.fork();
    let config = case.config()?;
    let name = case.path().case().to_owned();
    let of_body = |path: &[PathStep]| {
        get_generalized_index::<BeaconBlockBody>(fork, path)
            .ok_or_else(|| Failure::new(format!("a body of {fork} has no {path:?}")))
    };
    match name.split("_merkle_proof").next().unwrap_or_default() {
        "current_sync_committee" => Ok(current_sync_committee_gindex_at_slot(&config, 0)),
        "next_sync_committee" => Ok(next_sync_committee_gindex_at_slot(&config, 0)),
        "finality_root" => Ok(finalized_root_gindex_at_slot(&config, 0)),
        "execution" => of_body(&[PathStep::Field("execution_payload")]),
        "execution_block_hash" if fork >= Fork::Gloas => of_body(&[
            PathStep::Field("signed_execution_payload_bid"),
            PathStep::Field("message"),
            PathStep::Field("parent_block_hash"),
        ]),
        "blob_kzg_commitments" => of_body(&[PathStep::Field("blob_kzg_commitments")]),
        "blob_kzg_commitment" => of_body(&[PathStep::Field("blob_kzg_commitments"), PathStep::Item(0)]),
        other => Err(Failure::new(format!("no code for a proof of '{other}'"))),
    }
}
