//! Keys that lie in a remote signer: what it is asked for is on record here first, as with a key of our own, and what it
//! answers is checked before it is believed.

use super::local::Permit;
use super::{Refused, request};
use crate::beacon::NodeUrl;
use crate::beacon::http::{Form, Http, Request};
use crate::beacon::{CallError, Kind};
use consensus::types::{BLSPubkey, BLSSignature};
use crypto::bls::{PublicKey, Signature, verify};
use futures_util::StreamExt;
use hyper::body::Bytes as BodyBytes;
use std::time::Duration;

/// A signature that takes longer is worth nothing for most duties, and the next slot's are waiting.
const TIMEOUT: Duration = Duration::from_secs(4);
/// An answer is one signature; errors are cut off elsewhere.
const MAX_ANSWER: usize = 16 << 10;
/// Requests under way at once to all signers: a hundred keys of one moment are signed in seven rounds, and a small
/// machine keeps no more connections open.
const AT_ONCE: usize = 16;

/// A key in a remote signer.
#[derive(Clone)]
pub(super) struct RemoteKey {
    pubkey: BLSPubkey,
    http: Http,
}

impl std::fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RemoteKey({} at {})", self.pubkey, self.http.url())
    }
}

/// A request that may go out: its messages are on record.
pub(super) struct Asked {
    pub(super) key: RemoteKey,
    pub(super) permit: Permit,
    pub(super) body: String,
}

impl RemoteKey {
    pub(super) fn new(pubkey: BLSPubkey, http: Http) -> Self {
        RemoteKey { pubkey, http }
    }

    pub(super) fn url(&self) -> &NodeUrl {
        self.http.url()
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    async fn sign(&self, permit: Permit, body: String) -> Result<BLSSignature, Refused> {
        let path = format!("/api/v1/eth2/sign/{}", self.pubkey);
        let request = Request::post(path, Form::Json, BodyBytes::from(body), MAX_ANSWER, TIMEOUT);
        let answer = self.http.call(request).await.map_err(|error| in_words(&error))?;
        let odd = |what: &str| Refused::Remote(format!("the remote signer at {} {what}", self.http.url()));
        let text = request::read_signature(&answer.body).ok_or_else(|| odd("gave an answer that is no text"))?;
        let signature: BLSSignature = text.parse().map_err(|_| odd("gave an answer that is no signature"))?;
        let (key, root) = (self.pubkey, permit.signing_root());
        let good = tokio::task::spawn_blocking(move || is_good(&key, &root.0, &signature)).await;
        if good.unwrap_or(false) {
            Ok(signature)
        } else {
            Err(odd("gave a signature that is not of this key and message"))
        }
    }
}

/// Whether a signature is of a key: a wrong one would be sent into the network under our name.
fn is_good(key: &BLSPubkey, root: &[u8; 32], signature: &BLSSignature) -> bool {
    let key = PublicKey::from_compressed(&key.0);
    let signature = Signature::from_bytes(&signature.0);
    key.is_ok_and(|key| signature.is_ok_and(|signature| verify(&key, root, &signature)))
}

/// What the statuses of the API mean.
fn in_words(error: &CallError) -> Refused {
    let why = match error.kind {
        Kind::Status(404) => format!("the remote signer does not have the key: {error}"),
        Kind::Status(412) => format!("the remote signer's own slashing protection refuses: {error}"),
        Kind::Status(400) => format!("the remote signer does not understand the request: {error}"),
        Kind::Status(401 | 403) => format!("the remote signer wants other credentials: {error}"),
        Kind::Unreachable if error.cause.contains("certificate") => format!(
            "the remote signer is not trusted: {error}; name the authority that has made its certificate by \
             --remote-signer-ca FILE"
        ),
        _ => format!("the remote signer failed: {error}"),
    };
    Refused::Remote(why)
}

/// Asks for all signatures of a moment, some at a time; answers stand in the order of the requests.
pub(super) async fn sign_all(asked: Vec<Asked>) -> Vec<Result<BLSSignature, Refused>> {
    let calls = asked
        .into_iter()
        .map(|Asked { key, permit, body }| async move { key.sign(permit, body).await });
    futures_util::stream::iter(calls).buffered(AT_ONCE).collect().await
}
