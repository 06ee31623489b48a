//! Requests of this node.

use super::pace::{self, Pace};
use super::protocol::{Content, Protocol, ProtocolId, own_fork};
use super::stream::{Failure, Packed, Part, Reader, send_request};
use super::streams::{Open, Unopened};
use crate::network::counts::Outcome;
use crate::network::digests::Era;
use crate::network::peer::{Chunk, Offence, Request, RequestError};
use crate::network::shared::{Command, Place, Shared};
use crate::work::{Busy, Lane};
use consensus::Fork;
use consensus::ssz::{Bound, Ssz};
use consensus::types::{BlobSidecar, DataColumnSidecar, MetaData, SignedBeaconBlock, Status};
use libp2p::PeerId;
use libp2p::swarm::Stream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// How long a stream may take to be there: the negotiation, and a turn of the swarm.
const OPEN_TIME: Duration = Duration::from_secs(12);

/// How long a whole answer may take: all that a peer can earn, see there, and a minute of our own for decoding.
const ANSWER_TIME: Duration = pace::LONGEST.saturating_add(Duration::from_mins(1));

/// Bytes of an answer before it is taken to be long enough; what follows is asked for again. More than an epoch of large
/// blocks; a few such answers fit into the memory of a small machine.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// How often a part is handed to the workers again where their lane is full, and after which pause: some ten seconds.
const TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A stream for a request, and the right to use it.
struct Asked {
    id: ProtocolId,
    stream: Stream,
    _place: Place,
}

async fn open(shared: &Shared, peer: PeerId, protocol: Protocol) -> Result<Asked, RequestError> {
    let place = shared.our_place(peer, protocol).await?;
    let id = |version: &u8| ProtocolId {
        protocol,
        version: *version,
    };
    let (answer, opened) = oneshot::channel();
    let ids = protocol.asked().iter().map(id).collect();
    let command = Command::Open(peer, Open { ids, answer });
    shared.commands.send(command).await.map_err(|_| RequestError::Gone)?;
    match timeout(OPEN_TIME, opened).await {
        Ok(Ok(Ok((id, stream)))) => Ok(Asked {
            id,
            stream,
            _place: place,
        }),
        Ok(Ok(Err(Unopened::Unsupported))) => Err(RequestError::Unavailable(format!(
            "it does not speak {}",
            protocol.name()
        ))),
        Ok(Ok(Err(Unopened::TimedOut))) | Err(_) => Err(RequestError::TimedOut),
        Ok(Ok(Err(Unopened::Gone)) | Err(_)) => Err(RequestError::Gone),
    }
}

/// What a failure on a stream means; what the peer is to blame for is noted.
fn failed(shared: &Shared, peer: PeerId, protocol: Protocol, failure: &Failure) -> RequestError {
    tracing::debug!(%peer, protocol = protocol.name(), "a request failed: {failure}");
    match failure {
        Failure::Broken(why) => {
            shared.tell(Command::Offence(peer, Offence::Wrong(why.0)));
            RequestError::Misbehaved(why.to_string())
        }
        Failure::TimedOut => {
            shared.tell(Command::Offence(peer, Offence::Unreliable("an answer took too long")));
            RequestError::TimedOut
        }
        Failure::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            shared.tell(Command::Offence(peer, Offence::Unreliable("an answer was cut off")));
            RequestError::Misbehaved("an answer was cut off".into())
        }
        Failure::Io(_) => RequestError::Gone,
    }
}

/// What an error of the peer's means.
fn refused(shared: &Shared, peer: PeerId, code: u8, message: &str) -> RequestError {
    if code == 1 {
        // Ours are well formed, so one of the two has a bug.
        shared.tell(Command::Offence(peer, Offence::Unreliable("it refused a good request")));
    }
    RequestError::Unavailable(format!("error {code}: {message}"))
}

/// Asks for something of one part that the protocol itself defines.
async fn own<T: Ssz>(
    shared: &Shared,
    peer: PeerId,
    protocol: Protocol,
    request: impl FnOnce(Fork) -> Option<Vec<u8>>,
) -> Result<T, RequestError> {
    let answer = own_uncounted(shared, peer, protocol, request).await;
    shared.counts.asked.count(protocol, Outcome::of(&answer));
    answer
}

async fn own_uncounted<T: Ssz>(
    shared: &Shared,
    peer: PeerId,
    protocol: Protocol,
    request: impl FnOnce(Fork) -> Option<Vec<u8>>,
) -> Result<T, RequestError> {
    let Asked { id, stream, _place } = open(shared, peer, protocol).await?;
    let fork = own_fork(protocol, id.version);
    let blame = |failure: Failure| failed(shared, peer, protocol, &failure);
    let mut reader = Reader::new(stream);
    let request = request(fork);
    send_request(reader.stream_mut(), request.as_deref())
        .await
        .map_err(blame)?;
    match reader.part(id, &shared.digests, shared.config()).await.map_err(blame)? {
        Some(Part::Content(_, packed)) => {
            let ssz = packed.unpack().map_err(|broken| blame(broken.into()))?;
            T::decode(&ssz, fork).map_err(|_| blame(super::frames::Broken("an answer cannot be decoded").into()))
        }
        Some(Part::Error(code, message)) => Err(refused(shared, peer, code, &message)),
        None => {
            let why = "an answer is empty";
            shared.tell(Command::Offence(peer, Offence::Unreliable(why)));
            Err(RequestError::Misbehaved(why.into()))
        }
    }
}

/// Exchanges statuses.
pub(crate) async fn status(shared: &Shared, peer: PeerId) -> Result<Status, RequestError> {
    own(shared, peer, Protocol::Status, |fork| {
        Some(shared.status().encode(fork))
    })
    .await
}

/// Exchanges the numbers of the metadata.
pub(crate) async fn ping(shared: &Shared, peer: PeerId) -> Result<u64, RequestError> {
    let number = shared.metadata().seq_number;
    own(shared, peer, Protocol::Ping, |fork| Some(number.encode(fork))).await
}

/// Asks for the metadata.
pub(crate) async fn metadata(shared: &Shared, peer: PeerId) -> Result<MetaData, RequestError> {
    own(shared, peer, Protocol::GetMetaData, |_| None).await
}

/// Says goodbye; what becomes of it does not matter.
pub(crate) async fn goodbye(shared: &Shared, peer: PeerId, reason: u64) {
    if let Ok(mut asked) = open(shared, peer, Protocol::Goodbye).await {
        let _ = send_request(&mut asked.stream, Some(&reason.encode(Fork::Phase0))).await;
    }
}

/// The protocol of a request, its bytes, and how many parts the answer may have.
fn encode(request: &Request, shared: &Shared) -> (Protocol, Vec<u8>, u64) {
    let fork = Fork::Fulu;
    let list = |length: usize| [Bound::Fixed(length as u64)];
    match request {
        Request::BlocksByRange(range) => (Protocol::BeaconBlocksByRange, range.encode(fork), range.count),
        Request::BlocksByRoot(roots) => (Protocol::BeaconBlocksByRoot, encode_list(roots), roots.len() as u64),
        Request::BlocksByHead(head) => (Protocol::BeaconBlocksByHead, head.encode(fork), head.count),
        Request::BlobsByRange(range) => {
            let blobs = shared.config().max_blobs_per_block_electra;
            let most = range.count.saturating_mul(blobs);
            (Protocol::BlobSidecarsByRange, range.encode(fork), most)
        }
        Request::BlobsByRoot(blobs) => (Protocol::BlobSidecarsByRoot, encode_list(blobs), blobs.len() as u64),
        Request::ColumnsByRange(range) => {
            let most = range.count.saturating_mul(range.columns.len() as u64);
            (Protocol::DataColumnSidecarsByRange, range.encode(fork), most)
        }
        Request::ColumnsByRoot(blocks) => {
            let columns = blocks.iter().map(|block| block.columns.len() as u64);
            let mut out = consensus::ssz::Out::memory(blocks.encoded_len(fork, &list(blocks.len())));
            blocks.encode_to(fork, &list(blocks.len()), &mut out);
            (Protocol::DataColumnSidecarsByRoot, out.into_bytes(), columns.sum())
        }
    }
}

/// A list of items of one length.
fn encode_list<T: Ssz>(items: &[T]) -> Vec<u8> {
    items.iter().flat_map(|item| item.encode(Fork::Fulu)).collect()
}

/// Asks for blocks, blobs or columns.
pub(crate) async fn request(shared: Arc<Shared>, peer: PeerId, request: Request) -> Result<Vec<Chunk>, RequestError> {
    let (protocol, ssz, most) = encode(&request, &shared);
    let answer = request_uncounted(&shared, peer, protocol, &ssz, most).await;
    shared.counts.asked.count(protocol, Outcome::of(&answer));
    if answer.as_ref().is_ok_and(|parts| !parts.is_empty()) {
        shared.tell(Command::Answered(peer));
    }
    answer
}

async fn request_uncounted(
    shared: &Shared,
    peer: PeerId,
    protocol: Protocol,
    ssz: &[u8],
    most: u64,
) -> Result<Vec<Chunk>, RequestError> {
    let Asked { id, stream, _place } = open(shared, peer, protocol).await?;
    let most = most.min(protocol.parts_max(shared.config()));
    let answer = read_answer(shared, peer, id, stream, ssz, most);
    match timeout(ANSWER_TIME, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(failed(shared, peer, protocol, &Failure::TimedOut)),
    }
}

async fn read_answer(
    shared: &Shared,
    peer: PeerId,
    id: ProtocolId,
    stream: Stream,
    request: &[u8],
    most: u64,
) -> Result<Vec<Chunk>, RequestError> {
    let blame = |failure: Failure| failed(shared, peer, id.protocol, &failure);
    let mut reader = Reader::new(stream);
    send_request(reader.stream_mut(), Some(request)).await.map_err(blame)?;
    let mut chunks = Vec::new();
    let mut bytes = 0;
    let mut pace = Pace::default();
    while (chunks.len() as u64) < most && bytes < ANSWER_BYTES_MAX {
        let start = Instant::now();
        let part = timeout(pace.left(), reader.part(id, &shared.digests, shared.config())).await;
        let part = part.unwrap_or(Err(Failure::TimedOut)).map_err(blame)?;
        if let Some(Part::Content(_, packed)) = &part {
            pace.came(start.elapsed(), packed.wire_len());
        }
        match part {
            // What came before it is good.
            Some(Part::Error(code, message)) if chunks.is_empty() => {
                return Err(refused(shared, peer, code, &message));
            }
            Some(Part::Error(..)) | None => break,
            Some(Part::Content(era, packed)) => {
                bytes += packed.len();
                let chunk = decode(shared, id.protocol.content(), era, packed).await?;
                chunks.push(chunk.map_err(|broken| blame(broken.into()))?);
            }
        }
    }
    Ok(chunks)
}

/// Decompresses and decodes a part on a worker.
async fn decode(
    shared: &Shared,
    content: Content,
    era: Option<Era>,
    packed: Packed,
) -> Result<Result<Chunk, super::frames::Broken>, RequestError> {
    let fork = era.map_or(Fork::Phase0, |era| era.fork);
    let lane = if content == Content::Block {
        Lane::Block
    } else {
        Lane::Column
    };
    let packed = Arc::new(packed);
    for _ in 0..TRIES {
        let packed = Arc::clone(&packed);
        let decoded = shared
            .chain
            .work()
            .run(lane, move || decode_chunk(content, fork, &packed));
        match decoded.await {
            Ok(decoded) => return Ok(decoded),
            Err(Busy) => tokio::time::sleep(PAUSE).await,
        }
    }
    Err(RequestError::Busy)
}

/// Decodes a part whose digest named `fork`.
fn decode_chunk(content: Content, fork: Fork, packed: &Packed) -> Result<Chunk, super::frames::Broken> {
    let ssz = packed.unpack()?;
    let bad = |_| super::frames::Broken("a part cannot be decoded");
    match content {
        Content::Block => SignedBeaconBlock::decode(&ssz, fork)
            .map(|block| Chunk::Block(Arc::new(block)))
            .map_err(bad),
        Content::Blob => BlobSidecar::decode(&ssz, fork)
            .map(|blob| Chunk::Blob(Arc::new(blob)))
            .map_err(bad),
        Content::Column => DataColumnSidecar::decode(&ssz, fork)
            .map(|column| Chunk::Column(Arc::new(column)))
            .map_err(bad),
        Content::Own | Content::LightClient => Err(super::frames::Broken("nobody asked for that")),
    }
}
