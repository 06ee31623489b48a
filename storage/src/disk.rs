//! How much room there is, and how much was written.

use crate::db::Storage;
use crate::error::{Error, Result};
use std::fs;
use std::io;

const GB: u64 = 1_000_000_000;

/// Below how many free bytes what is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskLimits {
    /// Columns and backfilled blocks are not written below this.
    pub shed_below: u64,
    /// The node stops cleanly below this, while there is room to do so.
    pub stop_below: u64,
}

impl Default for DiskLimits {
    /// Stopping before the last GB leaves room for write buffers, log and one compaction; the three above it are half a
    /// day of everything else.
    fn default() -> Self {
        DiskLimits {
            shed_below: 4 * GB,
            stop_below: GB,
        }
    }
}

/// What the room on the disk allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Everything.
    Enough,
    /// Everything but columns and backfilled blocks, which are refused with `DiskLow`.
    Short,
    /// A clean stop.
    Stop,
}

impl Storage {
    /// Bytes that this process may still write to the file system of the folder.
    pub fn free_bytes(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(self.dir()).map_err(|error| Error::Io {
            what: format!("asking for the free room in {}", self.dir().display()),
            source: error.into(),
        })?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// The limits that [`Storage::room`] goes by.
    pub fn disk_limits(&self) -> DiskLimits {
        self.inner.disk
    }

    /// What the room on the disk allows now; a system call, to be asked once a slot.
    pub fn room(&self) -> Result<Room> {
        let (free, limits) = (self.free_bytes()?, self.inner.disk);
        Ok(if free < limits.stop_below {
            Room::Stop
        } else if free < limits.shed_below {
            Room::Short
        } else {
            Room::Enough
        })
    }

    /// Refuses where room is short: for what can be fetched again.
    pub(crate) fn want_room(&self) -> Result<()> {
        let (free, shed_below) = (self.free_bytes()?, self.inner.disk.shed_below);
        if free < shed_below {
            return Err(Error::DiskLow { free, shed_below });
        }
        Ok(())
    }
}

/// Bytes that this process has caused to be written to disks since it started, as the kernel counts them (`write_bytes`
/// of `/proc/self/io`). What lies in memory file systems does not count. An error where the kernel does not tell.
pub fn written_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| io::Error::other("/proc/self/io has no write_bytes"))
}
