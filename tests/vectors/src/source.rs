//! Where the cases come from: a folder in the official layout, or the archives of such folders.
//!
//! Archives are read as streams straight into memory, case by case: nothing is unpacked to disk, and no installed tool is
//! needed. Files that belong to no case are told as problems, so that nothing in a set goes unread.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The preset whose constants this build has.
pub const PRESET: &str = if cfg!(feature = "minimal") {
    "minimal"
} else {
    "mainnet"
};

/// The top folders of the official layout.
const PRESETS: [&str; 3] = ["general", "minimal", "mainnet"];

/// Largest file read from an archive: four times the largest that vectors have had (mainnet states of 64 MiB).
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The place of a case in the layout `<preset>/<fork>/<runner>/<handler>/<suite>/<case>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CasePath([String; 6]);

#[allow(missing_docs)] // the names are the layout's
impl CasePath {
    pub fn preset(&self) -> &str {
        &self.0[0]
    }
    pub fn fork(&self) -> &str {
        &self.0[1]
    }
    pub fn runner(&self) -> &str {
        &self.0[2]
    }
    pub fn handler(&self) -> &str {
        &self.0[3]
    }
    pub fn suite(&self) -> &str {
        &self.0[4]
    }
    pub fn case(&self) -> &str {
        &self.0[5]
    }

    /// `None` unless `path` has exactly the six parts.
    fn of_folder(path: &str) -> Option<CasePath> {
        let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        parts.try_into().ok().map(CasePath)
    }

    /// Splits `<preset>/…/<case>/<file>`; what lies deeper keeps its slashes in the name. `None` where it is too short.
    fn of_file(path: &str) -> Option<(CasePath, &str)> {
        let (end, _) = path.match_indices('/').nth(5)?;
        Some((CasePath::of_folder(&path[..end])?, &path[end + 1..]))
    }
}

impl fmt::Display for CasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// The content of one file of a case.
#[derive(Debug)]
enum Content {
    OnDisk(PathBuf),
    InMemory(Vec<u8>),
}

/// One case folder: its path and its files by name.
#[derive(Debug)]
pub struct CaseFiles {
    /// Where the case stands in the layout.
    pub path: CasePath,
    files: BTreeMap<String, Content>,
}

impl CaseFiles {
    /// The names of all files in the folder, those of folders within it with slashes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The bytes of a file; `None` if the case has none of that name.
    pub fn read(&self, name: &str) -> Option<Result<Vec<u8>, String>> {
        Some(match self.files.get(name)? {
            Content::OnDisk(path) => {
                fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
            }
            Content::InMemory(bytes) => Ok(bytes.clone()),
        })
    }
}

/// Which cases are wanted: those of this build's preset and `general` whose path holds every filter.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Each must be contained in `<preset>/<fork>/<runner>/<handler>/<suite>/<case>`.
    pub filters: Vec<String>,
}

impl Wanted {
    fn takes(&self, path: &CasePath) -> bool {
        let text = path.to_string();
        is_ours(path.preset()) && self.filters.iter().all(|filter| text.contains(filter.as_str()))
    }
}

/// What a walk saw beside the wanted cases.
#[derive(Debug, Default)]
pub struct Walk {
    /// Sentences about what should not be there; each makes the run fail.
    pub problems: Vec<String>,
    /// Cases of presets that this build does not run, by preset.
    pub other_presets: BTreeMap<String, usize>,
    /// Cases of this preset or `general` that the filters left out.
    pub left_out: usize,
}

impl Walk {
    /// Counts a case that is not wanted.
    fn pass_over(&mut self, path: &CasePath) {
        if is_ours(path.preset()) {
            self.left_out += 1;
        } else {
            *self.other_presets.entry(path.preset().to_owned()).or_default() += 1;
        }
    }

    /// Names presets that nobody knows, after the walk.
    fn name_unknown_presets(&mut self) {
        let unknown = self
            .other_presets
            .iter()
            .filter(|(name, _)| !PRESETS.contains(&name.as_str()));
        self.problems.extend(unknown.map(|(name, cases)| {
            format!(
                "unknown preset folder '{name}' with {cases} cases; known are {}",
                PRESETS.join(", ")
            )
        }));
    }
}

fn is_ours(preset: &str) -> bool {
    preset == PRESET || preset == "general"
}

/// Walks `dir`, which holds either preset folders or `*.tar.zst` archives of them, and gives every wanted case to `sink`.
///
/// An error says why the walk could not go on; smaller faults are in [`Walk::problems`].
pub fn walk(dir: &Path, wanted: &Wanted, sink: &mut dyn FnMut(CaseFiles)) -> Result<Walk, String> {
    let mut walk = Walk::default();
    let entries = sorted(dir)?;
    if PRESETS.iter().any(|preset| dir.join(preset).is_dir()) {
        for (name, path) in entries
            .iter()
            .filter(|(name, path)| path.is_dir() && !name.starts_with('.'))
        {
            walk_folder(path, name, 1, wanted, &mut walk, sink)?;
        }
    } else {
        let archives: Vec<&PathBuf> = entries
            .iter()
            .filter(|(name, _)| is_archive(name))
            .map(|(_, path)| path)
            .collect();
        if archives.is_empty() {
            return Err(nothing_in(dir));
        }
        for archive in archives {
            walk_archive(archive, wanted, &mut walk, sink)
                .map_err(|error| format!("{} cannot be read: {error}", archive.display()))?;
        }
    }
    walk.name_unknown_presets();
    Ok(walk)
}

/// Whether `dir` holds archives, so that the default set is there.
pub fn has_archives(dir: &Path) -> bool {
    sorted(dir).is_ok_and(|entries| entries.iter().any(|(name, _)| is_archive(name)))
}

fn is_archive(name: &str) -> bool {
    name.ends_with(".tar.zst")
}

fn nothing_in(dir: &Path) -> String {
    let hint = if dir.join("tests").is_dir() {
        "; give its folder 'tests' instead"
    } else {
        ""
    };
    format!(
        "{} holds neither a folder {} nor an archive *.tar.zst of them{hint}",
        dir.display(),
        PRESETS.map(|preset| format!("'{preset}'")).join(" or ")
    )
}

/// The entries of a folder by name; names that are no UTF-8 are an error.
fn sorted(dir: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let told = |error: std::io::Error| format!("folder {} cannot be read: {error}", dir.display());
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(told)? {
        let path = entry.map_err(told)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        entries.insert(
            name.ok_or_else(|| format!("the name of {} is no UTF-8", path.display()))?,
            path,
        );
    }
    Ok(entries)
}

/// `at` is the layout path of `dir`, which has `depth` parts.
fn walk_folder(
    dir: &Path,
    at: &str,
    depth: usize,
    wanted: &Wanted,
    walk: &mut Walk,
    sink: &mut dyn FnMut(CaseFiles),
) -> Result<(), String> {
    if depth == 6
        && let Some(path) = CasePath::of_folder(at)
    {
        if wanted.takes(&path) {
            let mut files = BTreeMap::new();
            list_files(dir, "", &mut files)?;
            sink(CaseFiles { path, files });
        } else {
            walk.pass_over(&path);
        }
        return Ok(());
    }
    for (name, path) in sorted(dir)? {
        let at = format!("{at}/{name}");
        if path.is_dir() {
            walk_folder(&path, &at, depth + 1, wanted, walk, sink)?;
        } else {
            walk.problems.push(stray(&at));
        }
    }
    Ok(())
}

/// Every file at and below `dir`; a case has no folders, so what lies in one will be told as unread.
fn list_files(dir: &Path, prefix: &str, files: &mut BTreeMap<String, Content>) -> Result<(), String> {
    for (name, path) in sorted(dir)? {
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            list_files(&path, &format!("{name}/"), files)?;
        } else {
            files.insert(name, Content::OnDisk(path));
        }
    }
    Ok(())
}

fn stray(path: &str) -> String {
    format!("file {path} stands outside any case folder, so no case reads it")
}

/// Streams one archive. The files of a case must stand together, as `tar` writes folders.
fn walk_archive(
    archive: &Path,
    wanted: &Wanted,
    walk: &mut Walk,
    sink: &mut dyn FnMut(CaseFiles),
) -> Result<(), String> {
    let file = BufReader::new(File::open(archive).map_err(|error| error.to_string())?);
    let stream = ruzstd::decoding::StreamingDecoder::new(file).map_err(|error| error.to_string())?;
    let mut tar = tar::Archive::new(BufReader::new(stream));
    let mut seen = BTreeSet::new();
    let mut current: Option<CaseFiles> = None;
    for entry in tar.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let full = String::from_utf8(entry.path_bytes().into_owned()).map_err(|error| error.to_string())?;
        let Some((path, name)) = CasePath::of_file(full.trim_start_matches("./")) else {
            walk.problems.push(stray(&full));
            continue;
        };
        if current.as_ref().is_none_or(|case| case.path != path) {
            if let Some(case) = current.replace(CaseFiles {
                path: path.clone(),
                files: BTreeMap::new(),
            }) {
                deliver(case, wanted, walk, sink);
            }
            if !seen.insert(path.clone()) {
                walk.problems.push(format!(
                    "the files of {path} do not stand together in {}",
                    archive.display()
                ));
            }
        }
        let Some(case) = current.as_mut() else { continue };
        let bytes = if wanted.takes(&path) {
            content(&mut entry)?
        } else {
            Vec::new()
        };
        case.files.insert(name.to_owned(), Content::InMemory(bytes));
    }
    if let Some(case) = current {
        deliver(case, wanted, walk, sink);
    }
    Ok(())
}

fn deliver(case: CaseFiles, wanted: &Wanted, walk: &mut Walk, sink: &mut dyn FnMut(CaseFiles)) {
    if wanted.takes(&case.path) {
        sink(case);
    } else {
        walk.pass_over(&case.path);
    }
}

fn content(entry: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    entry
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!(
            "a file in it is larger than the limit of {MAX_FILE_BYTES} bytes"
        ));
    }
    Ok(bytes)
}
