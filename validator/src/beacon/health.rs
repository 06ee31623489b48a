//! What is known of a node: whether it is on our chain, how far it is, and how it answered of late.

use super::error::{CallError, Kind};
use super::shapes::{Genesis, Syncing, text};
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::preset::{PRESET_NAME, SLOTS_PER_EPOCH};
use consensus::types::Epoch;
use consensus::{Config, Fork};
use serde_json::Value;

/// A head this far behind the clock is as good as at it: a late block and an empty slot.
const NEAR: u64 = 2;
/// A node further behind than this is only asked when there is no better one.
const BEHIND: u64 = 8;
/// After so many failures in a row a node is asked after those that answer.
const STRIKES: u32 = 2;

/// Whether a node follows our chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Identity {
    /// Not asked, or not answered, since it was last lost.
    #[default]
    Unknown,
    /// The same genesis and the same forks up to and without this epoch.
    Same { until: Epoch },
    /// Another network or other settings: the sentence says what differs.
    Other(String),
}

/// What is known of a node's health.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    pub(super) identity: Identity,
    /// Its last word on how far it is; `None` if it gave none.
    pub(super) syncing: Option<Syncing>,
    /// Why it gave none.
    pub(super) error: Option<String>,
    /// Failed calls in a row.
    pub(super) strikes: u32,
    pub(super) version: String,
    /// What was last said of it in the log, so that only changes are said.
    pub(super) told: String,
}

/// What a call needs of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Our chain, whatever its head: to prepare and subscribe.
    Chain,
    /// A head that was checked in full: whatever is signed rests on it.
    Head,
}

impl Health {
    /// Where a node stands among others, lower first; `None` if it must not be asked in `epoch`.
    pub(super) fn rank(&self, need: Need, epoch: Epoch) -> Option<u32> {
        if !matches!(self.identity, Identity::Same { until } if epoch < until) {
            return None;
        }
        let syncing = self.syncing.as_ref()?;
        if need == Need::Head && (syncing.is_syncing || syncing.is_optimistic) {
            return None;
        }
        let unready = u32::from(syncing.is_syncing) + u32::from(syncing.is_optimistic);
        let distance = u32::from(syncing.sync_distance > NEAR) + u32::from(syncing.sync_distance > BEHIND);
        let weak = u32::from(syncing.el_offline) + u32::from(self.strikes >= STRIKES);
        Some(unready * 16 + weak * 4 + distance)
    }

    /// Why a node must not be asked, in words; `None` if it may.
    pub(super) fn fault(&self, need: Need, epoch: Epoch) -> Option<String> {
        let fault = match (&self.identity, &self.syncing) {
            (Identity::Other(why), _) => why.clone(),
            (Identity::Same { until }, _) if epoch >= *until => {
                format!("its fork schedule differs from ours from epoch {until} on")
            }
            (Identity::Unknown, _) | (_, None) => match &self.error {
                Some(error) => format!("not there: {error}"),
                None => "not asked yet".into(),
            },
            (_, Some(syncing)) if need == Need::Head && syncing.is_syncing => {
                format!("syncing, {} slots to go", syncing.sync_distance)
            }
            (_, Some(syncing)) if need == Need::Head && syncing.is_optimistic => {
                "optimistic: its execution client has not checked the head yet".into()
            }
            _ => return None,
        };
        Some(fault)
    }

    /// Its state for the log.
    pub(super) fn describe(&self, epoch: Epoch) -> String {
        self.fault(Need::Head, epoch).unwrap_or_else(|| {
            let execution = match &self.syncing {
                Some(Syncing { el_offline: true, .. }) => ", but its execution client is offline",
                _ => "",
            };
            format!("ready{execution}")
        })
    }

    pub(super) fn succeeded(&mut self) {
        self.strikes = 0;
    }

    pub(super) fn failed(&mut self, error: &CallError) {
        if matches!(error.kind, Kind::Timeout | Kind::Unreachable) {
            self.strikes = self.strikes.saturating_add(1);
        }
    }
}

/// What a node's genesis and settings say about whether it is on our chain.
///
/// A fork that one of the two has at another epoch parts them from the earlier of both epochs on; until then the node
/// is as good as any. Everything else that differs makes it another network.
pub(super) fn identify(config: &Config, ours: &Genesis, theirs: &Genesis, spec: &Value) -> Identity {
    match differences(config, ours, theirs, spec) {
        Ok(until) => Identity::Same { until },
        Err(why) => Identity::Other(why),
    }
}

fn differences(config: &Config, ours: &Genesis, theirs: &Genesis, spec: &Value) -> Result<Epoch, String> {
    let same = |what: &str, ours: &str, theirs: &str| {
        if ours == theirs {
            Ok(())
        } else {
            Err(format!("it is on another network: its {what} is {theirs}, ours {ours}"))
        }
    };
    let (root, their_root) = (ours.genesis_validators_root, theirs.genesis_validators_root);
    same("genesis validators root", &root.to_string(), &their_root.to_string())?;
    let (time, their_time) = (ours.genesis_time, theirs.genesis_time);
    same("genesis time", &time.to_string(), &their_time.to_string())?;
    // What a node leaves out it cannot contradict.
    let told = |name: &str| text(spec, name).ok();
    for (name, value) in [
        ("PRESET_BASE", PRESET_NAME.to_string()),
        ("SLOTS_PER_EPOCH", SLOTS_PER_EPOCH.to_string()),
        ("SLOT_DURATION_MS", config.slot_duration_ms.to_string()),
        ("SECONDS_PER_SLOT", (config.slot_duration_ms / 1000).to_string()),
    ] {
        // Networks with slots of broken seconds have no SECONDS_PER_SLOT to compare.
        let comparable = name != "SECONDS_PER_SLOT" || config.slot_duration_ms.is_multiple_of(1000);
        if let Some(theirs) = told(name).filter(|_| comparable) {
            same(name, &value, theirs)?;
        }
    }
    let mut until = FAR_FUTURE_EPOCH;
    for fork in Fork::ALL {
        let capitals = fork.name().to_uppercase();
        let (version_name, epoch_name) = match fork {
            Fork::Phase0 => ("GENESIS_FORK_VERSION".to_string(), None),
            _ => (
                format!("{capitals}_FORK_VERSION"),
                Some(format!("{capitals}_FORK_EPOCH")),
            ),
        };
        let our_epoch = config.fork_epoch(fork);
        let their_epoch = match epoch_name {
            None => 0,
            // A fork that the node does not know never comes for it.
            Some(name) => told(&name)
                .and_then(|epoch| epoch.parse().ok())
                .unwrap_or(FAR_FUTURE_EPOCH),
        };
        let version = config.fork_version(fork).to_string();
        let same_version = told(&version_name).is_none_or(|theirs| theirs.eq_ignore_ascii_case(&version));
        if our_epoch != their_epoch || !same_version {
            until = until.min(our_epoch).min(their_epoch);
        }
    }
    if until == 0 {
        return Err("it is on another network: a fork that ours has at genesis differs".into());
    }
    Ok(until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn genesis() -> Genesis {
        Genesis {
            genesis_time: 5,
            ..Genesis::default()
        }
    }

    #[test]
    fn the_own_config_is_recognised_and_others_are_not() {
        let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
        let (ours, spec) = (genesis(), config.spec_json());
        let same = |until| Identity::Same { until };
        assert_eq!(identify(&config, &ours, &ours, &spec), same(FAR_FUTURE_EPOCH));
        // A node that tells nothing is known by its genesis; but then it has no forks, and ours begin at genesis.
        assert!(matches!(
            identify(&config, &ours, &ours, &json!({})),
            Identity::Other(_)
        ));

        let mut other = ours;
        other.genesis_validators_root.0[0] = 1;
        let Identity::Other(why) = identify(&config, &ours, &other, &spec) else {
            panic!("another genesis was taken");
        };
        assert!(why.contains("0x0100"), "{why}");

        for (name, value) in [
            ("SLOT_DURATION_MS", "1"),
            ("SLOTS_PER_EPOCH", "5"),
            ("GENESIS_FORK_VERSION", "0x0a0b0c0d"),
            ("FULU_FORK_EPOCH", "3"),
        ] {
            let mut spec = spec.clone();
            spec[name] = json!(value);
            assert!(
                matches!(identify(&config, &ours, &ours, &spec), Identity::Other(_)),
                "{name}"
            );
        }
        let mut spec = spec;
        spec["GLOAS_FORK_EPOCH"] = json!("9");
        assert_eq!(identify(&config, &ours, &ours, &spec), same(9));
    }

    #[test]
    fn ranks_put_the_better_node_first() {
        let health = |distance, is_syncing, el_offline, strikes| Health {
            identity: Identity::Same { until: 10 },
            syncing: Some(Syncing {
                sync_distance: distance,
                is_syncing,
                el_offline,
                ..Syncing::default()
            }),
            strikes,
            ..Health::default()
        };
        let order = [
            health(0, false, false, 0),
            health(5, false, false, 1),
            health(99, false, false, 0),
            health(0, false, false, 2),
            health(0, false, true, 2),
        ];
        let ranks: Vec<_> = order.iter().map(|health| health.rank(Need::Head, 9).unwrap()).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        let syncing = health(9, true, false, 0);
        assert_eq!(syncing.rank(Need::Head, 9), None);
        assert!(syncing.rank(Need::Chain, 9).is_some());
        assert!(syncing.fault(Need::Head, 9).unwrap().contains("9 slots"));
        assert_eq!(order[0].rank(Need::Chain, 10), None);
        assert!(order[0].fault(Need::Chain, 10).unwrap().contains("from epoch 10"));
        assert_eq!(Health::default().rank(Need::Chain, 0), None);
    }
}
