//! The helper functions of the specs, grouped as the specs group them.

pub mod accessors;
pub mod churn;
pub mod math;
pub mod misc;
pub mod mutators;
pub mod predicates;
pub mod selection;
pub mod shuffling;
