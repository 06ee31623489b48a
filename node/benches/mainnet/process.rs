//! The node as a process: its limits, and what memory it has.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the node may have: the memory of the smallest machine that it is for.
const LIMIT: u64 = 1 << 30;
/// How often memory is looked at: a peak that is shorter shows in the kernel's own figure only.
const SAMPLE: Duration = Duration::from_millis(25);

/// Peaks since they were last asked for, in kilobytes.
#[derive(Default)]
struct Peaks {
    anonymous: AtomicU64,
    resident: AtomicU64,
    ended: AtomicBool,
}

pub(super) struct Node {
    child: Mutex<Child>,
    pub(super) port: u16,
    pub(super) begun: Instant,
    id: u32,
    peaks: Arc<Peaks>,
    sampler: Option<JoinHandle<()>>,
    group: Option<PathBuf>,
    log: PathBuf,
}

/// A control group with the limit, of the first version; `None` where there is none to be had.
fn group() -> Option<PathBuf> {
    let group = Path::new("/sys/fs/cgroup/memory").join(format!("wren-bench-{}", std::process::id()));
    fs::create_dir(&group).ok()?;
    let set = |name: &str| fs::write(group.join(name), LIMIT.to_string());
    if set("memory.limit_in_bytes").is_err() {
        fs::remove_dir(&group).ok();
        return None;
    }
    // Swap too, where the kernel counts it.
    set("memory.memsw.limit_in_bytes").ok();
    Some(group)
}

/// A line of the kernel's account of a process's memory, in kilobytes.
fn memory(status: &str, name: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn sample(id: u32, peaks: &Peaks) {
    while !peaks.ended.load(Ordering::Relaxed) {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        peaks.anonymous.fetch_max(memory(&status, "RssAnon"), Ordering::Relaxed);
        peaks.resident.fetch_max(memory(&status, "VmRSS"), Ordering::Relaxed);
        std::thread::sleep(SAMPLE);
    }
}

impl Node {
    /// Starts a node in the folder of a chain; `options` come on top.
    pub(super) fn start(program: &Path, folder: &Path, options: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let (group, log) = (group(), folder.join("node.log"));
        let output = File::options().create(true).append(true).open(&log);
        // The shell puts itself into the group and becomes the node, which so never runs outside of it.
        let into = group.as_ref().map(|group| group.join("cgroup.procs"));
        let into = into.map_or_else(|| "/dev/null".into(), |path| path.display().to_string());
        let begun = Instant::now();
        let child = Command::new("sh")
            .current_dir(folder)
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\"", &into])
            .arg(program)
            .args([
                "node",
                "--network",
                "network",
                "--datadir",
                "data",
                "--dev-engine",
                "--alone",
            ])
            .args([
                "--metrics-port",
                "0",
                "--max-memory",
                "1024",
                "--http-port",
                &port.to_string(),
            ])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output.expect("the folder can be written"))
            .spawn()
            .expect("the program can be started");
        let (id, peaks) = (child.id(), Arc::new(Peaks::default()));
        let sampled = Arc::clone(&peaks);
        Node {
            child: Mutex::new(child),
            port,
            begun,
            id,
            peaks,
            sampler: Some(std::thread::spawn(move || sample(id, &sampled))),
            group,
            log,
        }
    }

    pub(super) fn log(&self) -> String {
        self.log.display().to_string()
    }

    pub(super) fn is_alive(&self) -> bool {
        let mut child = self.child.lock().expect("nobody panics with it");
        matches!(child.try_wait(), Ok(None))
    }

    /// Tells of a part of the run that has ended, and the memory that it took at most.
    pub(super) fn phase(&self, what: &str, took: Duration) {
        let mb = |kilobytes: u64| kilobytes / 1024;
        let take = |peak: &AtomicU64| mb(peak.swap(0, Ordering::Relaxed));
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        let (anonymous, resident) = (take(&self.peaks.anonymous), take(&self.peaks.resident));
        let (highest, now) = (mb(memory(&status, "VmHWM")), mb(memory(&status, "RssAnon")));
        let (limit, refused) = match &self.group {
            Some(group) => {
                let refused = fs::read_to_string(group.join("memory.failcnt")).unwrap_or_default();
                ("in 1 GiB", refused.trim().to_owned())
            }
            None => ("without a limit", "-".into()),
        };
        println!(
            "  {what}: {:.1} s, {limit}\n    MiB: anonymous {anonymous} at most, {now} now; resident {resident}, since the \
             start {highest}; times that the limit was met: {refused}",
            took.as_secs_f64()
        );
    }

    /// Waits until the node does nearly nothing for two seconds.
    pub(super) fn wait_until_idle(&self, most: Duration) {
        let begun = Instant::now();
        let ticks = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
            let fields: Vec<i64> = stat
                .rsplit(')')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|field| field.parse().ok())
                .collect();
            // User and system time are the fields 14 and 15 of all; of those behind the name's bracket the first is a letter.
            fields.get(10).copied().unwrap_or(0) + fields.get(11).copied().unwrap_or(0)
        };
        while begun.elapsed() < most {
            let before = ticks();
            std::thread::sleep(Duration::from_secs(2));
            // A tick is a hundredth of a second.
            if ticks() - before < 20 {
                return;
            }
        }
    }

    /// Ends the node at once, as a power cut does.
    pub(super) fn kill(self) {
        self.child
            .lock()
            .expect("nobody panics with it")
            .kill()
            .expect("it is ours");
        self.end();
    }

    /// Ends the node as an operator does.
    pub(super) fn stop(self) {
        let id = rustix::process::Pid::from_raw(self.id.cast_signed()).expect("a process has a number");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is ours");
        let ended = self.end();
        assert!(ended.success(), "the node ended badly");
    }

    fn end(mut self) -> std::process::ExitStatus {
        let status = self.child.lock().expect("nobody panics with it").wait();
        self.peaks.ended.store(true, Ordering::Relaxed);
        if let Some(sampler) = self.sampler.take() {
            sampler.join().expect("it cannot panic");
        }
        if let Some(group) = &self.group {
            // It goes when the kernel has noticed that nobody is in it; a group left over costs nothing.
            std::thread::sleep(Duration::from_millis(200));
            fs::remove_dir(group).ok();
        }
        status.expect("it was started here")
    }
}
