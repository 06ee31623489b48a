//! Single blocks that are missing: parents of blocks that came, and blocks that votes name. Asked for by root, back to
//! one that is here, and imported from there on.

use super::fetch::{By, Failed, Fetched, Fetcher};
use super::{Import, import};
use crate::network::peer::{Offence, PeerView};
use consensus::types::Root;
use libp2p::PeerId;
use std::collections::{HashSet, VecDeque};

/// Lookups at once: missing blocks come singly, and more would only serve who makes them up.
const ACTIVE_MAX: usize = 4;

/// Lookups that wait for their turn.
const WAITING_MAX: usize = 64;

/// How many blocks back a lookup goes. What lies deeper is range sync's, which learns of it from the peers' status.
const DEPTH_MAX: usize = 32;

/// Peers that are asked for one block.
const PEERS_MAX: usize = 4;

/// How long a block is waited for that is named without anybody who has it, in milliseconds.
const NAMED_MS: u64 = 500;

/// Failed lookups that are remembered, and for how long, in milliseconds: whoever names blocks that do not exist has us
/// look for each once in two minutes at most.
const FAILED_MAX: usize = 256;
const FAILED_MS: u64 = 120_000;

/// Which blocks are looked for.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    /// Root, who probably has it, and from when on it is asked for.
    waiting: VecDeque<(Root, Option<PeerId>, u64)>,
    active: HashSet<Root>,
    failed: VecDeque<(Root, u64)>,
}

impl Lookups {
    /// Wants a block, unless it is wanted already or could not be had a moment ago.
    pub(crate) fn want(&mut self, root: Root, from: Option<PeerId>, now_ms: u64) {
        while self.failed.front().is_some_and(|(_, until)| *until <= now_ms) {
            self.failed.pop_front();
        }
        let failed = self.failed.iter().any(|(known, _)| *known == root);
        let waits = self.waiting.iter().any(|(known, ..)| *known == root);
        if failed || waits || self.active.contains(&root) || self.waiting.len() >= WAITING_MAX {
            return;
        }
        // What only votes name most often comes by gossip a moment later.
        let wait = if from.is_some() { 0 } else { NAMED_MS };
        self.waiting.push_back((root, from, now_ms.saturating_add(wait)));
    }

    /// The next to start.
    pub(crate) fn next(&mut self, now_ms: u64) -> Option<(Root, Option<PeerId>)> {
        if self.active.len() >= ACTIVE_MAX {
            return None;
        }
        let due = self.waiting.iter().position(|(.., from_ms)| *from_ms <= now_ms)?;
        let (root, from, _) = self.waiting.remove(due)?;
        self.active.insert(root);
        Some((root, from))
    }

    /// One is through.
    pub(crate) fn done(&mut self, root: Root, found: bool, now_ms: u64) {
        self.active.remove(&root);
        if !found {
            if self.failed.len() >= FAILED_MAX {
                self.failed.pop_front();
            }
            self.failed.push_back((root, now_ms.saturating_add(FAILED_MS)));
        }
    }
}

/// Tries of one lookup, each without the peers that gave a wrong block before: a block's root does not tell whether its
/// signature is right.
const TRIES: usize = 3;

/// Looks for a block and imports it with the ancestors that are missing. True if it is here in the end.
pub(crate) async fn look_up(fetcher: &Fetcher, root: Root, from: Option<PeerId>) -> bool {
    let mut liars: Vec<PeerId> = Vec::new();
    for _ in 0..TRIES {
        let Some(found) = walk_back(fetcher, root, from, &liars).await else {
            return false;
        };
        match import_all(fetcher, root, found).await {
            Ok(()) => return fetcher.chain.snapshot().block(&root).is_some(),
            Err(Some(liar)) => liars.push(liar),
            Err(None) => return false,
        }
    }
    false
}

/// Imports what was found, oldest first. The error names who gave a wrong block.
async fn import_all(fetcher: &Fetcher, root: Root, found: Vec<(PeerId, Fetched)>) -> Result<(), Option<PeerId>> {
    for (peer, block) in found.into_iter().rev() {
        let block = match fetcher.with_data(vec![block], Some(peer), By::Root).await {
            Ok(mut blocks) => blocks.pop().ok_or(None)?,
            Err(why) => {
                tracing::debug!(%root, %why, "a block that is missing cannot be completed");
                return Err(matches!(why, Failed::Peer(_)).then_some(peer));
            }
        };
        match import(&fetcher.chain, block).await {
            Import::Done => {}
            Import::Wrong(why) => {
                fetcher.asker.report(peer, Offence::Invalid(why));
                return Err(Some(peer));
            }
            Import::Apart | Import::Later(_) => return Err(None),
        }
    }
    Ok(())
}

/// The block and those before it that are missing, newest first, with who gave each.
async fn walk_back(
    fetcher: &Fetcher,
    root: Root,
    from: Option<PeerId>,
    liars: &[PeerId],
) -> Option<Vec<(PeerId, Fetched)>> {
    let mut found: Vec<(PeerId, Fetched)> = Vec::new();
    let mut next = root;
    let mut from = from;
    while fetcher.chain.snapshot().block(&next).is_none() {
        if found.len() >= DEPTH_MAX {
            tracing::debug!(%root, "a block that is missing lies too deep; range sync is to bring it");
            return None;
        }
        let (peer, block) = block_of_any(fetcher, next, from, liars).await?;
        let snapshot = fetcher.chain.snapshot();
        let finalized = snapshot.finalized().epoch * consensus::preset::SLOTS_PER_EPOCH;
        if block.block.message.slot <= finalized {
            tracing::debug!(%root, "a block that is missing is of another chain than the finalized one");
            return None;
        }
        next = block.block.message.parent_root;
        from = Some(peer);
        found.push((peer, block));
    }
    Some(found)
}

/// The block from whoever has it but for `liars`, `from` first.
async fn block_of_any(
    fetcher: &Fetcher,
    root: Root,
    from: Option<PeerId>,
    liars: &[PeerId],
) -> Option<(PeerId, Fetched)> {
    let mut peers: Vec<PeerView> = fetcher.asker.peers();
    peers.retain(|peer| !liars.contains(&peer.id));
    peers.sort_by_key(|peer| {
        let load = fetcher.asker.load(&peer.id);
        (Some(peer.id) != from, load, std::cmp::Reverse(peer.score))
    });
    for peer in peers.iter().take(PEERS_MAX) {
        match fetcher.block_by_root(peer.id, root).await {
            Ok(block) => return Some((peer.id, block)),
            Err(why) => tracing::debug!(%root, peer = %peer.id, %why, "no block"),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(number: usize) -> Root {
        let mut root = Root::ZERO;
        root.0[..8].copy_from_slice(&number.to_le_bytes());
        root
    }

    #[test]
    fn a_block_is_looked_for_once_and_after_a_failure_not_at_once_again() {
        let mut lookups = Lookups::default();
        lookups.want(root(1), None, 0);
        lookups.want(root(1), None, 0);
        assert_eq!(lookups.next(NAMED_MS - 1), None, "it may come by gossip");
        assert_eq!(lookups.next(NAMED_MS), Some((root(1), None)));
        lookups.want(root(1), None, 0);
        assert_eq!(lookups.next(NAMED_MS), None);
        lookups.done(root(1), false, 1000);
        lookups.want(root(1), None, 1000 + FAILED_MS - 1);
        assert_eq!(lookups.next(u64::MAX), None);
        lookups.want(root(1), Some(PeerId::random()), 1000 + FAILED_MS);
        assert!(lookups.next(1000 + FAILED_MS).is_some());
    }

    #[test]
    fn lookups_are_bounded() {
        let mut lookups = Lookups::default();
        for number in 0..1000 {
            lookups.want(root(number), None, 0);
        }
        assert_eq!(lookups.waiting.len(), WAITING_MAX);
        let started = std::iter::from_fn(|| lookups.next(NAMED_MS)).count();
        assert_eq!(started, ACTIVE_MAX);
        for number in 0..1000 {
            lookups.done(root(number), false, 0);
        }
        assert_eq!(lookups.failed.len(), FAILED_MAX);
    }
}
