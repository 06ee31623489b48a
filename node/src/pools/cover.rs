//! Aggregates of one message by the members of one committee.
//!
//! Signatures can be added but not taken out again, so two aggregates with a voter in common stay apart; those without
//! grow together. A few that cannot be merged are kept, since which of them brings most depends on the block.

use consensus::ssz::BitList;
use crypto::bls::{AggregateSignature, Signature};

/// Aggregates of one committee that are kept apart. A committee has sixteen aggregators on average, most of whose
/// aggregates are nearly the same; eight with 400 bytes each make 13 MB for two epochs of mainnet's 64 committees a slot.
pub(super) const MAX_AGGREGATES: usize = 8;

/// Some members' signatures, added up.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    /// Who signed, by the place in the committee.
    pub(super) bits: BitList,
    /// The sum of their signatures.
    pub(super) signature: AggregateSignature,
}

/// The aggregates known of one message and committee: none within another.
#[derive(Clone, Debug, Default)]
pub(super) struct Cover {
    aggregates: Vec<Aggregate>,
}

impl Cover {
    /// Adds signatures; `false` if they are known. `bits` are as long as the committee, like all before them, and not
    /// all unset.
    pub(super) fn insert(&mut self, bits: &BitList, signature: &AggregateSignature) -> bool {
        if self.aggregates.iter().any(|kept| kept.bits.is_superset(bits)) {
            return false;
        }
        let mut merged = false;
        for kept in &mut self.aggregates {
            if !kept.bits.intersects(bits) && kept.bits.merge(bits) {
                kept.signature.merge(signature);
                merged = true;
            }
        }
        if merged {
            self.drop_contained();
            return true;
        }
        self.aggregates.retain(|kept| !bits.is_superset(&kept.bits));
        let new = Aggregate {
            bits: bits.clone(),
            signature: *signature,
        };
        if self.aggregates.len() < MAX_AGGREGATES {
            self.aggregates.push(new);
            return true;
        }
        let smallest = self.aggregates.iter_mut().min_by_key(|kept| kept.bits.count_ones());
        match smallest {
            Some(kept) if kept.bits.count_ones() < bits.count_ones() => {
                *kept = new;
                true
            }
            _ => false,
        }
    }

    /// Drops aggregates that have grown into another.
    fn drop_contained(&mut self) {
        let mut index = 0;
        while index < self.aggregates.len() {
            let bits = &self.aggregates[index].bits;
            let mut others = self.aggregates.iter().enumerate();
            // Of two equal ones the first stays.
            let contained = others.any(|(other, kept)| {
                other != index && kept.bits.is_superset(bits) && (other < index || kept.bits != *bits)
            });
            if contained {
                self.aggregates.remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// All aggregates, in no order.
    pub(super) fn aggregates(&self) -> &[Aggregate] {
        &self.aggregates
    }

    /// The one that most have signed; `None` if there is none.
    pub(super) fn largest(&self) -> Option<&Aggregate> {
        self.aggregates.iter().max_by_key(|kept| kept.bits.count_ones())
    }

    /// Everybody who has signed one of them.
    pub(super) fn voters_of_any(&self) -> BitList {
        let mut aggregates = self.aggregates.iter();
        let mut all = aggregates
            .next()
            .map_or_else(BitList::default, |kept| kept.bits.clone());
        aggregates.for_each(|kept| {
            all.merge(&kept.bits);
        });
        all
    }

    /// How many have signed at least.
    pub(super) fn voters(&self) -> usize {
        self.largest().map_or(0, |kept| kept.bits.count_ones())
    }

    /// Memory that this holds, in bytes.
    pub(super) fn size(&self) -> usize {
        let of = |kept: &Aggregate| size_of::<Aggregate>() + kept.bits.as_bytes().len();
        size_of::<Self>() + self.aggregates.iter().map(of).sum::<usize>()
    }
}

/// A sum that holds one signature.
pub(super) fn sum_of(signature: &Signature) -> AggregateSignature {
    let mut sum = AggregateSignature::new();
    sum.add(signature);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(text: &str) -> BitList {
        text.chars().map(|bit| bit == '1').collect()
    }

    fn cover(of: &[&str]) -> Cover {
        let mut cover = Cover::default();
        for text in of {
            cover.insert(&bits(text), &AggregateSignature::new());
        }
        cover
    }

    fn sorted(cover: &Cover) -> Vec<String> {
        let mut all: Vec<String> = cover
            .aggregates()
            .iter()
            .map(|kept| format!("{:?}", kept.bits))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn what_can_be_merged_is_and_what_overlaps_stays_apart() {
        assert_eq!(sorted(&cover(&["1000", "0100", "0010"])), ["1110"]);
        assert_eq!(sorted(&cover(&["1100", "0110"])), ["0110", "1100"]);
        // A single vote grows all that lack it.
        assert_eq!(sorted(&cover(&["1100", "0110", "0001"])), ["0111", "1101"]);
        // What has grown takes in what now lies within it.
        assert_eq!(sorted(&cover(&["1100", "1010", "0011"])), ["1111"]);
        // A larger one takes the place of those within it.
        assert_eq!(sorted(&cover(&["1100", "0110", "1110"])), ["1110"]);
        let mut known = cover(&["1110"]);
        assert!(!known.insert(&bits("0110"), &AggregateSignature::new()));
        assert_eq!(known.voters(), 3);
    }

    #[test]
    fn the_number_of_aggregates_is_bounded_and_the_largest_stay() {
        let mut cover = Cover::default();
        for own in 1..40 {
            // All have the first member, so none can be merged; later ones are larger.
            let of: BitList = (0..100)
                .map(|place| place == 0 || (own..2 * own).contains(&place))
                .collect();
            assert!(cover.insert(&of, &AggregateSignature::new()));
        }
        assert_eq!(cover.aggregates().len(), MAX_AGGREGATES);
        assert_eq!(cover.voters(), 40);
        let small: BitList = (0..100).map(|place| place == 0 || place == 99).collect();
        assert!(!cover.insert(&small, &AggregateSignature::new()));
    }
}
