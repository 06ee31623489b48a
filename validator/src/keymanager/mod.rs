//! The keymanager API: what an operator and his tools change while the client runs.
//!
//! It listens on loopback alone and wants the token that lies in the client's folder: whoever can read that file could
//! take the keys anyway. Beside the standard's routes there are a few of our own under `/wren/v1`, by which the commands
//! of `wren keys` work on a running client.
//!
//! Changes take effect when their answer is sent, and survive a crash from then on. They are made one at a time.
//!
//! It is served from the client's start on, though the client may not know yet when its chain began, for want of a node
//! that says so. What hangs on the chain is refused until then, with a sentence; a key that comes in waits.
//!
//! Spec: keymanager-APIs.

mod answer;
mod client;
mod keystores;
mod own;
mod remote;
mod routes;
mod server;
mod settings;
mod token;

#[cfg(test)]
mod tests;

pub use client::{Client, find};
pub(crate) use server::{listen, serve};
pub(crate) use token::Token;

use crate::beacon::{Ask, Need};
use crate::context::Context;
use crate::keys::Standing;
use crate::signer::Signer;
use crate::validators::fetch;
use answer::Problem;
use consensus::types::BLSPubkey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// The usual port.
pub const PORT: u16 = 5062;
/// Nodes have so long to say whether the chain knows keys that come in.
const STANDING_WITHIN: Duration = Duration::from_secs(5);
/// Why a client that waits does not know.
const NO_NODE_YET: &str = "no beacon node has answered since the client's start, so it does not know its chain yet";

/// What requests work on. Clones share it.
#[derive(Clone)]
pub(crate) struct Keymanager {
    signer: Signer,
    /// What duties have at hand; none as long as no beacon node has said when the chain began.
    ctx: watch::Receiver<Option<Context>>,
    /// One change at a time: each reads what is there, then writes it, and a keystore takes 256 MiB to open.
    changing: Arc<Semaphore>,
}

impl Keymanager {
    pub(crate) fn new(signer: Signer, ctx: watch::Receiver<Option<Context>>) -> Self {
        Keymanager {
            signer,
            ctx,
            changing: Arc::new(Semaphore::new(1)),
        }
    }

    /// What duties have at hand, if the client has met a node.
    fn context(&self) -> Option<Context> {
        self.ctx.borrow().clone()
    }

    /// The same for what cannot be done without.
    fn needed_context(&self) -> Result<Context, Problem> {
        let message =
            || format!("{NO_NODE_YET}: see that one of --beacon-nodes runs and can be reached, then ask again");
        self.context().ok_or_else(|| Problem::not_ready(message()))
    }

    /// Runs a change where it may wait for the disk, after those before it. It goes on when the one who asked leaves.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Signer) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = self.changing.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Problem::internal("the client is stopping"))?;
        let signer = self.signer.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            change(&signer)
        });
        match done.await {
            Ok(result) => result.map_err(|error| Problem::internal(format!("{error:#}"))),
            Err(error) => Err(Problem::internal(format!("the change was not made: {error}"))),
        }
    }

    /// What the chain says of keys that come in, so that one that may run elsewhere does not sign here.
    async fn standings(&self, keys: &[BLSPubkey]) -> BTreeMap<BLSPubkey, Standing> {
        let all = |standing: Standing| keys.iter().map(|key| (*key, standing.clone())).collect();
        let Some(ctx) = self.context() else {
            return all(Standing::NoAnswer(NO_NODE_YET.into()));
        };
        let now = ctx.clock.now();
        if now.epoch == 0 {
            return all(Standing::BeforeStart);
        }
        let ask = Ask {
            within: STANDING_WITHIN,
            ..ctx.ask("the keys' validators", Need::Head, now.slot, 0)
        };
        match fetch(&ctx.nodes, ask, keys).await {
            Ok(found) => {
                let mut standings: BTreeMap<_, _> = keys.iter().map(|key| (*key, Standing::NotOnChain)).collect();
                for info in found {
                    if let Some(standing) = standings.get_mut(&info.pubkey) {
                        *standing = Standing::OnChain(info.status.to_string());
                    }
                }
                standings
            }
            Err(error) => all(Standing::NoAnswer(error.to_string())),
        }
    }
}

/// What is known of a key, from a list that was fetched before.
fn standing_of(standings: &BTreeMap<BLSPubkey, Standing>, key: &BLSPubkey) -> Standing {
    let known = standings.get(key).cloned();
    known.unwrap_or_else(|| Standing::NoAnswer("it was not asked about".into()))
}
