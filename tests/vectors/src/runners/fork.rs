//! Upgrades of states. Format: tests/formats/forks.

use consensus::Fork;
use consensus::transition::upgrade::upgrade_to;

use super::state::read_at;
use crate::{Case, Failure, Outcome, Verdict};

pub(super) fn run(case: &Case) -> Outcome {
    let fork: Fork = case.meta()?.get("fork")?.text()?.parse()?;
    let Some(previous) = fork.previous() else {
        return Err(Failure::new(format!("there is no fork before {fork}")));
    };
    let mut state = read_at(case, "pre.ssz_snappy", previous)?;
    let upgraded = upgrade_to(&mut state, &case.config()?, fork);
    case.expect_validity("upgrade", true, upgraded)?;
    case.expect_ssz("post state", "post.ssz_snappy", &state.encode())?;
    Ok(Verdict::Valid)
}
