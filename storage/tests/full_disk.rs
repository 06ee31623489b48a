//! A small file system that fills up: first what can be fetched again is refused, then the node is told to stop, and even
//! one that does not stop finds everything acknowledged once there is room again.

use crate::fixture::{Folder, block, identity, skip};
use consensus::Fork;
use consensus::ssz::Root;
use std::path::Path;
use std::process::Command;
use storage::{DiskLimits, Error, Options, Room, Sidecar, Storage, StoredSidecar};
use synthetic::Numbers;

const MB: u64 = 1_000_000;

/// A mounted file system of 192 MB, unmounted when dropped.
struct Small(Folder);

impl Small {
    /// `None` without the right to mount.
    fn mount() -> Option<Small> {
        let folder = Folder::new("full");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=192m", "wren-test"])
            .arg(folder.path());
        mount.output().ok()?.status.success().then_some(Small(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn open(folder: &Path) -> storage::Result<Storage> {
    // The stop lies well above the room that a full write buffer wants to become a table: between two looks at the room
    // several buffers may be on their way to the disk.
    let disk = DiskLimits {
        shed_below: 120 * MB,
        stop_below: 90 * MB,
    };
    Storage::open(
        folder,
        &identity(),
        &Options {
            disk,
            ..Options::default()
        },
    )
}

/// Bytes that no compressor shrinks.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut numbers = Numbers::new(seed);
    (0..len / 8).flat_map(|_| numbers.next_u64().to_le_bytes()).collect()
}

fn put_columns(storage: &Storage, slot: u64, root: Root) -> storage::Result<()> {
    let (kind, ssz) = (Sidecar::Column, noise(slot, 200_000));
    storage.put_sidecars(&[StoredSidecar {
        slot,
        root,
        kind,
        index: 0,
        fork: Fork::Fulu,
        ssz,
    }])
}

/// Commits a block of some 100 kB that becomes the head.
fn put_block(storage: &Storage, slot: u64, parent: Root) -> storage::Result<Root> {
    let (_, mut signed) = block(slot, parent, 0);
    signed.message.body.execution_payload.transactions[0].0 = noise(slot, 100_000);
    let root = consensus::ssz::Ssz::hash_tree_root(&signed.message, Fork::Fulu);
    let mut batch = storage.batch();
    batch.put_block(&root, Fork::Fulu, &signed);
    batch.set_head(slot, &root);
    batch.commit()?;
    Ok(root)
}

#[test]
fn a_full_disk_stops_cleanly_and_needs_no_repair() {
    let Some(small) = Small::mount() else {
        return skip("full disk", "only root may mount a small file system");
    };
    let storage = open(small.path()).unwrap();
    assert_eq!(storage.room().unwrap(), Room::Enough);
    let (mut slot, mut root, mut shed_at) = (0, Root::ZERO, None);
    // As a node does: until it is told to stop.
    while storage.room().unwrap() != Room::Stop {
        slot += 1;
        assert!(slot < 2000, "the disk does not fill up");
        root = put_block(&storage, slot, root).unwrap();
        match put_columns(&storage, slot, root) {
            // Room may come back for a while, when a log has been taken into tables.
            Ok(()) => {}
            Err(Error::DiskLow { .. }) => _ = shed_at.get_or_insert(slot),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        shed_at.is_some_and(|shed| shed < slot),
        "columns were refused first: {shed_at:?}, {slot}"
    );
    let mut batch = storage.batch();
    batch.set_clean_stop(true);
    batch.commit().unwrap();
    storage.flush().unwrap();
    drop(storage);

    // It starts again, and one that goes on until nothing can be written loses nothing.
    let storage = open(small.path()).unwrap();
    assert!(storage.clean_stop().unwrap());
    let full = loop {
        match put_block(&storage, slot + 1, root) {
            Ok(next) => (slot, root) = (slot + 1, next),
            Err(error) => break error,
        }
        assert!(slot < 4000, "the disk does not fill up");
    };
    assert!(matches!(full, Error::DiskFull(_)), "{full}");
    let file = storage.save_file("votes", &noise(1, 50_000_000)).unwrap_err();
    assert!(matches!(file, Error::DiskFull(_)), "{file}");
    drop(storage);

    // Room is made, without repair.
    let bigger = Command::new("mount")
        .args(["-o", "remount,size=384m"])
        .arg(small.path())
        .status()
        .unwrap();
    assert!(bigger.success());
    let storage = open(small.path()).unwrap();
    let head = storage.head().unwrap().unwrap();
    assert!(
        head == (slot, root) || head.0 == slot + 1,
        "head {head:?}, acknowledged {slot}"
    );
    for slot in (1..=slot).rev() {
        let (_, signed) = storage
            .block(&root)
            .unwrap()
            .unwrap_or_else(|| panic!("no block at {slot}"));
        root = signed.message.parent_root;
    }
    assert!(root.is_zero());
    put_block(&storage, slot + 2, root).unwrap();
    put_columns(&storage, slot + 2, root).unwrap();
}
