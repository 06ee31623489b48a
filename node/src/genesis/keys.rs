//! Keys for local networks: the well-known interop keys, or those of a mnemonic.

use super::GenesisValidator;
use anyhow::{Context, Result};
use consensus::constants::{BLS_WITHDRAWAL_PREFIX, COMPOUNDING_WITHDRAWAL_PREFIX, ETH1_ADDRESS_WITHDRAWAL_PREFIX};
use consensus::ssz::{Bytes, U256};
use consensus::types::{BLSPubkey, Bytes32, ExecutionAddress};
use crypto::bls::SecretKey;
use crypto::derive::{KeyPath, derive_path};
use crypto::hash::sha256;

/// The order of the group that secret keys count in. Spec: phase0/beacon-chain.md, "BLS signatures" (`CURVE_ORDER`).
const CURVE_ORDER: &str = "0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";

/// A validator's keys, from which its genesis entry and its keystore are made.
#[derive(Debug)]
pub struct GenesisKey {
    /// What it signs with.
    pub signing: SecretKey,
    /// Its compressed public key.
    pub pubkey: BLSPubkey,
    /// The public key that credentials of the prefix 0x00 commit to.
    pub withdrawal_pubkey: BLSPubkey,
    /// The place of the signing key in its tree (EIP-2334); empty for interop keys, which have none.
    pub path: String,
}

/// Where balances may be withdrawn to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawals {
    /// To nowhere until the validator names an address (prefix 0x00).
    Bls,
    /// To this address, or to one of the validator's own (prefix 0x01).
    Address(Option<ExecutionAddress>),
    /// As `Address`, with a balance that may grow beyond 32 ETH from Electra on (prefix 0x02).
    Compounding(Option<ExecutionAddress>),
}

/// The interop secret key of a validator: the SHA-256 of its index, little-endian, modulo the order of the group.
/// Everybody knows these keys.
///
/// Spec: eth2.0-pm, interop/mocked_start.
pub fn interop_secret_key(index: u64) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&index.to_le_bytes());
    let order: U256 = CURVE_ORDER.parse().expect("the constant is a number");
    let key = U256::from_le_bytes(sha256(&bytes)) % order;
    SecretKey::from_bytes(&key.to_be_bytes()).expect("the SHA-256 of a number is no multiple of the order")
}

impl GenesisKey {
    /// The interop key of validator `index`, whose withdrawal key is the same.
    pub fn interop(index: u64) -> Self {
        let signing = interop_secret_key(index);
        let pubkey = BLSPubkey::from(signing.public_key().to_compressed());
        GenesisKey {
            signing,
            pubkey,
            withdrawal_pubkey: pubkey,
            path: String::new(),
        }
    }

    /// Key number `index` of a mnemonic's seed, at the paths of EIP-2334.
    pub fn derived(seed: &[u8], index: u32) -> Result<Self> {
        let path = KeyPath::signing(index);
        let signing = secret_at(seed, &path)?;
        let withdrawal = secret_at(seed, &KeyPath::withdrawal(index))?;
        Ok(GenesisKey {
            pubkey: Bytes(signing.public_key().to_compressed()),
            withdrawal_pubkey: Bytes(withdrawal.public_key().to_compressed()),
            signing,
            path: path.to_string(),
        })
    }

    /// The entry in the genesis registry.
    pub fn validator(&self, withdrawals: Withdrawals) -> GenesisValidator {
        GenesisValidator {
            pubkey: self.pubkey,
            withdrawal_credentials: withdrawals.credentials(&self.withdrawal_pubkey),
        }
    }
}

fn secret_at(seed: &[u8], path: &KeyPath) -> Result<SecretKey> {
    let secret = derive_path(seed, path).with_context(|| format!("no key can be derived at {path}"))?;
    SecretKey::from_bytes(&secret).with_context(|| format!("what is derived at {path} is no key"))
}

impl Withdrawals {
    /// The credentials of a validator with this withdrawal key.
    ///
    /// Spec: phase0/validator.md, "Withdrawal credentials"; electra/validator.md.
    pub fn credentials(self, withdrawal_pubkey: &BLSPubkey) -> Bytes32 {
        let hash = sha256(&withdrawal_pubkey.0);
        let (prefix, address) = match self {
            Withdrawals::Bls => {
                let mut credentials = hash;
                credentials[0] = BLS_WITHDRAWAL_PREFIX;
                return Bytes(credentials);
            }
            Withdrawals::Address(address) => (ETH1_ADDRESS_WITHDRAWAL_PREFIX, address),
            Withdrawals::Compounding(address) => (COMPOUNDING_WITHDRAWAL_PREFIX, address),
        };
        let mut credentials = [0; 32];
        credentials[0] = prefix;
        match address {
            Some(address) => credentials[12..].copy_from_slice(&address.0),
            None => credentials[12..].copy_from_slice(&hash[12..]),
        }
        Bytes(credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interop_keys_are_the_well_known_ones() {
        // Keys 0 and 1 of the interop specification's list.
        let known = [
            (
                "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866",
                "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c",
            ),
            (
                "51d0b65185db6989ab0b560d6deed19c7ead0e24b9b6372cbecb1f26bdfad000",
                "0xb89bebc699769726a318c8e9971bd3171297c61aea4a6578a7a4f94b547dcba5bac16a89108b6b6a1fe3695d1a874a0b",
            ),
        ];
        for (index, (secret, pubkey)) in known.into_iter().enumerate() {
            let key = GenesisKey::interop(index as u64);
            assert_eq!(key.pubkey.to_string(), pubkey);
            assert_eq!(Bytes(*key.signing.to_bytes()).to_string(), format!("0x{secret}"));
        }
    }

    #[test]
    fn credentials_have_their_prefixes() {
        let key = GenesisKey::interop(0).withdrawal_pubkey;
        let address = Bytes([9; 20]);
        let bls = Withdrawals::Bls.credentials(&key);
        assert_eq!((bls.0[0], &bls.0[1..]), (0, &sha256(&key.0)[1..]));
        let given = Withdrawals::Address(Some(address)).credentials(&key);
        assert_eq!(
            (given.0[0], &given.0[1..12], &given.0[12..]),
            (1, &[0; 11][..], &[9; 20][..])
        );
        let own = Withdrawals::Compounding(None).credentials(&key);
        assert_eq!((own.0[0], &own.0[1..12]), (2, &[0; 11][..]));
        assert_ne!(own.0[12..], [0; 20]);
    }
}
