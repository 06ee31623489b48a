//! One HTTP call: bounded in time and size, over TCP or TLS, with what the Beacon API puts into headers.
//!
//! A node may be far away, slow, broken or replaced by something else on its port. So every call has a deadline for the
//! whole of it, a limit for the body, and an error that says what happened without the URL's secrets.

use super::error::{CallError, Kind};
use super::names::{Names, Reach};
use super::url::NodeUrl;
use consensus::Fork;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use std::time::Duration;

/// A node that does not even take a connection in this time is passed over for the next.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A client has one call per kind of duty under way at a time; more idle connections are waste.
const IDLE_CONNECTIONS: usize = 4;
/// Longer than a slot, so that a connection lives from slot to slot where the server keeps it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// An error's body is for people: beyond this it is cut off.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// This much of a node's own words goes into a message.
const MAX_ERROR_WORDS: usize = 300;
/// An event stream may leave this long between the request and its head.
const STREAM_OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Ssz,
}

impl Form {
    fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Ssz => "application/octet-stream",
        }
    }
}

/// What is asked of a node.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query, from `/eth` on.
    pub(crate) path: String,
    pub(crate) body: Option<(Form, Bytes)>,
    /// `Eth-Consensus-Version` of the body.
    pub(crate) version: Option<Fork>,
    /// Whether SSZ is preferred for the answer.
    pub(crate) ssz: bool,
    /// Largest answer that is read.
    pub(crate) limit: usize,
    /// Time for the whole call.
    pub(crate) timeout: Duration,
}

impl Request {
    pub(crate) fn get(path: String, limit: usize, timeout: Duration) -> Self {
        Request {
            method: Method::GET,
            path,
            body: None,
            version: None,
            ssz: false,
            limit,
            timeout,
        }
    }

    pub(crate) fn post(path: String, form: Form, body: Bytes, limit: usize, timeout: Duration) -> Self {
        Request {
            method: Method::POST,
            body: Some((form, body)),
            ..Request::get(path, limit, timeout)
        }
    }
}

/// A successful answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) form: Form,
    /// `Eth-Consensus-Version`, if there is one that this version knows.
    pub(crate) version: Option<Fork>,
    /// `Eth-Execution-Payload-Blinded`.
    pub(crate) blinded: Option<bool>,
    /// The `Date` header, in seconds since 1970.
    pub(crate) date: Option<u64>,
    pub(crate) body: Bytes,
}

/// A client of one node with its pool of connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector<Names>>, Full<Bytes>>,
    url: Arc<NodeUrl>,
}

impl Http {
    /// A client that trusts the usual authorities and those that are named. An error if those have no certificate.
    pub(crate) fn new(url: NodeUrl, reach: &Reach) -> Result<Self, String> {
        let mut tcp = HttpConnector::new_with_resolver(Names::new(&reach.dns));
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(reach.authorities.as_deref())?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        let url = Arc::new(url);
        Ok(Http { client, url })
    }

    pub(crate) fn url(&self) -> &NodeUrl {
        &self.url
    }

    /// Makes a call. An error for every status but 2xx.
    pub(crate) async fn call(&self, request: Request) -> Result<Response, CallError> {
        let timeout = request.timeout;
        let what = format!("{} {}", request.method, shown_path(&request.path));
        let answer = tokio::time::timeout(timeout, self.call_untimed(request)).await;
        let result = answer.unwrap_or_else(|_| {
            let text = format!("no answer within {:.1} s", timeout.as_secs_f32());
            Err(CallError::new(Kind::Timeout, text))
        });
        result.map_err(|error| error.about(format_args!("{what} at {}", self.url)))
    }

    async fn call_untimed(&self, request: Request) -> Result<Response, CallError> {
        let limit = request.limit;
        let response = self.send(request).await?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            return Err(refusal(head.status, body).await);
        }
        let body = read_body(body, limit).await?;
        Ok(Response {
            status: head.status.as_u16(),
            form: form_of(&head.headers),
            version: header(&head.headers, "eth-consensus-version").and_then(|name| name.parse().ok()),
            blinded: header(&head.headers, "eth-execution-payload-blinded")
                .and_then(|text| text.to_ascii_lowercase().parse().ok()),
            date: header(&head.headers, DATE.as_str()).and_then(parse_http_date),
            body,
        })
    }

    /// Opens an event stream: the head has its deadline, the body is the caller's to bound.
    pub(crate) async fn open_stream(&self, path: String) -> Result<Incoming, CallError> {
        let mut request = Request::get(path, MAX_ERROR_BODY, STREAM_OPEN_TIMEOUT);
        let what = format!("GET {}", shown_path(&request.path));
        request.ssz = false;
        let opened = tokio::time::timeout(STREAM_OPEN_TIMEOUT, async {
            let response = self.send_accepting(request, "text/event-stream").await?;
            let (head, body) = response.into_parts();
            if head.status.is_success() {
                Ok(body)
            } else {
                Err(refusal(head.status, body).await)
            }
        });
        let result = opened
            .await
            .unwrap_or_else(|_| Err(CallError::new(Kind::Timeout, "the stream did not open in time")));
        result.map_err(|error| error.about(format_args!("{what} at {}", self.url)))
    }

    async fn send(&self, request: Request) -> Result<hyper::Response<Incoming>, CallError> {
        let accept = if request.ssz {
            "application/octet-stream;q=1.0,application/json;q=0.9"
        } else {
            "application/json"
        };
        self.send_accepting(request, accept).await
    }

    async fn send_accepting(&self, request: Request, accept: &str) -> Result<hyper::Response<Incoming>, CallError> {
        let mut built = hyper::Request::builder()
            .method(request.method)
            .uri(self.url.join(&request.path))
            .header(USER_AGENT, concat!("wren/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, accept);
        if let Some(secret) = self.url.authorization() {
            let mut value = HeaderValue::from_str(secret)
                .map_err(|_| CallError::new(Kind::Unreachable, "the credentials cannot be put into a header"))?;
            value.set_sensitive(true);
            built = built.header(AUTHORIZATION, value);
        }
        if let Some(fork) = request.version {
            built = built.header("Eth-Consensus-Version", fork.name());
        }
        let body = match request.body {
            Some((form, bytes)) => {
                built = built.header(CONTENT_TYPE, form.media_type());
                Full::new(bytes)
            }
            None => Full::default(),
        };
        // The builder's errors could name the URL, so they are not repeated.
        let built = built
            .body(body)
            .map_err(|_| CallError::new(Kind::Unreachable, "the address makes no valid request"))?;
        let sent = self.client.request(built).await;
        sent.map_err(|error| CallError::new(Kind::Unreachable, causes(&error)))
    }
}

/// The usual authorities of the web and those of `extra`, with the one crypto library of this program.
fn tls_config(extra: Option<&[u8]>) -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let Some(pem) = extra else {
        return Ok(builder.with_webpki_roots().with_no_client_auth());
    };
    let mut roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("the certificates cannot be read: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("a certificate is not usable as an authority: {error}"))?;
        added += 1;
    }
    if added == 0 {
        return Err("there is no certificate in it (PEM, BEGIN CERTIFICATE)".into());
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// A path for messages: without the query, which may hold a RANDAO reveal a hundred digits long.
fn shown_path(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn form_of(headers: &HeaderMap) -> Form {
    let media_type = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    if media_type.trim_start().starts_with(Form::Ssz.media_type()) {
        Form::Ssz
    } else {
        Form::Json
    }
}

async fn read_body(body: Incoming, limit: usize) -> Result<Bytes, CallError> {
    let collected = Limited::new(body, limit).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            CallError::bad_answer(format!("the answer is longer than {limit} bytes"))
        } else {
            CallError::new(Kind::Unreachable, format!("the answer broke off: {error}"))
        }
    })
}

/// The error for a status that is no success, with the node's own words.
async fn refusal(status: StatusCode, body: Incoming) -> CallError {
    let body = read_body(body, MAX_ERROR_BODY).await.unwrap_or_default();
    let words = error_words(&body);
    let reason = status.canonical_reason().unwrap_or("status without a name");
    let text = if words.is_empty() {
        format!("{} {reason}", status.as_u16())
    } else {
        format!("{} {reason}: {words}", status.as_u16())
    };
    let kind = if status == StatusCode::SERVICE_UNAVAILABLE {
        Kind::NotReady
    } else {
        Kind::Status(status.as_u16())
    };
    CallError {
        failed: failed_positions(&body),
        ..CallError::new(kind, text)
    }
}

/// The `index` of each of an error body's `failures`. The body's limit bounds them.
fn failed_positions(body: &[u8]) -> Vec<usize> {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let failures = json.as_ref().and_then(|json| json["failures"].as_array());
    let index = |failure: &serde_json::Value| {
        let index = &failure["index"];
        // A number by the API's text; some nodes quote it like all others.
        let index = index.as_u64().or_else(|| index.as_str()?.parse().ok());
        index.map(|index| index as usize)
    };
    failures.into_iter().flatten().filter_map(index).collect()
}

/// The `message` of an error body with the first of its `failures`, or the body's beginning. One line of plain text: a
/// node's words must not paint the terminal.
fn error_words(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let words = match &json {
        Some(json) => {
            let message = json["message"].as_str().unwrap_or_default();
            let failures = json["failures"].as_array().map(Vec::as_slice).unwrap_or_default();
            let first = failures.first().and_then(|first| first["message"].as_str());
            match first {
                Some(first) => format!("{message}; {} failed, the first with: {first}", failures.len()),
                None => message.to_string(),
            }
        }
        None => String::from_utf8_lossy(&body[..body.len().min(4 * MAX_ERROR_WORDS)]).into_owned(),
    };
    let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_ERROR_WORDS).collect::<String>().trim().to_string()
}

/// An error with what caused it: hyper's own text is only "client error (Connect)".
fn causes(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    // A chain of causes is short; the bound only guards against a ring.
    for _ in 0..16 {
        match deepest.source() {
            Some(source) => deepest = source,
            None => break,
        }
    }
    deepest.to_string()
}

/// Seconds since 1970 of `Tue, 15 Nov 1994 08:12:31 GMT`. Spec: RFC 9110, section 5.6.7 (the one form that is sent).
fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let month_name = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month_name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let plausible =
        (1970..10000).contains(&year) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !plausible || words.next() != Some("GMT") {
        return None;
    }
    Some(days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days of the Gregorian calendar since 1970: years begin with March here, so that the leap day is the last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month < 3 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        let cases = [
            ("Tue, 15 Nov 1994 08:12:31 GMT", Some(784_887_151)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:60 GMT", Some(1_709_251_200)),
            ("Sun, 01 Mar 2026 00:00:00 GMT", Some(1_772_323_200)),
            ("Sun, 01 Mar 2026 00:00:00 CET", None),
            ("Sun, 01 Mär 2026 00:00:00 GMT", None),
            ("Sun, 01 Mar 2026 25:00:00 GMT", None),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_http_date(text), seconds, "{text}");
        }
    }

    #[test]
    fn an_error_in_the_nodes_words_is_one_plain_short_line() {
        let failures = br#"{"code":400,"message":"some failures","failures":[{"index":3,"message":"late"}]}"#;
        assert_eq!(error_words(failures), "some failures; 1 failed, the first with: late");
        assert_eq!(failed_positions(failures), [3]);
        assert_eq!(
            failed_positions(b"{\"failures\":[{\"index\":\"1\"},{},{\"index\":2}]}"),
            [1, 2]
        );
        assert_eq!(error_words(b"{\"message\":\"a\\u001b[31m\\nb\"}"), "a [31m b");
        assert_eq!(error_words(b"<html>no</html>"), "<html>no</html>");
        assert_eq!(error_words(&vec![0xff; 100_000]).chars().count(), MAX_ERROR_WORDS);
        assert_eq!(error_words(b""), "");
    }
}
