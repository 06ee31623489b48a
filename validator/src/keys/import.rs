//! How keys come in, and which of them may sign at once.
//!
//! A key that may be running elsewhere does not sign: two clients with one key, or one client without the key's history,
//! are how validators get slashed. So somebody must vouch for it: a history says what it signed, or it is new.

use super::KeyStore;
use crate::files;
use crate::interchange::{How, Interchange};
use crate::slashing_protection::{FILE_NAME, KeyState, SlashingProtection};
use anyhow::{Context, Result, anyhow, bail};
use consensus::ssz::{Bytes, Root};
use consensus::types::BLSPubkey;
use crypto::bls::SecretKey;
use crypto::derive::SecretBytes;
use std::collections::BTreeSet;
use std::path::Path;

/// A key that shall come in.
#[derive(Debug)]
pub struct Candidate {
    /// The key itself.
    pub secret: SecretBytes,
    /// Its place in its tree (EIP-2334), or empty.
    pub path: String,
    /// What its keystore says about it.
    pub description: Option<String>,
}

impl Candidate {
    /// Its public key.
    pub fn pubkey(&self) -> Result<BLSPubkey> {
        public_key(&self.secret)
    }
}

/// Who says that a key may sign.
pub enum Vouch<'a> {
    /// Its history: the keys that stand in it sign, above what stands there.
    History(&'a Interchange),
    /// The operator says that it is new; the function asks whether the chain agrees.
    New(&'a dyn Fn(&BLSPubkey) -> Standing),
    /// Its history, and for keys that do not stand in it the chain.
    HistoryOrChain(&'a Interchange, &'a dyn Fn(&BLSPubkey) -> Standing),
    /// Nobody.
    Nobody,
}

/// What is known of a key that is said to be new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The chain has not begun, or is in its first epoch: nobody has signed anything.
    BeforeStart,
    /// The chain does not know it: it cannot have signed anything.
    NotOnChain,
    /// The chain knows it; holds its status.
    OnChain(String),
    /// Nobody could be asked; holds why.
    NoAnswer(String),
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The key.
    pub pubkey: BLSPubkey,
    /// Whether its file was here before.
    pub was_here: bool,
    /// Whether it signs now.
    pub outcome: Outcome,
}

/// Whether an imported key signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// From the next start of the client on.
    Enabled,
    /// Not until something is done; holds why and what.
    Disabled(String),
}

/// Stores keys in the folder of a validator client and decides which of them may sign. The slashing protection database
/// is made if there is none and no key either; with keys and without a database nothing is done. A key that the operator
/// or the client itself has stopped stays stopped.
pub fn import(
    folder: &Path,
    genesis_validators_root: Root,
    keys: &[Candidate],
    vouch: &Vouch<'_>,
) -> Result<Vec<Imported>> {
    let store = KeyStore::new(folder);
    let database = open_or_create_database(folder, &store, genesis_validators_root)?;
    import_into(&store, &database, keys, vouch)
}

/// The same for a database that is open. The history is on disk before any key may sign.
pub(crate) fn import_into(
    store: &KeyStore,
    database: &SlashingProtection,
    keys: &[Candidate],
    vouch: &Vouch<'_>,
) -> Result<Vec<Imported>> {
    let vouched_for = take_history(database, vouch)?;
    let mut imported = Vec::with_capacity(keys.len());
    let mut states = Vec::with_capacity(keys.len());
    for candidate in keys {
        let pubkey = public_key(&candidate.secret)?;
        let was_here = store.contains(&pubkey);
        if !was_here {
            store.insert(&candidate.secret, &candidate.path, candidate.description.as_deref())?;
        }
        let (state, why) = decide(database, &pubkey, was_here, vouch, &vouched_for)?;
        let outcome = Outcome::of(state, &why);
        states.push((pubkey, state, why));
        imported.push(Imported {
            pubkey,
            was_here,
            outcome,
        });
    }
    database.set_states(&states)?;
    Ok(imported)
}

/// Decides the same of keys that remote signers have: what they signed elsewhere is as unknown.
pub(crate) fn admit_remote(
    database: &SlashingProtection,
    keys: &[BLSPubkey],
    vouch: &Vouch<'_>,
) -> Result<Vec<Outcome>> {
    let vouched_for = take_history(database, vouch)?;
    let mut states = Vec::with_capacity(keys.len());
    for pubkey in keys {
        let (state, why) = decide(database, pubkey, false, vouch, &vouched_for)?;
        states.push((*pubkey, state, why));
    }
    database.set_states(&states)?;
    Ok(states.iter().map(|(_, state, why)| Outcome::of(*state, why)).collect())
}

/// Writes down the history that comes with keys; the keys that stand in it.
fn take_history(database: &SlashingProtection, vouch: &Vouch<'_>) -> Result<BTreeSet<BLSPubkey>> {
    let (Vouch::History(history) | Vouch::HistoryOrChain(history, _)) = vouch else {
        return Ok(BTreeSet::new());
    };
    history.import_into(database, How::Minimal)?;
    Ok(history.histories.iter().map(|(key, _)| *key).collect())
}

/// Whether a key may sign that comes in: as before if it was stopped, or was here and signs.
fn decide(
    database: &SlashingProtection,
    pubkey: &BLSPubkey,
    was_here: bool,
    vouch: &Vouch<'_>,
    vouched_for: &BTreeSet<BLSPubkey>,
) -> Result<(KeyState, String)> {
    let before = database.key(pubkey)?.map(|record| (record.state, record.why));
    Ok(match before {
        Some(before @ (KeyState::Stopped, _)) => before,
        Some(before @ (KeyState::Enabled, _)) if was_here => before,
        _ => judge(pubkey, vouch, vouched_for),
    })
}

impl Outcome {
    fn of(state: KeyState, why: &str) -> Self {
        match state {
            KeyState::Enabled => Outcome::Enabled,
            _ => Outcome::Disabled(why.to_owned()),
        }
    }
}

/// Whether a key that was not enabled before may sign.
fn judge(key: &BLSPubkey, vouch: &Vouch<'_>, vouched_for: &BTreeSet<BLSPubkey>) -> (KeyState, String) {
    let enabled = (KeyState::Enabled, String::new());
    let disabled = |why: &str| {
        let why = format!(
            "{why}. It signs once its history is given (stop the client that had it, export there, then `wren keys import \
             --slashing-history FILE` here), or when a running client has seen it silent for three whole epochs"
        );
        (KeyState::Unvouched, why)
    };
    match vouch {
        Vouch::Nobody => disabled("nobody says what it signed before"),
        Vouch::History(_) | Vouch::HistoryOrChain(..) if vouched_for.contains(key) => enabled,
        Vouch::History(_) => disabled("the history that was given says nothing of it"),
        Vouch::New(ask) | Vouch::HistoryOrChain(_, ask) => match ask(key) {
            Standing::BeforeStart | Standing::NotOnChain => enabled,
            Standing::OnChain(status) => disabled(&format!("it is not new, the chain shows it as {status}")),
            Standing::NoAnswer(why) => disabled(&format!("nobody could be asked whether it is new: {why}")),
        },
    }
}

/// The database of a folder into which keys come.
pub(super) fn open_or_create_database(
    folder: &Path,
    store: &KeyStore,
    genesis_validators_root: Root,
) -> Result<SlashingProtection> {
    files::create_private_folder(folder)?;
    let path = folder.join(FILE_NAME);
    if !path.exists() {
        if !store.list()?.is_empty() {
            bail!(
                "{} holds keys, but their slashing protection database {} is missing: restore its newest copy. If there is \
                 none, stop every other client that has these keys and read `wren slashing init --help`",
                store.keys_folder().display(),
                path.display()
            );
        }
        SlashingProtection::create(&path, genesis_validators_root)?;
    }
    SlashingProtection::open(&path, genesis_validators_root)
}

/// The public key that belongs to a secret.
pub(crate) fn public_key(secret: &SecretBytes) -> Result<BLSPubkey> {
    let key = SecretKey::from_bytes(secret).map_err(|error| anyhow!("{error}"));
    Ok(Bytes(
        key.context("this is no signing key")?.public_key().to_compressed(),
    ))
}
