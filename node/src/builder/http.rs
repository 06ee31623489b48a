//! One call to a builder: bounded in time and size, over TCP or TLS, its errors without the address's secrets.

use anyhow::{Context as _, Result, ensure};
use consensus::Fork;
use consensus::ssz::{Json, Ssz};
use consensus::types::BLSPubkey;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

/// A bid has a second for everything, so a connection must stand in less.
const CONNECT: Duration = Duration::from_millis(800);
/// A bid, a reveal, registrations: one call of a kind is under way at a time.
const IDLE_CONNECTIONS: usize = 2;
/// This much of a builder's own words goes into a message.
const WORDS: usize = 200;

const JSON: &str = "application/json";
const SSZ: &str = "application/octet-stream";

/// What is asked of a builder.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body as JSON.
    pub(super) json: Option<Vec<u8>>,
    /// The body as SSZ.
    pub(super) ssz: Option<Vec<u8>>,
    /// Whether SSZ is preferred for the answer.
    pub(super) accept_ssz: bool,
    /// Time for the whole call.
    pub(super) time: Duration,
    /// Bytes of the answer, at most.
    pub(super) limit: usize,
}

impl Ask {
    pub(super) fn new(method: Method, path: impl Into<String>, time: Duration, limit: usize) -> Self {
        Ask {
            method,
            path: path.into(),
            headers: Vec::new(),
            json: None,
            ssz: None,
            accept_ssz: false,
            time,
            limit,
        }
    }
}

/// An answer of any status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Whether the body is SSZ.
    pub(super) ssz: bool,
    /// `Eth-Consensus-Version`.
    version: Option<String>,
    body: Bytes,
}

impl Answer {
    /// A value of `fork` in the form in which it came. An error if the builder says that it is of another fork.
    pub(super) fn read<T: Json + Ssz>(&self, fork: Fork) -> Result<T, String> {
        let same_fork = |named: &str| {
            let same = named.eq_ignore_ascii_case(fork.name());
            same.then_some(())
                .ok_or_else(|| format!("it is of {}, wanted is {fork}", excerpt(named)))
        };
        if let Some(named) = &self.version {
            same_fork(named)?;
        }
        if self.ssz {
            return T::decode(&self.body, fork).map_err(|error| error.to_string());
        }
        let value: Value = serde_json::from_slice(&self.body).map_err(|error| error.to_string())?;
        let named = value.get("version").and_then(Value::as_str);
        same_fork(named.ok_or("it has no version")?)?;
        let data = value.get("data").ok_or("it has no data")?;
        T::from_json(data, fork, &[]).map_err(|error| error.to_string())
    }

    /// What an error says, for a message.
    pub(super) fn words(&self) -> String {
        let value: Option<Value> = serde_json::from_slice(&self.body).ok();
        let message = value.as_ref().and_then(|value| value.get("message")?.as_str());
        message.map(excerpt).unwrap_or_default()
    }
}

/// The beginning of what somebody else says, without what would break a line.
fn excerpt(text: &str) -> String {
    text.chars().take(WORDS).flat_map(char::escape_default).collect()
}

/// A client of one builder.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Scheme, host and path, without user, query and closing slash.
    base: String,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Http of {}", self.base)
    }
}

impl Http {
    /// A client of the builder at `url`, with the key that the address names as its user.
    pub(super) fn new(url: &str) -> Result<(Self, Option<BLSPubkey>)> {
        let (base, key) = parse(url)?;
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Ok((Http { client, base }, key))
    }

    /// The address for logs.
    pub(super) fn name(&self) -> &str {
        &self.base
    }

    /// Asks. An error in words if no answer comes in time or it is too long.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Answer, String> {
        let (time, what) = (ask.time, format!("{} {}", ask.method, self.base));
        match tokio::time::timeout(time, self.exchange(ask)).await {
            Ok(answer) => answer.map_err(|why| format!("the builder ({what}): {why}")),
            Err(_) => Err(format!(
                "the builder ({what}) did not answer within {} ms",
                time.as_millis()
            )),
        }
    }

    async fn exchange(&self, ask: Ask) -> Result<Answer, String> {
        let limit = ask.limit;
        let request = self.request(ask).map_err(|error| error.to_string())?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| format!("it cannot be reached: {error}"))?;
        let (status, text) = (response.status(), |headers: &HeaderMap, name: &str| {
            Some(headers.get(name)?.to_str().ok()?.to_owned())
        });
        let version = text(response.headers(), crate::api::http::CONSENSUS_VERSION);
        let kind = text(response.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
        let body = Limited::new(response.into_body(), limit).collect().await;
        let body = body.map_err(|error| format!("its answer breaks off or is longer than {limit} bytes: {error}"))?;
        Ok(Answer {
            status,
            ssz: kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(SSZ),
            version,
            body: body.to_bytes(),
        })
    }

    fn request(&self, ask: Ask) -> Result<Request<Full<Bytes>>> {
        let accept = if ask.accept_ssz {
            "application/octet-stream;q=1.0,application/json;q=0.9"
        } else {
            JSON
        };
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", self.base, ask.path))
            .header(ACCEPT, accept);
        for (name, value) in ask.headers {
            request = request.header(HeaderName::from_static(name), HeaderValue::from_str(&value)?);
        }
        let body = match (ask.ssz, ask.json) {
            (Some(ssz), _) => {
                request = request.header(CONTENT_TYPE, SSZ);
                ssz
            }
            (None, Some(json)) => {
                request = request.header(CONTENT_TYPE, JSON);
                json
            }
            (None, None) => Vec::new(),
        };
        Ok(request.body(Full::new(Bytes::from(body)))?)
    }
}

/// Scheme, host and path of an address, and the key that is its user: relays write `https://0x…@host`.
fn parse(url: &str) -> Result<(String, Option<BLSPubkey>)> {
    // What is wrong is told without repeating it: it may hold a secret.
    let form = "write it as http://127.0.0.1:18550";
    let uri: Uri = url
        .parse()
        .ok()
        .with_context(|| format!("--builder is no address: {form}"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    ensure!(
        scheme == "http" || scheme == "https",
        "--builder is neither http nor https: {form}"
    );
    let authority = uri
        .authority()
        .with_context(|| format!("--builder names no host: {form}"))?;
    let (user, host) = authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
    let key = if user.is_empty() {
        None
    } else {
        let key: Option<BLSPubkey> = user.parse().ok();
        Some(key.with_context(|| format!("--builder names a user who is no public key of a builder: {form}"))?)
    };
    let path = uri.path().trim_end_matches('/');
    Ok((format!("{scheme}://{host}{path}"), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_name_a_key_and_nothing_else() {
        let key = format!("0x{}", "ab".repeat(48));
        let (base, found) = parse(&format!("https://{key}@relay.example/path/?id=secret")).unwrap();
        assert_eq!(base, "https://relay.example/path");
        assert_eq!(found.map(|found| found.to_string()), Some(key));
        assert_eq!(parse("http://127.0.0.1:18550").unwrap().1, None);
        for url in [
            "ftp://host",
            "127.0.0.1:1",
            "http://user:secret@host",
            "/path",
            "http:// secret",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains("--builder") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn answers_of_another_fork_are_refused() {
        let answer = |version: Option<&str>, body: &'static str| Answer {
            status: StatusCode::OK,
            ssz: false,
            version: version.map(str::to_owned),
            body: Bytes::from_static(body.as_bytes()),
        };
        let read = |answer: Answer| answer.read::<consensus::types::Checkpoint>(Fork::Deneb);
        let body = r#"{"version":"deneb","data":{"epoch":"1","root":"0x0000000000000000000000000000000000000000000000000000000000000000"}}"#;
        assert_eq!(read(answer(Some("deneb"), body)).map(|found| found.epoch), Ok(1));
        assert!(read(answer(Some("electra"), body)).unwrap_err().contains("electra"));
        assert!(read(answer(None, r#"{"data":{}}"#)).is_err());
        assert!(read(answer(None, "[")).is_err());
    }
}
