//! Which validators the next pending deposits name.
//!
//! At most sixteen deposits are looked at in an epoch, and the registry is passed over anyway, so their keys are looked
//! for on the way: no table from keys to indices is needed, and none can be stale.

use crate::fork::Fork;
use crate::preset::MAX_PENDING_DEPOSITS_PER_EPOCH;
use crate::state::State;
use crate::types::{BLSPubkey, Validator, ValidatorIndex};

/// Bits of the filter: a key passes it by chance once in 4,000 times.
const FILTER_BITS: usize = 1 << 16;

/// The keys of the next pending deposits with the validators that have them.
#[derive(Debug, Default)]
pub(crate) struct DepositIndices {
    entries: Vec<(BLSPubkey, Option<ValidatorIndex>)>,
    /// One bit for each value that the last two bytes of a key can have; empty where there is nothing to look for.
    filter: Vec<u64>,
}

/// The last two bytes of a key: as good as random, also in keys that are made to have something in common in front.
fn filter_place(pubkey: &BLSPubkey) -> usize {
    usize::from(pubkey.0[46]) << 8 | usize::from(pubkey.0[47])
}

impl DepositIndices {
    /// What to look for in a pass over the registry of `state`.
    pub(crate) fn wanted_by(state: &State) -> Self {
        let mut wanted = DepositIndices::default();
        if state.at < Fork::Electra || state.pending_deposits.is_empty() {
            return wanted;
        }
        wanted.filter = vec![0; FILTER_BITS / 64];
        let next = state
            .pending_deposits
            .iter()
            .take(MAX_PENDING_DEPOSITS_PER_EPOCH as usize);
        for deposit in next {
            let place = filter_place(&deposit.pubkey);
            wanted.filter[place / 64] |= 1 << (place % 64);
            if !wanted.entries.iter().any(|(pubkey, _)| *pubkey == deposit.pubkey) {
                wanted.entries.push((deposit.pubkey, None));
            }
        }
        wanted
    }

    /// Looks at a validator; they come in order of their indices, and the first with a key counts.
    #[inline]
    pub(crate) fn see(&mut self, index: u32, validator: &Validator) {
        let place = filter_place(&validator.pubkey);
        let wanted = self
            .filter
            .get(place / 64)
            .is_some_and(|bits| bits >> (place % 64) & 1 == 1);
        if wanted {
            self.enter(&validator.pubkey, index.into());
        }
    }

    /// Notes that the validator at `index` has this key, unless an earlier one has it.
    pub(crate) fn enter(&mut self, pubkey: &BLSPubkey, index: ValidatorIndex) {
        let entry = self.entries.iter_mut().find(|(wanted, _)| wanted == pubkey);
        if let Some((_, found @ None)) = entry {
            *found = Some(index);
        }
    }

    /// The validator with this key, which must be the key of one of the next pending deposits.
    pub(crate) fn get(&self, pubkey: &BLSPubkey) -> Option<ValidatorIndex> {
        let entry = self.entries.iter().find(|(wanted, _)| wanted == pubkey);
        entry.and_then(|(_, index)| *index)
    }
}
