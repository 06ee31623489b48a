//! The public keys of the validators, by index, in a form that needs no decompression.
//!
//! A registry of 2.2 million keys takes half a minute to decompress and 211 MB to hold. So they lie uncompressed in a
//! file, which is mapped: they cost no start-up time, and their memory is the page cache's, which the system may take
//! back. Small registries (devnets, tests) are held in memory instead. This is the one place that maps a file.
//!
//! The file is a header page and then 96 bytes a key, in the order of the registry. **A key is its own checksum:** both
//! coordinates stand there, and bytes that were damaged satisfy the equation of the curve with a probability of 2^-380.
//! Reading a key has to evaluate it anyway, so that damage anywhere is seen by whoever would use it, at no cost, and
//! nothing has to be read at start. What the equation cannot see is a good key in the wrong place; who has the state at
//! hand can compare [`PublicKey::to_compressed`] with the validator's.
//!
//! After a crash only keys appended since the last [`Pubkeys::sync`] can be damaged. The header tells how many were
//! safe, so that just those behind it are tried at the next open and the file is cut before the first bad one. That
//! number is written into two places in turn, each with a checksum, and a torn one is as good as an old one.
//!
//! Everything in the file can be computed again from a state: whatever is wrong with it, deleting it is the remedy.

mod file;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bls::PublicKey;
use file::FileStore;

/// The public keys of the validators by index. Only ever appended to.
///
/// A clone is cheap and sees the keys there were when it was made: a reader's handle beside the writer's.
#[derive(Clone, Debug)]
pub struct Pubkeys(Store);

#[derive(Clone, Debug)]
enum Store {
    Memory(Arc<Vec<PublicKey>>),
    File(FileStore),
}

impl Pubkeys {
    /// An empty registry in memory.
    pub fn in_memory() -> Self {
        Self(Store::Memory(Arc::default()))
    }

    /// Opens the file at `path` or makes it. Keys that a crash has damaged are cut off, so that [`Pubkeys::len`] may be
    /// less than what was appended: the caller appends the missing ones again.
    ///
    /// An error if the file cannot be read or written, is in use by another process, is none of these files, or has
    /// lost keys that were synced.
    pub fn open(path: &Path) -> Result<Self, PubkeysError> {
        Ok(Self(Store::File(FileStore::open(path)?)))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Store::Memory(keys) => keys.len(),
            Store::File(file) => file.len(),
        }
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of the validator with this index; an error if there is none or its bytes have been damaged.
    pub fn get(&self, index: usize) -> Result<PublicKey, PubkeysError> {
        let missing = PubkeysError::OutOfRange { index, len: self.len() };
        match &self.0 {
            Store::Memory(keys) => keys.get(index).copied().ok_or(missing),
            Store::File(file) => {
                let bytes = file.record(index).ok_or(missing)?;
                PublicKey::from_uncompressed_trusted(bytes).map_err(|_| PubkeysError::Corrupt {
                    path: file.path().to_owned(),
                    index,
                })
            }
        }
    }

    /// Appends keys. They are read at once, and are on disk after the next [`Pubkeys::sync`].
    ///
    /// An error, and nothing appended, if the file cannot grow, or if another handle of the same file has appended
    /// since this one was cloned or written.
    pub fn append(&mut self, keys: &[PublicKey]) -> Result<(), PubkeysError> {
        match &mut self.0 {
            Store::Memory(present) => {
                Arc::make_mut(present).extend_from_slice(keys);
                Ok(())
            }
            Store::File(file) => file.append(keys),
        }
    }

    /// Returns when what has been appended is on disk. Nothing to do in memory.
    pub fn sync(&mut self) -> Result<(), PubkeysError> {
        match &mut self.0 {
            Store::Memory(_) => Ok(()),
            Store::File(file) => file.sync(),
        }
    }

    /// Reads every key once; the error names the first one that is damaged. About half a second for 2.2 million keys.
    pub fn verify(&self) -> Result<(), PubkeysError> {
        (0..self.len()).try_for_each(|index| self.get(index).map(|_| ()))
    }
}

/// Why a registry cannot be opened, read or extended.
#[derive(Debug)]
pub enum PubkeysError {
    /// The file could not be opened, read, written or mapped.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the file open.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file does not begin as one of these files does.
    NotARegistry {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a program with another layout.
    Version {
        /// The file.
        path: PathBuf,
        /// The layout of the file.
        found: u32,
        /// The layout of this program.
        expected: u32,
    },
    /// The file has fewer keys than were safely on disk once.
    Shortened {
        /// The file.
        path: PathBuf,
        /// How many keys it has.
        found: usize,
        /// How many it had.
        expected: usize,
    },
    /// The bytes of a key have been damaged.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The validator's index.
        index: usize,
    },
    /// There is no such validator.
    OutOfRange {
        /// The index asked for.
        index: usize,
        /// How many keys there are.
        len: usize,
    },
    /// Another handle of the same file has appended keys.
    Stale {
        /// How many keys this handle knows.
        known: usize,
        /// How many there are in the file.
        present: usize,
    },
}

impl fmt::Display for PubkeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const REMEDY: &str = "delete the file: it is made again from the state";
        match self {
            Self::Io { path, source } => write!(f, "the file of public keys {}: {source}", path.display()),
            Self::InUse { path } => {
                write!(
                    f,
                    "the file of public keys {} is in use: stop the other process first",
                    path.display()
                )
            }
            Self::NotARegistry { path } => {
                write!(
                    f,
                    "{} is not a file of public keys: name another, or move it away",
                    path.display()
                )
            }
            Self::Version { path, found, expected } => write!(
                f,
                "the file of public keys {} has layout {found}, and this program reads {expected}: {REMEDY}",
                path.display()
            ),
            Self::Shortened { path, found, expected } => write!(
                f,
                "the file of public keys {} has {found} keys, and {expected} had been written safely (is the disk in \
                 order?): {REMEDY}",
                path.display()
            ),
            Self::Corrupt { path, index } => write!(
                f,
                "the public key of validator {index} in {} is damaged (is the disk in order?): {REMEDY}",
                path.display()
            ),
            Self::OutOfRange { index, len } => {
                write!(f, "there is no public key of validator {index}: the registry has {len}")
            }
            Self::Stale { known, present } => write!(
                f,
                "this handle knows {known} public keys, and another has appended up to {present}: append by that one"
            ),
        }
    }
}

impl std::error::Error for PubkeysError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
