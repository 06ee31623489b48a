//! Keys that nobody vouches for: they sign once the chain has been silent of them for three whole epochs.
//!
//! A key that runs elsewhere attests in every epoch. One of which nothing is seen for three of them is not running, or
//! never was on the chain; it is enabled then, and doppelganger protection listens on as for every key.

use crate::beacon::{Ask, Need};
use crate::clock::Now;
use crate::context::Context;
use crate::doppelganger::{self, Seen};
use crate::signer::Signer;
use crate::slashing_protection::KeyState;
use crate::validators::fetch;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::{BLSPubkey, Epoch, ValidatorIndex};
use std::collections::{BTreeMap, BTreeSet};

/// Whole epochs of silence after which a key signs that nobody vouched for.
pub const EPOCHS_OF_SILENCE: usize = 3;
/// An epoch is judged when its last attestations had this many slots to arrive.
const SLOTS_TO_ARRIVE: u64 = 2;

/// What the nodes know of the keys: an index, or none for a key that the chain does not know.
type Indices = BTreeMap<BLSPubkey, Option<ValidatorIndex>>;

#[derive(Debug)]
struct Watched {
    /// The first epoch that counts: the first whole one after the start, or after the key was seen.
    first: Epoch,
    silent: BTreeSet<Epoch>,
}

/// How long each key has been silent.
#[derive(Debug, Default)]
pub struct Silence {
    keys: BTreeMap<BLSPubkey, Watched>,
}

impl Silence {
    /// Keeps to these keys. The epoch that runs counts for none that is new.
    fn watch(&mut self, keys: &[BLSPubkey], now: Now) {
        self.keys.retain(|key, _| keys.contains(key));
        for key in keys {
            self.keys.entry(*key).or_insert_with(|| Watched {
                first: now.epoch.saturating_add(1),
                silent: BTreeSet::new(),
            });
        }
    }

    /// Takes what was seen in the last epoch and the one that runs; the keys that were silent for long enough.
    fn step(&mut self, indices: &Indices, seen: &Seen, now: Now) -> Vec<BLSPubkey> {
        let last = now.epoch.saturating_sub(1);
        let is_over = now.slot % SLOTS_PER_EPOCH >= SLOTS_TO_ARRIVE;
        let mut free = Vec::new();
        for (key, watched) in &mut self.keys {
            let Some(index) = indices.get(key) else {
                continue;
            };
            let live = |epoch: Epoch| index.map_or(Some(false), |index| seen.get(&(epoch, index)).copied());
            if live(now.epoch) == Some(true) || (last >= watched.first && live(last) == Some(true)) {
                watched.first = now.epoch.saturating_add(1);
                watched.silent.clear();
                continue;
            }
            if is_over && last >= watched.first && live(last) == Some(false) {
                watched.silent.insert(last);
            }
            while watched.silent.len() > EPOCHS_OF_SILENCE {
                watched.silent.pop_first();
            }
            // One after the other: a client that slept between them has not listened.
            let wanted = EPOCHS_OF_SILENCE as u64;
            let end = watched.silent.last().copied().unwrap_or(0).saturating_add(1);
            if end >= wanted && (end - wanted..end).all(|epoch| watched.silent.contains(&epoch)) {
                free.push(*key);
            }
        }
        free
    }
}

/// Listens for keys that wait, once a slot, and enables those that were silent.
pub async fn listen(ctx: Context, signer: Signer) {
    let mut silence = Silence::default();
    loop {
        let slot = ctx.clock.slot_duration();
        let now = ctx.clock.now();
        let keys = signer.keys_in(KeyState::Unvouched);
        if !keys.is_empty() && now.until_genesis_ms == 0 {
            silence.watch(&keys, now);
            for key in round(&ctx, &mut silence, &keys, now).await {
                enable(&signer, key).await;
            }
        }
        // Late in the slot, when nothing else is due.
        let next = ctx.clock.start_of(now.slot.saturating_add(1));
        let next = next.saturating_add((slot * 3 / 4).as_millis() as u64);
        tokio::time::sleep(ctx.clock.until(next).min(slot)).await;
    }
}

async fn round(ctx: &Context, silence: &mut Silence, keys: &[BLSPubkey], now: Now) -> Vec<BLSPubkey> {
    let ask = Ask {
        within: ctx.clock.slot_duration() / 2,
        ..ctx.ask("liveness", Need::Head, now.slot, 0)
    };
    let found = match fetch(&ctx.nodes, ask, keys).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!("keys that wait: {error}");
            return Vec::new();
        }
    };
    let mut indices: Indices = keys.iter().map(|key| (*key, None)).collect();
    for info in found {
        if let Some(index) = indices.get_mut(&info.pubkey) {
            *index = Some(info.index);
        }
    }
    let known: Vec<ValidatorIndex> = indices.values().filter_map(|index| *index).collect();
    let mut seen = Seen::new();
    if !known.is_empty() {
        let epochs = BTreeSet::from([now.epoch.saturating_sub(1), now.epoch]);
        let questions: Vec<_> = epochs.into_iter().map(|epoch| (epoch, known.clone())).collect();
        let (answers, error) = doppelganger::ask(&ctx.nodes, ask, &questions).await;
        seen = answers;
        if let Some(error) = error {
            tracing::debug!("keys that wait: {error}");
        }
    }
    silence.step(&indices, &seen, now)
}

async fn enable(signer: &Signer, key: BLSPubkey) {
    let signer = signer.clone();
    let enabled = tokio::task::spawn_blocking(move || signer.enable_unvouched(&key)).await;
    match enabled {
        Ok(Ok(())) => tracing::info!("key {key} was silent for {EPOCHS_OF_SILENCE} whole epochs: it is enabled"),
        Ok(Err(error)) => tracing::error!("key {key} could not be enabled: {error:#}"),
        Err(error) => tracing::error!("key {key} could not be enabled: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::ssz::Bytes;

    fn at(epoch: Epoch, into: u64) -> Now {
        Now {
            ms: 0,
            slot: epoch * SLOTS_PER_EPOCH + into,
            epoch,
            until_genesis_ms: 0,
        }
    }

    /// Runs through epochs in which the key is seen or not; the epoch in which it is free.
    fn free_in(start: Epoch, index: Option<ValidatorIndex>, live: impl Fn(Epoch) -> Option<bool>) -> Option<Epoch> {
        let key = Bytes([1; 48]);
        let mut silence = Silence::default();
        for epoch in start..start + 12 {
            for into in 0..SLOTS_PER_EPOCH {
                let now = at(epoch, into);
                silence.watch(&[key], now);
                let mut seen = Seen::new();
                for epoch in [epoch - 1, epoch] {
                    seen.extend(live(epoch).map(|live| ((epoch, 5), live)));
                }
                if silence.step(&Indices::from([(key, index)]), &seen, now) == [key] {
                    return Some(epoch);
                }
            }
        }
        None
    }

    #[test]
    fn three_whole_epochs_of_silence_free_a_key() {
        // Started in epoch 10: 11, 12 and 13 are whole.
        assert_eq!(free_in(10, Some(5), |_| Some(false)), Some(14));
        assert_eq!(free_in(10, None, |_| None), Some(14), "not on the chain");
        assert_eq!(free_in(10, Some(5), |epoch| Some(epoch <= 10)), Some(14));
        assert_eq!(free_in(10, Some(5), |epoch| Some(epoch == 12)), Some(16));
        assert_eq!(free_in(10, Some(5), |_| None), None, "no node answers");
        assert_eq!(free_in(10, Some(5), |epoch| (epoch != 12).then_some(false)), Some(16));
        assert_eq!(free_in(10, Some(5), |_| Some(true)), None);
    }
}
