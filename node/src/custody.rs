//! Which columns this node keeps, and which it must see before it trusts that a block's data is there.
//!
//! The groups follow from the node's id and a count. The count follows from the validators that clients of this node
//! have announced; it is kept in the database and never shrinks, since peers rely on what was once advertised.
//!
//! Spec: fulu/das-core.md ("Custody"), fulu/validator.md ("Validator custody").

use consensus::das::{compute_columns_for_custody_group, get_custody_groups, get_validators_custody_requirement};
use consensus::preset::NUMBER_OF_COLUMNS;
use consensus::ssz::U256;
use consensus::types::{ColumnIndex, CustodyIndex, Slot, ValidatorIndex};
use consensus::{Config, Invalid, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storage::Storage;

/// The name under which the count lies in the database.
const STORED: &str = "custody";

/// Validators that are counted, at most: 128 groups are reached with 128 of them, and the producer keeps no more either.
const ATTACHED_MAX: usize = 100_000;

/// What is kept at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// How many groups; what is told to peers as `custody_group_count`.
    pub group_count: u64,
    /// From which slot on so many are kept.
    pub since: Slot,
    /// The columns that are kept and served, ascending.
    pub columns: Arc<[ColumnIndex]>,
    /// The columns that must be here before a block counts as available: those that are kept, and at least
    /// `SAMPLES_PER_SLOT` groups.
    pub sampled: Arc<[ColumnIndex]>,
}

impl Held {
    /// Whether the column is kept and served.
    pub fn keeps(&self, column: ColumnIndex) -> bool {
        self.columns.binary_search(&column).is_ok()
    }

    /// Whether the column is one of those that a block needs.
    pub fn samples(&self, column: ColumnIndex) -> bool {
        self.sampled.binary_search(&column).is_ok()
    }
}

/// The custody of this node. Clones share it.
#[derive(Clone, Debug)]
pub struct Custody {
    config: Arc<Config>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    /// None as long as this node has no place among peers.
    node_id: Option<U256>,
    /// What the database held at the start.
    stored: (u64, Slot),
    held: Arc<Held>,
    /// Validators of clients of this node, by their last announcement.
    attached: Vec<ValidatorIndex>,
}

impl Custody {
    /// The custody of a node that has no id yet: all columns. `stored` is the count that the database had, with the slot
    /// since which it holds.
    pub fn new(config: Arc<Config>, stored: Option<(u64, Slot)>) -> Self {
        let all: Arc<[ColumnIndex]> = (0..NUMBER_OF_COLUMNS).collect();
        let held = Held {
            group_count: config.number_of_custody_groups,
            since: 0,
            columns: Arc::clone(&all),
            sampled: all,
        };
        let shared = Shared {
            node_id: None,
            stored: stored.unwrap_or_default(),
            held: Arc::new(held),
            attached: Vec::new(),
        };
        Custody {
            config,
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// The custody as the database knows it, without an id yet.
    pub fn stored(config: Arc<Config>, storage: &Storage) -> storage::Result<Self> {
        let value = storage.value(STORED)?;
        // A value of another length is from no version of this program: as if it were not there.
        let stored = value.and_then(|bytes| {
            let (count, since) = bytes.split_at_checked(8)?;
            let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
            Some((number(count)?, number(since)?))
        });
        Ok(Self::new(config, stored))
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Values are replaced whole under the lock.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the node its place: from now on it keeps what follows from its id (big-endian, as in discovery) and count;
    /// as a supernode everything. To be called before the node has peers.
    pub fn bind(&self, node_id: [u8; 32], supernode: bool) -> Result<(), Invalid> {
        let node_id = U256::from_be_bytes(node_id);
        let mut shared = self.shared();
        let (stored, since) = shared.stored;
        let groups = self.config.number_of_custody_groups;
        let wanted = if supernode {
            groups
        } else {
            self.config.custody_requirement
        };
        // What a database of a network with more groups says counts as all of them.
        let count = wanted.max(stored).min(groups);
        let since = if count == stored { since } else { 0 };
        let held = self.compute(node_id, count, since)?;
        shared.node_id = Some(node_id);
        shared.held = Arc::new(held);
        Ok(())
    }

    /// Spec: fulu/das-core.md, `get_custody_groups`; "Custody sampling" for the sampling size.
    fn compute(&self, node_id: U256, group_count: u64, since: Slot) -> Result<Held, Invalid> {
        let groups = self.config.number_of_custody_groups;
        let sampling_size = self.config.samples_per_slot.max(group_count).min(groups);
        Ok(Held {
            group_count,
            since,
            columns: self.columns_of(&get_custody_groups(&self.config, node_id, group_count)?)?,
            sampled: self.columns_of(&get_custody_groups(&self.config, node_id, sampling_size)?)?,
        })
    }

    fn columns_of(&self, groups: &[CustodyIndex]) -> Result<Arc<[ColumnIndex]>, Invalid> {
        let mut columns = Vec::new();
        for group in groups {
            columns.extend(compute_columns_for_custody_group(&self.config, *group)?);
        }
        columns.sort_unstable();
        Ok(columns.into())
    }

    /// What is kept now.
    pub fn held(&self) -> Arc<Held> {
        Arc::clone(&self.shared().held)
    }

    /// How many groups are kept; what metadata and node record say as `cgc`.
    pub fn group_count(&self) -> u64 {
        self.held().group_count
    }

    /// Notes the validators of clients of this node; it looks at them at the next [`adjust`](Self::adjust).
    pub fn attach(&self, mut validators: Vec<ValidatorIndex>) {
        validators.truncate(ATTACHED_MAX);
        self.shared().attached = validators;
    }

    /// Lets the count grow to what the validators of this node require. `state` is the latest finalized one, `slot` the
    /// current. True if it grew: then it is to be stored and told to peers. Without an id, and without validators,
    /// nothing happens.
    ///
    /// Spec: fulu/validator.md, "Validator custody".
    pub fn adjust(&self, state: &State, slot: Slot) -> Result<bool, Invalid> {
        let mut shared = self.shared();
        let registered = state.validators.len() as u64;
        let attached = shared.attached.iter().copied();
        let known: Vec<ValidatorIndex> = attached.filter(|index| *index < registered).collect();
        let (Some(node_id), false) = (shared.node_id, known.is_empty()) else {
            return Ok(false);
        };
        let wanted = get_validators_custody_requirement(state, &self.config, &known)?;
        if wanted <= shared.held.group_count {
            return Ok(false);
        }
        shared.held = Arc::new(self.compute(node_id, wanted, slot)?);
        Ok(true)
    }

    /// Writes the count where the database has another, so that it does not shrink with the next start. Nothing without
    /// an id. Waits for the disk.
    pub fn store_if_new(&self, storage: &Storage) -> storage::Result<()> {
        let (held, stored, bound) = {
            let shared = self.shared();
            (Arc::clone(&shared.held), shared.stored, shared.node_id.is_some())
        };
        let new = (held.group_count, held.since);
        if !bound || new == stored {
            return Ok(());
        }
        let bytes = [new.0.to_le_bytes(), new.1.to_le_bytes()].concat();
        let mut batch = storage.batch();
        batch.set_value(STORED, Some(&bytes))?;
        batch.commit()?;
        self.shared().stored = new;
        Ok(())
    }

    /// The slot from which on this node can serve blocks, and the columns that it is known to keep, as far as they must
    /// be served. `current_slot` decides how far that is.
    ///
    /// Spec: fulu/p2p-interface.md, "Status v2".
    pub fn earliest_available_slot(&self, storage: &Storage, current_slot: Slot) -> storage::Result<Slot> {
        let slots_per_epoch = consensus::preset::SLOTS_PER_EPOCH;
        let blocks = earliest_block(storage)?;
        let sidecars = storage.oldest_column()?.unwrap_or(0).max(self.held().since);
        let epochs = self.config.min_epochs_for_data_column_sidecars_requests;
        let window = current_slot.saturating_sub(epochs.saturating_mul(slots_per_epoch));
        let fulu = self.config.fulu_fork_epoch.saturating_mul(slots_per_epoch);
        // Sidecars that nobody may ask for are not missing.
        let missing = sidecars > window.max(fulu);
        Ok(if missing { blocks.max(sidecars) } else { blocks })
    }
}

/// The slot from which on blocks are here, whatever there is of their sidecars.
pub fn earliest_block(storage: &Storage) -> storage::Result<Slot> {
    Ok(storage.oldest_block()?.unwrap_or(0).max(storage.pruned_blocks_below()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::Fork;
    use consensus::ssz::Ssz as _;
    use consensus::types::{BeaconState, Validator};

    fn config() -> Arc<Config> {
        Arc::new(Config::standard().with_forks_at_genesis(Fork::Fulu))
    }

    fn state(validators: usize) -> State {
        let mut state = BeaconState::new(Fork::Fulu);
        let validator = Validator {
            effective_balance: 32_000_000_000,
            ..Validator::default()
        };
        let list = vec![validator; validators];
        state.validators = consensus::ssz::PersistentList::from_vec(list);
        State::new(Fork::Fulu, state)
    }

    #[test]
    fn a_node_without_an_id_keeps_everything_and_one_with_an_id_its_groups() {
        let custody = Custody::new(config(), None);
        assert_eq!(custody.held().columns.len(), 128);
        custody.bind([7; 32], false).unwrap();
        let held = custody.held();
        assert_eq!((held.group_count, held.columns.len(), held.sampled.len()), (4, 4, 8));
        assert!(held.columns.iter().all(|column| held.samples(*column)));
        assert!(held.columns.iter().all(|column| held.keeps(*column)));
        assert!(!(0..128).all(|column| held.samples(column)));
        let other = Custody::new(config(), None);
        other.bind([8; 32], false).unwrap();
        assert_ne!(other.held().columns, held.columns);
        other.bind([8; 32], true).unwrap();
        assert_eq!(other.held().columns.len(), 128);
    }

    #[test]
    fn the_id_is_a_big_endian_number() {
        let custody = Custody::new(config(), None);
        let mut id = [0; 32];
        id[31] = 1;
        custody.bind(id, false).unwrap();
        let groups = get_custody_groups(&config(), U256::from(1), 4).unwrap();
        assert_eq!(*custody.held().columns, groups);
    }

    #[test]
    fn custody_grows_with_validators_and_never_shrinks() {
        let custody = Custody::new(config(), None);
        let state = state(128);
        custody.attach((0..9).collect());
        assert!(!custody.adjust(&state, 5).unwrap(), "no id yet");
        custody.bind([7; 32], false).unwrap();
        assert!(custody.adjust(&state, 5).unwrap());
        assert_eq!((custody.group_count(), custody.held().since), (9, 5));
        custody.attach(vec![0, 1_000_000]);
        assert!(!custody.adjust(&state, 6).unwrap());
        assert_eq!(custody.group_count(), 9);
        // 4,096 ETH make a supernode.
        custody.attach((0..128).collect());
        assert!(custody.adjust(&state, 7).unwrap());
        assert_eq!(custody.held().columns.len(), 128);
    }

    #[test]
    fn one_validator_is_enough_for_the_requirement_of_validators() {
        let custody = Custody::new(config(), None);
        custody.bind([7; 32], false).unwrap();
        custody.attach(vec![3]);
        assert!(custody.adjust(&state(4), 5).unwrap());
        assert_eq!(custody.group_count(), 8);
    }

    #[test]
    fn what_was_stored_is_the_least() {
        let custody = Custody::new(config(), Some((20, 77)));
        custody.bind([7; 32], false).unwrap();
        assert_eq!((custody.group_count(), custody.held().since), (20, 77));
        let too_many = Custody::new(config(), Some((1000, 77)));
        too_many.bind([7; 32], false).unwrap();
        assert_eq!(too_many.group_count(), 128);
    }
}
