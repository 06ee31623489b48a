//! What can go wrong with a disk, sorted by what a node does about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the storage could not do what it was asked for. The text is a sentence for the operator.
#[derive(Debug)]
pub enum Error {
    /// The disk has no room left: stop cleanly. What was acknowledged is safe, and a restart after room was made needs no
    /// repair.
    DiskFull(String),
    /// Room is short, so that what can be fetched again is not written; everything else still is.
    DiskLow {
        /// Bytes left on the file system.
        free: u64,
        /// Bytes below which columns and backfilled blocks are not written.
        shed_below: u64,
    },
    /// Another process has this folder open.
    InUse(PathBuf),
    /// The database belongs to another chain, preset or version; both sides and the remedy are told.
    Mismatch(String),
    /// What is on disk is not what was written.
    Damaged(String),
    /// A call that breaks a rule told in its docstring: a bug of the caller.
    Misuse(String),
    /// The operating system refused.
    Io {
        /// What was being done, and to which file.
        what: String,
        /// Its answer.
        source: io::Error,
    },
    /// RocksDB refused for a reason that is none of the above.
    Database(String),
}

/// The end of every sentence about damage: what mends it, and what it does not touch.
const REPAIR: &str = "Repair: `wren node --resync`, beside the options that it has, drops this database and starts again \
                      from a checkpoint; keys and slashing protection lie elsewhere and stay untouched";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::DiskFull(what) => write!(
                f,
                "the disk is full: {what}; make room and start again, no repair is needed"
            ),
            Error::DiskLow { free, shed_below } => write!(
                f,
                "{} MB are free on the disk; below {} MB no columns and no old blocks are written",
                free / 1_000_000,
                shed_below / 1_000_000
            ),
            Error::InUse(dir) => write!(
                f,
                "another process uses {}; stop it, or give this one a folder of its own with --datadir",
                dir.display()
            ),
            Error::Damaged(what) => write!(f, "the database is damaged: {what}. {REPAIR}"),
            Error::Io { what, source } => write!(f, "{what}: {source}"),
            Error::Database(what) => write!(f, "RocksDB: {what}"),
            Error::Mismatch(sentence) | Error::Misuse(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<rocksdb::Error> for Error {
    /// RocksDB hands out its errors as text alone; what matters is read from it.
    fn from(error: rocksdb::Error) -> Self {
        use rocksdb::ErrorKind;
        let kind = error.kind();
        let text = error.into_string();
        if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
            Error::DiskFull(text)
        } else if kind == ErrorKind::Corruption || text.contains("No such file or directory") {
            Error::Damaged(text)
        } else {
            Error::Database(text)
        }
    }
}

/// Says what was being done to `path` when the system refused, and sorts out the full disk.
pub(crate) fn io_error(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let what = format!("{doing} {}", path.display());
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull(what),
        _ => Error::Io { what, source },
    }
}

/// Damage in a value of the database: its key and what is wrong.
pub(crate) fn damaged(what: impl fmt::Display) -> Error {
    Error::Damaged(what.to_string())
}
