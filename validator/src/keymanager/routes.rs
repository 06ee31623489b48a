//! Which path leads where, and how bodies and parameters are read.

use super::answer::{Answer, Problem};
use super::{Keymanager, keystores, own, remote, settings};
use consensus::types::BLSPubkey;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;

/// Answers a request whose token was right.
pub(super) async fn answer(keymanager: &Keymanager, method: &Method, path: &str, query: &str, body: &[u8]) -> Answer {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let method = method.as_str();
    match (method, parts.as_slice()) {
        ("GET", ["eth", "v1", "keystores"]) => keystores::list(keymanager).await,
        ("POST", ["eth", "v1", "keystores"]) => keystores::import(keymanager, body).await,
        ("DELETE", ["eth", "v1", "keystores"]) => keystores::delete(keymanager, body).await,
        ("GET", ["eth", "v1", "remotekeys"]) => Ok(remote::list(keymanager)),
        ("POST", ["eth", "v1", "remotekeys"]) => remote::import(keymanager, body).await,
        ("DELETE", ["eth", "v1", "remotekeys"]) => remote::delete(keymanager, body).await,
        (_, ["eth" | "wren", "v1", "validator", key, name]) => {
            let key = public_key(key)?;
            if !keymanager.signer.has(&key) {
                return Err(Problem::not_found(format!("the key {key} is not in this client")));
            }
            of_validator(keymanager, method, &key, name, query, body).await
        }
        ("GET", ["wren", "v1", "keys"]) => own::list(keymanager).await,
        ("POST", ["wren", "v1", "slashing_protection"]) => own::export(keymanager, body).await,
        (_, ["eth", "v1", "keystores" | "remotekeys"] | ["wren", "v1", "keys" | "slashing_protection"]) => {
            Err(not_allowed(method, path))
        }
        _ => Err(Problem::not_found(format!(
            "there is nothing at {}",
            path.escape_debug()
        ))),
    }
}

async fn of_validator(
    keymanager: &Keymanager,
    method: &str,
    key: &BLSPubkey,
    name: &str,
    query: &str,
    body: &[u8],
) -> Answer {
    match (method, name) {
        ("GET", "feerecipient") => settings::fee_recipient(keymanager, key),
        ("POST", "feerecipient") => settings::set_fee_recipient(keymanager, key, body).await,
        ("GET", "gas_limit") => Ok(settings::gas_limit(keymanager, key)),
        ("POST", "gas_limit") => settings::set_gas_limit(keymanager, key, body).await,
        ("GET", "graffiti") => Ok(settings::graffiti(keymanager, key)),
        ("POST", "graffiti") => settings::set_graffiti(keymanager, key, body).await,
        ("GET", "builder") => Ok(settings::builder(keymanager, key)),
        ("POST", "builder") => settings::set_builder(keymanager, key, body).await,
        ("DELETE", "feerecipient" | "gas_limit" | "graffiti" | "builder") => {
            settings::unset(keymanager, key, name).await
        }
        ("POST", "voluntary_exit") => own::sign_exit(keymanager, key, query).await,
        ("POST", "enable") => own::enable(keymanager, key).await,
        ("POST", "stop") => own::stop(keymanager, key, body).await,
        (_, "feerecipient" | "gas_limit" | "graffiti" | "builder" | "voluntary_exit" | "enable" | "stop") => {
            Err(not_allowed(method, name))
        }
        _ => Err(Problem::not_found(format!("a key has no '{}'", name.escape_debug()))),
    }
}

fn not_allowed(method: &str, path: &str) -> Problem {
    let message = format!("{method} is not for {}", path.escape_debug());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// A public key from a path.
fn public_key(text: &str) -> Result<BLSPubkey, Problem> {
    let wrong = || {
        Problem::bad(format!(
            "'{:.100}' is no public key: 0x and 96 hex digits",
            text.escape_debug()
        ))
    };
    text.parse().map_err(|_| wrong())
}

/// The body as JSON of a form; the error says where it differs.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::bad(format!("the body is not what it should be: {error}")))
}

/// A list of keys as bodies have it, at most `limit`.
pub(super) fn read_keys(texts: &[String], limit: usize) -> Result<Vec<BLSPubkey>, Problem> {
    check_count(texts.len(), limit)?;
    texts.iter().map(|text| public_key(text)).collect()
}

/// Refuses lists that take too long to work through.
pub(super) fn check_count(count: usize, limit: usize) -> Result<(), Problem> {
    if count > limit {
        return Err(Problem::bad(format!(
            "{count} keys at once, at most {limit}: send them in parts"
        )));
    }
    Ok(())
}
