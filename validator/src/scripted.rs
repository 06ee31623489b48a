//! A beacon node made of a script, for tests: a real socket on which each request is answered by a closure, also wrongly
//! and late, as nodes do.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// The headers' lines in lower case.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.path.split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// What is sent back.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Before anything is sent.
    pub(crate) delay: Duration,
    /// Sends `Transfer-Encoding: chunked`, in pieces of this size.
    pub(crate) chunked: Option<usize>,
    /// Says that the body is this much longer than it is.
    pub(crate) missing: usize,
    /// Keeps the connection open this long after the body: an event stream.
    pub(crate) linger: Duration,
    /// After the body, as long as the connection lives: waits for the next piece.
    pub(crate) feed: Option<Arc<Feed>>,
}

/// Waits for the next piece of an endless body.
pub(crate) type Feed = dyn Fn() -> Vec<u8> + Send + Sync;

impl Reply {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Reply {
            status: 200,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into().into_bytes(),
            delay: Duration::ZERO,
            chunked: None,
            missing: 0,
            linger: Duration::ZERO,
            feed: None,
        }
    }

    pub(crate) fn data(data: impl std::fmt::Display) -> Self {
        Reply::json(format!("{{\"execution_optimistic\":false,\"data\":{data}}}"))
    }

    pub(crate) fn status(status: u16, message: &str) -> Self {
        Reply {
            status,
            ..Reply::json(format!("{{\"code\":{status},\"message\":\"{message}\"}}"))
        }
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.into(), value.into()));
        self
    }
}

type Answer = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A running script. Its thread ends with the test's process.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    /// The authority of its certificate (PEM), where it speaks TLS.
    pub(crate) authority: Option<String>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    pub(crate) fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Scripted::start_with(None, answer)
    }

    /// The same over TLS, with a certificate for `127.0.0.1` by an authority that nobody else knows.
    pub(crate) fn start_tls(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let (config, authority) = certified();
        let mut scripted = Scripted::start_with(Some(config), answer);
        scripted.authority = Some(authority);
        scripted
    }

    fn start_with(tls: Option<Arc<ServerConfig>>, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer): (_, Arc<Answer>) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer, tls) = (kept.clone(), answer.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &kept, answer.as_ref()),
                    Some(config) => {
                        let connection = ServerConnection::new(config).ok()?;
                        serve(StreamOwned::new(connection, stream), &kept, answer.as_ref())
                    }
                });
            }
        });
        Scripted {
            address,
            authority: None,
            asked,
        }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// All requests so far whose path begins so.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|asked| asked.path.starts_with(path))
            .cloned()
            .collect()
    }
}

/// A server's side of TLS with a certificate of a new authority, and that authority (PEM).
fn certified() -> (Arc<ServerConfig>, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    let server = server.signed_by(&key, &authority, &authority_key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![server.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    (Arc::new(config), authority.pem())
}

fn serve(stream: impl Read + Write, kept: &Mutex<Vec<Asked>>, answer: &Answer) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let asked = read_request(&mut stream)?;
        kept.lock().unwrap().push(asked.clone());
        let reply = answer(&asked);
        std::thread::sleep(reply.delay);
        let writer = stream.get_mut();
        write_reply(writer, &reply).ok()?;
        while let Some(feed) = &reply.feed {
            writer.write_all(&feed()).ok()?;
            writer.flush().ok()?;
        }
        if reply.missing > 0 || !reply.linger.is_zero() {
            std::thread::sleep(reply.linger);
            return None;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Asked> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        headers.push(line);
    }
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        method,
        path,
        headers,
        body,
    })
}

fn write_reply(writer: &mut impl Write, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &[name.as_str(), ": ", value.as_str(), "\r\n"].concat();
    }
    if reply.chunked.is_some() {
        head.push_str("transfer-encoding: chunked\r\n\r\n");
    } else if reply.linger.is_zero() && reply.feed.is_none() {
        head += &[
            "content-length: ",
            &(reply.body.len() + reply.missing).to_string(),
            "\r\n\r\n",
        ]
        .concat();
    } else {
        head.push_str("connection: close\r\n\r\n");
    }
    writer.write_all(head.as_bytes())?;
    match reply.chunked {
        None => writer.write_all(&reply.body)?,
        Some(size) => {
            for piece in reply.body.chunks(size) {
                writer.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                writer.write_all(piece)?;
                writer.write_all(b"\r\n")?;
            }
            writer.write_all(b"0\r\n\r\n")?;
        }
    }
    writer.flush()
}
