//! A power cut loses nothing that was acknowledged: what the disk holds then is rebuilt from a record of all that the
//! writer did (recorder.c).
//!
//! Strictly: every write that was not followed by a sync of its file is forgotten, and every new, changed or removed
//! name that was not followed by a sync of its folder. In every other round a disk that did more than it had to:
//! of what is not synced, some was written all the same, in the order in which it was done within each file and among
//! the names.

use crate::fixture::{Folder, skip};
use crate::writer::{Writer, check, rounds};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use synthetic::Numbers;

/// A change to the bytes of a file.
enum Change {
    Write(u64, Vec<u8>),
    Resize(u64),
}

/// A file: what the disk holds for certain, and what it may hold.
#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

impl Content {
    /// Applies the first `count` pending changes for good.
    fn settle(&mut self, count: usize) {
        for change in self.pending.drain(..count) {
            match change {
                Change::Resize(size) => self.durable.resize(size as usize, 0),
                Change::Write(at, bytes) => {
                    let end = at as usize + bytes.len();
                    if self.durable.len() < end {
                        self.durable.resize(end, 0);
                    }
                    self.durable[at as usize..end].copy_from_slice(&bytes);
                }
            }
        }
    }
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq)]
enum Entry {
    Folder,
    File(usize),
}

/// A change to a folder: these names get (or lose) their meaning together.
struct Naming {
    folder: PathBuf,
    names: Vec<(PathBuf, Option<Entry>)>,
}

/// A disk, as far as the record tells.
#[derive(Default)]
struct Disk {
    contents: Vec<Content>,
    /// The file that a number of the system means now; numbers are used again.
    numbers: BTreeMap<u64, usize>,
    /// Names as the process sees them, and as the disk holds them for certain.
    live: BTreeMap<PathBuf, Entry>,
    durable: BTreeMap<PathBuf, Entry>,
    pending: Vec<Naming>,
}

fn apply(names: &mut BTreeMap<PathBuf, Entry>, changes: &[(PathBuf, Option<Entry>)]) {
    for (path, entry) in changes {
        match entry {
            Some(entry) => names.insert(path.clone(), *entry),
            None => names.remove(path),
        };
    }
}

impl Disk {
    /// A disk that holds a folder as it is now.
    fn of(folder: &Path) -> Disk {
        let mut disk = Disk::default();
        disk.durable.insert(folder.to_path_buf(), Entry::Folder);
        let mut left = vec![folder.to_path_buf()];
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let path = entry.path();
                if path.is_dir() {
                    disk.durable.insert(path.clone(), Entry::Folder);
                    left.push(path);
                } else {
                    let durable = fs::read(&path).unwrap();
                    disk.contents.push(Content {
                        durable,
                        pending: Vec::new(),
                    });
                    let number = std::os::unix::fs::DirEntryExt::ino(&entry);
                    disk.numbers.insert(number, disk.contents.len() - 1);
                    disk.durable.insert(path, Entry::File(disk.contents.len() - 1));
                }
            }
        }
        disk.live = disk.durable.clone();
        disk
    }

    fn name(&mut self, folder_of: &Path, names: Vec<(PathBuf, Option<Entry>)>) {
        apply(&mut self.live, &names);
        let folder = folder_of.parent().unwrap().to_path_buf();
        self.pending.push(Naming { folder, names });
    }

    fn change(&mut self, number: u64, change: Change) {
        if let Some(file) = self.numbers.get(&number) {
            self.contents[*file].pending.push(change);
        }
    }

    /// Follows one record.
    fn follow(&mut self, what: u8, number: u64, at: u64, first: &[u8], second: &[u8]) {
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        match what {
            b'W' => self.change(number, Change::Write(at, first.to_vec())),
            b'T' => self.change(number, Change::Resize(at)),
            b'S' => {
                if let Some(file) = self.numbers.get(&number) {
                    let content = &mut self.contents[*file];
                    content.settle(content.pending.len());
                }
            }
            b'C' => {
                self.contents.push(Content::default());
                let file = self.contents.len() - 1;
                self.numbers.insert(number, file);
                self.name(&path(first), vec![(path(first), Some(Entry::File(file)))]);
            }
            b'M' => self.name(&path(first), vec![(path(first), Some(Entry::Folder))]),
            b'U' => self.name(&path(first), vec![(path(first), None)]),
            b'A' | b'R' => {
                let (from, to) = (path(first), path(second));
                // What the recorder cannot see being made (RocksDB's own log of words) does not matter.
                if let Some(entry) = self.live.get(&from).copied() {
                    let mut names = vec![(to.clone(), Some(entry))];
                    if what == b'R' {
                        assert_eq!(from.parent(), to.parent(), "renamed within one folder");
                        names.push((from, None));
                    }
                    self.name(&to, names);
                }
            }
            b'F' => {
                let folder = path(first);
                let (synced, left) = std::mem::take(&mut self.pending)
                    .into_iter()
                    .partition(|naming| naming.folder == folder);
                self.pending = left;
                let synced: Vec<Naming> = synced;
                synced.iter().for_each(|naming| apply(&mut self.durable, &naming.names));
            }
            other => panic!("a record of kind {other}"),
        }
    }

    /// Follows a whole record; what a kill cut off at its end did not happen.
    fn follow_all(&mut self, mut record: &[u8]) {
        while let Some((head, rest)) = record.split_first_chunk::<25>() {
            let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
            let len = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap()) as usize;
            let Some((first, rest)) = rest.split_at_checked(len(17)) else {
                return;
            };
            let Some((second, rest)) = rest.split_at_checked(len(21)) else {
                return;
            };
            self.follow(head[0], number(1), number(9), first, second);
            record = rest;
        }
    }

    /// Does some of what is pending all the same.
    fn settle_some(&mut self, numbers: &mut Numbers) {
        for content in &mut self.contents {
            content.settle(numbers.below(content.pending.len() as u64 + 1) as usize);
        }
        let count = numbers.below(self.pending.len() as u64 + 1) as usize;
        for naming in self.pending.drain(..count) {
            apply(&mut self.durable, &naming.names);
        }
    }

    /// Makes the folder what the disk holds.
    fn restore(&self, folder: &Path) {
        fs::remove_dir_all(folder).unwrap();
        fs::create_dir(folder).unwrap();
        for (path, entry) in &self.durable {
            // Names in a folder that is not there are nowhere.
            match entry {
                _ if path == folder || !path.parent().unwrap().is_dir() => {}
                Entry::Folder => fs::create_dir(path).unwrap(),
                Entry::File(file) => fs::write(path, &self.contents[*file].durable).unwrap(),
            }
        }
    }
}

/// The recorder, compiled; `None` where that cannot be.
fn recorder(name: &str) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorder.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.so", std::process::id()));
    let mut compile = Command::new("cc");
    compile
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-lpthread");
    compile.status().ok()?.success().then_some(library)
}

/// Runs a writer, cuts the power, rebuilds the folder; what was acknowledged.
fn cut(
    folder: &Path,
    library: &Path,
    numbers: &mut Numbers,
    strict: bool,
    sync: bool,
) -> Option<BTreeMap<String, u64>> {
    let mut disk = Disk::of(folder);
    let record = library.with_extension(format!("record-{}", numbers.next_u64()));
    let mut environment = vec![
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("RECORD_FOLDER", folder.to_str().unwrap()),
        ("RECORD_FILE", record.to_str().unwrap()),
    ];
    if !sync {
        environment.push(("RECORD_NO_SYNC", "1"));
    }
    let mut writer = Writer::start(folder, &environment)?;
    writer.wait_for(numbers.below(60) as usize);
    let acknowledged = writer.kill();
    let bytes = fs::read(&record).unwrap_or_default();
    fs::remove_file(&record).ok();
    assert!(!bytes.is_empty() || acknowledged.is_empty(), "nothing was recorded");
    disk.follow_all(&bytes);
    if !strict {
        disk.settle_some(numbers);
    }
    disk.restore(folder);
    Some(acknowledged)
}

#[test]
fn a_power_cut_loses_nothing() {
    let Some(library) = recorder("recorder") else {
        return skip("power cut", "no C compiler for the recorder");
    };
    let mut numbers = Numbers::new(u64::from(std::process::id()));
    let mut folder = Folder::new("power");
    let mut acknowledged = BTreeMap::new();
    for round in 0..rounds() {
        if round % 10 == 0 {
            folder = Folder::new("power");
            acknowledged = BTreeMap::new();
        }
        let Some(more) = cut(folder.path(), &library, &mut numbers, round % 2 == 0, true) else {
            return skip("power cut", "this machine cannot start the test program by itself");
        };
        acknowledged.extend(more);
        check(folder.path(), &acknowledged).unwrap_or_else(|what| panic!("round {round}: {what}"));
    }
    fs::remove_file(library).unwrap();
}

/// The test above must notice what it is there for.
#[test]
fn without_syncing_a_power_cut_is_noticed() {
    let Some(library) = recorder("unsynced") else {
        return skip("power cut", "no C compiler for the recorder");
    };
    let mut numbers = Numbers::new(3);
    let folder = Folder::new("unsynced");
    // A sound database first, so that what is lost is what a sync would have kept.
    let Some(mut acknowledged) = cut(folder.path(), &library, &mut numbers, true, true) else {
        return skip("power cut", "this machine cannot start the test program by itself");
    };
    check(folder.path(), &acknowledged).unwrap();
    acknowledged.extend(cut(folder.path(), &library, &mut numbers, true, false).unwrap());
    let what = check(folder.path(), &acknowledged).expect_err("lost writes go unnoticed");
    assert!(what.contains("head") || what.contains("not opened"), "{what}");
    fs::remove_file(library).unwrap();
}
