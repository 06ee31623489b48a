//! Two nodes that get along.

use super::{networked, quiet, wait_for, with_options};
use crate::api::{Folder, lately};
use consensus::Fork;
use node::network::NetworkOptions;
use node::network::peer::Peers;

/// Two nodes shake hands and learn each other's custody.
async fn meet(quic: bool) {
    let genesis = lately();
    let first = networked(Fork::Fulu, genesis, Vec::new()).await;
    let second = networked(Fork::Fulu, genesis, vec![first.by(quic)]).await;
    let view = second.has_peers(1).await;
    first.has_peers(1).await;
    assert_eq!(view[0].id, first.network.peer_id());
    let columns = || Peers::peers(&second.network).first().map(|peer| peer.columns.len());
    wait_for("metadata", || (columns() == Some(128)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_meet_by_tcp() {
    meet(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_meet_by_quic() {
    meet(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_find_each_other_by_a_record() {
    let genesis = lately();
    let folder = Folder::new();
    let options = NetworkOptions {
        discovery: true,
        ..quiet(&folder)
    };
    let first = with_options(Fork::Fulu, genesis, options, folder).await;
    let record = wait_for("the record", || {
        let record = node::api::Network::identity(&first.network).enr;
        (!record.is_empty()).then_some(record)
    })
    .await;
    let folder = Folder::new();
    let options = NetworkOptions {
        discovery: true,
        bootnodes: vec![record.parse().unwrap()],
        ..quiet(&folder)
    };
    let second = with_options(Fork::Fulu, genesis, options, folder).await;
    second.has_peers(1).await;
    first.has_peers(1).await;
}
