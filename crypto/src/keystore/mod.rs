//! EIP-2335 keystores: one validator key in a JSON file, encrypted under a password.
//!
//! [`Keystore::from_json`] checks everything a file says before any of it is used: version and functions by name,
//! lengths, and how much memory and time its key derivation may cost (`kdf`), since keystores come from outside.
//! [`Keystore::decrypt`] is slow by design and serial; the caller decides where it runs. No secret is ever printed:
//! `Debug` shows the identity of a keystore only, errors show neither passwords nor keys.

mod error;
mod json;
mod kdf;
mod password;

pub use error::KeystoreError;
pub use kdf::NewKdf;

use crate::derive::{SecretBytes, public_key};
use aes::Aes128;
use ctr::cipher::{KeyIvInit, StreamCipher};
use kdf::Kdf;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A validator key, encrypted. Spec: EIP-2335, version 4.
#[derive(Clone, PartialEq, Eq)]
pub struct Keystore {
    kdf: Kdf,
    checksum: [u8; 32],
    iv: [u8; 16],
    ciphertext: [u8; 32],
    description: Option<String>,
    pubkey: Option<[u8; 48]>,
    path: String,
    uuid: String,
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pubkey = self.pubkey.map(hex::encode); // what is encrypted stays out: it invites guessing passwords
        f.debug_struct("Keystore")
            .field("uuid", &self.uuid)
            .field("pubkey", &pubkey)
            .finish_non_exhaustive()
    }
}

impl Keystore {
    /// Reads a keystore file. Errors name what is unknown, missing or out of bounds; nothing is decrypted yet.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeystoreError> {
        json::read(bytes)
    }

    /// The keystore as the JSON that EIP-2335 describes.
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Encrypts a secret under a password with fresh randomness. `path` is the key's place in its tree, or empty if it
    /// has none. Errors when the secret is no BLS secret key or the password is empty once it is normalized.
    pub fn encrypt(
        secret: &[u8; 32],
        password: &str,
        path: &str,
        description: Option<&str>,
        kdf: NewKdf,
    ) -> Result<Self, KeystoreError> {
        let pubkey = public_key(secret).ok_or(KeystoreError::NotASecretKey)?;
        let password = password::normalize(password);
        if password.is_empty() {
            return Err(KeystoreError::EmptyPassword);
        }
        let kdf = kdf.with_salt(random()?);
        let iv = random()?;
        let key = kdf.derive(password.as_bytes())?;
        let ciphertext = *aes_128_ctr(&key, &iv, secret);
        Ok(Self {
            kdf,
            checksum: checksum(&key, &ciphertext),
            iv,
            ciphertext,
            description: description.map(str::to_owned),
            pubkey: Some(pubkey),
            path: path.to_owned(),
            uuid: uuid_v4(random()?),
        })
    }

    /// The secret key. Takes as long and as much memory as the file's key derivation asks for (standard: 256 MiB with
    /// scrypt). Errors when the password is wrong, and when the secret is no BLS secret key or not the one of the file's
    /// public key: such a file would make a validator sign with another key than its owner believes.
    pub fn decrypt(&self, password: &str) -> Result<SecretBytes, KeystoreError> {
        let key = self.kdf.derive(password::normalize(password).as_bytes())?;
        if !bool::from(checksum(&key, &self.ciphertext).ct_eq(&self.checksum)) {
            return Err(KeystoreError::WrongPassword);
        }
        let secret = aes_128_ctr(&key, &self.iv, &self.ciphertext);
        let found = public_key(&secret).ok_or(KeystoreError::NotASecretKey)?;
        match self.pubkey {
            Some(stated) if stated != found => Err(KeystoreError::OtherPubkey { stated, found }),
            _ => Ok(secret),
        }
    }

    /// The compressed public key that the file states; [`Keystore::decrypt`] checks it.
    pub fn pubkey(&self) -> Option<&[u8; 48]> {
        self.pubkey.as_ref()
    }

    /// The place of the key in its tree (EIP-2334), as the file has it: unchecked, empty if unknown.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The identifier of the keystore, in the usual form with four dashes.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// What its maker wrote about the keystore.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
}

/// Spec: EIP-2335, "Password verification".
fn checksum(key: &[u8; 32], ciphertext: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(&key[16..])
        .chain_update(ciphertext)
        .finalize()
        .into()
}

/// Encrypts or decrypts (the same in counter mode). Spec: EIP-2335, "Secret decryption".
fn aes_128_ctr(key: &[u8; 32], iv: &[u8; 16], input: &[u8; 32]) -> SecretBytes {
    let (aes_key, _) = key.split_first_chunk::<16>().expect("32 bytes have a first half");
    let mut output = SecretBytes::new(*input);
    ctr::Ctr128BE::<Aes128>::new(aes_key.into(), iv.into()).apply_keystream(output.as_mut_slice());
    output
}

/// A password of 256 random bits, as 64 hex digits: for [`NewKdf::RandomPassword`].
pub fn random_password() -> Result<Zeroizing<String>, KeystoreError> {
    let bits = Zeroizing::new(random::<32>()?);
    Ok(Zeroizing::new(hex::encode(bits.as_slice())))
}

fn random<const N: usize>() -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| KeystoreError::NoRandomness)?;
    Ok(bytes)
}

/// A random identifier. Spec: RFC 4122, version 4.
fn uuid_v4(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests;
