//! How much the server takes on, and the reasons for the figures.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;

/// What one server may use, and how patient it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. Each takes about 20 KiB with its buffers.
    pub connections: usize,
    /// Connections from one address, loopback aside: everything on this machine shares that one.
    pub connections_per_client: usize,
    /// From the first byte of a request to the end of its headers.
    pub head_time: Duration,
    /// Between requests. Longer than an epoch of twelve-second slots has no use: clients ask every slot.
    pub idle_time: Duration,
    /// For the whole body of a request.
    pub body_time: Duration,
    /// For a handler to begin its answer.
    pub answer_time: Duration,
    /// Without a byte taken by a client that is being written to.
    pub write_time: Duration,
    /// For a whole answer in pieces.
    pub stream_time: Duration,
    /// For open requests at the end.
    pub stop_time: Duration,
    /// Bytes of request bodies in memory at once, of all connections. Parsed they take several times as much.
    pub body_bytes: usize,
}

/// Descriptors that a busy node needs besides those of the API's clients, at least: 256 open files of the database
/// (`storage::Options`), and as many for peers, the execution client, the builder, metrics, logs and anchors.
pub const DESCRIPTORS_KEPT_BACK: usize = 512;

/// More connections than this have no use for one validator's node, and take memory.
const CONNECTIONS_MAX: usize = 2048;

impl Limits {
    /// What fits with `descriptors` for the whole process, of which `kept_back` are for others.
    pub fn of_descriptors(descriptors: usize, kept_back: usize) -> Self {
        let connections = descriptors.saturating_sub(kept_back).clamp(16, CONNECTIONS_MAX);
        Limits {
            connections,
            connections_per_client: (connections / 4).max(8),
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            body_time: Duration::from_secs(15),
            answer_time: Duration::from_secs(30),
            write_time: Duration::from_secs(20),
            stream_time: Duration::from_mins(15),
            stop_time: Duration::from_secs(5),
            body_bytes: 48 << 20,
        }
    }
}

/// Raises the soft limit of open descriptors to the hard one and says how many there may be then. Where the system
/// refuses, the limit stays as it is.
pub fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_kept_back() {
        assert_eq!(Limits::of_descriptors(1024, DESCRIPTORS_KEPT_BACK).connections, 512);
        assert_eq!(Limits::of_descriptors(usize::MAX, 512).connections, CONNECTIONS_MAX);
        assert_eq!(Limits::of_descriptors(100, 512).connections, 16);
    }

    #[test]
    fn the_limit_is_the_hard_one_afterwards() {
        let raised = raise_descriptor_limit();
        let hard = getrlimit(Resource::Nofile).maximum;
        assert_eq!(hard.map_or(usize::MAX, |hard| hard as usize), raised);
    }
}
