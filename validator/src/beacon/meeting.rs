//! A node that is met for the first time: what it says of itself, for who decides whether to use it.

use super::error::{CallError, Kind};
use super::health::{Identity, identify};
use super::node::Node;
use super::shapes::Genesis;
use crate::clock::{contradicts, unix_ms};
use consensus::Config;
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::types::{Epoch, Root, Slot};
use std::time::Duration;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The beginning of its chain.
    pub genesis: Genesis,
    /// Its name and version; empty where it tells none.
    pub version: String,
    /// Its head; `None` where it tells none.
    pub head_slot: Option<Slot>,
    /// Why it is on another network, in words.
    pub stranger: Option<String>,
    /// The first epoch in which its fork schedule differs from ours.
    pub parts_at: Option<Epoch>,
    /// Why our clock is wrong if its clock is right. A node on this machine has ours and says nothing of it.
    pub clock: Option<String>,
}

impl Node {
    /// Asks a node for its genesis, settings, version, head and clock. `root` is that of our network; `time` is its
    /// genesis time in seconds since 1970, where it is known. Each question may take `timeout`.
    ///
    /// Spec: beacon-APIs, `getGenesis`, `getSpec`, `getNodeVersion`, `getSyncingStatus`; the last two may be refused.
    pub async fn introduce(
        &self,
        config: &Config,
        root: Root,
        time: Option<u64>,
        timeout: Duration,
    ) -> Result<Introduction, CallError> {
        let genesis = self.genesis(timeout).await?;
        let spec = self.spec(timeout).await?;
        let ours = Genesis {
            genesis_time: time.unwrap_or(genesis.genesis_time),
            genesis_validators_root: root,
            ..genesis
        };
        let (stranger, parts_at) = match identify(config, &ours, &genesis, &spec) {
            Identity::Other(why) => (Some(why), None),
            Identity::Same { until } => (None, (until != FAR_FUTURE_EPOCH).then_some(until)),
            Identity::Unknown => (Some("it does not tell its network".into()), None),
        };
        let asked = unix_ms();
        let syncing = self.syncing(timeout).await;
        let (head_slot, date) = match syncing {
            Ok((syncing, date)) => (Some(syncing.head_slot), date),
            // Servers of checkpoints have some routes only.
            Err(CallError {
                kind: Kind::Status(_) | Kind::BadAnswer,
                ..
            }) => (None, None),
            Err(error) => return Err(error),
        };
        let clock = date.filter(|_| !self.url().is_loopback());
        Ok(Introduction {
            genesis,
            version: self.version(timeout).await.unwrap_or_default(),
            head_slot,
            stranger,
            parts_at,
            clock: clock.and_then(|date| contradicts(date, asked, unix_ms())),
        })
    }
}
