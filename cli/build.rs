//! Tells the program which commit it was built from.
//!
//! Taken from `WREN_COMMIT` where that is set (a build without the repository's history), otherwise from git, otherwise
//! "unknown": a missing git never fails a build.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_string())
}

fn main() {
    println!("cargo::rerun-if-env-changed=WREN_COMMIT");
    // The log of HEAD grows with every commit and checkout; HEAD itself covers a repository that keeps no log.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| std::path::Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = std::env::var("WREN_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = commit
        .or_else(|| git(&["rev-parse", "--short=10", "HEAD"]))
        .unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=WREN_COMMIT={commit}");
}
