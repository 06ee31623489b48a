//! Where a node begins: what its database holds, or a genesis state.

use anyhow::{Context as _, Result, bail};
use consensus::constants::GENESIS_SLOT;
use consensus::fork_choice::Store;
use consensus::helpers::misc::compute_start_slot_at_epoch;
use consensus::ssz::Ssz;
use consensus::types::{BeaconBlock, Checkpoint, Root, SignedBeaconBlock, Slot};
use consensus::{Config, Fork, State};
use std::sync::Arc;
use storage::{StateId, Storage, StoredBlock};

/// A point of the chain that is trusted: a block and the state after it.
#[derive(Debug)]
pub struct Anchor {
    /// The state.
    pub state: Arc<State>,
    /// The block.
    pub block: BeaconBlock,
    /// Its root.
    pub root: Root,
}

impl Anchor {
    /// The genesis of a chain. The block is not on any chain: nobody signed it.
    ///
    /// Spec: phase0/beacon-chain.md, "Genesis block".
    pub fn genesis(mut state: State) -> Result<Self> {
        if state.slot != 0 {
            bail!("the genesis state is of slot {}, not 0", state.slot);
        }
        let fork = state.at;
        let mut block = BeaconBlock::new(fork);
        block.state_root = state.hash_tree_root();
        state.prepare();
        Ok(Anchor {
            root: block.hash_tree_root(fork),
            state: Arc::new(state),
            block,
        })
    }

    /// The newest state in the database that is final, with its block; `None` where there is none. States of later blocks
    /// are there too, but nothing is final that was not when it was written: a node that began at one of them could not
    /// leave its chain any more.
    pub fn stored(storage: &Storage) -> Result<Option<Self>> {
        let finalized = storage.finalized()?;
        let mut newest = None;
        for id in storage.states()?.into_iter().rev() {
            if is_final(storage, &id, finalized.as_ref())? {
                newest = Some(id);
                break;
            }
        }
        let Some(id) = newest else {
            return Ok(None);
        };
        let state = storage.state(&id)?;
        let mut state = state.with_context(|| format!("the state of slot {} is not in the database", id.slot))?;
        if state.slot == 0 {
            return Self::genesis(state).map(Some);
        }
        let block = storage.block(&id.block_root)?;
        let (_, block) = block.with_context(|| format!("the block {} is not in the database", id.block_root))?;
        state.prepare();
        Ok(Some(Anchor {
            state: Arc::new(state),
            block: block.message,
            root: id.block_root,
        }))
    }

    /// A fork choice that begins here.
    pub fn store(&self, config: &Arc<Config>) -> Result<Store> {
        let store = Store::get_forkchoice_store(Arc::clone(config), Arc::clone(&self.state), &self.block);
        store.context("the anchor's state and block do not belong together")
    }

    /// The checkpoint of the anchor.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            epoch: consensus::helpers::accessors::get_current_epoch(&self.state),
            root: self.root,
        }
    }
}

/// Whether a stored state is the genesis or on the finalized chain.
fn is_final(storage: &Storage, id: &StateId, finalized: Option<&Checkpoint>) -> Result<bool> {
    let Some(finalized) = finalized else {
        return Ok(id.slot == 0);
    };
    let is_before = id.slot <= compute_start_slot_at_epoch(finalized.epoch);
    Ok(id.slot == 0
        || id.block_root == finalized.root
        || is_before && storage.canonical(id.slot)? == Some(id.block_root))
}

/// Decodes a state whose fork is that of its slot by the network's schedule.
pub fn decode_state(bytes: &[u8], config: &Config) -> Result<State> {
    /// Where `slot` stands in every fork's state. Spec: phase0/beacon-chain.md, `BeaconState`.
    const SLOT_AT: usize = 40;
    let slot = bytes.get(SLOT_AT..SLOT_AT + 8).context("it is too short for a state")?;
    let slot: Slot = u64::from_le_bytes(slot.try_into().context("eight bytes")?);
    let fork: Fork = config.fork_at_epoch(consensus::helpers::misc::compute_epoch_at_slot(slot));
    State::decode(bytes, fork).map_err(|error| anyhow::anyhow!("it is no {fork} state: {error}"))
}

/// The blocks in the database after an anchor, parents first.
pub fn blocks_after(storage: &Storage, slot: Slot) -> impl Iterator<Item = Result<Arc<SignedBeaconBlock>>> + '_ {
    storage
        .blocks_in(slot + 1..Slot::MAX)
        .map(|stored| Ok(Arc::new(stored?.decode()?)))
}

/// The genesis block, which nobody signed and no database has: all in it but the state's root is known.
///
/// Spec: phase0/beacon-chain.md, "Genesis block".
pub(crate) fn genesis_block(config: &Config, state_root: Root) -> StoredBlock {
    let fork = config.fork_at_epoch(0);
    let mut message = BeaconBlock::new(fork);
    message.state_root = state_root;
    let root = message.hash_tree_root(fork);
    let signed = SignedBeaconBlock {
        message,
        ..SignedBeaconBlock::new(fork)
    };
    StoredBlock {
        slot: GENESIS_SLOT,
        root,
        fork,
        ssz: signed.encode(fork),
    }
}
