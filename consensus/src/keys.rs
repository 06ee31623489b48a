//! The registry's public keys, decompressed once, and the way from a key to its index.
//!
//! Both follow one chain; a state of another branch may have other keys at the end of its registry. So an entry is only
//! believed where it agrees with the state asked about, and what is missing is worked out from the state: slow and right.
//! Validators that are not finalized yet cannot be active, so that little is asked about them.
//!
//! At 2.2 million validators decompressing takes half a minute, and on a small machine some. The keys therefore lie in a
//! table that may be a mapped file (`crypto::pubkeys`): in the order of the registry, only appended to, and so only for
//! indices that are final. While the file is made for the first time, who needs a key that is not in it makes it for
//! himself. Those who are active could come first, but would wait in memory until the table gets to them: 100 MB.
//!
//! ```text
//! let mut keys = Keys::with_table(table, &state.validators)?;    // the file, perhaps with some keys or all of them
//! keys.settle(keys.len());                                       // since the state is final
//! for part in keys.missing().chunks(1024) {                      // 15 ms of work each, for any thread
//!     keys.enter(decompress(&state.validators, part)?)?;
//! }
//! ```

use crate::Invalid;
use crate::ensure;
use crate::helpers::accessors::validator;
use crate::ssz::PersistentList;
use crate::state::State;
use crate::types::{BLSPubkey, BeaconState, Validator, ValidatorIndex};
use crypto::bls::PublicKey;
use crypto::pubkeys::{Pubkeys, PubkeysError};
use hashbrown::HashTable;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Keys decompressed at a time where nobody else cuts the work.
const AT_ONCE: usize = 1024;

/// Entries of a table that are compared with the registry at the start. All of them would mean to read the whole file,
/// and whoever mixes up data of two networks differs everywhere.
const COMPARED: usize = 64;

/// Keys by index and indices by key. A clone shares all that is large.
#[derive(Clone)]
pub struct Keys {
    /// The keys of the first validators.
    table: Pubkeys,
    /// Keys that the table does not reach yet: parts of rising index, each rising.
    ahead: Vec<Arc<[(u32, PublicKey)]>>,
    lookup: Arc<Lookup>,
    /// How many entries are the same in every state that is asked about.
    settled: usize,
}

/// Indices by key: five bytes an entry, as the keys themselves lie in the state.
#[derive(Clone, Default)]
struct Lookup {
    /// Indices by the hash of their key's tag.
    table: HashTable<u32>,
    /// Whoever makes keys must not be able to make them collide.
    hasher: RandomState,
    /// How many validators are entered.
    known: usize,
    /// The tags of those that are not settled; of the others every state has the same key.
    tags: Vec<[u8; 8]>,
}

/// Eight bytes of a key behind the flag bits, which tell nearly every other key apart.
fn tag_of(pubkey: &BLSPubkey) -> [u8; 8] {
    let mut tag = [0; 8];
    tag.copy_from_slice(&pubkey.0[40..]);
    tag
}

impl Lookup {
    /// Enters the validators that are not known yet.
    fn know(&mut self, validators: &PersistentList<Validator>) {
        let first_tag = self.known - self.tags.len();
        let (tags, hasher) = (&mut self.tags, &self.hasher);
        tags.extend(
            validators
                .iter_from(self.known)
                .map(|validator| tag_of(&validator.pubkey)),
        );
        let count = first_tag + tags.len();
        let hash_of = |index: u32| match (index as usize).checked_sub(first_tag) {
            Some(place) => hasher.hash_one(tags[place]),
            None => hasher.hash_one(
                validators
                    .get(index as usize)
                    .map(|found| tag_of(&found.pubkey))
                    .unwrap_or_default(),
            ),
        };
        self.table.reserve(count - self.known, |index| hash_of(*index));
        for index in self.known..count {
            let index = index as u32; // `MAX_VALIDATORS` are no more
            self.table.insert_unique(hash_of(index), index, |index| hash_of(*index));
        }
        self.known = count;
    }

    /// Whether a validator that is not settled has the key that was entered.
    fn agrees(&self, index: usize, pubkey: &BLSPubkey) -> bool {
        let place = index.checked_sub(self.known - self.tags.len());
        place.is_some_and(|place| self.tags.get(place) == Some(&tag_of(pubkey)))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} of {})", self.table.len(), self.len())
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

impl Keys {
    /// An empty table in memory.
    pub fn new() -> Self {
        Keys {
            table: Pubkeys::in_memory(),
            ahead: Vec::new(),
            lookup: Arc::default(),
            settled: 0,
        }
    }

    /// A table of all keys of a state, in memory. Errors as `extend`.
    pub fn of(state: &BeaconState) -> Result<Self, Invalid> {
        let mut keys = Self::new();
        keys.extend(&state.validators)?;
        Ok(keys)
    }

    /// All validators of a registry by their keys, and the keys that `table` has of them; `missing` tells which it has not.
    /// The table may reach further, where it was filled by a later state of the chain. What it is given later goes to its
    /// file, and is safe there after `sync`.
    ///
    /// An error if the table is of another registry.
    pub fn with_table(table: Pubkeys, validators: &PersistentList<Validator>) -> Result<Self, Invalid> {
        let in_table = table.len().min(validators.len());
        for index in (0..in_table).step_by(in_table.div_ceil(COMPARED).max(1)) {
            let found = table
                .get(index)
                .map_err(|error| Invalid::new("public key table", error.to_string()))?;
            let found = BLSPubkey::from(found.to_compressed());
            let expected = validators
                .get(index)
                .map(|validator| validator.pubkey)
                .unwrap_or_default();
            ensure!(
                found == expected,
                "public key table",
                "validator {index} has {found} in it, and {expected} in the state: delete its file, it is made again"
            );
        }
        let mut keys = Keys { table, ..Self::new() };
        keys.know(validators);
        Ok(keys)
    }

    /// How many validators are known by their keys.
    pub fn len(&self) -> usize {
        self.lookup.known
    }

    /// How many of the first validators have their keys in the table.
    pub fn in_table(&self) -> usize {
        self.table.len()
    }

    /// Returns when the table is on disk. Errors if the file cannot be written.
    pub fn sync(&self) -> Result<(), PubkeysError> {
        self.table.clone().sync()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Promises that the first `count` entries are those of every state that will be asked about: the registry of a
    /// finalized state, or of the only chain there is. They are then believed without a look at the state.
    pub fn settle(&mut self, count: usize) {
        let settled = count.min(self.len()).max(self.settled);
        let more = settled - self.settled;
        if more > 0 {
            let tags = &mut Arc::make_mut(&mut self.lookup).tags;
            tags.drain(..more);
            tags.shrink_to_fit();
        }
        self.settled = settled;
    }

    /// Enters the validators that are not known yet by their keys, and decompresses nothing. Copies the whole lookup
    /// where a clone shares it, so do it seldom: those who are missing at the end are found by a search.
    pub fn know(&mut self, validators: &PersistentList<Validator>) {
        if validators.len() > self.len() {
            Arc::make_mut(&mut self.lookup).know(validators);
        }
    }

    /// Enters the validators that are not there yet, with their keys: 15 µs each. With a table that is a file the registry
    /// must be that of a finalized state. Errors if a key is no point of the curve or the file cannot grow.
    pub fn extend(&mut self, validators: &PersistentList<Validator>) -> Result<(), Invalid> {
        self.know(validators);
        let missing = self.missing();
        for part in missing.chunks(AT_ONCE) {
            self.enter(decompress(validators, part)?)?;
        }
        Ok(())
    }

    /// The known validators whose keys have to be decompressed yet. In this order they go to [`decompress`] and `enter`, in
    /// as many parts as one likes.
    pub fn missing(&self) -> Vec<u32> {
        (self.table.len()..self.len())
            .map(|index| index as u32)
            .filter(|index| self.ahead(*index).is_none())
            .collect()
    }

    /// Enters decompressed keys: into the table those that it reaches, the others in memory until it does. Those that come
    /// out of the order of `missing` may be left out; it names them again. Errors if the table's file cannot grow.
    pub fn enter(&mut self, mut keys: Vec<(u32, PublicKey)>) -> Result<(), Invalid> {
        let start = self.table.len();
        keys.retain(|(index, _)| *index as usize >= start);
        keys.sort_unstable_by_key(|(index, _)| *index);
        keys.dedup_by_key(|(index, _)| *index);
        let mut keys = keys.into_iter().peekable();
        let mut next = start;
        let mut reached: Vec<PublicKey> = Vec::new();
        loop {
            let given = keys.next_if(|(index, _)| *index as usize == next).map(|(_, key)| key);
            let Some(key) = given.or_else(|| self.ahead(next as u32)) else {
                break;
            };
            reached.push(key);
            next += 1;
            if reached.len() == AT_ONCE {
                self.append(&mut reached)?;
            }
        }
        self.append(&mut reached)?;
        let is_left = |part: &Arc<[(u32, PublicKey)]>| part.last().is_some_and(|(last, _)| *last as usize >= next);
        self.ahead.retain(is_left);
        let last = self.ahead.last().and_then(|part| part.last()).map(|(last, _)| *last);
        let behind: Arc<[_]> = keys
            .filter(|(index, _)| last.is_none_or(|last| last < *index))
            .collect();
        if !behind.is_empty() {
            self.ahead.push(behind);
        }
        Ok(())
    }

    /// Moves keys to the end of the table.
    fn append(&mut self, keys: &mut Vec<PublicKey>) -> Result<(), Invalid> {
        if keys.is_empty() {
            return Ok(()); // a file would be mapped anew for nothing
        }
        let appended = self.table.append(keys);
        keys.clear();
        appended.map_err(|error| Invalid::new("public key table", error.to_string()))
    }

    /// A key that the table has not reached.
    fn ahead(&self, index: u32) -> Option<PublicKey> {
        let at = self
            .ahead
            .partition_point(|part| part.last().is_some_and(|(last, _)| *last < index));
        let part = self.ahead.get(at)?;
        let at = part.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(part[at].1)
    }

    /// The decompressed key at an index, whoever's it is.
    fn decompressed(&self, index: usize) -> Option<PublicKey> {
        if index < self.table.len() {
            self.table.get(index).ok() // a damaged key is as good as none
        } else {
            self.ahead(u32::try_from(index).ok()?)
        }
    }

    /// The key of a validator of `state`. Errors if there is no such validator or its key is no point of the curve.
    pub fn public_key(&self, state: &State, index: ValidatorIndex) -> Result<PublicKey, Invalid> {
        let place = index as usize;
        if index < self.settled as u64
            && let Some(key) = self.decompressed(place)
        {
            return Ok(key);
        }
        let pubkey = &validator(state, index)?.pubkey;
        if self.lookup.agrees(place, pubkey)
            && let Some(key) = self.decompressed(place)
            && key.to_compressed() == pubkey.0
        {
            return Ok(key);
        }
        decompressed(index, pubkey)
    }

    /// The index of the validator with this key in `state`.
    pub fn index_of(&self, state: &BeaconState, pubkey: &BLSPubkey) -> Option<ValidatorIndex> {
        let is_it = |index: usize| state.validators.get(index).is_some_and(|found| found.pubkey == *pubkey);
        let hash = self.lookup.hasher.hash_one(tag_of(pubkey));
        if let Some(index) = self.lookup.table.find(hash, |index| is_it(*index as usize)) {
            return Some(u64::from(*index));
        }
        // What is left are validators behind the settled ones that are not known, or known otherwise.
        let start = self.settled;
        let unsettled = state.validators.iter_from(start).zip(start..);
        let mut unknown = unsettled.filter(|(found, index)| !self.lookup.agrees(*index, &found.pubkey));
        let found = unknown.find(|(found, _)| found.pubkey == *pubkey);
        found.map(|(_, index)| index as ValidatorIndex)
    }
}

/// Decompresses the keys of some validators of a registry: 15 µs each. They were checked when they entered the registry,
/// so the subgroup is not looked at. Errors if there is no such validator or a key is no point of the curve.
pub fn decompress(validators: &PersistentList<Validator>, indices: &[u32]) -> Result<Vec<(u32, PublicKey)>, Invalid> {
    let count = validators.len();
    let key_of = |index: &u32| {
        let found = validators.get(*index as usize);
        let found = found.ok_or_else(|| Invalid::new("validator index", format!("{index}, registry has {count}")))?;
        Ok((*index, decompressed(u64::from(*index), &found.pubkey)?))
    };
    indices.iter().map(key_of).collect()
}

fn decompressed(index: ValidatorIndex, pubkey: &BLSPubkey) -> Result<PublicKey, Invalid> {
    let key = PublicKey::from_compressed_trusted(&pubkey.0);
    key.map_err(|error| Invalid::new("public key", format!("of validator {index}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fork;
    use crate::ssz::Bytes;
    use crypto::bls::{SecretKey, consecutive_public_keys};

    /// Keys by their numbers.
    fn numbered(count: usize) -> Vec<PublicKey> {
        let mut first = [0; 32];
        first[31] = 1;
        consecutive_public_keys(&SecretKey::from_bytes(&first).unwrap(), count)
    }

    /// A state whose validators have keys of these numbers; every third is active.
    fn state(numbers: &[usize]) -> State {
        let keys = numbered(64);
        let validator = |number: &usize| Validator {
            pubkey: Bytes(keys[*number].to_compressed()),
            exit_epoch: u64::from(number.is_multiple_of(3)),
            ..Validator::default()
        };
        let validators = PersistentList::from_vec(numbers.iter().map(validator).collect());
        let beacon = BeaconState {
            validators,
            ..BeaconState::default()
        };
        State::new(Fork::Fulu, beacon)
    }

    /// Key and index of each validator of `of`, asked of `keys`.
    fn agrees(keys: &Keys, of: &State) -> bool {
        of.validators.iter().enumerate().all(|(index, validator)| {
            let key = keys.public_key(of, index as u64).unwrap();
            key.to_compressed() == validator.pubkey.0 && keys.index_of(of, &validator.pubkey) == Some(index as u64)
        })
    }

    #[test]
    fn other_branches_get_their_own_keys() {
        let one = state(&[0, 1, 2, 3]);
        let mut keys = Keys::of(&one).unwrap();
        for branch in [&[0, 1, 2, 3][..], &[0, 1, 4, 3], &[0, 1, 3, 2, 5], &[0, 1]] {
            let branch = state(branch);
            assert!(agrees(&keys, &branch));
            let unknown = state(&[9]).validators.get(0).unwrap().pubkey;
            assert_eq!(keys.index_of(&branch, &unknown), None);
        }
        keys.settle(2);
        for branch in [&[0, 1, 4, 3][..], &[0, 1, 3, 2, 5]] {
            assert!(agrees(&keys, &state(branch)));
        }
        // What is settled is not asked of the state any more: a broken promise shows.
        assert!(!agrees(&keys, &state(&[1, 0])));
    }

    #[test]
    fn a_table_is_filled_part_by_part() {
        let numbers: Vec<usize> = (0..50).collect();
        let state = state(&numbers);
        let mut table = Pubkeys::in_memory();
        table.append(&numbered(5)).unwrap();
        let mut keys = Keys::with_table(table, &state.validators).unwrap();
        keys.settle(keys.len());
        let missing = keys.missing();
        assert_eq!(missing, (5..50).collect::<Vec<u32>>());
        for (number, part) in missing.chunks(4).enumerate() {
            assert!(agrees(&keys, &state), "before part {number}");
            keys.enter(decompress(&state.validators, part).unwrap()).unwrap();
            assert!(keys.ahead.is_empty(), "nothing waits in memory");
            assert_eq!(keys.missing(), missing[((number + 1) * 4).min(45)..]);
        }
        assert!(agrees(&keys, &state));
        assert_eq!(keys.table.len(), 50);
        assert!((0..50).all(|index| keys.table.get(index).unwrap() == numbered(50)[index]));
    }

    #[test]
    fn keys_come_in_any_order_and_twice() {
        let numbers: Vec<usize> = (0..20).collect();
        let state = state(&numbers);
        let mut keys = Keys::with_table(Pubkeys::in_memory(), &state.validators).unwrap();
        keys.settle(20);
        for part in [&[7, 9, 8, 9, 12][..], &[3, 7], &[0, 1, 2, 4], &[0, 19], &[3, 5, 6]] {
            keys.enter(decompress(&state.validators, part).unwrap()).unwrap();
            assert!(agrees(&keys, &state));
        }
        keys.extend(&state.validators).unwrap();
        assert_eq!(keys.table.len(), 20);
        assert!(agrees(&keys, &state) && keys.ahead.is_empty());
    }

    #[test]
    fn a_table_of_another_registry_is_refused() {
        let mut table = Pubkeys::in_memory();
        table.append(&numbered(4)).unwrap();
        let refused = |numbers: &[usize]| Keys::with_table(table.clone(), &state(numbers).validators).is_err();
        assert!(!refused(&[0, 1, 2, 3, 4]));
        assert!(refused(&[0, 1, 3, 2, 4]) && refused(&[0, 2, 1]));
    }

    #[test]
    fn a_table_may_reach_further_than_the_registry() {
        let mut table = Pubkeys::in_memory();
        table.append(&numbered(5)).unwrap();
        let (early, later) = (state(&[0, 1, 2]), state(&[0, 1, 2, 3, 4, 5]));
        let mut keys = Keys::with_table(table, &early.validators).unwrap();
        keys.settle(3);
        assert!(keys.missing().is_empty() && agrees(&keys, &early));
        assert!(agrees(&keys, &later), "a registry that grew as the table did");
        assert!(agrees(&keys, &state(&[0, 1, 2, 7, 8])), "and one that did not");
        keys.extend(&later.validators).unwrap();
        keys.settle(6);
        assert_eq!((keys.len(), keys.in_table()), (6, 6));
        assert!(agrees(&keys, &later));
    }

    #[test]
    fn a_clone_keeps_what_it_had() {
        let mut keys = Keys::of(&state(&[0, 1, 2])).unwrap();
        let before = keys.clone();
        let later = state(&[0, 1, 2, 3, 4]);
        keys.extend(&later.validators).unwrap();
        keys.settle(5);
        assert_eq!((before.len(), keys.len()), (3, 5));
        assert!(agrees(&before, &later) && agrees(&keys, &later));
        assert!(agrees(&before, &state(&[0, 2, 1, 5])));
    }
}
