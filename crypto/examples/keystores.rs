//! Prints freshly made keys and their keystores, one of each kind, for another implementation to open
//! (`crypto/tests/cross_keystores.sh`). The secrets stand in it in the clear: never use them.

use crypto::{
    derive::{KeyPath, derive_path},
    keystore::{Keystore, NewKdf},
    mnemonic::Mnemonic,
};
use serde_json::{Value, json};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mnemonic = Mnemonic::generate()?;
    let (passphrase, password) = ("gęś", "Paßwort ﬀ 𝔱 🔑\u{7f}\n");
    let seed = mnemonic.to_seed(passphrase);
    let mut keys = Vec::new();
    for (index, kdf) in [(0, NewKdf::Scrypt), (u32::MAX, NewKdf::Pbkdf2)] {
        let path = KeyPath::signing(index);
        let secret = derive_path(seed.as_ref(), &path)?;
        let keystore = Keystore::encrypt(&secret, password, &path.to_string(), Some("a test"), kdf)?;
        let keystore: Value = serde_json::from_str(&keystore.to_json())?;
        keys.push(json!({"path": path.to_string(), "secret": hex::encode(*secret), "keystore": keystore}));
    }
    let phrase = mnemonic.phrase();
    println!(
        "{}",
        json!({"mnemonic": *phrase, "passphrase": passphrase, "password": password, "keys": keys})
    );
    Ok(())
}
