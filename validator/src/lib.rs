//! The validator client: it holds signing keys, does validators' duties through any beacon node, and cannot be made to
//! sign anything slashable.
//!
//! Signing keys are reached through [`signer`] alone, which writes every block and attestation down in the
//! [slashing protection database](slashing_protection) before its signature leaves.
#![forbid(unsafe_code)]
// In tests a failed `unwrap` is a failed test.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod exit;
pub mod files;
pub mod interchange;
pub mod keys;
pub mod settings;
pub mod signer;
pub mod slashing_protection;

#[cfg(test)]
mod tests;
