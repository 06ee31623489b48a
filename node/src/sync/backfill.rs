//! History: blocks from the anchor down to the oldest that peers may ask for, at the lowest priority. Each batch is held
//! to the hash chain, its proposers' signatures are checked in batches, and what is written says where to go on after a
//! restart.
//!
//! Spec: phase0/p2p-interface.md, `compute_min_epochs_for_block_requests`. The proposers' keys are those of the head's
//! registry, which has all of former times.

use super::ask::best;
use super::fetch::{By, Failed, Fetched, Fetcher};
use crate::network::peer::{Offence, PeerView};
use crate::work::Lane;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::ssz::Ssz;
use consensus::types::{Root, Slot};
use consensus::{Config, Fork};
use libp2p::PeerId;
use std::sync::Arc;
use storage::{Error, Sidecar, Storage, StoredBlock, StoredSidecar};

/// The name under which the place lies in the database.
const STORED: &str = "backfill";

/// Slots of a batch: an answer of some megabytes, and two seconds of a slow line.
const SLOTS_AT_ONCE: u64 = 32;

/// Where backfill stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// From this slot on blocks are whole.
    pub(crate) low: Slot,
    /// The root of the block before.
    parent: Root,
    /// From this slot on columns and blobs are whole.
    columns_low: Slot,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Some blocks are in.
    Further,
    /// All that peers may ask for is here.
    Complete,
    /// A peer was no help, for this reason; another one may be.
    Again(String),
    /// Not now, for this reason.
    Later(String),
    /// The disk has no room for it.
    DiskLow,
}

/// Backfill.
#[derive(Debug)]
pub(crate) struct Backfill {
    place: Place,
    /// Below here was asked already: the slots from here up to the place were said to have no blocks, by these peers.
    cursor: Slot,
    empty: Vec<PeerId>,
    /// Who was no help since the last blocks that fitted.
    failed: Vec<PeerId>,
    /// How often columns of the batch at hand could not be had.
    without_columns: u32,
}

/// After so many tries a batch is kept without its columns: peers that have them may never come by, and blocks matter
/// more.
const COLUMN_TRIES: u32 = 5;

impl Place {
    /// Where the database says that backfill stands; `None` where there is no history to fetch. Reads: for threads
    /// that may wait. `first` is the oldest block of the fork choice: its slot, and its parent's root.
    pub(crate) fn stored(storage: &Storage, first: (Slot, Root)) -> storage::Result<Option<Place>> {
        if let Some(place) = storage.value(STORED)?.as_deref().and_then(Place::decode) {
            return Ok((place.low > 0).then_some(place));
        }
        let oldest = match storage.oldest_block()? {
            Some(slot) => Some(slot),
            None => storage
                .canonical_in(0..Slot::MAX)
                .next()
                .transpose()?
                .map(|(slot, _)| slot),
        };
        let low = oldest.unwrap_or(first.0).min(first.0);
        if low == 0 {
            return Ok(None);
        }
        let parent = match storage.blocks_in(low..low + 1).next().transpose()? {
            Some(block) => block.decode()?.message.parent_root,
            None if low == first.0 => first.1,
            None => return Ok(None),
        };
        let columns_low = storage.oldest_column()?.unwrap_or(low);
        Ok(Some(Place {
            low,
            parent,
            columns_low,
        }))
    }

    fn decode(bytes: &[u8]) -> Option<Place> {
        let bytes: &[u8; 48] = bytes.try_into().ok()?;
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
        let mut parent = Root::ZERO;
        parent.0.copy_from_slice(&bytes[16..]);
        Some(Place {
            low: number(&bytes[..8])?,
            columns_low: number(&bytes[8..16])?,
            parent,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = [self.low.to_le_bytes(), self.columns_low.to_le_bytes()].concat();
        bytes.extend(self.parent.0);
        bytes
    }
}

/// The oldest slot that peers may ask for. Spec: phase0/p2p-interface.md, `compute_min_epochs_for_block_requests`.
pub(crate) fn oldest_wanted(config: &Config, current_slot: Slot) -> Slot {
    let epoch = compute_epoch_at_slot(current_slot);
    compute_start_slot_at_epoch(epoch.saturating_sub(config.compute_min_epochs_for_block_requests()))
}

impl Backfill {
    pub(crate) fn new(place: Place) -> Self {
        Backfill {
            place,
            cursor: place.low,
            empty: Vec::new(),
            failed: Vec::new(),
            without_columns: 0,
        }
    }

    /// From which slot on blocks are whole.
    pub(crate) fn low(&self) -> Slot {
        self.place.low
    }

    /// One batch.
    pub(crate) async fn step(&mut self, fetcher: &Fetcher, storage: &Storage) -> Step {
        let config = Arc::clone(fetcher.chain.config());
        let current_slot = fetcher.chain.clock().slot().unwrap_or(0);
        let until = oldest_wanted(&config, current_slot);
        if self.place.low <= until {
            return Step::Complete;
        }
        if self.cursor <= until.max(1) {
            return self.conclude(fetcher, storage, until).await;
        }
        let start = self.cursor.saturating_sub(SLOTS_AT_ONCE).max(until);
        let count = self.cursor - start;
        let peers: Vec<PeerView> = fetcher.asker.peers();
        let able = peers.iter().filter(|peer| {
            peer.status.earliest_available_slot <= start
                && !self.empty.contains(&peer.id)
                && !self.failed.contains(&peer.id)
        });
        let Some(peer) = best(able, |id| fetcher.asker.load(id)) else {
            // Everybody has had a turn: what is there now may be there for long, or was left out by all.
            self.failed.clear();
            self.again(fetcher);
            return Step::Later("no peer gives blocks so old".into());
        };
        match fetcher.blocks_by_range(peer, start, count, Lane::Backfill).await {
            Err(Failed::Peer(why)) => {
                self.failed.push(peer);
                Step::Again(why)
            }
            Err(why) => Step::Later(why.to_string()),
            Ok(blocks) if blocks.is_empty() => {
                self.cursor = start;
                self.empty.push(peer);
                Step::Further
            }
            Ok(blocks) => self.take(fetcher, storage, peer, blocks).await,
        }
    }

    /// Starts again from the last block that fits.
    fn again(&mut self, fetcher: &Fetcher) {
        for peer in self.empty.drain(..) {
            let why = "it left blocks out of history, or gave others";
            fetcher.asker.report(peer, Offence::Unreliable(why));
        }
        self.cursor = self.place.low;
    }

    /// Blocks that a peer gave: they must end in the block before the oldest one here.
    async fn take(&mut self, fetcher: &Fetcher, storage: &Storage, peer: PeerId, mut blocks: Vec<Fetched>) -> Step {
        if blocks.last().is_none_or(|last| last.root != self.place.parent) {
            if self.empty.is_empty() {
                let why = "it gave history that does not end where ours begins";
                fetcher.asker.report(peer, Offence::Wrong(why));
            } else {
                self.empty.push(peer);
            }
            self.failed.push(peer);
            self.again(fetcher);
            return Step::Again("a peer's history did not fit".into());
        }
        // The hash chain says that these are the blocks, so that no state is needed to tell who had to propose.
        match fetcher.are_signed(&blocks, Lane::Backfill).await {
            Ok(true) => {}
            Ok(false) => {
                let why = consensus::Invalid::new("proposer signature", "of an old block");
                fetcher.asker.report(peer, Offence::Invalid(why));
                self.failed.push(peer);
                return Step::Again("a peer's history was not signed".into());
            }
            Err(why) => return Step::Later(why.to_string()),
        }
        let whole = match self.add_data(fetcher, peer, &mut blocks).await {
            Ok(whole) => whole,
            Err(why) => {
                self.without_columns += 1;
                return Step::Later(why.to_string());
            }
        };
        let Some(first) = blocks.first() else {
            return Step::Further;
        };
        let (low, parent) = (first.block.message.slot, first.block.message.parent_root);
        let unbroken = whole && self.place.columns_low <= self.place.low;
        let place = Place {
            low,
            parent,
            columns_low: if unbroken { low } else { self.place.columns_low },
        };
        let config = Arc::clone(fetcher.chain.config());
        let step = write(storage, &config, place, blocks).await;
        if step == Step::Further {
            self.place = place;
            self.cursor = low;
            self.empty.clear();
            self.failed.clear();
            self.without_columns = 0;
        }
        step
    }

    /// Adds what of the data is to be kept. False if it was given up.
    async fn add_data(&self, fetcher: &Fetcher, peer: PeerId, blocks: &mut [Fetched]) -> Result<bool, Failed> {
        let held = fetcher.chain.custody().held();
        let give_up = self.without_columns >= COLUMN_TRIES;
        let blobs = fetcher.add_blobs(blocks, Some(peer), Lane::Backfill).await;
        let missing = match blobs {
            Ok(()) => {
                fetcher
                    .add_columns(blocks, &held.columns, By::Range, Lane::Backfill)
                    .await?
            }
            Err(Failed::Data(_)) if give_up => 1,
            Err(why) => return Err(why),
        };
        if missing > 0 && !give_up {
            return Err(Failed::Data(format!("{missing} old columns cannot be had of any peer")));
        }
        Ok(missing == 0)
    }

    /// All peers say that there are no blocks down to the end of the window: so it is if the block before ours is older
    /// still, or nobody has it (nobody has the genesis block).
    async fn conclude(&mut self, fetcher: &Fetcher, storage: &Storage, until: Slot) -> Step {
        for peer in fetcher.asker.peers() {
            let Ok(block) = fetcher.block_by_root(peer.id, self.place.parent).await else {
                continue;
            };
            if block.block.message.slot >= until.max(1) {
                self.again(fetcher);
                return Step::Later("peers left blocks out of history".into());
            }
            break;
        }
        let place = Place {
            low: until,
            columns_low: if self.place.columns_low <= self.place.low {
                until
            } else {
                self.place.columns_low
            },
            ..self.place
        };
        let config = Arc::clone(fetcher.chain.config());
        match write(storage, &config, place, Vec::new()).await {
            Step::Further => {
                self.place = place;
                Step::Complete
            }
            other => other,
        }
    }
}

/// Writes blocks with what belongs to them, and the place, on a thread that may wait.
async fn write(storage: &Storage, config: &Arc<Config>, place: Place, blocks: Vec<Fetched>) -> Step {
    let (storage, config) = (storage.clone(), Arc::clone(config));
    let written = tokio::task::spawn_blocking(move || write_now(&storage, &config, place, &blocks));
    match written.await {
        Ok(Ok(())) => Step::Further,
        Ok(Err(Error::DiskLow { .. })) => Step::DiskLow,
        Ok(Err(error)) => Step::Later(format!("history cannot be written: {error}")),
        Err(_) => Step::Later("a write of history failed".into()),
    }
}

fn write_now(storage: &Storage, config: &Config, place: Place, blocks: &[Fetched]) -> storage::Result<()> {
    let mut sidecars: Vec<StoredSidecar> = Vec::new();
    let mut batch = storage.batch();
    for block in blocks {
        let (slot, root) = (block.block.message.slot, block.root);
        let fork: Fork = config.fork_at_epoch(compute_epoch_at_slot(slot));
        let stored = |kind, index, ssz| StoredSidecar {
            slot,
            root,
            kind,
            index,
            fork,
            ssz,
        };
        let columns = block.columns.iter();
        sidecars.extend(columns.map(|column| stored(Sidecar::Column, column.index, column.encode(fork))));
        let blobs = block.blobs.iter();
        sidecars.extend(blobs.map(|blob| stored(Sidecar::Blob, blob.index, blob.encode(fork))));
        let ssz = block.block.encode(fork);
        batch.put_old_block(&StoredBlock { slot, root, fork, ssz })?;
        batch.set_canonical(slot, &root);
    }
    storage.put_old_sidecars(&sidecars)?;
    batch.set_oldest_block(place.low);
    batch.set_oldest_column(place.columns_low);
    batch.set_value(STORED, Some(&place.encode()))?;
    batch.commit()
}
