//! The Engine API's client: which method and version a fork has, and which of several execution clients is asked.
//!
//! One client is enough; more are there so that a validator goes on while one of them is updated or broken. The first
//! that answers is believed. One that is syncing is no help as long as another is not, so for payloads and heads the
//! next is asked then. The others are told payloads and heads too, without waiting for them: an execution client follows
//! the chain only where it is told, and one that was not could not step in.
//!
//! Spec: execution-apis, src/engine/ (paris.md to osaka.md).

use super::http::{Call, Endpoint, UnixTime};
use super::json::{self, Read};
use super::jwt::JwtSecret;
use super::types::{
    BlobAndProofs, BuiltPayload, ClientVersion, EndpointHealth, EngineError, Failure, ForkchoiceState,
    PayloadAttributes, PayloadStatus, Status, code,
};
use anyhow::{Result, ensure};
use consensus::ssz::U256;
use consensus::transition::NewPayloadRequest;
use consensus::transition::merge::is_valid_terminal_pow_block;
use consensus::types::{ExecutionRequests, Hash32, PayloadId, PowBlock, VersionedHash};
use consensus::{Config, Fork};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Execution clients, at most: each is told every payload.
const MAX_ENDPOINTS: usize = 8;
/// Payloads whose builder is remembered, at most: one is asked for within a slot.
const MAX_BUILDS: usize = 32;
/// Payloads that one of the other clients is told at once, at most; while so many hang, no more are sent.
const MAX_TOLD_AT_ONCE: usize = 4;
/// Blobs asked for at once, at most. Spec: cancun.md, `engine_getBlobsV1`.
const MAX_BLOBS_REQUEST: usize = 128;
/// Blocks that are gone back through in search of the last one of proof of work: a chain that merged longer ago needs
/// none.
const MAX_WALK: usize = 256;

/// Spec: the timeouts of `engine_newPayload` and `engine_forkchoiceUpdated`.
const LONG: Duration = Duration::from_secs(8);
/// Spec: the timeout of all other methods.
const SHORT: Duration = Duration::from_secs(1);
/// Bytes of an answer without payload or blobs: a block of the `eth` methods with its transactions' hashes is the most.
const SMALL: usize = 1 << 20;
/// Bytes of a payload with its blobs in hex: 10 MiB of block (EIP-7934) and 72 blobs with proofs.
const PAYLOAD: usize = 48 << 20;
/// Bytes of a blob with its proofs in hex.
const BLOB: usize = 2 * 131_072 + 128 * 104 + 256;

/// Every method that this node may call. Spec: common.md, `engine_exchangeCapabilities`.
pub(crate) const CAPABILITIES: [&str; 15] = [
    "engine_newPayloadV1",
    "engine_newPayloadV2",
    "engine_newPayloadV3",
    "engine_newPayloadV4",
    "engine_forkchoiceUpdatedV1",
    "engine_forkchoiceUpdatedV2",
    "engine_forkchoiceUpdatedV3",
    "engine_getPayloadV1",
    "engine_getPayloadV2",
    "engine_getPayloadV3",
    "engine_getPayloadV4",
    "engine_getPayloadV5",
    "engine_getBlobsV1",
    "engine_getBlobsV2",
    "engine_getClientVersionV1",
];

/// The methods of a fork from Bellatrix to Fulu.
pub(crate) struct Methods {
    pub(crate) new_payload: &'static str,
    pub(crate) forkchoice_updated: &'static str,
    pub(crate) get_payload: &'static str,
    /// From Deneb on.
    pub(crate) get_blobs: Option<&'static str>,
}

/// Which methods a fork has. Gloas' (newPayload V5, getPayload V6, forkchoiceUpdated V4) come here.
pub(crate) fn methods(fork: Fork) -> Methods {
    let new_payload = match fork {
        _ if fork >= Fork::Electra => "engine_newPayloadV4",
        _ if fork >= Fork::Deneb => "engine_newPayloadV3",
        _ if fork >= Fork::Capella => "engine_newPayloadV2",
        _ => "engine_newPayloadV1",
    };
    let forkchoice_updated = match fork {
        _ if fork >= Fork::Deneb => "engine_forkchoiceUpdatedV3",
        _ if fork >= Fork::Capella => "engine_forkchoiceUpdatedV2",
        _ => "engine_forkchoiceUpdatedV1",
    };
    let get_payload = match fork {
        _ if fork >= Fork::Fulu => "engine_getPayloadV5",
        _ if fork >= Fork::Electra => "engine_getPayloadV4",
        _ if fork >= Fork::Deneb => "engine_getPayloadV3",
        _ if fork >= Fork::Capella => "engine_getPayloadV2",
        _ => "engine_getPayloadV1",
    };
    let get_blobs = match fork {
        _ if fork >= Fork::Fulu => Some("engine_getBlobsV2"),
        _ if fork >= Fork::Deneb => Some("engine_getBlobsV1"),
        _ => None,
    };
    Methods {
        new_payload,
        forkchoice_updated,
        get_payload,
        get_blobs,
    }
}

/// Execution clients over HTTP.
#[derive(Debug)]
pub struct HttpEngine {
    endpoints: Vec<Told>,
    /// Which client builds the payload of an id.
    builds: Mutex<VecDeque<(PayloadId, usize)>>,
}

/// An execution client, and how much it is being told beside others.
#[derive(Debug)]
struct Told {
    endpoint: Arc<Endpoint>,
    payloads: Arc<Semaphore>,
    /// One at a time, since heads must come in order.
    heads: Arc<Semaphore>,
}

impl HttpEngine {
    /// Execution clients at these addresses, the first one first. `now` reads the wall clock, for tokens.
    pub fn new(urls: &[String], secret: &JwtSecret, now: UnixTime) -> Result<Self> {
        ensure!(
            !urls.is_empty() && urls.len() <= MAX_ENDPOINTS,
            "{} execution clients are named (--execution-endpoint): one is needed, at most {MAX_ENDPOINTS} are asked",
            urls.len()
        );
        let told = |url: &String| {
            Ok(Told {
                endpoint: Arc::new(Endpoint::new(url, secret.clone(), now)?),
                payloads: Arc::new(Semaphore::new(MAX_TOLD_AT_ONCE)),
                heads: Arc::new(Semaphore::new(1)),
            })
        };
        Ok(HttpEngine {
            endpoints: urls.iter().map(told).collect::<Result<_>>()?,
            builds: Mutex::default(),
        })
    }

    /// How each client answered last.
    pub fn health(&self) -> Vec<EndpointHealth> {
        let health = |told: &Told| EndpointHealth {
            endpoint: told.endpoint.name().to_owned(),
            error: told.endpoint.failure(),
        };
        self.endpoints.iter().map(health).collect()
    }

    /// The clients in the order in which they are asked: those that failed last time come behind, those that did so just
    /// now last. What a failing one is told beside the others shows when it is back.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.endpoints.len()).collect();
        order.sort_by_key(|place| {
            let endpoint = &self.endpoints[*place].endpoint;
            (endpoint.failure().is_some(), !endpoint.is_rested())
        });
        order
    }

    /// Asks one client and reads its answer.
    async fn ask_one<T>(&self, place: usize, call: &Call, read: impl Fn(&Value) -> Read<T>) -> Result<T, EngineError> {
        let endpoint = &self.endpoints[place].endpoint;
        let answer = endpoint.ask(call).await?;
        read(&answer).map_err(|why| {
            let why = format!("its answer is not what the method gives: {why}");
            endpoint.error(Failure::Malformed, call, &why)
        })
    }

    /// Asks one client after the other until one gives an answer that is `enough`; otherwise the first answer there was.
    /// What a client refuses is an answer too.
    async fn ask<T>(
        &self,
        call: &Call,
        read: impl Fn(&Value) -> Read<T>,
        enough: impl Fn(&T) -> bool,
    ) -> Result<(usize, T), EngineError> {
        let mut best: Option<(usize, T)> = None;
        let mut failure: Option<EngineError> = None;
        for place in self.order() {
            match self.ask_one(place, call, &read).await {
                Ok(answer) if enough(&answer) => return Ok((place, answer)),
                Ok(answer) => {
                    best.get_or_insert((place, answer));
                }
                // A refusal says more than a client that cannot be reached.
                Err(error) if matches!(error.failure, Failure::Refused(_)) => failure = Some(error),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        match (best, failure) {
            (Some(best), _) => Ok(best),
            (None, Some(error)) => Err(error),
            (None, None) => Err(EngineError::new(Failure::Unreachable, "no execution client is named")),
        }
    }

    /// Tells the other clients what one has answered to, without waiting for them.
    fn tell_others(&self, answered: usize, call: Call, ends: impl Fn(&Told) -> &Arc<Semaphore>) {
        if self.endpoints.len() < 2 {
            return;
        }
        let call = Arc::new(call);
        for (place, told) in self.endpoints.iter().enumerate() {
            let Ok(permit) = Arc::clone(ends(told)).try_acquire_owned() else {
                continue;
            };
            if place == answered || !told.endpoint.is_rested() {
                continue;
            }
            let (endpoint, call) = (Arc::clone(&told.endpoint), Arc::clone(&call));
            tokio::spawn(async move {
                // How it went is kept in its health; nobody waits for the answer.
                let _ = endpoint.ask(&call).await;
                drop(permit);
            });
        }
    }

    /// Spec: `engine_newPayloadV1` to `V4`.
    pub(crate) async fn new_payload(
        &self,
        fork: Fork,
        request: &NewPayloadRequest<'_>,
    ) -> Result<PayloadStatus, EngineError> {
        let mut params = vec![json::payload(fork, request.execution_payload)];
        if fork >= Fork::Deneb {
            params.push(
                request
                    .versioned_hashes
                    .iter()
                    .map(|hash| json::data(&hash.0))
                    .collect(),
            );
            params.push(json::data(&request.parent_beacon_block_root.0));
        }
        if let Some(requests) = request.execution_requests_list() {
            params.push(json::requests(&requests));
        }
        let call = Call {
            method: methods(fork).new_payload,
            params: Value::Array(params),
            timeout: LONG,
            limit: SMALL,
        };
        let (place, status) = self.ask(&call, json::read_status, is_decisive).await?;
        self.tell_others(place, call, |told| &told.payloads);
        Ok(status)
    }

    /// Spec: `engine_forkchoiceUpdatedV1` to `V3`.
    pub(crate) async fn forkchoice_updated(
        &self,
        fork: Fork,
        state: &ForkchoiceState,
        attributes: Option<&PayloadAttributes>,
    ) -> Result<(PayloadStatus, Option<PayloadId>), EngineError> {
        let state = json::forkchoice(state);
        let call = |attributes: Option<&PayloadAttributes>| Call {
            method: methods(fork).forkchoice_updated,
            params: json!([state, attributes.map(json::attributes)]),
            timeout: LONG,
            limit: SMALL,
        };
        let (place, (status, id)) = self
            .ask(&call(attributes), json::read_updated, |(status, _)| is_decisive(status))
            .await?;
        if let Some(id) = id {
            self.remember(id, place);
        }
        self.tell_others(place, call(None), |told| &told.heads);
        Ok((status, id))
    }

    fn builds(&self) -> std::sync::MutexGuard<'_, VecDeque<(PayloadId, usize)>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, id: PayloadId, place: usize) {
        let mut builds = self.builds();
        builds.retain(|(known, _)| *known != id);
        if builds.len() >= MAX_BUILDS {
            builds.pop_front();
        }
        builds.push_back((id, place));
    }

    /// From the client that was asked to build it. Spec: `engine_getPayloadV1` to `V5`.
    pub(crate) async fn get_payload(&self, fork: Fork, id: PayloadId) -> Result<BuiltPayload, EngineError> {
        let call = Call {
            method: methods(fork).get_payload,
            params: json!([json::data(&id.0)]),
            timeout: SHORT,
            limit: PAYLOAD,
        };
        let builder = self
            .builds()
            .iter()
            .find(|(known, _)| *known == id)
            .map(|(_, place)| *place);
        self.ask_one(builder.unwrap_or(0), &call, |value| read_built(fork, value))
            .await
    }

    /// A client without the method has no blobs. Spec: `engine_getBlobsV1` and `V2`.
    pub(crate) async fn get_blobs(
        &self,
        fork: Fork,
        hashes: &[VersionedHash],
    ) -> Result<Vec<Option<BlobAndProofs>>, EngineError> {
        let Some(method) = methods(fork).get_blobs else {
            return Ok(vec![None; hashes.len()]);
        };
        let mut found = Vec::with_capacity(hashes.len());
        for part in hashes.chunks(MAX_BLOBS_REQUEST) {
            let call = Call {
                method,
                params: json!([part.iter().map(|hash| json::data(&hash.0)).collect::<Vec<_>>()]),
                timeout: SHORT,
                limit: part.len() * BLOB + SMALL,
            };
            let read = |value: &Value| json::read_blobs(fork, value, part.len());
            match self.ask(&call, read, |_| true).await {
                Ok((_, blobs)) => found.extend(blobs),
                Err(error) if error.failure == Failure::Refused(code::METHOD_NOT_FOUND) => {
                    found.extend(vec![None; part.len()]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The chain of the first client that answers. Spec: `eth_chainId`.
    pub(crate) async fn chain_id(&self) -> Result<u64, EngineError> {
        let call = short("eth_chainId", json!([]));
        self.ask(&call, json::number, |_| true).await.map(|(_, chain)| chain)
    }

    /// The methods of the first client that answers. Spec: common.md, `engine_exchangeCapabilities`.
    pub(crate) async fn exchange_capabilities(&self) -> Result<Vec<String>, EngineError> {
        let call = short("engine_exchangeCapabilities", json!([CAPABILITIES]));
        // As many as a client could reasonably have.
        let read = |value: &Value| json::list(value, 1000, |value| json::text(value).map(str::to_owned));
        self.ask(&call, read, |_| true).await.map(|(_, methods)| methods)
    }

    /// Spec: identification.md, `engine_getClientVersionV1`.
    pub(crate) async fn client_version(&self, ours: &ClientVersion) -> Result<Vec<ClientVersion>, EngineError> {
        let call = short("engine_getClientVersionV1", json!([json::version(ours)]));
        self.ask(&call, json::read_versions, |_| true)
            .await
            .map(|(_, versions)| versions)
    }

    /// Spec: bellatrix/fork-choice.md, `get_pow_block`; `eth_getBlockByHash`.
    pub(crate) async fn pow_block(&self, hash: &Hash32) -> Result<Option<PowBlock>, EngineError> {
        let call = short("eth_getBlockByHash", json!([json::data(&hash.0), false]));
        let (_, block) = self.ask(&call, read_eth_block, Option::is_some).await?;
        Ok(block.and_then(|block| block.work))
    }

    /// Spec: bellatrix/validator.md, `get_terminal_pow_block`. Goes back from the client's head.
    pub(crate) async fn terminal_pow_block(&self, config: &Config) -> Result<Option<PowBlock>, EngineError> {
        if !config.terminal_block_hash.is_zero() {
            return self.pow_block(&config.terminal_block_hash).await;
        }
        let call = short("eth_getBlockByNumber", json!(["latest", false]));
        let (_, mut block) = self.ask(&call, read_eth_block, Option::is_some).await?;
        for _ in 0..MAX_WALK {
            let Some(EthBlock { parent_hash, work }) = block else {
                break;
            };
            let call = short("eth_getBlockByHash", json!([json::data(&parent_hash.0), false]));
            let (_, parent) = self.ask(&call, read_eth_block, Option::is_some).await?;
            if let Some(work) = work {
                if work.total_difficulty < config.terminal_total_difficulty {
                    break;
                }
                let before = parent
                    .as_ref()
                    .and_then(|parent| parent.work.clone())
                    .unwrap_or_default();
                if is_valid_terminal_pow_block(config, &work, &before) {
                    return Ok(Some(work));
                }
            }
            block = parent;
        }
        Ok(None)
    }
}

/// A call with a short answer.
fn short(method: &'static str, params: Value) -> Call {
    Call {
        method,
        params,
        timeout: SHORT,
        limit: SMALL,
    }
}

/// Whether an answer needs no second opinion.
fn is_decisive(status: &PayloadStatus) -> bool {
    !matches!(status.status, Status::Syncing | Status::Accepted)
}

/// The answer to `engine_getPayload`: before Capella the payload itself.
fn read_built(fork: Fork, value: &Value) -> Read<BuiltPayload> {
    if fork < Fork::Capella {
        return Ok(BuiltPayload {
            payload: json::read_payload(fork, value)?,
            value: U256::ZERO,
            blobs: None,
            should_override_builder: false,
            execution_requests: ExecutionRequests::default(),
        });
    }
    let mut built = BuiltPayload {
        payload: json::get(value, "executionPayload", |value| json::read_payload(fork, value))?,
        value: json::get(value, "blockValue", json::big_number)?,
        blobs: None,
        should_override_builder: false,
        execution_requests: ExecutionRequests::default(),
    };
    if fork >= Fork::Deneb {
        built.blobs = Some(json::get(value, "blobsBundle", |value| json::read_bundle(fork, value))?);
        built.should_override_builder = json::read_override(value)?;
    }
    if fork >= Fork::Electra {
        built.execution_requests = json::get(value, "executionRequests", |value| json::read_requests(fork, value))?;
    }
    Ok(built)
}

/// What is wanted of a block of the `eth` methods.
struct EthBlock {
    parent_hash: Hash32,
    /// Where it is one of proof of work.
    work: Option<PowBlock>,
}

fn read_eth_block(value: &Value) -> Read<Option<EthBlock>> {
    if value.is_null() {
        return Ok(None);
    }
    let parent_hash = json::get(value, "parentHash", json::fixed)?;
    let difficulty = json::get(value, "difficulty", json::big_number)?;
    let work = if difficulty.is_zero() {
        None
    } else {
        Some(PowBlock {
            block_hash: json::get(value, "hash", json::fixed)?,
            parent_hash,
            total_difficulty: json::get(value, "totalDifficulty", json::big_number)?,
        })
    };
    Ok(Some(EthBlock { parent_hash, work }))
}
