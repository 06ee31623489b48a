//! The commands' side: the API of the client that runs on a folder.

use super::token::{Token, read_address};
use crate::beacon::http::{Form, Http, Request};
use crate::beacon::{CallError, Kind, NodeUrl, Reach};
use anyhow::{Context, Result, anyhow, bail};
use consensus::types::BLSPubkey;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Most answers come at once; a change waits for those before it, and an import for its keystores.
const TIMEOUT: Duration = Duration::from_hours(1);
/// Histories of ten thousand keys of which each has 512 epochs on record.
const MAX_ANSWER: usize = 1 << 30;

/// The running client of a folder.
pub struct Client {
    http: Http,
    runtime: tokio::runtime::Runtime,
}

/// The client that runs on a folder, if one serves its API there. Errors where the files that lead to it are wrong.
pub fn find(folder: &Path) -> Result<Option<Client>> {
    let Some(address) = read_address(folder)? else {
        return Ok(None);
    };
    let url: NodeUrl = address
        .parse()
        .map_err(|why| anyhow!("the file api_address of the folder: {why}"))?;
    if !url.is_loopback() || url.https {
        bail!("the file api_address of the folder names another machine than this one");
    }
    let token = Token::read(folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let client = Client {
        http: Http::new(url.with_bearer(token.text()), &Reach::default()).map_err(|why| anyhow!(why))?,
        runtime: runtime.context("cannot start the runtime")?,
    };
    match client.keys() {
        Ok(_) => Ok(Some(client)),
        Err(error)
            if error
                .downcast_ref::<CallError>()
                .is_some_and(|e| e.kind == Kind::Unreachable) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Client {
    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(|body| (Form::Json, Bytes::from(body.to_string())));
        let request = Request {
            method,
            body,
            ..Request::get(path.into(), MAX_ANSWER, TIMEOUT)
        };
        let answer = self
            .runtime
            .block_on(self.http.call(request))
            .map_err(anyhow::Error::new)?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).context("the running client's answer is not JSON")
    }

    /// All keys, as `GET /wren/v1/keys` has them.
    pub fn keys(&self) -> Result<Vec<Value>> {
        let mut answer = self.call(Method::GET, "/wren/v1/keys", None)?;
        match answer["data"].take() {
            Value::Array(keys) => Ok(keys),
            _ => bail!("the running client did not list its keys"),
        }
    }

    /// Hands keystores over with their passwords; the results in their order.
    pub fn import(&self, keystores: &[String], passwords: &[&str], history: Option<&str>) -> Result<Vec<Value>> {
        let mut body = json!({"keystores": keystores, "passwords": passwords});
        if let Some(history) = history {
            body["slashing_protection"] = history.into();
        }
        let mut answer = self.call(Method::POST, "/eth/v1/keystores", Some(&body))?;
        match answer["data"].take() {
            Value::Array(results) if results.len() == keystores.len() => Ok(results),
            _ => bail!("the running client did not answer for each keystore"),
        }
    }

    /// Deletes a key of the folder; its history is had before by [`stop`](Self::stop).
    pub fn delete(&self, key: &BLSPubkey) -> Result<()> {
        self.delete_at("/eth/v1/keystores", key)
    }

    /// Deletes a key that a remote signer has: it stays there, and the client asks for it no more.
    pub fn delete_remote(&self, key: &BLSPubkey) -> Result<()> {
        self.delete_at("/eth/v1/remotekeys", key)
    }

    fn delete_at(&self, path: &str, key: &BLSPubkey) -> Result<()> {
        let body = json!({"pubkeys": [key.to_string()]});
        let answer = self.call(Method::DELETE, path, Some(&body))?;
        let status = &answer["data"][0];
        if status["status"] != "deleted" {
            let message = status["message"].as_str().unwrap_or_default();
            bail!(
                "the key {key} was not deleted: {} {message}",
                status["status"].as_str().unwrap_or("no status")
            );
        }
        Ok(())
    }

    /// Stops a key and returns its history.
    pub fn stop(&self, key: &BLSPubkey, why: &str) -> Result<String> {
        let path = format!("/wren/v1/validator/{key}/stop");
        text(&self.call(Method::POST, &path, Some(&json!({ "why": why })))?["data"])
    }

    /// Lets a key sign.
    pub fn enable(&self, key: &BLSPubkey) -> Result<()> {
        let path = format!("/wren/v1/validator/{key}/enable");
        self.call(Method::POST, &path, None).map(|_| ())
    }

    /// What keys have signed; of all keys where none is named.
    pub fn history(&self, keys: &[BLSPubkey]) -> Result<String> {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let body = json!({ "pubkeys": keys });
        text(&self.call(Method::POST, "/wren/v1/slashing_protection", Some(&body))?["data"])
    }

    /// A signed exit of a key's validator, usable from an epoch on, as JSON.
    pub fn sign_exit(&self, key: &BLSPubkey, epoch: Option<u64>) -> Result<Value> {
        let query = epoch.map(|epoch| format!("?epoch={epoch}")).unwrap_or_default();
        let path = format!("/eth/v1/validator/{key}/voluntary_exit{query}");
        Ok(self.call(Method::POST, &path, None)?["data"].take())
    }
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().context("the running client gave no history")?;
    Ok(text.to_owned())
}
