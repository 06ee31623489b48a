//! What light clients are served, by the API, by request and by gossip: made of the states and blocks since finality when
//! somebody asks, on workers, and remembered.
//!
//! Spec: altair/light-client/full-node.md.

use crate::chain::{Chain, Snapshot};
use crate::start::genesis_block;
use crate::work::{Busy, Lane};
use consensus::constants::GENESIS_SLOT;
use consensus::light_client::{
    compute_sync_committee_period_at_slot, create_light_client_bootstrap, create_light_client_update, is_better_update,
};
use consensus::types::{LightClientBootstrap, LightClientUpdate, Root, Slot};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use storage::{Storage, StoredBlock};
use tokio::sync::Semaphore;

/// Periods whose best update is remembered; one is 27 hours on mainnet, and an update has 25 KiB.
const PERIODS_MAX: usize = 32;

/// How many blocks back a usable one is looked for, where nobody of the sync committee has signed for the head.
const LOOK_BACK: usize = 8;

/// What is made at once. What the second asks for is most often what the first is making.
const AT_ONCE: usize = 1;

/// How long a block that was just imported may take to be on disk, and how often it is looked for.
const DISK_WAIT: Duration = Duration::from_secs(2);
const DISK_LOOK: Duration = Duration::from_millis(20);

/// Why something could not be made, though it may exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Too many others ask for too much.
    Busy,
    /// The database cannot be read, for this reason.
    Storage(String),
}

impl From<Busy> for Failed {
    fn from(_: Busy) -> Self {
        Failed::Busy
    }
}

/// What was made before.
#[derive(Debug, Default)]
struct Made {
    /// That of the latest block asked for.
    latest: Option<(Root, Arc<LightClientUpdate>)>,
    /// The best of each period.
    best: BTreeMap<u64, Arc<LightClientUpdate>>,
}

impl Made {
    fn keep(&mut self, root: Root, update: &Arc<LightClientUpdate>) {
        self.latest = Some((root, Arc::clone(update)));
        let period = compute_sync_committee_period_at_slot(update.attested_header.beacon.slot);
        let known = self.best.get(&period);
        if known.is_none_or(|known| is_better_update(update, known)) {
            self.best.insert(period, Arc::clone(update));
        }
        while self.best.len() > PERIODS_MAX {
            self.best.pop_first();
        }
    }
}

/// Makes updates and bootstraps, each once.
pub struct Light {
    chain: Chain,
    storage: Storage,
    made: Mutex<Made>,
    making: Semaphore,
}

impl std::fmt::Debug for Light {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Light").finish_non_exhaustive()
    }
}

/// The latest blocks of the head's chain, newest first.
fn latest_blocks(snapshot: &Snapshot) -> Vec<Root> {
    let mut blocks = Vec::new();
    let mut next = snapshot.block(&snapshot.head.root);
    while let Some(block) = next
        && blocks.len() < LOOK_BACK
    {
        blocks.push(block.root);
        next = snapshot.block(&block.parent_root);
    }
    blocks
}

impl Light {
    /// Over these parts of the node.
    pub fn new(chain: Chain, storage: Storage) -> Self {
        Light {
            chain,
            storage,
            made: Mutex::default(),
            making: Semaphore::new(AT_ONCE),
        }
    }

    /// The database that it reads.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        // Nothing that may panic happens under the lock but comparisons of headers.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The update that the latest block with signatures makes; `None` where no block since finality makes one.
    pub async fn latest(&self) -> Result<Option<Arc<LightClientUpdate>>, Failed> {
        let _making = self.making.acquire().await.map_err(|_| Failed::Busy)?;
        let snapshot = self.chain.snapshot();
        for root in latest_blocks(&snapshot) {
            let known = self.made().latest.clone();
            if let Some((_, update)) = known.filter(|(of, _)| *of == root) {
                return Ok(Some(update));
            }
            if let Some(update) = self.update_of(&snapshot, root).await? {
                let update = Arc::new(update);
                self.made().keep(root, &update);
                return Ok(Some(update));
            }
        }
        Ok(None)
    }

    /// The best updates of these periods, as far as they are remembered; the current one's among them.
    pub async fn best(&self, periods: Range<u64>) -> Result<Vec<Arc<LightClientUpdate>>, Failed> {
        self.latest().await?;
        let made = self.made();
        Ok(made.best.range(periods).map(|(_, update)| Arc::clone(update)).collect())
    }

    /// The bootstrap of a block since finality; `None` where its state or the block is not here, or it is of before Altair.
    pub async fn bootstrap(&self, root: Root) -> Result<Option<LightClientBootstrap>, Failed> {
        let _making = self.making.acquire().await.map_err(|_| Failed::Busy)?;
        let snapshot = self.chain.snapshot();
        let Some(slot) = snapshot.block(&root).map(|node| node.slot) else {
            return Ok(None);
        };
        let Ok(state) = self.chain.state_at(root, slot, Lane::Api).await? else {
            return Ok(None);
        };
        let [Some(block)] = self.blocks(&snapshot, [root]).await? else {
            return Ok(None);
        };
        let config = Arc::clone(self.chain.config());
        let make = move || create_light_client_bootstrap(&config, &state, &block.decode().ok()?).ok();
        Ok(self.chain.work().run(Lane::Api, make).await?)
    }

    /// The update of one block; `None` where too few have signed or its parent is finalized and gone.
    async fn update_of(&self, snapshot: &Snapshot, root: Root) -> Result<Option<LightClientUpdate>, Failed> {
        let parent = snapshot.block(&root).and_then(|node| {
            let parent = snapshot.block(&node.parent_root)?;
            Some((node.slot, parent.root, parent.slot))
        });
        let Some((slot, parent_root, parent_slot)) = parent else {
            return Ok(None);
        };
        let state = self.state(root, slot).await?;
        let attested_state = self.state(parent_root, parent_slot).await?;
        let (Some(state), Some(attested_state)) = (state, attested_state) else {
            return Ok(None);
        };
        let finalized_root = attested_state.finalized_checkpoint.root;
        let [Some(block), Some(attested), finalized] =
            self.blocks(snapshot, [root, parent_root, finalized_root]).await?
        else {
            return Ok(None);
        };
        let config = Arc::clone(self.chain.config());
        let make = move || {
            let (block, attested) = (block.decode().ok()?, attested.decode().ok()?);
            let finalized = finalized.and_then(|block| block.decode().ok());
            let (block, attested) = ((&*state, &block), (&*attested_state, &attested));
            create_light_client_update(&config, block, attested, finalized.as_ref()).ok()
        };
        Ok(self.chain.work().run(Lane::Api, make).await?)
    }

    async fn state(&self, root: Root, slot: Slot) -> Result<Option<Arc<consensus::State>>, Failed> {
        Ok(self.chain.state_at(root, slot, Lane::Api).await?.ok())
    }

    /// Reads blocks, on a thread for blocking work; with one maker at a time there is one such thread. A block that has
    /// just come is waited for: the disk thread is a little behind the snapshot.
    async fn blocks<const N: usize>(
        &self,
        snapshot: &Snapshot,
        roots: [Root; N],
    ) -> Result<[Option<StoredBlock>; N], Failed> {
        let mut waited = Duration::ZERO;
        loop {
            let mut blocks = self.stored(roots).await?;
            let mut are_whole = true;
            for (block, root) in blocks.iter_mut().zip(&roots).filter(|(block, _)| block.is_none()) {
                match snapshot.block(root) {
                    Some(node) if node.slot == GENESIS_SLOT => {
                        *block = Some(genesis_block(self.chain.config(), node.state_root));
                    }
                    Some(_) => are_whole = false,
                    None => {}
                }
            }
            if are_whole || waited >= DISK_WAIT {
                return Ok(blocks);
            }
            tokio::time::sleep(DISK_LOOK).await;
            waited += DISK_LOOK;
        }
    }

    async fn stored<const N: usize>(&self, roots: [Root; N]) -> Result<[Option<StoredBlock>; N], Failed> {
        let storage = self.storage.clone();
        let read = move || -> storage::Result<[Option<StoredBlock>; N]> {
            let mut blocks = [const { None }; N];
            for (block, root) in blocks.iter_mut().zip(&roots) {
                *block = storage.block_ssz(root)?;
            }
            Ok(blocks)
        };
        let read = tokio::task::spawn_blocking(read).await.map_err(|_| Failed::Busy)?;
        read.map_err(|error| {
            tracing::error!(%error, "the database could not be read for light clients");
            Failed::Storage(error.to_string())
        })
    }
}
