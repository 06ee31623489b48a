//! An execution engine inside the process, for local networks and tests: it builds and judges real payloads, so that a
//! local chain needs no other program.
//!
//! It runs no transactions. Accounts never change, the state root is that of genesis in every block, and payloads carry
//! what needs no account: withdrawals, requests, and transactions with blobs that nobody executes. All else is as in a
//! real engine: hashes, fees, blob gas, forks by timestamp, the answers to unknown and invalid parents. Two engines of
//! one network judge alike, because nothing but config and genesis time goes into their rules.
//!
//! Refused on public networks, where its answers would be lies.

mod accounts;
mod blobs;
mod build;
mod chain;
mod genesis;
mod rules;
pub(crate) mod schedule;

pub use accounts::{SYSTEM_CONTRACTS, SystemContract};
pub use genesis::{TERMINAL_TOTAL_DIFFICULTY, genesis_block, is_merged_at_genesis, terminal_block};

use super::header::BlockHeader;
use super::payload::check_payload;
use super::types::{
    BlobAndProofs, BuiltPayload, ClientVersion, ForkchoiceState, PayloadAttributes, PayloadStatus, RpcError, Status,
    code,
};
use anyhow::{Result, bail};
use blobs::Blobs;
use build::{Build, Builds};
use chain::Chain;
use consensus::config::public_network;
use consensus::ssz::U256;
use consensus::transition::NewPayloadRequest;
use consensus::types::{
    ExecutionPayload, ExecutionPayloadHeader, ExecutionRequests, Hash32, PayloadId, PowBlock, Root, VersionedHash,
};
use consensus::{Config, Fork};
use schedule::Schedule;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Blobs asked for at once, at most. Spec: cancun.md, `engine_getBlobsV1`.
pub const MAX_BLOBS_REQUEST: usize = 128;
/// Sets of requests that wait for a block, at most: more than a test has reason to ask for at once.
const MAX_QUEUED_REQUESTS: usize = 1024;

/// What a dev engine may be asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DevOptions {
    /// Blobs in each payload that it builds, from Deneb on; the network's limit holds all the same.
    pub blobs_per_block: u64,
    /// Keep its blobs to itself: `get_blobs` finds nothing, so that they have to come over the network.
    pub hide_blobs: bool,
}

/// The engine. Every call is short (nothing is executed, proofs are made at the start), so one lock is enough.
#[derive(Debug)]
pub struct DevEngine {
    schedule: Schedule,
    options: DevOptions,
    blobs: Blobs,
    /// Takes every payload for valid, unseen.
    believes: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    chain: Chain,
    builds: Builds,
    /// Requests for payloads to come, oldest first.
    requests: Vec<ExecutionRequests>,
    /// Answers SYNCING to everything, as an engine does that has just been started.
    syncing: bool,
}

impl DevEngine {
    /// The engine of the network with this config, genesis time (Unix seconds) and root of genesis validators. Takes a
    /// few seconds if it is to make blobs. An error on a public network.
    pub fn new(
        config: &Config,
        genesis_time: u64,
        genesis_validators_root: &Root,
        options: DevOptions,
    ) -> Result<Self> {
        if let Some(network) = public_network(genesis_validators_root) {
            bail!(
                "the dev engine executes nothing and would call every payload of {network} valid: take a real execution \
                 client (--execution-endpoint)"
            );
        }
        let schedule = Schedule::new(config, genesis_time);
        let mut first = vec![genesis_block(config, genesis_time)];
        first.extend(terminal_block(config, genesis_time));
        Ok(DevEngine {
            blobs: Blobs::make(config, options.blobs_per_block)?,
            options,
            believes: false,
            state: Mutex::new(State {
                chain: Chain::new(schedule.clone(), first),
                builds: Builds::default(),
                requests: Vec::new(),
                syncing: false,
            }),
            schedule,
        })
    }

    /// The engine of the network with this genesis state, which makes no blobs. An error on a public network.
    pub fn of_genesis(config: &Config, genesis: &consensus::State) -> Result<Self> {
        let (time, root) = (genesis.genesis_time, genesis.genesis_validators_root);
        DevEngine::new(config, time, &root, DevOptions::default())
    }

    /// The same engine for a chain whose payloads were made up, as those of benchmarks may be: it takes each for valid
    /// unseen, and the node then does not look at them either. No command makes such a one.
    #[must_use]
    pub fn believing(self) -> Self {
        DevEngine { believes: true, ..self }
    }

    /// Whether it is such a one.
    pub(crate) fn believes(&self) -> bool {
        self.believes
    }

    /// Who this is. Spec: identification.md; the two letters are no other client's.
    pub fn version() -> ClientVersion {
        ClientVersion {
            code: "WR".to_owned(),
            name: "wren dev engine".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: "00000000".to_owned(),
        }
    }

    /// A panic elsewhere leaves nothing half done here, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fork at a timestamp.
    pub fn fork_at(&self, timestamp: u64) -> Fork {
        self.schedule.fork_at(timestamp)
    }

    /// The execution chain's id.
    pub fn chain_id(&self) -> u64 {
        self.schedule.config().deposit_chain_id
    }

    /// Takes a payload as valid that this engine never saw, by its header in a beacon state of `fork`: where a node
    /// starts from its database or a checkpoint, since this engine keeps nothing on disk and has no peers.
    pub fn trust(&self, fork: Fork, header: &ExecutionPayloadHeader) {
        if header.block_hash.is_zero() {
            return;
        }
        let known = BlockHeader::of_payload_header(fork, header);
        self.state().chain.trust(header.block_hash, known);
    }

    /// Makes the engine answer SYNCING to everything, or stop doing so: for tests of optimistic sync.
    pub fn set_syncing(&self, syncing: bool) {
        self.state().syncing = syncing;
    }

    /// Puts requests into the next payload that is built from Electra on. They stay until such a payload comes back as a
    /// block of the chain. False if too many wait already.
    pub fn queue_requests(&self, requests: ExecutionRequests) -> bool {
        let mut state = self.state();
        let room = state.requests.len() < MAX_QUEUED_REQUESTS;
        if room {
            state.requests.push(requests);
        }
        room
    }

    /// Spec: `engine_newPayload`. An error if the payload's timestamp is not of the request's fork.
    pub fn new_payload(&self, request: &NewPayloadRequest) -> Result<PayloadStatus, RpcError> {
        let payload = request.execution_payload;
        self.check_fork(request.fork, payload.timestamp)?;
        if self.believes {
            return Ok(PayloadStatus::valid(payload.block_hash));
        }
        if let Err(invalid) = check_payload(request) {
            return Ok(PayloadStatus::invalid(None, invalid.to_string()));
        }
        let mut state = self.state();
        if state.syncing {
            return Ok(PayloadStatus::plain(Status::Syncing));
        }
        let status = state.chain.new_payload(payload, BlockHeader::of_request(request));
        let included = request.execution_requests;
        if status.status == Status::Valid && included.is_some() && included == state.requests.first() {
            state.requests.remove(0);
        }
        Ok(status)
    }

    /// Spec: `engine_forkchoiceUpdated`. `fork` is that of the payload to be built, if there is one.
    pub fn forkchoice_updated(
        &self,
        fork: Fork,
        forkchoice: &ForkchoiceState,
        attributes: Option<&PayloadAttributes>,
    ) -> Result<(PayloadStatus, Option<PayloadId>), RpcError> {
        let mut state = self.state();
        if state.syncing {
            return Ok((PayloadStatus::plain(Status::Syncing), None));
        }
        let (status, may_build) = state.chain.forkchoice_updated(forkchoice)?;
        let Some(attributes) = attributes.filter(|_| may_build) else {
            return Ok((status, None));
        };
        let build = self.build(&state, fork, forkchoice.head_block_hash, attributes)?;
        Ok((status, Some(state.builds.keep(build))))
    }

    /// Spec: `engine_getPayload`.
    pub fn get_payload(&self, fork: Fork, id: PayloadId) -> Result<BuiltPayload, RpcError> {
        let state = self.state();
        let build = state.builds.get(id).ok_or_else(|| {
            RpcError::new(
                code::UNKNOWN_PAYLOAD,
                format!("no payload was asked for under {id}, or too many since"),
            )
        })?;
        self.check_fork(fork, build.payload.timestamp)?;
        Ok(self.built(fork, build))
    }

    fn built(&self, fork: Fork, build: &Build) -> BuiltPayload {
        BuiltPayload {
            payload: build.payload.clone(),
            // Nobody pays fees where nothing is executed.
            value: U256::ZERO,
            blobs: (fork >= Fork::Deneb).then(|| self.blobs.bundle(fork, &build.blobs)),
            should_override_builder: false,
            execution_requests: build.requests.clone(),
        }
    }

    /// The blobs of these hashes, where the engine has them. An error if too many are asked for.
    ///
    /// Spec: cancun.md, `engine_getBlobsV1`; osaka.md, `engine_getBlobsV2`.
    pub fn get_blobs(&self, fork: Fork, hashes: &[VersionedHash]) -> Result<Vec<Option<BlobAndProofs>>, RpcError> {
        if hashes.len() > MAX_BLOBS_REQUEST {
            let message = format!(
                "{} blobs were asked for, at most {MAX_BLOBS_REQUEST} are given",
                hashes.len()
            );
            return Err(RpcError::new(code::TOO_LARGE_REQUEST, message));
        }
        let find = |hash| {
            if self.options.hide_blobs {
                None
            } else {
                self.blobs.find(fork, hash)
            }
        };
        Ok(hashes.iter().map(find).collect())
    }

    /// The block of proof of work of that hash, if the chain started with such blocks.
    ///
    /// Spec: bellatrix/fork-choice.md, `get_pow_block`.
    pub fn pow_block(&self, hash: &Hash32) -> Option<PowBlock> {
        let state = self.state();
        Some(PowBlock {
            block_hash: *hash,
            parent_hash: state.chain.header(hash)?.parent_hash,
            total_difficulty: state.chain.total_difficulty(hash)?,
        })
    }

    /// The last block of proof of work, if the chain started with such blocks.
    ///
    /// Spec: bellatrix/validator.md, `get_terminal_pow_block`.
    pub fn terminal_pow_block(&self) -> Option<PowBlock> {
        let terminal = terminal_block(self.schedule.config(), self.schedule.genesis_time())?;
        self.pow_block(&terminal.hash())
    }

    /// The sum of difficulties of every block since the merge.
    pub fn final_difficulty(&self) -> U256 {
        self.terminal_pow_block()
            .map_or(U256::ZERO, |block| block.total_difficulty)
    }

    /// The header of a known block.
    pub fn header(&self, hash: &Hash32) -> Option<BlockHeader> {
        self.state().chain.header(hash).cloned()
    }

    /// Transactions and withdrawals of a known payload, with its fork; all other fields are empty.
    pub fn body(&self, hash: &Hash32) -> Option<(Fork, Arc<ExecutionPayload>)> {
        let state = self.state();
        let timestamp = state.chain.header(hash)?.timestamp;
        let body = state.chain.body(hash)?;
        Some((self.fork_at(timestamp), body))
    }

    /// The head, or the block of the head's chain with that number, with its hash.
    pub fn canonical(&self, number: Option<u64>) -> Option<(Hash32, BlockHeader)> {
        let state = self.state();
        let found = match number {
            None => state.chain.head(),
            Some(number) => state.chain.by_number(number),
        };
        found.map(|(hash, header)| (hash, header.clone()))
    }

    /// Methods and structures belong to forks, which begin at timestamps here.
    fn check_fork(&self, fork: Fork, timestamp: u64) -> Result<(), RpcError> {
        let of_timestamp = self.fork_at(timestamp);
        if fork == of_timestamp {
            return Ok(());
        }
        let message = format!("timestamp {timestamp} is of {of_timestamp}, and the method was called for {fork}");
        Err(RpcError::new(code::UNSUPPORTED_FORK, message))
    }
}

#[cfg(test)]
mod tests;
