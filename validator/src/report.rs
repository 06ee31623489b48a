//! What the operator reads: one line for each duty that was missed or late, with the reason, and one line per epoch.

use crate::metrics::{Kind, Metrics};
use consensus::helpers::misc::compute_epoch_at_slot;
use consensus::types::{Epoch, Slot, ValidatorIndex};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Validators named in a line before "and … more".
const NAMED: usize = 5;
/// Epochs whose tallies are kept: an epoch is summed up soon after its end.
const KEPT_EPOCHS: usize = 8;

/// How the duties of a kind ended in one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Published, late ones too.
    pub done: u64,
    /// Published late.
    pub late: u64,
    /// Not published.
    pub missed: u64,
}

type Tallies = [Tally; Kind::ALL.len()];

/// Counts and tells how duties end.
#[derive(Debug)]
pub struct Report {
    /// The figures for monitoring.
    pub metrics: Arc<Metrics>,
    epochs: Mutex<BTreeMap<Epoch, Tallies>>,
}

impl Report {
    /// A report that counts into `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Report {
            metrics,
            epochs: Mutex::new(BTreeMap::new()),
        }
    }

    fn epochs(&self) -> MutexGuard<'_, BTreeMap<Epoch, Tallies>> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, kind: Kind, slot: Slot, add: impl FnOnce(&mut Tally)) {
        let mut epochs = self.epochs();
        add(&mut epochs.entry(compute_epoch_at_slot(slot)).or_default()[kind as usize]);
        while epochs.len() > KEPT_EPOCHS {
            epochs.pop_first();
        }
    }

    /// So many were published in time.
    pub fn done(&self, kind: Kind, slot: Slot, count: usize) {
        self.count(kind, slot, |tally| tally.done += count as u64);
        self.metrics.outcomes[kind as usize]
            .done
            .fetch_add(count as u64, Ordering::Relaxed);
    }

    /// So many were published, but late.
    pub fn late(&self, kind: Kind, slot: Slot, count: usize, why: impl Display) {
        self.count(kind, slot, |tally| {
            tally.done += count as u64;
            tally.late += count as u64;
        });
        let outcomes = &self.metrics.outcomes[kind as usize];
        outcomes.done.fetch_add(count as u64, Ordering::Relaxed);
        outcomes.late.fetch_add(count as u64, Ordering::Relaxed);
        tracing::warn!("late: {count} {} of slot {slot}: {why}", kind.words(count));
    }

    /// These validators' were not published.
    pub fn missed(&self, kind: Kind, slot: Slot, who: &[ValidatorIndex], why: impl Display) {
        if who.is_empty() {
            return;
        }
        let count = who.len();
        self.count(kind, slot, |tally| tally.missed += count as u64);
        self.metrics.outcomes[kind as usize]
            .missed
            .fetch_add(count as u64, Ordering::Relaxed);
        tracing::warn!(
            "missed: {count} {} of slot {slot} ({}): {why}",
            kind.words(count),
            named(who)
        );
    }

    /// How the duties of a kind ended in an epoch, as far as it is remembered.
    pub fn tally(&self, epoch: Epoch, kind: Kind) -> Tally {
        self.epochs()
            .get(&epoch)
            .map_or_else(Tally::default, |tallies| tallies[kind as usize])
    }

    /// An epoch in words; `None` if there was nothing to do.
    pub fn summary(&self, epoch: Epoch) -> Option<String> {
        let tallies = *self.epochs().get(&epoch)?;
        let parts = Kind::ALL.into_iter().zip(tallies).filter_map(|(kind, tally)| {
            let Tally { done, late, missed } = tally;
            if done + missed == 0 {
                return None;
            }
            let mut part = format!("{done} {} sent", kind.words(done as usize));
            if late > 0 {
                part += &[" (", &late.to_string(), " late)"].concat();
            }
            if missed > 0 {
                part += &[", ", &missed.to_string(), " MISSED"].concat();
            }
            Some(part)
        });
        let parts: Vec<String> = parts.collect();
        (!parts.is_empty()).then(|| format!("epoch {epoch}: {}", parts.join("; ")))
    }
}

/// Validators in words: the first few by index.
pub fn named(who: &[ValidatorIndex]) -> String {
    let first: Vec<String> = who.iter().take(NAMED).map(ToString::to_string).collect();
    let word = if who.len() == 1 { "validator" } else { "validators" };
    match who.len().saturating_sub(NAMED) {
        0 => format!("{word} {}", first.join(", ")),
        more => format!("{word} {} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::preset::SLOTS_PER_EPOCH;

    #[test]
    fn an_epoch_is_summed_up_in_words() {
        let report = Report::new(Arc::default());
        assert_eq!(report.summary(2), None);
        let slot = 2 * SLOTS_PER_EPOCH;
        report.done(Kind::Attestation, slot, 3);
        report.late(Kind::Attestation, slot + 1, 1, "slow");
        report.missed(Kind::Attestation, slot + 1, &[8, 9], "no node");
        report.missed(Kind::Attestation, slot + 1, &[], "nobody");
        report.done(Kind::Block, slot, 1);
        let text = report.summary(2).unwrap();
        assert_eq!(text, "epoch 2: 4 attestations sent (1 late), 2 MISSED; 1 block sent");
        for epoch in 3..20 {
            report.done(Kind::Block, epoch * SLOTS_PER_EPOCH, 1);
        }
        assert_eq!(report.summary(2), None);
        assert_eq!(report.tally(19, Kind::Block).done, 1);
        assert_eq!(report.metrics.outcomes[0].missed.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn many_validators_are_not_all_named() {
        assert_eq!(named(&[3]), "validator 3");
        assert_eq!(named(&[1, 2, 3, 4, 5, 6, 7]), "validators 1, 2, 3, 4, 5 and 2 more");
    }
}
