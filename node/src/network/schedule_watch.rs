//! Whether most others plan another next fork than this node: then it is this node that will be alone.

use super::enr::{ForkPoint, Kinship, Record, kinship, told};
use consensus::types::{Epoch, ForkDigest};
use discv5::enr::NodeId;
use std::collections::VecDeque;

/// How many records are remembered, each node's latest: enough that chance plays no part, and a few kilobytes.
const RECORDS_MAX: usize = 256;

/// A next fork: when, and the digest then.
type Plan = (Epoch, Option<ForkDigest>);

/// What records of our network say of the next fork, or of a fork that their owners have made without us.
#[derive(Clone, Debug, Default)]
pub struct ScheduleWatch {
    /// Oldest first; `None` for a plan like ours.
    seen: VecDeque<(NodeId, Option<Plan>)>,
}

impl ScheduleWatch {
    /// Nothing seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a record that has just come; a node's newer record replaces its older one. Those of other networks do not
    /// count, unless their owner was of ours before.
    pub fn observe(&mut self, ours: &ForkPoint, record: &Record) {
        let known = self.seen.iter().position(|(node, _)| *node == record.node_id);
        let plan = match kinship(ours, record) {
            Kinship::Same => None,
            Kinship::UntilNextFork(_) => Some((record.eth2.next_fork_epoch, record.next_fork_digest)),
            Kinship::Other(_) if known.is_some() => Some((ours.since, Some(record.eth2.fork_digest))),
            Kinship::Other(_) => return,
        };
        if let Some(place) = known {
            self.seen.remove(place);
        } else if self.seen.len() >= RECORDS_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back((record.node_id, plan));
    }

    /// Forgets all: after a fork, what was said before it means something else.
    pub fn clear(&mut self) {
        self.seen.clear();
    }

    /// A sentence for the operator if at least `at_least` records have come and more than half of them plan otherwise.
    pub fn alarm(&self, ours: &ForkPoint, at_least: usize) -> Option<String> {
        let others: Vec<Plan> = self.seen.iter().filter_map(|(_, plan)| *plan).collect();
        if self.seen.len() < at_least.max(1) || others.len() * 2 <= self.seen.len() {
            return None;
        }
        let count = |plan: &Plan| others.iter().filter(|other| *other == plan).count();
        let most = others.iter().max_by_key(|plan| count(plan))?;
        Some(format!(
            "{} of the last {} node records of this network disagree with this node about forks; most of them: next fork {}, \
             here: {}. Unless they are wrong, this node will be left behind: update Wren, or check --network",
            others.len(),
            self.seen.len(),
            told(most.0, most.1),
            told(ours.eth2.next_fork_epoch, ours.next_fork_digest)
        ))
    }
}
