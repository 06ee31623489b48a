//! The registry's public keys, decompressed once, and the way from a key to its index.
//!
//! The table follows one chain; a state of another branch may have other keys at the end of its registry. So an entry is
//! only believed where it agrees with the state asked about, and what the table lacks is worked out from the state: slow
//! and right.

use crate::Invalid;
use crate::ssz::PersistentList;
use crate::state::State;
use crate::types::{BLSPubkey, BeaconState, Validator, ValidatorIndex};
use crypto::bls::PublicKey;
use crypto::pubkeys::Pubkeys;
use hashbrown::HashTable;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Keys by index and indices by key.
pub struct Keys {
    table: Pubkeys,
    /// Indices by the hash of their key; five bytes an entry, since the keys themselves lie in the state.
    lookup: HashTable<u32>,
    /// Whoever makes keys must not be able to make them collide.
    hasher: RandomState,
    /// How many entries are the same in every state that is asked about.
    settled: usize,
    /// First eight bytes of each key behind the flag bits, which tell nearly every other key apart.
    tags: Vec<[u8; 8]>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.tags.len())
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

fn tag_of(pubkey: &BLSPubkey) -> [u8; 8] {
    let mut tag = [0; 8];
    tag.copy_from_slice(&pubkey.0[40..]);
    tag
}

impl Keys {
    /// An empty table in memory.
    pub fn new() -> Self {
        Keys {
            table: Pubkeys::in_memory(),
            lookup: HashTable::new(),
            hasher: RandomState::new(),
            settled: 0,
            tags: Vec::new(),
        }
    }

    /// A table of all keys of a state. Errors as `extend`.
    pub fn of(state: &BeaconState) -> Result<Self, Invalid> {
        let mut keys = Self::new();
        keys.extend(&state.validators)?;
        Ok(keys)
    }

    /// How many keys the table holds.
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Promises that the first `count` entries are those of every state that will be asked about: the registry of a
    /// finalized state, or of the only chain there is. They are then believed without a look at the state.
    pub fn settle(&mut self, count: usize) {
        self.settled = count.min(self.len()).max(self.settled);
    }

    /// Enters the validators that the table does not have yet. Their keys were checked when they entered the registry,
    /// so they are decompressed without the subgroup check. Errors if a key is no point of the curve.
    pub fn extend(&mut self, validators: &PersistentList<Validator>) -> Result<(), Invalid> {
        for validator in validators.iter_from(self.len()) {
            let index = self.len() as u32;
            let wrong = |error: String| Invalid::new("public key", format!("of validator {index}: {error}"));
            let key =
                PublicKey::from_compressed_trusted(&validator.pubkey.0).map_err(|error| wrong(error.to_string()))?;
            self.table.append(&[key]).map_err(|error| wrong(error.to_string()))?;
            self.tags.push(tag_of(&validator.pubkey));
            let (tags, hasher) = (&self.tags, &self.hasher);
            let hash = hasher.hash_one(tag_of(&validator.pubkey));
            self.lookup
                .insert_unique(hash, index, |index| hasher.hash_one(tags[*index as usize]));
        }
        Ok(())
    }

    /// The key of a validator of `state`. Errors if there is no such validator or its key is no point of the curve.
    pub fn public_key(&self, state: &State, index: ValidatorIndex) -> Result<PublicKey, Invalid> {
        let place = index as usize;
        if index < self.settled as u64
            && let Ok(key) = self.table.get(place)
        {
            return Ok(key);
        }
        let pubkey = &crate::helpers::accessors::validator(state, index)?.pubkey;
        if self.tags.get(place).is_some_and(|tag| *tag == tag_of(pubkey))
            && let Ok(key) = self.table.get(place)
            && key.to_compressed() == pubkey.0
        {
            return Ok(key);
        }
        PublicKey::from_compressed_trusted(&pubkey.0)
            .map_err(|error| Invalid::new("public key", format!("of validator {index}: {error}")))
    }

    /// The index of the validator with this key in `state`.
    pub fn index_of(&self, state: &BeaconState, pubkey: &BLSPubkey) -> Option<ValidatorIndex> {
        let is_it = |index: usize| state.validators.get(index).is_some_and(|found| found.pubkey == *pubkey);
        let hash = self.hasher.hash_one(tag_of(pubkey));
        if let Some(index) = self.lookup.find(hash, |index| is_it(*index as usize)) {
            return Some(u64::from(*index));
        }
        // What is left are validators behind the settled ones that the table does not know, or knows otherwise.
        let agrees = |(index, found): &(usize, &Validator)| self.tags.get(*index) == Some(&tag_of(&found.pubkey));
        let start = self.settled;
        let mut unknown = state
            .validators
            .iter_from(start)
            .enumerate()
            .map(|(at, found)| (start + at, found));
        unknown
            .find(|entry| !agrees(entry) && entry.1.pubkey == *pubkey)
            .map(|(index, _)| index as ValidatorIndex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fork;
    use crate::ssz::Bytes;
    use crypto::bls::{SecretKey, consecutive_public_keys};

    /// A state whose validators have keys of these numbers.
    fn state(numbers: &[usize]) -> State {
        let mut first = [0; 32];
        first[31] = 1;
        let keys = consecutive_public_keys(&SecretKey::from_bytes(&first).unwrap(), 16);
        let validator = |number: &usize| Validator {
            pubkey: Bytes(keys[*number].to_compressed()),
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
}
