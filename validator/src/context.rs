//! What every duty needs at hand: the network, the clock, the nodes, the signer, and what is known of heads and duties.

use crate::beacon::{Answer, Ask, CallError, Kind, Need, Node, Nodes, Unanswered};
use crate::clock::Clock;
use crate::duties::DutyTable;
use crate::gate::Gate;
use crate::heads::Heads;
use crate::report::Report;
use crate::signer::Message;
use crate::signer::Refused;
use crate::validators::Validators;
use consensus::Config;
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::types::{BLSPubkey, BLSSignature, Slot};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A node that has not answered in this part of a slot is not waited for alone: a second on mainnet.
const PATIENCE_PART: u32 = 12;
/// Between two rounds of questions to nodes that all failed.
const RETRY_PAUSE: Duration = Duration::from_millis(400);

/// Shared by all duties.
#[derive(Clone)]
pub struct Context {
    /// The network.
    pub config: Arc<Config>,
    /// Whether it is one where blocks have a worth: fees must not be burnt there.
    pub public_network: bool,
    /// The wall clock.
    pub clock: Arc<Clock>,
    /// The beacon nodes.
    pub nodes: Arc<Nodes>,
    /// The way to signatures.
    pub gate: Gate,
    /// What event streams told.
    pub heads: watch::Receiver<Heads>,
    /// What is to be done.
    pub duties: watch::Receiver<Arc<DutyTable>>,
    /// Who we are.
    pub validators: watch::Receiver<Arc<Validators>>,
    /// Where outcomes are told.
    pub report: Arc<Report>,
}

impl Context {
    /// How long one node may think before the next is asked too.
    pub fn patience(&self) -> Duration {
        self.clock.slot_duration() / PATIENCE_PART
    }

    /// A question for a duty of `slot` whose answer is of use until a time of the wall clock.
    pub fn ask(&self, what: &'static str, need: Need, slot: Slot, until_ms: u64) -> Ask {
        Ask {
            what,
            need,
            epoch: compute_epoch_at_slot(slot),
            within: self.clock.until(until_ms),
            patience: self.patience(),
            prefer: None,
        }
    }

    /// Asks until there is an answer or it is of no use any more: nodes restart, and a slot is long.
    pub async fn persist<T, F>(
        &self,
        ask: Ask,
        until_ms: u64,
        call: impl Fn(Arc<Node>, Duration) -> F,
    ) -> Result<Answer<T>, Unanswered>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        // A round takes at least the pause, so that a slot has few of them.
        loop {
            let left = Ask {
                within: self.clock.until(until_ms),
                ..ask
            };
            match self.nodes.first(left, &call).await {
                Err(error) if self.clock.until(until_ms) <= RETRY_PAUSE => return Err(error),
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
                Ok(answer) => {
                    self.report.metrics.node.took(answer.took);
                    return Ok(answer);
                }
            }
        }
    }

    /// Publishes until a node has taken it, has refused it, or it is of no use any more. What arrives twice does no harm:
    /// nodes know what they have seen.
    pub async fn publish<T, F>(
        &self,
        ask: Ask,
        until_ms: u64,
        call: impl Fn(Arc<Node>, Duration) -> F,
    ) -> Result<Answer<T>, Unanswered>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        loop {
            let left = Ask {
                within: self.clock.until(until_ms),
                ..ask
            };
            let error = match self.nodes.publish(left, &call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let may_pass = matches!(error.kind(), Kind::Unreachable | Kind::Timeout | Kind::NotReady);
            if !may_pass || self.clock.until(until_ms) <= RETRY_PAUSE {
                return Err(error);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// The duties as soon as those that `has` asks for are in the table, but not later than a time of the wall clock: at a
    /// start and at an epoch's beginning they may come a moment after the slot.
    pub async fn duties_with(&self, until_ms: u64, has: impl Fn(&DutyTable) -> bool) -> Arc<DutyTable> {
        let mut duties = self.duties.clone();
        let there = async {
            duties
                .wait_for(|table| has(table))
                .await
                .map(|table| table.clone())
                .ok()
        };
        let table = tokio::select! {
            biased;
            table = there => table,
            () = self.clock.sleep_until(until_ms) => None,
        };
        table.unwrap_or_else(|| self.duties.borrow().clone())
    }

    /// Signs all of a moment and measures it.
    pub async fn sign(&self, messages: Vec<(BLSPubkey, Message<'_>)>) -> Vec<Result<BLSSignature, Refused>> {
        if messages.is_empty() {
            return Vec::new();
        }
        let begun = Instant::now();
        let signed = self.gate.sign(messages).await;
        self.report.metrics.signing.took(begun.elapsed());
        signed
    }
}
