//! Known answers and refusals.

use super::*;
use crate::constants::FAR_FUTURE_EPOCH;
use crate::fork::Fork;
use crate::ssz::{Bytes, Root};

/// The config that `lines` gives on top of the standard one.
fn with(lines: &str) -> Result<Config, ConfigError> {
    Config::from_yaml(lines).map(|parsed| parsed.config)
}

/// Checks that `lines` are refused with a message that has all of `parts`.
fn refused(lines: &str, parts: &[&str]) {
    let message = with(lines).expect_err(lines).to_string();
    for part in parts {
        assert!(
            message.contains(part),
            "{lines:?} was refused with {message:?}, which lacks {part:?}"
        );
    }
}

#[test]
fn names_are_the_fields_in_capitals() {
    assert_eq!(Config::NAMES[0], "CONFIG_NAME");
    assert!(Config::NAMES.contains(&"CHURN_LIMIT_QUOTIENT_GLOAS"));
    let distinct: BTreeSet<_> = Config::NAMES.iter().collect();
    assert_eq!(distinct.len(), Config::NAMES.len());
    let fields: Vec<_> = Config::standard().fields().into_iter().map(|(name, _)| name).collect();
    assert_eq!(fields, Config::NAMES);
}

#[test]
fn standard_is_consistent_and_comes_back() {
    let config = Config::standard();
    config.check().unwrap();
    let parsed = Config::from_yaml(&config.to_yaml()).unwrap();
    assert_eq!(parsed.config, config);
    assert_eq!(parsed.missing, [""; 0]);
}

#[test]
fn what_is_missing_is_standard_and_named() {
    let parsed = Config::from_yaml("CONFIG_NAME: x\nSECONDS_PER_SLOT: 5\n").unwrap();
    assert_eq!(parsed.missing.len(), Config::NAMES.len() - 2);
    assert!(!parsed.missing.contains(&"SLOT_DURATION_MS"), "it was given in seconds");
    assert!(parsed.missing.contains(&"BLOB_SCHEDULE"));
    let expected = Config {
        config_name: "x".into(),
        slot_duration_ms: 5000,
        ..Config::standard()
    };
    assert_eq!(parsed.config, expected);
}

#[test]
fn slot_time_has_two_names_and_one_value() {
    assert_eq!(with("SLOT_DURATION_MS: 2500").unwrap().slot_duration_ms, 2500);
    assert_eq!(
        with("SECONDS_PER_SLOT: 2\nSLOT_DURATION_MS: 2000")
            .unwrap()
            .slot_duration_ms,
        2000
    );
    assert!(
        with("SECONDS_PER_SLOT: 2")
            .unwrap()
            .to_yaml()
            .contains("\nSLOT_DURATION_MS: 2000\nSECONDS_PER_SLOT: 2\n")
    );
    assert!(
        !with("SLOT_DURATION_MS: 2500")
            .unwrap()
            .to_yaml()
            .contains("SECONDS_PER_SLOT")
    );
    for order in [
        "SECONDS_PER_SLOT: 2\nSLOT_DURATION_MS: 2500",
        "SLOT_DURATION_MS: 2500\nSECONDS_PER_SLOT: 2",
    ] {
        refused(
            order,
            &[
                "SECONDS_PER_SLOT is 2",
                "2000",
                "SLOT_DURATION_MS is 2500",
                "correct one",
            ],
        );
    }
    refused("SLOT_DURATION_MS: 0", &["SLOT_DURATION_MS is 0", "1 to 86400000"]);
    refused("SECONDS_PER_SLOT: 0", &["SLOT_DURATION_MS is 0"]);
    refused("SECONDS_PER_SLOT: 18446744073709551615", &["at most 86400 seconds"]);
}

#[test]
fn the_preset_must_be_the_compiled_one() {
    let other = if PRESET_NAME == "minimal" { "mainnet" } else { "minimal" };
    with(&format!("PRESET_BASE: '{PRESET_NAME}'")).unwrap();
    refused(&format!("PRESET_BASE: {other}"), &[other, PRESET_NAME, "cargo feature"]);
    refused("PRESET_BASE: gnosis", &["gnosis", PRESET_NAME]);
    let slots = crate::preset::SLOTS_PER_EPOCH;
    with(&format!("SLOTS_PER_EPOCH: {slots}")).unwrap();
    refused(
        "SLOTS_PER_EPOCH: 16",
        &["SLOTS_PER_EPOCH '16'", &slots.to_string(), "remove the line"],
    );
}

#[test]
fn other_keys_are_kept_in_order_and_written_back() {
    let text = "ZEBRA_SIZE: 0x00000000\nAPE: 99999999999999999999999999999999999999999999999999999999999999999999999999\n\
                NEST:\n  - A: [1, two]\n    B: {}\n  - 'it''s: #1'\nEMPTY:\nODD KEY: \"tab\\tand \\u00e9\"\n";
    let config = with(text).unwrap();
    let names: Vec<_> = config.other.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ZEBRA_SIZE", "APE", "NEST", "EMPTY", "ODD KEY"]);
    assert_eq!(config.other[0].1, Yaml::Text("0x00000000".into()));
    assert_eq!(config.other[4].1, Yaml::Text("tab\tand é".into()));
    assert_eq!(with(&config.to_yaml()).unwrap(), config);
    let json = config.spec_json();
    assert_eq!(json["NEST"][0]["A"][1], "two");
    assert_eq!(json["ZEBRA_SIZE"], "0x00000000");
}

#[test]
fn scalars_are_read_as_their_type_and_nothing_else() {
    for bad in [
        "-1",
        "+1",
        "1_000",
        "0x10",
        "1e3",
        "010",
        "''",
        "18446744073709551616",
        "[1]",
        "{}",
        "1 2",
        "١",
    ] {
        refused(
            &format!("MIN_GENESIS_TIME: {bad}"),
            &["MIN_GENESIS_TIME is", "whole number"],
        );
    }
    for bad in [
        "0",
        "0x000000",
        "0x0000000g",
        "0x0000000000",
        "00000000",
        "0X00000000",
        "[]",
    ] {
        refused(
            &format!("GENESIS_FORK_VERSION: {bad}"),
            &["GENESIS_FORK_VERSION is", "0x and 8 hex digits"],
        );
    }
    let above_256_bits = format!("TERMINAL_TOTAL_DIFFICULTY: 1{}", "0".repeat(78));
    refused(&above_256_bits, &["TERMINAL_TOTAL_DIFFICULTY is", "256 bits"]);
    for bad in ["''", "a b", "[x]", &"x".repeat(65)] {
        refused(&format!("CONFIG_NAME: {bad}"), &["CONFIG_NAME is", "short name"]);
    }
    let address = "DEPOSIT_CONTRACT_ADDRESS: 0x00000000219ab540356cBB839Cbe05303d7705Fa";
    assert!(
        with(address)
            .unwrap()
            .to_yaml()
            .contains("0x00000000219ab540356cbb839cbe05303d7705fa")
    );
}

#[test]
fn contradictions_are_refused() {
    refused(
        "ALTAIR_FORK_EPOCH: 10\nBELLATRIX_FORK_EPOCH: 9\n",
        &["BELLATRIX_FORK_EPOCH is 9", "ALTAIR_FORK_EPOCH", "10"],
    );
    let forks = "ALTAIR_FORK_EPOCH: 0\nALTAIR_FORK_VERSION: 0x0000000a\nGENESIS_FORK_VERSION: 0x0000000a";
    refused(forks, &["ALTAIR and PHASE0", "0x0000000a"]);
    refused(
        "GLOAS_FORK_EPOCH: 18446744073709551614",
        &["GLOAS_FORK_EPOCH", "for never"],
    );
    refused("ATTESTATION_DUE_BPS: 10001", &["ATTESTATION_DUE_BPS is 10001", "10000"]);
    refused("CHURN_LIMIT_QUOTIENT: 0", &["CHURN_LIMIT_QUOTIENT is 0", "divide"]);
    refused(
        "ATTESTATION_SUBNET_COUNT: 32",
        &["ATTESTATION_SUBNET_COUNT is 32", "64"],
    );
    refused(
        "NUMBER_OF_CUSTODY_GROUPS: 100",
        &["NUMBER_OF_CUSTODY_GROUPS is 100", "divisor of 128"],
    );
    refused(
        "CUSTODY_REQUIREMENT: 129",
        &["CUSTODY_REQUIREMENT is 129", "at most 128"],
    );
    refused("CONFIRMATION_BYZANTINE_THRESHOLD: 26", &["at most 25"]);
    refused(
        "MAX_REQUEST_BLOCKS_DENEB: 18446744073709551615",
        &["MAX_REQUEST_BLOCKS_DENEB", "at most"],
    );
    refused(
        "MIN_GENESIS_TIME: 18446744073709551615",
        &["MIN_GENESIS_TIME", "at most"],
    );
}

/// A config with all forks up to Electra at genesis, Fulu at 100 and this blob schedule.
fn blobs(schedule: &str) -> Result<Config, ConfigError> {
    let mut config = Config::standard().with_forks_at_genesis(Fork::Electra);
    config.fulu_fork_epoch = 100;
    let text = config
        .to_yaml()
        .replace("BLOB_SCHEDULE: []\n", &format!("BLOB_SCHEDULE: {schedule}\n"));
    Config::from_yaml(&text).map(|parsed| parsed.config)
}

#[test]
fn vectors_may_contradict_themselves() {
    let text = "ALTAIR_FORK_EPOCH: 18446744073709551615\nCAPELLA_FORK_EPOCH: 1\n\
                SLOT_DURATION_MS: 12000\nATTESTATION_DUE_BPS: 18446744073709551615\n";
    refused(text, &["before ALTAIR_FORK_EPOCH"]);
    let config = Config::from_yaml_unchecked(text).unwrap().config;
    assert_eq!(config.fork_at_epoch(1), Fork::Capella);
    assert_eq!(config.get_attestation_due_ms(Fork::Phase0), u64::MAX);
}

#[test]
fn blob_schedule_is_sorted_and_checked() {
    let entry = |epoch: u64, blobs: u64| format!("{{EPOCH: {epoch}, MAX_BLOBS_PER_BLOCK: {blobs}}}");
    let config = blobs(&format!("[{}, {}]", entry(300, 20), entry(100, 10))).unwrap();
    assert_eq!(
        config.blob_schedule.iter().map(|entry| entry.epoch).collect::<Vec<_>>(),
        [100, 300]
    );
    let refused = |schedule: &str, part: &str| {
        let message = blobs(schedule).expect_err(schedule).to_string();
        assert!(
            message.contains(part),
            "{schedule} was refused with {message:?}, which lacks {part:?}"
        );
    };
    refused(&format!("[{}, {}]", entry(100, 10), entry(100, 11)), "each once");
    refused(&format!("[{}]", entry(99, 10)), "before FULU_FORK_EPOCH");
    refused(&format!("[{}]", entry(100, 4097)), "at most 4096");
    refused("[{EPOCH: 100}]", "lacks");
    refused("[{EPOCH: 100, MAX_BLOBS_PER_BLOCK: 1, GAS: 1}]", "unknown key 'GAS'");
    refused("[{EPOCH: x, MAX_BLOBS_PER_BLOCK: 1}]", "EPOCH is 'x'");
    refused("[1]", "an entry is '1'");
    refused("5", "expected a list");
    refused("", "[] for none");
    let many = (0..257)
        .map(|epoch| entry(100 + epoch, 1))
        .collect::<Vec<_>>()
        .join(", ");
    refused(&format!("[{many}]"), "at most 256 entries");
}

#[test]
fn files_that_are_no_config_are_refused() {
    refused("", &["empty"]);
    refused("# only a comment\n", &["empty"]);
    refused("just text", &["'just text'"]);
    refused("- A\n- B\n", &["list of 2 items"]);
    refused("A: 1\nA: 2\n", &["A twice"]);
    refused("X: {A: 1, A: 2}", &["A twice"]);
    refused("A: 1\n---\nB: 2\n", &["line 2", "second document"]);
    refused("A: &x 1\nB: *x\n", &["line 2", "alias"]);
    refused("? [a]\n: 1\n", &["where a key belongs"]);
    refused(&format!("{}: 1", "K".repeat(97)), &["longer than 96"]);
    refused(&format!("A: {}{}", "[".repeat(8), "]".repeat(8)), &["more than 8"]);
    with(&format!("A: {}{}", "[".repeat(7), "]".repeat(7))).unwrap();
    refused("A: \"open", &["not YAML"]);
    refused(&" ".repeat(MAX_CONFIG_SIZE + 1), &["at most 262144"]);
    refused(&"[".repeat(MAX_CONFIG_SIZE), &["recursion limit"]);
    refused(&"? ".repeat(MAX_CONFIG_SIZE / 2), &["more than 8"]);
    let bomb = "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n";
    refused(bomb, &["line 2", "alias"]);
}

#[test]
fn built_in_networks_are_what_they_are() {
    for (name, _) in NETWORKS {
        let config = match Config::network(name) {
            Ok(config) => config,
            Err(error) => {
                assert!(PRESET_NAME == "minimal" && name != "devnet", "{error}");
                continue;
            }
        };
        assert_eq!(config.config_name, name);
        assert_eq!(config.other, [], "{name} has a misspelt field");
        assert_eq!(with(&config.to_yaml()).unwrap(), config);
    }
    let error = Config::network("holesky").unwrap_err().to_string();
    assert!(
        error.contains("'holesky'") && error.contains("mainnet, sepolia, hoodi, devnet"),
        "{error}"
    );
    let devnet = Config::network("devnet").unwrap();
    assert_eq!(devnet.fork_at_epoch(0), Fork::Fulu);
    assert_eq!(devnet.max_blobs_per_block_at(0), 9);
}

#[cfg(not(feature = "minimal"))]
#[test]
fn public_networks_have_their_epochs() {
    assert_eq!(Config::network("mainnet").unwrap(), Config::standard());
    assert_eq!(Config::network("sepolia").unwrap().gloas_fork_epoch, 353024);
    assert_eq!(Config::network("hoodi").unwrap().gloas_fork_epoch, FAR_FUTURE_EPOCH);
}

#[test]
fn forks_and_blobs_by_epoch() {
    let entry = |epoch, max_blobs_per_block| BlobParameters {
        epoch,
        max_blobs_per_block,
    };
    let mut config = Config::standard().with_forks_at_genesis(Fork::Altair);
    config.bellatrix_fork_epoch = 3;
    config.capella_fork_epoch = 3;
    config.deneb_fork_epoch = 4;
    config.electra_fork_epoch = 5;
    config.fulu_fork_epoch = 6;
    config.blob_schedule = vec![entry(8, 20), entry(9, 12), entry(FAR_FUTURE_EPOCH, 1)];
    config.check().unwrap();
    let forks = {
        use Fork::*;
        [Altair, Altair, Altair, Capella, Deneb, Electra, Fulu, Fulu, Fulu, Fulu]
    };
    let blobs = [0, 0, 0, 0, 6, 9, 9, 9, 20, 12];
    for epoch in 0..10 {
        assert_eq!(config.fork_at_epoch(epoch), forks[epoch as usize], "fork at {epoch}");
        assert_eq!(
            config.max_blobs_per_block_at(epoch),
            blobs[epoch as usize],
            "blobs at {epoch}"
        );
        assert_eq!(
            config.compute_fork_version(epoch),
            config.fork_version(forks[epoch as usize])
        );
    }
    assert_eq!(config.get_blob_parameters(7), entry(5, 9));
    assert_eq!(config.digest_epochs(), [0, 3, 4, 5, 6, 8, 9]);
    assert_eq!(config.scheduled_forks().count(), 7);
    for pair in config.digest_epochs().windows(2) {
        let digest = |epoch| config.compute_fork_digest(Root::ZERO, epoch);
        assert_ne!(digest(pair[0]), digest(pair[1]));
        assert_eq!(digest(pair[0]), digest(pair[1] - 1));
    }
}

#[test]
fn forks_of_later_versions_are_found() {
    let config = with(&format!(
        "HEZE_FORK_EPOCH: 7\nHEZE_FORK_VERSION: 0x0a000000\nZ_FORK_EPOCH: {FAR_FUTURE_EPOCH}"
    ))
    .unwrap();
    assert_eq!(config.unknown_forks(), [("HEZE".to_owned(), 7)]);
}

/// Digests that the executable spec's own test of `compute_fork_digest` expects, under the minimal config's versions.
/// (Its epochs before Fulu are left out: they date from when blob parameters were mixed in there too.)
#[test]
fn fork_digests_are_the_specs() {
    let entry = |(epoch, max_blobs_per_block)| BlobParameters {
        epoch,
        max_blobs_per_block,
    };
    let mut config = Config::standard().with_forks_at_genesis(Fork::Electra);
    config.fulu_fork_version = Bytes([6, 0, 0, 1]);
    config.fulu_fork_epoch = 100;
    config.blob_schedule = [(100, 100), (150, 175), (200, 200), (250, 275), (300, 300)]
        .map(entry)
        .to_vec();
    let cases = [
        (100, 0, "0x44a571e8"),
        (101, 0, "0x44a571e8"),
        (150, 0, "0x1171afca"),
        (199, 0, "0x1171afca"),
        (200, 0, "0x427a30ab"),
        (250, 0, "0xd5310ef1"),
        (299, 0, "0xd5310ef1"),
        (300, 0, "0x51d229f7"),
        (301, 0, "0x51d229f7"),
        (100, 1, "0xbfe98545"),
        (100, 2, "0x9b7e4788"),
        (100, 3, "0x8b5ce4af"),
    ];
    for (epoch, root, expected) in cases {
        assert_eq!(
            config.compute_fork_digest(Bytes([root; 32]), epoch).to_string(),
            expected,
            "epoch {epoch}"
        );
    }
}

/// Digests that topics of the public networks have or had, the last two of mainnet with blob-parameter forks.
#[cfg(not(feature = "minimal"))]
#[test]
fn fork_digests_are_those_of_public_networks() {
    let digest = |config: &Config, root, epoch| config.compute_fork_digest(root, epoch).to_string();
    let [(_, mainnet_root), _, (_, hoodi_root)] = PUBLIC_NETWORKS;
    let (mainnet, root) = (Config::network("mainnet").unwrap(), mainnet_root);
    let digests = [
        "0xb5303f2a",
        "0xafcaaba0",
        "0x4a26c58b",
        "0xbba4da96",
        "0x6a95a1a9",
        "0xad532ceb",
    ];
    for (fork, expected) in Fork::ALL.into_iter().zip(digests) {
        assert_eq!(digest(&mainnet, root, mainnet.fork_epoch(fork)), expected, "{fork}");
    }
    assert_eq!(
        digest(&mainnet, root, 412671),
        digest(&mainnet, root, mainnet.fulu_fork_epoch)
    );
    assert_eq!(digest(&mainnet, root, 412672), "0xcb0d1acc");
    assert_eq!(digest(&mainnet, root, 419072), "0x8c9f62fe");
    let hoodi = Config::network("hoodi").unwrap();
    assert_eq!(digest(&hoodi, hoodi_root, 54016), "0xc6ecb76c");
}

#[test]
fn parts_of_a_slot() {
    let config = with("SLOT_DURATION_MS: 12000").unwrap();
    assert_eq!(config.get_attestation_due_ms(Fork::Fulu), 3999);
    assert_eq!(config.get_attestation_due_ms(Fork::Gloas), 3000);
    assert_eq!(config.get_aggregate_due_ms(Fork::Phase0), 8000);
    assert_eq!(config.get_contribution_due_ms(Fork::Gloas), 6000);
    assert_eq!(config.get_sync_message_due_ms(Fork::Altair), 3999);
    assert_eq!(config.get_proposer_reorg_cutoff_ms(), 2000);
    assert_eq!(config.get_payload_due_ms(), 6000);
    assert_eq!(config.get_payload_attestation_due_ms(), 9000);
    assert_eq!(config.compute_attestation_subnet_prefix_bits(), 6);
    assert_eq!(config.compute_max_request_blob_sidecars(Fork::Deneb), 768);
    assert_eq!(config.compute_max_request_blob_sidecars(Fork::Fulu), 1152);
    assert_eq!(config.compute_max_request_data_column_sidecars(), 16384);
    let epochs = if PRESET_NAME == "minimal" { 272 } else { 33024 };
    assert_eq!(config.compute_min_epochs_for_block_requests(), epochs);
}

#[test]
fn spec_has_everything_as_strings() {
    let mut config = Config::standard();
    config.blob_schedule = vec![BlobParameters {
        epoch: 419072,
        max_blobs_per_block: 21,
    }];
    let json = config.spec_json();
    assert_eq!(json["PRESET_BASE"], PRESET_NAME);
    assert_eq!(json["SLOTS_PER_EPOCH"], crate::preset::SLOTS_PER_EPOCH.to_string());
    assert_eq!(json["SECONDS_PER_SLOT"], config.seconds_per_slot().unwrap().to_string());
    assert_eq!(json["BLOB_SCHEDULE"][0]["MAX_BLOBS_PER_BLOCK"], "21");
    assert_eq!(json["DOMAIN_APPLICATION_MASK"], "0x00000001");
    assert_eq!(json["DOMAIN_PTC_ATTESTER"], "0x0c000000");
    assert_eq!(json["BLS_WITHDRAWAL_PREFIX"], "0x00");
    assert_eq!(json["FAR_FUTURE_EPOCH"], "18446744073709551615");
    assert_eq!(json["MAX_REQUEST_BLOB_SIDECARS_ELECTRA"], "1152");
    let object = json.as_object().unwrap();
    assert!(Config::NAMES.iter().all(|name| object.contains_key(*name)));
    assert!(
        object
            .iter()
            .all(|(name, value)| value.is_string() || name == "BLOB_SCHEDULE")
    );
    // The network's own figure wins over a computed one, but not over the standard.
    let given = with("MAX_REQUEST_BLOB_SIDECARS: 5").unwrap();
    assert_eq!(given.spec_json()["MAX_REQUEST_BLOB_SIDECARS"], "5");
}
