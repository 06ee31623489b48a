use super::*;
use crate::api::CommitteeSubscription;
use crate::network::digests::LEAVE_AFTER;
use crate::network::gossip::params::gossipsub;
use consensus::Fork;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::U256;
use consensus::types::Root;
use futures_util::StreamExt as _;
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::TopicHash;
use libp2p::identity::Keypair;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm, Transport as _, noise, swarm, tcp, yamux};
use std::time::Duration;

/// The first epoch of the second fork.
const FORK_EPOCH: Epoch = 3;

fn config() -> Arc<Config> {
    let mut config = Config::standard().with_forks_at_genesis(Fork::Electra);
    config.set_fork_epoch(Fork::Fulu, FORK_EPOCH);
    Arc::new(config)
}

/// One who is on the topics that it should be on, and speaks nothing but gossip.
struct Gossiper {
    swarm: Swarm<Gossipsub>,
    membership: Membership,
}

impl Gossiper {
    fn new(number: u64) -> Gossiper {
        let config = config();
        let digests = Digests::new(&config, Root::default());
        let key = Keypair::generate_secp256k1();
        let transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let behaviour = gossipsub(&digests, &config, &Arc::default()).unwrap();
        let settings = swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_mins(10));
        let subnets = Subnets::new(Arc::clone(&config), U256::from(number), 128).unwrap();
        Gossiper {
            swarm: Swarm::new(transport, behaviour, PeerId::from(key.public()), settings),
            membership: Membership::new(config, digests, subnets),
        }
    }

    fn at(&mut self, slot: Slot) {
        self.membership.update(self.swarm.behaviour_mut(), slot).unwrap();
    }
}

async fn connected(first: &mut Gossiper, second: &mut Gossiper) {
    let any: Multiaddr = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
    first.swarm.listen_on(any).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = first.swarm.select_next_some().await {
            break address;
        }
    };
    second.swarm.dial(address).unwrap();
}

async fn rest(first: &mut Gossiper, second: &mut Gossiper, time: Duration) {
    let end = tokio::time::sleep(time);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return,
            _ = first.swarm.select_next_some() => {}
            _ = second.swarm.select_next_some() => {}
        }
    }
}

/// Follows both for a while, in which neither may find fault with the other.
async fn assert_no_offence(first: &mut Gossiper, second: &mut Gossiper, time: Duration) {
    let step = Duration::from_millis(250);
    for _ in 0..time.as_millis() / step.as_millis() {
        rest(first, second, step).await;
        for (side, other) in [(&*first, &*second), (&*second, &*first)] {
            let score = side.swarm.behaviour().peer_score(other.swarm.local_peer_id());
            assert!(score.unwrap() >= 0.0, "{score:?}");
        }
    }
}

/// Aggregators' duties on eight subnets, in two slots; those of the same slots of another epoch are on the same ones.
fn duties(slot: Slot) -> Vec<CommitteeSubscription> {
    let duty = |number| CommitteeSubscription {
        validator_index: number,
        committee_index: number % 4,
        committees_at_slot: 4,
        slot: slot + number / 4,
        is_aggregator: true,
    };
    (0..8).map(duty).collect()
}

/// Gossipsub counts grafts that come too early in one number and takes its square. So neither may send many: where both
/// leave their subnets in two forks at once and hear soon after that they have to go back, nor where a fork's topics end.
#[tokio::test]
async fn leaving_topics_is_no_offence() {
    let (mut first, mut second) = (Gossiper::new(1), Gossiper::new(2));
    connected(&mut first, &mut second).await;
    let begin = (FORK_EPOCH - 1) * SLOTS_PER_EPOCH;
    for side in [&mut first, &mut second] {
        side.membership.subnets.subscribe_committees(&duties(begin + 1), begin);
        side.at(begin);
    }
    let topic = TopicHash::from_raw(Topic::BeaconBlock.text(first.membership.digests.at(0).digest));
    while first.swarm.behaviour().mesh_peers(&topic).next().is_none() {
        rest(&mut first, &mut second, Duration::from_millis(100)).await;
    }
    rest(&mut first, &mut second, Duration::from_secs(2)).await;
    first.at(begin + 3);
    rest(&mut first, &mut second, Duration::from_millis(300)).await;
    second.at(begin + 3);
    // Longer than the ten seconds that gossipsub itself waits after leaving.
    assert_no_offence(&mut first, &mut second, Duration::from_secs(13)).await;
    for side in [&mut first, &mut second] {
        let again = duties(begin + 1 + SLOTS_PER_EPOCH);
        side.membership.subnets.subscribe_committees(&again, begin + 3);
        side.at(begin + SLOTS_PER_EPOCH);
    }
    assert_no_offence(&mut first, &mut second, Duration::from_secs(3)).await;
    // Epoch by epoch over the fork, and to where its topics are left: one a little after the other.
    for epoch in FORK_EPOCH + 1..=FORK_EPOCH + LEAVE_AFTER {
        first.at(epoch * SLOTS_PER_EPOCH);
        rest(&mut first, &mut second, Duration::from_millis(3)).await;
        second.at(epoch * SLOTS_PER_EPOCH);
        assert_no_offence(&mut first, &mut second, Duration::from_secs(2)).await;
    }
    assert_eq!(first.membership.digests.joined(FORK_EPOCH + LEAVE_AFTER).len(), 1);
}
