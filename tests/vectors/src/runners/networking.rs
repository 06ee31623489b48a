//! Custody and gossip. Format: tests/formats/networking.

mod gossip;

use consensus::Invalid;
use consensus::das::{compute_columns_for_custody_group, get_custody_groups};
use consensus::ssz::U256;
use serde_json::Value;

use crate::{Case, Failure, Outcome, Verdict};

/// The name of a handler and its function.
type Handler = (&'static str, fn(&Case) -> Outcome);

/// Every handler but those of gossip.
const TABLE: &[Handler] = &[
    ("compute_columns_for_custody_group", columns_for_custody_group),
    ("get_custody_groups", custody_groups),
];

pub(super) fn knows(handler: &str, _: consensus::Fork) -> bool {
    gossip::knows(handler) || TABLE.iter().any(|(name, _)| *name == handler)
}

pub(super) fn run(case: &Case) -> Outcome {
    let handler = case.path().handler();
    if gossip::knows(handler) {
        return gossip::run(case);
    }
    let entry = TABLE.iter().find(|(name, _)| *name == handler);
    let (_, run) = entry.ok_or_else(|| Failure::new(format!("no code for handler '{handler}'")))?;
    run(case)
}

fn columns_for_custody_group(case: &Case) -> Outcome {
    let group = case.meta()?.get("custody_group")?.u64()?;
    compare(case, compute_columns_for_custody_group(&case.config()?, group))
}

fn custody_groups(case: &Case) -> Outcome {
    let meta = case.meta()?;
    let node_id = meta.get("node_id")?.text()?;
    let node_id =
        U256::from_str_radix(node_id, 10).map_err(|error| Failure::new(format!("node_id is {node_id}: {error}")))?;
    let count = meta.get("custody_group_count")?.u64()?;
    compare(case, get_custody_groups(&case.config()?, node_id, count))
}

/// Compares a list of indices with `result`; all cases are valid ones.
fn compare(case: &Case, computed: Result<Vec<u64>, Invalid>) -> Outcome {
    let computed = computed.map_err(|error| Failure::new(format!("refused: {error}")))?;
    let meta = case.meta()?;
    meta.find("description")?;
    case.expect_yaml("result", meta.get("result")?, &Value::from(computed))?;
    Ok(Verdict::Valid)
}
