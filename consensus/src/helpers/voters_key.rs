//! The key that checks the signature of a crowd of voters: the sum of theirs.
//!
//! An aggregate of a slot has 30,000 voters, and adding up their keys would cost more than all else that a block does. But
//! nearly all of a committee vote, and it votes in many aggregates: a dozen on gossip, then in blocks. So the sum of a
//! whole committee is kept with the shuffling that made it, and the absent are taken away.

use crate::Invalid;
use crate::helpers::accessors::get_beacon_committee;
use crate::helpers::misc::compute_epoch_at_slot;
use crate::keys::Keys;
use crate::ssz::BitList;
use crate::state::State;
use crate::types::{CommitteeIndex, Slot};
use crypto::bls::{PublicKey, PublicKeySum};
use std::sync::OnceLock;

/// The sums of the keys of an epoch's committees, each written once: 150 bytes for every committee. They follow from the
/// shuffling and the registry's keys, which no descendant of a state changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommitteeSums(Box<[OnceLock<PublicKeySum>]>);

impl CommitteeSums {
    /// Room for the sums of so many committees.
    pub(crate) fn of(committees: usize) -> Self {
        CommitteeSums((0..committees).map(|_| OnceLock::new()).collect())
    }

    /// The cell of a committee by its number in the epoch.
    pub(crate) fn get(&self, committee: usize) -> Option<&OnceLock<PublicKeySum>> {
        self.0.get(committee)
    }
}

/// What is kept says nothing about the value.
impl PartialEq for CommitteeSums {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for CommitteeSums {}

/// The sum of the keys of those whose bits are set; `bits` are those of the committees of `slot`, one after the other, and
/// what is beyond their end counts as not set. An error if there is no such committee, a member's key is no point of the
/// curve, or the sum is no key, as that of nobody is.
pub fn voters_key(
    state: &State,
    keys: &Keys,
    slot: Slot,
    committees: &[CommitteeIndex],
    bits: &BitList,
) -> Result<PublicKey, Invalid> {
    let sum_of = |members: &[u32]| -> Result<PublicKeySum, Invalid> {
        let keys: Result<Vec<PublicKey>, Invalid> = members
            .iter()
            .map(|member| keys.public_key(state, u64::from(*member)))
            .collect();
        keys.map(PublicKeySum::of)
    };
    let shuffling = state.shuffling(compute_epoch_at_slot(slot));
    let mut sum = PublicKeySum::default();
    let mut offset = 0;
    for index in committees {
        let committee = get_beacon_committee(state, slot, *index)?;
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for (place, member) in committee.iter().enumerate() {
            let side = if bits.get(offset + place) == Some(true) {
                &mut present
            } else {
                &mut absent
            };
            side.push(*member);
        }
        offset += committee.len();
        let whole = if absent.len() < present.len() {
            let cell = shuffling.and_then(|shuffling| shuffling.sum_of_keys(slot, *index));
            cell.and_then(|cell| kept(cell, || sum_of(&committee).ok()))
        } else {
            None
        };
        match whole {
            Some(whole) => {
                sum.add(&whole);
                sum.subtract(&sum_of(&absent)?);
            }
            None => sum.add(&sum_of(&present)?),
        }
    }
    sum.public_key()
        .map_err(|error| Invalid::new("voters' keys", error.to_string()))
}

/// What is in a cell, or else what is computed for it now. Two threads may both compute it, but neither waits.
fn kept(cell: &OnceLock<PublicKeySum>, compute: impl FnOnce() -> Option<PublicKeySum>) -> Option<PublicKeySum> {
    if let Some(known) = cell.get() {
        return Some(*known);
    }
    let sum = compute()?;
    let _ = cell.set(sum); // another thread's is the same
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fork;
    use crate::constants::FAR_FUTURE_EPOCH;
    use crate::ssz::{Bytes, PersistentList, Ssz};
    use crate::types::{BeaconState, Validator};
    use crypto::bls::{SecretKey, aggregate_pubkeys, consecutive_public_keys};

    fn state_with_keys() -> (State, Keys) {
        let first = SecretKey::from_bytes(&[1; 32]).unwrap();
        let validators = consecutive_public_keys(&first, 600).into_iter().map(|key| Validator {
            pubkey: Bytes(key.to_compressed()),
            exit_epoch: FAR_FUTURE_EPOCH,
            ..Validator::default()
        });
        let mut beacon = BeaconState::new(Fork::Electra);
        beacon.validators = PersistentList::from_vec(validators.collect());
        let state = State::new(Fork::Electra, beacon);
        let keys = Keys::of(&state).unwrap();
        (state, keys)
    }

    #[test]
    fn it_is_the_sum_of_the_voters_whatever_is_kept() {
        let (unprepared, keys) = state_with_keys();
        let mut state = unprepared.clone();
        state.prepare();
        let members = get_beacon_committee(&state, 3, 0).unwrap().into_owned();
        let number = members.len();
        assert!(number > 10);
        for round in 0..3 {
            // From nobody to everybody, so that both ways are gone with and without a sum that is known.
            for voters in [0, 1, number / 2, number / 2 + 1, number - 1, number] {
                let mut bits = BitList::new(number);
                (0..voters).for_each(|place| {
                    bits.set((place * 7 + round) % number, true);
                });
                let voting: Vec<_> = bits
                    .ones()
                    .map(|place| keys.public_key(&state, u64::from(members[place])).unwrap())
                    .collect();
                let expected = aggregate_pubkeys(&voting).ok();
                let given = voters_key(&state, &keys, 3, &[0], &bits).ok();
                assert_eq!(given, expected, "{} of {number}", voting.len());
                assert_eq!(voters_key(&unprepared, &keys, 3, &[0], &bits).ok(), expected);
            }
            let kept = state
                .shuffling(0)
                .and_then(|shuffling| shuffling.sum_of_keys(3, 0)?.get().copied());
            let whole = kept.map(|whole| whole.public_key().unwrap());
            assert_eq!(
                whole,
                aggregate_pubkeys(
                    members
                        .iter()
                        .map(|member| keys.public_key(&state, u64::from(*member)).unwrap())
                )
                .ok()
            );
        }
        assert!(voters_key(&state, &keys, 3, &[64], &BitList::new(number)).is_err());
    }
}
