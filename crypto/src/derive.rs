//! Validator keys from a seed: the key tree of EIP-2333 and its paths (EIP-2334).
//!
//! The tree itself is `blst`'s: its code is audited, runs in constant time and wipes its intermediate values. The seed
//! comes from a mnemonic, see [`crate::mnemonic`]. Secrets are 32 bytes, big-endian, and are wiped when dropped.

use blst::min_pk::SecretKey;
use std::{fmt, str::FromStr};
use zeroize::Zeroizing;

/// A BLS secret key: a big-endian number between 1 and the group order, wiped when dropped and never printed. It reads
/// as its 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Zeroizing<[u8; 32]>);

impl SecretBytes {
    /// Takes the bytes of a key; wipe your own copy.
    pub fn new(bytes: [u8; 32]) -> Self {
        SecretBytes(Zeroizing::new(bytes))
    }
}

impl std::ops::Deref for SecretBytes {
    type Target = [u8; 32];

    fn deref(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::ops::DerefMut for SecretBytes {
    fn deref_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

/// EIP-2333: a seed holds at least 256 bits.
const MIN_SEED_BYTES: usize = 32;
/// EIP-2334: four levels below the master node are the least.
const MIN_LEVELS: usize = 4;
/// Ours: nobody uses more than five, and each level costs a millisecond or more to derive.
const MAX_LEVELS: usize = 16;
/// EIP-2334: the purpose of every BLS12-381 path.
const PURPOSE: u32 = 12381;
/// EIP-2334: the coin type of the beacon chain.
const COIN_TYPE: u32 = 3600;

/// Why no key was derived or a path was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeriveError {
    /// The seed is shorter than 32 bytes; holds its length.
    ShortSeed(usize),
    /// The parent is 0 or not below the group order.
    NotASecretKey,
    /// The path does not begin with the master node `m`.
    PathRoot,
    /// A part of the path is no plain decimal number below 2^32; holds its place, 1 for the first after `m`.
    PathIndex(usize),
    /// The path has fewer or more levels below `m` than allowed; holds their number.
    PathLevels(usize),
    /// The path's purpose is not 12381; holds it.
    PathPurpose(u32),
}

impl fmt::Display for DeriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSeed(found) => write!(f, "the seed has {found} bytes, EIP-2333 asks for {MIN_SEED_BYTES}"),
            Self::NotASecretKey => f.write_str("the parent key is 0 or not below the order of the BLS12-381 group"),
            Self::PathRoot => f.write_str("the path does not begin with m/, such as m/12381/3600/0/0/0"),
            Self::PathIndex(place) => write!(
                f,
                "part {place} of the path is no number from 0 to 4294967295 without sign, leading zero or quote mark \
                 (EIP-2334 has no hardened keys)"
            ),
            Self::PathLevels(found) => {
                write!(
                    f,
                    "the path has {found} levels below m, it must have {MIN_LEVELS} to {MAX_LEVELS}"
                )
            }
            Self::PathPurpose(found) => write!(f, "the purpose of the path is {found}, EIP-2334 asks for {PURPOSE}"),
        }
    }
}

impl std::error::Error for DeriveError {}

/// The root of the key tree. Errors on a seed shorter than 32 bytes. Spec: EIP-2333, `derive_master_SK`.
pub fn derive_master_sk(seed: &[u8]) -> Result<SecretBytes, DeriveError> {
    let key = SecretKey::derive_master_eip2333(seed).map_err(|_| DeriveError::ShortSeed(seed.len()))?;
    Ok(SecretBytes::new(key.to_bytes()))
}

/// The child of a key. Errors when the parent is no secret key. Spec: EIP-2333, `derive_child_SK`.
pub fn derive_child_sk(parent: &[u8; 32], index: u32) -> Result<SecretBytes, DeriveError> {
    let parent = SecretKey::from_bytes(parent).map_err(|_| DeriveError::NotASecretKey)?;
    Ok(SecretBytes::new(parent.derive_child_eip2333(index).to_bytes()))
}

/// The key at a path below the root that the seed gives. Errors on a seed shorter than 32 bytes.
pub fn derive_path(seed: &[u8], path: &KeyPath) -> Result<SecretBytes, DeriveError> {
    let master = derive_master_sk(seed)?;
    path.0
        .iter()
        .try_fold(master, |parent, &index| derive_child_sk(&parent, index))
}

/// The compressed public key of a secret; `None` when the secret is 0 or not below the group order.
pub(crate) fn public_key(secret: &[u8; 32]) -> Option<[u8; 48]> {
    Some(SecretKey::from_bytes(secret).ok()?.sk_to_pk().compress())
}

/// A path in the key tree, such as `m/12381/3600/0/0/0`. Spec: EIP-2334.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPath(Vec<u32>);

impl KeyPath {
    /// The key with which validator `index` signs: `m/12381/3600/index/0/0`.
    pub fn signing(index: u32) -> Self {
        Self(vec![PURPOSE, COIN_TYPE, index, 0, 0])
    }

    /// The key that receives the withdrawals of validator `index`: `m/12381/3600/index/0`.
    pub fn withdrawal(index: u32) -> Self {
        Self(vec![PURPOSE, COIN_TYPE, index, 0])
    }

    /// The indices below the master node, purpose first.
    pub fn indices(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        self.0.iter().try_for_each(|index| write!(f, "/{index}"))
    }
}

impl FromStr for KeyPath {
    type Err = DeriveError;

    /// Reads the one canonical form, which `Display` writes; EIP-2334 knows no hardened keys and no other purpose.
    fn from_str(text: &str) -> Result<Self, DeriveError> {
        let below = text.strip_prefix("m/").ok_or(DeriveError::PathRoot)?;
        let levels = below.split('/').count();
        if !(MIN_LEVELS..=MAX_LEVELS).contains(&levels) {
            return Err(DeriveError::PathLevels(levels));
        }
        let indices = below
            .split('/')
            .enumerate()
            .map(|(at, part)| parse_index(part).ok_or(at + 1));
        let indices = indices
            .collect::<Result<Vec<u32>, _>>()
            .map_err(DeriveError::PathIndex)?;
        if indices[0] != PURPOSE {
            return Err(DeriveError::PathPurpose(indices[0]));
        }
        Ok(Self(indices))
    }
}

fn parse_index(part: &str) -> Option<u32> {
    let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
    if plain { part.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = SecretBytes::new([0xab; 32]);
        assert_eq!(format!("{secret:?} {secret:#?}"), "SecretBytes(…) SecretBytes(…)");
        assert_eq!(*secret, [0xab; 32]);
    }

    /// A decimal number as 32 big-endian bytes: EIP-2333 gives its keys in decimal.
    fn decimal(digits: &str) -> [u8; 32] {
        let mut bytes = [0u8; 32];
        for digit in digits.bytes() {
            let mut carry = u32::from(digit - b'0');
            for byte in bytes.iter_mut().rev() {
                carry += u32::from(*byte) * 10;
                *byte = carry as u8;
                carry >>= 8;
            }
            assert_eq!(carry, 0, "the number has more than 256 bits");
        }
        bytes
    }

    #[test]
    fn eip_2333_test_cases() {
        let cases = [
            (
                "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04",
                "6083874454709270928345386274498605044986640685124978867557563392430687146096",
                0,
                "20397789859736650942317412262472558107875392172444076792671091975210932703118",
            ),
            (
                "3141592653589793238462643383279502884197169399375105820974944592",
                "29757020647961307431480504535336562678282505419141012933316116377660817309383",
                3141592653,
                "25457201688850691947727629385191704516744796114925897962676248250929345014287",
            ),
            (
                "0099FF991111002299DD7744EE3355BBDD8844115566CC55663355668888CC00",
                "27580842291869792442942448775674722299803720648445448686099262467207037398656",
                4294967295,
                "29358610794459428860402234341874281240803786294062035874021252734817515685787",
            ),
            (
                "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
                "19022158461524446591288038168518313374041767046816487870552872741050760015818",
                42,
                "31372231650479070279774297061823572166496564838472787488249775572789064611981",
            ),
        ];
        for (seed, master, index, child) in cases {
            let found = derive_master_sk(&hex::decode(seed).unwrap()).unwrap();
            assert_eq!(*found, decimal(master));
            assert_eq!(*derive_child_sk(&found, index).unwrap(), decimal(child));
        }
    }

    #[test]
    fn what_is_no_seed_or_parent_is_refused() {
        assert_eq!(derive_master_sk(&[1; 31]).map(|_| ()), Err(DeriveError::ShortSeed(31)));
        assert_eq!(
            derive_child_sk(&[0; 32], 0).map(|_| ()),
            Err(DeriveError::NotASecretKey)
        );
        assert_eq!(
            derive_child_sk(&[0xff; 32], 0).map(|_| ()),
            Err(DeriveError::NotASecretKey)
        );
    }

    #[test]
    fn a_path_is_walked_level_by_level() {
        let seed = [7; 64];
        let withdrawal = derive_path(&seed, &KeyPath::withdrawal(3)).unwrap();
        assert_eq!(
            derive_path(&seed, &KeyPath::signing(3)),
            derive_child_sk(&withdrawal, 0)
        );
        assert_ne!(
            derive_path(&seed, &KeyPath::signing(3)),
            derive_path(&seed, &KeyPath::signing(4))
        );
    }

    #[test]
    fn paths_have_one_form() {
        assert_eq!(KeyPath::signing(5).to_string(), "m/12381/3600/5/0/0");
        assert_eq!(KeyPath::withdrawal(4294967295).to_string(), "m/12381/3600/4294967295/0");
        for text in [
            "m/12381/3600/5/0/0",
            "m/12381/60/3141592653/589793238",
            "m/12381/60/0/0",
        ] {
            assert_eq!(text.parse::<KeyPath>().unwrap().to_string(), text);
        }
        let refused = [
            ("", DeriveError::PathRoot),
            ("m", DeriveError::PathRoot),
            ("12381/3600/0/0/0", DeriveError::PathRoot),
            ("m/12381/3600/0", DeriveError::PathLevels(3)),
            (
                "m/12381/3600/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0",
                DeriveError::PathLevels(17),
            ),
            ("m/12381/3600/0/0/", DeriveError::PathIndex(5)),
            ("m/12381/3600/0'/0/0", DeriveError::PathIndex(3)),
            ("m/12381/3600/00/0/0", DeriveError::PathIndex(3)),
            ("m/12381/3600/+1/0/0", DeriveError::PathIndex(3)),
            ("m/12381/3600/4294967296/0/0", DeriveError::PathIndex(3)),
            ("m/44/3600/0/0/0", DeriveError::PathPurpose(44)),
        ];
        for (text, error) in refused {
            assert_eq!(text.parse::<KeyPath>(), Err(error), "{text}");
        }
    }
}
