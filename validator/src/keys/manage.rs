//! What an operator does with keys that are here: look, let out, take away, let sign again.

use super::import::Candidate;
use super::store::KeyStore;
use crate::beacon::NodeUrl;
use crate::interchange::Interchange;
use crate::settings::{Change, Settings, edit};
use crate::slashing_protection::{FILE_NAME, KeyRecord, KeyState, SlashingProtection};
use anyhow::{Context, Result, bail};
use consensus::types::BLSPubkey;
use crypto::keystore::{Keystore, NewKdf};
use std::path::{Path, PathBuf};

/// The reason that an export leaves with a key.
pub const EXPORTED: &str = "it was exported, so it may be running elsewhere. `wren keys enable` lets it sign here again once it \
                        does not";

impl KeyStore {
    /// A key as a keystore under a password, for a key that does not sign any more: whoever calls has stopped it. Takes
    /// seconds.
    pub fn export_stopped(&self, key: &BLSPubkey, password: &str) -> Result<Keystore> {
        let Candidate {
            secret,
            path,
            description,
        } = self.unlock()?.load_with_description(key)?;
        let keystore = Keystore::encrypt(&secret, password, &path, description.as_deref(), NewKdf::Scrypt);
        keystore.context("the keystore was not made")
    }
}

/// Where a key of a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its folder.
    Folder,
    /// In a remote signer, as `validators.toml` has it.
    Remote(NodeUrl),
}

impl Place {
    /// Where a key of the client with this folder is. An error if it is in neither place.
    pub fn of(key: &BLSPubkey, folder: &Path) -> Result<Self> {
        let store = KeyStore::new(folder);
        if store.contains(key) {
            return Ok(Place::Folder);
        }
        match Settings::read(folder)?.remote_signer(key) {
            Some(url) => Ok(Place::Remote(url.clone())),
            None => bail!(
                "the key {key} is not in {}, nor in a remote signer by {}; --datadir looks elsewhere",
                store.keys_folder().display(),
                folder.join(crate::settings::FILE_NAME).display()
            ),
        }
    }
}

/// The folder of a validator client whose database nobody else uses.
#[derive(Debug)]
pub struct Keys {
    folder: PathBuf,
    store: KeyStore,
    database: SlashingProtection,
}

impl Keys {
    /// Opens it. Errors while a client runs on it.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Keys {
            folder: folder.into(),
            store: KeyStore::new(folder),
            database: SlashingProtection::open_any_network(&folder.join(FILE_NAME))?,
        })
    }

    /// The database.
    pub fn database(&self) -> &SlashingProtection {
        &self.database
    }

    /// Every key that is here, with what is known of it; none where the database has never heard of it.
    pub fn list(&self) -> Result<Vec<(BLSPubkey, Option<KeyRecord>)>> {
        let keys = self.store.list()?.into_iter();
        keys.map(|key| Ok((key, self.database.key(&key)?))).collect()
    }

    /// Stops a key, since it is about to be used elsewhere, and returns its history for whoever gets it.
    pub fn disable_for_export(&self, key: &BLSPubkey) -> Result<Interchange> {
        Place::of(key, &self.folder)?;
        self.database.set_state(key, KeyState::Stopped, EXPORTED)?;
        Interchange::export(&self.database, &[*key])
    }

    /// A key as a keystore under a password. Takes seconds. The key must have been stopped by `disable_for_export`.
    pub fn keystore(&self, key: &BLSPubkey, password: &str) -> Result<Keystore> {
        if let Place::Remote(url) = Place::of(key, &self.folder)? {
            bail!("the key {key} is in the remote signer at {url}: there is no keystore of it here");
        }
        let record = self.database.key(key)?;
        if record.is_none_or(|record| record.state != KeyState::Stopped) {
            bail!("the key {key} is not stopped: it would sign here and there");
        }
        self.store.export_stopped(key, password)
    }

    /// Takes a key away, for ever; its history stays. Whoever needs the history elsewhere takes it first. One of a remote
    /// signer stays there, and is no longer this client's.
    pub fn delete(&self, key: &BLSPubkey) -> Result<()> {
        let place = Place::of(key, &self.folder)?;
        if self.database.key(key)?.is_some() {
            self.database.set_state(key, KeyState::Absent, "it was deleted here")?;
        }
        match place {
            Place::Folder => self.store.remove(key),
            Place::Remote(_) => edit(&self.folder, &[(*key, Change::RemoteSigner(None))]).map(|_| ()),
        }
    }

    /// Lets a key sign that does not. The operator answers for it: nobody else signs with it, and what it signed
    /// elsewhere is in the database.
    pub fn enable(&self, key: &BLSPubkey) -> Result<()> {
        Place::of(key, &self.folder)?;
        self.database.set_state(key, KeyState::Enabled, "")
    }
}
