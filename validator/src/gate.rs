//! The one way from duties to signatures: what doppelganger protection still holds back does not reach the signer, and
//! the signer is told what the clock is worth.

use crate::clock::Clock;
use crate::settings::KeySettings;
use crate::signer::{Message, Refused, Signer};
use consensus::types::{BLSPubkey, BLSSignature};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::watch;

/// The keys that may sign as far as doppelganger protection goes.
pub type Allowed = Arc<HashSet<BLSPubkey>>;

/// The signer behind doppelganger protection and the clock.
#[derive(Clone)]
pub struct Gate {
    signer: Signer,
    clock: Arc<Clock>,
    allowed: watch::Receiver<Allowed>,
}

impl Gate {
    /// A gate that lets through the keys of `allowed`, as they are at each moment.
    pub fn new(signer: Signer, clock: Arc<Clock>, allowed: watch::Receiver<Allowed>) -> Self {
        Gate { signer, clock, allowed }
    }

    /// Whether a key may sign now: it is held back neither by doppelganger protection nor by the signer.
    pub fn may_sign(&self, key: &BLSPubkey) -> bool {
        self.allowed.borrow().contains(key)
    }

    /// All keys that the signer has enabled, held back or not.
    pub fn public_keys(&self) -> Vec<BLSPubkey> {
        self.signer.public_keys()
    }

    /// What the operator has set for a key.
    pub fn settings(&self, key: &BLSPubkey) -> KeySettings {
        self.signer.settings(key)
    }

    /// Grows with every change of keys or settings.
    pub fn changes(&self) -> u64 {
        self.signer.changes()
    }

    /// Stops a key until the operator enables it again.
    pub fn disable(&self, key: &BLSPubkey, why: impl Into<String>) -> anyhow::Result<()> {
        self.signer.disable(key, why)
    }

    /// Signs all of a moment; answers stand in the order of the messages.
    pub async fn sign(&self, messages: Vec<(BLSPubkey, Message<'_>)>) -> Vec<Result<BLSSignature, Refused>> {
        let held: Vec<bool> = {
            let allowed = self.allowed.borrow();
            messages.iter().map(|(key, _)| !allowed.contains(key)).collect()
        };
        let passed = messages.into_iter().zip(&held).filter(|(_, held)| !**held);
        let passed: Vec<_> = passed.map(|(message, _)| message).collect();
        let mut signed = self.signer.sign(passed, self.clock.wall_clock()).await.into_iter();
        let held_back = || Refused::Disabled("doppelganger protection still listens for a double of it".into());
        let missing = || Refused::Malformed("the signer gave no answer".into());
        held.into_iter()
            .map(|held| {
                if held {
                    Err(held_back())
                } else {
                    signed.next().unwrap_or_else(|| Err(missing()))
                }
            })
            .collect()
    }
}
