//! What the runners of the state transition share.

use consensus::State;

use crate::{Case, Failure};

/// The state in a file, at the case's fork.
pub(super) fn read(case: &Case, file: &str) -> Result<State, Failure> {
    State::decode(&case.ssz(file)?, case.fork()).map_err(|error| Failure::new(format!("{file}: {error}")))
}
