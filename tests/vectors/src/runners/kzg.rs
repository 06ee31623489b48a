//! KZG commitments and proofs of blobs and cells: all cases of c-kzg-4844.

use std::fmt;

use crypto::kzg::{self, KzgError};
use serde_json::{Value, json};

use crate::yaml::{Yaml, hex};
use crate::{Case, Failure, NamedRule, Outcome, Verdict};

pub(super) const HANDLERS: &[&str] = &[
    "blob_to_kzg_commitment",
    "compute_blob_kzg_proof",
    "compute_cells",
    "compute_cells_and_kzg_proofs",
    "compute_kzg_proof",
    "recover_cells_and_kzg_proofs",
    "verify_blob_kzg_proof",
    "verify_blob_kzg_proof_batch",
    "verify_cell_kzg_proof_batch",
    "verify_kzg_proof",
];

/// Why a function of the library gave no answer, or could not be asked because of a length that its types exclude.
enum Refusal {
    Length { expected: usize, found: usize },
    Kzg(KzgError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Length { expected, found } => write!(f, "{found} bytes where {expected} are expected"),
            Refusal::Kzg(error) => error.fmt(f),
        }
    }
}

impl NamedRule for Refusal {
    fn rule(&self) -> String {
        match self {
            Refusal::Length { .. } => "Length".to_owned(),
            // The variant's name without its fields.
            Refusal::Kzg(error) => format!("{error:?}")
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect(),
        }
    }
}

impl From<KzgError> for Refusal {
    fn from(error: KzgError) -> Self {
        Refusal::Kzg(error)
    }
}

type Checked<T> = Result<T, Refusal>;

pub(super) fn run(case: &Case) -> Outcome {
    let data = case.yaml("data.yaml")?;
    let output = data.get("output")?;
    let input = Input(data.get("input")?);
    let computed = match case.path().handler() {
        "blob_to_kzg_commitment" => kzg::blob_to_kzg_commitment(&input.bytes("blob")?)
            .map(point)
            .map_err(Refusal::from),
        "compute_blob_kzg_proof" => {
            let (blob, commitment) = (input.bytes("blob")?, input.fixed("commitment")?);
            commitment.and_then(|commitment| Ok(point(kzg::compute_blob_kzg_proof(&blob, &commitment)?)))
        }
        "compute_kzg_proof" => {
            let (blob, z) = (input.bytes("blob")?, input.fixed("z")?);
            z.and_then(|z| {
                let (proof, y) = kzg::compute_kzg_proof(&blob, &z)?;
                Ok(json!([hex(&proof), hex(&y)]))
            })
        }
        "verify_kzg_proof" => verify_kzg_proof(&input)?.map(Value::Bool),
        "verify_blob_kzg_proof" => verify_blob_kzg_proof(&input)?.map(Value::Bool),
        "verify_blob_kzg_proof_batch" => verify_blob_kzg_proof_batch(&input)?.map(Value::Bool),
        "verify_cell_kzg_proof_batch" => verify_cell_kzg_proof_batch(&input)?.map(Value::Bool),
        "compute_cells" => kzg::compute_cells(&input.bytes("blob")?)
            .map(|cells| points(&cells))
            .map_err(Refusal::from),
        "compute_cells_and_kzg_proofs" => {
            let computed = kzg::compute_cells_and_kzg_proofs(&input.bytes("blob")?);
            computed
                .map(|(cells, proofs)| json!([points(&cells), points(&proofs)]))
                .map_err(Refusal::from)
        }
        "recover_cells_and_kzg_proofs" => {
            let computed = kzg::recover_cells_and_kzg_proofs(&input.numbers("cell_indices")?, &input.list("cells")?);
            computed
                .map(|(cells, proofs)| json!([points(&cells), points(&proofs)]))
                .map_err(Refusal::from)
        }
        other => return Err(Failure::new(format!("no code for handler '{other}'"))),
    };
    match case.expect_validity("output", !output.is_null(), computed)? {
        Some(value) => case.expect_yaml("output", output, &value).map(|()| Verdict::Valid),
        None => Ok(Verdict::Refused),
    }
}

fn verify_kzg_proof(input: &Input) -> Result<Checked<bool>, Failure> {
    let (commitment, z) = (input.fixed("commitment")?, input.fixed("z")?);
    let (y, proof) = (input.fixed("y")?, input.fixed("proof")?);
    Ok((|| Ok(kzg::verify_kzg_proof(&commitment?, &z?, &y?, &proof?)?))())
}

fn verify_blob_kzg_proof(input: &Input) -> Result<Checked<bool>, Failure> {
    let (blob, commitment, proof) = (input.bytes("blob")?, input.fixed("commitment")?, input.fixed("proof")?);
    Ok((|| Ok(kzg::verify_blob_kzg_proof(&blob, &commitment?, &proof?)?))())
}

fn verify_blob_kzg_proof_batch(input: &Input) -> Result<Checked<bool>, Failure> {
    let blobs = input.list("blobs")?;
    let (commitments, proofs) = (input.fixed_list("commitments")?, input.fixed_list("proofs")?);
    Ok((|| {
        Ok(kzg::verify_blob_kzg_proof_batch(&blobs, &commitments?, &proofs?)?)
    })())
}

fn verify_cell_kzg_proof_batch(input: &Input) -> Result<Checked<bool>, Failure> {
    let (indices, cells) = (input.numbers("cell_indices")?, input.list("cells")?);
    let (commitments, proofs) = (input.fixed_list("commitments")?, input.fixed_list("proofs")?);
    Ok((|| {
        Ok(kzg::verify_cell_kzg_proof_batch(
            &commitments?,
            &indices,
            &cells,
            &proofs?,
        )?)
    })())
}

fn point(bytes: [u8; 48]) -> Value {
    Value::String(hex(&bytes))
}

fn points<const N: usize>(items: &[[u8; N]]) -> Value {
    items.iter().map(|item| hex(item)).collect()
}

/// The input mapping. Outer errors are a broken case, inner ones refused values.
struct Input<'a>(&'a Yaml);

impl Input<'_> {
    fn bytes(&self, key: &str) -> Result<Vec<u8>, Failure> {
        self.0.get(key)?.bytes()
    }

    fn fixed<const N: usize>(&self, key: &str) -> Result<Checked<[u8; N]>, Failure> {
        Ok(fixed(self.bytes(key)?))
    }

    fn list(&self, key: &str) -> Result<Vec<Vec<u8>>, Failure> {
        self.0.get(key)?.list()?.iter().map(Yaml::bytes).collect()
    }

    fn fixed_list<const N: usize>(&self, key: &str) -> Result<Checked<Vec<[u8; N]>>, Failure> {
        Ok(self.list(key)?.into_iter().map(fixed).collect())
    }

    fn numbers(&self, key: &str) -> Result<Vec<u64>, Failure> {
        self.0.get(key)?.list()?.iter().map(Yaml::u64).collect()
    }
}

fn fixed<const N: usize>(bytes: Vec<u8>) -> Checked<[u8; N]> {
    let found = bytes.len();
    bytes.try_into().map_err(|_| Refusal::Length { expected: N, found })
}
