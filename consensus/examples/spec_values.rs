//! Compares every preset value, constant and config field with an unpacked consensus-specs tree, in both directions.
//!
//! `cargo run -p consensus --example spec_values [--features minimal] -- DIR`. A tool and no test, because the tree is
//! not part of this repository and a test that is skipped proves nothing. Exits with 1 on any difference.

use consensus::config::Config;
use consensus::{Fork, constants, preset};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Config fields of forks that this version does not know.
const LATER: [&str; 6] = [
    "HEZE_FORK_VERSION",
    "HEZE_FORK_EPOCH",
    "INCLUSION_LIST_DUE_BPS",
    "MAX_REQUEST_INCLUSION_LIST",
    "MIN_SLOTS_FOR_INCLUSION_LISTS_REQUESTS",
    "MAX_BYTES_PER_INCLUSION_LIST",
];

/// Constants that are not numbers or byte strings here.
const NOT_COMPARED: [&str; 3] = ["ENDIANNESS", "PARTICIPATION_FLAG_WEIGHTS", "UINT256_MAX"];

fn main() {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: spec_values DIR, where DIR has the presets/, configs/ and specs/ of the consensus-specs");
        std::process::exit(2);
    };
    let mut differences = Vec::new();
    compare_preset(&dir, &mut differences);
    compare_config(&dir, &mut differences);
    compare_constants(&dir, &mut differences);
    for difference in &differences {
        println!("{difference}");
    }
    println!("preset {}: {} differences", preset::PRESET_NAME, differences.len());
    std::process::exit(i32::from(!differences.is_empty()));
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| {
        eprintln!("cannot read {}: {error}", path.display());
        std::process::exit(2);
    })
}

fn compare_preset(dir: &Path, differences: &mut Vec<String>) {
    let mut theirs = BTreeMap::new();
    for fork in Fork::ALL {
        let text = read(
            &dir.join("presets")
                .join(preset::PRESET_NAME)
                .join(format!("{fork}.yaml")),
        );
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.split_once(": ") {
                theirs.insert(name.to_owned(), value.trim().to_owned());
            }
        }
    }
    let ours = preset::VALUES
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string()))
        .collect();
    compare("preset", &ours, &theirs, differences);
}

fn compare(what: &str, ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>, out: &mut Vec<String>) {
    let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    println!("{what}: {} names", names.len());
    for name in names {
        if ours.get(name) != theirs.get(name) {
            out.push(format!(
                "{what} {name}: ours {:?}, theirs {:?}",
                ours.get(name),
                theirs.get(name)
            ));
        }
    }
}

fn compare_config(dir: &Path, differences: &mut Vec<String>) {
    let text = read(&dir.join("configs").join(format!("{}.yaml", preset::PRESET_NAME)));
    let parsed = match Config::from_yaml(&text) {
        Ok(parsed) => parsed,
        Err(error) => return differences.push(format!("config: {error}")),
    };
    differences.extend(parsed.missing.iter().map(|name| format!("config {name}: ours alone")));
    let unknown = parsed
        .config
        .other
        .iter()
        .filter(|(name, _)| !LATER.contains(&name.as_str()));
    differences.extend(unknown.map(|(name, _)| format!("config {name}: theirs alone")));
    println!("config: {} fields", Config::NAMES.len());
    let known = Config {
        other: Vec::new(),
        ..parsed.config
    };
    if known != Config::standard() {
        differences.push(format!("config: ours {:?}, theirs {known:?}", Config::standard()));
    }
}

/// The value of a table's cell such as `` `Uint64(2**6)` (= 64) `` in the form of [`constants::values`].
fn cell_value(cell: &str) -> Option<String> {
    if let Some((_, result)) = cell.split_once("(= ") {
        return Some(result.split(')').next()?.replace(',', ""));
    }
    let inner = cell.trim().trim_matches('`').split_once('(')?.1.trim_end_matches(')');
    match inner {
        "2**64 - 1" | "UINT64_MAX" => Some(u64::MAX.to_string()),
        "2**40" => Some((1u64 << 40).to_string()),
        "10**9" => Some("1000000000".into()),
        "" => Some(format!("0x{}", "00".repeat(32))),
        "b'\\xc0' + b'\\x00' * 95" => Some(format!("0xc0{}", "00".repeat(95))),
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => Some(number.into()),
        bytes => Some(bytes.strip_prefix('\'')?.strip_suffix('\'')?.to_lowercase()),
    }
}

fn compare_constants(dir: &Path, differences: &mut Vec<String>) {
    let mut theirs: BTreeMap<String, String> = BTreeMap::new();
    for fork in Fork::ALL {
        for path in documents(&dir.join("specs").join(fork.name())) {
            for line in read(&path).lines() {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                let [_, name, value, ..] = cells[..] else { continue };
                let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
                    continue;
                };
                let ours = preset::VALUES.iter().any(|(known, _)| *known == name) || Config::NAMES.contains(&name);
                let constant = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
                if ours || NOT_COMPARED.contains(&name) || !name.bytes().all(constant) {
                    continue;
                }
                match cell_value(value) {
                    Some(value) => drop(theirs.insert(name.into(), value)),
                    None => differences.push(format!("constant {name}: cannot read {value}")),
                }
            }
        }
    }
    let mut ours: BTreeMap<String, String> = constants::values()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    // Listed with the constants of gloas/fork-choice.md, and computed from the preset.
    theirs.insert("PAYLOAD_TIMELY_THRESHOLD".into(), (preset::PTC_SIZE / 2).to_string());
    theirs.insert(
        "DATA_AVAILABILITY_TIMELY_THRESHOLD".into(),
        (preset::PTC_SIZE / 2).to_string(),
    );
    ours.insert(
        "PAYLOAD_TIMELY_THRESHOLD".into(),
        preset::PAYLOAD_TIMELY_THRESHOLD.to_string(),
    );
    ours.insert(
        "DATA_AVAILABILITY_TIMELY_THRESHOLD".into(),
        preset::DATA_AVAILABILITY_TIMELY_THRESHOLD.to_string(),
    );
    compare("constant", &ours, &theirs, differences);
}

/// The documents under `dir`, by name.
fn documents(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| {
        eprintln!("cannot list {}: {error}", dir.display());
        std::process::exit(2);
    });
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}
