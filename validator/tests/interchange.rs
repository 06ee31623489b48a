//! The interchange tests that all clients share (EIP-3076, release 5.3.0), in both ways of handling a history.
//!
//! Each step imports a file and then asks for signatures. `should_succeed` is what a client answers that keeps only the
//! highest entries, `should_succeed_complete` what one answers that keeps them all; both are compared exactly.

use crate::{Scratch, root, skip};
use consensus::ssz::Root;
use consensus::types::BLSPubkey;
use serde_json::Value;
use std::path::PathBuf;
use std::str::FromStr;
use validator::interchange::{How, Interchange};
use validator::slashing_protection::{KeyState, Record, SlashingProtection};

/// How many files release 5.3.0 has here.
const FILES: usize = 38;

fn files() -> Option<Vec<PathBuf>> {
    let folder = root().join("../shared/slashing-interchange");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        skip("slashing-interchange", &format!("{} is missing", folder.display()));
        return None;
    };
    let files = entries.map(|entry| entry.expect("the folder can be listed").path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    Some(files)
}

fn field<T: FromStr>(value: &Value, name: &str) -> T {
    let text = value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} is a string in {value}"));
    text.parse()
        .unwrap_or_else(|_| panic!("{name} is not what it should be: {text}"))
}

/// Runs a file; `damage` turns every expected answer around. Returns how many answers were compared.
fn run(case: &Value, how: How, damage: bool) -> Result<usize, String> {
    let folder = Scratch::new("interchange");
    let path = folder.path("database");
    SlashingProtection::create(&path, field(case, "genesis_validators_root")).expect("it can be created");
    let mut compared = 0;
    for step in case["steps"].as_array().expect("steps are a list") {
        // A restart between the steps: what counts is on disk.
        let database = SlashingProtection::open_any_network(&path).expect("it can be opened");
        let imported = Interchange::from_json(step["interchange"].to_string().as_bytes())
            .and_then(|interchange| interchange.import_into(&database, how));
        let expected = step["should_succeed"].as_bool().expect("a boolean");
        if imported.is_ok() != expected ^ damage {
            return Err(format!("import: expected {expected}, found {imported:?}"));
        }
        forget_details(&database, how);
        compared += 1;
        for (kind, requests) in [("blocks", &step["blocks"]), ("attestations", &step["attestations"])] {
            for request in requests.as_array().expect("requests are a list") {
                check(&database, kind, request, how, damage)?;
                compared += 1;
            }
        }
    }
    Ok(compared)
}

fn check(database: &SlashingProtection, kind: &str, request: &Value, how: How, damage: bool) -> Result<(), String> {
    let key: BLSPubkey = field(request, "pubkey");
    let signing_root = match request.get("signing_root") {
        Some(_) => field(request, "signing_root"),
        None => Root::ZERO,
    };
    let record = if kind == "blocks" {
        Record::Block {
            slot: field(request, "slot"),
            signing_root,
        }
    } else {
        Record::Attestation {
            source: field(request, "source_epoch"),
            target: field(request, "target_epoch"),
            signing_root,
        }
    };
    let name = match how {
        How::Minimal => "should_succeed",
        How::Complete => "should_succeed_complete",
    };
    let expected = request[name].as_bool().expect("a boolean");
    // Keys sign only when enabled; the import alone enables nothing.
    database
        .set_state(&key, KeyState::Enabled, "")
        .expect("it can be enabled");
    let answer = database.record(&[(key, record)]).remove(0);
    forget_details(database, how);
    if answer.is_ok() == expected ^ damage {
        return Ok(());
    }
    Err(format!("{name} is {expected}, found {answer:?} for {request}"))
}

/// The minimal way: after every change only the highest of a key is kept.
fn forget_details(database: &SlashingProtection, how: How) {
    if how == How::Minimal {
        database.prune(0).expect("it can be pruned");
    }
}

fn run_all(how: How) {
    let Some(files) = files() else { return };
    assert_eq!(files.len(), FILES, "the release has so many files");
    let (mut compared, mut failures) = (0, Vec::new());
    for path in files {
        let case: Value = serde_json::from_slice(&std::fs::read(&path).expect("readable")).expect("JSON");
        match run(&case, how, false) {
            Ok(count) => compared += count,
            Err(failure) => failures.push(format!("{}: {failure}", path.display())),
        }
        assert!(
            run(&case, how, true).is_err(),
            "{}: turned around, it must fail",
            path.display()
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 150, "only {compared} answers were compared");
}

#[test]
fn complete_histories() {
    run_all(How::Complete);
}

#[test]
fn minimal_histories() {
    run_all(How::Minimal);
}
