//! Any bytes as a keystore file: an error, or a keystore that is written and read back as the same. Nothing is
//! decrypted, which the key derivation makes slow on purpose.
#![no_main]

use crypto::keystore::Keystore;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(keystore) = Keystore::from_json(bytes) {
        let again = Keystore::from_json(keystore.to_json().as_bytes()).expect("what we write is read");
        assert!(again == keystore);
    }
});
