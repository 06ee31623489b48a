//! Large answers over HTTP: streamed to a file, with a limit on size and silence, and taken up again where they broke off
//! if the server can.

use crate::tls::Authorities;
use anyhow::{Context as _, Result, anyhow};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// For how long a download is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A server that is silent for so long has failed.
    pub silence: Duration,
    /// How often a broken connection is made again without a byte more having come.
    pub attempts: u32,
    /// The pause before that.
    pub pause: Duration,
    /// Fewer bytes than this a second and a state would take hours: better ask another server.
    pub rate: u64,
    /// How long a download may take before its rate counts.
    pub grace: Duration,
    /// Largest state that is taken.
    pub state_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            // A server may encode the whole state before its first byte.
            silence: Duration::from_mins(1),
            attempts: 5,
            pause: Duration::from_secs(2),
            rate: 10_000,
            grace: Duration::from_mins(1),
            state_bytes: super::STATE_BYTES_MAX,
        }
    }
}

/// How often progress is told.
const TELL: Duration = Duration::from_secs(5);

/// A server of checkpoints.
pub struct Download {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// Scheme and authority.
    base: String,
    /// `Authorization` for what stood before the `@`.
    login: Option<String>,
    name: String,
    limits: Limits,
}

impl Download {
    /// A server at a URL with http or https. Errors say how it is written, without user and password.
    pub fn new(url: &str, authorities: &Authorities, limits: &Limits) -> Result<Self> {
        let uri: Uri = url.parse().context("the checkpoint's URL cannot be read")?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
        let scheme = scheme.context("the checkpoint's URL begins with http:// or https://")?;
        let authority = uri.authority().context("the checkpoint's URL names no host")?.as_str();
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(format!("Basic {}", base64(login.as_bytes()))), host),
            None => (None, authority),
        };
        let path = uri.path().trim_end_matches('/');
        Ok(Download {
            client: Client::builder(TokioExecutor::new()).build(authorities.connector()?),
            base: format!("{scheme}://{host}{path}"),
            login,
            name: host.to_owned(),
            limits: *limits,
        })
    }

    /// The host, for logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A small answer.
    pub async fn bytes(&self, path: &str, accept: &str, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut sink = Sink::Memory(&mut bytes);
        let all = self.all(path, accept, most, &mut sink, Progress::from(0)).await;
        all.map_err(Failed::why)?;
        Ok(bytes)
    }

    /// A large answer by way of a file, whose name is gone in the end: what it holds lives as long as its handle. It goes on
    /// behind what the file holds already, and the file stays where more may come of it: where the server cannot be
    /// reached, or the work is given up.
    pub(super) async fn file(&self, path: &str, accept: &str, most: u64, file: &Path) -> Result<File, Failed> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let opened = options.open(file).and_then(|mut opened| {
            let length = opened.seek(SeekFrom::End(0))?;
            Ok((opened, length))
        });
        let opened = opened.with_context(|| format!("cannot write {}", file.display()));
        let (mut opened, length) = opened.map_err(Failed::Final)?;
        let progress = Progress::from(length);
        let result = self
            .all(path, accept, most, &mut Sink::File(&mut opened), progress)
            .await;
        if !matches!(result, Err(Failed::Broken(_))) {
            let removed = std::fs::remove_file(file);
            removed
                .with_context(|| format!("cannot remove {}", file.display()))
                .map_err(Failed::Final)?;
        }
        result.map(|()| opened)
    }

    /// Asks until all has come, going on where a connection broke.
    async fn all(
        &self,
        path: &str,
        accept: &str,
        most: u64,
        sink: &mut Sink<'_>,
        mut progress: Progress,
    ) -> Result<(), Failed> {
        let mut attempts = 0;
        loop {
            let before = progress.received;
            match self.part(path, accept, most, sink, &mut progress).await {
                Ok(()) => return Ok(()),
                Err(Failed::Final(why)) => return Err(Failed::Final(why)),
                Err(Failed::Broken(why)) => {
                    attempts = if progress.received > before { 1 } else { attempts + 1 };
                    if attempts >= self.limits.attempts {
                        let why = why.context(format!(
                            "{} fails again and again (is the address right, and this machine online? take another server \
                             if that one is gone)",
                            self.name
                        ));
                        return Err(Failed::Broken(why));
                    }
                    tracing::warn!("{}: {why:#}; trying again", self.name);
                    tokio::time::sleep(self.limits.pause).await;
                }
            }
        }
    }

    /// One request, for what is not here yet.
    async fn part(
        &self,
        path: &str,
        accept: &str,
        most: u64,
        sink: &mut Sink<'_>,
        progress: &mut Progress,
    ) -> Result<(), Failed> {
        let mut request = Request::get(format!("{}{path}", self.base)).header(ACCEPT, accept);
        if let Some(login) = &self.login {
            request = request.header(AUTHORIZATION, login);
        }
        if progress.received > 0 {
            request = request.header(RANGE, format!("bytes={}-", progress.received));
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| Failed::Final(anyhow!(error)))?;
        let response = tokio::time::timeout(self.limits.silence, self.client.request(request)).await;
        let response = response.map_err(|_| self.silent())?;
        let response = response.map_err(|error| self.unreached(&chain(&error)))?;
        let expected = self.take_head(&response, most, sink, progress)?;
        progress.expected = expected;
        self.take_body(response.into_body(), most, sink, progress).await?;
        if let Some(expected) = expected.filter(|expected| *expected > progress.received) {
            let received = progress.received;
            return Err(Failed::Broken(anyhow!(
                "it broke off at {received} of {expected} bytes"
            )));
        }
        Ok(())
    }

    /// Checks status and lengths; starts anew where the server does not go on. Returns the length of the whole.
    fn take_head(
        &self,
        response: &Response<Incoming>,
        most: u64,
        sink: &mut Sink<'_>,
        progress: &mut Progress,
    ) -> Result<Option<u64>, Failed> {
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let length: Option<u64> = text(CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let expected = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let from = format!("bytes {}-", progress.received);
                let range = text(CONTENT_RANGE).unwrap_or_default();
                if !range.starts_with(&from) {
                    let why = anyhow!("it was asked for {from} and answers with '{}'", range.escape_debug());
                    return Err(Failed::Final(why));
                }
                length.map(|length| length.saturating_add(progress.received))
            }
            StatusCode::OK => {
                if progress.received > 0 {
                    tracing::info!("{} does not go on where it broke off: from the start again", self.name);
                    sink.restart().map_err(Failed::Final)?;
                    *progress = Progress::from(0);
                }
                length
            }
            // It has not what it had, or does not like being asked for a part: from the start again.
            StatusCode::RANGE_NOT_SATISFIABLE => {
                sink.restart().map_err(Failed::Final)?;
                *progress = Progress::from(0);
                return Err(Failed::Broken(anyhow!("it has no such part")));
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failed::Broken(anyhow!("it answers {status}")));
            }
            status => {
                let why = anyhow!(
                    "{} answers {status}; does it serve the Beacon API, debug namespace included?",
                    self.name
                );
                return Err(Failed::Final(why));
            }
        };
        if let Some(expected) = expected.filter(|expected| *expected > most) {
            let why = anyhow!(
                "{} sends {expected} bytes, more than the {most} that it can have",
                self.name
            );
            return Err(Failed::Final(why));
        }
        Ok(expected)
    }

    async fn take_body(
        &self,
        mut body: Incoming,
        most: u64,
        sink: &mut Sink<'_>,
        progress: &mut Progress,
    ) -> Result<(), Failed> {
        loop {
            let frame = tokio::time::timeout(self.limits.silence, body.frame()).await;
            let Some(frame) = frame.map_err(|_| self.silent())? else {
                return Ok(());
            };
            let frame = frame.map_err(|error| Failed::Broken(anyhow!("it broke off: {}", chain(&error))))?;
            let Ok(data) = frame.into_data() else { continue };
            progress.received += data.len() as u64;
            if progress.received > most {
                let why = anyhow!("{} sends more than the {most} bytes that it can have", self.name);
                return Err(Failed::Final(why));
            }
            sink.write(&data).map_err(Failed::Final)?;
            progress.tell(&self.name);
            if progress.is_slow(&self.limits) {
                let why = anyhow!(
                    "{} sends fewer than {} bytes a second: ask another",
                    self.name,
                    self.limits.rate
                );
                return Err(Failed::Final(why));
            }
        }
    }

    fn unreached(&self, why: &str) -> Failed {
        if why.contains("certificate") {
            return Failed::Final(anyhow!(
                "{} is not trusted: {why}; name the authority that has made its certificate by --tls-ca FILE, or ask \
                 another server",
                self.name
            ));
        }
        Failed::Broken(anyhow!("it cannot be reached: {why}"))
    }

    fn silent(&self) -> Failed {
        Failed::Broken(anyhow!("nothing came for {} seconds", self.limits.silence.as_secs()))
    }
}

/// Why a request did not bring all.
#[derive(Debug)]
pub(super) enum Failed {
    /// Asking again may help.
    Broken(anyhow::Error),
    /// It would not.
    Final(anyhow::Error),
}

impl Failed {
    pub(super) fn why(self) -> anyhow::Error {
        match self {
            Failed::Broken(why) | Failed::Final(why) => why,
        }
    }
}

/// Where bytes go.
enum Sink<'a> {
    Memory(&'a mut Vec<u8>),
    File(&'a mut File),
}

impl Sink<'_> {
    fn write(&mut self, data: &[u8]) -> Result<()> {
        match self {
            Sink::Memory(bytes) => bytes.extend_from_slice(data),
            Sink::File(file) => file.write_all(data).context("cannot write the checkpoint's file")?,
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        match self {
            Sink::Memory(bytes) => bytes.clear(),
            Sink::File(file) => {
                file.set_len(0).context("cannot clear the checkpoint's file")?;
                file.rewind().context("cannot rewind the checkpoint's file")?;
            }
        }
        Ok(())
    }
}

struct Progress {
    /// Bytes that are here.
    received: u64,
    /// Those of them that were here before.
    before: u64,
    expected: Option<u64>,
    since: Instant,
    told: Instant,
}

impl Progress {
    /// Behind so many bytes.
    fn from(received: u64) -> Self {
        let now = Instant::now();
        Progress {
            received,
            before: received,
            expected: None,
            since: now,
            told: now,
        }
    }

    /// Bytes a second.
    fn rate(&self) -> u64 {
        let seconds = self.since.elapsed().as_secs().max(1);
        (self.received - self.before) / seconds
    }

    fn is_slow(&self, limits: &Limits) -> bool {
        self.since.elapsed() > limits.grace && self.rate() < limits.rate
    }

    fn tell(&mut self, name: &str) {
        if self.told.elapsed() < TELL {
            return;
        }
        self.told = Instant::now();
        let (rate, mb) = (self.rate(), |bytes: u64| bytes / 1_000_000);
        let left = self
            .expected
            .map(|expected| expected.saturating_sub(self.received) / rate.max(1));
        let of = self
            .expected
            .map_or_else(String::new, |expected| format!(" of {} MB", mb(expected)));
        let left = left.map_or_else(String::new, |seconds| format!(", {seconds} s left"));
        tracing::info!("{name}: {} MB{of}, {} kB/s{left}", mb(self.received), rate / 1000);
    }
}

/// An error with its causes: the outermost alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Spec: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let at = |place: usize| u32::from(piece.get(place).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= piece.len() {
                char::from(DIGITS[index])
            } else {
                '='
            });
        }
    }
    text
}
