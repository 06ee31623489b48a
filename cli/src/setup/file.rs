//! The file of settings: what stands in it, what is changed in it, and that the rest of it stays as it is.

use crate::exit::Failure;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};
use validator::files::write_private;

use super::owner::Owner;

/// Where a setting that is not in the file yet is put: at the top, or in a command's table.
pub(super) fn home(name: &str) -> Option<&'static str> {
    match name {
        "checkpoint-sync-url" | "tls-ca" | "execution-endpoint" | "execution-jwt" | "dev-engine" => Some("node"),
        "suggested-fee-recipient" | "beacon-nodes" | "beacon-nodes-ca" => Some("validator"),
        _ => None,
    }
}

/// Options that are given several times on the command line are lists in the file.
fn is_list(name: &str) -> bool {
    matches!(name, "execution-endpoint" | "beacon-nodes")
}

fn table<'a>(document: &'a DocumentMut, name: &str) -> Option<&'a dyn TableLike> {
    document.get(name).and_then(Item::as_table_like)
}

fn item<'a>(document: &'a DocumentMut, name: &str) -> Option<&'a Item> {
    let in_table = home(name).and_then(|home| table(document, home)?.get(name));
    in_table.or_else(|| document.get(name).filter(|item| !item.is_table_like()))
}

/// The values of a setting, as they would be typed; none where it is not set.
pub(super) fn values(document: &DocumentMut, name: &str) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.value().clone(),
        other => other.clone().decorated("", "").to_string(),
    };
    match item(document, name).and_then(Item::as_value) {
        Some(Value::Array(list)) => list.iter().map(text).collect(),
        Some(value) => vec![text(value)],
        None => Vec::new(),
    }
}

/// The first value of a setting that is not empty.
pub(super) fn value(document: &DocumentMut, name: &str) -> Option<String> {
    values(document, name).into_iter().find(|value| !value.is_empty())
}

/// Whether a switch is on.
pub(super) fn is_on(document: &DocumentMut, name: &str) -> bool {
    item(document, name).and_then(Item::as_bool) == Some(true)
}

/// Sets a setting where it stands, or in its table. Nothing is touched where it has that value already.
pub(super) fn set(document: &mut DocumentMut, name: &str, text: &str) {
    let list: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    let wanted: Vec<&str> = if is_list(name) { list } else { vec![text] };
    if values(document, name) == wanted {
        return;
    }
    let value = if is_list(name) {
        Value::Array(wanted.into_iter().collect::<Array>())
    } else {
        Value::from(text)
    };
    put(document, home(name), name, value);
}

/// Takes a setting out.
pub(super) fn unset(document: &mut DocumentMut, name: &str) {
    if let Some(table) = home(name).and_then(|home| document.get_mut(home)?.as_table_like_mut()) {
        table.remove(name);
    }
    if document.get(name).is_some_and(|item| !item.is_table_like()) {
        document.remove(name);
    }
}

fn put(document: &mut DocumentMut, home: Option<&str>, name: &str, value: Value) {
    let at_top = document.get(name).is_some_and(|item| !item.is_table_like());
    let in_home = home.is_some_and(|home| table(document, home).is_some_and(|table| table.contains_key(name)));
    let place: &mut dyn TableLike = match home {
        Some(home) if in_home || !at_top => {
            let new = || Item::Table(Table::new());
            let item = document.entry(home).or_insert_with(new);
            if !item.is_table_like() {
                *item = new();
            }
            item.as_table_like_mut().expect("it is a table now")
        }
        _ => document.as_table_mut(),
    };
    match place.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            // What stands around it, a comment at the line's end for one, stays.
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        None => {
            place.insert(name, Item::Value(value));
        }
    }
}

/// Puts what stands in `answers` into the settings, without the names that are `not_settings`.
pub(super) fn merge(document: &mut DocumentMut, answers: &DocumentMut, not_settings: &[&str]) {
    for (name, item) in answers.iter() {
        if let Some(table) = item.as_table_like() {
            for (inner, item) in table.iter() {
                take(document, Some(name), inner, item);
            }
        } else if !not_settings.contains(&name) {
            take(document, home(name), name, item);
        }
    }
}

fn take(document: &mut DocumentMut, home: Option<&str>, name: &str, item: &Item) {
    let Some(value) = item.as_value() else { return };
    let value = match value {
        // One address where there may be several.
        Value::String(text) if is_list(name) => Value::Array(std::iter::once(text.value().as_str()).collect()),
        other => other.clone().decorated(" ", ""),
    };
    let now = home
        .and_then(|home| table(document, home)?.get(name))
        .or_else(|| document.get(name))
        .and_then(Item::as_value);
    let same = |old: &Value| old.clone().decorated("", "").to_string() == value.clone().decorated("", "").to_string();
    if !now.is_some_and(same) {
        put(document, home, name, value);
    }
}

/// Writes the file whole or not at all. One that was there keeps its owner and mode; a new one may be read by the user
/// who runs the programs, and by nobody else.
pub(super) fn write(path: &Path, document: &DocumentMut, owner: Option<&Owner>) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("cannot write {}", path.display()), &error);
    let before = std::fs::metadata(path).ok();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    write_private(path, document.to_string().as_bytes())?;
    let (uid, gid, mode) = match (before, owner) {
        (Some(before), _) => (before.uid(), before.gid(), before.mode() & 0o777),
        (None, Some(owner)) => (0, owner.gid, 0o640),
        (None, None) => return Ok(()),
    };
    // Who is not root owns the file already.
    if rustix::process::geteuid().is_root() {
        chown(path, Some(uid), Some(gid)).map_err(failed)?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# mine\nnetwork = \"hoodi\" # a test network\nlog-level = \"debug\"\n\n[node]\nport = 9100\nexecution-jwt = \"/a\"\n";

    fn document(text: &str) -> DocumentMut {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_asked_changes_and_nothing_else() {
        let mut settings = document(BEFORE);
        set(&mut settings, "network", "hoodi");
        assert_eq!(settings.to_string(), BEFORE);
        set(&mut settings, "network", "sepolia");
        set(&mut settings, "execution-jwt", "/b");
        let expected = BEFORE.replace("\"hoodi\"", "\"sepolia\"").replace("\"/a\"", "\"/b\"");
        assert_eq!(settings.to_string(), expected);
        set(&mut settings, "execution-endpoint", "http://a, http://b");
        set(&mut settings, "suggested-fee-recipient", "0x01");
        let text = settings.to_string();
        assert!(text.starts_with(&expected), "{text}");
        assert!(
            text.contains("execution-endpoint = [\"http://a\", \"http://b\"]"),
            "{text}"
        );
        assert!(
            text.contains("[validator]\nsuggested-fee-recipient = \"0x01\""),
            "{text}"
        );
        unset(&mut settings, "execution-endpoint");
        assert_eq!(value(&settings, "execution-endpoint"), None);
    }

    #[test]
    fn answers_are_merged_where_the_settings_stand() {
        let mut settings = document("suggested-fee-recipient = \"0x01\"\n[node]\nport = 9100\n");
        let answers = document(
            "network = \"hoodi\"\nkeystores = \"x\"\nsuggested-fee-recipient = \"0x02\"\nexecution-endpoint = \"http://a\"\n[node]\nport = 9200\nalone = true\n",
        );
        merge(&mut settings, &answers, &["keystores"]);
        let text = settings.to_string();
        assert_eq!(value(&settings, "suggested-fee-recipient").as_deref(), Some("0x02"));
        assert!(!text.contains("0x01") && !text.contains("keystores"), "{text}");
        assert!(
            text.contains("[node]\nport = 9200\n") && text.contains("alone = true"),
            "{text}"
        );
        assert_eq!(values(&settings, "execution-endpoint"), ["http://a"]);
        let again = text.clone();
        merge(&mut settings, &answers, &["keystores"]);
        assert_eq!(settings.to_string(), again);
    }
}
