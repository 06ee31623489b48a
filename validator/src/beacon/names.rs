//! Names of servers, looked up by the system or by the DNS servers that the operator names.
//!
//! Where a program brings its own C library, as on a phone, the system knows no servers: there is no `/etc/resolv.conf`.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::xfer::Protocol;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// How a server is reached: who vouches for its certificate, and who knows its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Certificates (PEM) of authorities to trust beside the usual ones.
    pub authorities: Option<Vec<u8>>,
    /// DNS servers, with their port; none for what the system uses.
    pub dns: Vec<SocketAddr>,
}

/// Looks names up for connections.
#[derive(Clone)]
pub(super) enum Names {
    /// By the C library.
    System(GaiResolver),
    /// By these servers, over UDP and, where an answer is too long for that, TCP.
    Servers(Box<TokioResolver>),
}

impl Names {
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        if servers.is_empty() {
            return Names::System(GaiResolver::new());
        }
        let mut config = ResolverConfig::new();
        for server in servers {
            for protocol in [Protocol::Udp, Protocol::Tcp] {
                config.add_name_server(NameServerConfig::new(*server, protocol));
            }
        }
        let builder = TokioResolver::builder_with_config(config, TokioConnectionProvider::default());
        Names::Servers(Box::new(builder.build()))
    }
}

type Addresses = std::vec::IntoIter<SocketAddr>;

impl Service<Name> for Names {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        match self {
            Names::System(system) => {
                let found = system.call(name);
                Box::pin(async { found.await.map(|addresses| addresses.collect::<Vec<_>>().into_iter()) })
            }
            Names::Servers(servers) => {
                let servers = servers.clone();
                Box::pin(async move {
                    let found = servers.lookup_ip(name.as_str()).await.map_err(|error| {
                        io::Error::other(format!("the DNS servers of --dns do not find {name}: {error}"))
                    })?;
                    // The port is the connection's to set.
                    let addresses: Vec<_> = found.iter().map(|address| SocketAddr::new(address, 0)).collect();
                    Ok(addresses.into_iter())
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, ToSocketAddrs as _, UdpSocket};
    use std::str::FromStr;

    /// A DNS server that knows one name, and says of others that they do not exist.
    fn server(known: &'static str, address: [u8; 4]) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let place = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                // The question: letters with their count before each label, a zero, type and class.
                let end = 12 + question[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
                let asked: String = question[12..end - 5].iter().map(|byte| *byte as char).collect();
                let labels = known.split('.').fold(String::new(), |labels, label| {
                    labels + &char::from(label.len() as u8).to_string() + label
                });
                let is_known = asked.eq_ignore_ascii_case(&labels);
                let is_a = question[end - 4..end - 2] == [0, 1];
                let mut answer = question[..2].to_vec();
                answer.extend([0x81, if is_known { 0x80 } else { 0x83 }]);
                answer.extend([0, 1, 0, u8::from(is_known && is_a), 0, 0, 0, 0]);
                answer.extend(&question[12..end]);
                if is_known && is_a {
                    // The name is that of the question; type A, class IN, a minute, four bytes.
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                    answer.extend(address);
                }
                socket.send_to(&answer, from).unwrap();
            }
        });
        place
    }

    #[tokio::test]
    async fn named_servers_are_asked_and_no_others() {
        let mut names = Names::new(&[server("node.example", [127, 0, 0, 9])]);
        let found = names.call(Name::from_str("node.example").unwrap()).await.unwrap();
        assert_eq!(found.collect::<Vec<_>>(), ["127.0.0.9:0".parse().unwrap()]);
        let unknown = names.call(Name::from_str("other.example").unwrap()).await;
        let why = unknown.unwrap_err().to_string();
        assert!(why.contains("--dns do not find other.example"), "{why}");
    }

    #[tokio::test]
    async fn without_servers_the_system_is_asked() {
        let mut names = Names::new(&[]);
        let found = names.call(Name::from_str("127.0.0.7").unwrap()).await.unwrap();
        assert_eq!(
            found.map(|address| address.ip()).collect::<Vec<_>>(),
            [Ipv4Addr::new(127, 0, 0, 7)]
        );
        // Not every system has a file of hosts: whether it knows the name is for it to say.
        let found = names.call(Name::from_str("localhost").unwrap()).await;
        assert_eq!(found.is_ok(), ("localhost", 0).to_socket_addrs().is_ok());
    }
}
