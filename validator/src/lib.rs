//! The validator client: it holds signing keys, does validators' duties through any beacon node, and cannot be made to
//! sign anything slashable.
//!
//! Signing keys are reached through [`signer`] alone, which writes every block and attestation down in the
//! [slashing protection database](slashing_protection) before its signature leaves.
#![forbid(unsafe_code)]
// In tests a failed `unwrap` is a failed test.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod attest;
pub mod beacon;
pub mod clock;
pub mod context;
pub mod doppelganger;
pub mod duties;
pub mod exit;
pub mod fetch;
pub mod files;
pub mod gate;
pub mod heads;
mod http_server;
pub mod interchange;
pub mod keymanager;
pub mod keys;
pub mod metrics;
pub mod prepare;
pub mod propose;
pub mod publish;
pub mod report;
pub mod run;
pub mod settings;
pub mod signer;
pub mod silence;
pub mod slashing_protection;
pub mod summary;
pub mod sync_committee;
pub mod validators;

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
