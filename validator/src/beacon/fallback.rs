//! Several nodes as one: the best is asked first, the next one when it fails or takes its time, and the first good
//! answer counts.
//!
//! A slow node therefore costs `patience`, not the slot; and a node that is down costs nothing, since the health check
//! has taken it out of the order.

use super::error::{CallError, Kind};
use super::health::{Health, Identity, Need, identify};
use super::node::Node;
use super::shapes::Genesis;
use crate::clock::Clock;
use consensus::Config;
use consensus::types::Epoch;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// More nodes than anybody runs; it bounds the calls of one duty.
pub const MAX_NODES: usize = 16;
/// A health check must end well within a slot.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// One question to the nodes.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// What is wanted, for messages: "attestation data".
    pub what: &'static str,
    /// What a node must have to be asked.
    pub need: Need,
    /// The current epoch: a node's fork schedule may part from ours later on.
    pub epoch: Epoch,
    /// For how long an answer is of use.
    pub within: Duration,
    /// How long one node may think before the next is asked too.
    pub patience: Duration,
    /// The node to ask first, whatever its rank: the one that announced the head, or that made the block.
    pub prefer: Option<usize>,
}

/// An answer and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The position of the node that gave it.
    pub from: usize,
    /// How long it took from the first question on.
    pub took: Duration,
}

/// No node gave an answer: what was asked, and what each said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// What was wanted.
    pub what: &'static str,
    /// What went wrong, in the order of events.
    pub errors: Vec<CallError>,
}

impl Unanswered {
    /// The kind of failure that tells most: a node that answered says more than one that did not.
    pub fn kind(&self) -> Kind {
        let order = |kind: &Kind| match kind {
            Kind::Status(_) => 0,
            Kind::BadAnswer => 1,
            Kind::NotReady => 2,
            Kind::Timeout => 3,
            Kind::Unreachable => 4,
        };
        let kinds = self.errors.iter().map(|error| error.kind);
        kinds.min_by_key(order).unwrap_or(Kind::Unreachable)
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} from any beacon node: ", self.what)?;
        let texts: Vec<&str> = self.errors.iter().map(|error| error.text.as_str()).collect();
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for Unanswered {}

/// The operator's beacon nodes, in his order.
pub struct Nodes {
    list: Vec<Arc<Node>>,
    /// Whether what is published goes to all of them at once.
    broadcast: bool,
}

pub(super) fn lock(health: &Mutex<Health>) -> MutexGuard<'_, Health> {
    // Nothing panics while it is held; and even then the values would be whole.
    health.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Nodes {
    /// The nodes in the operator's order; with `broadcast`, what is published goes to all at once. At most
    /// [`MAX_NODES`].
    pub fn new(list: Vec<Node>, broadcast: bool) -> Result<Self, String> {
        if list.is_empty() || list.len() > MAX_NODES {
            return Err(format!("{} beacon nodes were given; give 1 to {MAX_NODES}", list.len()));
        }
        Ok(Nodes {
            list: list.into_iter().map(Arc::new).collect(),
            broadcast,
        })
    }

    /// All nodes, in the operator's order.
    pub fn all(&self) -> &[Arc<Node>] {
        &self.list
    }

    /// The nodes that may be asked, best first.
    fn ranked(&self, ask: &Ask) -> Vec<&Arc<Node>> {
        let ranked = self.list.iter().filter_map(|node| {
            let rank = lock(&node.health).rank(ask.need, ask.epoch)?;
            Some((ask.prefer != Some(node.position), rank, node.position, node))
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_key(|(other, rank, position, _)| (*other, *rank, *position));
        ranked.into_iter().map(|(_, _, _, node)| node).collect()
    }

    /// The position of the best node, if any may be asked.
    pub fn best(&self, need: Need, epoch: Epoch) -> Option<usize> {
        let ranks = self.list.iter().filter_map(|node| {
            let rank = lock(&node.health).rank(need, epoch)?;
            Some((rank, node.position))
        });
        ranks.min().map(|(_, position)| position)
    }

    /// Whether the node at `position` may be asked for what is signed, and how many of all may.
    pub fn ready(&self, position: usize, epoch: Epoch) -> (bool, usize) {
        let ready = |node: &Arc<Node>| lock(&node.health).rank(Need::Head, epoch).is_some();
        let one = self.list.get(position).is_some_and(ready);
        (one, self.list.iter().filter(|node| ready(node)).count())
    }

    /// Why no node may be asked: each with its fault.
    fn faults(&self, ask: &Ask) -> Unanswered {
        let fault = |node: &Arc<Node>| {
            let fault = lock(&node.health).fault(ask.need, ask.epoch)?;
            Some(CallError::new(Kind::NotReady, format!("{} is {fault}", node.url())))
        };
        Unanswered {
            what: ask.what,
            errors: self.list.iter().filter_map(fault).collect(),
        }
    }

    /// Asks the best node; the next one as well when that fails, or after `patience`; and so on. The first good answer
    /// counts, the other calls are dropped. `call` is given the time that is left.
    pub async fn first<T, F>(&self, ask: Ask, call: impl Fn(Arc<Node>, Duration) -> F) -> Result<Answer<T>, Unanswered>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        self.gather(ask, 1, call).await
    }

    /// Publishes: like [`Nodes::first`], but to all nodes at once if the operator wants that, and then the slower ones
    /// are given `patience` more after the first has taken it.
    pub async fn publish<T, F>(
        &self,
        ask: Ask,
        call: impl Fn(Arc<Node>, Duration) -> F,
    ) -> Result<Answer<T>, Unanswered>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let at_once = if self.broadcast { self.list.len() } else { 1 };
        self.gather(ask, at_once, call).await
    }

    /// Tells every node that may be asked, at once; good if one of them took it.
    pub async fn tell_all<T, F>(
        &self,
        ask: Ask,
        call: impl Fn(Arc<Node>, Duration) -> F,
    ) -> Result<Answer<T>, Unanswered>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let patience = ask.within;
        self.gather(Ask { patience, ..ask }, self.list.len(), call).await
    }

    async fn gather<T, F>(
        &self,
        ask: Ask,
        at_once: usize,
        call: impl Fn(Arc<Node>, Duration) -> F,
    ) -> Result<Answer<T>, Unanswered>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let ranked = self.ranked(&ask);
        if ranked.is_empty() {
            return Err(self.faults(&ask));
        }
        let begun = Instant::now();
        let end = begun + ask.within;
        let one = |node: &Arc<Node>| {
            let (node, left) = (node.clone(), end.saturating_duration_since(Instant::now()));
            let asked = timeout(left, call(node.clone(), left));
            async move {
                let result = asked.await.unwrap_or_else(|_| {
                    let text = format!("{} gave no {} in time", node.url(), ask.what);
                    Err(CallError::new(Kind::Timeout, text))
                });
                note(&node, &result);
                (node.position, result)
            }
        };
        let mut waiting = ranked.into_iter();
        let mut running: FuturesUnordered<_> = waiting.by_ref().take(at_once).map(one).collect();
        let mut errors = Vec::new();
        let mut answer: Option<Answer<T>> = None;
        let mut next_at = begun + ask.patience;
        loop {
            // Every pass ends one call, starts one, or leaves; both are at most as many as there are nodes.
            tokio::select! {
                biased;
                done = running.next() => match done {
                    Some((from, Ok(value))) => {
                        let took = begun.elapsed();
                        answer.get_or_insert(Answer { value, from, took });
                        next_at = (Instant::now() + ask.patience).min(end);
                        if at_once == 1 {
                            break;
                        }
                        // The others are given their time too.
                    }
                    Some((_, Err(error))) => {
                        errors.push(error);
                        if answer.is_none() && let Some(node) = waiting.next() {
                            running.push(one(node));
                            next_at = Instant::now() + ask.patience;
                        }
                    }
                    None => break,
                },
                () = sleep_until(next_at), if answer.is_some() || waiting.len() > 0 => {
                    if answer.is_some() {
                        break;
                    }
                    running.extend(waiting.next().map(one));
                    next_at += ask.patience;
                }
            }
        }
        answer.ok_or(Unanswered { what: ask.what, errors })
    }

    /// Asks one node how it is, and whether it is on our chain if that is not known; notes what its clock says. Returns
    /// what to say in the log if its state has changed.
    pub async fn check(&self, position: usize, config: &Config, ours: &Genesis, clock: &Clock) -> Option<String> {
        let node = self.list.get(position)?;
        let epoch = clock.now().epoch;
        let before = clock.now_ms();
        let syncing = node.syncing(CHECK_TIMEOUT).await;
        let after = clock.now_ms();
        if let Ok((_, Some(date))) = &syncing {
            clock.heard(position, node.url().is_loopback(), *date, before, after);
        }
        match syncing {
            Ok((syncing, _)) => {
                clock.heard_head(position, syncing.head_slot);
                let known = lock(&node.health).identity.clone();
                let met = if matches!(known, Identity::Same { .. }) {
                    Ok((known, None))
                } else {
                    meet(node, config, ours).await
                };
                let mut health = lock(&node.health);
                match met {
                    Ok((identity, version)) => {
                        health.identity = identity;
                        health.version = version.unwrap_or_else(|| std::mem::take(&mut health.version));
                        health.syncing = Some(syncing);
                        health.succeeded();
                    }
                    Err(error) => lose(&mut health, &error),
                }
            }
            Err(error) => lose(&mut lock(&node.health), &error),
        }
        let mut health = lock(&node.health);
        let state = health.describe(epoch);
        // How many slots are left changes all the time and is no news.
        let kind = state.split([',', ':']).next().unwrap_or_default().to_string();
        if kind == health.told {
            return None;
        }
        let version = if health.version.is_empty() {
            String::new()
        } else {
            format!(" ({})", health.version)
        };
        let text = format!("beacon node {}{version}: {state}", node.url());
        health.told = kind;
        Some(text)
    }
}

/// A node that does not answer a check may come back as another one: who it is must be asked again. One check that only
/// took too long says that the node is slow, not that it is gone.
fn lose(health: &mut Health, error: &CallError) {
    health.failed(error);
    let slow = error.kind == Kind::Timeout && health.strikes < 2;
    if !slow {
        health.syncing = None;
        health.identity = match &health.identity {
            Identity::Other(why) if error.kind == Kind::BadAnswer => Identity::Other(why.clone()),
            _ => Identity::Unknown,
        };
    }
    health.error = Some(error.cause.clone());
}

/// Learns whether a node is on our chain, and its name.
async fn meet(node: &Node, config: &Config, ours: &Genesis) -> Result<(Identity, Option<String>), CallError> {
    let theirs = node.genesis(CHECK_TIMEOUT).await?;
    let spec = node.spec(CHECK_TIMEOUT).await?;
    // Its name is only for the log.
    let version = node.version(CHECK_TIMEOUT).await.ok();
    Ok((identify(config, ours, &theirs, &spec), version))
}

/// Remembers how a call ended.
fn note<T>(node: &Node, result: &Result<T, CallError>) {
    let mut health = lock(&node.health);
    match result {
        Ok(_) => health.succeeded(),
        Err(error) => health.failed(error),
    }
}
