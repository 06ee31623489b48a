//! Where a beacon node is: `http[s]://[user:password@]host[:port][/prefix]`.
//!
//! Credentials and the path prefix (where some providers put their token) are secrets: what is shown of a URL has
//! neither.

use std::fmt;
use std::str::FromStr;

/// A URL beyond this is none; it bounds what is kept and sent with each request.
const MAX_URL_BYTES: usize = 2048;

/// The address of a beacon node. `Display` and `Debug` leave out what is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeUrl {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Host without port; IPv6 in brackets.
    pub host: String,
    /// The port, where the URL names one.
    pub port: Option<u16>,
    /// What comes before `/eth/…`: empty, or beginning with `/` and not ending with one.
    prefix: String,
    /// The value of the `Authorization` header.
    authorization: Option<String>,
}

impl NodeUrl {
    /// The full URL of a path below the prefix, without credentials.
    pub(crate) fn join(&self, path_and_query: &str) -> String {
        format!("{}{}{path_and_query}", self.origin(), self.prefix)
    }

    /// The value of the `Authorization` header, a secret.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// The same address with a bearer token (RFC 6750) in place of credentials.
    #[must_use]
    pub(crate) fn with_bearer(self, token: &str) -> Self {
        NodeUrl {
            authorization: Some(format!("Bearer {token}")),
            ..self
        }
    }

    /// Scheme, host and port.
    fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{}{port}", self.host)
    }

    /// Whether the node is on this machine, by its name: its clock is then ours and says nothing about it.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }

    /// Whether a password would cross a network in clear.
    pub fn shows_password(&self) -> bool {
        self.authorization.is_some() && !self.https && !self.is_loopback()
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.prefix.is_empty() { "" } else { "/…" };
        write!(f, "{}{hidden}", self.origin())
    }
}

impl fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeUrl {
    type Err = String;

    /// Reads a URL; the error says what is wrong and never repeats the input, which may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_URL_BYTES {
            return Err(format!("it is longer than {MAX_URL_BYTES} characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has a space or a character that is not ASCII; write that as %XX".into());
        }
        let (https, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err("it does not begin with http:// or https://".into()),
        };
        if rest.contains(['?', '#']) {
            return Err("it has a query or fragment, which no beacon node's address has".into());
        }
        let (authority, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        let (host, port) = split_port(host)?;
        Ok(NodeUrl {
            https,
            host,
            port,
            prefix: prefix.trim_end_matches('/').to_string(),
            authorization: credentials.map(basic_authorization).transpose()?,
        })
    }
}

/// Host and port of `host[:port]`, where the host may be an IPv6 address in brackets.
fn split_port(authority: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (address, rest) = inner.split_once(']').ok_or("a bracket is not closed")?;
        address
            .parse::<std::net::Ipv6Addr>()
            .map_err(|_| "what stands in brackets is no IPv6 address")?;
        (format!("[{address}]"), rest.strip_prefix(':'))
    } else {
        let (host, port) = authority
            .split_once(':')
            .map_or((authority, None), |(host, port)| (host, Some(port)));
        (host.to_string(), port)
    };
    if host.is_empty() {
        return Err("it names no host".into());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    if !host.chars().all(allowed) {
        return Err("its host has a character that no host name has".into());
    }
    let port = port.map(|port| {
        port.parse()
            .map_err(|_| "its port is no number from 0 to 65535".to_string())
    });
    Ok((host, port.transpose()?))
}

/// `user:password`, percent-encoded, as the header of basic authentication. Spec: RFC 7617.
fn basic_authorization(credentials: &str) -> Result<String, String> {
    let decoded = percent_decode(credentials).ok_or("its credentials have a % without two hex digits")?;
    let decoded = if decoded.contains(&b':') {
        decoded
    } else {
        [&decoded[..], b":"].concat()
    };
    Ok(format!("Basic {}", base64(&decoded)))
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            decoded.push((high * 16 + low) as u8);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// Spec: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for piece in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..piece.len()].copy_from_slice(piece);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= piece.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> NodeUrl {
        text.parse().unwrap()
    }

    #[test]
    fn parts_are_found_and_secrets_not_shown() {
        let plain = url("http://127.0.0.1:5052");
        assert_eq!(
            plain.join("/eth/v1/node/version"),
            "http://127.0.0.1:5052/eth/v1/node/version"
        );
        assert_eq!(plain.authorization(), None);
        assert!(plain.is_loopback() && !plain.shows_password());

        let full = url("https://al:pa%3Ass@node.example.org/token1234/eth2/");
        assert_eq!(full.join("/x"), "https://node.example.org/token1234/eth2/x");
        // RFC 4648 of "al:pa:ss".
        assert_eq!(full.authorization(), Some("Basic YWw6cGE6c3M="));
        assert_eq!(
            format!("{full} {full:?}"),
            "https://node.example.org/… https://node.example.org/…"
        );
        assert!(!full.shows_password());
        assert!(url("http://a:b@10.0.0.2").shows_password());
        assert!(url("http://[::1]:1").is_loopback());
    }

    #[test]
    fn base64_as_in_the_standard() {
        // The examples of RFC 4648, section 10.
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        let bad = [
            "127.0.0.1:5052",
            "ftp://secret",
            "http://",
            "http://:5052",
            "http://host:70000",
            "http://host:secret",
            "http://[::1",
            "http://[secret]",
            "http://host?key=secret",
            "http://ho st",
            "http://sec%ret@host",
            "http://secret_ö",
            "http://ho\"st",
        ];
        for text in bad {
            let error = text.parse::<NodeUrl>().unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(format!("http://{}", "a".repeat(3000)).parse::<NodeUrl>().is_err());
    }
}
