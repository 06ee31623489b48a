//! The helper functions of the specs, grouped as the specs group them.

pub mod accessors;
pub mod builders;
pub mod churn;
pub mod effective_balances;
pub mod math;
pub mod misc;
pub mod mutators;
pub mod predicates;
pub mod selection;
pub mod shuffling;
pub(crate) mod target_balances;
pub mod voters_key;
pub mod votes;
