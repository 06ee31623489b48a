//! The external builder: who may make a proposer's payload in place of the own execution client.
//!
//! A builder is never needed. What it does not offer in a second is not waited for, what it offers is checked against the
//! state and the proposer's own wishes, and while the chain looks unwell it is not asked at all; the own payload is always
//! built beside it. Once a blinded block is signed only the builder has its payload: then there is no way back.
//!
//! Spec: builder-specs, bellatrix/builder.md and validator.md with the changes of deneb, electra and fulu.

mod bid;
mod breaker;
mod http;

pub use bid::{DOMAIN_APPLICATION_BUILDER, check_bid, expected_gas_limit, takes_bid};
pub use breaker::unwell;

use anyhow::Result;
use consensus::Fork;
use consensus::ssz::{Json, Out, Ssz};
use consensus::types::{
    BLSPubkey, Blob, ExecutionPayload, ExecutionPayloadAndBlobsBundle, Hash32, KZGProof, SignedBlindedBeaconBlock,
    SignedBuilderBid, SignedValidatorRegistrationV1, Slot, ValidatorRegistrationV1,
};
use http::{Answer, Ask, Http};
use hyper::{Method, StatusCode};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a bid is waited for. Spec: bellatrix/validator.md, `BUILDER_PROPOSAL_DELAY_TOLERANCE`.
const BID_TIME: Duration = Duration::from_secs(1);
/// How long the payload of a signed block is waited for: the block is lost without it, and late soon after this.
const REVEAL_TIME: Duration = Duration::from_secs(5);
/// How long a list of registrations may take; it comes again every epoch.
const REGISTER_TIME: Duration = Duration::from_secs(3);

/// A bid with 4,096 commitments and the largest requests as JSON.
const BID_BYTES: usize = 4 << 20;
/// A payload of 10 MiB and the nine blobs of Electra as JSON.
const REVEAL_BYTES: usize = 32 << 20;
/// An error in words.
const WORDS_BYTES: usize = 64 << 10;

/// Registrations that are remembered: a bound on memory, far above what one node serves.
const REGISTERED_MAX: usize = 100_000;

/// Counts for metrics.
#[derive(Debug, Default)]
pub struct Counts {
    /// Bids asked for.
    pub asked: AtomicU64,
    /// Of these, bids that came and passed all checks.
    pub sound: AtomicU64,
    /// Bids that a check refused.
    pub refused: AtomicU64,
    /// Times that a builder had no bid, was silent or failed.
    pub silent: AtomicU64,
    /// Proposals for which the builder was not asked because the chain looked unwell.
    pub broken_circuit: AtomicU64,
    /// Signed blocks whose payload a builder took on.
    pub revealed: AtomicU64,
    /// Signed blocks that were lost because no payload came for them.
    pub lost: AtomicU64,
    /// Registrations handed on.
    pub registered: AtomicU64,
}

impl Counts {
    /// One more.
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a builder does for a signed block.
#[derive(Debug)]
pub enum Revealed {
    /// It shows the payload, with blobs and proofs where there are any: the block is the node's to publish.
    Payload {
        /// The payload.
        payload: Box<ExecutionPayload>,
        /// Its blobs.
        blobs: Vec<Blob>,
        /// Their proofs.
        kzg_proofs: Vec<KZGProof>,
    },
    /// It publishes the block itself. Spec: builder-specs, `submitBlindedBlockV2`.
    Published,
}

/// A builder, or what stands before several, at one address.
#[derive(Debug)]
pub struct Builder {
    http: Http,
    /// The builder's key, where the address names it as its user, as relays' addresses do.
    key: Option<BLSPubkey>,
    registered: Mutex<HashMap<BLSPubkey, ValidatorRegistrationV1>>,
    /// Whether its last bid came as SSZ: then it takes SSZ too. Spec: builder-specs, `submitBlindedBlock`.
    speaks_ssz: AtomicBool,
    /// Counts for metrics.
    pub counts: Counts,
}

impl Builder {
    /// A builder at `url`. Errors say how an address is written.
    pub fn new(url: &str) -> Result<Self> {
        let (http, key) = Http::new(url)?;
        Ok(Builder {
            http,
            key,
            registered: Mutex::default(),
            speaks_ssz: AtomicBool::new(false),
            counts: Counts::default(),
        })
    }

    /// The address for logs, without secrets.
    pub fn name(&self) -> &str {
        self.http.name()
    }

    fn registered(&self) -> MutexGuard<'_, HashMap<BLSPubkey, ValidatorRegistrationV1>> {
        // Single insertions, which a panic cannot leave half done.
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a proposer has registered, if it has.
    pub fn registration(&self, pubkey: &BLSPubkey) -> Option<ValidatorRegistrationV1> {
        self.registered().get(pubkey).cloned()
    }

    /// Remembers registrations and hands them on. The newest of a key counts, also where the builder cannot be reached.
    ///
    /// Spec: builder-specs, `registerValidator`.
    pub async fn register(&self, registrations: &[SignedValidatorRegistrationV1]) -> Result<(), String> {
        self.remember(registrations);
        let ask = Ask {
            json: Some(listed(registrations)),
            ..Ask::new(Method::POST, "/eth/v1/builder/validators", REGISTER_TIME, WORDS_BYTES)
        };
        let answer = self.http.ask(ask).await?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal("does not take the registrations", &answer));
        }
        let count = registrations.len() as u64;
        self.counts.registered.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    fn remember(&self, registrations: &[SignedValidatorRegistrationV1]) {
        let mut registered = self.registered();
        for SignedValidatorRegistrationV1 { message, .. } in registrations {
            let known = registered.get(&message.pubkey);
            let older = known.is_some_and(|known| known.timestamp > message.timestamp);
            if !older && (known.is_some() || registered.len() < REGISTERED_MAX) {
                registered.insert(message.pubkey, message.clone());
            }
        }
    }

    fn refusal(&self, what: &str, answer: &Answer) -> String {
        format!(
            "the builder {} {what}: {} {}",
            self.name(),
            answer.status,
            answer.words()
        )
    }

    /// The builder's bid; `None` where it has none. An error in words for whatever else comes, or does not in time.
    /// `now_ms` is the wall clock.
    ///
    /// Spec: builder-specs, `getHeader`.
    pub async fn get_header(
        &self,
        fork: Fork,
        slot: Slot,
        parent_hash: Hash32,
        pubkey: BLSPubkey,
        now_ms: u64,
    ) -> Result<Option<SignedBuilderBid>, String> {
        let path = format!("/eth/v1/builder/header/{slot}/{parent_hash}/{pubkey}");
        let ask = Ask {
            headers: vec![
                ("date-milliseconds", now_ms.to_string()),
                ("x-timeout-ms", BID_TIME.as_millis().to_string()),
            ],
            accept_ssz: true,
            ..Ask::new(Method::GET, path, BID_TIME, BID_BYTES)
        };
        let answer = self.http.ask(ask).await?;
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        if answer.status != StatusCode::OK {
            return Err(self.refusal("has no bid", &answer));
        }
        let signed: SignedBuilderBid = self.read(&answer, fork)?;
        if let Some(key) = self.key.filter(|key| *key != signed.message.pubkey) {
            let own = signed.message.pubkey;
            return Err(format!("the bid is of {own}, and the builder's address names {key}"));
        }
        self.speaks_ssz.store(answer.ssz, Ordering::Relaxed);
        Ok(Some(signed))
    }

    /// Reads what came in either form, of the fork that it must be of.
    fn read<T: Json + Ssz>(&self, answer: &Answer, fork: Fork) -> Result<T, String> {
        answer
            .read(fork)
            .map_err(|why| format!("what the builder {} sends cannot be read: {why}", self.name()))
    }

    /// Hands over a signed block. From Fulu on the builder publishes it; before, and where it does not know that yet, it
    /// shows the payload. An error in words means that the block is lost: no other may be signed for the slot.
    ///
    /// Spec: builder-specs, `submitBlindedBlock` and `submitBlindedBlockV2`.
    pub async fn submit(&self, fork: Fork, signed: &SignedBlindedBeaconBlock) -> Result<Revealed, String> {
        let revealed = self.submit_any(fork, signed).await;
        Counts::add(match revealed {
            Ok(_) => &self.counts.revealed,
            Err(_) => &self.counts.lost,
        });
        revealed
    }

    async fn submit_any(&self, fork: Fork, signed: &SignedBlindedBeaconBlock) -> Result<Revealed, String> {
        if fork >= Fork::Fulu {
            let answer = self.post_block("/eth/v2/builder/blinded_blocks", fork, signed).await?;
            if answer.status == StatusCode::ACCEPTED {
                return Ok(Revealed::Published);
            }
            // The same builder gets the same block: nothing can come of that but one block.
            if answer.status != StatusCode::NOT_FOUND && answer.status != StatusCode::METHOD_NOT_ALLOWED {
                return Err(self.refusal("does not take the signed block", &answer));
            }
        }
        let answer = self.post_block("/eth/v1/builder/blinded_blocks", fork, signed).await?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal("does not show the payload of the signed block", &answer));
        }
        if fork < Fork::Deneb {
            return Ok(Revealed::Payload {
                payload: Box::new(self.read(&answer, fork)?),
                blobs: Vec::new(),
                kzg_proofs: Vec::new(),
            });
        }
        let shown: ExecutionPayloadAndBlobsBundle = self.read(&answer, fork)?;
        let bundle = shown.blobs_bundle;
        if bundle.commitments != signed.message.body.blob_kzg_commitments {
            return Err("the builder's blobs are not those of the signed block".into());
        }
        Ok(Revealed::Payload {
            payload: Box::new(shown.execution_payload),
            blobs: bundle.blobs,
            kzg_proofs: bundle.proofs,
        })
    }

    async fn post_block(
        &self,
        path: &'static str,
        fork: Fork,
        signed: &SignedBlindedBeaconBlock,
    ) -> Result<Answer, String> {
        let ssz = self.speaks_ssz.load(Ordering::Relaxed);
        let mut ask = Ask {
            headers: vec![(crate::api::http::CONSENSUS_VERSION, fork.name().into())],
            accept_ssz: ssz,
            ..Ask::new(Method::POST, path, REVEAL_TIME, REVEAL_BYTES)
        };
        if ssz {
            ask.ssz = Some(signed.encode(fork));
        } else {
            ask.json = Some(signed.to_json(fork).into_bytes());
        }
        self.http.ask(ask).await
    }
}

/// Registrations as a JSON list.
fn listed(registrations: &[SignedValidatorRegistrationV1]) -> Vec<u8> {
    let mut out = Out::memory(registrations.len() * 512);
    for (place, registration) in registrations.iter().enumerate() {
        out.put(if place == 0 { b"[" } else { b"," });
        registration.write_json(Fork::Bellatrix, &[], &mut out);
    }
    out.put(b"]");
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::ssz::Bytes;

    #[test]
    fn the_newest_registration_of_a_key_counts() {
        let builder = Builder::new("http://127.0.0.1:18550").unwrap();
        let registration = |timestamp, gas_limit| SignedValidatorRegistrationV1 {
            message: ValidatorRegistrationV1 {
                timestamp,
                gas_limit,
                pubkey: Bytes([1; 48]),
                ..ValidatorRegistrationV1::default()
            },
            ..SignedValidatorRegistrationV1::default()
        };
        builder.remember(&[registration(5, 10), registration(4, 20)]);
        let gas_limit = |builder: &Builder| builder.registration(&Bytes([1; 48])).unwrap().gas_limit;
        assert_eq!(gas_limit(&builder), 10);
        builder.remember(&[registration(5, 30)]);
        assert_eq!(gas_limit(&builder), 30);
        assert!(builder.registration(&Bytes([2; 48])).is_none());
    }
}
