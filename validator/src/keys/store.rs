//! Key files and the secret that opens them.
//!
//! A key file is an EIP-2335 keystore whose password is the local secret: a form with its own checksum, which other tools
//! can open in need. An operator's keystore takes seconds and 256 MiB to open, by design; since the password here is
//! random, one round of derivation is enough, and a hundred keys open at once.

use super::Candidate;
use crate::files;
use anyhow::{Context, Result, anyhow, bail};
use consensus::ssz::Bytes;
use consensus::types::BLSPubkey;
use crypto::bls::SecretKey;
use crypto::derive::SecretBytes;
use crypto::keystore::{Keystore, NewKdf};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Keys in one folder, at most: ten times what a small machine serves in time.
pub const MAX_KEYS: usize = 10_000;
/// Largest key file, in bytes; they have less than 1 kB.
const MAX_KEY_FILE: u64 = 16 << 10;
/// Hex digits of the local secret.
const SECRET_DIGITS: usize = 64;

/// The key files below a folder.
#[derive(Clone, Debug)]
pub struct KeyStore {
    folder: PathBuf,
}

impl KeyStore {
    /// The store of the validator client whose folder this is. Nothing is read or made yet.
    pub fn new(folder: &Path) -> Self {
        KeyStore { folder: folder.into() }
    }

    /// Where the key files are.
    pub fn keys_folder(&self) -> PathBuf {
        self.folder.join("keys")
    }

    fn secret_path(&self) -> PathBuf {
        self.folder.join("local_secret")
    }

    fn key_path(&self, key: &BLSPubkey) -> PathBuf {
        self.keys_folder().join(format!("{key}.json"))
    }

    /// The keys that are here, by their bytes. A folder that is not there holds none.
    pub fn list(&self) -> Result<Vec<BLSPubkey>> {
        let folder = self.keys_folder();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("cannot list {}", folder.display()))?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry
                .with_context(|| format!("cannot list {}", folder.display()))?
                .file_name();
            let key: Option<BLSPubkey> = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            keys.extend(key);
            if keys.len() > MAX_KEYS {
                bail!(
                    "{} holds more than {MAX_KEYS} keys; divide them among several clients",
                    folder.display()
                );
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// The place in its tree that a key's file states; empty where it states none or cannot be read.
    pub(crate) fn derivation_path(&self, key: &BLSPubkey) -> String {
        let bytes = files::read_limited(&self.key_path(key), MAX_KEY_FILE).ok();
        let keystore = bytes.and_then(|bytes| Keystore::from_json(&bytes).ok());
        keystore.map(|keystore| keystore.path().to_owned()).unwrap_or_default()
    }

    /// Whether a key is here.
    pub fn contains(&self, key: &BLSPubkey) -> bool {
        self.key_path(key).exists()
    }

    /// Puts a key in. The local secret is made with the first one.
    pub fn insert(&self, secret: &SecretBytes, path: &str, description: Option<&str>) -> Result<BLSPubkey> {
        files::create_private_folder(&self.keys_folder())?;
        let password = self.local_secret_or_new()?;
        let keystore = Keystore::encrypt(secret, &password, path, description, NewKdf::RandomPassword)?;
        let key = Bytes(
            *keystore
                .pubkey()
                .expect("a keystore that was just made has its public key"),
        );
        files::write_private(&self.key_path(&key), keystore.to_json().as_bytes())?;
        Ok(key)
    }

    /// Takes a key out of the store for ever.
    pub fn remove(&self, key: &BLSPubkey) -> Result<()> {
        let path = self.key_path(key);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        files::sync_folder_of(&path)
    }

    /// What to do where the local secret is gone, as commands that can be typed as they stand.
    pub fn secret_is_missing(&self) -> String {
        let keys = self.keys_folder();
        format!(
            "{} is missing, and nothing else opens the keys in {}: restore it. If it is lost, {}",
            self.secret_path().display(),
            keys.display(),
            self.import_again(&[&keys], "lost"),
        )
    }

    /// The commands that put away what is of no use any more, and have keystores come in with the history of their keys:
    /// without it they would wait for epochs, since nobody vouches for them.
    fn import_again(&self, paths: &[&Path], ending: &str) -> String {
        let datadir = self.folder.parent().unwrap_or(Path::new("."));
        let mut commands = format!(
            "`wren slashing export --output history.json --datadir {}`, ",
            datadir.display()
        );
        for path in paths {
            let path = path.display();
            let _ = write!(commands, "`mv {path} {path}.{ending}`, "); // writing to a String cannot fail
        }
        commands + "and import the keystores again with `--slashing-history history.json`"
    }

    /// Opens the store: reads the local secret once for any number of keys.
    pub(crate) fn unlock(&self) -> Result<Unlocked<'_>> {
        let path = self.secret_path();
        if !path.exists() {
            bail!("{}", self.secret_is_missing());
        }
        Ok(Unlocked {
            store: self,
            password: self.read_secret()?,
        })
    }

    /// Opens each of these keys, as the client does when it starts. The error names the first that does not open, and
    /// what to do.
    pub fn check(&self, keys: &[BLSPubkey]) -> Result<()> {
        let unlocked = self.unlock()?;
        keys.iter().try_for_each(|key| unlocked.load(key).map(drop))
    }

    fn read_secret(&self) -> Result<Zeroizing<String>> {
        let path = self.secret_path();
        files::check_private(&path)?;
        let bytes = Zeroizing::new(files::read_limited(&path, 2 * SECRET_DIGITS as u64)?);
        let text = std::str::from_utf8(&bytes).unwrap_or("").trim();
        if text.len() != SECRET_DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!(
                "{} is damaged: it must hold {SECRET_DIGITS} hex digits. Restore it. If there is no copy, {}",
                path.display(),
                self.import_again(&[&path, &self.keys_folder()], "damaged")
            );
        }
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn local_secret_or_new(&self) -> Result<Zeroizing<String>> {
        let path = self.secret_path();
        if path.exists() {
            return self.read_secret();
        }
        if !self.list()?.is_empty() {
            self.unlock()?; // says what is missing
        }
        let random = crypto::keystore::random_password().map_err(|error| anyhow!("{error}"))?;
        files::write_new_private(&path, random.as_bytes())?;
        Ok(random)
    }
}

/// The store with its secret at hand.
pub(crate) struct Unlocked<'a> {
    store: &'a KeyStore,
    password: Zeroizing<String>,
}

impl Unlocked<'_> {
    /// Reads one key. Its file must hold the key of its name.
    pub(crate) fn load(&self, key: &BLSPubkey) -> Result<SecretBytes> {
        Ok(self.load_with_description(key)?.secret)
    }

    /// The same, with what else its file says.
    pub(crate) fn load_with_description(&self, key: &BLSPubkey) -> Result<Candidate> {
        let path = self.store.key_path(key);
        files::check_private(&path)?;
        let opened = || -> Result<Candidate> {
            let keystore = Keystore::from_json(&files::read_limited(&path, MAX_KEY_FILE)?)?;
            if keystore.pubkey() != Some(&key.0) {
                bail!("it is not the key of its name");
            }
            Ok(Candidate {
                secret: keystore.decrypt(&self.password)?,
                path: keystore.path().to_owned(),
                description: keystore.description().map(str::to_owned),
            })
        };
        opened().with_context(|| {
            format!(
                "cannot open {} with the local secret; restore it. If there is no copy, {}",
                path.display(),
                self.store.import_again(&[&path], "damaged")
            )
        })
    }

    /// The same, ready to sign.
    pub(crate) fn load_signing_key(&self, key: &BLSPubkey) -> Result<SecretKey> {
        let secret = self.load(key)?;
        SecretKey::from_bytes(&secret).map_err(|error| anyhow!("the key {key} is not valid: {error}"))
    }
}
