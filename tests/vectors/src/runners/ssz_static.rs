//! Every container of every fork: decoding, encoding, root and value. Format: tests/formats/ssz_static/core.md.

use consensus::Fork;
use consensus::types::registry;
use serde_json::Value;

use crate::{Case, Failure, Outcome, Verdict};

const SERIALIZED: &str = "serialized.ssz_snappy";

/// Whether the type exists at the fork.
pub(super) fn knows(name: &str, fork: Fork) -> bool {
    registry::find(name).is_some_and(|info| info.exists_at(fork))
}

pub(super) fn run(case: &Case) -> Outcome {
    let fork = case.fork();
    let name = case.path().handler();
    let info = registry::find(name).ok_or_else(|| Failure::new(format!("unknown type '{name}'")))?;
    let bytes = case.ssz(SERIALIZED)?;
    let value = (info.decode)(&bytes, fork).map_err(|error| Failure::new(format!("decoding: {error}")))?;
    case.expect_ssz("encoding", SERIALIZED, &value.ssz_bytes(fork))?;
    if value.ssz_len(fork) != bytes.len() {
        let told = value.ssz_len(fork);
        return Err(Failure::new(format!(
            "the length is told as {told}, but there are {} bytes",
            bytes.len()
        )));
    }
    if let Some(fixed) = (info.fixed_len)(fork)
        && fixed != bytes.len()
    {
        return Err(Failure::new(format!(
            "the fixed length is {fixed}, but there are {} bytes",
            bytes.len()
        )));
    }
    case.expect_text(
        "root",
        case.yaml("roots.yaml")?.get("root")?,
        &value.ssz_root(fork).to_string(),
    )?;
    let json = parse_json(&value.json(fork))?;
    case.expect_yaml("value", &*case.yaml("value.yaml")?, &json)?;
    // The value stands for the YAML now, so reading it back is reading the expected value.
    let back = (info.from_json)(&json, fork).map_err(|error| Failure::new(format!("JSON read back: {error}")))?;
    case.expect_ssz("encoding of the value", SERIALIZED, &back.ssz_bytes(fork))?;
    Ok(Verdict::Valid)
}

/// The text that our own writer made.
pub(super) fn parse_json(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::new(format!("what was written is no JSON: {error}")))
}
