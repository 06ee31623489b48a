//! What a network decides for itself: fork epochs, slot time, blob schedule, deposit contract, limits.
//!
//! A [`Config`] is a value that is passed along, never a global: vectors carry their own, and a test can have two. It
//! reads and writes the standard `config.yaml`. What a file leaves out takes the preset's standard value and is named
//! to the caller, what it has beyond the known fields is kept, and what contradicts itself or the compiled preset is
//! refused with a sentence: a node with a wrong config would follow a chain of its own.
//!
//! Spec: configs/README.md and the Configuration section of each document.

mod check;
mod fields;
mod networks;
mod schedule;
mod spec;
mod timing;
mod value;
mod yaml;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use fields::Config;
pub use networks::{NETWORKS, PUBLIC_NETWORKS, public_network};
pub use schedule::{BlobParameters, compute_fork_data_root};
pub use yaml::{MAX_CONFIG_SIZE, Yaml};

use crate::preset::PRESET_NAME;
use std::collections::BTreeSet;
use std::fmt;

/// Why a config was refused: a sentence with what was found, what was expected and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub(crate) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// A config that was read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedConfig {
    /// The config, complete and consistent.
    pub config: Config,
    /// The fields that the file leaves out and that took the preset's standard value, for the caller to log.
    pub missing: Vec<&'static str>,
}

impl Config {
    /// Reads a `config.yaml`. Errors say which value is refused, why, and what to do.
    ///
    /// Spec: configs/README.md.
    pub fn from_yaml(text: &str) -> Result<ParsedConfig, ConfigError> {
        let parsed = Config::from_yaml_unchecked(text)?;
        parsed.config.check()?;
        Ok(parsed)
    }

    /// As [`Config::from_yaml`], but without [`Config::check`]: for vectors, which vary one value at a time and need
    /// not make a network that could exist (one has Capella before Altair).
    pub fn from_yaml_unchecked(text: &str) -> Result<ParsedConfig, ConfigError> {
        let mut config = Config::standard();
        let present = config.read(text)?;
        let missing = Config::NAMES
            .iter()
            .copied()
            .filter(|name| !present.contains(name))
            .collect();
        Ok(ParsedConfig { config, missing })
    }

    /// Writes the standard `config.yaml`: every field, both names of the slot time, then what else was read.
    ///
    /// [`Config::from_yaml`] reads it back to an equal config. A slot time of broken seconds has no `SECONDS_PER_SLOT`.
    pub fn to_yaml(&self) -> String {
        let mut entries = self.entries();
        entries.extend(self.other.iter().cloned());
        yaml::write(&entries)
    }

    /// What the standard defines, with its names: the preset, the fields, and the slot time in seconds beside its other
    /// form.
    fn entries(&self) -> Vec<(String, Yaml)> {
        let mut entries = vec![(PRESET_BASE.to_owned(), Yaml::Text(PRESET_NAME.into()))];
        for (name, value) in self.fields() {
            entries.push((name.to_owned(), value));
            if name == SLOT_DURATION_MS
                && let Some(seconds) = self.seconds_per_slot()
            {
                entries.push((SECONDS_PER_SLOT.to_owned(), Yaml::Text(seconds.to_string())));
            }
        }
        entries
    }

    /// Overwrites what `text` sets and returns the names of the fields that it set.
    fn read(&mut self, text: &str) -> Result<BTreeSet<&'static str>, ConfigError> {
        let mut present = BTreeSet::new();
        let (mut milliseconds, mut seconds) = (None, None);
        for (name, value) in yaml::parse(text)? {
            match name.as_str() {
                PRESET_BASE => check::preset(&value)?,
                SECONDS_PER_SLOT => seconds = Some(check::whole_seconds(&value)?),
                _ if self.set(&name, &value)? => {
                    let known = Config::NAMES.iter().copied().find(|known| *known == name);
                    present.extend(known);
                    if name == SLOT_DURATION_MS {
                        milliseconds = Some(self.slot_duration_ms);
                    }
                }
                _ => {
                    check::agrees_with_preset(&name, &value)?;
                    self.other.push((name, value));
                }
            }
        }
        if let Some(slot_duration_ms) = check::slot_duration(milliseconds, seconds)? {
            self.slot_duration_ms = slot_duration_ms;
            present.insert(SLOT_DURATION_MS);
        }
        Ok(present)
    }
}

const PRESET_BASE: &str = "PRESET_BASE";
const SLOT_DURATION_MS: &str = "SLOT_DURATION_MS";
const SECONDS_PER_SLOT: &str = "SECONDS_PER_SLOT";
