//! Files that hold secrets or that must not be half there: mode 0600, written beside their place, synced, then renamed.

use anyhow::{Context, Result, bail};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Writes a file that only its owner may read, so that after a crash it is there whole or not at all. An older file of
/// that name is replaced.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = beside(path)?;
    let written = create_private(&temporary).and_then(|mut file| {
        file.write_all(bytes).and_then(|()| file.sync_all())?;
        fs::rename(&temporary, path)
    });
    if let Err(error) = written {
        fs::remove_file(&temporary).ok(); // what is left of it is of no use
        return Err(error).with_context(|| format!("cannot write {}", path.display()));
    }
    sync_folder_of(path)
}

/// The same, but an older file of that name is an error: it may be somebody's only copy.
pub fn write_new_private(path: &Path, bytes: &[u8]) -> Result<()> {
    if path.exists() {
        bail!(
            "{} is there already; choose another name or move it away",
            path.display()
        );
    }
    write_private(path, bytes)
}

/// Creates an empty file of mode 0600 that must not be there yet.
pub(crate) fn create_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A name in the same folder for what will be renamed. One left over from a crash is removed.
pub(crate) fn beside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} is no name of a file", path.display()))?;
    let temporary = path.with_file_name(format!(".{name}.new"));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", temporary.display()))
        }
        _ => Ok(temporary),
    }
}

/// Makes the names of a folder durable: after a rename or a removal.
pub(crate) fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("cannot sync the folder {}", folder.display()))
}

/// Makes a folder, and those above it, that only its owner may enter.
pub fn create_private_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make the folder {}", path.display()))
}

/// Reads a file of at most `limit` bytes.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > limit {
        bail!(
            "{} is longer than {limit} bytes: this is not what it should be",
            path.display()
        );
    }
    Ok(bytes)
}

/// Refuses a secret that others may read.
pub(crate) fn check_private(path: &Path) -> Result<()> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!(
            "{} may be read by others (mode {mode:03o}): `chmod 600 {}`, and consider who could have read it",
            path.display(),
            path.display()
        );
    }
    Ok(())
}
