//! The figures of the network and of sync.

use super::page::Page;
use crate::api::{Network, PeerState};
use crate::chain::{Chain, Snapshot};
use crate::network::counts::{CLIENTS, Counts, Figures, Judged, Outcome, Requests, Transport};
use crate::network::gossip::topics::Topic;
use crate::network::rpc::protocol::Protocol;
use std::sync::atomic::Ordering;

/// Writes them. What has labels stands there with all of them, at 0 too, so that what has not happened yet can be drawn.
pub(super) fn write(page: &mut Page, network: &dyn Network) {
    let connected = network.peers();
    let connected = connected.iter().filter(|peer| peer.state == PeerState::Connected);
    page.gauge("libp2p_peers", "Peers that are connected", connected.count());
    let figures = network.figures();
    write_peers(page, &figures);
    write_gossip(page, &figures.counts);
    write_requests(page, &figures.counts);
    write_traffic(page, &figures.counts);
    page.gauge(
        "wren_network_notices",
        "What the operator should know of the network; the sentences stand in the log and in `wren status`",
        network.notices().len(),
    );
}

fn write_peers(page: &mut Page, figures: &Figures) {
    let name = "wren_peers";
    page.head(
        name,
        "gauge",
        "Peers that are connected and on our chain, by who called and how",
    );
    for inbound in [true, false] {
        for transport in Transport::ALL {
            let of = |peer: &&_| is_of(peer, inbound, transport);
            let count = figures.peers.iter().filter(of).count();
            let direction = if inbound { "inbound" } else { "outbound" };
            let labels = format!("direction=\"{direction}\",transport=\"{}\"", transport.name());
            page.line(name, &labels, count);
        }
    }
    let name = "wren_peers_by_client";
    page.head(name, "gauge", "The same by the program that they say they are");
    for client in CLIENTS {
        let count = figures.peers.iter().filter(|peer| peer.client == client).count();
        page.line(name, &format!("client=\"{client}\""), count);
    }
    let counts = &figures.counts;
    page.count(
        "wren_callers_turned_away_total",
        "Callers that were turned away before their handshake",
        &counts.turned_away,
    );
    page.count(
        "wren_peers_cut_total",
        "Peers that had to go for what they did",
        &counts.cut,
    );
}

fn is_of(peer: &crate::network::counts::PeerKind, inbound: bool, transport: Transport) -> bool {
    peer.inbound == inbound && peer.transport == transport
}

fn write_gossip(page: &mut Page, counts: &Counts) {
    let name = "wren_gossip_messages_total";
    page.head(
        name,
        "counter",
        "Messages of gossip that came for the first time, by topic and verdict",
    );
    for (place, kind) in Topic::KINDS.iter().enumerate() {
        for judged in Judged::ALL {
            let labels = format!("topic=\"{kind}\",verdict=\"{}\"", judged.name());
            page.line(name, &labels, counts.gossip(place, judged));
        }
    }
    page.count(
        "wren_gossip_published_total",
        "Messages of this node's own that were sent",
        &counts.published,
    );
    page.count(
        "wren_gossip_unpublished_total",
        "Messages of this node's own that were not sent: too many waited, or nobody was there",
        &counts.unpublished,
    );
}

fn write_requests(page: &mut Page, counts: &Counts) {
    let both: [(&str, &str, &Requests); 2] = [
        (
            "wren_requests_sent_total",
            "Requests to peers, by outcome",
            &counts.asked,
        ),
        (
            "wren_requests_served_total",
            "Requests of peers, by outcome",
            &counts.answered,
        ),
    ];
    for (name, help, requests) in both {
        page.head(name, "counter", help);
        for protocol in Protocol::ALL {
            for outcome in Outcome::ALL {
                let labels = format!("protocol=\"{}\",outcome=\"{}\"", protocol.name(), outcome.name());
                page.line(name, &labels, requests.get(protocol, outcome));
            }
        }
    }
}

fn write_traffic(page: &mut Page, counts: &Counts) {
    let name = "wren_network_bytes_total";
    page.head(
        name,
        "counter",
        "Bytes of streams with peers, and of discovery's packets, by transport",
    );
    let mut line = |transport: &str, received: u64, sent: u64| {
        for (direction, bytes) in [("received", received), ("sent", sent)] {
            let labels = format!("transport=\"{transport}\",direction=\"{direction}\"");
            page.line(name, &labels, bytes);
        }
    };
    for transport in Transport::ALL {
        let traffic = counts.traffic(transport);
        let load = |bytes: &std::sync::atomic::AtomicU64| bytes.load(Ordering::Relaxed);
        line(transport.name(), load(&traffic.received), load(&traffic.sent));
    }
    let (received, sent) = crate::network::discovery::bytes();
    line("discovery", received, sent);
    page.count(
        "wren_network_served_bytes_total",
        "Of what was sent, answers made of stored blocks and columns",
        &counts.served,
    );
}

/// How far sync is.
pub(super) fn write_sync(page: &mut Page, chain: &Chain, snapshot: &Snapshot) {
    let status = chain.sync_status();
    // Spec: beacon-metrics, `beacon_sync_state`: 1 for synced, 2 for syncing.
    page.gauge(
        "beacon_sync_state",
        "1 while the node follows the head, 2 while it fetches blocks",
        if status.syncing { 2 } else { 1 },
    );
    page.gauge(
        "wren_sync_distance_slots",
        "Slots between the head and what peers have, while the node fetches blocks",
        status.target_slot.saturating_sub(snapshot.head.slot),
    );
    page.gauge(
        "wren_sync_slots_per_second",
        "Slots a second by which the head has moved over the last minute, while the node fetches blocks",
        status.rate_milli as f64 / 1000.0,
    );
}
