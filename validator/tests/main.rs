//! Tests of the validator client from outside: files of others, concurrent signing, and what kills leave behind.
#![forbid(unsafe_code)]

mod interchange;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// An empty folder for one test, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("validator-{name}-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).expect("a folder can be made below the target folder");
        Scratch(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Says loudly that a test could not run, past the capture of the test harness. In CI only what `tests/skips.txt`
/// lists, with its reason, may be skipped.
fn skip(name: &str, what: &str) {
    let list = std::fs::read_to_string(root().join("tests/skips.txt")).expect("tests/skips.txt is there");
    let listed = list
        .lines()
        .any(|line| line.split_once(": ").is_some_and(|(listed, _)| listed == name));
    assert!(
        listed || std::env::var("CI").is_err(),
        "'{name}' cannot run ({what}) and tests/skips.txt does not allow that"
    );
    writeln!(std::io::stderr(), "\nSKIPPED {name}: {what}").ok();
}
