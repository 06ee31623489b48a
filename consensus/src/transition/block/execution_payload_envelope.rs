//! The envelope in which a payload follows its block, from Gloas on. It changes no state: the next block does.

use crate::constants::{BUILDER_INDEX_SELF_BUILD, DOMAIN_BEACON_BUILDER};
use crate::helpers::builders::builder;
use crate::helpers::misc::compute_time_at_slot;
use crate::signing::{Context, compute_signing_root, get_current_domain, pubkey_set, validator_set};
use crate::ssz::Ssz;
use crate::state::State;
use crate::transition::NewPayloadRequest;
use crate::transition::payload_request::versioned_hashes;
use crate::types::{ExecutionPayloadEnvelope, SignedExecutionPayloadEnvelope};
use crate::{Config, Invalid, ensure};

/// Checks an envelope against the state after its block. Returns what the execution engine has to be asked: the payload
/// is valid only if the engine says so too.
///
/// Spec: gloas/fork-choice.md, `verify_execution_payload_envelope`.
pub fn verify_execution_payload_envelope<'b>(
    state: &State,
    ctx: &mut Context,
    signed_envelope: &'b SignedExecutionPayloadEnvelope,
) -> Result<NewPayloadRequest<'b>, Invalid> {
    let envelope = &signed_envelope.message;
    verify_execution_payload_envelope_signature(state, ctx, signed_envelope)?;
    check_block(state, envelope)?;
    check_bid(state, envelope)?;
    check_payload(state, ctx.config, envelope)?;
    Ok(NewPayloadRequest {
        fork: state.at,
        execution_payload: &envelope.payload,
        versioned_hashes: versioned_hashes(&state.latest_execution_payload_bid.blob_kzg_commitments),
        parent_beacon_block_root: envelope.parent_beacon_block_root,
        execution_requests: Some(&envelope.execution_requests),
    })
}

fn check_block(state: &State, envelope: &ExecutionPayloadEnvelope) -> Result<(), Invalid> {
    let mut header = state.latest_block_header;
    header.state_root = state.hash_tree_root();
    let (root, block) = (envelope.beacon_block_root, header.hash_tree_root(state.at));
    ensure!(
        root == block,
        "envelope block root",
        "in envelope {root}, of state {block}"
    );
    let (root, parent) = (envelope.parent_beacon_block_root, header.parent_root);
    ensure!(
        root == parent,
        "envelope parent root",
        "in envelope {root}, in state {parent}"
    );
    Ok(())
}

fn check_bid(state: &State, envelope: &ExecutionPayloadEnvelope) -> Result<(), Invalid> {
    let (payload, bid) = (&envelope.payload, &state.latest_execution_payload_bid);
    let (index, promised) = (envelope.builder_index, bid.builder_index);
    ensure!(
        index == promised,
        "envelope builder",
        "in envelope {index}, in bid {promised}"
    );
    let (randao, promised) = (payload.prev_randao, bid.prev_randao);
    ensure!(
        randao == promised,
        "payload randao",
        "in payload {randao}, in bid {promised}"
    );
    let (limit, promised) = (payload.gas_limit, bid.gas_limit);
    ensure!(
        limit == promised,
        "payload gas limit",
        "in payload {limit}, in bid {promised}"
    );
    let (hash, promised) = (payload.block_hash, bid.block_hash);
    ensure!(
        hash == promised,
        "payload block hash",
        "in payload {hash}, in bid {promised}"
    );
    let (root, promised) = (
        envelope.execution_requests.hash_tree_root(state.at),
        bid.execution_requests_root,
    );
    ensure!(
        root == promised,
        "execution requests root",
        "of envelope {root}, in bid {promised}"
    );
    Ok(())
}

fn check_payload(state: &State, config: &Config, envelope: &ExecutionPayloadEnvelope) -> Result<(), Invalid> {
    let (payload, slot) = (&envelope.payload, state.slot);
    ensure!(
        payload.slot_number == slot,
        "payload slot",
        "in payload {}, state {slot}",
        payload.slot_number
    );
    let (hash, latest) = (payload.parent_hash, state.latest_block_hash);
    ensure!(
        hash == latest,
        "payload parent hash",
        "in payload {hash}, in state {latest}"
    );
    let time = compute_time_at_slot(state, config, slot)?;
    ensure!(
        payload.timestamp == time,
        "payload timestamp",
        "in payload {}, of slot {time}",
        payload.timestamp
    );
    // The spec compares the roots of the two lists.
    let expected = &state.payload_expected_withdrawals;
    ensure!(
        payload.withdrawals == *expected,
        "withdrawals",
        "expected {expected:?}, in payload {:?}",
        payload.withdrawals
    );
    Ok(())
}

/// Signed by the builder, or by the proposer where it built for itself.
///
/// Spec: gloas/fork-choice.md, `verify_execution_payload_envelope_signature`.
pub fn verify_execution_payload_envelope_signature(
    state: &State,
    ctx: &mut Context,
    signed_envelope: &SignedExecutionPayloadEnvelope,
) -> Result<(), Invalid> {
    const RULE: &str = "envelope signature";
    let (envelope, signature) = (&signed_envelope.message, &signed_envelope.signature);
    let signing_root = || {
        let domain = get_current_domain(state, DOMAIN_BEACON_BUILDER);
        compute_signing_root(envelope, state.at, domain)
    };
    if envelope.builder_index == BUILDER_INDEX_SELF_BUILD {
        let proposer_index = state.latest_block_header.proposer_index;
        return ctx.check(RULE, |keys| {
            validator_set(RULE, state, keys, proposer_index, signing_root(), signature)
        });
    }
    let pubkey = builder(state, envelope.builder_index)?.pubkey;
    ctx.check(RULE, |_| pubkey_set(RULE, &pubkey, signing_root(), signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fork::Fork;
    use crate::keys::Keys;
    use crate::ssz::{Bytes, Root};
    use crate::types::{BeaconState, ExecutionRequests, Withdrawal, WithdrawalRequest};

    /// A state at a slot whose bid promises the payload of the envelope.
    fn agreeing() -> (State, SignedExecutionPayloadEnvelope) {
        let mut state = State::new(Fork::Gloas, BeaconState::new(Fork::Gloas));
        state.slot = 3;
        state.latest_block_header.parent_root = Bytes([1; 32]);
        state.latest_block_hash = Bytes([2; 32]);
        state.payload_expected_withdrawals = vec![Withdrawal::default()];
        let mut signed = SignedExecutionPayloadEnvelope::default();
        let envelope = &mut signed.message;
        envelope.builder_index = BUILDER_INDEX_SELF_BUILD;
        let requests_root = ExecutionRequests::default().hash_tree_root(Fork::Gloas);
        let bid = &mut state.latest_execution_payload_bid;
        bid.builder_index = BUILDER_INDEX_SELF_BUILD;
        (bid.block_hash, bid.prev_randao, bid.gas_limit) = (Bytes([3; 32]), Bytes([4; 32]), 5);
        bid.execution_requests_root = requests_root;
        bid.blob_kzg_commitments = vec![Bytes([6; 48])];
        let payload = &mut envelope.payload;
        (payload.block_hash, payload.prev_randao, payload.gas_limit) = (bid.block_hash, bid.prev_randao, bid.gas_limit);
        payload.slot_number = 3;
        payload.parent_hash = Bytes([2; 32]);
        payload.timestamp = 3 * Config::standard().slot_duration_ms / 1000;
        payload.withdrawals = vec![Withdrawal::default()];
        envelope.parent_beacon_block_root = Bytes([1; 32]);
        let mut header = state.latest_block_header;
        header.state_root = state.hash_tree_root();
        envelope.beacon_block_root = header.hash_tree_root(Fork::Gloas);
        (state, signed)
    }

    fn rule(change: impl Fn(&mut ExecutionPayloadEnvelope)) -> Option<&'static str> {
        let (state, mut signed) = agreeing();
        change(&mut signed.message);
        let (config, keys) = (Config::standard(), Keys::new());
        let mut ctx = Context::trusting(&config, &keys);
        let result = verify_execution_payload_envelope(&state, &mut ctx, &signed);
        result.err().map(|error| error.rule)
    }

    #[test]
    fn each_difference_breaks_its_rule() {
        assert_eq!(rule(|_| ()), None);
        assert_eq!(
            rule(|envelope| envelope.beacon_block_root = Root::ZERO),
            Some("envelope block root")
        );
        assert_eq!(
            rule(|envelope| envelope.parent_beacon_block_root = Root::ZERO),
            Some("envelope parent root")
        );
        assert_eq!(rule(|envelope| envelope.builder_index = 0), Some("builder index"));
        assert_eq!(
            rule(|envelope| envelope.payload.prev_randao = Root::ZERO),
            Some("payload randao")
        );
        assert_eq!(
            rule(|envelope| envelope.payload.gas_limit += 1),
            Some("payload gas limit")
        );
        assert_eq!(
            rule(|envelope| envelope.payload.block_hash = Root::ZERO),
            Some("payload block hash")
        );
        assert_eq!(
            rule(|envelope| envelope.execution_requests.withdrawals = vec![WithdrawalRequest::default()]),
            Some("execution requests root")
        );
        assert_eq!(rule(|envelope| envelope.payload.slot_number += 1), Some("payload slot"));
        assert_eq!(
            rule(|envelope| envelope.payload.parent_hash = Root::ZERO),
            Some("payload parent hash")
        );
        assert_eq!(
            rule(|envelope| envelope.payload.timestamp += 1),
            Some("payload timestamp")
        );
        assert_eq!(
            rule(|envelope| envelope.payload.withdrawals.clear()),
            Some("withdrawals")
        );
    }

    #[test]
    fn the_engine_is_asked_with_what_the_bid_committed_to() {
        let (state, signed) = agreeing();
        let (config, keys) = (Config::standard(), Keys::new());
        let mut ctx = Context::trusting(&config, &keys);
        let request = verify_execution_payload_envelope(&state, &mut ctx, &signed).expect("they agree");
        assert_eq!(request.versioned_hashes.len(), 1);
        assert_eq!(request.parent_beacon_block_root, Bytes([1; 32]));
        assert_eq!(request.execution_requests_list(), Some(Vec::new()));
        // Unsigned, it is refused where signatures count.
        let mut ctx = Context::verifying(&config, &keys);
        assert!(verify_execution_payload_envelope(&state, &mut ctx, &signed).is_err());
    }
}
