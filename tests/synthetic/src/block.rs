//! Blocks on synthetic states, with all that a mainnet block has and every signature valid.
//!
//! The secret keys are consecutive small numbers, so that the key of any crowd is a sum of machine words and its
//! aggregate costs one signature.

use crate::{FIRST_SECRET, Numbers};
use consensus::constants::{DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_RANDAO, DOMAIN_SYNC_COMMITTEE};
use consensus::helpers::accessors::{
    get_beacon_committee, get_beacon_proposer_index, get_block_root, get_block_root_at_slot,
    get_committee_count_per_slot, get_current_epoch, get_randao_mix,
};
use consensus::helpers::misc::{compute_epoch_at_slot, compute_time_at_slot};
use consensus::keys::Keys;
use consensus::preset::{MAX_ATTESTATIONS_ELECTRA, MAX_COMMITTEES_PER_SLOT, SYNC_COMMITTEE_SIZE};
use consensus::signing::{Context, get_domain, signing_root_of};
use consensus::ssz::{BitList, BitVector, ByteList, Bytes, Root, Ssz};
use consensus::transition::block::get_expected_withdrawals;
use consensus::transition::process_block;
use consensus::types::{
    Attestation, AttestationData, BLSSignature, BeaconBlock, BeaconBlockBody, Checkpoint, DomainType, Epoch,
    ExecutionPayload, SignedBeaconBlock, Slot, SyncAggregate,
};
use consensus::{Config, Invalid, State};
use crypto::bls::SecretKey;

/// Of so many voters one is late.
const LATE_OF: u64 = 100;

/// Who votes in the attestations of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Votes {
    /// Nearly all for the slot before, and for each of the seven slots before that those who were late: what a block on a
    /// healthy chain has.
    Usual,
    /// Nearly all for each of the last eight slots: as much as fits.
    Full,
    /// Nobody.
    None,
}

/// A block on `state`, which is prepared and stands at the block's slot. All signatures and the state root are valid; the payload is such that nobody executed it.
///
/// # Errors
/// If the state cannot have a block; a state of this crate can.
pub fn signed_block(state: &State, config: &Config, keys: &Keys, votes: Votes) -> Result<SignedBeaconBlock, Invalid> {
    signed_block_with(state, config, keys, votes, |_| {})
}

/// The same with a body that was changed before state root and signature: with a payload that somebody executes, say.
///
/// # Errors
/// If the state cannot have a block; a state of this crate can.
pub fn signed_block_with(
    state: &State,
    config: &Config,
    keys: &Keys,
    votes: Votes,
    change: impl FnOnce(&mut BeaconBlockBody),
) -> Result<SignedBeaconBlock, Invalid> {
    let mut numbers = Numbers::new(state.slot);
    let proposer_index = get_beacon_proposer_index(state)?;
    let epoch = get_current_epoch(state);
    let randao_root = epoch.hash_tree_root(state.at);
    let mut block = BeaconBlock::new(state.at);
    block.slot = state.slot;
    block.proposer_index = proposer_index;
    block.parent_root = state.latest_block_header.hash_tree_root(state.at);
    let body = &mut block.body;
    body.randao_reveal = sign(state, secret_of([proposer_index]), DOMAIN_RANDAO, epoch, randao_root);
    body.eth1_data = state.eth1_data;
    for delay in 1..=MAX_ATTESTATIONS_ELECTRA.min(state.slot) {
        let slot = state.slot - delay;
        let is_late = |voter: u64| voter % LATE_OF == slot % LATE_OF;
        let vote = match votes {
            Votes::Usual if delay > 1 => attestation(state, slot, is_late)?,
            Votes::Usual | Votes::Full => attestation(state, slot, |voter| !is_late(voter))?,
            Votes::None => None,
        };
        body.attestations.extend(vote);
    }
    body.sync_aggregate = sync_aggregate(state, keys)?;
    body.execution_payload = payload(state, config, &mut numbers)?;
    body.blob_kzg_commitments = (0..6).map(|_| Bytes([numbers.next_u64() as u8; 48])).collect();
    change(body);
    let mut post = state.clone();
    process_block(&mut post, &mut Context::trusting(config, keys), &block)?;
    block.state_root = post.hash_tree_root();
    let root = block.hash_tree_root(state.at);
    let signature = sign(state, secret_of([proposer_index]), DOMAIN_BEACON_PROPOSER, epoch, root);
    Ok(SignedBeaconBlock {
        message: block,
        signature,
    })
}

/// The sum of the secret keys of these validators: below 2^64 for any crowd that fits in a block.
fn secret_of(indices: impl IntoIterator<Item = u64>) -> SecretKey {
    let sum: u64 = indices.into_iter().map(|index| index + FIRST_SECRET).sum();
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&sum.to_be_bytes());
    SecretKey::from_bytes(&bytes).expect("a number that is not zero and has 64 bits is a key")
}

fn sign(state: &State, secret: SecretKey, domain_type: DomainType, epoch: Epoch, root: Root) -> BLSSignature {
    let domain = get_domain(state, domain_type, epoch);
    Bytes(secret.sign(&signing_root_of(root, domain).0).to_bytes())
}

/// The valid vote of the members of all committees of `slot` that `votes` tells by their index, for the chain of `state`;
/// `None` if they are none.
///
/// # Errors
/// If the state does not know the slot's block or committees.
pub fn attestation(state: &State, slot: Slot, votes: impl Fn(u64) -> bool) -> Result<Option<Attestation>, Invalid> {
    let epoch = compute_epoch_at_slot(slot);
    let mut committee_bits = BitVector::new(MAX_COMMITTEES_PER_SLOT as usize);
    let mut bits: Vec<bool> = Vec::new();
    let mut voters: Vec<u64> = Vec::new();
    for index in 0..get_committee_count_per_slot(state, epoch) {
        let committee = get_beacon_committee(state, slot, index)?;
        let first = voters.len();
        voters.extend(
            committee
                .iter()
                .map(|member| u64::from(*member))
                .filter(|member| votes(*member)),
        );
        if voters.len() > first {
            committee_bits.set(index as usize, true);
            bits.extend(committee.iter().map(|member| votes(u64::from(*member))));
        }
    }
    if voters.is_empty() {
        return Ok(None);
    }
    let mut aggregation_bits = BitList::new(bits.len());
    for (place, vote) in bits.into_iter().enumerate() {
        aggregation_bits.set(place, vote);
    }
    let is_current = epoch == get_current_epoch(state);
    let data = AttestationData {
        slot,
        index: 0,
        beacon_block_root: get_block_root_at_slot(state, slot)?,
        source: if is_current {
            state.current_justified_checkpoint
        } else {
            state.previous_justified_checkpoint
        },
        target: Checkpoint {
            epoch,
            root: get_block_root(state, epoch)?,
        },
    };
    let root = data.hash_tree_root(state.at);
    Ok(Some(Attestation {
        aggregation_bits,
        data,
        signature: sign(state, secret_of(voters), DOMAIN_BEACON_ATTESTER, epoch, root),
        committee_bits,
    }))
}

/// All members but one in sixty-four sign the parent.
fn sync_aggregate(state: &State, keys: &Keys) -> Result<SyncAggregate, Invalid> {
    let slot = state.slot - 1;
    let mut sync_committee_bits = BitVector::new(SYNC_COMMITTEE_SIZE as usize);
    let mut signers = Vec::new();
    for (place, pubkey) in state.current_sync_committee.pubkeys.iter().enumerate() {
        if place % 64 != 63 {
            let index = keys.index_of(state, pubkey);
            signers.push(index.ok_or_else(|| Invalid::new("sync committee", format!("{pubkey} is no validator")))?);
            sync_committee_bits.set(place, true);
        }
    }
    let root = get_block_root_at_slot(state, slot)?;
    let epoch = compute_epoch_at_slot(slot);
    Ok(SyncAggregate {
        sync_committee_bits,
        sync_committee_signature: sign(state, secret_of(signers), DOMAIN_SYNC_COMMITTEE, epoch, root),
    })
}

/// Two hundred transactions and the withdrawals that are due.
fn payload(state: &State, config: &Config, numbers: &mut Numbers) -> Result<ExecutionPayload, Invalid> {
    let mut payload = ExecutionPayload::new(state.at);
    payload.parent_hash = state.latest_execution_payload_header.block_hash;
    payload.prev_randao = get_randao_mix(state, get_current_epoch(state));
    payload.timestamp = compute_time_at_slot(state, config, state.slot)?;
    payload.withdrawals = get_expected_withdrawals(state)?.withdrawals;
    payload.block_hash = numbers.root();
    let transaction = |_| ByteList((0..25).flat_map(|_| numbers.next_u64().to_le_bytes()).collect());
    payload.transactions = (0..200).map(transaction).collect();
    Ok(payload)
}
