//! `--network NAME|DIR|FILE`: the config of a network by name or from a file.

use crate::exit::Failure;
use consensus::Config;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A config is a few kilobytes; a file beyond this is none.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The config that `--network` names: a built-in name, a folder with `config.yaml`, or the file itself. Missing keys are
/// told on standard error, since they then have the preset's standard values.
pub(crate) fn load(network: &str) -> Result<Config, Failure> {
    let path = Path::new(network);
    if !path.exists() {
        return Config::network(network).map_err(|error| {
            Failure::usage(format!(
                "--network {network}: {error}. It may also be a folder with config.yaml, or such a file."
            ))
        });
    }
    let file = if path.is_dir() {
        path.join("config.yaml")
    } else {
        path.to_path_buf()
    };
    let parsed =
        Config::from_yaml(&read(&file)?).map_err(|error| Failure::invalid(format!("{}: {error}", file.display())))?;
    if !parsed.missing.is_empty() {
        let missing = parsed.missing.join(", ");
        eprintln!(
            "{}: standard values are used for what it leaves out: {missing}",
            file.display()
        );
    }
    Ok(parsed.config)
}

fn read(file: &PathBuf) -> Result<String, Failure> {
    let failed = |error| Failure::io(format!("cannot read {}", file.display()), &error);
    let mut text = String::new();
    File::open(file)
        .map_err(failed)?
        .take(MAX_CONFIG_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_CONFIG_BYTES {
        return Err(Failure::invalid(format!(
            "{} is no config: it is longer than a megabyte",
            file.display()
        )));
    }
    Ok(text)
}
