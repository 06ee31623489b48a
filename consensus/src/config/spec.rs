//! What `/eth/v1/config/spec` tells: the config, the preset and the constants under their names, all as strings.

use super::{Config, Yaml};
use crate::fork::Fork;
use crate::{constants, preset};
use std::collections::BTreeMap;

impl Config {
    /// Every value by its name: fields of the config and what else its file has, the preset, the constants, and figures
    /// that were fields of their own in older specs and that validator clients still ask for.
    ///
    /// Spec: the Beacon API's `getSpec` ("constants of all forks"; integers as decimal strings, bytes as `0x` hex).
    pub fn spec(&self) -> BTreeMap<String, Yaml> {
        let mut values = BTreeMap::new();
        let text = |(name, value): (&str, String)| (name.to_owned(), Yaml::Text(value));
        values.extend(constants::values().into_iter().map(text));
        values.extend(
            preset::VALUES
                .iter()
                .map(|(name, value)| text((name, value.to_string()))),
        );
        values.extend(
            self.former_fields()
                .map(|(name, value)| text((name, value.to_string()))),
        );
        values.extend(self.entries());
        for (name, value) in &self.other {
            // What was computed here gives way to what the network's file says, what the standard defines does not.
            let standard =
                Config::NAMES.contains(&name.as_str()) || preset::VALUES.iter().any(|(known, _)| known == name);
            if !standard {
                values.insert(name.clone(), value.clone());
            }
        }
        values
    }

    /// [`Config::spec`] as the `data` object of the response.
    pub fn spec_json(&self) -> serde_json::Value {
        self.spec()
            .iter()
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect()
    }

    fn former_fields(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            (
                "MIN_EPOCHS_FOR_BLOCK_REQUESTS",
                self.compute_min_epochs_for_block_requests(),
            ),
            (
                "ATTESTATION_SUBNET_PREFIX_BITS",
                self.compute_attestation_subnet_prefix_bits(),
            ),
            (
                "MAX_REQUEST_BLOB_SIDECARS",
                self.compute_max_request_blob_sidecars(Fork::Deneb),
            ),
            (
                "MAX_REQUEST_BLOB_SIDECARS_ELECTRA",
                self.compute_max_request_blob_sidecars(Fork::Electra),
            ),
            (
                "MAX_REQUEST_DATA_COLUMN_SIDECARS",
                self.compute_max_request_data_column_sidecars(),
            ),
        ]
        .into_iter()
    }
}
