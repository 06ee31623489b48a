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
    log: PathBuf,
}

/// The control groups that node and client run in, of the first version; none where there are none to be had.
pub(super) struct Limits {
    memory: Option<PathBuf>,
    /// A quarter of a core, if that was asked for.
    cpu: Option<PathBuf>,
    is_slow: bool,
}

impl Limits {
    pub(super) fn new(is_slow: bool) -> Self {
        let memory = group(
            "memory",
            &[("memory.limit_in_bytes", LIMIT), ("memory.memsw.limit_in_bytes", LIMIT)],
        );
        let quarter = [("cpu.cfs_period_us", 100_000), ("cpu.cfs_quota_us", 25_000)];
        let cpu = if is_slow { group("cpu", &quarter) } else { None };
        println!(
            "  memory: {}; processor: {}",
            memory
                .as_ref()
                .map_or("no limit", |_| "1 GiB for node and client together"),
            match (is_slow, &cpu) {
                (false, _) => "all of it",
                (true, Some(_)) => "a quarter of a core, hashes by portable code",
                (true, None) => "no limit, hashes by portable code",
            }
        );
        Limits { memory, cpu, is_slow }
    }

    /// A shell that puts itself into the groups and becomes the program, which so never runs outside of them.
    fn command(&self, program: &Path, folder: &Path, log: &Path) -> Command {
        let output = File::options().create(true).append(true).open(log);
        let groups = [&self.memory, &self.cpu].into_iter().flatten();
        let into: Vec<String> = groups
            .map(|group| format!("echo $$ > {}/cgroup.procs && ", group.display()))
            .collect();
        let mut command = Command::new("sh");
        command
            .current_dir(folder)
            .args(["-c", &format!("{}exec \"$0\" \"$@\"", into.concat())])
            .arg(program);
        // As the package's units have it.
        command
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output.expect("the folder can be written"));
        command
    }

    fn refused(&self) -> String {
        let read = |group: &PathBuf| fs::read_to_string(group.join("memory.failcnt")).unwrap_or_default();
        self.memory
            .as_ref()
            .map_or_else(|| "-".into(), |group| read(group).trim().to_owned())
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        // They go when the kernel has noticed that nobody is in them; one left over costs nothing.
        std::thread::sleep(Duration::from_millis(200));
        for group in [&self.memory, &self.cpu].into_iter().flatten() {
            fs::remove_dir(group).ok();
        }
    }
}

/// A group with limits; `None` where there is none to be had. What the kernel does not count (swap) it need not limit.
fn group(kind: &str, limits: &[(&str, u64)]) -> Option<PathBuf> {
    let group = Path::new("/sys/fs/cgroup")
        .join(kind)
        .join(format!("wren-bench-{}", std::process::id()));
    fs::create_dir(&group).ok()?;
    let set = limits
        .iter()
        .filter(|(name, limit)| fs::write(group.join(name), limit.to_string()).is_ok());
    if set.count() == 0 {
        fs::remove_dir(&group).ok();
        return None;
    }
    Some(group)
}

/// Imports the keystores as `wren keys import` does, with an empty history, since they are active on the chain.
pub(super) fn import_keys(program: &Path, folder: &Path) {
    let root = fs::read_to_string(folder.join("network/genesis_validators_root.txt")).expect("it was written");
    let metadata = format!(
        r#"{{"interchange_format_version":"5","genesis_validators_root":"{}"}}"#,
        root.trim()
    );
    let history = format!(r#"{{"metadata":{metadata},"data":[]}}"#);
    fs::write(folder.join("history.json"), history).expect("there is room");
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .args(["keys", "import", "keys-of-client", "--slashing-history", "history.json"]);
    command.args([
        "--password-file",
        "keys-of-client/password.txt",
        "--network",
        "network",
        "--datadir",
        "data",
    ]);
    let done = command.output().expect("the program can be started");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
    listener.local_addr().expect("it is bound").port()
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
    pub(super) fn start(program: &Path, folder: &Path, limits: &Limits, port: u16, options: &[&str]) -> Self {
        let log = folder.join("node.log");
        let begun = Instant::now();
        let mut command = limits.command(program, folder, &log);
        command.args([
            "node",
            "--network",
            "network",
            "--datadir",
            "data",
            "--dev-engine",
            "--alone",
        ]);
        command.args([
            "--metrics-port",
            "0",
            "--max-memory",
            "1024",
            "--http-port",
            &port.to_string(),
        ]);
        command.args(if limits.is_slow { &["--portable-hash"][..] } else { &[] });
        Self::of(command.args(options), port, begun, log)
    }

    /// Starts the validator client of some keys with a node.
    pub(super) fn start_client(program: &Path, folder: &Path, limits: &Limits, node: &Node) -> Self {
        let log = folder.join("client.log");
        let url = format!("http://127.0.0.1:{}", node.port);
        let mut command = limits.command(program, folder, &log);
        command.args([
            "validator",
            "--network",
            "network",
            "--datadir",
            "data",
            "--beacon-nodes",
            &url,
        ]);
        command.args([
            "--keymanager-port",
            "0",
            "--metrics-port",
            "0",
            "--no-doppelganger-protection",
        ]);
        command.args([
            "--suggested-fee-recipient",
            "0x8943545177806ED17B9F23F0a21ee5948eCaa776",
        ]);
        Self::of(&mut command, 0, Instant::now(), log)
    }

    fn of(command: &mut Command, port: u16, begun: Instant, log: PathBuf) -> Self {
        let child = command.spawn().expect("the program can be started");
        let (id, peaks) = (child.id(), Arc::new(Peaks::default()));
        let sampled = Arc::clone(&peaks);
        Node {
            child: Mutex::new(child),
            port,
            begun,
            id,
            peaks,
            sampler: Some(std::thread::spawn(move || sample(id, &sampled))),
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
    pub(super) fn phase(&self, what: &str, took: Duration, limits: &Limits) {
        let mb = |kilobytes: u64| kilobytes / 1024;
        let take = |peak: &AtomicU64| mb(peak.swap(0, Ordering::Relaxed));
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        let (anonymous, resident) = (take(&self.peaks.anonymous), take(&self.peaks.resident));
        let (highest, now) = (mb(memory(&status, "VmHWM")), mb(memory(&status, "RssAnon")));
        println!(
            "  {what}: {:.1} s\n    MiB: anonymous {anonymous} at most, {now} now; resident {resident}, since the start \
             {highest}; times that the limit was met: {}",
            took.as_secs_f64(),
            limits.refused()
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
        status.expect("it was started here")
    }
}
