//! A light client that follows the chain. Format: tests/formats/light_client/sync.md.

use consensus::light_client::{
    LightClientStore, get_lc_execution_root, initialize_light_client_store, process_light_client_store_force_update,
    process_light_client_update, upgrade_lc_bootstrap, upgrade_lc_store, upgrade_lc_update,
};
use consensus::ssz::{Root, Ssz};
use consensus::types::{LightClientBootstrap, LightClientHeader, LightClientUpdate};
use consensus::{Config, Fork, Invalid};
use serde_json::Value;

use super::{fork_of_digest, fork_of_version, read};
use crate::yaml::Yaml;
use crate::{Case, Failure, Outcome, Verdict};

struct Client<'a> {
    case: &'a Case<'a>,
    config: Config,
    genesis_validators_root: Root,
    store: LightClientStore,
}

pub(super) fn run(case: &Case) -> Outcome {
    let meta = case.meta()?;
    let root = |key: &str| -> Result<Root, Failure> {
        let parsed = meta.get(key)?.text()?.parse();
        parsed.map_err(|error| Failure::new(format!("{key}: {error}")))
    };
    let config = case.config()?;
    let genesis_validators_root = root("genesis_validators_root")?;
    let from = fork_of_digest(
        &config,
        genesis_validators_root,
        meta.get("bootstrap_fork_digest")?.text()?,
    )?;
    let at = fork_of_version(&config, meta.get("store_fork_version")?.text()?)?;
    let mut bootstrap: LightClientBootstrap = read(case, "bootstrap.ssz_snappy", from)?;
    upgrade_lc_bootstrap(&config, &mut bootstrap, from, at);
    let store = initialize_light_client_store(&config, at, root("trusted_block_root")?, bootstrap)
        .map_err(|error| told("the bootstrap", &error))?;
    let mut client = Client {
        case,
        config,
        genesis_validators_root,
        store,
    };
    let steps = case.yaml("steps.yaml")?;
    for (number, step) in steps.list()?.iter().enumerate() {
        client.step(number, step)?;
    }
    Ok(Verdict::Valid)
}

fn told(what: &str, error: &Invalid) -> Failure {
    Failure::new(format!("{what} was refused: {error}"))
}

impl Client<'_> {
    fn step(&mut self, number: usize, step: &Yaml) -> Result<(), Failure> {
        let entries: Vec<(&str, &Yaml)> = step.entries()?.collect();
        let [(action, details)] = entries[..] else {
            return Err(Failure::new(format!("step {number} is not one action")));
        };
        let current_slot = || details.get("current_slot")?.u64();
        match action {
            "process_update" => self.process_update(details, current_slot()?)?,
            "force_update" => process_light_client_store_force_update(&mut self.store, current_slot()?)
                .map_err(|error| told("the forced update", &error))?,
            "upgrade_store" => {
                let to = fork_of_version(&self.config, details.get("store_fork_version")?.text()?)?;
                upgrade_lc_store(&self.config, &mut self.store, to);
            }
            other => return Err(Failure::new(format!("step {number}: unknown action '{other}'"))),
        }
        let checks = details.get("checks")?;
        let headers = [
            ("finalized_header", &self.store.finalized_header),
            ("optimistic_header", &self.store.optimistic_header),
        ];
        headers
            .iter()
            .try_for_each(|(name, header)| self.check(&format!("step {number}, {name}"), checks.get(name)?, header))
    }

    fn process_update(&mut self, details: &Yaml, current_slot: u64) -> Result<(), Failure> {
        let digest = details.get("update_fork_digest")?.text()?;
        let from = fork_of_digest(&self.config, self.genesis_validators_root, digest)?;
        let file = format!("{}.ssz_snappy", details.get("update")?.text()?);
        let mut update: LightClientUpdate = read(self.case, &file, from)?;
        upgrade_lc_update(&self.config, &mut update, from, self.store.at);
        process_light_client_update(
            &mut self.store,
            &self.config,
            &update,
            current_slot,
            self.genesis_validators_root,
        )
        .map_err(|error| told(&file, &error))
    }

    fn check(&self, what: &str, expected: &Yaml, header: &LightClientHeader) -> Result<(), Failure> {
        let case = self.case;
        let beacon_root = header.beacon.hash_tree_root(Fork::Phase0);
        case.expect_yaml(what, expected.get("slot")?, &Value::from(header.beacon.slot))?;
        case.expect_text(what, expected.get("beacon_root")?, &beacon_root.to_string())?;
        if let Some(root) = expected.find("execution_root")? {
            let computed = get_lc_execution_root(&self.config, self.store.at, header);
            case.expect_text(what, root, &computed.to_string())?;
        }
        Ok(())
    }
}
