//! How a block's header follows from its parent's.
//!
//! Spec: EIP-1559 (base fee, gas limit), EIP-4844 and EIP-7918 (blob gas).

use super::schedule::{BlobRules, GAS_PER_BLOB};
use crate::execution::header::{BlobGas, BlockHeader};
use consensus::Fork;
use consensus::ssz::U256;

/// Spec: EIP-1559, `ELASTICITY_MULTIPLIER`.
const ELASTICITY_MULTIPLIER: u64 = 2;
/// Spec: EIP-1559, `BASE_FEE_MAX_CHANGE_DENOMINATOR`.
const BASE_FEE_MAX_CHANGE_DENOMINATOR: u64 = 8;
/// Spec: EIP-1559: the gas limit moves by less than this part of the parent's.
const GAS_LIMIT_BOUND_DIVISOR: u64 = 1024;
/// Spec: EIP-1559: the gas limit is never below.
const MIN_GAS_LIMIT: u64 = 5000;
/// Spec: EIP-7918, `BLOB_BASE_COST`.
const BLOB_BASE_COST: u64 = 1 << 13;

/// Wei per gas that the block after `parent` burns. Spec: EIP-1559, `validate_block`.
pub(crate) fn next_base_fee(parent: &BlockHeader) -> U256 {
    let (fee, used) = (parent.base_fee_per_gas, parent.gas_used);
    let target = (parent.gas_limit / ELASTICITY_MULTIPLIER).max(1);
    let change = |gas: u64| {
        let product = fee.saturating_mul(U256::from(gas));
        product / U256::from(target) / U256::from(BASE_FEE_MAX_CHANGE_DENOMINATOR)
    };
    match used.cmp(&target) {
        std::cmp::Ordering::Equal => fee,
        std::cmp::Ordering::Greater => fee.saturating_add(change(used - target).max(U256::from(1))),
        std::cmp::Ordering::Less => fee.saturating_sub(change(target - used)),
    }
}

/// Whether a gas limit may follow the parent's. Spec: EIP-1559, `validate_block`.
pub(crate) fn gas_limit_follows(parent: &BlockHeader, gas_limit: u64) -> bool {
    let distance = gas_limit.abs_diff(parent.gas_limit);
    distance < parent.gas_limit / GAS_LIMIT_BOUND_DIVISOR && gas_limit >= MIN_GAS_LIMIT
}

/// Blob gas above the target that the block after `parent` starts with, at `fork` under `rules`.
///
/// Spec: EIP-4844 and, from Fulu on, EIP-7918, `calc_excess_blob_gas`.
pub(crate) fn next_excess_blob_gas(parent: &BlockHeader, fork: Fork, rules: BlobRules) -> u64 {
    // A parent from before Deneb counts as one without blobs.
    let gas = parent.blob_gas.unwrap_or(BlobGas { used: 0, excess: 0 });
    let target = rules.target.saturating_mul(GAS_PER_BLOB);
    let sum = gas.excess.saturating_add(gas.used);
    if sum < target {
        return 0;
    }
    if fork >= Fork::Fulu && blobs_are_cheaper_than_gas(parent, gas.excess, rules) {
        let share = u128::from(gas.used) * u128::from(rules.max - rules.target) / u128::from(rules.max.max(1));
        return gas.excess.saturating_add(share as u64);
    }
    sum - target
}

/// Whether what a blob's verification costs in gas is more than its price. Spec: EIP-7918.
fn blobs_are_cheaper_than_gas(parent: &BlockHeader, excess: u64, rules: BlobRules) -> bool {
    let execution = parent.base_fee_per_gas.saturating_mul(U256::from(BLOB_BASE_COST));
    let price = fake_exponential(excess, rules.update_fraction);
    price.is_some_and(|price| execution > price.saturating_mul(U256::from(GAS_PER_BLOB)))
}

/// `e ** (numerator / denominator)`, rounded down as the spec does; `None` beyond 256 bits, which nothing is compared
/// with that could reach it. Each step multiplies by less than the one before, so it ends.
///
/// Spec: EIP-4844, `fake_exponential` with the factor `MIN_BASE_FEE_PER_BLOB_GAS`, which is 1.
fn fake_exponential(numerator: u64, denominator: u64) -> Option<U256> {
    let (numerator, denominator) = (U256::from(numerator), U256::from(denominator.max(1)));
    let (mut output, mut term, mut place) = (U256::ZERO, denominator, U256::from(1));
    while !term.is_zero() {
        output = output.checked_add(term)?;
        term = term.checked_mul(numerator)? / (denominator.checked_mul(place)?);
        place += U256::from(1);
    }
    Some(output / denominator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use consensus::transition::NewPayloadRequest;

    /// Real blocks whose parents we have, too: their fees and blob gas are what the rules give.
    #[test]
    fn real_children_follow_from_their_parents() {
        let Some(blocks) = testing::real_blocks() else { return };
        let headers: Vec<(Fork, BlockHeader)> = blocks
            .iter()
            .filter_map(|(_, fork, block)| {
                Some((
                    *fork,
                    BlockHeader::of_request(&NewPayloadRequest::of_block(*fork, block)?),
                ))
            })
            .collect();
        let mut pairs = 0;
        for (fork, child) in &headers {
            let Some((_, parent)) = headers.iter().find(|(_, parent)| parent.hash() == child.parent_hash) else {
                continue;
            };
            pairs += 1;
            assert_eq!(next_base_fee(parent), child.base_fee_per_gas, "{}", child.number);
            assert!(gas_limit_follows(parent, child.gas_limit), "{}", child.number);
            let rules = match fork {
                Fork::Electra => BlobRules {
                    max: 9,
                    target: 6,
                    update_fraction: 5_007_716,
                },
                _ => BlobRules {
                    max: 6,
                    target: 3,
                    update_fraction: 3_338_477,
                },
            };
            let excess = next_excess_blob_gas(parent, *fork, rules);
            assert_eq!(excess, child.blob_gas.map_or(0, |gas| gas.excess), "{}", child.number);
        }
        assert_eq!(pairs, 4, "a change of forks twice, and two pairs of Sepolia");
    }

    #[test]
    fn the_exponential_is_that_of_the_eip() {
        // From the EIP's own sense: e ** 0 = 1, and about e ** 1, e ** 10 in whole numbers.
        assert_eq!(fake_exponential(0, 3_338_477), Some(U256::from(1)));
        assert_eq!(fake_exponential(3_338_477, 3_338_477), Some(U256::from(2)));
        assert_eq!(fake_exponential(33_384_770, 3_338_477), Some(U256::from(22_026)));
        assert_eq!(fake_exponential(u64::MAX, 1), None);
    }

    #[test]
    fn from_fulu_on_cheap_blobs_do_not_get_cheaper() {
        let rules = BlobRules {
            max: 9,
            target: 6,
            update_fraction: 5_007_716,
        };
        let mut parent = crate::execution::dev::genesis_block(&consensus::Config::standard(), 0);
        parent.blob_gas = Some(BlobGas {
            used: 6 * GAS_PER_BLOB,
            excess: 1_000_000,
        });
        parent.base_fee_per_gas = U256::from(1_000_000_000);
        assert_eq!(next_excess_blob_gas(&parent, Fork::Electra, rules), 1_000_000);
        assert_eq!(
            next_excess_blob_gas(&parent, Fork::Fulu, rules),
            1_000_000 + 2 * GAS_PER_BLOB
        );
        // At one Wei for gas, the price of the blob itself is the larger part.
        parent.base_fee_per_gas = U256::from(1);
        assert_eq!(next_excess_blob_gas(&parent, Fork::Fulu, rules), 1_000_000);
    }
}
