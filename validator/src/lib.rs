//! The validator client: it holds signing keys, does validators' duties through any beacon node, and cannot be made to
//! sign anything slashable.
//!
//! Signing keys are reached through [`signer`] alone, which writes every block and attestation down in the slashing
//! protection database before its signature leaves.
#![forbid(unsafe_code)]

pub mod beacon;
pub mod clock;
pub mod settings;
pub mod signer;

#[cfg(test)]
mod scripted;
