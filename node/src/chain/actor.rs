//! The chain thread: owns the fork choice and is its only writer. It waits for nothing but its queue; what is dear is
//! done by workers and comes back as a value.

use super::budget::Budget;
use super::handle::{Chain, ChainEvent, Event, Imported, NewBlock, Source};
use super::import::{CheckedBlock, EngineAnswer, check_block};
use super::intake::Want;
use super::message::{CheckedMessage, Effect};
use super::pending::{For, Pending};
use super::sidecars::Sidecars;
use super::snapshot::{Ahead, Head, Snapshot};
use super::states::epoch_of;
use crate::disk::{Disk, Kept, Write};
use crate::driver::{EngineDriver, Forkchoice};
use crate::network::peer::Offence;
use crate::pools::Pools;
use crate::work::{Busy, Lane};
use consensus::fork_choice::{
    BlockAction, DataAvailability, ExecutionVerdict, FastConfirmationStore, ForkChoiceNode, Store, ValidAttestation,
};
use consensus::gossip::{Seen, Verdict};
use consensus::helpers::accessors::get_current_epoch;
use consensus::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use consensus::keys::Keys;
use consensus::slot_clock::Deadline;
use consensus::ssz::Ssz;
use consensus::types::{Checkpoint, Epoch, Hash32, Root, Slot};
use consensus::{Fork, Invalid, State, ensure};
use crypto::bls::PublicKey;
use libp2p::PeerId;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// How many events are taken before the head is looked for again and published: a burst of votes costs one look.
const EVENTS_AT_ONCE: usize = 64;

/// How many sets of votes may wait for their slot. A slot's worth of aggregates of all committees, twice; single votes
/// are entered by way of their aggregates where there is no room for more.
const LATER_MAX: usize = 8192;

/// What the chain thread owns.
pub(crate) struct Actor {
    pub(crate) chain: Chain,
    pub(crate) store: Store,
    pub(crate) fast: FastConfirmationStore,
    pub(crate) seen: Seen,
    pub(crate) pending: Pending,
    /// Columns and blobs whose block has not come.
    pub(crate) sidecars: Sidecars,
    /// Votes by the slot from which they count.
    pub(crate) later: BTreeMap<Slot, Vec<ValidAttestation>>,
    pub(crate) later_count: usize,
    pub(crate) keys: Arc<Keys>,
    pub(crate) ahead: Arc<Ahead>,
    /// The block and epoch that a worker is moving on to.
    pub(crate) ahead_wanted: Option<(Root, Epoch)>,
    pub(crate) number: u64,
    pub(crate) disk: Disk,
    /// States to be kept on disk.
    pub(crate) states: SyncSender<Kept>,
    /// The epoch of the last one of them.
    pub(crate) stored_epoch: Epoch,
    /// Which states stay in memory.
    pub(crate) budget: Budget,
    /// The finalized checkpoint up to which the tree is pruned.
    pub(crate) pruned: Checkpoint,
    /// The slot of the clock in which a block was entered last.
    pub(crate) entered_slot: Slot,
    /// Whether the blocks of the database are gone through, at the start.
    pub(crate) replaying: bool,
    /// The block whose state a worker is making again.
    pub(crate) state_wanted: Option<Root>,
    pub(crate) engine: EngineDriver,
    pub(crate) pools: Arc<Pools>,
    pub(crate) safe_slots: u64,
    /// The slot in which fast confirmation ran last.
    pub(crate) confirmed_slot: Option<Slot>,
    pub(crate) changed: bool,
}

impl Actor {
    /// Handles events until it is told to stop. What waits in the queue then is dropped: nothing of it was acknowledged.
    pub(crate) fn run(mut self, events: &Receiver<Event>) {
        while let Ok(event) = events.recv() {
            let mut taken = 1;
            let mut next = Some(event);
            while let Some(event) = next {
                if matches!(event, Event::Stop) {
                    self.disk.write(Write::CleanStop);
                    return;
                }
                self.handle(event);
                next = (taken < EVENTS_AT_ONCE).then(|| events.try_recv().ok()).flatten();
                taken += 1;
            }
            if self.changed {
                self.update_head();
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick(now_ms) => self.on_tick(now_ms),
            Event::Block(new, answer) => {
                // A block may come some milliseconds into its slot, before the next tick.
                self.on_tick(self.chain.clock.now_ms());
                self.on_block(*new, answer, None);
            }
            Event::Checked(checked) => self.on_checked(checked),
            Event::Executed(root, answer) => self.on_executed(root, answer),
            Event::Ahead(ahead) => self.on_ahead(ahead),
            Event::Keys(keys) => self.on_keys(keys),
            Event::GossipBlock(gossip) => {
                self.on_tick(self.chain.clock.now_ms());
                self.on_gossip_block(*gossip);
            }
            Event::Sidecars(sidecars) => self.on_sidecars(sidecars),
            Event::Data(checked) => self.on_data(*checked),
            Event::Missing(root, answer) => self.on_missing(root, answer),
            Event::State(root, state) => self.on_state(root, state),
            Event::Replayed => {
                self.replaying = false;
                // No block may follow for a while: what is here is served.
                self.entered_slot = 0;
                self.changed = true;
            }
            Event::Messages(messages) => messages.into_iter().for_each(|message| self.on_message(message)),
            Event::ProposerHead(slot, answer) => {
                let head = self.store.get_head();
                let on = self.store.get_proposer_head(head, slot).unwrap_or(head);
                // Whoever asked may have gone.
                let _ = answer.send(on.root);
            }
            // Taken by `run`.
            Event::Stop => {}
        }
    }

    pub(crate) fn current_slot(&self) -> Slot {
        self.store.get_current_slot()
    }

    fn on_tick(&mut self, now_ms: u64) {
        let before = self.current_slot();
        let finalized = self.store.finalized_checkpoint();
        self.store.on_tick_ms(now_ms);
        let slot = self.current_slot();
        if slot > before {
            self.changed = true;
            self.release_votes(slot);
            for root in self.pending.those(|wanted| match wanted {
                For::Slot(at) => at <= slot,
                For::Engine => true,
                _ => false,
            }) {
                self.start(root);
            }
            let finalized_slot = compute_start_slot_at_epoch(finalized.epoch);
            self.pending.prune(slot, finalized_slot);
            self.seen.prune(finalized.epoch, slot);
            self.pools.prune(slot);
            self.report(slot);
        }
        self.tick_data(now_ms, slot > before);
        self.confirm(now_ms, slot);
    }

    /// One line per slot for the operator, about the slot that has ended.
    fn report(&self, slot: Slot) {
        let snapshot = self.chain.snapshot();
        let head = &snapshot.head;
        let (justified, finalized) = (self.store.justified_checkpoint(), self.store.finalized_checkpoint());
        let epoch = compute_epoch_at_slot(slot);
        let behind = match slot.saturating_sub(1).saturating_sub(head.slot) {
            0 => String::new(),
            1 => ", no block in the last slot".to_owned(),
            slots => format!(", no block for {slots} slots"),
        };
        let trust = if head.optimistic {
            ", payloads not checked yet"
        } else {
            ""
        };
        tracing::info!(
            "slot {slot} (epoch {epoch}): head {} of slot {}{behind}{trust}, justified epoch {}, finalized epoch {}",
            short(&head.root),
            head.slot,
            justified.epoch,
            finalized.epoch
        );
    }

    /// Once a slot, shortly before attestations are due. Spec: phase0/fast-confirmation.md, `on_fast_confirmation`.
    fn confirm(&mut self, now_ms: u64, slot: Slot) {
        let config = self.store.config();
        let due = self.chain.clock.slots().due_ms(config, slot, Deadline::Attestation);
        if self.confirmed_slot == Some(slot) || due.is_none_or(|due| now_ms.saturating_add(CONFIRM_AHEAD_MS) < due) {
            return;
        }
        self.confirmed_slot = Some(slot);
        match self.fast.on_fast_confirmation(&self.store) {
            Ok(()) => {
                self.changed = true;
                self.tell_confirmed(slot);
            }
            Err(why) => tracing::debug!(%why, "fast confirmation gave no answer"),
        }
    }

    fn tell_confirmed(&self, current_slot: Slot) {
        let root = self.fast.confirmed_root();
        if let Some(slot) = self.store.blocks().get(&root).map(|block| block.slot) {
            self.chain.publish_event(ChainEvent::FastConfirmation {
                root,
                slot,
                current_slot,
            });
        }
    }

    /// Votes that count from now on.
    fn release_votes(&mut self, slot: Slot) {
        let waiting = self.later.split_off(&(slot + 1));
        let due = std::mem::replace(&mut self.later, waiting);
        for vote in due.into_values().flatten() {
            self.later_count -= 1;
            self.store.apply_attestation(&vote);
        }
    }

    /// A block, with the peer that sent it where it is one to be blamed.
    pub(crate) fn on_block(&mut self, new: NewBlock, answer: Option<oneshot::Sender<Imported>>, from: Option<PeerId>) {
        let block = &new.block.message;
        let fork = self.store.config().fork_at_epoch(compute_epoch_at_slot(block.slot));
        let root = block.hash_tree_root(fork);
        if self.store.blocks().get(&root).is_some() {
            reply(answer, Imported::Known);
            return;
        }
        let bytes = new.block.encoded_len(fork, &[]);
        let slot = self.current_slot();
        if self.pending.insert(root, new, bytes, slot, answer) {
            for sidecar in self.sidecars.take(&root) {
                self.pending.add_sidecar(&root, sidecar);
            }
            if let Some(waiting) = self.pending.get_mut(&root) {
                waiting.from = from;
            }
            self.start(root);
        } else {
            self.look_for_data(root);
            if let Some(waiting) = self.pending.get_mut(&root)
                && waiting.wanted != For::Answers
            {
                waiting.answer(&Imported::Waiting("it waits already".into()));
            }
        }
    }

    /// Hands a waiting block to a worker and its payload to the engine, if its parent is here.
    fn start(&mut self, root: Root) {
        let current_slot = self.current_slot();
        let Some(waiting) = self.pending.get_mut(&root) else {
            return;
        };
        let block = &waiting.new.block.message;
        let wanted = if self.store.blocks().get(&block.parent_root).is_none() {
            Some(For::Parent(block.parent_root))
        } else if block.slot > current_slot {
            Some(For::Slot(block.slot))
        } else {
            None
        };
        if let Some(wanted) = wanted {
            waiting.wanted = wanted;
            let sentence = match wanted {
                For::Parent(parent) => format!("its parent {parent} is not here yet"),
                _ => format!("it is of slot {}, the clock says {current_slot}", block.slot),
            };
            waiting.answer(&Imported::Waiting(sentence));
            let (from, source) = (waiting.from, waiting.new.source);
            if let For::Parent(root) = wanted
                && source != Source::Replay
                && self.pending.get_mut(&root).is_none()
            {
                self.chain.want(Want::Block { root, from });
            }
            return;
        }
        waiting.wanted = For::Answers;
        waiting.checked = None;
        waiting.execution = None;
        // The worker's snapshot must know the time and the parent.
        if self.changed {
            self.update_head();
        }
        let Some(waiting) = self.pending.get_mut(&root) else {
            return;
        };
        let (chain, new) = (self.chain.clone(), waiting.new.share());
        let engine = self.engine.clone();
        let job = Box::new(move || {
            let snapshot = chain.snapshot();
            let fork = chain
                .config
                .fork_at_epoch(compute_epoch_at_slot(new.block.message.slot));
            if let Some(answer) = engine.execute(fork, root, &new.block) {
                chain.tell_certainly(Event::Executed(root, answer));
            }
            let checked = check_block(&snapshot, &chain.custody.held(), root, &new, |hash| {
                engine.terminal_block(hash)
            });
            chain.tell_certainly(Event::Checked(Box::new(checked)));
        });
        if self.chain.work.push(Lane::Block, job) == Err(Busy) {
            self.give_up(root, "the node is too busy; hand it in again later");
        }
    }

    pub(crate) fn give_up(&mut self, root: Root, why: &str) {
        if let Some(mut waiting) = self.pending.remove(&root) {
            waiting.answer(&Imported::Waiting(why.into()));
        }
    }

    fn on_checked(&mut self, checked: Box<CheckedBlock>) {
        let root = checked.root;
        if let Some(waiting) = self.pending.get_mut(&root) {
            waiting.checked = Some(checked);
            self.decide(root);
        }
    }

    fn on_executed(&mut self, root: Root, answer: EngineAnswer) {
        if let ExecutionVerdict::Invalid { latest_valid_hash } = answer.verdict {
            let parent = self
                .pending
                .get_mut(&root)
                .map(|waiting| waiting.new.block.message.parent_root);
            let parent = parent.or_else(|| self.store.blocks().get(&root).map(|block| block.parent_root));
            tracing::warn!(%root, words = answer.words.as_deref().unwrap_or("none"), "the execution client found a payload invalid");
            self.store
                .apply_invalid_payload(&root, &parent.unwrap_or(Root::ZERO), latest_valid_hash);
            self.changed = true;
        }
        if let Some(waiting) = self.pending.get_mut(&root) {
            waiting.execution = Some(answer);
            self.decide(root);
        } else if answer.verdict == ExecutionVerdict::Valid && self.store.apply_valid_payload(&root) {
            self.changed = true;
        }
    }

    /// Acts on a block once worker and engine have answered.
    pub(crate) fn decide(&mut self, root: Root) {
        let Some(mut waiting) = self.pending.remove(&root) else {
            return;
        };
        // What is wrong by itself needs no engine.
        let refused = waiting
            .checked
            .as_ref()
            .is_some_and(|checked| !matches!(checked.action, BlockAction::Accept(_)));
        if waiting.checked.is_none() || waiting.execution.is_none() && !refused {
            self.pending.put_back(root, waiting);
            return;
        }
        let (Some(checked), execution) = (waiting.checked.take(), waiting.execution.take()) else {
            return;
        };
        if !refused && checked.data == DataAvailability::Missing {
            self.await_data(root, waiting, checked, execution);
            return;
        }
        let execution = execution.map_or(ExecutionVerdict::Unavailable, |answer| answer.verdict);
        let execution = match execution {
            // Spec: sync/optimistic.md, "Helpers": not on top of a chain without payloads that is young.
            ExecutionVerdict::Optimistic
                if !self
                    .store
                    .is_optimistic_candidate_block(&waiting.new.block.message, self.safe_slots) =>
            {
                ExecutionVerdict::Unavailable
            }
            verdict => verdict,
        };
        let CheckedBlock {
            action,
            data,
            votes,
            silenced,
            took,
            ..
        } = *checked;
        let action = if refused {
            action
        } else {
            action.with_verdicts(data, execution)
        };
        let imported = match action {
            BlockAction::Accept(mut valid) => {
                valid.received_ms = Some(waiting.new.received_ms);
                match self.enter(*valid, &votes, &silenced) {
                    Ok(()) => {
                        tracing::debug!(%root, slot = waiting.new.block.message.slot, ms = took.as_millis(), "block imported");
                        self.store_block(root, waiting);
                        self.start_children(root);
                        return;
                    }
                    Err(why) => Imported::Rejected(why),
                }
            }
            BlockAction::Ignore(_) => Imported::Known,
            BlockAction::Reject(why) => {
                tracing::warn!(%root, slot = waiting.new.block.message.slot, %why, "a block was refused");
                // For a payload that only the execution client can judge nobody is blamed: peers pass it on unjudged.
                if let (true, Some(from)) = (refused, waiting.from) {
                    self.chain.want(Want::Offence(from, Offence::Invalid(why.clone())));
                }
                Imported::Rejected(why)
            }
            BlockAction::DelayUntilParent(parent) | BlockAction::DelayUntilPayload(parent) => {
                self.put_aside(root, waiting, For::Parent(parent), "its parent is not here yet");
                return;
            }
            BlockAction::DelayUntilSlot(slot) => {
                self.put_aside(root, waiting, For::Slot(slot), "it is from a later slot");
                return;
            }
            BlockAction::DelayUntilColumns => {
                self.put_aside(root, waiting, For::Columns, "its data columns are not here yet");
                return;
            }
            BlockAction::DelayUntilState(_) => {
                Imported::Waiting("the state that it builds on cannot be made again now; hand it in again later".into())
            }
            BlockAction::DelayUntilExecution => {
                self.put_aside(root, waiting, For::Engine, ENGINE_SILENT);
                return;
            }
        };
        waiting.answer(&imported);
    }

    pub(crate) fn put_aside(&mut self, root: Root, mut waiting: super::pending::Waiting, wanted: For, sentence: &str) {
        waiting.wanted = wanted;
        waiting.answer(&Imported::Waiting(sentence.into()));
        self.pending.put_back(root, waiting);
    }

    fn enter(
        &mut self,
        valid: consensus::fork_choice::ValidBlock,
        votes: &[ValidAttestation],
        silenced: &[u64],
    ) -> Result<(), Invalid> {
        let finalized = self.store.finalized_checkpoint();
        let (root, state) = (valid.root(), Arc::clone(valid.state()));
        self.store.apply_block(valid)?;
        self.entered_slot = self.current_slot();
        self.budget_state(root, &state);
        for vote in votes {
            self.store.apply_attestation(vote);
        }
        self.store.apply_attester_slashing(silenced);
        self.changed = true;
        ensure!(
            self.store.finalized_checkpoint().epoch >= finalized.epoch,
            "finality",
            "it went back from epoch {}",
            finalized.epoch
        );
        Ok(())
    }

    /// Counts a state that came, and drops those for which there is no room beside it.
    fn budget_state(&mut self, root: Root, state: &Arc<State>) {
        let Some(parent) = self.store.blocks().get(&root).map(|block| block.parent_root) else {
            return;
        };
        let before = epoch_of(&self.store, &parent, state.slot);
        self.budget.enter(root, parent, before, state);
        let dropped = self.budget.shed(&self.needed_states(root));
        let dropped: Vec<Arc<State>> = dropped.iter().filter_map(|root| self.store.drop_state(root)).collect();
        self.store
            .limit_checkpoint_states(self.budget.checkpoint_states(state.validators.len()));
        // A large state takes a while to free, if this was the last to hold it. Where there is no room it goes here.
        if !dropped.is_empty() {
            let _ = self.chain.work.push(Lane::Operation, Box::new(move || drop(dropped)));
        }
    }

    /// Blocks whose states the fork choice asks for at any time, and those that may be finalized next: the oldest state of
    /// the tree must be there, for what was dropped is made of it.
    fn needed_states(&self, new: Root) -> Vec<Root> {
        let store = &self.store;
        let head = self.chain.snapshot().head;
        let mut needed = vec![
            new,
            self.ahead.root,
            head.root,
            store.finalized_checkpoint().root,
            store.justified_checkpoint().root,
            store.unrealized_justified_checkpoint().root,
        ];
        let epoch = compute_epoch_at_slot(head.slot);
        // Spec: phase0/beacon-chain.md, `weigh_justification_and_finalization`: of four epochs one becomes final.
        let of_epoch = |back: u64| {
            let epoch = epoch.checked_sub(back)?;
            store.blocks().get_checkpoint_block(&head.root, epoch)
        };
        needed.extend((0..4).filter_map(of_epoch));
        needed
    }

    /// A worker has made a state again, for a head that went back to an old block.
    fn on_state(&mut self, root: Root, state: Option<Arc<State>>) {
        self.state_wanted = None;
        if let Some(state) = state {
            self.store.keep_state(root, Arc::clone(&state));
            self.budget_state(root, &state);
            self.changed = true;
        }
    }

    /// Has a worker make the head's state again where it is not kept. Until it comes the old head stays.
    fn want_state(&mut self, root: Root) {
        if self.state_wanted.is_some() {
            return;
        }
        self.state_wanted = Some(root);
        let chain = self.chain.clone();
        let job = Box::new(move || {
            let state = chain.states.after(&chain.snapshot(), root);
            if let Err(why) = &state {
                tracing::error!(%why, %root, "the state of the head cannot be made again");
            }
            chain.tell_certainly(Event::State(root, state.ok()));
        });
        if self.chain.work.push(Lane::Block, job) == Err(Busy) {
            self.state_wanted = None;
        }
    }

    /// Writes a block that is in the fork choice; those who wait hear of it when it is on disk.
    fn store_block(&mut self, root: Root, mut waiting: super::pending::Waiting) {
        let optimistic = self.store.blocks().is_optimistic(&root);
        let slot = waiting.new.block.message.slot;
        self.mark_published(&waiting.new);
        let answers = waiting.take_answers();
        if waiting.new.source == Source::Replay {
            for answer in answers {
                let _ = answer.send(Imported::Done);
            }
        } else {
            // Sampled columns that are not this node's to keep have done their service.
            let held = self.chain.custody.held();
            waiting.new.columns.retain(|column| held.keeps(column.index));
            self.disk.write(Write::Block {
                root,
                block: Arc::clone(&waiting.new.block),
                columns: std::mem::take(&mut waiting.new.columns),
                blobs: std::mem::take(&mut waiting.new.blobs),
                answers,
            });
        }
        self.chain.publish_event(ChainEvent::Block { slot, root, optimistic });
    }

    /// Blocks that waited for this one.
    fn start_children(&mut self, parent: Root) {
        for root in self.pending.those(|wanted| wanted == For::Parent(parent)) {
            self.start(root);
        }
    }

    fn on_message(&mut self, checked: CheckedMessage) {
        let verdict = self.seen.settle(checked.verdict, checked.marks);
        if verdict == Verdict::Accept {
            match checked.effect {
                Effect::None => {}
                Effect::Votes(votes) => {
                    self.store.apply_attestation(&votes);
                    self.changed = true;
                }
                Effect::Later(votes, slot) => self.keep_votes(slot, *votes),
                Effect::Silenced(indices) => {
                    self.store.apply_attester_slashing(&indices);
                    self.changed = true;
                }
            }
            if let Some(entry) = &checked.entry {
                self.pools.insert(entry, &checked.message);
            }
            self.chain.publish_event(ChainEvent::Message(checked.message));
        }
        if let Some(answer) = checked.answer {
            // Whoever asked may have gone.
            let _ = answer.send(verdict);
        }
    }

    fn keep_votes(&mut self, slot: Slot, votes: ValidAttestation) {
        if slot <= self.current_slot() {
            self.store.apply_attestation(&votes);
            self.changed = true;
        } else if self.later_count < LATER_MAX {
            self.later_count += 1;
            self.later.entry(slot).or_default().push(votes);
        }
    }

    /// A worker has moved the head state on.
    fn on_ahead(&mut self, ahead: Ahead) {
        self.ahead_wanted = None;
        if let Some((checkpoint, state)) = &ahead.checkpoint {
            self.store.apply_checkpoint_state(*checkpoint, Arc::clone(state));
        }
        let head = self.store.get_head().root;
        // One of an older head is still better than one of an older epoch.
        if ahead.root == head || ahead.epoch() > self.ahead.epoch() {
            self.ahead = Arc::new(ahead);
            self.changed = true;
        }
    }

    /// Looks for the head, publishes a snapshot, and tells engine, disk and subscribers what is new.
    fn update_head(&mut self) {
        self.changed = false;
        let begun = Instant::now();
        let old = self.chain.snapshot();
        self.prune_where_finalized();
        let Some(head) = self.head(&old) else {
            tracing::error!("the fork choice has lost its head; this is a bug, please report it");
            return;
        };
        self.want_ahead(&head);
        let snapshot = Arc::new(self.snapshot(head));
        *self.chain.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&snapshot);
        self.chain.metrics.publish.took(begun.elapsed());
        self.tell_engine(&old, &snapshot);
        if snapshot.head.root != old.head.root {
            self.disk.write(Write::Head(snapshot.head.slot, snapshot.head.root));
            if !snapshot.is_canonical(&old.head.root) {
                self.chain.metrics.reorgs.fetch_add(1, Ordering::Relaxed);
            }
            self.store_state(&snapshot);
            self.chain.publish_event(head_event(&old, &snapshot));
        }
        if snapshot.finalized() != old.finalized() {
            self.write_finalized(&old, &snapshot);
            self.chain.publish_event(ChainEvent::Finalized { snapshot });
        }
    }

    /// What became final between two snapshots: the older one still has the blocks in between.
    fn write_finalized(&self, old: &Snapshot, new: &Snapshot) {
        let checkpoint = new.finalized();
        let Some(justified) = new
            .block(&checkpoint.root)
            .map(|block| block.current_justified_checkpoint)
        else {
            return;
        };
        let mut blocks = Vec::new();
        let mut next = old.block(&checkpoint.root).or_else(|| new.block(&checkpoint.root));
        while let Some(block) = next {
            blocks.push((block.slot, block.root));
            next = old.block(&block.parent_root);
        }
        self.disk.write(Write::Finalized {
            checkpoint,
            blocks,
            justified,
        });
    }

    /// Has the state of the first block of an epoch on the head's chain kept on disk, finalized or not: what is made
    /// again, and a restart, need go no further back. One that leaves the chain later does no harm.
    fn store_state(&mut self, snapshot: &Snapshot) {
        let epoch = compute_epoch_at_slot(snapshot.head.slot);
        let without_finality = epoch.saturating_sub(snapshot.finalized().epoch);
        if epoch <= self.stored_epoch || without_finality > UNFINALIZED_EPOCHS_MAX {
            return;
        }
        let kept = (Arc::clone(&snapshot.head_state), snapshot.head.root);
        if self.states.try_send(kept).is_ok() {
            self.stored_epoch = epoch;
        } else {
            tracing::debug!(epoch, "the state of this epoch waits: the one before is being written");
        }
    }

    fn prune_where_finalized(&mut self) {
        let finalized = self.store.finalized_checkpoint();
        if finalized == self.pruned {
            return;
        }
        if self.store.state(&finalized.root).is_none() {
            // It is what all others are made of again; a moment later it is there.
            self.want_state(finalized.root);
            return;
        }
        self.pruned = finalized;
        self.store.prune();
        let store = &self.store;
        self.budget.retain(|root| store.state(root).is_some());
        let state = store.state(&finalized.root).map(Arc::clone);
        if let Some(state) = state {
            self.settle_keys(&state);
            self.pools.prune_operations(&state);
        }
    }

    /// Enters keys of validators that are final. Those that the table has reached go into its file: 200 kB that the system
    /// writes when it likes.
    fn on_keys(&mut self, made: Vec<(u32, PublicKey)>) {
        let mut keys = Keys::clone(&self.keys);
        match keys.enter(made) {
            Ok(()) => {
                self.keys = Arc::new(keys);
                self.changed = true;
            }
            Err(why) => tracing::error!(%why, "public keys cannot be kept; blocks take longer to check without them"),
        }
    }

    /// Enters the keys of validators that are final.
    fn settle_keys(&mut self, state: &State) {
        if state.validators.len() <= self.keys.len() {
            return;
        }
        let mut keys = Keys::clone(&self.keys);
        match keys.extend(&state.validators) {
            Ok(()) => {
                keys.settle(state.validators.len());
                self.keys = Arc::new(keys);
            }
            Err(why) => tracing::error!(%why, "a key of a finalized state is wrong; this is a bug, please report it"),
        }
    }

    /// The head; for as long as its state is not at hand, the one before.
    fn head(&mut self, old: &Snapshot) -> Option<Head> {
        let ForkChoiceNode {
            mut root,
            mut payload_status,
        } = self.store.get_head();
        if self.store.state(&root).is_none() {
            self.want_state(root);
            (root, payload_status) = (old.head.root, old.head.payload_status);
        }
        let block = self.store.blocks().get(&root)?;
        Some(Head {
            root,
            slot: block.slot,
            state_root: block.state_root,
            block_hash: block.block_hash,
            payload_status,
            optimistic: self.store.blocks().is_optimistic(&root),
        })
    }

    fn snapshot(&mut self, head: Head) -> Snapshot {
        let view = self.store.view().clone();
        let head_state = Arc::clone(view.state(&head.root).unwrap_or(&self.ahead.state));
        let hash_of = |root: &Root| {
            view.blocks()
                .get(root)
                .map_or(Hash32::default(), |block| block.block_hash)
        };
        self.number += 1;
        Snapshot {
            number: self.number,
            head,
            head_state,
            ahead: Arc::clone(&self.ahead),
            safe_block_hash: self.fast.get_safe_execution_block_hash(&self.store),
            finalized_block_hash: hash_of(&view.finalized_checkpoint().root),
            keys: Arc::clone(&self.keys),
            state_bytes: self.budget.bytes(),
            states: Arc::clone(&self.chain.states),
            view,
        }
    }

    /// Has a worker move the head state to the current epoch, where what is at hand is of another.
    fn want_ahead(&mut self, head: &Head) {
        let epoch = compute_epoch_at_slot(self.current_slot());
        let head_epoch = compute_epoch_at_slot(head.slot);
        let wanted = (head.root, epoch);
        let at_hand = self.ahead.epoch() >= epoch && (self.ahead.root == head.root || head_epoch == epoch);
        // A head of the current epoch has what the state of another in the same epoch on the same chain has, but for
        // sync committees and exits: take its own state, which costs nothing.
        let own = head_epoch == epoch && self.ahead.root != head.root;
        if at_hand && !own || self.ahead_wanted == Some(wanted) {
            return;
        }
        if self.is_catching_up(head) {
            return;
        }
        self.ahead_wanted = Some(wanted);
        let (chain, config) = (self.chain.clone(), Arc::clone(self.store.config()));
        // From where it has come for this head already.
        let known = Some(&self.ahead.state).filter(|state| self.ahead.root == head.root && state.slot > head.slot);
        let state = known.or_else(|| self.store.state(&head.root));
        let (root, Some(state)) = (head.root, state.map(Arc::clone)) else {
            return;
        };
        let next = epoch.min(get_current_epoch(&state).saturating_add(EPOCHS_AT_ONCE));
        let job = Box::new(move || match Ahead::of(root, &state, &config, next) {
            Ok(ahead) => chain.tell_certainly(Event::Ahead(ahead)),
            Err(why) => tracing::error!(%why, %root, "the head's state cannot be moved on"),
        });
        if self.chain.work.push(Lane::Block, job) == Err(Busy) {
            self.ahead_wanted = None;
        }
    }

    /// While blocks of the past come one after the other, none of them stays the head: moving each on to today would cost
    /// more than all of them together.
    fn is_catching_up(&self, head: &Head) -> bool {
        let slot = self.current_slot();
        let is_of_the_past = head.slot.saturating_add(LATE_SLOTS) < slot;
        self.replaying || is_of_the_past && self.entered_slot == slot
    }

    fn tell_engine(&self, old: &Snapshot, new: &Snapshot) {
        let forkchoice = |of: &Snapshot| Forkchoice {
            fork: of.view.config().fork_at_epoch(compute_epoch_at_slot(of.head.slot)),
            root: of.head.root,
            state: of.forkchoice_state(),
        };
        let wanted = forkchoice(new);
        let is_new = old.number == 0 || wanted != forkchoice(old) || new.head.optimistic;
        if is_new && wanted.fork >= Fork::Bellatrix && !new.head.block_hash.is_zero() {
            self.engine.follow(wanted);
        }
    }
}

/// What whoever handed in a block is told while the engine is silent.
pub(crate) const ENGINE_SILENT: &str = "the execution client does not answer";

/// Epochs that the head's state is moved on at a time, two seconds' work with a large registry: a head of long ago has
/// thousands to go, and blocks that come meanwhile want the worker.
const EPOCHS_AT_ONCE: u64 = 8;

/// A block so many slots old is not one that was late, but one of many that come.
const LATE_SLOTS: u64 = 4;

/// How long before the attestation deadline fast confirmation runs: the head must not change between it and the votes,
/// and it takes some milliseconds.
const CONFIRM_AHEAD_MS: u64 = 100;

/// For how many epochs without finality states go on being written: two anchors are kept, of 1,024 epochs each, and the
/// one that the finalized state counts from must stay.
const UNFINALIZED_EPOCHS_MAX: u64 = 1536;

/// The beginning of a root, enough to tell it from others at sight.
fn short(root: &Root) -> String {
    root.to_string().chars().take(10).collect()
}

fn reply(answer: Option<oneshot::Sender<Imported>>, imported: Imported) {
    if let Some(answer) = answer {
        // Whoever asked may have gone.
        let _ = answer.send(imported);
    }
}

fn head_event(old: &Snapshot, new: &Arc<Snapshot>) -> ChainEvent {
    let reorg_to = if new.is_canonical(&old.head.root) {
        None
    } else {
        common_slot(old, new)
    };
    ChainEvent::Head {
        snapshot: Arc::clone(new),
        old_head: old.head.root,
        reorg_to,
        epoch_transition: compute_epoch_at_slot(old.head.slot) != compute_epoch_at_slot(new.head.slot),
    }
}

/// The slot of the last block on both chains, if it is known; `None` too where the old head was pruned with finality.
fn common_slot(old: &Snapshot, new: &Snapshot) -> Option<Slot> {
    let mut block = new.block(&old.head.root)?;
    loop {
        if new.is_canonical(&block.root) {
            return Some(block.slot);
        }
        block = new.block(&block.parent_root)?;
    }
}
