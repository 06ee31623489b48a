//! Keys and settings that come, change and go while the signer signs.
//!
//! What may sign stands in the database, which every record asks in its own transaction. So a key that was stopped there
//! signs no block and no attestation any more, even where its signature was under way; and the history that is read after
//! the stop is the whole of it.

use super::{Key, LocalKey, Permit, RemoteKey, Signer, SigningKey, ask_for_exit, message};
use crate::beacon::NodeUrl;
use crate::beacon::http::Http;
use crate::interchange::Interchange;
use crate::keys::KeyStore;
use crate::settings::Settings;
use crate::slashing_protection::KeyState;
use anyhow::{Context, Result, anyhow, bail};
use consensus::Config;
use consensus::types::{BLSPubkey, BLSSignature, Epoch, SignedVoluntaryExit, ValidatorIndex, VoluntaryExit};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// A key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// The key.
    pub pubkey: BLSPubkey,
    /// The remote signer that has it, without credentials; none for a key of this folder.
    pub remote: Option<String>,
    /// Whether it may sign.
    pub state: KeyState,
    /// Why it may not.
    pub why: String,
}

impl Signer {
    /// The folder of the client.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The network.
    pub fn config(&self) -> &Config {
        &self.0.network.config
    }

    /// Loads keys that are in the folder, each in the state that the database has for it. Blocks.
    pub(crate) fn load_local(&self, keys: &[BLSPubkey]) -> Result<()> {
        let store = KeyStore::new(&self.0.folder);
        let unlocked = store.unlock()?;
        for pubkey in keys {
            let key = LocalKey::new(unlocked.load_signing_key(pubkey)?);
            self.insert(pubkey, SigningKey::Local(key))?;
        }
        Ok(())
    }

    /// Takes in keys of remote signers, each in the state that the database has for it. One set of connections serves all
    /// keys of a signer. Blocks.
    pub(crate) fn load_remote(&self, keys: &[(BLSPubkey, NodeUrl)]) -> Result<()> {
        let mut signers: Vec<Http> = self.remote_signers();
        for (pubkey, url) in keys {
            let known = signers.iter().find(|http| http.url() == url).cloned();
            let http = if let Some(http) = known {
                http
            } else {
                let made = Http::new(url.clone(), &self.0.reach);
                let made = made.map_err(|why| anyhow!("the remote signer {url}: {why}"))?;
                signers.push(made.clone());
                made
            };
            self.insert(pubkey, SigningKey::Remote(Box::new(RemoteKey::new(*pubkey, http))))?;
        }
        Ok(())
    }

    fn remote_signers(&self) -> Vec<Http> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Http> = Vec::new();
        for key in keys.values() {
            if let SigningKey::Remote(remote) = &*key.secret
                && !found.iter().any(|http| http.url() == remote.url())
            {
                found.push(remote.http().clone());
            }
        }
        found
    }

    fn insert(&self, pubkey: &BLSPubkey, secret: SigningKey) -> Result<()> {
        let (state, why) = match self.0.protection.key(pubkey)? {
            Some(record) => (record.state, record.why),
            None => (
                KeyState::Absent,
                "the slashing protection database does not know it".into(),
            ),
        };
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        let is_remote = matches!(secret, SigningKey::Remote(_));
        let other = keys
            .get(pubkey)
            .is_some_and(|key| matches!(*key.secret, SigningKey::Local(_)));
        if is_remote && other {
            bail!(
                "the key {pubkey} is in this folder and, by validators.toml, in a remote signer too: delete the one here, \
                 or remove remote_signer from its table"
            );
        }
        let key = Key {
            secret: Arc::new(secret),
            state,
            why,
            held: None,
        };
        keys.insert(*pubkey, key);
        self.0.changes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Stops a key, durably, for the reason given, and returns its history as of then. Blocks.
    pub(crate) fn stop_with_history(&self, pubkey: &BLSPubkey, state: KeyState, why: &str) -> Result<Interchange> {
        self.set_state(pubkey, state, why.into())?;
        Interchange::export(&self.0.protection, &[*pubkey])
    }

    /// Lets a key sign on the operator's word. Blocks.
    pub(crate) fn enable(&self, pubkey: &BLSPubkey) -> Result<()> {
        if !self.has(pubkey) {
            bail!("the key {pubkey} is not here");
        }
        self.set_state(pubkey, KeyState::Enabled, String::new())
    }

    /// Forgets a key that was stopped.
    pub(crate) fn forget(&self, pubkey: &BLSPubkey) {
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.remove(pubkey);
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a key is here, local or remote.
    pub fn has(&self, pubkey: &BLSPubkey) -> bool {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.contains_key(pubkey)
    }

    /// All keys, by their bytes.
    pub fn keys(&self) -> Vec<KeyView> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let view = |(pubkey, key): (&BLSPubkey, &Key)| KeyView {
            pubkey: *pubkey,
            remote: match &*key.secret {
                SigningKey::Local(_) => None,
                SigningKey::Remote(remote) => Some(remote.url().to_string()),
            },
            state: key.state,
            why: key.why.clone(),
        };
        keys.iter().map(view).collect()
    }

    /// Grows with every change of keys or settings.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// Takes other settings; where fees go that they do not say stays as it is.
    pub fn replace_settings(&self, settings: Settings) {
        let mut held = self.0.settings.write().unwrap_or_else(PoisonError::into_inner);
        held.replace(settings);
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// All settings as they are.
    pub fn all_settings(&self) -> Settings {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs a voluntary exit with a key that is here, whether or not it has duties: an exit is harmless to two clients.
    /// Spec: deneb/beacon-chain.md, `process_voluntary_exit` (EIP-7044).
    pub async fn sign_exit(
        &self,
        pubkey: &BLSPubkey,
        validator_index: ValidatorIndex,
        epoch: Epoch,
    ) -> Result<SignedVoluntaryExit> {
        let secret = {
            let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.get(pubkey).map(|key| key.secret.clone())
        };
        let secret = secret.with_context(|| format!("the key {pubkey} is not here"))?;
        let exit = VoluntaryExit { epoch, validator_index };
        let network = &self.0.network;
        let signature: BLSSignature = match &*secret {
            SigningKey::Local(key) => key.sign(Permit::Harmless(message::exit_permit(network, &exit))),
            SigningKey::Remote(key) => ask_for_exit(RemoteKey::clone(key), network, &exit).await?,
        };
        Ok(SignedVoluntaryExit {
            message: exit,
            signature,
        })
    }
}
