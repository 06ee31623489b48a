//! Topic `execution_payload`, from Gloas on: the envelope that a block's bid promised.

use super::beacon_block::are_requests_within_limits;
use super::verdict::{Checked, ignore, ignore_unless, reject_unless};
use super::{Gossip, Mark, Verdict};
use crate::Invalid;
use crate::constants::{BUILDER_INDEX_SELF_BUILD, DOMAIN_BEACON_BUILDER};
use crate::fork::Fork;
use crate::helpers::accessors::get_current_epoch;
use crate::helpers::builders::builder;
use crate::preset::MAX_WITHDRAWALS_PER_PAYLOAD;
use crate::signing::{parse_signature, signing_root_of};
use crate::ssz::Ssz;
use crate::state::State;
use crate::types::{BuilderIndex, SignedExecutionPayloadEnvelope};
use crypto::bls::{PublicKey, SignatureSet};

/// Spec: gloas/p2p-interface.md, "New `execution_payload`".
pub fn validate_execution_payload_gossip(
    gossip: &mut Gossip,
    signed_envelope: &SignedExecutionPayloadEnvelope,
) -> Verdict {
    rules(gossip, signed_envelope).into()
}

fn rules(gossip: &mut Gossip, signed: &SignedExecutionPayloadEnvelope) -> Checked {
    let envelope = &signed.message;
    let (payload, requests) = (&envelope.payload, &envelope.execution_requests);
    let (view, root) = (gossip.view, envelope.beacon_block_root);
    let Some(block_slot) = view.block_slot(root) else {
        return ignore("envelope's block has not been seen");
    };
    let mark = Mark::ExecutionPayload {
        slot: payload.slot_number,
        beacon_block_root: root,
        builder_index: envelope.builder_index,
    };
    gossip.check_first(&mark)?;
    ignore_unless(
        payload.slot_number >= view.finalized_slot(),
        "envelope is from a slot before the latest finalized slot",
    )?;
    reject_unless(view.is_valid_block(root), "envelope's block failed validation")?;
    reject_unless(block_slot == payload.slot_number, "envelope's slot is not its block's")?;
    let Some(bid) = view.bid(root) else {
        return ignore("the bid of the envelope's block is not available");
    };
    reject_unless(
        envelope.builder_index == bid.builder_index,
        "envelope's builder is not the bid's",
    )?;
    reject_unless(
        payload.block_hash == bid.block_hash,
        "envelope's block hash is not the bid's",
    )?;
    let fork = gossip.fork_at_slot(block_slot).max(Fork::Gloas);
    reject_unless(
        requests.hash_tree_root(fork) == bid.execution_requests_root,
        "envelope's execution requests are not the bid's",
    )?;
    reject_unless(are_requests_within_limits(requests), "too many execution requests")?;
    reject_unless(
        payload.withdrawals.len() as u64 <= MAX_WITHDRAWALS_PER_PAYLOAD,
        "too many withdrawals",
    )?;
    check_signature(gossip, signed, fork)?;
    gossip.marks.push(mark);
    Ok(())
}

/// Spec: gloas/fork-choice.md, `verify_execution_payload_envelope_signature`.
fn check_signature(gossip: &mut Gossip, signed: &SignedExecutionPayloadEnvelope, fork: Fork) -> Checked {
    const WHY: &str = "invalid envelope signature";
    let envelope = &signed.message;
    let Some(state) = gossip.view.block_state(envelope.beacon_block_root) else {
        return ignore("the state of the envelope's block is not available");
    };
    let domain = gossip.domain(DOMAIN_BEACON_BUILDER, get_current_epoch(state));
    gossip.check_signature(WHY, |keys| {
        let pubkey = if envelope.builder_index == BUILDER_INDEX_SELF_BUILD {
            keys.public_key(state, state.latest_block_header.proposer_index)?
        } else {
            builder_key(state, envelope.builder_index)?
        };
        Ok(SignatureSet {
            signature: parse_signature(WHY, &signed.signature)?,
            pubkey,
            message: signing_root_of(envelope.hash_tree_root(fork), domain).0,
        })
    })
}

/// A builder's key, which was checked when it entered the registry.
pub(super) fn builder_key(state: &State, index: BuilderIndex) -> Result<PublicKey, Invalid> {
    let pubkey = &builder(state, index)?.pubkey;
    PublicKey::from_compressed_trusted(&pubkey.0).map_err(|error| Invalid::new("builder key", error.to_string()))
}
