//! Any bytes as a slashing protection history (EIP-3076): an error, or a history that is written and read back as the
//! same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use validator::interchange::Interchange;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(history) = Interchange::from_json(bytes) {
        let again = Interchange::from_json(history.to_json().as_bytes()).expect("what we write is read");
        assert_eq!(again, history);
    }
});
