//! The one interface to whoever executes payloads: an execution client over HTTP, or the dev engine in this process.
//!
//! No call here may be awaited by the chain thread: an engine can take seconds, or be silent (docs/architecture.md §4).

use super::client::{HttpEngine, methods};
use super::dev::DevEngine;
use super::http::UnixTime;
use super::jwt::JwtSecret;
use super::types::{
    BlobAndProofs, BuiltPayload, ClientVersion, EndpointHealth, EngineError, Failure, ForkchoiceState,
    PayloadAttributes, PayloadStatus, RpcError,
};
use anyhow::{Context as _, Result};
use consensus::transition::NewPayloadRequest;
use consensus::types::{Hash32, PayloadId, PowBlock, VersionedHash};
use consensus::{Config, Fork};
use std::path::Path;
use std::sync::Arc;

/// An execution engine.
#[derive(Debug)]
pub enum Engine {
    /// Execution clients by their Engine API.
    Http(HttpEngine),
    /// In this process, for local networks and tests.
    Dev(Arc<DevEngine>),
}

impl Engine {
    /// Execution clients at these addresses, the first one first, which share the secret in this file with the node.
    /// `now` reads the wall clock (Unix seconds).
    pub fn http(urls: &[String], jwt: Option<&Path>, now: UnixTime) -> Result<Self> {
        let file = jwt.context(
            "an execution client speaks only with who shares its secret: name the file by --execution-jwt (the client \
             wrote one at its start, or was given one)",
        )?;
        Ok(Engine::Http(HttpEngine::new(urls, &JwtSecret::read(file)?, now)?))
    }

    /// Whether payloads are taken for valid unseen: by a dev engine for made-up chains alone.
    pub(crate) fn believes(&self) -> bool {
        matches!(self, Engine::Dev(dev) if dev.believes())
    }

    /// How each execution client answered last; empty for the dev engine, which always does.
    pub fn health(&self) -> Vec<EndpointHealth> {
        match self {
            Engine::Http(http) => http.health(),
            Engine::Dev(_) => Vec::new(),
        }
    }

    /// Whether no execution client answers.
    pub fn is_offline(&self) -> bool {
        let health = self.health();
        !health.is_empty() && health.iter().all(|endpoint| endpoint.error.is_some())
    }

    /// Asks for the execution of a payload. The caller has run `check_payload` on it, where hashing has its place.
    ///
    /// Spec: bellatrix/beacon-chain.md, `notify_new_payload`; `engine_newPayload` of paris.md to prague.md.
    pub async fn new_payload(&self, fork: Fork, request: &NewPayloadRequest<'_>) -> Result<PayloadStatus, EngineError> {
        runs(fork)?;
        match self {
            Engine::Http(http) => http.new_payload(fork, request).await,
            Engine::Dev(dev) => dev.new_payload(request).map_err(of_dev),
        }
    }

    /// Tells the head, and with `attributes` asks for a payload on it; `fork` is the fork of that payload, or of the head
    /// where none is asked for. Calls must be made in the order of the events.
    ///
    /// Spec: bellatrix/fork-choice.md, `notify_forkchoice_updated`.
    pub async fn forkchoice_updated(
        &self,
        fork: Fork,
        state: ForkchoiceState,
        attributes: Option<PayloadAttributes>,
    ) -> Result<(PayloadStatus, Option<PayloadId>), EngineError> {
        runs(fork)?;
        match self {
            Engine::Http(http) => http.forkchoice_updated(fork, &state, attributes.as_ref()).await,
            Engine::Dev(dev) => dev
                .forkchoice_updated(fork, &state, attributes.as_ref())
                .map_err(of_dev),
        }
    }

    /// The payload that was asked for. Spec: `engine_getPayload` of paris.md to osaka.md.
    pub async fn get_payload(&self, fork: Fork, id: PayloadId) -> Result<BuiltPayload, EngineError> {
        runs(fork)?;
        match self {
            Engine::Http(http) => http.get_payload(fork, id).await,
            Engine::Dev(dev) => dev.get_payload(fork, id).map_err(of_dev),
        }
    }

    /// Blobs that the engine has in its pool, in the order of their hashes; `None` for what it lacks. From Fulu on it
    /// gives all or none.
    ///
    /// Spec: cancun.md, `engine_getBlobsV1`; osaka.md, `engine_getBlobsV2`.
    pub async fn get_blobs(
        &self,
        fork: Fork,
        hashes: &[VersionedHash],
    ) -> Result<Vec<Option<BlobAndProofs>>, EngineError> {
        runs(fork)?;
        match self {
            Engine::Http(http) => http.get_blobs(fork, hashes).await,
            Engine::Dev(dev) => dev.get_blobs(fork, hashes).map_err(of_dev),
        }
    }

    /// The block of proof of work of that hash, for the merge. Spec: bellatrix/fork-choice.md, `get_pow_block`.
    pub async fn pow_block(&self, hash: &Hash32) -> Result<Option<PowBlock>, EngineError> {
        match self {
            Engine::Http(http) => http.pow_block(hash).await,
            Engine::Dev(dev) => Ok(dev.pow_block(hash)),
        }
    }

    /// The last block of proof of work, on which the first payload is built; `None` if the engine has not seen it yet.
    ///
    /// Spec: bellatrix/validator.md, `get_terminal_pow_block`.
    pub async fn terminal_pow_block(&self, config: &Config) -> Result<Option<PowBlock>, EngineError> {
        match self {
            Engine::Http(http) => http.terminal_pow_block(config).await,
            Engine::Dev(dev) => Ok(dev.terminal_pow_block()),
        }
    }

    /// Methods that a node at `fork` needs and the engine does not have: an operator is to update it, before that fork.
    ///
    /// Spec: common.md, `engine_exchangeCapabilities`.
    pub async fn missing_methods(&self, fork: Fork) -> Result<Vec<&'static str>, EngineError> {
        runs(fork)?;
        let Engine::Http(http) = self else {
            return Ok(Vec::new());
        };
        let known = http.exchange_capabilities().await?;
        let mut missing = needed(fork).to_vec();
        missing.retain(|method| !known.iter().any(|known| known == method));
        Ok(missing)
    }

    /// The chain that the engine is on; `None` for the dev engine, which is on the network's by itself. Spec: `eth_chainId`.
    pub async fn chain_id(&self) -> Result<Option<u64>, EngineError> {
        match self {
            Engine::Http(http) => http.chain_id().await.map(Some),
            Engine::Dev(_) => Ok(None),
        }
    }

    /// Who the engine is, told who asks. Spec: identification.md, `engine_getClientVersionV1`.
    pub async fn client_version(&self, ours: &ClientVersion) -> Result<Vec<ClientVersion>, EngineError> {
        match self {
            Engine::Http(http) => http.client_version(ours).await,
            Engine::Dev(_) => Ok(vec![DevEngine::version()]),
        }
    }
}

/// The methods that a node at `fork` cannot do without.
fn needed(fork: Fork) -> [&'static str; 3] {
    let methods = methods(fork);
    [methods.new_payload, methods.forkchoice_updated, methods.get_payload]
}

/// Gloas has methods of its own (newPayload V5, getPayload V6, forkchoiceUpdated V4), whose place is here.
fn runs(fork: Fork) -> Result<(), EngineError> {
    if (Fork::Bellatrix..=Fork::Fulu).contains(&fork) {
        return Ok(());
    }
    let message = if fork > Fork::Fulu {
        format!("this version speaks with execution engines up to fulu, not for {fork}: a newer version is needed")
    } else {
        format!("blocks of {fork} have no payloads, so no engine is asked about them")
    };
    Err(EngineError::new(Failure::Unsupported, message))
}

fn of_dev(error: RpcError) -> EngineError {
    EngineError::new(
        Failure::Refused(error.code),
        format!("the dev engine refuses: {} ({})", error.message, error.code),
    )
}
