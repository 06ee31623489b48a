//! The one interface to whoever executes payloads: an execution client over HTTP, or the dev engine in this process.
//!
//! No call here may be awaited by the chain thread: an engine can take seconds, or be silent (docs/architecture.md §4).

use super::dev::DevEngine;
use super::types::{
    BlobAndProofs, BuiltPayload, ClientVersion, EngineError, Failure, ForkchoiceState, PayloadAttributes,
    PayloadStatus, RpcError,
};
use consensus::transition::NewPayloadRequest;
use consensus::types::{Hash32, PayloadId, PowBlock, VersionedHash};
use consensus::{Config, Fork};

/// An execution engine.
#[derive(Debug)]
pub enum Engine {
    /// In this process, for local networks and tests.
    Dev(DevEngine),
}

impl Engine {
    /// Asks for the execution of a payload. The caller has run `check_payload` on it, where hashing has its place.
    ///
    /// Spec: bellatrix/beacon-chain.md, `notify_new_payload`; `engine_newPayload` of paris.md to prague.md.
    pub async fn new_payload(&self, fork: Fork, request: &NewPayloadRequest<'_>) -> Result<PayloadStatus, EngineError> {
        runs(fork)?;
        match self {
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
            Engine::Dev(dev) => dev
                .forkchoice_updated(fork, &state, attributes.as_ref())
                .map_err(of_dev),
        }
    }

    /// The payload that was asked for. Spec: `engine_getPayload` of paris.md to osaka.md.
    pub async fn get_payload(&self, fork: Fork, id: PayloadId) -> Result<BuiltPayload, EngineError> {
        runs(fork)?;
        match self {
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
            Engine::Dev(dev) => dev.get_blobs(fork, hashes).map_err(of_dev),
        }
    }

    /// The block of proof of work of that hash, for the merge. Spec: bellatrix/fork-choice.md, `get_pow_block`.
    pub async fn pow_block(&self, hash: &Hash32) -> Result<Option<PowBlock>, EngineError> {
        match self {
            Engine::Dev(dev) => Ok(dev.pow_block(hash)),
        }
    }

    /// The last block of proof of work, on which the first payload is built; `None` if the engine has not seen it yet.
    ///
    /// Spec: bellatrix/validator.md, `get_terminal_pow_block`.
    pub async fn terminal_pow_block(&self, _config: &Config) -> Result<Option<PowBlock>, EngineError> {
        match self {
            Engine::Dev(dev) => Ok(dev.terminal_pow_block()),
        }
    }

    /// Who the engine is. Spec: identification.md, `engine_getClientVersionV1`.
    pub async fn client_version(&self) -> Result<Vec<ClientVersion>, EngineError> {
        match self {
            Engine::Dev(_) => Ok(vec![DevEngine::version()]),
        }
    }
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
