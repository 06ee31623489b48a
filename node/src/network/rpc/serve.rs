//! Answers to peers: one task for each stream, two at once of a protocol and peer, and a few over all that read the
//! database.

use super::answer::{self, Plan, Refusal};
use super::frames::Broken;
use super::protocol::{Content, Protocol, ProtocolId, own_fork};
use super::stream::{Code, Failure, Reader, error, part, send};
use super::streams::Opened;
use crate::network::counts::Outcome;
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
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a whole answer may take to be taken, so that nobody holds a place for ever.
const SERVE_TIME: Duration = Duration::from_mins(5);

/// Answers one stream.
pub(crate) async fn serve(shared: Arc<Shared>, opened: Opened) {
    let Opened { peer, id, stream } = opened;
    let count = |outcome| shared.counts.answered.count(id.protocol, outcome);
    let Some(waiting) = shared.their_place(peer, id.protocol) else {
        count(Outcome::Busy);
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
                count(respond(&shared, peer, id, stream, &request).await);
            }
            Err(Failure::Broken(Broken(why))) => {
                count(Outcome::Broken);
                let _ = send(stream, &error(Code::InvalidRequest, why)).await;
                offence = Some(Offence::Wrong(why));
            }
            Err(failure) => {
                count(outcome_of(&failure));
                tracing::debug!(%peer, "a request did not come: {failure}");
            }
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
        count(Outcome::TimedOut);
        tracing::debug!(%peer, protocol = id.protocol.name(), "an answer was given up: the peer takes it too slowly");
    }
}

/// What a failure on a stream counts as.
fn outcome_of(failure: &Failure) -> Outcome {
    match failure {
        Failure::Broken(_) => Outcome::Broken,
        Failure::Io(_) => Outcome::Gone,
        Failure::TimedOut => Outcome::TimedOut,
    }
}

async fn respond(shared: &Arc<Shared>, peer: PeerId, id: ProtocolId, stream: &mut Stream, request: &[u8]) -> Outcome {
    let sent = match id.protocol.content() {
        Content::Own => {
            let answer = own(shared, peer, id, request);
            let sent = send(stream, &answer.bytes).await;
            if id.protocol == Protocol::Status
                && let Ok(status) = Status::decode(request, own_fork(id.protocol, id.version))
            {
                handshake::judge(shared, peer, status).await;
            }
            sent.map(|()| answer.outcome)
        }
        Content::LightClient => match light::answer(shared, id.protocol, request).await {
            Ok(parts) => send_all(shared, peer, stream, &parts).await.map(|()| Outcome::Answered),
            Err((code, why)) => send(stream, &error(code, why)).await.map(|()| Outcome::Unavailable),
        },
        Content::Block | Content::Blob | Content::Column => stored(shared, peer, id, stream, request).await,
    };
    sent.unwrap_or_else(|failure| {
        tracing::debug!(%peer, protocol = id.protocol.name(), "an answer could not be sent: {failure}");
        outcome_of(&failure)
    })
}

/// An answer of one part, and what it counts as.
struct Own {
    bytes: Vec<u8>,
    outcome: Outcome,
}

/// The answer to what the protocol itself is about.
fn own(shared: &Shared, peer: PeerId, id: ProtocolId, request: &[u8]) -> Own {
    let fork = own_fork(id.protocol, id.version);
    let number = u64::decode(request, Fork::Phase0);
    let good = |bytes| Own {
        bytes,
        outcome: Outcome::Answered,
    };
    let bad = |why| Own {
        bytes: error(Code::InvalidRequest, why),
        outcome: Outcome::Broken,
    };
    match (id.protocol, number) {
        (Protocol::Status, _) => match Status::decode(request, fork) {
            Ok(_) => good(part(None, &shared.status().encode(fork))),
            Err(_) => bad("the status cannot be decoded"),
        },
        (Protocol::GetMetaData, _) => good(part(None, &shared.metadata().encode(fork))),
        (Protocol::Ping, Ok(number)) => {
            shared.pinged(peer, number);
            good(part(None, &shared.metadata().seq_number.encode(fork)))
        }
        (Protocol::Goodbye, Ok(reason)) => {
            shared.tell(Command::Left(peer, reason));
            good(part(None, &reason.encode(fork)))
        }
        _ => bad("the number cannot be decoded"),
    }
}

/// Sends what lies in the database, as fast as the peer takes it and the rate allows.
async fn stored(
    shared: &Arc<Shared>,
    peer: PeerId,
    id: ProtocolId,
    stream: &mut Stream,
    request: &[u8],
) -> Result<Outcome, Failure> {
    let Ok(_serving) = Arc::clone(&shared.serving).acquire_owned().await else {
        return Ok(Outcome::Gone);
    };
    let mut plan = match answer::plan(shared, id, request).await {
        Ok(plan) => plan,
        Err(refusal) => return refuse(stream, refusal).await,
    };
    // The limit of the request holds whatever was asked for by root.
    let mut left = id.protocol.parts_max(shared.config());
    loop {
        let Some((piece, back)) = read(shared, plan, id).await else {
            return refuse(stream, (Code::ServerError, "the database cannot be read")).await;
        };
        plan = back;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.parts.len());
        send_all(shared, peer, stream, &piece.parts[..most]).await?;
        left -= most as u64;
        if let Some(refusal) = piece.refusal {
            return refuse(stream, refusal).await;
        }
        if most == 0 || left == 0 {
            return Ok(Outcome::Answered);
        }
    }
}

/// Ends an answer with an error, for the reason that it gives.
async fn refuse(stream: &mut Stream, (code, why): Refusal) -> Result<Outcome, Failure> {
    send(stream, &error(code, why)).await?;
    Ok(if matches!(code, Code::InvalidRequest) {
        Outcome::Broken
    } else {
        Outcome::Unavailable
    })
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
        let now = Instant::now();
        // Of the two the longer: both count the part.
        let wait = bucket.take(part.len(), now).max(shared.spare.take(part.len(), now));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        send(stream, part).await?;
        shared.counts.served.fetch_add(part.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}
