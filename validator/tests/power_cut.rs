//! A power cut takes away what was not synced. It never takes a record whose signature has left the process.
//!
//! A child signs under `strace`. From the trace, a disk is rebuilt as it may be after a cut at the moment of each
//! publication: what was synced is there, of the rest any part. Each such disk is opened, and must refuse whatever
//! contradicts a signature that was published before the cut.

use crate::model::{GENESIS_ROOT, Published, live_and_die, prepare};
use crate::{MODE, Random, Scratch, child_command, long, skip};
use consensus::ssz::Bytes;
use consensus::types::BLSPubkey;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use validator::signer::Refused;
use validator::slashing_protection::{FILE_NAME, Record, SlashingProtection};

/// A file as the program has written it and as the disk certainly has it.
#[derive(Clone, Default)]
struct TracedFile {
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Whether its name is on disk: the folder was synced since it was made.
    is_listed: bool,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, data) => {
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Change::Truncate(len) => bytes.resize(*len, 0),
        }
    }
}

/// The folder of the database, on a disk that loses what was not synced.
struct Disk {
    folder: String,
    files: BTreeMap<String, TracedFile>,
    syncs: usize,
    /// Whether it lies: a sync is answered and nothing is kept.
    lies: bool,
}

impl Disk {
    fn new(folder: &Path) -> Self {
        let database = TracedFile {
            durable: fs::read(folder.join(FILE_NAME)).expect("the database is there"),
            pending: Vec::new(),
            is_listed: true,
        };
        Disk {
            folder: folder.to_str().expect("UTF-8").into(),
            files: BTreeMap::from([(FILE_NAME.into(), database)]),
            syncs: 0,
            lies: false,
        }
    }

    /// Follows one system call. Paths outside of the folder's database files are of no interest.
    fn follow(&mut self, call: &Call) {
        if call.path == self.folder {
            if call.name.ends_with("sync") && !self.lies {
                self.files.values_mut().for_each(|file| file.is_listed = true);
            }
            return;
        }
        let name = call
            .path
            .strip_prefix(&format!("{}/", self.folder))
            .unwrap_or("")
            .to_owned();
        if !name.starts_with(FILE_NAME) {
            return;
        }
        match call.name.as_str() {
            "openat" => {
                self.files.entry(name).or_default();
            }
            "pwrite64" => {
                let change = Change::Write(call.number(3), call.data.clone());
                self.files.entry(name).or_default().pending.push(change);
            }
            "ftruncate" => {
                let change = Change::Truncate(call.number(1));
                self.files.entry(name).or_default().pending.push(change);
            }
            "fsync" | "fdatasync" if self.lies => self.syncs += 1,
            "fsync" | "fdatasync" => {
                let file = self.files.entry(name).or_default();
                for change in file.pending.drain(..) {
                    change.apply(&mut file.durable);
                }
                self.syncs += 1;
            }
            other => panic!("the trace has an unexpected {other} of {name}"),
        }
    }

    /// What may be found after a cut: of each unsynced change, it is random whether it got to the disk.
    fn cut(&self, random: &mut Random, into: &Path) {
        for (name, file) in &self.files {
            let mut bytes = file.durable.clone();
            let all_lost = random.below(2) == 0;
            for change in &file.pending {
                if !all_lost && random.below(2) == 0 {
                    change.apply(&mut bytes);
                }
            }
            if file.is_listed || random.below(2) == 0 {
                fs::write(into.join(name), bytes).expect("it can be written");
            } else {
                fs::remove_file(into.join(name)).ok();
            }
        }
    }
}

/// One system call on a file, as `strace` tells it.
#[derive(Debug)]
struct Call {
    name: String,
    path: String,
    data: Vec<u8>,
    arguments: Vec<String>,
}

impl Call {
    /// Reads `name(4<\x2f…>, "\x01…", 4096, 0) = 4096`; none for what is no call on a file.
    fn parse(line: &str) -> Option<Call> {
        let (name, rest) = line.split_once('(')?;
        let (inside, result) = rest.rsplit_once(')')?;
        let arguments: Vec<String> = inside.split(", ").map(str::to_owned).collect();
        // A call that opens a file has its path in the result, the others in their first argument.
        let described = if name == "openat" { result } else { arguments.first()? };
        let path = described.split_once('<')?.1.split_once('>')?.0;
        let quoted = arguments
            .get(1)
            .and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
        Some(Call {
            name: name.into(),
            path: String::from_utf8_lossy(&unescape(path)).into_owned(),
            data: quoted.map(unescape).unwrap_or_default(),
            arguments,
        })
    }

    fn number(&self, at: usize) -> usize {
        self.arguments[at].parse().expect("it is a number")
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.split("\\x").skip(1);
    bytes
        .map(|digits| u8::from_str_radix(digits, 16).expect("strace writes hex"))
        .collect()
}

/// The calls of a trace in their order. One that another thread interrupts stands in two parts; it counts where it ends.
fn calls(trace: &str) -> Vec<Call> {
    let mut open: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let (thread, line) = line.split_once(' ').expect("every line begins with a thread");
        let line = line.trim_start();
        if let Some(begun) = line.strip_suffix(" <unfinished ...>") {
            open.insert(thread, begun.to_owned());
        } else if line.starts_with("<... ") {
            let rest = line.split_once(" resumed>").expect("it is resumed").1;
            let begun = open.remove(thread).unwrap_or_default();
            calls.extend(Call::parse(&format!("{begun}{rest}")));
        } else {
            calls.extend(Call::parse(line));
        }
    }
    calls
}

fn trace(folder: &Path, number: u64) -> Option<String> {
    let child = child_command("model::child", "sign-a-little", folder, number);
    let output = folder.join("trace");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-y", "-xx", "-s", "70000", "-o"])
        .arg(&output)
        .args(["-e", "trace=openat,write,pwrite64,fsync,fdatasync,ftruncate"])
        .arg(child.get_program())
        .args(child.get_args())
        .envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdout(Stdio::piped());
    assert!(child.get_envs().any(|(name, _)| name == MODE));
    let Ok(finished) = strace.output() else {
        skip("power-cuts", "strace is not installed");
        return None;
    };
    assert!(
        finished.status.success(),
        "{}",
        String::from_utf8_lossy(&finished.stderr)
    );
    Some(fs::read_to_string(&output).expect("there is a trace"))
}

/// What contradicts a signature that was published must be refused; the first that is not, in words.
fn lost(folder: &Path, keys: &[BLSPubkey], published: &[Published]) -> Option<String> {
    let database = match SlashingProtection::open(&folder.join(FILE_NAME), GENESIS_ROOT) {
        Ok(database) => database,
        Err(error) => return Some(format!("it does not open after a cut: {error:#}")),
    };
    let contradictions: Vec<(BLSPubkey, Record)> = published.iter().map(|signed| contradiction(keys, signed)).collect();
    let answers = database.record(&contradictions);
    let mut all = published.iter().zip(answers);
    let (signed, answer) = all.find(|(_, answer)| !matches!(answer, Err(Refused::Slashable(_))))?;
    Some(format!("{signed} is not on record after the cut: {answer:?}"))
}

fn contradiction(keys: &[BLSPubkey], signed: &Published) -> (BLSPubkey, Record) {
    let signing_root = Bytes([0xee; 32]);
    match *signed {
        Published::Block { key, slot, .. } => (keys[key as usize], Record::Block { slot, signing_root }),
        Published::Vote {
            key, source, target, ..
        } => {
            let record = Record::Attestation {
                source,
                target,
                signing_root,
            };
            (keys[key as usize], record)
        }
    }
}

/// What cuts have done.
#[derive(Default)]
struct Cuts {
    count: usize,
    losses: Vec<String>,
}

/// Lets a child sign on that disk and cuts the power at each of its publications; none where it cannot be traced.
fn sign_and_cut(folder: &Path, keys: &[BLSPubkey], mut disk: Disk, number: u64, random: &mut Random) -> Option<Cuts> {
    let restored = Scratch::new("restored");
    let trace = trace(folder, number)?;
    let (mut published, mut cuts) = (Vec::new(), Cuts::default());
    for call in calls(&trace) {
        let line = String::from_utf8_lossy(&call.data);
        let signed = line.lines().filter_map(|line| line.parse::<Published>().ok());
        let signed: Vec<Published> = if call.name == "write" {
            signed.collect()
        } else {
            Vec::new()
        };
        if signed.is_empty() {
            disk.follow(&call);
            continue;
        }
        published.extend(signed);
        disk.cut(random, &restored.0);
        let newest = &published[published.len().saturating_sub(50)..];
        cuts.losses.extend(lost(&restored.0, keys, newest));
        cuts.count += 1;
    }
    assert!(disk.syncs > 10, "only {} syncs", disk.syncs);
    Some(cuts)
}

#[test]
fn a_power_cut_leaves_every_published_signature_on_record() {
    let scratch = Scratch::new("traced");
    let keys = prepare(&scratch.0);
    let mut random = Random(3);
    let mut cuts = 0;
    for number in 0..if long() { 20 } else { 2 } {
        let disk = Disk::new(&scratch.0);
        let Some(more) = sign_and_cut(&scratch.0, &keys, disk, number * 60, &mut random) else {
            return;
        };
        assert_eq!(more.losses, [""; 0]);
        cuts += more.count;
    }
    assert!(cuts >= if long() { 800 } else { 80 }, "only {cuts} cuts");
}

/// The same on a disk whose syncs do nothing, as if the program made none: what was published is lost, and this is seen.
#[test]
fn without_syncs_the_cuts_find_signatures_that_are_not_on_record() {
    let scratch = Scratch::new("unsynced");
    let keys = prepare(&scratch.0);
    let mut disk = Disk::new(&scratch.0);
    disk.lies = true;
    let Some(cuts) = sign_and_cut(&scratch.0, &keys, disk, 0, &mut Random(5)) else {
        return;
    };
    assert!(
        cuts.losses.len() > cuts.count / 2,
        "{} losses in {} cuts",
        cuts.losses.len(),
        cuts.count
    );
}

/// A killed process may leave a record in the log that was never synced. After a restart it is found there, and the same
/// request is signed without writing anything: the record must have become durable before.
#[test]
fn a_restart_makes_durable_what_a_killed_process_left() {
    let scratch = Scratch::new("left");
    let keys = prepare(&scratch.0);
    let mut random = Random(4);
    let mut cuts = 0;
    for number in 0..if long() { 20 } else { 2 } {
        let mut disk = Disk::new(&scratch.0);
        let signed = live_and_die(&scratch.0, number * 60, &mut Random(17)); // waits for 4 signatures, then some
        assert!(!signed.is_empty());
        let names = [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")];
        for name in names {
            let left = fs::read(scratch.path(&name)).expect("a killed process leaves its log");
            let file = disk.files.entry(name).or_default();
            file.pending = vec![Change::Truncate(0), Change::Write(0, left)];
        }
        let Some(more) = sign_and_cut(&scratch.0, &keys, disk, number * 60, &mut random) else {
            return;
        };
        assert_eq!(more.losses, [""; 0]);
        cuts += more.count;
    }
    assert!(cuts > 40, "only {cuts} cuts");
}
