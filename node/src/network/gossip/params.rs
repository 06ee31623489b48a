//! How gossipsub is set up, and how it scores peers.
//!
//! Spec: phase0/p2p-interface.md, "Gossipsub Parameters". The specification gives no scores; these are our own. What
//! they are for: a peer whose messages are invalid is out after three of them; one that is merely slow, small or new is
//! never below zero.

use super::message_id::{Snappy, message_id_fn};
use super::topics::Topic;
use crate::network::counts::Counts;
use crate::network::digests::Digests;
use crate::network::rpc::frames::max_compressed_len;
use crate::network::sizes;
use consensus::Config;
use consensus::preset::SLOTS_PER_EPOCH;
use libp2p::gossipsub::{
    Behaviour, ConfigBuilder, MaxCountSubscriptionFilter, MessageAuthenticity, PeerScoreParams, PeerScoreThresholds,
    TopicHash, TopicScoreParams, TopicSubscriptionFilter, ValidationMode, score_parameter_decay,
};
use std::sync::Arc;
use std::time::Duration;

/// Gossipsub as this node runs it.
pub type Gossipsub = Behaviour<Snappy, MaxCountSubscriptionFilter<Known>>;

/// Lets peers join only topics that the network has: others would only take memory.
#[derive(Clone)]
pub struct Known {
    digests: Arc<Digests>,
    config: Arc<Config>,
}

impl TopicSubscriptionFilter for Known {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        Topic::parse(topic.as_str(), &self.digests, &self.config).is_some()
    }
}

/// Topics that a peer may be in: those of three forks at once, each with about 210.
const TOPICS_MAX: usize = 3 * 256;

/// Messages of one kind in one frame: more would keep a task busy for too long. A frame has 10 MiB at most.
const MESSAGES_PER_FRAME: usize = 1024;

/// Messages that may wait for one peer, which are shared between peers; beyond it the peer loses some.
const QUEUE_MAX: usize = 1024;

/// The size of messages from which on IDONTWANT is sent: blocks, columns and large slashings, not votes.
const IDONTWANT_FROM: usize = 1000;

/// Scores below which a peer gets no gossip, is not published to, and is not listened to at all. See `invalid`.
pub const THRESHOLDS: PeerScoreThresholds = PeerScoreThresholds {
    gossip_threshold: -30.0,
    publish_threshold: -100.0,
    graylist_threshold: -170.0,
    // Peer exchange is off, so no score lets it in.
    accept_px_threshold: 100.0,
    opportunistic_graft_threshold: 1.0,
};

/// How long no graft follows a prune, in seconds: what gossipsub specifies, and what implementations come with. It holds
/// after leaving a topic too, where 10 seconds are usual: a peer that hears of the leaving before it hears of the prune (and
/// gossipsub says it in this order) keeps to its own minute and takes an earlier graft for an offence.
pub const BACKOFF_SECONDS: u64 = 60;

/// Heartbeats that are waited beyond the end of a backoff: 2.8 seconds. The peer counts from when the prune came to it, over
/// a slow line and a busy machine.
const BACKOFF_SLACK: u32 = 4;

/// Broken promises and early grafts that are no offence yet. A busy peer breaks some promises; seven at once are no accident.
const MISTAKES: f64 = 6.0;

/// Sets gossipsub up; an error is a bug of these parameters.
pub fn gossipsub(digests: &Digests, config: &Arc<Config>, counts: &Arc<Counts>) -> Result<Gossipsub, String> {
    let seen_ttl = config.slot_duration_ms.saturating_mul(SLOTS_PER_EPOCH * 2);
    // The frame around the longest message. Spec: phase0/p2p-interface.md, `max_message_size`.
    let frame = max_compressed_len(sizes::payload_max(config))
        .saturating_add(1024)
        .max(1 << 20);
    let gossip = ConfigBuilder::default()
        .mesh_n(8)
        .mesh_n_low(6)
        .mesh_n_high(12)
        .gossip_lazy(6)
        .heartbeat_interval(Duration::from_millis(700))
        .heartbeat_initial_delay(Duration::from_millis(700))
        .prune_backoff(Duration::from_secs(BACKOFF_SECONDS))
        .unsubscribe_backoff(BACKOFF_SECONDS)
        .backoff_slack(BACKOFF_SLACK)
        .fanout_ttl(Duration::from_mins(1))
        .history_length(6)
        .history_gossip(3)
        .duplicate_cache_time(Duration::from_millis(seen_ttl))
        .max_transmit_size(frame)
        .max_messages_per_rpc(Some(MESSAGES_PER_FRAME))
        .connection_handler_queue_len(QUEUE_MAX)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id_fn(digests))
        // Two nodes that send the same update for light clients, or the same operation, wrong nobody: to each the other's is
        // a message of its own that comes back, which would be held against the peer otherwise.
        .allow_self_origin(true)
        // Own messages go to the mesh like all others: 50 copies of a block take a home line's upload for seconds.
        .flood_publish(false)
        .idontwant_message_size_threshold(IDONTWANT_FROM)
        .build()
        .map_err(|error| error.to_string())?;
    let known = Known {
        digests: Arc::new(digests.clone()),
        config: Arc::clone(config),
    };
    let filter = MaxCountSubscriptionFilter {
        filter: known,
        max_subscribed_topics: TOPICS_MAX,
        max_subscriptions_per_request: TOPICS_MAX,
    };
    let snappy = Snappy::new(digests.clone(), Arc::clone(config), Arc::clone(counts));
    let mut behaviour =
        Behaviour::new_with_subscription_filter_and_transform(MessageAuthenticity::Anonymous, gossip, filter, snappy)?;
    behaviour.with_peer_score(peer_score(config), THRESHOLDS)?;
    Ok(behaviour)
}

fn epoch(config: &Config) -> Duration {
    // At least some seconds, so that decays are between 0 and 1 on the fastest test network too.
    Duration::from_millis(config.slot_duration_ms.saturating_mul(SLOTS_PER_EPOCH)).max(Duration::from_secs(16))
}

/// What is scored of a peer whatever the topic.
fn peer_score(config: &Config) -> PeerScoreParams {
    PeerScoreParams {
        // As much as two invalid messages cost, so that no past merit covers for a third.
        topic_score_cap: 80.0,
        // What sync and requests think of the peer, see the service.
        app_specific_weight: 1.0,
        // Peers of one address are the book's affair: on public networks it lets in three of a site at most, and on
        // private ones all may stand behind one address and do no wrong.
        ip_colocation_factor_weight: 0.0,
        // Broken promises and grafts that come too early.
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: MISTAKES,
        behaviour_penalty_decay: score_parameter_decay(epoch(config)),
        decay_interval: Duration::from_secs(1),
        decay_to_zero: 0.01,
        // A peer that comes back does not begin anew.
        retain_score: epoch(config).saturating_mul(10),
        // A slow line is no misdeed: whoever cannot take messages loses them, that is all.
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    }
}

/// What is scored of a peer on a topic while it is the current fork's.
pub fn topic_score(topic: Topic, config: &Config) -> TopicScoreParams {
    // First deliveries are a small bonus, the more the rarer the messages; all blocks of an epoch make 8.
    let first_delivery = match topic {
        Topic::BeaconBlock => 0.25,
        Topic::DataColumnSidecar(_) | Topic::BlobSidecar(_) => 0.05,
        Topic::BeaconAggregateAndProof | Topic::SyncCommitteeContributionAndProof => 0.01,
        _ => 0.005,
    };
    TopicScoreParams {
        topic_weight: 1.0,
        // Up to 2 points for an hour in the mesh: a known peer is worth a little more than a new one.
        time_in_mesh_weight: 2.0 / 300.0,
        time_in_mesh_quantum: Duration::from_secs(12),
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: first_delivery,
        first_message_deliveries_decay: score_parameter_decay(epoch(config)),
        first_message_deliveries_cap: 40.0,
        // Too few deliveries are not punished: how many there should be depends on validators, subnets and luck, and
        // honest peers of small networks would suffer. The mesh prefers those who deliver anyhow.
        mesh_message_deliveries_weight: 0.0,
        mesh_message_deliveries_decay: 0.5,
        mesh_failure_penalty_weight: 0.0,
        mesh_failure_penalty_decay: 0.5,
        // Invalid messages cost their number squared: 20 for one, which a bug may explain, 80 for two, 180 for three,
        // which is below the last threshold. It takes ten epochs to be forgotten.
        invalid_message_deliveries_weight: -20.0,
        invalid_message_deliveries_decay: score_parameter_decay(epoch(config).saturating_mul(10)),
        ..TopicScoreParams::default()
    }
}

/// A topic of a fork that is over or has not begun: nothing on it counts. Spec: altair/p2p-interface.md, "Transitioning
/// the gossip": nobody is scored for messages on old topics.
pub fn unscored(topic: Topic, config: &Config) -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 0.0,
        ..topic_score(topic, config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::Fork;
    use consensus::types::Root;

    #[test]
    fn the_parameters_are_valid() {
        let config = Arc::new(Config::standard().with_forks_at_genesis(Fork::Fulu));
        let digests = Digests::new(&config, Root::default());
        assert!(gossipsub(&digests, &config, &Arc::default()).is_ok());
        for topic in Topic::global(Fork::Fulu) {
            topic_score(topic, &config).validate().unwrap();
            unscored(topic, &config).validate().unwrap();
        }
    }
}
