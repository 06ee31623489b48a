//! What an exit is decided by and followed with.

use super::error::{CallError, Kind};
use super::node::{Node, PER_VALIDATOR, SMALL};
use super::shapes::{ValidatorInfo, items, member, parse, read_member};
use consensus::Fork;
use consensus::ssz::Json;
use consensus::types::{Bytes32, Epoch, Gwei, SignedVoluntaryExit, ValidatorIndex};
use std::time::Duration;

/// Answers of queues: some hundred thousand entries, far more than any network has had.
const QUEUE_LIMIT: usize = 64 << 20;
/// Validators that leave at a time: with the queue of mainnet's longest they were fewer.
const LEAVING_LIMIT: usize = 200_000;

/// A validator with what matters when it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// What is known of it.
    pub info: ValidatorInfo,
    /// Whom its balance goes to.
    pub withdrawal_credentials: Bytes32,
    /// From when on it is paid out; `FAR_FUTURE_EPOCH` for not yet decided.
    pub withdrawable_epoch: Epoch,
}

/// A withdrawal that a validator has asked for by its withdrawal address. Spec: electra/beacon-chain.md,
/// `PendingPartialWithdrawal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialWithdrawal {
    /// Which validator.
    pub validator_index: ValidatorIndex,
    /// How much, in Gwei.
    pub amount: Gwei,
    /// From when on it is paid.
    pub withdrawable_epoch: Epoch,
}

impl Node {
    /// Validators by index or public key, in the head's state; those that the chain does not know are left out.
    /// Spec: beacon-APIs, `postStateValidators`.
    pub async fn leaving(&self, ids: &[String], timeout: Duration) -> Result<Vec<Leaving>, CallError> {
        let body = serde_json::json!({"ids": ids, "statuses": null}).to_string();
        self.validators_by(body, ids.len(), SMALL + ids.len() * PER_VALIDATOR, timeout)
            .await
    }

    /// All that are about to leave. Spec: beacon-APIs, `postStateValidators`.
    pub async fn all_leaving(&self, timeout: Duration) -> Result<Vec<Leaving>, CallError> {
        let body = r#"{"ids":null,"statuses":["active_exiting"]}"#;
        self.validators_by(body.into(), LEAVING_LIMIT, 2 * QUEUE_LIMIT, timeout)
            .await
    }

    async fn validators_by(
        &self,
        body: String,
        count: usize,
        limit: usize,
        timeout: Duration,
    ) -> Result<Vec<Leaving>, CallError> {
        let path = "/eth/v1/beacon/states/head/validators";
        let response = self.post(path.into(), body.into_bytes(), limit, timeout).await?;
        let read = || {
            let answer = parse(&response.body)?;
            let found = items(member(&answer, "data")?, count)?.iter().map(|value| {
                let validator = member(value, "validator")?;
                Ok(Leaving {
                    info: ValidatorInfo::read(value)?,
                    withdrawal_credentials: read_member(validator, "withdrawal_credentials")?,
                    withdrawable_epoch: read_member(validator, "withdrawable_epoch")?,
                })
            });
            found.collect::<Result<_, CallError>>()
        };
        read().map_err(|error| self.odd(path, error))
    }

    /// The queue of partial withdrawals; none before Electra, and where the node does not know the route.
    /// Spec: beacon-APIs, `getPendingPartialWithdrawals`.
    pub async fn partial_withdrawals(&self, timeout: Duration) -> Result<Vec<PartialWithdrawal>, CallError> {
        let path = "/eth/v1/beacon/states/head/pending_partial_withdrawals";
        let answer = match self.get(path.into(), QUEUE_LIMIT, timeout).await {
            Err(error) if matches!(error.kind, Kind::Status(400 | 404 | 405 | 501)) => return Ok(Vec::new()),
            answer => answer?,
        };
        let read = || {
            let queue = items(member(&answer, "data")?, QUEUE_LIMIT)?.iter().map(|value| {
                Ok(PartialWithdrawal {
                    validator_index: read_member(value, "validator_index")?,
                    amount: read_member(value, "amount")?,
                    withdrawable_epoch: read_member(value, "withdrawable_epoch")?,
                })
            });
            queue.collect::<Result<_, CallError>>()
        };
        read().map_err(|error| self.odd(path, error))
    }

    /// Hands an exit to the node's pool. The node's own words are in the error. Spec: beacon-APIs,
    /// `submitPoolVoluntaryExit`.
    pub async fn submit_exit(&self, exit: &SignedVoluntaryExit, timeout: Duration) -> Result<(), CallError> {
        let path = "/eth/v1/beacon/pool/voluntary_exits";
        let body = exit.to_json(Fork::Capella).into_bytes();
        self.post(path.into(), body, SMALL, timeout).await.map(|_| ())
    }
}
