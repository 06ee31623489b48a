//! What several unit tests need.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A text that another project has made and that lies beside the repository; none where it is not there. In CI only what
/// `tests/skips.txt` lists, with its reason, may be skipped.
pub(crate) fn shared(name: &str, path: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("../shared").join(path);
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Some(text);
    }
    let list = std::fs::read_to_string(root.join("tests/skips.txt")).unwrap();
    let is_listed = list.lines().any(|line| line.starts_with(&format!("{name}: ")));
    assert!(
        is_listed || std::env::var("CI").is_err(),
        "'{name}' may not be skipped in CI"
    );
    writeln!(std::io::stderr(), "\nSKIPPED {name}: {} is missing", path.display()).ok();
    None
}

/// An empty folder for one test, removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("wren-validator-{name}-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
