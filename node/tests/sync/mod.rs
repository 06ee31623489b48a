//! Sync against peers by script, with real chains.

mod history;
mod network;

use consensus::gossip::Verdict;
use consensus::preset::NUMBER_OF_COLUMNS;
use consensus::types::{Root, Slot};
use futures_util::future::join_all;
use history::{Folder, History, forged, root_of};
use libp2p::PeerId;
use network::{Conduct, Network, Scripted};
use node::chain::ChainEvent::{Block, BlockGossip};
use node::chain::{Chain, Want};
use node::execution::dev::DevOptions;
use node::network::peer::{Outgoing, Peers, Request};
use node::run::Running;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::{Sidecar, Storage};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

async fn until(what: &str, is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}

fn sync_with(running: &Running, network: &Arc<Network>) {
    let peers: Arc<dyn Peers> = Arc::clone(network) as Arc<dyn Peers>;
    let (chain, storage) = (running.chain.clone(), running.storage.clone());
    let custody = chain.custody().clone();
    tokio::spawn(node::sync::run(chain, storage, peers, custody, running.stop.clone()));
}

fn head(chain: &Chain) -> Root {
    chain.snapshot().head.root
}

fn all() -> std::ops::Range<u64> {
    0..NUMBER_OF_COLUMNS
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_slots_come_from_good_and_bad_peers_and_the_bad_are_named() {
    let history = History::new(205, 2000, 0, None);
    // All are idle at first, and so the first four are asked for the first four batches.
    let conducts = [
        Conduct::Forger,
        Conduct::OtherChain,
        Conduct::Empty,
        Conduct::Short,
        Conduct::Leaver,
        Conduct::Slow,
        Conduct::Honest,
        Conduct::Honest,
    ];
    let peers = conducts.map(|conduct| Scripted::new(conduct, all())).into();
    let network = Network::new(&history, peers);
    let folder = Folder::new();
    let running = history.node(history.genesis_anchor(), history.storage(&folder)).await;
    sync_with(&running, &network);
    until("it catches up", || running.chain.sync_status().syncing).await;
    until("the head is reached", || head(&running.chain) == history.head().0).await;
    until("it says so", || !running.chain.sync_status().syncing).await;
    let accused = network.accused();
    for conduct in [Conduct::Honest, Conduct::Slow, Conduct::Leaver] {
        let honest = network.peers.iter().filter(|peer| peer.conduct == conduct);
        for peer in honest {
            assert!(!accused.contains(&peer.id), "{conduct:?} was accused");
        }
    }
    for conduct in [Conduct::Forger, Conduct::OtherChain] {
        assert!(accused.contains(&network.id(conduct)), "{conduct:?} was not found");
    }
    assert_eq!(*network.doubled.lock().unwrap(), Vec::<String>::new());
    running.end().await;
}

/// The columns of every block that the database holds.
fn stored_columns(storage: &Storage, history: &History) -> Vec<Vec<u64>> {
    let of = |(root, block): &(Root, Arc<_>)| {
        let block: &consensus::types::SignedBeaconBlock = block;
        storage
            .sidecar_indices(block.message.slot, root, Sidecar::Column)
            .unwrap()
    };
    history.blocks.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sampled_columns_come_from_those_who_keep_them_and_only_custody_is_kept() {
    let history = History::new(6, 24_000, 1, None);
    // Everybody keeps a third; one lies about all.
    let third = |rest: u64| all().filter(move |column| column % 3 == rest);
    let peers = vec![
        Scripted::new(Conduct::WrongColumns, all()),
        Scripted::new(Conduct::Honest, third(0)),
        Scripted::new(Conduct::Honest, third(1)),
        Scripted::new(Conduct::Honest, third(2)),
    ];
    let network = Network::new(&history, peers);
    let folder = Folder::new();
    let running = history.node(history.genesis_anchor(), history.storage(&folder)).await;
    running.chain.custody().bind([3; 32], false).unwrap();
    sync_with(&running, &network);
    until("the head is reached", || head(&running.chain) == history.head().0).await;
    let held = running.chain.custody().held();
    assert_eq!((held.columns.len(), held.sampled.len()), (4, 8));
    for columns in stored_columns(&running.storage, &history) {
        assert_eq!(columns, *held.columns);
    }
    assert_eq!(network.accused(), HashSet::from([network.id(Conduct::WrongColumns)]));
    let asked = network.asked();
    let sampled: HashSet<u64> = held.sampled.iter().copied().collect();
    for (_, request) in &asked {
        if let Request::ColumnsByRange(range) = request {
            assert!(range.columns.iter().all(|column| sampled.contains(column)));
        }
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_blocks_that_are_here_are_not_fetched_again() {
    let history = History::new(6, 24_000, 1, None);
    let network = Network::new(&history, vec![Scripted::new(Conduct::Honest, all())]);
    let (middle, block) = history.blocks[2].clone();
    *network.head.lock().unwrap() = (middle, block.message.slot);
    let folder = Folder::new();
    let running = history.node(history.genesis_anchor(), history.storage(&folder)).await;
    running.chain.custody().bind([3; 32], true).unwrap();
    sync_with(&running, &network);
    until("half of the chain is here", || head(&running.chain) == middle).await;
    let before = network.asked().len();
    *network.head.lock().unwrap() = history.head();
    until("the head is reached", || head(&running.chain) == history.head().0).await;
    let later = network.asked().split_off(before);
    let columns: Vec<Slot> = later
        .iter()
        .filter_map(|(_, request)| match request {
            Request::ColumnsByRange(range) => Some(range.start_slot),
            _ => None,
        })
        .collect();
    assert!(!columns.is_empty(), "the rest was not loaded by range");
    assert!(
        columns.iter().all(|start| *start > block.message.slot),
        "columns were fetched from {columns:?} on"
    );
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_columns_are_enough_for_all() {
    let history = History::new(3, 24_000, 1, None);
    let network = Network::new(&history, vec![Scripted::new(Conduct::Honest, 10..74)]);
    let folder = Folder::new();
    let running = history.node(history.genesis_anchor(), history.storage(&folder)).await;
    running.chain.custody().bind([3; 32], true).unwrap();
    sync_with(&running, &network);
    until("the head is reached", || head(&running.chain) == history.head().0).await;
    for (columns, (root, block)) in stored_columns(&running.storage, &history).iter().zip(&history.blocks) {
        assert_eq!(*columns, all().collect::<Vec<_>>());
        // What was made is what was.
        let stored = running.storage.sidecar(block.message.slot, root, Sidecar::Column, 127);
        let (fork, ssz) = stored.unwrap().unwrap();
        let made = <consensus::types::DataColumnSidecar as consensus::ssz::Ssz>::decode(&ssz, fork).unwrap();
        assert_eq!(made, *history.columns[root][127]);
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_gossip_complete_a_block_and_half_of_them_bring_the_rest() {
    let history = History::new(3, 24_000, 1, None);
    let folder = Folder::new();
    let running = history.node(history.genesis_anchor(), history.storage(&folder)).await;
    let chain = &running.chain;
    chain.custody().bind([3; 32], true).unwrap();
    let mut wants = chain.wants();
    let ours = |slot: usize| (history.blocks[slot - 1].0, Arc::clone(&history.blocks[slot - 1].1));
    // Columns first, the block behind them.
    let (root, block) = ours(1);
    let columns = &history.columns[&root];
    let sent = columns[..100]
        .iter()
        .map(|column| chain.gossip_column(Arc::clone(column), column.index, None));
    for verdict in join_all(sent).await {
        assert_eq!(verdict, Verdict::Accept);
    }
    let again = chain.gossip_column(Arc::clone(&columns[5]), 5, None).await;
    assert!(matches!(again, Verdict::Ignore(_)), "{again:?}");
    let wrong_subnet = chain.gossip_column(Arc::clone(&columns[101]), 5, None).await;
    assert!(matches!(wrong_subnet, Verdict::Reject(_)), "{wrong_subnet:?}");
    let mut wrong = (*columns[102]).clone();
    wrong.kzg_proofs[0] = columns[103].kzg_proofs[0];
    let right = chain.gossip_column(Arc::clone(&columns[104]), 104, None);
    let (wrong, right) = tokio::join!(chain.gossip_column(Arc::new(wrong), 102, None), right);
    assert_eq!(wrong, Verdict::Reject("invalid sidecar kzg proofs"));
    assert_eq!(right, Verdict::Accept);
    assert_eq!(chain.gossip_block(block, None).await, Verdict::Accept);
    until("the first block is in", || head(chain) == root).await;
    // The rest was made, and is sent on.
    let made = async {
        loop {
            if let Ok(Want::Columns(columns)) = wants.recv().await {
                return columns;
            }
        }
    };
    let made = tokio::time::timeout(PATIENCE, made).await.unwrap();
    assert_eq!(made.len(), 27);
    for column in made {
        assert_eq!(column, columns[column.index as usize]);
    }
    // The block first; a forged one is refused, the same again is known.
    let (root, block) = ours(2);
    let slot = block.message.slot;
    let mut events = chain.subscribe();
    let forged = chain.gossip_block(forged(&block), None).await;
    assert!(matches!(forged, Verdict::Reject(_)), "{forged:?}");
    assert_eq!(chain.gossip_block(Arc::clone(&block), None).await, Verdict::Accept);
    assert!(matches!(chain.gossip_block(block, None).await, Verdict::Ignore(_)));
    // It is told of once, and long before it is in.
    let told = std::iter::from_fn(|| events.try_recv().ok());
    let told: Vec<_> = told
        .filter(|event| matches!(event, BlockGossip { .. } | Block { .. }))
        .collect();
    let is_it = |event: &_| matches!(event, BlockGossip { slot: of, root: it } if (*of, *it) == (slot, root));
    assert!(told.len() == 1 && is_it(&told[0]), "{told:?}");
    for column in &history.columns[&root] {
        assert_ne!(head(chain), root, "the block is in before its columns are");
        let verdict = chain.gossip_column(Arc::clone(column), column.index, None).await;
        assert!(!matches!(verdict, Verdict::Reject(_)), "{verdict:?}");
        if column.index >= 64 && head(chain) == root {
            break; // the rest was made meanwhile
        }
    }
    until("the second block is in", || head(chain) == root).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_the_execution_client_complete_a_block_and_go_out_as_columns() {
    let history = History::new(1, 24_000, 1, None);
    let folder = Folder::new();
    let options = DevOptions {
        blobs_per_block: 1,
        hide_blobs: false,
    };
    let (anchor, storage) = (history.genesis_anchor(), history.storage(&folder));
    let running = history.node_with(anchor, storage, options).await;
    let chain = &running.chain;
    chain.custody().bind([3; 32], false).unwrap();
    let mut wants = chain.wants();
    let (root, block) = history.blocks[0].clone();
    assert_eq!(chain.gossip_block(block, None).await, Verdict::Accept);
    until("the block is in", || head(chain) == root).await;
    let made = async {
        loop {
            if let Ok(Want::Columns(columns)) = wants.recv().await {
                return columns;
            }
        }
    };
    let made = tokio::time::timeout(PATIENCE, made).await.unwrap();
    let held = chain.custody().held();
    assert_eq!(
        made.iter().map(|column| column.index).collect::<Vec<_>>(),
        *held.sampled
    );
    for column in made {
        assert_eq!(column, history.columns[&root][column.index as usize]);
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gossip_lacks_is_looked_up() {
    let history = History::new(5, 24_000, 1, None);
    let peers = vec![
        Scripted::new(Conduct::Empty, []),
        Scripted::new(Conduct::Forger, []),
        Scripted::new(Conduct::Honest, all()),
    ];
    let network = Network::new(&history, peers);
    let folder = Folder::new();
    let running = history.node(history.genesis_anchor(), history.storage(&folder)).await;
    let chain = &running.chain;
    chain.custody().bind([3; 32], false).unwrap();
    let forger = network.id(Conduct::Forger);
    // As peers tell it there is nothing to be loaded by range.
    *network.head.lock().unwrap() = (Root::ZERO, 0);
    sync_with(&running, &network);
    until("sync listens", || chain.wants_listeners() > 0).await;
    let (root, block) = history.blocks[4].clone();
    let verdict = chain.gossip_block(Arc::clone(&block), Some(forger)).await;
    assert!(matches!(verdict, Verdict::Ignore(_)), "{verdict:?}");
    assert_eq!(root_of(&block), root);
    until("the block is in with all before it", || head(chain) == root).await;
    assert_eq!(network.accused(), HashSet::from([forger]));
    let asked = network.asked();
    assert!(
        asked
            .iter()
            .all(|(_, request)| !matches!(request, Request::BlocksByRange(_)))
    );
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_filled_in_and_goes_on_after_a_restart() {
    let anchor_slot: Slot = 128;
    let mut history = History::new(140, 2000, 0, Some(anchor_slot));
    let network = Network::new(
        &history,
        vec![
            Scripted::new(Conduct::Honest, all()),
            Scripted::new(Conduct::Forger, all()),
            Scripted::new(Conduct::Short, all()),
            Scripted::new(Conduct::Honest, all()),
        ],
    );
    network.closed_below.store(60, Ordering::SeqCst);
    let anchor = history.anchor.take().unwrap();
    let again = node::start::Anchor {
        state: Arc::clone(&anchor.state),
        block: anchor.block.clone(),
        root: anchor.root,
    };
    let folder = Folder::new();
    let running = history.node(anchor, history.storage(&folder)).await;
    sync_with(&running, &network);
    let storage = running.storage.clone();
    let oldest = || storage.oldest_block().unwrap().unwrap_or(anchor_slot);
    until("some history is here", || oldest() < 100).await;
    let half_way = oldest();
    assert!(half_way > 0);
    running.end().await;
    let half_way = half_way.min(oldest());
    drop(storage);
    let asked_before = network.asked().len();
    network.closed_below.store(0, Ordering::SeqCst);
    let running = history.node(again, reopen(&history, &folder).await).await;
    sync_with(&running, &network);
    let storage = running.storage.clone();
    until("history is whole", || storage.oldest_block().unwrap() == Some(0)).await;
    for (root, block) in history
        .blocks
        .iter()
        .filter(|(_, block)| block.message.slot < anchor_slot)
    {
        let slot = block.message.slot;
        assert_eq!(storage.canonical(slot).unwrap(), Some(*root), "slot {slot}");
        let (_, stored) = storage.block(root).unwrap().unwrap();
        assert_eq!(stored, **block, "slot {slot}");
    }
    let asked = network.asked();
    for (_, request) in &asked[asked_before..] {
        if let Request::BlocksByRange(range) = request {
            let past = (half_way + 1..anchor_slot).contains(&(range.start_slot + range.count - 1));
            assert!(!past, "{range:?} was here already, down to {half_way}");
        }
    }
    let accused: HashSet<PeerId> = network.accused();
    let allowed = HashSet::from([network.id(Conduct::Forger), network.id(Conduct::Short)]);
    assert!(accused.is_subset(&allowed));
    assert!(accused.contains(&network.id(Conduct::Forger)));
    assert!(
        network
            .published
            .lock()
            .unwrap()
            .iter()
            .all(|out| !matches!(out, Outgoing::Block(_)))
    );
    running.end().await;
}

/// The database once more; those who had it let go of it a moment after the stop.
async fn reopen(history: &History, folder: &Folder) -> Storage {
    let identity = storage::Identity::of(history.genesis.genesis_validators_root);
    let path = folder.path().join("db");
    for _ in 0..600 {
        if let Ok(storage) = Storage::open(&path, &identity, &crate::storage_options()) {
            return storage;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the database stays open");
}
