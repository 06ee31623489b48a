//! The state transition: one function for each function of the specs.

pub mod block;
pub mod epoch;
