//! How fast validators may enter, leave and merge.

use crate::Config;
use crate::fork::Fork;
use crate::helpers::accessors::{active_validator_count, get_current_epoch, get_total_active_balance};
use crate::preset::EFFECTIVE_BALANCE_INCREMENT;
use crate::state::State;
use crate::types::Gwei;

/// In validators. Spec: phase0/beacon-chain.md, `get_validator_churn_limit`.
pub fn get_validator_churn_limit(state: &State, config: &Config) -> u64 {
    let active = active_validator_count(state, get_current_epoch(state));
    config
        .min_per_epoch_churn_limit
        .max(active / config.churn_limit_quotient)
}

/// In validators. Spec: deneb/beacon-chain.md, `get_validator_activation_churn_limit`.
pub fn get_validator_activation_churn_limit(state: &State, config: &Config) -> u64 {
    let limit = get_validator_churn_limit(state, config);
    if state.at >= Fork::Deneb {
        limit.min(config.max_per_epoch_activation_churn_limit)
    } else {
        limit
    }
}

fn in_increments(churn: Gwei) -> Gwei {
    churn - churn % EFFECTIVE_BALANCE_INCREMENT
}

/// In Gwei. Spec: electra/beacon-chain.md, `get_balance_churn_limit`.
pub fn get_balance_churn_limit(state: &State, config: &Config) -> Gwei {
    let share = get_total_active_balance(state) / config.churn_limit_quotient;
    in_increments(share.max(config.min_per_epoch_churn_limit_electra))
}

/// In Gwei. Spec: electra/beacon-chain.md, `get_activation_exit_churn_limit`.
pub fn get_activation_exit_churn_limit(state: &State, config: &Config) -> Gwei {
    get_balance_churn_limit(state, config).min(config.max_per_epoch_activation_exit_churn_limit)
}

/// In Gwei. Spec: electra/ and gloas/beacon-chain.md, `get_consolidation_churn_limit`.
pub fn get_consolidation_churn_limit(state: &State, config: &Config) -> Gwei {
    if state.at >= Fork::Gloas {
        return in_increments(get_total_active_balance(state) / config.consolidation_churn_limit_quotient);
    }
    get_balance_churn_limit(state, config) - get_activation_exit_churn_limit(state, config)
}

/// In Gwei. Spec: gloas/beacon-chain.md, `get_activation_churn_limit`.
pub fn get_activation_churn_limit(state: &State, config: &Config) -> Gwei {
    get_exit_churn_limit(state, config).min(config.max_per_epoch_activation_churn_limit_gloas)
}

/// In Gwei. Spec: gloas/beacon-chain.md, `get_exit_churn_limit`.
pub fn get_exit_churn_limit(state: &State, config: &Config) -> Gwei {
    let share = get_total_active_balance(state) / config.churn_limit_quotient_gloas;
    in_increments(share.max(config.min_per_epoch_churn_limit_electra))
}
