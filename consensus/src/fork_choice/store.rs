//! The store: blocks, votes, checkpoints and time, and how the latter two move on.

use super::node::{ExecutionStatus, ForkChoiceNode, Node, PayloadStatus, PayloadVotes};
use super::proto_array::ProtoArray;
use super::votes::{Balances, Votes, balances_of};
use crate::fork::Fork;
use crate::helpers::accessors::{get_current_epoch, get_total_active_balance};
use crate::helpers::misc::{compute_epoch_at_slot, compute_start_slot_at_epoch};
use crate::preset::{PTC_SIZE, SLOTS_PER_EPOCH};
use crate::ssz::Ssz;
use crate::state::State;
use crate::transition::process_slots;
use crate::types::{BeaconBlock, Checkpoint, Epoch, Gwei, Hash32, Root, Slot, ValidatorIndex};
use crate::{Config, Invalid, ensure};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

/// A state at the start of an epoch, with what votes weigh by it.
#[derive(Clone, Debug)]
pub struct CheckpointState {
    /// The state. Spec: `checkpoint_states` of the `Store`.
    pub state: Arc<State>,
    /// Spec: phase0/beacon-chain.md, `get_total_active_balance`.
    pub total_active_balance: Gwei,
    /// The effective balances of those who have a say.
    pub(super) balances: Balances,
}

impl CheckpointState {
    /// Reads the registry once.
    pub fn new(state: Arc<State>) -> Self {
        CheckpointState {
            total_active_balance: get_total_active_balance(&state),
            balances: balances_of(&state),
            state,
        }
    }

    /// The share of the weight of one slot's committees, in Gwei.
    ///
    /// Spec: phase0/fork-choice.md, `calculate_committee_fraction`.
    pub fn calculate_committee_fraction(&self, committee_percent: u64) -> Gwei {
        let committee_weight = self.total_active_balance / SLOTS_PER_EPOCH;
        (u128::from(committee_weight) * u128::from(committee_percent) / 100) as Gwei
    }
}

/// All that fork choice goes by but votes: what checks need. One thread changes it, inside its [`Store`]; `validate_*`
/// only read and run elsewhere, on a clone, which costs some hundred bytes for every block since finality.
///
/// Spec: phase0/ and gloas/fork-choice.md, `Store`.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) config: Arc<Config>,
    /// Unix time in milliseconds.
    pub(super) time_ms: u64,
    /// Unix time in seconds.
    pub(super) genesis_time: u64,
    pub(super) justified_checkpoint: Checkpoint,
    pub(super) finalized_checkpoint: Checkpoint,
    pub(super) unrealized_justified_checkpoint: Checkpoint,
    pub(super) unrealized_finalized_checkpoint: Checkpoint,
    pub(super) proposer_boost_root: Root,
    pub(super) blocks: ProtoArray,
    /// States after blocks: of all that are here, unless the owner drops some. Spec: `block_states` of the `Store`.
    pub(super) states: HashMap<Root, Arc<State>>,
    /// The state of the justified checkpoint, by which votes weigh.
    pub(super) justified: Arc<CheckpointState>,
    /// Only checkpoints from the finalized epoch on, of blocks that are here.
    pub(super) checkpoint_states: HashMap<Checkpoint, Arc<CheckpointState>>,
}

/// Why a check cannot go on.
#[derive(Debug)]
pub(super) enum Stopped {
    /// Something is wrong.
    Wrong(Invalid),
    /// The state after this block is needed and not kept.
    State(Root),
}

impl From<Invalid> for Stopped {
    fn from(why: Invalid) -> Self {
        Stopped::Wrong(why)
    }
}

impl From<Stopped> for Invalid {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Wrong(why) => why,
            Stopped::State(root) => Invalid::new("state kept", format!("the one after block {root} is not")),
        }
    }
}

/// The fork choice: the view with the votes, which decide on the head. One thread owns and changes it.
///
/// Spec: phase0/ and gloas/fork-choice.md, `Store`.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) view: View,
    pub(super) votes: Votes,
}

impl Deref for Store {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

/// The payload of a block, as fork choice needs it: its hash and that of the one before.
pub(super) fn payload_hashes(fork: Fork, block: &BeaconBlock) -> (Hash32, Hash32) {
    if fork >= Fork::Gloas {
        let bid = &block.body.signed_execution_payload_bid.message;
        (bid.block_hash, bid.parent_block_hash)
    } else {
        // Before the merge both are zero.
        let payload = &block.body.execution_payload;
        (payload.block_hash, payload.parent_hash)
    }
}

/// A vote sheet nobody has voted on, from Gloas on.
pub(super) fn empty_payload_votes(fork: Fork) -> Option<Box<PayloadVotes>> {
    (fork >= Fork::Gloas).then(|| {
        let none = vec![None; PTC_SIZE as usize].into_boxed_slice();
        Box::new(PayloadVotes {
            timeliness: none.clone(),
            data_availability: none,
        })
    })
}

impl Store {
    /// A store that begins at a trusted block and the state after it. An error if they do not belong together.
    ///
    /// The spec has no votes on the anchor's payload and so refuses messages about it; here they are counted, since a
    /// node that starts at the head receives them.
    ///
    /// Spec: phase0/ and gloas/fork-choice.md, `get_forkchoice_store`.
    pub fn get_forkchoice_store(
        config: Arc<Config>,
        anchor_state: Arc<State>,
        anchor_block: &BeaconBlock,
    ) -> Result<Self, Invalid> {
        let fork = anchor_state.at;
        let (computed, in_block) = (anchor_state.hash_tree_root(), anchor_block.state_root);
        ensure!(
            computed == in_block,
            "anchor state root",
            "computed {computed}, in block {in_block}"
        );
        let root = anchor_block.hash_tree_root(fork);
        let epoch = get_current_epoch(&anchor_state);
        let checkpoint = Checkpoint { epoch, root };
        let (block_hash, parent_block_hash) = payload_hashes(fork, anchor_block);
        let mut blocks = ProtoArray::default();
        blocks.insert(Node {
            root,
            slot: anchor_block.slot,
            proposer_index: anchor_block.proposer_index,
            parent_root: anchor_block.parent_root,
            state_root: anchor_block.state_root,
            parent: None,
            parent_full: fork < Fork::Gloas,
            separate_payload: fork >= Fork::Gloas,
            block_hash,
            parent_block_hash,
            payload_verified: fork < Fork::Gloas,
            execution: ExecutionStatus::Valid,
            invalid: false,
            current_justified_checkpoint: anchor_state.current_justified_checkpoint,
            unrealized_justification: checkpoint,
            block_timeliness: [true, true],
            finalized_checkpoint: anchor_state.finalized_checkpoint,
            payload_votes: empty_payload_votes(fork),
        })?;
        let justified = Arc::new(CheckpointState::new(Arc::clone(&anchor_state)));
        let since_genesis = u128::from(anchor_state.slot) * u128::from(config.slot_duration_ms) / 1000;
        let time = u64::try_from(u128::from(anchor_state.genesis_time) + since_genesis).unwrap_or(u64::MAX);
        let votes = Votes::new(Arc::clone(&justified.balances));
        let view = View {
            time_ms: time.saturating_mul(1000),
            genesis_time: anchor_state.genesis_time,
            justified_checkpoint: checkpoint,
            finalized_checkpoint: checkpoint,
            unrealized_justified_checkpoint: checkpoint,
            unrealized_finalized_checkpoint: checkpoint,
            proposer_boost_root: Root::ZERO,
            blocks,
            checkpoint_states: HashMap::from([(checkpoint, Arc::clone(&justified))]),
            states: HashMap::from([(root, anchor_state)]),
            justified,
            config,
        };
        Ok(Store { view, votes })
    }

    /// What checks need, without the votes.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Whether the validator has voted twice.
    pub fn is_equivocating(&self, index: ValidatorIndex) -> bool {
        self.votes.equivocating().contains(&index)
    }

    /// Moves the clock on, in Unix seconds. Time that runs back changes nothing but the clock, as in the spec.
    ///
    /// Spec: phase0/fork-choice.md, `on_tick`.
    pub fn on_tick(&mut self, time: u64) {
        self.on_tick_ms(time.saturating_mul(1000));
    }

    /// The same in milliseconds, for a clock that knows them: deadlines are not at whole seconds.
    ///
    /// The spec visits every slot in between. All that can happen there is that the boost ends and, at the start of an
    /// epoch, that the unrealized checkpoints take effect; both once.
    pub fn on_tick_ms(&mut self, time_ms: u64) {
        let previous_slot = self.get_current_slot();
        self.view.time_ms = time_ms;
        let current_slot = self.get_current_slot();
        if current_slot > previous_slot {
            self.view.proposer_boost_root = Root::ZERO;
        }
        if compute_epoch_at_slot(current_slot) > compute_epoch_at_slot(previous_slot) {
            self.update_checkpoints(
                self.unrealized_justified_checkpoint,
                self.unrealized_finalized_checkpoint,
            );
        }
    }

    /// Spec: phase0/fork-choice.md, `update_checkpoints`.
    pub(super) fn update_checkpoints(&mut self, justified: Checkpoint, finalized: Checkpoint) {
        if justified.epoch > self.justified_checkpoint.epoch {
            let state = self.view.checkpoint_states.get(&justified);
            let state = state.expect("a block brings the states of the checkpoints that it justifies");
            self.view.justified = Arc::clone(state);
            self.view.justified_checkpoint = justified;
            self.votes
                .set_balances(self.view.blocks.nodes(), Arc::clone(&self.view.justified.balances));
        }
        if finalized.epoch > self.finalized_checkpoint.epoch {
            self.view.finalized_checkpoint = finalized;
        }
    }

    /// Spec: phase0/fork-choice.md, `update_unrealized_checkpoints`.
    pub(super) fn update_unrealized_checkpoints(&mut self, justified: Checkpoint, finalized: Checkpoint) {
        if justified.epoch > self.unrealized_justified_checkpoint.epoch {
            self.view.unrealized_justified_checkpoint = justified;
        }
        if finalized.epoch > self.unrealized_finalized_checkpoint.epoch {
            self.view.unrealized_finalized_checkpoint = finalized;
        }
    }

    /// Keeps the state of a checkpoint that was computed for another purpose, so that no vote for it has to. Nothing
    /// happens if the checkpoint's block is not here or the state is not that of the checkpoint's epoch.
    pub fn apply_checkpoint_state(&mut self, checkpoint: Checkpoint, state: Arc<CheckpointState>) {
        if self.blocks.get(&checkpoint.root).is_some() && get_current_epoch(&state.state) == checkpoint.epoch {
            self.keep_checkpoint_state(checkpoint, state);
        }
    }

    /// Keeps a computed checkpoint state.
    pub(super) fn keep_checkpoint_state(&mut self, checkpoint: Checkpoint, state: Arc<CheckpointState>) {
        if checkpoint.epoch >= self.finalized_checkpoint.epoch {
            self.view.checkpoint_states.entry(checkpoint).or_insert(state);
        }
    }

    /// Drops blocks that do not descend from the finalized one, and older checkpoint states. Costs a pass over all votes
    /// when anything goes, so call it when the finalized checkpoint has moved. Returns how many blocks went.
    pub fn prune(&mut self) -> usize {
        let view = &mut self.view;
        let before = view.blocks.len();
        if let Some(places) = view.blocks.prune(&view.finalized_checkpoint.root) {
            self.votes.follow(&places);
        }
        let (blocks, finalized) = (&view.blocks, view.finalized_checkpoint.epoch);
        view.checkpoint_states
            .retain(|checkpoint, _| checkpoint.epoch >= finalized && blocks.get(&checkpoint.root).is_some());
        view.states.retain(|root, _| blocks.get(root).is_some());
        before - view.blocks.len()
    }

    /// Drops the state after a block, if it is kept. The block stays; a check that needs the state asks for it with
    /// `DelayUntilState`.
    pub fn drop_state(&mut self, root: &Root) -> Option<Arc<State>> {
        self.view.states.remove(root)
    }

    /// Keeps a state that was computed again. Nothing happens if its block is not here.
    pub fn keep_state(&mut self, root: Root, state: Arc<State>) {
        self.view.keep_state(root, state);
    }

    /// Drops the states of checkpoints but the `most` of the highest epochs, of the newest blocks among these, and those
    /// that the choice itself goes by.
    pub fn limit_checkpoint_states(&mut self, most: usize) {
        let view = &mut self.view;
        let needed = [view.justified_checkpoint, view.unrealized_justified_checkpoint];
        let others = view.checkpoint_states.keys().filter(|known| !needed.contains(known));
        let mut others: Vec<Checkpoint> = others.copied().collect();
        let age = |checkpoint: &Checkpoint| {
            (
                checkpoint.epoch,
                view.blocks.get(&checkpoint.root).map(|block| block.slot),
            )
        };
        others.sort_unstable_by_key(|checkpoint| std::cmp::Reverse(age(checkpoint)));
        for checkpoint in others.iter().skip(most) {
            view.checkpoint_states.remove(checkpoint);
        }
    }
}

impl View {
    /// The network.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Unix time in seconds.
    pub fn time(&self) -> u64 {
        self.time_ms / 1000
    }

    /// Unix time of the genesis in seconds.
    pub fn genesis_time(&self) -> u64 {
        self.genesis_time
    }

    /// The checkpoint that the choice starts from.
    pub fn justified_checkpoint(&self) -> Checkpoint {
        self.justified_checkpoint
    }

    /// The highest finalized checkpoint.
    pub fn finalized_checkpoint(&self) -> Checkpoint {
        self.finalized_checkpoint
    }

    /// The highest justified checkpoint, whether or not it counts on chain already.
    pub fn unrealized_justified_checkpoint(&self) -> Checkpoint {
        self.unrealized_justified_checkpoint
    }

    /// The highest finalized checkpoint, whether or not it counts on chain already.
    pub fn unrealized_finalized_checkpoint(&self) -> Checkpoint {
        self.unrealized_finalized_checkpoint
    }

    /// The timely block of this slot, zero if there is none.
    pub fn proposer_boost_root(&self) -> Root {
        self.proposer_boost_root
    }

    /// The blocks.
    pub fn blocks(&self) -> &ProtoArray {
        &self.blocks
    }

    /// The state of the justified checkpoint.
    pub fn justified_state(&self) -> &Arc<CheckpointState> {
        &self.justified
    }

    /// Milliseconds since genesis; 0 before.
    pub(super) fn ms_since_genesis(&self, time_ms: u64) -> u64 {
        time_ms.saturating_sub(self.genesis_time.saturating_mul(1000))
    }

    /// Milliseconds since the slot of `time_ms` began.
    pub(super) fn time_into_slot_ms(&self, time_ms: u64) -> u64 {
        self.ms_since_genesis(time_ms) % self.config.slot_duration_ms.max(1)
    }

    /// The slot of a Unix time in milliseconds.
    pub(super) fn slot_at(&self, time_ms: u64) -> Slot {
        self.ms_since_genesis(time_ms) / self.config.slot_duration_ms.max(1)
    }

    /// Spec: phase0/fork-choice.md, `get_current_slot`.
    pub fn get_current_slot(&self) -> Slot {
        self.slot_at(self.time_ms)
    }

    /// Spec: phase0/fork-choice.md, `get_current_store_epoch`.
    pub fn get_current_store_epoch(&self) -> Epoch {
        compute_epoch_at_slot(self.get_current_slot())
    }

    /// The state after a block if it is kept.
    pub fn state(&self, root: &Root) -> Option<&Arc<State>> {
        self.states.get(root)
    }

    /// How many states after blocks are kept.
    pub fn states_len(&self) -> usize {
        self.states.len()
    }

    /// How many states of checkpoints are kept.
    pub fn checkpoint_states_len(&self) -> usize {
        self.checkpoint_states.len()
    }

    /// Keeps a state that was computed again: in a view of one's own, for a check that has asked for it with
    /// `DelayUntilState`. Nothing happens if its block is not here.
    pub fn keep_state(&mut self, root: Root, state: Arc<State>) {
        if self.blocks.get(&root).is_some() {
            self.states.insert(root, state);
        }
    }

    /// The same, or the need for it.
    pub(super) fn need_state(&self, root: &Root) -> Result<&Arc<State>, Stopped> {
        self.states.get(root).ok_or(Stopped::State(*root))
    }

    /// The state of a checkpoint if it is kept.
    pub fn checkpoint_state(&self, checkpoint: &Checkpoint) -> Option<&Arc<CheckpointState>> {
        self.checkpoint_states.get(checkpoint)
    }

    /// The state of a checkpoint, kept or computed from that of its block; whoever computes it should hand it to an
    /// `apply_*`. An epoch may have to be processed for it.
    ///
    /// Spec: phase0/fork-choice.md, `store_target_checkpoint_state`.
    pub(super) fn compute_checkpoint_state(&self, target: Checkpoint) -> Result<Arc<CheckpointState>, Stopped> {
        if let Some(known) = self.checkpoint_states.get(&target) {
            return Ok(Arc::clone(known));
        }
        let unknown = || Invalid::new("checkpoint block", format!("{} is not known", target.root));
        self.blocks.get(&target.root).ok_or_else(unknown)?;
        let of_block = self.need_state(&target.root)?;
        let start = compute_start_slot_at_epoch(target.epoch);
        let state = if of_block.slot < start {
            let mut state = State::clone(of_block);
            process_slots(&mut state, &self.config, start)?;
            Arc::new(state)
        } else {
            Arc::clone(of_block)
        };
        Ok(Arc::new(CheckpointState::new(state)))
    }

    /// Spec: phase0/fork-choice.md, `get_voting_source`. `None` for an unknown block.
    pub fn get_voting_source(&self, block_root: &Root) -> Option<Checkpoint> {
        let current_epoch = self.get_current_store_epoch();
        self.blocks
            .get(block_root)
            .map(|block| voting_source(block, current_epoch))
    }

    /// The node that a chain ends in: the block, undecided about its payload.
    pub(super) fn pending(root: Root) -> ForkChoiceNode {
        ForkChoiceNode {
            root,
            payload_status: PayloadStatus::Pending,
        }
    }
}

/// Spec: phase0/fork-choice.md, `get_voting_source`.
pub(super) fn voting_source(block: &Node, current_epoch: Epoch) -> Checkpoint {
    if current_epoch > compute_epoch_at_slot(block.slot) {
        block.unrealized_justification
    } else {
        block.current_justified_checkpoint
    }
}
