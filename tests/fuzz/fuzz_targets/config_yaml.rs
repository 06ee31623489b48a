//! Any text as a `config.yaml`: an error, or a config that is written and read back as the same.
#![no_main]

use consensus::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Config::from_yaml(text);
    if let Ok(parsed) = Config::from_yaml_unchecked(text) {
        let written = parsed.config.to_yaml();
        let again = Config::from_yaml_unchecked(&written).expect("what we write is read");
        assert_eq!(again.config, parsed.config);
    }
});
