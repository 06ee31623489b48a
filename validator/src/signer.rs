//! The one way to a signature: messages go in, signatures or refusals come out.

mod message;
mod refused;

pub use message::Message;
pub use refused::Refused;

use crate::settings::KeySettings;
use consensus::types::{BLSPubkey, BLSSignature, Slot};
use std::sync::Arc;

/// What the wall clock says. A `Slot` converts into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WallClock {
    /// The current slot; 0 before genesis.
    Slot(Slot),
    /// The clock is known to be wrong; holds why.
    Wrong(String),
}

impl From<Slot> for WallClock {
    fn from(slot: Slot) -> Self {
        Self::Slot(slot)
    }
}

/// Holds the keys and signs with them. Clones share one set of keys.
#[derive(Clone, Debug)]
pub struct Signer(Arc<Inner>);

#[derive(Debug)]
struct Inner {}

impl Signer {
    /// The keys that may sign, in the order of their bytes.
    pub fn public_keys(&self) -> Vec<BLSPubkey> {
        Vec::new()
    }

    /// Signs all of a moment: one transaction of the slashing protection and one sync to disk for all of them. Answers
    /// stand in the order of the messages.
    pub async fn sign(
        &self,
        messages: Vec<(BLSPubkey, Message<'_>)>,
        now: impl Into<WallClock>,
    ) -> Vec<Result<BLSSignature, Refused>> {
        let _now: WallClock = now.into();
        messages.iter().map(|_| Err(Refused::UnknownKey)).collect()
    }

    /// Stops a key from signing, at once and across restarts, until the operator enables it.
    pub fn disable(&self, _key: &BLSPubkey, _why: impl Into<String>) {}

    /// The settings of a key: its own and, for what it leaves out, the default ones.
    pub fn settings(&self, _key: &BLSPubkey) -> KeySettings {
        KeySettings::default()
    }
}
