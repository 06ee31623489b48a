//! The validator's signing keys: where they lie, how they come in, and how they leave.
//!
//! Everything is below one folder, `DATADIR/validator`:
//!
//! | name | what it is |
//! | --- | --- |
//! | `keys/0x….json` | one signing key, encrypted under the local secret |
//! | `local_secret` | 256 random bits that open the keys, so that a client starts with nobody there |
//! | `slashing_protection.sqlite` | what every key has signed, and whether it may sign |
//! | `validators.toml` | the operator's settings per key, and the keys that remote signers have |
//! | `api_token` | what a request to the running client's keymanager API must show |
//! | `api_address` | where that API is, while the client runs |
//!
//! The local secret lies beside what it opens: it protects a key file that is copied or backed up alone, not one that is
//! taken together with the secret. Whoever can read both can sign. What protects them is that both have mode 0600.

mod create;
mod import;
mod keystores;
mod manage;
mod store;

#[cfg(test)]
mod tests;

pub use create::{Withdrawals, deposit_file, derive_signing_keys, sign_deposit};
pub use import::{Candidate, Imported, Outcome, Standing, Vouch, import};
pub(crate) use import::{admit_remote, import_into, public_key};
pub use keystores::{KeystoreFile, find_keystores, read_password};
pub use manage::{EXPORTED, Keys, Place};
pub use store::{KeyStore, MAX_KEYS};
