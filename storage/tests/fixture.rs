//! Folders, chains and states for the tests.

use consensus::Fork;
use consensus::ssz::{Bytes, Root, Ssz};
use consensus::types::{SignedBeaconBlock, Slot};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use storage::{DiskLimits, Identity, Options, Storage};

/// A folder that goes with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// An empty one, on the disk where the build lies: memory file systems cannot be synced.
    pub(crate) fn new(name: &str) -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("storage-{name}-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn identity() -> Identity {
    Identity::of(Bytes([7; 32]))
}

/// Options under which no test machine is too full.
pub(crate) fn options() -> Options {
    Options {
        disk: DiskLimits {
            shed_below: 0,
            stop_below: 0,
        },
        ..Options::default()
    }
}

pub(crate) fn open(dir: &Path) -> Storage {
    Storage::open(dir, &identity(), &options()).unwrap()
}

/// A block at `slot` on `parent`, with its root; `salt` makes siblings.
pub(crate) fn block(slot: Slot, parent: Root, salt: u64) -> (Root, SignedBeaconBlock) {
    let mut block = SignedBeaconBlock::new(Fork::Fulu);
    block.message.slot = slot;
    block.message.proposer_index = salt;
    block.message.parent_root = parent;
    // Enough bytes that write buffers fill up, and none like the other.
    let mut numbers = synthetic::Numbers::new(slot ^ salt << 32);
    let bytes = (0..200).flat_map(|_| numbers.next_u64().to_le_bytes()).collect();
    block.message.body.execution_payload.transactions = vec![consensus::ssz::ByteList(bytes)];
    (block.message.hash_tree_root(Fork::Fulu), block)
}

/// Says loudly that a test could not run, past the capture of the test harness. In CI only what `tests/skips.txt` lists,
/// with its reason, may be skipped.
pub(crate) fn skip(name: &str, why: &str) {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/skips.txt");
    let list = std::fs::read_to_string(list).unwrap();
    let listed = list
        .lines()
        .any(|line| line.split_once(": ").is_some_and(|(listed, _)| listed == name));
    let allowed = listed || std::env::var_os("CI").is_none();
    assert!(
        allowed,
        "'{name}' cannot run ({why}) and tests/skips.txt does not allow that"
    );
    writeln!(std::io::stderr(), "\nSKIPPED {name}: {why}").unwrap();
}
