//! Which topics the node is in: those of the forks that are near, and of its subnets.

use super::digests::{Digests, Era};
use super::gossip::params::{Gossipsub, topic_score, unscored};
use super::gossip::topics::Topic;
use super::subnet_set::{Subnet, SubnetSet};
use super::subnets::{Change, Subnets};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::types::{Epoch, Slot};
use consensus::{Config, Invalid};
use libp2p::gossipsub::IdentTopic;
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module.
pub(crate) struct Membership {
    config: Arc<Config>,
    digests: Digests,
    /// The subnets.
    pub(crate) subnets: Subnets,
    /// The topics that are joined, and whether they count for scores.
    joined: BTreeMap<String, bool>,
}

impl Membership {
    pub(crate) fn new(config: Arc<Config>, digests: Digests, subnets: Subnets) -> Self {
        Membership {
            config,
            digests,
            subnets,
            joined: BTreeMap::new(),
        }
    }

    /// Goes to a slot: joins and leaves what is due.
    pub(crate) fn update(&mut self, gossipsub: &mut Gossipsub, slot: Slot) -> Result<Change, Invalid> {
        let change = self.subnets.at(slot)?;
        let epoch = compute_epoch_at_slot(slot);
        let wanted = self.wanted(epoch, change.joined);
        for text in self.joined.keys().filter(|text| !wanted.contains_key(*text)) {
            gossipsub.unsubscribe(&IdentTopic::new(text));
        }
        let mut joined = BTreeMap::new();
        for (text, (topic, is_current)) in wanted {
            let known = self.joined.get(&text).copied();
            let ident = IdentTopic::new(&text);
            if known.is_none()
                && let Err(error) = gossipsub.subscribe(&ident)
            {
                tracing::warn!(topic = text, %error, "a topic cannot be joined");
                continue;
            }
            if known != Some(is_current) {
                let params = if is_current {
                    topic_score(topic, &self.config)
                } else {
                    unscored(topic, &self.config)
                };
                if let Err(error) = gossipsub.set_topic_params(ident, params) {
                    tracing::debug!(topic = text, error, "a topic is not scored");
                }
            }
            joined.insert(text, is_current);
        }
        self.joined = joined;
        Ok(change)
    }

    /// The topics of an epoch, each with whether it is one of the current fork.
    fn wanted(&self, epoch: Epoch, subnets: SubnetSet) -> BTreeMap<String, (Topic, bool)> {
        let current = self.digests.at(epoch);
        let of_era = |era: Era| {
            let subnets = subnets.iter().map(|subnet| match subnet {
                Subnet::Attestation(id) => Topic::BeaconAttestation(id),
                Subnet::Sync(id) => Topic::SyncCommittee(id),
                Subnet::Column(id) => Topic::DataColumnSidecar(id),
            });
            let mut topics = Topic::global(era.fork);
            topics.extend(Topic::blobs(era.fork, &self.config));
            topics.extend(subnets.filter(|topic| topic.is_in(era.fork)));
            topics
                .into_iter()
                .map(move |topic| (topic.text(era.digest), (topic, era == current)))
        };
        self.digests.joined(epoch).into_iter().flat_map(of_era).collect()
    }
}

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
