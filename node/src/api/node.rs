//! Namespace `node`.

use super::http::{ANY, Answer, Call, Error, JSON, Router, read_number};
use super::json::{self, Object, object};
use super::network::{Peer, PeerState};
use super::reply::{Reply, only};
use super::{ApiContext, Context};
use crate::execution::ClientVersion;
use consensus::Fork;
use hyper::StatusCode;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/node/identity", JSON, get_network_identity);
    router.get("/eth/v1/node/peers", JSON, get_peers);
    router.get("/eth/v1/node/peers/{peer_id}", JSON, get_peer);
    router.get("/eth/v1/node/peer_count", JSON, get_peer_count);
    router.get("/eth/v1/node/version", JSON, get_node_version);
    router.get("/eth/v2/node/version", JSON, get_node_version_v2);
    router.get("/eth/v1/node/syncing", JSON, get_syncing_status);
    router.get("/eth/v1/node/health", ANY, get_health);
    router.get("/wren/v1/node/notices", JSON, get_notices);
}

/// The name and version by which this node goes, in the form of a user agent.
pub(super) fn agent() -> String {
    format!("Wren/v{}/{}-{}", VERSION, std::env::consts::ARCH, std::env::consts::OS)
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Two letters for this client, as the others have. Spec: execution-apis, identification.md, `ClientCode`.
const CODE: &str = "WR";

/// How far the node is. Spec: beacon-APIs, `getSyncingStatus`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) head_slot: u64,
    pub(super) distance: u64,
    pub(super) is_syncing: bool,
    pub(super) is_optimistic: bool,
    pub(super) el_offline: bool,
}

impl ApiContext {
    pub(super) fn progress(&self) -> Progress {
        let snapshot = self.chain.snapshot();
        // The clock, not the snapshot's slot: a chain thread that is behind must show.
        let now = self.chain.clock().slot().unwrap_or(0);
        Progress {
            head_slot: snapshot.head.slot,
            distance: now.saturating_sub(snapshot.head.slot),
            is_syncing: self.network.is_syncing(),
            is_optimistic: snapshot.head.optimistic,
            el_offline: self.engine.is_offline(),
        }
    }

    /// 503 while the chain is too far behind for duties.
    pub(super) fn check_synced(&self) -> Result<(), Error> {
        let progress = self.progress();
        if !progress.is_syncing {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "the node is syncing: its head is of slot {}, {} slots behind",
            progress.head_slot, progress.distance
        )))
    }
}

/// Spec: beacon-APIs, `getNetworkIdentity`.
async fn get_network_identity(context: Context, _: Call) -> Answer {
    let identity = context.network.identity();
    let texts = |object: &mut Object, name, texts: &[String]| {
        object.member(name, |out| json::array(out, texts, |out, text| json::text(out, text)));
    };
    Ok(Reply::new().object(|object| {
        object.text("peer_id", &identity.peer_id);
        object.text("enr", &identity.enr);
        texts(object, "p2p_addresses", &identity.p2p_addresses);
        texts(object, "discovery_addresses", &identity.discovery_addresses);
        object.json("metadata", &identity.metadata, Fork::Fulu);
    }))
}

/// What the operator should know of the network, as sentences. Not of the specification: `wren status` shows them.
async fn get_notices(context: Context, _: Call) -> Answer {
    let notices = context.network.notices();
    let reply = Reply::new();
    Ok(reply.json(|out| json::array(out, &notices, |out, text| json::text(out, text))))
}

fn write_peer(out: &mut consensus::ssz::Out, peer: &Peer) {
    object(out, |object| {
        object.text("peer_id", &peer.peer_id);
        match &peer.enr {
            Some(enr) => object.text("enr", enr),
            None => object.bare("enr", "null"),
        }
        object.text("last_seen_p2p_address", &peer.last_seen_p2p_address);
        object.text("state", peer.state.name());
        object.text("direction", if peer.inbound { "inbound" } else { "outbound" });
    });
}

/// Spec: beacon-APIs, `getPeers`.
async fn get_peers(context: Context, call: Call) -> Answer {
    let (states, directions) = (call.query.list("state"), call.query.list("direction"));
    // A state or direction that there is not is that of no peer: the specification knows no error here.
    let direction = |peer: &Peer| if peer.inbound { "inbound" } else { "outbound" };
    let wanted = |peer: &Peer| {
        (states.is_empty() || states.contains(&peer.state.name()))
            && (directions.is_empty() || directions.contains(&direction(peer)))
    };
    let peers: Vec<Peer> = context.network.peers().into_iter().filter(wanted).collect();
    let meta = format!("{{\"count\":{}}}", peers.len());
    let reply = Reply::new().member("meta", meta);
    Ok(reply.json(|out| json::array(out, &peers, write_peer)))
}

/// Spec: beacon-APIs, `getPeer`.
async fn get_peer(context: Context, call: Call) -> Answer {
    let id = call.path(0);
    // Spec: libp2p peer-ids.md: base58 or base32 text of some fifty characters.
    if id.len() > 128 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::bad_request("that is no peer id"));
    }
    let peers = context.network.peers();
    let peer = peers.iter().find(|peer| peer.peer_id == id);
    let peer = peer.ok_or_else(|| Error::not_found("there is no such peer"))?;
    Ok(Reply::new().json(|out| write_peer(out, peer)))
}

/// Spec: beacon-APIs, `getPeerCount`.
async fn get_peer_count(context: Context, _: Call) -> Answer {
    let peers = context.network.peers();
    Ok(Reply::new().object(|object| {
        for state in PeerState::ALL {
            let count = peers.iter().filter(|peer| peer.state == state).count();
            object.quoted(state.name(), count);
        }
    }))
}

/// Spec: beacon-APIs, `getNodeVersion`.
async fn get_node_version(_: Context, _: Call) -> Answer {
    Ok(Reply::new().object(|object| object.text("version", &agent())))
}

/// Spec: beacon-APIs, `getNodeVersionV2`.
async fn get_node_version_v2(context: Context, _: Call) -> Answer {
    // Told where the execution client tells it; it may be away.
    let ours = ClientVersion {
        code: CODE.into(),
        name: "Wren".into(),
        version: format!("v{VERSION}"),
        commit: "00000000".into(),
    };
    let execution = context.engine.client_version(&ours).await.unwrap_or_default();
    Ok(Reply::new().object(|data| {
        data.member("beacon_node", |out| {
            object(out, |object| {
                object.text("code", CODE);
                object.text("name", "Wren");
                object.text("version", &format!("v{VERSION}"));
                object.text("commit", "0x00000000");
            });
        });
        if let Some(client) = execution.first() {
            data.member("execution_client", |out| {
                object(out, |object| {
                    object.text("code", &client.code);
                    object.text("name", &client.name);
                    object.text("version", &client.version);
                    let digits = client.commit.trim_start_matches("0x");
                    object.text("commit", &format!("0x{digits}"));
                });
            });
        }
    }))
}

/// Spec: beacon-APIs, `getSyncingStatus`.
async fn get_syncing_status(context: Context, _: Call) -> Answer {
    let progress = context.progress();
    Ok(Reply::new().object(|object| {
        object.quoted("head_slot", progress.head_slot);
        object.quoted("sync_distance", progress.distance);
        object.bare("is_syncing", progress.is_syncing);
        object.bare("is_optimistic", progress.is_optimistic);
        object.bare("el_offline", progress.el_offline);
    }))
}

/// Spec: beacon-APIs, `getHealth`.
async fn get_health(context: Context, call: Call) -> Answer {
    let wanted = match call.query.one("syncing_status")? {
        None => StatusCode::PARTIAL_CONTENT,
        Some(text) => {
            let code = read_number(text).and_then(|code| u16::try_from(code).ok());
            // Those below 200 announce another status and cannot end an answer.
            let code = code.filter(|code| (200..600).contains(code));
            let code = code.and_then(|code| StatusCode::from_u16(code).ok());
            code.ok_or_else(|| Error::bad_request("syncing_status is a status from 200 to 599"))?
        }
    };
    let progress = context.progress();
    let ready = !progress.is_syncing && !progress.is_optimistic && !progress.el_offline;
    Ok(only(if ready { StatusCode::OK } else { wanted }))
}
