//! Two or three nodes that get along.

use super::{networked, quiet, wait_for, with_options};
use crate::api::{Folder, lately};
use consensus::Fork;
use consensus::ssz::Ssz;
use consensus::types::{BeaconBlocksByHead, BeaconBlocksByRange, DataColumnSidecarsByRange};
use consensus::types::{DataColumnsByRootIdentifier, Root};
use libp2p::PeerId;
use node::api::{PeerState, SyncSubscription};
use node::chain::ChainEvent;
use node::network::counts::Judged;
use node::network::gossip::topics::Topic;
use node::network::peer::{Chunk, Peers, Request, RequestError};
use node::network::{NetworkHandle, NetworkOptions};

/// The roots of the blocks of an answer.
fn roots(chunks: &[Chunk]) -> Vec<Root> {
    let root = |chunk: &Chunk| match chunk {
        Chunk::Block(block) => block.message.hash_tree_root(Fork::Fulu),
        other => panic!("{other:?} is no block"),
    };
    chunks.iter().map(root).collect()
}

async fn ask(network: &NetworkHandle, peer: PeerId, request: Request) -> Vec<Chunk> {
    network.request(peer, request).await.unwrap()
}

/// Blocks, votes and columns go from one node to the other, and one that starts late catches up; then requests of each
/// kind are answered with what is stored.
async fn follow(quic: bool) {
    let genesis = lately();
    let first = networked(Fork::Fulu, genesis, Vec::new()).await;
    let second = networked(Fork::Fulu, genesis, vec![first.by(quic)]).await;
    let view = second.has_peers(1).await;
    first.has_peers(1).await;
    assert_eq!(view[0].id, first.network.peer_id());
    let columns = || Peers::peers(&second.network).first().map(|peer| peer.columns.len());
    wait_for("metadata", || (columns() == Some(128)).then_some(())).await;

    // By gossip. The mesh needs a heartbeat or two; a block that comes before it would be found by sync.
    let mut heard = second.node.running.chain.subscribe();
    let slot = first.node.now() + 1;
    first.node.until(slot).await;
    let one = first.node.propose(slot, true).await;
    second.follows(one).await;
    first.node.attest(slot).await;
    let two_minutes = std::time::Duration::from_mins(2);
    let vote = tokio::time::timeout(two_minutes, async {
        loop {
            if let ChainEvent::Message(message) = heard.recv().await.unwrap() {
                return message;
            }
        }
    });
    vote.await.expect("no vote came by gossip");
    let next = first.node.now().max(slot) + 1;
    first.node.until(next).await;
    let two = first.node.propose(next, true).await;
    second.follows(two).await;

    // By sync.
    let late = networked(Fork::Fulu, genesis, vec![second.by(quic)]).await;
    late.follows(two).await;
    answers(&second.network, first.network.peer_id(), &[one, two]).await;
}

async fn answers(network: &NetworkHandle, peer: PeerId, blocks: &[Root]) {
    let range = BeaconBlocksByRange {
        start_slot: 0,
        count: 64,
        step: 1,
    };
    assert_eq!(roots(&ask(network, peer, Request::BlocksByRange(range)).await), blocks);
    let unknown = Root::from([9; 32]);
    let by_root = Request::BlocksByRoot(vec![blocks[1], unknown, blocks[0]]);
    assert_eq!(roots(&ask(network, peer, by_root).await), [blocks[1], blocks[0]]);
    let head = BeaconBlocksByHead {
        beacon_root: blocks[1],
        count: 2,
    };
    assert_eq!(
        roots(&ask(network, peer, Request::BlocksByHead(head)).await),
        [blocks[1], blocks[0]]
    );
    let columns = DataColumnSidecarsByRange {
        start_slot: 0,
        count: 64,
        columns: vec![5, 3],
    };
    let columns = ask(network, peer, Request::ColumnsByRange(columns)).await;
    let indices: Vec<u64> = columns.iter().map(index).collect();
    assert_eq!(indices, [3, 5, 3, 5]);
    let identifier = DataColumnsByRootIdentifier {
        block_root: blocks[0],
        columns: vec![127],
    };
    let column = ask(network, peer, Request::ColumnsByRoot(vec![identifier])).await;
    assert_eq!(column.iter().map(index).collect::<Vec<_>>(), [127]);
    let nobody = network
        .request(PeerId::random(), Request::BlocksByRoot(vec![unknown]))
        .await;
    assert_eq!(nobody, Err(RequestError::Gone));
}

fn index(chunk: &Chunk) -> u64 {
    match chunk {
        Chunk::Column(column) => column.index,
        other => panic!("{other:?} is no column"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_follow_each_other_by_tcp() {
    Box::pin(follow(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_follow_each_other_by_quic() {
    Box::pin(follow(true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_chain_is_shown_out() {
    let genesis = lately();
    let first = networked(Fork::Fulu, genesis, Vec::new()).await;
    // The same fork with another genesis has another digest.
    let stranger = networked(Fork::Electra, genesis, vec![first.by(false)]).await;
    // It is called again after a while, so that its states come in turns.
    let state = || {
        let peers = node::api::Network::peers(&stranger.network);
        peers.first().map(|peer| peer.state)
    };
    wait_for("its end", || state().filter(|state| *state == PeerState::Disconnected)).await;
    assert!(Peers::peers(&first.network).is_empty() && Peers::peers(&stranger.network).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_for_light_clients_are_sent_when_due_and_passed_on() {
    let genesis = lately();
    let first = networked(Fork::Fulu, genesis, Vec::new()).await;
    let second = networked(Fork::Fulu, genesis, vec![first.by(false)]).await;
    first.has_peers(1).await;
    second.has_peers(1).await;
    // Only a node with a validator in the sync committee sends; the other compares with its own.
    let member = SyncSubscription {
        validator_index: 0,
        sync_committee_indices: vec![0],
        until_epoch: 100,
    };
    node::api::Network::subscribe_sync_committees(&first.network, vec![member]);
    let kind = Topic::LightClientOptimisticUpdate.kind();
    let counts = second.network.counts();
    for _ in 0..20 {
        let slot = first.node.now() + 1;
        first.node.until(slot).await;
        let root = first.node.propose(slot, true).await;
        second.follows(root).await;
        first.node.sync(slot).await;
        if counts.gossip(kind, Judged::Accepted) > 0 {
            break;
        }
    }
    assert!(counts.gossip(kind, Judged::Accepted) > 0, "no update was passed on");
    assert_eq!(counts.gossip(kind, Judged::Rejected), 0);
    // What was passed on is no news to anybody, and the second has sent none of its own.
    assert_eq!(first.network.counts().gossip(kind, Judged::Accepted), 0);
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
