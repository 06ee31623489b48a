//! Peers by script: what they have, how they behave, and what was asked of them.

use super::history::{History, forged, of_other_chain};
use consensus::ssz::Bytes;
use consensus::types::{ColumnIndex, DataColumnSidecar, Root, SignedBeaconBlock, Slot, Status};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use libp2p::PeerId;
use node::network::peer::{Chunk, Offence, Outgoing, PeerView, Peers, Request, RequestError};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a peer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    Honest,
    /// Honest, and takes its time.
    Slow,
    /// Says that it is on the chain and gives nothing.
    Empty,
    /// Gives the second half of a range only where somebody looks: leaves the last blocks out.
    Short,
    /// Gives blocks that were not signed by their proposer.
    Forger,
    /// Gives blocks of another chain.
    OtherChain,
    /// Gives columns with wrong cells.
    WrongColumns,
    /// Is gone after the first request.
    Leaver,
}

pub(crate) struct Scripted {
    pub(crate) id: PeerId,
    pub(crate) conduct: Conduct,
    pub(crate) columns: Vec<ColumnIndex>,
}

impl Scripted {
    pub(crate) fn new(conduct: Conduct, columns: impl IntoIterator<Item = ColumnIndex>) -> Self {
        Scripted {
            id: PeerId::random(),
            conduct,
            columns: columns.into_iter().collect(),
        }
    }
}

/// All peers of one node.
pub(crate) struct Network {
    blocks: Vec<(Root, Arc<SignedBeaconBlock>)>,
    columns: HashMap<Root, Vec<Arc<DataColumnSidecar>>>,
    /// The head that peers tell.
    pub(crate) head: Mutex<(Root, Slot)>,
    pub(crate) peers: Vec<Scripted>,
    /// Blocks below this slot are not given yet.
    pub(crate) closed_below: AtomicU64,
    pub(crate) reports: Mutex<Vec<(PeerId, Offence)>>,
    pub(crate) published: Mutex<Vec<Outgoing>>,
    asked: Mutex<Vec<(PeerId, Request)>>,
    gone: Mutex<HashSet<PeerId>>,
    flying: Arc<Mutex<Vec<(PeerId, Request)>>>,
    /// What was asked twice at once, or too much at once of one peer.
    pub(crate) doubled: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    pub(crate) fn new(history: &History, peers: Vec<Scripted>) -> Arc<Self> {
        Arc::new(Network {
            blocks: history.blocks.clone(),
            columns: history.columns.clone(),
            head: Mutex::new(history.head()),
            peers,
            closed_below: AtomicU64::new(0),
            reports: Mutex::default(),
            published: Mutex::default(),
            asked: Mutex::default(),
            gone: Mutex::default(),
            flying: Arc::default(),
            doubled: Mutex::default(),
        })
    }

    /// What was asked of whom so far.
    pub(crate) fn asked(&self) -> Vec<(PeerId, Request)> {
        self.asked.lock().unwrap().clone()
    }

    /// Peers that were reported for more than being unreliable.
    pub(crate) fn accused(&self) -> HashSet<PeerId> {
        let reports = self.reports.lock().unwrap();
        let grave = reports
            .iter()
            .filter(|(_, offence)| !matches!(offence, Offence::Unreliable(_)));
        grave.map(|(peer, _)| *peer).collect()
    }

    pub(crate) fn id(&self, conduct: Conduct) -> PeerId {
        let mut found = self.peers.iter().filter(|peer| peer.conduct == conduct);
        found.next().unwrap().id
    }

    fn blocks_in(&self, start: Slot, count: u64) -> Vec<Arc<SignedBeaconBlock>> {
        let open = self.closed_below.load(Ordering::SeqCst);
        let slots = start.max(open)..start + count;
        let blocks = self.blocks.iter().map(|(_, block)| block);
        blocks
            .filter(|block| slots.contains(&block.message.slot))
            .cloned()
            .collect()
    }

    fn answer(&self, peer: &Scripted, request: &Request) -> Vec<Chunk> {
        let mut blocks = match request {
            Request::BlocksByRange(range) => self.blocks_in(range.start_slot, range.count),
            Request::BlocksByRoot(roots) => {
                let wanted = self.blocks.iter().filter(|(root, _)| roots.contains(root));
                wanted.map(|(_, block)| Arc::clone(block)).collect()
            }
            Request::ColumnsByRange(range) => {
                let blocks = self.blocks.iter().filter(|(_, block)| {
                    let slot = block.message.slot;
                    (range.start_slot..range.start_slot + range.count).contains(&slot)
                });
                let roots = blocks.map(|(root, _)| (*root, range.columns.clone()));
                return self.columns_of(peer, roots.collect());
            }
            Request::ColumnsByRoot(ids) => {
                let roots = ids.iter().map(|id| (id.block_root, id.columns.clone()));
                return self.columns_of(peer, roots.collect());
            }
            _ => Vec::new(),
        };
        match peer.conduct {
            Conduct::Empty => blocks.clear(),
            Conduct::Short => blocks.truncate(blocks.len() / 2),
            Conduct::Forger => blocks = blocks.iter().map(|block| forged(block)).collect(),
            Conduct::OtherChain => blocks = blocks.iter().take(1).map(|block| of_other_chain(block)).collect(),
            _ => {}
        }
        blocks.into_iter().map(Chunk::Block).collect()
    }

    fn columns_of(&self, peer: &Scripted, wanted: Vec<(Root, Vec<ColumnIndex>)>) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for (root, indices) in wanted {
            let columns = self.columns.get(&root).into_iter().flatten();
            for column in columns.filter(|column| indices.contains(&column.index)) {
                if !peer.columns.contains(&column.index) {
                    continue;
                }
                let mut column = Arc::clone(column);
                if peer.conduct == Conduct::WrongColumns {
                    let wrong = Arc::make_mut(&mut column);
                    wrong.kzg_proofs[0] = Bytes([0xc0; 48]);
                    wrong.kzg_proofs[0].0[1..].fill(0);
                }
                chunks.push(Chunk::Column(column));
            }
        }
        if peer.conduct == Conduct::Empty {
            chunks.clear();
        }
        chunks
    }

    /// Notes a request that is under way.
    fn fly(&self, peer: PeerId, request: &Request) {
        let mut flying = self.flying.lock().unwrap();
        let is_blocks = |request: &Request| matches!(request, Request::BlocksByRange(_) | Request::BlocksByRoot(_));
        let alike = flying
            .iter()
            .filter(|(of, other)| *of == peer && is_blocks(other) == is_blocks(request));
        let mut doubled = self.doubled.lock().unwrap();
        if alike.count() >= 2 {
            doubled.push(format!("{peer} is asked three things at once"));
        }
        if matches!(request, Request::BlocksByRange(_)) && flying.iter().any(|(_, other)| other == request) {
            doubled.push(format!("{request:?} is asked twice at once"));
        }
        flying.push((peer, request.clone()));
    }
}

impl Peers for Network {
    fn peers(&self) -> Vec<PeerView> {
        let gone = self.gone.lock().unwrap();
        let (head_root, head_slot) = *self.head.lock().unwrap();
        let here = self.peers.iter().filter(|peer| !gone.contains(&peer.id));
        here.map(|peer| PeerView {
            id: peer.id,
            status: Status {
                head_root,
                head_slot,
                ..Status::default()
            },
            columns: peer.columns.clone().into(),
            score: 0,
        })
        .collect()
    }

    fn request(&self, peer: PeerId, request: Request) -> BoxFuture<'static, Result<Vec<Chunk>, RequestError>> {
        let Some(scripted) = self.peers.iter().find(|scripted| scripted.id == peer) else {
            return futures_util::future::ready(Err(RequestError::Gone)).boxed();
        };
        self.asked.lock().unwrap().push((peer, request.clone()));
        if scripted.conduct == Conduct::Leaver {
            self.gone.lock().unwrap().insert(peer);
            return futures_util::future::ready(Err(RequestError::Gone)).boxed();
        }
        let closed = self.closed_below.load(Ordering::SeqCst);
        if let Request::BlocksByRange(range) = &request
            && range.start_slot < closed
        {
            let why = RequestError::Unavailable("not yet".into());
            return futures_util::future::ready(Err(why)).boxed();
        }
        let chunks = self.answer(scripted, &request);
        let pause = if scripted.conduct == Conduct::Slow { 150 } else { 5 };
        self.fly(peer, &request);
        let flying = Arc::clone(&self.flying);
        async move {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let mut flying = flying.lock().unwrap();
            let place = flying.iter().position(|(of, other)| *of == peer && *other == request);
            if let Some(place) = place {
                flying.swap_remove(place);
            }
            Ok(chunks)
        }
        .boxed()
    }

    fn report(&self, peer: PeerId, offence: Offence) {
        self.reports.lock().unwrap().push((peer, offence));
    }

    fn publish(&self, outgoing: Outgoing) {
        self.published.lock().unwrap().push(outgoing);
    }
}
