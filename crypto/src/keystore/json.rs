//! The JSON form of a keystore. Unknown fields are passed over (tools add their own), missing ones refused by name.

use super::{
    Keystore, KeystoreError,
    kdf::{Kdf, MAX_SALT_BYTES},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Largest keystore file read, in bytes. Real ones have about 800 bytes; the rest is room for a long description.
pub(super) const MAX_FILE_BYTES: usize = 16 * 1024;
/// As many characters of a text from the file as an error shows.
const MAX_SHOWN: usize = 100;

#[derive(Serialize, Deserialize)]
struct File {
    crypto: Crypto,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    // Required for keys by EIP-2335, but some tools leave it out, and it follows from the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pubkey: Option<String>,
    // Required too, but the empty path means the same as none.
    #[serde(default)]
    path: String,
    uuid: String,
    version: u8,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    kdf: Module,
    checksum: Module,
    cipher: Module,
}

#[derive(Serialize, Deserialize)]
struct Module {
    function: String,
    params: Value,
    message: String,
}

#[derive(Deserialize)]
struct ScryptParams {
    dklen: u64,
    n: u64,
    r: u64,
    p: u64,
    salt: String,
}

#[derive(Deserialize)]
struct Pbkdf2Params {
    dklen: u64,
    c: u64,
    prf: String,
    salt: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

pub(super) fn read(bytes: &[u8]) -> Result<Keystore, KeystoreError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(KeystoreError::TooLarge(bytes.len()));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    // Before anything else: a file of another version has other fields, and their absence would explain nothing.
    match value.get("version") {
        Some(version) if version.as_u64() == Some(4) => {}
        Some(other) => return Err(KeystoreError::Version(shown(&other.to_string()))),
        None => return Err(KeystoreError::Json("it has no version".to_owned())),
    }
    let file = File::deserialize(value).map_err(malformed)?;
    let Crypto { kdf, checksum, cipher } = file.crypto;
    check_function("checksum", &checksum.function, "sha256")?;
    check_function("cipher", &cipher.function, "aes-128-ctr")?;
    let iv = CipherParams::deserialize(cipher.params).map_err(malformed)?.iv;
    Ok(Keystore {
        kdf: read_kdf(kdf)?,
        checksum: fixed("checksum", "32 bytes of hex", &checksum.message)?,
        iv: fixed("cipher iv", "16 bytes of hex", &iv)?,
        ciphertext: fixed("cipher message", "32 bytes of hex, as a BLS key has", &cipher.message)?,
        description: file.description,
        pubkey: file
            .pubkey
            .map(|text| fixed("pubkey", "48 bytes of hex", &text))
            .transpose()?,
        path: file.path,
        uuid: read_uuid(file.uuid)?,
    })
}

pub(super) fn write(keystore: &Keystore) -> String {
    let (function, params) = match &keystore.kdf {
        Kdf::Scrypt { log_n, r, p, salt } => (
            "scrypt",
            json!({"dklen": 32, "n": 1u64 << log_n, "r": r, "p": p, "salt": hex::encode(salt)}),
        ),
        Kdf::Pbkdf2 { c, salt } => (
            "pbkdf2",
            json!({"dklen": 32, "c": c, "prf": "hmac-sha256", "salt": hex::encode(salt)}),
        ),
    };
    let module = |function: &str, params, message| Module {
        function: function.to_owned(),
        params,
        message,
    };
    let file = File {
        crypto: Crypto {
            kdf: module(function, params, String::new()),
            checksum: module("sha256", json!({}), hex::encode(keystore.checksum)),
            cipher: module(
                "aes-128-ctr",
                json!({"iv": hex::encode(keystore.iv)}),
                hex::encode(keystore.ciphertext),
            ),
        },
        description: keystore.description.clone(),
        pubkey: keystore.pubkey.map(hex::encode),
        path: keystore.path.clone(),
        uuid: keystore.uuid.clone(),
        version: 4,
    };
    serde_json::to_string_pretty(&file).expect("strings and integers always have a JSON form")
}

fn read_kdf(module: Module) -> Result<Kdf, KeystoreError> {
    match module.function.as_str() {
        "scrypt" => {
            let params = ScryptParams::deserialize(module.params).map_err(malformed)?;
            check_dklen(params.dklen)?;
            Kdf::scrypt(params.n, params.r, params.p, read_salt(&params.salt)?)
        }
        "pbkdf2" => {
            let params = Pbkdf2Params::deserialize(module.params).map_err(malformed)?;
            check_dklen(params.dklen)?;
            check_function("prf", &params.prf, "hmac-sha256")?;
            Kdf::pbkdf2(params.c, read_salt(&params.salt)?)
        }
        other => Err(KeystoreError::Function {
            module: "kdf",
            found: shown(other),
            known: "scrypt or pbkdf2",
        }),
    }
}

/// 32 is what EIP-2335's procedures use of the key. A longer one would not change those bytes, but nobody writes it.
fn check_dklen(dklen: u64) -> Result<(), KeystoreError> {
    if dklen == 32 {
        Ok(())
    } else {
        Err(KeystoreError::Field {
            field: "dklen",
            must: "32",
        })
    }
}

fn check_function(module: &'static str, found: &str, known: &'static str) -> Result<(), KeystoreError> {
    if found == known {
        Ok(())
    } else {
        Err(KeystoreError::Function {
            module,
            found: shown(found),
            known,
        })
    }
}

fn read_salt(text: &str) -> Result<Vec<u8>, KeystoreError> {
    let error = KeystoreError::Field {
        field: "salt",
        must: "at most 256 bytes of hex",
    };
    if text.len() > 2 * MAX_SALT_BYTES {
        return Err(error);
    }
    hex::decode(text).map_err(|_| error)
}

/// Hex of exactly `N` bytes; `0x` before it is tolerated, as some tools write it.
fn fixed<const N: usize>(field: &'static str, must: &'static str, text: &str) -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| KeystoreError::Field { field, must })?;
    Ok(bytes)
}

fn read_uuid(text: String) -> Result<String, KeystoreError> {
    let place = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    if text.len() == 36 && text.bytes().enumerate().all(place) {
        Ok(text)
    } else {
        Err(KeystoreError::Field {
            field: "uuid",
            must: "a UUID such as 1d85ae20-35c5-4611-98e8-aa14a633906f",
        })
    }
}

fn malformed(error: serde_json::Error) -> KeystoreError {
    KeystoreError::Json(shown(&error.to_string()))
}

/// A text that may come from the file, fit for a terminal and a log.
fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect()
}
