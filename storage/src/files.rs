//! Files beside the database: written whole or not at all.
//!
//! A file gets its name only after its bytes are on the disk (temporary name, sync, rename, sync of the folder), so
//! that a name always means a complete file; a checksum tells when the disk did not keep it. Larger values of the node,
//! such as the votes at a clean stop, are such files too.

use crate::db::Storage;
use crate::error::{Error, Result, damaged, io_error};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use zstd::stream::{Decoder, Encoder};

/// Fast, and close to what higher levels reach on keys and roots.
pub(crate) const ZSTD_LEVEL: i32 = 1;
/// Largest saved file: votes of 2.2M validators take 100 MB.
const MAX_SAVED: u64 = 256 * 1024 * 1024;
/// Ending of files that are not complete.
const TEMPORARY: &str = "tmp";
/// Dirty pages of a large file are written out in steps of this size.
const SYNC_EVERY: usize = 4 * 1024 * 1024;

/// Creates a folder that outlasts a power cut.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(io_error("creating", path))?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Brings the names in a folder to the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let folder = File::open(path).map_err(io_error("opening", path))?;
    folder.sync_all().map_err(io_error("syncing", path))
}

/// Removes what a crash left under a temporary name.
pub(crate) fn clear_temporary(folder: &Path) -> Result<()> {
    clear(folder, |path| {
        path.extension().is_some_and(|ending| ending == TEMPORARY)
    })
}

/// Removes all files in a folder.
pub(crate) fn clear_folder(folder: &Path) -> Result<()> {
    clear(folder, |_| true)
}

fn clear(folder: &Path, which: impl Fn(&Path) -> bool) -> Result<()> {
    for path in list(folder)?.into_iter().filter(|path| which(path)) {
        fs::remove_file(&path).map_err(io_error("removing", &path))?;
    }
    Ok(())
}

/// The files of a folder, in no order.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(io_error("listing", folder))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    paths.map_err(io_error("listing", folder))
}

/// A file that is synced every few megabytes, so that its pages do not pile up.
struct Paced {
    file: File,
    unsynced: usize,
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= SYNC_EVERY {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a compressed file with a checksum; `fill` writes its content. When this returns, the file is on disk under its
/// name; after an error nothing of it is.
pub(crate) fn write_file(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let temporary = path.with_extension(TEMPORARY);
    let result = write_temporary(&temporary, fill).and_then(|()| {
        fs::rename(&temporary, path).map_err(io_error("renaming", &temporary))?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))
    });
    if result.is_err() {
        // What matters is the first error; leftovers are cleared at the next start, too.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn write_temporary(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let failed = |source| io_error("writing", path)(source);
    let file = File::create(path).map_err(failed)?;
    let buffered = BufWriter::with_capacity(256 * 1024, Paced { file, unsynced: 0 });
    let mut encoder = Encoder::new(buffered, ZSTD_LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    fill(&mut encoder)?;
    let buffered = encoder.finish().map_err(failed)?;
    let paced = buffered.into_inner().map_err(|error| failed(error.into_error()))?;
    paced.file.sync_all().map_err(failed)
}

/// Opens a file of `write_file`; its reader fails where the checksum does. `None` if there is no such file.
pub(crate) fn read_file(path: &Path) -> Result<Option<Decoder<'static, BufReader<File>>>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("opening", path)(error)),
        Ok(file) => Decoder::new(file).map(Some).map_err(|error| bad_file(path, &error)),
    }
}

/// A file that cannot be read back.
pub(crate) fn bad_file(path: &Path, error: &dyn std::fmt::Display) -> Error {
    damaged(format!("{}: {error}", path.display()))
}

impl Storage {
    /// Saves a larger value of the node, such as the votes at a clean stop. `name` has small letters, digits and `_`.
    pub fn save_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.saved_path(name)?;
        if bytes.len() as u64 > MAX_SAVED {
            return Err(Error::Misuse(format!(
                "'{name}' has {} bytes, at most {MAX_SAVED}",
                bytes.len()
            )));
        }
        write_file(&path, |out| out.write_all(bytes).map_err(io_error("writing", &path)))
    }

    /// Reads it back; `None` if there is none. A file that is not as it was written is an error that names it: remove it,
    /// if what is in it can be had again.
    pub fn saved_file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.saved_path(name)?;
        let Some(reader) = read_file(&path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        reader
            .take(MAX_SAVED)
            .read_to_end(&mut bytes)
            .map_err(|error| bad_file(&path, &error))?;
        Ok(Some(bytes))
    }

    /// Removes it, if it is there.
    pub fn remove_saved_file(&self, name: &str) -> Result<()> {
        let path = self.saved_path(name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("removing", &path)(error)),
            _ => sync_folder(&self.dir().join("saved")),
        }
    }

    fn saved_path(&self, name: &str) -> Result<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(Error::Misuse(format!(
                "'{name}' is no name for a saved file: small letters, digits and _ only"
            )));
        }
        Ok(self.dir().join("saved").join(format!("{name}.zst")))
    }
}
