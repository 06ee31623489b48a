//! What the machine says of itself: disk, memory, processor, processes. Linux; elsewhere most of it is not known.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// A disk, as a folder on it sees it. In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) free: u64,
    pub(crate) size: u64,
}

/// The disk that a folder is on, or that it would be made on.
pub(crate) fn disk(folder: &Path) -> Option<Disk> {
    let there = std::path::absolute(folder).ok()?;
    let there = there.ancestors().find(|path| path.exists())?;
    let figures = rustix::fs::statvfs(there).ok()?;
    Some(Disk {
        free: figures.f_bavail.checked_mul(figures.f_frsize)?,
        size: figures.f_blocks.checked_mul(figures.f_frsize)?,
    })
}

/// Files below a folder that are counted, at most: a node has hundreds, not more.
const FILES_MAX: usize = 20_000;

/// Bytes on disk below a folder.
pub(crate) fn used(folder: &Path) -> u64 {
    let (mut bytes, mut files, mut folders) = (0, 0, vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            files += 1;
            if files > FILES_MAX {
                return bytes;
            }
            // Of the entry itself: a link leads elsewhere.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += metadata.blocks() * 512;
            }
        }
    }
    bytes
}

/// How many days the free space lasts if the folder grows as it has since it was made; `None` in its first hour, or where
/// nobody knows when that was.
pub(crate) fn days_left(folder: &Path, free: u64, now: SystemTime) -> Option<u64> {
    const HOUR: u64 = 3600;
    let made = fs::metadata(folder).ok()?.created().ok()?;
    let age = now.duration_since(made).ok()?.as_secs();
    let used = used(folder);
    (age >= HOUR && used > 0).then(|| (u128::from(free) * u128::from(age) / u128::from(used) / 86_400) as u64)
}

/// Memory of the machine in bytes: all of it, and what programs may still take.
pub(crate) fn memory() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let figure = |name: &str| -> Option<u64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kilobytes * 1024)
    };
    Some((figure("MemTotal")?, figure("MemAvailable")?))
}

/// Processes that are looked at, at most: a machine with more is no small one.
const PROCESSES_MAX: usize = 20_000;

/// The processes of this program that run a command such as `node`, with their memory in bytes.
pub(crate) fn processes(command: &str) -> Vec<(u32, Option<u64>)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries
        .flatten()
        .take(PROCESSES_MAX)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = numbers.filter(|process| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        runs(&line, command)
    });
    ours.map(|process| (process, crate::devnet::look::memory(process)))
        .collect()
}

/// The sockets of this machine that are bound to a port, as the system numbers them.
fn sockets(port: u16, udp: bool) -> Vec<u64> {
    let names = if udp { ["udp", "udp6"] } else { ["tcp", "tcp6"] };
    let tables = names
        .iter()
        .filter_map(|name| fs::read_to_string(format!("/proc/net/{name}")).ok());
    let tables: Vec<String> = tables.collect();
    let lines = tables.iter().flat_map(|table| table.lines());
    lines.filter_map(|line| socket(line, port)).collect()
}

/// The number of a line's socket, if its own end has the port: `sl local remote state … uid timeout inode`.
fn socket(line: &str, port: u16) -> Option<u64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let own = words.get(1)?.rsplit(':').next()?;
    let inode = words.get(9)?.parse().ok()?;
    (u16::from_str_radix(own, 16).ok()? == port && inode != 0).then_some(inode)
}

/// Whether one of our processes that run a command holds a port. Where their files may not be looked at, a process that
/// runs is taken to hold it.
pub(crate) fn holds_port(command: &str, port: u16, udp: bool) -> bool {
    let sockets: Vec<String> = sockets(port, udp)
        .iter()
        .map(|number| format!("socket:[{number}]"))
        .collect();
    processes(command).iter().any(|(process, _)| {
        // With users of its own (`PrivateUsers` of the units) a process shows its files' names and not what they are. One
        // that is ending shows neither, and holds nothing any more.
        let denied = |error: &std::io::Error| {
            let line = || fs::read(format!("/proc/{process}/cmdline"));
            error.kind() == std::io::ErrorKind::PermissionDenied && line().is_ok_and(|line| !line.is_empty())
        };
        match fs::read_dir(format!("/proc/{process}/fd")) {
            Ok(files) => files.flatten().any(|file| match fs::read_link(file.path()) {
                Ok(target) => sockets.iter().any(|socket| target.as_os_str() == socket.as_str()),
                Err(error) => denied(&error),
            }),
            Err(error) => denied(&error),
        }
    })
}

/// Whether a command line, its words ended by zeros, is `…/wren COMMAND …`.
fn runs(line: &[u8], command: &str) -> bool {
    let mut words = line.split(|byte| *byte == 0);
    let program = words.next().unwrap_or_default();
    let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name == b"wren" && words.next() == Some(command.as_bytes())
}

/// What the processor can do, as the system names it.
pub(crate) fn processor_features() -> Vec<String> {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with("flags") || line.starts_with("Features"));
    let words = line
        .and_then(|line| line.split_once(':'))
        .map_or("", |(_, words)| words);
    words.split_whitespace().map(str::to_owned).collect()
}

/// The size of a page of memory in bytes, from what the kernel told this process at its start (`AT_PAGESZ`).
pub(crate) fn page_size() -> Option<u64> {
    const AT_PAGESZ: u64 = 6;
    let told = fs::read("/proc/self/auxv").ok()?;
    let (numbers, _) = told.as_chunks::<8>();
    let numbers: Vec<u64> = numbers.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect();
    let (pairs, _) = numbers.as_chunks::<2>();
    pairs.iter().find(|[kind, _]| *kind == AT_PAGESZ).map(|[_, size]| *size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_folder_that_grows_fills_the_disk_in_days() {
        let folder = std::env::temp_dir().join(format!("wren-machine-{}", std::process::id()));
        fs::create_dir_all(folder.join("below")).unwrap();
        fs::write(folder.join("below/file"), vec![1; 1_000_000]).unwrap();
        let grown = used(&folder);
        assert!((1_000_000..1_200_000).contains(&grown), "{grown}");
        let made = fs::metadata(&folder).unwrap().created();
        if let Ok(made) = made {
            let day = made + Duration::from_hours(24);
            assert_eq!(days_left(&folder, grown * 7, day), Some(7));
            assert_eq!(days_left(&folder, grown * 7, made + Duration::from_mins(1)), None);
        }
        let there = disk(&folder).unwrap();
        assert!(there.free <= there.size && there.size > 0);
        assert_eq!(disk(&folder.join("not/there")).unwrap().size, there.size);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn our_processes_are_told_from_others() {
        assert!(runs(b"/usr/bin/wren\0node\0--network\0x", "node"));
        assert!(!runs(b"/usr/bin/wren\0validator\0", "node"));
        assert!(!runs(b"/usr/bin/wrench\0node\0", "node"));
        assert!(!runs(b"", "node"));
    }

    #[test]
    fn sockets_are_found_by_their_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(sockets(port, false).len(), 1);
        assert!(sockets(port, true).is_empty());
        assert!(!holds_port("no such command", port, false));
        drop(listener);
        assert!(sockets(port, false).is_empty());
    }

    #[test]
    fn a_page_is_a_power_of_two() {
        assert!(page_size().is_some_and(|size| size.is_power_of_two() && size >= 4096));
    }
}
