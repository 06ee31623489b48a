//! Keys that remote signers have: list, import, delete.

use super::answer::{Answer, Problem, Reply, data};
use super::keystores::{MAX_AT_ONCE, Pubkeys, read_history};
use super::routes::{check_count, read, read_keys};
use super::{Keymanager, standing_of};
use crate::beacon::NodeUrl;
use crate::keys::{MAX_KEYS, Outcome, Vouch, admit_remote};
use crate::settings::{Change, edit};
use crate::signer::Signer;
use crate::slashing_protection::KeyState;
use anyhow::{Context, Result, bail};
use consensus::types::BLSPubkey;
use serde::Deserialize;
use serde_json::{Value, json};

/// Spec: keymanager-APIs, `listRemoteKeys`. The address comes without credentials.
pub(super) fn list(keymanager: &Keymanager) -> Reply {
    let keys = keymanager.signer.keys().into_iter();
    let entries = keys.filter_map(|key| {
        let url = key.remote?;
        Some(json!({"pubkey": key.pubkey.to_string(), "url": url, "readonly": false}))
    });
    data(Value::from(entries.collect::<Vec<_>>()))
}

#[derive(Deserialize)]
struct Import {
    remote_keys: Vec<RemoteKey>,
    /// Beyond the standard: the keys' history, without which a key that the chain knows waits.
    slashing_protection: Option<String>,
}

#[derive(Deserialize)]
struct RemoteKey {
    pubkey: String,
    url: Option<String>,
}

/// Spec: keymanager-APIs, `importRemoteKeys`. Without `url` the signer is that of `[default]` in `validators.toml`.
pub(super) async fn import(keymanager: &Keymanager, body: &[u8]) -> Answer {
    let Import {
        remote_keys,
        slashing_protection,
    } = read(body)?;
    check_count(remote_keys.len(), MAX_AT_ONCE)?;
    let texts: Vec<String> = remote_keys.iter().map(|key| key.pubkey.clone()).collect();
    let keys = read_keys(&texts, MAX_AT_ONCE)?;
    let mut wanted = Vec::with_capacity(keys.len());
    for (key, RemoteKey { url, .. }) in keys.iter().zip(remote_keys) {
        if let Some(url) = &url {
            let parsed: Result<NodeUrl, String> = url.parse();
            parsed.map_err(|why| Problem::bad(format!("url of {key}: {why}")))?;
        }
        wanted.push((*key, url));
    }
    let history = read_history(slashing_protection.as_deref())?;
    let standings = keymanager.standings(&keys).await;
    let results = keymanager
        .change(move |signer| {
            let ask = |key: &BLSPubkey| standing_of(&standings, key);
            let vouch = match &history {
                Some(history) => Vouch::HistoryOrChain(history, &ask),
                None => Vouch::New(&ask),
            };
            if signer.keys().len() + wanted.len() > MAX_KEYS {
                bail!("at most {MAX_KEYS} keys may be in one client; divide them among several");
            }
            let add = |(key, url): &(BLSPubkey, Option<String>)| match add(signer, key, url.as_deref(), &vouch) {
                Ok(value) => value,
                Err(error) => json!({"status": "error", "message": format!("{error:#}")}),
            };
            Ok(wanted.iter().map(add).collect::<Vec<Value>>())
        })
        .await?;
    Ok(data(Value::from(results)))
}

fn add(signer: &Signer, key: &BLSPubkey, url: Option<&str>, vouch: &Vouch<'_>) -> Result<Value> {
    if signer.has(key) {
        return Ok(json!({"status": "duplicate"}));
    }
    let change = match url {
        Some(url) => Change::RemoteSigner(Some(url.to_owned())),
        None => Change::RemoteSigner(Some(default_signer(signer)?)),
    };
    // Whether it may sign is decided before anything could ask it.
    let outcome = admit_remote(signer.protection(), &[*key], vouch)?.pop();
    let settings = edit(signer.folder(), &[(*key, change)])?;
    let url = settings
        .remote_keys()
        .find(|(other, _)| *other == key)
        .map(|(_, url)| url.clone());
    signer.load_remote(&[(*key, url.context("it was not written down")?)])?;
    signer.replace_settings(settings);
    Ok(match outcome {
        Some(Outcome::Disabled(why)) => {
            json!({"status": "imported", "message": format!("it does not sign: {why}")})
        }
        _ => json!({"status": "imported"}),
    })
}

/// The address of the signer that keys without one have, as it stands in the file.
fn default_signer(signer: &Signer) -> Result<String> {
    let settings = signer.all_settings();
    let url = settings.default_remote_signer();
    let url = url.context("url is missing, and validators.toml has no remote_signer under [default]")?;
    if url.authorization().is_some() {
        bail!("the signer of [default] in validators.toml has credentials: give the url with them");
    }
    Ok(url.join(""))
}

/// Spec: keymanager-APIs, `deleteRemoteKeys`. The history stays.
pub(super) async fn delete(keymanager: &Keymanager, body: &[u8]) -> Answer {
    let keys = read_keys(&read::<Pubkeys>(body)?.pubkeys, MAX_AT_ONCE)?;
    let statuses = keymanager
        .change(move |signer| {
            let delete = |key: &BLSPubkey| match delete_one(signer, key) {
                Ok(status) => json!({ "status": status }),
                Err(error) => json!({"status": "error", "message": format!("{error:#}")}),
            };
            Ok(keys.iter().map(delete).collect::<Vec<Value>>())
        })
        .await?;
    Ok(data(Value::from(statuses)))
}

fn delete_one(signer: &Signer, key: &BLSPubkey) -> Result<&'static str> {
    let is_remote = |view: &crate::signer::KeyView| view.pubkey == *key && view.remote.is_some();
    if !signer.keys().iter().any(is_remote) {
        return Ok("not_found");
    }
    signer.stop_with_history(key, KeyState::Absent, "it was deleted here")?;
    let settings = edit(signer.folder(), &[(*key, Change::RemoteSigner(None))])?;
    signer.forget(key);
    signer.replace_settings(settings);
    Ok("deleted")
}
