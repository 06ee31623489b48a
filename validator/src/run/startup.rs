//! What must be known before duties begin: which network, when it began, and whether this version can follow it.

use crate::beacon::{Genesis, Node, Nodes};
use crate::clock::date_of;
use crate::signer::Signer;
use anyhow::{Result, bail};
use consensus::Config;
use consensus::config::public_network;
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::slot_clock::SlotClock;
use consensus::types::{BLSPubkey, Epoch, Root};
use consensus::{Fork, types::ExecutionAddress};
use std::time::{Duration, Instant};

/// The last fork whose duties this version does.
const LAST_FORK: Fork = Fork::Fulu;
/// Between two rounds of asking nodes that do not answer.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How often waiting is told.
const TELL_AGAIN: Duration = Duration::from_mins(1);
/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of the network's genesis without asking anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownGenesis {
    /// The root of its validators.
    pub validators_root: Option<Root>,
    /// Its time, in seconds since 1970.
    pub time: Option<u64>,
}

/// Checks that the keys' database is of the network that was asked for.
pub(super) fn check_root(known: &KnownGenesis, database: Root) -> Result<()> {
    match known.validators_root {
        Some(root) if root != database => bail!(
            "the slashing protection database belongs to another network: its genesis validators root is {database}, \
             that of --network is {root}; --datadir or --network is wrong"
        ),
        _ => Ok(()),
    }
}

/// Refuses to start where blocks would burn their fees.
pub(super) fn check_fee_recipients(signer: &Signer, root: &Root) -> Result<()> {
    let Some(network) = public_network(root) else {
        return Ok(());
    };
    let keys = signer.public_keys();
    let lacking: Vec<&BLSPubkey> = keys
        .iter()
        .filter(|key| signer.settings(key).lacks_fee_recipient())
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let zero = ExecutionAddress::default();
    let named: Vec<String> = lacking.iter().take(5).map(ToString::to_string).collect();
    let more = if lacking.len() > 5 {
        format!(" and {} more", lacking.len() - 5)
    } else {
        String::new()
    };
    bail!(
        "{} keys have no fee recipient, or {zero}, which would burn the fees of their blocks on {network}: {}{more}. Give \
         --suggested-fee-recipient ADDRESS, or fee_recipient in validators.toml",
        lacking.len(),
        named.join(", ")
    )
}

/// The genesis as the first node that answers has it. Nodes of another network are passed over, nodes that are not there
/// are waited for: both are said once a minute.
pub(super) async fn learn_genesis(nodes: &Nodes, known: &KnownGenesis, root: Root, config: &Config) -> Genesis {
    if let Some(genesis_time) = known.time {
        return Genesis {
            genesis_time,
            genesis_validators_root: root,
            genesis_fork_version: config.genesis_fork_version,
        };
    }
    let mut told: Option<Instant> = None;
    loop {
        let mut complaints = Vec::new();
        for node in nodes.all() {
            match ask_genesis(node, root).await {
                Ok(genesis) => return genesis,
                Err(why) => complaints.push(why),
            }
        }
        if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            tracing::warn!("waiting for a beacon node: {}", complaints.join("; "));
            told = Some(Instant::now());
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

async fn ask_genesis(node: &Node, root: Root) -> Result<Genesis, String> {
    let genesis = node.genesis(TIMEOUT).await.map_err(|error| error.to_string())?;
    let theirs = genesis.genesis_validators_root;
    if theirs == root {
        Ok(genesis)
    } else {
        let url = node.url();
        Err(format!(
            "{url} is on another network: its genesis validators root is {theirs}, ours {root}"
        ))
    }
}

/// A fork that the config schedules and this version does no duties in: its name and its first epoch.
pub(super) fn unsupported_fork(config: &Config) -> Option<(String, Epoch)> {
    let known = config
        .scheduled_forks()
        .filter(|(fork, ..)| *fork > LAST_FORK)
        .map(|(fork, _, epoch)| (fork.name().to_uppercase(), epoch));
    known
        .chain(config.unknown_forks())
        .filter(|(_, epoch)| *epoch != FAR_FUTURE_EPOCH)
        .min_by_key(|(_, epoch)| *epoch)
}

/// The sentence of a stop before a fork that this version does not do: an epoch before it, or later. `None` if there is
/// none, or it is far off.
pub(super) fn fork_stop(config: &Config, slots: &SlotClock, epoch: Epoch) -> Option<String> {
    let (name, first) = unsupported_fork(config)?;
    if epoch.saturating_add(1) < first {
        return None;
    }
    let date = fork_date(slots, first);
    Some(format!(
        "the fork {name} begins at epoch {first} ({date}), and this version does no duties from then on: install one \
         that does"
    ))
}

/// The date of an epoch's beginning.
pub(super) fn fork_date(slots: &SlotClock, epoch: Epoch) -> String {
    date_of(slots.compute_time_at_slot_ms(epoch.saturating_mul(SLOTS_PER_EPOCH)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beacon::Reach;
    use crate::scripted::{Reply, Scripted};
    use consensus::ssz::{Bytes, Json};

    #[test]
    fn it_stops_an_epoch_before_a_fork_that_it_does_not_do() {
        let mut config = Config::standard().with_forks_at_genesis(Fork::Fulu);
        let slots = SlotClock::new(&config, 1_000_000);
        assert_eq!(fork_stop(&config, &slots, u64::MAX), None);
        config.set_fork_epoch(Fork::Gloas, 10);
        assert_eq!(fork_stop(&config, &slots, 8), None);
        for epoch in [9, 10, 1000] {
            let why = fork_stop(&config, &slots, epoch).unwrap();
            assert!(why.contains("GLOAS begins at epoch 10 (1970-"), "{why}");
        }
    }

    #[test]
    fn a_database_of_another_network_is_refused() {
        let known = KnownGenesis {
            validators_root: Some(Bytes([1; 32])),
            time: None,
        };
        assert!(check_root(&known, Bytes([1; 32])).is_ok());
        assert!(check_root(&known, Bytes([2; 32])).is_err());
        assert!(check_root(&KnownGenesis::default(), Bytes([2; 32])).is_ok());
    }

    #[tokio::test]
    async fn genesis_is_learned_from_the_first_node_of_our_network() {
        let config = Config::standard();
        let root = Bytes([5; 32]);
        let genesis = |root| Genesis {
            genesis_time: 77,
            genesis_validators_root: root,
            genesis_fork_version: config.genesis_fork_version,
        };
        let say = |genesis: Genesis| Scripted::start(move |_| Reply::data(genesis.to_json(Fork::Phase0)));
        let scripts = [
            Scripted::start(|_| Reply::status(404, "not yet")),
            say(genesis(Bytes([6; 32]))),
            say(genesis(root)),
        ];
        let node = |(position, script): (usize, &Scripted)| {
            Node::new(position, script.url().parse().unwrap(), &Reach::default())
        };
        let list = scripts.iter().enumerate().map(node).collect::<Result<_, _>>().unwrap();
        let nodes = Nodes::new(list, false).unwrap();
        let learned = learn_genesis(&nodes, &KnownGenesis::default(), root, &config).await;
        assert_eq!(learned, genesis(root));
        let known = KnownGenesis {
            validators_root: Some(root),
            time: Some(99),
        };
        assert_eq!(learn_genesis(&nodes, &known, root, &config).await.genesis_time, 99);
    }
}
