//! The tables, and how the database is created and opened.
//!
//! WAL with `synchronous=FULL`: a commit returns when the log is synced. `locking_mode=EXCLUSIVE`: a second process that
//! would sign with the same keys is kept out by the first lock. Opening checkpoints the log, because what a killed
//! process had written there may be read back without having been synced: a repeated request would be found on record
//! and signed, and a power cut could then take the record away.

use crate::files;
use anyhow::{Context, Result, anyhow, bail};
use consensus::ssz::{Bytes, Root};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::place::Place;

/// "Wren": tells our database from others of SQLite.
const APPLICATION_ID: i64 = 0x5772_656e;
/// The version of these tables.
const SCHEMA_VERSION: i64 = 1;
/// How every SQLite database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Roots are empty where nobody knows them. Columns `slot`, `source` and `target` of `validators` are the marks; they are
/// null before a key's first record. `state` is a `KeyState`.
const TABLES: &str = "
    CREATE TABLE meta (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 0),
        genesis_validators_root BLOB NOT NULL,
        machine BLOB,
        device INTEGER,
        inode INTEGER
    ) STRICT;
    CREATE TABLE validators (
        id INTEGER PRIMARY KEY,
        pubkey BLOB NOT NULL UNIQUE,
        state INTEGER NOT NULL,
        why TEXT NOT NULL,
        slot INTEGER,
        source INTEGER,
        target INTEGER
    ) STRICT;
    CREATE TABLE blocks (
        validator INTEGER NOT NULL REFERENCES validators (id),
        slot INTEGER NOT NULL,
        signing_root BLOB NOT NULL,
        PRIMARY KEY (validator, slot, signing_root)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE attestations (
        validator INTEGER NOT NULL REFERENCES validators (id),
        target INTEGER NOT NULL,
        source INTEGER NOT NULL,
        signing_root BLOB NOT NULL,
        PRIMARY KEY (validator, target, source, signing_root)
    ) STRICT, WITHOUT ROWID;
";

/// Makes an empty database beside its place and renames it, so that none is ever half made.
pub(super) fn create(path: &Path, genesis_validators_root: Root) -> Result<()> {
    if path.exists() {
        bail!("{} is there already; it is never replaced", path.display());
    }
    let temporary = files::beside(path)?;
    files::create_private(&temporary).with_context(|| format!("cannot create {}", temporary.display()))?;
    fill(&temporary, genesis_validators_root).map_err(|error| {
        std::fs::remove_file(&temporary).ok(); // what is left of it is of no use
        explain(error, path)
    })?;
    std::fs::rename(&temporary, path).with_context(|| format!("cannot create {}", path.display()))?;
    files::sync_folder_of(path)
}

fn fill(path: &Path, genesis_validators_root: Root) -> Result<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch("PRAGMA synchronous = EXTRA; BEGIN EXCLUSIVE;")?;
    connection.execute_batch(TABLES)?;
    connection.execute(
        "INSERT INTO meta (only_row, genesis_validators_root) VALUES (0, ?1)",
        [genesis_validators_root.0],
    )?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    connection.execute_batch("COMMIT")?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(path)?.sync_all()?;
    Ok(())
}

/// Opens the database at `path` for this process alone.
pub(super) fn open(path: &Path) -> Result<Connection> {
    check_file(path)?;
    connect(path).map_err(|error| explain(error, path))
}

/// An empty or foreign file is refused before SQLite touches it: it would take an empty one for a new database and
/// delete the log beside it.
fn check_file(path: &Path) -> Result<()> {
    let file = File::open(path);
    if file
        .as_ref()
        .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    {
        bail!(
            "there is no slashing protection database at {}: nothing is signed without it. If this is a new machine, \
             `wren keys import` makes it; if it was lost, restore the newest copy, or stop every other client that has \
             these keys and read `wren slashing init --help`",
            path.display()
        );
    }
    let mut head = [0; 16];
    let read = file.and_then(|mut file| file.read_exact(&mut head));
    match read {
        Ok(()) if &head == MAGIC => Ok(()),
        Ok(()) => Err(not_ours(path)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(not_ours(path)),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn not_ours(path: &Path) -> anyhow::Error {
    anyhow!(
        "{} is no slashing protection database of Wren, or it was emptied or damaged: nothing is signed. Keep the file, \
         restore the newest copy in its place, and read `wren slashing init --help` if there is none",
        path.display()
    )
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON;")?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if number("application_id")? != APPLICATION_ID {
        return Err(not_ours(path));
    }
    let version = number("user_version")?;
    if version != SCHEMA_VERSION {
        bail!(
            "{} has the tables of version {version}, this program knows version {SCHEMA_VERSION}: use the version of \
             Wren that wrote it, or a newer one",
            path.display()
        );
    }
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        bail!(
            "{}: SQLite uses the journal mode {mode} in place of wal",
            path.display()
        );
    }
    connection.execute_batch("PRAGMA synchronous = FULL; BEGIN EXCLUSIVE; COMMIT;")?;
    let whole: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if whole != "ok" {
        bail!("{}; SQLite says: {}", not_ours(path), whole.escape_debug());
    }
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        bail!("{} could not be made durable: another process uses it", path.display());
    }
    Ok(connection)
}

/// Another process has the database open.
#[derive(Debug)]
pub struct InUse(PathBuf);

impl std::fmt::Display for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.0.display();
        write!(
            f,
            "{path} is in use by another process, such as a running `wren validator`: stop that first"
        )
    }
}

impl std::error::Error for InUse {}

/// What an error of the system at a read or write most likely means.
pub(super) const FULL_OR_FAILING: &str = "so the disk is full or failing: free some space there, and if there is some, look \
                                          for its errors in the system's log";

/// SQLite's errors at making and opening it in words.
fn explain(error: anyhow::Error, path: &Path) -> anyhow::Error {
    let code = error
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error_code);
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => anyhow::Error::new(InUse(path.into())),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => anyhow!(
            "{} cannot be written: {error}. It and its folder must belong to the user who runs the client, on a disk that \
             is mounted for writing",
            path.display()
        ),
        Some(ErrorCode::DiskFull) => {
            let full = std::io::Error::new(std::io::ErrorKind::StorageFull, format!("{error:#}"));
            anyhow::Error::new(full).context(format!("cannot write {}", path.display()))
        }
        Some(ErrorCode::SystemIoFailure) => {
            let failed = std::io::Error::other(format!("{error:#}, {FULL_OR_FAILING}"));
            anyhow::Error::new(failed).context(format!("cannot read or write {}", path.display()))
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            anyhow!("{}; SQLite says: {error}", not_ours(path))
        }
        _ => error.context(format!("cannot open {}", path.display())),
    }
}

/// The network that the database belongs to, and where it was last written.
pub(super) fn read_meta(connection: &Connection, path: &Path) -> Result<(Root, Option<Place>)> {
    let row = connection.query_row(
        "SELECT genesis_validators_root, machine, device, inode FROM meta",
        [],
        |row| Ok((row.get::<_, [u8; 32]>(0)?, Place::read(row)?)),
    );
    let (root, place) = row.map_err(|error| anyhow!("{}; SQLite says: {error}", not_ours(path)))?;
    Ok((Bytes(root), place))
}

/// Refuses to use the records of one network on another.
pub(super) fn check_network(path: &Path, found: Root, expected: Root) -> Result<()> {
    if found != expected {
        bail!(
            "{} belongs to the network with genesis validators root {found}, this is the one with {expected}: use another \
             --datadir or --network",
            path.display()
        );
    }
    Ok(())
}
