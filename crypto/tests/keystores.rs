//! Keys and keystores made by another implementation: PyPI's `ethstaker_deposit` 1.3.1, by
//! `tests/cross_keystores.py make tests/data/ethstaker_deposit.json`. The other way is `tests/cross_keystores.sh`.

use crypto::{
    derive::{KeyPath, derive_path},
    keystore::{Keystore, KeystoreError},
    mnemonic::Mnemonic,
};
use serde_json::Value;

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().expect("the field is a string")
}

#[test]
fn keys_and_keystores_of_ethstaker_deposit() {
    let data: Value = serde_json::from_str(include_str!("data/ethstaker_deposit.json")).unwrap();
    let seed = Mnemonic::parse(text(&data, "mnemonic"))
        .unwrap()
        .to_seed(text(&data, "passphrase"));
    let mut opened = Vec::new();
    for key in data["keys"].as_array().unwrap() {
        let path: KeyPath = text(key, "path").parse().unwrap();
        let secret = derive_path(seed.as_ref(), &path).unwrap();
        assert_eq!(hex::encode(*secret), text(key, "secret"), "{path}");
        let pubkey = blst::min_pk::SecretKey::from_bytes(&*secret)
            .unwrap()
            .sk_to_pk()
            .compress();
        assert_eq!(hex::encode(pubkey), text(key, "pubkey"), "{path}");
        if key["keystore"].is_null() {
            continue;
        }
        let keystore = Keystore::from_json(key["keystore"].to_string().as_bytes()).unwrap();
        assert_eq!((keystore.path(), keystore.pubkey()), (text(key, "path"), Some(&pubkey)));
        assert_eq!(keystore.decrypt(text(&data, "password")).unwrap(), secret, "{path}");
        assert_eq!(keystore.decrypt("password"), Err(KeystoreError::WrongPassword));
        opened.push(text(&key["keystore"]["crypto"]["kdf"], "function"));
    }
    assert_eq!(opened, ["scrypt", "pbkdf2"]);
}
