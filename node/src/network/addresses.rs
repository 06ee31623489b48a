//! What an IP address tells: whether the internet can reach it, and which range it lies in.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address can be one of the public internet. What is not belongs to a home, a hoster's inside or a machine
/// itself: on a public network such addresses are neither dialled nor told to others.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_public_v4(ip),
            None => is_public_v6(ip),
        },
    }
}

/// All but what IANA's registry of special IPv4 addresses keeps back.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0 // "this network"
        || (a == 100 && (64..128).contains(&b)) // a provider's own, behind its NAT
        || (a == 192 && b == 0 && c == 0) // protocols
        || (a == 198 && (b == 18 || b == 19)) // benchmarks
        || a >= 240; // reserved, broadcast
    !special
}

/// Only 2000::/3 has been given out, less what is kept for documentation.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let documentation = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !documentation
}

/// A range of addresses that one party is likely to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    ip: IpAddr,
    prefix: u8,
}

impl Range {
    /// What one site holds: /24 of IPv4, the smallest that is routed, and /48 of IPv6, which a tunnel broker gives away.
    pub fn site(ip: IpAddr) -> Range {
        Range::of(ip, 24, 48)
    }

    /// What one provider holds: /16 of IPv4, and /32 of IPv6, a provider's first allocation.
    pub fn provider(ip: IpAddr) -> Range {
        Range::of(ip, 16, 32)
    }

    fn of(ip: IpAddr, v4: u8, v6: u8) -> Range {
        let ip = ip.to_canonical();
        match ip {
            IpAddr::V4(ip) => Range {
                ip: IpAddr::V4(Ipv4Addr::from(u32::from(ip) & (u32::MAX << (32 - v4)))),
                prefix: v4,
            },
            IpAddr::V6(ip) => Range {
                ip: IpAddr::V6(Ipv6Addr::from(u128::from(ip) & (u128::MAX << (128 - v6)))),
                prefix: v6,
            },
        }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

/// The IP address that a multiaddr begins with; none for names and relays.
pub fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn special_addresses_are_not_public() {
        for special in [
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "3fff:123::1",
            "::ffff:10.0.0.1",
            "64:ff9b::1",
        ] {
            assert!(!is_public(ip(special)), "{special}");
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2001:db9::1",
            "2400:8907::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(ip(public)), "{public}");
        }
    }

    #[test]
    fn ranges_are_what_one_party_holds() {
        assert_eq!(Range::site(ip("1.2.3.4")).to_string(), "1.2.3.0/24");
        assert_eq!(Range::provider(ip("1.2.3.4")).to_string(), "1.2.0.0/16");
        assert_eq!(Range::site(ip("2001:1:2:3::4")).to_string(), "2001:1:2::/48");
        assert_eq!(Range::provider(ip("2001:1:2:3::4")).to_string(), "2001:1::/32");
        // The same host by its other name.
        assert_eq!(Range::site(ip("::ffff:1.2.3.4")), Range::site(ip("1.2.3.99")));
        assert_eq!(
            ip_of(&"/ip6/::ffff:1.2.3.4/tcp/1".parse().unwrap()),
            Some(ip("1.2.3.4"))
        );
        assert_eq!(ip_of(&"/dns4/example.org/tcp/1".parse().unwrap()), None);
    }
}
