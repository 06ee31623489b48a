//! Requests and answers on a stream, in both directions, each step within a time limit.

use super::frames::{Broken, FRAME_HEADER, Scanner, Varint, decompress, write_payload};
use super::protocol::ProtocolId;
use crate::network::digests::{Digests, Era};
use consensus::Config;
use consensus::types::ForkDigest;
use futures_util::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::timeout;

/// How long a peer may take to send its request once the stream is there: it should come with the stream.
pub const REQUEST_TIME: Duration = Duration::from_secs(10);

/// How long the next part of an answer may take. Peers may hold parts back to limit their rate, and a small machine reads
/// slowly; a peer from which nothing comes for so long is of no use.
pub const PART_TIME: Duration = Duration::from_secs(15);

/// How long a peer may take to accept one part of an answer: 10 MiB at 1 MiB/s.
pub const ACCEPT_TIME: Duration = Duration::from_secs(10);

/// How long what a peer sends behind its request is read: a round trip on a bad line.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Bytes of an error message, at most. Spec: phase0/p2p-interface.md, `ErrorMessage`.
pub const ERROR_MAX: usize = 256;

/// Bytes read at once where little is wanted.
const BUFFER: usize = 4 << 10;

/// Why a stream ended before its time.
#[derive(Debug)]
pub enum Failure {
    /// The peer broke the protocol.
    Broken(Broken),
    /// The stream did.
    Io(io::Error),
    /// It took too long.
    TimedOut,
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Failure::Broken(broken)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Broken(why) => write!(f, "{why}"),
            Failure::Io(error) => write!(f, "{error}"),
            Failure::TimedOut => f.write_str("it took too long"),
        }
    }
}

/// The code that a part begins with. Spec: phase0/p2p-interface.md, "Responding side".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the variants are the spec's names
pub enum Code {
    InvalidRequest = 1,
    ServerError = 2,
    ResourceUnavailable = 3,
}

/// A payload that has come: its length and its frames, not decompressed yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed {
    length: usize,
    frames: Vec<u8>,
}

impl Packed {
    /// Decompresses it: work, so on a worker where it is long.
    pub fn unpack(&self) -> Result<Vec<u8>, Broken> {
        decompress(&self.frames, self.length)
    }

    /// Bytes it has after decompression.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Bytes that came for it.
    pub fn wire_len(&self) -> usize {
        self.frames.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// A part of an answer.
#[derive(Debug)]
pub enum Part {
    /// What was asked for, of the era that its digest names.
    Content(Option<Era>, Packed),
    /// An error: its code and message.
    Error(u8, String),
}

/// The reading end.
pub struct Reader<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// Reads from this stream.
    pub fn new(stream: S) -> Self {
        Reader {
            stream: BufReader::with_capacity(BUFFER, stream),
        }
    }

    /// The stream, to write to it.
    pub fn stream_mut(&mut self) -> &mut S {
        self.stream.get_mut()
    }

    /// A request: its payload, after which the peer has closed its side.
    pub async fn request(&mut self, bounds: RangeInclusive<usize>) -> Result<Packed, Failure> {
        let read = async {
            let packed = self.payload(bounds).await?;
            let mut beyond = [0; 16];
            let rest = self.stream.read(&mut beyond).await?;
            // Nothing compressed is nothing, or an identifier with no frame behind it.
            if rest > 0 && !(packed.is_empty() && rest == 10) {
                return Err(Broken("bytes follow the request").into());
            }
            Ok(packed)
        };
        timeout(REQUEST_TIME, read).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// Reads what still comes and throws it away, for a short time.
    pub async fn drain(&mut self) {
        let drain = async {
            let mut bytes = [0; 256];
            while let Ok(1..) = self.stream.read(&mut bytes).await {}
        };
        let _ = timeout(DRAIN_TIME, drain).await;
    }

    /// The next part of an answer; `None` at its end.
    pub async fn part(&mut self, id: ProtocolId, digests: &Digests, config: &Config) -> Result<Option<Part>, Failure> {
        let read = async {
            let mut code = [0];
            if self.stream.read(&mut code).await? == 0 {
                return Ok(None);
            }
            if code[0] != 0 {
                let packed = self.payload(0..=ERROR_MAX).await?;
                let message = packed.unpack()?;
                return Ok(Some(Part::Error(code[0], printable(&message))));
            }
            let mut digest = None;
            if id.has_context() {
                let mut bytes = [0; 4];
                self.stream.read_exact(&mut bytes).await?;
                digest = Some(ForkDigest::from(bytes));
            }
            let era = id.era(digest, digests)?;
            let bounds = id.protocol.answer_len(id.version, era, config);
            let bounds = bounds.ok_or(Broken("there is no such content in the fork of the digest"))?;
            Ok(Some(Part::Content(era, self.payload(bounds).await?)))
        };
        timeout(PART_TIME, read).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn payload(&mut self, bounds: RangeInclusive<usize>) -> Result<Packed, Failure> {
        let mut varint = Varint::default();
        let length = loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).await?;
            if let Some(length) = varint.push(byte[0])? {
                break length;
            }
        };
        let length = usize::try_from(length).ok().filter(|length| bounds.contains(length));
        let length = length.ok_or(Broken("the length is outside of the bounds of the type"))?;
        let mut scanner = Scanner::new(length);
        // Grows with what comes, not with what was promised.
        let mut frames = Vec::new();
        while !scanner.is_complete() {
            let mut header = [0; FRAME_HEADER];
            self.stream.read_exact(&mut header).await?;
            let size = scanner.frame(header)?;
            frames.extend_from_slice(&header);
            let begin = frames.len();
            frames.resize(begin + size, 0);
            self.stream.read_exact(&mut frames[begin..]).await?;
            scanner.contents(header[0], &frames[begin..])?;
        }
        Ok(Packed { length, frames })
    }
}

/// What of a peer's message can be shown: it may hold anything.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let shown = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    shown.take(ERROR_MAX).collect()
}

/// Sends a request and closes the sending side.
pub async fn send_request<S: AsyncWrite + Unpin>(stream: &mut S, ssz: Option<&[u8]>) -> Result<(), Failure> {
    let send = async {
        if let Some(ssz) = ssz {
            let mut out = Vec::new();
            write_payload(ssz, &mut out);
            stream.write_all(&out).await?;
        }
        stream.close().await?;
        Ok(())
    };
    timeout(REQUEST_TIME, send).await.unwrap_or(Err(Failure::TimedOut))
}

/// The bytes of a part: the success code, the digest if there is one, the payload. Compresses, so that it is for
/// readers and workers where it is long.
pub fn part(digest: Option<ForkDigest>, ssz: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    if let Some(digest) = digest {
        out.extend_from_slice(&digest.0);
    }
    write_payload(ssz, &mut out);
    out
}

/// The bytes of an error.
pub fn error(code: Code, message: &str) -> Vec<u8> {
    let mut out = vec![code as u8];
    let bytes = message.as_bytes();
    write_payload(&bytes[..bytes.len().min(ERROR_MAX)], &mut out);
    out
}

/// Sends a part that `part` or `error` made.
pub async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Failure> {
    let send = async {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        Ok(())
    };
    timeout(ACCEPT_TIME, send).await.unwrap_or(Err(Failure::TimedOut))
}
