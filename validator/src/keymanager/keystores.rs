//! Keys of this folder: list, import with their history, delete with it.

use super::answer::{Answer, Problem, data};
use super::routes::{check_count, read, read_keys};
use super::{Keymanager, standing_of};
use crate::interchange::Interchange;
use crate::keys::{Candidate, Imported, KeyStore, MAX_KEYS, Outcome, Vouch, import_into, public_key};
use crate::signer::Signer;
use crate::slashing_protection::KeyState;
use anyhow::{Result, bail};
use consensus::types::BLSPubkey;
use crypto::keystore::Keystore;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// Keystores of one request: each takes seconds to open, and whoever asks waits for all.
pub(super) const MAX_AT_ONCE: usize = 1_000;

/// Spec: keymanager-APIs, `listKeys`.
pub(super) async fn list(keymanager: &Keymanager) -> Answer {
    let keys = keymanager.signer.keys();
    let local: Vec<BLSPubkey> = keys
        .iter()
        .filter(|key| key.remote.is_none())
        .map(|key| key.pubkey)
        .collect();
    let paths = keymanager.change(move |signer| Ok(paths(signer, &local))).await?;
    let entry = |(key, path): (BLSPubkey, String)| json!({"validating_pubkey": key.to_string(), "derivation_path": path, "readonly": false});
    Ok(data(Value::from(paths.into_iter().map(entry).collect::<Vec<_>>())))
}

/// Each key's place in its tree, as its file says it.
fn paths(signer: &Signer, keys: &[BLSPubkey]) -> Vec<(BLSPubkey, String)> {
    let store = KeyStore::new(signer.folder());
    keys.iter().map(|key| (*key, store.derivation_path(key))).collect()
}

#[derive(Deserialize)]
struct Import {
    keystores: Vec<String>,
    passwords: Vec<String>,
    slashing_protection: Option<String>,
}

/// Spec: keymanager-APIs, `importKeystores`. A key that may be running elsewhere is stored and does not sign: its entry
/// says so in `message`.
pub(super) async fn import(keymanager: &Keymanager, body: &[u8]) -> Answer {
    let Import {
        keystores,
        passwords,
        slashing_protection,
    } = read(body)?;
    let passwords: Vec<Zeroizing<String>> = passwords.into_iter().map(Zeroizing::new).collect();
    check_count(keystores.len(), MAX_AT_ONCE)?;
    if keystores.len() != passwords.len() {
        return Err(Problem::bad(format!(
            "there are {} keystores and {} passwords: each keystore has its own",
            keystores.len(),
            passwords.len()
        )));
    }
    let history = read_history(slashing_protection.as_deref())?;
    let opened = keymanager.change(move |_| Ok(open_all(&keystores, &passwords))).await?;
    let keys: Vec<BLSPubkey> = opened.iter().flatten().map(|(key, _)| *key).collect();
    let standings = keymanager.standings(&keys).await;
    let results = keymanager
        .change(move |signer| {
            let ask = |key: &BLSPubkey| standing_of(&standings, key);
            let vouch = match &history {
                Some(history) => Vouch::HistoryOrChain(history, &ask),
                None => Vouch::New(&ask),
            };
            store_all(signer, opened, &vouch)
        })
        .await?;
    Ok(data(Value::from(results)))
}

/// The history of a body, which has it as text.
pub(super) fn read_history(text: Option<&str>) -> Result<Option<Interchange>, Problem> {
    let history = text.map(|text| Interchange::from_json(text.as_bytes())).transpose();
    history.map_err(|error| Problem::bad(format!("slashing_protection: {error:#}")))
}

type Opened = Result<(BLSPubkey, Candidate), String>;

/// Opens keystores one after another, as each takes seconds and 256 MiB.
fn open_all(keystores: &[String], passwords: &[Zeroizing<String>]) -> Vec<Opened> {
    let pairs = keystores.iter().zip(passwords);
    pairs.map(|(text, password)| open(text, password)).collect()
}

fn open(text: &str, password: &str) -> Opened {
    let keystore = Keystore::from_json(text.as_bytes()).map_err(|error| error.to_string())?;
    let candidate = Candidate {
        secret: keystore.decrypt(password).map_err(|error| error.to_string())?,
        path: keystore.path().to_owned(),
        description: keystore.description().map(str::to_owned),
    };
    let key = public_key(&candidate.secret).map_err(|error| format!("{error:#}"))?;
    if keystore.pubkey().is_some_and(|stated| *stated != key.0) {
        return Err("the keystore holds another key than it says".into());
    }
    Ok((key, candidate))
}

fn store_all(signer: &Signer, opened: Vec<Opened>, vouch: &Vouch<'_>) -> Result<Vec<Value>> {
    let store = KeyStore::new(signer.folder());
    let known = signer.keys().len();
    if known + opened.len() > MAX_KEYS {
        bail!("{known} keys are here, at most {MAX_KEYS} may be; divide them among several clients");
    }
    let remote: BTreeSet<BLSPubkey> = signer
        .keys()
        .into_iter()
        .filter(|k| k.remote.is_some())
        .map(|k| k.pubkey)
        .collect();
    let mut results = Vec::with_capacity(opened.len());
    for opened in opened {
        results.push(match opened {
            Err(why) => failed(&why),
            Ok((key, _)) if remote.contains(&key) => failed("a remote signer has this key for the client already"),
            Ok((key, candidate)) => {
                // One by one: what fails is told of one key, and the others are in.
                match import_into(&store, signer.protection(), &[candidate], vouch) {
                    Ok(imported) => {
                        signer.load_local(&[key])?;
                        imported
                            .first()
                            .map_or_else(|| failed("it was not stored"), imported_value)
                    }
                    Err(error) => failed(&format!("{error:#}")),
                }
            }
        });
    }
    Ok(results)
}

fn failed(why: &str) -> Value {
    json!({"status": "error", "message": why})
}

fn imported_value(imported: &Imported) -> Value {
    let status = if imported.was_here { "duplicate" } else { "imported" };
    match &imported.outcome {
        Outcome::Enabled => json!({ "status": status }),
        Outcome::Disabled(why) => json!({"status": status, "message": format!("it does not sign: {why}")}),
    }
}

#[derive(Deserialize)]
pub(super) struct Pubkeys {
    pub(super) pubkeys: Vec<String>,
}

/// Spec: keymanager-APIs, `deleteKeys`.
pub(super) async fn delete(keymanager: &Keymanager, body: &[u8]) -> Answer {
    let keys = read_keys(&read::<Pubkeys>(body)?.pubkeys, MAX_AT_ONCE)?;
    let (statuses, history) = keymanager.change(move |signer| delete_all(signer, &keys)).await?;
    let body = json!({"data": statuses, "slashing_protection": history.to_json()});
    Ok((StatusCode::OK, Some(body)))
}

fn delete_all(signer: &Signer, keys: &[BLSPubkey]) -> Result<(Vec<Value>, Interchange)> {
    let mut statuses = Vec::with_capacity(keys.len());
    let mut told: Vec<BLSPubkey> = Vec::with_capacity(keys.len());
    for key in keys {
        let status = match delete_one(signer, key) {
            Ok(status) => {
                if status != "not_found" && !told.contains(key) {
                    told.push(*key);
                }
                json!({ "status": status })
            }
            Err(error) => json!({"status": "error", "message": format!("{error:#}")}),
        };
        statuses.push(status);
    }
    Ok((statuses, Interchange::export(signer.protection(), &told)?))
}

/// Stops a key for certain, then takes it away. The history stays in the database.
fn delete_one(signer: &Signer, key: &BLSPubkey) -> Result<&'static str> {
    let view = signer.keys().into_iter().find(|view| view.pubkey == *key);
    let Some(view) = view else {
        let known = signer.protection().key(key)?.is_some();
        return Ok(if known { "not_active" } else { "not_found" });
    };
    if let Some(url) = view.remote {
        bail!("the key is in the remote signer at {url}: delete it under /eth/v1/remotekeys");
    }
    signer.stop_with_history(key, KeyState::Absent, "it was deleted here")?;
    KeyStore::new(signer.folder()).remove(key)?;
    signer.forget(key);
    Ok("deleted")
}
