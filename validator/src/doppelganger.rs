//! Doppelganger protection: before a key signs, the client listens whether another one signs with it.
//!
//! Two clients with one key get its validator slashed sooner or later. So a key listens for two whole epochs first, and
//! if anything of it is seen in them, that is a double: the key stops for good and the client with it. Nobody has signed
//! anything in the genesis epoch, and a client that was restarted at once need not wait: its database holds what the key
//! signed in this epoch or the last, lies where it was written, and the nodes have seen nothing of the key beyond it.
//!
//! What was signed before the start is no double: the epoch of the start itself is never listened to.

use crate::beacon::{Ask, Liveness, Need, Node, Nodes, Unanswered};
use crate::clock::Now;
use crate::gate::Allowed;
use crate::validators::Validators;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::{BLSPubkey, Epoch, ValidatorIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// Whole epochs of silence after which a key signs.
pub const EPOCHS_OF_SILENCE: usize = 2;
/// An epoch is judged when its last attestations had a slot to arrive.
const SLOTS_TO_ARRIVE: u64 = 1;

/// Whether the database, in the place where it was written, holds something that a key signed in an epoch.
pub type Recorded = Arc<dyn Fn(&BLSPubkey, Epoch) -> bool + Send + Sync>;

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing yet: the chain does not know it, or no node could be asked.
    New,
    /// It listens from the epoch `first` on; `silent` are the whole epochs in which nothing was seen.
    Listening { first: Epoch, silent: BTreeSet<Epoch> },
    /// It signs.
    Free,
}

/// Somebody else signs with our keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubles(pub Vec<(BLSPubkey, ValidatorIndex, Epoch)>);

impl fmt::Display for Doubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(key, index, epoch): &(BLSPubkey, ValidatorIndex, Epoch)| {
            format!("validator {index} (key {key}) was seen in epoch {epoch}")
        };
        let all: Vec<String> = self.0.iter().map(one).collect();
        write!(
            f,
            "another client signs with keys of this one: {}. The keys are stopped; find the other client, and when it is \
             off for certain, `wren keys enable` lets them sign again",
            all.join("; ")
        )
    }
}

/// What nodes say of keys in epochs: whether a validator was seen. A missing answer is none.
pub type Seen = BTreeMap<(Epoch, ValidatorIndex), bool>;

/// Decides which keys may sign.
pub struct Doppelganger {
    phases: BTreeMap<BLSPubkey, Phase>,
    recorded: Recorded,
    /// Off: every key signs at once.
    enabled: bool,
    /// The epoch of the last round.
    last: Option<Epoch>,
}

impl Doppelganger {
    /// One that knows no key yet; `recorded` looks into the slashing protection database.
    pub fn new(recorded: Recorded, enabled: bool) -> Self {
        Doppelganger {
            phases: BTreeMap::new(),
            recorded,
            enabled,
            last: None,
        }
    }

    /// What must be asked of the nodes before `step`: epochs and the validators to ask about. At most three epochs.
    pub fn questions(
        &mut self,
        keys: &[BLSPubkey],
        validators: &Validators,
        now: Now,
    ) -> Vec<(Epoch, Vec<ValidatorIndex>)> {
        self.phases.retain(|key, _| keys.contains(key));
        // A machine that slept for epochs was not there to sign, and another one may have taken its place; and a clock
        // that stood before genesis has freed keys of a chain that is old.
        let gap = self
            .last
            .is_some_and(|last| now.epoch < last || now.epoch > last.saturating_add(1));
        if gap {
            self.phases.clear();
        }
        self.last = Some(now.epoch);
        for key in keys {
            let phase = self.phases.entry(*key).or_insert(Phase::New);
            // Nobody has signed anything before the second epoch.
            if !self.enabled || (now.epoch == 0 && *phase == Phase::New) {
                *phase = Phase::Free;
            }
        }
        let mut questions: BTreeMap<Epoch, Vec<ValidatorIndex>> = BTreeMap::new();
        for (key, phase) in &self.phases {
            let Some(index) = validators.get(key).map(|info| info.index) else {
                continue;
            };
            for epoch in epochs_to_ask(phase, now.epoch) {
                questions.entry(epoch).or_default().push(index);
            }
        }
        questions.into_iter().collect()
    }

    /// Takes the answers. The doubles that were seen, if any: their keys stay out.
    pub fn step(&mut self, validators: &Validators, seen: &Seen, now: Now) -> Result<(), Doubles> {
        let mut doubles = Vec::new();
        for (key, phase) in &mut self.phases {
            let Some(info) = validators.get(key) else {
                continue;
            };
            match phase {
                Phase::Free => {}
                Phase::New => {
                    let recorded = |epoch| (self.recorded)(key, epoch);
                    if let Some(next) = judge_new(info.index, recorded, seen, now.epoch) {
                        *phase = next;
                    }
                }
                Phase::Listening { first, silent } => match judge_listening(info.index, *first, silent, seen, now) {
                    Some(epoch) => doubles.push((*key, info.index, epoch)),
                    None if silent.len() >= EPOCHS_OF_SILENCE => *phase = Phase::Free,
                    None => {}
                },
            }
        }
        for (key, ..) in &doubles {
            self.phases.remove(key);
        }
        if doubles.is_empty() {
            Ok(())
        } else {
            Err(Doubles(doubles))
        }
    }

    /// The keys that may sign.
    pub fn allowed(&self) -> impl Iterator<Item = BLSPubkey> {
        let free = self.phases.iter().filter(|(_, phase)| **phase == Phase::Free);
        free.map(|(key, _)| *key)
    }

    /// How many keys listen, and the last epoch that they have to listen to if all stays silent and answered.
    pub fn listening(&self) -> Option<(usize, Epoch)> {
        let ends = self.phases.values().filter_map(|phase| match phase {
            Phase::Listening { first, .. } => Some(first + EPOCHS_OF_SILENCE as u64 - 1),
            _ => None,
        });
        let ends: Vec<Epoch> = ends.collect();
        let last = ends.iter().max()?;
        Some((ends.len(), *last))
    }
}

/// The epochs that decide about a key now. Nodes answer for the current epoch and the last.
fn epochs_to_ask(phase: &Phase, epoch: Epoch) -> impl Iterator<Item = Epoch> {
    let first = match phase {
        Phase::New => Some(0),
        Phase::Listening { first, .. } => Some(*first),
        Phase::Free => None,
    };
    let last = epoch.saturating_sub(1);
    (last..=epoch).filter(move |epoch| first.is_some_and(|first| *epoch >= first))
}

/// What becomes of a key whose validator is known: free at once if everything that was seen of it is in the database,
/// and the database holds something recent; listening otherwise. `None` while the nodes have not answered.
fn judge_new(index: ValidatorIndex, recorded: impl Fn(Epoch) -> bool, seen: &Seen, epoch: Epoch) -> Option<Phase> {
    let listening = Phase::Listening {
        first: epoch.saturating_add(1),
        silent: BTreeSet::new(),
    };
    let epochs = [epoch.saturating_sub(1), epoch];
    if !epochs.into_iter().any(&recorded) {
        return Some(listening);
    }
    for epoch in epochs {
        if *seen.get(&(epoch, index))? && !recorded(epoch) {
            return Some(listening);
        }
    }
    Some(Phase::Free)
}

/// Notes silent epochs; an epoch in which the key was seen.
fn judge_listening(
    index: ValidatorIndex,
    first: Epoch,
    silent: &mut BTreeSet<Epoch>,
    seen: &Seen,
    now: Now,
) -> Option<Epoch> {
    let into_epoch = now.slot % SLOTS_PER_EPOCH;
    for epoch in [now.epoch.saturating_sub(1), now.epoch] {
        if epoch < first {
            continue;
        }
        match seen.get(&(epoch, index)) {
            Some(true) => return Some(epoch),
            Some(false) if epoch < now.epoch && into_epoch >= SLOTS_TO_ARRIVE => {
                silent.insert(epoch);
            }
            _ => {}
        }
    }
    None
}

/// Asks the nodes. What they do not answer is missing, and asked again in the next slot.
pub async fn ask(nodes: &Nodes, ask: Ask, questions: &[(Epoch, Vec<ValidatorIndex>)]) -> (Seen, Option<Unanswered>) {
    let mut seen = Seen::new();
    let mut failed = None;
    let ask = Ask {
        what: "answer on whether our validators were seen",
        need: Need::Head,
        ..ask
    };
    for (epoch, indices) in questions {
        let epoch = *epoch;
        let call = |node: Arc<Node>, left| async move { node.liveness(epoch, indices, left).await };
        match nodes.first(ask, call).await {
            Ok(answer) => {
                let asked: BTreeSet<ValidatorIndex> = indices.iter().copied().collect();
                let answers = answer
                    .value
                    .into_iter()
                    .filter(|Liveness { index, .. }| asked.contains(index));
                seen.extend(answers.map(|Liveness { index, is_live }| ((epoch, index), is_live)));
            }
            Err(error) => failed = Some(error),
        }
    }
    (seen, failed)
}

/// Publishes which keys may sign, if that has changed.
pub fn publish(doppelganger: &Doppelganger, allowed: &watch::Sender<Allowed>) {
    let now = doppelganger.allowed().collect();
    allowed.send_if_modified(|before| {
        let changed = **before != now;
        if changed {
            *before = Arc::new(now);
        }
        changed
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beacon::{Status, ValidatorInfo};
    use consensus::constants::FAR_FUTURE_EPOCH;
    use consensus::ssz::Bytes;

    const KEY: BLSPubkey = Bytes([7; 48]);

    fn validators() -> Validators {
        let info = ValidatorInfo {
            index: 7,
            pubkey: KEY,
            status: Status::ActiveOngoing,
            balance: 0,
            effective_balance: 0,
            slashed: false,
            activation_epoch: 0,
            exit_epoch: FAR_FUTURE_EPOCH,
        };
        Validators::next(&Validators::default(), vec![KEY], vec![info])
    }

    fn at(epoch: Epoch, into: u64) -> Now {
        Now {
            ms: 0,
            slot: epoch * SLOTS_PER_EPOCH + into,
            epoch,
            until_genesis_ms: 0,
        }
    }

    fn guard(recorded: &'static [Epoch]) -> Doppelganger {
        Doppelganger::new(Arc::new(move |_, epoch| recorded.contains(&epoch)), true)
    }

    /// One slot with nodes that answer everything: the epochs in which the key was seen.
    fn slot(guard: &mut Doppelganger, now: Now, live: &[Epoch]) -> Result<bool, Doubles> {
        let validators = validators();
        let questions = guard.questions(&[KEY], &validators, now);
        let answers = questions.iter().map(|(epoch, indices)| {
            assert_eq!(indices, &[7]);
            assert!(
                *epoch == now.epoch || epoch + 1 == now.epoch,
                "nodes know no other epochs"
            );
            ((*epoch, 7), live.contains(epoch))
        });
        let seen = answers.collect();
        guard.step(&validators, &seen, now)?;
        Ok(guard.allowed().next().is_some())
    }

    #[test]
    fn two_whole_epochs_of_silence_and_then_it_signs() {
        let mut guard = guard(&[]);
        // Seen in the epoch of the start and before: that was us.
        assert_eq!(slot(&mut guard, at(10, 3), &[9, 10]), Ok(false));
        assert_eq!(guard.listening(), Some((1, 12)));
        for (epoch, into) in [(10, SLOTS_PER_EPOCH - 1), (11, 0), (11, 5), (12, 0), (12, 5), (13, 0)] {
            assert_eq!(slot(&mut guard, at(epoch, into), &[9, 10]), Ok(false), "{epoch} {into}");
        }
        assert_eq!(slot(&mut guard, at(13, 1), &[9, 10]), Ok(true));
        assert_eq!(guard.listening(), None);
    }

    #[test]
    fn a_double_stops_the_key() {
        for live in [11, 12] {
            let mut guard = guard(&[]);
            assert_eq!(slot(&mut guard, at(10, 3), &[live]), Ok(false));
            assert_eq!(slot(&mut guard, at(11, 0), &[]), Ok(false));
            let error = slot(&mut guard, at(live, 4), &[live]).unwrap_err();
            assert_eq!(error.0, [(KEY, 7, live)]);
            assert!(error.to_string().contains("validator 7"));
            assert_eq!(guard.allowed().count(), 0);
        }
    }

    #[test]
    fn silence_that_nobody_vouches_for_is_none() {
        let mut guard = guard(&[]);
        slot(&mut guard, at(10, 3), &[]).unwrap();
        let validators = validators();
        for epoch in 11..20 {
            guard.questions(&[KEY], &validators, at(epoch, 2));
            guard.step(&validators, &Seen::new(), at(epoch, 2)).unwrap();
            assert_eq!(guard.allowed().count(), 0);
        }
        assert_eq!(slot(&mut guard, at(20, 2), &[]), Ok(false));
        assert_eq!(slot(&mut guard, at(21, 2), &[]), Ok(true));
    }

    #[test]
    fn a_restart_within_an_epoch_signs_at_once() {
        assert_eq!(slot(&mut guard(&[10]), at(10, 3), &[]), Ok(true));
        assert_eq!(slot(&mut guard(&[10]), at(10, 3), &[10]), Ok(true));
        assert_eq!(slot(&mut guard(&[9]), at(10, 0), &[9]), Ok(true));
        // Something was seen that the database lacks; or it is too old; or empty.
        assert_eq!(slot(&mut guard(&[10]), at(10, 3), &[9]), Ok(false));
        assert_eq!(slot(&mut guard(&[9]), at(10, 3), &[10]), Ok(false));
        assert_eq!(slot(&mut guard(&[8]), at(10, 3), &[]), Ok(false));
        // Without an answer nothing is decided.
        let mut guard = guard(&[10]);
        guard.questions(&[KEY], &validators(), at(10, 3));
        guard.step(&validators(), &Seen::new(), at(10, 3)).unwrap();
        assert_eq!((guard.allowed().count(), guard.listening()), (0, None));
        assert_eq!(slot(&mut guard, at(10, 4), &[]), Ok(true));
    }

    #[test]
    fn the_genesis_epoch_is_free_and_so_is_everything_if_switched_off() {
        assert_eq!(slot(&mut guard(&[]), at(0, 5), &[0]), Ok(true));
        let mut off = Doppelganger::new(Arc::new(|_, _| false), false);
        assert_eq!(slot(&mut off, at(9, 0), &[9]), Ok(true));
        // A key that is removed and comes back later starts anew.
        let mut guard = guard(&[]);
        slot(&mut guard, at(0, 5), &[]).unwrap();
        guard.questions(&[], &validators(), at(1, 0));
        assert_eq!(slot(&mut guard, at(1, 1), &[]), Ok(false));
    }

    #[test]
    fn a_machine_that_slept_or_whose_clock_was_set_listens_again() {
        for (first, then, free) in [(0, 1, true), (0, 2, false), (0, 900, false), (9, 3, false)] {
            let mut guard = Doppelganger::new(Arc::new(move |_, epoch| epoch == first), true);
            assert_eq!(slot(&mut guard, at(first, 5), &[]), Ok(true));
            assert_eq!(slot(&mut guard, at(then, 5), &[]), Ok(free), "{first} {then}");
        }
    }
}
