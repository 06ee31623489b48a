//! What paths name: states, blocks, validators; and where they are found.
//!
//! States are kept from the finalized block on. What lies before is not there, and the answer says so.

use super::ApiContext;
use super::http::{Call, Error, excerpt, read_number};
use crate::chain::Snapshot;
use crate::start::genesis_block;
use consensus::constants::GENESIS_SLOT;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::{BLSPubkey, Root, SignedBeaconBlock, Slot, ValidatorIndex};
use consensus::{Fork, State};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use storage::StoredBlock;

/// How sure an answer is. Spec: beacon-APIs, `execution_optimistic`, `finalized`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether it rests on a payload that was not executed.
    pub(super) optimistic: bool,
    /// Whether it will never change.
    pub(super) finalized: bool,
}

/// A state or a block, by the ways in which paths name them. Spec: beacon-APIs, `state_id`, `block_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    Head,
    Genesis,
    Finalized,
    Justified,
    Slot(Slot),
    Root(Root),
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "head" => Id::Head,
            "genesis" => Id::Genesis,
            "finalized" => Id::Finalized,
            "justified" => Id::Justified,
            text if text.starts_with("0x") => Id::Root(text.parse().map_err(|_| "not a root")?),
            text => Id::Slot(read_number(text).ok_or("not a slot")?),
        })
    }
}

const ID_WANTED: &str = "head, genesis, finalized, justified, a slot or a root with 0x";

/// A validator by its index or key. Spec: beacon-APIs, `validator_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValidatorId {
    Index(ValidatorIndex),
    Key(BLSPubkey),
}

impl FromStr for ValidatorId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let id = if text.starts_with("0x") {
            text.parse().ok().map(ValidatorId::Key)
        } else {
            read_number(text).map(ValidatorId::Index)
        };
        id.ok_or_else(|| Error::bad_request(format!("'{}' is neither an index nor a public key", excerpt(text))))
    }
}

impl ValidatorId {
    /// The index, if the state has the validator. May walk the end of the registry: for workers.
    pub(super) fn index(self, snapshot: &Snapshot, state: &State) -> Option<ValidatorIndex> {
        match self {
            ValidatorId::Index(index) => (index < state.validators.len() as u64).then_some(index),
            ValidatorId::Key(key) => snapshot.keys.index_of(state, &key),
        }
    }
}

/// A state that was asked for.
#[derive(Clone, Debug)]
pub(super) struct FoundState {
    pub(super) state: Arc<State>,
    pub(super) standing: Standing,
    /// The chain as it stood.
    pub(super) snapshot: Arc<Snapshot>,
}

/// How far a state is moved on for a request: skipped slots are few, and each epoch costs a worker a quarter of a second
/// on a large network.
const SLOTS_AHEAD_MAX: u64 = 2 * SLOTS_PER_EPOCH;

impl ApiContext {
    /// The state that the path names in its first open piece. 400 for what is no name, 404 for what is not there.
    pub(super) async fn state(&self, call: &Call) -> Result<FoundState, Error> {
        self.state_of(call.path_value(0, ID_WANTED)?).await
    }

    /// The state of an id.
    pub(super) async fn state_of(&self, id: Id) -> Result<FoundState, Error> {
        let snapshot = self.chain.snapshot();
        let root = match id {
            Id::Head => snapshot.head.root,
            Id::Finalized => snapshot.finalized().root,
            Id::Justified => snapshot.view.justified_checkpoint().root,
            Id::Genesis => return self.state_at(snapshot, GENESIS_SLOT).await,
            Id::Slot(slot) => return self.state_at(snapshot, slot).await,
            Id::Root(root) => {
                let mut nodes = snapshot.view.blocks().nodes().iter();
                let found = nodes.find(|node| node.state_root == root).map(|node| node.root);
                found.ok_or_else(|| not_kept(&snapshot, &format!("state {root}")))?
            }
        };
        let slot = snapshot.block(&root).map(|node| node.slot);
        let slot = slot.ok_or_else(|| not_kept(&snapshot, &format!("the state of block {root}")))?;
        let state = self.moved(root, slot).await?;
        let state = state.map_err(|why| Error::not_found(why.to_string()))?;
        Ok(found(snapshot, root, state))
    }

    async fn state_at(&self, snapshot: Arc<Snapshot>, slot: Slot) -> Result<FoundState, Error> {
        let now = snapshot.current_slot();
        if slot > now {
            return Err(Error::not_found(format!(
                "slot {slot} is in the future, the clock says {now}"
            )));
        }
        let root = snapshot.ancestor(snapshot.head.root, slot);
        let root = root.ok_or_else(|| not_kept(&snapshot, &format!("the state of slot {slot}")))?;
        let of_block = snapshot.block(&root).map_or(slot, |node| node.slot);
        if slot - of_block > SLOTS_AHEAD_MAX {
            let message = format!("there is no state of slot {slot}: the block before it is of slot {of_block}");
            return Err(Error::not_found(message));
        }
        let state = self.moved(root, slot).await?;
        let state = state.map_err(|why| Error::not_found(why.to_string()))?;
        Ok(found(snapshot, root, state))
    }
}

fn found(snapshot: Arc<Snapshot>, root: Root, state: Arc<State>) -> FoundState {
    let checkpoint = snapshot.finalized();
    let finalized = root == checkpoint.root && state.slot <= compute_start_slot_at_epoch(checkpoint.epoch);
    FoundState {
        standing: Standing {
            optimistic: snapshot.is_optimistic(&root),
            finalized,
        },
        state,
        snapshot,
    }
}

/// 404 for a state that this node does not have.
fn not_kept(snapshot: &Snapshot, what: &str) -> Error {
    let oldest = snapshot.view.blocks().nodes().first().map_or(0, |node| node.slot);
    Error::not_found(format!(
        "{what} is not here: this node has states of the chain since its finalized block, which is of slot {oldest}"
    ))
}

/// A block that was asked for.
#[derive(Clone, Debug)]
pub(super) struct FoundBlock {
    pub(super) root: Root,
    pub(super) slot: Slot,
    /// Whether it is on the chain of the head.
    pub(super) canonical: bool,
    pub(super) standing: Standing,
    /// The chain as it stood.
    pub(super) snapshot: Arc<Snapshot>,
}

impl FoundBlock {
    /// The fork of the block.
    pub(super) fn fork(&self) -> Fork {
        self.snapshot
            .view
            .config()
            .fork_at_epoch(compute_epoch_at_slot(self.slot))
    }
}

/// How long a block that is in the fork choice may take to get to disk before it counts as lost.
const DISK_WAIT: Duration = Duration::from_secs(2);
/// How often it is looked for meanwhile.
const DISK_LOOK: Duration = Duration::from_millis(20);

impl ApiContext {
    /// The block that the path names in its first open piece. 400 for what is no name, 404 for what is not there.
    pub(super) async fn block(&self, call: &Call) -> Result<FoundBlock, Error> {
        self.block_of(call.path_value(0, ID_WANTED)?).await
    }

    /// The block of an id.
    pub(super) async fn block_of(&self, id: Id) -> Result<FoundBlock, Error> {
        let snapshot = self.chain.snapshot();
        let root = match id {
            Id::Head => snapshot.head.root,
            Id::Finalized => snapshot.finalized().root,
            Id::Justified => snapshot.view.justified_checkpoint().root,
            Id::Genesis => return self.block_at(snapshot, GENESIS_SLOT).await,
            Id::Slot(slot) => return self.block_at(snapshot, slot).await,
            Id::Root(root) => root,
        };
        if let Some(slot) = snapshot.block(&root).map(|node| node.slot) {
            return Ok(recent(snapshot, root, slot));
        }
        let stored = self.read(move |storage| {
            let Some(slot) = storage.block_slot(&root)? else {
                return Ok(None);
            };
            Ok(Some((slot, storage.canonical(slot)? == Some(root))))
        });
        if let Some((slot, canonical)) = stored.await? {
            return Ok(older(snapshot, root, slot, canonical));
        }
        match self.genesis_block(&snapshot).await? {
            Some(genesis) if genesis.root == root => Ok(older(snapshot, root, GENESIS_SLOT, true)),
            _ => Err(Error::not_found(format!("block {root} is not here"))),
        }
    }

    /// The block of the head's chain at a slot.
    async fn block_at(&self, snapshot: Arc<Snapshot>, slot: Slot) -> Result<FoundBlock, Error> {
        let none = || Error::not_found(format!("there is no block at slot {slot}"));
        if let Some(root) = snapshot.ancestor(snapshot.head.root, slot) {
            let at = snapshot.block(&root).map(|node| node.slot);
            return if at == Some(slot) {
                Ok(recent(snapshot, root, slot))
            } else {
                Err(none())
            };
        }
        if let Some(root) = self.read(move |storage| storage.canonical(slot)).await? {
            return Ok(older(snapshot, root, slot, true));
        }
        if slot == GENESIS_SLOT
            && let Some(genesis) = self.genesis_block(&snapshot).await?
        {
            return Ok(older(snapshot, genesis.root, slot, true));
        }
        Err(none())
    }

    /// The genesis block, which nobody signed and no database has: all in it but the state's root is known.
    ///
    /// Spec: phase0/beacon-chain.md, "Genesis block".
    async fn genesis_block(&self, snapshot: &Snapshot) -> Result<Option<StoredBlock>, Error> {
        let oldest = snapshot.view.blocks().nodes().first();
        let state_root = match oldest.filter(|node| node.slot == GENESIS_SLOT) {
            Some(node) => Some(node.state_root),
            None => self.read(storage::Storage::genesis_state_root).await?,
        };
        Ok(state_root.map(|state_root| genesis_block(snapshot.view.config(), state_root)))
    }

    /// The bytes of a block. A block is in the fork choice a moment before it is on disk.
    pub(super) async fn load(&self, block: &FoundBlock) -> Result<StoredBlock, Error> {
        let root = block.root;
        let mut waited = Duration::ZERO;
        loop {
            if let Some(stored) = self.read(move |storage| storage.block_ssz(&root)).await? {
                return Ok(stored);
            }
            if block.slot == GENESIS_SLOT
                && let Some(genesis) = self.genesis_block(&block.snapshot).await?
                && genesis.root == root
            {
                return Ok(genesis);
            }
            if block.snapshot.block(&root).is_none() || waited >= DISK_WAIT {
                return Err(Error::not_found(format!("block {root} is known but not kept here")));
            }
            tokio::time::sleep(DISK_LOOK).await;
            waited += DISK_LOOK;
        }
    }

    /// The same, decoded by a worker.
    pub(super) async fn load_decoded(&self, block: &FoundBlock) -> Result<SignedBeaconBlock, Error> {
        let stored = self.load(block).await?;
        let decoded = self.work(move || stored.decode()).await?;
        decoded.map_err(|error| Error::internal(format!("the database has a damaged block: {error}")))
    }
}

fn recent(snapshot: Arc<Snapshot>, root: Root, slot: Slot) -> FoundBlock {
    FoundBlock {
        root,
        slot,
        canonical: snapshot.is_canonical(&root),
        standing: Standing {
            optimistic: snapshot.is_optimistic(&root),
            finalized: root == snapshot.finalized().root,
        },
        snapshot,
    }
}

/// A block from before the finalized one.
fn older(snapshot: Arc<Snapshot>, root: Root, slot: Slot, canonical: bool) -> FoundBlock {
    FoundBlock {
        root,
        slot,
        canonical,
        standing: Standing {
            // Finality does not wait for the execution of payloads, and what it rests on is not known better.
            optimistic: canonical && snapshot.is_optimistic(&snapshot.finalized().root),
            finalized: canonical,
        },
        snapshot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_strictly() {
        let root = format!("0x{}", "ab".repeat(32));
        let wanted = Id::Root(root.parse().unwrap());
        assert_eq!(root.parse::<Id>(), Ok(wanted));
        assert_eq!("head".parse(), Ok(Id::Head));
        assert_eq!("12".parse(), Ok(Id::Slot(12)));
        for text in [
            "",
            "Head",
            "-1",
            "+1",
            "0x",
            "0xab",
            "1e3",
            "18446744073709551616",
            &root[2..],
        ] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
        assert_eq!("7".parse(), Ok(ValidatorId::Index(7)));
        assert!(format!("0x{}", "00".repeat(48)).parse::<ValidatorId>().is_ok());
        assert!(root.parse::<ValidatorId>().is_err());
    }
}
