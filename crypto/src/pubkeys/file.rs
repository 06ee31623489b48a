//! The mapped file behind a registry; its layout and why it is so are told in the module above.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::Mmap;

use super::PubkeysError;
use crate::bls::PublicKey;
use crate::hash::sha256;

const MAGIC: [u8; 8] = *b"wrenkeys";
const VERSION: u32 = 1;
/// The header has a page of its own, so that keys are never in a sector that is written twice.
const HEADER_LEN: u64 = 4096;
/// Where the count of synced keys stands, twice: in different sectors (of 512 bytes), so that one write tears one only.
const SLOTS: [u64; 2] = [512, 1024];
const SLOT_LEN: usize = 16;
const RECORD_LEN: usize = 96;
/// How many keys are serialised before they are written: a buffer of 96 kB, also for a registry of millions.
const WRITE_AT_ONCE: usize = 1024;

/// A handle of the file, which sees `len` keys.
#[derive(Clone)]
pub(super) struct FileStore {
    shared: Arc<Shared>,
    map: Arc<Mmap>,
    len: usize,
}

/// What the handles of one file have in common.
struct Shared {
    file: File,
    path: PathBuf,
    progress: Mutex<Progress>,
}

/// How far the file has been written.
struct Progress {
    /// Keys in the file.
    appended: usize,
    /// The slot that is written next: never the one with the newest count.
    next_slot: usize,
}

impl Shared {
    fn io<T>(&self, result: io::Result<T>) -> Result<T, PubkeysError> {
        result.map_err(|source| PubkeysError::Io {
            path: self.path.clone(),
            source,
        })
    }

    /// The progress changes in one assignment after all that can fail, so that a panic cannot leave it half done.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn map(&self) -> Result<Arc<Mmap>, PubkeysError> {
        // SAFETY: the file is locked against other processes of this program, and this one only writes behind the keys
        // that a handle of the map looks at. It is never shortened after it has been mapped.
        self.io(unsafe { Mmap::map(&self.file) }).map(Arc::new)
    }
}

impl FileStore {
    pub(super) fn open(path: &Path) -> Result<Self, PubkeysError> {
        let io = |source| PubkeysError::Io {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PubkeysError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let mut header = vec![0; HEADER_LEN as usize];
        let present = file.metadata().map_err(io)?.len();
        file.read_exact_at(&mut header[..present.min(HEADER_LEN) as usize], 0)
            .map_err(io)?;
        if present < HEADER_LEN {
            create_header(&file, path, &header)?;
        } else {
            check_header(path, &header)?;
        }
        let (synced, newest_slot) = newest_count(&header);
        let progress = Mutex::new(Progress {
            appended: 0,
            next_slot: 1 - newest_slot,
        });
        let shared = Arc::new(Shared {
            file,
            path: path.to_owned(),
            progress,
        });
        Self::recover(shared, synced)
    }

    /// Finds out how many keys are good, and cuts off the rest.
    fn recover(shared: Arc<Shared>, synced: usize) -> Result<Self, PubkeysError> {
        let end = shared.io(shared.file.metadata())?.len();
        let whole = ((end - HEADER_LEN) / RECORD_LEN as u64) as usize;
        if whole < synced {
            return Err(PubkeysError::Shortened {
                path: shared.path.clone(),
                found: whole,
                expected: synced,
            });
        }
        let store = Self {
            map: shared.map()?,
            shared: Arc::clone(&shared),
            len: whole,
        };
        let good = |index: &usize| {
            store
                .record(*index)
                .is_some_and(|bytes| PublicKey::from_uncompressed_trusted(bytes).is_ok())
        };
        let len = (synced..whole).find(|index| !good(index)).unwrap_or(whole);
        drop(store); // before the file gets shorter than the map
        if end != offset(len) {
            shared.io(shared.file.set_len(offset(len)))?;
        }
        shared.progress().appended = len;
        Ok(Self {
            map: shared.map()?,
            shared,
            len,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn path(&self) -> &Path {
        &self.shared.path
    }

    /// The bytes of a key, if this handle sees so many.
    pub(super) fn record(&self, index: usize) -> Option<&[u8; RECORD_LEN]> {
        if index >= self.len {
            return None;
        }
        self.map.get(offset(index) as usize..)?.first_chunk()
    }

    pub(super) fn append(&mut self, keys: &[PublicKey]) -> Result<(), PubkeysError> {
        let shared = Arc::clone(&self.shared);
        let mut progress = shared.progress();
        if progress.appended != self.len {
            return Err(PubkeysError::Stale {
                known: self.len,
                present: progress.appended,
            });
        }
        // What an attempt that failed has left behind the keys is overwritten by the next one or cut off at the next open.
        let mut at = offset(self.len);
        for part in keys.chunks(WRITE_AT_ONCE) {
            let bytes: Vec<u8> = part.iter().flat_map(PublicKey::to_uncompressed).collect();
            shared.io(shared.file.write_all_at(&bytes, at))?;
            at += bytes.len() as u64;
        }
        self.map = shared.map()?;
        self.len += keys.len();
        progress.appended = self.len;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<(), PubkeysError> {
        let mut progress = self.shared.progress();
        // Its length is as much a part of what has to be on disk as its bytes.
        self.shared.io(self.shared.file.sync_all())?;
        // The count may reach the disk whenever it likes: until then the next open only tries more keys.
        let slot = slot_bytes(progress.appended as u64);
        self.shared
            .io(self.shared.file.write_all_at(&slot, SLOTS[progress.next_slot]))?;
        progress.next_slot = 1 - progress.next_slot;
        Ok(())
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys in {}", self.len, self.shared.path.display())
    }
}

/// Where a key begins.
fn offset(index: usize) -> u64 {
    HEADER_LEN + index as u64 * RECORD_LEN as u64
}

/// A count with its checksum.
fn slot_bytes(count: u64) -> [u8; SLOT_LEN] {
    let mut bytes = [0; SLOT_LEN];
    bytes[..8].copy_from_slice(&count.to_le_bytes());
    let digest = sha256(&bytes[..8]);
    bytes[8..].copy_from_slice(&digest[..8]);
    bytes
}

/// The greater of the counts whose checksum is right, and its slot. None is right in a file that was never synced, or
/// whose header was damaged: then every key is tried.
fn newest_count(header: &[u8]) -> (usize, usize) {
    let valid = |slot: usize| {
        let (count, _) = header.get(SLOTS[slot] as usize..)?.split_first_chunk::<8>()?;
        let count = u64::from_le_bytes(*count);
        (header[SLOTS[slot] as usize..][..SLOT_LEN] == slot_bytes(count)).then_some((count as usize, slot))
    };
    [0, 1].into_iter().filter_map(valid).max().unwrap_or((0, 1))
}

/// Writes the header of a new file. One whose making was interrupted is new too, if nothing else stands there.
fn create_header(file: &File, path: &Path, present: &[u8]) -> Result<(), PubkeysError> {
    let mut header = vec![0; HEADER_LEN as usize];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    if present
        .iter()
        .zip(&header)
        .any(|(found, ours)| *found != 0 && found != ours)
    {
        return Err(PubkeysError::NotARegistry { path: path.to_owned() });
    }
    let written = file
        .write_all_at(&header, 0)
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_folder(path));
    written.map_err(|source| PubkeysError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Makes the name of a new file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn check_header(path: &Path, header: &[u8]) -> Result<(), PubkeysError> {
    let version = match header.split_first_chunk::<8>() {
        Some((magic, rest)) if *magic == MAGIC => rest.first_chunk::<4>().copied().map(u32::from_le_bytes),
        _ => None,
    };
    match version {
        Some(VERSION) => Ok(()),
        Some(found) => Err(PubkeysError::Version {
            path: path.to_owned(),
            found,
            expected: VERSION,
        }),
        None => Err(PubkeysError::NotARegistry { path: path.to_owned() }),
    }
}
