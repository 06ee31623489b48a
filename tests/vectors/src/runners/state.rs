//! What the runners of the state transition share.

use consensus::{Invalid, State};

use crate::{Case, Failure, NamedRule};

impl NamedRule for Invalid {
    fn rule(&self) -> String {
        self.rule.to_owned()
    }
}

/// The state in a file, at the case's fork.
pub(super) fn read(case: &Case, file: &str) -> Result<State, Failure> {
    State::decode(&case.ssz(file)?, case.fork()).map_err(|error| Failure::new(format!("{file}: {error}")))
}
