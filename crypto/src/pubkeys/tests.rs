use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::bls::SecretKey;

/// Where the keys begin, told here once more because it must not change without a new version.
const HEADER: u64 = 4096;

/// A folder of its own for a test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "wren-pubkeys-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("pubkeys")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind is no reason to fail a test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn keys(count: u8) -> Vec<PublicKey> {
    (1..=count)
        .map(|n| {
            let mut bytes = [0; 32];
            bytes[31] = n;
            SecretKey::from_bytes(&bytes).unwrap().public_key()
        })
        .collect()
}

fn assert_holds(registry: &Pubkeys, expected: &[PublicKey]) {
    assert_eq!(registry.len(), expected.len());
    for (index, key) in expected.iter().enumerate() {
        assert_eq!(registry.get(index).unwrap(), *key);
    }
    assert!(matches!(
        registry.get(expected.len()),
        Err(PubkeysError::OutOfRange { .. })
    ));
    registry.verify().unwrap();
}

/// Writes the first 10 keys and syncs, then `more` and does not.
fn write(path: &Path, more: usize) {
    let keys = keys(30);
    let mut registry = Pubkeys::open(path).unwrap();
    registry.append(&keys[..10]).unwrap();
    registry.sync().unwrap();
    registry.append(&keys[10..10 + more]).unwrap();
}

fn flip(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x04], at).unwrap();
}

#[test]
fn both_kinds_hold_what_was_appended() {
    let folder = Folder::new();
    let keys = keys(20);
    for mut registry in [Pubkeys::in_memory(), Pubkeys::open(&folder.file()).unwrap()] {
        assert!(registry.is_empty());
        assert_holds(&registry, &[]);
        registry.append(&keys[..3]).unwrap();
        let reader = registry.clone();
        registry.append(&[]).unwrap();
        registry.append(&keys[3..]).unwrap();
        registry.sync().unwrap();
        assert_holds(&registry, &keys);
        assert_holds(&reader, &keys[..3]);
    }
    assert_holds(&Pubkeys::open(&folder.file()).unwrap(), &keys);
    assert_eq!(fs::metadata(folder.file()).unwrap().len(), HEADER + 20 * 96);
}

#[test]
fn many_keys_in_one_call() {
    let folder = Folder::new();
    let keys: Vec<_> = keys(50).into_iter().cycle().take(2500).collect();
    let mut registry = Pubkeys::open(&folder.file()).unwrap();
    registry.append(&keys).unwrap();
    assert_holds(&registry, &keys);
}

#[test]
fn reopening_again_and_again() {
    let folder = Folder::new();
    let keys = keys(30);
    for count in 0..keys.len() {
        let mut registry = Pubkeys::open(&folder.file()).unwrap();
        assert_holds(&registry, &keys[..count]);
        registry.append(&keys[count..=count]).unwrap();
        if count % 3 != 0 {
            registry.sync().unwrap();
        }
    }
    assert_holds(&Pubkeys::open(&folder.file()).unwrap(), &keys);
}

#[test]
fn one_writer_at_a_time() {
    let folder = Folder::new();
    let mut first = Pubkeys::open(&folder.file()).unwrap();
    assert!(matches!(Pubkeys::open(&folder.file()), Err(PubkeysError::InUse { .. })));
    let mut second = first.clone();
    first.append(&keys(2)).unwrap();
    let error = second.append(&keys(1)).unwrap_err();
    assert!(matches!(error, PubkeysError::Stale { known: 0, present: 2 }), "{error}");
    assert_holds(&first, &keys(2));
    drop((first, second));
    assert_holds(&Pubkeys::open(&folder.file()).unwrap(), &keys(2));
}

#[test]
fn a_torn_tail_is_cut_off() {
    let folder = Folder::new();
    write(&folder.file(), 5);
    let whole = fs::read(folder.file()).unwrap();
    let keys = keys(15);
    for cut in 1..=5 * 96 {
        fs::write(folder.file(), &whole).unwrap();
        let file = fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
        file.set_len(HEADER + 15 * 96 - cut).unwrap();
        drop(file);
        let left = 15 - cut.div_ceil(96) as usize;
        let mut registry = Pubkeys::open(&folder.file()).unwrap();
        assert_holds(&registry, &keys[..left]);
        registry.append(&keys[left..]).unwrap();
        assert_holds(&registry, &keys);
    }
}

#[test]
fn pages_that_never_reached_the_disk_are_cut_off() {
    // The length of the file was on disk before the bytes were: the 13th key is zeroes, the two behind it are good.
    let folder = Folder::new();
    write(&folder.file(), 5);
    let file = fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
    file.write_all_at(&[0; 96], HEADER + 12 * 96).unwrap();
    drop(file);
    assert_holds(&Pubkeys::open(&folder.file()).unwrap(), &keys(12));
    assert_eq!(fs::metadata(folder.file()).unwrap().len(), HEADER + 12 * 96);
}

#[test]
fn every_flipped_byte_of_a_key_is_seen() {
    let folder = Folder::new();
    write(&folder.file(), 0);
    let keys = keys(10);
    for byte in 0..10 * 96 {
        flip(&folder.file(), HEADER + byte);
        let registry = Pubkeys::open(&folder.file()).unwrap();
        let damaged = byte as usize / 96;
        let seen = |result| matches!(result, Err(PubkeysError::Corrupt { index, .. }) if index == damaged);
        assert!(seen(registry.get(damaged).map(|_| ())), "byte {byte}");
        assert!(seen(registry.verify()), "byte {byte}");
        assert_eq!(registry.get((damaged + 1) % 10).unwrap(), keys[(damaged + 1) % 10]);
        flip(&folder.file(), HEADER + byte);
    }
    assert_holds(&Pubkeys::open(&folder.file()).unwrap(), &keys);
}

#[test]
fn every_flipped_byte_of_the_header_is_seen_or_harmless() {
    let folder = Folder::new();
    write(&folder.file(), 5);
    let whole = fs::read(folder.file()).unwrap();
    for byte in (0..12).chain(512..528).chain(1024..1040) {
        fs::write(folder.file(), &whole).unwrap();
        flip(&folder.file(), byte);
        let opened = Pubkeys::open(&folder.file());
        match byte {
            0..8 => assert!(matches!(opened, Err(PubkeysError::NotARegistry { .. })), "byte {byte}"),
            8..12 => assert!(
                matches!(opened, Err(PubkeysError::Version { expected: 1, .. })),
                "byte {byte}"
            ),
            // A lost count makes all keys be tried.
            _ => assert_holds(&opened.unwrap(), &keys(15)),
        }
    }
}

#[test]
fn synced_keys_do_not_vanish_unnoticed() {
    let folder = Folder::new();
    write(&folder.file(), 0);
    let file = fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
    file.set_len(HEADER + 10 * 96 - 1).unwrap();
    drop(file);
    let error = Pubkeys::open(&folder.file()).unwrap_err();
    assert!(
        matches!(
            error,
            PubkeysError::Shortened {
                found: 9,
                expected: 10,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("delete the file"), "{error}");
}

#[test]
fn a_torn_count_leaves_the_one_before() {
    let folder = Folder::new();
    write(&folder.file(), 5);
    let mut registry = Pubkeys::open(&folder.file()).unwrap();
    registry.sync().unwrap();
    drop(registry);
    let file = fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
    file.write_all_at(&[0xff; 16], 1024).unwrap(); // the second of the two places: 15
    file.set_len(HEADER + 9 * 96).unwrap();
    drop(file);
    let error = Pubkeys::open(&folder.file()).unwrap_err();
    assert!(
        matches!(
            error,
            PubkeysError::Shortened {
                found: 9,
                expected: 10,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn other_files_are_left_alone() {
    for content in [&b"{\"a\": 1}"[..], &[7; 5000], b"wrenkeyz"] {
        let folder = Folder::new();
        fs::write(folder.file(), content).unwrap();
        let error = Pubkeys::open(&folder.file()).unwrap_err();
        assert!(matches!(error, PubkeysError::NotARegistry { .. }), "{error}");
        assert_eq!(fs::read(folder.file()).unwrap(), content);
    }
}

#[test]
fn a_file_whose_making_was_interrupted_is_made_again() {
    for content in [&b""[..], b"wren", &[0; 100]] {
        let folder = Folder::new();
        fs::write(folder.file(), content).unwrap();
        write(&folder.file(), 5);
        assert_holds(&Pubkeys::open(&folder.file()).unwrap(), &keys(15));
    }
}
