//! A peer that says whatever a test has it say: streams of any protocol, and any bytes on any topic.

use futures_util::StreamExt as _;
use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, MessageId, ValidationMode};
use libp2p::identity::Keypair;
use libp2p::swarm::{Config, NetworkBehaviour, Stream, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Transport as _, noise, tcp, yamux};
use node::network::rpc::frames::write_payload;
use node::network::rpc::protocol::{Protocol, ProtocolId};
use node::network::rpc::streams::{self, Open};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How long anything may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(NetworkBehaviour)]
struct Both {
    streams: streams::Behaviour,
    gossipsub: gossipsub::Behaviour,
}

enum Wish {
    Open(Open),
    Say(String, Vec<u8>, oneshot::Sender<bool>),
}

/// The peer.
pub(crate) struct Villain {
    pub(crate) id: PeerId,
    wishes: mpsc::Sender<Wish>,
    connected: watch::Receiver<bool>,
    status: Vec<u8>,
}

fn swarm(key: &Keypair) -> Swarm<Both> {
    let transport = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(key).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    // Every message has another id, so that the same one can be said again and again.
    let said = Arc::new(AtomicU64::new(0));
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(move |_| MessageId::from(said.fetch_add(1, Ordering::Relaxed).to_be_bytes().to_vec()))
        .max_transmit_size(32 << 20)
        .build()
        .unwrap();
    let behaviour = Both {
        streams: streams::Behaviour::default(),
        gossipsub: gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).unwrap(),
    };
    let id = PeerId::from(key.public());
    let config = Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_mins(10));
    Swarm::new(transport, behaviour, id, config)
}

impl Villain {
    /// Connects under this key, and says with this status that it is on the chain; `None` if it is not let in.
    pub(crate) async fn dial_as(key: &Keypair, address: &Multiaddr, peer: PeerId, status: &[u8]) -> Option<Villain> {
        let mut swarm = swarm(key);
        swarm.dial(address.clone()).unwrap();
        let connect = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => return true,
                    SwarmEvent::OutgoingConnectionError { .. } => return false,
                    _ => {}
                }
            }
        };
        if !tokio::time::timeout(PATIENCE, connect).await.unwrap_or(false) {
            return None;
        }
        let (wishes, wanted) = mpsc::channel(64);
        let (connected, is_connected) = watch::channel(true);
        tokio::spawn(live(swarm, peer, wanted, connected));
        let villain = Villain {
            id: PeerId::from(key.public()),
            wishes,
            connected: is_connected,
            status: status.to_vec(),
        };
        let mut request = Vec::new();
        write_payload(&villain.status, &mut request);
        let answer = villain.send(Protocol::Status, 2, &request).await?;
        (answer.first() == Some(&0)).then_some(villain)
    }

    /// Whether there still is a connection.
    pub(crate) fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Waits until it is shown out.
    pub(crate) async fn is_cut(&mut self) {
        let ended = self.connected.wait_for(|connected| !connected);
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        assert!(ended.is_ok(), "{} is still connected", self.id);
    }

    /// A stream; `None` when the connection is gone or the stream is refused.
    pub(crate) async fn open(&self, protocol: Protocol, version: u8) -> Option<Stream> {
        let (answer, opened) = oneshot::channel();
        let ids = vec![ProtocolId { protocol, version }];
        self.wishes.send(Wish::Open(Open { ids, answer })).await.ok()?;
        let opened = tokio::time::timeout(PATIENCE, opened).await.ok()?;
        opened.ok()?.ok().map(|(_, stream)| stream)
    }

    /// Sends bytes as a request and reads what comes, up to an end or a kilobyte; `None` when the connection is gone.
    pub(crate) async fn send(&self, protocol: Protocol, version: u8, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.open(protocol, version).await?;
        let _ = stream.write_all(bytes).await;
        let _ = stream.close().await;
        let mut answer = Vec::new();
        let mut taken = stream.take(1024);
        let _ = tokio::time::timeout(PATIENCE, taken.read_to_end(&mut answer)).await;
        Some(answer)
    }

    /// Says these bytes on a topic as they are; `false` when nobody is there to hear.
    pub(crate) async fn say(&self, topic: &str, bytes: Vec<u8>) -> bool {
        // Until it is known which topics the other is on.
        for _ in 0..200 {
            let (answer, said) = oneshot::channel();
            let wish = Wish::Say(topic.to_owned(), bytes.clone(), answer);
            if self.wishes.send(wish).await.is_err() || !self.is_connected() {
                return false;
            }
            if said.await == Ok(true) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

/// Does what it is told, until the connection ends.
async fn live(mut swarm: Swarm<Both>, peer: PeerId, mut wanted: mpsc::Receiver<Wish>, connected: watch::Sender<bool>) {
    loop {
        tokio::select! {
            event = swarm.select_next_some() => {
                if let SwarmEvent::ConnectionClosed { .. } = event {
                    connected.send_replace(false);
                    return;
                }
            }
            wish = wanted.recv() => match wish {
                Some(Wish::Open(open)) => swarm.behaviour_mut().streams.open(peer, open),
                Some(Wish::Say(topic, bytes, answer)) => {
                    let said = swarm.behaviour_mut().gossipsub.publish(IdentTopic::new(topic), bytes);
                    let _ = answer.send(said.is_ok());
                }
                None => return,
            }
        }
    }
}
