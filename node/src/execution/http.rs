//! One endpoint of the Engine API: JSON-RPC over HTTP, with a token in each request, a limit on each answer and a time
//! for each call.

use super::json;
use super::jwt::JwtSecret;
use super::types::{EngineError, Failure, RpcError};
use anyhow::{Context, Result, bail, ensure};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which a connection must stand: the engine is on this machine or near it.
const CONNECT: Duration = Duration::from_secs(2);
/// Connections kept open between calls: a payload, a head, blobs and one more.
const IDLE_CONNECTIONS: usize = 4;
/// An endpoint that failed is left alone for so long after its first failure, twice as long after the next …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … and never for longer, so that an engine that came back is found within two slots.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// What reads the wall clock: Unix time in seconds, which tokens carry.
pub type UnixTime = fn() -> u64;

/// A call: what is asked, how long the answer may take and how large it may be.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) params: Value,
    /// Spec: the `timeout` of each method.
    pub(super) timeout: Duration,
    /// Bytes of the answer, at most.
    pub(super) limit: usize,
}

/// An engine at one address.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Where it is, in words for logs: without user, password and query.
    name: String,
    uri: Uri,
    secret: JwtSecret,
    now: UnixTime,
    client: Client<HttpConnector, Full<Bytes>>,
    next_id: AtomicU64,
    health: Mutex<Health>,
}

/// How an endpoint has answered lately.
#[derive(Debug, Default)]
struct Health {
    /// Failures since the last answer.
    failures: u32,
    /// Not to be asked before this, unless there is no other.
    rest_until: Option<Instant>,
    /// The last failure.
    error: Option<String>,
}

impl Endpoint {
    /// An endpoint at `url`. Errors say how an address is written.
    pub(super) fn new(url: &str, secret: JwtSecret, now: UnixTime) -> Result<Self> {
        let (uri, name) = parse(url)?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Ok(Endpoint {
            name,
            uri,
            secret,
            now,
            client,
            next_id: AtomicU64::new(1),
            health: Mutex::default(),
        })
    }

    /// The address for logs.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The last failure, if it has not answered since.
    pub(super) fn failure(&self) -> Option<String> {
        self.health().error.clone()
    }

    /// Whether it may be asked, or failed so lately that others come first.
    pub(super) fn is_rested(&self) -> bool {
        self.health().rest_until.is_none_or(|until| until <= Instant::now())
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and keeps in mind how it went. The engine's own refusal is an answer; it counts as well.
    pub(super) async fn ask(&self, call: &Call) -> Result<Value, EngineError> {
        let outcome = match tokio::time::timeout(call.timeout, self.exchange(call)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.error(
                Failure::TimedOut,
                call,
                &format!("no answer within {} s; is it busy or syncing?", call.timeout.as_secs()),
            )),
        };
        self.note(&outcome);
        outcome
    }

    /// Enters an outcome, and logs where it is a change.
    fn note(&self, outcome: &Result<Value, EngineError>) {
        let mut health = self.health();
        let failed = match outcome {
            Ok(_) => None,
            Err(error) if matches!(error.failure, Failure::Refused(_)) => None,
            Err(error) => Some(error),
        };
        let Some(error) = failed else {
            if health.failures > 0 {
                tracing::info!(
                    endpoint = self.name,
                    failures = health.failures,
                    "the execution client answers again"
                );
            }
            *health = Health::default();
            return;
        };
        if health.failures == 0 {
            tracing::warn!("{error}");
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << health.failures.min(10));
        health.failures = health.failures.saturating_add(1);
        health.rest_until = Instant::now().checked_add(pause.min(LONGEST_PAUSE));
        health.error = Some(error.message.clone());
    }

    /// One request and its answer.
    async fn exchange(&self, call: &Call) -> Result<Value, EngineError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params });
        let request = self
            .request(&body)
            .map_err(|error| self.error(Failure::Malformed, call, &error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| {
            let why = format!("{}; is it running, and is this its Engine API?", causes(&error));
            self.error(Failure::Unreachable, call, &why)
        })?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            let why = format!(
                "{status}: it does not accept our token; give both programs the same secret (--execution-jwt) and check \
                 that the clocks of both machines agree"
            );
            return Err(self.error(Failure::Unauthorized, call, &why));
        }
        let body = Limited::new(response.into_body(), call.limit)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    let why = format!("its answer is longer than {} bytes", call.limit);
                    return self.error(Failure::Malformed, call, &why);
                }
                self.error(Failure::Unreachable, call, &format!("its answer broke off: {error}"))
            })?;
        self.answer(call, id, status, &body.to_bytes())
    }

    fn request(&self, body: &Value) -> Result<Request<Full<Bytes>>> {
        let bearer = format!("Bearer {}", self.secret.token((self.now)()));
        let mut bearer = HeaderValue::from_str(&bearer)?;
        bearer.set_sensitive(true);
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, bearer);
        Ok(request.body(Full::new(Bytes::from(body.to_string())))?)
    }

    /// The result in a response.
    fn answer(&self, call: &Call, id: u64, status: StatusCode, body: &[u8]) -> Result<Value, EngineError> {
        let malformed = |why: &str| self.error(Failure::Malformed, call, why);
        let parsed = json::parse(body);
        // Some engines answer errors of JSON-RPC with a status of HTTP, so the body is looked at first.
        let mut answer = match parsed {
            Ok(answer) => answer,
            Err(_) if !status.is_success() => {
                return Err(malformed(&format!("{status}; is this the port of the Engine API?")));
            }
            Err(why) => return Err(malformed(&format!("what it answers is not JSON: {why}"))),
        };
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
            let words = error
                .get("message")
                .and_then(Value::as_str)
                .map(json::words)
                .unwrap_or_default();
            let error = RpcError::new(code, words);
            let why = format!("it refuses: {} ({})", error.message, error.code);
            return Err(self.error(Failure::Refused(error.code), call, &why));
        }
        if answer.get("id").and_then(Value::as_u64) != Some(id) {
            return Err(malformed("its answer belongs to another request"));
        }
        let result = answer.get_mut("result").map(Value::take);
        result.ok_or_else(|| malformed("its answer has neither a result nor an error"))
    }

    /// An error that names the endpoint and what was asked.
    pub(super) fn error(&self, failure: Failure, call: &Call, why: &str) -> EngineError {
        EngineError::new(
            failure,
            format!("execution client {} ({}): {why}", self.name, call.method),
        )
    }
}

/// The address and its name without secrets.
fn parse(url: &str) -> Result<(Uri, String)> {
    let form = "write it as http://127.0.0.1:8551";
    // What is wrong with it is told without repeating it: it may hold a password.
    let uri: Uri = url
        .parse()
        .ok()
        .with_context(|| format!("--execution-endpoint is no address: {form}"))?;
    if uri.scheme_str() == Some("https") {
        bail!(
            "--execution-endpoint is https, and the Engine API is plain http by its standard: {form}, on this machine or \
             through a tunnel"
        );
    }
    ensure!(
        uri.scheme_str() == Some("http"),
        "--execution-endpoint is not http: {form}"
    );
    let authority = uri
        .authority()
        .with_context(|| format!("--execution-endpoint names no host: {form}"))?;
    ensure!(
        !authority.as_str().contains('@'),
        "--execution-endpoint has a user or password in it, which the Engine API does not know: {form}, and give the \
         secret by --execution-jwt"
    );
    let name = format!("http://{authority}{}", uri.path().trim_end_matches('/'));
    Ok((uri, name))
}

/// An error with what caused it: the outermost says little.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // Chains of causes are short; this is a limit against one that is not.
    for _ in 0..8 {
        let Some(inner) = cause else { break };
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_named_without_secrets() {
        let (_, name) = parse("http://10.0.0.7:8551/path/?token=secret").unwrap();
        assert_eq!(name, "http://10.0.0.7:8551/path");
        for (url, expected) in [
            ("http://user:secret@10.0.0.7:8551", "--execution-jwt"),
            ("https://10.0.0.7:8551", "https"),
            ("ws://10.0.0.7:8551", "not http"),
            ("10.0.0.7:8551 secret", "no address"),
            ("/path", "not http"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.contains("http://127.0.0.1:8551"),
                "{error}"
            );
            assert!(!error.contains("secret@") && !error.contains("10.0.0.7"), "{error}");
        }
    }
}
