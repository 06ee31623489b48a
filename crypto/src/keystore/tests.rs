//! The two keystores of EIP-2335, the round trip, and files that must be refused.

use super::*;
use serde_json::{Value, json};

const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
const SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
const PUBKEY: &str = "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07";

fn eip_scrypt() -> Value {
    json!({
        "crypto": {
            "kdf": {
                "function": "scrypt",
                "params": {
                    "dklen": 32, "n": 262144, "p": 1, "r": 8,
                    "salt": "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
                },
                "message": ""
            },
            "checksum": {
                "function": "sha256",
                "params": {},
                "message": "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484"
            },
            "cipher": {
                "function": "aes-128-ctr",
                "params": {"iv": "264daa3f303d7259501c93d997d84fe6"},
                "message": "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f"
            }
        },
        "description": "This is a test keystore that uses scrypt to secure the secret.",
        "pubkey": PUBKEY,
        "path": "m/12381/60/3141592653/589793238",
        "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f",
        "version": 4
    })
}

fn eip_pbkdf2() -> Value {
    let mut file = eip_scrypt();
    file["crypto"]["kdf"] = json!({
        "function": "pbkdf2",
        "params": {
            "dklen": 32, "c": 262144, "prf": "hmac-sha256",
            "salt": "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
        },
        "message": ""
    });
    file["crypto"]["checksum"]["message"] = json!("8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1");
    file["crypto"]["cipher"]["message"] = json!("cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad");
    file["path"] = json!("m/12381/60/0/0");
    file["uuid"] = json!("64625def-3331-4eea-ab6f-782f3ed16a83");
    file
}

/// EIP-2335's key with a derivation that costs nothing, for tests that are not about the derivation.
fn cheap() -> Value {
    let kdf = Kdf::pbkdf2(1, vec![5; 32]).unwrap();
    let secret: [u8; 32] = hex::decode(SECRET).unwrap().try_into().unwrap();
    let key = kdf.derive(b"secret").unwrap();
    let ciphertext = *aes_128_ctr(&key, &[6; 16], &secret);
    let mut file = eip_pbkdf2();
    file["crypto"]["kdf"]["params"]["c"] = json!(1);
    file["crypto"]["kdf"]["params"]["salt"] = json!(hex::encode([5; 32]));
    file["crypto"]["cipher"]["params"]["iv"] = json!(hex::encode([6; 16]));
    file["crypto"]["cipher"]["message"] = json!(hex::encode(ciphertext));
    file["crypto"]["checksum"]["message"] = json!(hex::encode(checksum(&key, &ciphertext)));
    file
}

fn read(file: &Value) -> Result<Keystore, KeystoreError> {
    Keystore::from_json(file.to_string().as_bytes())
}

#[test]
fn the_keystores_of_the_eip_open() {
    for file in [eip_scrypt(), eip_pbkdf2()] {
        let keystore = read(&file).unwrap();
        assert_eq!(hex::encode(*keystore.decrypt(PASSWORD).unwrap()), SECRET);
        assert_eq!(
            keystore.decrypt("testpassword🔑\n").map(|secret| hex::encode(*secret)),
            Ok(SECRET.to_owned())
        );
        assert_eq!(keystore.decrypt("testpassword"), Err(KeystoreError::WrongPassword));
        assert_eq!(
            serde_json::from_str::<Value>(&keystore.to_json()).unwrap(),
            file,
            "written as it was read"
        );
    }
}

#[test]
fn what_is_written_opens_again() {
    let secret: [u8; 32] = hex::decode(SECRET).unwrap().try_into().unwrap();
    for kdf in [NewKdf::Pbkdf2, NewKdf::Scrypt] {
        let keystore = Keystore::encrypt(&secret, "pässword", "m/12381/3600/0/0/0", Some("mine"), kdf).unwrap();
        let again = Keystore::from_json(keystore.to_json().as_bytes()).unwrap();
        assert_eq!(again, keystore);
        assert_eq!(*again.decrypt("pa\u{308}ssword\r\n").unwrap(), secret);
        assert_eq!(hex::encode(again.pubkey().unwrap()), PUBKEY);
        assert_eq!(
            (again.path(), again.description()),
            ("m/12381/3600/0/0/0", Some("mine"))
        );
        assert_eq!(
            (&again.uuid()[14..15], again.uuid().len()),
            ("4", 36),
            "a UUID of version 4"
        );
    }
}

#[test]
fn two_keystores_of_one_key_share_nothing() {
    let secret: [u8; 32] = hex::decode(SECRET).unwrap().try_into().unwrap();
    let make = || Keystore::encrypt(&secret, "p", "", None, NewKdf::Pbkdf2).unwrap();
    let (one, two) = (make(), make());
    assert!(one.kdf != two.kdf && one.iv != two.iv && one.uuid != two.uuid && one.ciphertext != two.ciphertext);
}

#[test]
fn a_random_password_opens_in_one_round() {
    let secret: [u8; 32] = hex::decode(SECRET).unwrap().try_into().unwrap();
    let password = random_password().unwrap();
    assert_eq!((password.len(), *password == *random_password().unwrap()), (64, false));
    let keystore = Keystore::encrypt(&secret, &password, "", None, NewKdf::RandomPassword).unwrap();
    let again = Keystore::from_json(keystore.to_json().as_bytes()).unwrap();
    assert_eq!(*again.decrypt(&password).unwrap(), secret);
}

#[test]
fn the_standard_parameters_are_the_eip_s() {
    let params = |kdf: NewKdf| match kdf.with_salt([0; 32]) {
        Kdf::Scrypt { log_n, r, p, .. } => (1u32 << log_n, r, p),
        Kdf::Pbkdf2 { c, .. } => (c, 0, 0),
    };
    assert_eq!(params(NewKdf::Scrypt), (262144, 8, 1));
    assert_eq!(params(NewKdf::Pbkdf2), (262144, 0, 0));
    assert_eq!(params(NewKdf::RandomPassword), (1, 0, 0));
}

#[test]
fn neither_secret_nor_ciphertext_is_printed() {
    let keystore = read(&cheap()).unwrap();
    let printed = format!("{keystore:?}");
    assert!(printed.contains(PUBKEY) && printed.contains(keystore.uuid()));
    assert!(!printed.contains(&hex::encode(keystore.ciphertext)) && !printed.contains("ciphertext"));
}

#[test]
fn no_keystore_is_made_of_what_is_no_key_or_without_password() {
    let make = |secret, password| Keystore::encrypt(&secret, password, "", None, NewKdf::Pbkdf2).err();
    assert_eq!(make([0; 32], "p"), Some(KeystoreError::NotASecretKey));
    assert_eq!(make([0xff; 32], "p"), Some(KeystoreError::NotASecretKey));
    assert_eq!(make([1; 32], "\u{7f}\n"), Some(KeystoreError::EmptyPassword));
}

#[test]
fn a_file_that_holds_another_key_than_it_says_is_refused() {
    let mut file = cheap();
    assert_eq!(hex::encode(*read(&file).unwrap().decrypt("secret").unwrap()), SECRET);
    file["pubkey"] = json!("ab".repeat(48));
    let error = read(&file).unwrap().decrypt("secret").unwrap_err();
    assert!(
        matches!(error, KeystoreError::OtherPubkey { stated, .. } if stated == [0xab; 48]),
        "{error}"
    );
    file["crypto"]["cipher"]["params"]["iv"] = json!("00".repeat(16)); // the checksum does not cover it
    assert!(read(&file).unwrap().decrypt("secret").is_err());
}

#[test]
fn fields_that_tools_leave_out_or_add_do_no_harm() {
    let mut file = cheap();
    for field in ["pubkey", "path", "description"] {
        file.as_object_mut().unwrap().remove(field);
    }
    file["name"] = json!("my validator");
    let keystore = read(&file).unwrap();
    assert_eq!(
        (keystore.pubkey(), keystore.path(), keystore.description()),
        (None, "", None)
    );
    assert_eq!(hex::encode(*keystore.decrypt("secret").unwrap()), SECRET);
    file["pubkey"] = json!(format!("0x{PUBKEY}"));
    assert_eq!(read(&file).unwrap().pubkey().map(hex::encode).as_deref(), Some(PUBKEY));
}

#[test]
fn unknown_versions_and_functions_are_named() {
    let refusal = |pointer: &str, value: Value| {
        let mut file = cheap();
        *file.pointer_mut(pointer).unwrap() = value;
        read(&file).unwrap_err().to_string()
    };
    assert!(refusal("/version", json!(3)).contains("version is 3"));
    assert!(refusal("/version", json!("4\u{1b}[2J")).contains("version is \\\"4"));
    assert!(refusal("/crypto/kdf/function", json!("argon2id")).contains("kdf function is argon2id"));
    assert!(refusal("/crypto/kdf/params/prf", json!("hmac-sha512")).contains("prf function is hmac-sha512"));
    assert!(refusal("/crypto/checksum/function", json!("keccak256")).contains("checksum function is keccak256"));
    assert!(refusal("/crypto/cipher/function", json!("aes-256-gcm")).contains("cipher function is aes-256-gcm"));
    let long = refusal("/crypto/kdf/function", json!("\u{1b}x".repeat(4000)));
    assert!(
        long.len() < 1000 && !long.contains('\u{1b}'),
        "text from the file is shortened and escaped"
    );
}

#[test]
fn values_out_of_bounds_are_refused() {
    let refusals = [
        ("/crypto/kdf/params/dklen", json!(64)),
        ("/crypto/kdf/params/dklen", json!(0)),
        ("/crypto/kdf/params/c", json!(0)),
        ("/crypto/kdf/params/c", json!(-1)),
        ("/crypto/kdf/params/c", json!(1u64 << 24)),
        ("/crypto/kdf/params/salt", json!("00".repeat(257))),
        ("/crypto/kdf/params/salt", json!("0g")),
        ("/crypto/kdf/params", json!(null)),
        ("/crypto/checksum/message", json!("00".repeat(31))),
        ("/crypto/cipher/params/iv", json!("00".repeat(17))),
        ("/crypto/cipher/message", json!("00".repeat(33))),
        ("/pubkey", json!("")),
        ("/uuid", json!("1d85ae20-35c5-4611-98e8-aa14a633906")),
        ("/uuid", json!("1d85ae20+35c5-4611-98e8-aa14a633906f")),
        ("/crypto", json!([])),
        ("/crypto/kdf", json!({})),
    ];
    for (pointer, value) in refusals {
        let mut file = cheap();
        *file.pointer_mut(pointer).unwrap() = value.clone();
        assert!(read(&file).is_err(), "{pointer} = {value}");
    }
    assert_eq!(
        Keystore::from_json(&vec![b' '; 16385]),
        Err(KeystoreError::TooLarge(16385))
    );
    assert!(matches!(Keystore::from_json(b"{\"version\":4}"), Err(KeystoreError::Json(why)) if why.contains("crypto")));
    assert!(matches!(Keystore::from_json(b"{}"), Err(KeystoreError::Json(_))));
    assert!(
        Keystore::from_json("[".repeat(16000).as_bytes()).is_err(),
        "deep nesting ends in an error"
    );
}

#[test]
fn damaged_files_never_panic_nor_open() {
    let text = cheap().to_string();
    for cut in 0..text.len() {
        assert!(Keystore::from_json(&text.as_bytes()[..cut]).is_err());
    }
    let original = read(&cheap()).unwrap();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        // Costs stay low: the one round of PBKDF2 turns into at most a few.
        let Ok(keystore) = Keystore::from_json(&bytes) else {
            continue;
        };
        match keystore.decrypt("secret") {
            Ok(secret) => assert_eq!(hex::encode(*secret), SECRET, "byte {at}"),
            Err(_) => assert_ne!(keystore, original),
        }
    }
}
