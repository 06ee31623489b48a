//! Tests of the `wren` program as an operator meets it, and of the tree it is built from.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a failed `unwrap` is a failed test

#[cfg(feature = "minimal")]
mod chain;
mod crowd;
mod exits;
mod genesis;
mod keymanager;
mod keys;
mod operator;
#[cfg(not(feature = "minimal"))]
mod realdata;
#[cfg(feature = "minimal")]
mod recorder;
#[cfg(feature = "minimal")]
mod restart;
#[cfg(feature = "minimal")]
mod scenarios;
mod setup;
mod ssz;
mod starts;
mod tidy;
#[cfg(feature = "minimal")]
mod wrong_clock;

use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs `wren`: the program at `WREN_BIN` (`scripts/test` sets it per preset), otherwise the one cargo has just built.
fn wren(arguments: &[&str], input: &[u8]) -> Output {
    let program = std::env::var("WREN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wren").into());
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let output = std::thread::scope(|scope| {
        // A program that refuses its command line never reads; that is no failure here.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().expect("the program's output can be read")
    });
    assert_ne!(
        output.status.code(),
        Some(101),
        "wren panicked: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// The program at `WREN_BIN`, otherwise the one cargo has just built.
fn program() -> String {
    std::env::var("WREN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wren").into())
}

/// What `wren` prints when all is well.
fn wren_ok(arguments: &[&str]) -> String {
    let output = wren(arguments, b"");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "wren {}: {stderr}", arguments.join(" "));
    stdout.into_owned()
}

/// What `wren` says when it stops with `code`.
fn wren_fails(code: i32, arguments: &[&str], input: &[u8]) -> String {
    let output = wren(arguments, input);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "wren {}: {stderr}",
        arguments.join(" ")
    );
    stderr
}

/// A program that a test has started. It is killed when dropped, so that a test that fails leaves nothing running.
struct Process(Child);

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended, and been waited for, is no matter.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// An empty folder for one test, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made below the target folder");
        Scratch(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("the path is UTF-8").into()
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
