//! A beacon node made of a script, for tests: a real socket on which each request is answered by a closure, also wrongly
//! and late, as nodes do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
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
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    pub(crate) fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer): (_, Arc<Answer>) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (kept.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &kept, answer.as_ref()));
            }
        });
        Scripted { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
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

fn serve(stream: TcpStream, kept: &Mutex<Vec<Asked>>, answer: &Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let asked = read_request(&mut reader)?;
        kept.lock().unwrap().push(asked.clone());
        let reply = answer(&asked);
        std::thread::sleep(reply.delay);
        write_reply(&mut writer, &reply).ok()?;
        while let Some(feed) = &reply.feed {
            writer.write_all(&feed()).ok()?;
        }
        if reply.missing > 0 || !reply.linger.is_zero() {
            std::thread::sleep(reply.linger);
            return None;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
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

fn write_reply(writer: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
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
