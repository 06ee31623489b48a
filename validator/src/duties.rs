//! Which of our validators has to do what and when: fetched from the nodes ahead of time, and again where a
//! reorganization or a change among our validators makes it doubtful.
//!
//! One task fetches; everybody else reads an immutable table. What has to be fetched is a pure function of the table, the
//! time, our validators and the roots that the duties hang on.

use crate::beacon::{AttesterDuty, ProposerDuty, SyncDuty};
use crate::heads::DependentRoots;
use crate::validators::Validators;
use consensus::constants::GENESIS_SLOT;
use consensus::duties::{compute_sync_committee_period, is_aggregator_of};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::preset::{MAX_VALIDATORS_PER_COMMITTEE, SLOTS_PER_EPOCH, SYNC_COMMITTEE_SIZE};
use consensus::types::{BLSPubkey, BLSSignature, Epoch, Root, Slot};
use consensus::{Config, Fork};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether a validator aggregates at its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Not known: its key did not sign the slot yet.
    Unknown,
    /// It was not chosen.
    No,
    /// It was chosen, which this proves.
    Yes(BLSSignature),
}

/// Where a validator of ours attests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attester {
    /// Its duty.
    pub duty: AttesterDuty,
    /// Whether it aggregates too.
    pub aggregation: Aggregation,
}

impl Attester {
    /// Whether the validator aggregates, by its signature of the slot.
    pub fn aggregation_by(duty: &AttesterDuty, selection_proof: BLSSignature) -> Aggregation {
        if is_aggregator_of(duty.committee_length, &selection_proof) {
            Aggregation::Yes(selection_proof)
        } else {
            Aggregation::No
        }
    }
}

/// Duties that were fetched at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched<T> {
    /// What they hang on, where the node told it.
    pub dependent_root: Option<Root>,
    /// The generation of our validators that they were fetched for.
    pub generation: u64,
    /// The slot in which they were fetched.
    pub at: Slot,
    /// Ours among them.
    pub duties: Vec<T>,
}

/// All duties that are known.
#[derive(Clone, Debug, Default)]
pub struct DutyTable {
    /// By epoch.
    pub attesters: BTreeMap<Epoch, Arc<Fetched<Attester>>>,
    /// By epoch.
    pub proposers: BTreeMap<Epoch, Arc<Fetched<ProposerDuty>>>,
    /// By period.
    pub sync: BTreeMap<u64, Arc<Fetched<SyncDuty>>>,
}

/// Something to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// Attesters of an epoch.
    Attesters(Epoch),
    /// Proposers of an epoch.
    Proposers(Epoch),
    /// The sync committee of the period that the epoch is in.
    Sync(Epoch),
}

impl DutyTable {
    /// Who attests at a slot.
    pub fn attesters_at(&self, slot: Slot) -> Vec<Attester> {
        let fetched = self.attesters.get(&compute_epoch_at_slot(slot));
        let all = fetched.iter().flat_map(|fetched| &fetched.duties);
        all.filter(|attester| attester.duty.slot == slot).copied().collect()
    }

    /// Who of ours proposes at a slot.
    pub fn proposers_at(&self, slot: Slot) -> Vec<ProposerDuty> {
        let fetched = self.proposers.get(&compute_epoch_at_slot(slot));
        let all = fetched.iter().flat_map(|fetched| &fetched.duties);
        all.filter(|duty| duty.slot == slot).copied().collect()
    }

    /// Who of ours signs the head at a slot: what is signed goes into the next slot's block, so the committee of that
    /// slot signs. Spec: altair/validator.md, "Sync committee messages".
    pub fn sync_at(&self, slot: Slot) -> Option<Arc<Fetched<SyncDuty>>> {
        let epoch = compute_epoch_at_slot(slot.saturating_add(1));
        self.sync.get(&compute_sync_committee_period(epoch)).cloned()
    }

    /// Whether a slot has any duty of ours, for a stop that waits for it.
    pub fn has_duty_at(&self, slot: Slot) -> bool {
        !self.attesters_at(slot).is_empty()
            || !self.proposers_at(slot).is_empty()
            || self.sync_at(slot).is_some_and(|fetched| !fetched.duties.is_empty())
    }

    /// Drops what lies behind.
    pub fn forget_before(&mut self, epoch: Epoch) {
        // Late attestations of the last slot of an epoch are still made in the next.
        let oldest = epoch.saturating_sub(1);
        self.attesters.retain(|known, _| *known >= oldest);
        self.proposers.retain(|known, _| *known >= oldest);
        self.sync
            .retain(|known, _| *known >= compute_sync_committee_period(oldest));
    }
}

/// What has to be fetched now, most urgent first. What was fetched in this very slot is left alone: nodes on two
/// branches must not have duties fetched without end.
pub fn wanted(
    table: &DutyTable,
    config: &Config,
    slot: Slot,
    validators: &Validators,
    roots: Option<DependentRoots>,
) -> Vec<Wanted> {
    let epoch = compute_epoch_at_slot(slot);
    let next = epoch.saturating_add(1);
    let generation = validators.generation;
    let mut wanted = Vec::new();
    let active = |epoch| validators.iter().any(|info| info.is_active_in(epoch));

    let proposers = |epoch| {
        let had = table.proposers.get(&epoch);
        had.is_none_or(|had| had.at != slot && (had.generation != generation || proposers_stale(had, epoch, roots)))
    };
    // From Fulu on the proposers of the next epoch are decided; before, they may change with every block.
    let lookahead = config.fork_at_epoch(next) >= Fork::Fulu && slot % SLOTS_PER_EPOCH >= SLOTS_PER_EPOCH / 2;
    let attesters = |epoch| {
        let had = table.attesters.get(&epoch);
        had.is_none_or(|had| had.at != slot && (had.generation != generation || attesters_stale(had, epoch, roots)))
    };
    if active(epoch) && proposers(epoch) {
        wanted.push(Wanted::Proposers(epoch));
    }
    for epoch in [epoch, next] {
        if active(epoch) && attesters(epoch) {
            wanted.push(Wanted::Attesters(epoch));
        }
    }
    let period = compute_sync_committee_period;
    for epoch in [epoch, next] {
        let had = table.sync.get(&period(epoch));
        let stale = had.is_none_or(|had| had.at != slot && had.generation != generation);
        let again = epoch == next && period(epoch) == period(slot / SLOTS_PER_EPOCH);
        if config.fork_at_epoch(epoch) >= Fork::Altair && !again && stale && !validators.seated().is_empty() {
            wanted.push(Wanted::Sync(epoch));
        }
    }
    if active(next) && lookahead && proposers(next) {
        wanted.push(Wanted::Proposers(next));
    }
    wanted
}

/// The root that duties of an epoch hang on by the newest head; `None` if that says nothing of the epoch.
fn root_for(epoch: Epoch, roots: Option<DependentRoots>) -> Option<Root> {
    let roots = roots?;
    if roots.epoch == epoch {
        Some(roots.current)
    } else if roots.epoch.saturating_add(1) == epoch {
        Some(roots.next)
    } else {
        None
    }
}

fn attesters_stale(had: &Fetched<Attester>, epoch: Epoch, roots: Option<DependentRoots>) -> bool {
    match (had.dependent_root, root_for(epoch, roots)) {
        (Some(had), Some(now)) => had != now,
        _ => false,
    }
}

/// The proposers' root is that of the attesters from Fulu on (decided an epoch ahead) and on the API's second version;
/// on the first it is the next epoch's. Either may stand.
fn proposers_stale(had: &Fetched<ProposerDuty>, epoch: Epoch, roots: Option<DependentRoots>) -> bool {
    let (Some(root), Some(roots)) = (had.dependent_root, roots) else {
        return false;
    };
    if roots.epoch == epoch {
        root != roots.current && root != roots.next
    } else {
        root_for(epoch, Some(roots)).is_some_and(|now| now != root)
    }
}

/// Ours among the proposers of all. The first slot has the genesis block, whoever its proposer would be.
pub fn own_proposers(duties: Vec<ProposerDuty>, epoch: Epoch, validators: &Validators) -> Vec<ProposerDuty> {
    let ours = |duty: &ProposerDuty| {
        let index = validators.get(&duty.pubkey).map(|info| info.index);
        let in_epoch = compute_epoch_at_slot(duty.slot) == epoch && duty.slot > GENESIS_SLOT;
        index == Some(duty.validator_index) && in_epoch
    };
    duties.into_iter().filter(ours).collect()
}

/// The attesters' duties that make sense: ours, of that epoch, with a place in their committee. What does not is left
/// out and counted; the same validator twice in an epoch is a broken answer too.
pub fn own_attesters(duties: Vec<AttesterDuty>, epoch: Epoch, validators: &Validators) -> (Vec<Attester>, usize) {
    let mut seen = std::collections::HashSet::new();
    let total = duties.len();
    let own: Vec<Attester> = duties
        .into_iter()
        .filter(|duty| {
            let index = validators.get(&duty.pubkey).map(|info| info.index);
            index == Some(duty.validator_index)
                && compute_epoch_at_slot(duty.slot) == epoch
                && duty.validator_committee_index < duty.committee_length
                && duty.committee_length <= MAX_VALIDATORS_PER_COMMITTEE
                && duty.committee_index < duty.committees_at_slot
                && seen.insert(duty.validator_index)
        })
        .map(|duty| Attester {
            duty,
            aggregation: Aggregation::Unknown,
        })
        .collect();
    let odd = total - own.len();
    (own, odd)
}

/// Ours among sync duties.
pub fn own_sync(duties: Vec<SyncDuty>, validators: &Validators) -> Vec<SyncDuty> {
    let ours = |duty: &SyncDuty| {
        let index = validators.get(&duty.pubkey).map(|info| info.index);
        let seats = &duty.validator_sync_committee_indices;
        index == Some(duty.validator_index) && !seats.is_empty() && seats.iter().all(|seat| *seat < SYNC_COMMITTEE_SIZE)
    };
    duties.into_iter().filter(ours).collect()
}

/// The table with attesters' aggregation filled in where it was unknown.
pub fn with_aggregation(fetched: &Fetched<Attester>, proofs: &BTreeMap<BLSPubkey, BLSSignature>) -> Fetched<Attester> {
    let mut filled = fetched.clone();
    for attester in &mut filled.duties {
        if let (Aggregation::Unknown, Some(proof)) = (attester.aggregation, proofs.get(&attester.duty.pubkey)) {
            attester.aggregation = Attester::aggregation_by(&attester.duty, *proof);
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beacon::{Status, ValidatorInfo};
    use consensus::constants::FAR_FUTURE_EPOCH;
    use consensus::preset::EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
    use consensus::ssz::Bytes;

    fn config() -> Config {
        Config::standard().with_forks_at_genesis(Fork::Fulu)
    }

    fn validators(generation: u64) -> Validators {
        let info = ValidatorInfo {
            index: 7,
            pubkey: Bytes([7; 48]),
            status: Status::ActiveOngoing,
            balance: 1,
            effective_balance: 1,
            slashed: false,
            activation_epoch: 0,
            exit_epoch: FAR_FUTURE_EPOCH,
        };
        let mut validators = Validators::next(&Validators::default(), vec![info.pubkey], vec![info]);
        validators.generation = generation;
        validators
    }

    fn fetched<T>(root: u8, generation: u64, at: Slot) -> Arc<Fetched<T>> {
        Arc::new(Fetched {
            dependent_root: Some(Bytes([root; 32])),
            generation,
            at,
            duties: Vec::new(),
        })
    }

    fn roots(epoch: Epoch, current: u8, next: u8) -> DependentRoots {
        DependentRoots {
            epoch,
            current: Bytes([current; 32]),
            next: Bytes([next; 32]),
        }
    }

    /// A table as it is in the middle of epoch 3.
    fn full() -> DutyTable {
        let mut table = DutyTable::default();
        for epoch in [3, 4] {
            table.attesters.insert(epoch, fetched(epoch as u8, 1, 1));
            table.proposers.insert(epoch, fetched(epoch as u8, 1, 1));
        }
        table.sync.insert(compute_sync_committee_period(3), fetched(0, 1, 1));
        table
    }

    #[test]
    fn everything_is_fetched_once_and_proposers_of_the_next_epoch_late() {
        let start = 3 * SLOTS_PER_EPOCH;
        let empty = DutyTable::default();
        let wanted_now = wanted(&empty, &config(), start, &validators(1), None);
        let (p, a, s) = (Wanted::Proposers, Wanted::Attesters, Wanted::Sync);
        assert_eq!(wanted_now, [p(3), a(3), a(4), s(3)]);
        let late = start + SLOTS_PER_EPOCH / 2;
        assert_eq!(
            wanted(&empty, &config(), late, &validators(1), None),
            [p(3), a(3), a(4), s(3), p(4)]
        );
        assert_eq!(
            wanted(&full(), &config(), late, &validators(1), Some(roots(3, 3, 4))),
            []
        );
        let before_fulu = Config::standard().with_forks_at_genesis(Fork::Electra);
        assert_eq!(
            wanted(&empty, &before_fulu, late, &validators(1), None),
            [p(3), a(3), a(4), s(3)]
        );
        // Nobody of ours there: nothing to ask.
        assert_eq!(wanted(&empty, &config(), late, &Validators::default(), None), []);
    }

    #[test]
    fn a_new_sync_committee_is_fetched_an_epoch_ahead() {
        let first = EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
        let slot = (first - 1) * SLOTS_PER_EPOCH;
        let wanted = wanted(&DutyTable::default(), &config(), slot, &validators(1), None);
        assert!(wanted.contains(&Wanted::Sync(first - 1)) && wanted.contains(&Wanted::Sync(first)));
        let mut table = DutyTable::default();
        table.sync.insert(1, fetched(0, 1, 1));
        // The last slot of a period is signed by the next committee.
        assert!(table.sync_at(first * SLOTS_PER_EPOCH - 1).is_some());
        assert!(table.sync_at(first * SLOTS_PER_EPOCH - 2).is_none());
    }

    #[test]
    fn reorganizations_and_new_validators_have_duties_fetched_again() {
        let slot = 3 * SLOTS_PER_EPOCH + SLOTS_PER_EPOCH / 2;
        let again = |roots| wanted(&full(), &config(), slot, &validators(1), Some(roots));
        assert_eq!(again(roots(3, 9, 4)), [Wanted::Proposers(3), Wanted::Attesters(3)]);
        // The first version of the API has proposers hang on what attesters of the next epoch hang on.
        assert_eq!(again(roots(3, 9, 3))[0], Wanted::Attesters(3));
        let both = [Wanted::Attesters(4), Wanted::Proposers(4)];
        assert_eq!(again(roots(3, 3, 9)), both);
        // The head is of the epoch before.
        let all = [Wanted::Proposers(3), Wanted::Attesters(3)];
        assert_eq!(again(roots(2, 0, 9)), all);
        assert_eq!(again(roots(2, 0, 3)), []);

        let more = wanted(&full(), &config(), slot, &validators(2), Some(roots(3, 3, 4)));
        let (p, a) = (Wanted::Proposers, Wanted::Attesters);
        assert_eq!(more, [p(3), a(3), a(4), Wanted::Sync(3), p(4)]);
        // But not twice in a slot.
        let mut table = full();
        table.attesters.insert(3, fetched(3, 1, slot));
        table.attesters.insert(4, fetched(4, 1, slot));
        table.proposers.insert(3, fetched(3, 1, slot));
        table.proposers.insert(4, fetched(4, 1, slot));
        assert_eq!(
            wanted(&table, &config(), slot, &validators(1), Some(roots(3, 9, 9))),
            []
        );
    }

    #[test]
    fn only_our_proposals_of_the_epoch_count_and_none_at_genesis() {
        let duty = |slot, index: u8| ProposerDuty {
            slot,
            validator_index: index.into(),
            pubkey: Bytes([index; 48]),
        };
        let all = vec![duty(0, 7), duty(1, 7), duty(2, 8), duty(SLOTS_PER_EPOCH, 7)];
        assert_eq!(own_proposers(all, 0, &validators(1)), [duty(1, 7)]);
    }

    #[test]
    fn duties_that_make_no_sense_are_left_out() {
        let good = AttesterDuty {
            pubkey: Bytes([7; 48]),
            validator_index: 7,
            committee_index: 0,
            committee_length: 10,
            committees_at_slot: 1,
            validator_committee_index: 3,
            slot: 3 * SLOTS_PER_EPOCH,
        };
        let change = |change: fn(&mut AttesterDuty)| {
            let mut duty = good;
            change(&mut duty);
            duty
        };
        let odd = vec![
            good,
            good,
            change(|duty| duty.validator_index = 8),
            change(|duty| duty.pubkey = Bytes([8; 48])),
            change(|duty| duty.slot = 4 * SLOTS_PER_EPOCH),
            change(|duty| duty.validator_committee_index = 10),
            change(|duty| duty.committee_length = u64::MAX),
            change(|duty| duty.committee_index = 1),
        ];
        let (own, left_out) = own_attesters(odd, 3, &validators(1));
        assert_eq!((own.len(), left_out), (1, 7));
        let mut table = DutyTable::default();
        let fetched = Fetched {
            duties: own,
            ..(*fetched::<Attester>(1, 1, 1)).clone()
        };
        table.attesters.insert(3, Arc::new(fetched));
        assert_eq!(table.attesters_at(3 * SLOTS_PER_EPOCH).len(), 1);
        assert!(table.attesters_at(3 * SLOTS_PER_EPOCH + 1).is_empty());
        assert!(table.has_duty_at(3 * SLOTS_PER_EPOCH));
        table.forget_before(4);
        assert_eq!(table.attesters.len(), 1);
        table.forget_before(5);
        assert!(table.attesters.is_empty());
    }
}
