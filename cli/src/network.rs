//! `--network NAME|DIR|FILE`: the config of a network by name or from a file.

use crate::exit::Failure;
use consensus::Config;
use consensus::config::PUBLIC_NETWORKS;
use consensus::ssz::{Bytes, Root};
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

/// The start of a network: what its genesis state begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Genesis {
    /// Seconds since 1970; none where only the root is known, as of networks that began long ago.
    pub(crate) time: Option<u64>,
    pub(crate) validators_root: Root,
}

/// The genesis of the network that `--network` names, if that says it: built in, or from `genesis.ssz` beside
/// `config.yaml`.
pub(crate) fn known_genesis(network: &str) -> Result<Option<Genesis>, Failure> {
    let path = Path::new(network);
    let folder = if path.is_dir() {
        Some(path)
    } else {
        path.parent().filter(|_| path.exists())
    };
    let built_in = PUBLIC_NETWORKS
        .iter()
        .find(|(name, _)| *name == network && folder.is_none());
    let state = folder
        .map(|folder| folder.join("genesis.ssz"))
        .filter(|state| state.exists());
    match (built_in, state) {
        (Some((_, root)), _) => Ok(Some(Genesis {
            time: None,
            validators_root: *root,
        })),
        (None, Some(state)) => read_genesis(&state).map(Some),
        (None, None) => Ok(None),
    }
}

/// The genesis of the network that `--network` names, or the root from `--genesis-validators-root`.
pub(crate) fn genesis(network: &str, given: Option<Root>) -> Result<Genesis, Failure> {
    let known = known_genesis(network)?;
    match (known, given) {
        (Some(known), Some(given)) if known.validators_root != given => Err(Failure::usage(format!(
            "--genesis-validators-root {given} is not that of --network {network}, which is {}",
            known.validators_root
        ))),
        (Some(known), _) => Ok(known),
        (None, Some(root)) => Ok(Genesis {
            time: None,
            validators_root: root,
        }),
        (None, None) => Err(Failure::usage(format!(
            "--network {network} does not say which chain it is: put its genesis.ssz beside config.yaml, or give \
             --genesis-validators-root (a node answers it at /eth/v1/beacon/genesis)"
        ))),
    }
}

/// A state begins with `genesis_time` and `genesis_validators_root`, in every fork; the rest need not be read.
fn read_genesis(path: &Path) -> Result<Genesis, Failure> {
    let failed = |error| Failure::io(format!("cannot read {}", path.display()), &error);
    let mut bytes = [0; 40];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(failed)?;
    let (time, root) = bytes.split_first_chunk::<8>().expect("40 bytes begin with 8");
    Ok(Genesis {
        time: Some(u64::from_le_bytes(*time)),
        validators_root: Bytes(root.try_into().expect("40 bytes end with 32")),
    })
}
