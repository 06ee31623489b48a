//! What the chain knows of our keys: index, status and the epochs between which they have duties.

use crate::beacon::{Ask, Need, Nodes, Status, Unanswered, ValidatorInfo};
use consensus::types::{BLSPubkey, Epoch, ValidatorIndex};
use std::collections::{BTreeMap, HashSet};

/// So many keys go into one question: some 100 KiB out, 600 KiB back.
const KEYS_AT_ONCE: usize = 1000;

/// Our validators as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    known: BTreeMap<BLSPubkey, ValidatorInfo>,
    /// The keys that were asked about.
    asked: Vec<BLSPubkey>,
    /// Changes whenever duties that were fetched before may not be all any more.
    pub generation: u64,
}

impl Validators {
    /// What was learned of these keys, as the successor of `before`.
    pub fn next(before: &Validators, asked: Vec<BLSPubkey>, found: Vec<ValidatorInfo>) -> Self {
        // A node that answers with keys that nobody asked for is not believed.
        let ours: HashSet<&BLSPubkey> = asked.iter().collect();
        let known: BTreeMap<_, _> = found
            .into_iter()
            .filter(|info| ours.contains(&info.pubkey))
            .map(|info| (info.pubkey, info))
            .collect();
        let life = |info: &ValidatorInfo| (info.index, info.activation_epoch, info.exit_epoch);
        let same = known.len() == before.known.len()
            && known
                .iter()
                .all(|(key, info)| before.known.get(key).is_some_and(|old| life(old) == life(info)));
        Validators {
            known,
            asked,
            generation: before.generation + u64::from(!same),
        }
    }

    /// What is known of a key.
    pub fn get(&self, key: &BLSPubkey) -> Option<&ValidatorInfo> {
        self.known.get(key)
    }

    /// All that are known, by key.
    pub fn iter(&self) -> impl Iterator<Item = &ValidatorInfo> {
        self.known.values()
    }

    /// The keys that the chain does not know.
    pub fn unknown(&self) -> impl Iterator<Item = &BLSPubkey> {
        self.asked.iter().filter(|key| !self.known.contains_key(*key))
    }

    /// How many keys were asked about.
    pub fn asked(&self) -> usize {
        self.asked.len()
    }

    /// The indices of those that attest in an epoch.
    pub fn active_in(&self, epoch: Epoch) -> Vec<ValidatorIndex> {
        let active = self.iter().filter(|info| info.is_active_in(epoch));
        active.map(|info| info.index).collect()
    }

    /// The indices of those that may sit in a sync committee: a seat outlives the exit.
    pub fn seated(&self) -> Vec<ValidatorIndex> {
        let alive = self
            .iter()
            .filter(|info| !matches!(info.status, Status::PendingInitialized | Status::WithdrawalDone));
        alive.map(|info| info.index).collect()
    }

    /// How many there are of each status, in words.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<Status, usize> = BTreeMap::new();
        for info in self.iter() {
            *counts.entry(info.status).or_default() += 1;
        }
        let mut parts: Vec<String> = counts
            .iter()
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        let unknown = self.unknown().count();
        if unknown > 0 {
            parts.push(format!("{unknown} not yet known to the chain"));
        }
        if parts.is_empty() {
            "no keys".into()
        } else {
            parts.join(", ")
        }
    }
}

/// Asks the nodes about keys.
pub async fn fetch(nodes: &Nodes, ask: Ask, keys: &[BLSPubkey]) -> Result<Vec<ValidatorInfo>, Unanswered> {
    let ask = Ask {
        what: "answer on the keys' validators",
        need: Need::Head,
        ..ask
    };
    let mut found = Vec::with_capacity(keys.len());
    for some in keys.chunks(KEYS_AT_ONCE) {
        let call = |node: std::sync::Arc<crate::beacon::Node>, left| async move { node.validators(some, left).await };
        found.extend(nodes.first(ask, call).await?.value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::constants::FAR_FUTURE_EPOCH;
    use consensus::ssz::Bytes;

    pub(crate) fn info(number: u8, status: Status, activation_epoch: Epoch, exit_epoch: Epoch) -> ValidatorInfo {
        ValidatorInfo {
            index: number.into(),
            pubkey: Bytes([number; 48]),
            status,
            balance: 32_000_000_000,
            effective_balance: 32_000_000_000,
            slashed: false,
            activation_epoch,
            exit_epoch,
        }
    }

    #[test]
    fn generations_change_with_what_duties_hang_on() {
        let keys: Vec<BLSPubkey> = (1..=3).map(|number| Bytes([number; 48])).collect();
        let active = info(1, Status::ActiveOngoing, 0, FAR_FUTURE_EPOCH);
        let pending = info(2, Status::PendingQueued, FAR_FUTURE_EPOCH, FAR_FUTURE_EPOCH);
        let stranger = info(9, Status::ActiveOngoing, 0, FAR_FUTURE_EPOCH);
        let first = Validators::next(&Validators::default(), keys.clone(), vec![active, pending, stranger]);
        assert_eq!(first.generation, 1);
        assert_eq!(first.get(&stranger.pubkey), None);
        assert_eq!(
            first.summary(),
            "1 pending_queued, 1 active_ongoing, 1 not yet known to the chain"
        );
        assert_eq!(first.active_in(5), [1]);

        let mut richer = active;
        richer.balance += 1;
        let second = Validators::next(&first, keys.clone(), vec![pending, richer]);
        assert_eq!(second.generation, 1);
        let mut queued = pending;
        queued.activation_epoch = 9;
        let third = Validators::next(&second, keys.clone(), vec![queued, richer]);
        assert_eq!(third.generation, 2);
        assert_eq!((third.active_in(8), third.active_in(9)), (vec![1], vec![1, 2]));
        let mut leaving = richer;
        (leaving.exit_epoch, leaving.status) = (9, Status::ExitedUnslashed);
        let fourth = Validators::next(&third, keys, vec![queued, leaving]);
        assert_eq!((fourth.active_in(9), fourth.seated()), (vec![2], vec![1, 2]));
    }
}
