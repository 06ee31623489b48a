//! The genesis state from the deposit contract's history. Format: tests/formats/genesis.

use consensus::keys::Keys;
use consensus::signing::Context;
use consensus::ssz::Bytes;
use consensus::transition::genesis::{initialize_beacon_state_from_eth1, is_valid_genesis_state};
use consensus::types::Deposit;

use super::state::{object, read};
use crate::{Case, Failure, Outcome, Verdict};

/// Deposits in a case, at most: the minimal config needs 64 validators.
const MAX_DEPOSITS: u64 = 1 << 16;

pub(super) const HANDLERS: &[&str] = &["initialization", "validity"];

pub(super) fn run(case: &Case) -> Outcome {
    case.meta()?.find("description")?;
    if case.path().handler() == "validity" {
        let valid = is_valid_genesis_state(&read(case, "genesis.ssz_snappy")?, &case.config()?);
        case.expect_bool("validity", &*case.yaml("is_valid.yaml")?, valid)?;
        return Ok(Verdict::Valid);
    }
    let eth1 = case.yaml("eth1.yaml")?;
    let hash = eth1.get("eth1_block_hash")?.bytes()?;
    let hash = hash
        .try_into()
        .map_err(|_| Failure::new("the block hash has not 32 bytes"))?;
    let timestamp = eth1.get("eth1_timestamp")?.u64()?;
    let count = case.meta()?.get("deposits_count")?.u64()?;
    if count > MAX_DEPOSITS {
        return Err(Failure::new(format!(
            "{count} deposits, more than the limit {MAX_DEPOSITS}"
        )));
    }
    let deposits: Result<Vec<Deposit>, Failure> = (0..count)
        .map(|number| object(case, &format!("deposits_{number}.ssz_snappy"), case.fork()))
        .collect();
    let (config, keys) = (case.config()?, Keys::new());
    let made = initialize_beacon_state_from_eth1(
        &mut Context::verifying(&config, &keys),
        Bytes(hash),
        timestamp,
        &deposits?,
    );
    if let Some(made) = case.expect_validity("genesis", true, made)? {
        case.expect_ssz("genesis state", "state.ssz_snappy", &made.encode())?;
    }
    Ok(Verdict::Valid)
}
