//! What gossip brings: blocks, columns and blobs. The rules of the topic run on a worker, what was seen first is decided
//! by the chain thread, and the verdict goes back at once, so that what is right is passed on while its import goes on.

use super::actor::Actor;
use super::handle::{Chain, Event, NewBlock, Source};
use super::message::BUSY;
use super::sidecars::SidecarOf;
use super::snapshot::Snapshot;
use crate::network::peer::Offence;
use crate::work::{Busy, Lane};
use consensus::Fork;
use consensus::das::verify_data_column_sidecars_kzg_proofs;
use consensus::gossip::{
    GossipView, INVALID_CELL_PROOFS, Mark, Seen, Verdict, validate_beacon_block_gossip, validate_blob_sidecar_gossip,
    validate_data_column_sidecar_gossip_but_proofs,
};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::signing::Context;
use consensus::ssz::Ssz;
use consensus::types::{
    BLSSignature, BeaconBlock, BlobSidecar, DataColumnSidecar, Root, SignedBeaconBlock, Slot, SubnetID,
};
use crypto::bls::{find_invalid, verify_signature_sets};
use libp2p::PeerId;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// What the chain asks of sync, and through it of peers.
#[derive(Clone, Debug)]
pub enum Want {
    /// A block that others rest on or vote for, and that is not here.
    Block {
        /// Its root.
        root: Root,
        /// Who probably has it.
        from: Option<PeerId>,
    },
    /// Columns or blobs of a block that waits for them.
    Data {
        /// The block.
        root: Root,
        /// The block itself.
        block: Arc<SignedBeaconBlock>,
    },
    /// Columns that were rebuilt or came from the engine, to be sent on.
    Columns(Vec<Arc<DataColumnSidecar>>),
    /// A peer did wrong, which only showed later.
    Offence(PeerId, Offence),
}

/// A block that a worker has checked by the rules of gossip.
pub(crate) struct GossipBlock {
    block: Arc<SignedBeaconBlock>,
    root: Root,
    verdict: Verdict,
    marks: Vec<Mark>,
    /// Whether it is to be imported although it is not passed on: its parent or its proposer is not known yet.
    keep: bool,
    from: Option<PeerId>,
    received_ms: u64,
    answer: oneshot::Sender<Verdict>,
}

/// A column or blob that was checked.
pub(crate) struct CheckedSidecar {
    pub(crate) root: Root,
    pub(crate) sidecar: SidecarOf,
    pub(crate) verdict: Verdict,
    pub(crate) marks: Vec<Mark>,
    pub(crate) answer: Option<oneshot::Sender<Verdict>>,
}

/// A column that waits for a worker.
struct WaitingColumn {
    column: Arc<DataColumnSidecar>,
    subnet: SubnetID,
    answer: oneshot::Sender<Verdict>,
}

/// Columns that may wait for a worker: as many as the lane has room for, which is all columns of four blocks.
const COLUMNS_WAITING_MAX: usize = Lane::Column.capacity();

/// Columns that one job takes. A call of the proof check costs 4 to 5 ms whatever is in it, and each cell some 30 µs:
/// sixteen columns of nine blobs stay within about 10 ms, and the worker is back at its lanes soon.
const COLUMNS_AT_ONCE: usize = 16;

/// Headers whose signature was found right, of the blocks whose columns are coming in: those of a slot, and of some
/// forks beside it. All columns of a block carry the same one.
const HEADERS_MAX: usize = 16;

/// Blocks of one proposer and slot that may wait for what they rest on: an honest one makes one, and one that signs many
/// is not to fill the room of others.
const ALIKE_MAX: usize = 2;

/// Columns that came by gossip and wait to be checked together.
#[derive(Default)]
pub(crate) struct ColumnQueue {
    waiting: Mutex<VecDeque<WaitingColumn>>,
    /// Roots and signatures of headers whose signature is right.
    headers: Mutex<VecDeque<(Root, BLSSignature)>>,
}

impl ColumnQueue {
    fn push(&self, column: WaitingColumn) -> Result<(), Busy> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= COLUMNS_WAITING_MAX {
            return Err(Busy);
        }
        waiting.push_back(column);
        Ok(())
    }

    fn take(&self) -> Vec<WaitingColumn> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(COLUMNS_AT_ONCE);
        waiting.drain(..count).collect()
    }

    fn knows(&self, header: &(Root, BLSSignature)) -> bool {
        let headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        headers.contains(header)
    }

    fn note(&self, header: (Root, BLSSignature)) {
        let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        if headers.contains(&header) {
            return;
        }
        if headers.len() >= HEADERS_MAX {
            headers.pop_front();
        }
        headers.push_back(header);
    }
}

impl Chain {
    /// A block that came by gossip. The verdict is there before its import is through; what the import finds out later
    /// goes to sync as a [`Want`].
    ///
    /// Spec: `validate_beacon_block_gossip` in p2p-interface.md of each fork.
    pub async fn gossip_block(&self, block: Arc<SignedBeaconBlock>, from: Option<PeerId>) -> Verdict {
        let received_ms = self.clock.now_ms();
        let (answer, result) = oneshot::channel();
        let chain = self.clone();
        let job = Box::new(move || {
            let snapshot = chain.snapshot();
            let fork = fork_at(&snapshot, block.message.slot);
            let root = block.message.hash_tree_root(fork);
            let (verdict, marks, keep) = check_block(&snapshot, received_ms, &block);
            chain.tell_certainly(Event::GossipBlock(Box::new(GossipBlock {
                block,
                root,
                verdict,
                marks,
                keep,
                from,
                received_ms,
                answer,
            })));
        });
        if self.work.push(Lane::Block, job) == Err(Busy) {
            return Verdict::Ignore(BUSY);
        }
        result.await.unwrap_or(Verdict::Ignore(BUSY))
    }

    /// A column that came by gossip on `subnet`. Kept until its block comes, or given to the block that waits for it.
    ///
    /// Spec: fulu/p2p-interface.md, `validate_data_column_sidecar_gossip`.
    pub async fn gossip_column(
        &self,
        column: Arc<DataColumnSidecar>,
        subnet: SubnetID,
        _from: Option<PeerId>,
    ) -> Verdict {
        let (answer, result) = oneshot::channel();
        let waiting = WaitingColumn { column, subnet, answer };
        if self.columns.push(waiting) == Err(Busy) {
            return Verdict::Ignore(BUSY);
        }
        let chain = self.clone();
        // Each column brings a job, and each job takes what waits: those that come while workers are busy share a call.
        let job = Box::new(move || {
            let waiting = chain.columns.take();
            if !waiting.is_empty() {
                let now_ms = chain.clock.now_ms();
                let checked = check_columns(&chain.columns, &chain.snapshot(), now_ms, waiting);
                chain.tell_certainly(Event::Sidecars(checked));
            }
        });
        if self.work.push(Lane::Column, job) == Err(Busy) {
            tracing::debug!("a column waits for the jobs of others: the lane is full");
        }
        result.await.unwrap_or(Verdict::Ignore(BUSY))
    }

    /// A blob that came by gossip on `subnet`, in Deneb and Electra.
    ///
    /// Spec: deneb/p2p-interface.md, `validate_blob_sidecar_gossip`.
    pub async fn gossip_blob(&self, blob: Arc<BlobSidecar>, subnet: SubnetID, _from: Option<PeerId>) -> Verdict {
        let (answer, result) = oneshot::channel();
        let chain = self.clone();
        let job = Box::new(move || {
            let snapshot = chain.snapshot();
            let now_ms = chain.clock.now_ms();
            let checked = check_blob(&snapshot, now_ms, blob, subnet, answer);
            chain.tell_certainly(Event::Sidecars(vec![checked]));
        });
        if self.work.push(Lane::Column, job) == Err(Busy) {
            return Verdict::Ignore(BUSY);
        }
        result.await.unwrap_or(Verdict::Ignore(BUSY))
    }

    /// Hands in columns and blobs of a block that the caller has checked against it: those that sync fetched.
    pub async fn add_sidecars(&self, root: Root, columns: Vec<Arc<DataColumnSidecar>>, blobs: Vec<Arc<BlobSidecar>>) {
        let checked = checked_sidecars(root, columns, blobs);
        if !checked.is_empty() {
            self.tell_patiently(Event::Sidecars(checked)).await;
        }
    }

    /// What a waiting block still lacks: indices of columns, or of blobs before Fulu. `None` if it does not wait for
    /// data.
    pub async fn missing_data(&self, root: Root) -> Option<Vec<u64>> {
        let (answer, result) = oneshot::channel();
        self.tell_patiently(Event::Missing(root, answer)).await;
        result.await.ok().flatten()
    }
}

/// Sidecars that need no rules of gossip, as the chain thread takes them.
pub(crate) fn checked_sidecars(
    root: Root,
    columns: Vec<Arc<DataColumnSidecar>>,
    blobs: Vec<Arc<BlobSidecar>>,
) -> Vec<CheckedSidecar> {
    let columns = columns.into_iter().map(SidecarOf::Column);
    let sidecars = columns.chain(blobs.into_iter().map(SidecarOf::Blob));
    let checked = sidecars.map(|sidecar| CheckedSidecar {
        root,
        marks: vec![mark_of(&sidecar)],
        sidecar,
        verdict: Verdict::Accept,
        answer: None,
    });
    checked.collect()
}

/// What makes the same sidecar by gossip a known one.
fn mark_of(sidecar: &SidecarOf) -> Mark {
    match sidecar {
        SidecarOf::Column(column) => Mark::DataColumnSidecar {
            slot: column.signed_block_header.message.slot,
            proposer_index: column.signed_block_header.message.proposer_index,
            index: column.index,
        },
        SidecarOf::Blob(blob) => Mark::BlobSidecar {
            slot: blob.signed_block_header.message.slot,
            proposer_index: blob.signed_block_header.message.proposer_index,
            index: blob.index,
        },
    }
}

fn fork_at(snapshot: &Snapshot, slot: Slot) -> Fork {
    snapshot.view.config().fork_at_epoch(compute_epoch_at_slot(slot))
}

/// The rules of the topic with the proposer's signature. The flag says that the block is signed by whom it names, but
/// cannot be judged further: its parent is not here, or the proposers of its chain are not at hand.
fn check_block(snapshot: &Snapshot, now_ms: u64, block: &SignedBeaconBlock) -> (Verdict, Vec<Mark>, bool) {
    let seen = Seen::new();
    let ctx = Context::collecting(snapshot.view.config(), &snapshot.keys);
    let mut gossip = snapshot.rules(&seen, &snapshot.ahead.state, now_ms, ctx);
    let judged = validate_beacon_block_gossip(&mut gossip, block);
    let sets = gossip.take_collected();
    if let Some(why) = first_wrong(&sets) {
        return (Verdict::Reject(why), Vec::new(), false);
    }
    let parent = block.message.parent_root;
    let unclear = snapshot.block(&parent).is_none() || snapshot.proposer_index(parent, block.message.slot).is_none();
    // Without a signature the rules ended before it: the block is from the future, or from before finality.
    let keep = matches!(judged, Verdict::Ignore(_)) && unclear && !sets.is_empty();
    (judged, std::mem::take(&mut gossip.marks), keep)
}

/// Why the first wrong signature refuses the message.
fn first_wrong(sets: &[(&'static str, crypto::bls::SignatureSet)]) -> Option<&'static str> {
    let all: Vec<_> = sets.iter().map(|(_, set)| *set).collect();
    if all.is_empty() || verify_signature_sets(&all) {
        return None;
    }
    find_invalid(&all).first().map(|place| sets[*place].0)
}

/// The rules of the topic for columns that came together: each header's signature once, all cells in one call.
fn check_columns(
    queue: &ColumnQueue,
    snapshot: &Snapshot,
    now_ms: u64,
    waiting: Vec<WaitingColumn>,
) -> Vec<CheckedSidecar> {
    let mut checked = Vec::with_capacity(waiting.len());
    for WaitingColumn { column, subnet, answer } in waiting {
        let (root, verdict, marks) = check_column_but_proofs(queue, snapshot, now_ms, &column, subnet);
        checked.push(CheckedSidecar {
            root,
            sidecar: SidecarOf::Column(column),
            verdict,
            marks,
            answer: Some(answer),
        });
    }
    let accepted = checked.iter_mut().filter(|checked| checked.verdict == Verdict::Accept);
    refuse_wrong_proofs(&mut accepted.collect::<Vec<_>>());
    checked
}

fn check_column_but_proofs(
    queue: &ColumnQueue,
    snapshot: &Snapshot,
    now_ms: u64,
    column: &DataColumnSidecar,
    subnet: SubnetID,
) -> (Root, Verdict, Vec<Mark>) {
    let signed = &column.signed_block_header;
    let fork = fork_at(snapshot, signed.message.slot);
    let root = signed.message.hash_tree_root(fork);
    let header = (root, signed.signature);
    let config = snapshot.view.config();
    let ctx = if queue.knows(&header) {
        Context::trusting(config, &snapshot.keys)
    } else {
        Context::collecting(config, &snapshot.keys)
    };
    let seen = Seen::new();
    let mut gossip = snapshot.rules(&seen, &snapshot.ahead.state, now_ms, ctx);
    let verdict = validate_data_column_sidecar_gossip_but_proofs(&mut gossip, column, fork, subnet);
    let sets = gossip.take_collected();
    if let Some(why) = first_wrong(&sets) {
        return (root, Verdict::Reject(why), Vec::new());
    }
    if !sets.is_empty() {
        queue.note(header);
    }
    (root, verdict, std::mem::take(&mut gossip.marks))
}

/// Refuses those whose cells are not those of their commitments: halves what fails until the wrong ones are found.
fn refuse_wrong_proofs(columns: &mut [&mut CheckedSidecar]) {
    let with_commitments = columns.iter().filter_map(|checked| match &checked.sidecar {
        SidecarOf::Column(column) => Some((column.as_ref(), column.kzg_commitments.as_slice())),
        SidecarOf::Blob(_) => None,
    });
    let with_commitments: Vec<_> = with_commitments.collect();
    if with_commitments.is_empty() || verify_data_column_sidecars_kzg_proofs(&with_commitments) {
        return;
    }
    if let [wrong] = columns {
        wrong.verdict = Verdict::Reject(INVALID_CELL_PROOFS);
        wrong.marks.clear();
        return;
    }
    let (left, right) = columns.split_at_mut(columns.len() / 2);
    refuse_wrong_proofs(left);
    refuse_wrong_proofs(right);
}

fn check_blob(
    snapshot: &Snapshot,
    now_ms: u64,
    blob: Arc<BlobSidecar>,
    subnet: SubnetID,
    answer: oneshot::Sender<Verdict>,
) -> CheckedSidecar {
    let seen = Seen::new();
    let ctx = Context::collecting(snapshot.view.config(), &snapshot.keys);
    let mut gossip = snapshot.rules(&seen, &snapshot.ahead.state, now_ms, ctx);
    let verdict = validate_blob_sidecar_gossip(&mut gossip, &blob, subnet);
    let verdict = gossip.finish(verdict);
    let header = &blob.signed_block_header.message;
    CheckedSidecar {
        root: header.hash_tree_root(fork_at(snapshot, header.slot)),
        marks: std::mem::take(&mut gossip.marks),
        sidecar: SidecarOf::Blob(blob),
        verdict,
        answer: Some(answer),
    }
}

impl Actor {
    /// A block of gossip: first-seen is settled, the verdict goes out, and then it is a block like others.
    pub(crate) fn on_gossip_block(&mut self, gossip: GossipBlock) {
        let verdict = self.seen.settle(gossip.verdict, gossip.marks);
        // Whoever asked may have gone.
        let _ = gossip.answer.send(verdict);
        let block = &gossip.block.message;
        if verdict == Verdict::Accept {
            self.chain.publish_event(super::ChainEvent::BlockGossip {
                slot: block.slot,
                root: gossip.root,
            });
        }
        let alike = self.pending.alike(block.slot, block.proposer_index);
        if verdict != Verdict::Accept && (!gossip.keep || alike >= ALIKE_MAX) {
            return;
        }
        let new = NewBlock {
            block: gossip.block,
            columns: Vec::new(),
            blobs: Vec::new(),
            source: Source::Gossip,
            received_ms: gossip.received_ms,
        };
        self.ask_engine_for_blobs(gossip.root, &new);
        self.on_block(new, None, gossip.from);
    }

    /// A block of this node's own clients is the first of its proposer and slot, as if it had come by gossip: a second one
    /// is not passed on.
    pub(crate) fn mark_published(&mut self, new: &NewBlock) {
        if new.source != Source::Api {
            return;
        }
        let BeaconBlock {
            slot, proposer_index, ..
        } = new.block.message;
        let mark = Mark::BeaconBlock { slot, proposer_index };
        self.seen.settle(Verdict::Accept, vec![mark]);
    }

    /// Columns and blobs that were checked.
    pub(crate) fn on_sidecars(&mut self, sidecars: Vec<CheckedSidecar>) {
        let mut touched = Vec::new();
        for checked in sidecars {
            let verdict = self.seen.settle(checked.verdict, checked.marks);
            let by_gossip = checked.answer.is_some();
            if let Some(answer) = checked.answer {
                // Whoever asked may have gone.
                let _ = answer.send(verdict);
            }
            // What sync fetched may have been seen before its block was lost.
            let usable = verdict == Verdict::Accept || !by_gossip && !matches!(verdict, Verdict::Reject(_));
            if usable && self.keep_sidecar(checked.root, checked.sidecar) && !touched.contains(&checked.root) {
                touched.push(checked.root);
            }
        }
        for root in touched {
            self.look_for_data(root);
        }
    }

    /// Gives a sidecar to the block that waits for it, then true, or keeps it for one that may come.
    fn keep_sidecar(&mut self, root: Root, sidecar: SidecarOf) -> bool {
        if self.store.blocks().get(&root).is_some() {
            return false;
        }
        if let SidecarOf::Column(column) = &sidecar {
            self.chain.publish_event(super::ChainEvent::Column {
                block_root: root,
                index: column.index,
                slot: column.signed_block_header.message.slot,
            });
        }
        if self.pending.get_mut(&root).is_some() {
            return self.pending.add_sidecar(&root, sidecar);
        }
        self.sidecars.insert(root, sidecar);
        false
    }
}
