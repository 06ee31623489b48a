//! The disk: room, and how fast it takes what must not be lost.

use super::{Line, bad, note, ok};
use crate::{machine, words};
use std::fs::{File, remove_file};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Less room is not enough: the database needs some to tidy up in.
const SPACE_LOW: u64 = 5_000_000_000;
/// What is written to measure: more than a disk's own memory on small machines, and seconds of a slow card.
const BYTES: usize = 16 << 20;
/// Small writes that are each synced.
const SYNCS: usize = 15;
/// Nothing is measured for longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before every signature its record is synced; as long as this, and attestations of several keys are late.
const SYNC_SLOW: Duration = Duration::from_millis(250);
/// Worth knowing: of a card, or of a disk that spins.
const SYNC_NOTE: Duration = Duration::from_millis(30);
/// Bytes a second; a day's blocks and columns and what compaction writes again need about a tenth of it.
const SPEED_LOW: u64 = 5_000_000;

/// Of a client alone: keys and record have some megabytes, and a system that writes its logs wants the rest.
const SPACE_LOW_CLIENT: u64 = 200_000_000;

/// Room for the node, or for a validator client alone.
pub(super) fn space(root: &Path, client: bool) -> Line {
    room(machine::disk(root), if client { SPACE_LOW_CLIENT } else { SPACE_LOW })
}

fn room(disk: Option<machine::Disk>, low: u64) -> Line {
    const NAME: &str = "disk space";
    match disk {
        None => note(NAME, "not known here"),
        Some(disk) if disk.free < low => bad(
            NAME,
            format!(
                "{} free: make room, or give --datadir on a larger disk",
                words::size(disk.free)
            ),
        ),
        Some(disk) => ok(
            NAME,
            format!("{} free of {}", words::size(disk.free), words::size(disk.size)),
        ),
    }
}

/// What was measured.
struct Measured {
    bytes_per_second: u64,
    /// The middle one of all small writes.
    sync: Duration,
}

pub(super) fn speed(root: &Path) -> Line {
    const NAME: &str = "disk speed";
    if !root.exists() {
        return note(NAME, format!("not measured: {} is not there yet", root.display()));
    }
    let path = root.join(format!(".wren-doctor-{}", std::process::id()));
    let measured = measure(&path);
    remove_file(&path).ok(); // it may not have been made
    match measured {
        Err(error) => bad(NAME, cannot_write(root, &error)),
        Ok(measured) => judge(&measured),
    }
}

fn cannot_write(root: &Path, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Make room, or give --datadir on a larger disk",
        io::ErrorKind::ReadOnlyFilesystem => "Mount that disk for writing, or give --datadir on another",
        _ => "It must belong to the user who runs wren",
    };
    format!("{} cannot be written: {error}. {remedy}", root.display())
}

fn judge(measured: &Measured) -> Line {
    const NAME: &str = "disk speed";
    let Measured { bytes_per_second, sync } = measured;
    let told = format!(
        "{}/s, {:.1} ms for a synced write",
        words::size(*bytes_per_second),
        sync.as_secs_f64() * 1000.0
    );
    if *sync > SYNC_SLOW || *bytes_per_second < SPEED_LOW {
        return bad(
            NAME,
            format!("{told}: too slow, attestations would be late; take an SSD, or a better one"),
        );
    }
    if *sync > SYNC_NOTE {
        return note(NAME, format!("{told}: an SSD would do it in a few milliseconds"));
    }
    ok(NAME, told)
}

fn measure(path: &Path) -> io::Result<Measured> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    let start = Instant::now();
    let chunk = vec![0xa5; 1 << 20];
    let mut written = 0;
    while written < BYTES && start.elapsed() < PATIENCE {
        file.write_all(&chunk)?;
        written += chunk.len();
    }
    file.sync_all()?;
    let micros = start.elapsed().as_micros().max(1) as u64;
    let mut syncs = Vec::new();
    let start = Instant::now();
    while syncs.is_empty() || (syncs.len() < SYNCS && start.elapsed() < PATIENCE) {
        let each = Instant::now();
        file.write_all(&chunk[..4096])?;
        file.sync_data()?;
        syncs.push(each.elapsed());
    }
    syncs.sort_unstable();
    Ok(Measured {
        bytes_per_second: (written as u64).saturating_mul(1_000_000) / micros,
        sync: syncs[syncs.len() / 2],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Mark;

    #[test]
    fn a_slow_disk_is_told() {
        let mark = |bytes_per_second, ms| {
            let sync = Duration::from_millis(ms);
            judge(&Measured { bytes_per_second, sync }).mark
        };
        assert_eq!(mark(100_000_000, 3), Mark::Ok);
        assert_eq!(mark(100_000_000, 60), Mark::Note);
        assert_eq!(mark(100_000_000, 400), Mark::Bad);
        assert_eq!(mark(1_000_000, 3), Mark::Bad);
    }

    #[test]
    fn a_full_disk_is_told() {
        let of = |free, low| {
            let size = 64_000_000_000;
            room(Some(machine::Disk { free, size }), low)
        };
        assert_eq!(of(5_000_000_000, SPACE_LOW).mark, Mark::Ok);
        let line = of(4_999_999_999, SPACE_LOW);
        assert!(line.mark == Mark::Bad && line.text.contains("make room"), "{line}");
        assert_eq!(
            of(4_999_999_999, SPACE_LOW_CLIENT).mark,
            Mark::Ok,
            "a client alone needs less"
        );
        assert_eq!(of(100_000_000, SPACE_LOW_CLIENT).mark, Mark::Bad);
        assert_eq!(room(None, SPACE_LOW).mark, Mark::Note);
        let told = |kind: io::ErrorKind| cannot_write(Path::new("data"), &kind.into());
        let full = told(io::ErrorKind::StorageFull);
        assert!(full.contains("Make room") && !full.contains("must belong"), "{full}");
        assert!(told(io::ErrorKind::ReadOnlyFilesystem).contains("Mount that disk"));
        assert!(told(io::ErrorKind::PermissionDenied).contains("must belong"));
    }

    #[test]
    fn nothing_is_left_behind() {
        let folder = std::env::temp_dir().join(format!("wren-doctor-disk-{}", std::process::id()));
        assert_eq!(speed(&folder).mark, Mark::Note, "it is not made for the measurement");
        std::fs::create_dir_all(&folder).unwrap();
        let line = speed(&folder);
        assert!(line.text.contains("ms for a synced write"), "{line}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
