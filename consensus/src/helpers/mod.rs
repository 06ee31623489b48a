//! The helper functions of the specs, grouped as the specs group them.

pub mod shuffling;
