//! Where the database was last written: on which machine and in which file.
//!
//! A copy of the folder that is started beside the original knows all it signed, but not what the original signs now. The
//! copy lies on another machine or in another file, and that is how the client learns that it must listen first.

use anyhow::{Context, Result};
use crypto::hash::sha256;
use rusqlite::{Connection, Row};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A machine and a file on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// A hash of the machine's id, since systemd asks that the id itself is not passed on; empty where there is none.
    machine: Vec<u8>,
    device: u64,
    inode: u64,
}

impl Place {
    /// The place of a file on this machine.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .into_iter()
            .find_map(|file| fs::read_to_string(file).ok().filter(|id| !id.trim().is_empty()));
        let hashed = |id: String| sha256(format!("wren slashing protection {}", id.trim()).as_bytes()).to_vec();
        Ok(Place {
            machine: id.map_or_else(Vec::new, hashed),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// Whether the two are the same beyond doubt: a machine without an id is no proof.
    pub(super) fn is_certainly(&self, other: &Place) -> bool {
        self == other && !self.machine.is_empty()
    }

    /// The place in a row of columns `…, machine, device, inode`; none where nothing was written yet.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let machine: Option<Vec<u8>> = row.get(1)?;
        let (device, inode): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
        Ok(machine.zip(device).zip(inode).map(|((machine, device), inode)| Place {
            machine,
            device: device.cast_unsigned(),
            inode: inode.cast_unsigned(),
        }))
    }
}

/// Notes with a record where it is written. Writes nothing where that is known.
pub(super) fn write(connection: &Connection, place: &Place) -> rusqlite::Result<()> {
    let (device, inode) = (place.device.cast_signed(), place.inode.cast_signed());
    connection.execute(
        "UPDATE meta SET machine = ?1, device = ?2, inode = ?3
         WHERE machine IS NOT ?1 OR device IS NOT ?2 OR inode IS NOT ?3",
        (&place.machine, device, inode),
    )?;
    Ok(())
}
