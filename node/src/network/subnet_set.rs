//! A set of gossip subnets of all kinds, as three numbers of bits: its size is its bound.

use consensus::constants::SYNC_COMMITTEE_SUBNET_COUNT;
use consensus::preset::NUMBER_OF_COLUMNS;
use consensus::ssz::BitVector;
use consensus::types::SubnetID;

/// Attestation subnets: 64 in every config, for they are the bits of `attnets`.
pub(crate) const ATTESTATION_SUBNETS: usize = 64;

/// One gossip subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subnet {
    /// `beacon_attestation_{subnet_id}`.
    Attestation(SubnetID),
    /// `sync_committee_{subnet_id}`.
    Sync(SubnetID),
    /// `data_column_sidecar_{subnet_id}`.
    Column(SubnetID),
}

/// A set of subnets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubnetSet {
    attestation: u64,
    sync: u8,
    columns: u128,
}

impl SubnetSet {
    /// None.
    pub const EMPTY: SubnetSet = SubnetSet {
        attestation: 0,
        sync: 0,
        columns: 0,
    };

    /// Adds a subnet; `false` if there is no such subnet, or it is in already.
    pub fn insert(&mut self, subnet: Subnet) -> bool {
        let before = *self;
        match subnet {
            Subnet::Attestation(id) if id < ATTESTATION_SUBNETS as u64 => self.attestation |= 1 << id,
            Subnet::Sync(id) if id < SYNC_COMMITTEE_SUBNET_COUNT => self.sync |= 1 << id,
            Subnet::Column(id) if id < NUMBER_OF_COLUMNS => self.columns |= 1 << id,
            _ => return false,
        }
        before != *self
    }

    /// Whether a subnet is in.
    pub fn contains(&self, subnet: Subnet) -> bool {
        match subnet {
            Subnet::Attestation(id) => id < ATTESTATION_SUBNETS as u64 && self.attestation >> id & 1 == 1,
            Subnet::Sync(id) => id < SYNC_COMMITTEE_SUBNET_COUNT && self.sync >> id & 1 == 1,
            Subnet::Column(id) => id < NUMBER_OF_COLUMNS && self.columns >> id & 1 == 1,
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: SubnetSet) -> SubnetSet {
        SubnetSet {
            attestation: self.attestation | other.attestation,
            sync: self.sync | other.sync,
            columns: self.columns | other.columns,
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(self, other: SubnetSet) -> SubnetSet {
        SubnetSet {
            attestation: self.attestation & other.attestation,
            sync: self.sync & other.sync,
            columns: self.columns & other.columns,
        }
    }

    /// What is in this one and not in the other.
    #[must_use]
    pub fn without(self, other: SubnetSet) -> SubnetSet {
        SubnetSet {
            attestation: self.attestation & !other.attestation,
            sync: self.sync & !other.sync,
            columns: self.columns & !other.columns,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        (self.attestation.count_ones() + self.sync.count_ones() + self.columns.count_ones()) as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == SubnetSet::EMPTY
    }

    /// All of them: attestation, sync and column subnets, each ascending.
    pub fn iter(self) -> impl Iterator<Item = Subnet> {
        let attestation = (0..ATTESTATION_SUBNETS as u64).map(Subnet::Attestation);
        let sync = (0..SYNC_COMMITTEE_SUBNET_COUNT).map(Subnet::Sync);
        let columns = (0..NUMBER_OF_COLUMNS).map(Subnet::Column);
        let all = attestation.chain(sync).chain(columns);
        all.filter(move |subnet| self.contains(*subnet))
    }

    /// The attestation subnets as `MetaData` and node records have them.
    pub fn attnets(&self) -> BitVector {
        (0..ATTESTATION_SUBNETS as u64)
            .map(|id| self.contains(Subnet::Attestation(id)))
            .collect()
    }

    /// The sync subnets as `MetaData` and node records have them.
    pub fn syncnets(&self) -> BitVector {
        (0..SYNC_COMMITTEE_SUBNET_COUNT)
            .map(|id| self.contains(Subnet::Sync(id)))
            .collect()
    }

    /// A set of what such bitfields say.
    pub fn of_bits(attnets: &BitVector, syncnets: &BitVector) -> SubnetSet {
        let attestation = attnets.ones().map(|id| Subnet::Attestation(id as u64));
        attestation
            .chain(syncnets.ones().map(|id| Subnet::Sync(id as u64)))
            .collect()
    }

    /// The part with attestation and sync subnets alone.
    #[must_use]
    pub fn without_columns(self) -> SubnetSet {
        SubnetSet { columns: 0, ..self }
    }

    /// The part with column subnets alone.
    #[must_use]
    pub fn only_columns(self) -> SubnetSet {
        SubnetSet {
            columns: self.columns,
            ..SubnetSet::EMPTY
        }
    }
}

impl FromIterator<Subnet> for SubnetSet {
    fn from_iter<I: IntoIterator<Item = Subnet>>(subnets: I) -> Self {
        let mut set = SubnetSet::EMPTY;
        for subnet in subnets {
            set.insert(subnet);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let all = [
            Subnet::Attestation(0),
            Subnet::Attestation(63),
            Subnet::Sync(3),
            Subnet::Column(0),
            Subnet::Column(NUMBER_OF_COLUMNS - 1),
        ];
        let mut set: SubnetSet = all.into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), all);
        assert_eq!(set.len(), 5);
        assert!(!set.insert(Subnet::Sync(3)), "it is in already");
        for none in [
            Subnet::Attestation(64),
            Subnet::Sync(4),
            Subnet::Column(NUMBER_OF_COLUMNS),
            Subnet::Column(u64::MAX),
        ] {
            assert!(!set.insert(none) && !set.contains(none), "{none:?} is none");
        }
        assert_eq!(
            SubnetSet::of_bits(&set.attnets(), &set.syncnets()),
            set.without_columns()
        );
        assert_eq!(set.without_columns().union(set.only_columns()), set);
        assert!(set.without(set).is_empty());
        assert_eq!(set.intersection(set.only_columns()), set.only_columns());
    }

    #[test]
    fn bits_lie_as_ssz_has_them() {
        let set: SubnetSet = [Subnet::Attestation(9), Subnet::Sync(1)].into_iter().collect();
        assert_eq!(set.attnets().as_bytes(), [0, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(set.syncnets().as_bytes(), [2]);
    }
}
