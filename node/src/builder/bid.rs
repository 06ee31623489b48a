//! Whether a bid is what it must be, and whether it is worth more than the own payload. Pure.

use crate::execution::BuiltPayload;
use crate::production::{payload_attributes, stand_in};
use consensus::helpers::accessors::get_current_epoch;
use consensus::signing::{compute_domain, compute_signing_root, untrusted_key_set};
use consensus::ssz::{Bytes, Root, U256};
use consensus::transition::block::is_merge_transition_complete;
use consensus::types::{DomainType, SignedBuilderBid, ValidatorRegistrationV1};
use consensus::{Config, Fork, Invalid, State, ensure};
use crypto::bls::verify_signature_sets;

/// Spec: builder-specs bellatrix/builder.md, `DOMAIN_APPLICATION_BUILDER`.
pub const DOMAIN_APPLICATION_BUILDER: DomainType = Bytes([0, 0, 0, 1]);

/// How much a payload's gas limit may differ from its parent's: less than the parent's through this.
///
/// Spec: EIP-1559 and the execution layer's header rules, `GAS_LIMIT_ADJUSTMENT_FACTOR`.
const GAS_LIMIT_ADJUSTMENT_FACTOR: u64 = 1024;

/// The gas limit nearest to `target` that a payload may have after one with `parent`.
///
/// Spec: builder-specs bellatrix/builder.md, "Constructing the `ExecutionPayloadHeader`": as close as is possible.
pub fn expected_gas_limit(parent: u64, target: u64) -> u64 {
    let step = (parent / GAS_LIMIT_ADJUSTMENT_FACTOR).saturating_sub(1);
    target.clamp(parent.saturating_sub(step), parent.saturating_add(step))
}

/// Fails unless the bid is for a block on `state`, which is at the block's slot, and keeps to what the proposer registered.
/// Verifies a signature: for workers.
///
/// Spec: builder-specs bellatrix/validator.md, `process_bid` and `verify_bid_signature`; what the transition would refuse
/// (`process_execution_payload`, `process_withdrawals`), and the gas limit of bellatrix/builder.md.
pub fn check_bid(
    state: &State,
    config: &Config,
    registration: &ValidatorRegistrationV1,
    signed: &SignedBuilderBid,
) -> Result<(), Invalid> {
    let bid = &signed.message;
    let header = &bid.header;
    let latest = &state.latest_execution_payload_header;
    ensure!(
        state.at < Fork::Gloas && is_merge_transition_complete(state),
        "builder fork",
        "builders have no part in a block of {} before the merge or after fulu",
        state.at
    );
    let parent = latest.block_hash;
    ensure!(
        header.parent_hash == parent,
        "bid parent hash",
        "{}, expected {parent}",
        header.parent_hash
    );
    let recipient = registration.fee_recipient;
    ensure!(
        header.fee_recipient == recipient,
        "bid fee recipient",
        "{}, registered is {recipient}",
        header.fee_recipient
    );
    let gas_limit = expected_gas_limit(latest.gas_limit, registration.gas_limit);
    ensure!(
        header.gas_limit == gas_limit,
        "bid gas limit",
        "{}, expected {gas_limit} after {} with {} registered",
        header.gas_limit,
        latest.gas_limit,
        registration.gas_limit
    );
    let number = latest.block_number.saturating_add(1);
    ensure!(
        header.block_number == number,
        "bid block number",
        "{}, expected {number}",
        header.block_number
    );
    let wanted = payload_attributes(state, config, state.slot, recipient)?;
    ensure!(
        header.timestamp == wanted.timestamp && header.prev_randao == wanted.prev_randao,
        "bid attributes",
        "timestamp {} and randao {}, expected {} and {}",
        header.timestamp,
        header.prev_randao,
        wanted.timestamp,
        wanted.prev_randao
    );
    stand_in(state, header)?;
    let most = config.max_blobs_per_block_at(get_current_epoch(state));
    let blobs = bid.blob_kzg_commitments.len() as u64;
    ensure!(blobs <= most, "bid commitments", "{blobs}, at most {most}");
    verify_bid_signature(state.at, config, signed)
}

/// Spec: builder-specs bellatrix/validator.md, `verify_bid_signature`; builder.md, "Signing".
fn verify_bid_signature(fork: Fork, config: &Config, signed: &SignedBuilderBid) -> Result<(), Invalid> {
    const RULE: &str = "bid signature";
    let domain = compute_domain(DOMAIN_APPLICATION_BUILDER, config.genesis_fork_version, Root::ZERO);
    let signing_root = compute_signing_root(&signed.message, fork, domain);
    let set = untrusted_key_set(RULE, &signed.message.pubkey, signing_root, &signed.signature)?;
    ensure!(
        verify_signature_sets(&[set]),
        "bid signature",
        "the signature is not that of {} on the bid",
        signed.message.pubkey
    );
    Ok(())
}

/// Whether a sound bid of `value` Wei is taken rather than the own payload, if there is one.
///
/// Spec: beacon-APIs, `builder_boost_factor`; execution-apis cancun.md, `shouldOverrideBuilder`.
pub fn takes_bid(own: Option<&BuiltPayload>, value: U256, builder_boost_factor: u64) -> bool {
    let Some(own) = own else { return true };
    if own.should_override_builder {
        return false;
    }
    let boosted = (value / U256::from(100)).saturating_mul(U256::from(builder_boost_factor));
    builder_boost_factor == u64::MAX || own.value < boosted
}

#[cfg(test)]
mod tests {
    use super::*;
    use consensus::types::{ExecutionPayload, ExecutionRequests};

    #[test]
    fn the_gas_limit_goes_as_far_as_it_may() {
        assert_eq!(expected_gas_limit(36_000_000, 36_000_000), 36_000_000);
        assert_eq!(expected_gas_limit(36_000_000, 36_000_100), 36_000_100);
        // 36,000,000 / 1024 is 35,156 and a fraction; the difference stays below 35,156.
        assert_eq!(expected_gas_limit(36_000_000, 60_000_000), 36_035_155);
        assert_eq!(expected_gas_limit(36_000_000, 30_000_000), 35_964_845);
        assert_eq!(expected_gas_limit(0, 5), 0);
    }

    #[test]
    fn the_factor_weighs_the_bid() {
        let own = |value: u64, should_override_builder| BuiltPayload {
            payload: ExecutionPayload::default(),
            value: U256::from(value),
            blobs: None,
            should_override_builder,
            execution_requests: ExecutionRequests::default(),
        };
        let takes = |value: u64, bid: u64, factor| takes_bid(Some(&own(value, false)), U256::from(bid), factor);
        assert!(!takes(1000, 1000, 100) && takes(1000, 1100, 100));
        // Whole hundredths count: 1,099 / 100 is 10.
        assert!(!takes(1000, 1099, 100));
        assert!(takes(1000, 600, 200) && !takes(1000, 9000, 0));
        assert!(!takes(0, 9000, 0) && takes(1000, 0, u64::MAX));
        assert!(takes_bid(None, U256::ZERO, 0));
        assert!(!takes_bid(Some(&own(0, true)), U256::MAX, u64::MAX));
    }
}
