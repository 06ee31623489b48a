//! The runner itself under test: each way in which a set or a runner may be wrong has to be caught.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a failed `unwrap` is a failed test

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vectors::judge::{Status, judge};
use vectors::report::Summary;
use vectors::run::{Plan, run};
use vectors::runners::{Handlers, RUNNERS, Runner};
use vectors::skips::{SKIPS, Skip};
use vectors::source::{Wanted, walk};
use vectors::{Case, Failure, NamedRule, Outcome, PRESET, Verdict};

/// A folder that is removed at the end of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vectors-test-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes the manifest that belongs to the path of a case.
    fn manifest(&self, case: &str) {
        let keys = ["preset", "fork", "runner", "handler", "suite", "case"];
        let lines: Vec<String> = keys
            .iter()
            .zip(case.split('/'))
            .map(|(key, part)| format!("{key}: '{part}'\n"))
            .collect();
        self.write(&format!("{case}/manifest.yaml"), lines.concat());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const BOOLEAN: &str = "general/phase0/ssz_generic/boolean/valid/true";
const TRUE_ROOT: &str = "0x0100000000000000000000000000000000000000000000000000000000000000";

/// A correct case of a boolean.
fn boolean(folder: &Folder) {
    folder.manifest(BOOLEAN);
    folder.write(&format!("{BOOLEAN}/meta.yaml"), format!("root: '{TRUE_ROOT}'\n"));
    folder.write(&format!("{BOOLEAN}/value.yaml"), "true\n...\n");
    folder.write(&format!("{BOOLEAN}/serialized.ssz_snappy"), [1, 0, 1]);
}

/// A correct case of an invalid boolean.
fn invalid_boolean(folder: &Folder, byte: u8) {
    let case = "general/phase0/ssz_generic/boolean/invalid/byte";
    folder.manifest(case);
    folder.write(&format!("{case}/serialized.ssz_snappy"), [1, 0, byte]);
}

fn plan<'a>(folder: &Folder, runners: &'a [Runner], tamper: bool) -> Plan<'a> {
    Plan {
        dir: folder.0.clone(),
        wanted: Wanted::default(),
        tamper,
        runners,
        skips: SKIPS,
    }
}

fn run_all(folder: &Folder) -> Summary {
    run(&plan(folder, RUNNERS, false)).unwrap()
}

/// The sentence of the only failure.
fn failure(folder: &Folder) -> String {
    let summary = run_all(folder);
    assert!(!summary.is_success());
    assert_eq!(summary.failures.len(), 1, "{summary}");
    summary.failures[0].1.clone()
}

#[test]
fn correct_cases_pass_and_count() {
    let folder = Folder::new("correct");
    boolean(&folder);
    invalid_boolean(&folder, 2);
    let summary = run_all(&folder);
    assert!(summary.is_success(), "{summary}");
    assert!(
        summary.to_string().ends_with("\n2 passed, 0 failed, 0 skipped\n"),
        "{summary}"
    );
    assert!(
        summary.to_string().contains("ssz_generic/boolean: ssz boolean 1"),
        "{summary}"
    );
    assert_eq!(summary.counts(), "general phase0 ssz_generic 2\n");
}

#[test]
fn empty_and_foreign_folders_are_errors() {
    let folder = Folder::new("empty");
    assert!(
        run(&plan(&folder, RUNNERS, false))
            .unwrap_err()
            .contains("holds neither a folder")
    );
    let other = if PRESET == "minimal" { "mainnet" } else { "minimal" };
    folder.write(&format!("{other}/fulu/ssz_static/Fork/ssz_zero/case_0/x"), "");
    assert!(
        run(&plan(&folder, RUNNERS, false))
            .unwrap_err()
            .contains("has no case of preset")
    );
    fs::create_dir_all(folder.0.join("general")).unwrap();
    assert!(
        run(&plan(&folder, RUNNERS, false))
            .unwrap_err()
            .contains("has no case of preset")
    );
    assert!(
        run(&Plan {
            dir: folder.0.join("nowhere"),
            ..plan(&folder, RUNNERS, false)
        })
        .is_err()
    );
}

#[test]
fn the_root_bytes_and_value_must_be_right() {
    let folder = Folder::new("wrong");
    boolean(&folder);
    folder.write(&format!("{BOOLEAN}/meta.yaml"), "root: '0x02'\n");
    assert!(
        failure(&folder).starts_with("root: computed 0x0100"),
        "{}",
        failure(&folder)
    );
    boolean(&folder);
    folder.write(&format!("{BOOLEAN}/value.yaml"), "false\n");
    assert_eq!(failure(&folder), "value: computed true, expected false");
    boolean(&folder);
    folder.write(&format!("{BOOLEAN}/serialized.ssz_snappy"), [1, 0, 0]);
    assert!(
        failure(&folder).starts_with("root: computed 0x0000"),
        "{}",
        failure(&folder)
    );
    folder.write(&format!("{BOOLEAN}/serialized.ssz_snappy"), [255, 255, 255, 255, 15]);
    assert!(failure(&folder).contains("more than the limit"), "{}", failure(&folder));
    folder.write(&format!("{BOOLEAN}/serialized.ssz_snappy"), [1, 0, 5]);
    assert!(
        failure(&folder).contains("refused by rule 'ssz boolean'"),
        "{}",
        failure(&folder)
    );
}

#[test]
fn an_invalid_case_that_decodes_fails() {
    let folder = Folder::new("invalid");
    invalid_boolean(&folder, 1);
    assert_eq!(
        failure(&folder),
        "decoding: accepted, but the case says that it is invalid"
    );
}

#[test]
fn unread_files_and_keys_are_failures() {
    let folder = Folder::new("unread");
    boolean(&folder);
    folder.write(&format!("{BOOLEAN}/post.ssz_snappy"), [0]);
    assert_eq!(failure(&folder), "post.ssz_snappy was not read");
    fs::remove_file(folder.0.join(BOOLEAN).join("post.ssz_snappy")).unwrap();
    folder.write(&format!("{BOOLEAN}/deeper/x.yaml"), "1");
    assert_eq!(failure(&folder), "deeper/x.yaml was not read");
    fs::remove_dir_all(folder.0.join(BOOLEAN).join("deeper")).unwrap();
    folder.write(
        &format!("{BOOLEAN}/meta.yaml"),
        format!("root: '{TRUE_ROOT}'\nbls_setting: 1\n"),
    );
    assert_eq!(failure(&folder), "bls_setting of meta.yaml was not read");
}

#[test]
fn the_manifest_must_be_there_and_agree_with_the_path() {
    let folder = Folder::new("manifest");
    boolean(&folder);
    folder.manifest(BOOLEAN);
    let manifest = fs::read_to_string(folder.0.join(BOOLEAN).join("manifest.yaml")).unwrap();
    folder.write(
        &format!("{BOOLEAN}/manifest.yaml"),
        manifest.replace("phase0", "altair"),
    );
    assert_eq!(
        failure(&folder),
        "manifest.yaml says fork 'altair', the folder says 'phase0'"
    );
    folder.write(&format!("{BOOLEAN}/manifest.yaml"), format!("{manifest}more: 1\n"));
    assert_eq!(failure(&folder), "more of manifest.yaml was not read");
    fs::remove_file(folder.0.join(BOOLEAN).join("manifest.yaml")).unwrap();
    assert_eq!(failure(&folder), "the case has no file manifest.yaml");
}

#[test]
fn unknown_runners_handlers_types_and_forks_are_failures() {
    for (case, told) in [
        ("general/phase0/dancing/core/suite/case", "unknown runner 'dancing'"),
        (
            "general/phase0/ssz_generic/complex_list/valid/x",
            "knows no handler or type 'complex_list'",
        ),
        (
            "general/phase0/ssz_generic/uints/valid/uint_24_x",
            "unknown type 'uint24'",
        ),
        (
            "general/phase0/ssz_generic/containers/valid/Odd_1",
            "unknown type 'Odd'",
        ),
        (
            "general/phase0/ssz_static/ExecutionPayload/ssz_zero/case_0",
            "no handler or type 'ExecutionPayload' in phase0",
        ),
        (
            "general/someday/ssz_generic/boolean/valid/true",
            "unknown fork 'someday'",
        ),
    ] {
        let folder = Folder::new("unknown");
        folder.manifest(case);
        assert!(failure(&folder).contains(told), "{case}: {}", failure(&folder));
    }
}

/// Every handler folder that the generator of consensus-specs writes for the forks up to Gloas, as its test files are
/// named; types of `ssz_static` aside. The default set is a choice from them, so that a run over it proves no list whole.
const GENERATED: &[(&str, &[&str])] = &[
    ("bls", &["eth_aggregate_pubkeys", "eth_fast_aggregate_verify"]),
    (
        "epoch_processing",
        &[
            "builder_pending_payments",
            "effective_balance_updates",
            "eth1_data_reset",
            "historical_roots_update",
            "historical_summaries_update",
            "inactivity_updates",
            "justification_and_finalization",
            "participation_flag_updates",
            "participation_record_updates",
            "pending_consolidations",
            "pending_deposits",
            "pending_deposits_churn",
            "proposer_lookahead",
            "ptc_window",
            "randao_mixes_reset",
            "registry_updates",
            "rewards_and_penalties",
            "slashings",
            "slashings_reset",
            "sync_committee_updates",
        ],
    ),
    (
        "fast_confirmation",
        &[
            "basic",
            "current_epoch",
            "empty_slots",
            "ffg",
            "is_one_confirmed",
            "previous_epoch",
            "reconfirmation",
            "restart_gu",
            "revert_finality",
            "variables",
        ],
    ),
    ("finality", &["finality"]),
    ("fork", &["fork"]),
    (
        "fork_choice",
        &[
            "deposit_with_reorg",
            "ex_ante",
            "get_head",
            "get_parent_payload_status",
            "get_proposer_head",
            "on_attestation",
            "on_block",
            "on_execution_payload_envelope",
            "on_merge_block",
            "on_payload_attestation_message",
            "payload_data_availability",
            "payload_timeliness",
            "reorg",
            "should_apply_proposer_boost",
            "withholding",
        ],
    ),
    ("genesis", &["initialization", "validity"]),
    (
        "light_client",
        &["data_collection", "single_merkle_proof", "sync", "update_ranking"],
    ),
    ("merkle_proof", &["single_merkle_proof"]),
    (
        "networking",
        &[
            "compute_columns_for_custody_group",
            "get_custody_groups",
            "gossip_attester_slashing",
            "gossip_beacon_aggregate_and_proof",
            "gossip_beacon_attestation",
            "gossip_beacon_block",
            "gossip_blob_sidecar",
            "gossip_bls_to_execution_change",
            "gossip_data_column_sidecar",
            "gossip_partial_data_column_sidecar",
            "gossip_proposer_slashing",
            "gossip_sync_committee_contribution_and_proof",
            "gossip_sync_committee_message",
            "gossip_voluntary_exit",
        ],
    ),
    (
        "operations",
        &[
            "attestation",
            "attester_slashing",
            "block_header",
            "bls_to_execution_change",
            "builder_deposit_request",
            "builder_exit_request",
            "consolidation_request",
            "deposit",
            "deposit_request",
            "execution_payload",
            "execution_payload_bid",
            "parent_execution_payload",
            "payload_attestation",
            "proposer_slashing",
            "sync_aggregate",
            "voluntary_exit",
            "voluntary_exit_churn",
            "withdrawal_request",
            "withdrawals",
        ],
    ),
    ("random", &["random"]),
    ("rewards", &["basic", "inactivity_scores", "leak", "random"]),
    ("sanity", &["blocks", "slots"]),
    ("shuffling", &["core"]),
    (
        "ssz_generic",
        &[
            "basic_progressive_list",
            "basic_vector",
            "bitlist",
            "bitvector",
            "boolean",
            "compatible_unions",
            "containers",
            "progressive_bitlist",
            "progressive_containers",
            "uints",
        ],
    ),
    ("sync", &["optimistic"]),
    ("transition", &["core"]),
];

#[test]
fn every_handler_that_the_specs_generate_is_known() {
    for (name, handlers) in GENERATED {
        let runner = RUNNERS.iter().find(|runner| runner.name == *name).unwrap();
        for handler in *handlers {
            let known = runner.handlers.knows(handler, consensus::Fork::Gloas);
            assert!(known, "{name} does not know {handler}");
        }
    }
}

#[test]
fn unknown_presets_and_stray_files_are_problems() {
    let folder = Folder::new("stray");
    boolean(&folder);
    folder.write("gnosis/fulu/ssz_static/Fork/ssz_zero/case_0/x", "");
    folder.write("general/phase0/readme.txt", "");
    let summary = run_all(&folder);
    assert!(!summary.is_success());
    assert_eq!(summary.total().passed, 1);
    let problems = summary.problems();
    assert!(
        problems
            .iter()
            .any(|told| told.contains("unknown preset folder 'gnosis' with 1 cases")),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|told| told.contains("general/phase0/readme.txt stands outside")),
        "{problems:?}"
    );
}

#[test]
fn skips_are_counted_with_their_reason() {
    let folder = Folder::new("skips");
    boolean(&folder);
    folder.manifest("general/fulu/kzg/compute_challenge/kzg-mainnet/case");
    let summary = run_all(&folder);
    assert!(summary.is_success());
    assert_eq!(
        (summary.total().passed, summary.total().skipped, summary.total().on_disk),
        (1, 1, 2)
    );
    assert!(
        summary.to_string().contains("which the KZG library does not export"),
        "{summary}"
    );
}

#[test]
fn every_skip_has_a_reason_and_hides_no_runner_that_exists() {
    for Skip {
        fork,
        runner,
        handler,
        case,
        reason,
    } in SKIPS
    {
        assert!(!reason.is_empty());
        assert!(!fork.is_empty() || !runner.is_empty(), "a skip of everything");
        let whole = fork.is_empty() && handler.is_empty() && case.is_empty();
        assert!(
            !whole || RUNNERS.iter().all(|known| known.name != *runner),
            "{runner} has code and is skipped"
        );
    }
}

#[test]
fn filters_choose_cases() {
    let folder = Folder::new("filters");
    boolean(&folder);
    invalid_boolean(&folder, 2);
    let with = |filters: &[&str]| {
        let wanted = Wanted {
            filters: filters.iter().map(ToString::to_string).collect(),
        };
        run(&Plan {
            wanted,
            ..plan(&folder, RUNNERS, false)
        })
        .map(|summary| summary.total().on_disk)
    };
    assert_eq!(with(&["boolean"]), Ok(2));
    assert_eq!(with(&["boolean", "/valid/"]), Ok(1));
    assert!(
        with(&["boolean", "uints"])
            .unwrap_err()
            .contains("whose path holds 'boolean' and 'uints'")
    );
}

const ODD: [&str; 4] = ["compares", "nothing", "ignores", "panics"];

struct Rule(&'static str);

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl NamedRule for Rule {
    fn rule(&self) -> String {
        self.0.to_owned()
    }
}

/// Runners that do less than they should, by the name of the case.
fn odd(case: &Case) -> Outcome {
    let data = case.yaml("data.yaml")?;
    let (one, two) = (data.get("one")?, data.get("two")?);
    match case.path().case() {
        "compares" => {
            case.expect_text("one", one, "1")?;
            case.expect_text("two", two, "2")?;
        }
        "nothing" => {}
        "ignores" => {
            case.expect_text("one", one, "1")?;
            let _ = case.expect_text("two", two, "2");
        }
        "panics" => panic!("a bad case"),
        "refused by a rule" => {
            case.refused(&Rule("a rule"));
            return Ok(Verdict::Refused);
        }
        "refused by none" => return Ok(Verdict::Refused),
        "refused by a nameless one" => {
            case.refused(&Rule(""));
            return Ok(Verdict::Refused);
        }
        _ => return Err(Failure::new("no such case")),
    }
    Ok(Verdict::Valid)
}

const ODD_RUNNERS: &[Runner] = &[Runner {
    name: "odd",
    handlers: Handlers::Named(&["core"]),
    run: odd,
    manifest_may_lack: false,
}];

/// Compares a value of the case's config.
fn configured(case: &Case) -> Outcome {
    let delay = case.config()?.genesis_delay;
    case.expect_text("delay", case.yaml("data.yaml")?.get("delay")?, &delay.to_string())?;
    Ok(Verdict::Valid)
}

#[test]
fn a_case_may_bring_its_config() {
    let folder = Folder::new("config");
    let case = "general/phase0/odd/core/suite/case";
    folder.manifest(case);
    folder.write(&format!("{case}/data.yaml"), "delay: 64\n");
    folder.write(
        &format!("{case}/config.yaml"),
        format!("PRESET_BASE: '{PRESET}'\nGENESIS_DELAY: 64\n"),
    );
    let runners = [Runner {
        run: configured,
        ..ODD_RUNNERS[0]
    }];
    assert!(run(&plan(&folder, &runners, false)).unwrap().is_success());
    fs::remove_file(folder.0.join(case).join("config.yaml")).unwrap();
    let summary = run(&plan(&folder, &runners, false)).unwrap();
    assert!(summary.failures[0].1.ends_with(", expected 64"), "{summary}");
}

fn odd_status(name: &str, tamper: bool) -> Result<(), String> {
    let folder = Folder::new(&format!("odd-{}-{tamper}", name.replace(' ', "-")));
    let case = format!("general/phase0/odd/core/suite/{name}");
    folder.manifest(&case);
    folder.write(&format!("{case}/data.yaml"), "one: 1\ntwo: 2\n");
    let summary = run(&plan(&folder, ODD_RUNNERS, tamper)).unwrap();
    summary
        .failures
        .first()
        .map_or(Ok(()), |(_, sentence)| Err(sentence.clone()))
}

#[test]
fn a_runner_that_compares_nothing_is_caught() {
    assert!(
        odd_status("nothing", false)
            .unwrap_err()
            .contains("the runner compared nothing")
    );
    assert!(
        odd_status("nothing", true)
            .unwrap_err()
            .contains("the runner compared nothing")
    );
}

#[test]
fn tampering_passes_only_where_every_expectation_counts() {
    assert_eq!(
        ODD.map(|name| odd_status(name, false).is_ok()),
        [true, false, true, false]
    );
    assert_eq!(odd_status("compares", true), Ok(()));
    assert_eq!(
        odd_status("ignores", true).unwrap_err(),
        "expectation 2 of 2 damaged: passes all the same"
    );
}

#[test]
fn a_panic_fails_its_case_with_its_message() {
    let told = odd_status("panics", false).unwrap_err();
    assert!(told.contains("panic: ") && told.contains("a bad case"), "{told}");
}

#[test]
fn a_refusal_counts_only_with_the_name_of_a_rule() {
    for tamper in [false, true] {
        assert_eq!(odd_status("refused by a rule", tamper), Ok(()));
        assert!(
            odd_status("refused by none", tamper)
                .unwrap_err()
                .contains("no rule that has a name")
        );
        assert!(
            odd_status("refused by a nameless one", tamper)
                .unwrap_err()
                .contains("no rule that has a name")
        );
    }
}

#[test]
fn tampering_with_correct_cases_passes() {
    let folder = Folder::new("tamper");
    boolean(&folder);
    invalid_boolean(&folder, 2);
    let summary = run(&plan(&folder, RUNNERS, true)).unwrap();
    assert!(summary.is_success(), "{summary}");
    assert!(summary.to_string().contains("2 passed, 0 failed"), "{summary}");
}

/// Packs `folder/general` into `folder/set.tar.zst` with an uncompressed zstd frame, so that no tool is needed.
fn pack(folder: &Folder) {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all("general", folder.0.join("general")).unwrap();
    let tar = builder.into_inner().unwrap();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38]; // magic number, no content size, window of 128 KiB
    let pieces: Vec<&[u8]> = tar.chunks(100_000).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let last = u32::from(index + 1 == pieces.len());
        let header = (piece.len() as u32) << 3 | last; // a raw block
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(piece);
    }
    fs::remove_dir_all(folder.0.join("general")).unwrap();
    folder.write("set.tar.zst", frame);
}

#[test]
fn archives_are_read_like_folders() {
    let folder = Folder::new("archive");
    boolean(&folder);
    invalid_boolean(&folder, 2);
    let long = format!("general/phase0/ssz_generic/uints/invalid/uint_8_{}", "x".repeat(120));
    folder.manifest(&long);
    folder.write(&format!("{long}/serialized.ssz_snappy"), [0]);
    folder.write("general/stray.txt", "");
    pack(&folder);
    let summary = run_all(&folder);
    assert_eq!(summary.total().passed, 3, "{summary}");
    assert!(summary.problems()[0].contains("stray.txt"), "{summary}");
    folder.write("set.tar.zst", "no archive");
    assert!(
        run(&plan(&folder, RUNNERS, false))
            .unwrap_err()
            .contains("set.tar.zst cannot be read")
    );
}

#[test]
fn every_case_is_judged_by_itself() {
    let folder = Folder::new("judge");
    boolean(&folder);
    let mut seen = Vec::new();
    walk(&folder.0, &Wanted::default(), &mut |files| seen.push(files)).unwrap();
    let judgement = judge(&seen[0], RUNNERS, SKIPS, false);
    assert!(matches!(judgement.status, Status::Passed), "{judgement:?}");
}

fn command(arguments: &[&str], dir: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vectors"));
    command.args(dir).args(arguments).output().unwrap()
}

#[test]
fn the_command_line_tells_success_failure_and_misuse_apart() {
    let folder = Folder::new("command");
    assert_eq!(command(&[], Some(&folder.0)).status.code(), Some(2));
    boolean(&folder);
    let output = command(&[], Some(&folder.0));
    assert_eq!(output.status.code(), Some(0));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .ends_with("1 passed, 0 failed, 0 skipped\n")
    );
    assert_eq!(command(&["--tamper"], Some(&folder.0)).status.code(), Some(0));
    let output = command(&["--counts"], Some(&folder.0));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "general phase0 ssz_generic 1\n"
    );
    folder.write(&format!("{BOOLEAN}/value.yaml"), "false\n");
    assert_eq!(command(&[], Some(&folder.0)).status.code(), Some(1));
    assert_eq!(command(&["--fast"], None).status.code(), Some(2));
    assert_eq!(command(&["nothing holds this"], Some(&folder.0)).status.code(), Some(2));
}
