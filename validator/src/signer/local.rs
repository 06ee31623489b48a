//! A signing key in memory. It signs for a permit and for nothing else.

use super::message::Harmless;
use crate::slashing_protection::Recorded;
use consensus::ssz::{Bytes, Root};
use consensus::types::BLSSignature;
use crypto::bls::SecretKey;

/// The leave to sign one root.
#[derive(Debug)]
pub(super) enum Permit {
    /// A block or attestation that is on record.
    Recorded(Recorded),
    /// Something that gets nobody slashed.
    Harmless(Harmless),
}

impl Permit {
    pub(super) fn signing_root(&self) -> Root {
        match self {
            Permit::Recorded(recorded) => recorded.signing_root(),
            Permit::Harmless(harmless) => harmless.signing_root(),
        }
    }
}

/// A key that nothing but a [`Permit`] makes sign.
#[derive(Debug)]
pub(super) struct LocalKey(SecretKey);

impl LocalKey {
    pub(super) fn new(secret: SecretKey) -> Self {
        LocalKey(secret)
    }

    pub(super) fn sign(&self, permit: Permit) -> BLSSignature {
        Bytes(self.0.sign(&permit.signing_root().0).to_bytes())
    }
}
