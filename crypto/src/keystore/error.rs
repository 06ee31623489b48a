//! What can be wrong with a keystore. Passwords and keys never show; text from the file shows shortened and escaped.

use std::fmt;

/// Why a keystore was not read, opened or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeystoreError {
    /// The file is larger than any keystore; holds its size in bytes.
    TooLarge(usize),
    /// The file is no JSON, or a field is missing or of another kind; holds what the parser says.
    Json(String),
    /// The version is not 4; holds what stands there.
    Version(String),
    /// A function that EIP-2335 does not know.
    Function {
        /// The module: `kdf`, `prf`, `checksum` or `cipher`.
        module: &'static str,
        /// What stands in the file.
        found: String,
        /// What would be understood.
        known: &'static str,
    },
    /// A field holds something that cannot be.
    Field {
        /// Its name.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// The key derivation asks for more than a file from outside may cost.
    Cost {
        /// What it asks for.
        what: &'static str,
        /// How much of it.
        asked: u128,
        /// How much is allowed.
        allowed: u64,
    },
    /// The key derivation needs memory that this machine does not give; holds the number of bytes.
    Memory(usize),
    /// The password is wrong, or the file is damaged: its checksum does not distinguish the two.
    WrongPassword,
    /// The password is empty, or holds nothing but control codes.
    EmptyPassword,
    /// The secret is 0 or not below the order of the BLS12-381 group.
    NotASecretKey,
    /// The file holds another key than it says.
    OtherPubkey {
        /// The public key in the file.
        stated: [u8; 48],
        /// The public key of the decrypted secret.
        found: [u8; 48],
    },
    /// The operating system gave no random bytes.
    NoRandomness,
}

impl fmt::Display for KeystoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(found) => {
                write!(
                    f,
                    "the file has {found} bytes, a keystore has at most {}",
                    super::json::MAX_FILE_BYTES
                )
            }
            Self::Json(why) => write!(f, "this is no EIP-2335 keystore: {why}"),
            Self::Version(found) => write!(
                f,
                "the keystore's version is {found}, only version 4 (EIP-2335) is known; version 3 is for wallets"
            ),
            Self::Function { module, found, known } => {
                write!(f, "the keystore's {module} function is {found}, known is {known}")
            }
            Self::Field { field, must } => write!(f, "the keystore's {field} must be {must}"),
            Self::Cost { what, asked, allowed } => write!(
                f,
                "the keystore asks for {asked} {what} to open it, allowed are {allowed}; make it again with standard \
                 parameters if it is yours"
            ),
            Self::Memory(bytes) => write!(
                f,
                "opening the keystore takes {bytes} bytes of memory, there is not as much"
            ),
            Self::WrongPassword => f.write_str("the password does not open the keystore (or the file is damaged)"),
            Self::EmptyPassword => f.write_str("the password is empty; choose one that has letters"),
            Self::NotASecretKey => f.write_str("the secret is no BLS secret key: it is 0 or too large"),
            Self::OtherPubkey { stated, found } => write!(
                f,
                "the keystore says it holds the key of 0x{} but it holds that of 0x{}; do not use it",
                hex::encode(stated),
                hex::encode(found)
            ),
            Self::NoRandomness => f.write_str("the operating system gave no random bytes"),
        }
    }
}

impl std::error::Error for KeystoreError {}
