//! The built-in networks against the config files that other clients ship, where the shared folder with them is.

use consensus::config::{Config, NETWORKS};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder beside the repository, or the one that `WREN_SHARED` names.
fn shared() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("WREN_SHARED").map_or_else(beside, PathBuf::from)
}

/// Says on the real standard error, which the test harness does not swallow, that nothing was compared.
fn skipped(missing: &Path) {
    let missing = missing.display();
    assert!(
        std::env::var_os("CI").is_none(),
        "{missing} is missing, and under CI everything is compared"
    );
    writeln!(
        std::io::stderr(),
        "NOT COMPARED: {missing} is missing; set WREN_SHARED to the folder that has realdata/"
    )
    .expect("standard error is open");
}

/// The public networks are of the mainnet preset.
#[cfg(not(feature = "minimal"))]
mod public {
    use super::{Config, shared, skipped};
    use consensus::config::Yaml;

    /// What a newer decision changed since the files were written: network, field, value there, value here.
    const NEWER: [(&str, &str, &str, &str); 1] = [("sepolia", "GLOAS_FORK_EPOCH", "18446744073709551615", "353024")];

    /// Fields of the files that are none of the standard's any more: retired ones, and those of forks yet to come.
    const NOT_OURS: [&str; 20] = [
        "ATTESTATION_SUBNET_PREFIX_BITS",
        "ATTESTATION_SUBNET_SHUFFLING_PREFIX_BITS",
        "EIP7928_FORK_EPOCH",
        "EIP7928_FORK_VERSION",
        "HEZE_FORK_EPOCH",
        "HEZE_FORK_VERSION",
        "INCLUSION_LIST_SUBMISSION_DUE_BPS",
        "MAX_BYTES_PER_INCLUSION_LIST",
        "MAX_REQUEST_BLOB_SIDECARS",
        "MAX_REQUEST_BLOB_SIDECARS_ELECTRA",
        "MAX_REQUEST_DATA_COLUMN_SIDECARS",
        "MAX_REQUEST_INCLUSION_LIST",
        "MIN_EPOCHS_FOR_BLOCK_REQUESTS",
        "PROPOSER_INCLUSION_LIST_CUTOFF_BPS",
        "RESP_TIMEOUT",
        "TARGET_BLOBS_PER_BLOCK_ELECTRA",
        "TTFB_TIMEOUT",
        "VIEW_FREEZE_CUTOFF_BPS",
        "WHISK_EPOCHS_PER_SHUFFLING_PHASE",
        "WHISK_PROPOSER_SELECTION_GAP",
    ];

    #[test]
    fn built_in_networks_equal_the_shipped_files() {
        for name in ["mainnet", "hoodi", "sepolia"] {
            let path = shared().join(format!("realdata/configs/{name}-2026-05-config.yaml"));
            let Ok(text) = std::fs::read_to_string(&path) else {
                skipped(&path);
                continue;
            };
            let theirs = Config::from_yaml(&text).unwrap().config;
            let ours = Config::network(name).unwrap();
            assert_eq!(ours.fork_version(consensus::Fork::Phase0), theirs.genesis_fork_version);
            let (ours, mut theirs) = (ours.spec(), theirs.spec());
            for (_, field, old, new) in NEWER.iter().filter(|(network, ..)| *network == name) {
                assert_eq!(
                    theirs.insert((*field).into(), Yaml::Text((*new).into())),
                    Some(Yaml::Text((*old).into()))
                );
            }
            for field in NOT_OURS {
                if !ours.contains_key(field) {
                    theirs.remove(field);
                }
            }
            assert_eq!(ours, theirs, "{name}");
        }
    }
}

#[test]
fn the_specs_files_are_the_standard_config() {
    for preset in ["mainnet", "minimal"] {
        let path = shared().join(format!("realdata/configs/spec-v1.7.0-alpha.13-{preset}.yaml"));
        let Ok(text) = std::fs::read_to_string(&path) else {
            skipped(&path);
            continue;
        };
        if preset != consensus::preset::PRESET_NAME {
            let error = Config::from_yaml(&text).unwrap_err().to_string();
            assert!(error.contains("PRESET_BASE"), "{error}");
            continue;
        }
        let parsed = Config::from_yaml(&text).unwrap();
        assert_eq!(parsed.missing, [""; 0]);
        let known = Config {
            other: Vec::new(),
            ..parsed.config
        };
        assert_eq!(known, Config::standard());
    }
}

#[test]
fn every_network_name_is_listed() {
    assert_eq!(
        NETWORKS.map(|(name, _)| name),
        ["mainnet", "sepolia", "hoodi", "devnet"]
    );
}
