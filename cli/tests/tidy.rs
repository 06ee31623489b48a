//! What people forget and a machine notices: the rules of this tree that neither compiler nor clippy checks.

use crate::root;
use std::fs;
use std::path::{Path, PathBuf};

/// A file with more lines holds two ideas.
const MAX_FILE_LINES: usize = 900;
/// A function with more lines is not read in one go.
const MAX_FUNCTION_LINES: usize = 100;

/// Unfinished or hidden work; in two parts so that this file does not find itself.
const UNFINISHED: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("#[ig", "nore"),
    concat!("allow(dead", "_code)"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];

/// Places of one machine and hosts of package registries, which no file needs to name.
const PLACES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/tmp/", "wt"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("crates", ".io"),
    concat!("py", "pi.org"),
    concat!("npm", "js."),
    concat!("deb.deb", "ian.org"),
];

/// Every file of the tree whose name ends so, without what builds leave behind.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the tree can be listed") {
            let path = entry.expect("the tree can be listed").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("")
                .to_string();
            if path.is_dir() {
                if !["target", ".git", "node_modules"].contains(&name.as_str()) && !path.is_symlink() {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn rust_files() -> Vec<PathBuf> {
    let files = files(&[".rs"]);
    assert!(files.len() > 20, "only {} Rust files were found", files.len());
    files
}

/// The folders of our crates: where a manifest names a package.
fn crates() -> Vec<PathBuf> {
    let manifests = files(&["Cargo.toml"])
        .into_iter()
        .filter(|path| read(path).contains("[package]"));
    manifests
        .map(|path| path.parent().expect("a file has a folder").to_path_buf())
        .collect()
}

/// Fails with every complaint at once.
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn unsafe_code_is_forbidden_outside_crypto() {
    let heads = crates()
        .into_iter()
        .filter(|folder| !folder.ends_with("crypto"))
        .flat_map(|folder| {
            ["src/lib.rs", "src/main.rs"]
                .map(|name| folder.join(name))
                .into_iter()
                .filter(|path| path.exists())
        });
    let missing = heads.filter(|path| !read(path).contains("#![forbid(unsafe_code)]"));
    none(
        &missing
            .map(|path| format!("{}: no #![forbid(unsafe_code)]", path.display()))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn files_and_functions_stay_short() {
    let mut complaints = Vec::new();
    for path in rust_files() {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > MAX_FILE_LINES {
            complaints.push(format!(
                "{}: {} lines, at most {MAX_FILE_LINES}",
                path.display(),
                lines.len()
            ));
        }
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
            // rustfmt puts the closing brace of a function below its first word.
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            let length = lines[index..].iter().take_while(|line| **line != end).count() + 1;
            if length > MAX_FUNCTION_LINES && !line.ends_with([';', '}']) && lines[index..].contains(&end.as_str()) {
                let complaint = format!("{length} lines, at most {MAX_FUNCTION_LINES}: {}", line.trim());
                complaints.push(format!("{}:{}: {complaint}", path.display(), index + 1));
            }
        }
    }
    none(&complaints);
}

/// Whether a line begins a function.
fn is_function(line: &str) -> bool {
    let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
    let mut words = line.split_whitespace().skip_while(|word| modifiers.contains(word));
    words.next() == Some("fn")
}

#[test]
fn nothing_is_unfinished_and_no_machine_is_named() {
    let mut complaints = Vec::new();
    let text = files(&[".rs", ".toml", ".md", ".txt", ".yaml", ".yml"]);
    let scripts = [".ci", "scripts"].into_iter().flat_map(|folder| {
        fs::read_dir(root().join(folder))
            .expect("the folder is there")
            .map(|entry| entry.expect("it can be listed").path())
    });
    for path in text.into_iter().chain(scripts).filter(|path| path.is_file()) {
        for (index, line) in read(&path).lines().enumerate() {
            for word in UNFINISHED.iter().chain(PLACES).filter(|word| line.contains(**word)) {
                complaints.push(format!(
                    "{}:{}: '{word}' in: {}",
                    path.display(),
                    index + 1,
                    line.trim()
                ));
            }
        }
    }
    none(&complaints);
}

/// Every direct dependency is told in `docs/dependencies.md`: what for, why this one, upkeep, size.
#[test]
fn every_dependency_is_documented() {
    let page = read(&root().join("docs/dependencies.md"));
    let ours: Vec<String> = crates()
        .iter()
        .map(|folder| name_of(&read(&folder.join("Cargo.toml"))))
        .collect();
    let mut complaints = Vec::new();
    for folder in crates() {
        let manifest = read(&folder.join("Cargo.toml"));
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
                continue;
            }
            let name = line.split(['=', '.', ' ']).next().unwrap_or("").trim();
            let is_entry = in_dependencies && line.contains('=') && !name.is_empty() && !line.starts_with('#');
            if is_entry && !ours.iter().any(|our| our == name) && !page.contains(&format!("| `{name}` |")) {
                complaints.push(format!(
                    "{}: `{name}` has no row in docs/dependencies.md",
                    folder.display()
                ));
            }
        }
    }
    none(&complaints);
}

/// Second TLS providers and OpenSSL; deny.toml says why.
#[test]
fn no_banned_package_is_in_the_tree() {
    let [lock, deny] = ["Cargo.lock", "deny.toml"].map(|name| read(&root().join(name)));
    let banned: Vec<&str> = deny
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split('"').next())
        .collect();
    assert!(
        banned.contains(&"openssl-sys"),
        "deny.toml no longer bans OpenSSL, or is written in another way"
    );
    let found = banned
        .iter()
        .filter(|name| lock.contains(&format!("name = \"{name}\"\n")));
    none(
        &found
            .map(|name| format!("{name} is banned in deny.toml and came in: `cargo tree -i {name}`"))
            .collect::<Vec<_>>(),
    );
}

/// The package's name in a manifest.
fn name_of(manifest: &str) -> String {
    let line = manifest.lines().find(|line| line.starts_with("name = ")).unwrap_or("");
    line.trim_start_matches("name = ").trim_matches('"').to_string()
}
