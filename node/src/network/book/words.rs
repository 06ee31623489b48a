//! What the operator is told when nobody calls.

use super::super::enr::Ports;
use std::net::IpAddr;
use std::time::Duration;

/// How long nobody may have called before the operator is told: a record takes some minutes to spread, and a full network
/// some more to have room.
pub(super) const PATIENCE: Duration = Duration::from_hours(1);

/// Where the node listens, and where others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The ports.
    pub ports: Ports,
    /// The addresses of this machine on which it listens; those of loopback are of no interest.
    pub local: Vec<IpAddr>,
    /// How others see it, if that is known.
    pub external: Option<IpAddr>,
}

impl Reach {
    /// What to forward, with real values.
    pub(super) fn advice(&self) -> String {
        let mut ports = vec![
            format!("TCP {}", self.ports.tcp),
            format!("UDP {}", self.ports.discovery),
        ];
        ports.extend(self.ports.quic.map(|port| format!("UDP {port}")));
        let ports = ports.join(", ");
        let mut local: Vec<String> = self
            .local
            .iter()
            .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
            .map(ToString::to_string)
            .collect();
        local.dedup();
        let target = match local.as_slice() {
            [] => "this machine".to_owned(),
            addresses => addresses.join(" or "),
        };
        let outside = self
            .external
            .map(|ip| format!(" (seen from outside as {ip})"))
            .unwrap_or_default();
        format!(
            "no peer has called this node for an hour, so it lives on the calls that it makes: that works, with fewer peers to \
             choose from. To be reachable, forward {ports} on your router{outside} to {target}, and let the firewall pass \
             them; if that is done already, give the public address by --advertise-address"
        )
    }
}
