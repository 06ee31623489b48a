//! Cryptography of the consensus layer, depending on nothing else of ours.
//!
//! Everything here is a function of its arguments and serial: no thread is started and no global pool is used, so that
//! the caller decides where work runs.

pub mod hash;
