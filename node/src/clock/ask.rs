//! Asking a server for the time: any answer of HTTP has a `Date` header, whatever was asked.

use super::unix_ms;
use super::words::{Ahead, Weight, of_certificate, parse_http_date};
use crate::tls::Authorities;
use anyhow::{Context as _, Result};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::DATE;
use hyper::{Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::IpAddr;
use std::time::Duration;

/// Name, connection and answer: a server that takes longer is no clock.
const WITHIN: Duration = Duration::from_secs(5);

/// A server whose `Date` header is looked at.
pub struct Server {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// Without user and password: the question needs none.
    uri: Uri,
    host: String,
    port: u16,
    /// Where the server is known to have a clock of its own; otherwise its addresses tell.
    weight: Option<Weight>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// What came of a question.
pub(super) struct Answer {
    pub(super) ahead: Ahead,
    pub(super) weight: Weight,
}

impl Server {
    /// The server of a URL with http or https, by the usual authorities. Errors say how it is written.
    pub fn new(url: &str) -> Result<Self> {
        Server::trusting(url, &Authorities::default())
    }

    /// The same by these authorities.
    pub fn trusting(url: &str, authorities: &Authorities) -> Result<Self> {
        let uri: Uri = url.parse().ok().context("the address cannot be read")?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
        let scheme = scheme.context("the address begins with http:// or https://")?;
        let authority = uri.authority().context("the address names no host")?.as_str();
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let plain = format!("{scheme}://{authority}/").parse::<Uri>();
        let plain = plain.ok().context("the address cannot be read")?;
        let host = plain.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = plain.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Ok(Server {
            client: Client::builder(TokioExecutor::new()).build(authorities.connector()?),
            uri: plain,
            host,
            port,
            weight: None,
        })
    }

    /// The same server, known to have a clock of its own wherever it is.
    #[must_use]
    pub fn with_own_clock(self) -> Self {
        Server {
            weight: Some(Weight::Full),
            ..self
        }
    }

    /// Its host, for logs.
    pub(super) fn name(&self) -> &str {
        &self.host
    }

    /// How much it counts: nothing on this machine, since it has our clock; in a private network it may be this machine
    /// by another name. `None` too where its name is not known.
    async fn weight(&self) -> Option<Weight> {
        if self.weight.is_some() {
            return self.weight;
        }
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await.ok()?;
        let addresses: Vec<IpAddr> = found.map(|address| address.ip().to_canonical()).collect();
        if addresses.iter().all(IpAddr::is_loopback) {
            return None;
        }
        let is_near = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        };
        Some(if addresses.iter().any(is_near) {
            Weight::Against
        } else {
            Weight::Full
        })
    }

    /// Asks; `None` where it says nothing.
    pub(super) async fn ask(&self) -> Option<Answer> {
        tokio::time::timeout(WITHIN, self.exchange()).await.ok()?
    }

    async fn exchange(&self) -> Option<Answer> {
        let weight = self.weight().await?;
        let request = Request::get(self.uri.clone()).body(Empty::new()).ok()?;
        let asked_ms = unix_ms();
        let ahead = match self.client.request(request).await {
            Ok(response) => {
                let date = response.headers().get(DATE)?.to_str().ok()?;
                Ahead::of_date(parse_http_date(date)?, asked_ms, unix_ms())
            }
            // Where the clock is wrong by months, no certificate is valid: that tells as much.
            Err(error) => of_certificate(&causes(&error))?,
        };
        Some(Answer { ahead, weight })
    }
}

/// An error with what caused it: the outermost says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // Chains of causes are short; this is a limit against one that is not.
    for _ in 0..8 {
        let Some(inner) = cause else { break };
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_on_this_machine_has_no_clock_of_its_own() {
        for url in [
            "http://127.0.0.1:1",
            "http://[::1]:1/x",
            "https://user:secret@localhost/",
        ] {
            let server = Server::new(url).unwrap();
            assert_eq!(server.weight().await, None, "{url}");
            assert!(!format!("{server:?} {}", server.uri).contains("secret"));
        }
        for url in ["http://10.1.2.3:8551", "http://192.168.0.9", "https://[fd00::1]/"] {
            assert_eq!(Server::new(url).unwrap().weight().await, Some(Weight::Against), "{url}");
        }
        let public = Server::new("https://192.0.2.7/path").unwrap();
        assert_eq!(public.weight().await, Some(Weight::Full));
        assert_eq!((public.name(), public.port), ("192.0.2.7", 443));
        let told = Server::new("http://127.0.0.1:1").unwrap().with_own_clock();
        assert_eq!(told.weight().await, Some(Weight::Full));
        for wrong in ["127.0.0.1:5052", "ftp://host", "http://", "with spaces"] {
            assert!(Server::new(wrong).is_err(), "{wrong}");
        }
    }
}
