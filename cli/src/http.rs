//! The few questions that commands ask of programs on this machine or in its network: Beacon API, Engine API, metrics.
//!
//! One connection for each question, plain HTTP/1.0: the answers are small and nothing has to be fast. The validator
//! client, which signs what it is told, has a client of its own that can do more.

use ::node::execution::JwtSecret;
use serde_json::{Value, json as value};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest answer that is read: the states of ten thousand validators have some 4 MB, and nothing else is asked for
/// that is longer.
const ANSWER_BYTES: u64 = 16 << 20;

/// Where to ask: host, port and what stands before every path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    host: String,
    port: u16,
    prefix: String,
}

/// Why there is no answer, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nothing listens there, or it does not answer in time.
    Unreached(String),
    /// An answer that is no success, with its status.
    Status(u16, String),
    /// An answer that is not what was asked for.
    Nonsense(String),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Silence::Unreached(why) | Silence::Nonsense(why) => f.write_str(why),
            Silence::Status(status, why) if why.is_empty() => write!(f, "it answers {status}"),
            Silence::Status(status, why) => write!(f, "it answers {status}: {why}"),
        }
    }
}

impl From<SocketAddr> for Base {
    fn from(address: SocketAddr) -> Self {
        Base {
            host: address.ip().to_string(),
            port: address.port(),
            prefix: String::new(),
        }
    }
}

impl std::str::FromStr for Base {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .ok_or("only plain http:// addresses can be asked by this command")?;
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("addresses with a user and password cannot be asked by this command".into());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (
                host,
                port.parse()
                    .map_err(|_| format!("{} is no port", port.escape_debug()))?,
            ),
            _ => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // What goes into a request line must not end it.
        if host.is_empty() || url.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err("that is no address".into());
        }
        let prefix = prefix.trim_end_matches('/');
        Ok(Base {
            host: host.to_owned(),
            port,
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("/{prefix}")
            },
        })
    }
}

impl std::fmt::Display for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bracketed = self.host.contains(':');
        let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
        write!(f, "http://{open}{}{close}:{}{}", self.host, self.port, self.prefix)
    }
}

/// A question: what is asked, with what, and how long its answer may take.
pub(crate) struct Question<'a> {
    pub(crate) path: &'a str,
    /// JSON for a POST; without it the question is a GET.
    pub(crate) body: Option<String>,
    /// The token of an `Authorization: Bearer` header.
    pub(crate) bearer: Option<String>,
    pub(crate) within: Duration,
}

impl<'a> Question<'a> {
    /// A GET.
    pub(crate) fn get(path: &'a str, within: Duration) -> Self {
        Question {
            path,
            body: None,
            bearer: None,
            within,
        }
    }

    /// A POST of JSON.
    pub(crate) fn post(path: &'a str, body: &Value, within: Duration) -> Self {
        Question {
            body: Some(body.to_string()),
            ..Question::get(path, within)
        }
    }

    fn text(&self, base: &Base) -> String {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        let mut text = format!(
            "{method} {}{} HTTP/1.0\r\nHost: {}\r\n",
            base.prefix, self.path, base.host
        );
        text += "Accept: application/json, text/plain;q=0.5\r\nConnection: close\r\n";
        if let Some(token) = &self.bearer {
            text += &["Authorization: Bearer ", token, "\r\n"].concat();
        }
        if let Some(body) = &self.body {
            let length = body.len().to_string();
            text += &["Content-Type: application/json\r\nContent-Length: ", &length, "\r\n"].concat();
        }
        text += "\r\n";
        text += self.body.as_deref().unwrap_or("");
        text
    }
}

/// The text of a successful answer.
pub(crate) async fn text(base: &Base, question: Question<'_>) -> Result<String, Silence> {
    let late = || Silence::Unreached(format!("no answer within {} s", question.within.as_secs_f32()));
    tokio::time::timeout(question.within, ask(base, &question))
        .await
        .map_err(|_| late())?
}

/// The JSON of a successful answer.
pub(crate) async fn json(base: &Base, question: Question<'_>) -> Result<Value, Silence> {
    let text = text(base, question).await?;
    serde_json::from_str(&text).map_err(|error| Silence::Nonsense(format!("its answer is no JSON: {error}")))
}

/// The result of a method of an execution client's Engine API, which wants a token of the secret.
pub(crate) async fn engine(
    base: &Base,
    secret: &JwtSecret,
    method: &str,
    params: &Value,
    within: Duration,
) -> Result<Value, Silence> {
    let request = value!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let question = Question {
        bearer: Some(secret.token(crate::words::now_ms() / 1000)),
        ..Question::post("/", &request, within)
    };
    let answer = json(base, question).await?;
    answer
        .get("result")
        .cloned()
        .ok_or_else(|| Silence::Nonsense(format!("it refuses {method}")))
}

async fn ask(base: &Base, question: &Question<'_>) -> Result<String, Silence> {
    let unreached = |error: std::io::Error| Silence::Unreached(error.to_string());
    let mut stream = TcpStream::connect((base.host.as_str(), base.port))
        .await
        .map_err(unreached)?;
    stream
        .write_all(question.text(base).as_bytes())
        .await
        .map_err(unreached)?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES)
        .read_to_end(&mut answer)
        .await
        .map_err(unreached)?;
    let nonsense = || Silence::Nonsense("its answer is no HTTP".into());
    let text = String::from_utf8(answer).map_err(|_| nonsense())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(nonsense)?;
    let status: u16 = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(nonsense)?;
    if (200..300).contains(&status) {
        return Ok(body.to_owned());
    }
    Err(Silence::Status(status, reason(body)))
}

/// What an error says of itself: the message of the Beacon API's form, or a first line; bounded, and without what would
/// move a terminal's cursor.
fn reason(body: &str) -> String {
    const LETTERS: usize = 200;
    let told = serde_json::from_str::<Value>(body).ok();
    let told = told.as_ref().and_then(|value| value.get("message")?.as_str());
    let line = told.unwrap_or_else(|| body.lines().next().unwrap_or(""));
    line.chars()
        .filter(|letter| !letter.is_control())
        .take(LETTERS)
        .collect()
}

/// A quoted number of an answer.
pub(crate) fn number(value: &Value, path: &str) -> Option<u64> {
    value.pointer(path)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, shown) in [
            ("http://127.0.0.1:5052", "http://127.0.0.1:5052"),
            ("http://node:5052/", "http://node:5052"),
            ("http://[::1]:80/a/b/", "http://[::1]:80/a/b"),
            ("http://box", "http://box:80"),
        ] {
            assert_eq!(text.parse::<Base>().unwrap().to_string(), shown);
        }
        for wrong in [
            "https://x",
            "http://",
            "http://u:p@x",
            "http://x:y",
            "http://x y",
            "x:5052",
        ] {
            assert!(wrong.parse::<Base>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn errors_are_short_and_cannot_move_the_cursor() {
        assert_eq!(reason("{\"code\":503,\"message\":\"syncing\"}"), "syncing");
        assert_eq!(reason("\u{1b}[2Jgone\nsecond"), "[2Jgone");
        assert_eq!(reason(&"x".repeat(5000)).len(), 200);
    }
}
