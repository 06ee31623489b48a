//! What a signature is bound to: fork versions, and the object root paired with its domain.

use super::basic::{Domain, Epoch, Root, Version};
use crate::ssz::container;

container! {
    /// The spec's `Fork`: which fork versions a state is between. Named `ForkInfo` because [`crate::Fork`] is the
    /// enum of forks.
    ///
    /// Spec: phase0/beacon-chain.md, `Fork`.
    pub struct ForkInfo {
        previous_version: Version,
        current_version: Version,
        epoch: Epoch,
    }
}

container! {
    /// What a fork digest and a domain are computed from. Spec: phase0/beacon-chain.md, `ForkData`.
    pub struct ForkData {
        current_version: Version,
        genesis_validators_root: Root,
    }
}

container! {
    /// What is signed: an object's root with its domain. Spec: phase0/beacon-chain.md, `SigningData`.
    pub struct SigningData {
        object_root: Root,
        domain: Domain,
    }
}
