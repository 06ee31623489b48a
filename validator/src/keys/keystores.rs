//! Keystores and passwords as deposit tools and other clients leave them on disk.
//!
//! A folder is searched a few levels deep, because clients differ: `ethstaker-deposit` puts all keystores into one folder,
//! others make a folder for each key. Passwords are one for all, or one file for each: named after the keystore's file
//! (`keystore-….txt`) or after the public key (`0x…`), the two customs there are.

use super::store::MAX_KEYS;
use crate::files;
use anyhow::{Context, Result, bail};
use consensus::ssz::Bytes;
use consensus::types::BLSPubkey;
use crypto::keystore::Keystore;
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest file that is looked into, in bytes: keystores have less than 1 kB, and are refused beyond 16 kB.
const MAX_KEYSTORE_FILE: u64 = 64 << 10;
/// Largest password file, in bytes.
const MAX_PASSWORD_FILE: u64 = 4 << 10;
/// Folders below the one that is named: clients use two.
const MAX_DEPTH: usize = 3;
/// Files that are looked at, at most: some for each key.
const MAX_FILES: usize = 10 * MAX_KEYS;

/// A keystore and the file it was read from.
#[derive(Clone, Debug)]
pub struct KeystoreFile {
    /// The file.
    pub path: PathBuf,
    /// What it holds, still encrypted.
    pub keystore: Keystore,
}

impl KeystoreFile {
    /// Reads one file, which must be a keystore.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read_limited(path, MAX_KEYSTORE_FILE)?;
        let keystore = Keystore::from_json(&bytes).with_context(|| format!("{} is refused", path.display()))?;
        Ok(KeystoreFile {
            path: path.into(),
            keystore,
        })
    }

    /// The public key that it states, if it does.
    pub fn pubkey(&self) -> Option<BLSPubkey> {
        self.keystore.pubkey().map(|key| Bytes(*key))
    }
}

/// The keystores at a path: a file, or a folder in which every keystore is taken and anything else is passed over.
/// Errors when there is none.
pub fn find_keystores(path: &Path) -> Result<Vec<KeystoreFile>> {
    if path.is_file() {
        return Ok(vec![KeystoreFile::read(path)?]);
    }
    let mut files = Vec::new();
    list_json_files(path, MAX_DEPTH, &mut files)?;
    files.sort();
    let mut found = Vec::new();
    for file in files {
        if !looks_like_a_keystore(&file)? {
            continue;
        }
        found.push(KeystoreFile::read(&file)?);
        if found.len() > MAX_KEYS {
            bail!(
                "{} holds more than {MAX_KEYS} keystores; import them in parts",
                path.display()
            );
        }
    }
    if found.is_empty() {
        bail!(
            "there are no keystores in {} nor in the folders below it",
            path.display()
        );
    }
    Ok(found)
}

fn list_json_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if path.is_dir() && depth > 0 {
            list_json_files(&path, depth - 1, files)?;
        } else if path.extension().is_some_and(|end| end == "json") && path.is_file() {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            bail!(
                "{} holds too many files to look through; name a folder closer to the keystores",
                folder.display()
            );
        }
    }
    Ok(())
}

/// Deposit data and histories lie beside keystores, and are longer or lack these two fields.
fn looks_like_a_keystore(path: &Path) -> Result<bool> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if metadata.len() > MAX_KEYSTORE_FILE {
        return Ok(false);
    }
    let bytes = files::read_limited(path, MAX_KEYSTORE_FILE)?;
    let value: Result<serde_json::Value, _> = serde_json::from_slice(&bytes);
    Ok(value.is_ok_and(|value| value.get("crypto").is_some() && value.get("version").is_some()))
}

/// The password for a keystore from `place`: a file with one for all, or a folder with one file for each.
pub fn read_password(place: &Path, keystore: &KeystoreFile) -> Result<Zeroizing<String>> {
    if place.is_file() {
        return read_password_file(place);
    }
    let by_name = keystore
        .path
        .file_stem()
        .map(|stem| place.join(stem).with_extension("txt"));
    let by_key = keystore.pubkey().map(|key| place.join(key.to_string()));
    let candidates: Vec<PathBuf> = by_name.into_iter().chain(by_key).collect();
    let Some(path) = candidates.iter().find(|path| path.is_file()) else {
        let names: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        bail!(
            "there is no password for {}: looked for {}",
            keystore.path.display(),
            names.join(" and ")
        );
    };
    read_password_file(path)
}

fn read_password_file(path: &Path) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(files::read_limited(path, MAX_PASSWORD_FILE)?);
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
    // A line feed at the end is the editor's; EIP-2335 strips control codes anyway.
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
