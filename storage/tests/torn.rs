//! Files that the disk did not keep: the storage opens with a consistent chain, or names the damage and the command that
//! repairs it. It never takes what is left for a new database, and never goes down.

use crate::fixture::{Folder, identity, options, skip};
use crate::writer::{Writer, check};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use storage::{Error, Storage};
use synthetic::Numbers;

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The newest `count` files of the database whose names fit.
fn newest(folder: &Path, count: usize, fits: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("db"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| fits(path)).collect();
    files.sort();
    files.split_off(files.len().saturating_sub(count))
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "sst")
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "log")
}

fn is_manifest(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("MANIFEST"))
}

/// The file that names the manifest.
fn is_current(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "CURRENT")
}

/// A database as a killed writer leaves it, with tables and a log.
fn killed(folder: &Folder) -> Option<BTreeMap<String, u64>> {
    let mut writer = Writer::start(folder.path(), &[])?;
    writer.wait_for(90);
    let acknowledged = writer.kill();
    assert!(!newest(folder.path(), 9, is_table).is_empty() && !newest(folder.path(), 9, is_log).is_empty());
    Some(acknowledged)
}

/// Whether it opens with a consistent chain (`true`) or names the damage.
#[track_caller]
fn opens_or_names(folder: &Path, what: &str) -> bool {
    // Nothing acknowledged is demanded: what a disk loses after it was synced is lost.
    match check(folder, &BTreeMap::new()) {
        Ok(()) => true,
        Err(text) if text.contains("the database is damaged") && text.contains("`wren node --resync`") => false,
        Err(text) => panic!("{what}: {text}"),
    }
}

#[test]
fn torn_files_are_survived_or_named() {
    let (folder, torn) = (Folder::new("killed"), Folder::new("torn"));
    let Some(acknowledged) = killed(&folder) else {
        return skip("torn files", "this machine cannot start the test program by itself");
    };
    check(folder.path(), &acknowledged).unwrap();
    let folder = {
        // Opened once by the check: kill another one for a log that nobody has read yet.
        drop(folder);
        let folder = Folder::new("killed");
        killed(&folder).unwrap();
        folder
    };
    let mut numbers = Numbers::new(5);
    let (mut opened, mut named) = (0, 0);
    for round in 0..crate::writer::rounds() * 3 {
        copy(folder.path(), torn.path());
        let kinds: [fn(&Path) -> bool; 4] = [is_log, is_table, is_manifest, is_current];
        let files = newest(torn.path(), 3, kinds[round as usize % 4]);
        let path = &files[numbers.below(files.len() as u64) as usize];
        let mut bytes = fs::read(path).unwrap();
        let place = numbers.below(bytes.len().max(1) as u64) as usize;
        let flip = round / 4 % 2 == 0 && !bytes.is_empty();
        if flip {
            bytes[place] ^= 1 << numbers.below(8);
        } else {
            bytes.truncate(place);
        }
        fs::write(path, bytes).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let how = if flip { "flipped at" } else { "cut off at" };
        if opens_or_names(torn.path(), &format!("round {round}, {name} {how} {place}")) {
            opened += 1;
        } else {
            named += 1;
        }
    }
    assert!(opened > 5 && named > 5, "{opened} opened, {named} named");
}

#[test]
fn lost_files_are_named() {
    let folder = Folder::new("lost-files");
    if killed(&folder).is_none() {
        return skip("torn files", "this machine cannot start the test program by itself");
    }
    // Closed well once: a kill may leave files that do not belong to the database any more, or not yet.
    crate::fixture::open(folder.path()).flush().unwrap();
    let lost = Folder::new("lost-file");
    for fits in [is_table, is_manifest, is_current] {
        copy(folder.path(), lost.path());
        let path = newest(lost.path(), 1, fits).remove(0);
        fs::remove_file(&path).unwrap();
        let error = Storage::open(lost.path(), &identity(), &options()).unwrap_err();
        assert!(
            matches!(error, Error::Damaged(_)),
            "without {}: {error}",
            path.display()
        );
        // Said by name, not by what RocksDB stumbles over then.
        assert!(
            !is_current(&path) || error.to_string().contains("CURRENT is gone"),
            "{error}"
        );
    }
    // Without a log it is what it was before, or says so.
    copy(folder.path(), lost.path());
    fs::remove_file(newest(lost.path(), 1, is_log).remove(0)).unwrap();
    opens_or_names(lost.path(), "without a log");
    // Resync: nothing stands in the way of a new database.
    let claim = Storage::claim(lost.path()).unwrap();
    claim.remove().unwrap();
    let anew = claim.open(&identity(), &options()).unwrap();
    assert_eq!(anew.head().unwrap(), None);
}
