//! A block for this node's validators, in time whatever is slow: each part has a deadline, and something to do without it.
//!
//! The payload is asked for before the slot begins, where a proposer has announced itself; picks and transition are a
//! worker's; what the pools hold never costs the block.

use crate::builder::{Builder, Counts as BuilderCounts, check_bid, takes_bid, unwell};
use crate::chain::{Chain, ChainEvent, ProposalAttributes, Snapshot};
use crate::execution::{BuiltPayload, Engine, PayloadId};
use crate::metrics::Method;
use crate::pools::Pools;
use crate::production::{self, AnyBlock, PayloadChoice, Picks, ProducedBlock, Proposal};
use crate::work::Lane;
use consensus::helpers::accessors::get_beacon_proposer_index;
use consensus::transition::block::is_merge_transition_complete;
use consensus::types::{BLSSignature, Bytes32, Epoch, ExecutionAddress, Root, SignedBuilderBid, Slot, ValidatorIndex};
use consensus::{Fork, State};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the engine may take to hand over a payload. Spec: execution-apis, `engine_getPayload` (1 s).
const GET_PAYLOAD: Duration = Duration::from_secs(1);

/// For how many epochs an announcement of a proposer holds. Spec: beacon-APIs, `prepareBeaconProposer`: the current epoch
/// and the two after it.
const PREPARED_EPOCHS: Epoch = 2;

/// How many proposers may be announced: a bound on memory, far above what one node serves.
const PREPARED_MAX: usize = 100_000;

/// How many payloads under construction are remembered: the current slot's for two heads and the next one's.
const PAYLOADS_MAX: usize = 8;

/// Why there is no block.
#[derive(Debug)]
pub enum NoBlock {
    /// What was asked for cannot be: the sentence says why.
    Refused(String),
    /// The node cannot now: busy, syncing, or without an execution client.
    Unavailable(String),
}

/// A payload that is being built.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Building {
    slot: Slot,
    parent: Root,
    fee_recipient: ExecutionAddress,
    id: PayloadId,
}

/// Makes blocks.
#[derive(Debug)]
pub struct Producer {
    chain: Chain,
    engine: Arc<Engine>,
    pools: Arc<Pools>,
    /// Where fees of clients go that name no recipient.
    default_fee_recipient: ExecutionAddress,
    prepared: Mutex<HashMap<ValidatorIndex, (ExecutionAddress, Epoch)>>,
    building: Mutex<Vec<Building>>,
    /// Whose payloads may be taken in place of the own.
    builder: Option<Arc<Builder>>,
    /// Counts for metrics.
    pub counts: Counts,
}

/// Counts of blocks made, for metrics.
#[derive(Debug, Default)]
pub struct Counts {
    /// With an own payload, or from before there were any.
    pub own: AtomicU64,
    /// With a builder's.
    pub blinded: AtomicU64,
    /// Requests for a block that came to nothing.
    pub failed: AtomicU64,
    /// Own payloads that pay another address than was asked.
    pub other_recipient: AtomicU64,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The slot of the block.
    pub slot: Slot,
    /// The proposer's signature of the epoch.
    pub randao_reveal: BLSSignature,
    /// Whether the reveal is checked.
    pub verify_randao: bool,
    /// Thirty-two bytes of the operator's.
    pub graffiti: Bytes32,
    /// What a builder's payload counts for, in hundredths. Spec: beacon-APIs, `builder_boost_factor`.
    pub builder_boost_factor: u64,
}

impl Producer {
    /// A producer over these parts.
    pub fn new(
        chain: Chain,
        engine: Arc<Engine>,
        pools: Arc<Pools>,
        default_fee_recipient: ExecutionAddress,
        builder: Option<Arc<Builder>>,
    ) -> Self {
        Producer {
            chain,
            engine,
            pools,
            default_fee_recipient,
            prepared: Mutex::default(),
            building: Mutex::default(),
            builder,
            counts: Counts::default(),
        }
    }

    /// The builder, if the operator has named one.
    pub fn builder(&self) -> Option<&Arc<Builder>> {
        self.builder.as_ref()
    }

    /// Notes who may propose soon and where the fees go. Spec: beacon-APIs, `prepareBeaconProposer`.
    pub fn prepare(&self, epoch: Epoch, proposers: &[(ValidatorIndex, ExecutionAddress)]) {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.retain(|_, (_, noted)| noted.saturating_add(PREPARED_EPOCHS) >= epoch);
        for (index, fee_recipient) in proposers {
            if prepared.len() < PREPARED_MAX || prepared.contains_key(index) {
                prepared.insert(*index, (*fee_recipient, epoch));
            }
        }
    }

    /// Validators of clients of this node, which custody and duties go by.
    pub fn prepared(&self) -> Vec<ValidatorIndex> {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.keys().copied().collect()
    }

    fn prepared_recipient(&self, proposer: ValidatorIndex) -> Option<ExecutionAddress> {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.get(&proposer).map(|(fee_recipient, _)| *fee_recipient)
    }

    fn recipient_of(&self, proposer: ValidatorIndex) -> ExecutionAddress {
        self.prepared_recipient(proposer).unwrap_or(self.default_fee_recipient)
    }

    /// Starts the payload for `slot` if a client has announced its proposer. Called before the slot begins.
    pub async fn prepare_slot(&self, slot: Slot) {
        let snapshot = self.chain.snapshot();
        // A slot that has its block already, as that of genesis has, gets no other.
        if snapshot.head.optimistic || snapshot.head.slot >= slot || !self.may_propose(&snapshot, slot) {
            return;
        }
        let parent = snapshot.head.root;
        let Ok(Ok(state)) = self.chain.state_at(parent, slot, Lane::Produce).await else {
            return;
        };
        let Ok(proposer) = get_beacon_proposer_index(&state) else {
            return;
        };
        if self.prepared_recipient(proposer).is_some()
            && let Err(why) = self.start_payload(&state, parent, slot).await
        {
            tracing::warn!(slot, "the payload of the next slot could not be started: {why}");
        }
    }

    /// Whether a client may have announced the proposer of `slot`. Where nobody is announced, or another proposer is known,
    /// no state is moved on for nothing.
    fn may_propose(&self, snapshot: &Snapshot, slot: Slot) -> bool {
        match snapshot.ahead.proposer(slot) {
            Some(proposer) => self.prepared_recipient(proposer).is_some(),
            None => !self.prepared().is_empty(),
        }
    }

    /// Has the engine build a payload on `parent`, unless it does already. `None` before the merge.
    async fn start_payload(&self, state: &Arc<State>, parent: Root, slot: Slot) -> Result<Option<Building>, String> {
        let config = Arc::clone(self.chain.config());
        if state.at < Fork::Bellatrix {
            return Ok(None);
        }
        let proposer = get_beacon_proposer_index(state).map_err(|why| why.to_string())?;
        let fee_recipient = self.recipient_of(proposer);
        let is_it = |known: &Building| (known.slot, known.parent, known.fee_recipient) == (slot, parent, fee_recipient);
        let known = self.building().iter().copied().find(is_it);
        if known.is_some() {
            return Ok(known);
        }
        let snapshot = self.chain.snapshot();
        let mut forkchoice = snapshot.forkchoice_state();
        let Some(head) = self.payload_parent(state, parent).await? else {
            return Ok(None);
        };
        forkchoice.head_block_hash = head;
        let of_state = Arc::clone(state);
        let attributes = self.chain.work().run(Lane::Produce, move || {
            production::payload_attributes(&of_state, &config, slot, fee_recipient)
        });
        let attributes = attributes
            .await
            .map_err(|busy| busy.to_string())?
            .map_err(|why| why.to_string())?;
        let announced = ProposalAttributes {
            fork: state.at,
            proposer_index: proposer,
            proposal_slot: slot,
            parent_block_root: parent,
            parent_block_number: state.latest_execution_payload_header.block_number,
            parent_block_hash: head,
            attributes: attributes.clone(),
        };
        self.chain
            .publish_event(ChainEvent::PayloadAttributes(Arc::new(announced)));
        let answer = self
            .engine
            .forkchoice_updated(state.at, forkchoice, Some(attributes))
            .await;
        let (status, id) = answer.map_err(|error| error.to_string())?;
        let id = id.ok_or_else(|| format!("the execution client builds none: {:?}", status.status))?;
        let building = Building {
            slot,
            parent,
            fee_recipient,
            id,
        };
        let mut all = self.building();
        if all.len() >= PAYLOADS_MAX {
            all.remove(0);
        }
        all.push(building);
        Ok(Some(building))
    }

    /// The payload that the next one builds on; `None` if the chain has none yet and the terminal block is not there.
    async fn payload_parent(&self, state: &State, parent: Root) -> Result<Option<consensus::types::Hash32>, String> {
        let snapshot = self.chain.snapshot();
        let hash = snapshot
            .block(&parent)
            .map(|block| block.block_hash)
            .unwrap_or_default();
        if !hash.is_zero() {
            return Ok(Some(hash));
        }
        if state.at >= Fork::Capella {
            return Ok(Some(state.latest_execution_payload_header.block_hash));
        }
        let merged = state.latest_execution_payload_header.block_hash;
        if !merged.is_zero() {
            return Ok(Some(merged));
        }
        let terminal = self.engine.terminal_pow_block(self.chain.config()).await;
        Ok(terminal
            .map_err(|error| error.to_string())?
            .map(|block| block.block_hash))
    }

    fn building(&self) -> std::sync::MutexGuard<'_, Vec<Building>> {
        self.building.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn payload(&self, state: &Arc<State>, parent: Root, slot: Slot) -> Result<PayloadChoice, String> {
        let Some(building) = self.start_payload(state, parent, slot).await? else {
            return Ok(PayloadChoice::None);
        };
        let begun = Instant::now();
        let built = tokio::time::timeout(GET_PAYLOAD, self.engine.get_payload(state.at, building.id)).await;
        let built = match built {
            Ok(built) => built.map_err(|error| error.to_string()),
            Err(_) => Err("the execution client took more than a second".into()),
        };
        self.chain.metrics().asked(Method::GetPayload, begun.elapsed(), &built);
        let built: BuiltPayload = built?;
        if built.payload.fee_recipient != building.fee_recipient {
            self.counts.other_recipient.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                slot,
                asked = %building.fee_recipient,
                pays = %built.payload.fee_recipient,
                "the execution client's payload pays another address than asked; see its own settings"
            );
        }
        Ok(PayloadChoice::Built(Box::new(built)))
    }

    /// What the block may be made with, best first. An error if there is nothing at all.
    async fn payloads(
        &self,
        snapshot: &Arc<Snapshot>,
        state: &Arc<State>,
        parent: Root,
        builder_boost_factor: u64,
    ) -> Result<Vec<PayloadChoice>, String> {
        // A task of its own: whatever holds up the execution client must not use up the builder's second. It ends by
        // itself soon after that.
        let bid = self.builder.as_ref().map(|builder| {
            let (chain, snapshot) = (self.chain.clone(), Arc::clone(snapshot));
            tokio::spawn(bid(Arc::clone(builder), chain, snapshot, Arc::clone(state)))
        });
        let own = self.payload(state, parent, state.slot).await;
        let bid = match bid {
            // A task that panicked has no bid.
            Some(bid) => bid.await.unwrap_or_default(),
            None => None,
        };
        let Some(bid) = bid else { return Ok(vec![own?]) };
        let built = match &own {
            Ok(PayloadChoice::Built(built)) => Some(&**built),
            _ => None,
        };
        let bid_first = takes_bid(built, bid.message.value, builder_boost_factor);
        tracing::info!(
            slot = state.slot,
            own = %built.map(|built| built.value).unwrap_or_default(),
            bid = %bid.message.value,
            "{}",
            if bid_first { "the builder's payload is taken" } else { "the own payload is taken" }
        );
        let bid = PayloadChoice::Bid(Box::new(bid.message));
        Ok(match own {
            Ok(own) if bid_first => vec![bid, own],
            Ok(own) => vec![own],
            Err(why) => {
                tracing::warn!(slot = state.slot, "there is no own payload: {why}");
                vec![bid]
            }
        })
    }

    /// Makes a block for `wanted.slot` on the head, or on its parent where the head came late and weak.
    pub async fn produce(&self, wanted: Wanted) -> Result<ProducedBlock, NoBlock> {
        let made = self.produce_any(wanted).await;
        let counter = match &made {
            Ok(made) if matches!(made.block, AnyBlock::Blinded(_)) => &self.counts.blinded,
            Ok(_) => &self.counts.own,
            Err(_) => &self.counts.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        made
    }

    async fn produce_any(&self, wanted: Wanted) -> Result<ProducedBlock, NoBlock> {
        let slot = wanted.slot;
        let unavailable = |why: String| NoBlock::Unavailable(why);
        let parent = self
            .chain
            .proposer_head(slot)
            .await
            .map_err(|busy| unavailable(busy.to_string()))?;
        let snapshot = self.chain.snapshot();
        check_slot(&snapshot, parent, slot)?;
        if snapshot.is_optimistic(&parent) {
            let why = "the head's payload has not been executed yet: the execution client is syncing";
            return Err(unavailable(why.into()));
        }
        let state = self.chain.state_at(parent, slot, Lane::Produce).await;
        let state = state.map_err(|busy| unavailable(busy.to_string()))?;
        let state = state.map_err(|why| unavailable(why.to_string()))?;
        let payloads = self.payloads(&snapshot, &state, parent, wanted.builder_boost_factor);
        let mut payloads = payloads.await.map_err(unavailable)?.into_iter().peekable();
        while let Some(payload) = payloads.next() {
            match self.make(&snapshot, &state, &wanted, payload).await {
                Err(NoBlock::Refused(why)) if payloads.peek().is_some() => {
                    tracing::warn!(
                        slot,
                        "the builder's payload makes no block, the own one is taken: {why}"
                    );
                }
                made => return made,
            }
        }
        Err(unavailable("there is no payload".into()))
    }

    /// Makes a block with this payload.
    async fn make(
        &self,
        snapshot: &Snapshot,
        state: &Arc<State>,
        wanted: &Wanted,
        payload: PayloadChoice,
    ) -> Result<ProducedBlock, NoBlock> {
        let (config, keys) = (Arc::clone(self.chain.config()), Arc::clone(&snapshot.keys));
        let (pools, state, wanted) = (Arc::clone(&self.pools), Arc::clone(state), wanted.clone());
        let slot = wanted.slot;
        let made = self.chain.work().run(Lane::Produce, move || {
            let (attestations, sync_committee) = (pools.attestations(), pools.sync_committee());
            let picks = Picks::from_pools(
                &state,
                &config,
                &keys,
                &attestations,
                &sync_committee,
                &pools.operations(),
            );
            let picks = picks.unwrap_or_else(|why| {
                tracing::warn!(slot, %why, "a block is made without what the pools hold");
                Picks::none()
            });
            production::produce_block(Proposal {
                state: &state,
                config: &config,
                keys: &keys,
                randao_reveal: wanted.randao_reveal,
                verify_randao: wanted.verify_randao,
                graffiti: wanted.graffiti,
                picks,
                payload,
            })
        });
        let made = made.await.map_err(|busy| NoBlock::Unavailable(busy.to_string()))?;
        let made = made.map_err(|why| NoBlock::Refused(why.to_string()))?;
        if let Some(why) = &made.left_out {
            tracing::warn!(slot, %why, "a block was made without what the pools hold");
        }
        Ok(made)
    }
}

/// A builder's bid that passed all checks; `None` where there is none, for whatever reason: it is logged here.
async fn bid(
    builder: Arc<Builder>,
    chain: Chain,
    snapshot: Arc<Snapshot>,
    state: Arc<State>,
) -> Option<SignedBuilderBid> {
    let slot = state.slot;
    // Spec: builder-specs bellatrix/validator.md, "Responsibilities during the Merge transition".
    if !is_merge_transition_complete(&state) || snapshot.finalized_block_hash.is_zero() && state.at < Fork::Capella {
        return None;
    }
    let proposer = get_beacon_proposer_index(&state).ok()?;
    let pubkey = state.validators.get(proposer as usize)?.pubkey;
    // Who has not registered does not want a builder, and gets no bid.
    let registration = builder.registration(&pubkey)?;
    if let Some(why) = unwell(&snapshot, slot) {
        BuilderCounts::add(&builder.counts.broken_circuit);
        tracing::warn!(slot, "no builder is asked: {why}");
        return None;
    }
    BuilderCounts::add(&builder.counts.asked);
    let parent = state.latest_execution_payload_header.block_hash;
    let now_ms = chain.clock().now_ms();
    let signed = match builder.get_header(state.at, slot, parent, pubkey, now_ms).await {
        Ok(Some(signed)) => signed,
        Ok(None) => {
            BuilderCounts::add(&builder.counts.silent);
            tracing::info!(slot, "the builder has no bid");
            return None;
        }
        Err(why) => {
            BuilderCounts::add(&builder.counts.silent);
            tracing::warn!(slot, "there is no bid: {why}");
            return None;
        }
    };
    let (config, of_state) = (Arc::clone(chain.config()), Arc::clone(&state));
    let checked = chain.work().run(Lane::Produce, move || {
        check_bid(&of_state, &config, &registration, &signed).map(|()| signed)
    });
    match checked.await {
        Ok(Ok(signed)) => {
            BuilderCounts::add(&builder.counts.sound);
            Some(signed)
        }
        Ok(Err(why)) => {
            BuilderCounts::add(&builder.counts.refused);
            tracing::warn!(slot, %why, "the builder's bid is refused");
            None
        }
        Err(busy) => {
            tracing::warn!(slot, "the builder's bid could not be checked: {busy}");
            None
        }
    }
}

/// Refuses a slot that has its block, is past, or is too far ahead.
fn check_slot(snapshot: &Snapshot, parent: Root, slot: Slot) -> Result<(), NoBlock> {
    let parent_slot = snapshot.block(&parent).map_or(snapshot.head.slot, |block| block.slot);
    if parent_slot >= slot {
        let why = format!("slot {slot} has a block already, or is past: the head is of slot {parent_slot}");
        return Err(NoBlock::Refused(why));
    }
    let current = snapshot.current_slot();
    if slot > current.saturating_add(1) {
        let why = format!("slot {slot} is in the future; the clock says {current}");
        return Err(NoBlock::Refused(why));
    }
    Ok(())
}
