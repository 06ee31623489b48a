//! Blocks and their sidecars from peers, checked as far as that goes without the chain: that they are what was asked
//! for, that blocks follow one another, that sidecars are those of their block. Who sends what no honest peer sends is
//! reported where it shows.

use super::ask::{Asker, best};
use crate::chain::{Chain, needed_at, rebuild_columns};
use crate::network::peer::{Chunk, Offence, PeerView, Request};
use crate::work::Lane;
use consensus::constants::DOMAIN_BEACON_PROPOSER;
use consensus::das::{
    verify_blob_sidecar_inclusion_proof, verify_data_column_sidecar, verify_data_column_sidecar_inclusion_proof,
    verify_data_column_sidecars_kzg_proofs,
};
use consensus::fork_choice::{DataAvailability, is_blob_data_available};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::NUMBER_OF_COLUMNS;
use consensus::signing::{compute_domain, signing_root_of, validator_set};
use consensus::ssz::Ssz;
use consensus::types::{
    BeaconBlocksByRange, BlobIdentifier, BlobSidecar, ColumnIndex, DataColumnSidecar, DataColumnSidecarsByRange,
    DataColumnsByRootIdentifier, Root, SignedBeaconBlock, Slot,
};
use consensus::{Config, Fork, Invalid};
use crypto::bls::verify_signature_sets;
use futures_util::future::join_all;
use libp2p::PeerId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// How often missing columns are asked for, each time of other peers, before whoever wants them is told that they cannot
/// be had now.
const ROUNDS: usize = 4;

/// Columns that one job checks: see the intake of gossip, which has the figures.
const COLUMNS_AT_ONCE: usize = 16;

/// Signatures that one job checks: about 20 ms.
const SIGNATURES_AT_ONCE: usize = 16;

/// A block with its root and, as far as they were fetched, its sidecars.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) root: Root,
    pub(crate) block: Arc<SignedBeaconBlock>,
    pub(crate) columns: Vec<Arc<DataColumnSidecar>>,
    pub(crate) blobs: Vec<Arc<BlobSidecar>>,
}

/// Why there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The peer did not answer, or with nonsense, which was reported.
    Peer(String),
    /// No peer gave the sidecars.
    Data(String),
    /// This node is too busy to check.
    Busy,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failed::Peer(why) | Failed::Data(why) => f.write_str(why),
            Failed::Busy => f.write_str("this node is too busy"),
        }
    }
}

/// How blocks' sidecars are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Range,
    Root,
}

/// What fetching needs. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    pub(crate) chain: Chain,
    pub(crate) asker: Asker,
}

impl Fetcher {
    fn config(&self) -> &Arc<Config> {
        self.chain.config()
    }

    fn current_slot(&self) -> Slot {
        self.chain.clock().slot().unwrap_or(0)
    }

    /// What the peer gives as the blocks of `[start, start + count)`: in order, each the parent of the next.
    ///
    /// Spec: phase0/p2p-interface.md, "BeaconBlocksByRange v1".
    pub(crate) async fn blocks_by_range(
        &self,
        peer: PeerId,
        start: Slot,
        count: u64,
        lane: Lane,
    ) -> Result<Vec<Fetched>, Failed> {
        let request = BeaconBlocksByRange {
            start_slot: start,
            count,
            step: 1,
        };
        let chunks = self.asker.ask(peer, Request::BlocksByRange(request)).await;
        let chunks = chunks.map_err(|error| Failed::Peer(error.to_string()))?;
        let config = Arc::clone(self.config());
        let checked = self.chain.work().run(lane, move || with_roots(&config, chunks)).await;
        let blocks = checked.map_err(|_| Failed::Busy)?;
        let blocks = blocks.and_then(|blocks| in_order(blocks, start, count));
        blocks.map_err(|why| self.wrong(peer, why))
    }

    /// The block of this root from one peer.
    pub(crate) async fn block_by_root(&self, peer: PeerId, root: Root) -> Result<Fetched, Failed> {
        let chunks = self.asker.ask(peer, Request::BlocksByRoot(vec![root])).await;
        let chunks = chunks.map_err(|error| Failed::Peer(error.to_string()))?;
        let config = Arc::clone(self.config());
        let checked = self.chain.work().run(Lane::Column, move || with_roots(&config, chunks));
        let blocks = checked.await.map_err(|_| Failed::Busy)?;
        let mut blocks = blocks.map_err(|why| self.wrong(peer, why))?;
        match blocks.pop() {
            None => Err(Failed::Peer(format!("the peer does not have block {root}"))),
            Some(block) if block.root == root => Ok(block),
            Some(_) => Err(self.wrong(peer, "it gave another block than the one asked for")),
        }
    }

    fn wrong(&self, peer: PeerId, why: &'static str) -> Failed {
        self.asker.report(peer, Offence::Wrong(why));
        Failed::Peer(why.into())
    }

    /// Gives blocks the sidecars that they need to be imported: all columns that this node samples, all blobs before
    /// Fulu. `from` is asked first. What is in the chain already needs none: a range begins some way before the head, and
    /// the columns of an epoch are most of what a node that keeps them all would fetch after a short absence.
    pub(crate) async fn with_data(
        &self,
        blocks: Vec<Fetched>,
        from: Option<PeerId>,
        by: By,
    ) -> Result<Vec<Fetched>, Failed> {
        let snapshot = self.chain.snapshot();
        let (here, mut blocks): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|block| snapshot.block(&block.root).is_some());
        drop(snapshot);
        // A block's root does not tell whether its signature is right, and sidecars carry it too: those of an honest
        // peer must not be held against a forged one.
        let with_sidecars = blocks.iter().filter(|block| self.needs_data(block));
        let with_sidecars: Vec<Fetched> = with_sidecars.cloned().collect();
        if !self.are_signed(&with_sidecars, Lane::Column).await? {
            if let Some(peer) = from {
                let why = Invalid::new("proposer signature", "of a block that was asked for");
                self.asker.report(peer, Offence::Invalid(why));
            }
            return Err(Failed::Peer(
                "the peer gave a block that is not signed by its proposer".into(),
            ));
        }
        let sampled = Arc::clone(&self.chain.custody().held().sampled);
        self.add_blobs(&mut blocks, from, Lane::Column).await?;
        let missing = self.add_columns(&mut blocks, &sampled, by, Lane::Column).await?;
        if missing > 0 {
            return Err(Failed::Data(format!("{missing} columns cannot be had of any peer")));
        }
        blocks.extend(here);
        blocks.sort_unstable_by_key(|block| block.block.message.slot);
        Ok(blocks)
    }

    fn needs_data(&self, block: &Fetched) -> bool {
        let message = &block.block.message;
        let served = needed_at(self.config(), self.current_slot(), message.slot).is_some();
        served && !message.body.blob_kzg_commitments.is_empty()
    }

    /// Whether all blocks are signed by whom they name. Whether those had to propose is for others to tell.
    pub(crate) async fn are_signed(&self, blocks: &[Fetched], lane: Lane) -> Result<bool, Failed> {
        for part in blocks.chunks(SIGNATURES_AT_ONCE) {
            let (chain, part) = (self.chain.clone(), part.to_vec());
            let job = move || {
                let snapshot = chain.snapshot();
                let state = &snapshot.head_state;
                let set = |block: &Fetched| {
                    let message = &block.block.message;
                    let version = chain.config().compute_fork_version(compute_epoch_at_slot(message.slot));
                    let domain = compute_domain(DOMAIN_BEACON_PROPOSER, version, state.genesis_validators_root);
                    let (rule, signed) = ("proposer signature", signing_root_of(block.root, domain));
                    let signature = &block.block.signature;
                    validator_set(rule, state, &snapshot.keys, message.proposer_index, signed, signature)
                };
                let sets: Result<Vec<_>, _> = part.iter().map(set).collect();
                sets.is_ok_and(|sets| verify_signature_sets(&sets))
            };
            let checked = self.chain.work().run(lane, job).await;
            if !checked.map_err(|_| Failed::Busy)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds these columns to the blocks that have any, as far as peers give them; how many are missing in the end. Where
    /// half of all are there, the rest is made from them.
    pub(crate) async fn add_columns(
        &self,
        blocks: &mut [Fetched],
        wanted: &[ColumnIndex],
        by: By,
        lane: Lane,
    ) -> Result<usize, Failed> {
        let now = self.current_slot();
        let needs = |block: &Fetched| {
            let slot = block.block.message.slot;
            let fork = needed_at(self.config(), now, slot);
            !block.block.message.body.blob_kzg_commitments.is_empty() && fork >= Some(Fork::Fulu)
        };
        let mut missing: HashMap<Root, BTreeSet<ColumnIndex>> = HashMap::new();
        for block in blocks.iter().filter(|block| needs(block)) {
            let here: Vec<ColumnIndex> = block.columns.iter().map(|column| column.index).collect();
            let lacks = wanted.iter().copied().filter(|index| !here.contains(index));
            missing.insert(block.root, lacks.collect());
        }
        let mut tried: HashSet<(PeerId, ColumnIndex)> = HashSet::new();
        for _ in 0..ROUNDS {
            missing.retain(|_, columns| !columns.is_empty());
            if missing.is_empty() {
                return Ok(0);
            }
            let columns: BTreeSet<ColumnIndex> = missing.values().flatten().copied().collect();
            let shares = self.share_out(blocks, &columns, &tried);
            if shares.is_empty() {
                break;
            }
            for (peer, columns) in &shares {
                tried.extend(columns.iter().map(|column| (*peer, *column)));
            }
            let asked = shares
                .into_iter()
                .map(|(peer, columns)| self.columns_of(peer, columns, blocks, &missing, by, lane));
            for (root, column) in join_all(asked).await.into_iter().flatten() {
                let lacks = missing.get_mut(&root).is_some_and(|lacks| lacks.remove(&column.index));
                if let (true, Some(block)) = (lacks, blocks.iter_mut().find(|block| block.root == root)) {
                    block.columns.push(column);
                }
            }
        }
        self.rebuild(blocks, &mut missing, lane).await?;
        Ok(missing.values().map(BTreeSet::len).sum())
    }

    /// Which peer is asked for which of these columns: each of one that keeps it and was not asked for it yet.
    fn share_out(
        &self,
        blocks: &[Fetched],
        columns: &BTreeSet<ColumnIndex>,
        tried: &HashSet<(PeerId, ColumnIndex)>,
    ) -> Vec<(PeerId, Vec<ColumnIndex>)> {
        let slots = blocks.iter().map(|block| block.block.message.slot);
        let first = slots.min().unwrap_or(0);
        let peers: Vec<PeerView> = self.asker.peers();
        let mut shares: BTreeMap<PeerId, Vec<ColumnIndex>> = BTreeMap::new();
        for column in columns {
            let keepers = peers.iter().filter(|peer| {
                peer.columns.binary_search(column).is_ok()
                    && peer.status.earliest_available_slot <= first
                    && !tried.contains(&(peer.id, *column))
            });
            // One request for many columns costs little more than one for one: whoever is asked already goes on.
            let load = |peer: &PeerId| match shares.get(peer) {
                Some(share) => self.asker.load(peer) * SHARE + share.len(),
                None => (self.asker.load(peer) + 1) * SHARE,
            };
            if let Some(peer) = best(keepers, load) {
                shares.entry(peer).or_default().push(*column);
            }
        }
        shares.into_iter().collect()
    }

    /// The columns that a peer gives of those that it was asked for, checked. What it was asked for it should have.
    async fn columns_of(
        &self,
        peer: PeerId,
        columns: Vec<ColumnIndex>,
        blocks: &[Fetched],
        missing: &HashMap<Root, BTreeSet<ColumnIndex>>,
        by: By,
        lane: Lane,
    ) -> Vec<(Root, Arc<DataColumnSidecar>)> {
        let wanted: Vec<&Fetched> = blocks
            .iter()
            .filter(|block| missing.contains_key(&block.root))
            .collect();
        let request = match by {
            By::Range => columns_by_range(&wanted, &columns),
            By::Root => columns_by_root(&wanted, &columns, missing),
        };
        let chunks = match self.asker.ask(peer, request).await {
            Ok(chunks) => chunks,
            Err(error) => {
                tracing::debug!(%peer, %error, "no columns");
                return Vec::new();
            }
        };
        let expected: HashMap<Root, Arc<SignedBeaconBlock>> = wanted
            .iter()
            .map(|block| (block.root, Arc::clone(&block.block)))
            .collect();
        let mut found = Vec::new();
        let mut chunks = chunks.into_iter();
        loop {
            let part: Vec<Chunk> = chunks.by_ref().take(COLUMNS_AT_ONCE).collect();
            if part.is_empty() {
                break;
            }
            let (config, expected, columns) = (Arc::clone(self.config()), expected.clone(), columns.clone());
            let job = move || check_columns(&config, &expected, &columns, part);
            match self.chain.work().run(lane, job).await {
                Ok(Ok(checked)) => found.extend(checked),
                Ok(Err(why)) => {
                    self.asker.report(peer, Offence::Wrong(why));
                    return Vec::new();
                }
                Err(busy) => {
                    tracing::debug!(%busy, "columns could not be checked");
                    return Vec::new();
                }
            }
        }
        if found.is_empty() {
            self.asker
                .report(peer, Offence::Unreliable("it gave no column of those it keeps"));
        }
        found
    }

    /// Makes what is missing of blocks that have half of all columns.
    async fn rebuild(
        &self,
        blocks: &mut [Fetched],
        missing: &mut HashMap<Root, BTreeSet<ColumnIndex>>,
        lane: Lane,
    ) -> Result<(), Failed> {
        for block in blocks {
            let Some(lacks) = missing.get_mut(&block.root) else {
                continue;
            };
            if lacks.is_empty() || (block.columns.len() as u64) < NUMBER_OF_COLUMNS / 2 {
                continue;
            }
            let fork = fork_at(self.config(), block.block.message.slot);
            let columns = block.columns.clone();
            let made = self.chain.work().run(lane, move || rebuild_columns(fork, &columns));
            match made.await {
                Ok(Ok(made)) => {
                    let wanted = made.into_iter().filter(|column| lacks.remove(&column.index));
                    block.columns.extend(wanted);
                }
                Ok(Err(why)) => tracing::warn!(%why, "columns cannot be rebuilt"),
                Err(_) => return Err(Failed::Busy),
            }
        }
        Ok(())
    }

    /// Adds all blobs to the blocks that have any, in Deneb and Electra. Asks `from` first, then others.
    pub(crate) async fn add_blobs(
        &self,
        blocks: &mut [Fetched],
        from: Option<PeerId>,
        lane: Lane,
    ) -> Result<(), Failed> {
        let now = self.current_slot();
        for block in blocks {
            let slot = block.block.message.slot;
            let count = block.block.message.body.blob_kzg_commitments.len();
            let fork = needed_at(self.config(), now, slot);
            if count <= block.blobs.len() || fork.is_none_or(|fork| fork >= Fork::Fulu) {
                continue;
            }
            let mut peers = self.asker.peers();
            peers.retain(|peer| peer.status.earliest_available_slot <= slot);
            peers.sort_by_key(|peer| (Some(peer.id) != from, self.asker.load(&peer.id)));
            for peer in peers.iter().take(ROUNDS) {
                if self.blobs_of(peer.id, block, lane).await? {
                    break;
                }
            }
            if block.blobs.len() < count {
                let why = format!("the blobs of block {} cannot be had of any peer", block.root);
                return Err(Failed::Data(why));
            }
        }
        Ok(())
    }

    /// Whether the peer gave all blobs of the block.
    async fn blobs_of(&self, peer: PeerId, block: &mut Fetched, lane: Lane) -> Result<bool, Failed> {
        let count = block.block.message.body.blob_kzg_commitments.len() as u64;
        let block_root = block.root;
        let ids = (0..count).map(|index| BlobIdentifier { block_root, index }).collect();
        let Ok(chunks) = self.asker.ask(peer, Request::BlobsByRoot(ids)).await else {
            return Ok(false);
        };
        let expected = Arc::clone(&block.block);
        let job = move || check_blobs(block_root, &expected, chunks);
        match self.chain.work().run(lane, job).await.map_err(|_| Failed::Busy)? {
            Ok(blobs) => {
                block.blobs = blobs;
                Ok(true)
            }
            Err(Some(why)) => {
                self.asker.report(peer, Offence::Wrong(why));
                Ok(false)
            }
            Err(None) => Ok(false),
        }
    }
}

/// Weighs another request against further columns in the same one: a peer takes all columns there are before a second
/// one is bothered, unless that is idle and this one is not.
const SHARE: usize = NUMBER_OF_COLUMNS as usize;

fn fork_at(config: &Config, slot: Slot) -> Fork {
    config.fork_at_epoch(compute_epoch_at_slot(slot))
}

/// The blocks with their roots; hashing, so for workers.
fn with_roots(config: &Config, chunks: Vec<Chunk>) -> Result<Vec<Fetched>, &'static str> {
    let block = |chunk| match chunk {
        Chunk::Block(block) => Ok(Fetched {
            root: block.message.hash_tree_root(fork_at(config, block.message.slot)),
            block,
            ..Fetched::default()
        }),
        Chunk::Blob(_) | Chunk::Column(_) => Err("it gave something else than blocks"),
    };
    chunks.into_iter().map(block).collect()
}

fn in_order(blocks: Vec<Fetched>, start: Slot, count: u64) -> Result<Vec<Fetched>, &'static str> {
    let slots = blocks.iter().map(|block| block.block.message.slot);
    let within = slots.clone().all(|slot| slot >= start && slot - start < count);
    if !within || !slots.is_sorted_by(|one, next| one < next) {
        return Err("it gave blocks of other slots than asked for, or out of order");
    }
    let follow = |pair: &[Fetched]| pair[1].block.message.parent_root == pair[0].root;
    if !blocks.windows(2).all(follow) {
        return Err("it gave blocks that do not follow one another");
    }
    Ok(blocks)
}

fn columns_by_range(blocks: &[&Fetched], columns: &[ColumnIndex]) -> Request {
    let slots = blocks.iter().map(|block| block.block.message.slot);
    let (first, last) = (slots.clone().min().unwrap_or(0), slots.max().unwrap_or(0));
    Request::ColumnsByRange(DataColumnSidecarsByRange {
        start_slot: first,
        count: last - first + 1,
        columns: columns.to_vec(),
    })
}

fn columns_by_root(
    blocks: &[&Fetched],
    columns: &[ColumnIndex],
    missing: &HashMap<Root, BTreeSet<ColumnIndex>>,
) -> Request {
    let identifier = |block: &&Fetched| {
        let lacks = missing.get(&block.root)?;
        let columns: Vec<_> = columns.iter().copied().filter(|index| lacks.contains(index)).collect();
        (!columns.is_empty()).then_some(DataColumnsByRootIdentifier {
            block_root: block.root,
            columns,
        })
    };
    Request::ColumnsByRoot(blocks.iter().filter_map(identifier).collect())
}

/// Columns with their blocks' roots, if all are what was asked for and right. Those of blocks that were not asked about,
/// by a range that had more, are left out. Dear: for workers.
fn check_columns(
    config: &Config,
    blocks: &HashMap<Root, Arc<SignedBeaconBlock>>,
    columns: &[ColumnIndex],
    chunks: Vec<Chunk>,
) -> Result<Vec<(Root, Arc<DataColumnSidecar>)>, &'static str> {
    let mut found = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let Chunk::Column(column) = chunk else {
            return Err("it gave something else than columns");
        };
        if !columns.contains(&column.index) {
            return Err("it gave a column that was not asked for");
        }
        let header = &column.signed_block_header;
        let fork = fork_at(config, header.message.slot);
        let root = header.message.hash_tree_root(fork);
        let Some(block) = blocks.get(&root) else {
            continue;
        };
        let is_right = header.signature == block.signature
            && column.kzg_commitments == block.message.body.blob_kzg_commitments
            && verify_data_column_sidecar(config, fork, &column, &column.kzg_commitments).is_ok()
            && verify_data_column_sidecar_inclusion_proof(&column);
        if !is_right {
            return Err("it gave a column that is not its block's");
        }
        found.push((root, column));
    }
    let with_commitments = found
        .iter()
        .map(|(_, column)| (column.as_ref(), column.kzg_commitments.as_slice()));
    if !found.is_empty() && !verify_data_column_sidecars_kzg_proofs(&with_commitments.collect::<Vec<_>>()) {
        return Err("it gave a column whose cells are not those of its commitments");
    }
    Ok(found)
}

/// All blobs of a block, if they are all there and right; otherwise what is wrong, or nothing where some are missing.
fn check_blobs(
    root: Root,
    block: &SignedBeaconBlock,
    chunks: Vec<Chunk>,
) -> Result<Vec<Arc<BlobSidecar>>, Option<&'static str>> {
    let commitments = &block.message.body.blob_kzg_commitments;
    let mut blobs = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let Chunk::Blob(blob) = chunk else {
            return Err(Some("it gave something else than blobs"));
        };
        let header = &blob.signed_block_header;
        // The header is alike in all forks that have blobs.
        let is_right = header.message.hash_tree_root(Fork::Deneb) == root
            && header.signature == block.signature
            && commitments.get(blob.index as usize) == Some(&blob.kzg_commitment)
            && verify_blob_sidecar_inclusion_proof(&blob);
        if !is_right {
            return Err(Some("it gave a blob that is not its block's"));
        }
        blobs.push(blob);
    }
    blobs.sort_by_key(|blob| blob.index);
    blobs.dedup_by_key(|blob| blob.index);
    if blobs.len() < commitments.len() {
        return Err(None);
    }
    let (data, proofs): (Vec<_>, Vec<_>) = blobs.iter().map(|blob| (blob.blob.clone(), blob.kzg_proof)).unzip();
    match is_blob_data_available(commitments, &data, &proofs) {
        DataAvailability::Available => Ok(blobs),
        DataAvailability::Missing | DataAvailability::Invalid(_) => {
            Err(Some("it gave a blob that is not that of its commitment"))
        }
    }
}
