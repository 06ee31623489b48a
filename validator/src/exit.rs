//! Voluntary exits, signed without any node: the one message that needs neither clock nor slashing protection.
//!
//! Spec: phase0/beacon-chain.md, `VoluntaryExit`; deneb/beacon-chain.md, `process_voluntary_exit` (EIP-7044).

use crate::keys::KeyStore;
use crate::signer;
use anyhow::{Result, bail};
use consensus::Config;
use consensus::ssz::Root;
use consensus::types::{BLSPubkey, Epoch, SignedVoluntaryExit, ValidatorIndex, VoluntaryExit};
use crypto::derive::SecretBytes;
use std::path::Path;

/// The exit of a validator that the network takes from `epoch` on, in Capella's domain: no later fork invalidates it.
pub fn sign(
    secret: &SecretBytes,
    config: &Config,
    genesis_validators_root: Root,
    validator_index: ValidatorIndex,
    epoch: Epoch,
) -> Result<SignedVoluntaryExit> {
    let message = VoluntaryExit { epoch, validator_index };
    let signature = signer::sign_exit(secret, config, genesis_validators_root, &message)?;
    Ok(SignedVoluntaryExit { message, signature })
}

/// The secret of a key in the folder of a validator client, which may run meanwhile.
pub fn stored_secret(folder: &Path, key: &BLSPubkey) -> Result<SecretBytes> {
    let store = KeyStore::new(folder);
    if !store.contains(key) {
        bail!(
            "the key {key} is not in {}; --datadir looks elsewhere",
            store.keys_folder().display()
        );
    }
    store.unlock()?.load(key)
}
