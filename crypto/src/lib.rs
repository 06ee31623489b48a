//! Cryptography of the consensus layer, depending on nothing else of ours.
//!
//! Everything here is a function of its arguments and serial: no thread is started and no global pool is used, so that
//! the caller decides where work runs.

// In tests a failed `unwrap` is a failed test.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bls;
pub mod derive;
pub mod hash;
pub mod kernel;
pub mod keystore;
pub mod kzg;
pub mod mnemonic;
pub mod pubkeys;
