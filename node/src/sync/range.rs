//! Catching up along a chain that peers are on: which chain, which slots of it are asked of whom, what is imported next,
//! and who is to blame where it does not fit. Decides and remembers only; asking and importing is the caller's.
//!
//! Slots are loaded in batches from many peers and imported in order. A batch that a peer gave is proven when blocks of
//! a later batch rest on it: until then it may lack blocks at its end, or be another chain's. Where a batch does not
//! rest on what was imported before it, all batches not proven yet are loaded once more from other peers. When a batch
//! is proven, whoever gave other blocks for its slots is known to have given wrong ones.

use super::ask::best;
use super::fetch::Fetched;
use crate::network::peer::{Offence, PeerView};
use consensus::Invalid;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::types::{Epoch, Root, Slot};
use libp2p::PeerId;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Batches that are being loaded or wait for import. With a batch of at most 16 MB that bounds memory to 64 MB, and four
/// peers keep a line busy while blocks are imported.
const BATCHES_MAX: usize = 4;

/// How often one batch is asked for before its chain is given up: three honest peers among many bad ones are found.
const ATTEMPTS_MAX: usize = 8;

/// Given-up chains that are remembered, so that the same few peers cannot have them tried again and again.
const FAILED_MAX: usize = 64;

/// Blocks before the head from which a chain is loaded: where peers' chain leaves ours a little before our head, it fits
/// at once; where it leaves earlier, loading starts again from the finalized block.
const OVERLAP: u64 = SLOTS_PER_EPOCH;

/// Slots behind a peer's head beyond which that is loaded at once, however new it is. A nearer one may be here in a moment
/// by gossip; so many slots without a block, which would look the same, hardly occur.
const FAR: u64 = 32;

/// What this node has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub(crate) finalized_epoch: Epoch,
    pub(crate) head_slot: Slot,
    pub(crate) current_slot: Slot,
}

/// A chain that peers are on, by its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Target {
    /// Whether the end is their finalized checkpoint: such chains go first.
    pub(crate) finalized: bool,
    /// The slot up to which it is loaded.
    pub(crate) slot: Slot,
    pub(crate) root: Root,
}

/// What became of a batch that was handed out for import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All its blocks are imported, or it had none.
    Done,
    /// Its first block does not rest on what is here.
    Apart,
    /// A block of it is wrong.
    Wrong(Invalid),
    /// It cannot be imported now; for no fault of whoever gave it.
    Later,
}

/// Somebody to be reported.
pub(crate) type Blame = (PeerId, Offence);

#[derive(Debug)]
enum State {
    Wanted,
    Loading(PeerId),
    Loaded(PeerId, Vec<Fetched>),
    Importing(PeerId),
    /// Imported, and no later block rests on it yet.
    Unproven,
}

/// What a peer gave for a batch.
#[derive(Debug)]
enum Answer {
    /// Nothing, or what it was blamed for at once.
    Useless,
    /// These blocks, which did not rest on what was here.
    Apart(Vec<Root>),
    /// These blocks, which are in the chain now.
    In(Vec<Root>),
}

/// Slots of a chain.
#[derive(Debug)]
struct Batch {
    count: u64,
    state: State,
    /// Who gave what for it.
    attempts: Vec<(PeerId, Answer)>,
    /// The blocks of the last import.
    roots: Vec<Root>,
    /// Whether a peer says that it has all of these slots; otherwise peers were asked that say the contrary.
    is_claimed: bool,
}

/// A chain that is being loaded.
#[derive(Debug)]
struct Loading {
    target: Target,
    peers: Vec<PeerId>,
    batches: BTreeMap<Slot, Batch>,
    /// Where the next new batch starts.
    next: Slot,
    /// The batch that is imported next.
    import: Slot,
    /// Whether loading has started from the finalized block.
    from_finalized: bool,
    batch_slots: u64,
}

/// Range sync.
#[derive(Debug, Default)]
pub(crate) struct Range {
    loading: Option<Loading>,
    failed: VecDeque<Root>,
    blames: Vec<Blame>,
}

/// The chain that a peer is on and this node is not, if there is one worth loading.
fn target_of(peer: &PeerView, local: &Local, knows: &impl Fn(&Root) -> bool) -> Option<Target> {
    let status = &peer.status;
    let epoch_now = compute_epoch_at_slot(local.current_slot);
    // Nobody can be ahead of the clock but by its error.
    if status.finalized_epoch > epoch_now || status.head_slot > local.current_slot.saturating_add(1) {
        return None;
    }
    if status.finalized_epoch > local.finalized_epoch && !knows(&status.finalized_root) {
        return Some(Target {
            finalized: true,
            slot: compute_start_slot_at_epoch(status.finalized_epoch),
            root: status.finalized_root,
        });
    }
    // The blocks of the last two slots come by gossip; those before them do not.
    let overdue = status.head_slot.saturating_add(2) <= local.current_slot;
    let far = status.head_slot > local.head_slot.saturating_add(FAR);
    let ahead = status.head_slot > local.head_slot && (overdue || far) && !knows(&status.head_root);
    ahead.then_some(Target {
        finalized: false,
        slot: status.head_slot,
        root: status.head_root,
    })
}

impl Range {
    /// What is being loaded.
    pub(crate) fn target(&self) -> Option<Target> {
        self.loading.as_ref().map(|loading| loading.target)
    }

    /// How many peers have the chain that is being loaded.
    pub(crate) fn peers(&self) -> usize {
        self.loading.as_ref().map_or(0, |loading| loading.peers.len())
    }

    /// Looks at what peers have: starts with a chain, goes over to one that more are on, or keeps the present one while
    /// anybody has it. What was loaded of a chain is kept, since the new one is most often the old one gone on.
    pub(crate) fn choose(
        &mut self,
        local: &Local,
        peers: &[PeerView],
        batch_slots: u64,
        knows: impl Fn(&Root) -> bool,
    ) {
        let target = |peer: &PeerView| {
            let target = target_of(peer, local, &knows);
            target.filter(|target| !self.failed.contains(&target.root))
        };
        let found = peers.iter().filter_map(|peer| Some((peer, target(peer)?)));
        let (good, bad): (Vec<_>, Vec<_>) = found.partition(|(peer, _)| peer.score >= 0);
        let mut groups: HashMap<Target, Vec<PeerId>> = HashMap::new();
        // A peer that has been slow too often is still better than none: the only one would never be asked again.
        for (peer, target) in if good.is_empty() { bad } else { good } {
            groups.entry(target).or_default().push(peer.id);
        }
        if let Some(loading) = &mut self.loading {
            if let Some(members) = groups.remove(&loading.target) {
                loading.peers = members;
                return;
            }
            // Those who were there and have not gone are asked on, though they are further now.
            loading.peers.retain(|id| peers.iter().any(|peer| peer.id == *id));
        }
        // Finalized chains before heads, then the one that most are on.
        let best = groups
            .into_iter()
            .max_by_key(|(target, members)| (target.finalized, members.len(), target.slot, target.root));
        match (&mut self.loading, best) {
            (None, Some((target, members))) => {
                self.loading = Some(Loading::new(target, members, local, batch_slots));
            }
            (Some(loading), Some((target, members))) => {
                if target.slot >= loading.import {
                    loading.target = target;
                    loading.peers = members;
                }
            }
            (Some(loading), None) if loading.peers.is_empty() => self.loading = None,
            (_, None) => {}
        }
    }

    /// Who is to be reported because a chain was given up.
    pub(crate) fn take_blames(&mut self) -> Vec<Blame> {
        std::mem::take(&mut self.blames)
    }

    /// The next batch to ask for: its first slot, how many slots, and of whom.
    pub(crate) fn next_request(
        &mut self,
        peers: &[PeerView],
        load: impl Fn(&PeerId) -> usize,
    ) -> Option<(Slot, u64, PeerId)> {
        self.loading.as_mut()?.next_request(peers, load)
    }

    /// A peer has answered for a batch, or not.
    pub(crate) fn loaded(&mut self, start: Slot, peer: PeerId, blocks: Option<Vec<Fetched>>) {
        let Some(loading) = &mut self.loading else { return };
        let Some(batch) = loading.batches.get_mut(&start) else {
            return;
        };
        if !matches!(batch.state, State::Loading(of) if of == peer) {
            return;
        }
        if let Some(blocks) = blocks {
            batch.state = State::Loaded(peer, blocks);
            return;
        }
        batch.state = State::Wanted;
        batch.attempts.push((peer, Answer::Useless));
        self.give_up_where_hopeless(start);
    }

    /// The sidecars of a batch could not be had: it is asked for again, and nobody is blamed for it.
    pub(crate) fn not_now(&mut self, start: Slot) {
        if let Some(batch) = self.batch(start) {
            batch.state = State::Wanted;
        }
    }

    fn batch(&mut self, start: Slot) -> Option<&mut Batch> {
        self.loading.as_mut()?.batches.get_mut(&start)
    }

    /// The next batch to import, in order.
    pub(crate) fn next_import(&mut self) -> Option<(Slot, Vec<Fetched>)> {
        let loading = self.loading.as_mut()?;
        let start = loading.import;
        let batch = loading.batches.get_mut(&start)?;
        match std::mem::replace(&mut batch.state, State::Wanted) {
            State::Loaded(peer, blocks) => {
                batch.roots = blocks.iter().map(|block| block.root).collect();
                batch.state = State::Importing(peer);
                Some((start, blocks))
            }
            other => {
                batch.state = other;
                None
            }
        }
    }

    /// A batch was imported, or not. `knows` tells whether a block is here now, for the end of the chain.
    pub(crate) fn imported(
        &mut self,
        start: Slot,
        outcome: Outcome,
        local: &Local,
        knows: impl Fn(&Root) -> bool,
    ) -> Vec<Blame> {
        let Some(loading) = &mut self.loading else {
            return Vec::new();
        };
        let Some(batch) = loading.batches.get_mut(&start) else {
            return Vec::new();
        };
        let State::Importing(peer) = batch.state else {
            return Vec::new();
        };
        match outcome {
            Outcome::Later => {
                batch.state = State::Wanted;
                Vec::new()
            }
            Outcome::Wrong(why) => {
                batch.state = State::Wanted;
                batch.attempts.push((peer, Answer::Useless));
                self.give_up_where_hopeless(start);
                vec![(peer, Offence::Invalid(why))]
            }
            Outcome::Apart => {
                let roots = std::mem::take(&mut batch.roots);
                batch.attempts.push((peer, Answer::Apart(roots)));
                self.load_again(start, local);
                Vec::new()
            }
            Outcome::Done => {
                let roots = batch.roots.clone();
                batch.attempts.push((peer, Answer::In(roots)));
                self.done(start, local, knows)
            }
        }
    }

    /// A batch is in the chain.
    fn done(&mut self, start: Slot, local: &Local, knows: impl Fn(&Root) -> bool) -> Vec<Blame> {
        let Some(loading) = &mut self.loading else {
            return Vec::new();
        };
        let Some(batch) = loading.batches.get_mut(&start) else {
            return Vec::new();
        };
        batch.state = State::Unproven;
        let (rests, next) = (!batch.roots.is_empty(), start + batch.count);
        loading.import = next;
        let at_end = next > loading.target.slot;
        let complete = at_end && knows(&loading.target.root);
        let mut blames = Vec::new();
        if complete || rests {
            blames = loading.prove(if complete { next } else { start });
        }
        if complete {
            self.loading = None;
        } else if at_end {
            self.load_again(start, local);
        }
        blames
    }

    /// What is not proven does not fit: it is loaded again from others.
    fn load_again(&mut self, start: Slot, local: &Local) {
        let Some(loading) = &mut self.loading else { return };
        let suspects: Vec<Slot> = loading
            .batches
            .range(..=start)
            .filter(|(slot, batch)| **slot == start || matches!(batch.state, State::Unproven))
            .map(|(slot, _)| *slot)
            .collect();
        let lowest = suspects.first().copied().unwrap_or(start);
        for suspect in &suspects {
            if let Some(batch) = loading.batches.get_mut(suspect) {
                batch.state = State::Wanted;
            }
        }
        loading.import = lowest;
        // The chain may leave ours before the slots that were loaded.
        if suspects.len() == 1 && !loading.from_finalized {
            loading.start_from_finalized(local);
        }
        for suspect in suspects {
            self.give_up_where_hopeless(suspect);
        }
    }

    fn give_up_where_hopeless(&mut self, start: Slot) {
        let Some(loading) = &self.loading else { return };
        let Some(batch) = loading
            .batches
            .get(&start)
            .filter(|batch| batch.attempts.len() >= ATTEMPTS_MAX)
        else {
            return;
        };
        let is_claimed = batch.is_claimed;
        let root = loading.target.root;
        tracing::debug!(%root, start, "a chain that peers are on cannot be had; it is given up");
        if self.failed.len() >= FAILED_MAX {
            self.failed.pop_front();
        }
        self.failed.push_back(root);
        let claimed = self.loading.take().map(|loading| loading.peers).unwrap_or_default();
        if !is_claimed {
            return;
        }
        let why = "it does not give the chain that it says it is on";
        self.blames
            .extend(claimed.into_iter().map(|peer| (peer, Offence::Unreliable(why))));
    }
}

impl Loading {
    fn new(target: Target, peers: Vec<PeerId>, local: &Local, batch_slots: u64) -> Self {
        let finalized = compute_start_slot_at_epoch(local.finalized_epoch);
        let start = (local.head_slot.saturating_sub(OVERLAP)).max(finalized) + 1;
        let start = start.min(target.slot);
        Loading {
            target,
            peers,
            batches: BTreeMap::new(),
            next: start,
            import: start,
            from_finalized: start <= finalized + 1,
            batch_slots: batch_slots.max(1),
        }
    }

    fn start_from_finalized(&mut self, local: &Local) {
        let start = compute_start_slot_at_epoch(local.finalized_epoch) + 1;
        self.batches.clear();
        self.next = start;
        self.import = start;
        self.from_finalized = true;
    }

    /// All batches before `end` are as the chain has them: forgets them, and tells who gave something else.
    fn prove(&mut self, end: Slot) -> Vec<Blame> {
        let rest = self.batches.split_off(&end);
        let proven = std::mem::replace(&mut self.batches, rest);
        let mut blames: Vec<Blame> = Vec::new();
        for batch in proven.into_values() {
            for peer in batch.liars() {
                if blames.iter().all(|(known, _)| *known != peer) {
                    blames.push((
                        peer,
                        Offence::Wrong("it gave other blocks for slots than the chain has"),
                    ));
                }
            }
        }
        blames
    }

    fn next_request(&mut self, peers: &[PeerView], load: impl Fn(&PeerId) -> usize) -> Option<(Slot, u64, PeerId)> {
        let busy = self.batches.values().filter(|batch| batch.is_busy()).count();
        if busy >= BATCHES_MAX {
            return None;
        }
        let wanted = self
            .batches
            .iter()
            .find(|(_, batch)| matches!(batch.state, State::Wanted));
        let start = match wanted {
            Some((start, _)) => *start,
            None if self.next <= self.target.slot => self.next,
            None => return None,
        };
        let count = match self.batches.get(&start) {
            Some(batch) => batch.count,
            None => self.batch_slots.min(self.target.slot - start + 1),
        };
        let tried = |peer: &PeerView| {
            let attempts = self.batches.get(&start).map(|batch| &batch.attempts);
            attempts.is_some_and(|attempts| attempts.iter().any(|(of, _)| *of == peer.id))
        };
        let of_chain = |peer: &&PeerView| self.peers.contains(&peer.id);
        let claims = |peer: &PeerView| peer.status.earliest_available_slot <= start;
        // Before its earliest slot a peer may lack sidecars alone, as one whose custody grew. Where nobody claims to have
        // all, its blocks are asked for, and none is blamed.
        let is_claimed = peers.iter().filter(of_chain).any(claims);
        let candidate = |peer: &&PeerView| of_chain(peer) && (claims(peer) || !is_claimed);
        let able = |peer: &&PeerView| candidate(peer) && load(&peer.id) == 0;
        let fresh = peers.iter().filter(able).filter(|peer| !tried(peer));
        // Only when everybody has had a turn is anybody asked again.
        let all_tried = || peers.iter().filter(candidate).all(&tried);
        let peer = match best(fresh, &load) {
            Some(peer) => peer,
            None if all_tried() => best(peers.iter().filter(able), &load)?,
            None => return None,
        };
        let batch = self.batches.entry(start).or_insert_with(|| Batch {
            count,
            state: State::Wanted,
            attempts: Vec::new(),
            roots: Vec::new(),
            is_claimed,
        });
        batch.is_claimed = is_claimed;
        batch.state = State::Loading(peer);
        self.next = self.next.max(start + count);
        Some((start, count, peer))
    }
}

impl Batch {
    /// Who gave other blocks than the chain has, now that it is known to have all that any answer brought into it: what
    /// is in is right, and who gave less of it left blocks out. Where two answers brought in different blocks the slots
    /// lie on a fork, and nobody is blamed.
    fn liars(&self) -> Vec<PeerId> {
        let brought = self.attempts.iter().filter_map(|(_, answer)| match answer {
            Answer::In(roots) => Some(roots),
            Answer::Useless | Answer::Apart(_) => None,
        });
        let Some(right) = brought.clone().max_by_key(|roots| roots.len()) else {
            return Vec::new();
        };
        if !brought.flatten().all(|root| right.contains(root)) {
            return Vec::new();
        }
        let lied = self.attempts.iter().filter(|(_, answer)| match answer {
            Answer::Useless => false,
            Answer::Apart(roots) | Answer::In(roots) => roots != right,
        });
        lied.map(|(peer, _)| *peer).collect()
    }

    /// Whether it takes up memory or a peer.
    fn is_busy(&self) -> bool {
        matches!(self.state, State::Loading(_) | State::Loaded(..) | State::Importing(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::types::Status;
    use std::collections::HashSet;
    use std::sync::Arc;

    fn root(number: u64) -> Root {
        let mut root = Root::ZERO;
        root.0[..8].copy_from_slice(&number.to_le_bytes());
        root.0[31] = 1;
        root
    }

    fn peer(head: Slot) -> PeerView {
        PeerView {
            id: PeerId::random(),
            status: Status {
                head_slot: head,
                head_root: root(head),
                ..Status::default()
            },
            columns: Arc::from([]),
            score: 0,
        }
    }

    #[test]
    fn a_peer_of_ill_repute_is_asked_where_there_is_no_other() {
        let (mut bad, good) = (peer(20), peer(30));
        bad.score = -5;
        let mut run = Run::new(vec![bad.clone()]);
        run.go(|_, start, count| Some(blocks(start, count)));
        assert_eq!(run.tip, 20);
        let mut run = Run::new(vec![bad.clone(), good.clone()]);
        run.go(|_, start, count| Some(blocks(start, count)));
        assert_eq!(run.tip, 30);
        assert!(run.asked.iter().all(|(_, id)| *id == good.id));
    }

    #[test]
    fn who_lacks_sidecars_alone_is_asked_where_nobody_has_all() {
        let (mut grown, whole) = (peer(20), peer(30));
        grown.status.earliest_available_slot = 8;
        let mut run = Run::new(vec![grown.clone()]);
        run.go(|_, start, count| Some(blocks(start, count)));
        assert_eq!(run.tip, 20);
        let mut run = Run::new(vec![grown.clone(), whole.clone()]);
        run.go(|_, start, count| Some(blocks(start, count)));
        assert_eq!(run.tip, 30);
        assert!(run.asked.iter().all(|(_, id)| *id == whole.id));
        let mut run = Run::new(vec![grown]);
        run.go(|_, _, _| None);
        assert_eq!(
            (run.tip, run.range.blames.len()),
            (0, 0),
            "it never claimed to have them"
        );
    }

    #[test]
    fn a_head_of_this_slot_is_loaded_at_once_where_much_is_missing() {
        let now = LOCAL.current_slot;
        let target = |head_slot, local| {
            let local = Local {
                head_slot: local,
                ..LOCAL
            };
            target_of(&peer(head_slot), &local, &|_: &Root| false).map(|target| target.slot)
        };
        assert_eq!(target(now, now - FAR - 1), Some(now));
        assert_eq!(target(now, now - FAR), None, "gossip may bring it");
        assert_eq!(target(now - 2, now - 3), Some(now - 2), "gossip has not brought it");
        assert_eq!(target(now - 1, now - 2), None);
    }

    const LOCAL: Local = Local {
        finalized_epoch: 0,
        head_slot: 0,
        current_slot: 1000,
    };

    /// The blocks of the chain in these slots.
    fn blocks(start: Slot, count: u64) -> Vec<Fetched> {
        let block = |slot| Fetched {
            root: root(slot),
            ..Fetched::default()
        };
        (start..start + count).map(block).collect()
    }

    struct Run {
        range: Range,
        peers: Vec<PeerView>,
        known: HashSet<Root>,
        tip: Slot,
        blames: Vec<Blame>,
        asked: Vec<(Slot, PeerId)>,
        most: usize,
    }

    impl Run {
        fn new(peers: Vec<PeerView>) -> Self {
            Run {
                range: Range::default(),
                peers,
                known: HashSet::from([root(0)]),
                tip: 0,
                blames: Vec::new(),
                asked: Vec::new(),
                most: 0,
            }
        }

        /// Drives the machine: everybody answers as `answers` says; `None` is no answer.
        fn go(&mut self, answers: impl Fn(&PeerId, Slot, u64) -> Option<Vec<Fetched>>) {
            for _ in 0..2000 {
                let known = self.known.clone();
                self.range.choose(&LOCAL, &self.peers, 10, |root| known.contains(root));
                if self.range.target().is_none() {
                    return;
                }
                let mut flying: Vec<(Slot, u64, PeerId)> = Vec::new();
                let mut busy: HashSet<PeerId> = HashSet::new();
                while let Some((start, count, id)) = self
                    .range
                    .next_request(&self.peers, |id| usize::from(busy.contains(id)))
                {
                    assert!(busy.insert(id), "asked twice at once");
                    assert!(
                        flying.iter().all(|(of, ..)| *of != start),
                        "a batch is asked for twice at once"
                    );
                    self.asked.push((start, id));
                    flying.push((start, count, id));
                }
                self.most = self.most.max(flying.len());
                for (start, count, id) in flying {
                    self.range.loaded(start, id, answers(&id, start, count));
                }
                while let Some((start, blocks)) = self.range.next_import() {
                    let outcome = self.import(&blocks);
                    let known = self.known.clone();
                    let blames = self.range.imported(start, outcome, &LOCAL, |root| known.contains(root));
                    self.blames.extend(blames);
                }
            }
        }

        /// A chain whose block of slot n rests on that of slot n - 1.
        fn import(&mut self, blocks: &[Fetched]) -> Outcome {
            for block in blocks {
                let number = u64::from_le_bytes(block.root.0[..8].try_into().unwrap());
                if block.root != root(number) {
                    return Outcome::Wrong(Invalid::new("block", "wrong"));
                }
                if !self.known.contains(&root(number - 1)) {
                    return Outcome::Apart;
                }
                self.known.insert(block.root);
                self.tip = self.tip.max(number);
            }
            Outcome::Done
        }

        fn blamed(&self) -> Vec<PeerId> {
            self.blames.iter().map(|(peer, _)| *peer).collect()
        }
    }

    #[test]
    fn honest_peers_share_the_work_and_nothing_is_asked_twice() {
        let mut run = Run::new((0..3).map(|_| peer(205)).collect());
        run.go(|_, start, count| Some(blocks(start, count)));
        assert_eq!(run.tip, 205);
        assert_eq!(run.asked.len(), 21);
        let askees: HashSet<PeerId> = run.asked.iter().map(|(_, id)| *id).collect();
        assert_eq!((askees.len(), run.most), (3, 3));
        assert!(run.blames.is_empty());
    }

    #[test]
    fn at_most_four_batches_are_held() {
        let mut run = Run::new((0..9).map(|_| peer(205)).collect());
        run.go(|_, start, count| Some(blocks(start, count)));
        assert_eq!((run.tip, run.most), (205, BATCHES_MAX));
    }

    #[test]
    fn who_gives_a_wrong_block_is_blamed_for_it_at_once() {
        let mut run = Run::new((0..3).map(|_| peer(205)).collect());
        let liar = run.peers[1].id;
        run.go(|id, start, count| {
            let mut blocks = blocks(start, count);
            if *id == liar {
                blocks[3].root.0[31] = 9;
            }
            Some(blocks)
        });
        assert_eq!(run.tip, 205);
        assert!(!run.blames.is_empty() && run.blamed().iter().all(|id| *id == liar));
    }

    #[test]
    fn who_leaves_blocks_out_is_found_when_later_ones_do_not_rest_on_them() {
        for keep in [0, 4] {
            let mut run = Run::new((0..4).map(|_| peer(205)).collect());
            let liar = run.peers[2].id;
            run.go(|id, start, count| {
                let mut blocks = blocks(start, count);
                if *id == liar {
                    blocks.truncate(keep);
                }
                Some(blocks)
            });
            assert_eq!(run.tip, 205, "keeps {keep}");
            assert!(
                !run.blames.is_empty() && run.blamed().iter().all(|id| *id == liar),
                "keeps {keep}"
            );
        }
    }

    #[test]
    fn slots_without_blocks_are_no_fault() {
        let mut run = Run::new((0..2).map(|_| peer(205)).collect());
        // Slots 50 to 89 have none: the block of 90 counts as the one after 49.
        for number in 50..90 {
            run.known.insert(root(number));
        }
        run.go(|_, start, count| {
            let mut blocks = blocks(start, count);
            blocks.retain(|block| {
                let number = u64::from_le_bytes(block.root.0[..8].try_into().unwrap());
                !(50..90).contains(&number)
            });
            Some(blocks)
        });
        assert_eq!(run.tip, 205);
        assert!(run.blames.is_empty());
    }

    #[test]
    fn a_chain_that_nobody_can_give_is_given_up_and_not_tried_again() {
        let mut run = Run::new(vec![peer(205)]);
        run.go(|_, _, _| None);
        assert_eq!((run.tip, run.asked.len()), (0, ATTEMPTS_MAX));
        run.go(|_, _, _| None);
        assert_eq!(run.asked.len(), ATTEMPTS_MAX);
        assert_eq!(run.range.take_blames().len(), 1);
    }

    #[test]
    fn a_false_claim_costs_its_bounded_tries_and_then_the_honest_chain_follows() {
        let mut boaster = peer(900);
        boaster.status.finalized_epoch = 5;
        boaster.status.finalized_root = root(5000);
        let id = boaster.id;
        let mut run = Run::new(vec![boaster, peer(205), peer(205)]);
        run.go(|of, start, count| (*of != id).then(|| blocks(start, count)));
        assert_eq!(run.tip, 205);
        let wasted = run.asked.iter().filter(|(_, of)| *of == id).count();
        assert!(wasted <= 2 * ATTEMPTS_MAX, "{wasted}");
    }

    #[test]
    fn nobody_is_believed_who_is_ahead_of_the_clock() {
        let mut run = Run::new(vec![peer(5000)]);
        run.go(|_, start, count| Some(blocks(start, count)));
        assert!(run.asked.is_empty());
    }

    #[test]
    fn peers_that_move_on_while_loading_are_followed() {
        let mut range = Range::default();
        let mut peers = vec![peer(100)];
        range.choose(&LOCAL, &peers, 10, |_| false);
        assert_eq!(range.target().map(|target| target.slot), Some(100));
        assert!(range.next_request(&peers, |_| 0).is_some());
        peers[0].status.head_slot = 120;
        peers[0].status.head_root = root(120);
        range.choose(&LOCAL, &peers, 10, |_| false);
        assert_eq!(range.target().map(|target| target.slot), Some(120));
        assert_eq!(range.next_request(&peers, |_| 0).map(|(start, ..)| start), Some(11));
        range.choose(&LOCAL, &[], 10, |_| false);
        assert_eq!(range.target(), None);
    }
}
