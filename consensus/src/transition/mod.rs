//! The state transition: what a slot, an epoch, a block and a fork do to a state.

pub mod block;
pub mod epoch;
