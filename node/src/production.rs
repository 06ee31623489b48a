//! Blocks of our own: put together from a payload and the pools' picks, and run through the transition once for their
//! state root.
//!
//! Pure functions on a state that was advanced to the block's slot. What takes long elsewhere, the payload or a builder's
//! bid, comes in as a value; the caller decides how long it waits and what it falls back on.

mod blinded;
mod payload;
mod sidecars;

pub(crate) use blinded::stand_in;
pub use blinded::{blinded_block, unblinded_block};
pub use payload::{PayloadChoice, payload_attributes};
pub use sidecars::{Sidecars, blob_sidecars, column_sidecars};

use crate::pools::{AttestationPool, OperationPool, Operations, SyncCommitteePool};
use consensus::constants::DOMAIN_RANDAO;
use consensus::helpers::accessors::{get_beacon_proposer_index, get_block_root_at_slot, get_current_epoch};
use consensus::keys::Keys;
use consensus::preset::MAX_DEPOSITS;
use consensus::signing::{Context, ProposerRewards, compute_signing_root, get_current_domain, validator_set};
use consensus::ssz::{Root, Ssz, U256};
use consensus::transition::block::{expected_deposit_count, process_block};
use consensus::types::{
    Attestation, BLSSignature, BeaconBlock, BeaconBlockBody, BlindedBeaconBlock, Blob, Bytes32, Eth1Data,
    ExecutionPayloadHeader, KZGProof, SyncAggregate,
};
use consensus::{Config, Fork, Invalid, State, ensure};

/// What a block takes from the pools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picks {
    /// Best first.
    pub attestations: Vec<Attestation>,
    /// On the parent; not read before Altair.
    pub sync_aggregate: SyncAggregate,
    /// Slashings, exits, changes.
    pub operations: Operations,
}

impl Picks {
    /// The best that the pools have for a block on `state`, which is at the block's slot.
    pub fn from_pools(
        state: &State,
        config: &Config,
        keys: &Keys,
        attestations: &AttestationPool,
        sync_committee: &SyncCommitteePool,
        operations: &OperationPool,
    ) -> Result<Self, Invalid> {
        let mut picks = Self::none();
        picks.attestations = attestations.pack(state);
        picks.operations = operations.select(state, config, keys);
        if state.at >= Fork::Altair {
            let previous_slot = state.slot.saturating_sub(1);
            let root = get_block_root_at_slot(state, previous_slot)?;
            picks.sync_aggregate = sync_committee.get_sync_aggregate(previous_slot, root);
        }
        Ok(picks)
    }

    /// Nothing: what a block can always do without.
    pub fn none() -> Self {
        Picks {
            attestations: Vec::new(),
            sync_aggregate: SyncCommitteePool::new().get_sync_aggregate(0, Root::ZERO),
            operations: Operations::default(),
        }
    }
}

/// What a block is made of.
#[derive(Clone, Debug)]
pub struct Proposal<'a> {
    /// The parent's state, advanced to the block's slot.
    pub state: &'a State,
    /// The network.
    pub config: &'a Config,
    /// The registry's keys.
    pub keys: &'a Keys,
    /// The proposer's signature of the epoch.
    pub randao_reveal: BLSSignature,
    /// Whether the reveal is checked. A client may ask for a block without one, to look at it.
    pub verify_randao: bool,
    /// Thirty-two bytes of the operator's.
    pub graffiti: Bytes32,
    /// From the pools.
    pub picks: Picks,
    /// The payload, a builder's header, or nothing before the merge.
    pub payload: PayloadChoice,
}

/// A block with its payload, or with a builder's header in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyBlock {
    /// Complete.
    Full(Box<BeaconBlock>),
    /// Its payload is the builder's to show.
    Blinded(Box<BlindedBeaconBlock>),
}

/// A block that is ready to be signed.
#[derive(Clone, Debug)]
pub struct ProducedBlock {
    /// The fork of the block.
    pub fork: Fork,
    /// The block, with its state root.
    pub block: AnyBlock,
    /// The state after it.
    pub post_state: State,
    /// What the proposer earns on the beacon chain, by component.
    pub rewards: ProposerRewards,
    /// What the payload pays, in Wei, as its builder says.
    pub execution_payload_value: U256,
    /// The blobs of the payload; empty for a blinded block.
    pub blobs: Vec<Blob>,
    /// Their proofs: one for each blob, from Fulu on one for each cell.
    pub kzg_proofs: Vec<KZGProof>,
    /// Why the block does without the pools' picks, where it does.
    pub left_out: Option<Invalid>,
}

impl ProducedBlock {
    /// What the proposer earns on the beacon chain, in Wei. Spec: beacon-APIs, `Eth-Consensus-Block-Value`.
    pub fn consensus_block_value(&self) -> U256 {
        U256::from(self.rewards.total()) * U256::from(1_000_000_000u64)
    }

    /// The root of the block: blinded or not, it is the same.
    pub fn root(&self) -> Root {
        match &self.block {
            AnyBlock::Full(block) => block.hash_tree_root(self.fork),
            AnyBlock::Blinded(block) => block.hash_tree_root(self.fork),
        }
    }
}

/// Makes a block. An error says what is wrong with the state, the reveal or the payload. Picks that turn out not to be
/// valid do not cost the block: it is made without any, and `left_out` says why.
///
/// Spec: "Block proposal" in validator.md of phase0, altair, bellatrix, capella, deneb, electra and fulu.
pub fn produce_block(proposal: Proposal) -> Result<ProducedBlock, Invalid> {
    let (state, config, keys) = (proposal.state, proposal.config, proposal.keys);
    ensure!(
        state.at < Fork::Gloas,
        "block production fork",
        "blocks are made up to fulu, the state is at {}",
        state.at
    );
    if proposal.verify_randao {
        verify_randao_reveal(state, config, keys, &proposal.randao_reveal)?;
    }
    let mut draft = Draft::new(proposal)?;
    match draft.run(state, config, keys) {
        Ok(after) => Ok(draft.finish(after, None)),
        Err(error) if draft.drop_picks() => {
            let after = draft.run(state, config, keys)?;
            Ok(draft.finish(after, Some(error)))
        }
        Err(error) => Err(error),
    }
}

/// The vote on the deposit contract: for what the state has, since no deposit tree is followed here. Networks that began
/// with Electra or went through its transition need no other (`eth1_deposit_index` has reached
/// `deposit_requests_start_index`); before, a chain whose deposits are all processed stays as it is. An error where the
/// next block would have to bring deposits.
///
/// Spec: phase0/ and electra/validator.md, `get_eth1_vote`, `get_eth1_pending_deposit_count`.
fn get_eth1_vote(state: &State) -> Result<Eth1Data, Invalid> {
    let due = expected_deposit_count(state)?;
    ensure!(
        due == 0,
        "unprocessed Eth1 deposits",
        "deposit {} of {} waits for a block, which would have to bring {due} (at most {MAX_DEPOSITS}) with proofs from the \
         deposit contract's tree. This node keeps no such tree and makes no blocks on such a chain: propose with a node \
         that does until all deposits are processed",
        state.eth1_deposit_index,
        state.eth1_data.deposit_count
    );
    Ok(state.eth1_data)
}

/// Fails unless the proposer of the state's slot has signed its epoch. Spec: phase0/validator.md, `get_epoch_signature`.
fn verify_randao_reveal(state: &State, config: &Config, keys: &Keys, reveal: &BLSSignature) -> Result<(), Invalid> {
    const RULE: &str = "randao reveal";
    let proposer_index = get_beacon_proposer_index(state)?;
    Context::verifying(config, keys).check(RULE, |keys| {
        let domain = get_current_domain(state, DOMAIN_RANDAO);
        let signing_root = compute_signing_root(&get_current_epoch(state), state.at, domain);
        validator_set(RULE, state, keys, proposer_index, signing_root, reveal)
    })
}

/// A block on its way. For a builder's header the block has a payload with all that the transition reads of one.
struct Draft {
    fork: Fork,
    block: BeaconBlock,
    header: Option<ExecutionPayloadHeader>,
    value: U256,
    blobs: Vec<Blob>,
    kzg_proofs: Vec<KZGProof>,
}

impl Draft {
    fn new(proposal: Proposal) -> Result<Self, Invalid> {
        let state = proposal.state;
        let Picks {
            attestations,
            sync_aggregate,
            operations,
        } = proposal.picks;
        let body = BeaconBlockBody {
            randao_reveal: proposal.randao_reveal,
            eth1_data: get_eth1_vote(state)?,
            graffiti: proposal.graffiti,
            proposer_slashings: operations.proposer_slashings,
            attester_slashings: operations.attester_slashings,
            attestations,
            voluntary_exits: operations.voluntary_exits,
            sync_aggregate,
            bls_to_execution_changes: operations.bls_to_execution_changes,
            ..BeaconBlockBody::default()
        };
        let block = BeaconBlock {
            slot: state.slot,
            proposer_index: get_beacon_proposer_index(state)?,
            parent_root: state.latest_block_header.hash_tree_root(state.at),
            state_root: Root::ZERO,
            body,
        };
        let mut draft = Draft {
            fork: state.at,
            block,
            header: None,
            value: U256::ZERO,
            blobs: Vec::new(),
            kzg_proofs: Vec::new(),
        };
        draft.set_payload(state, proposal.payload)?;
        Ok(draft)
    }

    fn set_payload(&mut self, state: &State, payload: PayloadChoice) -> Result<(), Invalid> {
        let body = &mut self.block.body;
        match payload {
            PayloadChoice::None => {}
            PayloadChoice::Built(built) => {
                let bundle = built.blobs.unwrap_or_default();
                body.execution_payload = built.payload;
                body.execution_requests = built.execution_requests;
                body.blob_kzg_commitments = bundle.commitments;
                self.blobs = bundle.blobs;
                self.kzg_proofs = bundle.proofs;
                self.value = built.value;
            }
            PayloadChoice::Bid(bid) => {
                body.execution_payload = stand_in(state, &bid.header)?;
                body.execution_requests = bid.execution_requests;
                body.blob_kzg_commitments = bid.blob_kzg_commitments;
                self.value = bid.value;
                self.header = Some(bid.header);
            }
        }
        Ok(())
    }

    /// Takes the picks out again; `false` if there are none.
    fn drop_picks(&mut self) -> bool {
        let without = Picks::none();
        let body = &mut self.block.body;
        let picks = Picks {
            attestations: std::mem::take(&mut body.attestations),
            sync_aggregate: std::mem::replace(&mut body.sync_aggregate, without.sync_aggregate.clone()),
            operations: Operations {
                proposer_slashings: std::mem::take(&mut body.proposer_slashings),
                attester_slashings: std::mem::take(&mut body.attester_slashings),
                voluntary_exits: std::mem::take(&mut body.voluntary_exits),
                bls_to_execution_changes: std::mem::take(&mut body.bls_to_execution_changes),
            },
        };
        picks != without
    }

    /// The state after the block as it stands, and what the proposer earned.
    fn run(&self, state: &State, config: &Config, keys: &Keys) -> Result<(State, ProposerRewards), Invalid> {
        let mut post = state.clone();
        let mut ctx = Context::trusting(config, keys);
        process_block(&mut post, &mut ctx, &self.block)?;
        Ok((post, ctx.rewards))
    }

    fn finish(self, after: (State, ProposerRewards), left_out: Option<Invalid>) -> ProducedBlock {
        let (mut post_state, rewards) = after;
        let fork = self.fork;
        let mut block = self.block;
        let block = if let Some(header) = self.header {
            let mut block = blinded::with_header(block, header.clone());
            // What the stand-in has left in the state.
            post_state.latest_block_header.body_root = block.body.hash_tree_root(fork);
            post_state.latest_execution_payload_header = header;
            block.state_root = post_state.hash_tree_root();
            AnyBlock::Blinded(Box::new(block))
        } else {
            block.state_root = post_state.hash_tree_root();
            AnyBlock::Full(Box::new(block))
        };
        ProducedBlock {
            fork,
            block,
            post_state,
            rewards,
            execution_payload_value: self.value,
            blobs: self.blobs,
            kzg_proofs: self.kzg_proofs,
            left_out,
        }
    }
}
