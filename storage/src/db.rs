//! The database: how it is opened, read and written.
//!
//! Memory is bounded by numbers here: write buffers, block cache, open files, log. What RocksDB writes in the background is
//! spread out (`bytes_per_sync`, the rate limiter), because a burst of dirty pages on an SD card delays everything that
//! must be synced meanwhile.

use crate::disk::DiskLimits;
use crate::error::{Error, Result, damaged, io_error};
use crate::files;
use crate::schema::{self, Family, Name};
use consensus::preset::PRESET_NAME;
use consensus::types::{Root, Slot};
use rocksdb::{BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode};
use rocksdb::{ErrorKind, IteratorMode, LogLevel, ReadOptions, WriteBatch, WriteOptions};
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const MB: usize = 1024 * 1024;
/// Write buffers of all families together (docs/architecture.md §5).
const WRITE_BUFFERS: usize = 32 * MB;
/// The log never grows much beyond what the write buffers hold: replaying it is part of every start after a crash.
const MAX_LOG: u64 = 32 * MB as u64;
/// A system gives a process 1,024 descriptors if nobody asks for more, and connections want most of them.
const MAX_OPEN_FILES: i32 = 256;
/// Background writes per second: above what the chain needs even while syncing, below what an SD card takes.
const MAX_BACKGROUND_RATE: i64 = 32 * 1024 * 1024;
/// How long a writer that was refused waits before it asks again, and how often it does: five minutes in all, in which the
/// slowest card has taken in a full write buffer.
const STALL: Duration = Duration::from_millis(10);
const STALLS_MAX: u32 = 30_000;
/// Room without which a full write buffer cannot become a table.
const FLUSH_ROOM: u64 = 32 * MB as u64;
/// Largest batch: one block with all that belongs to it, or one step of backfill, is far smaller.
const MAX_BATCH: usize = 256 * MB;

/// What lies in the folder, beside `lock`.
const FOLDERS: [&str; 4] = ["db", "anchors", "saved", "ingest"];

/// A key and its value.
pub(crate) type KeyValue = (Box<[u8]>, Box<[u8]>);

/// Whose database it is. Written once, checked at every open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `genesis_validators_root` of the chain.
    pub genesis_validators_root: Root,
    /// The preset of the program.
    pub preset: String,
    /// The version of `schema`.
    pub schema: u32,
}

impl Identity {
    /// This program's identity on the chain with this `genesis_validators_root`.
    pub fn of(genesis_validators_root: Root) -> Self {
        Identity {
            genesis_validators_root,
            preset: PRESET_NAME.to_string(),
            schema: schema::VERSION,
        }
    }

    /// Version, length of the preset's name, the name, the root.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.schema.to_le_bytes().to_vec();
        bytes.push(self.preset.len() as u8);
        bytes.extend_from_slice(self.preset.as_bytes());
        bytes.extend_from_slice(&self.genesis_validators_root.0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first()?;
        let (preset, root) = rest.split_at_checked(*len as usize)?;
        Some(Identity {
            genesis_validators_root: schema::read_root(root).ok()?,
            preset: String::from_utf8(preset.to_vec()).ok()?,
            schema: u32::from_le_bytes(*version),
        })
    }

    /// Refuses a database of another identity than this one, with both sides and what to do.
    fn check(&self, found: &Identity, dir: &Path) -> Result<()> {
        let (what, there, here) = if found.schema != self.schema {
            ("version", found.schema.to_string(), self.schema.to_string())
        } else if found.preset != self.preset {
            ("preset", found.preset.clone(), self.preset.clone())
        } else if found.genesis_validators_root != self.genesis_validators_root {
            let roots = (found.genesis_validators_root, self.genesis_validators_root);
            ("genesis validators root", roots.0.to_string(), roots.1.to_string())
        } else {
            return Ok(());
        };
        Err(Error::Mismatch(format!(
            "the database in {} has {what} {there}, this program wants {here}: start the program that made it, name \
             another --datadir, or drop this database with `wren node --resync`, beside the options that it has",
            dir.display()
        )))
    }
}

/// What an operator or a test may choose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of the block cache, index and filter blocks included: 32 to 64 MB.
    pub block_cache: usize,
    /// When to shed and when to stop.
    pub disk: DiskLimits,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            block_cache: 32 * MB,
            disk: DiskLimits::default(),
        }
    }
}

/// An open database and its anchors. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Storage {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: DB,
    pub(crate) dir: PathBuf,
    pub(crate) disk: DiskLimits,
    /// Blocks and sidecars below these slots count as gone; the same as in the database.
    pub(crate) pruned_blocks: AtomicU64,
    pub(crate) pruned_columns: AtomicU64,
    /// Locked as long as the database is open. Closed after it, for fields drop in order.
    _lock: File,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({})", self.inner.dir.display())
    }
}

/// The right to the folder of a database that is not open: another process is refused it meanwhile.
#[derive(Debug)]
pub struct Claim {
    dir: PathBuf,
    lock: File,
}

impl Claim {
    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens the database, or creates one for `identity`.
    ///
    /// Refused: a database of another chain, preset or schema (`Mismatch`), one that is not as it was written
    /// (`Damaged`). What a crash left half done is cleared away.
    pub fn open(self, identity: &Identity, options: &Options) -> Result<Storage> {
        // RocksDB would make its own folder, but not bring that name to the disk.
        for folder in FOLDERS {
            files::create_folder(&self.dir.join(folder))?;
        }
        let path = self.dir.join("db");
        let is_new = is_new(&path)?;
        if !is_new {
            check_families(&path)?;
        }
        let db = open_database(&path, options, is_new)?;
        let storage = Storage {
            inner: Arc::new(Inner {
                db,
                dir: self.dir,
                disk: options.disk,
                pruned_blocks: AtomicU64::new(0),
                pruned_columns: AtomicU64::new(0),
                _lock: self.lock,
            }),
        };
        storage.check_identity(identity)?;
        storage.load_pruned()?;
        storage.clear_leftovers()?;
        Ok(storage)
    }

    /// Removes the database with everything in it, and nothing else.
    pub fn remove(&self) -> Result<()> {
        for folder in FOLDERS {
            let path = self.dir.join(folder);
            if path.exists() {
                fs::remove_dir_all(&path).map_err(io_error("removing", &path))?;
            }
        }
        files::sync_folder(&self.dir)
    }
}

impl Storage {
    /// Opens the database in `dir`, or creates one for `identity`: `claim` and `Claim::open` in one.
    pub fn open(dir: &Path, identity: &Identity, options: &Options) -> Result<Storage> {
        Storage::claim(dir)?.open(identity, options)
    }

    /// Takes the folder `dir`, which is made if it is not there, without looking at the database in it. Refused while a
    /// process has it (`InUse`).
    pub fn claim(dir: &Path) -> Result<Claim> {
        files::create_folder(dir)?;
        Ok(Claim {
            lock: lock(dir)?,
            dir: dir.to_path_buf(),
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Batch {
            storage: self.clone(),
            writes: WriteBatch::default(),
            old_blocks: Vec::new(),
        }
    }

    /// Brings everything in memory to disk, what is written past the log included: for a clean stop.
    pub fn flush(&self) -> Result<()> {
        for family in Family::ALL {
            self.inner.db.flush_cf(self.family(family))?;
        }
        Ok(())
    }

    fn check_identity(&self, identity: &Identity) -> Result<()> {
        if let Some(found) = self.fact(Name::Identity, Identity::decode)? {
            return identity.check(&found, self.dir());
        }
        if self.range(Family::Default, &[], &[0xff]).next().is_some() {
            return Err(damaged(
                "it does not say which chain it is for, though there is data in it",
            ));
        }
        let mut batch = self.batch();
        batch.put(Family::Default, Name::Identity.key(), &identity.encode());
        batch.commit()?;
        // Not in the log alone: a log that is damaged from its start on must not make the database look new.
        Ok(self.inner.db.flush_cf(self.family(Family::Default))?)
    }

    fn load_pruned(&self) -> Result<()> {
        let read = |name| Ok::<Slot, Error>(self.fact(name, crate::meta::read_u64)?.unwrap_or(0));
        let blocks = read(Name::PrunedBlocks)?;
        let columns = read(Name::PrunedColumns)?;
        self.inner.pruned_blocks.store(blocks, Ordering::Relaxed);
        self.inner.pruned_columns.store(columns, Ordering::Relaxed);
        Ok(())
    }

    fn clear_leftovers(&self) -> Result<()> {
        files::clear_temporary(&self.dir().join("anchors"))?;
        files::clear_temporary(&self.dir().join("saved"))?;
        files::clear_folder(&self.dir().join("ingest"))
    }

    pub(crate) fn family(&self, family: Family) -> &ColumnFamily {
        let handle = self.inner.db.cf_handle(family.name());
        handle.expect("every family is opened with the database")
    }

    pub(crate) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.inner.db.get_cf(self.family(family), key)?)
    }

    /// Keys from `from` to before `to` with their values, in order, as they are at this moment. Does not fill the cache:
    /// ranges are read once.
    pub(crate) fn range(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = Result<KeyValue>> + use<'_> {
        let mut read = ReadOptions::default();
        read.set_iterate_lower_bound(from);
        read.set_iterate_upper_bound(to);
        read.fill_cache(false);
        let items = self
            .inner
            .db
            .iterator_cf_opt(self.family(family), read, IteratorMode::Start);
        items.map(|item| item.map_err(Error::from))
    }

    /// Writes past the log: what a crash loses of it can be had again.
    pub(crate) fn write_unlogged(&self, writes: WriteBatch) -> Result<()> {
        Ok(self.inner.db.write_without_wal(writes)?)
    }
}

/// Writes that are on disk together once `commit` has returned, or not at all.
pub struct Batch {
    pub(crate) storage: Storage,
    pub(crate) writes: WriteBatch,
    /// Backfilled blocks, which go into a file of their own; see `blocks`.
    pub(crate) old_blocks: Vec<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Batch({} writes, {} old blocks)",
            self.writes.len(),
            self.old_blocks.len()
        )
    }
}

impl Batch {
    pub(crate) fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.writes.put_cf(self.storage.family(family), key, value);
    }

    pub(crate) fn delete(&mut self, family: Family, key: &[u8]) {
        self.writes.delete_cf(self.storage.family(family), key);
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.old_blocks.is_empty()
    }

    /// Writes everything and waits until it is on the disk itself. After an error nothing of it counts as written.
    pub fn commit(self) -> Result<()> {
        if self.writes.size_in_bytes() > MAX_BATCH {
            let sentence = format!("a batch of {} bytes; at most {MAX_BATCH}", self.writes.size_in_bytes());
            return Err(Error::Misuse(sentence));
        }
        if !self.old_blocks.is_empty() {
            self.storage.ingest(Family::Blocks, self.old_blocks)?;
        }
        self.storage.write(self.writes)
    }
}

impl Storage {
    /// Writes a batch through the log, synced. RocksDB holds a writer up while its tables are behind, and for ever where
    /// they cannot be written for want of room: so it is told to refuse instead, and is asked again while there is room.
    fn write(&self, writes: WriteBatch) -> Result<()> {
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        durable.set_no_slowdown(true);
        let bytes = writes.data().to_vec();
        let mut result = self.inner.db.write_opt(writes, &durable);
        for _ in 0..STALLS_MAX {
            match result {
                Err(error) if error.kind() == ErrorKind::Incomplete => {}
                other => return Ok(other?),
            }
            let free = self.free_bytes()?;
            if free < FLUSH_ROOM {
                let sentence = format!("{free} bytes are free, too few to take what waits into tables");
                return Err(Error::DiskFull(sentence));
            }
            thread::sleep(STALL);
            result = self.inner.db.write_opt(WriteBatch::from_data(&bytes), &durable);
        }
        Ok(result?)
    }
}

/// Takes the folder for this process.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.map_err(io_error("opening", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(dir.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(io_error("locking", &path)(source)),
    }
}

/// Whether there is no database yet. One that lost the file naming its parts is not new but damaged.
fn is_new(path: &Path) -> Result<bool> {
    if path.join("CURRENT").exists() {
        return Ok(false);
    }
    let Ok(entries) = fs::read_dir(path) else {
        return Ok(true);
    };
    for entry in entries {
        let name = entry.map_err(io_error("listing", path))?.file_name();
        let ending = Path::new(&name).extension().and_then(|ending| ending.to_str());
        if ending == Some("sst") {
            return Err(damaged(format!("{} is gone", path.join("CURRENT").display())));
        }
    }
    Ok(true)
}

/// A family that this version does not know was made by a newer one, or for another purpose.
fn check_families(path: &Path) -> Result<()> {
    let found = DB::list_cf(&rocksdb::Options::default(), path)?;
    match found
        .iter()
        .find(|name| Family::ALL.iter().all(|family| family.name() != name.as_str()))
    {
        None => Ok(()),
        Some(unknown) => Err(Error::Mismatch(format!(
            "the database in {} has a family '{unknown}', which version {} of the schema does not: it was made by a \
             newer program; start that one, or drop this database with `wren node --resync`, beside the options that it \
             has",
            path.display(),
            schema::VERSION
        ))),
    }
}

fn open_database(path: &Path, options: &Options, create: bool) -> Result<DB> {
    let cache = Cache::new_lru_cache(options.block_cache);
    let families = Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(family, &cache)));
    DB::open_cf_descriptors(&database_options(create), path, families).map_err(Error::from)
}

fn database_options(create: bool) -> rocksdb::Options {
    let mut options = rocksdb::Options::default();
    options.create_if_missing(create);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_db_write_buffer_size(WRITE_BUFFERS);
    options.set_max_open_files(MAX_OPEN_FILES);
    options.set_max_file_opening_threads(1);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(MB as u64);
    options.set_ratelimiter(MAX_BACKGROUND_RATE, 100_000, 10);
    // The log: bounded, compressed, and read after a crash up to its first torn record. Batches are whole or absent, so
    // that every such point is a consistent chain.
    options.set_max_total_wal_size(MAX_LOG);
    options.set_wal_bytes_per_sync(MB as u64 / 2);
    options.set_wal_compression_type(DBCompressionType::Zstd);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    // Opening reads no more than it must, and keeps few small files about itself.
    options.set_skip_stats_update_on_db_open(true);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(MB);
    options
}

/// What files of a family have in common, whoever writes them.
pub(crate) fn file_options(family: Family) -> rocksdb::Options {
    let mut options = rocksdb::Options::default();
    options.set_compression_type(match family {
        // Differences of states are compressed already.
        Family::States => DBCompressionType::None,
        _ => DBCompressionType::Zstd,
    });
    options
}

fn family_options(family: Family, cache: &Cache) -> rocksdb::Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if family == Family::Default {
        // Roots are asked for that nobody has: peers' and gossip's unknown parents.
        table.set_bloom_filter(10.0, false);
    }
    let mut options = file_options(family);
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(match family {
        Family::Default | Family::States => 4 * MB,
        Family::Blocks | Family::Envelopes => 8 * MB,
        Family::Columns => 16 * MB,
    });
    options.set_target_file_size_base(64 * MB as u64);
    // Neither rewrites files because they are old: they are dropped when their slots have passed.
    options.set_ttl(0);
    options.set_periodic_compaction_seconds(0);
    options
}
