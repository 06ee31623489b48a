//! Which columns a node keeps: a function of its id, so that everyone can tell.

use crate::helpers::accessors::validator;
use crate::helpers::math;
use crate::preset::NUMBER_OF_COLUMNS;
use crate::ssz::U256;
use crate::state::State;
use crate::types::{ColumnIndex, CustodyIndex, SubnetID, ValidatorIndex};
use crate::{Config, Invalid, ensure};
use crypto::hash::sha256;

/// Most groups that are chosen by hashing: without a limit a config could ask for more hashes than anyone will compute.
/// There are never more groups with columns in them than columns.
const MAX_GROUPS: u64 = NUMBER_OF_COLUMNS;

/// The custody groups of a node, ascending. An error if more are asked for than there are.
///
/// Spec: fulu/das-core.md, `get_custody_groups`.
pub fn get_custody_groups(
    config: &Config,
    node_id: U256,
    custody_group_count: u64,
) -> Result<Vec<CustodyIndex>, Invalid> {
    let groups = config.number_of_custody_groups;
    ensure!(
        custody_group_count <= groups && custody_group_count <= MAX_GROUPS,
        "custody group count",
        "{custody_group_count}, there are {groups} groups and {NUMBER_OF_COLUMNS} columns"
    );
    if custody_group_count == groups {
        return Ok((0..groups).collect());
    }
    let mut current_id = node_id;
    let mut custody_groups = Vec::with_capacity(custody_group_count as usize);
    while (custody_groups.len() as u64) < custody_group_count {
        let group = first_uint64(&sha256(&current_id.to_le_bytes::<32>())) % groups;
        if !custody_groups.contains(&group) {
            custody_groups.push(group);
        }
        current_id = current_id.wrapping_add(U256::from(1));
    }
    custody_groups.sort_unstable();
    Ok(custody_groups)
}

/// The first eight bytes of a hash as a number, little-endian.
fn first_uint64(hash: &[u8; 32]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(bytes)
}

/// The columns of a custody group. An error if there is no such group.
///
/// Spec: fulu/das-core.md, `compute_columns_for_custody_group`.
pub fn compute_columns_for_custody_group(
    config: &Config,
    custody_group: CustodyIndex,
) -> Result<Vec<ColumnIndex>, Invalid> {
    let groups = config.number_of_custody_groups;
    ensure!(
        custody_group < groups,
        "custody group",
        "{custody_group}, there are {groups} groups"
    );
    let columns_per_group = NUMBER_OF_COLUMNS / groups;
    Ok((0..columns_per_group).map(|i| groups * i + custody_group).collect())
}

/// How many groups a node with these validators must keep. `state` is the latest finalized one. An error if a validator
/// is not in it.
///
/// Spec: fulu/validator.md, `get_validators_custody_requirement`.
pub fn get_validators_custody_requirement(
    state: &State,
    config: &Config,
    validator_indices: &[ValidatorIndex],
) -> Result<u64, Invalid> {
    let mut total_node_balance = 0;
    for index in validator_indices {
        total_node_balance = math::add(total_node_balance, validator(state, *index)?.effective_balance)?;
    }
    let count = math::div(total_node_balance, config.balance_per_additional_custody_group)?;
    let at_least = count.max(config.validator_custody_requirement);
    Ok(at_least.min(config.number_of_custody_groups))
}

/// Spec: fulu/p2p-interface.md, `compute_subnet_for_data_column_sidecar`.
pub fn compute_subnet_for_data_column_sidecar(config: &Config, column_index: ColumnIndex) -> SubnetID {
    column_index % config.data_column_sidecar_subnet_count.max(1)
}
