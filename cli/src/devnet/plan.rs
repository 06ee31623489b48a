//! Who does what in a devnet: which keys go to which client, which client asks which node, who goes offline.

use super::Args;
use std::ops::Range;

/// Beacon nodes unless asked otherwise: two, so that blocks cross the network.
pub(super) const NODES: usize = 2;

/// Parts that the keys are divided into where a share of the validators is to go offline: one in twenty is fine enough to
/// show a leak.
const SHARES: usize = 20;

/// A share of the validators that is away for a while: `40%@3..8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offline {
    pub(super) percent: usize,
    /// The first epoch without them.
    pub(super) from: u64,
    /// The first epoch with them again.
    pub(super) until: u64,
}

impl std::str::FromStr for Offline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write it as 40%@3..8: from epoch 3 on, back at the start of epoch 8".to_owned();
        let (percent, epochs) = text.split_once("%@").ok_or_else(form)?;
        let (from, until) = epochs.split_once("..").ok_or_else(form)?;
        let offline = Offline {
            percent: percent.parse().map_err(|_| form())?,
            from: from.parse().map_err(|_| form())?,
            until: until.parse().map_err(|_| form())?,
        };
        if !(5..=95).contains(&offline.percent) {
            return Err(format!("{} %: take 5 to 95", offline.percent));
        }
        if offline.from == 0 || offline.from >= offline.until {
            return Err(format!("epochs {}..{}: {}", offline.from, offline.until, form()));
        }
        Ok(offline)
    }
}

/// A validator client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) name: String,
    /// The slices of the keys that it holds.
    pub(super) slices: Range<usize>,
    /// The indices of its validators.
    pub(super) validators: Range<usize>,
    /// The number of the node that it asks.
    pub(super) node: usize,
    /// Whether it is the one that goes offline.
    pub(super) leaves: bool,
}

/// How keys, clients and nodes belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Slices that the keys are written in.
    pub(super) slices: usize,
    pub(super) clients: Vec<Client>,
}

impl Plan {
    pub(super) fn of(args: &Args) -> Self {
        let (slices, away) = match args.offline {
            None => (args.clients, 0),
            Some(offline) => {
                let away = (offline.percent * SHARES + 50) / 100;
                (SHARES.max(args.clients + away), away)
            }
        };
        let here = slices - away;
        // A client's slices, as nearly equal in number as can be.
        let mut parts: Vec<(Range<usize>, bool)> = (0..args.clients)
            .map(|client| (client * here / args.clients..(client + 1) * here / args.clients, false))
            .collect();
        if away > 0 {
            parts.push((here..slices, true));
        }
        let first = |slice: usize| slice * args.validators / slices;
        let clients = parts.into_iter().enumerate().map(|(number, (part, leaves))| Client {
            name: format!("client-{number}"),
            validators: first(part.start)..first(part.end),
            slices: part,
            node: number % args.nodes(),
            leaves,
        });
        Plan {
            slices,
            clients: clients.collect(),
        }
    }

    /// The client that holds a validator.
    pub(super) fn client_of(&self, validator: usize) -> Option<&Client> {
        self.clients
            .iter()
            .find(|client| client.validators.contains(&validator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devnet::tests::Line;
    use clap::Parser;

    fn plan(words: &[&str]) -> Plan {
        Plan::of(&Line::parse_from([&["devnet"], words].concat()).args)
    }

    #[test]
    fn every_key_has_one_client() {
        for words in [
            &["--validators", "64", "--clients", "3"][..],
            &["--validators", "61", "--clients", "2", "--offline", "40%@2..5"],
            &["--validators", "40", "--clients", "18", "--offline", "35%@2..5"],
        ] {
            let plan = plan(words);
            let mut next = (0, 0);
            for client in &plan.clients {
                assert_eq!((client.slices.start, client.validators.start), next, "{words:?}");
                assert!(!client.validators.is_empty());
                next = (client.slices.end, client.validators.end);
            }
            assert_eq!(next.0, plan.slices);
            assert_eq!(plan.client_of(next.1 - 1), plan.clients.last());
            assert_eq!(plan.client_of(next.1), None);
        }
    }

    #[test]
    fn a_share_of_the_validators_leaves() {
        let plan = plan(&["--validators", "100", "--offline", "40%@2..5"]);
        let leaving: Vec<&Client> = plan.clients.iter().filter(|client| client.leaves).collect();
        assert_eq!(leaving.len(), 1);
        assert_eq!(leaving[0].validators, 60..100);
        for wrong in ["40@2..5", "40%@5..5", "40%@0..5", "99%@1..2", "40%", "x%@1..2"] {
            assert!(wrong.parse::<Offline>().is_err(), "{wrong}");
        }
    }
}
