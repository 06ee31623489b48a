//! Tests of the validator client from outside: files of others, concurrent signing, and what kills leave behind.
#![forbid(unsafe_code)]

mod interchange;
mod model;
mod power_cut;
mod start;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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

/// Random tests run a tenth of their counts with every change, and all of them in a long run.
fn long() -> bool {
    std::env::var("WREN_TEST_LONG").is_ok_and(|value| value == "1")
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

const MODE: &str = "WREN_TEST_CHILD";

/// What the parent asks of this process, if it is a child: mode, folder, number.
fn child_mode() -> Option<(String, PathBuf, u64)> {
    let asked = std::env::var(MODE).ok()?;
    let mut parts = asked.splitn(3, ' ');
    let (mode, number, folder) = (parts.next()?, parts.next()?, parts.next()?);
    Some((mode.into(), folder.into(), number.parse().ok()?))
}

/// The command that runs one test of this program in another process.
fn child_command(test: &str, mode: &str, folder: &Path, number: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(MODE, format!("{mode} {number} {}", folder.display()))
        .stdout(Stdio::piped());
    command
}

fn spawn_child(test: &str, mode: &str, folder: &Path, number: u64) -> Child {
    child_command(test, mode, folder, number)
        .spawn()
        .expect("it can be started")
}
