//! One file for a bug report: what the doctor found, what the status is, what the machine is. Nothing secret goes in:
//! no keys, public ones neither, no passwords, no addresses with credentials, no logs.

use super::{Args, Line};
use crate::exit::Failure;
use crate::{machine, status, words};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use validator::files::write_new_private;

pub(super) async fn write(file: &Path, args: &Args, lines: &[Line]) -> Result<(), Failure> {
    let asked = status::Args::of(args.datadir.clone(), args.beacon_nodes.clone());
    let status = match status::for_report(&asked).await {
        Ok(mut status) => {
            hide_keys(&mut status);
            format!("{status:#}")
        }
        Err(failure) => failure.message,
    };
    let mut text = format!(
        "wren {}\nwritten {}\n",
        crate::VERSION.as_str(),
        words::date(words::now_ms() / 1000)
    );
    for (name, value) in machine_facts() {
        let _ = writeln!(text, "{name}: {value}"); // writing to a String cannot fail
    }
    text += "\ndoctor\n";
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "\nstatus\n{status}\n\nfiles\n{}", sizes(args.datadir.root()));
    Ok(write_new_private(file, without_home(&text).as_bytes())?)
}

/// Paths tell the user's name.
fn without_home(text: &str) -> String {
    match std::env::var("HOME") {
        Ok(home) if home.len() > 1 => text.replace(&home, "~"),
        _ => text.to_owned(),
    }
}

/// Which validators somebody runs is nobody's business.
fn hide_keys(status: &mut Value) {
    let all = status.pointer_mut("/validators/all").and_then(Value::as_array_mut);
    for validator in all.into_iter().flatten() {
        if let Some(fields) = validator.as_object_mut() {
            fields.remove("pubkey");
            fields.remove("index");
        }
    }
    for place in ["/validators/next_duty", "/validators/last_epoch/missed", "/advice/text"] {
        if let Some(value) = status.pointer_mut(place) {
            *value = "left out".into();
        }
    }
}

fn machine_facts() -> Vec<(&'static str, String)> {
    let line = |path: &str, start: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(start)).unwrap_or("not known");
        found.chars().take(200).collect::<String>()
    };
    vec![
        ("system", line("/etc/os-release", "PRETTY_NAME")),
        ("kernel", line("/proc/version", "Linux")),
        ("processor", line("/proc/cpuinfo", "model name")),
        (
            "processors",
            std::thread::available_parallelism().map_or("not known".into(), |count| count.to_string()),
        ),
    ]
}

/// How large the parts of the data folder are; their names are ours.
fn sizes(root: &Path) -> String {
    let parts = ["node", "validator"].map(|part| format!("{part}: {}", words::size(machine::used(&root.join(part)))));
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_key_gets_into_a_report() {
        let mut status = json!({
            "advice": {"text": "validator 77 is slashed"},
            "validators": {"all": [{"pubkey": "0xabcd", "index": 77, "words": "active"}], "next_duty": "block of validator 77"},
        });
        hide_keys(&mut status);
        let text = status.to_string();
        assert!(!text.contains("abcd") && !text.contains("77"), "{text}");
        assert!(text.contains("active"));
    }
}
