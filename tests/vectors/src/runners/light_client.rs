//! Light clients. Format: tests/formats/light_client.

mod collection;
mod sync;

use consensus::light_client::is_better_update;
use consensus::ssz::Ssz;
use consensus::types::LightClientUpdate;
use consensus::{Config, Fork};
use serde_json::Value;

use super::merkle_proof;
use crate::yaml::Yaml;
use crate::{Case, Failure, Outcome, Verdict};

pub(super) const HANDLERS: &[&str] = &["data_collection", "single_merkle_proof", "sync", "update_ranking"];

/// Most updates in a ranking case, which compares each with each; the cases have less than a hundred.
const MAX_UPDATES: u64 = 1000;

pub(super) fn run(case: &Case) -> Outcome {
    match case.path().handler() {
        "data_collection" => collection::run(case),
        "single_merkle_proof" => merkle_proof::run(case),
        "sync" => sync::run(case),
        "update_ranking" => rank(case),
        other => Err(Failure::new(format!("no code for handler '{other}'"))),
    }
}

/// Reads an object of a light client in the form of `fork`.
fn read<T: Ssz>(case: &Case, file: &str, fork: Fork) -> Result<T, Failure> {
    T::decode(&case.ssz(file)?, fork).map_err(|error| Failure::new(format!("{file} at {fork}: {error}")))
}

/// The scheduled fork with that digest. Blob-parameter forks make several digests of one fork.
fn fork_of_digest(
    config: &Config,
    genesis_validators_root: consensus::ssz::Root,
    digest: &str,
) -> Result<Fork, Failure> {
    let starts = config.scheduled_forks().map(|(_, _, epoch)| epoch);
    let blob_starts = config.blob_schedule.iter().map(|entry| entry.epoch);
    let epochs: Vec<u64> = starts.chain(blob_starts).collect();
    let known = |epoch: &u64| config.compute_fork_digest(genesis_validators_root, *epoch).to_string() == digest;
    let epoch = epochs.into_iter().find(known);
    epoch
        .map(|epoch| config.fork_at_epoch(epoch))
        .ok_or_else(|| Failure::new(format!("no fork of the config has digest {digest}")))
}

/// The fork with that version, scheduled or not: a store may be upgraded before a fork begins.
fn fork_of_version(config: &Config, version: &str) -> Result<Fork, Failure> {
    let has_version = |fork: &Fork| config.fork_version(*fork).to_string() == version;
    let found = Fork::ALL.into_iter().find(has_version);
    found.ok_or_else(|| Failure::new(format!("no fork of the config has version {version}")))
}

/// Updates from best to worst: our order must be the same, so the number of better ones is each one's place.
fn rank(case: &Case) -> Outcome {
    let meta = case.meta()?;
    let count = meta.get("updates_count")?.u64()?;
    if count > MAX_UPDATES {
        return Err(Failure::new(format!(
            "{count} updates, more than the limit {MAX_UPDATES}"
        )));
    }
    let updates: Result<Vec<LightClientUpdate>, Failure> = (0..count)
        .map(|index| read(case, &format!("updates_{index}.ssz_snappy"), case.fork()))
        .collect();
    let updates = updates?;
    let places: Vec<usize> = updates
        .iter()
        .map(|update| updates.iter().filter(|other| is_better_update(other, update)).count())
        .collect();
    let expected = Yaml::List((0..count).map(|place| Yaml::Scalar(place.to_string())).collect());
    case.expect_yaml("places of the updates", &expected, &Value::from(places))?;
    Ok(Verdict::Valid)
}
