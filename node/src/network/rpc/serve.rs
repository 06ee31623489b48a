//! Answers to peers: one task for each stream, two at once of a protocol and peer, and a few over all that read the
//! database.

use super::answer::{self, Plan, Refusal};
use super::frames::Broken;
use super::protocol::{Content, Protocol, ProtocolId, own_fork};
use super::stream::{Code, Failure, Reader, error, part, send};
use super::streams::Opened;
use crate::network::peer::Offence;
use crate::network::shared::{Command, Shared};
use crate::network::{handshake, light};
use consensus::Fork;
use consensus::ssz::Ssz;
use consensus::types::Status;
use futures_util::io::AsyncWriteExt;
use libp2p::PeerId;
use libp2p::swarm::Stream;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a whole answer may take to be taken, so that nobody holds a place for ever.
const SERVE_TIME: Duration = Duration::from_mins(5);

/// Answers one stream.
pub(crate) async fn serve(shared: Arc<Shared>, opened: Opened) {
    let Opened { peer, id, stream } = opened;
    let Some(waiting) = shared.their_place(peer, id.protocol) else {
        shared.tell(Command::Offence(peer, Offence::Unreliable("too many requests at once")));
        return;
    };
    let served = async {
        let mut reader = Reader::new(stream);
        let request = if id.protocol.has_request() {
            let bounds = id.protocol.request_len(id.version, shared.config());
            let packed = reader.request(bounds).await;
            packed.and_then(|packed| packed.unpack().map_err(Failure::from))
        } else {
            Ok(Vec::new())
        };
        let stream = reader.stream_mut();
        let mut offence = None;
        match request {
            Ok(request) => {
                // Held back while two others are answered.
                let Some(_place) = waiting.turn().await else { return };
                respond(&shared, peer, id, stream, &request).await;
                shared.count(|counts| &counts.answered);
            }
            Err(Failure::Broken(Broken(why))) => {
                let _ = send(stream, &error(Code::InvalidRequest, why)).await;
                offence = Some(Offence::Wrong(why));
            }
            Err(failure) => tracing::debug!(%peer, "a request did not come: {failure}"),
        }
        let _ = timeout(super::stream::ACCEPT_TIME, stream.close()).await;
        // A stream that is dropped with bytes unread is reset, and the peer would lose the answer.
        reader.drain().await;
        // Last, since it may end the connection.
        if let Some(offence) = offence {
            shared.tell(Command::Offence(peer, offence));
        }
    };
    if timeout(SERVE_TIME, served).await.is_err() {
        tracing::debug!(%peer, protocol = id.protocol.name(), "an answer was given up: the peer takes it too slowly");
    }
}

async fn respond(shared: &Arc<Shared>, peer: PeerId, id: ProtocolId, stream: &mut Stream, request: &[u8]) {
    let sent = match id.protocol.content() {
        Content::Own => {
            let sent = send(stream, &own(shared, peer, id, request)).await;
            if id.protocol == Protocol::Status
                && let Ok(status) = Status::decode(request, own_fork(id.protocol, id.version))
            {
                handshake::judge(shared, peer, status).await;
            }
            sent
        }
        Content::LightClient => {
            let bytes = match light::answer(shared, id.protocol, request).await {
                Ok(parts) => parts,
                Err((code, why)) => vec![error(code, why)],
            };
            send_all(shared, peer, stream, &bytes).await
        }
        Content::Block | Content::Blob | Content::Column => stored(shared, peer, id, stream, request).await,
    };
    if let Err(failure) = sent {
        tracing::debug!(%peer, protocol = id.protocol.name(), "an answer could not be sent: {failure}");
    }
}

/// The answer to what the protocol itself is about.
fn own(shared: &Shared, peer: PeerId, id: ProtocolId, request: &[u8]) -> Vec<u8> {
    let fork = own_fork(id.protocol, id.version);
    let number = u64::decode(request, Fork::Phase0);
    match (id.protocol, number) {
        (Protocol::Status, _) => match Status::decode(request, fork) {
            Ok(_) => part(None, &shared.status().encode(fork)),
            Err(_) => error(Code::InvalidRequest, "the status cannot be decoded"),
        },
        (Protocol::GetMetaData, _) => part(None, &shared.metadata().encode(fork)),
        (Protocol::Ping, Ok(number)) => {
            shared.pinged(peer, number);
            part(None, &shared.metadata().seq_number.encode(fork))
        }
        (Protocol::Goodbye, Ok(reason)) => {
            shared.tell(Command::Left(peer, reason));
            part(None, &reason.encode(fork))
        }
        _ => error(Code::InvalidRequest, "the number cannot be decoded"),
    }
}

/// Sends what lies in the database, as fast as the peer takes it and the rate allows.
async fn stored(
    shared: &Arc<Shared>,
    peer: PeerId,
    id: ProtocolId,
    stream: &mut Stream,
    request: &[u8],
) -> Result<(), Failure> {
    let Ok(_serving) = Arc::clone(&shared.serving).acquire_owned().await else {
        return Ok(());
    };
    let refuse = |(code, why): Refusal| error(code, why);
    let mut plan = match answer::plan(shared, id, request).await {
        Ok(plan) => plan,
        Err(refusal) => return send(stream, &refuse(refusal)).await,
    };
    // The limit of the request holds whatever was asked for by root.
    let mut left = id.protocol.parts_max(shared.config());
    loop {
        let Some((piece, back)) = read(shared, plan, id).await else {
            return send(stream, &error(Code::ServerError, "the database cannot be read")).await;
        };
        plan = back;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.parts.len());
        send_all(shared, peer, stream, &piece.parts[..most]).await?;
        left -= most as u64;
        if let Some(refusal) = piece.refusal {
            return send(stream, &refuse(refusal)).await;
        }
        if most == 0 || left == 0 {
            return Ok(());
        }
    }
}

async fn read(shared: &Arc<Shared>, mut plan: Plan, id: ProtocolId) -> Option<(answer::Piece, Plan)> {
    let digests = Arc::clone(shared);
    let read = shared.read(move |storage| Ok((plan.next(storage, id, &digests.digests)?, plan)));
    read.await
}

/// Sends parts, each when the peer's rate has room for it. Spec: phase0/p2p-interface.md, "Responding side".
async fn send_all(shared: &Shared, peer: PeerId, stream: &mut Stream, parts: &[Vec<u8>]) -> Result<(), Failure> {
    for part in parts {
        let Some(bucket) = shared.bucket(peer) else {
            return Ok(());
        };
        let wait = bucket.take(part.len(), Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        send(stream, part).await?;
    }
    Ok(())
}
