//! What a block does to a state.

pub mod deposit;
