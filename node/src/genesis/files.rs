//! A network's folder as other clients read it too: `config.yaml`, `genesis.ssz`, `genesis.json` for execution clients,
//! what stands beside them, and the keystores of its validators.

use super::GenesisKey;
use super::execution::execution_genesis;
use anyhow::{Context, Result, bail};
use consensus::State;
use consensus::config::Config;
use crypto::keystore::{Keystore, NewKdf};
use crypto::mnemonic::Mnemonic;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a network's folder is made of.
#[derive(Debug)]
pub struct NetworkFiles<'a> {
    /// The config.
    pub config: &'a Config,
    /// The first state.
    pub state: &'a State,
}

/// Writes the folder of a network; `config.yaml` comes last, so that a folder that has it is complete. A folder that
/// holds a network already is refused: nodes may be running on it.
pub fn write_network(folder: &Path, files: &NetworkFiles) -> Result<()> {
    let config = folder.join("config.yaml");
    check_free(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let state = files.state;
    let lines = [
        ("genesis_validators_root.txt", state.genesis_validators_root.to_string()),
        (
            "deposit_contract.txt",
            files.config.deposit_contract_address.to_string(),
        ),
        ("deposit_contract_block.txt", "0".to_owned()),
        (
            "deposit_contract_block_hash.txt",
            state.eth1_data.block_hash.to_string(),
        ),
    ];
    for (name, line) in lines {
        write(&folder.join(name), format!("{line}\n").as_bytes(), PUBLIC)?;
    }
    if let Some(genesis) = execution_genesis(files.config, state.genesis_time) {
        write(
            &folder.join("genesis.json"),
            format!("{genesis:#}\n").as_bytes(),
            PUBLIC,
        )?;
    }
    write(&folder.join("genesis.ssz"), &state.encode(), PUBLIC)?;
    write(&config, files.config.to_yaml().as_bytes(), PUBLIC)
}

/// Refuses a folder that holds a network.
pub fn check_free(folder: &Path) -> Result<()> {
    if folder.join("config.yaml").exists() || folder.join("genesis.ssz").exists() {
        bail!(
            "{} holds a network already: name another folder, or remove this one",
            folder.display()
        );
    }
    Ok(())
}

/// Writes a folder with the keystores (EIP-2335) of these keys and, in `password.txt`, the one password of all of them,
/// which is long and made here. Returns the folder's keystore files.
///
/// The key derivation is cheap, which is for local networks only: hundreds of keys are to be made and opened in seconds,
/// and the interop keys are known to everybody anyway.
pub fn write_keystores(folder: &Path, keys: &[GenesisKey]) -> Result<Vec<PathBuf>> {
    if folder.exists() {
        bail!("{} exists already: name another folder for keys", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let password = Mnemonic::generate().context("no password can be made")?.phrase();
    write(&folder.join("password.txt"), password.as_bytes(), SECRET)?;
    let mut written = Vec::with_capacity(keys.len());
    for key in keys {
        let keystore = Keystore::encrypt(
            &key.signing.to_bytes(),
            &password,
            &key.path,
            Some("a validator of a local network"),
            NewKdf::Throwaway,
        )
        .with_context(|| format!("the key {} cannot be encrypted", key.pubkey))?;
        let file = folder.join(format!("keystore-{}.json", key.pubkey));
        write(&file, keystore.to_json().as_bytes(), SECRET)?;
        written.push(file);
    }
    Ok(written)
}

/// Who may read a file.
const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;

fn write(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut open = OpenOptions::new();
    open.write(true).create_new(true).mode(mode);
    open.open(file)
        .and_then(|mut opened| opened.write_all(bytes))
        .with_context(|| format!("cannot write {}", file.display()))
}
