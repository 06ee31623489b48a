//! What the runners of the state transition share.

use consensus::keys::Keys;
use consensus::signing::{Context, DepositSignatures};
use consensus::ssz::Ssz;
use consensus::{Config, Fork, State};

use crate::{BlsSetting, Case, Failure};

/// The state in a file, at the case's fork.
pub(super) fn read(case: &Case, file: &str) -> Result<State, Failure> {
    read_at(case, file, case.fork())
}

/// The state in a file, at another fork than the case's. Where the case was made with signatures switched off, those of
/// deposits count as valid too.
pub(super) fn read_at(case: &Case, file: &str, fork: Fork) -> Result<State, Failure> {
    let state = State::decode(&case.ssz(file)?, fork);
    let mut state = state.map_err(|error| Failure::new(format!("{file}: {error}")))?;
    if case.bls_setting()? == BlsSetting::Ignored {
        state.deposit_signatures = DepositSignatures::Trust;
    }
    Ok(state)
}

/// An object in a file, as of `fork`.
pub(super) fn object<T: Ssz>(case: &Case, file: &str, fork: Fork) -> Result<T, Failure> {
    T::decode(&case.ssz(file)?, fork).map_err(|error| Failure::new(format!("{file}: {error}")))
}

/// The keys of a state's validators.
pub(super) fn keys(state: &State) -> Result<Keys, Failure> {
    Keys::of(state).map_err(|error| Failure::new(format!("keys of the registry: {error}")))
}

/// A context that treats signatures as the case demands: in one batch or one by one where they count.
pub(super) fn context<'a>(
    case: &Case,
    config: &'a Config,
    keys: &'a Keys,
    in_batch: bool,
) -> Result<Context<'a>, Failure> {
    Ok(match case.bls_setting()? {
        BlsSetting::Ignored => Context::trusting(config, keys),
        BlsSetting::Optional | BlsSetting::Required if in_batch => Context::collecting(config, keys),
        BlsSetting::Optional | BlsSetting::Required => Context::verifying(config, keys),
    })
}
