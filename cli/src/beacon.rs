//! Beacon nodes as commands ask them: one question after the other, of the first node that answers.

use crate::exit::Failure;
use crate::validator::reach;
use clap::Args;
use consensus::ssz::Root;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use validator::beacon::{CallError, Genesis, Node, NodeUrl};

/// For one answer; of the large ones a small node needs seconds.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// The options, the same in every command.
#[derive(Args)]
pub(crate) struct NodeArgs {
    /// Beacon APIs, first choice first, separated by commas; http or https, credentials and a path allowed
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:5052"
    )]
    beacon_nodes: Vec<String>,
    /// Certificates (PEM) of authorities to trust beside the usual ones
    #[arg(long, value_name = "FILE")]
    beacon_nodes_ca: Option<PathBuf>,
    /// A DNS server that finds them; the system's by default; repeat it for others
    #[arg(long, value_name = "IP")]
    dns: Vec<IpAddr>,
}

/// A node that has answered, and what runs the questions to it.
pub(crate) struct Beacon {
    pub(crate) node: Node,
    pub(crate) genesis: Genesis,
    runtime: tokio::runtime::Runtime,
}

impl NodeArgs {
    /// These addresses, first choice first, with a file of authorities to trust beside the usual ones.
    pub(crate) fn of(beacon_nodes: Vec<String>, beacon_nodes_ca: Option<PathBuf>) -> Self {
        NodeArgs {
            beacon_nodes,
            beacon_nodes_ca,
            dns: Vec::new(),
        }
    }

    /// The first node that answers, of the network with that root where it is known.
    pub(crate) fn connect(&self, root: Option<Root>) -> Result<Beacon, Failure> {
        let reach = reach(self.beacon_nodes_ca.as_deref(), &self.dns)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::io("cannot start the runtime", &error))?;
        let mut complaints = Vec::new();
        for (place, text) in self.beacon_nodes.iter().enumerate() {
            let wrong = |why: String| Failure::usage(format!("--beacon-nodes, address {}: {why}", place + 1));
            let url: NodeUrl = text.parse().map_err(wrong)?;
            let shown = url.to_string();
            let node = Node::new(place, url, &reach).map_err(wrong)?;
            match runtime.block_on(node.genesis(TIMEOUT)) {
                Ok(genesis) if root.is_some_and(|root| root != genesis.genesis_validators_root) => {
                    complaints.push(format!(
                        "{shown} is on another network: its genesis validators root is {}",
                        genesis.genesis_validators_root
                    ));
                }
                Ok(genesis) => return Ok(Beacon { node, genesis, runtime }),
                Err(error) => complaints.push(error.to_string()),
            }
        }
        Err(Failure::running(format!(
            "no beacon node answers ({}); start one, or name it by --beacon-nodes",
            complaints.join("; ")
        )))
    }
}

impl Beacon {
    /// Asks the node.
    pub(crate) fn ask<'a, T, F>(&'a self, call: impl FnOnce(&'a Node) -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>> + 'a,
    {
        self.runtime.block_on(call(&self.node))
    }
}
